//! From the decoder's states to the probabilities of the next token.

use candle_core::Tensor;

use super::kernels::{FloatMatrix, Kernel, OutputLayer, PackedMatrix, Quantized, RowBest};
use super::{Compute, Table, Workspace, with_values};
use crate::Result;

/// The layer from `[rows, width]` to a vocabulary.
#[derive(Debug)]
pub struct Output {
    inputs: usize,
    weights: Weights,
}

#[derive(Debug)]
enum Weights {
    Float32(OutputLayer<FloatMatrix>),
    Int8(OutputLayer<PackedMatrix>),
}

/// What is remembered of a step, to tell the probability of any token.
#[derive(Debug, Default)]
pub struct Predicted {
    /// The states, `[rows, width]`, in the numbers of the weights.
    states: States,
    /// What was found of each row.
    rows: Vec<RowBest>,
}

#[derive(Debug, Default)]
enum States {
    /// No step yet.
    #[default]
    Nothing,
    Float32(Vec<f32>),
    Int8(Quantized),
}

impl Output {
    /// From a weight `[vocabulary, width]` and a bias `[vocabulary]`.
    pub fn new(weight: &Table, bias: Option<&Tensor>, compute: Compute) -> Result<Self> {
        let (_, inputs) = weight.shape()?;
        let bias = bias.map(|bias| with_values(bias, <[f32]>::to_vec)).transpose()?;
        let (kernel, bias) = (Kernel::select()?, bias.as_deref());
        let weights = match weight.clone().converted(compute)? {
            Table::Float32(weight) => Weights::Float32(with_values(&weight, |weight| {
                OutputLayer::new(kernel, weight, bias, inputs)
            })??),
            Table::Int8(table) => Weights::Int8(OutputLayer::from_table(kernel, &table, bias)?),
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
        let Predicted { states, rows } = predicted;
        match &self.weights {
            Weights::Float32(layer) => {
                let mut copy = match std::mem::take(states) {
                    States::Float32(copy) => copy,
                    _ => Vec::new(),
                };
                copy.clear();
                copy.extend_from_slice(x);
                layer.search(&copy, k, banned, rows);
                *states = States::Float32(copy);
            }
            Weights::Int8(layer) => {
                let quantized = workspace.quantize(x, self.inputs)?;
                layer.search(quantized, k, banned, rows);
                match states {
                    States::Int8(states) => std::mem::swap(states, quantized),
                    _ => *states = States::Int8(quantized.clone()),
                }
            }
        }
        let normalized = |row: &RowBest| {
            let log_sum = row.log_sum();
            row.best.iter().map(|&(id, logit)| (id, logit - log_sum)).collect()
        };
        Ok(rows.iter().map(normalized).collect())
    }

    /// Natural log-probability of `id` as the next token of `row`; NaN before a step.
    pub fn log_prob(&self, predicted: &Predicted, row: usize, id: u32) -> f32 {
        let logit = match (&self.weights, &predicted.states) {
            (Weights::Float32(layer), States::Float32(states)) => layer.logit(states, row, id),
            (Weights::Int8(layer), States::Int8(states)) => layer.logit(states, row, id),
            _ => return f32::NAN,
        };
        logit - predicted.rows[row].log_sum()
    }

    /// All logits of a row.
    #[cfg(test)]
    pub fn logits(&self, predicted: &Predicted, row: usize) -> Vec<f32> {
        match (&self.weights, &predicted.states) {
            (Weights::Float32(layer), States::Float32(states)) => layer.logits(states, row),
            (Weights::Int8(layer), States::Int8(states)) => layer.logits(states, row),
            _ => Vec::new(),
        }
    }

    /// Natural logarithm of the probability that the next token of `row` is none of `ids`; NaN
    /// before a step.
    pub fn log_prob_besides(&self, predicted: &Predicted, row: usize, ids: &[u32]) -> f32 {
        let log_sum = match (&self.weights, &predicted.states) {
            (Weights::Float32(layer), States::Float32(states)) => {
                layer.log_sum_besides(states, row, ids)
            }
            (Weights::Int8(layer), States::Int8(states)) => layer.log_sum_besides(states, row, ids),
            _ => return f32::NAN,
        };
        log_sum - predicted.rows[row].log_sum()
    }
}
