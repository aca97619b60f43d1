//! Which sentences of an article say most of what it says.
//!
//! A set of sentences is worth the weights of the stems it holds, the second time a stem is said a
//! fifth of the first, and so on: a monotone submodular function, feature by feature (Lin and Bilmes
//! 2011, "A class of submodular functions for document summarization", section 3; with nothing for the
//! second time it is the maximum coverage of Gillick and Favre 2009). The best set is approached
//! greedily, a sentence's gain divided by a power of its length (Lin and Bilmes 2010, section 4). To the
//! gain a prior is added for sentences at the head of the text, as news has it. Time is linear in the
//! text for each sentence chosen, memory linear in the text.

mod stem;

use std::collections::{HashMap, HashSet};

use crate::text::words;
pub use stem::stem;

/// What is wanted.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Most bullets.
    pub bullets: usize,
    /// Most words of the source in all bullets together; the first bullet is always given.
    pub max_words: Option<usize>,
    /// Only what has to do with this, in Arabic, if anything has.
    pub query: Option<String>,
}

/// Some neighbouring sentences to be shown together.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Their numbers, from 0: the sentence chosen last, before it what it needs to be understood.
    pub sentences: Vec<usize>,
    /// What the sentence added to those chosen before it, as a share of all there is to be said.
    pub score: f32,
}

/// What a stem is worth when it is said again, as a share of what it was worth before.
const AGAIN: f32 = 0.2;
/// A sentence is left out if it shares more than this part of its stems, or of the other's, with one
/// that was chosen.
const ALIKE: f32 = 0.65;
/// How much the length of a sentence counts against it.
const LENGTH_EXPONENT: f32 = 0.4;
/// Weight of standing first, as a share of all there is to be said.
const POSITION: f32 = 0.04;
/// Sentences of fewer words are headings or remnants.
const LEAST_WORDS: usize = 4;

/// The best sentences, in the order of the text.
pub fn choose(sentences: &[&str], options: &Options) -> Vec<Choice> {
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut lengths = Vec::with_capacity(sentences.len());
    // For each sentence its stems, each once.
    let mut stems: Vec<Vec<usize>> = Vec::with_capacity(sentences.len());
    let mut frequency: Vec<f32> = Vec::new();
    for sentence in sentences {
        let words = words(sentence);
        lengths
            .push(words.iter().filter(|w| w.of(sentence).contains(char::is_alphanumeric)).count());
        let mut own: Vec<usize> = words
            .iter()
            .filter_map(|word| stem(word.of(sentence)))
            .map(|stem| {
                let next = numbers.len();
                *numbers.entry(stem).or_insert(next)
            })
            .collect();
        own.sort_unstable();
        own.dedup();
        frequency.resize(numbers.len(), 0.0);
        own.iter().for_each(|&stem| frequency[stem] += 1.0);
        stems.push(own);
    }
    // A stem said once may be chance; one said in many sentences is what the text is about.
    let weights: Vec<f32> = frequency.iter().map(|&f| f.ln() + 0.2).collect();
    let all: f32 = weights.iter().sum();

    let asked: HashSet<usize> = options
        .query
        .iter()
        .flat_map(|query| {
            words(query).into_iter().filter_map(|word| numbers.get(&stem(word.of(query))?).copied())
        })
        .collect();
    let answers = |i: usize| stems[i].iter().filter(|stem| asked.contains(stem)).count();
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let mut open: Vec<usize> = (0..sentences.len())
        .filter(|&i| lengths[i] >= LEAST_WORDS.min(longest))
        .filter(|&i| asked.is_empty() || answers(i) > 0)
        .collect();

    let mut worth = vec![1f32; weights.len()];
    // Whether of two sentences the shorter says nearly what the longer says.
    let alike = |a: usize, b: usize| {
        let shared = stems[a].iter().filter(|stem| stems[b].binary_search(stem).is_ok()).count();
        shared as f32 > ALIKE * stems[a].len().min(stems[b].len()) as f32
    };
    let mut words_left = options.max_words.unwrap_or(usize::MAX);
    let mut chosen: Vec<Choice> = Vec::new();
    while chosen.len() < options.bullets && !open.is_empty() {
        let gain = |i: usize| {
            let said = |&stem: &usize| weights[stem] * worth[stem];
            let fresh: f32 = stems[i].iter().map(said).sum::<f32>() / all.max(f32::MIN_POSITIVE);
            fresh * (1 + answers(i)) as f32
        };
        let value = |i: usize| {
            let prior = POSITION / (1.0 + i as f32);
            (gain(i) + prior) / (lengths[i].max(1) as f32).powf(LENGTH_EXPONENT)
        };
        let values: Vec<f32> = open.iter().map(|&i| value(i)).collect();
        let best = (0..open.len())
            .max_by(|&a, &b| values[a].total_cmp(&values[b]).then(open[b].cmp(&open[a])));
        let Some(best) = best else { break };
        let score = gain(open[best]);
        let i = open.remove(best);
        let taken: HashSet<usize> = chosen.iter().flat_map(|c| c.sentences.clone()).collect();
        let said = |i: usize| taken.contains(&i) || taken.iter().any(|&other| alike(i, other));
        if said(i) {
            continue;
        }
        let mut together = vec![i];
        if i > 0 && leans_back(sentences[i]) && !said(i - 1) {
            together.insert(0, i - 1);
        }
        let length: usize = together.iter().map(|&i| lengths[i]).sum();
        if length > words_left && !chosen.is_empty() {
            continue;
        }
        words_left = words_left.saturating_sub(length);
        together.iter().flat_map(|&i| &stems[i]).for_each(|&stem| worth[stem] *= AGAIN);
        chosen.push(Choice { sentences: together, score });
    }
    chosen.sort_by(|a, b| a.sentences.cmp(&b.sentences));
    chosen
}

