//! How much of what a person would say the extractive mode says, on articles written for that
//! (scripts/compare/articles): ROUGE of stems against references. No model is needed, as what is measured is
//! the Arabic that is chosen. The figures of docs/summarization.md are made by scripts/compare/summaries.py.
#![allow(clippy::unwrap_used)]

use std::fs;

use tarjim::eval::{Rouge, RougeScore, RougeUnit};
use tarjim::summarize::{
    Article, Articles, Candidate, Options, Role, Weights, choose, shown, units,
};
use tarjim::text::words;

/// Words of a summary: a little more than the references have.
const WORDS: usize = 60;

struct Measured {
    article: Article,
    reference: String,
}

/// The articles with an odd or even number. Weights were set on the odd ones.
fn articles(odd: bool) -> Vec<Measured> {
    let mut paths: Vec<_> = fs::read_dir("scripts/compare/articles")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    paths.sort();
    let half = paths.into_iter().enumerate().filter(|(i, _)| (i % 2 == 0) == odd);
    half.map(|(_, path)| {
        let text = fs::read(&path).unwrap();
        let article = Articles::new(&text[..], &path, None).next_article().unwrap().unwrap();
        Measured { article, reference: fs::read_to_string(path.with_extension("ref")).unwrap() }
    })
    .collect()
}

fn rouge(articles: &[Measured], summarize: impl Fn(&Article) -> String) -> RougeScore {
    let mut rouge = Rouge::of(RougeUnit::Stems);
    for Measured { article, reference } in articles {
        rouge.add(&summarize(article), &[reference]).unwrap();
    }
    rouge.score()
}

fn count(text: &str) -> usize {
    words(text).iter().filter(|word| word.of(text).contains(char::is_alphanumeric)).count()
}

fn prose(article: &Article) -> Vec<&str> {
    let prose = article.sentences.iter().filter(|s| s.role == Role::Prose);
    prose.map(|sentence| sentence.text.as_str()).collect()
}

/// Sentences in an order of preference, as many as fit.
fn fitting(sentences: &[&str], order: &[usize]) -> String {
    let mut left = WORDS;
    let mut taken: Vec<usize> = Vec::new();
    for &i in order {
        if count(sentences[i]) <= left || taken.is_empty() {
            left = left.saturating_sub(count(sentences[i]));
            taken.push(i);
        }
    }
    taken.sort_unstable();
    taken.into_iter().map(|i| sentences[i]).collect::<Vec<_>>().join("\n")
}

fn random(article: &Article, seed: u64) -> String {
    let sentences = prose(article);
    let mut order: Vec<usize> = (0..sentences.len()).collect();
    // Knuth's linear congruential generator.
    let mut state = seed.wrapping_mul(2) + 1;
    for i in (1..order.len()).rev() {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        order.swap(i, (state >> 33) as usize % (i + 1));
    }
    fitting(&sentences, &order)
}

fn extractive(article: &Article, weights: &Weights) -> String {
    let units = units(article);
    let candidates: Vec<Candidate> = units
        .iter()
        .map(|unit| {
            let sentence = &article.sentences[unit.sentence].text;
            Candidate { text: shown(sentence, &unit.parts(sentence)), leans: unit.leans }
        })
        .collect();
    let options = Options {
        bullets: 20,
        max_words: Some(WORDS),
        weights: weights.clone(),
        ..Options::default()
    };
    let headline = article.sentences.first().filter(|s| s.role == Role::Headline);
    let chosen = choose(&candidates, headline.map(|s| s.text.as_str()), &options);
    let texts = chosen.iter().flat_map(|c| &c.numbers).map(|&i| candidates[i].text.as_str());
    texts.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_chosen_says_more_than_chance() {
    let all: Vec<Measured> = articles(true).into_iter().chain(articles(false)).collect();
    let ours = rouge(&all, |article| extractive(article, &Weights::default()));
    let by_chance = rouge(&all, |article| random(article, 1));
    assert!(ours.rouge1.f1 > 1.1 * by_chance.rouge1.f1, "{ours}\n{by_chance}");
}

/// `cargo test --test summaries -- --ignored --nocapture`: the mean of ROUGE-1, -2 and -L for weights around
/// the defaults, on the articles with odd numbers.
#[test]
#[ignore = "prints figures"]
#[allow(clippy::print_stdout)]
fn weights() {
    let odd = articles(true);
    let mut found: Vec<(f64, Weights)> = Vec::new();
    for again in [0.0, 0.1, 0.2, 0.4] {
        for length in [0.3, 0.4, 0.5] {
            for position in [0.0, 0.02, 0.04] {
                for headline in [0.0, 1.0, 2.0] {
                    for once in [0.2, 0.4, 0.6] {
                        let weights = Weights { again, length, position, headline, once };
                        let score = rouge(&odd, |article| extractive(article, &weights));
                        let mean = score.rouge1.f1 + score.rouge2.f1 + score.rouge_l.f1;
                        found.push((100.0 * mean / 3.0, weights));
                    }
                }
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (mean, weights) in found.iter().take(20) {
        println!("{mean:.2} {weights:?}");
    }
}
