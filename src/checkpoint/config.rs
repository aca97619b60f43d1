//! config.json and generation_config.json.

use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::{Error, Result};

pub(super) const WHAT: &str = "model configuration";

/// No configuration is longer. A parsed value takes some thirty times its text.
const MAX_BYTES: u64 = 1 << 20;
/// Beams cost memory each; no checkpoint asks for more.
const MAX_BEAMS: usize = 256;

/// Reads a JSON file that must hold one object.
pub(super) fn read_object(path: &Path) -> Result<Map<String, Value>> {
    parse_object(path, &read_bounded(path, MAX_BYTES, WHAT)?)
}

/// Reads a whole file unless it is longer than `limit` bytes.
pub(super) fn read_bounded(path: &Path, limit: u64, what: &'static str) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::read(path))?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(Error::read(path))?;
    match bytes.len() as u64 > limit {
        true => Err(Error::malformed(path, what, format!("it is longer than {limit} bytes"))),
        false => Ok(bytes),
    }
}

/// Parses a configuration that was read from `path`. As in Python, the last of two equal keys
/// counts.
pub(super) fn parse_object(path: &Path, bytes: &[u8]) -> Result<Map<String, Value>> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::malformed(path, WHAT, "it does not hold a JSON object")),
        Err(error) => Err(Error::malformed(path, WHAT, error)),
    }
}

/// Reads an object as `T`; an error names the field at fault.
pub(super) fn parse_map<T: DeserializeOwned>(
    path: &Path,
    object: &Map<String, Value>,
) -> Result<T> {
    // serde's errors do not say which field they are about, so remember the one being read.
    let field = Cell::new(None);
    let mut entries = object.iter();
    let fields = std::iter::from_fn(|| {
        let entry = entries.next();
        field.set(entry.map(|(name, _)| name.as_str()));
        entry.map(|(name, value)| (name.as_str(), value))
    });
    T::deserialize(MapDeserializer::new(fields)).map_err(|error: serde_json::Error| {
        match field.get() {
            Some(name) => Error::malformed(path, WHAT, format!("field `{name}`: {error}")),
            None => Error::malformed(path, WHAT, error),
        }
    })
}

/// When beam search stops, as transformers defines it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarlyStopping {
    /// When no running beam is likely to beat the worst finished hypothesis (the length penalty
    /// taken at the present length).
    #[default]
    False,
    /// As soon as there are as many finished hypotheses as beams.
    True,
    /// When no running beam can beat the worst finished hypothesis at any length.
    Never,
}

impl<'de> Deserialize<'de> for EarlyStopping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Bool(bool),
            Text(String),
        }
        match Raw::deserialize(deserializer) {
            Ok(Raw::Bool(false)) => Ok(EarlyStopping::False),
            Ok(Raw::Bool(true)) => Ok(EarlyStopping::True),
            Ok(Raw::Text(text)) if text == "never" => Ok(EarlyStopping::Never),
            _ => Err(serde::de::Error::custom("expected true, false or \"never\"")),
        }
    }
}

/// How a checkpoint wants to be decoded. Fields are named and defaulted as in transformers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct GenerationConfig {
    /// Beams searched; 1 is greedy.
    pub num_beams: usize,
    /// Most tokens of the output, the start token counted.
    pub max_length: usize,
    /// Most tokens of the output, the start token not counted; takes precedence.
    pub max_new_tokens: Option<usize>,
    /// Fewest tokens of the output, the start token counted.
    pub min_length: usize,
    /// Exponent of the length that scores are divided by.
    pub length_penalty: f32,
    /// When beam search stops.
    pub early_stopping: EarlyStopping,
    /// No n-gram of this size may repeat; 0 allows all.
    pub no_repeat_ngram_size: usize,
    /// Factor against tokens already written; 1 is none.
    pub repetition_penalty: f32,
    /// Whether scores are normalized again after forbidden tokens were masked.
    pub renormalize_logits: bool,
    /// Token sequences never written.
    pub bad_words_ids: Vec<Vec<u32>>,
    /// The first token after the start token.
    pub forced_bos_token_id: Option<u32>,
    /// The last token when the output reaches its greatest length.
    pub forced_eos_token_id: Option<u32>,
    /// Tokens that end the output.
    #[serde(deserialize_with = "one_or_many")]
    pub eos_token_id: Vec<u32>,
    /// Fills up shorter rows of a batch.
    pub pad_token_id: Option<u32>,
    /// Starts a text where `decoder_start_token_id` is not given.
    pub bos_token_id: Option<u32>,
    /// Starts the output.
    pub decoder_start_token_id: Option<u32>,
}

