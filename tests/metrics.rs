//! BLEU, chrF and ROUGE equal sacrebleu's and rouge-score's figures (scripts/reference/metrics.py).

#![allow(clippy::unwrap_used)]

use serde::Deserialize;
use std::collections::BTreeMap;
use tarjim::eval::{Bleu, Chrf, Rouge, RougeScore, rouge, tokenize_13a};

/// Precision, recall and F-measure by name of the figure.
type RougeGolden = BTreeMap<String, [f64; 3]>;

#[derive(Deserialize)]
struct Golden {
    pairs: Vec<Pair>,
    multiline_13a: Vec<Tokens>,
    summaries: Vec<Summary>,
    corpora: Vec<Corpus>,
}

#[derive(Deserialize)]
struct Pair {
    hyp: String,
    refs: Vec<String>,
    hyp_13a: String,
    ref_13a: String,
    rouge: RougeGolden,
}

#[derive(Deserialize)]
struct Tokens {
    text: String,
    tokens: String,
}

#[derive(Deserialize)]
struct Summary {
    hyp: String,
    #[serde(rename = "ref")]
    reference: String,
    rouge: RougeGolden,
}

#[derive(Deserialize)]
struct Corpus {
    name: String,
    lines: Vec<usize>,
    references: usize,
    bleu: BleuGolden,
    chrf: f64,
    chrf_signature: String,
    chrfpp: f64,
}

#[derive(Deserialize)]
struct BleuGolden {
    score: f64,
    precisions: [f64; 4],
    bp: f64,
    hyp_len: u64,
    ref_len: u64,
    text: String,
    signature: String,
}

fn golden() -> Golden {
    let golden: Golden = serde_json::from_str(include_str!("golden/metrics/metrics.json")).unwrap();
    assert!(golden.pairs.len() >= 60 && golden.corpora.len() >= 15);
    golden
}

#[track_caller]
fn close(ours: f64, theirs: f64, what: &str) {
    assert!((ours - theirs).abs() < 1e-9, "{what}: {ours} is not {theirs}");
}

/// All but the version, which names the program that computed the score.
fn without_version(signature: &str) -> &str {
    signature.rsplit_once("|version:").unwrap().0
}

#[track_caller]
fn same_rouge(ours: &RougeScore, theirs: &RougeGolden, what: &str) {
    for (name, figure) in ours.named() {
        let ours = [figure.precision, figure.recall, figure.f1];
        for (ours, theirs) in ours.into_iter().zip(theirs[name]) {
            close(ours, theirs, &format!("{name} of {what}"));
        }
    }
}

#[test]
fn tokens_equal_sacrebleu() {
    let golden = golden();
    for pair in &golden.pairs {
        assert_eq!(tokenize_13a(pair.hyp.trim_end()), pair.hyp_13a);
        assert_eq!(tokenize_13a(pair.refs[0].trim_end()), pair.ref_13a);
    }
    for line in &golden.multiline_13a {
        assert_eq!(tokenize_13a(line.text.trim_end()), line.tokens);
    }
}

#[test]
fn bleu_and_chrf_equal_sacrebleu() {
    let golden = golden();
    for corpus in &golden.corpora {
        let (mut bleu, mut chrf, mut chrfpp) = (Bleu::new(), Chrf::new(), Chrf::plus_plus());
        for &line in &corpus.lines {
            let pair = &golden.pairs[line];
            let refs: Vec<&str> =
                pair.refs.iter().take(corpus.references).map(String::as_str).collect();
            bleu.add(&pair.hyp, &refs);
            chrf.add(&pair.hyp, &refs);
            chrfpp.add(&pair.hyp, &refs);
        }
        let (name, ours, theirs) = (&corpus.name, bleu.score(), &corpus.bleu);
        close(ours.score, theirs.score, name);
        close(ours.bp, theirs.bp, name);
        for (ours, theirs) in ours.precisions.into_iter().zip(theirs.precisions) {
            close(ours, theirs, name);
        }
        assert_eq!((ours.hyp_len, ours.ref_len), (theirs.hyp_len, theirs.ref_len), "{name}");
        assert_eq!(ours.to_string(), theirs.text, "{name}");
        assert_eq!(without_version(&ours.signature), without_version(&theirs.signature), "{name}");

        close(chrf.score().score, corpus.chrf, name);
        close(chrfpp.score().score, corpus.chrfpp, name);
        assert_eq!(
            without_version(&chrf.score().signature),
            without_version(&corpus.chrf_signature),
            "{name}"
        );
    }
}

#[test]
fn rouge_equals_rouge_score() {
    let golden = golden();
    for pair in &golden.pairs {
        let refs: Vec<&str> = pair.refs.iter().map(String::as_str).collect();
        let mut one = Rouge::new();
        one.add(&pair.hyp, &refs).unwrap();
        same_rouge(&one.score(), &pair.rouge, &pair.hyp);
    }
    for summary in &golden.summaries {
        let score = rouge(&summary.hyp, &summary.reference).unwrap();
        same_rouge(&score, &summary.rouge, &summary.hyp);
    }
}
