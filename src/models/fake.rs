//! A model made of a function, for testing what stands around models.

use super::{Candidate, ModelInfo, Seq2Seq, Session};
use crate::Result;
use crate::nn::math;

type Next = dyn Fn(&[u32], &[u32]) -> Vec<f32> + Send + Sync;

/// Gives as logits what its function says for a source and the target so far (start token
/// included). Looks at the source from left to right, one token a step.
pub(crate) struct Fake {
    pub(crate) info: ModelInfo,
    next: Box<Next>,
}

impl Fake {
    /// With ids below `vocab`, the last of which starts a target.
    pub(crate) fn new(
        vocab: usize,
        next: impl Fn(&[u32], &[u32]) -> Vec<f32> + Send + Sync + 'static,
    ) -> Self {
        let info = ModelInfo {
            source_vocab: vocab,
            target_vocab: vocab,
            max_positions: 64,
            decoder_start: vocab as u32 - 1,
            decoder_layers: 1,
            decoder_heads: 1,
            shifted_alignment: false,
        };
        Fake { info, next: Box::new(next) }
    }
}

impl Seq2Seq for Fake {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn start<'m>(&'m self, sources: &[&[u32]]) -> Result<Box<dyn Session + 'm>> {
        let rows = sources.iter().map(|source| Row {
            source: source.to_vec(),
            target: Vec::new(),
            logits: Vec::new(),
            attention: Vec::new(),
        });
        Ok(Box::new(FakeSession { model: self, rows: rows.collect() }))
    }
}

#[derive(Clone)]
struct Row {
    source: Vec<u32>,
    target: Vec<u32>,
    logits: Vec<f32>,
    attention: Vec<f32>,
}

struct FakeSession<'m> {
    model: &'m Fake,
    rows: Vec<Row>,
}

impl Session for FakeSession<'_> {
    fn step(
        &mut self,
        inputs: &[u32],
        best: usize,
        banned: &[Vec<u32>],
    ) -> Result<Vec<Vec<Candidate>>> {
        let rows = self.rows.iter_mut().zip(inputs).zip(banned);
        Ok(rows
            .map(|((row, &input), banned)| {
                row.target.push(input);
                row.logits = (self.model.next)(&row.source, &row.target);
                row.attention = vec![0.0; row.source.len()];
                row.attention[(row.target.len() - 1).min(row.source.len() - 1)] = 1.0;
                let log_sum = math::log_sum_exp(&row.logits);
                let best = math::top_k(&row.logits, best, banned).into_iter();
                best.map(|(id, logit)| Candidate { id, log_prob: logit - log_sum }).collect()
            })
            .collect())
    }

    fn log_prob(&self, row: usize, id: u32) -> f32 {
        let logits = &self.rows[row].logits;
        logits[id as usize] - math::log_sum_exp(logits)
    }

    fn log_prob_besides(&self, row: usize, ids: &[u32]) -> f32 {
        let logits = &self.rows[row].logits;
        math::log_sum_exp_besides(logits, ids) - math::log_sum_exp(logits)
    }

    fn attention(&self, row: usize) -> &[f32] {
        &self.rows[row].attention
    }

    fn select(&mut self, rows: &[usize]) {
        self.rows = rows.iter().map(|&row| self.rows[row].clone()).collect();
    }
}
