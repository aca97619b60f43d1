//! The Marian transformer as OPUS-MT checkpoints have it (Junczys-Dowmunt et al. 2018; Vaswani et
//! al. 2017), equal to transformers' `MarianMTModel`, and with marian-dev's layer normalization
//! before each block where `normalize_before` asks for it.

#[cfg(test)]
mod tests;

use candle_core::Tensor;
use serde::Deserialize;

use super::batch::{Hypotheses, Lent, Pool, Rows, check_sources};
use super::{AlignmentHead, Candidate, ModelInfo, Seq2Seq, Session};
use crate::checkpoint::{Checkpoint, Prepared};
use crate::nn::attention::{Heads, Memory, Queries};
use crate::nn::{
    Activation, Compute, Embedding, Epilogue, LayerNorm, Linear, Output, Predicted, Table,
    Workspace,
};
use crate::{Error, Result};

/// The fields of config.json that shape the network, with transformers' defaults.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct Config {
    vocab_size: usize,
    decoder_vocab_size: Option<usize>,
    d_model: usize,
    encoder_layers: usize,
    decoder_layers: usize,
    encoder_attention_heads: usize,
    decoder_attention_heads: usize,
    encoder_ffn_dim: usize,
    decoder_ffn_dim: usize,
    max_position_embeddings: usize,
    activation_function: Activation,
    scale_embedding: bool,
    tie_word_embeddings: bool,
    normalize_before: bool,
    normalize_embedding: bool,
    pad_token_id: u32,
    decoder_start_token_id: Option<u32>,
    /// Not a field of transformers': the head that a checkpoint of this program's own training says
    /// aligns words.
    alignment_head: Option<AlignmentHead>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            vocab_size: 58101,
            decoder_vocab_size: None,
            d_model: 1024,
            encoder_layers: 12,
            decoder_layers: 12,
            encoder_attention_heads: 16,
            decoder_attention_heads: 16,
            encoder_ffn_dim: 4096,
            decoder_ffn_dim: 4096,
            max_position_embeddings: 1024,
            activation_function: Activation::Gelu,
            scale_embedding: false,
            tie_word_embeddings: true,
            normalize_before: false,
            normalize_embedding: false,
            pad_token_id: 58100,
            decoder_start_token_id: None,
            alignment_head: None,
        }
    }
}

/// No published checkpoint is larger in any of these.
const MAX_SIZE: usize = 1 << 20;

impl Config {
    fn read(checkpoint: &Checkpoint) -> Result<Self> {
        let config: Config = checkpoint.parse_config()?;
        let path = checkpoint.folder.join("config.json");
        let check = |ok: bool, detail: String| match ok {
            true => Ok(()),
            false => Err(Error::malformed(&path, "Marian configuration", detail)),
        };
        let sizes = [
            ("vocab_size", config.vocab_size),
            ("decoder_vocab_size", config.decoder_vocab()),
            ("d_model", config.d_model),
            ("encoder_layers", config.encoder_layers),
            ("decoder_layers", config.decoder_layers),
            ("encoder_attention_heads", config.encoder_attention_heads),
            ("decoder_attention_heads", config.decoder_attention_heads),
            ("encoder_ffn_dim", config.encoder_ffn_dim),
            ("decoder_ffn_dim", config.decoder_ffn_dim),
            ("max_position_embeddings", config.max_position_embeddings),
        ];
        for (name, size) in sizes {
            check((1..=MAX_SIZE).contains(&size), format!("field `{name}`: {size}"))?;
        }
        for heads in [config.encoder_attention_heads, config.decoder_attention_heads] {
            check(
                config.d_model.is_multiple_of(heads),
                format!("{heads} heads cannot share a width of {}", config.d_model),
            )?;
        }
        // Beyond these sizes the table of positions alone would be unreasonable.
        check(
            config.max_position_embeddings * config.d_model <= 1 << 26,
            format!("field `max_position_embeddings`: {}", config.max_position_embeddings),
        )?;
        check(
            (config.decoder_start() as usize) < config.decoder_vocab(),
            format!("the start token {} is not in the vocabulary", config.decoder_start()),
        )?;
        if let Some(AlignmentHead { layer, head, .. }) = config.alignment_head {
            check(
                layer < config.decoder_layers && head < config.decoder_attention_heads,
                format!("field `alignment_head`: there is no head {head} of layer {layer}"),
            )?;
        }
        if config.normalize_embedding {
            return Err(Error::Unsupported {
                path,
                detail: "no code for `normalize_embedding`".into(),
            });
        }
        Ok(config)
    }

