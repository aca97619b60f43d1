//! From Arabic sentences to English ones with their word alignment: the one place where a
//! [`Translation`] is made.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::align::{self, Link};
use crate::checkpoint::{Checkpoint, GenerationConfig};
use crate::decode::{self, Hypothesis};
use crate::models::{self, AlignmentHead, ModelInfo, Seq2Seq};
use crate::nn::Compute;
use crate::text::{self, Mapped, Normalization, Span, break_points, words};
use crate::tokenizer::{self, Token, Tokenizer};
use crate::{Result, check, restore};

/// A model, its tokenizer, and how its checkpoint wants to be decoded.
pub struct Translator {
    model: Box<dyn Seq2Seq>,
    tokenizer: Box<dyn Tokenizer>,
    /// By target id, whether the token has a letter.
    letters: Arc<[bool]>,
    generation: GenerationConfig,
}

/// How sentences are translated.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The search.
    pub decode: decode::Options,
    /// How the source is rewritten before it is cut into tokens.
    pub normalization: Normalization,
    /// Which words are linked.
    pub align: align::Options,
    /// Source tokens translated at once; a longer sentence is cut near punctuation.
    pub max_input_tokens: usize,
    /// Whether numbers and Latin words that the model got wrong are put back; see [`restore`].
    pub restore: bool,
    /// Source tokens searched together.
    pub batch_tokens: usize,
}

/// Longest source given to the model at once by default. Models are trained on sentences, and
/// lose the thread in longer texts.
const MAX_INPUT_TOKENS: usize = 200;
/// Source tokens searched together by default: enough to keep the matrix products busy, little enough
/// for caches and memory.
pub const BATCH_TOKENS: usize = 1024;

/// One sentence, translated.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Translation {
    /// The sentence as it was given.
    pub source: String,
    /// Its words, byte spans of `source`.
    pub source_words: Vec<Span>,
    /// What it may mean, the most probable first; at least one.
    pub targets: Vec<Target>,
    /// Words of the source with a number, Latin word or address that the best translation lacks.
    pub lost: Vec<Span>,
    /// Words of the best translation with a number that the source lacks.
    pub added: Vec<Span>,
    /// What the reader should be told.
    pub warnings: Vec<Warning>,
}

/// One translation of a sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The text.
    pub text: String,
    /// Its words, byte spans of `text`.
    pub words: Vec<Span>,
    /// For each word the probability that the model gave it, 0 to 1: the geometric mean over its
    /// tokens.
    pub confidence: Vec<f32>,
    /// Which source words each word stands for.
    pub links: Vec<Link>,
    /// What was put back from the source, byte spans of `text`; see [`restore`].
    pub restored: Vec<Span>,
    /// Mean natural log-probability of a token, the end of the sentence included.
    pub score: f32,
}

/// Something about a translation that deserves doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// The sentence was too long for the model and was translated in parts.
    Split,
    /// The model ran in circles; this is a second attempt without repetitions.
    Repetitive,
    /// The translation was broken off at its greatest length.
    Truncated,
    /// The model had nothing to say.
    Empty,
    /// A number, Latin word or address of the source stands nowhere in the translation.
    Lost,
    /// The translation has a number that the source has not.
    Added,
    /// Numbers or Latin words that the model got wrong were put back from the source.
    Restored,
}

impl Translation {
    /// What happened, to be put after the place where it did.
    pub fn message(&self, warning: Warning) -> String {
        match warning {
            Warning::Split => "too long for the model: translated in parts".into(),
            Warning::Repetitive => {
                "the model ran in circles: translated again without repeating phrases".into()
            }
            Warning::Truncated => "the translation was broken off at its greatest length".into(),
            Warning::Empty => "the model gave no translation".into(),
            Warning::Lost => {
                format!("lost in translation: {}", list(&self.source, &self.lost))
            }
            Warning::Added => {
                let text = self.targets.first().map_or("", |target| &target.text);
                format!("not in the source: {}", list(text, &self.added))
            }
            Warning::Restored => {
                let restored = self.targets.first();
                let restored = restored.map(|target| list(&target.text, &target.restored));
                format!("put back from the source: {}", restored.unwrap_or_default())
            }
        }
    }
}

