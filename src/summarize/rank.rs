//! Which candidates say most of what an article says.
//!
//! A set of them is worth the weights of the stems it holds, the second time a stem is said a part
//! of the first, and so on: a monotone submodular function, feature by feature (Lin and Bilmes
//! 2011, "A class of submodular functions for document summarization", section 3; with nothing for the
//! second time it is the maximum coverage of Gillick and Favre 2009). The best set is approached
//! greedily, a candidate's gain divided by a power of its length (Lin and Bilmes 2010, section 4), and
//! lazily, since what a candidate adds never grows (Minoux 1978). To the gain a prior is added for
//! standing early in the text, as news has it; stems of the headline weigh more. A candidate that says
//! again what was chosen is left out, as by maximal marginal relevance (Carbonell and Goldstein 1998).

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::stem::stem;
use crate::text::words;

/// What is wanted.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Most bullets.
    pub bullets: usize,
    /// Most words of the source in all bullets together; the first bullet is always given.
    pub max_words: Option<usize>,
    /// Only what has to do with this, in Arabic, if anything has.
    pub query: Option<String>,
    /// How candidates are weighed.
    pub weights: Weights,
}

/// How candidates are weighed. The defaults are those that did best on one half of the articles in
/// scripts/compare/articles (docs/summarization.md).
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// What a stem is worth when it is said again, as a share of what it was worth before.
    pub again: f32,
    /// How much the length of a candidate counts against it.
    pub length: f32,
    /// Weight of standing first, as a share of all there is to be said.
    pub position: f32,
    /// How much more a stem of the headline weighs.
    pub headline: f32,
    /// What a stem weighs that is said once, beside the logarithm of how many candidates have it.
    pub once: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Weights { again: 0.1, length: 0.4, position: 0.02, headline: 1.0, once: 0.4 }
    }
}

/// Something that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The text.
    pub text: String,
    /// Whether the candidate before must be shown too.
    pub leans: bool,
}

/// Some neighbouring candidates to be shown together.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Their numbers, from 0: the one chosen last, before it what it needs to be understood.
    pub numbers: Vec<usize>,
    /// What it added to those chosen before it, as a share of all there is to be said.
    pub score: f32,
}

/// A candidate is left out if it shares more than this part of its stems, or of the other's, with one
/// that was chosen.
const ALIKE: f32 = 0.65;
/// Candidates of fewer words are headings or remnants.
const LEAST_WORDS: usize = 4;
/// Most candidates shown together for the sake of one.
const MOST_TOGETHER: usize = 3;

/// A candidate as it is weighed.
struct Item {
    words: usize,
    /// Its stems, each once, in order.
    stems: Vec<usize>,
    /// How many of them were asked for.
    answers: usize,
}

/// The best candidates, in the order of the text.
pub fn choose(candidates: &[Candidate], headline: Option<&str>, options: &Options) -> Vec<Choice> {
    let weights = &options.weights;
    let mut numbers: HashMap<String, usize> = HashMap::new();
    // For each stem how many candidates have it.
    let mut frequency: Vec<f32> = Vec::new();
    let mut items: Vec<Item> = Vec::with_capacity(candidates.len());
    for Candidate { text, .. } in candidates {
        let mut item = Item { words: 0, stems: Vec::new(), answers: 0 };
        for word in words(text) {
            let word = word.of(text);
            item.words += usize::from(word.contains(char::is_alphanumeric));
            if let Some(stem) = stem(word) {
                let next = numbers.len();
                item.stems.push(*numbers.entry(stem).or_insert(next));
            }
        }
        item.stems.sort_unstable();
        item.stems.dedup();
        frequency.resize(numbers.len(), 0.0);
        item.stems.iter().for_each(|&stem| frequency[stem] += 1.0);
        items.push(item);
    }
    let of = |text: Option<&str>| -> HashSet<usize> {
        let text = text.unwrap_or_default();
        let stems = words(text).into_iter().filter_map(|word| stem(word.of(text)));
        stems.filter_map(|stem| numbers.get(&stem).copied()).collect()
    };
    // A stem said once may be chance; one said in many candidates is what the text is about.
    let mut worth: Vec<f32> = frequency.iter().map(|f| f.ln() + weights.once).collect();
    of(headline).into_iter().for_each(|stem| worth[stem] *= 1.0 + weights.headline);
    let all: f32 = worth.iter().sum::<f32>().max(f32::MIN_POSITIVE);

    let asked = of(options.query.as_deref());
    for item in &mut items {
        item.answers = item.stems.iter().filter(|stem| asked.contains(stem)).count();
    }
    let least = LEAST_WORDS.min(items.iter().map(|item| item.words).max().unwrap_or(0));
    let open = |item: &Item| item.words >= least && (asked.is_empty() || item.answers > 0);
    let gain = |item: &Item, worth: &[f32]| {
        let fresh: f32 = item.stems.iter().map(|&stem| worth[stem]).sum::<f32>() / all;
        fresh * (1 + item.answers) as f32
    };
    let value = |i: usize, worth: &[f32]| {
        let prior = weights.position / (1.0 + i as f32);
        (gain(&items[i], worth) + prior) / (items[i].words.max(1) as f32).powf(weights.length)
    };
    let mut heap: BinaryHeap<Entry> = (0..items.len())
        .filter(|&i| open(&items[i]))
        .map(|i| Entry { value: value(i, &worth), number: i, round: 0 })
        .collect();
    let mut words_left = options.max_words.unwrap_or(usize::MAX);
    let mut taken: Vec<usize> = Vec::new();
    let mut chosen: Vec<Choice> = Vec::new();
    while chosen.len() < options.bullets {
        let Some(Entry { number: i, round, .. }) = heap.pop() else { break };
        if round < chosen.len() {
            heap.push(Entry { value: value(i, &worth), number: i, round: chosen.len() });
            continue;
        }
        let said =
            |i: usize| taken.iter().any(|&other| other == i || alike(&items[i], &items[other]));
        if said(i) {
            continue;
        }
        let mut together = vec![i];
        while together.len() < MOST_TOGETHER
            && together[0] > 0
            && candidates[together[0]].leans
            && !said(together[0] - 1)
        {
            together.insert(0, together[0] - 1);
        }
        let length: usize = together.iter().map(|&i| items[i].words).sum();
        if length > words_left && !chosen.is_empty() {
            continue;
        }
        words_left = words_left.saturating_sub(length);
        let score = gain(&items[i], &worth);
        together
            .iter()
            .flat_map(|&i| &items[i].stems)
            .for_each(|&stem| worth[stem] *= weights.again);
        taken.extend(&together);
        chosen.push(Choice { numbers: together, score });
    }
    chosen.sort_by(|a, b| a.numbers.cmp(&b.numbers));
    chosen
}

