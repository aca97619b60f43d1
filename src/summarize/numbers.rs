//! Numbers written in words, so that "45 ألف" supports 45,000 and "ثلاثة" supports three.

use std::collections::HashSet;

use super::stem::normalized;
use crate::text::{literal, words};

/// Every number that a text, Arabic or English, may be said to hold, each word by itself and those that
/// stand together. More than there are rather than fewer: what is not here stands nowhere.
pub(super) fn numbers(text: &str) -> HashSet<u64> {
    let mut found = HashSet::new();
    let mut sum = Sum::default();
    for word in words(text) {
        let word = word.of(text);
        match value(word) {
            Some(value) => {
                found.insert(value.units());
                // "ألفا" is "a thousand" behind a number and "two thousand" before a noun.
                if matches!(value, Value::Scale(_)) && word.ends_with('ا') {
                    found.insert(2 * value.units());
                }
                sum.add(value);
                found.extend(sum.values());
            }
            None if matches!(word, "-" | "و") || word.eq_ignore_ascii_case("and") => {}
            None => sum = Sum::default(),
        }
    }
    found
}

/// The number that stands at the beginning of some English words, and how many words it takes; only if
/// it is written in words, and more than two, which English has many ways to say.
pub(super) fn english(words: &[&str]) -> Option<(u64, usize)> {
    let mut sum = Sum::default();
    let mut count = 0;
    let mut length = 0;
    for (i, word) in words.iter().enumerate() {
        match english_word(&word.to_lowercase()) {
            Some(value) => {
                sum.add(value);
                count += 1;
                length = i + 1;
            }
            None if count > 0 && (*word == "-" || word.eq_ignore_ascii_case("and")) => {}
            None => break,
        }
    }
    (count > 0 && sum.whole() > 2).then(|| (sum.whole(), length))
}

/// Whether an English word multiplies the number before it: "45 thousand".
pub(super) fn multiplies(word: &str) -> bool {
    matches!(english_word(&word.to_lowercase()), Some(Value::Scale(_)))
}

/// A number, or a multiplier.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    /// In thousandths, so that 2.5 million is a whole number.
    Number(u64),
    /// Hundred, thousand, million.
    Scale(u64),
}

impl Value {
    fn units(self) -> u64 {
        match self {
            Value::Number(thousandths) => thousandths / 1000,
            Value::Scale(scale) => scale,
        }
    }
}

/// Numbers that follow each other, in thousandths.
#[derive(Debug, Default)]
struct Sum {
    total: u64,
    current: u64,
}

impl Sum {
    fn add(&mut self, value: Value) {
        match value {
            Value::Number(number) => self.current = self.current.saturating_add(number),
            Value::Scale(scale) => {
                let times = if self.current == 0 { 1000 } else { self.current };
                let product = times.saturating_mul(scale);
                if scale > 100 {
                    self.total = self.total.saturating_add(product);
                    self.current = 0;
                } else {
                    self.current = product;
                }
            }
        }
    }

    fn whole(&self) -> u64 {
        self.total.saturating_add(self.current) / 1000
    }

    /// All of it, and what it is made of.
    fn values(&self) -> impl Iterator<Item = u64> + use<> {
        let values = [self.whole(), self.total / 1000, self.current / 1000];
        values.into_iter().filter(|&value| value > 0)
    }
}

fn value(word: &str) -> Option<Value> {
    if word.contains(char::is_numeric) {
        return digits(&literal(word)).map(Value::Number);
    }
    if word.is_ascii() {
        return english_word(&word.to_ascii_lowercase());
    }
    let word = normalized(word);
    let prefixes = ["", "و", "ال", "وال", "ب", "ل", "بال", "ف", "لل"];
    prefixes.iter().find_map(|prefix| arabic_word(word.strip_prefix(prefix)?))
}

/// Digits in thousandths: a point or comma before one or two digits, or three after a zero, is taken
/// for a decimal one.
fn digits(literal: &str) -> Option<u64> {
    let separator = literal.rfind(['.', ',']);
    let (whole, part) = match separator {
        Some(at) if literal.len() - at - 1 != 3 || literal.starts_with("0.") => {
            (&literal[..at], &literal[at + 1..])
        }
        _ => (literal, ""),
    };
    let only = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let whole: u64 = only(whole).parse().ok()?;
    let part: u64 = format!("{:0<3.3}", only(part)).parse().ok()?;
    whole.checked_mul(1000)?.checked_add(part)
}

