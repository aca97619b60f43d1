//! From an article to its summary, in either mode: candidates, what they rest on, what is wrong with
//! them.

use std::collections::{BTreeMap, HashMap};

use super::article::Article;
use super::attribute::{Citation, LEAST_SUPPORT, attribute};
use super::claims::Known;
use super::generate::Written;
use super::rank::{Candidate, Options, choose};
use super::units::{Unit, shown, units};
use super::{Role, Sentence};
use crate::Result;
use crate::text::{Span, has_arabic_letter};
use crate::translate::{Target, Translation, Warning};

/// How sentences are translated: several together, so many alternatives of each.
pub type Translate<'a> = dyn Fn(&[&str], usize) -> Result<Vec<Translation>> + 'a;

/// How a model writes sentences that say what others say.
pub type Write<'a> = dyn Fn(&[&str]) -> Result<Vec<Written>> + 'a;

/// What a summarizer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// The article itself.
    Arabic,
    /// Its translation.
    English,
}

/// A bullet.
#[derive(Debug, Clone, PartialEq)]
pub struct Bullet {
    /// The English text.
    pub text: String,
    /// What it adds to the others, as a share of all there is to be said.
    pub score: f32,
    /// How well the sentences it cites support it, 0 to 1; a translation of them is 1.
    pub support: f32,
    /// The sentences it rests on, in order.
    pub citations: Vec<Citation>,
    /// Numbers, and of generated bullets names, that stand nowhere in the source, bytes of the text.
    pub unknown: Vec<Span>,
    /// What the reader should be told of how it was made: messages.
    pub warnings: Vec<String>,
}

impl Bullet {
    /// Whether the article bears it out as far as can be told.
    pub fn is_supported(&self) -> bool {
        self.support >= LEAST_SUPPORT && self.unknown.is_empty()
    }

    /// The words of `unknown`.
    pub fn unknown_words(&self) -> Vec<&str> {
        self.unknown.iter().map(|span| span.of(&self.text)).collect()
    }
}

/// A summary.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Its bullets.
    pub bullets: Vec<Bullet>,
    /// The sentences that bullets cite, by their numbers, translated.
    pub sources: BTreeMap<usize, Translation>,
    /// How many bullets were left out because nothing bears them out.
    pub dropped: usize,
}

/// Alternatives asked for when a translation has a number from nowhere.
const ALTERNATIVES: usize = 4;
/// Sentences translated for the sake of a generated bullet: those that were looked at most.
const LOOKED_AT: usize = 4;

/// A summary that chooses units of the article and translates them. With `strict`, bullets with
/// numbers that the article lacks are left out.
pub fn extract(
    article: &Article,
    options: &Options,
    strict: bool,
    translate: &Translate,
) -> Result<Summary> {
    let sentences = &article.sentences;
    let units = units(article);
    let text = |unit: &Unit| {
        let sentence = &sentences[unit.sentence].text;
        shown(sentence, &unit.parts(sentence))
    };
    let candidates: Vec<Candidate> =
        units.iter().map(|unit| Candidate { text: text(unit), leans: unit.leans }).collect();
    let drafts: Vec<(Vec<Unit>, f32)> = choose(&candidates, headline(article), options)
        .into_iter()
        .map(|choice| (joined(choice.numbers.iter().map(|&i| &units[i])), choice.score))
        .collect();
    let drafts = neighbours(drafts);

    // Each piece of a bullet, and each sentence it is of, once.
    let pieces = drafts.iter().flat_map(|(units, _)| units);
    let mut texts: Vec<String> = pieces.clone().map(text).collect();
    texts.extend(pieces.map(|unit| sentences[unit.sentence].text.clone()));
    let mut translations = Translations::default();
    translations.add(texts, translate)?;

    let mut summary = Summary::default();
    for (units, score) in drafts {
        let mut bullet = Bullet {
            text: String::new(),
            score,
            support: 1.0,
            citations: Vec::new(),
            unknown: Vec::new(),
            warnings: Vec::new(),
        };
        for unit in &units {
            let text = text(unit);
            let Some(translation) = translations.get(&text) else { continue };
            let known = Known::new(&sentences[unit.sentence].text);
            let target = supported(translation, &known, translate)?;
            let number = unit.sentence + 1;
            let warnings = translation.warnings.iter().filter(|w| **w != Warning::Added);
            bullet.warnings.extend(
                warnings.map(|&w| format!("sentence {number}: {}", translation.message(w))),
            );
            if !bullet.text.is_empty() {
                bullet.text.push(' ');
            }
            let at = bullet.text.len();
            bullet.text.push_str(&target.text);
            let unknown = known.unknown_numbers(&target.text);
            bullet.unknown.extend(unknown.into_iter().map(|span| span.shift(at)));
            let parts = unit.parts(&sentences[unit.sentence].text);
            bullet.citations.push(Citation { sentence: unit.sentence, parts, support: 1.0 });
        }
        summary.add(bullet, strict);
    }
    summary.cite(sentences, translations, translate)?;
    Ok(summary)
}

