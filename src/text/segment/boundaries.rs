//! Where the sentences of one passage end.

use super::abbreviations::{Abbreviation, abbreviation};
use super::quotes::{Quotes, quotes};
use crate::text::Span;
use crate::text::chars::{
    first_word, is_arabic_letter, is_blank, is_conjunction, is_invisible, is_wordy, last_word,
    letters,
};
use crate::text::web::address;

/// Verbs that say who spoke: after a quotation they go on with its sentence.
const ATTRIBUTIONS: &[&str] = &[
    "قال",
    "قالت",
    "قالوا",
    "يقول",
    "تقول",
    "أضاف",
    "أضافت",
    "أجاب",
    "أجابت",
    "رد",
    "ردت",
    "كتب",
    "كتبت",
    "سأل",
    "سألت",
    "هتف",
    "صرخ",
    "صاح",
    "همس",
    "تابع",
    "أوضح",
    "أكد",
    "بحسب",
    "وفق",
];

fn is_dot(c: char) -> bool {
    matches!(c, '.' | '…')
}

/// Marks that may end a sentence.
pub(super) fn is_mark(c: char) -> bool {
    is_dot(c)
        || matches!(c, '؟' | '?' | '!' | '؛' | '۔' | '⸮' | '\u{203C}' | '\u{2047}'..='\u{2049}')
}

/// Marks that, after the mark that ends a sentence, still belong to it.
pub(super) fn is_closer(c: char) -> bool {
    is_invisible(c) || matches!(c, '»' | '›' | ')' | ']' | '}' | '\u{FD3E}') || is_quote(c)
}

/// Quotation marks that look the same, or are typed the same, at both ends.
fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '“' | '”' | '’')
}

/// Marks, and whatever closes after them.
struct Marks {
    /// After the first marks, all of a kind with each other: "." or "؟!" or "...".
    first: usize,
    /// After all of it: "؟!»." or `.[12]`.
    end: usize,
    /// Whether a mark comes last rather than something that closes.
    bare: bool,
}

impl Marks {
    /// Reads the marks that stand at `at`.
    fn read(text: &str, at: usize) -> Marks {
        let after = |at: usize| at + text[at..].find(|c| !is_mark(c)).unwrap_or(text.len() - at);
        let first = after(at);
        let mut marks = Marks { first, end: first, bare: true };
        while let Some(c) = text[marks.end..].chars().next() {
            let next = text[marks.end + c.len_utf8()..].chars().next();
            if is_mark(c) {
                marks.end = after(marks.end);
                marks.bare = true;
            } else if is_closer(c) && !(is_quote(c) && next.is_some_and(is_wordy)) {
                marks.end += c.len_utf8();
                marks.bare &= is_invisible(c);
            } else if let Some(length) = footnote(&text[marks.end..]) {
                marks.end += length;
            } else if let Some(length) = spaced_mark(&text[marks.end..]) {
                marks.end += length;
                marks.bare = true;
            } else {
                break;
            }
        }
        marks
    }
}

/// A reference to a footnote: `[12]`.
fn footnote(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('[')?;
    let digits: usize =
        inner.chars().take(4).take_while(|c| c.is_numeric()).map(char::len_utf8).sum();
    (digits > 0 && inner[digits..].starts_with(']')).then_some(digits + 2)
}

/// Marks after spaces that nothing follows directly: the second of "؟ !".
fn spaced_mark(text: &str) -> Option<usize> {
    let marks = text.trim_start_matches(' ');
    let rest = marks.trim_start_matches(is_mark);
    let alone = rest.chars().next().is_none_or(char::is_whitespace);
    (marks.len() < text.len() && rest.len() < marks.len() && alone).then(|| text.len() - rest.len())
}

/// Whether a line ends a sentence with its last mark, whatever comes next.
pub(super) fn closes(line: &str) -> bool {
    let inner = line.trim_end_matches(|c| is_closer(c) || c.is_numeric() || c == '[');
    let inner =
        if is_reference(&line[inner.len()..]) { inner } else { line.trim_end_matches(is_closer) };
    let before = inner.trim_end_matches(is_mark);
    match &inner[before.len()..] {
        "" => false,
        "." => abbreviation(before) == Abbreviation::None,
        _ => true,
    }
}

/// Whether `tail` has digits in brackets only.
fn is_reference(tail: &str) -> bool {
    let mut rest = tail;
    while let Some(c) = rest.chars().next() {
        match footnote(rest) {
            Some(length) => rest = &rest[length..],
            None if is_closer(c) => rest = &rest[c.len_utf8()..],
            None => return false,
        }
    }
    true
}

/// The bytes at which the sentences of `text` end, the end of `text` itself left out.
pub(super) fn sentence_ends(text: &str) -> Vec<usize> {
    let quotes = quotes(text);
    let mut ends = Vec::new();
    let mut sentence = Sentence::new(text);
    let mut at = 0;
    let mut previous = None;
    while let Some(c) = text[at..].chars().next() {
        if is_mark(c) {
            let marks = Marks::read(text, at);
            if marks.end < text.len() && sentence.ends(at, &marks, &quotes) {
                ends.push(marks.end);
                sentence = Sentence::new(text);
            }
            previous = text[..marks.end].chars().next_back();
            at = marks.end;
            continue;
        }
        let mut length = c.len_utf8();
        if is_wordy(c) {
            if !previous.is_some_and(is_wordy) {
                length = address(&text[at..]).unwrap_or(length);
            }
            sentence.first_wordy.get_or_insert(at);
            sentence.last_wordy = Some(at);
            sentence.has_letter |= c.is_alphabetic();
        }
        at += length;
        previous = text[..at].chars().next_back();
    }
    ends
}

