//! Figures of merit: BLEU, chrF and ROUGE of texts, AER of word alignments.
//!
//! Every metric is an accumulator that takes one line at a time ([`Bleu::add`] and its
//! siblings), so that a corpus of any length is read once and never held in memory; the
//! `corpus_*` functions are the short form for lines that are in memory already.
//!
//! BLEU and chrF equal sacrebleu's figures and ROUGE equals the rouge-score package's, on the
//! same lines (`tests/metrics.rs`).

mod alignment;
mod bleu;
mod chrf;
mod rouge;

pub use alignment::{AlignmentCounts, AlignmentScore, GoldLinks, IndexBase, LinkError, WordLink};
pub use bleu::{Bleu, BleuScore, corpus_bleu, tokenize_13a};
pub use chrf::{Chrf, ChrfScore, corpus_chrf};
pub use rouge::{FMeasure, Rouge, RougeScore, RougeUnit, TooLong, rouge, rouge_tokens};

use std::collections::HashMap;
use std::hash::Hash;

/// How often each n-gram (or token) occurs.
type Counts<T> = HashMap<T, u64>;

/// Counts the items.
fn count<T: Hash + Eq>(items: impl Iterator<Item = T>) -> Counts<T> {
    let mut counts = Counts::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}

/// How many occurrences both sides share: the sum of the lesser counts.
fn shared<T: Hash + Eq>(a: &Counts<T>, b: &Counts<T>) -> u64 {
    a.iter().map(|(item, n)| n.min(b.get(item).unwrap_or(&0))).sum()
}

/// The quotient, 0 where there is nothing to divide by.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Harmonic mean of precision and recall.
fn f1(precision: f64, recall: f64) -> f64 {
    let sum = precision + recall;
    if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 }
}

/// White space as Python's `str.split` sees it, which adds the four ASCII separators to Unicode's.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// The words between white space.
fn split_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}
