//! T5, T5 1.1 and mT5 (Raffel et al. 2020; Shazeer 2020; Xue et al. 2021), equal to transformers'
//! `T5ForConditionalGeneration` and `MT5ForConditionalGeneration`.
//!
//! Every block is given normalized states and adds to them what it makes. Nothing has a bias, and
//! attention scores are not scaled. Positions act through the distance of two tokens alone (see
//! [`crate::nn::relative`]); the first layer of the encoder and of the decoder has the biases that
//! all its layers add.

mod config;
#[cfg(test)]
mod tests;

use std::ops::Range;

use candle_core::Tensor;

use self::config::Config;
use super::batch::{Hypotheses, Rows, check_sources};
use super::{AlignmentHead, Candidate, ModelInfo, Seq2Seq, Session};
use crate::checkpoint::{Checkpoint, Weights};
use crate::nn::attention::{Memory, Queries};
use crate::nn::relative::RelativeBias;
use crate::nn::{Activation, Compute, Embedding, Epilogue, Linear, Output, Predicted, RmsNorm};
use crate::nn::{Table, Workspace, math, with_values};
use crate::{Error, Result};

/// Most tokens of a source or a target. The architecture sets no limit, but attention takes time
/// with the square of the length, and these models were trained on texts of 512 tokens: longer
/// texts are better cut into windows.
const MAX_POSITIONS: usize = 4096;

/// The embeddings, under any of the names that files have them by; they are always one table.
const EMBEDDINGS: [&str; 3] =
    ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];

/// A model of the T5 family.
#[derive(Debug)]
pub struct T5 {
    info: ModelInfo,
    config: Config,
    /// The layer, and its heads, whose attention a session reports, their mean if several.
    alignment: (usize, Range<usize>),
    embedding: Embedding,
    encoder_bias: RelativeBias,
    encoder: Vec<EncoderLayer>,
    encoder_norm: RmsNorm,
    decoder_bias: RelativeBias,
    decoder: Vec<DecoderLayer>,
    decoder_norm: RmsNorm,
    output: Output,
    compute: Compute,
}

impl T5 {
    /// Reads the weights of a checkpoint. Alignment will be read at `head`. No head of a T5 is
    /// trained to align, so by default it is the mean over the heads of the last layer.
    pub fn load(
        checkpoint: &Checkpoint,
        head: Option<AlignmentHead>,
        compute: Compute,
    ) -> Result<Self> {
        let config = Config::read(checkpoint)?;
        let (layers, heads) = (config.decoder_layers, config.heads);
        let alignment = match head {
            None => (layers - 1, 0..heads),
            Some(AlignmentHead { layer, head, .. }) if layer < layers && head < heads => {
                (layer, head..head + 1)
            }
            Some(AlignmentHead { layer, head, .. }) => {
                return Err(Error::Usage(format!(
                    "no head {head} of layer {layer} to read alignment from: the decoder has {layers} layers of {heads} heads"
                )));
            }
        };
        let weights = checkpoint.weights()?;
        let table = [config.vocab, config.width];
        let embedding =
            weights.get_any(&EMBEDDINGS, &table)?.ok_or_else(|| Error::MissingFile {
                path: checkpoint.folder.clone(),
                what: format!("weights named {}", EMBEDDINGS.join(" or ")),
            })?;
        // What is in the file counts, whatever `tie_word_embeddings` says, as in transformers 5.
        // Many files have the shared table under this name too: one copy is enough.
        let output = weights.get_any(&["lm_head.weight"], &table)?;
        let output = match output {
            Some(output) if !equal(&output, &embedding)? => output,
            _ => embedding.clone(),
        };
        let read = Reader { weights: &weights, config: &config, compute };
        Ok(T5 {
            info: ModelInfo {
                source_vocab: config.vocab,
                target_vocab: config.vocab,
                max_positions: MAX_POSITIONS,
                decoder_start: config.decoder_start,
                decoder_layers: config.decoder_layers,
                decoder_heads: config.heads,
                shifted_alignment: head.is_some_and(|head| head.shifted),
            },
            alignment,
            embedding: Embedding::plain(Table::Float32(embedding.clone()))?,
            encoder_bias: read.bias("encoder", true)?,
            encoder: (0..config.encoder_layers)
                .map(|i| read.encoder_layer(&format!("encoder.block.{i}.layer")))
                .collect::<Result<_>>()?,
            encoder_norm: read.norm("encoder.final_layer_norm")?,
            decoder_bias: read.bias("decoder", false)?,
            decoder: (0..config.decoder_layers)
                .map(|i| read.decoder_layer(&format!("decoder.block.{i}.layer")))
                .collect::<Result<_>>()?,
            decoder_norm: read.norm("decoder.final_layer_norm")?,
            output: Output::new(&Table::Float32(output), None, compute)?,
            config,
            compute,
        })
    }