    fn decoder_vocab(&self) -> usize {
        self.decoder_vocab_size.unwrap_or(self.vocab_size)
    }

    fn decoder_start(&self) -> u32 {
        self.decoder_start_token_id.unwrap_or(self.pad_token_id)
    }

    fn heads(&self, count: usize) -> Heads {
        let scale = ((self.d_model / count) as f32).powf(-0.5);
        Heads { count, width: self.d_model, scale }
    }
}

/// A Marian model.
#[derive(Debug)]
pub struct Marian {
    info: ModelInfo,
    config: Config,
    /// Whose attention a session reports.
    alignment: AlignmentHead,
    source_embedding: Embedding,
    target_embedding: Embedding,
    encoder: Vec<EncoderLayer>,
    encoder_norm: Option<LayerNorm>,
    decoder: Vec<DecoderLayer>,
    decoder_norm: Option<LayerNorm>,
    output: Output,
    compute: Compute,
    buffers: Pool<Buffers>,
}

impl Marian {
    /// Reads the weights of a checkpoint. Alignment will be read at `head`, by default at the one
    /// that the configuration names, or head 0 of the last layer, which Marian supervises
    /// (marian-dev, `src/models/transformer.h`, `collectOneHead`).
    pub fn load(
        checkpoint: &Checkpoint,
        head: Option<AlignmentHead>,
        compute: Compute,
    ) -> Result<Self> {
        let config = Config::read(checkpoint)?;
        let last = AlignmentHead { layer: config.decoder_layers - 1, head: 0, shifted: false };
        let head = head.or(config.alignment_head).unwrap_or(last);
        let (layers, heads) = (config.decoder_layers, config.decoder_attention_heads);
        if head.layer >= layers || head.head >= heads {
            return Err(Error::Usage(format!(
                "no head {} of layer {} to read alignment from: the decoder has {layers} layers of {heads} heads",
                head.head, head.layer
            )));
        }
        let weights = checkpoint.prepared(compute)?;
        let width = config.d_model;
        let embedding = |names: &[&str], vocab: usize| -> Result<Table> {
            let name = names.iter().find(|name| weights.contains(name));
            let name = name.ok_or_else(|| Error::MissingFile {
                path: checkpoint.folder.clone(),
                what: format!("weights named {}", names.join(" or ")),
            })?;
            weights.table(name, [vocab, width])
        };
        const SOURCE: [&str; 2] = ["model.encoder.embed_tokens.weight", "model.shared.weight"];
        const TARGET: [&str; 2] = ["model.decoder.embed_tokens.weight", "model.shared.weight"];
        let source = embedding(&SOURCE, config.vocab_size)?;
        // Both sides share one table unless the file has two.
        let shared = SOURCE.iter().find(|name| weights.contains(name))
            == TARGET.iter().find(|name| weights.contains(name));
        let target =
            if shared { source.clone() } else { embedding(&TARGET, config.decoder_vocab())? };
        let output = match config.tie_word_embeddings {
            true => target.clone(),
            false => embedding(&["lm_head.weight"], config.decoder_vocab())?,
        };
        if target.shape()?.0 != config.decoder_vocab() {
            return Err(Error::malformed(
                checkpoint.folder.join("config.json"),
                "Marian configuration",
                "one embedding table is shared, yet the vocabularies differ in size",
            ));
        }
        const BIAS: &str = "final_logits_bias";
        let bias = weights.contains(BIAS).then(|| weights.get(BIAS, &[1, config.decoder_vocab()]));
        let bias = bias.transpose()?.map(|bias| bias.squeeze(0)).transpose()?;
        let scale = if config.scale_embedding { (width as f32).sqrt() } else { 1.0 };

        let final_norm = |side: &str| -> Result<Option<LayerNorm>> {
            let name = format!("model.{side}.layer_norm");
            weights
                .contains(&format!("{name}.weight"))
                .then(|| layer_norm(&weights, &name, width))
                .transpose()
        };
        let read = Reader { weights: &weights, config: &config, compute };
        let positions = config.max_position_embeddings;
        let model = Marian {
            info: ModelInfo {
                source_vocab: config.vocab_size,
                target_vocab: config.decoder_vocab(),
                max_positions: config.max_position_embeddings,
                decoder_start: config.decoder_start(),
                decoder_layers: config.decoder_layers,
                decoder_heads: config.decoder_attention_heads,
                shifted_alignment: head.shifted,
            },
            alignment: head,
            source_embedding: Embedding::new(source, scale, positions)?,
            target_embedding: Embedding::new(target, scale, positions)?,
            encoder: (0..config.encoder_layers)
                .map(|i| read.encoder_layer(&format!("model.encoder.layers.{i}")))
                .collect::<Result<_>>()?,
            encoder_norm: final_norm("encoder")?,
            decoder: (0..config.decoder_layers)
                .map(|i| read.decoder_layer(&format!("model.decoder.layers.{i}")))
                .collect::<Result<_>>()?,
            decoder_norm: final_norm("decoder")?,
            output: Output::new(&output, bias.as_ref(), compute)?,
            config,
            compute,
            buffers: Pool::default(),
        };
        weights.keep();
        Ok(model)
    }

