//! What a bullet says that its source does not: numbers and names from nowhere.

use std::collections::HashSet;

use super::names::Names;
use super::numbers::{english, multiplies, numbers};
use crate::text::{Span, unknown_numbers, words};

/// What a text holds that a bullet may name.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The Arabic text.
    source: String,
    numbers: HashSet<u64>,
    names: Names,
}

impl Known {
    /// Of an Arabic text.
    pub fn new(source: &str) -> Self {
        let mut known =
            Known { source: source.to_owned(), numbers: numbers(source), names: Names::default() };
        words(source).into_iter().for_each(|word| known.names.add(word.of(source)));
        known
    }

    /// Adds the names that a translation of the text has.
    pub fn add_translation(&mut self, text: &str) {
        words(text).into_iter().for_each(|word| self.names.add(word.of(text)));
    }

    /// Words of an English bullet with a number that the text has neither in digits nor in words.
    pub fn unknown_numbers(&self, bullet: &str) -> Vec<Span> {
        let spans = words(bullet);
        let texts: Vec<&str> = spans.iter().map(|span| span.of(bullet)).collect();
        let digits = unknown_numbers(&self.source, bullet, &spans);
        let mut unknown = Vec::new();
        let mut i = 0;
        while i < spans.len() {
            let mut taken = 1;
            let mut wrong = false;
            if texts[i].contains(char::is_numeric) {
                taken += usize::from(texts.get(i + 1).is_some_and(|next| multiplies(next)));
                let said = numbers(spans[i].cover(spans[i + taken - 1]).of(bullet));
                wrong = digits.contains(&spans[i]) && said.is_disjoint(&self.numbers);
            } else if let Some((number, count)) = english(&texts[i..]) {
                taken = count;
                let digits = number.to_string();
                let written = !unknown_numbers(&self.source, &digits, &words(&digits)).is_empty();
                wrong = !self.numbers.contains(&number) && written;
            }
            if wrong {
                unknown.push(spans[i].cover(spans[i + taken - 1]));
            }
            i += taken;
        }
        unknown
    }

    /// Whether the text has one of the names in an English bullet.
    pub fn named_in(&self, bullet: &str) -> bool {
        let name = |span: &Span| span.start > 0 && span.of(bullet).starts_with(char::is_uppercase);
        words(bullet).iter().filter(|span| name(span)).any(|span| self.names.has(span.of(bullet)))
    }

    /// Names in an English bullet that stand nowhere in the text: words with a capital inside a
    /// sentence, and what stands directly before one at its beginning.
    pub fn unknown_names(&self, bullet: &str) -> Vec<Span> {
        let spans = words(bullet);
        let capital = |span: &Span| span.of(bullet).starts_with(char::is_uppercase);
        let mut begins = true;
        let mut unknown = Vec::new();
        for (i, span) in spans.iter().enumerate() {
            let word = span.of(bullet);
            if !word.contains(char::is_alphanumeric) {
                begins |= matches!(word, "." | "!" | "?" | ":" | "\"" | "“");
                continue;
            }
            // "Sami Khatib said": the first of several.
            let name =
                capital(span) && word != "I" && (!begins || spans.get(i + 1).is_some_and(capital));
            begins = false;
            let article = matches!(word, "The" | "A" | "An" | "In" | "On" | "At" | "But" | "And");
            if name && !article && !self.names.has(word) {
                unknown.push(*span);
            }
        }
        unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(spans: &[Span], text: &'a str) -> Vec<&'a str> {
        spans.iter().map(|span| span.of(text)).collect()
    }

    #[test]
    fn numbers_from_nowhere() {
        let known = Known::new(
            "قتل ثلاثة أشخاص وأصيب 45 ألفا في ١٢ قرية منذ ستة عشر عاما، وبلغت النسبة 3.5%",
        );
        for fine in [
            "Three people died, 45,000 were hurt in 12 villages.",
            "45 thousand after sixteen years, 3.5 percent; two of them.",
            "16 years",
            "Twelve villages",
        ] {
            assert_eq!(of(&known.unknown_numbers(fine), fine), [""; 0], "{fine}");
        }
        let wrong = "Seventeen people died in 1997 and 46,000 were hurt, twenty-three of them.";
        assert_eq!(
            of(&known.unknown_numbers(wrong), wrong),
            ["Seventeen", "1997", "46,000", "twenty-three"]
        );
    }

    #[test]
    fn names_from_nowhere() {
        let mut known = Known::new("قال سامي الخطيب في القاهرة إن شركة Example ستعمل في مصر");
        known.add_translation("Sami al-Khatib said at the Academy that");
        let fine =
            "Sami Khatib said in Cairo that Example works in Egypt. The Academy agreed on Monday.";
        assert_eq!(of(&known.unknown_names(fine), fine), [""; 0]);
        let wrong = "John Smith said in London that Example left.";
        assert_eq!(of(&known.unknown_names(wrong), wrong), ["John", "Smith", "London"]);
    }
}
