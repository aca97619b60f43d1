//! From the attention of the alignment head to links between words.

mod anchors;

use serde::Serialize;

use crate::text::Span;

/// A text cut into words and into the model's tokens, both as byte spans.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The text.
    pub text: &'a str,
    /// Its words, in order.
    pub words: &'a [Span],
    /// Its tokens, in order; special tokens are empty.
    pub tokens: &'a [Span],
}

/// A target word that stands for a source word.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Link {
    /// Number of the source word, from 0.
    pub source: usize,
    /// Number of the target word, from 0.
    pub target: usize,
    /// How much of the target word is due to the source word, 0 to 1.
    pub score: f32,
}

/// Which words are linked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Least score of a link.
    pub threshold: f32,
    /// Whether equal numbers and Latin words that stand once in either text are linked, whatever
    /// the attention says.
    pub anchors: bool,
}

impl Default for Options {
    /// The threshold of the lowest error on hand-aligned sentences (docs/alignment.md).
    fn default() -> Self {
        Options { threshold: 0.35, anchors: true }
    }
}

/// Links the words of `target` to those of `source`, in order of the target.
///
/// `attention` is `[target tokens][source tokens]`, each row what its token looked at. A target
/// word's row is the mean over its tokens; a source word's column is the sum over its tokens.
/// These are balanced so that source words share the target as target words share the source, and
/// a link is a pair of words above the threshold. What a word's attention has on the end of the
/// sentence says that it stands for no word, and is shared out to none.
pub fn links(
    attention: &[Vec<f32>],
    source: Side<'_>,
    target: Side<'_>,
    options: Options,
) -> Vec<Link> {
    let source_words = words_of_tokens(source);
    let mut scores = vec![vec![0f32; source.words.len()]; target.words.len()];
    let mut rows = vec![0usize; target.words.len()];
    for (row, words) in attention.iter().zip(words_of_tokens(target)) {
        for word in words {
            rows[word] += 1;
            for (&weight, sources) in row.iter().zip(&source_words) {
                // A token that reaches over several words is shared out.
                let share = weight / sources.len().max(1) as f32;
                sources.clone().for_each(|source| scores[word][source] += share);
            }
        }
    }
    for (scores, &rows) in scores.iter_mut().zip(&rows) {
        scores.iter_mut().for_each(|score| *score /= rows.max(1) as f32);
    }
    balance(&mut scores);
    if options.anchors {
        for (s, t) in anchors::pairs(source, target) {
            scores[t].fill(0.0);
            scores.iter_mut().for_each(|row| row[s] = 0.0);
            scores[t][s] = 1.0;
        }
    }
    let mut links = Vec::new();
    for (t, scores) in scores.iter().enumerate() {
        for (s, &score) in scores.iter().enumerate() {
            if score >= options.threshold && score > 0.0 {
                links.push(Link { source: s, target: t, score: score.min(1.0) });
            }
        }
    }
    links
}

/// Balances a matrix of words by scaling columns and rows in turn (Sinkhorn and Knopp 1967). Attention
/// is a distribution over the source only: words such as punctuation draw some from every
/// target word, and share what they draw out among many. What a row has on no word stays there.
fn balance(scores: &mut [Vec<f32>]) {
    /// More change nothing for the better.
    const ROUNDS: usize = 2;
    /// A source word that draws less than this stands for nothing in the target: it is not blown up.
    const LEAST: f32 = 0.4;
    let nowhere: Vec<f32> =
        scores.iter().map(|row| (1.0 - row.iter().sum::<f32>()).max(0.0)).collect();
    let width = scores.first().map_or(0, Vec::len);
    for _ in 0..ROUNDS {
        for s in 0..width {
            let sum: f32 = scores.iter().map(|row| row[s]).sum();
            scores.iter_mut().for_each(|row| row[s] /= sum.max(LEAST));
        }
        for (row, nowhere) in scores.iter_mut().zip(&nowhere) {
            let sum = row.iter().sum::<f32>() + nowhere;
            if sum > 0.0 {
                row.iter_mut().for_each(|score| *score /= sum);
            }
        }
    }
}

