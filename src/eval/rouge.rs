//! ROUGE-1, ROUGE-2, ROUGE-L and ROUGE-Lsum (Lin, 2004) as the rouge-score package computes
//! them without stemming.

use std::fmt;

use super::{count, f1, ratio, shared};
use crate::summarize::{normalized, stem};
use crate::text::words;

/// Most cells of a longest-common-subsequence table (tokens times tokens): 128 MiB of bits.
const MAX_CELLS: usize = 1 << 30;

/// Precision, recall and their harmonic mean, each 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct FMeasure {
    /// Of the prediction's units, the part the reference has.
    pub precision: f64,
    /// Of the reference's units, the part the prediction has.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
}

impl FMeasure {
    fn new(hits: u64, predicted: u64, reference: u64) -> Self {
        let (precision, recall) = (ratio(hits, predicted), ratio(hits, reference));
        FMeasure { precision, recall, f1: f1(precision, recall) }
    }
}

/// The ROUGE of one text, or the mean over a corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct RougeScore {
    /// Shared tokens.
    pub rouge1: FMeasure,
    /// Shared pairs of tokens.
    pub rouge2: FMeasure,
    /// Longest common subsequence of the whole texts.
    #[serde(rename = "rougeL")]
    pub rouge_l: FMeasure,
    /// Longest common subsequences of lines, for summaries with one sentence a line.
    #[serde(rename = "rougeLsum")]
    pub rouge_lsum: FMeasure,
}

impl RougeScore {
    /// The figures with their usual names.
    pub fn named(&self) -> [(&'static str, FMeasure); 4] {
        [
            ("rouge1", self.rouge1),
            ("rouge2", self.rouge2),
            ("rougeL", self.rouge_l),
            ("rougeLsum", self.rouge_lsum),
        ]
    }

    fn figures(&mut self) -> [&mut FMeasure; 4] {
        [&mut self.rouge1, &mut self.rouge2, &mut self.rouge_l, &mut self.rouge_lsum]
    }
}

impl fmt::Display for RougeScore {
    /// F-measures in percent, one a line: `ROUGE-1 = 45.30 (P = 44.10 R = 46.60)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, figure)) in self.named().into_iter().enumerate() {
            let FMeasure { precision, recall, f1 } = figure;
            write!(
                f,
                "{}ROUGE-{} = {:.2} (P = {:.2} R = {:.2})",
                if i == 0 { "" } else { "\n" },
                &name["rouge".len()..],
                100.0 * f1,
                100.0 * precision,
                100.0 * recall
            )?;
        }
        Ok(())
    }
}

/// Two texts too long for their common subsequence to be found in bounded memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{predicted} tokens against {reference} are too many for ROUGE-L")]
pub struct TooLong {
    /// Tokens of the prediction.
    pub predicted: usize,
    /// Tokens of the reference.
    pub reference: usize,
}

/// What ROUGE counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RougeUnit {
    /// The tokens of the rouge-score package: English words as they are.
    #[default]
    English,
    /// Lightly stemmed words of any script: for Arabic, where a word takes its article and conjunctions
    /// with it.
    Stems,
}

impl RougeUnit {
    fn tokens(self, text: &str) -> Vec<String> {
        match self {
            RougeUnit::English => rouge_tokens(text),
            RougeUnit::Stems => words(text)
                .into_iter()
                .map(|word| stem(word.of(text)).unwrap_or_else(|| normalized(word.of(text))))
                .filter(|token| !token.is_empty())
                .collect(),
        }
    }
}

/// The mean ROUGE of a corpus.
#[derive(Clone, Debug, Default)]
pub struct Rouge {
    unit: RougeUnit,
    sum: RougeScore,
    texts: u64,
}

impl Rouge {
    /// A corpus without texts.
    pub fn new() -> Self {
        Rouge::default()
    }

    /// A corpus without texts, of which `unit` is counted.
    pub fn of(unit: RougeUnit) -> Self {
        Rouge { unit, ..Rouge::default() }
    }

