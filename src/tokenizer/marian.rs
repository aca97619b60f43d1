//! The tokenizer of Marian checkpoints: two SentencePiece models cut the text, vocab.json numbers the
//! pieces.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::normalizer::SPACE;
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
    path: PathBuf,
    model: SentencePiece,
    ids: HashMap<String, u32>,
    /// The piece of every id and how it is decoded.
    pieces: Vec<(String, Kind)>,
    /// Id in the vocabulary for every piece of the model.
    of_model: Vec<u32>,
    eos: u32,
    unknown: u32,
}

/// What a piece adds to a decoded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// No piece has this id.
    Missing,
    /// End of sentence, padding, unknown: dropped before anything is decoded.
    Special,
    /// A control symbol of the model: nothing, but it ends a run of bytes.
    Control,
    Byte(u8),
    Text,
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
        self.target.decode(ids)
    }

    fn piece(&self, id: u32) -> &str {
        self.target.pieces.get(id as usize).map_or("", |(piece, _)| piece)
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
                if model.is_control(id) {
                    *kind = Kind::Control;
                } else if let Some(byte) = model.byte(id) {
                    *kind = Kind::Byte(byte);
                }
            }
        }
        Ok(Side { path: vocab.into(), model, ids, pieces, of_model, eos, unknown })
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

    fn decode(&self, ids: &[u32]) -> Result<Decoded> {
        let mut text = String::new();
        // Spans of the tokens that are not special, by place in `ids`.
        let mut spans = vec![None; ids.len()];
        let mut bytes: Vec<(usize, u8)> = Vec::new();
        for (at, &id) in ids.iter().enumerate() {
            let (piece, kind) = match self.pieces.get(id as usize) {
                Some((piece, kind)) if *kind != Kind::Missing => (piece, *kind),
                _ => {
                    let detail = format!("no piece has the id {id}");
                    return Err(Error::malformed(&self.path, "vocabulary", detail));
                }
            };
            match kind {
                Kind::Special => continue,
                Kind::Byte(byte) => {
                    bytes.push((at, byte));
                    continue;
                }
                _ => push_bytes(&mut bytes, &mut text, &mut spans),
            }
            let start = text.len();
            if kind == Kind::Text {
                text.extend(piece.chars().map(unescape));
            }
            spans[at] = Some(Span::new(start, text.len()));
        }
        push_bytes(&mut bytes, &mut text, &mut spans);
        Ok(trimmed(&text, &spans))
    }
}

fn unescape(c: char) -> char {
    if c == SPACE { ' ' } else { c }
}

/// Appends the characters that a run of byte tokens spells, U+FFFD for a byte that spells none.
fn push_bytes(run: &mut Vec<(usize, u8)>, text: &mut String, spans: &mut [Option<Span>]) {
    let bytes: Vec<u8> = run.iter().map(|&(_, byte)| byte).collect();
    let mut at = 0;
    while at < bytes.len() {
        let decoded = (1..=4usize.min(bytes.len() - at))
            .find_map(|length| std::str::from_utf8(&bytes[at..at + length]).ok());
        let character = decoded.unwrap_or("\u{fffd}");
        let start = text.len();
        text.extend(character.chars().map(unescape));
        let length = decoded.map_or(1, str::len);
        for &(token, _) in &run[at..at + length] {
            spans[token] = Some(Span::new(start, text.len()));
        }
        at += length;
    }
    run.clear();
}

/// The text without spaces at its ends, and every span without spaces at its ends; a special token
/// stands, empty, where the next token begins.
fn trimmed(text: &str, spans: &[Option<Span>]) -> Decoded {
    // What Python's str.strip takes: White_Space and the four information separators.
    let is_space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    let lead = text.len() - text.trim_start_matches(is_space).len();
    let text = text.trim_matches(is_space);
    let inside = |at: usize| at.saturating_sub(lead).min(text.len());
    let mut next = text.len();
    let mut out: Vec<Span> = spans
        .iter()
        .rev()
        .map(|span| {
            let span = span.map_or(Span::new(next, next), |span| {
                let span = Span::new(inside(span.start), inside(span.end));
                let piece = span.of(text);
                let start = span.end - piece.trim_start_matches(' ').len();
                Span::new(start, start + piece.trim_matches(' ').len())
            });
            next = span.start;
            span
        })
        .collect();
    out.reverse();
    Decoded { text: text.into(), spans: out }
}
