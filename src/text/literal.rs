//! What a translation copies: numbers, Latin words and addresses. When one is lost or a number
//! comes from nowhere, the translation is wrong, whatever the model thinks of it.

use std::collections::HashSet;

use super::Span;

/// Words of `source` with a number, a Latin word or an address that stands nowhere in `target`.
/// `words` are spans of `source`.
pub fn lost(source: &str, words: &[Span], target: &str) -> Vec<Span> {
    let lower = target.to_lowercase();
    let numbers: HashSet<String> = numbers(target).collect();
    let named: HashSet<&str> = lower.split(|c: char| !c.is_alphabetic()).collect();
    let kept = |word: &str| {
        if is_latin(word) {
            return lower.contains(&literal(word).to_lowercase());
        }
        self::numbers(word).all(|number| {
            numbers.contains(&number) || english(&number).iter().any(|n| named.contains(n))
        })
    };
    words.iter().copied().filter(|word| !kept(word.of(source))).collect()
}

/// Whether a word is written in Latin letters; a single one, as of a unit, does not count.
pub fn is_latin(word: &str) -> bool {
    word.chars().filter(char::is_ascii_alphabetic).nth(1).is_some()
}

/// Whether a word is a number rather than a name.
pub fn is_number(word: &str) -> bool {
    word.contains(|c| digit(c).is_some()) && !is_latin(word)
}

/// What English writes for a number, Latin word or address: without proclitics and units written
/// in Arabic, the digits ASCII.
pub fn literal(word: &str) -> String {
    let core = word.trim_matches(|c| !(char::is_ascii_alphanumeric(&c) || digit(c).is_some()));
    let ascii = |c| match c {
        '٫' => '.',
        '٬' | '،' => ',',
        c => digit(c).unwrap_or(c),
    };
    core.chars().map(ascii).collect()
}

/// Words of `target` with a number that `source` has neither in digits nor, as far as can be told,
/// in words. `words` are spans of `target`.
pub fn added(source: &str, target: &str, words: &[Span]) -> Vec<Span> {
    if source.split(|c: char| !c.is_alphabetic()).any(is_arabic_number) {
        return Vec::new();
    }
    unknown_numbers(source, target, words)
}

/// Words of `target` with a number that `source` has not in digits. `words` are spans of `target`.
pub fn unknown_numbers(source: &str, target: &str, words: &[Span]) -> Vec<Span> {
    let known: HashSet<String> = numbers(source).collect();
    let added = |word: &str| numbers(word).any(|number| !known.contains(&number));
    words.iter().copied().filter(|word| added(word.of(target))).collect()
}

/// The numbers of a text as ASCII digits, without leading zeros and separators of thousands: `١٬٥٠٠`
/// and `1,500` are `1500`, `2,3` and `2.3` are `2.3`, `12:30` is `12` and `30`.
fn numbers(text: &str) -> impl Iterator<Item = String> {
    let separator = |c: char| matches!(c, '.' | ',' | '٫' | '٬' | '،');
    text.split(move |c| digit(c).is_none() && !separator(c)).filter_map(move |number| {
        let mut digits = String::new();
        for (i, group) in number.split(separator).filter(|group| !group.is_empty()).enumerate() {
            // What is not three digits long is no group of thousands, but a fraction.
            if i > 0 && group.chars().count() != 3 {
                digits.push('.');
            }
            digits.extend(group.chars().filter_map(digit));
        }
        let zeros = digits.len() - digits.trim_start_matches('0').len();
        digits.drain(..zeros.min(digits.len().saturating_sub(1)));
        (!digits.is_empty()).then_some(digits)
    })
}

/// An ASCII, Arabic-Indic or Persian digit as an ASCII digit.
fn digit(c: char) -> Option<char> {
    let value = match c {
        '0'..='9' => c as u32 - '0' as u32,
        '٠'..='٩' => c as u32 - '٠' as u32,
        '۰'..='۹' => c as u32 - '۰' as u32,
        _ => return None,
    };
    char::from_digit(value, 10)
}

