//! Words: Unicode's (UAX #29), with what Arabic and running text need put right.

use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

use super::Span;
use super::chars::{TATWEEL, is_arabic_letter, is_invisible, letters};
use super::web::address;

/// Characters within which a word of letters ends. Without a bound, a long run that the standard
/// takes for one word and that is cut up here would be looked through again for every piece.
const LONGEST_WORD: usize = 128;

/// The words of `text`, in order and apart; together they cover every character that is not
/// whitespace.
///
/// - Arabic proclitics, marks and tatweel stay in their word.
/// - An address, @handle or #tag is one word; so is a number with its inner separators, sign,
///   percent or currency sign: `3.5`, `12:30`, `2020-05-01`, `٪١٠`, `$5`.
/// - Dotted abbreviations (`U.S.`, `أ.د.`) and contractions (`don't`) are one word, hyphenated
///   compounds are several: `well`, `-`, `known`.
/// - Each other mark is a word, a run of one mark (`...`) a single one.
pub fn words(text: &str) -> Vec<Span> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(skipped) = text[at..].find(|c: char| !c.is_whitespace()) {
        let start = at + skipped;
        // Bidi controls ahead of a word go with it.
        let shown = text[start..].find(|c| !is_invisible(c)).map_or(text.len(), |n| start + n);
        let apart = text[..shown].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        at = shown + word(&text[shown..], apart);
        words.push(Span::new(start, at));
    }
    words
}

/// Length of the word that `text` begins with: 0 if it begins with whitespace or is empty.
/// `apart` says that no letter or digit stands directly before.
fn word(text: &str, apart: bool) -> usize {
    let Some(first) = text.chars().next().filter(|c| !c.is_whitespace()) else { return 0 };
    if apart && let Some(end) = address(text).or_else(|| tag(text)) {
        return end;
    }
    if let Some(end) = number(text, apart) {
        // Letters that touch the number belong to it: 2020م, 5G.
        let letters = text[end..].starts_with(char::is_alphabetic);
        return end + if letters { unicode_word(&text[end..]) } else { 0 };
    }
    if is_mark(first) {
        return text.find(|c| c != first).unwrap_or(text.len());
    }
    let end = unicode_word(text);
    // A proclitic with its number: و١٠٪.
    match text[..end].find(char::is_numeric) {
        Some(digits) if text[..digits].chars().all(is_arabic_letter) => {
            digits + word(&text[digits..], false)
        }
        _ => end,
    }
}

/// A UAX #29 word. The standard joins letters across a full stop or colon, but "السراج.وقبل" is
/// two words and a mark.
fn unicode_word(text: &str) -> usize {
    let bound = text.char_indices().nth(LONGEST_WORD).map_or(text.len(), |(at, _)| at);
    let Some(piece) = text[..bound].split_word_bounds().next() else { return 0 };
    let piece = &piece[..piece.find(char::is_whitespace).unwrap_or(piece.len())];
    if piece.contains('.') && piece.split('.').all(|label| letters(label) == 1) {
        let dotted = text[piece.len()..].starts_with('.')
            && !text[piece.len() + 1..].starts_with(['.', '…']);
        return piece.len() + usize::from(dotted);
    }
    let glued = piece.char_indices().skip(1).find(|&(at, c)| {
        matches!(c, '.' | ':' | ',' | ';' | '·')
            && (last_letter_is_arabic(&piece[..at])
                || piece[at + c.len_utf8()..].starts_with(is_arabic_letter))
    });
    glued.map_or(piece.len(), |(at, _)| at)
}

/// Whether `text` ends with an Arabic letter, the marks and strokes upon it aside.
fn last_letter_is_arabic(text: &str) -> bool {
    let upon = |c: char| is_combining_mark(c) || c == TATWEEL || is_invisible(c);
    text.trim_end_matches(upon).ends_with(is_arabic_letter)
}

/// An @handle or #tag: `#وسم_مركب`.
fn tag(text: &str) -> Option<usize> {
    let name = text.strip_prefix(['@', '#'])?;
    let end = name
        .find(|c: char| !c.is_alphanumeric() && c != '_' && !is_combining_mark(c))
        .unwrap_or(name.len());
    (end > 0).then_some(1 + end)
}

/// A number with what belongs to it. Ahead of the digits, if nothing touches them: one sign,
/// percent or currency sign; behind them a percent or currency sign.
fn number(text: &str, apart: bool) -> Option<usize> {
    let first = text.chars().next()?;
    let prefixed = apart && (matches!(first, '-' | '+' | '−') || is_unit(first));
    let mut end = if prefixed { first.len_utf8() } else { 0 };
    if !text[end..].starts_with(char::is_numeric) {
        return None;
    }
    let mut rest = text[end..].chars().peekable();
    while let Some(c) = rest.next() {
        let inner = is_separator(c) && rest.peek().is_some_and(|next| next.is_numeric());
        if !c.is_numeric() && !inner {
            if is_unit(c) {
                end += c.len_utf8();
            }
            break;
        }
        end += c.len_utf8();
    }
    Some(end)
}