impl Translation {
    /// Puts the translation of what follows, from byte `start` of the sentence on, behind this one.
    fn append(&mut self, next: Translation, start: usize) {
        let words_before = self.source_words.len();
        let shifted =
            |spans: Vec<Span>, by: usize| spans.into_iter().map(move |span| span.shift(by));
        let at = self.targets.first().map_or(0, |target| target.place_of_next());
        self.source_words.extend(shifted(next.source_words, start));
        self.lost.extend(shifted(next.lost, start));
        self.added.extend(shifted(next.added, at));
        for (i, target) in self.targets.iter_mut().enumerate() {
            // One with fewer alternatives gives its last.
            let Some(next) = next.targets.get(i).or(next.targets.last()) else { continue };
            target.append(next, words_before);
        }
        for warning in next.warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }
}

impl Target {
    /// Where in the text something put behind it begins.
    fn place_of_next(&self) -> usize {
        self.text.len() + usize::from(!self.text.is_empty())
    }

    fn append(&mut self, next: &Target, source_words: usize) {
        if next.text.is_empty() {
            return;
        }
        let (at, words) = (self.place_of_next(), self.words.len());
        // The means of both weigh as much as the words that they are of.
        let (own, more) = (words as f32, next.words.len() as f32);
        self.score = (self.score * own + next.score * more) / (own + more).max(1.0);
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(&next.text);
        self.words.extend(next.words.iter().map(|word| word.shift(at)));
        self.confidence.extend_from_slice(&next.confidence);
        self.restored.extend(next.restored.iter().map(|span| span.shift(at)));
        self.links.extend(next.links.iter().map(|link| Link {
            source: link.source + source_words,
            target: link.target + words,
            score: link.score,
        }));
    }
}

fn list(text: &str, spans: &[Span]) -> String {
    spans.iter().map(|span| span.of(text)).collect::<Vec<_>>().join(", ")
}

/// A stretch of a sentence that the model takes at once.
struct Part {
    /// Which sentence.
    sentence: usize,
    /// Where it stands in the normalized sentence.
    start: usize,
    tokens: Vec<Token>,
}

impl Part {
    fn ids(&self) -> Vec<u32> {
        self.tokens.iter().map(|token| token.id).collect()
    }
}

impl Translator {
    /// Opens the model in a folder laid out as on the hub. Alignment is read at `head`, or where
    /// the architecture has it. Weights in eight bits are kept in `prepared` from run to run.
    pub fn open(
        folder: &Path,
        head: Option<AlignmentHead>,
        compute: Compute,
        prepared: Option<&Path>,
    ) -> Result<Self> {
        let mut checkpoint = Checkpoint::open(folder)?;
        if let Some(prepared) = prepared {
            checkpoint = checkpoint.prepared_in(prepared);
        }
        let tokenizer = tokenizer::open(folder)?;
        let model = models::load(&checkpoint, head, compute)?;
        let letter = |id| tokenizer.piece(id).contains(char::is_alphabetic);
        let letters = (0..tokenizer.vocab_size() as u32).map(letter).collect();
        Ok(Translator { model, tokenizer, letters, generation: checkpoint.generation().clone() })
    }

    /// Refuses a model whose translations are noise; see [`check::self_test`].
    pub fn self_test(&self, folder: &Path) -> Result<()> {
        check::self_test(self.model.as_ref(), self.tokenizer.as_ref(), folder)
    }

    /// Sizes of the model.
    pub fn info(&self) -> &ModelInfo {
        self.model.info()
    }

    /// The settings that the checkpoint asks for, with loops guarded against.
    pub fn settings(&self) -> Settings {
        let decode = decode::Options::new(&self.generation, self.info());
        Settings {
            decode: decode::Options { guard_loops: true, letters: self.letters.clone(), ..decode },
            normalization: Normalization::default(),
            align: align::Options::default(),
            max_input_tokens: MAX_INPUT_TOKENS.min(self.info().max_positions),
            restore: true,
            batch_tokens: BATCH_TOKENS,
        }
    }

