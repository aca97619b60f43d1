//! Addresses inside text: URLs, e-mail addresses, domain and file names. They hold marks that end
//! no sentence and no word.

use super::chars::{is_arabic_letter, is_invisible};

/// No domain name or e-mail address is longer, so nothing longer is scanned for one.
const LONGEST_NAME: usize = 320;

/// The length in bytes of the address that `text` begins with, if it begins with one. To be asked
/// at the start of a word only.
pub(super) fn address(text: &str) -> Option<usize> {
    // All of them begin in ASCII: the common case is answered by one byte.
    if !text.as_bytes().first()?.is_ascii_alphanumeric() {
        return None;
    }
    url(text).or_else(|| name(text))
}

fn url(text: &str) -> Option<usize> {
    const OPENINGS: [&str; 4] = ["http://", "https://", "ftp://", "www."];
    let opening = OPENINGS.iter().find(|&&opening| {
        text.get(..opening.len()).is_some_and(|start| start.eq_ignore_ascii_case(opening))
    })?;
    let mut end = opening.len();
    let mut previous = '/';
    let mut rest = text[end..].chars().peekable();
    while let Some(c) = rest.next() {
        let foreign = c.is_whitespace()
            || is_invisible(c)
            || matches!(c, '«' | '»' | '<' | '>' | '"' | '“' | '”' | '،' | '؛' | '؟' | '|');
        // News sites print no space after the full stop: an Arabic letter there begins a sentence.
        let sentence = c == '.'
            && previous.is_ascii()
            && rest.peek().is_some_and(|&next| is_arabic_letter(next));
        if foreign || sentence {
            break;
        }
        previous = c;
        end += c.len_utf8();
    }
    let trimmed = text[..end].trim_end_matches(['.', ',', ':', ';', '!', '?', ')', ']', '\'', '*']);
    (trimmed.len() > opening.len()).then_some(trimmed.len())
}

/// An e-mail address or dotted name: ASCII, its last label two letters or more.
fn name(text: &str) -> Option<usize> {
    let run = text
        .bytes()
        .take(LONGEST_NAME)
        .take_while(|b| b.is_ascii_alphanumeric() || b"._-+%@".contains(b))
        .count();
    let name = text[..run].trim_end_matches(['.', '_', '-', '+', '%', '@']);
    let host = match name.split_once('@') {
        Some((_, host)) if host.contains('@') => return None,
        Some((_, host)) => host,
        None => name,
    };
    let (labels, last) = host.rsplit_once('.')?;
    let labels_hold = labels.split('.').all(|label| !label.is_empty());
    let last_holds = last.len() >= 2
        && last.bytes().all(|b| b.is_ascii_alphanumeric())
        && last.bytes().any(|b| b.is_ascii_alphabetic());
    let glued = text[name.len()..].starts_with(is_arabic_letter);
    (labels_hold && last_holds && !glued).then_some(name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let table = [
            ("https://example.com/a?b=1&c=2. ثم", Some("https://example.com/a?b=1&c=2")),
            ("HTTP://Example.org), ", Some("HTTP://Example.org")),
            ("http://example.com/خبر.وقال", Some("http://example.com/خبر.وقال")),
            ("http://example.com.وقال", Some("http://example.com")),
            ("www.example.com»", Some("www.example.com")),
            ("a.b@mail.example.org، ثم", Some("a.b@mail.example.org")),
            ("file.txt.", Some("file.txt")),
            ("example.com.", Some("example.com")),
            ("report-2.mp3", Some("report-2.mp3")),
            ("U.S.", None),
            ("3.5", None),
            ("12.5.2020", None),
            ("well...yes", None),
            ("a@b@c.com", None),
            ("http://", None),
            ("نص", None),
            ("", None),
        ];
        for (text, wanted) in table {
            assert_eq!(address(text).map(|end| &text[..end]), wanted, "{text}");
        }
    }
}
