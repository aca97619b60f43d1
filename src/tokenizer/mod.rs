//! Text to ids and back, every token with the bytes it stands for.

mod bpe;
mod charsmap;
mod json;
mod marian;
mod normalizer;
mod pieces;
mod proto;
mod sentencepiece;
mod t5;
mod trie;
mod unigram;

use std::path::Path;

pub use json::Json;
pub use marian::Marian;
pub use sentencepiece::{Piece, SentencePiece};
pub use t5::T5;

use crate::text::Span;
use crate::{Error, Result};

/// One piece of a text: its id and the bytes of the text it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Id in the model's vocabulary.
    pub id: u32,
    /// Bytes of the text; spaces around the piece are left out, so a lone space and the
    /// end-of-sentence token have an empty span. Tokens of one character share its span.
    pub span: Span,
}

/// Text made from ids, and where in it every id stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The text, without spaces at its ends.
    pub text: String,
    /// One span for every id, spaces around it left out; special tokens have an empty span.
    pub spans: Vec<Span>,
}

/// A pair of vocabularies: the source's, for encoding, and the target's, for decoding.
pub trait Tokenizer: Send + Sync {
    /// The tokens of a source text, the end-of-sentence token included.
    fn encode(&self, text: &str) -> Result<Vec<Token>>;

    /// The tokens of a target text, the end-of-sentence token included, for forced decoding.
    fn encode_target(&self, text: &str) -> Result<Vec<Token>>;

    /// The text of target ids. Special tokens add nothing to it; an id outside the vocabulary is
    /// an error, unless the model's own table is larger than the vocabulary.
    fn decode(&self, ids: &[u32]) -> Result<Decoded>;

    /// The target piece of an id, for showing it; empty for an id outside the vocabulary.
    fn piece(&self, id: u32) -> &str;

    /// One more than the largest target id.
    fn vocab_size(&self) -> usize;
}

/// Opens the tokenizer of a model's folder, by the files found there. SentencePiece models come
/// first: they are what the checkpoints were trained with, and tokenizer.json is made from them.
pub fn open(folder: &Path) -> Result<Box<dyn Tokenizer>> {
    let has = |file: &str| folder.join(file).is_file();
    if ["source.spm", "target.spm", "vocab.json"].into_iter().all(has) {
        return Ok(Box::new(Marian::open(folder)?));
    }
    if has("spiece.model") {
        return Ok(Box::new(T5::open(folder)?));
    }
    if has("tokenizer.json") {
        return Ok(Box::new(Json::open(&folder.join("tokenizer.json"))?));
    }
    Err(Error::MissingFile {
        path: folder.into(),
        what: "tokenizer (source.spm, target.spm and vocab.json; spiece.model; or tokenizer.json)"
            .into(),
    })
}
