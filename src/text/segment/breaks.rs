//! Places to cut a sentence that is too long for the model.

use super::boundaries::{is_closer, is_mark};
use crate::text::chars::{first_word, is_conjunction, is_wordy};
use crate::text::web::address;

/// Where a long sentence may be cut, as (byte offset, strength), in order of the offset, which is
/// where the part after the cut begins.
///
/// Strength 3: after a mark that could end a sentence, `؛` or `:`; 2: after a comma; 1: before the
/// conjunction waw or a dash between spaces; 0: after other whitespace. Numbers and addresses are
/// never cut.
pub fn break_points(text: &str) -> Vec<(usize, u8)> {
    let mut points = Vec::new();
    let mut at = 0;
    // Strength of what was read since the last word character; whether there was a space.
    let (mut strength, mut spaced) = (0, false);
    let mut previous = None;
    while let Some(c) = text[at..].chars().next() {
        let mut length = c.len_utf8();
        let next = text[at + length..].chars().next();
        let mark = mark_strength(c);
        if c.is_whitespace() {
            spaced = true;
        } else if mark > 0
            && !(previous.is_some_and(char::is_numeric) && next.is_some_and(char::is_numeric))
        {
            (strength, spaced) = (mark.max(strength), false);
        } else if !(is_closer(c) && strength > 0 && !spaced) {
            let glued = strength > 0 && previous.is_some_and(|p| !p.is_ascii());
            if at > 0 && (spaced || glued) {
                let dash = matches!(c, '-' | '–' | '—') && next.is_some_and(char::is_whitespace);
                let joins = dash || (c == 'و' && is_conjunction(first_word(&text[at..])));
                points.push((at, strength.max(u8::from(joins))));
            }
            (strength, spaced) = (0, false);
            if is_wordy(c) && !previous.is_some_and(is_wordy) {
                length = address(&text[at..]).unwrap_or(length);
            }
        }
        at += length;
        previous = text[..at].chars().next_back();
    }
    points
}

fn mark_strength(c: char) -> u8 {
    match c {
        ':' => 3,
        '،' | ',' => 2,
        _ if is_mark(c) => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The text with the strength of every cut in its place.
    fn marked(text: &str) -> String {
        let mut out = String::new();
        let mut from = 0;
        for (at, strength) in break_points(text) {
            out.push_str(&format!("{}{strength}>", &text[from..at]));
            from = at;
        }
        out + &text[from..]
    }

    #[test]
    fn strengths() {
        let table = [
            ("", ""),
            ("كلمة", "كلمة"),
            ("وصل زيد", "وصل 0>زيد"),
            ("قال: وصل زيد، ثم عاد؛ وخرج", "قال: 3>وصل 0>زيد، 2>ثم 0>عاد؛ 3>وخرج"),
            ("وصل وسافرت", "وصل 1>وسافرت"),
            ("زار وزير", "زار 0>وزير"),
            ("زيد - وهو", "زيد 1>- 0>وهو"),
            ("زيد،عمر", "زيد،2>عمر"),
            ("«نعم.» قال", "«نعم.» 3>قال"),
            ("بلغ 3.5 أو 12:30 أو 1,000", "بلغ 0>3.5 0>أو 0>12:30 0>أو 0>1,000"),
            ("في https://a.org/b:c,d هنا", "في 0>https://a.org/b:c,d 0>هنا"),
        ];
        for (text, wanted) in table {
            assert_eq!(marked(text), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn cuts_are_inside_in_order_and_on_characters(text in any::<String>()) {
            let mut last = 0;
            for (at, strength) in break_points(&text) {
                prop_assert!(at > last && at < text.len() && text.is_char_boundary(at));
                prop_assert!(strength <= 3);
                last = at;
            }
        }
    }
}