    /// Translates sentences, each by itself.
    pub fn translate(&self, sentences: &[&str], settings: &Settings) -> Result<Vec<Translation>> {
        let normalized: Vec<Mapped> =
            sentences.iter().map(|text| settings.normalization.apply(text)).collect();
        let mut parts = Vec::new();
        for (sentence, mapped) in normalized.iter().enumerate() {
            self.cut(sentence, mapped.text(), settings.max_input_tokens, &mut parts)?;
        }
        let sources: Vec<Vec<u32>> = parts.iter().map(Part::ids).collect();
        let sources: Vec<&[u32]> = sources.iter().map(Vec::as_slice).collect();
        let found = decode::generate(
            self.model.as_ref(),
            &sources,
            &settings.decode,
            settings.batch_tokens,
        )?;

        let mut parts = parts.into_iter().zip(found).peekable();
        let mut translations = Vec::with_capacity(sentences.len());
        let mut lossy = Vec::new();
        for (sentence, (text, mapped)) in sentences.iter().zip(&normalized).enumerate() {
            let mut own = Vec::new();
            while let Some(part) = parts.next_if(|(part, _)| part.sentence == sentence) {
                own.push(part);
            }
            let translation = self.assemble(text, mapped, &own, settings)?;
            let alone = own.len() == 1 && settings.decode.n_best == 1;
            if settings.restore && alone && !translation.lost.is_empty() {
                lossy.extend(own.into_iter().map(|(part, _)| part));
            }
            translations.push(translation);
        }
        self.search_lost(lossy, sentences, &normalized, &mut translations, settings)?;
        Ok(translations)
    }

    /// Searches sentences whose translation lost a number or Latin word again with more beams, and takes
    /// the best hypothesis that loses the fewest; those that still lose one, with many more.
    fn search_lost(
        &self,
        mut parts: Vec<Part>,
        sentences: &[&str],
        normalized: &[Mapped],
        translations: &mut [Translation],
        settings: &Settings,
    ) -> Result<()> {
        let model = self.model.as_ref();
        for times in [2, 8] {
            let beams = (times * settings.decode.num_beams).max(4);
            let wide =
                decode::Options { num_beams: beams, n_best: beams, ..settings.decode.clone() };
            // As many hypotheses at a time as in the first search.
            let batch_tokens = settings.batch_tokens * settings.decode.num_beams / beams;
            let sources: Vec<Vec<u32>> = parts.iter().map(Part::ids).collect();
            let sources: Vec<&[u32]> = sources.iter().map(Vec::as_slice).collect();
            let found = decode::generate(model, &sources, &wide, batch_tokens.max(1))?;
            let mut still = Vec::new();
            for (part, hypotheses) in parts.into_iter().zip(found) {
                let sentence = part.sentence;
                let best = &mut translations[sentence];
                let mut own = [(part, Vec::new())];
                for hypothesis in hypotheses {
                    if best.lost.is_empty() {
                        break;
                    }
                    if hypothesis.cut || decode::is_looping(&hypothesis.ids, &self.letters) {
                        continue;
                    }
                    own[0].1 = vec![hypothesis];
                    let other =
                        self.assemble(sentences[sentence], &normalized[sentence], &own, settings)?;
                    let empty = other.warnings.contains(&Warning::Empty);
                    if !empty && other.lost.len() < best.lost.len() {
                        *best = other;
                    }
                }
                if !best.lost.is_empty() {
                    still.extend(own.map(|(part, _)| part));
                }
            }
            parts = still;
        }
        Ok(())
    }