fn arabic_word(word: &str) -> Option<Value> {
    const UNITS: [(&str, u64); 9] = [
        ("واحد", 1),
        ("ثلاث", 3),
        ("اربع", 4),
        ("خمس", 5),
        ("ست", 6),
        ("سبع", 7),
        ("ثمان", 8),
        ("تسع", 9),
        ("عشر", 10),
    ];
    const ORDINALS: [(&str, u64); 9] = [
        ("ثان", 2),
        ("ثالث", 3),
        ("رابع", 4),
        ("خامس", 5),
        ("سادس", 6),
        ("سابع", 7),
        ("ثامن", 8),
        ("تاسع", 9),
        ("عاشر", 10),
    ];
    let number = |n: u64| Some(Value::Number(n * 1000));
    match word {
        "احد" | "احدي" | "اول" | "اولي" => return number(1),
        "اثنان" | "اثنين" | "اثنتان" | "اثنتين" | "اثنا" | "اثني" | "اثنتا" | "اثنتي" | "ضعف"
        | "ضعفي" => return number(2),
        "عشرون" | "عشرين" => return number(20),
        "ستون" | "ستين" => return number(60),
        "نصف" => return Some(Value::Number(500)),
        "ربع" => return Some(Value::Number(250)),
        "مئة" | "مائة" | "مئات" | "المئة" => return Some(Value::Scale(100)),
        "مئتا" | "مئتي" | "مئتان" | "مئتين" | "مائتا" | "مائتي" | "مائتان" | "مائتين" =>
        {
            return number(200);
        }
        "الف" | "الفا" | "الاف" => return Some(Value::Scale(1000)),
        "الفان" | "الفين" | "الفي" => return number(2000),
        "مليون" | "مليونا" | "ملايين" => return Some(Value::Scale(1_000_000)),
        "مليونان" | "مليونين" | "مليوني" => return number(2_000_000),
        "مليار" | "مليارا" | "مليارات" | "بليون" => {
            return Some(Value::Scale(1_000_000_000));
        }
        "ملياران" | "مليارين" | "ملياري" => return number(2_000_000_000),
        _ => {}
    }
    for (stem, n) in UNITS.into_iter().chain(ORDINALS) {
        let Some(end) = word.strip_prefix(stem) else { continue };
        match end {
            "" | "ة" | "ه" | "ي" | "ية" | "يا" => return number(n),
            "ون" | "ين" if (3..10).contains(&n) => return number(10 * n),
            "مئة" | "مائة" if (3..10).contains(&n) => return number(100 * n),
            _ => {}
        }
    }
    None
}

fn english_word(word: &str) -> Option<Value> {
    const WORDS: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] =
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    let number = |n: usize| Some(Value::Number(n as u64 * 1000));
    match word {
        "hundred" => Some(Value::Scale(100)),
        "thousand" => Some(Value::Scale(1000)),
        "million" => Some(Value::Scale(1_000_000)),
        "billion" => Some(Value::Scale(1_000_000_000)),
        _ => match WORDS.iter().position(|w| *w == word) {
            Some(n) => number(n),
            None => number(20 + 10 * TENS.iter().position(|w| *w == word)?),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_words_and_digits() {
        for (text, wanted) in [
            ("45 ألف كتاب", 45_000),
            ("٤٥ ألفا", 45_000),
            ("ألفا شخص", 2_000),
            ("نصف مليون نسمة", 500_000),
            ("2.1 مليار دولار", 2_100_000_000),
            ("ثلاثة وعشرون طالبا", 23),
            ("خمسة آلاف وأربعمئة", 5_400),
            ("قبل ستة عشر عاما", 16),
            ("مئتي ألف", 200_000),
            ("مليوني طفل", 2_000_000),
            ("1,500 people", 1_500),
            ("twenty-three", 23),
            ("two hundred and five thousand", 205_000),
        ] {
            assert!(numbers(text).contains(&wanted), "{text}: {:?}", numbers(text));
        }
        assert!(!numbers("وصل الوزير").contains(&3));
    }

    #[test]
    fn english_numbers_in_words() {
        assert_eq!(english(&["twenty", "-", "three", "people"]), Some((23, 3)));
        assert_eq!(english(&["five", "and", "more"]), Some((5, 1)));
        assert_eq!(english(&["two", "people"]), None);
        assert_eq!(english(&["people"]), None);
    }
}
