//! Tokens and their positions as vectors.

use super::{Table, with_values};
use crate::Result;

/// Token embeddings, in Marian with sinusoidal positions added (Vaswani et al. 2017, sections 3.4
/// and 3.5; sines in the first half of the vector, cosines in the second).
#[derive(Debug, Clone)]
pub struct Embedding {
    /// `[vocabulary, width]`.
    tokens: Table,
    /// `[positions, width]`; empty where none are added.
    positions: Vec<f32>,
    width: usize,
    scale: f32,
}

impl Embedding {
    /// From a table `[vocabulary, width]` whose rows are multiplied with `scale`, for as many
    /// positions.
    pub fn new(tokens: Table, scale: f32, positions: usize) -> Result<Self> {
        let (_, width) = tokens.shape()?;
        let tokens = match tokens {
            Table::Float32(tokens) => Table::Float32(tokens.contiguous()?),
            tokens => tokens,
        };
        let positions = sinusoids(positions, width);
        Ok(Embedding { tokens, positions, width, scale })
    }

    /// From a table `[vocabulary, width]`, without positions.
    pub fn plain(tokens: Table) -> Result<Self> {
        Self::new(tokens, 1.0, 0)
    }

    /// Replaces what is in `out` by `[tokens, width]`, of tokens given with their positions.
    pub fn forward(
        &self,
        tokens: impl Iterator<Item = (u32, usize)>,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        out.clear();
        for (id, position) in tokens {
            let row = out.len();
            match &self.tokens {
                Table::Float32(table) => with_values(table, |table| {
                    let row = &table[id as usize * self.width..][..self.width];
                    out.extend(row.iter().map(|x| x * self.scale));
                })?,
                Table::Int8(table) => {
                    let (row, scale) = table.row(id as usize);
                    out.extend(row.iter().map(|&x| f32::from(x) * (scale * self.scale)));
                }
            }
            if !self.positions.is_empty() {
                let position = &self.positions[position * self.width..][..self.width];
                out[row..].iter_mut().zip(position).for_each(|(x, p)| *x += p);
            }
        }
        Ok(())
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
