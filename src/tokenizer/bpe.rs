//! Byte-pair segmentation: neighbours are merged, the best-scored pair first.
//!
//! Written here and not taken from the `tokenizers` crate because that one merges by a list of pairs,
//! which the model file does not hold, and knows no user-defined or unused pieces: SentencePiece
//! merges any two neighbours that together are a piece.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use super::proto::PieceType;
use super::sentencepiece::Vocabulary;

/// A stretch of the text, linked to its neighbours; empty once merged into the one before it.
struct Symbol {
    start: usize,
    end: usize,
    previous: Option<usize>,
    next: Option<usize>,
    /// User-defined symbols are never merged.
    frozen: bool,
}

/// Two neighbours that could be merged. Stale once either has changed, which its length shows.
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    length: usize,
}

impl Ord for Pair {
    /// The greatest is merged first: the highest score, of equal scores the leftmost.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

struct Merger<'a> {
    vocabulary: &'a Vocabulary,
    text: &'a str,
    symbols: Vec<Symbol>,
    agenda: BinaryHeap<Pair>,
    /// Unused pieces made on the way, and the length of their left half: they are taken apart again.
    halves: HashMap<&'a str, usize>,
}

/// The pieces of a normalized text: where each ends, and its id.
pub(super) fn segment(vocabulary: &Vocabulary, text: &str) -> Vec<(usize, u32)> {
    let mut merger = Merger {
        vocabulary,
        text,
        symbols: symbols(vocabulary, text),
        agenda: BinaryHeap::new(),
        halves: HashMap::new(),
    };
    for right in 1..merger.symbols.len() {
        merger.propose(Some(right - 1), Some(right));
    }
    merger.merge();
    merger.pieces()
}

/// The text as single characters and user-defined symbols.
fn symbols(vocabulary: &Vocabulary, text: &str) -> Vec<Symbol> {
    let mut symbols: Vec<Symbol> = Vec::with_capacity(text.len());
    let mut start = 0;
    while let Some(c) = text[start..].chars().next() {
        let user_defined = vocabulary.user_defined.prefixes(&text[start..]).last();
        let end = start + user_defined.map_or(c.len_utf8(), |(length, _)| length);
        let at = symbols.len();
        if let Some(last) = symbols.last_mut() {
            last.next = Some(at);
        }
        let previous = at.checked_sub(1);
        symbols.push(Symbol { start, end, previous, next: None, frozen: user_defined.is_some() });
        start = end;
    }
    symbols
}

impl<'a> Merger<'a> {
    /// Puts a pair of neighbours on the agenda if together they are a piece.
    fn propose(&mut self, left: Option<usize>, right: Option<usize>) {
        let (Some(left), Some(right)) = (left, right) else { return };
        let (a, b) = (&self.symbols[left], &self.symbols[right]);
        if a.frozen || b.frozen {
            return;
        }
        let piece = &self.text[a.start..b.end];
        let Some(id) = self.vocabulary.trie.get(piece) else { return };
        if self.vocabulary.types[id as usize] == PieceType::Unused {
            self.halves.insert(piece, a.end - a.start);
        }
        let score = self.vocabulary.scores[id as usize];
        self.agenda.push(Pair { score, left, right, length: piece.len() });
    }

    fn merge(&mut self) {
        while let Some(Pair { left, right, length, .. }) = self.agenda.pop() {
            let (a, b) = (&self.symbols[left], &self.symbols[right]);
            let stale = a.start == a.end || b.start == b.end || b.end - a.start != length;
            if stale || a.next != Some(right) {
                continue;
            }
            let (end, next) = (b.end, b.next);
            self.symbols[right].start = end;
            self.symbols[left].end = end;
            self.symbols[left].next = next;
            if let Some(next) = next {
                self.symbols[next].previous = Some(left);
            }
            self.propose(self.symbols[left].previous, Some(left));
            self.propose(Some(left), next);
        }
    }

    fn pieces(&self) -> Vec<(usize, u32)> {
        let mut pieces = Vec::new();
        let mut apart = Vec::new();
        let mut at = self.symbols.first().map(|_| 0);
        while let Some(symbol) = at.map(|at| &self.symbols[at]) {
            apart.push((symbol.start, symbol.end));
            while let Some((start, end)) = apart.pop() {
                let piece = &self.text[start..end];
                let id = self.vocabulary.trie.get(piece).unwrap_or(self.vocabulary.unknown);
                match self.halves.get(piece) {
                    Some(left) => apart.extend([(start + left, end), (start, start + left)]),
                    None => pieces.push((end, id)),
                }
            }
            at = symbol.next;
        }
        pieces
    }
}
