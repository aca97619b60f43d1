//! Weights in eight bits, in the order that the kernels read them.

use rayon::prelude::*;

use super::quantized::{factor_and_scale, lines_of, round};
use super::{Kernel, LINE, Line, MAX_TILE_ROWS, PANEL, Quantized, Tile};
use crate::nn::Epilogue;
use crate::{Error, Result};

/// Most inputs: with more, a sum of products could leave 32 bits.
const MAX_INPUTS: usize = 1 << 17;

/// A linear layer: weights, quantized for each output, and bias.
#[derive(Debug, Clone)]
pub struct PackedMatrix {
    kernel: Kernel,
    inputs: usize,
    outputs: usize,
    /// `[panels, inputs / 4, PANEL, 4]`, inputs padded to whole lines of activations.
    lines: Vec<Line>,
    panels: Vec<Panel>,
}

/// What goes with the weights of a panel.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub(super) struct Panel {
    /// What the sums start from to make up for the 128 added to each activation.
    start: [i32; PANEL],
    /// The largest weight over 127.
    scales: [f32; PANEL],
    bias: [f32; PANEL],
}

impl PackedMatrix {
    /// From weights as PyTorch stores them, `[outputs, inputs]`, and a bias, `[outputs]`.
    pub fn new(
        kernel: Kernel,
        weights: &[f32],
        bias: Option<&[f32]>,
        inputs: usize,
    ) -> Result<Self> {
        Self::padded(kernel, weights, bias, inputs, 0.0)
    }

    /// With this bias for the outputs that pad the last panel.
    pub(super) fn padded(
        kernel: Kernel,
        weights: &[f32],
        bias: Option<&[f32]>,
        inputs: usize,
        padding: f32,
    ) -> Result<Self> {
        assert!(kernel.is_available(), "{kernel:?} on a machine without it");
        let refuse = |what: String| Err(Error::Compute(candle_core::Error::Msg(what)));
        if inputs == 0 || inputs > MAX_INPUTS || !weights.len().is_multiple_of(inputs) {
            return refuse(format!("{} weights in rows of {inputs}", weights.len()));
        }
        let outputs = weights.len() / inputs;
        if bias.is_some_and(|bias| bias.len() != outputs) {
            return refuse(format!("a bias of other than {outputs} values"));
        }
        let panel_lines = panel_lines(inputs);
        let mut lines = vec![Line([0; LINE]); outputs.div_ceil(PANEL) * panel_lines];
        let panels = lines.par_chunks_mut(panel_lines).zip(weights.par_chunks(PANEL * inputs));
        let mut panels: Vec<Panel> = panels.map(|(lines, w)| pack(lines, w, inputs)).collect();
        if panels.iter().any(|panel| panel.scales.iter().any(|scale| scale.is_nan())) {
            return refuse("a weight is not finite".into());
        }
        for (p, panel) in panels.iter_mut().enumerate() {
            for (n, value) in panel.bias.iter_mut().enumerate() {
                let n = p * PANEL + n;
                *value = if n < outputs { bias.map_or(0.0, |bias| bias[n]) } else { padding };
            }
        }
        Ok(PackedMatrix { kernel, inputs, outputs, lines, panels })
    }

    /// The kernel that computes the products.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Width of `x`.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Width of the result.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `x · weightsᵀ + bias`, `[rows, inputs]` to `[rows, outputs]`.
    pub fn matmul(&self, x: &Quantized, epilogue: Epilogue, out: &mut [f32]) {
        assert_eq!(out.len(), x.rows() * self.outputs);
        self.kernel.run(
            #[inline(always)]
            || {
                self.for_each_panel(
                    x,
                    0..x.rows(),
                    #[inline(always)]
                    |p, row, mut y| {
                        if let Epilogue::Activate(activation) = epilogue {
                            activation.apply(&mut y);
                        }
                        let first = row * self.outputs + p * PANEL;
                        let width = PANEL.min(self.outputs - p * PANEL);
                        let out = &mut out[first..first + width];
                        if epilogue == Epilogue::Add {
                            out.iter_mut().zip(y).for_each(|(out, y)| *out += y);
                        } else if let Ok(out) = <&mut [f32; PANEL]>::try_from(&mut *out) {
                            *out = y;
                        } else {
                            out.copy_from_slice(&y[..width]);
                        }
                    },
                );
            },
        );
    }