    /// Encoder states of all tokens of all sources, `[tokens, width]`.
    fn encode(&self, sources: &[&[u32]], rows: &Rows, scratch: &mut Scratch) -> Result<Vec<f32>> {
        let tokens = sources.iter().flat_map(|source| source.iter().copied().zip(0..));
        let mut x = Vec::new();
        self.embedding.forward(tokens, &mut x)?;
        let mut tokens = self.memory();
        for layer in &self.encoder {
            tokens.clear();
            layer.forward(&mut x, rows, &mut tokens, &self.encoder_bias, scratch)?;
        }
        self.encoder_norm.forward(&mut x);
        Ok(x)
    }

    /// For keys and values, in float32 always: scores are not scaled down here, so that eight bits
    /// are too coarse for them.
    fn memory(&self) -> Memory {
        Memory::new(Compute::Float32, self.config.heads())
    }

    fn session(&self, sources: &[&[u32]]) -> Result<T5Session<'_>> {
        check_sources(&self.info, sources)?;
        let mut scratch = Scratch::new(self.compute)?;
        let sentences = Rows::new(sources);
        let states = self.encode(sources, &sentences, &mut scratch)?;
        let mut memory = vec![self.memory(); self.decoder.len()];
        for (layer, memory) in self.decoder.iter().zip(&mut memory) {
            let Scratch { workspace, projected, .. } = &mut scratch;
            layer.cross_memory.forward(&states, Epilogue::Store, workspace, projected)?;
            memory.extend(projected, 2 * layer.own.width);
        }
        Ok(T5Session {
            model: self,
            sentences,
            memory,
            history: vec![self.memory(); self.decoder.len()],
            hypotheses: Hypotheses::new(sources.len()),
            predicted: Predicted::default(),
            scratch,
        })
    }
}

impl Seq2Seq for T5 {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn start<'m>(&'m self, sources: &[&[u32]]) -> Result<Box<dyn Session + 'm>> {
        Ok(Box::new(self.session(sources)?))
    }
}

fn equal(a: &Tensor, b: &Tensor) -> Result<bool> {
    with_values(a, |a| with_values(b, |b| a == b))?
}

/// Buffers that every layer uses again.
struct Scratch {
    workspace: Workspace,
    /// A normalized copy of what a block is given.
    normed: Vec<f32>,
    /// Queries, with keys and values where they are made together.
    projected: Vec<f32>,
    /// What attention gives.
    mixed: Vec<f32>,
    /// Inside of a feed-forward block, and what that is multiplied with.
    hidden: Vec<f32>,
    factors: Vec<f32>,
}

impl Scratch {
    fn new(compute: Compute) -> Result<Self> {
        Ok(Scratch {
            workspace: Workspace::new(compute)?,
            normed: Vec::new(),
            projected: Vec::new(),
            mixed: Vec::new(),
            hidden: Vec::new(),
            factors: Vec::new(),
        })
    }
}

/// What a block is to be given: the rows of `x`, normalized, in `normed`.
fn normalized<'a>(norm: &RmsNorm, x: &[f32], normed: &'a mut Vec<f32>) -> &'a [f32] {
    normed.clear();
    normed.extend_from_slice(x);
    norm.forward(normed);
    normed
}

#[derive(Debug)]
struct FeedForward {
    norm: RmsNorm,
    up: Linear,
    /// What the activated result of `up` is multiplied with.
    gate: Option<Linear>,
    down: Linear,
    activation: Activation,
}

impl FeedForward {
    fn forward(&self, x: &mut Vec<f32>, scratch: &mut Scratch) -> Result<()> {
        let Scratch { workspace, normed, hidden, factors, .. } = scratch;
        let input = normalized(&self.norm, x, normed);
        self.up.forward(input, Epilogue::Activate(self.activation), workspace, hidden)?;
        if let Some(gate) = &self.gate {
            gate.forward(input, Epilogue::Store, workspace, factors)?;
            hidden.iter_mut().zip(factors).for_each(|(x, factor)| *x *= *factor);
        }
        self.down.forward(hidden, Epilogue::Add, workspace, x)
    }
}

/// Attention of tokens to tokens of the same text.
#[derive(Debug)]
struct SelfAttention {
    norm: RmsNorm,
    /// Queries, keys and values side by side: `[states]` to `[3 width]`.
    project: Linear,
    output: Linear,
    /// Width of all heads.
    width: usize,
}

