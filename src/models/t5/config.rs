//! The fields of a T5 or mT5 config.json that shape the network.

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as ValueError;

use crate::checkpoint::Checkpoint;
use crate::nn::Activation;
use crate::nn::attention::Heads;
use crate::nn::relative::Buckets;
use crate::{Error, Result};

const WHAT: &str = "T5 configuration";
/// No published checkpoint is larger in any of these.
const MAX_SIZE: usize = 1 << 20;
/// More heads than any published checkpoint; the tables of position biases grow with them.
const MAX_HEADS: usize = 1 << 10;

/// As config.json has them. Those without a default stand in every published one.
#[derive(Debug, Clone, Deserialize)]
struct Fields {
    vocab_size: usize,
    d_model: usize,
    d_kv: usize,
    d_ff: usize,
    num_layers: usize,
    num_decoder_layers: Option<usize>,
    num_heads: usize,
    relative_attention_num_buckets: Option<usize>,
    relative_attention_max_distance: Option<usize>,
    feed_forward_proj: Option<String>,
    layer_norm_epsilon: Option<f32>,
    tie_word_embeddings: Option<bool>,
    scale_decoder_outputs: Option<bool>,
    pad_token_id: Option<u32>,
    decoder_start_token_id: Option<u32>,
}

/// What is built.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub vocab: usize,
    /// Width of the states.
    pub width: usize,
    /// Width of one head.
    pub head_width: usize,
    pub heads: usize,
    /// Width inside of a feed-forward block.
    pub inner: usize,
    pub encoder_layers: usize,
    pub decoder_layers: usize,
    pub bucket_count: usize,
    pub max_distance: usize,
    pub activation: Activation,
    /// Whether the activation of one product is multiplied with another product.
    pub gated: bool,
    pub epsilon: f32,
    /// Whether the last states are divided by the square root of their width, as the first T5 does,
    /// whose output table is that of the embeddings.
    pub scale_output: bool,
    pub decoder_start: u32,
}

impl Config {
    pub fn read(checkpoint: &Checkpoint) -> Result<Self> {
        let fields: Fields = checkpoint.parse_config()?;
        let multilingual = checkpoint.model_type()? == "mt5";
        let check = |ok: bool, detail: String| match ok {
            true => Ok(()),
            false => Err(Error::malformed(checkpoint.folder.join("config.json"), WHAT, detail)),
        };
        let default = if multilingual { "gated-gelu" } else { "relu" };
        let projection = fields.feed_forward_proj.as_deref().unwrap_or(default);
        let (gated, name) = match projection.strip_prefix("gated-") {
            // The one name that means another function here than elsewhere.
            Some("gelu") => (true, "gelu_new"),
            Some(name) => (true, name),
            None => (false, projection),
        };
        let activation =
            Activation::deserialize(name.into_deserializer()).map_err(|error: ValueError| {
                let path = checkpoint.folder.join("config.json");
                Error::malformed(path, WHAT, format!("field `feed_forward_proj`: {error}"))
            })?;
        let config = Config {
            vocab: fields.vocab_size,
            width: fields.d_model,
            head_width: fields.d_kv,
            heads: fields.num_heads,
            inner: fields.d_ff,
            encoder_layers: fields.num_layers,
            decoder_layers: fields.num_decoder_layers.unwrap_or(fields.num_layers),
            bucket_count: fields.relative_attention_num_buckets.unwrap_or(32),
            max_distance: fields.relative_attention_max_distance.unwrap_or(128),
            activation,
            gated,
            epsilon: fields.layer_norm_epsilon.unwrap_or(1e-6),
            // transformers 5 writes `tie_word_embeddings` as true whatever the weights are, and
            // beside it what that stood for before. It never scales mT5.
            scale_output: !multilingual
                && fields
                    .scale_decoder_outputs
                    .unwrap_or(fields.tie_word_embeddings != Some(false)),
            decoder_start: fields.decoder_start_token_id.or(fields.pad_token_id).unwrap_or(0),
        };
        let sizes = [
            ("vocab_size", config.vocab, MAX_SIZE),
            ("d_model", config.width, MAX_SIZE),
            ("d_kv", config.head_width, MAX_SIZE / MAX_HEADS),
            ("num_heads", config.heads, MAX_HEADS),
            ("d_ff", config.inner, MAX_SIZE),
            ("num_layers", config.encoder_layers, MAX_SIZE),
            ("num_decoder_layers", config.decoder_layers, MAX_SIZE),
            ("relative_attention_num_buckets", config.bucket_count, MAX_SIZE),
            ("relative_attention_max_distance", config.max_distance, MAX_SIZE),
        ];
        for (name, size, limit) in sizes {
            check((1..=limit).contains(&size), format!("field `{name}`: {size}"))?;
        }
        // Half of the buckets hold one distance each, on either side of a token.
        check(
            config.bucket_count >= 4 && config.max_distance > config.bucket_count / 2,
            format!(
                "{} buckets of positions up to a distance of {}",
                config.bucket_count, config.max_distance
            ),
        )?;
        let epsilon = config.epsilon;
        check((0.0..1.0).contains(&epsilon), format!("field `layer_norm_epsilon`: {epsilon}"))?;
        check(
            (config.decoder_start as usize) < config.vocab,
            format!("the start token {} is not in the vocabulary", config.decoder_start),
        )?;
        Ok(config)
    }

    /// The shape of all attention.
    pub fn heads(&self) -> Heads {
        Heads { count: self.heads, width: self.heads * self.head_width, scale: 1.0 }
    }

    /// How distances are put into buckets.
    pub fn buckets(&self, both_sides: bool) -> Buckets {
        Buckets { count: self.bucket_count, max_distance: self.max_distance, both_sides }
    }
}
