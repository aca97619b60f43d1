//! Tokens and their positions as vectors.

use candle_core::Tensor;

use super::with_values;
use crate::Result;

/// Token embeddings, in Marian with sinusoidal positions added (Vaswani et al. 2017, sections 3.4
/// and 3.5; sines in the first half of the vector, cosines in the second).
#[derive(Debug, Clone)]
pub struct Embedding {
    /// `[vocabulary, width]`, contiguous.
    tokens: Tensor,
    /// `[positions, width]`; empty where none are added.
    positions: Vec<f32>,
    width: usize,
    scale: f32,
}

impl Embedding {
    /// From a table `[vocabulary, width]` whose rows are multiplied with `scale`, for as many
    /// positions.
    pub fn new(tokens: &Tensor, scale: f32, positions: usize) -> Result<Self> {
        let width = tokens.dim(1)?;
        let positions = sinusoids(positions, width);
        Ok(Embedding { tokens: tokens.contiguous()?, positions, width, scale })
    }

    /// From a table `[vocabulary, width]`, without positions.
    pub fn plain(tokens: &Tensor) -> Result<Self> {
        Self::new(tokens, 1.0, 0)
    }

    /// Replaces what is in `out` by `[tokens, width]`, of tokens given with their positions.
    pub fn forward(
        &self,
        tokens: impl Iterator<Item = (u32, usize)>,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        out.clear();
        with_values(&self.tokens, |table| {
            for (id, position) in tokens {
                let row = &table[id as usize * self.width..][..self.width];
                if self.positions.is_empty() {
                    out.extend(row.iter().map(|x| x * self.scale));
                    continue;
                }
                let position = &self.positions[position * self.width..][..self.width];
                out.extend(row.iter().zip(position).map(|(x, p)| x * self.scale + p));
            }
        })
    }
}

/// `[positions, width]`.
fn sinusoids(positions: usize, width: usize) -> Vec<f32> {
    let half = width.div_ceil(2);
    let mut table = vec![0f32; positions * width];
    for (position, row) in table.chunks_exact_mut(width.max(1)).enumerate() {
        for (i, value) in row.iter_mut().enumerate() {
            let j = if i < half { i } else { i - half };
            let angle = position as f64 / 10000f64.powf(2.0 * j as f64 / width as f64);
            *value = if i < half { angle.sin() } else { angle.cos() } as f32;
        }
    }
    table
}