/// A summary that `write` makes, each bullet with the sentences that support it. With `strict`, bullets
/// without support and with numbers or names that the article lacks are left out.
pub fn generate(
    article: &Article,
    options: &Options,
    strict: bool,
    translate: &Translate,
    (write, reads): (&Write, Reads),
) -> Result<Summary> {
    let sentences = &article.sentences;
    // What is read: prose, in a text that has any.
    let has_prose = sentences.iter().any(|sentence| sentence.role == Role::Prose);
    let read: Vec<usize> = (0..sentences.len())
        .filter(|&i| !has_prose || !matches!(sentences[i].role, Role::Cell | Role::Heading))
        .collect();
    let text = |&i: &usize| sentences[i].text.as_str();
    let mut translations = Translations::default();
    let written = match reads {
        Reads::Arabic => write(&read.iter().map(text).collect::<Vec<_>>())?,
        Reads::English => {
            translations.add(read.iter().map(|i| text(i).to_owned()).collect(), translate)?;
            let english: Vec<&str> =
                read.iter().map(|i| translations.english(text(i)).unwrap_or_default()).collect();
            write(&english)?
        }
    };
    // Numbers of the article's sentences, not of those that were read.
    let attention: Vec<Vec<(usize, f32)>> = written
        .iter()
        .map(|w| w.attention.iter().map(|&(i, share)| (read[i], share)).collect())
        .collect();

    // Several windows may say the same: what is kept is chosen as sentences of an article are.
    let candidates: Vec<Candidate> =
        written.iter().map(|w| Candidate { text: w.text.clone(), leans: false }).collect();
    let options = Options { query: None, ..options.clone() };
    let chosen = choose(&candidates, None, &options);

    let mut wanted: Vec<String> = Vec::new();
    for choice in &chosen {
        let mut looked_at: Vec<(usize, f32)> =
            choice.numbers.iter().flat_map(|&i| attention[i].clone()).collect();
        looked_at.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        wanted.extend(looked_at.iter().take(LOOKED_AT).map(|(i, _)| text(i).to_owned()));
        // And those that have its numbers and names.
        for &i in &choice.numbers {
            let named = |&&(s, _): &&(usize, f32)| names_match(&written[i].text, text(&s));
            wanted.extend(
                attention[i].iter().filter(named).take(LOOKED_AT).map(|(s, _)| text(s).to_owned()),
            );
        }
    }
    translations.add(wanted, translate)?;
    let all: Vec<&str> = sentences.iter().map(|sentence| sentence.text.as_str()).collect();
    let mut known = Known::new(&all.join("\n"));
    let mut translated = BTreeMap::new();
    for (i, sentence) in sentences.iter().enumerate() {
        if let Some(translation) = translations.get(&sentence.text) {
            if let Some(target) = translation.targets.first() {
                known.add_translation(&target.text);
            }
            translated.insert(i, translation.clone());
        }
    }

    let mut summary = Summary::default();
    for choice in chosen {
        for i in choice.numbers {
            let Written { text, cut, .. } = &written[i];
            let (citations, support) = attribute(text, &attention[i], &translated);
            let mut unknown = known.unknown_numbers(text);
            unknown.extend(known.unknown_names(text));
            unknown.sort_unstable();
            let cut = cut.then(|| "the summary was broken off at its greatest length".to_owned());
            let bullet = Bullet {
                text: text.clone(),
                score: choice.score,
                support,
                citations,
                unknown,
                warnings: cut.into_iter().collect(),
            };
            summary.add(bullet, strict);
        }
    }
    summary.cite(sentences, translations, translate)?;
    Ok(summary)
}

