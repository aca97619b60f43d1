//! Unigram segmentation: the most probable sequence of pieces, by Viterbi.
//!
//! Written here and not taken from the `tokenizers` crate because that one adds scores in f64,
//! knows no user-defined or unused pieces, and finds control pieces in the text; each gives other
//! pieces than SentencePiece for some text. Scores are added in f32 and in SentencePiece's order, so
//! that near ties fall the same way.

use super::proto::PieceType;
use super::sentencepiece::Vocabulary;

/// How much worse an unknown character is than the worst piece.
const UNKNOWN_PENALTY: f32 = 10.0;

/// The best way to reach a place in the text.
#[derive(Clone, Copy)]
struct Best {
    score: f32,
    id: u32,
    /// Where the last piece begins; `UNREACHED` where no piece ends here.
    start: usize,
}

const UNREACHED: usize = usize::MAX;

/// The pieces of a normalized text: where each ends, and its id.
pub(super) fn segment(vocabulary: &Vocabulary, text: &str) -> Vec<(usize, u32)> {
    let unknown_score = vocabulary.min_score - UNKNOWN_PENALTY;
    let mut best =
        vec![Best { score: 0.0, id: vocabulary.unknown, start: UNREACHED }; text.len() + 1];
    for (start, c) in text.char_indices() {
        let here = best[start].score;
        let mut whole_character = false;
        for (length, id) in vocabulary.trie.prefixes(&text[start..]) {
            let score = match vocabulary.types[id as usize] {
                PieceType::Unused => continue,
                PieceType::UserDefined => {
                    (f64::from(length as f32 * vocabulary.max_score) - 0.1) + f64::from(here)
                }
                _ => f64::from(vocabulary.scores[id as usize]) + f64::from(here),
            };
            improve(&mut best[start + length], score, id, start);
            whole_character |= length == c.len_utf8();
        }
        if !whole_character {
            let score = f64::from(unknown_score + here);
            improve(&mut best[start + c.len_utf8()], score, vocabulary.unknown, start);
        }
    }

    let mut pieces = Vec::new();
    let mut end = text.len();
    while end > 0 {
        pieces.push((end, best[end].id));
        end = best[end].start;
    }
    pieces.reverse();
    pieces
}

/// Keeps the better of two ways to one place; the sum is compared before it is rounded to f32.
fn improve(best: &mut Best, score: f64, id: u32, start: usize) {
    if best.start == UNREACHED || score > f64::from(best.score) {
        *best = Best { score: score as f32, id, start };
    }
}