    /// Encoder states of all tokens of all sources, `[tokens, width]`.
    fn encode(
        &self,
        sources: &[&[u32]],
        rows: &Rows,
        Buffers { tokens, scratch, .. }: &mut Buffers,
    ) -> Result<Vec<f32>> {
        let ids = sources.iter().flat_map(|source| source.iter().copied().zip(0..));
        let mut x = Vec::new();
        self.source_embedding.forward(ids, &mut x)?;
        for layer in &self.encoder {
            tokens.clear();
            layer.forward(&mut x, rows, tokens, scratch)?;
        }
        if let Some(norm) = &self.encoder_norm {
            norm.forward(&mut x);
        }
        Ok(x)
    }

    fn session(&self, sources: &[&[u32]]) -> Result<MarianSession<'_>> {
        check_sources(&self.info, sources)?;
        let mut buffers = self.buffers.take(|| self.new_buffers())?;
        let sentences = Rows::new(sources);
        let states = self.encode(sources, &sentences, &mut buffers)?;
        let Buffers { memory, history, scratch, .. } = &mut *buffers;
        history.iter_mut().for_each(Memory::clear);
        for (layer, memory) in self.decoder.iter().zip(memory) {
            let Scratch { workspace, projected, .. } = &mut *scratch;
            memory.clear();
            layer.cross_memory.forward(&states, Epilogue::Store, workspace, projected)?;
            memory.extend(projected, 2 * self.config.d_model);
        }
        Ok(MarianSession {
            model: self,
            sentences,
            hypotheses: Hypotheses::new(sources.len()),
            predicted: Predicted::default(),
            buffers,
        })
    }

    fn new_buffers(&self) -> Result<Buffers> {
        let memory = |heads| Memory::new(self.compute, self.config.heads(heads));
        let decoder = vec![memory(self.config.decoder_attention_heads); self.decoder.len()];
        Ok(Buffers {
            tokens: memory(self.config.encoder_attention_heads),
            memory: decoder.clone(),
            history: decoder,
            scratch: Scratch::new(self.compute)?,
        })
    }
}

impl Seq2Seq for Marian {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn start<'m>(&'m self, sources: &[&[u32]]) -> Result<Box<dyn Session + 'm>> {
        Ok(Box::new(self.session(sources)?))
    }
}

/// What a session works in.
#[derive(Debug)]
struct Buffers {
    /// Keys and values of the encoder layer at work.
    tokens: Memory,
    /// For each layer of the decoder, keys and values of the tokens of all sources.
    memory: Vec<Memory>,
    /// For each layer, keys and values of all steps so far. They are never moved: a hypothesis finds
    /// its own by its path.
    history: Vec<Memory>,
    scratch: Scratch,
}

/// Buffers that every layer uses again.
#[derive(Debug)]
struct Scratch {
    workspace: Workspace,
    /// A normalized copy of what a block is given, where normalization comes first.
    normed: Vec<f32>,
    /// Queries, with keys and values where they are made together.
    projected: Vec<f32>,
    /// What attention gives.
    mixed: Vec<f32>,
    /// Inside of a feed-forward block.
    hidden: Vec<f32>,
}