impl Default for GenerationConfig {
    fn default() -> Self {
        GenerationConfig {
            num_beams: 1,
            max_length: 20,
            max_new_tokens: None,
            min_length: 0,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::False,
            no_repeat_ngram_size: 0,
            repetition_penalty: 1.0,
            renormalize_logits: false,
            bad_words_ids: Vec::new(),
            forced_bos_token_id: None,
            forced_eos_token_id: None,
            eos_token_id: Vec::new(),
            pad_token_id: None,
            bos_token_id: None,
            decoder_start_token_id: None,
        }
    }
}

impl GenerationConfig {
    /// Reads a generation_config.json, or the generation fields of a config.json, alone.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        Self::merge((path, &parse_object(path, bytes)?), (path, &Map::new()))
    }

    /// The fields of `overrides` over those of `config` over the defaults; each object comes with
    /// the file it was read from. A null counts as absent.
    pub(super) fn merge(
        (config_path, config): (&Path, &Map<String, Value>),
        (overrides_path, overrides): (&Path, &Map<String, Value>),
    ) -> Result<Self> {
        let given = |object: &Map<String, Value>| -> Map<String, Value> {
            let kept = object.iter().filter(|(_, value)| !value.is_null());
            kept.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let mut merged = given(config);
        // Each file is read alone first, so that an error names the file it is in.
        parse_map::<Self>(config_path, &merged)?.validate(config_path)?;
        let overrides = given(overrides);
        parse_map::<Self>(overrides_path, &overrides)?.validate(overrides_path)?;
        merged.extend(overrides);
        parse_map(overrides_path, &merged)
    }

    fn validate(&self, path: &Path) -> Result<()> {
        let check = |ok: bool, field: &str, expected: &str| match ok {
            true => Ok(()),
            false => Err(Error::malformed(path, WHAT, format!("field `{field}`: {expected}"))),
        };
        let beams = format!("expected 1 to {MAX_BEAMS}");
        check((1..=MAX_BEAMS).contains(&self.num_beams), "num_beams", &beams)?;
        check(self.max_length >= 1, "max_length", "expected at least 1")?;
        check(self.length_penalty.is_finite(), "length_penalty", "expected a finite number")?;
        let penalty = self.repetition_penalty;
        check(penalty.is_finite() && penalty > 0.0, "repetition_penalty", "expected more than 0")?;
        let words = self.bad_words_ids.iter().all(|word| !word.is_empty());
        check(words, "bad_words_ids", "expected no empty list")
    }
}

