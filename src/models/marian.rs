//! The Marian transformer as OPUS-MT checkpoints have it (Junczys-Dowmunt et al. 2018; Vaswani et
//! al. 2017), equal to transformers' `MarianMTModel`, and with marian-dev's layer normalization
//! before each block where `normalize_before` asks for it.

#[cfg(test)]
mod tests;

use std::ops::Range;

use candle_core::Tensor;
use serde::Deserialize;

use super::{AlignmentHead, Candidate, ModelInfo, Seq2Seq, Session};
use crate::checkpoint::{Checkpoint, Weights};
use crate::nn::attention::{Heads, History, Memory, attend};
use crate::nn::{Activation, Embedding, LayerNorm, Linear, math, with_rows};
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
    /// `[width]` to `[target vocabulary]`.
    output: Linear,
}

impl Marian {
    /// Reads the weights of a checkpoint. Alignment will be read at `head`, by default head 0 of
    /// the last layer, the one that Marian supervises (marian-dev, `src/models/transformer.h`,
    /// `collectOneHead`).
    pub fn load(checkpoint: &Checkpoint, head: Option<AlignmentHead>) -> Result<Self> {
        let config = Config::read(checkpoint)?;
        let head = head.unwrap_or(AlignmentHead { layer: config.decoder_layers - 1, head: 0 });
        let (layers, heads) = (config.decoder_layers, config.decoder_attention_heads);
        if head.layer >= layers || head.head >= heads {
            return Err(Error::Usage(format!(
                "no head {} of layer {} to read alignment from: the decoder has {layers} layers of {heads} heads",
                head.head, head.layer
            )));
        }
        let weights = checkpoint.weights()?;
        let width = config.d_model;
        let embedding = |names: &[&str], vocab: usize| -> Result<Tensor> {
            weights.get_any(names, &[vocab, width])?.ok_or_else(|| Error::MissingFile {
                path: checkpoint.folder.clone(),
                what: format!("weights named {}", names.join(" or ")),
            })
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
        if target.dim(0)? != config.decoder_vocab() {
            return Err(Error::malformed(
                checkpoint.folder.join("config.json"),
                "Marian configuration",
                "one embedding table is shared, yet the vocabularies differ in size",
            ));
        }
        let bias = weights.get_any(&["final_logits_bias"], &[1, config.decoder_vocab()])?;
        let bias = bias.map(|bias| bias.squeeze(0)).transpose()?;
        let scale = if config.scale_embedding { (width as f64).sqrt() } else { 1.0 };

        let final_norm = |side: &str| -> Result<Option<LayerNorm>> {
            let name = format!("model.{side}.layer_norm");
            weights
                .contains(&format!("{name}.weight"))
                .then(|| layer_norm(&weights, &name, width))
                .transpose()
        };
        let read = Reader { weights: &weights, config: &config };
        Ok(Marian {
            info: ModelInfo {
                source_vocab: config.vocab_size,
                target_vocab: config.decoder_vocab(),
                max_positions: config.max_position_embeddings,
                decoder_start: config.decoder_start(),
                decoder_layers: config.decoder_layers,
                decoder_heads: config.decoder_attention_heads,
            },
            alignment: head,
            source_embedding: Embedding::new(source, scale, config.max_position_embeddings)?,
            target_embedding: Embedding::new(target, scale, config.max_position_embeddings)?,
            encoder: (0..config.encoder_layers)
                .map(|i| read.encoder_layer(&format!("model.encoder.layers.{i}")))
                .collect::<Result<_>>()?,
            encoder_norm: final_norm("encoder")?,
            decoder: (0..config.decoder_layers)
                .map(|i| read.decoder_layer(&format!("model.decoder.layers.{i}")))
                .collect::<Result<_>>()?,
            decoder_norm: final_norm("decoder")?,
            output: Linear::new(output, bias)?,
            config,
        })
    }

    /// Encoder states of all tokens of all sources, `[tokens, width]`.
    fn encode(&self, sources: &[&[u32]]) -> Result<Tensor> {
        let positions = sources.iter().flat_map(|source| 0..source.len() as u32).collect();
        let mut x = self.source_embedding.forward(&sources.concat(), positions)?;
        let rows = Rows::new(sources);
        for layer in &self.encoder {
            x = layer.forward(&x, &rows, self.config.normalize_before)?;
        }
        match &self.encoder_norm {
            Some(norm) => norm.forward(&x),
            None => Ok(x),
        }
    }

    fn session(&self, sources: &[&[u32]]) -> Result<MarianSession<'_>> {
        for source in sources {
            let limit = self.info.max_positions;
            if source.is_empty() || source.len() > limit {
                return Err(Error::Usage(format!(
                    "a source of {} tokens; the model takes 1 to {limit}",
                    source.len()
                )));
            }
            if let Some(id) = source.iter().find(|&&id| id as usize >= self.info.source_vocab) {
                return Err(Error::Usage(format!("no source token has the id {id}")));
            }
        }
        let states = self.encode(sources)?;
        let memory = self.decoder.iter().map(|layer| layer.cross.memory(&states));
        let memory = memory.collect::<Result<_>>()?;
        Ok(MarianSession {
            model: self,
            spans: Rows::new(sources).spans,
            memory,
            owner: (0..sources.len()).collect(),
            history: vec![Vec::new(); self.decoder.len()],
            paths: vec![Vec::new(); sources.len()],
            logits: None,
            log_sums: Vec::new(),
            attention: vec![Vec::new(); sources.len()],
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

/// Which rows of a ragged batch belong to which sentence.
struct Rows {
    /// Rows of each sentence.
    spans: Vec<Range<usize>>,
    /// Sentence of each row.
    owner: Vec<usize>,
}

impl Rows {
    fn new(sources: &[&[u32]]) -> Self {
        let mut rows = Rows { spans: Vec::new(), owner: Vec::new() };
        for (i, source) in sources.iter().enumerate() {
            let start = rows.owner.len();
            rows.owner.resize(start + source.len(), i);
            rows.spans.push(start..rows.owner.len());
        }
        rows
    }
}

/// Projections of an attention, each `[width]` to `[width]`.
#[derive(Debug)]
struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    heads: Heads,
}

impl Attention {
    /// Keys and values of the rows of `x`.
    fn memory(&self, x: &Tensor) -> Result<Memory> {
        Memory::new(&self.key.forward(x)?, &self.value.forward(x)?)
    }
}

#[derive(Debug)]
struct FeedForward {
    up: Linear,
    down: Linear,
    activation: Activation,
}

impl FeedForward {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.down.forward(&self.activation.forward(&self.up.forward(x)?)?)
    }
}

/// Adds what `block` makes of `x` to `x`, normalized before the block or after the sum.
fn residual(
    x: &Tensor,
    norm: &LayerNorm,
    before: bool,
    block: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    match before {
        true => Ok((block(&norm.forward(x)?)? + x)?),
        false => norm.forward(&(block(x)? + x)?),
    }
}

#[derive(Debug)]
struct EncoderLayer {
    attention: Attention,
    attention_norm: LayerNorm,
    feed_forward: FeedForward,
    feed_forward_norm: LayerNorm,
}

impl EncoderLayer {
    /// `[tokens, width]` to the same; each sentence attends to itself.
    fn forward(&self, x: &Tensor, rows: &Rows, before: bool) -> Result<Tensor> {
        let x = residual(x, &self.attention_norm, before, |x| {
            let attention = &self.attention;
            let memory = attention.memory(x)?;
            let own = |row: usize| memory.rows(&rows.spans[rows.owner[row]]);
            let queries = attention.query.forward(x)?;
            attention.output.forward(&attend(&queries, attention.heads, own, None, |_, _| ())?)
        })?;
        residual(&x, &self.feed_forward_norm, before, |x| self.feed_forward.forward(x))
    }
}

#[derive(Debug)]
struct DecoderLayer {
    own: Attention,
    own_norm: LayerNorm,
    cross: Attention,
    cross_norm: LayerNorm,
    feed_forward: FeedForward,
    feed_forward_norm: LayerNorm,
}

/// Reads layers by transformers' names.
struct Reader<'a> {
    weights: &'a Weights,
    config: &'a Config,
}

impl Reader<'_> {
    fn linear(&self, name: &str, from: usize, to: usize) -> Result<Linear> {
        let weight = self.weights.get(&format!("{name}.weight"), &[to, from])?;
        Linear::new(weight, Some(self.weights.get(&format!("{name}.bias"), &[to])?))
    }