impl SelfAttention {
    /// Adds to `x` what its rows find in those of `memory` that `attended` names for each, after
    /// their own keys and values were added there; `at` tells the position of each.
    fn forward<'a>(
        &self,
        x: &mut Vec<f32>,
        memory: &mut Memory,
        attended: impl Fn(usize) -> &'a [u32],
        bias: &'a RelativeBias,
        at: impl Fn(usize) -> usize,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Scratch { workspace, normed, projected, mixed, .. } = scratch;
        let input = normalized(&self.norm, x, normed);
        self.project.forward(input, Epilogue::Store, workspace, projected)?;
        let queries = Queries { rows: projected, stride: 3 * self.width };
        memory.extend(projected, queries.stride);
        let bias = |row: usize, head: usize| bias.keys(head, at(row));
        memory.attend(queries, attended, bias, 0..0, |_, _| (), mixed);
        self.output.forward(mixed, Epilogue::Add, workspace, x)
    }
}

#[derive(Debug)]
struct EncoderLayer {
    attention: SelfAttention,
    feed_forward: FeedForward,
}

impl EncoderLayer {
    /// Works on `x`, `[tokens, width]`; each sentence attends to itself.
    fn forward(
        &self,
        x: &mut Vec<f32>,
        rows: &Rows,
        tokens: &mut Memory,
        bias: &RelativeBias,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let at = |row: usize| row - rows.beside(row)[0] as usize;
        self.attention.forward(x, tokens, |row| rows.beside(row), bias, at, scratch)?;
        self.feed_forward.forward(x, scratch)
    }
}

#[derive(Debug)]
struct DecoderLayer {
    own: SelfAttention,
    cross_norm: RmsNorm,
    cross_query: Linear,
    /// Keys and values of the source side by side: `[states]` to `[2 width]`.
    cross_memory: Linear,
    cross_output: Linear,
    feed_forward: FeedForward,
}

/// Reads layers by transformers' names.
struct Reader<'a> {
    weights: &'a Weights,
    config: &'a Config,
    compute: Compute,
}

impl Reader<'_> {
    fn linear(&self, name: &str, from: usize, to: usize) -> Result<Linear> {
        let weight = self.weights.get(&format!("{name}.weight"), &[to, from])?;
        Linear::new(Table::Float32(weight), None, self.compute)
    }

    /// Projections to all heads, of the same input, as one.
    fn projections(&self, attention: &str, names: &[&str]) -> Result<Linear> {
        let shape = [self.config.heads().width, self.config.width];
        let parts = names
            .iter()
            .map(|name| self.weights.get(&format!("{attention}.{name}.weight"), &shape))
            .collect::<Result<Vec<_>>>()?;
        Linear::new(Table::Float32(Tensor::cat(&parts, 0)?), None, self.compute)
    }

    fn norm(&self, name: &str) -> Result<RmsNorm> {
        let gain = self.weights.get(&format!("{name}.weight"), &[self.config.width])?;
        RmsNorm::new(&gain, self.config.epsilon)
    }

    fn bias(&self, side: &str, both_sides: bool) -> Result<RelativeBias> {
        let name = format!("{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
        let shape = [self.config.bucket_count, self.config.heads];
        let learned = self.weights.get(&name, &shape)?;
        RelativeBias::new(&learned, self.config.buckets(both_sides), MAX_POSITIONS)
    }

    fn self_attention(&self, block: &str) -> Result<SelfAttention> {
        let name = format!("{block}.0.SelfAttention");
        Ok(SelfAttention {
            norm: self.norm(&format!("{block}.0.layer_norm"))?,
            project: self.projections(&name, &["q", "k", "v"])?,
            output: self.linear(
                &format!("{name}.o"),
                self.config.heads().width,
                self.config.width,
            )?,
            width: self.config.heads().width,
        })
    }

    fn feed_forward(&self, block: &str, place: usize) -> Result<FeedForward> {
        let name = format!("{block}.{place}.DenseReluDense");
        let (width, inner) = (self.config.width, self.config.inner);
        let (up, gate) = match self.config.gated {
            true => ("wi_0", Some(self.linear(&format!("{name}.wi_1"), width, inner)?)),
            false => ("wi", None),
        };
        Ok(FeedForward {
            norm: self.norm(&format!("{block}.{place}.layer_norm"))?,
            up: self.linear(&format!("{name}.{up}"), width, inner)?,
            gate,
            down: self.linear(&format!("{name}.wo"), inner, width)?,
            activation: self.config.activation,
        })
    }

    fn encoder_layer(&self, block: &str) -> Result<EncoderLayer> {
        Ok(EncoderLayer {
            attention: self.self_attention(block)?,
            feed_forward: self.feed_forward(block, 1)?,
        })
    }

    fn decoder_layer(&self, block: &str) -> Result<DecoderLayer> {
        let cross = format!("{block}.1.EncDecAttention");
        Ok(DecoderLayer {
            own: self.self_attention(block)?,
            cross_norm: self.norm(&format!("{block}.1.layer_norm"))?,
            cross_query: self.projections(&cross, &["q"])?,
            cross_memory: self.projections(&cross, &["k", "v"])?,
            cross_output: self.linear(
                &format!("{cross}.o"),
                self.config.heads().width,
                self.config.width,
            )?,
            feed_forward: self.feed_forward(block, 2)?,
        })
    }
}

