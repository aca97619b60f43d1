//! The kernel of Intel's matrix extensions (AMX): products of tiles of 16 rows with 16 outputs, 64
//! inputs at a time. The instructions are written out, as the compiler has them for nightly Rust
//! only.
//!
//! Weights stand as for the vector kernels: of 64 inputs and 16 outputs, the 16 groups of four
//! inputs are one tile, a group a row, and four such tiles stand side by side in a panel.

use std::arch::asm;
use std::sync::OnceLock;

use super::{BLOCK, LINE, Line, PANEL};

/// Distance between the groups of inputs in a panel, and between the rows of sums: bytes.
const STRIDE: usize = 4 * LINE;

/// Whether the machine has the instructions and the system grants them to this process; asked once.
pub(super) fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        const TILES_AND_INT8: u32 = 1 << 24 | 1 << 25;
        // Leaf 7 is there: AVX-512 was found in it.
        let features = std::arch::x86_64::__cpuid_count(7, 0).edx;
        is_x86_feature_detected!("avx512f")
            && features & TILES_AND_INT8 == TILES_AND_INT8
            && permitted()
    })
}

/// Asks the system for the tile registers, which are not a process's by default.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_ulong = 0x1023;
    const TILE_DATA: libc::c_ulong = 18;
    // SAFETY: this call takes two numbers and changes what the process may use, nothing else.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// The tile registers of this thread, all of 16 rows of 64 bytes, until dropped.
pub(super) struct Registers {
    /// Registers belong to a thread.
    _here: std::marker::PhantomData<*const ()>,
}

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static CONFIGURATION: Configuration = {
    let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
    let mut tile = 0;
    while tile < 8 {
        row_bytes[tile] = LINE as u16;
        rows[tile] = BLOCK as u8;
        tile += 1;
    }
    Configuration { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows }
};

