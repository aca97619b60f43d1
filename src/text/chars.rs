//! Classes of characters that the text layer asks about.

use unicode_normalization::char::is_combining_mark;

/// Whether `c` is a letter of the Arabic script: no mark, no tatweel, no digit, no punctuation.
pub(super) fn is_arabic_letter(c: char) -> bool {
    matches!(c,
        '\u{620}'..='\u{63F}' | '\u{641}'..='\u{64A}' | '\u{66E}' | '\u{66F}'
        | '\u{671}'..='\u{6D3}' | '\u{6D5}' | '\u{6EE}' | '\u{6EF}' | '\u{6FA}'..='\u{6FC}'
        | '\u{6FF}' | '\u{750}'..='\u{77F}' | '\u{870}'..='\u{887}' | '\u{889}'..='\u{88E}'
        | '\u{8A0}'..='\u{8C9}' | '\u{FB50}'..='\u{FBB1}' | '\u{FBD3}'..='\u{FC5D}'
        | '\u{FC64}'..='\u{FCF1}' | '\u{FCF5}'..='\u{FD3D}' | '\u{FD50}'..='\u{FDFB}'
        | '\u{FE80}'..='\u{FEFC}')
}

/// Whether `text` holds at least one letter of the Arabic script, so that there is something in it
/// to translate.
pub fn has_arabic_letter(text: &str) -> bool {
    text.chars().any(is_arabic_letter)
}

/// Vowel signs and the like, which ordinary text omits: harakat, tanwin, shadda, sukun, dagger
/// alef, and the combining marks of the Quran. Hamza and madda above are letters' parts, not here.
pub(super) fn is_tashkeel(c: char) -> bool {
    matches!(c,
        '\u{64B}'..='\u{652}' | '\u{670}' | '\u{610}'..='\u{61A}' | '\u{6D6}'..='\u{6DC}'
        | '\u{6DF}'..='\u{6E4}' | '\u{6E7}' | '\u{6E8}' | '\u{6EA}'..='\u{6ED}')
}

pub(super) const TATWEEL: char = '\u{640}';
pub(super) const ZERO_WIDTH_JOINER: char = '\u{200D}';

/// Characters without a width of their own: bidi controls, zero-width spaces and joiners, and the
/// byte order mark.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{61C}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'
        | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// Whether nothing of `c` shows on the page.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_invisible(c)
}

/// The mandatory line breaks of Unicode; CR LF counts as one.
pub(super) fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{B}' | '\u{C}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// A letter, digit or what is written upon one.
pub(super) fn is_wordy(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// How many letters `word` has, marks, tatweel and digits not counted.
pub(super) fn letters(word: &str) -> usize {
    word.chars().filter(|&c| c.is_alphabetic() && !is_combining_mark(c) && c != TATWEEL).count()
}

/// The word that `text` begins with, once what does not show is skipped.
pub(super) fn first_word(text: &str) -> &str {
    let text = text.trim_start_matches(is_blank);
    let end = text.find(|c: char| !is_wordy(c)).unwrap_or(text.len());
    &text[..end]
}

/// The longest run of word characters that `text` ends with.
pub(super) fn last_word(text: &str) -> &str {
    let start = text
        .char_indices()
        .rev()
        .take_while(|&(_, c)| is_wordy(c))
        .last()
        .map_or(text.len(), |(at, _)| at);
    &text[start..]
}

/// Nouns and names whose first letter is a waw of the root. Other words of four letters and more
/// that begin with waw are taken for the conjunction "and" with its word.
const ROOT_WAW: &[&str] = &[
    "وائل",
    "واحد",
    "واحدة",
    "واشنطن",
    "والد",
    "والدة",
    "وثيقة",
    "وثائق",
    "وجهة",
    "وجود",
    "وحدة",
    "وحيد",
    "ورقة",
    "وزارة",
    "وزارات",
    "وزراء",
    "وزير",
    "وزيرة",
    "وسائل",
    "وسيلة",
    "وصول",
    "وظيفة",
    "وفاة",
    "وفقا",
    "وكالات",
    "وكالة",
    "وكيل",
    "ولاية",
    "ولايات",
    "وليد",
];

/// Whether `word` carries the conjunction waw or is a conjunction that opens sentences.
pub(super) fn is_conjunction(word: &str) -> bool {
    matches!(word, "ثم" | "كما" | "لكن")
        || (word.starts_with('و') && letters(word) >= 4 && !ROOT_WAW.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arabic_letters() {
        for yes in ["ا", "abc ب", "ﷲ", "ﻻ", "پ", "ڤ", "سَ"] {
            assert!(has_arabic_letter(yes), "{yes}");
        }
        for no in ["", "abc 12", "٣٫٥", "؟،؛", "ـــ", "\u{64B}", "﷼", "https://x.org/", "﴾﴿"]
        {
            assert!(!has_arabic_letter(no), "{no}");
        }
    }

    #[test]
    fn conjunctions() {
        for yes in ["وقال", "وأضاف", "ثم", "والدول"] {
            assert!(is_conjunction(yes), "{yes}");
        }
        for no in ["وزير", "ورد", "قال", "وليد", ""] {
            assert!(!is_conjunction(no), "{no}");
        }
    }

    #[test]
    fn words_at_the_ends() {
        assert_eq!(first_word(" \u{200F}قالَ، نعم"), "قالَ");
        assert_eq!(last_word("قال (نعمْ"), "نعمْ");
        assert_eq!(last_word("قال."), "");
        assert_eq!(letters("هـ"), 1);
    }
}
