//! Word links in Pharaoh format, and how far they agree with links drawn by hand.
//!
//! Links of a hypothesis are written `0-0 1-2`; a gold file may also hold possible links,
//! written `1?2` or `1p2`, which a hypothesis may have but need not (Och and Ney, 2003).

use std::collections::BTreeSet;
use std::fmt;

use super::{f1, ratio};

/// A link between two words, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct WordLink {
    /// Word of the source.
    pub source: usize,
    /// Word of the target.
    pub target: usize,
}

/// What the first word of a line is called in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexBase {
    /// Words are counted from 0.
    #[default]
    Zero,
    /// Words are counted from 1.
    One,
}

/// Why a line of links could not be read. Words longer than a link can be are cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not two numbers with a mark between them.
    #[error("\"{0}\" is not a word link such as 3-4")]
    NotALink(String),
    /// Word 0 where words are counted from 1.
    #[error("\"{0}\" names word 0, but words are counted from 1")]
    BelowBase(String),
    /// A possible link where only plain ones make sense.
    #[error("\"{0}\" is a possible link, which only a gold file may hold")]
    Possible(String),
}

/// The links of one gold line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoldLinks {
    /// Links that must be found.
    pub sure: BTreeSet<WordLink>,
    /// Further links that may be found; none of them is in `sure`.
    pub possible: BTreeSet<WordLink>,
}

impl GoldLinks {
    /// Reads a line such as `0-0 1-2 1?3`.
    pub fn parse(line: &str, base: IndexBase) -> Result<Self, LinkError> {
        let mut gold = GoldLinks::default();
        for word in line.split_whitespace() {
            let (link, sure) = parse_link(word, base)?;
            if sure {
                gold.sure.insert(link)
            } else {
                gold.possible.insert(link)
            };
        }
        gold.possible.retain(|link| !gold.sure.contains(link));
        Ok(gold)
    }
}

impl WordLink {
    /// Reads a line such as `0-0 1-2`; repeated links count once.
    pub fn parse_line(line: &str, base: IndexBase) -> Result<BTreeSet<Self>, LinkError> {
        line.split_whitespace()
            .map(|word| match parse_link(word, base)? {
                (link, true) => Ok(link),
                (_, false) => Err(LinkError::Possible(shorten(word))),
            })
            .collect()
    }
}

/// Reads one link, and whether it is sure.
fn parse_link(word: &str, base: IndexBase) -> Result<(WordLink, bool), LinkError> {
    let not_a_link = || LinkError::NotALink(shorten(word));
    let at = word.find(['-', '?', 'p']).ok_or_else(not_a_link)?;
    let index = |digits: &str| -> Result<usize, LinkError> {
        // `parse` alone would take a plus sign.
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(not_a_link());
        }
        let index: usize = digits.parse().map_err(|_| not_a_link())?;
        match base {
            IndexBase::Zero => Ok(index),
            IndexBase::One => {
                index.checked_sub(1).ok_or_else(|| LinkError::BelowBase(shorten(word)))
            }
        }
    };
    let link = WordLink { source: index(&word[..at])?, target: index(&word[at + 1..])? };
    Ok((link, word.as_bytes()[at] == b'-'))
}

/// A word as an error message shows it.
fn shorten(word: &str) -> String {
    const MOST: usize = 24;
    match word.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &word[..end]),
        None => word.to_owned(),
    }
}

/// Counts links over a corpus; see [`AlignmentCounts::score`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlignmentCounts {
    /// Links of the hypothesis, A.
    pub links: u64,
    /// Sure links of the gold, S.
    pub sure: u64,
    /// Links of the hypothesis that are sure, A ∩ S.
    pub found_sure: u64,
    /// Links of the hypothesis that are sure or possible, A ∩ P.
    pub found_possible: u64,
}

impl AlignmentCounts {
    /// Adds one line.
    pub fn add(&mut self, gold: &GoldLinks, links: &BTreeSet<WordLink>) {
        let sure = links.intersection(&gold.sure).count() as u64;
        self.links += links.len() as u64;
        self.sure += gold.sure.len() as u64;
        self.found_sure += sure;
        self.found_possible += sure + links.intersection(&gold.possible).count() as u64;
    }