    /// Adds one text and its references; each figure takes the reference with the best F-measure.
    pub fn add(&mut self, prediction: &str, references: &[&str]) -> Result<(), TooLong> {
        let mut best = RougeScore::default();
        for (i, reference) in references.iter().enumerate() {
            let mut score = rouge_of(prediction, reference, self.unit)?;
            for (best, new) in best.figures().into_iter().zip(score.figures()) {
                if i == 0 || new.f1 > best.f1 {
                    *best = *new;
                }
            }
        }
        for (sum, new) in self.sum.figures().into_iter().zip(best.figures()) {
            sum.precision += new.precision;
            sum.recall += new.recall;
            sum.f1 += new.f1;
        }
        self.texts += 1;
        Ok(())
    }

    /// The mean over all texts added so far.
    pub fn score(&self) -> RougeScore {
        let mut mean = self.sum;
        let texts = self.texts.max(1) as f64;
        for figure in mean.figures() {
            figure.precision /= texts;
            figure.recall /= texts;
            figure.f1 /= texts;
        }
        mean
    }
}

/// The ROUGE of one text against one reference.
///
/// ```
/// let score = tarjim::eval::rouge("The bridge opens.", "The old bridge opens.").unwrap();
/// assert_eq!(score.rouge1.recall, 0.75);
/// ```
pub fn rouge(prediction: &str, reference: &str) -> Result<RougeScore, TooLong> {
    rouge_of(prediction, reference, RougeUnit::English)
}

fn rouge_of(prediction: &str, reference: &str, unit: RougeUnit) -> Result<RougeScore, TooLong> {
    let (predicted, wanted) = (unit.tokens(prediction), unit.tokens(reference));
    if predicted.len().checked_mul(wanted.len()).is_none_or(|cells| cells > MAX_CELLS) {
        return Err(TooLong { predicted: predicted.len(), reference: wanted.len() });
    }
    let grams = |n| {
        let hits = shared(&count(predicted.windows(n)), &count(wanted.windows(n)));
        let grams = |tokens: &[String]| tokens.windows(n).len() as u64;
        FMeasure::new(hits, grams(&predicted), grams(&wanted))
    };
    let common = Lcs::new(&wanted, &predicted).length;
    Ok(RougeScore {
        rouge1: grams(1),
        rouge2: grams(2),
        rouge_l: FMeasure::new(common, predicted.len() as u64, wanted.len() as u64),
        rouge_lsum: summary_level(prediction, reference, unit),
    })
}

/// Tokens of the rouge-score package: runs of `a-z` and `0-9` of the lower-cased text. Letters
/// with diacritics and other scripts are not tokens.
pub fn rouge_tokens(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit()))
        .filter(|token| !token.is_empty())
        .map(str::to_owned)
        .collect()
}

/// ROUGE-Lsum: every line of the reference is matched with all lines of the prediction, and a
/// token counts at most as often as both texts hold it.
fn summary_level(prediction: &str, reference: &str, unit: RougeUnit) -> FMeasure {
    let lines = |text: &str| text.split('\n').map(|line| unit.tokens(line)).collect::<Vec<_>>();
    let (predicted, wanted) = (lines(prediction), lines(reference));
    let mut left_predicted = count(predicted.iter().flatten());
    let mut left_wanted = count(wanted.iter().flatten());
    let total = |lines: &[Vec<String>]| lines.iter().map(|line| line.len() as u64).sum();

    let mut hits = 0;
    for line in &wanted {
        let mut in_union = vec![false; line.len()];
        for candidate in &predicted {
            Lcs::new(line, candidate).mark(line, candidate, &mut in_union);
        }
        for (token, _) in line.iter().zip(&in_union).filter(|(_, marked)| **marked) {
            let (Some(p), Some(w)) = (left_predicted.get_mut(token), left_wanted.get_mut(token))
            else {
                continue;
            };
            if *p > 0 && *w > 0 {
                (*p, *w) = (*p - 1, *w - 1);
                hits += 1;
            }
        }
    }
    FMeasure::new(hits, total(&predicted), total(&wanted))
}