impl Registers {
    /// Prepares the registers.
    pub fn configure() -> Self {
        assert!(is_available());
        // SAFETY: the machine has the instruction and it is permitted; it reads 64 bytes.
        unsafe {
            asm!(
                "ldtilecfg [{configuration}]",
                configuration = in(reg) &raw const CONFIGURATION,
                options(nostack, readonly),
            );
        }
        Registers { _here: std::marker::PhantomData }
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        // SAFETY: as in `configure`.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// See [`super::Kernel::tile`]; of 16 or 32 rows.
///
/// # Safety
/// This thread holds [`Registers`]; lengths as [`super::Kernel::tile`] checks them.
pub(super) unsafe fn tile(
    rows: &[Line],
    panel: &[Line],
    start: &[i32; PANEL],
    sums: &mut [[i32; PANEL]],
    next: &[Line],
) {
    // Bytes of a row: 64 inputs are a line of activations, and `PANEL` lines of weights.
    let lines = panel.len() / PANEL;
    let fetched = next.len().div_ceil(lines);
    // SAFETY: passed on. A panel is `lines` tiles long and four wide; the rows are as many as the
    // sums, and of `lines` lines each.
    unsafe {
        if sums.len() == BLOCK {
            one_block(rows, panel, start, sums, next.as_ptr(), fetched, lines);
        } else {
            let half = fetched.div_ceil(2);
            let rest = next.as_ptr().wrapping_add(half * lines);
            two_blocks(rows, panel, start, sums, 0, next.as_ptr(), half, lines);
            two_blocks(rows, panel, start, sums, 2, rest, fetched - half, lines);
        }
    }
}

/// 16 rows with all four tiles of outputs.
///
/// # Safety
/// As [`tile`], of `BLOCK` rows; `fetch` may be any address.
unsafe fn one_block(
    rows: &[Line],
    panel: &[Line],
    start: &[i32; PANEL],
    sums: &mut [[i32; PANEL]],
    fetch: *const Line,
    fetched: usize,
    lines: usize,
) {
    // SAFETY: `start` is four lines, loaded sixteen times each; the loop runs `lines` times over 16
    // rows, a line each time, and over four tiles of the panel, 64 lines; the sums are 16 rows of
    // four lines. Prefetching touches no memory that could be missing.
    unsafe {
        asm!(
            "tileloadd tmm0, [{start} + {step}*1]",
            "tileloadd tmm1, [{start} + {step}*1 + 64]",
            "tileloadd tmm2, [{start} + {step}*1 + 128]",
            "tileloadd tmm3, [{start} + {step}*1 + 192]",
            "2:",
            "tileloadd tmm4, [{x} + {row}*1]",
            "tileloadd tmm5, [{w} + {stride}*1]",
            "tdpbusd tmm0, tmm4, tmm5",
            "tileloadd tmm6, [{w} + {stride}*1 + 64]",
            "tdpbusd tmm1, tmm4, tmm6",
            "tileloadd tmm7, [{w} + {stride}*1 + 128]",
            "tdpbusd tmm2, tmm4, tmm7",
            "tileloadd tmm5, [{w} + {stride}*1 + 192]",
            "tdpbusd tmm3, tmm4, tmm5",
            "mov {step}, {fetched}",
            "test {step}, {step}",
            "jz 4f",
            "3:",
            "prefetcht1 [{fetch}]",
            "add {fetch}, 64",
            "dec {step}",
            "jnz 3b",
            "4:",
            "add {x}, 64",
            "add {w}, 4096",
            "dec {lines}",
            "jnz 2b",
            "tilestored [{sums} + {stride}*1], tmm0",
            "tilestored [{sums} + {stride}*1 + 64], tmm1",
            "tilestored [{sums} + {stride}*1 + 128], tmm2",
            "tilestored [{sums} + {stride}*1 + 192], tmm3",
            start = in(reg) start.as_ptr(),
            // Nought at first: every row of the sums starts the same.
            step = inout(reg) 0usize => _,
            x = inout(reg) rows.as_ptr() => _,
            row = in(reg) lines * LINE,
            w = inout(reg) panel.as_ptr() => _,
            stride = in(reg) STRIDE,
            fetch = inout(reg) fetch => _,
            fetched = in(reg) fetched,
            lines = inout(reg) lines => _,
            sums = in(reg) sums.as_mut_ptr(),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// 32 rows with two tiles of outputs, from number `column` on.
///
/// # Safety
/// As [`tile`], of `2 * BLOCK` rows, with `column` 0 or 2; `fetch` may be any address.
#[allow(clippy::too_many_arguments, reason = "all of them go into registers")]
unsafe fn two_blocks(
    rows: &[Line],
    panel: &[Line],
    start: &[i32; PANEL],
    sums: &mut [[i32; PANEL]],
    column: usize,
    fetch: *const Line,
    fetched: usize,
    lines: usize,
) {
    // SAFETY: as in `one_block`, for the rows of a second block and two of four tiles.
    unsafe {
        asm!(
            "tileloadd tmm0, [{start} + {step}*1]",
            "tileloadd tmm1, [{start} + {step}*1 + 64]",
            "tileloadd tmm2, [{start} + {step}*1]",
            "tileloadd tmm3, [{start} + {step}*1 + 64]",
            "2:",
            "tileloadd tmm4, [{x} + {row}*1]",
            "tileloadd tmm6, [{w} + {stride}*1]",
            "tdpbusd tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{w} + {stride}*1 + 64]",
            "tdpbusd tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{y} + {row}*1]",
            "tdpbusd tmm2, tmm5, tmm6",
            "tdpbusd tmm3, tmm5, tmm7",
            "mov {step}, {fetched}",
            "test {step}, {step}",
            "jz 4f",
            "3:",
            "prefetcht1 [{fetch}]",
            "add {fetch}, 64",
            "dec {step}",
            "jnz 3b",
            "4:",
            "add {x}, 64",
            "add {y}, 64",
            "add {w}, 4096",
            "dec {lines}",
            "jnz 2b",
            "tilestored [{sums} + {stride}*1], tmm0",
            "tilestored [{sums} + {stride}*1 + 64], tmm1",
            "tilestored [{sums} + {stride}*1 + 4096], tmm2",
            "tilestored [{sums} + {stride}*1 + 4160], tmm3",
            start = in(reg) start.as_ptr().add(column * BLOCK),
            step = inout(reg) 0usize => _,
            x = inout(reg) rows.as_ptr() => _,
            y = inout(reg) rows.as_ptr().add(BLOCK * lines) => _,
            row = in(reg) lines * LINE,
            w = inout(reg) panel.as_ptr().add(column) => _,
            stride = in(reg) STRIDE,
            fetch = inout(reg) fetch => _,
            fetched = in(reg) fetched,
            lines = inout(reg) lines => _,
            sums = in(reg) sums.as_mut_ptr().cast::<Line>().add(column),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
