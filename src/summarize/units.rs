//! Units: what can be chosen from an article. A short sentence is one; a long one is cut where a clause
//! ends that stands by itself.

use super::article::{Article, Role};
use super::compress::kept;
use super::cues::{Word, begins_subject, binds, is_saying, is_verb, leans_back, sentence_words};
use crate::text::Span;

/// A sentence or clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Number of its sentence.
    pub sentence: usize,
    /// Bytes of the sentence from its first word to its last.
    pub clause: Span,
    /// Who said it, bytes of the sentence, if that stands before another clause.
    pub speaker: Option<Span>,
    /// The mark that ends the sentence, if another clause comes before it.
    pub mark: Option<Span>,
    /// The unit before must be shown too.
    pub leans: bool,
}

impl Unit {
    /// The parts of its sentence that are shown, in order and apart: who is speaking, the clause without
    /// what can be dropped, and the mark that ends the sentence.
    pub fn parts(&self, sentence: &str) -> Vec<Span> {
        let words = sentence_words(self.clause.of(sentence));
        let shift = |span: Span| span.shift(self.clause.start);
        let clause: Vec<Span> = match self.speaker {
            // "and that": without "and".
            Some(_) => match (words.first(), words.last()) {
                (Some(first), Some(last)) => {
                    vec![shift(Span::new(first.span.start + 'و'.len_utf8(), last.span.end))]
                }
                _ => Vec::new(),
            },
            None => kept(&words).into_iter().map(shift).collect(),
        };
        self.speaker.into_iter().chain(clause).chain(self.mark).collect()
    }

    /// This unit and the next of the same sentence as one.
    pub fn join(&self, next: &Unit) -> Unit {
        Unit { clause: self.clause.cover(next.clause), mark: next.mark, ..self.clone() }
    }
}

/// The parts of a text as one: words apart, marks joined to the word before.
pub fn shown(text: &str, parts: &[Span]) -> String {
    let mut shown = String::new();
    for part in parts {
        let piece = part.of(text);
        if !shown.is_empty()
            && piece.starts_with(|c: char| c.is_alphanumeric() || "«(\"“".contains(c))
        {
            shown.push(' ');
        }
        shown.push_str(piece);
    }
    shown
}

/// Sentences of fewer words are not cut.
const SHORTEST_CUT: usize = 16;
/// Fewest words of a clause.
const SHORTEST_CLAUSE: usize = 5;
/// Words from the beginning of a sentence among which "said that" may end.
const LONGEST_FRAME: usize = 14;

/// The units of an article, in order; those of a sentence tile it but for what is dropped. Headings and
/// cells of tables are units only if there is no prose.
pub fn units(article: &Article) -> Vec<Unit> {
    let all = &article.sentences;
    let has_prose = all.iter().any(|sentence| sentence.role == Role::Prose);
    let mut units = Vec::new();
    for (i, sentence) in all.iter().enumerate() {
        if sentence.role == Role::Prose || !has_prose {
            clauses(&sentence.text, i, &mut units);
        }
    }
    // Nothing stands before the first.
    if let Some(first) = units.first_mut() {
        first.leans = false;
    }
    units
}

/// Where a clause begins.
struct Border {
    /// Number of its first word.
    word: usize,
    /// Number of the first word that is shown.
    shown: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Stands by itself.
    Main,
    /// Says more of the clause before, which stands without it.
    Leaning,
    /// "And that …" after "said that …".
    Reported,
}

fn clauses(text: &str, sentence: usize, units: &mut Vec<Unit>) {
    let words = sentence_words(text);
    let frame = frame(&words);
    let mut borders = borders(&words, frame);
    borders.retain(|border| border.word >= SHORTEST_CLAUSE);
    let mut cuts: Vec<Border> = vec![Border { word: 0, shown: 0, kind: Kind::Main }];
    for border in borders {
        let before = cuts.last().map_or(0, |cut| cut.word);
        if border.word - before >= SHORTEST_CLAUSE && words.len() - border.word > SHORTEST_CLAUSE {
            cuts.push(border);
        }
    }
    // The mark that ends the sentence ends each of its clauses.
    let mark = words.last().filter(|word| word.is_mark() && word.text.starts_with(['.', '!', '؟']));
    for (i, cut) in cuts.iter().enumerate() {
        let next = cuts.get(i + 1).map(|next| next.word);
        let mut clause = &words[cut.shown..next.unwrap_or(words.len())];
        if next.is_some() {
            let joins = |word: &Word| matches!(word.text, "،" | "," | "؛" | ";");
            while let Some((_, rest)) = clause.split_last().filter(|(last, _)| joins(last)) {
                clause = rest;
            }
        }
        let (Some(first), Some(last)) = (clause.first(), clause.last()) else { continue };
        let speaker = frame.filter(|_| cut.kind == Kind::Reported);
        units.push(Unit {
            sentence,
            clause: first.span.cover(last.span),
            speaker: speaker.map(|end| words[0].span.cover(words[end - 1].span)),
            mark: mark.filter(|_| next.is_some()).map(|mark| mark.span),
            leans: match cut.kind {
                Kind::Leaning => true,
                Kind::Reported => leans_back(&words),
                Kind::Main => leans_back(clause),
            },
        });
    }
}

