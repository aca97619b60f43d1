//! Scaled dot-product attention over ragged batches (Vaswani et al. 2017, section 3.2).

use std::ops::Range;

use super::kernels::Dots;
use super::math;

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

/// What one query row attends to: `count` keys and values, found by their number.
pub trait Attended {
    /// How many keys there are.
    fn count(&self) -> usize;
    /// The key with number `i`, `[width]`.
    fn key(&self, i: usize) -> &[f32];
    /// The value with number `i`, `[width]`.
    fn value(&self, i: usize) -> &[f32];
    /// What is added to the scores in this head, one number a key; empty if nothing is.
    #[inline(always)]
    fn bias(&self, _head: usize) -> &[f32] {
        &[]
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

/// Attends each query to what `attended(row)` gives it. Replaces what is in `out` by `[rows, width]`
/// and hands the weights of each head in `watch` to `seen(row, weights)`.
pub fn attend<A: Attended>(
    queries: Queries<'_>,
    heads: Heads,
    attended: impl Fn(usize) -> A,
    watch: Range<usize>,
    mut seen: impl FnMut(usize, &[f32]),
    out: &mut Vec<f32>,
) {
    let rows = queries.rows.len() / queries.stride;
    let part = heads.width / heads.count;
    let dots = Dots::new(part);
    out.clear();
    out.resize(rows * heads.width, 0.0);
    math::vectorized(
        #[inline(always)]
        || {
            // `[heads, keys]`.
            let mut weights: Vec<f32> = Vec::new();
            let queries = queries.rows.chunks_exact(queries.stride);
            for (row, (query, out)) in queries.zip(out.chunks_exact_mut(heads.width)).enumerate() {
                let attended = attended(row);
                let keys = attended.count();
                weights.resize(keys * heads.count, 0.0);
                let query = &query[..heads.width];
                for i in 0..keys {
                    dots.each(query, attended.key(i), &mut weights[i..], keys);
                }
                weights.iter_mut().for_each(|weight| *weight *= heads.scale);
                for (head, weights) in weights.chunks_exact_mut(keys.max(1)).enumerate() {
                    for (weight, bias) in weights.iter_mut().zip(attended.bias(head)) {
                        *weight += bias;
                    }
                    math::softmax(weights);
                    if watch.contains(&head) {
                        seen(row, weights);
                    }
                }
                for i in 0..keys {
                    let value = attended.value(i).chunks_exact(part);
                    for (head, (out, value)) in out.chunks_exact_mut(part).zip(value).enumerate() {
                        math::add_scaled(out, weights[head * keys + i], value);
                    }
                }
            }
        },
    );
}

/// Keys and values of a number of rows, such as the tokens of a batch or the hypotheses of a step.
#[derive(Debug, Clone)]
pub struct Memory {
    /// `[rows, stride]`, each row ending with a key and a value.
    rows: Vec<f32>,
    stride: usize,
    width: usize,
}

impl Memory {
    /// From rows of which each ends with a key and a value of `width`.
    pub fn new(rows: Vec<f32>, stride: usize, width: usize) -> Self {
        Memory { rows, stride, width }
    }

    /// Some consecutive rows, such as those of one sentence.
    pub fn part(&self, rows: &Range<usize>) -> Consecutive<'_> {
        let memory = self;
        Consecutive { memory, first: rows.start, count: rows.len() }
    }

    /// What else the rows hold, in front: queries of the same tokens.
    pub fn queries(&self) -> Queries<'_> {
        Queries { rows: &self.rows, stride: self.stride }
    }

    #[inline(always)]
    fn key(&self, row: usize) -> &[f32] {
        let end = (row + 1) * self.stride - self.width;
        &self.rows[end - self.width..end]
    }

    #[inline(always)]
    fn value(&self, row: usize) -> &[f32] {
        let end = (row + 1) * self.stride;
        &self.rows[end - self.width..end]
    }
}

/// Keys and values that stand in consecutive rows.
pub struct Consecutive<'a> {
    memory: &'a Memory,
    first: usize,
    count: usize,
}

impl Attended for Consecutive<'_> {
    #[inline(always)]
    fn count(&self) -> usize {
        self.count
    }
    #[inline(always)]
    fn key(&self, i: usize) -> &[f32] {
        self.memory.key(self.first + i)
    }
    #[inline(always)]
    fn value(&self, i: usize) -> &[f32] {
        self.memory.value(self.first + i)
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
    fn count(&self) -> usize {
        self.steps.len()
    }
    #[inline(always)]
    fn key(&self, i: usize) -> &[f32] {
        self.steps[i].key(self.path[i] as usize)
    }
    #[inline(always)]
    fn value(&self, i: usize) -> &[f32] {
        self.steps[i].value(self.path[i] as usize)
    }
}
