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

/// What a user-defined piece scores for every byte after its first, whatever its score in the file:
/// more than any normal piece, whose score is a log-probability. (As measured on sentencepiece
/// 0.2.3; older releases gave them about -0.1 in all.)
const USER_DEFINED: f32 = 0.1;

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
                PieceType::UserDefined => length as f32 * USER_DEFINED - USER_DEFINED,
                _ => vocabulary.scores[id as usize],
            };
            improve(&mut best[start + length], score + here, id, start);
            whole_character |= length == c.len_utf8();
        }
        if !whole_character {
            let score = unknown_score + here;
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

/// Keeps the better of two ways to one place, of equal ones the first.
fn improve(best: &mut Best, score: f32, id: u32, start: usize) {
    if best.start == UNREACHED || score > best.score {
        *best = Best { score, id, start };
    }
}