    /// Aligns given pairs of a sentence and its translation, both cut into `words` by the caller,
    /// by having the model write the translation.
    pub fn align(
        &self,
        pairs: &[(&str, &str)],
        words: impl Fn(&str) -> Vec<Span>,
        settings: &Settings,
    ) -> Result<Vec<Translation>> {
        let limit = self.info().max_positions;
        let mut encoded = Vec::new();
        for (source, target) in pairs {
            let mapped = settings.normalization.apply(source);
            let mut tokens = self.tokenizer.encode(mapped.text())?;
            let mut target = self.tokenizer.encode_target(target)?;
            let cut = tokens.len() > limit || target.len() > limit;
            tokens.truncate(limit);
            target.truncate(limit);
            encoded.push((mapped, Part { sentence: 0, start: 0, tokens }, target, cut));
        }
        let ids: Vec<(Vec<u32>, Vec<u32>)> = encoded
            .iter()
            .map(|(_, part, target, _)| (part.ids(), target.iter().map(|token| token.id).collect()))
            .collect();
        let ids: Vec<(&[u32], &[u32])> = ids.iter().map(|(s, t)| (&s[..], &t[..])).collect();
        let forced = decode::force(self.model.as_ref(), &ids, settings.batch_tokens)?;
        let mut translations = Vec::with_capacity(pairs.len());
        for (i, hypothesis) in forced.iter().enumerate() {
            let (source, text) = pairs[i];
            let (mapped, part, target, cut) = &encoded[i];
            let source_words = words(source);
            let tokens = original_spans(part, mapped);
            let writing = Writing {
                text: text.to_owned(),
                target_tokens: target.iter().map(|token| token.span).collect(),
                log_probs: hypothesis.log_probs.clone(),
            };
            let side = align::Side { text: source, words: &source_words, tokens: &tokens };
            let target = writing.finish(words(text), &hypothesis.attention, side, settings.align);
            translations.push(Translation {
                source: source.to_owned(),
                source_words,
                targets: vec![target],
                lost: Vec::new(),
                added: Vec::new(),
                warnings: if *cut { vec![Warning::Truncated] } else { Vec::new() },
            });
        }
        Ok(translations)
    }

    /// Cuts a normalized sentence into parts of at most `limit` tokens.
    fn cut(&self, sentence: usize, text: &str, limit: usize, parts: &mut Vec<Part>) -> Result<()> {
        /// No vocabulary has longer tokens on average; keeps the time linear.
        const BYTES_PER_TOKEN: usize = 16;
        let mut start = 0;
        loop {
            let rest = &text[start..];
            let window = &rest[..rest.floor_char_boundary(limit.saturating_mul(BYTES_PER_TOKEN))];
            let tokens = self.tokenizer.encode(window)?;
            if tokens.len() <= limit && window.len() == rest.len() {
                parts.push(Part { sentence, start, tokens });
                return Ok(());
            }
            // The part must end before the token that is one too many; the last is the end.
            let longest = match tokens.get(limit.saturating_sub(1)) {
                Some(token) => token.span.start,
                None => window.len(),
            };
            let points = break_points(window);
            let good = |at: usize| at > longest / 2 && at <= longest;
            let best = points.iter().filter(|(at, _)| good(*at)).max_by_key(|(at, s)| (*s, *at));
            let length = match best {
                Some(&(at, _)) => at,
                None => window.floor_char_boundary(longest),
            };
            let length = match length {
                // A limit below one token: go on by a character all the same.
                0 => window.chars().next().map_or(window.len(), char::len_utf8),
                length => length,
            };
            let tokens = self.tokenizer.encode(&window[..length])?;
            parts.push(Part { sentence, start, tokens });
            start += length;
            if start == text.len() {
                return Ok(());
            }
        }
    }

    /// Joins the outputs of a sentence's parts. Of a sentence without end they are joined some at a
    /// time: time and memory grow with the square of what is aligned together.
    fn assemble(
        &self,
        text: &str,
        mapped: &Mapped,
        parts: &[(Part, Vec<Hypothesis>)],
        settings: &Settings,
    ) -> Result<Translation> {
        /// Parts of a sentence aligned together.
        const TOGETHER: usize = 8;
        let mut whole: Option<Translation> = None;
        let mut start = 0;
        let mut groups = parts.chunks(TOGETHER).peekable();
        loop {
            let group = groups.next().unwrap_or_default();
            let next = groups.peek().and_then(|group| group.first());
            let end = next.map_or(text.len(), |(part, _)| {
                let first = part.tokens.first().map_or(Span::default(), |token| token.span);
                mapped.original(first.shift(part.start)).start.clamp(start, text.len())
            });
            let translation = self.join(text, Span::new(start, end), mapped, group, settings)?;
            match &mut whole {
                Some(whole) => whole.append(translation, start),
                None => whole = Some(translation),
            }
            start = end;
            if groups.peek().is_none() {
                break;
            }
        }
        let mut whole = whole.unwrap_or_default();
        whole.source = text.to_owned();
        if parts.len() > 1 && !whole.warnings.contains(&Warning::Split) {
            whole.warnings.insert(0, Warning::Split);
        }
        Ok(whole)
    }