/// The sentence being read.
struct Sentence<'a> {
    text: &'a str,
    /// Where its first letter or digit stands.
    first_wordy: Option<usize>,
    /// Where the last one so far stands.
    last_wordy: Option<usize>,
    /// Whether one of them was a letter.
    has_letter: bool,
}

impl<'a> Sentence<'a> {
    fn new(text: &'a str) -> Self {
        Sentence { text, first_wordy: None, last_wordy: None, has_letter: false }
    }

    /// Whether the sentence ends with the marks at `at`.
    fn ends(&self, at: usize, marks: &Marks, quotes: &Quotes) -> bool {
        let Some(last_wordy) = self.last_wordy else { return false };
        let dot = matches!(&self.text[at..marks.first], ".");
        let before = &self.text[..at];
        let after = &self.text[marks.end..];
        if let Some(quote) = quotes.around(at) {
            let whole = marks.end >= quote.end;
            // "(!)" is a comment inside a sentence.
            if !whole || last_wordy < quote.start {
                return false;
            }
            if !marks.bare {
                return ends_quoted(before, dot, after);
            }
        }
        if after.trim_start_matches(is_blank).starts_with(continues) {
            return false;
        }
        let spaced = after.starts_with(char::is_whitespace);
        // "قال.»" closed by a stray mark, "قال».": no abbreviation, no number.
        let shows = |c: char| !is_invisible(c) && !is_mark(c) && c != ' ';
        let closed = self.text[marks.first..marks.end].contains(shows)
            || before.trim_end_matches(is_invisible).ends_with(is_closer);
        if dot && !closed {
            if spaced {
                self.dot_before_space(before, after)
            } else {
                self.dot_before_text(before, after)
            }
        } else if dot || closed {
            spaced || after.starts_with(|c| is_wordy(c) || opens(c))
        } else if self.text[at..marks.first].chars().all(is_dot) {
            spaced
        } else {
            // "Yahoo!mail" and "a?b" are no ends.
            spaced || !after.starts_with(|c: char| c.is_ascii_alphanumeric())
        }
    }

    /// Whether a full stop before a space ends the sentence.
    fn dot_before_space(&self, before: &str, after: &str) -> bool {
        let next = after.trim_start_matches(is_blank);
        if next.starts_with(char::is_lowercase) {
            return false;
        }
        match abbreviation(before) {
            Abbreviation::Hard => return false,
            Abbreviation::Soft => return is_conjunction(first_word(next)),
            Abbreviation::None => {}
        }
        let word = last_word(before);
        if word.is_empty() || !word.chars().all(char::is_numeric) {
            return true;
        }
        // A number: "1." numbers the sentence that it begins; so does "الأسباب: 1."; "12. 5. 2020".
        let start = before.len() - word.len();
        let begins = self.first_wordy.is_none_or(|first| first >= start);
        let ahead = before[..start].trim_end_matches(is_blank);
        let listed = ahead.ends_with([':', '،', '؛', '.']) && word.chars().count() <= 2;
        let digits = next.trim_start_matches(char::is_numeric);
        let dated = digits.len() < next.len() && digits.starts_with('.');
        !(begins || listed || dated)
    }

    /// Whether a full stop ends a sentence although no space follows, as news sites print it.
    fn dot_before_text(&self, before: &str, after: &str) -> bool {
        let next = first_word(after);
        let word = last_word(before);
        let arabic = word.chars().any(is_arabic_letter);
        let solid = match word.chars().next_back() {
            // A number or Latin word: "2017.وقال", but "1.النص" numbers an item.
            Some(c) if !arabic || c.is_numeric() => self.has_letter && word.chars().count() > 1,
            Some(_) => letters(word) > 1 && abbreviation(before) == Abbreviation::None,
            None => before.ends_with(['%', '٪']),
        };
        let Some(c) = after.chars().next() else { return false };
        // "أ.د." goes on after the first letter.
        let dotted = letters(next) == 1 && after[next.len()..].starts_with('.');
        let starts = is_arabic_letter(c)
            || opens(c)
            || is_quote(c)
            || (arabic && (c.is_uppercase() || c.is_numeric()));
        solid && starts && !dotted
    }
}

/// Whether a sentence ends with a quotation that has its last mark inside.
fn ends_quoted(before: &str, dot: bool, after: &str) -> bool {
    let next = after.trim_start_matches(is_blank);
    let word = first_word(next);
    if next.starts_with(continues) {
        false
    } else if dot {
        abbreviation(before) == Abbreviation::None && !ATTRIBUTIONS.contains(&word)
    } else {
        (word.starts_with('و') && is_conjunction(word)) || next.starts_with(opens)
    }
}

/// Marks with which no sentence begins.
fn continues(c: char) -> bool {
    matches!(c, '،' | ',' | ':' | '؛' | ';' | ')' | ']' | '}' | '»' | '›' | '/' | '%' | '٪')
}

fn opens(c: char) -> bool {
    matches!(c, '«' | '‹' | '(' | '[' | '“' | '\u{FD3F}')
}

/// The text of `span` without blanks at its ends.
pub(super) fn trimmed(text: &str, span: Span) -> Span {
    let visible = |c: char| !(c.is_whitespace() || c == '\u{FEFF}');
    let piece = span.of(text);
    let start = piece.find(visible).unwrap_or(piece.len());
    let end = piece
        .rfind(visible)
        .map_or(start, |at| at + piece[at..].chars().next().map_or(0, char::len_utf8));
    Span::new(span.start + start, span.start + end)
}