    fn norm(&self, name: &str) -> Result<LayerNorm> {
        layer_norm(self.weights, name, self.config.d_model)
    }

    fn attention(&self, name: &str, heads: usize) -> Result<Attention> {
        let width = self.config.d_model;
        let linear = |part: &str| self.linear(&format!("{name}.{part}"), width, width);
        Ok(Attention {
            query: linear("q_proj")?,
            key: linear("k_proj")?,
            value: linear("v_proj")?,
            output: linear("out_proj")?,
            heads: self.config.heads(heads),
        })
    }

    fn feed_forward(&self, name: &str, inner: usize) -> Result<FeedForward> {
        let width = self.config.d_model;
        Ok(FeedForward {
            up: self.linear(&format!("{name}.fc1"), width, inner)?,
            down: self.linear(&format!("{name}.fc2"), inner, width)?,
            activation: self.config.activation_function,
        })
    }

    fn encoder_layer(&self, name: &str) -> Result<EncoderLayer> {
        Ok(EncoderLayer {
            attention: self
                .attention(&format!("{name}.self_attn"), self.config.encoder_attention_heads)?,
            attention_norm: self.norm(&format!("{name}.self_attn_layer_norm"))?,
            feed_forward: self.feed_forward(name, self.config.encoder_ffn_dim)?,
            feed_forward_norm: self.norm(&format!("{name}.final_layer_norm"))?,
        })
    }

