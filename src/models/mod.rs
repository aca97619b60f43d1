//! Sequence-to-sequence models behind one trait, keyed on `config.json`'s `model_type`.
//!
//! A model holds weights only. What a translation in progress needs to remember lives in a
//! [`Session`], so that one model serves any number of threads.

mod batch;
#[cfg(test)]
pub(crate) mod fake;
mod marian;
mod t5;

pub use marian::Marian;
pub use t5::T5;

use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::nn::Compute;
use crate::{Error, Result};

/// What decoding must know of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// Number of source ids.
    pub source_vocab: usize,
    /// Number of target ids.
    pub target_vocab: usize,
    /// Most tokens of a source or a target, end of sentence included.
    pub max_positions: usize,
    /// The id that every target is started with.
    pub decoder_start: u32,
    /// Layers of the decoder and heads of each, for choosing where alignment is read.
    pub decoder_layers: usize,
    /// Heads of a decoder layer.
    pub decoder_heads: usize,
    /// Whether alignment comes one step late (see [`AlignmentHead::shifted`]).
    pub shifted_alignment: bool,
}

/// An encoder-decoder model with its weights.
pub trait Seq2Seq: Send + Sync {
    /// What decoding must know.
    fn info(&self) -> &ModelInfo;

    /// Encodes a batch of sources (ids, end of sentence included; none empty) and returns a
    /// session with one row for each, before its first target token.
    fn start<'m>(&'m self, sources: &[&[u32]]) -> Result<Box<dyn Session + 'm>>;
}

/// A batch being decoded. Each row is one hypothesis of one source.
pub trait Session {
    /// Feeds one token to each row (first the model's `decoder_start`) and returns, for each row,
    /// the `best` most probable next tokens, best first, those in `banned[row]` left out. The
    /// probabilities are those of the whole vocabulary, banned tokens included.
    fn step(
        &mut self,
        inputs: &[u32],
        best: usize,
        banned: &[Vec<u32>],
    ) -> Result<Vec<Vec<Candidate>>>;

    /// Natural logarithm of the probability of `id` as the next token of `row`, after a step.
    fn log_prob(&self, row: usize, id: u32) -> f32;

    /// Natural logarithm of the probability that the next token of `row` is none of `ids`.
    fn log_prob_besides(&self, row: usize, ids: &[u32]) -> f32;

    /// How much the next token of `row` looks at each token of its source, `[source]`, after a
    /// step: the cross-attention of the model's alignment head.
    fn attention(&self, row: usize) -> &[f32];

    /// Keeps the rows named, in this order; a row may be named several times or not at all.
    fn select(&mut self, rows: &[usize]);
}

/// A possible next token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Target id.
    pub id: u32,
    /// Natural logarithm of its probability.
    pub log_prob: f32,
}

/// The head of the decoder's cross-attention that aligns words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlignmentHead {
    /// Decoder layer, counted from 0.
    pub layer: usize,
    /// Head of that layer, counted from 0.
    pub head: usize,
    /// Whether the head was trained to look for the token just read rather than for the one about
    /// to be written: what a token stands for is then seen one step later, when the decoder knows
    /// the token (Chen et al. 2020, "Accurate Word Alignment Induction from Neural Machine
    /// Translation", section 3).
    #[serde(default)]
    pub shifted: bool,
}

/// Loads the model of a checkpoint, with the architecture that its `model_type` names. Alignment is
/// read at `head`, by default where the architecture has it.
pub fn load(
    checkpoint: &Checkpoint,
    head: Option<AlignmentHead>,
    compute: Compute,
) -> Result<Box<dyn Seq2Seq>> {
    match checkpoint.model_type()? {
        "marian" => Ok(Box::new(Marian::load(checkpoint, head, compute)?)),
        "t5" | "mt5" => Ok(Box::new(T5::load(checkpoint, head, compute)?)),
        other => Err(Error::Unsupported {
            path: checkpoint.folder.join("config.json"),
            detail: format!("no code for model_type \"{other}\" (known: marian, t5, mt5)"),
        }),
    }
}
