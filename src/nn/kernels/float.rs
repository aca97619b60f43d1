//! Matrix products of float32.

use std::ops::Range;

use rayon::prelude::*;

use super::matrix::{self, Matrix, Tiles};
use super::{Kernel, MAX_TILE_ROWS, PANEL};
use crate::Result;

/// The weights of one input for a panel of outputs.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Weights(pub [f32; PANEL]);

/// A linear layer: weights and bias in float32.
///
/// Each result is summed input after input, starting from the bias; whether a product is rounded
/// before it is added depends on the kernel.
#[derive(Debug, Clone)]
pub struct FloatMatrix {
    kernel: Kernel,
    inputs: usize,
    outputs: usize,
    /// `[panels, inputs]`.
    weights: Vec<Weights>,
    /// `[panels]`.
    bias: Vec<[f32; PANEL]>,
}

impl Matrix for FloatMatrix {
    /// `[rows, inputs]`.
    type Rows = [f32];

    fn padded(
        kernel: Kernel,
        weights: &[f32],
        bias: Option<&[f32]>,
        inputs: usize,
        padding: f32,
    ) -> Result<Self> {
        let outputs = matrix::check(kernel, weights.len(), bias, inputs, usize::MAX)?;
        let panels = outputs.div_ceil(PANEL);
        let mut packed = vec![Weights([0.0; PANEL]); panels * inputs];
        packed.par_chunks_mut(inputs).zip(weights.par_chunks(PANEL * inputs)).for_each(
            |(packed, weights)| {
                for (n, row) in weights.chunks_exact(inputs).enumerate() {
                    for (packed, &w) in packed.iter_mut().zip(row) {
                        packed.0[n] = w;
                    }
                }
            },
        );
        let bias = (0..panels).map(|p| matrix::panel_bias(p, bias, outputs, padding)).collect();
        Ok(FloatMatrix { kernel, inputs, outputs, weights: packed, bias })
    }

    fn kernel(&self) -> Kernel {
        self.kernel
    }

    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn rows(&self, x: &[f32]) -> usize {
        x.len() / self.inputs
    }

    #[inline(always)]
    fn for_each_panel(
        &self,
        x: &[f32],
        rows: Range<usize>,
        mut each: impl FnMut(usize, usize, [f32; PANEL]),
    ) {
        assert!(x.len().is_multiple_of(self.inputs));
        let mut sums = [Weights([0.0; PANEL]); MAX_TILE_ROWS];
        let tiles = Tiles::new(rows, self.kernel.float_tile_rows(), 1);
        for (p, bias) in self.bias.iter().enumerate() {
            let (weights, rest) = self.weights[p * self.inputs..].split_at(self.inputs);
            for (rows, next) in tiles.with(&rest[..rest.len().min(self.inputs)]) {
                let sums = &mut sums[..rows.len()];
                let x = &x[rows.start * self.inputs..rows.end * self.inputs];
                tile(self.kernel, x, weights, bias, sums, next);
                for (sums, row) in sums.iter().zip(rows) {
                    each(p, row, sums.0);
                }
            }
        }
    }

    fn one(&self, x: &[f32], row: usize, output: usize) -> f32 {
        assert!(output < self.outputs);
        let (p, n) = (output / PANEL, output % PANEL);
        let x = &x[row * self.inputs..(row + 1) * self.inputs];
        let weights = &self.weights[p * self.inputs..(p + 1) * self.inputs];
        x.iter().zip(weights).fold(self.bias[p][n], |sum, (&x, w)| match self.kernel {
            Kernel::Portable => sum + x * w.0[n],
            _ => x.mul_add(w.0[n], sum),
        })
    }
}

/// `sums[r] = bias + Σ_i rows[r][i] · panel[i]`; `next` is what will be wanted soon.
#[inline(always)]
#[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables, reason = "nothing is fetched"))]
fn tile(
    kernel: Kernel,
    rows: &[f32],
    panel: &[Weights],
    bias: &[f32; PANEL],
    sums: &mut [Weights],
    next: &[Weights],
) {
    assert_eq!(rows.len(), panel.len() * sums.len());
    assert!((1..=kernel.float_tile_rows()).contains(&sums.len()));
    match kernel {
        // SAFETY: a matrix only holds available kernels (matrix::check); the lengths were checked
        // above.
        #[cfg(target_arch = "x86_64")]
        Kernel::Amx | Kernel::Avx512Vnni => unsafe {
            super::x86_float::avx512(rows, panel, bias, sums, next);
        },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Kernel::AvxVnni | Kernel::Avx2 => unsafe {
            super::x86_float::avx2(rows, panel, bias, sums);
        },
        _ => {
            let fused = kernel != Kernel::Portable;
            for (row, sums) in rows.chunks_exact(panel.len()).zip(sums) {
                sums.0 = *bias;
                for (&x, w) in row.iter().zip(panel) {
                    for (sum, &w) in sums.0.iter_mut().zip(&w.0) {
                        *sum = if fused { x.mul_add(w, *sum) } else { *sum + x * w };
                    }
                }
            }
        }
    }
}
