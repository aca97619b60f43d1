//! Which sentences of the article a generated bullet rests on, and how well.
//!
//! Two things speak for a sentence: that the bullet's words stand in it (in its translation, or, for
//! numbers and names, in the Arabic itself), and that the model looked at it when it wrote the
//! bullet. Attention finds sentences said in other words, but lies on much that is not used; words are
//! better evidence. Where a word of the translation matches, its alignment leads on to the Arabic.

use std::collections::{BTreeMap, HashSet};

use super::names::Names;
use super::numbers::numbers;
use super::stem::stem;
use crate::text::{Span, words};
use crate::translate::Translation;

/// A sentence that a bullet rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Citation {
    /// Its number, from 0.
    pub sentence: usize,
    /// What the bullet rests on in it, bytes of the sentence, in order and apart.
    pub parts: Vec<Span>,
    /// How well it supports the bullet, 0 to 1.
    pub support: f32,
}

/// Weight of the words; the rest is attention's. Set by eye, as no summarizer could be measured
/// (docs/summarization.md).
const WORDS: f32 = 0.8;
/// A further sentence is cited if it accounts for at least so much of the bullet's words.
const LEAST_NEW: f32 = 0.15;
/// Most sentences cited.
const MOST: usize = 4;
/// A bullet with less support is unsupported.
pub const LEAST_SUPPORT: f32 = 0.65;

/// A word of a bullet that says something.
struct Word<'a> {
    text: &'a str,
    stem: String,
    /// Whether it is a number or name.
    names: bool,
}

impl Word<'_> {
    fn all(bullet: &str) -> Vec<Word<'_>> {
        let word = |span: Span| {
            let text = span.of(bullet);
            let names = text.contains(char::is_numeric)
                || span.start > 0 && text.starts_with(char::is_uppercase);
            Some(Word { text, stem: stem(text)?, names })
        };
        words(bullet).into_iter().filter_map(word).collect()
    }
}

/// What a sentence has of a bullet's words.
struct Evidence {
    sentence: usize,
    /// For each word of the bullet whether the sentence has it.
    has: Vec<bool>,
    /// The Arabic words behind them.
    parts: Vec<Span>,
    attention: f32,
}

/// The sentences that `bullet` rests on, in order, and the support that they give it together, 0 to 1.
/// `attention` holds the share of each sentence that was read; only sentences with a translation are
/// cited.
pub fn attribute(
    bullet: &str,
    attention: &[(usize, f32)],
    translations: &BTreeMap<usize, Translation>,
) -> (Vec<Citation>, f32) {
    let bullet_words = Word::all(bullet);
    let all = bullet_words.len().max(1) as f32;
    let share = |has: &[bool]| has.iter().filter(|has| **has).count() as f32 / all;
    let evidence: Vec<Evidence> = attention
        .iter()
        .filter_map(|&(sentence, share)| {
            Some(Evidence::new(sentence, share, &bullet_words, translations.get(&sentence)?))
        })
        .collect();
    let mut open: Vec<&Evidence> = evidence.iter().collect();
    let mut cited: Vec<&Evidence> = Vec::new();
    let mut covered = vec![false; bullet_words.len()];
    while cited.len() < MOST {
        let fresh = |e: &Evidence| {
            let new: Vec<bool> =
                e.has.iter().zip(&covered).map(|(has, old)| *has && !old).collect();
            share(&new)
        };
        let value = |e: &Evidence| WORDS * fresh(e) + (1.0 - WORDS) * e.attention;
        let best = (0..open.len()).max_by(|&a, &b| {
            let order = value(open[a]).total_cmp(&value(open[b]));
            order.then(open[b].sentence.cmp(&open[a].sentence))
        });
        let Some(best) = best.map(|best| open.remove(best)) else { break };
        if !cited.is_empty() && fresh(best) < LEAST_NEW {
            break;
        }
        covered.iter_mut().zip(&best.has).for_each(|(covered, has)| *covered |= has);
        cited.push(best);
    }
    cited.sort_by_key(|evidence| evidence.sentence);
    let looked: f32 = cited.iter().map(|evidence| evidence.attention).sum();
    let support = WORDS * share(&covered) + (1.0 - WORDS) * looked.min(1.0);
    let citation = |e: &Evidence| Citation {
        sentence: e.sentence,
        parts: e.parts.clone(),
        support: (WORDS * share(&e.has) + (1.0 - WORDS) * e.attention).min(1.0),
    };
    (cited.into_iter().map(citation).collect(), support.min(1.0))
}

