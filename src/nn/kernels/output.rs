//! The output layer of a decoder: of a vocabulary's logits only the best are wanted, and the sum of
//! all their exponentials, so none is ever written to memory.

use super::{ByteTable, Kernel, Matrix, PANEL, PackedMatrix};
use crate::Result;
use crate::nn::math::{self, exp};

/// Partial sums kept side by side.
const LANES: usize = 16;

/// A linear layer to the tokens of a vocabulary.
#[derive(Debug, Clone)]
pub struct OutputLayer<M = PackedMatrix> {
    matrix: M,
}

/// What is wanted of a row's logits.
#[derive(Debug, Clone, Default)]
pub struct RowBest {
    /// The best tokens with their logits, best first, equal ones in order of id.
    pub best: Vec<(u32, f32)>,
    /// The largest logit.
    max: f32,
    /// `Σ e^(logit - max)`.
    sums: [f32; LANES],
    /// What a logit must exceed to change `max` or `best`.
    gate: f32,
}

impl<M: Matrix> OutputLayer<M> {
    /// From weights as PyTorch stores them, `[vocabulary, inputs]`, and a bias, `[vocabulary]`.
    pub fn new(
        kernel: Kernel,
        weights: &[f32],
        bias: Option<&[f32]>,
        inputs: usize,
    ) -> Result<Self> {
        let matrix = M::padded(kernel, weights, bias, inputs, f32::NEG_INFINITY)?;
        Ok(OutputLayer { matrix })
    }

    /// The weights.
    pub fn matrix(&self) -> &M {
        &self.matrix
    }

    /// The `k` best tokens of each row of `x`, those in `banned[row]` left out, and the logarithm
    /// of the sum over the whole vocabulary. `rows` holds the results; its memory is used again.
    ///
    /// A row's results are the same in any batch. One that holds NaN has no best.
    pub fn search(&self, x: &M::Rows, k: usize, banned: &[Vec<u32>], rows: &mut Vec<RowBest>) {
        let count = self.matrix.rows(x);
        assert_eq!(banned.len(), count);
        rows.resize_with(count, RowBest::default);
        rows.iter_mut().for_each(RowBest::clear);
        self.matrix.kernel().run(
            #[inline(always)]
            || {
                self.matrix.for_each_panel(
                    x,
                    0..count,
                    #[inline(always)]
                    |p, row, logits| {
                        let best = &mut rows[row];
                        if exceeds(&logits, best.gate) {
                            best.update(&logits, p, k, &banned[row]);
                        }
                        best.add(&logits);
                    },
                );
            },
        );
    }

    /// The logit of a token, as [`Self::search`] has it.
    pub fn logit(&self, x: &M::Rows, row: usize, id: u32) -> f32 {
        self.matrix.one(x, row, id as usize)
    }

    /// All logits of a row, as [`Self::search`] has them.
    pub fn logits(&self, x: &M::Rows, row: usize) -> Vec<f32> {
        let mut logits = vec![0.0; self.matrix.outputs()];
        self.matrix.for_each_panel(x, row..row + 1, |p, _, panel| {
            let out = &mut logits[p * PANEL..];
            let width = PANEL.min(out.len());
            out[..width].copy_from_slice(&panel[..width]);
        });
        logits
    }

    /// `ln Σ e^logit` of all tokens of a row but these.
    pub fn log_sum_besides(&self, x: &M::Rows, row: usize, ids: &[u32]) -> f32 {
        math::log_sum_exp_besides(&self.logits(x, row), ids)
    }
}

impl OutputLayer {
    /// From weights in eight bits, `[vocabulary, inputs]`, and a bias, `[vocabulary]`.
    pub fn from_table(kernel: Kernel, table: &ByteTable, bias: Option<&[f32]>) -> Result<Self> {
        let matrix = PackedMatrix::from_table(kernel, table, bias, f32::NEG_INFINITY)?;
        Ok(OutputLayer { matrix })
    }
}

impl RowBest {
    /// `ln Σ e^logit` of the whole vocabulary: what to take away for a log-probability.
    pub fn log_sum(&self) -> f32 {
        self.max + math::sum_lanes(self.sums).ln()
    }

    fn clear(&mut self) {
        self.best.clear();
        self.max = f32::NEG_INFINITY;
        self.sums = [0.0; LANES];
        self.gate = f32::NEG_INFINITY;
    }

    /// Takes note of a panel that holds a new maximum, or one of the `k` best.
    #[cold]
    #[inline(never)]
    fn update(&mut self, logits: &[f32; PANEL], panel: usize, k: usize, banned: &[u32]) {
        let max = logits.iter().copied().fold(self.max, f32::max);
        if max > self.max {
            let factor = exp(self.max - max);
            self.sums.iter_mut().for_each(|sum| *sum *= factor);
            self.max = max;
        }
        for (n, &logit) in logits.iter().enumerate() {
            let id = (panel * PANEL + n) as u32;
            let lowest = if self.best.len() < k {
                f32::NEG_INFINITY
            } else {
                self.best.last().map_or(f32::INFINITY, |&(_, logit)| logit)
            };
            if logit > lowest && !banned.contains(&id) {
                let at = self.best.partition_point(|&(_, other)| other >= logit);
                self.best.insert(at, (id, logit));
                self.best.truncate(k);
            }
        }
        self.gate = match self.best.last() {
            Some(&(_, lowest)) if self.best.len() == k => lowest,
            // Nothing is wanted but the maximum.
            _ if k == 0 => self.max,
            _ => f32::NEG_INFINITY,
        };
    }

    /// Adds a panel to the sums.
    #[inline(always)]
    fn add(&mut self, logits: &[f32; PANEL]) {
        let mut sums = self.sums;
        for block in logits.as_chunks::<LANES>().0 {
            for lane in 0..LANES {
                sums[lane] += exp(block[lane] - self.max);
            }
        }
        self.sums = sums;
    }
}

#[inline(always)]
fn exceeds(logits: &[f32; PANEL], gate: f32) -> bool {
    let mut any = false;
    for &logit in logits {
        any |= logit > gate;
    }
    any
}
