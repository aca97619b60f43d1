//! Scaled dot-product attention over ragged batches (Vaswani et al. 2017, section 3.2).

use std::ops::Range;

use candle_core::{D, Device, Tensor};

use super::math;
use crate::Result;

/// The shape of a multi-head attention.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// Number of heads.
    pub count: usize,
    /// Width of all heads together; `width / count` each.
    pub width: usize,
    /// What scores are multiplied with, `(width / count)^-½` in Marian and 1 in T5.
    pub scale: f32,
}

/// What one query row attends to: `len` keys and values, found by their number.
pub trait Attended {
    /// How many keys there are.
    fn len(&self) -> usize;
    /// The key and the value with number `i`, each `[width]`.
    fn key_value(&self, i: usize) -> (&[f32], &[f32]);
}

/// Attends each row of `queries` (`[rows, width]`) to what `attended(row)` gives it. Returns
/// `[rows, width]` and hands the weights of head `watch` to `seen(row, weights)`.
pub fn attend<A: Attended>(
    queries: &Tensor,
    heads: Heads,
    attended: impl Fn(usize) -> A,
    watch: Option<usize>,
    mut seen: impl FnMut(usize, &[f32]),
) -> Result<Tensor> {
    let mut output = vec![0f32; queries.elem_count()];
    let head_width = heads.width / heads.count;
    super::with_rows(queries, |queries| {
        math::vectorized(
            #[inline(always)]
            || {
                let mut weights = Vec::new();
                let rows =
                    queries.chunks_exact(heads.width).zip(output.chunks_exact_mut(heads.width));
                for (row, (query, out)) in rows.enumerate() {
                    let attended = attended(row);
                    for head in 0..heads.count {
                        let part = head * head_width..(head + 1) * head_width;
                        weights.clear();
                        weights.extend((0..attended.len()).map(|i| {
                            math::dot(&query[part.clone()], &attended.key_value(i).0[part.clone()])
                                * heads.scale
                        }));
                        math::softmax(&mut weights);
                        if watch == Some(head) {
                            seen(row, &weights);
                        }
                        for (i, &weight) in weights.iter().enumerate() {
                            let value = &attended.key_value(i).1[part.clone()];
                            math::add_scaled(&mut out[part.clone()], weight, value);
                        }
                    }
                }
            },
        )
    })?;
    Ok(Tensor::from_vec(output, queries.shape(), &Device::Cpu)?)
}

/// Keys and values of a number of rows, such as the tokens of a batch or the hypotheses of a step.
#[derive(Debug, Clone)]
pub struct Memory {
    /// `[rows, width]`.
    keys: Vec<f32>,
    /// `[rows, width]`.
    values: Vec<f32>,
    width: usize,
}

impl Memory {
    /// From keys and values, both `[rows, width]`.
    pub fn new(keys: &Tensor, values: &Tensor) -> Result<Self> {
        let width = keys.dim(D::Minus1)?;
        let keys = super::with_rows(keys, <[f32]>::to_vec)?;
        Ok(Memory { keys, values: super::with_rows(values, <[f32]>::to_vec)?, width })
    }

    /// Some consecutive rows, such as those of one sentence.
    pub fn rows(&self, rows: &Range<usize>) -> Consecutive<'_> {
        let part = rows.start * self.width..rows.end * self.width;
        Consecutive {
            keys: &self.keys[part.clone()],
            values: &self.values[part],
            width: self.width,
        }
    }
}

/// Keys and values that stand in consecutive rows.
pub struct Consecutive<'a> {
    keys: &'a [f32],
    values: &'a [f32],
    width: usize,
}

impl Attended for Consecutive<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.keys.len() / self.width
    }
    #[inline(always)]
    fn key_value(&self, i: usize) -> (&[f32], &[f32]) {
        let row = i * self.width..(i + 1) * self.width;
        (&self.keys[row.clone()], &self.values[row])
    }
}

/// Keys and values of earlier decoding steps, of which a hypothesis owns one row each.
pub struct History<'a> {
    /// For every step, those of all hypotheses alive then.
    pub steps: &'a [Memory],
    /// For every step, the row that belongs to this hypothesis.
    pub path: &'a [u32],
}

impl Attended for History<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.steps.len()
    }
    #[inline(always)]
    fn key_value(&self, i: usize) -> (&[f32], &[f32]) {
        let step = &self.steps[i];
        let row = self.path[i] as usize * step.width..(self.path[i] as usize + 1) * step.width;
        (&step.keys[row.clone()], &step.values[row])
    }
}
