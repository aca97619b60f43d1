//! BLEU (Papineni et al., 2002) as sacrebleu computes it by default.

use std::fmt;

use super::{Counts, count, is_space, ratio, shared, split_words};

/// Longest n-gram that counts.
const ORDER: usize = 4;

/// Corpus BLEU with sacrebleu's defaults: mteval-13a tokens, case kept, n-grams up to 4,
/// exponential smoothing, the closest reference length.
///
/// ```
/// let mut bleu = tarjim::eval::Bleu::new();
/// bleu.add("The bridge opens on Sunday.", &["The bridge opens on Sunday."]);
/// assert_eq!(format!("{:.2}", bleu.score().score), "100.00");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Bleu {
    /// N-grams of the hypotheses that a reference has, by order.
    correct: [u64; ORDER],
    /// N-grams of the hypotheses, by order.
    total: [u64; ORDER],
    hyp_len: u64,
    ref_len: u64,
    references: References,
}

/// How many references the lines had, for the signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum References {
    /// No line was added yet.
    #[default]
    Unknown,
    /// So many for every line.
    Same(usize),
    /// Not the same number everywhere.
    Varied,
}

impl References {
    /// Takes note of a line with `n` references.
    pub(super) fn see(&mut self, n: usize) {
        *self = match *self {
            References::Unknown => References::Same(n),
            References::Same(before) if before == n => *self,
            _ => References::Varied,
        }
    }
}

impl fmt::Display for References {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            References::Unknown => f.write_str("0"),
            References::Same(n) => n.fmt(f),
            References::Varied => f.write_str("var"),
        }
    }
}

/// A corpus BLEU and what it is made of.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct BleuScore {
    /// BLEU, 0 to 100.
    pub score: f64,
    /// N-gram precisions of order 1 to 4, 0 to 100, smoothed.
    pub precisions: [f64; ORDER],
    /// Brevity penalty, 0 to 1.
    pub bp: f64,
    /// Tokens of all hypotheses.
    pub hyp_len: u64,
    /// Tokens of all references, of each line the one closest in length.
    pub ref_len: u64,
    /// How the score was computed, in sacrebleu's notation.
    pub signature: String,
}

impl Bleu {
    /// A corpus without lines.
    pub fn new() -> Self {
        Bleu::default()
    }

    /// Adds one line and its references.
    pub fn add(&mut self, hypothesis: &str, references: &[&str]) {
        let hypothesis = tokenize_13a(hypothesis.trim_end_matches(is_space));
        let references: Vec<String> =
            references.iter().map(|text| tokenize_13a(text.trim_end_matches(is_space))).collect();
        let hypothesis: Vec<&str> = split_words(&hypothesis).collect();
        let references: Vec<Vec<&str>> =
            references.iter().map(|text| split_words(text).collect()).collect();

        for n in 1..=ORDER {
            // An n-gram may match as often as in the reference that has it most often.
            let mut best: Counts<&[&str]> = Counts::new();
            for reference in &references {
                for (gram, times) in count(reference.windows(n)) {
                    let most = best.entry(gram).or_default();
                    *most = times.max(*most);
                }
            }
            self.correct[n - 1] += shared(&count(hypothesis.windows(n)), &best);
            self.total[n - 1] += hypothesis.windows(n).len() as u64;
        }
        let closest = references
            .iter()
            .map(Vec::len)
            .min_by_key(|&length| (length.abs_diff(hypothesis.len()), length));
        self.hyp_len += hypothesis.len() as u64;
        self.ref_len += closest.unwrap_or(0) as u64;
        self.references.see(references.len());
    }

    /// The BLEU of all lines added so far.
    pub fn score(&self) -> BleuScore {
        let bp = match (self.hyp_len, self.ref_len) {
            (hyp, reference) if hyp >= reference => 1.0,
            (0, _) => 0.0,
            (hyp, reference) => (1.0 - reference as f64 / hyp as f64).exp(),
        };
        let precisions = self.precisions();
        // One precision of 0 makes the geometric mean 0: ln 0 is minus infinity.
        let mean_log = precisions.iter().map(|p| p.ln()).sum::<f64>() / ORDER as f64;
        BleuScore {
            score: bp * mean_log.exp(),
            precisions,
            bp,
            hyp_len: self.hyp_len,
            ref_len: self.ref_len,
            signature: format!(
                "nrefs:{}|case:mixed|eff:no|tok:13a|smooth:exp|version:tarjim-{}",
                self.references,
                env!("CARGO_PKG_VERSION")
            ),
        }
    }

    /// Precisions in percent. Smoothing gives the first order without a match half a match, the
    /// next a quarter, and so on; orders longer than every hypothesis stay 0.
    fn precisions(&self) -> [f64; ORDER] {
        let mut precisions = [0.0; ORDER];
        if self.correct.iter().all(|&n| n == 0) {
            return precisions;
        }
        let mut smoothing = 1.0;
        for (n, precision) in precisions.iter_mut().enumerate() {
            if self.total[n] == 0 {
                break;
            }
            let total = self.total[n] as f64;
            *precision = if self.correct[n] == 0 {
                smoothing *= 2.0;
                100.0 / (smoothing * total)
            } else {
                100.0 * self.correct[n] as f64 / total
            };
        }
        precisions
    }
}