/// Whether of two candidates the shorter says nearly what the longer says.
fn alike(a: &Item, b: &Item) -> bool {
    let shared = a.stems.iter().filter(|stem| b.stems.binary_search(stem).is_ok()).count();
    shared as f32 > ALIKE * a.stems.len().min(b.stems.len()) as f32
}

/// What a candidate was worth when so many had been chosen.
struct Entry {
    value: f32,
    number: usize,
    round: usize,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value.total_cmp(&other.value).then(other.number.cmp(&self.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

#[cfg(test)]
mod tests {
    use super::super::cues::{leans_back, sentence_words};
    use super::*;
    use proptest::prelude::*;

    const ARTICLE: [&str; 6] = [
        "مكتبة المدينة تفتح أبوابها للأطفال والطلاب",
        "افتتح رئيس البلدية مكتبة المدينة الجديدة للأطفال والطلاب صباح الأحد.",
        "وأضاف أن المكتبة مجانية لكل سكان المدينة.",
        "وكان الجو حارا.",
        "وفتحت مكتبة المدينة الجديدة أبوابها للأطفال والطلاب.",
        "ويرى التجار أن الأسواق القريبة ستربح من زوار المكتبة.",
    ];

    fn candidates(texts: &[&str]) -> Vec<Candidate> {
        let candidate = |text: &&str| Candidate {
            text: (*text).to_owned(),
            leans: leans_back(&sentence_words(text)),
        };
        texts.iter().map(candidate).collect()
    }

    fn numbers(options: &Options) -> Vec<Vec<usize>> {
        let chosen = choose(&candidates(&ARTICLE), None, options);
        chosen.into_iter().map(|choice| choice.numbers).collect()
    }

    fn bullets(bullets: usize) -> Options {
        Options { bullets, ..Options::default() }
    }

    #[test]
    fn the_subject_comes_first_and_once() {
        let one = numbers(&bullets(1));
        assert!([0, 1, 4].contains(&one[0][0]), "{one:?}");
        let three = numbers(&bullets(3));
        assert_eq!(three.len(), 3, "{three:?}");
        assert!(!three.concat().contains(&3), "{three:?}");
        assert!(!(three.concat().contains(&1) && three.concat().contains(&4)), "{three:?}");
    }

    #[test]
    fn a_query_leaves_the_rest_out() {
        let query = Some("السوق والتجارة والتجار".into());
        assert_eq!(numbers(&Options { query, ..bullets(3) }), [[5]]);
    }

    #[test]
    fn he_added_brings_its_neighbour() {
        let query = Some("مجانية".into());
        assert_eq!(numbers(&Options { query, ..bullets(1) }), [[1, 2]]);
    }

    #[test]
    fn words_are_bounded() {
        let chosen = numbers(&Options { max_words: Some(16), ..bullets(6) });
        let words = chosen.iter().flatten().map(|&i| ARTICLE[i].split(' ').count());
        assert!(words.sum::<usize>() <= 16);
        assert_eq!(numbers(&Options { max_words: Some(1), ..bullets(6) }).len(), 1);
    }

    #[test]
    fn the_headline_says_what_matters() {
        let texts = ["وصل المدير إلى المكتب صباحا.", "وخرج الطلاب من المدرسة مساء."];
        let weights = Weights { headline: 3.0, ..Weights::default() };
        let options = Options { weights, ..bullets(1) };
        let chosen = choose(&candidates(&texts), Some("الطلاب والمدرسة"), &options);
        assert_eq!(chosen[0].numbers, [1]);
    }

    proptest! {
        #[test]
        fn chosen_candidates_exist_once_and_in_order(
            texts in prop::collection::vec("[ابتجدرم ]{0,30}|[a-z0-9 ]{0,10}", 0..12),
            bullets in 0usize..6,
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let candidates = candidates(&texts);
            let options = Options { bullets, ..Options::default() };
            let chosen = choose(&candidates, None, &options);
            prop_assert!(chosen.len() <= bullets);
            let all: Vec<usize> = chosen.iter().flat_map(|c| c.numbers.clone()).collect();
            prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
            prop_assert!(all.iter().all(|&i| i < texts.len()));
            if bullets > 0 && !texts.is_empty() {
                prop_assert!(!chosen.is_empty());
            }
        }
    }
}
