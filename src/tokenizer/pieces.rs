//! From ids back to text, every id with the bytes it became.

use std::path::{Path, PathBuf};

use super::normalizer::SPACE;
use super::{Decoded, SentencePiece};
use crate::text::Span;
use crate::{Error, Result};

/// What a piece adds to a decoded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No piece has this id.
    Missing,
    /// End of sentence, padding, unknown: dropped before anything is decoded.
    Special,
    /// A control symbol of the model: nothing, but it ends a run of bytes.
    Control,
    Byte(u8),
    Text,
}

impl Kind {
    /// Of a piece of a model.
    pub fn of(model: &SentencePiece, id: u32) -> Kind {
        match model.byte(id) {
            Some(byte) => Kind::Byte(byte),
            None if model.is_control(id) => Kind::Control,
            None => Kind::Text,
        }
    }
}

/// The pieces of a vocabulary by id.
#[derive(Debug)]
pub(super) struct Pieces {
    /// The file that numbers them.
    path: PathBuf,
    pieces: Vec<(String, Kind)>,
}

impl Pieces {
    /// The pieces in order of their ids, and how each is decoded.
    pub fn new(path: &Path, pieces: Vec<(String, Kind)>) -> Self {
        Pieces { path: path.into(), pieces }
    }

    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// The piece of an id; empty outside the vocabulary.
    pub fn piece(&self, id: u32) -> &str {
        self.pieces.get(id as usize).map_or("", |(piece, _)| piece)
    }

    /// The text of these ids; one that no piece has is an error.
    pub fn decode(&self, ids: &[u32]) -> Result<Decoded> {
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
pub(super) fn trimmed(text: &str, spans: &[Option<Span>]) -> Decoded {
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