struct T5Session<'m> {
    model: &'m T5,
    /// Rows of the sources in `memory`.
    sentences: Rows,
    /// For each layer, keys and values of the tokens of all sources.
    memory: Vec<Memory>,
    /// For each layer, keys and values of all steps so far. They are never moved: a hypothesis finds
    /// its own by its path.
    history: Vec<Memory>,
    hypotheses: Hypotheses,
    predicted: Predicted,
    scratch: Scratch,
}

impl T5Session<'_> {
    /// Takes `x`, `[rows, width]`, of tokens at `position`, through layer number `i`.
    fn layer(&mut self, i: usize, position: usize, x: &mut Vec<f32>) -> Result<()> {
        let layer = &self.model.decoder[i];
        let Hypotheses { owner, paths, attention, .. } = &mut self.hypotheses;
        let scratch = &mut self.scratch;
        let bias = &self.model.decoder_bias;
        let past = |row: usize| paths[row].as_slice();
        layer.own.forward(x, &mut self.history[i], past, bias, |_| position, scratch)?;

        let Scratch { workspace, normed, projected, mixed, .. } = scratch;
        let input = normalized(&layer.cross_norm, x, normed);
        layer.cross_query.forward(input, Epilogue::Store, workspace, projected)?;
        let source = |row: usize| self.sentences.of(owner[row]);
        let (watched, watch) = self.model.alignment.clone();
        let watch = if i == watched { watch } else { 0..0 };
        let share = 1.0 / watch.len().max(1) as f32;
        if i == watched {
            for (row, sum) in attention.iter_mut().enumerate() {
                sum.clear();
                sum.resize(source(row).len(), 0.0);
            }
        }
        let seen =
            |row: usize, weights: &[f32]| math::add_scaled(&mut attention[row], share, weights);
        let queries = Queries { rows: projected, stride: layer.own.width };
        self.memory[i].attend(queries, source, |_, _| &[], watch, seen, mixed);
        layer.cross_output.forward(mixed, Epilogue::Add, workspace, x)?;

        layer.feed_forward.forward(x, scratch)
    }
}

impl Session for T5Session<'_> {
    fn step(
        &mut self,
        inputs: &[u32],
        best: usize,
        banned: &[Vec<u32>],
    ) -> Result<Vec<Vec<Candidate>>> {
        let model = self.model;
        let position = self.hypotheses.begin_step(&model.info)?;
        let mut x = Vec::new();
        model.embedding.forward(inputs.iter().map(|&id| (id, position)), &mut x)?;
        for i in 0..model.decoder.len() {
            self.layer(i, position, &mut x)?;
        }
        model.decoder_norm.forward(&mut x);
        if model.config.scale_output {
            let scale = (model.config.width as f32).powf(-0.5);
            x.iter_mut().for_each(|x| *x *= scale);
        }
        let workspace = &mut self.scratch.workspace;
        let best = model.output.predict(&x, best, banned, workspace, &mut self.predicted)?;
        let candidate = |(id, log_prob)| Candidate { id, log_prob };
        Ok(best.into_iter().map(|row| row.into_iter().map(candidate).collect()).collect())
    }

    fn log_prob(&self, row: usize, id: u32) -> f32 {
        self.model.output.log_prob(&self.predicted, row, id)
    }

    fn log_prob_besides(&self, row: usize, ids: &[u32]) -> f32 {
        self.model.output.log_prob_besides(&self.predicted, row, ids)
    }

    fn attention(&self, row: usize) -> &[f32] {
        &self.hypotheses.attention[row]
    }

    fn select(&mut self, rows: &[usize]) {
        self.hypotheses.select(rows);
    }
}
