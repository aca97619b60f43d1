//! Normalization as SentencePiece does it, with the way back to the bytes of the original.

use super::charsmap::Charsmap;
use super::trie::Trie;
use crate::text::Span;

/// What SentencePiece writes for a space.
pub(super) const SPACE: char = '▁';

/// The rules of a model; the switches are named as in its `NormalizerSpec`.
#[derive(Debug)]
pub(super) struct Normalizer {
    pub charsmap: Charsmap,
    pub add_dummy_prefix: bool,
    pub remove_extra_whitespaces: bool,
    pub escape_whitespaces: bool,
    pub treat_whitespace_as_suffix: bool,
}

/// A normalized text and where its bytes come from.
#[derive(Debug, Default)]
pub(super) struct Normalized {
    pub text: String,
    /// For every byte of `text`, the place in the original where the characters it was made from
    /// begin; one more entry says where what was read of the original ends. Never decreases.
    origins: Vec<usize>,
}

impl Normalizer {
    /// Normalizes `original`; `user_defined` symbols are exempt from the character map.
    pub fn normalize(&self, original: &str, user_defined: &Trie) -> Normalized {
        let mut out = Normalized {
            text: String::with_capacity(original.len() * 3 / 2),
            origins: Vec::with_capacity(original.len() * 3 / 2),
        };
        let mut at = 0;
        if self.remove_extra_whitespaces {
            while at < original.len() {
                let (length, " ") = self.prefix(&original[at..], user_defined) else { break };
                at += length;
            }
        }
        if at == original.len() {
            return Normalized { text: String::new(), origins: vec![0] };
        }

        if self.add_dummy_prefix && !self.treat_whitespace_as_suffix {
            out.push(self.space(), at);
        }
        let mut after_space = self.remove_extra_whitespaces;
        while at < original.len() {
            let (length, mut piece) = self.prefix(&original[at..], user_defined);
            if after_space {
                piece = piece.trim_start_matches(' ');
            }
            for c in piece.chars() {
                out.push(if c == ' ' { self.space() } else { c }, at);
            }
            if !piece.is_empty() {
                after_space = self.remove_extra_whitespaces && piece.ends_with(' ');
            }
            at += length;
        }

        if self.remove_extra_whitespaces {
            while out.text.ends_with(self.space()) {
                out.text.pop();
                at = out.origins[out.text.len()];
                out.origins.truncate(out.text.len());
            }
        }
        if self.add_dummy_prefix && self.treat_whitespace_as_suffix {
            out.push(self.space(), at);
        }
        out.origins.push(at);
        out
    }

    /// How many bytes of `text` (not empty) to replace next, and with what.
    fn prefix<'a>(&'a self, text: &'a str, user_defined: &Trie) -> (usize, &'a str) {
        if let Some((length, _)) = user_defined.prefixes(text).last() {
            return (length, &text[..length]);
        }
        self.charsmap.longest(text).unwrap_or_else(|| {
            let length = text.chars().next().map_or(0, char::len_utf8);
            (length, &text[..length])
        })
    }

    fn space(&self) -> char {
        if self.escape_whitespaces { SPACE } else { ' ' }
    }
}

impl Normalized {
    fn push(&mut self, c: char, origin: usize) {
        self.text.push(c);
        self.origins.resize(self.text.len(), origin);
    }

    /// The surface of `start..end` as SentencePiece reports it. The surfaces of successive pieces
    /// tile the text, so of several pieces made from one character only the last has it.
    pub fn surface(&self, start: usize, end: usize) -> Span {
        Span::new(self.origins[start], self.origins[end])
    }

    /// The bytes of the original that `start..end` stands for, spaces at its ends left out.
    pub fn span(&self, start: usize, end: usize) -> Span {
        let piece = &self.text[start..end];
        let is_space = |c: char| c == SPACE || c == ' ';
        let first = start + (piece.len() - piece.trim_start_matches(is_space).len());
        if first == end {
            return Span::new(self.origins[end], self.origins[end]);
        }
        let last = start + piece.trim_end_matches(is_space).len() - 1;
        // Where the next character begins; all bytes made from one character share an origin.
        let mut following = self.origins[last + 1..].iter();
        let stop = following.find(|&&origin| origin > self.origins[last]);
        Span::new(self.origins[first], *stop.unwrap_or(&self.origins[last]))
    }
}
