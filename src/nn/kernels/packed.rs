//! Weights in eight bits, in the order that the kernels read them.

use std::ops::Range;

use rayon::prelude::*;

use super::matrix::{self, Matrix, Tiles};
use super::pages::Lines;
use super::quantized::lines_of;
use super::{ByteTable, Kernel, MAX_TILE_ROWS, PANEL, Quantized, Tile};
use crate::Result;

/// Most inputs: with more, a sum of products could leave 32 bits.
const MAX_INPUTS: usize = 1 << 17;

/// A linear layer: weights, quantized for each output, and bias.
#[derive(Debug, Clone)]
pub struct PackedMatrix {
    kernel: Kernel,
    inputs: usize,
    outputs: usize,
    /// `[panels, inputs / 4, PANEL, 4]`, inputs padded to whole lines of activations.
    lines: Lines,
    panels: Vec<Panel>,
}

/// What goes with the weights of a panel.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
struct Panel {
    /// What the sums start from to make up for the 128 added to each activation.
    start: [i32; PANEL],
    /// The largest weight over 127.
    scales: [f32; PANEL],
    bias: [f32; PANEL],
}

impl Matrix for PackedMatrix {
    type Rows = Quantized;

    fn padded(
        kernel: Kernel,
        weights: &[f32],
        bias: Option<&[f32]>,
        inputs: usize,
        padding: f32,
    ) -> Result<Self> {
        matrix::check(kernel, weights.len(), bias, inputs, MAX_INPUTS)?;
        Self::from_table(kernel, &ByteTable::quantize(weights, inputs)?, bias, padding)
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

    fn rows(&self, x: &Quantized) -> usize {
        x.rows()
    }

    #[inline(always)]
    fn for_each_panel(
        &self,
        x: &Quantized,
        rows: Range<usize>,
        mut each: impl FnMut(usize, usize, [f32; PANEL]),
    ) {
        assert_eq!(x.inputs(), self.inputs);
        let mut sums = Tile([[0; PANEL]; MAX_TILE_ROWS]);
        let kernel = self.kernel.suited_to(rows.len());
        let _registers = kernel.begin();
        let most = kernel.tile_rows(rows.len(), self.inputs);
        let tiles = Tiles::new(rows, most, kernel.block_rows());
        let panel_lines = panel_lines(self.inputs);
        for (p, panel) in self.panels.iter().enumerate() {
            let (weights, rest) = self.lines[p * panel_lines..].split_at(panel_lines);
            for (rows, next) in tiles.with(&rest[..rest.len().min(panel_lines)]) {
                let filled = rows.len().next_multiple_of(kernel.block_rows());
                let sums = &mut sums.0[..filled];
                let lines = x.lines(rows.start..rows.start + filled);
                kernel.tile(lines, weights, &panel.start, sums, next);
                for (sums, row) in sums.iter().zip(rows) {
                    each(p, row, panel.dequantize(sums, x.scales()[row]));
                }
            }
        }
    }

    fn one(&self, x: &Quantized, row: usize, output: usize) -> f32 {
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

impl PackedMatrix {
    /// From weights in eight bits, `[outputs, inputs]`; else as [`Matrix::padded`].
    pub fn from_table(
        kernel: Kernel,
        table: &ByteTable,
        bias: Option<&[f32]>,
        padding: f32,
    ) -> Result<Self> {
        let inputs = table.width();
        let outputs = matrix::check(kernel, table.values().len(), bias, inputs, MAX_INPUTS)?;
        let panel_lines = panel_lines(inputs);
        let mut lines = Lines::zeros(outputs.div_ceil(PANEL) * panel_lines);
        let values = table.values().par_chunks(PANEL * inputs);
        let panels = lines.par_chunks_mut(panel_lines).zip(values).enumerate();
        let panels = panels.map(|(p, (lines, values))| {
            let bias = matrix::panel_bias(p, bias, outputs, padding);
            let mut panel = Panel { start: [0; PANEL], scales: [0.0; PANEL], bias };
            for (n, row) in values.chunks_exact(inputs).enumerate() {
                panel.scales[n] = table.scales()[p * PANEL + n];
                panel.start[n] = -128 * row.iter().map(|&w| i32::from(w)).sum::<i32>();
                for (group, row) in row.chunks(4).enumerate() {
                    let at = &mut lines[group * 4 + n / 16].0[n % 16 * 4..];
                    at.iter_mut().zip(row).for_each(|(at, &w)| *at = w as u8);
                }
            }
            panel
        });
        let panels = panels.collect();
        Ok(PackedMatrix { kernel, inputs, outputs, lines, panels })
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
    (sum as f32).mul_add(row_scale * scale, bias)
}

/// Lines of the weights of a panel.
fn panel_lines(inputs: usize) -> usize {
    // Each input is a byte of every output.
    lines_of(inputs) * PANEL
}