    /// The figures over all lines added so far, every link weighing the same.
    pub fn score(&self) -> AlignmentScore {
        let precision = ratio(self.found_possible, self.links);
        let recall = ratio(self.found_sure, self.sure);
        let all = self.links + self.sure;
        let aer =
            if all == 0 { 0.0 } else { 1.0 - ratio(self.found_sure + self.found_possible, all) };
        AlignmentScore {
            aer,
            precision,
            recall,
            f1: f1(precision, recall),
            links: self.links,
            sure: self.sure,
        }
    }
}

/// Agreement of word links with a gold standard. A share of nothing is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct AlignmentScore {
    /// Alignment error rate, 1 − (|A∩S| + |A∩P|) / (|A| + |S|): 0 is best.
    pub aer: f64,
    /// |A∩P| / |A|.
    pub precision: f64,
    /// |A∩S| / |S|.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// |A|, links of the hypothesis.
    pub links: u64,
    /// |S|, sure links of the gold.
    pub sure: u64,
}

impl fmt::Display for AlignmentScore {
    /// In percent: `AER = 17.20 (P = 84.10 R = 81.50 F1 = 82.78 links = 3021 sure = 3390)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "AER = {:.2} (P = {:.2} R = {:.2} F1 = {:.2} links = {} sure = {})",
            100.0 * self.aer,
            100.0 * self.precision,
            100.0 * self.recall,
            100.0 * self.f1,
            self.links,
            self.sure
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn score(gold: &str, links: &str) -> AlignmentScore {
        let mut counts = AlignmentCounts::default();
        counts.add(
            &GoldLinks::parse(gold, IndexBase::Zero).unwrap(),
            &WordLink::parse_line(links, IndexBase::Zero).unwrap(),
        );
        counts.score()
    }

    #[test]
    fn possible_links_help_precision_only() {
        // A = 4, S = 3, A∩S = 2, A∩P = 3.
        let score = score("0-0 1-1 2-2 2?3 3p3", "0-0 1-1 2-3 9-9 9-9");
        assert_eq!(score.precision, 0.75);
        assert_eq!(score.recall, 2.0 / 3.0);
        assert_eq!(score.aer, 1.0 - 5.0 / 7.0);
        assert_eq!((score.links, score.sure), (4, 3));
    }

    #[test]
    fn perfect_and_empty() {
        assert_eq!(score("0-0 1?1", "0-0").aer, 0.0);
        assert_eq!(score("0-0", "").aer, 1.0);
        assert_eq!(score("", "").aer, 0.0);
        assert_eq!(score("0-0", "0-0").f1, 1.0);
    }

    #[test]
    fn a_link_both_sure_and_possible_is_sure() {
        let gold = GoldLinks::parse("1?1 1-1", IndexBase::One).unwrap();
        assert_eq!(gold.sure, BTreeSet::from([WordLink { source: 0, target: 0 }]));
        assert!(gold.possible.is_empty());
    }

    #[test]
    fn refuses_what_is_no_link() {
        for word in ["3", "-", "3-", "-3", "1-2-3", "+1-2", "1-+2", "a-b", "1–2", "0-0:0.5"] {
            let error = WordLink::parse_line(word, IndexBase::Zero).unwrap_err();
            assert_eq!(error, LinkError::NotALink(word.into()));
        }
        let huge = format!("{}-0", "9".repeat(1000));
        let error = WordLink::parse_line(&huge, IndexBase::Zero).unwrap_err();
        assert!(error.to_string().chars().count() < 80, "{error}");
        assert_eq!(
            WordLink::parse_line("0-1", IndexBase::One),
            Err(LinkError::BelowBase("0-1".into()))
        );
        assert_eq!(
            WordLink::parse_line("0?1", IndexBase::Zero),
            Err(LinkError::Possible("0?1".into()))
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(line in ".*") {
            let _ = GoldLinks::parse(&line, IndexBase::One);
        }

        #[test]
        fn links_written_are_read_back(links in proptest::collection::btree_set(
            (0..200usize, 0..200usize).prop_map(|(source, target)| WordLink { source, target }),
            0..40,
        )) {
            let text: Vec<_> = links.iter().map(|l| format!("{}-{}", l.source, l.target)).collect();
            let read = WordLink::parse_line(&text.join(" "), IndexBase::Zero).unwrap();
            prop_assert_eq!(read, links);
        }
    }
}
