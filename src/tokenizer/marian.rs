//! The tokenizer of Marian checkpoints: two SentencePiece models cut the text, vocab.json numbers the
//! pieces.

use std::collections::HashMap;
use std::path::Path;

use super::pieces::{Kind, Pieces};
use super::{Decoded, SentencePiece, Token, Tokenizer};
use crate::text::Span;
use crate::{Error, Result};

const EOS: &str = "</s>";
const UNKNOWN: &str = "<unk>";
const PAD: &str = "<pad>";

/// source.spm, target.spm and vocab.json, and target_vocab.json where the target has ids of its own.
///
/// Equal to `MarianTokenizer` of transformers, with two differences that keep text from posing as
/// something else: `</s>` written in a text is text (`split_special_tokens=True` there), and a
/// `>>code<<` at the start is a language code only if the vocabulary has it. Ids are decoded by the
/// target's model (`use_source_tokenizer=False` there) and special tokens dropped; spaces before
/// punctuation stay, as `clean_up_tokenization_spaces` is off there too.
#[derive(Debug)]
pub struct Marian {
    source: Side,
    target: Side,
}

/// One language: its model and the ids of its pieces.
#[derive(Debug)]
struct Side {
    model: SentencePiece,
    ids: HashMap<String, u32>,
    pieces: Pieces,
    /// Id in the vocabulary for every piece of the model.
    of_model: Vec<u32>,
    eos: u32,
    unknown: u32,
}

impl Marian {
    /// Opens the tokenizer in a folder.
    pub fn open(folder: &Path) -> Result<Self> {
        let vocab = folder.join("vocab.json");
        let target_vocab = folder.join("target_vocab.json");
        let target_vocab = if target_vocab.is_file() { target_vocab } else { vocab.clone() };
        Ok(Marian {
            source: Side::open(&folder.join("source.spm"), &vocab)?,
            target: Side::open(&folder.join("target.spm"), &target_vocab)?,
        })
    }
}

impl Tokenizer for Marian {
    fn encode(&self, text: &str) -> Result<Vec<Token>> {
        Ok(self.source.encode(text))
    }

    fn encode_target(&self, text: &str) -> Result<Vec<Token>> {
        Ok(self.target.encode(text))
    }

    fn decode(&self, ids: &[u32]) -> Result<Decoded> {
        self.target.pieces.decode(ids)
    }

    fn piece(&self, id: u32) -> &str {
        self.target.pieces.piece(id)
    }

    fn vocab_size(&self) -> usize {
        self.target.pieces.len()
    }
}

impl Side {
    fn open(model: &Path, vocab: &Path) -> Result<Self> {
        let malformed = |detail: String| Error::malformed(vocab, "vocabulary", detail);
        let bytes = std::fs::read(vocab).map_err(Error::read(vocab))?;
        let ids: HashMap<String, u32> =
            serde_json::from_slice(&bytes).map_err(|e| malformed(e.to_string()))?;
        let model = SentencePiece::read(model)?;

        let id_of = |piece| {
            ids.get(piece).copied().ok_or_else(|| malformed(format!("it has no piece {piece:?}")))
        };
        let (eos, unknown) = (id_of(EOS)?, id_of(UNKNOWN)?);
        let of_model: Vec<u32> = (0..model.vocab_size() as u32)
            .map(|id| ids.get(model.piece(id)).copied().unwrap_or(unknown))
            .collect();

        // Vocabularies are dense; a large hole means a damaged file, and must not cost memory.
        let size = ids.values().max().map_or(0, |&id| id as usize + 1);
        if size > 2 * ids.len() + 1 {
            return Err(malformed(format!("{} pieces, but the id {}", ids.len(), size - 1)));
        }
        let mut pieces = vec![(String::new(), Kind::Missing); size];
        for (piece, &id) in &ids {
            let kind = if [EOS, UNKNOWN, PAD].contains(&piece.as_str()) {
                Kind::Special
            } else {
                Kind::Text
            };
            pieces[id as usize] = (piece.clone(), kind);
        }
        for id in 0..model.vocab_size() as u32 {
            let (piece, kind) = &mut pieces[of_model[id as usize] as usize];
            if *kind == Kind::Text && piece == model.piece(id) {
                *kind = Kind::of(&model, id);
            }
        }
        Ok(Side { model, ids, pieces: Pieces::new(vocab, pieces), of_model, eos, unknown })
    }

    fn encode(&self, text: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        let mut start = 0;
        if let Some((id, length)) = self.language_code(text) {
            tokens.push(Token { id, span: Span::new(0, length) });
            start = length;
        }
        tokens.extend(self.model.encode(&text[start..]).into_iter().map(|piece| {
            let id = if piece.id == self.model.unknown() {
                // The vocabulary may know a piece that the model does not.
                self.ids.get(&piece.text).copied().unwrap_or(self.unknown)
            } else {
                self.of_model[piece.id as usize]
            };
            Token { id, span: piece.span.shift(start) }
        }));
        tokens.push(Token { id: self.eos, span: Span::new(text.len(), text.len()) });
        tokens
    }

    /// The id and length of a `>>code<<` that `text` begins with.
    fn language_code(&self, text: &str) -> Option<(u32, usize)> {
        let length = text.strip_prefix(">>")?.find("<<")? + 4;
        self.ids.get(&text[..length]).map(|&id| (id, length))
    }
}
