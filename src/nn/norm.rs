//! Normalization of rows.

use candle_core::Tensor;

use super::{math, with_values};
use crate::Result;

/// Layer normalization (Ba et al. 2016), with PyTorch's epsilon.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    gain: Vec<f32>,
    bias: Vec<f32>,
}

impl LayerNorm {
    const EPSILON: f32 = 1e-5;

    /// Gain and bias, both `[width]`.
    pub fn new(gain: &Tensor, bias: &Tensor) -> Result<Self> {
        Ok(LayerNorm {
            gain: with_values(gain, <[f32]>::to_vec)?,
            bias: with_values(bias, <[f32]>::to_vec)?,
        })
    }

    /// Normalizes the rows of `x`, `[rows, width]`.
    pub fn forward(&self, x: &mut [f32]) {
        let width = self.gain.len();
        math::vectorized(
            #[inline(always)]
            || {
                for row in x.chunks_exact_mut(width) {
                    let mean = math::sum(row) / width as f32;
                    row.iter_mut().for_each(|x| *x -= mean);
                    let variance = math::dot(row, row) / width as f32;
                    let factor = 1.0 / (variance + Self::EPSILON).sqrt();
                    for ((x, gain), bias) in row.iter_mut().zip(&self.gain).zip(&self.bias) {
                        *x = *x * factor * gain + bias;
                    }
                }
            },
        );
    }
}

/// Normalization by the root of the mean square alone (Zhang and Sennrich 2019), as T5 has it.
#[derive(Debug, Clone)]
pub struct RmsNorm {
    gain: Vec<f32>,
    epsilon: f32,
}

impl RmsNorm {
    /// Gain, `[width]`, and what is added to the mean square.
    pub fn new(gain: &Tensor, epsilon: f32) -> Result<Self> {
        Ok(RmsNorm { gain: with_values(gain, <[f32]>::to_vec)?, epsilon })
    }

    /// Normalizes the rows of `x`, `[rows, width]`.
    pub fn forward(&self, x: &mut [f32]) {
        let width = self.gain.len();
        math::vectorized(
            #[inline(always)]
            || {
                for row in x.chunks_exact_mut(width) {
                    let square = math::dot(row, row) / width as f32;
                    let factor = 1.0 / (square + self.epsilon).sqrt();
                    for (x, gain) in row.iter_mut().zip(&self.gain) {
                        *x = *x * factor * gain;
                    }
                }
            },
        );
    }
}