impl Summary {
    fn add(&mut self, bullet: Bullet, strict: bool) {
        match strict && !bullet.is_supported() {
            true => self.dropped += 1,
            false => self.bullets.push(bullet),
        }
    }

    /// Fills in the sentences that are cited.
    fn cite(
        &mut self,
        sentences: &[Sentence],
        mut translations: Translations,
        translate: &Translate,
    ) -> Result<()> {
        let cited = || self.bullets.iter().flat_map(|bullet| &bullet.citations);
        translations
            .add(cited().map(|c| sentences[c.sentence].text.clone()).collect(), translate)?;
        let numbers: Vec<usize> = cited().map(|citation| citation.sentence).collect();
        for i in numbers {
            if let Some(translation) = translations.get(&sentences[i].text) {
                self.sources.insert(i, translation.clone());
            }
        }
        Ok(())
    }
}

/// Texts and their translations, each made once.
#[derive(Default)]
struct Translations {
    made: HashMap<String, Translation>,
}

impl Translations {
    fn add(&mut self, mut texts: Vec<String>, translate: &Translate) -> Result<()> {
        texts.retain(|text| !self.made.contains_key(text) && has_arabic_letter(text));
        texts.sort_unstable();
        texts.dedup();
        let new = translate(&texts.iter().map(String::as_str).collect::<Vec<_>>(), 1)?;
        self.made.extend(texts.into_iter().zip(new));
        Ok(())
    }

    fn get(&self, text: &str) -> Option<&Translation> {
        self.made.get(text)
    }

    fn english(&self, text: &str) -> Option<&str> {
        Some(self.get(text)?.targets.first()?.text.as_str())
    }
}

/// The best translation that has no number from nowhere; the best, if all have one.
fn supported(translation: &Translation, known: &Known, translate: &Translate) -> Result<Target> {
    let best = translation.targets.first().cloned();
    let best = best.unwrap_or_else(|| Target {
        text: String::new(),
        words: Vec::new(),
        confidence: Vec::new(),
        links: Vec::new(),
        restored: Vec::new(),
        score: 0.0,
    });
    if known.unknown_numbers(&best.text).is_empty() {
        return Ok(best);
    }
    let others = translate(&[&translation.source], ALTERNATIVES)?;
    let targets = others.into_iter().flat_map(|other| other.targets);
    let fine =
        |target: &Target| !target.text.is_empty() && known.unknown_numbers(&target.text).is_empty();
    Ok(targets.into_iter().find(fine).unwrap_or(best))
}

fn headline(article: &Article) -> Option<&str> {
    let first = article.sentences.first()?;
    (first.role == Role::Headline).then_some(first.text.as_str())
}

/// Neighbouring units of a sentence made one.
fn joined<'a>(units: impl Iterator<Item = &'a Unit>) -> Vec<Unit> {
    let mut joined: Vec<Unit> = Vec::new();
    for unit in units {
        match joined.last_mut() {
            Some(last) if last.sentence == unit.sentence => *last = last.join(unit),
            _ => joined.push(unit.clone()),
        }
    }
    joined
}

/// Bullets of which one ends with the clause that the next begins after, made one.
fn neighbours(drafts: Vec<(Vec<Unit>, f32)>) -> Vec<(Vec<Unit>, f32)> {
    let mut merged: Vec<(Vec<Unit>, f32)> = Vec::new();
    for (units, score) in drafts {
        match (merged.last_mut(), units.first()) {
            (Some((last, sum)), Some(first))
                if last.last().is_some_and(|unit| unit.sentence == first.sentence) =>
            {
                let all = std::mem::take(last);
                *last = joined(all.iter().chain(&units));
                *sum += score;
            }
            _ => merged.push((units, score)),
        }
    }
    merged
}

/// Whether an Arabic sentence has a number or name of an English bullet.
fn names_match(bullet: &str, sentence: &str) -> bool {
    let known = Known::new(sentence);
    let (numbers, names) = (super::numbers::numbers(bullet), known.named_in(bullet));
    names || !numbers.is_disjoint(&super::numbers::numbers(sentence))
}

#[cfg(test)]
mod tests;