impl Evidence {
    fn new(sentence: usize, attention: f32, bullet: &[Word], translation: &Translation) -> Self {
        let Translation { source, source_words, targets, .. } = translation;
        let mut has = vec![false; bullet.len()];
        let mut parts: HashSet<Span> = HashSet::new();
        if let Some(target) = targets.first() {
            let stems: Vec<Option<String>> =
                target.words.iter().map(|word| stem(word.of(&target.text))).collect();
            for (word, has) in bullet.iter().zip(&mut has) {
                for (t, stem) in stems.iter().enumerate() {
                    if stem.as_ref() == Some(&word.stem) {
                        *has = true;
                        let links = target.links.iter().filter(|link| link.target == t);
                        parts.extend(links.filter_map(|link| source_words.get(link.source)));
                    }
                }
            }
        }
        // Numbers and names are seen in the Arabic itself, however it was translated.
        for (word, has) in bullet.iter().zip(&mut has).filter(|(word, _)| word.names) {
            for span in source_words {
                let own = span.of(source);
                let same = match word.text.contains(char::is_numeric) {
                    true => !numbers(word.text).is_disjoint(&numbers(own)),
                    false => {
                        let mut names = Names::default();
                        names.add(own);
                        names.has(word.text)
                    }
                };
                if same {
                    *has = true;
                    parts.insert(*span);
                }
            }
        }
        let mut parts: Vec<Span> = parts.into_iter().collect();
        parts.sort_unstable();
        Evidence { sentence, has, parts: merged(source, parts), attention }
    }
}

/// Spans with nothing but spaces between them made one.
fn merged(text: &str, spans: Vec<Span>) -> Vec<Span> {
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if text[last.end.min(span.start)..span.start].trim().is_empty() => {
                *last = last.cover(span);
            }
            _ => merged.push(span),
        }
    }
    merged
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::align::Link;
    use crate::translate::Target;

    /// A translation whose words stand for each other in order.
    pub(crate) fn translation(source: &str, text: &str) -> Translation {
        let (source_words, target_words) = (words(source), words(text));
        let links = (0..source_words.len().min(target_words.len()))
            .map(|i| Link { source: i, target: i, score: 1.0 })
            .collect();
        Translation {
            source: source.into(),
            source_words,
            targets: vec![Target {
                text: text.into(),
                confidence: vec![1.0; target_words.len()],
                words: target_words,
                links,
                restored: Vec::new(),
                score: 0.0,
            }],
            lost: Vec::new(),
            added: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn translations() -> BTreeMap<usize, Translation> {
        BTreeMap::from([
            (0, translation("وصل الوزير القاهرة", "arrived minister Cairo")),
            (1, translation("غادر المعلم السوق", "left teacher market")),
            (2, translation("وصل المدير 1987", "arrived manager 1987")),
            (3, translation("نام الطفل", "slept child")),
        ])
    }

    const EVEN: [(usize, f32); 4] = [(0, 0.25), (1, 0.25), (2, 0.25), (3, 0.25)];

    #[test]
    fn a_fused_bullet_cites_both() {
        let bullet = "The minister and the manager arrived in Cairo.";
        let (citations, support) = attribute(bullet, &EVEN, &translations());
        let cited: Vec<usize> = citations.iter().map(|c| c.sentence).collect();
        assert_eq!(cited, [0, 2]);
        assert!(support > 0.8, "{support}");
        assert_eq!(citations[1].parts, [Span::new(0, "وصل المدير".len())]);
    }

    #[test]
    fn numbers_are_found_in_the_arabic() {
        let mut translations = translations();
        translations.insert(2, translation("وصل المدير 1987", "nonsense"));
        let (citations, _) = attribute("It was 1987.", &EVEN, &translations);
        assert_eq!(citations.iter().map(|c| c.sentence).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn without_words_attention_decides_and_support_is_low() {
        let attention = [(0, 0.1), (1, 0.1), (3, 0.8)];
        let (citations, support) = attribute("A kitten purred.", &attention, &translations());
        assert_eq!(citations.iter().map(|c| c.sentence).collect::<Vec<_>>(), [3]);
        assert!(support < LEAST_SUPPORT, "{support}");
    }
}
