//! Matrices in eight bits, row after row, as they are kept in files.

use std::sync::Arc;

use rayon::prelude::*;

use super::quantized::{factor_and_scale, round};
use crate::{Error, Result};

/// A matrix whose rows have a scale each: `x ≈ value · scale`, with values from -127 to 127. Copies
/// share them.
#[derive(Debug, Clone)]
pub struct ByteTable {
    width: usize,
    /// `[rows, width]`.
    values: Arc<Vec<i8>>,
    /// `[rows]`.
    scales: Arc<Vec<f32>>,
}

impl ByteTable {
    /// From values, `[rows, width]`, and scales, `[rows]`, which must be finite.
    pub fn new(width: usize, values: Vec<i8>, scales: Vec<f32>) -> Result<Self> {
        let refuse = |what: String| Err(Error::Compute(candle_core::Error::Msg(what)));
        if width == 0 || values.len() != scales.len().saturating_mul(width) {
            return refuse(format!("{} values and {} scales", values.len(), scales.len()));
        }
        if scales.iter().any(|scale| !scale.is_finite()) {
            return refuse("a weight is not finite".into());
        }
        Ok(ByteTable { width, values: Arc::new(values), scales: Arc::new(scales) })
    }

    /// Rounds `x`, `[rows, width]`.
    pub fn quantize(x: &[f32], width: usize) -> Result<Self> {
        let mut values = vec![0; x.len()];
        let rows = x.par_chunks(width.max(1)).zip(values.par_chunks_mut(width.max(1)));
        let scales = rows.map(|(row, values)| {
            let (factor, scale) = factor_and_scale(row);
            for (value, &x) in values.iter_mut().zip(row) {
                *value = round(x, factor) as i8;
            }
            scale
        });
        let scales = scales.collect();
        Self::new(width, values, scales)
    }

    /// One under the other; all of one width.
    pub fn stacked(parts: Vec<ByteTable>) -> Result<Self> {
        let width = parts.first().map_or(0, |part| part.width);
        let (mut values, mut scales) = (Vec::new(), Vec::new());
        for part in parts {
            values.extend_from_slice(&part.values);
            scales.extend_from_slice(&part.scales);
        }
        Self::new(width, values, scales)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.scales.len()
    }

    /// Values of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// `[rows, width]`.
    pub fn values(&self) -> &[i8] {
        &self.values
    }

    /// `[rows]`.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// The values and the scale of a row.
    pub fn row(&self, row: usize) -> (&[i8], f32) {
        (&self.values[row * self.width..][..self.width], self.scales[row])
    }

    /// As float32, `[rows, width]`.
    pub fn dequantized(&self) -> Vec<f32> {
        let rows = self.values.chunks_exact(self.width).zip(self.scales.iter());
        rows.flat_map(|(row, &scale)| row.iter().map(move |&x| f32::from(x) * scale)).collect()
    }
}
