//! Matrix products of 8-bit integers, and of float32.
//!
//! Weights are quantized once, symmetrically for each output ([`PackedMatrix`]); activations as
//! they come, symmetrically for each row ([`Quantized`]). The products are summed in 32-bit
//! integers, exactly, and only then scaled to float32, in code that all [`Kernel`]s share: every
//! kernel gives the same bits as the portable one, and a row the same bits in any batch.
//! [`FloatMatrix`] has the same interface without quantization; there only the latter holds.
//!
//! A kernel is one function, `Kernel::tile`: some rows times one panel of [`PANEL`] outputs.
//!
//! This folder holds all the unsafe code of the crate: intrinsics need it.

#[cfg(target_arch = "x86_64")]
mod amx;
mod attention;
mod float;
mod matrix;
#[cfg(target_arch = "aarch64")]
mod neon;
mod output;
mod packed;
mod pages;
mod portable;
mod quantized;
mod table;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;
#[cfg(target_arch = "x86_64")]
mod x86_float;

pub use attention::{ByteMemory, ByteQuery, Dots};
pub use float::FloatMatrix;
pub use matrix::Matrix;
pub use output::{OutputLayer, RowBest};
pub use packed::PackedMatrix;
pub use quantized::Quantized;
pub use table::ByteTable;

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use amx::Registers;

use crate::{Error, Result};

/// Nothing is needed on this machine.
#[cfg(not(target_arch = "x86_64"))]
type Registers = ();

/// Outputs of a panel, which is what a kernel works on at a time.
pub const PANEL: usize = 64;

/// Most rows of a tile, in any kernel.
const MAX_TILE_ROWS: usize = 32;

/// Rows of a tile register of [`Kernel::Amx`].
const BLOCK: usize = 16;

/// With fewer rows the vector kernel is faster than [`Kernel::Amx`].
const AMX_ROWS: usize = 3;

/// Bytes of weights that stay in a core's fastest cache, of 48 KiB where there is AMX.
const CACHE: usize = 32 << 10;

/// The environment variable that forces a kernel.
const VARIABLE: &str = "TARJIM_KERNEL";

/// 64 bytes on a boundary of as many: a cache line, and a register of AVX-512.
///
/// Of weights it holds four inputs of each of sixteen outputs, output by output; of activations 64
/// inputs, each with 128 added, as the instructions want one factor unsigned.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Bytes of a [`Line`].
const LINE: usize = size_of::<Line>();

/// Sums of a tile, `[rows, PANEL]`.
#[repr(C, align(64))]
struct Tile([[i32; PANEL]; MAX_TILE_ROWS]);

/// The instructions that the products are computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// `tdpbusd` on tiles of 16 rows, and [`Kernel::Avx512Vnni`] for what is too small for it.
    Amx,
    /// `vpdpbusd` on 512 bits.
    Avx512Vnni,
    /// `vpdpbusd` on 256 bits.
    AvxVnni,
    /// `vpmaddubsw` on 256 bits.
    Avx2,
    /// `sdot` on 128 bits.
    NeonDot,
    /// Plain Rust.
    Portable,
}

impl Kernel {
    /// All there are, fastest first.
    pub const ALL: [Kernel; 6] = [
        Kernel::Amx,
        Kernel::Avx512Vnni,
        Kernel::AvxVnni,
        Kernel::Avx2,
        Kernel::NeonDot,
        Kernel::Portable,
    ];

    /// The fastest that this machine has, or the one that the environment variable `TARJIM_KERNEL`
    /// names; looked up once.
    pub fn select() -> Result<Kernel> {
        static KERNEL: OnceLock<Result<Kernel, String>> = OnceLock::new();
        let kernel = KERNEL.get_or_init(|| match std::env::var(VARIABLE) {
            Ok(name) if !name.is_empty() => Self::named(&name),
            _ => Ok(Self::fastest()),
        });
        kernel.clone().map_err(Error::Usage)
    }

    /// The fastest that this machine has.
    pub fn fastest() -> Kernel {
        Self::ALL.into_iter().find(|kernel| kernel.is_available()).unwrap_or(Kernel::Portable)
    }

    fn named(name: &str) -> Result<Kernel, String> {
        let Some(kernel) = Self::ALL.into_iter().find(|kernel| kernel.name() == name) else {
            let names = Self::ALL.map(Kernel::name).join(", ");
            return Err(format!("{VARIABLE}={name}: the kernels are {names}"));
        };
        if !kernel.is_available() {
            return Err(format!("{VARIABLE}={name}: this machine lacks these instructions"));
        }
        Ok(kernel)
    }

