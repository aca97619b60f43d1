//! From the decoder's states to the probabilities of the next token.

use candle_core::Tensor;

use super::kernels::{Kernel, Matrix, OutputLayer, Quantized, RowBest};
use super::{Compute, Epilogue, Linear, Workspace, math, with_values};
use crate::Result;

/// The layer from `[rows, width]` to a vocabulary.
#[derive(Debug)]
pub struct Output {
    inputs: usize,
    weights: Weights,
}

#[derive(Debug)]
enum Weights {
    Float32(Linear),
    Int8(OutputLayer),
}

/// What is remembered of a step, to tell the probability of any token.
#[derive(Debug, Default)]
pub enum Predicted {
    /// No step yet.
    #[default]
    Nothing,
    /// Logits `[rows, vocabulary]`, and `ln Σ e^logit` of each row.
    Logits(Vec<f32>, Vec<f32>),
    /// The states in eight bits, and what was found of each row.
    States(Quantized, Vec<RowBest>),
}

impl Output {
    /// From a weight `[vocabulary, width]` and a bias `[vocabulary]`.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>, compute: Compute) -> Result<Self> {
        let inputs = weight.dim(1)?;
        let weights = match compute {
            Compute::Float32 => Weights::Float32(Linear::new(weight, bias, compute)?),
            Compute::Int8 => {
                let kernel = Kernel::select()?;
                let bias = bias.map(|bias| with_values(bias, <[f32]>::to_vec)).transpose()?;
                let layer =
                    with_values(weight, |w| OutputLayer::new(kernel, w, bias.as_deref(), inputs));
                Weights::Int8(layer??)
            }
        };
        Ok(Output { inputs, weights })
    }

    /// The `k` most probable tokens of each row of `x`, best first, with their natural
    /// log-probabilities; those in `banned[row]` are left out.
    pub fn predict(
        &self,
        x: &[f32],
        k: usize,
        banned: &[Vec<u32>],
        workspace: &mut Workspace,
        predicted: &mut Predicted,
    ) -> Result<Vec<Vec<(u32, f32)>>> {
        let normalized = |best: &[(u32, f32)], log_sum: f32| {
            best.iter().map(|&(id, logit)| (id, logit - log_sum)).collect()
        };
        match &self.weights {
            Weights::Float32(linear) => {
                let (mut logits, mut log_sums) = match std::mem::take(predicted) {
                    Predicted::Logits(logits, log_sums) => (logits, log_sums),
                    _ => Default::default(),
                };
                linear.forward(x, Epilogue::Store, workspace, &mut logits)?;
                log_sums.clear();
                let rows = logits.chunks_exact(linear.outputs()).zip(banned);
                let best = rows.map(|(logits, banned)| {
                    let log_sum = math::log_sum_exp(logits);
                    log_sums.push(log_sum);
                    normalized(&math::top_k(logits, k, banned), log_sum)
                });
                let best = best.collect();
                *predicted = Predicted::Logits(logits, log_sums);
                Ok(best)
            }
            Weights::Int8(layer) => {
                let (mut states, mut rows) = match std::mem::take(predicted) {
                    Predicted::States(states, rows) => (states, rows),
                    _ => (Quantized::new(layer.matrix().kernel()), Vec::new()),
                };
                states.quantize(x, self.inputs);
                layer.search(&states, k, banned, &mut rows);
                let best = rows.iter().map(|row| normalized(&row.best, row.log_sum())).collect();
                *predicted = Predicted::States(states, rows);
                Ok(best)
            }
        }
    }

    /// Natural log-probability of `id` as the next token of `row`; NaN before a step.
    pub fn log_prob(&self, predicted: &Predicted, row: usize, id: u32) -> f32 {
        match (&self.weights, predicted) {
            (Weights::Float32(linear), Predicted::Logits(logits, log_sums)) => {
                logits[row * linear.outputs() + id as usize] - log_sums[row]
            }
            (Weights::Int8(layer), Predicted::States(states, rows)) => {
                layer.logit(states, row, id) - rows[row].log_sum()
            }
            _ => f32::NAN,
        }
    }

    /// Natural logarithm of the probability that the next token of `row` is none of `ids`; NaN
    /// before a step.
    pub fn log_prob_besides(&self, predicted: &Predicted, row: usize, ids: &[u32]) -> f32 {
        match (&self.weights, predicted) {
            (Weights::Float32(linear), Predicted::Logits(logits, log_sums)) => {
                let logits = &logits[row * linear.outputs()..][..linear.outputs()];
                math::log_sum_exp_besides(logits, ids) - log_sums[row]
            }
            (Weights::Int8(layer), Predicted::States(states, rows)) => {
                layer.log_sum_besides(states, row, ids) - rows[row].log_sum()
            }
            _ => f32::NAN,
        }
    }
}