    /// Joins the outputs of parts that make up the stretch `range` of a sentence.
    fn join(
        &self,
        sentence: &str,
        range: Span,
        mapped: &Mapped,
        parts: &[(Part, Vec<Hypothesis>)],
        settings: &Settings,
    ) -> Result<Translation> {
        let text = range.of(sentence);
        let source_words = words(text);
        let within = |at: usize| at.clamp(range.start, range.end) - range.start;
        let tokens: Vec<Span> = parts
            .iter()
            .flat_map(|(part, _)| original_spans(part, mapped))
            .map(|span| Span::new(within(span.start), within(span.end)))
            .collect();
        let count = parts.iter().map(|(_, found)| found.len()).max().unwrap_or(0);
        let mut targets = Vec::with_capacity(count);
        for n in 0..count {
            let mut writing = Writing::default();
            let mut attention = Vec::new();
            let mut before = 0;
            for (part, found) in parts {
                // A part with fewer alternatives gives its last.
                if let Some(hypothesis) = found.get(n).or(found.last()) {
                    writing.add(hypothesis, self.tokenizer.as_ref())?;
                    for row in &hypothesis.attention {
                        let mut whole = vec![0.0; tokens.len()];
                        whole[before..before + row.len()].copy_from_slice(row);
                        attention.push(whole);
                    }
                }
                before += part.tokens.len();
            }
            let target_words = words(&writing.text);
            let source = align::Side { text, words: &source_words, tokens: &tokens };
            let mut target = writing.finish(target_words, &attention, source, settings.align);
            // Alternatives stay the model's own.
            if settings.restore && n == 0 {
                let Target { text: written, words: target_words, links, .. } = &target;
                let wrong =
                    restore::replacements(text, &source_words, written, target_words, links);
                if !wrong.is_empty() {
                    let restored = writing.replace(&wrong);
                    let target_words = words(&writing.text);
                    target = writing.finish(target_words, &attention, source, settings.align);
                    target.restored = restored;
                }
            }
            targets.push(target);
        }

        let best = || parts.iter().filter_map(|(_, found)| found.first());
        let mut warnings = Vec::new();
        let mut warn = |condition: bool, warning| {
            if condition {
                warnings.push(warning);
            }
        };
        warn(parts.len() > 1, Warning::Split);
        warn(best().any(|h| h.retried), Warning::Repetitive);
        warn(best().any(|h| h.cut), Warning::Truncated);
        warn(targets.first().is_none_or(|target| target.text.is_empty()), Warning::Empty);
        let (mut lost, mut added) = (Vec::new(), Vec::new());
        if let Some(target) = targets.first().filter(|target| !target.text.is_empty()) {
            lost = text::lost(text, &source_words, &target.text);
            added = text::added(text, &target.text, &target.words);
        }
        warn(targets.first().is_some_and(|t| !t.restored.is_empty()), Warning::Restored);
        warn(!lost.is_empty(), Warning::Lost);
        warn(!added.is_empty(), Warning::Added);
        Ok(Translation { source: text.to_owned(), source_words, targets, lost, added, warnings })
    }
}

/// Where the tokens of a part stand in the sentence as it was given.
fn original_spans(part: &Part, mapped: &Mapped) -> Vec<Span> {
    part.tokens.iter().map(|token| mapped.original(token.span.shift(part.start))).collect()
}

/// A target text in the making.
#[derive(Default)]
struct Writing {
    text: String,
    /// One span for each token.
    target_tokens: Vec<Span>,
    log_probs: Vec<f32>,
}

impl Writing {
    fn add(&mut self, hypothesis: &Hypothesis, tokenizer: &dyn Tokenizer) -> Result<()> {
        let decoded = tokenizer.decode(&hypothesis.ids)?;
        if !self.text.is_empty() && !decoded.text.is_empty() {
            self.text.push(' ');
        }
        let at = self.text.len();
        self.text.push_str(&decoded.text);
        self.target_tokens.extend(decoded.spans.into_iter().map(|span| span.shift(at)));
        self.log_probs.extend_from_slice(&hypothesis.log_probs);
        Ok(())
    }

