//! Words that are the same in both texts: numbers, whatever their digits, and Latin words.

use std::collections::HashMap;

use super::Side;

/// Pairs (source word, target word) that are equal and stand once in either text.
pub(super) fn pairs(source: Side<'_>, target: Side<'_>) -> Vec<(usize, usize)> {
    let (source, target) = (once(source), once(target));
    let mut pairs: Vec<_> =
        target.iter().filter_map(|(form, &t)| source.get(form).map(|&s| (s, t))).collect();
    pairs.sort_unstable();
    pairs
}

/// The forms that stand once, with the number of their word.
fn once(side: Side<'_>) -> HashMap<String, usize> {
    let mut seen: HashMap<String, (usize, usize)> = HashMap::new();
    for (i, word) in side.words.iter().enumerate() {
        if let Some(form) = form(word.of(side.text)) {
            let entry = seen.entry(form).or_insert((i, 0));
            entry.1 += 1;
        }
    }
    let once = seen.into_iter().filter(|(_, (_, times))| *times == 1);
    once.map(|(form, (i, _))| (form, i)).collect()
}

/// What a word is compared by: lower case, ASCII digits and separators. None for a word that
/// is not written with these alone.
fn form(word: &str) -> Option<String> {
    let mut form = String::with_capacity(word.len());
    for c in word.chars() {
        form.push(match c {
            '٠'..='٩' => ascii_digit(c, '٠'),
            '۰'..='۹' => ascii_digit(c, '۰'),
            '٫' => '.',
            '٬' => ',',
            '٪' => '%',
            c if c.is_ascii() => c.to_ascii_lowercase(),
            _ => return None,
        });
    }
    form.contains(|c: char| c.is_ascii_alphanumeric()).then_some(form)
}

fn ascii_digit(c: char, zero: char) -> char {
    char::from_digit(c as u32 - zero as u32, 10).unwrap_or(c)
}
