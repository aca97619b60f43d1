//! chrF (Popović, 2015) and chrF++ (Popović, 2017) as sacrebleu computes them.

use std::fmt;

use super::bleu::References;
use super::{count, is_space, ratio, shared, split_words};

/// Longest character n-gram that counts.
const CHAR_ORDER: usize = 6;
/// Recall weighs β² times as much as precision, β = 2.
const BETA_SQUARED: f64 = 4.0;

/// Corpus chrF2 (or chrF2++) with sacrebleu's defaults: character n-grams up to 6 without white
/// space, case kept, orders that one side lacks left out of the mean.
///
/// ```
/// let mut chrf = tarjim::eval::Chrf::new();
/// chrf.add("bridges", &["bridges"]);
/// assert_eq!(chrf.score().score, 100.0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Chrf {
    /// Of chrF++: also words up to this n-gram order.
    word_order: usize,
    /// By order: characters first, then words.
    orders: Vec<Matches>,
    references: References,
}

/// N-grams of one order.
#[derive(Clone, Copy, Debug, Default)]
struct Matches {
    hypothesis: u64,
    reference: u64,
    both: u64,
}

/// A corpus chrF.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ChrfScore {
    /// chrF, 0 to 100.
    pub score: f64,
    /// `chrF2`, or `chrF2++` with word n-grams.
    pub name: &'static str,
    /// How the score was computed, in sacrebleu's notation.
    pub signature: String,
}

impl Chrf {
    /// chrF2 of a corpus without lines.
    pub fn new() -> Self {
        Chrf::default()
    }

    /// chrF2++, which also counts words and pairs of words.
    pub fn plus_plus() -> Self {
        Chrf { word_order: 2, ..Chrf::default() }
    }

    /// Adds one line and its references, of which the best counts.
    pub fn add(&mut self, hypothesis: &str, references: &[&str]) {
        let hypothesis = Segment::new(hypothesis);
        let mut best: Option<(f64, Vec<Matches>)> = None;
        for reference in references {
            let matches = hypothesis.matches(&Segment::new(reference), self.word_order);
            let score = f_score(&matches);
            if best.as_ref().is_none_or(|(before, _)| score > *before) {
                best = Some((score, matches));
            }
        }
        if let Some((_, matches)) = best {
            self.orders.resize(CHAR_ORDER + self.word_order, Matches::default());
            for (sum, one) in self.orders.iter_mut().zip(matches) {
                sum.hypothesis += one.hypothesis;
                sum.reference += one.reference;
                sum.both += one.both;
            }
        }
        self.references.see(references.len());
    }

    /// The chrF of all lines added so far.
    pub fn score(&self) -> ChrfScore {
        ChrfScore {
            score: f_score(&self.orders),
            name: if self.word_order == 0 { "chrF2" } else { "chrF2++" },
            signature: format!(
                "nrefs:{}|case:mixed|eff:yes|nc:{CHAR_ORDER}|nw:{}|space:no|version:tarjim-{}",
                self.references,
                self.word_order,
                env!("CARGO_PKG_VERSION")
            ),
        }
    }
}

impl fmt::Display for ChrfScore {
    /// As sacrebleu prints it: `chrF2 = 61.20`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {:.2}", self.name, self.score)
    }
}

/// chrF2 of lines in memory: each item is a hypothesis and its references.
pub fn corpus_chrf<'a, R>(lines: impl IntoIterator<Item = (&'a str, R)>) -> ChrfScore
where
    R: AsRef<[&'a str]>,
{
    let mut chrf = Chrf::new();
    for (hypothesis, references) in lines {
        chrf.add(hypothesis, references.as_ref());
    }
    chrf.score()
}

/// F-score in percent of the precisions and recalls averaged over the orders both sides have.
fn f_score(orders: &[Matches]) -> f64 {
    let (mut precision, mut recall, mut used) = (0.0, 0.0, 0.0);
    for order in orders.iter().filter(|order| order.hypothesis > 0 && order.reference > 0) {
        precision += ratio(order.both, order.hypothesis);
        recall += ratio(order.both, order.reference);
        used += 1.0;
    }
    if precision + recall == 0.0 {
        return 0.0;
    }
    let (precision, recall) = (precision / used, recall / used);
    100.0 * (1.0 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall)
}

/// One line, ready to be cut into n-grams.
struct Segment<'a> {
    /// The line without white space.
    text: String,
    /// Where each character of `text` starts, and the end of the last.
    starts: Vec<usize>,
    words: Vec<&'a str>,
}

impl<'a> Segment<'a> {
    fn new(line: &'a str) -> Self {
        let text: String = line.chars().filter(|&c| !is_space(c)).collect();
        let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        Segment { starts, text, words: split_words(line).flat_map(without_punctuation).collect() }
    }

    /// All character n-grams of order `n`.
    fn char_grams(&self, n: usize) -> impl Iterator<Item = &str> {
        self.starts.windows(n + 1).map(move |at| &self.text[at[0]..at[n]])
    }

    /// The n-grams of every order that `self` shares with `reference`.
    fn matches(&self, reference: &Segment<'_>, word_order: usize) -> Vec<Matches> {
        let chars = (1..=CHAR_ORDER).map(|n| {
            let both = shared(&count(self.char_grams(n)), &count(reference.char_grams(n)));
            (self.char_grams(n).count(), reference.char_grams(n).count(), both)
        });
        let words = (1..=word_order).map(|n| {
            let both = shared(&count(self.words.windows(n)), &count(reference.words.windows(n)));
            (self.words.windows(n).len(), reference.words.windows(n).len(), both)
        });
        chars
            .chain(words)
            .map(|(hypothesis, reference, both)| Matches {
                // What no reference could match is not held against the hypothesis.
                hypothesis: if reference == 0 { 0 } else { hypothesis as u64 },
                reference: reference as u64,
                both,
            })
            .collect()
    }
}

/// A word with one punctuation mark taken off its end, or else off its start.
fn without_punctuation(word: &str) -> impl Iterator<Item = &str> {
    let (first, last) = (word.chars().next(), word.chars().next_back());
    let cut = match (first, last) {
        (Some(first), Some(_)) if first.len_utf8() == word.len() => 0,
        (_, Some(last)) if last.is_ascii_punctuation() => word.len() - 1,
        (Some(first), _) if first.is_ascii_punctuation() => 1,
        _ => 0,
    };
    let (head, tail) = word.split_at(cut);
    [head, tail].into_iter().filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_one_punctuation_mark_off() {
        let parts = |word| without_punctuation(word).collect::<Vec<_>>();
        assert_eq!(parts("(hi)"), ["(hi", ")"]);
        assert_eq!(parts("(hi"), ["(", "hi"]);
        assert_eq!(parts("."), ["."]);
        assert_eq!(parts("é"), ["é"]);
        assert_eq!(parts("hi"), ["hi"]);
    }

    #[test]
    fn takes_the_best_reference() {
        let both = corpus_chrf([("bridge", ["xyz", "bridge"])]);
        assert_eq!(both.score, 100.0);
        assert_eq!(corpus_chrf([("bridge", ["xyz"])]).score, 0.0);
    }

    #[test]
    fn white_space_does_not_count() {
        assert_eq!(corpus_chrf([("a b\u{a0}c", ["ab c"])]).score, 100.0);
        assert_eq!(Chrf::new().score().score, 0.0);
    }
}
