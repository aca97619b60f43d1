//! Activations in eight bits.

use super::{BLOCK, Kernel, LINE, Line};

/// Rows of activations, each with a scale of its own: `x ≈ value · scale`, with values from -127 to
/// 127.
#[derive(Debug, Clone)]
pub struct Quantized {
    kernel: Kernel,
    inputs: usize,
    /// `[rows, lines]`; each value with 128 added, zeros to the end of a row's last line. The last
    /// block of rows is filled up with whatever was there.
    lines: Vec<Line>,
    /// `[rows]`.
    scales: Vec<f32>,
}

impl Quantized {
    /// No rows yet.
    pub fn new(kernel: Kernel) -> Self {
        assert!(kernel.is_available(), "{kernel:?} on a machine without it");
        Quantized { kernel, inputs: 0, lines: Vec::new(), scales: Vec::new() }
    }

    /// Takes the rows of `x`, `[rows, inputs]`, in place of those before; the memory is used again.
    ///
    /// A row with a value that is not finite makes every result NaN.
    pub fn quantize(&mut self, x: &[f32], inputs: usize) {
        assert!(
            inputs > 0 && x.len().is_multiple_of(inputs),
            "{} values in rows of {inputs}",
            x.len()
        );
        let stride = lines_of(inputs);
        self.inputs = inputs;
        self.scales.resize(x.len() / inputs, 0.0);
        self.lines.resize((x.len() / inputs).next_multiple_of(BLOCK) * stride, ZEROS);
        let (lines, scales) = (&mut self.lines, &mut self.scales);
        self.kernel.run(
            #[inline(always)]
            || {
                let rows = x.chunks_exact(inputs).zip(lines.chunks_exact_mut(stride));
                for ((row, lines), scale) in rows.zip(scales) {
                    let factor;
                    (factor, *scale) = factor_and_scale(row);
                    let blocks = row.chunks_exact(LINE);
                    let rest = blocks.remainder();
                    for (line, block) in lines.iter_mut().zip(blocks) {
                        for (value, &x) in line.0.iter_mut().zip(block) {
                            *value = round(x, factor).wrapping_add(128) as u8;
                        }
                    }
                    if !rest.is_empty() {
                        let last = &mut lines[stride - 1];
                        *last = ZEROS;
                        for (value, &x) in last.0.iter_mut().zip(rest) {
                            *value = round(x, factor).wrapping_add(128) as u8;
                        }
                    }
                }
            },
        );
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.scales.len()
    }

    /// Values of a row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// `[rows]`.
    pub(super) fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// The lines of these rows, which may be those that fill up the last block.
    pub(super) fn lines(&self, rows: std::ops::Range<usize>) -> &[Line] {
        let stride = lines_of(self.inputs);
        &self.lines[rows.start * stride..rows.end * stride]
    }
}

const ZEROS: Line = Line([128; LINE]);

/// Lines of a row.
pub(super) fn lines_of(inputs: usize) -> usize {
    inputs.div_ceil(LINE)
}

/// What to multiply the values with so that the largest becomes 127, and its inverse.
#[inline(always)]
pub(super) fn factor_and_scale(x: &[f32]) -> (f32, f32) {
    const LANES: usize = 16;
    // Of numbers without a sign, the order is that of their bits; what is not finite comes last.
    let mut lanes = [0u32; LANES];
    let blocks = x.chunks_exact(LANES);
    let rest = blocks.remainder();
    for block in blocks {
        for lane in 0..LANES {
            lanes[lane] = lanes[lane].max(block[lane].to_bits() & 0x7fff_ffff);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane = (*lane).max(x.to_bits() & 0x7fff_ffff);
    }
    let largest = f32::from_bits(lanes.into_iter().fold(0, u32::max));
    let factor = 127.0 / largest;
    if !largest.is_finite() {
        (0.0, f32::NAN)
    } else if !factor.is_finite() {
        // All zero, or so small that it may be.
        (0.0, 0.0)
    } else {
        (factor, largest / 127.0)
    }
}

/// `x · factor` rounded to the nearest integer, halves to the even one; of a number that is not finite
/// anything, which its scale makes NaN again.
#[inline(always)]
pub(super) fn round(x: f32, factor: f32) -> i32 {
    // In 1.5 · 2^23 + n the last bits of the significand are the integer n.
    const MAGIC: f32 = 12_582_912.0;
    let shifted = x * factor + MAGIC;
    (shifted.to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32)
}