impl Scratch {
    fn new(compute: Compute) -> Result<Self> {
        Ok(Scratch {
            workspace: Workspace::new(compute)?,
            normed: Vec::new(),
            projected: Vec::new(),
            mixed: Vec::new(),
            hidden: Vec::new(),
        })
    }
}

/// A block's layer normalization, before the block or after its output was added.
#[derive(Debug)]
struct Norm {
    norm: LayerNorm,
    before: bool,
}

impl Norm {
    /// What the block is to be given.
    fn input<'a>(&self, x: &'a [f32], normed: &'a mut Vec<f32>) -> &'a [f32] {
        if !self.before {
            return x;
        }
        normed.clear();
        normed.extend_from_slice(x);
        self.norm.forward(normed);
        normed
    }

    /// After the block's output was added to `x`.
    fn output(&self, x: &mut [f32]) {
        if !self.before {
            self.norm.forward(x);
        }
    }
}

#[derive(Debug)]
struct FeedForward {
    up: Linear,
    down: Linear,
    activation: Activation,
    norm: Norm,
}

impl FeedForward {
    fn forward(&self, x: &mut Vec<f32>, scratch: &mut Scratch) -> Result<()> {
        let Scratch { workspace, normed, hidden, .. } = scratch;
        let activate = Epilogue::Activate(self.activation);
        self.up.forward(self.norm.input(x, normed), activate, workspace, hidden)?;
        self.down.forward(hidden, Epilogue::Add, workspace, x)?;
        self.norm.output(x);
        Ok(())
    }
}

/// Attention of tokens to tokens of the same text.
#[derive(Debug)]
struct SelfAttention {
    /// Queries, keys and values side by side: `[width]` to `[3 width]`.
    project: Linear,
    output: Linear,
    width: usize,
    norm: Norm,
}

impl SelfAttention {
    /// Adds to `x` what its rows find in those of `memory` that `attended` names for each, after
    /// their own keys and values were added there.
    fn forward<'a>(
        &self,
        x: &mut Vec<f32>,
        memory: &mut Memory,
        attended: impl Fn(usize) -> &'a [u32],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Scratch { workspace, normed, projected, mixed, .. } = scratch;
        let input = self.norm.input(x, normed);
        self.project.forward(input, Epilogue::Store, workspace, projected)?;
        let queries = Queries { rows: projected, stride: 3 * self.width };
        memory.extend(projected, queries.stride);
        memory.attend(queries, attended, |_, _| &[], 0..0, |_, _| (), mixed);
        self.output.forward(mixed, Epilogue::Add, workspace, x)?;
        self.norm.output(x);
        Ok(())
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
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.attention.forward(x, tokens, |row| rows.beside(row), scratch)?;
        self.feed_forward.forward(x, scratch)
    }
}

#[derive(Debug)]
struct DecoderLayer {
    own: SelfAttention,
    cross_query: Linear,
    /// Keys and values of the source side by side: `[width]` to `[2 width]`.
    cross_memory: Linear,
    cross_output: Linear,
    cross_norm: Norm,
    feed_forward: FeedForward,
}

/// Reads layers by transformers' names.
struct Reader<'a> {
    weights: &'a Prepared,
    config: &'a Config,
    compute: Compute,
}