/// How English writes a small or round number in words.
fn english(number: &str) -> &'static [&'static str] {
    match number {
        "0" => &["zero", "no"],
        "1" => &["one", "first", "a", "an"],
        "2" => &["two", "second", "twice", "both", "couple"],
        "3" => &["three", "third"],
        "4" => &["four", "fourth"],
        "5" => &["five", "fifth"],
        "6" => &["six", "sixth"],
        "7" => &["seven", "seventh"],
        "8" => &["eight", "eighth"],
        "9" => &["nine", "ninth"],
        "10" => &["ten", "tenth"],
        "11" => &["eleven", "eleventh"],
        "12" => &["twelve", "twelfth", "dozen"],
        "13" => &["thirteen", "thirteenth"],
        "14" => &["fourteen", "fourteenth"],
        "15" => &["fifteen", "fifteenth"],
        "16" => &["sixteen", "sixteenth"],
        "17" => &["seventeen", "seventeenth"],
        "18" => &["eighteen", "eighteenth"],
        "19" => &["nineteen", "nineteenth"],
        "20" => &["twenty", "twentieth"],
        "30" => &["thirty", "thirtieth"],
        "40" => &["forty"],
        "50" => &["fifty", "half"],
        "60" => &["sixty"],
        "70" => &["seventy"],
        "80" => &["eighty"],
        "90" => &["ninety"],
        "100" => &["hundred", "hundredth", "century"],
        "1000" => &["thousand"],
        "1000000" => &["million"],
        "1000000000" => &["billion"],
        _ => &[],
    }
}

/// Whether an Arabic word may stand for a number; proclitics and endings are looked past.
fn is_arabic_number(word: &str) -> bool {
    const STEMS: [&str; 37] = [
        "واحد",
        "إحدى",
        "احدى",
        "اثن",
        "إثن",
        "اثني",
        "ثلاث",
        "أربع",
        "اربع",
        "خمس",
        "ست",
        "سبع",
        "ثمان",
        "تسع",
        "عشر",
        "عشار",
        "مئ",
        "مائ",
        "ألف",
        "آلاف",
        "الاف",
        "مليون",
        "ملايين",
        "مليار",
        "بليون",
        "أول",
        "ثاني",
        "ثالث",
        "رابع",
        "خامس",
        "سادس",
        "سابع",
        "ثامن",
        "تاسع",
        "نصف",
        "ثلث",
        "ربع",
    ];
    let bare = word.trim_start_matches(['و', 'ف', 'ب', 'ل', 'ك']);
    let forms = [word, bare, bare.trim_start_matches("ال")];
    STEMS.iter().any(|stem| forms.iter().any(|form| form.starts_with(stem)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::words;

    fn lost_words<'a>(source: &'a str, target: &str) -> Vec<&'a str> {
        lost(source, &words(source), target).into_iter().map(|span| span.of(source)).collect()
    }

    fn added_words<'a>(source: &str, target: &'a str) -> Vec<&'a str> {
        added(source, target, &words(target)).into_iter().map(|span| span.of(target)).collect()
    }

    #[test]
    fn numbers_are_kept_in_any_writing() {
        for (source, target) in [
            ("بلغ العدد ١٬٥٠٠ شخص", "The number reached 1,500 people"),
            ("بلغ العدد 1500 شخص", "1.500 people"),
            ("في الساعة 12:30", "At 12.30 and 12:30"),
            ("قتل 3 أشخاص", "Three people were killed"),
            ("في القرن 21", "In the 21st century"),
            ("بنسبة ٣٫٥٪", "by 3.5%"),
            ("عام 2020م", "in 2020"),
            ("الصفحة 007", "page 7"),
            ("الرقم 00", "number 0"),
        ] {
            assert!(lost_words(source, target).is_empty(), "{source}");
        }
        assert_eq!(lost_words("بلغ العدد ١٬٥٠٠ شخص", "The number reached 150"), ["١٬٥٠٠"]);
        assert_eq!(lost_words("في الساعة 12:30", "At 12"), ["12:30"]);
        assert!(lost_words("نحو 2,3 مليون", "about 2.3 million").is_empty());
        assert_eq!(lost_words("نحو 2.3 مليون", "about 23 million"), ["2.3"]);
        assert_eq!(lost_words("من 1,234,567 إلى 0.5", "from 1234567 to 05"), ["0.5"]);
    }

    #[test]
    fn latin_words_and_addresses_are_kept_as_they_are() {
        let source = "زوروا https://library.example/ar أو شركة Example اليوم";
        let whole = "Visit https://library.example/ar or the company EXAMPLE today";
        assert!(lost_words(source, whole).is_empty());
        assert_eq!(
            lost_words(source, "Visit https://lib today"),
            ["https://library.example/ar", "Example"]
        );
    }

    #[test]
    fn numbers_from_nowhere_are_seen() {
        assert_eq!(added_words("جاء الوزير أمس", "The minister came in 1997"), ["1997"]);
        assert!(added_words("جاء عشرون وزيرا", "20 ministers came").is_empty());
        assert!(added_words("وفي الألفية", "In 2000").is_empty());
        assert!(added_words("جاء 20 وزيرا", "20 ministers came").is_empty());
    }
}
