//! Summaries written by a model of the T5 family, window by window, each sentence with what the model
//! looked at when it wrote it.

use std::ops::Range;
use std::path::Path;

use super::windows::windows;
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::decode;
use crate::models::{self, Seq2Seq};
use crate::nn::Compute;
use crate::text::{Normalization, Span};
use crate::tokenizer::{self, Token, Tokenizer};
use crate::translate::BATCH_TOKENS;

/// A model that writes summaries, and how it is asked to.
pub struct Summarizer {
    model: Box<dyn Seq2Seq>,
    tokenizer: Box<dyn Tokenizer>,
    /// The search.
    pub decode: decode::Options,
    /// What is put before every input.
    pub prefix: String,
    /// Tokens of a window, the prefix included.
    pub max_input_tokens: usize,
    /// Source tokens searched together.
    pub batch_tokens: usize,
    /// How the source is rewritten before it is cut into tokens.
    pub normalization: Normalization,
    multilingual: bool,
}

/// What models of the T5 family were trained to read at once.
const MAX_INPUT_TOKENS: usize = 512;
/// Checkpoints that say nothing about length would be broken off after 20 tokens.
const LEAST_MAX_LENGTH: usize = 128;
/// N-grams not repeated, where the checkpoint does not say: summarizers run in circles otherwise.
const NO_REPEAT: usize = 3;

/// A sentence of a summary.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The text.
    pub text: String,
    /// For each sentence that was read, by its number, the share of the model's attention that lay on it,
    /// the sum over all being 1.
    pub attention: Vec<(usize, f32)>,
    /// Mean natural log-probability of a token of the summary it is from.
    pub score: f32,
    /// Whether that summary was broken off at its greatest length, behind this sentence.
    pub cut: bool,
}

impl Summarizer {
    /// Opens the model in a folder laid out as on the hub.
    pub fn open(folder: &Path, compute: Compute) -> Result<Self> {
        let checkpoint = Checkpoint::open(folder)?;
        let tokenizer = tokenizer::open(folder)?;
        let model = models::load(&checkpoint, None, compute)?;
        let decode = decode::Options::new(checkpoint.generation(), model.info());
        let multilingual = checkpoint.model_type()? == "mt5";
        Ok(Summarizer { multilingual, ..Summarizer::new(model, tokenizer, decode) })
    }

    fn new(
        model: Box<dyn Seq2Seq>,
        tokenizer: Box<dyn Tokenizer>,
        decode: decode::Options,
    ) -> Self {
        let limit = model.info().max_positions;
        let decode = decode::Options {
            guard_loops: true,
            max_length: decode.max_length.max(LEAST_MAX_LENGTH).min(limit),
            no_repeat_ngram_size: match decode.no_repeat_ngram_size {
                0 => NO_REPEAT,
                size => size,
            },
            ..decode
        };
        Summarizer {
            model,
            tokenizer,
            decode,
            prefix: String::new(),
            max_input_tokens: MAX_INPUT_TOKENS.min(limit),
            batch_tokens: BATCH_TOKENS,
            normalization: Normalization::default(),
            multilingual: false,
        }
    }

    /// Whether its kind was trained on many languages, Arabic among them.
    pub fn is_multilingual(&self) -> bool {
        self.multilingual
    }

    /// Most tokens the model reads or writes.
    pub fn max_positions(&self) -> usize {
        self.model.info().max_positions
    }

    /// Sentences that say what `sentences` say, in the order in which they were written: those of the first
    /// window first.
    pub fn write(&self, sentences: &[&str]) -> Result<Vec<Written>> {
        let texts: Vec<String> =
            sentences.iter().map(|text| self.normalization.apply(text).text().to_owned()).collect();
        let prefix = self.tokenizer.encode(&self.prefix)?.len();
        let lengths: Vec<usize> = texts
            .iter()
            .map(|text| Ok(self.tokenizer.encode(text)?.len()))
            .collect::<Result<_>>()?;
        let limit = self.max_input_tokens.max(1);
        let windows = windows(&lengths, limit.saturating_sub(prefix).max(1));
        let mut inputs = Vec::with_capacity(windows.len());
        for window in &windows {
            inputs.push(Input::new(self, &texts, window.clone(), limit)?);
        }
        let sources: Vec<Vec<u32>> = inputs.iter().map(Input::ids).collect();
        let sources: Vec<&[u32]> = sources.iter().map(Vec::as_slice).collect();
        let found =
            decode::generate(self.model.as_ref(), &sources, &self.decode, self.batch_tokens)?;
        let mut written = Vec::new();
        for (input, found) in inputs.iter().zip(found) {
            let Some(best) = found.into_iter().next() else { continue };
            let decoded = self.tokenizer.decode(&best.ids)?;
            let score = best.log_probs.iter().sum::<f32>() / best.log_probs.len().max(1) as f32;
            let spans = sentence_spans(&decoded.text);
            let last = spans.last().copied();
            for span in spans {
                let rows = decoded.spans.iter().zip(&best.attention);
                let own = rows.filter(|(token, _)| token.overlap(span) > 0).map(|(_, row)| row);
                written.push(Written {
                    text: span.of(&decoded.text).to_owned(),
                    attention: input.attention(own),
                    score,
                    cut: best.cut && Some(span) == last,
                });
            }
        }
        Ok(written)
    }
}

