//! What can be left out of a sentence without changing what it says: the dateline, phrases that
//! only fill ("it is worth mentioning that"), glosses in parentheses, a conjunction at the beginning.
//! Who said something stays.

use super::cues::{Word, filler, is_agency, is_month, is_verb};
use crate::text::{Span, is_number};

/// Most words of a dateline.
const LONGEST_DATELINE: usize = 8;
/// Most words of a gloss.
const LONGEST_GLOSS: usize = 6;

/// Parts of a clause, bytes of its sentence, that are left when the rest is dropped. `words` are the
/// clause's.
pub(super) fn kept(words: &[Word]) -> Vec<Span> {
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return Vec::new() };
    let mut begin = dateline(words);
    begin += filler(&words[begin..]);
    // Nothing is left: then all of it was meant.
    let begin = if words[begin..].iter().all(Word::is_mark) { 0 } else { begin };
    let mut start = words.get(begin).unwrap_or(first).span.start;
    // "And the minister said": "and" joins the sentence to one that is not shown.
    if let Some(word) = words.get(begin)
        && word.text.starts_with('و')
        && is_verb(word.bare())
        && word.bare() != word.normal
    {
        start += 'و'.len_utf8();
    }
    let mut kept = Vec::new();
    for gloss in glosses(words) {
        if gloss.start <= start {
            continue;
        }
        kept.push(trimmed(words, Span::new(start, gloss.start)));
        start = gloss.end;
    }
    kept.push(trimmed(words, Span::new(start, last.span.end.max(start))));
    kept.retain(|span| !span.is_empty());
    kept
}

/// The part of a span that words cover.
fn trimmed(words: &[Word], span: Span) -> Span {
    let mut inside = words.iter().filter(|word| word.span.overlap(span) > 0);
    let first = inside.next();
    let start = first.map_or(span.end, |word| word.span.start.max(span.start));
    let last = inside.next_back().or(first);
    let end = last.map_or(start, |word| word.span.end.min(span.end));
    Span::new(start, end.max(start))
}

/// How many words the dateline takes: "Cairo (agencies) -".
fn dateline(words: &[Word]) -> usize {
    let dash = |word: &Word| matches!(word.text, "-" | "–" | "—" | "ـ" | "--");
    let agency = |word: &Word| is_agency(word.bare()) || is_agency(&word.normal);
    let (mut begin, mut end) = (0, 0);
    for (i, _) in words.iter().enumerate().take(LONGEST_DATELINE + 1).filter(|(_, w)| dash(w)) {
        if words[begin..i].iter().any(agency) && i + 1 < words.len() {
            end = i + 1;
        }
        begin = i + 1;
    }
    end
}

/// Parentheses that say the same again: the name in Latin letters, the month by its other name.
/// Others may hold what the sentence is about, or a number.
fn glosses(words: &[Word]) -> Vec<Span> {
    let mut found = Vec::new();
    let mut open = None;
    for (i, word) in words.iter().enumerate() {
        match word.text {
            "(" => open = Some(i),
            ")" => {
                let Some(start) = open.take() else { continue };
                let inside = &words[start + 1..i];
                let latin =
                    |word: &Word| word.is_mark() || word.normal.is_ascii() && !is_number(word.text);
                let month = |word: &Word| word.is_mark() || is_month(&word.normal);
                let short = (1..=LONGEST_GLOSS).contains(&inside.len());
                if start > 0 && short && (inside.iter().all(latin) || inside.iter().all(month)) {
                    found.push(Span::new(words[start].span.start, word.span.end));
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::cues::sentence_words;
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        let kept = kept(&sentence_words(text));
        kept.iter().map(|span| span.of(text)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_only_fills_is_dropped() {
        for (text, wanted) in [
            ("القاهرة (وكالات) - وصل الوزير أمس.", "وصل الوزير أمس."),
            ("عمان - رويترز - وصل الوزير أمس.", "وصل الوزير أمس."),
            ("ويذكر أن البلاد فقيرة بالمياه.", "البلاد فقيرة بالمياه."),
            ("ومن جهة أخرى، قال الوزير إن السد جاهز.", "قال الوزير إن السد جاهز."),
            ("وقال الوزير في أيلول (سبتمبر) إن السد جاهز.", "قال الوزير في أيلول إن السد جاهز."),
            ("أعلنت منظمة الصحة (WHO) خطة.", "أعلنت منظمة الصحة خطة."),
        ] {
            assert_eq!(shown(text), wanted);
        }
    }

    #[test]
    fn what_may_matter_stays() {
        for text in [
            "قال وزير المياه إن السد جاهز.",
            "فاز فيلم (المومياء) بالجائزة.",
            "بلغت الكلفة 5 ملايين (نحو 2 مليون دولار).",
            "وزير المياه في دمشق.",
            "السد - كما قال - جاهز.",
            "يذكر أن",
            "(وكالات) -",
        ] {
            assert_eq!(shown(text), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_stands_in_order(
            text in "((القاهرة|وكالات|ويذكر|أن|وقال|\\(|\\)|-|،|WHO|قال|12|أيلول) ?){0,12}",
        ) {
            let mut at = 0;
            let words = sentence_words(&text);
            let kept = kept(&words);
            for span in &kept {
                prop_assert!(span.start >= at && !span.is_empty(), "{kept:?}");
                prop_assert!(!span.of(&text).starts_with(' ') && !span.of(&text).ends_with(' '));
                at = span.end;
            }
            prop_assert!(at <= text.len());
            prop_assert_eq!(kept.is_empty(), words.is_empty());
        }
    }
}
