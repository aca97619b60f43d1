//! The tokenizer of T5 and mT5 checkpoints: one SentencePiece model, whose order of pieces gives the
//! ids.

use std::path::Path;

use serde::Deserialize;

use super::pieces::{Kind, Pieces};
use super::{Decoded, SentencePiece, Token, Tokenizer};
use crate::text::Span;
use crate::{Error, Result};

const EOS: &str = "</s>";
const PAD: &str = "<pad>";
/// Sentinels of the task T5 was trained on first; never part of a text.
const SENTINEL: &str = "<extra_id_";
/// How many sentinels follow the model's pieces where tokenizer_config.json does not tell.
const SENTINELS: u32 = 100;
/// More than any checkpoint has.
const MAX_SENTINELS: u32 = 10_000;

/// spiece.model, and of tokenizer_config.json the number of sentinels.
///
/// Ids are those of SentencePiece, with which these models were trained, and so of transformers'
/// `T5Tokenizer` before version 5. Its `legacy` switch makes no difference: it is about the text
/// after a special token, and special tokens written in a text are text here
/// (`split_special_tokens=True` there). The tokenizer of transformers 5, which
/// [`Json`](super::Json) equals, differs on a few rare characters: Unicode spaces that the model
/// does not know part words there, `▁` is taken for a space, and a mark behind a rewritten character
/// is lost.
///
/// Decoding drops the sentinels too. Embedding tables are a little larger than the vocabulary; an id
/// beyond it, which no training text had, adds nothing.
#[derive(Debug)]
pub struct T5 {
    model: SentencePiece,
    pieces: Pieces,
    eos: u32,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    extra_ids: Option<u32>,
}

impl T5 {
    /// Opens the tokenizer in a folder.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("spiece.model");
        let model = SentencePiece::read(&path)?;
        let sentinels = sentinels(&folder.join("tokenizer_config.json"))?;

        let size = model.vocab_size() as u32;
        let eos =
            (0..size).find(|&id| model.piece(id) == EOS).ok_or_else(|| Error::Unsupported {
                path: path.clone(),
                detail: format!("it has no {EOS} to end sentences with"),
            })?;
        let kind = |id: u32| match model.piece(id) {
            EOS | PAD => Kind::Special,
            piece if piece.trim_start_matches('▁').starts_with(SENTINEL) => Kind::Special,
            _ if id == model.unknown() => Kind::Special,
            _ => Kind::of(&model, id),
        };
        let mut pieces: Vec<(String, Kind)> =
            (0..size).map(|id| (model.piece(id).into(), kind(id))).collect();
        let sentinels = (0..sentinels).rev().map(|n| (format!("{SENTINEL}{n}>"), Kind::Special));
        pieces.extend(sentinels);
        Ok(T5 { model, pieces: Pieces::new(&path, pieces), eos })
    }
}

fn sentinels(path: &Path) -> Result<u32> {
    if !path.is_file() {
        return Ok(SENTINELS);
    }
    let malformed = |detail: String| Error::malformed(path, "tokenizer configuration", detail);
    let bytes = std::fs::read(path).map_err(Error::read(path))?;
    let config: Config = serde_json::from_slice(&bytes).map_err(|e| malformed(e.to_string()))?;
    match config.extra_ids.unwrap_or(SENTINELS) {
        count @ 0..=MAX_SENTINELS => Ok(count),
        count => Err(malformed(format!("field `extra_ids`: {count}"))),
    }
}

impl Tokenizer for T5 {
    fn encode(&self, text: &str) -> Result<Vec<Token>> {
        let pieces = self.model.encode(text).into_iter();
        let mut tokens: Vec<Token> =
            pieces.map(|piece| Token { id: piece.id, span: piece.span }).collect();
        tokens.push(Token { id: self.eos, span: Span::new(text.len(), text.len()) });
        Ok(tokens)
    }

    fn encode_target(&self, text: &str) -> Result<Vec<Token>> {
        self.encode(text)
    }

    fn decode(&self, ids: &[u32]) -> Result<Decoded> {
        let known = |&id: &u32| if (id as usize) < self.pieces.len() { id } else { self.eos };
        self.pieces.decode(&ids.iter().map(known).collect::<Vec<_>>())
    }

    fn piece(&self, id: u32) -> &str {
        self.pieces.piece(id)
    }

    fn vocab_size(&self) -> usize {
        self.pieces.len()
    }
}