/// A window as the model reads it.
struct Input {
    tokens: Vec<Token>,
    /// For each token the number of its sentence; none for the prefix and the end.
    sentence: Vec<Option<usize>>,
    window: Range<usize>,
}

impl Input {
    fn new(
        summarizer: &Summarizer,
        sentences: &[String],
        window: Range<usize>,
        limit: usize,
    ) -> Result<Self> {
        let mut text = summarizer.prefix.clone();
        let mut spans = Vec::with_capacity(window.len());
        for sentence in &sentences[window.clone()] {
            if !text.is_empty() && !text.ends_with(' ') {
                text.push(' ');
            }
            let start = text.len();
            text.push_str(sentence);
            spans.push(Span::new(start, text.len()));
        }
        let mut tokens = summarizer.tokenizer.encode(&text)?;
        if tokens.len() > limit {
            // A sentence that is too long by itself; the end of the input stays.
            let end = tokens.split_off(tokens.len() - 1);
            tokens.truncate(limit - 1);
            tokens.extend(end);
        }
        let of = |token: &Token| {
            let i = spans.partition_point(|span| span.end <= token.span.start);
            spans.get(i).filter(|span| span.overlap(token.span) > 0).map(|_| window.start + i)
        };
        let sentence = tokens.iter().map(of).collect();
        Ok(Input { tokens, sentence, window })
    }

    fn ids(&self) -> Vec<u32> {
        self.tokens.iter().map(|token| token.id).collect()
    }

    /// Where the attention of some output tokens lay. What lay on the prefix or the end says nothing.
    fn attention<'a>(&self, rows: impl Iterator<Item = &'a Vec<f32>>) -> Vec<(usize, f32)> {
        let mut shares = vec![0f32; self.window.len()];
        for row in rows {
            for (sentence, weight) in self.sentence.iter().zip(row) {
                if let Some(sentence) = sentence {
                    shares[sentence - self.window.start] += weight;
                }
            }
        }
        let sum: f32 = shares.iter().sum();
        let share = |share: f32| if sum > 0.0 { share / sum } else { 0.0 };
        self.window.clone().zip(shares.into_iter().map(share)).collect()
    }
}

/// The sentences of an English text: they end with a mark before a space and a capital or digit, but not
/// after initials and titles.
fn sentence_spans(text: &str) -> Vec<Span> {
    const TITLES: &[&str] = &[
        "Mr", "Mrs", "Ms", "Dr", "Prof", "St", "Gen", "Sen", "Rep", "Gov", "Lt", "Col", "No", "vs",
    ];
    let mut spans = Vec::new();
    let mut push = |start: usize, end: usize| {
        let piece = &text[start..end];
        let begin = start + (piece.len() - piece.trim_start().len());
        let stop = begin + piece.trim().len();
        if text[begin..stop].contains(char::is_alphanumeric) {
            spans.push(Span::new(begin, stop));
        }
    };
    let mut start = 0;
    for (at, mark) in text.char_indices().filter(|(_, c)| matches!(c, '.' | '!' | '?')) {
        let rest = &text[at + 1..];
        let closing = rest.len() - rest.trim_start_matches(['"', '\'', '”', '’', ')']).len();
        let next = &rest[closing..];
        let begins = next.trim_start().starts_with(|c: char| !c.is_lowercase());
        let word = text[start..at].rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
        let short = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
        let title = mark == '.' && (TITLES.contains(&word) || short);
        if next.starts_with(char::is_whitespace) && begins && !title {
            push(start, at + 1 + closing);
            start = at + 1 + closing;
        }
    }
    push(start, text.len());
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_sentences() {
        let split = |text: &'static str| -> Vec<&str> {
            sentence_spans(text).into_iter().map(|span| span.of(text)).collect()
        };
        assert_eq!(
            split("Dr. Smith came. \"He left.\" In the U.S. 3.5 million live! no"),
            ["Dr. Smith came.", "\"He left.\"", "In the U.S. 3.5 million live! no"]
        );
        assert_eq!(split("One. 2 came? Yes"), ["One.", "2 came?", "Yes"]);
        assert!(split(" . ").is_empty());
    }
}