    /// As the environment variable has it.
    pub fn name(self) -> &'static str {
        match self {
            Kernel::Amx => "amx",
            Kernel::Avx512Vnni => "avx512vnni",
            Kernel::AvxVnni => "avxvnni",
            Kernel::Avx2 => "avx2",
            Kernel::NeonDot => "neon",
            Kernel::Portable => "portable",
        }
    }

    /// Whether this machine has the instructions.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Kernel::Amx => Kernel::Avx512Vnni.is_available() && amx::is_available(),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Vnni | Kernel::AvxVnni | Kernel::Avx2 => x86::is_available(self),
            #[cfg(target_arch = "aarch64")]
            Kernel::NeonDot => std::arch::is_aarch64_feature_detected!("dotprod"),
            Kernel::Portable => true,
            #[allow(unreachable_patterns, reason = "the kernels of other machines")]
            _ => false,
        }
    }

    /// The kernel for a product of so many rows: this one, or a simpler one that is faster.
    fn suited_to(self, rows: usize) -> Kernel {
        match self {
            Kernel::Amx if rows < AMX_ROWS => Kernel::Avx512Vnni,
            kernel => kernel,
        }
    }

    /// What [`Kernel::tile`] needs of this thread, held as long as tiles are computed.
    fn begin(self) -> Option<Registers> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Kernel::Amx => Some(Registers::configure()),
            _ => None,
        }
    }

    /// Rows come in multiples of this: what is missing is filled up, and its sums are left alone.
    fn block_rows(self) -> usize {
        match self {
            Kernel::Amx => BLOCK,
            _ => 1,
        }
    }

    /// Most rows of a tile of [`FloatMatrix`].
    fn float_tile_rows(self) -> usize {
        match self {
            Kernel::Amx | Kernel::Avx512Vnni | Kernel::AvxVnni => 6,
            Kernel::Avx2 | Kernel::NeonDot | Kernel::Portable => 4,
        }
    }

    /// Most rows of a tile, in a product of `rows` rows of `inputs`: what the registers can hold the
    /// sums of.
    fn tile_rows(self, rows: usize, inputs: usize) -> usize {
        match self {
            // Either the panel stays in the fastest cache from tile to tile, or it is read for as
            // many rows as can be.
            Kernel::Amx if inputs * PANEL <= CACHE && rows > 2 * BLOCK => BLOCK,
            Kernel::Amx => 2 * BLOCK,
            Kernel::Avx512Vnni | Kernel::AvxVnni => 6,
            Kernel::Avx2 | Kernel::NeonDot | Kernel::Portable => 4,
        }
    }

    /// `sums[r][n] = Σ_i (rows[r][i] - 128) · panel[i][n]`, which is
    /// `start[n] + Σ_i rows[r][i] · panel[i][n]` with `start[n] = -128 · Σ_i panel[i][n]`.
    ///
    /// `rows` holds the inputs of as many rows as there are `sums`, one after another, `panel` the
    /// weights of as many inputs, `[inputs / 4, PANEL, 4]`; `next` is what will be wanted soon.
    #[inline(always)]
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables, reason = "nothing is fetched"))]
    fn tile(
        self,
        rows: &[Line],
        panel: &[Line],
        start: &[i32; PANEL],
        sums: &mut [[i32; PANEL]],
        next: &[Line],
    ) {
        // A line of activations meets 64 inputs: 16 groups of 4, each of 4 lines.
        assert_eq!(panel.len() * sums.len(), rows.len() * 64);
        assert!((1..=MAX_TILE_ROWS).contains(&sums.len()));
        match self {
            // SAFETY: the registers are held (`begin`); the lengths were checked above.
            #[cfg(target_arch = "x86_64")]
            Kernel::Amx => unsafe { amx::tile(rows, panel, start, sums, next) },
            // SAFETY: matrices only hold available kernels (matrix::check); the lengths were checked
            // above.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Vnni => unsafe { x86::avx512_vnni(rows, panel, start, sums, next) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kernel::AvxVnni => unsafe { x86::avx_vnni(rows, panel, start, sums, next) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => unsafe { x86::avx2(rows, panel, start, sums, next) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Kernel::NeonDot => unsafe { neon::dot(rows, panel, sums) },
            _ => portable::tile(rows, panel, start, sums),
        }
    }

    /// Runs `body`, a closure marked `#[inline(always)]`, compiled for the vector instructions that
    /// come with this kernel.
    #[inline(always)]
    fn run<R>(self, body: impl FnOnce() -> R) -> R {
        match self {
            // SAFETY: only available kernels get past matrix::check and Quantized::new.
            #[cfg(target_arch = "x86_64")]
            Kernel::Amx | Kernel::Avx512Vnni => unsafe { x86::run_avx512(body) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kernel::AvxVnni | Kernel::Avx2 => unsafe { x86::run_avx2(body) },
            // NEON is part of every AArch64 target.
            _ => body(),
        }
    }
}