/// The number of the word, "that", with which reported speech begins after "somebody said".
fn frame(words: &[Word]) -> Option<usize> {
    let begins = words.iter().take(3).any(|word| is_saying(word.bare()) || is_saying(&word.normal));
    let that = |word: &Word| matches!(word.text, "إن" | "أن" | "ان" | "إنّ" | "أنّ");
    let end = words.iter().take(LONGEST_FRAME).position(that)?;
    (begins && end > 0 && words[..end].iter().all(|word| !word.is_mark())).then_some(end)
}

fn borders(words: &[Word], frame: Option<usize>) -> Vec<Border> {
    let short = words.len() < SHORTEST_CUT;
    if short || words.iter().any(|w| binds(&w.normal) || binds(w.bare()) || w.text == "إما") {
        return Vec::new();
    }
    let mut borders = Vec::new();
    let mut depth = 0i32;
    let mut straight = false;
    for i in 1..words.len() {
        match words[i - 1].text {
            "«" | "(" | "[" | "“" | "‹" => depth += 1,
            "»" | ")" | "]" | "”" | "›" => depth -= 1,
            "\"" => straight = !straight,
            _ => {}
        }
        if depth != 0 || straight {
            continue;
        }
        let border = match words[i - 1].text {
            "؛" | ";" => Some((i, clause_kind(words, i))),
            "،" | "," => after_comma(words, i, frame),
            _ => None,
        };
        borders.extend(border.map(|(shown, kind)| match (kind, frame) {
            // It may still be what somebody said: never without the speaker.
            (Kind::Main, Some(_)) => Border { word: i, shown: i, kind: Kind::Leaning },
            _ => Border { word: i, shown, kind },
        }));
    }
    borders
}

/// Main if the clause names whom it is about.
fn clause_kind(words: &[Word], at: usize) -> Kind {
    let Some(verb) = words.get(at) else { return Kind::Leaning };
    let rest = match verb.bare() {
        // "had", "did not": the verb comes next.
        "قد" | "لم" | "لن" | "سوف" => &words[(at + 2).min(words.len())..],
        _ => &words[at + 1..],
    };
    let named = match is_verb(verb.bare()) {
        true => rest.first().is_some_and(begins_subject),
        false => begins_subject(verb),
    };
    match named && !leans_back(&words[at..]) {
        true => Kind::Main,
        false => Kind::Leaning,
    }
}

/// The border between a comma and the word at `i`, if there is one: which word is the first shown, and
/// the kind.
fn after_comma(words: &[Word], i: usize, frame: Option<usize>) -> Option<(usize, Kind)> {
    let word = &words[i];
    let next = words.get(i + 1)?;
    // "while": each side stands by itself, if it names whom it is about.
    let skipped = match (word.normal.as_str(), next.normal.as_str()) {
        ("فيما" | "بينما", _) => 1,
        ("في", "حين") => 2,
        _ => 0,
    };
    if skipped > 0 {
        return match clause_kind(words, i + skipped) {
            Kind::Main => Some((i + skipped, Kind::Main)),
            // As it is written, with its conjunction.
            other => Some((i, other)),
        };
    }
    if matches!(
        word.normal.as_str(),
        "اذ" | "حيث" | "وهو" | "وهي" | "وهم" | "وهما" | "مما" | "وذلك"
    ) {
        return Some((i, Kind::Leaning));
    }
    let conjunction = word.bare() != word.normal && word.normal.starts_with('و');
    if !conjunction {
        return None;
    }
    if matches!(word.text, "وإن" | "وأن" | "وان") {
        let pronoun = next.is_mark() || leans_back(&words[i + 1..]);
        return Some((i, if frame.is_some() && !pronoun { Kind::Reported } else { Kind::Leaning }));
    }
    is_verb(word.bare()).then(|| (i, clause_kind(words, i)))
}

