//! Scaled dot-product attention over ragged batches (Vaswani et al. 2017, section 3.2).

use std::ops::Range;

use super::kernels::{ByteMemory, ByteQuery, Dots};
use super::{Compute, math};

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

impl Heads {
    /// Width of one head.
    fn part(self) -> usize {
        self.width / self.count
    }
}

/// Queries, each at the beginning of a row.
#[derive(Debug, Clone, Copy)]
pub struct Queries<'a> {
    /// `[rows, stride]`.
    pub rows: &'a [f32],
    /// Distance from one query to the next.
    pub stride: usize,
}

/// Keys and values of a number of rows, such as the tokens of a batch or the hypotheses of all steps.
///
/// With 8-bit products they are kept in eight bits too: decoding reads more of them than of
/// anything else.
#[derive(Debug, Clone)]
pub struct Memory {
    heads: Heads,
    store: Store,
}

#[derive(Debug, Clone)]
enum Store {
    /// `[rows, 2 width]`, a key and a value each.
    Float32(Vec<f32>),
    Int8(ByteMemory),
}

impl Memory {
    /// Without rows yet.
    pub fn new(compute: Compute, heads: Heads) -> Self {
        let store = match compute {
            Compute::Float32 => Store::Float32(Vec::new()),
            Compute::Int8 => Store::Int8(ByteMemory::new(heads.count, heads.width)),
        };
        Memory { heads, store }
    }

    /// Adds rows, `[rows, stride]`, of which each ends with a key and a value.
    pub fn extend(&mut self, rows: &[f32], stride: usize) {
        let pairs = rows.chunks_exact(stride).map(|row| &row[stride - 2 * self.heads.width..]);
        match &mut self.store {
            Store::Float32(all) => pairs.for_each(|pair| all.extend_from_slice(pair)),
            Store::Int8(all) => all.extend(pairs),
        }
    }

    /// Forgets all rows and keeps the space.
    pub fn clear(&mut self) {
        match &mut self.store {
            Store::Float32(all) => all.clear(),
            Store::Int8(all) => all.clear(),
        }
    }

    /// Attends each query to the rows that `attended` names for it. Replaces what is in `out` by
    /// `[queries, width]`. `bias(query, head)` is added to the scores, one number a key, or nothing
    /// if it is empty; the weights of each head in `watch` are handed to `seen(query, weights)`.
    #[allow(clippy::too_many_arguments, reason = "attention takes queries, keys, values and more")]
    pub fn attend<'a>(
        &self,
        queries: Queries<'_>,
        attended: impl Fn(usize) -> &'a [u32],
        bias: impl Fn(usize, usize) -> &'a [f32],
        watch: Range<usize>,
        mut seen: impl FnMut(usize, &[f32]),
        out: &mut Vec<f32>,
    ) {
        let heads = self.heads;
        let count = queries.rows.len() / queries.stride;
        out.clear();
        out.resize(count * heads.width, 0.0);
        let dots = Dots::new(heads.part());
        let mut byte_query = ByteQuery::default();
        // `[heads, keys]`, in whole blocks of keys.
        let mut weights: Vec<f32> = Vec::new();
        math::vectorized(
            #[inline(always)]
            || {
                let queries = queries.rows.chunks_exact(queries.stride);
                for (i, (query, out)) in queries.zip(out.chunks_exact_mut(heads.width)).enumerate()
                {
                    let rows = attended(i);
                    // What fills the last block up weighs nothing.
                    let stride = rows.len().next_multiple_of(math::LANES);
                    weights.clear();
                    weights.resize(stride * heads.count, f32::NEG_INFINITY);
                    let query = &query[..heads.width];
                    match &self.store {
                        Store::Float32(all) => {
                            for (k, &row) in rows.iter().enumerate() {
                                let key = &all[row as usize * 2 * heads.width..][..heads.width];
                                dots.each(query, key, &mut weights[k..], stride);
                            }
                        }
                        Store::Int8(all) => {
                            byte_query.quantize(query, heads.count);
                            all.scores(&mut byte_query, rows, &mut weights, stride);
                        }
                    }
                    for (head, weights) in weights.chunks_exact_mut(stride.max(1)).enumerate() {
                        weights.iter_mut().for_each(|weight| *weight *= heads.scale);
                        for (weight, bias) in weights[..rows.len()].iter_mut().zip(bias(i, head)) {
                            *weight += bias;
                        }
                        math::softmax(weights);
                        if watch.contains(&head) {
                            seen(i, &weights[..rows.len()]);
                        }
                    }
                    match &self.store {
                        Store::Float32(all) => {
                            let value = |row: u32| {
                                &all[(row as usize * 2 + 1) * heads.width..][..heads.width]
                            };
                            for (k, &row) in rows.iter().enumerate() {
                                let value = value(row).chunks_exact(heads.part());
                                let out = out.chunks_exact_mut(heads.part());
                                for (head, (out, value)) in out.zip(value).enumerate() {
                                    math::add_scaled(out, weights[head * stride + k], value);
                                }
                            }
                        }
                        Store::Int8(all) => all.mix(rows, &mut weights, stride, out),
                    }
                }
            },
        );
    }
}
