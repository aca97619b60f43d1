//! Normalization of Arabic text before it is tokenized, with the way back to the original.

use unicode_normalization::UnicodeNormalization;

use super::chars::{TATWEEL, ZERO_WIDTH_JOINER, is_invisible, is_tashkeel};
use super::{Mapped, Span};

/// Which rewritings are applied; `true` means applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Normalization {
    /// Strip vowel signs: U+064B–U+0652, U+0670 and the combining marks of the Quran.
    pub tashkeel: bool,
    /// Strip the elongation stroke U+0640.
    pub tatweel: bool,
    /// Fold the presentation forms U+FB50–U+FDFF and U+FE70–U+FEFF, and nothing else, by NFKC.
    pub presentation_forms: bool,
    /// Drop bidi controls, zero-width characters and byte order marks. A joiner inside an emoji
    /// stays.
    pub bidi_controls: bool,
    /// Write Arabic-Indic digits (both kinds) and their two separators in ASCII.
    pub digits: bool,
}

impl Default for Normalization {
    fn default() -> Self {
        Normalization {
            tashkeel: true,
            tatweel: true,
            presentation_forms: true,
            bidi_controls: true,
            digits: false,
        }
    }
}

impl Normalization {
    /// No rewriting at all.
    pub const NONE: Normalization = Normalization {
        tashkeel: false,
        tatweel: false,
        presentation_forms: false,
        bidi_controls: false,
        digits: false,
    };

    /// `text` rewritten, every byte mapped back to the character it came from. What is stripped
    /// belongs to no byte.
    pub fn apply(&self, text: &str) -> Mapped {
        if text.is_ascii() {
            return Mapped::identity(text);
        }
        let mut out = Mapped::with_capacity(text.len());
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let origin = Span::new(at, at + c.len_utf8());
            if self.presentation_forms && is_presentation_form(c) {
                self.fold(c, origin, &mut out);
                continue;
            }
            let next = chars.peek().map(|&(_, next)| next);
            let joins_emoji = c == ZERO_WIDTH_JOINER && next.is_some_and(is_pictograph);
            if let Some(c) = if joins_emoji { Some(c) } else { self.rewrite(c) } {
                out.push_char(c, origin);
            }
        }
        out
    }

    /// What one character becomes, `None` if nothing.
    fn rewrite(&self, c: char) -> Option<char> {
        match c {
            TATWEEL if self.tatweel => None,
            _ if self.tashkeel && is_tashkeel(c) => None,
            _ if self.bidi_controls && is_invisible(c) => None,
            _ if self.digits => Some(ascii_digit(c)),
            _ => Some(c),
        }
    }

    /// The NFKC of a presentation form, itself normalized.
    fn fold(&self, form: char, origin: Span, out: &mut Mapped) {
        // A vowel sign on its own folds to the sign upon a space or a tatweel, which go with it.
        let bare_sign = self.tashkeel
            && form.nfkc().any(is_tashkeel)
            && form.nfkc().all(|c| is_tashkeel(c) || c == ' ' || c == TATWEEL);
        if !bare_sign {
            for c in form.nfkc().filter_map(|c| self.rewrite(c)) {
                out.push_char(c, origin);
            }
        }
    }
}

fn is_presentation_form(c: char) -> bool {
    matches!(c, '\u{FB50}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFF}')
}

fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2BFF}' | '\u{1F000}'..='\u{1FAFF}')
}

fn ascii_digit(c: char) -> char {
    let zero = match c {
        '\u{660}'..='\u{669}' => 0x660,
        '\u{6F0}'..='\u{6F9}' => 0x6F0,
        '\u{66B}' => return '.',
        '\u{66C}' => return ',',
        _ => return c,
    };
    char::from_digit(c as u32 - zero, 10).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn default_rewritings() {
        let table = [
            ("hello, 3.5", "hello, 3.5"),
            ("كِتَابٌ", "كتاب"),
            ("مُـــحَمَّد", "محمد"),
            ("هَٰذَا", "هذا"),
            ("\u{64E}", ""),
            ("ﻻ ﷲ", "لا الله"),
            ("ﷺ", "صلى الله عليه وسلم"),
            ("ﺍﻟﺴﻼﻡ", "السلام"),
            ("\u{FE70}\u{FE71}\u{FC60}", ""),
            ("\u{FEFF}\u{200F}نص\u{202C}\u{2069}", "نص"),
            ("می\u{200C}شود", "میشود"),
            ("👨\u{200D}👩", "👨\u{200D}👩"),
            ("٣٫٥", "٣٫٥"),
            ("ا\u{654}", "ا\u{654}"),
            ("﴿آيَة﴾", "﴿آية﴾"),
            ("ｆｕｌｌ ﬁ", "ｆｕｌｌ ﬁ"),
        ];
        for (text, wanted) in table {
            assert_eq!(Normalization::default().apply(text).text(), wanted, "{text}");
        }
    }

    #[test]
    fn each_rewriting_alone() {
        let text = "كَـتب ﻻ \u{200F}٣٫٥۷";
        let none = Normalization::NONE;
        assert_eq!(none.apply(text).text(), text);
        let table = [
            (Normalization { tashkeel: true, ..none }, "كـتب ﻻ \u{200F}٣٫٥۷"),
            (Normalization { tatweel: true, ..none }, "كَتب ﻻ \u{200F}٣٫٥۷"),
            (Normalization { presentation_forms: true, ..none }, "كَـتب لا \u{200F}٣٫٥۷"),
            (Normalization { bidi_controls: true, ..none }, "كَـتب ﻻ ٣٫٥۷"),
            (Normalization { digits: true, ..none }, "كَـتب ﻻ \u{200F}3.57"),
        ];
        for (normalization, wanted) in table {
            assert_eq!(normalization.apply(text).text(), wanted);
        }
    }

    #[test]
    fn offsets_lead_back() {
        let text = "هَذَا ﷺ كِتَابٌ";
        let mapped = Normalization::default().apply(text);
        let back = |word: &str| {
            let start = mapped.text().find(word).unwrap();
            mapped.original(Span::new(start, start + word.len())).of(text)
        };
        assert_eq!(back("هذا"), "هَذَا");
        assert_eq!(back("عليه"), "ﷺ");
        // The tanwin after the last letter belongs to no byte.
        assert_eq!(back("كتاب"), "كِتَاب");
    }

    proptest! {
        #[test]
        fn origins_are_in_order_and_normalizing_twice_changes_nothing(
            text in "[ \\u{60C}-\\u{6FF}\\u{FB50}-\\u{FDFF}\\u{FE70}-\\u{FEFF}\\u{200B}-\\u{200F}a]{0,40}",
        ) {
            let all = Normalization { digits: true, ..Normalization::default() };
            let mapped = all.apply(&text);
            let mut last = Span::default();
            for (at, c) in mapped.text().char_indices() {
                let origin = mapped.original(Span::new(at, at + c.len_utf8()));
                prop_assert!(!origin.of(&text).is_empty());
                prop_assert!(origin.start >= last.start && origin.end >= last.end);
                last = origin;
            }
            let twice = all.apply(mapped.text());
            prop_assert_eq!(twice.text(), mapped.text());
        }
    }
}