    /// Calls `each` with a panel's number, a row's, and the results of the one for the other: panel
    /// by panel, so that weights are read once and stay in the cache for all rows.
    #[inline(always)]
    pub(super) fn for_each_panel(
        &self,
        x: &Quantized,
        rows: std::ops::Range<usize>,
        mut each: impl FnMut(usize, usize, [f32; PANEL]),
    ) {
        assert_eq!(x.inputs(), self.inputs);
        let mut sums = Tile([[0; PANEL]; MAX_TILE_ROWS]);
        // Tiles as equal as can be: many small ones are no faster than few large ones.
        let tiles = rows.len().div_ceil(self.kernel.tile_rows());
        let tile_start = |tile: usize| rows.start + tile * rows.len() / tiles;
        let panel_lines = panel_lines(self.inputs);
        for (p, panel) in self.panels.iter().enumerate() {
            let (weights, rest) = self.lines[p * panel_lines..].split_at(panel_lines);
            let next = &rest[..rest.len().min(panel_lines)];
            for tile in 0..tiles {
                let rows = tile_start(tile)..tile_start(tile + 1);
                // Each tile fetches its share of the next panel.
                let share = next.len() * tile / tiles..next.len() * (tile + 1) / tiles;
                let sums = &mut sums.0[..rows.len()];
                let lines = x.lines(rows.clone());
                self.kernel.tile(lines, weights, &panel.start, sums, &next[share]);
                for (sums, row) in sums.iter().zip(rows) {
                    each(p, row, panel.dequantize(sums, x.scales()[row]));
                }
            }
        }
    }

    /// A single result of a row, equal to that of [`Self::matmul`].
    pub(super) fn one(&self, x: &Quantized, row: usize, output: usize) -> f32 {
        assert!(x.inputs() == self.inputs && output < self.outputs);
        let (p, n) = (output / PANEL, output % PANEL);
        let panel = &self.panels[p];
        let panel_lines = panel_lines(self.inputs);
        let lines = &self.lines[p * panel_lines..(p + 1) * panel_lines];
        let mut sum = panel.start[n];
        let inputs = x.lines(row..row + 1).iter().flat_map(|line| line.0.as_chunks::<4>().0);
        for (x, lines) in inputs.zip(lines.chunks_exact(4)) {
            let weights = &lines[n / 16].0[n % 16 * 4..][..4];
            for (&x, &w) in x.iter().zip(weights) {
                sum = sum.wrapping_add(i32::from(x) * i32::from(w as i8));
            }
        }
        dequantize(sum, x.scales()[row], panel.scales[n], panel.bias[n])
    }
}

impl Panel {
    #[inline(always)]
    fn dequantize(&self, sums: &[i32; PANEL], scale: f32) -> [f32; PANEL] {
        let mut y = [0f32; PANEL];
        for n in 0..PANEL {
            y[n] = dequantize(sums[n], scale, self.scales[n], self.bias[n]);
        }
        y
    }
}

#[inline(always)]
fn dequantize(sum: i32, row_scale: f32, scale: f32, bias: f32) -> f32 {
    sum as f32 * (row_scale * scale) + bias
}

/// Lines of the weights of a panel.
fn panel_lines(inputs: usize) -> usize {
    // Each input is a byte of every output.
    lines_of(inputs) * PANEL
}

/// Quantizes and packs `weights`, `[up to PANEL, inputs]`, without the bias.
fn pack(lines: &mut [Line], weights: &[f32], inputs: usize) -> Panel {
    let mut panel = Panel { start: [0; PANEL], scales: [0.0; PANEL], bias: [0.0; PANEL] };
    for (n, row) in weights.chunks_exact(inputs).enumerate() {
        let (factor, scale) = factor_and_scale(row);
        panel.scales[n] = scale;
        let mut sum = 0;
        for (group, row) in row.chunks(4).enumerate() {
            let at = &mut lines[group * 4 + n / 16].0[n % 16 * 4..];
            for (at, &w) in at.iter_mut().zip(row) {
                let w = round(w, factor);
                sum += w;
                *at = w as i8 as u8;
            }
        }
        panel.start[n] = -128 * sum;
    }
    panel
}