/// A longest common subsequence: its length, and the way back through the table of lengths.
struct Lcs {
    length: u64,
    /// Cell (i, j), row by row, of all tokens of the reference times all of the prediction:
    /// whether the prediction's token is the one to leave out. One bit a cell.
    leave_predicted: Vec<u64>,
}

impl Lcs {
    fn new(reference: &[String], prediction: &[String]) -> Self {
        let width = prediction.len();
        let mut leave_predicted = vec![0u64; (reference.len() * width).div_ceil(64)];
        // lengths[j]: of the tokens of the reference so far and the first j of the prediction.
        let mut lengths = vec![0u64; width + 1];
        for (i, wanted) in reference.iter().enumerate() {
            let mut diagonal = 0;
            for (j, predicted) in prediction.iter().enumerate() {
                let above = lengths[j + 1];
                let left = lengths[j];
                lengths[j + 1] = if wanted == predicted { diagonal + 1 } else { above.max(left) };
                if left > above {
                    let cell = i * width + j;
                    leave_predicted[cell / 64] |= 1 << (cell % 64);
                }
                diagonal = above;
            }
        }
        Lcs { length: lengths[width], leave_predicted }
    }

    /// Marks the tokens of the reference that belong to the subsequence. Where there are several,
    /// rouge-score's choice: on a tie the reference's token is left out.
    fn mark(&self, reference: &[String], prediction: &[String], marked: &mut [bool]) {
        let (mut i, mut j) = (reference.len(), prediction.len());
        while i > 0 && j > 0 {
            let cell = (i - 1) * prediction.len() + (j - 1);
            if reference[i - 1] == prediction[j - 1] {
                marked[i - 1] = true;
                (i, j) = (i - 1, j - 1);
            } else if self.leave_predicted[cell / 64] >> (cell % 64) & 1 == 1 {
                j -= 1;
            } else {
                i -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_are_ascii_letters_and_digits() {
        assert_eq!(
            rouge_tokens("The U.S. won 3-1, café!"),
            ["the", "u", "s", "won", "3", "1", "caf"]
        );
        assert!(rouge_tokens("سلام — …").is_empty());
    }

    #[test]
    fn arabic_is_counted_by_stems() {
        let mut corpus = Rouge::of(RougeUnit::Stems);
        corpus.add("فتحت المكتبة في المدينة", &["وفتحت مكتبة بالمدينة"]).unwrap();
        let score = corpus.score();
        assert_eq!((score.rouge1.precision, score.rouge1.recall), (0.75, 1.0));
        assert_eq!(score.rouge2.recall, 0.5);
    }

    #[test]
    fn refuses_what_needs_too_much_memory() {
        let long = "a ".repeat(40_000);
        assert_eq!(rouge(&long, &long), Err(TooLong { predicted: 40_000, reference: 40_000 }));
    }

    #[test]
    fn takes_the_best_reference_and_the_mean() {
        let mut corpus = Rouge::new();
        corpus.add("a b", &["c d", "a b"]).unwrap();
        corpus.add("a b", &["c d"]).unwrap();
        assert_eq!(corpus.score().rouge1, FMeasure { precision: 0.5, recall: 0.5, f1: 0.5 });
        assert_eq!(Rouge::new().score(), RougeScore::default());
    }

    proptest! {
        /// What is marked is a common subsequence of the length found.
        #[test]
        fn marks_a_common_subsequence(reference in "[abc ]{0,20}", prediction in "[abc ]{0,20}") {
            let tokens = |text: &str| {
                text.chars().filter(|c| *c != ' ').map(String::from).collect::<Vec<_>>()
            };
            let (reference, prediction) = (tokens(&reference), tokens(&prediction));
            let lcs = Lcs::new(&reference, &prediction);
            let mut marked = vec![false; reference.len()];
            lcs.mark(&reference, &prediction, &mut marked);
            let chosen: Vec<_> = reference.iter().zip(&marked).filter(|m| *m.1).map(|m| m.0).collect();
            prop_assert_eq!(chosen.len() as u64, lcs.length);
            let mut rest = prediction.iter();
            prop_assert!(chosen.iter().all(|token| rest.any(|other| other == *token)));
        }
    }
}