/// Whether a sentence begins with a word that points to the one before.
fn leans_back(sentence: &str) -> bool {
    const FIRST: &[&str] = &[
        "واضاف",
        "واضافت",
        "واوضح",
        "واوضحت",
        "وتابع",
        "وتابعت",
        "واكد",
        "واكدت",
        "واشار",
        "واشارت",
        "وهو",
        "وهي",
        "وهم",
        "وهذا",
        "وهذه",
        "وذلك",
        "وتلك",
        "هو",
        "هي",
        "كما",
        "لكنه",
        "لكنها",
        "ولكنه",
        "ولكنها",
        "وانه",
        "وانها",
        "واردف",
        "واستطرد",
        "ولذلك",
        "لذلك",
    ];
    let first = words(sentence).into_iter().map(|word| stem::normalized(word.of(sentence)));
    first.filter(|word| !word.is_empty()).take(1).any(|word| FIRST.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
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

    fn numbers(options: &Options) -> Vec<Vec<usize>> {
        choose(&ARTICLE, options).into_iter().map(|choice| choice.sentences).collect()
    }

    #[test]
    fn the_subject_comes_first_and_once() {
        let one = numbers(&Options { bullets: 1, ..Options::default() });
        assert!([0, 1, 4].contains(&one[0][0]), "{one:?}");
        let three = numbers(&Options { bullets: 3, ..Options::default() });
        assert_eq!(three.len(), 3, "{three:?}");
        assert!(!three.concat().contains(&3), "{three:?}");
        assert!(!(three.concat().contains(&1) && three.concat().contains(&4)), "{three:?}");
    }

    #[test]
    fn a_query_leaves_the_rest_out() {
        let query = Some("السوق والتجارة والتجار".into());
        assert_eq!(numbers(&Options { bullets: 3, query, ..Options::default() }), [[5]]);
    }

    #[test]
    fn he_added_brings_its_neighbour() {
        let query = Some("مجانية".into());
        assert_eq!(numbers(&Options { bullets: 1, query, ..Options::default() }), [[1, 2]]);
    }

    #[test]
    fn words_are_bounded() {
        let chosen = choose(&ARTICLE, &Options { bullets: 6, max_words: Some(16), query: None });
        let words =
            chosen.iter().flat_map(|c| &c.sentences).map(|&i| ARTICLE[i].split(' ').count());
        assert!(words.sum::<usize>() <= 16);
        assert_eq!(
            choose(&ARTICLE, &Options { bullets: 6, max_words: Some(1), query: None }).len(),
            1
        );
    }

    proptest! {
        #[test]
        fn chosen_sentences_exist_once_and_in_order(
            sentences in prop::collection::vec("[ابتجدرم ]{0,30}|[a-z0-9 ]{0,10}", 0..12),
            bullets in 0usize..6,
        ) {
            let sentences: Vec<&str> = sentences.iter().map(String::as_str).collect();
            let chosen = choose(&sentences, &Options { bullets, ..Options::default() });
            prop_assert!(chosen.len() <= bullets);
            let all: Vec<usize> = chosen.iter().flat_map(|c| c.sentences.clone()).collect();
            prop_assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
            prop_assert!(all.iter().all(|&i| i < sentences.len()));
            if bullets > 0 && !sentences.is_empty() {
                prop_assert!(!chosen.is_empty());
            }
        }
    }
}