    fn decoder_layer(&self, name: &str) -> Result<DecoderLayer> {
        let heads = self.config.decoder_attention_heads;
        Ok(DecoderLayer {
            own: self.attention(&format!("{name}.self_attn"), heads)?,
            own_norm: self.norm(&format!("{name}.self_attn_layer_norm"))?,
            cross: self.attention(&format!("{name}.encoder_attn"), heads)?,
            cross_norm: self.norm(&format!("{name}.encoder_attn_layer_norm"))?,
            feed_forward: self.feed_forward(name, self.config.decoder_ffn_dim)?,
            feed_forward_norm: self.norm(&format!("{name}.final_layer_norm"))?,
        })
    }
}

fn layer_norm(weights: &Weights, name: &str, width: usize) -> Result<LayerNorm> {
    Ok(LayerNorm::new(
        weights.get(&format!("{name}.weight"), &[width])?,
        weights.get(&format!("{name}.bias"), &[width])?,
    ))
}

struct MarianSession<'m> {
    model: &'m Marian,
    /// Rows of each source in `memory`.
    spans: Vec<Range<usize>>,
    /// For each layer, what cross-attention looks at: the tokens of all sources.
    memory: Vec<Memory>,
    /// Source of each row.
    owner: Vec<usize>,
    /// For each layer, the rows of every step so far. They are never moved: a hypothesis finds its own by its
    /// path.
    history: Vec<Vec<Memory>>,
    /// For each row, where its keys and values stand in every step.
    paths: Vec<Vec<u32>>,
    /// `[rows, target vocabulary]`, after the first step.
    logits: Option<Tensor>,
    /// `ln Σ e^logit` of each row.
    log_sums: Vec<f32>,
    /// The alignment head's weights of each row, `[source]`.
    attention: Vec<Vec<f32>>,
}