/// For each token the numbers of the words it lies in. An empty token, such as a lone space, goes
/// with the word that begins there; the end of the sentence with none.
fn words_of_tokens(side: Side<'_>) -> Vec<std::ops::Range<usize>> {
    let of = |token: &Span| {
        let first = side.words.partition_point(|word| word.end <= token.start);
        let last = match token.is_empty() {
            true => {
                let begins = side.words.get(first).is_some_and(|word| word.start <= token.end + 1);
                first + usize::from(begins && token.start < side.text.len())
            }
            false => side.words.partition_point(|word| word.start < token.end),
        };
        first..last.max(first)
    };
    side.tokens.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans(pairs: &[(usize, usize)]) -> Vec<Span> {
        pairs.iter().map(|&(start, end)| Span::new(start, end)).collect()
    }

    const PLAIN: Options = Options { threshold: 0.3, anchors: true };

    #[test]
    fn subwords_count_together() {
        // Two source words of one and two tokens, and the end of the sentence.
        let source_words = spans(&[(0, 2), (3, 7)]);
        let source_tokens = spans(&[(0, 2), (3, 5), (5, 7), (7, 7)]);
        let source = Side { text: "ab cdef", words: &source_words, tokens: &source_tokens };
        let target_words = spans(&[(0, 2), (3, 5)]);
        let target_tokens = spans(&[(0, 1), (1, 2), (3, 5), (5, 5)]);
        let target = Side { text: "xy zz", words: &target_words, tokens: &target_tokens };
        // The first target word looks at the second source word, the second at the end.
        let attention = [
            vec![0.0, 0.5, 0.5, 0.0],
            vec![0.2, 0.4, 0.4, 0.0],
            vec![0.0, 0.0, 0.0, 1.0],
            vec![1.0, 0.0, 0.0, 0.0],
        ];
        let found = links(&attention, source, target, Options { threshold: 0.6, anchors: true });
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].source, found[0].target), (1, 0));
    }

    #[test]
    fn balancing_takes_from_words_that_draw_from_all() {
        // The last source word draws most of the second row, but little of what it draws is from it.
        let mut scores = vec![vec![0.4, 0.1, 0.5], vec![0.0, 0.45, 0.55], vec![0.1, 0.0, 0.9]];
        balance(&mut scores);
        for (row, best) in scores.iter().zip([0, 1, 2]) {
            assert!(row.iter().all(|&score| score <= row[best]), "{scores:?}");
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{scores:?}");
        }
        let mut empty = vec![vec![0.0; 3]; 2];
        balance(&mut empty);
        assert_eq!(empty, vec![vec![0.0; 3]; 2]);
    }

    #[test]
    fn equal_numbers_are_linked_whatever_the_attention_says() {
        let text = "في ٢٠٢٠ و ٣";
        let source_words = crate::text::words(text);
        let source = Side { text, words: &source_words, tokens: &[] };
        let target_words = spans(&[(0, 1), (2, 4), (5, 9)]);
        let target = Side { text: "3 in 2020", words: &target_words, tokens: &[] };
        let found = links(&[], source, target, PLAIN);
        let pairs: Vec<_> = found.iter().map(|link| (link.source, link.target)).collect();
        assert_eq!(pairs, [(3, 0), (1, 2)]);
    }

    proptest! {
        #[test]
        fn links_point_at_words_whatever_the_attention(
            weights in prop::collection::vec(prop::collection::vec(0f32..1.0, 0..12), 0..12),
            source in "[a-c0-2 ]{0,12}",
            target in "[a-c0-2 ]{0,12}",
        ) {
            let (source_words, target_words) =
                (crate::text::words(&source), crate::text::words(&target));
            let tokens = |text: &str| -> Vec<Span> {
                (0..text.len()).map(|i| Span::new(i, i + 1)).collect()
            };
            let (source_tokens, target_tokens) = (tokens(&source), tokens(&target));
            let found = links(
                &weights,
                Side { text: &source, words: &source_words, tokens: &source_tokens },
                Side { text: &target, words: &target_words, tokens: &target_tokens },
                PLAIN,
            );
            for link in found {
                prop_assert!(link.source < source_words.len());
                prop_assert!(link.target < target_words.len());
                prop_assert!((0.0..=1.0).contains(&link.score));
            }
        }
    }
}