impl Reader<'_> {
    /// Weight and bias.
    fn pair(&self, name: &str, from: usize, to: usize) -> Result<(Table, Tensor)> {
        let weight = self.weights.table(&format!("{name}.weight"), [to, from])?;
        Ok((weight, self.weights.get(&format!("{name}.bias"), &[to])?))
    }

    fn linear(&self, name: &str, from: usize, to: usize) -> Result<Linear> {
        let (weight, bias) = self.pair(name, from, to)?;
        Linear::new(weight, Some(&bias), self.compute)
    }

    /// Layers `[width]` to `[width]` of the same input as one.
    fn stacked(&self, names: &[String]) -> Result<Linear> {
        let width = self.config.d_model;
        let parts = names.iter().map(|name| self.pair(name, width, width));
        Linear::stacked(parts.collect::<Result<Vec<_>>>()?, self.compute)
    }

    fn norm(&self, name: &str) -> Result<Norm> {
        let norm = layer_norm(self.weights, name, self.config.d_model)?;
        Ok(Norm { norm, before: self.config.normalize_before })
    }

    fn self_attention(&self, layer: &str) -> Result<SelfAttention> {
        let width = self.config.d_model;
        let part = |part: &str| format!("{layer}.self_attn.{part}");
        Ok(SelfAttention {
            project: self.stacked(&[part("q_proj"), part("k_proj"), part("v_proj")])?,
            output: self.linear(&part("out_proj"), width, width)?,
            width,
            norm: self.norm(&format!("{layer}.self_attn_layer_norm"))?,
        })
    }

    fn feed_forward(&self, layer: &str, inner: usize) -> Result<FeedForward> {
        let width = self.config.d_model;
        Ok(FeedForward {
            up: self.linear(&format!("{layer}.fc1"), width, inner)?,
            down: self.linear(&format!("{layer}.fc2"), inner, width)?,
            activation: self.config.activation_function,
            norm: self.norm(&format!("{layer}.final_layer_norm"))?,
        })
    }

    fn encoder_layer(&self, name: &str) -> Result<EncoderLayer> {
        Ok(EncoderLayer {
            attention: self.self_attention(name)?,
            feed_forward: self.feed_forward(name, self.config.encoder_ffn_dim)?,
        })
    }

    fn decoder_layer(&self, name: &str) -> Result<DecoderLayer> {
        let width = self.config.d_model;
        let part = |part: &str| format!("{name}.encoder_attn.{part}");
        Ok(DecoderLayer {
            own: self.self_attention(name)?,
            cross_query: self.linear(&part("q_proj"), width, width)?,
            cross_memory: self.stacked(&[part("k_proj"), part("v_proj")])?,
            cross_output: self.linear(&part("out_proj"), width, width)?,
            cross_norm: self.norm(&format!("{name}.encoder_attn_layer_norm"))?,
            feed_forward: self.feed_forward(name, self.config.decoder_ffn_dim)?,
        })
    }
}

fn layer_norm(weights: &Prepared, name: &str, width: usize) -> Result<LayerNorm> {
    LayerNorm::new(
        &weights.get(&format!("{name}.weight"), &[width])?,
        &weights.get(&format!("{name}.bias"), &[width])?,
    )
}

struct MarianSession<'m> {
    model: &'m Marian,
    /// Rows of the sources in the decoder's memory.
    sentences: Rows,
    hypotheses: Hypotheses,
    predicted: Predicted,
    buffers: Lent<'m, Buffers>,
}

impl MarianSession<'_> {
    /// Takes `x`, `[rows, width]`, through layer number `i`.
    fn layer(&mut self, i: usize, x: &mut Vec<f32>) -> Result<()> {
        let layer = &self.model.decoder[i];
        let Buffers { memory, history, scratch, .. } = &mut *self.buffers;
        let Hypotheses { owner, paths, attention, .. } = &mut self.hypotheses;
        layer.own.forward(x, &mut history[i], |row| &paths[row], scratch)?;

        let Scratch { workspace, normed, projected, mixed, .. } = scratch;
        let input = layer.cross_norm.input(x, normed);
        layer.cross_query.forward(input, Epilogue::Store, workspace, projected)?;
        let source = |row: usize| self.sentences.of(owner[row]);
        let AlignmentHead { layer: watched, head, .. } = self.model.alignment;
        let watch = if i == watched { head..head + 1 } else { 0..0 };
        let seen = |row: usize, weights: &[f32]| {
            attention[row].clear();
            attention[row].extend_from_slice(weights);
        };
        let queries = Queries { rows: projected, stride: self.model.config.d_model };
        memory[i].attend(queries, source, |_, _| &[], watch, seen, mixed);
        layer.cross_output.forward(mixed, Epilogue::Add, workspace, x)?;
        layer.cross_norm.output(x);

        layer.feed_forward.forward(x, scratch)
    }
}

impl Session for MarianSession<'_> {
    fn step(
        &mut self,
        inputs: &[u32],
        best: usize,
        banned: &[Vec<u32>],
    ) -> Result<Vec<Vec<Candidate>>> {
        let model = self.model;
        let position = self.hypotheses.begin_step(&model.info)?;
        let mut x = Vec::new();
        model.target_embedding.forward(inputs.iter().map(|&id| (id, position)), &mut x)?;
        for i in 0..model.decoder.len() {
            self.layer(i, &mut x)?;
        }
        if let Some(norm) = &model.decoder_norm {
            norm.forward(&mut x);
        }
        let workspace = &mut self.buffers.scratch.workspace;
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