/// One id or a list of them.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Ids {
        One(u32),
        Many(Vec<u32>),
    }
    match Ids::deserialize(deserializer) {
        Ok(Ids::One(id)) => Ok(vec![id]),
        Ok(Ids::Many(ids)) => Ok(ids),
        Err(_) => Err(serde::de::Error::custom("expected a token id or a list of them")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn object(json: &str) -> Result<Map<String, Value>> {
        parse_object(Path::new("config.json"), json.as_bytes())
    }

    fn merge(config: &str, overrides: &str) -> Result<GenerationConfig> {
        GenerationConfig::merge(
            (Path::new("config.json"), &object(config)?),
            (Path::new("generation_config.json"), &object(overrides)?),
        )
    }

    #[test]
    fn generation_config_overrides_the_configuration_overrides_the_defaults() {
        let merged = merge(
            r#"{"num_beams": 6, "max_length": 512, "eos_token_id": 0, "pad_token_id": 7,
                "early_stopping": true, "d_model": 512, "bad_words_ids": [[7]]}"#,
            r#"{"num_beams": 4, "eos_token_id": [0, 3], "pad_token_id": null,
                "early_stopping": "never", "renormalize_logits": true, "length_penalty": 2}"#,
        )
        .unwrap();
        let expected = GenerationConfig {
            num_beams: 4,
            max_length: 512,
            eos_token_id: vec![0, 3],
            pad_token_id: Some(7),
            early_stopping: EarlyStopping::Never,
            bad_words_ids: vec![vec![7]],
            renormalize_logits: true,
            length_penalty: 2.0,
            ..Default::default()
        };
        assert_eq!(merged, expected);
        assert_eq!(merge("{}", "{}").unwrap(), GenerationConfig::default());
    }

    #[test]
    fn errors_name_the_file_and_the_field() {
        for (config, overrides, file, field) in [
            (r#"{"num_beams": "4"}"#, "{}", "config.json", "num_beams"),
            ("{}", r#"{"num_beams": 0}"#, "generation_config.json", "num_beams"),
            (r#"{"num_beams": 99999999999999999999999999}"#, "{}", "config.json", "num_beams"),
            (r#"{"max_length": 1e400}"#, "{}", "config.json", "number out of range"),
            (r#"{"max_length": -1}"#, "{}", "config.json", "max_length"),
            (r#"{"length_penalty": 1e300}"#, "{}", "config.json", "length_penalty"),
            (r#"{"eos_token_id": {"a": 1}}"#, "{}", "config.json", "eos_token_id"),
            (r#"{"eos_token_id": -1}"#, "{}", "config.json", "eos_token_id"),
            (
                "{}",
                r#"{"early_stopping": "sometimes"}"#,
                "generation_config.json",
                "early_stopping",
            ),
            ("{}", r#"{"bad_words_ids": [[]]}"#, "generation_config.json", "bad_words_ids"),
            ("{}", r#"{"bad_words_ids": [7]}"#, "generation_config.json", "bad_words_ids"),
        ] {
            let message = merge(config, overrides).unwrap_err().to_string();
            assert!(message.starts_with(file), "{message}");
            assert!(message.contains(field), "{message}");
        }
    }

    #[test]
    fn only_an_object_is_a_configuration() {
        let deep = format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        for bad in ["", "{", "null", "[1]", "\"text\"", "{} {}", "{\"a\": nan}", "\u{0}", &deep] {
            assert!(object(bad).is_err(), "{bad:.20}");
        }
        let last = object(r#"{"a": 1, "a": 2}"#).unwrap();
        assert_eq!(last["a"], 2, "the last of two equal keys counts, as in Python");
    }

    #[test]
    fn a_missing_field_is_named() {
        #[derive(Debug, Deserialize)]
        struct Shape {
            #[allow(dead_code)]
            d_model: usize,
            #[allow(dead_code)]
            activation: Option<String>,
        }
        let parse =
            |json: &str| parse_map::<Shape>(Path::new("config.json"), &object(json).unwrap());
        assert_eq!(parse(r#"{"d_model": 8, "activation": null}"#).unwrap().d_model, 8);
        let missing = parse(r#"{"other": 1}"#).unwrap_err().to_string();
        assert!(missing.contains("missing field `d_model`"), "{missing}");
        assert!(!missing.contains("other"), "{missing}");
        let wrong = parse(r#"{"d_model": [1], "other": 1}"#).unwrap_err().to_string();
        assert!(wrong.contains("field `d_model`: invalid type"), "{wrong}");
    }
}