impl fmt::Display for BleuScore {
    /// As sacrebleu prints it: `BLEU = 33.91 66.2/41.0/27.5/18.9 (BP = 1.000 ratio = …)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p1, p2, p3, p4] = self.precisions;
        write!(
            f,
            "BLEU = {:.2} {p1:.1}/{p2:.1}/{p3:.1}/{p4:.1} (BP = {:.3} ratio = {:.3} hyp_len = {} \
             ref_len = {})",
            self.score,
            self.bp,
            ratio(self.hyp_len, self.ref_len),
            self.hyp_len,
            self.ref_len
        )
    }
}

/// BLEU of lines in memory: each item is a hypothesis and its references.
pub fn corpus_bleu<'a, R>(lines: impl IntoIterator<Item = (&'a str, R)>) -> BleuScore
where
    R: AsRef<[&'a str]>,
{
    let mut bleu = Bleu::new();
    for (hypothesis, references) in lines {
        bleu.add(hypothesis, references.as_ref());
    }
    bleu.score()
}

/// Tokens of mteval-v13a, the tokenizer of WMT, with one space between them.
pub fn tokenize_13a(text: &str) -> String {
    let mut text = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    if text.contains('&') {
        text = text
            .replace("&quot;", "\"")
            .replace("&amp;", "&")
            .replace("&lt;", "<")
            .replace("&gt;", ">");
    }
    let mut spaced = String::with_capacity(text.len() * 2);
    spaced.push(' ');
    for c in text.chars() {
        // All ASCII punctuation but ' , - and .
        if c == ' ' || c.is_ascii_punctuation() && !matches!(c, '\'' | ',' | '-' | '.') {
            spaced.extend([' ', c, ' ']);
        } else {
            spaced.push(c);
        }
    }
    spaced.push(' ');

    let is_point = |c: char| c == '.' || c == ',';
    // Full stop and comma stand alone unless a digit comes before, or after; a hyphen stands
    // alone after a digit.
    let spaced = rewrite_pairs(&spaced, |a, b| {
        (!a.is_ascii_digit() && is_point(b)).then_some(("", " ", " "))
    });
    let spaced = rewrite_pairs(&spaced, |a, b| {
        (is_point(a) && !b.is_ascii_digit()).then_some((" ", " ", ""))
    });
    let spaced =
        rewrite_pairs(&spaced, |a, b| (a.is_ascii_digit() && b == '-').then_some(("", " ", " ")));
    split_words(&spaced).collect::<Vec<_>>().join(" ")
}

/// Replaces matching pairs of neighbours from left to right, none overlapping another, as
/// `re.sub` does. `matching` returns what to write before, between and after the two.
fn rewrite_pairs(
    text: &str,
    matching: impl Fn(char, char) -> Option<(&'static str, &'static str, &'static str)>,
) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(a) = chars.next() {
        let found = chars.peek().and_then(|&b| Some((b, matching(a, b)?)));
        if let Some((b, (before, between, after))) = found {
            chars.next();
            out.push_str(before);
            out.push(a);
            out.push_str(between);
            out.push(b);
            out.push_str(after);
        } else {
            out.push(a);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_punctuation_but_not_numbers() {
        assert_eq!(tokenize_13a("It cost 1,200.50, he said."), "It cost 1,200.50 , he said .");
        assert_eq!(tokenize_13a("a 2-1 win (don't ask)"), "a 2 - 1 win ( don't ask )");
        assert_eq!(tokenize_13a("well-\nknown\nfact"), "wellknown fact");
        assert_eq!(tokenize_13a("&amp;lt;"), "<");
        assert_eq!(tokenize_13a(""), "");
    }

    #[test]
    fn clips_to_the_reference_that_has_most() {
        let score = corpus_bleu([("the the the the", ["the cat", "the the mat"])]);
        assert_eq!(score.precisions[0], 50.0);
        // Two references, as close: 3 tokens are closer to 4 than 2 are.
        assert_eq!(score.ref_len, 3);
        assert!(score.signature.starts_with("nrefs:2|"));
    }

    #[test]
    fn no_lines_and_no_matches_are_zero() {
        assert_eq!(Bleu::new().score().score, 0.0);
        assert_eq!(corpus_bleu([("x", ["y"])]).score, 0.0);
        assert_eq!(corpus_bleu([("", ["y"])]).bp, 0.0);
    }

    #[test]
    fn varied_references_are_named_in_the_signature() {
        let mut bleu = Bleu::new();
        bleu.add("x", &["x"]);
        bleu.add("x", &["x", "y"]);
        assert!(bleu.score().signature.starts_with("nrefs:var|"));
    }
}