/// What stands between the digits of a number, date or time.
fn is_separator(c: char) -> bool {
    matches!(c, '.' | ',' | ':' | '/' | '-' | '٫' | '٬' | '،')
}

fn is_unit(c: char) -> bool {
    matches!(c, '%' | '٪' | '‰' | '$' | '£' | '¥' | '₪' | '€' | '₺' | '₽' | '﷼')
}

/// Punctuation that may come in runs.
fn is_mark(c: char) -> bool {
    c.is_ascii_punctuation() && c != '_'
        || matches!(c,
            '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{203E}' | '«' | '»' | '،' | '؛' | '؟' | '۔'
            | '\u{FD3E}' | '\u{FD3F}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str) -> Vec<&str> {
        words(text).into_iter().map(|span| span.of(text)).collect()
    }

    #[test]
    fn words_of_running_text() {
        // Words are shown with a space between.
        let table = [
            ("", ""),
            (" \n\t", ""),
            ("وسيكتبونها غدًا", "وسيكتبونها غدًا"),
            ("مُحَـــمَّدٌ وصل", "مُحَـــمَّدٌ وصل"),
            ("قال: «نعم، سأعود».", "قال : « نعم ، سأعود » ."),
            ("عاد السائق.وقبل ذلك", "عاد السائق . وقبل ذلك"),
            ("قالَ:نعم", "قالَ : نعم"),
            ("النص.Next", "النص . Next"),
            ("لا...نعم؟!", "لا ... نعم ؟ !"),
            ("ارتفع 3.5% إلى 1.000.000", "ارتفع 3.5% إلى 1.000.000"),
            ("٪١٠ و١٠٪ و٣٫٥", "٪١٠ و١٠٪ و٣٫٥"),
            ("في 12:30 يوم 2020-05-01 أو 1/5/2020.", "في 12:30 يوم 2020-05-01 أو 1/5/2020 ."),
            ("سعره $5 أو 5€ (-3)", "سعره $5 أو 5€ ( -3 )"),
            ("عام 2020م وكوفيد-19", "عام 2020م وكوفيد - 19"),
            ("زوروا https://example.com/a?b=1.", "زوروا https://example.com/a?b=1 ."),
            ("إلى info@example.org، @user_1", "إلى info@example.org ، @user_1"),
            ("#وسم_مركب#آخر", "#وسم_مركب # آخر"),
            ("I don't know U.S. well-known", "I don't know U.S. well - known"),
            ("أ.د. سامي", "أ.د. سامي"),
            ("file.txt!!", "file.txt !!"),
            ("سعيد 👨‍👩‍👧 🇪🇬", "سعيد 👨‍👩‍👧 🇪🇬"),
            ("\u{200F}نص\u{200F} آخر", "\u{200F}نص\u{200F} آخر"),
            ("5\u{202F}000", "5 000"),
            ("\u{64B} \u{200F}", "\u{64B} \u{200F}"),
        ];
        for (text, wanted) in table {
            assert_eq!(split(text).join(" "), wanted, "{text}");
        }
    }

    #[test]
    fn long_lines_take_linear_time() {
        let clock = std::time::Instant::now();
        for piece in [
            "ا",
            "ا.",
            "اب:",
            "د.ـ",
            "a.",
            "1.",
            ".",
            "a@",
            "#",
            "\u{200F}",
            "\u{64B}",
            "كلمة ",
            "👨\u{200D}",
        ] {
            let text = piece.repeat(400_000 / piece.len());
            assert!(!words(&text).is_empty());
        }
        assert!(clock.elapsed().as_secs() < 20, "{:?}", clock.elapsed());
    }

    proptest! {
        #[test]
        fn words_cover_all_but_whitespace(
            text in prop_oneof![
                any::<String>(),
                "[ \\nابو.:،؟«»()#@%$\\-_0-9٣aB\\u{64B}\\u{640}\\u{200D}\\u{200F}\\u{202F}👨]{0,40}",
            ],
        ) {
            let mut at = 0;
            for span in words(&text) {
                prop_assert!(span.start >= at && !span.is_empty());
                prop_assert!(text[at..span.start].chars().all(char::is_whitespace));
                prop_assert!(!span.of(&text).contains(char::is_whitespace));
                at = span.end;
            }
            prop_assert!(text[at..].chars().all(char::is_whitespace));
        }
    }
}