#[cfg(test)]
mod tests {
    use super::super::article::Sentence;
    use super::*;
    use proptest::prelude::*;

    fn article(texts: &[&str]) -> Article {
        let sentence = |text: &&str| Sentence {
            text: (*text).to_owned(),
            bytes: Span::default(),
            chars: Span::default(),
            role: Role::Prose,
        };
        Article { sentences: texts.iter().map(sentence).collect(), has_other: false }
    }

    fn shown(text: &str) -> Vec<(String, bool)> {
        let units = units(&article(&["بداية.", text]));
        let text = |unit: &Unit| super::shown(text, &unit.parts(text));
        units[1..].iter().map(|unit| (text(unit), unit.leans)).collect()
    }

    #[test]
    fn a_contrast_gives_two_clauses() {
        let text = "وتراجعت الأسهم بعد القرار بنسبة كبيرة أمس، فيما ارتفعت العملة المحلية قليلا أمام الدولار واليورو.";
        assert_eq!(
            shown(text),
            [
                ("تراجعت الأسهم بعد القرار بنسبة كبيرة أمس.".into(), false),
                ("ارتفعت العملة المحلية قليلا أمام الدولار واليورو.".into(), false),
            ]
        );
    }

    #[test]
    fn reported_speech_keeps_its_speaker() {
        let text = "وقال وزير المياه أمس إن المشروع ينهي سنوات طويلة من الانقطاع، وإن أول الأحياء ستصلها المياه قريبا.";
        let shown = shown(text);
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert_eq!(shown[1].0, "وقال وزير المياه أمس إن أول الأحياء ستصلها المياه قريبا.");
    }

    #[test]
    fn clauses_join_again() {
        let text = "وتراجعت الأسهم بعد القرار بنسبة كبيرة أمس، فيما ارتفعت العملة المحلية قليلا أمام الدولار واليورو.";
        let units = units(&article(&[text]));
        let whole = units[0].join(&units[1]);
        assert_eq!(super::shown(text, &whole.parts(text)), text.trim_start_matches('و'));
    }

    #[test]
    fn what_was_said_is_not_shown_without_the_speaker() {
        let text = "وقال الوزير إن المشروع الجديد ينهي سنوات طويلة من الانقطاع في البلاد، وارتفعت المياه في السد الجديد كثيرا.";
        let shown = shown(text);
        assert_eq!(shown.iter().map(|(_, leans)| *leans).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn what_says_more_leans() {
        let text = "وعزت الدائرة التراجع إلى انخفاض أسعار الغذاء في الأسواق كلها، وهي أعلى زيادة تسجلها البلاد منذ عام 2015.";
        let shown = shown(text);
        assert_eq!(shown.iter().map(|(_, leans)| *leans).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn one_thought_is_not_cut() {
        for text in [
            "ستدفع الحكومة التعويضات كلها قبل نهاية العام، وسيعود المزارعون إلى قراهم، إذا وافق البرلمان على القانون.",
            "وقال الوزير «إن السد جاهز للعمل الآن، وارتفعت المياه فيه إلى أعلى مستوى منذ ثلاثين عاما كاملة».",
            "وصل الوزير أمس، وعاد المدير.",
            "وتراجعت الأسهم بعد القرار بنسبة كبيرة أمس، فيما ارتفعت العملة المحلية قليلا أمام الدولار، بحسب المصرف المركزي.",
        ] {
            assert_eq!(shown(text).len(), 1, "{text}");
        }
    }

    proptest! {
        #[test]
        fn units_are_parts_of_their_sentence(
            text in "((وقال|الوزير|إن|،|وإن|فيما|ارتفعت|الأسعار|«|»|وهو|أمس|؛|في|حين|WHO|\\(|\\)|12) ){0,40}\\.?",
        ) {
            let text = text.trim();
            for unit in units(&article(&[text])) {
                let mut at = 0;
                let parts = unit.parts(text);
                prop_assert!(!parts.is_empty());
                for span in &parts {
                    prop_assert!(span.end <= text.len() && span.start >= at, "{:?}", unit);
                    prop_assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end));
                    at = span.end;
                }
            }
        }
    }
}
