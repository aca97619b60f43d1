//! tokenizer.json, the format of the `tokenizers` crate, read by that crate.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::charsmap::Charsmap;
use super::pieces::trimmed;
use super::{Decoded, Token, Tokenizer};
use crate::text::Span;
use crate::{Error, Result};

const WHAT: &str = "tokenizer";
const EOS: &str = "</s>";
const UNKNOWN: &str = "<unk>";

/// A tokenizer.json for both languages, with an end of sentence `</s>`.
///
/// Ids equal those of transformers, with two differences. A special token written in a text never
/// becomes that token: it is cut like other text (`split_special_tokens=True` there), and where the
/// vocabulary has it as a piece too, it is unknown. And the end of sentence is always there.
pub struct Json {
    path: PathBuf,
    tokenizer: tokenizers::Tokenizer,
    /// By id; empty where no piece has the id.
    pieces: Vec<String>,
    /// Ids that decode to nothing.
    special: HashSet<u32>,
    eos: u32,
    unknown: Option<u32>,
}

impl Json {
    /// Reads a tokenizer.json.
    pub fn open(path: &Path) -> Result<Self> {
        let malformed = |detail: String| Error::malformed(path, WHAT, detail);
        let bytes = std::fs::read(path).map_err(Error::read(path))?;
        check_charsmaps(&bytes).map_err(malformed)?;
        let mut tokenizer =
            tokenizers::Tokenizer::from_bytes(&bytes).map_err(|e| malformed(e.to_string()))?;
        tokenizer.set_encode_special_tokens(true);
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| malformed(e.to_string()))?;

        let ids = tokenizer.get_vocab(true);
        let eos = *ids.get(EOS).ok_or_else(|| Error::Unsupported {
            path: path.into(),
            detail: format!("it has no {EOS} to end sentences with"),
        })?;
        // Vocabularies are dense; a large hole means a damaged file, and must not cost memory.
        let size = ids.values().max().map_or(0, |&id| id as usize + 1);
        if size > 2 * ids.len() + 1 {
            return Err(malformed(format!("{} pieces, but the id {}", ids.len(), size - 1)));
        }
        let unknown = ids.get(UNKNOWN).copied();
        let mut pieces = vec![String::new(); size];
        for (piece, id) in ids {
            pieces[id as usize] = piece;
        }
        let added = tokenizer.get_added_tokens_decoder();
        let special =
            added.iter().filter(|(_, token)| token.special).map(|(&id, _)| id).chain([eos]);
        let special = special.collect();
        Ok(Json { path: path.into(), tokenizer, pieces, special, eos, unknown })
    }

    fn error(&self, error: tokenizers::Error) -> Error {
        Error::malformed(&self.path, WHAT, error)
    }
}

/// Refuses character maps that the crate would look up without bounds.
fn check_charsmaps(bytes: &[u8]) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Parts {
        normalizer: Option<Value>,
    }
    let parts: Parts = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    // The depth of a value is bounded by its parser.
    let mut open: Vec<&Value> = parts.normalizer.iter().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Array(values) => open.extend(values),
            Value::Object(fields) => {
                if let Some(Value::String(map)) = fields.get("precompiled_charsmap") {
                    let map = BASE64_STANDARD.decode(map).map_err(|e| e.to_string())?;
                    if !Charsmap::parse(&map)?.is_closed() {
                        return Err("the character map points outside of itself".into());
                    }
                }
                open.extend(fields.values());
            }
            _ => {}
        }
    }
    Ok(())
}

impl Tokenizer for Json {
    fn encode(&self, text: &str) -> Result<Vec<Token>> {
        let encoding = self.tokenizer.encode(text, true).map_err(|e| self.error(e))?;
        let end = Token { id: self.eos, span: Span::new(text.len(), text.len()) };
        let mut tokens: Vec<Token> = Vec::with_capacity(encoding.len() + 1);
        let made = encoding.get_ids().iter().zip(encoding.get_offsets());
        let made = made.zip(encoding.get_tokens()).zip(encoding.get_special_tokens_mask());
        for (((&id, &(start, stop)), piece), &framing) in made {
            let before = tokens.last().map_or(0, |token| token.span.start);
            if framing == 1 {
                // What the tokenizer puts around a text.
                let here = Span::new(before, before);
                tokens.push(if id == self.eos { end } else { Token { id, span: here } });
                continue;
            }
            let id = match self.special.contains(&id) {
                true => self.unknown,
                false => Some(id),
            };
            let Some(id) = id else { continue };
            // A space that the tokenizer put in front stands for no byte of the text.
            let stop = if piece.chars().all(|c| c == '▁') { start } else { stop };
            tokens.push(Token { id, span: bare(text, start.max(before), stop) });
        }
        if tokens.last().is_none_or(|token| token.id != self.eos) {
            tokens.push(end);
        }
        Ok(tokens)
    }

    fn encode_target(&self, text: &str) -> Result<Vec<Token>> {
        self.encode(text)
    }

    /// As the trait says; an id outside the vocabulary adds nothing, for embedding tables are often
    /// padded.
    fn decode(&self, ids: &[u32]) -> Result<Decoded> {
        let text_of = |ids: &[u32]| self.tokenizer.decode(ids, true).map_err(|e| self.error(e));
        let text = text_of(ids)?;
        // A decoder may join, drop and replace pieces as it likes, so where a token's text ends is
        // found by decoding up to it. A character's bytes may be several tokens: all have its span.
        let mut spans = vec![None; ids.len()];
        let (mut start, mut first) = (0, 0);
        for at in 0..ids.len() {
            if self.special.contains(&ids[at]) || self.piece(ids[at]).is_empty() {
                continue;
            }
            let so_far = text_of(&ids[..=at])?;
            let stop = common_prefix(&so_far, &text);
            if stop < so_far.len() && at + 1 < ids.len() {
                continue; // the last character is not complete
            }
            for (id, span) in ids[first..=at].iter().zip(&mut spans[first..=at]) {
                let nothing = self.special.contains(id) || self.piece(*id).is_empty();
                *span = (!nothing).then_some(Span::new(start, stop));
            }
            (start, first) = (stop, at + 1);
        }
        Ok(trimmed(&text, &spans))
    }

    fn piece(&self, id: u32) -> &str {
        self.pieces.get(id as usize).map_or("", String::as_str)
    }

    fn vocab_size(&self) -> usize {
        self.pieces.len()
    }
}

/// The span `start..stop` widened to whole characters, without spaces at its ends.
fn bare(text: &str, start: usize, stop: usize) -> Span {
    let whole = |at: &usize| text.is_char_boundary(*at);
    let start = (0..=start.min(text.len())).rev().find(whole).unwrap_or(0);
    let stop = (stop.max(start)..=text.len()).find(whole).unwrap_or(text.len());
    let piece = &text[start..stop];
    let start = stop - piece.trim_start().len();
    Span::new(start, start + piece.trim().len())
}

/// Length of the longest text that both begin with.
fn common_prefix(a: &str, b: &str) -> usize {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b);
    same.map(|(c, _)| c.len_utf8()).sum()
}

impl std::fmt::Debug for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Json").field("path", &self.path).finish_non_exhaustive()
    }
}