    /// Replaces what is wrong, and says where its new text is.
    fn replace(&mut self, wrong: &[(Span, String)]) -> Vec<Span> {
        let (text, tokens, new) = restore::replace(&self.text, &self.target_tokens, wrong);
        (self.text, self.target_tokens) = (text, tokens);
        new
    }

    /// With its words, and what its tokens looked at, `[target tokens][source tokens]`.
    fn finish(
        &self,
        words: Vec<Span>,
        attention: &[Vec<f32>],
        source: align::Side<'_>,
        options: align::Options,
    ) -> Target {
        let target = align::Side { text: &self.text, words: &words, tokens: &self.target_tokens };
        let links = align::links(attention, source, target, options);
        let mean =
            |log_probs: &[f32]| log_probs.iter().sum::<f32>() / log_probs.len().max(1) as f32;
        let confidence = words
            .iter()
            .map(|word| {
                let own: Vec<f32> = self
                    .target_tokens
                    .iter()
                    .zip(&self.log_probs)
                    .filter(|(token, _)| token.overlap(*word) > 0)
                    .map(|(_, &log_prob)| log_prob)
                    .collect();
                mean(&own).exp()
            })
            .collect();
        let score = mean(&self.log_probs);
        Target { text: self.text.clone(), words, confidence, links, restored: Vec::new(), score }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::models::fake::Fake;
    use crate::tokenizer::Decoded;

    const WORDS: [&str; 6] = ["</s>", "كتب", "45", "books", "many", "<pad>"];

    /// A token is one of [`WORDS`].
    struct Whole;

    impl Tokenizer for Whole {
        fn encode(&self, text: &str) -> Result<Vec<Token>> {
            let of = |word: &Span| Token {
                id: WORDS.iter().position(|known| *known == word.of(text)).unwrap() as u32,
                span: *word,
            };
            let end = Token { id: 0, span: Span::new(text.len(), text.len()) };
            Ok(words(text).iter().map(of).chain([end]).collect())
        }

        fn encode_target(&self, text: &str) -> Result<Vec<Token>> {
            self.encode(text)
        }

        fn decode(&self, ids: &[u32]) -> Result<Decoded> {
            let mut decoded = Decoded::default();
            for &id in ids {
                let (piece, gap) = match id {
                    0 => ("", ""),
                    _ if decoded.text.is_empty() => (self.piece(id), ""),
                    _ => (self.piece(id), " "),
                };
                decoded.text += gap;
                let start = decoded.text.len();
                decoded.text += piece;
                decoded.spans.push(Span::new(start, decoded.text.len()));
            }
            Ok(decoded)
        }

        fn piece(&self, id: u32) -> &str {
            WORDS[id as usize]
        }

        fn vocab_size(&self) -> usize {
            WORDS.len()
        }
    }

    #[test]
    fn a_translation_that_loses_a_number_is_searched_again() {
        // Says "many books", or less gladly "45 books".
        let model = Fake::new(WORDS.len(), |_, target| {
            let mut logits = vec![0.0; WORDS.len()];
            match target.len() {
                1 => (logits[4], logits[2]) = (9.0, 8.0),
                2 => logits[3] = 9.0,
                _ => logits[0] = 9.0,
            }
            logits
        });
        let translator = Translator {
            model: Box::new(model),
            tokenizer: Box::new(Whole),
            letters: Arc::default(),
            generation: GenerationConfig {
                num_beams: 1,
                eos_token_id: vec![0],
                ..GenerationConfig::default()
            },
        };
        let settings = translator.settings();
        let translated = |text: &str, settings: &Settings| {
            translator.translate(&[text], settings).unwrap().remove(0)
        };
        let found = translated("45 كتب", &settings);
        assert_eq!((&*found.targets[0].text, found.lost.len()), ("45 books", 0));
        assert_eq!(translated("كتب", &settings).targets[0].text, "many books");
        let as_it_is = translated("45 كتب", &Settings { restore: false, ..settings });
        assert_eq!((&*as_it_is.targets[0].text, as_it_is.lost.len()), ("many books", 1));
    }
}