impl MarianSession<'_> {
    /// `[rows, width]` to the same, through layer number `i`.
    fn layer(&mut self, i: usize, x: &Tensor) -> Result<Tensor> {
        let layer = &self.model.decoder[i];
        let before = self.model.config.normalize_before;
        let x = residual(x, &layer.own_norm, before, |x| {
            self.history[i].push(layer.own.memory(x)?);
            let steps = &self.history[i];
            let past = |row: usize| History { steps, path: &self.paths[row] };
            let queries = layer.own.query.forward(x)?;
            layer.own.output.forward(&attend(&queries, layer.own.heads, past, None, |_, _| ())?)
        })?;
        let x = residual(&x, &layer.cross_norm, before, |x| {
            let queries = layer.cross.query.forward(x)?;
            let watch = (i == self.model.alignment.layer).then_some(self.model.alignment.head);
            let memory = &self.memory[i];
            let source = |row: usize| memory.rows(&self.spans[self.owner[row]]);
            let attention = &mut self.attention;
            let mixed = attend(&queries, layer.cross.heads, source, watch, |row, weights| {
                attention[row].clear();
                attention[row].extend_from_slice(weights);
            })?;
            layer.cross.output.forward(&mixed)
        })?;
        residual(&x, &layer.feed_forward_norm, before, |x| layer.feed_forward.forward(x))
    }
}

impl MarianSession<'_> {
    /// Reads the logits of `row`, after a step.
    fn with_logits<R>(&self, row: usize, read: impl FnOnce(&[f32]) -> R) -> Result<R> {
        let logits = self.logits.as_ref().ok_or_else(|| Error::Usage("no step yet".into()))?;
        let vocab = self.model.info.target_vocab;
        with_rows(logits, |logits| read(&logits[row * vocab..(row + 1) * vocab]))
    }
}

impl Session for MarianSession<'_> {
    fn step(
        &mut self,
        inputs: &[u32],
        best: usize,
        banned: &[Vec<u32>],
    ) -> Result<Vec<Vec<Candidate>>> {
        let position = self.history[0].len();
        if position >= self.model.info.max_positions {
            return Err(Error::Usage(format!("the model writes at most {position} tokens")));
        }
        for (row, path) in self.paths.iter_mut().enumerate() {
            path.push(row as u32);
        }
        let positions = vec![position as u32; inputs.len()];
        let mut x = self.model.target_embedding.forward(inputs, positions)?;
        for i in 0..self.model.decoder.len() {
            x = self.layer(i, &x)?;
        }
        if let Some(norm) = &self.model.decoder_norm {
            x = norm.forward(&x)?;
        }
        let logits = self.model.output.forward(&x)?;
        let vocab = self.model.info.target_vocab;
        self.log_sums.clear();
        let candidates = with_rows(&logits, |logits| {
            let rows = logits.chunks_exact(vocab).zip(banned);
            rows.map(|(logits, banned)| {
                let log_sum = math::log_sum_exp(logits);
                self.log_sums.push(log_sum);
                let best = math::top_k(logits, best, banned).into_iter();
                best.map(|(id, logit)| Candidate { id, log_prob: logit - log_sum }).collect()
            })
            .collect()
        })?;
        self.logits = Some(logits);
        Ok(candidates)
    }

    fn log_prob(&self, row: usize, id: u32) -> Result<f32> {
        self.with_logits(row, |logits| logits[id as usize] - self.log_sums[row])
    }

    fn log_prob_besides(&self, row: usize, ids: &[u32]) -> Result<f32> {
        self.with_logits(row, |logits| math::log_sum_exp_besides(logits, ids) - self.log_sums[row])
    }

    fn attention(&self, row: usize) -> &[f32] {
        &self.attention[row]
    }

    fn select(&mut self, rows: &[usize]) {
        self.owner = rows.iter().map(|&row| self.owner[row]).collect();
        self.paths = rows.iter().map(|&row| self.paths[row].clone()).collect();
        self.attention = rows.iter().map(|&row| self.attention[row].clone()).collect();
    }
}
