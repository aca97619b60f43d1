//! Lines, and which of them are one paragraph wrapped by hand.

use super::boundaries::closes;
use super::quotes::{Quotes, quotes};
use crate::text::Span;
use crate::text::chars::{has_arabic_letter, is_blank, is_line_end};

/// A line is taken for wrapped only if its paragraph's longest line has so many characters.
const WRAP: std::ops::RangeInclusive<usize> = 40..=160;

/// So many wrapped-looking lines in a row are a paragraph even if no mark ends the last one.
const ENOUGH_LINES: usize = 4;

/// The lines of `text` without their terminators, each followed by the byte its terminator ends
/// at. CR LF is one terminator. A last line without terminator ends where it ends.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (Span, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let length = rest.find(is_line_end).unwrap_or(rest.len());
        let content = Span::new(at, at + length);
        let tail = &rest[length..];
        let terminator = match tail.strip_prefix("\r\n") {
            Some(_) => 2,
            None => tail.chars().next().map_or(0, char::len_utf8),
        };
        at = content.end + terminator;
        Some((content, at))
    })
}

/// Whether nothing of a line shows on the page.
pub(super) fn is_blank_line(line: &str) -> bool {
    line.chars().all(is_blank)
}

/// Whether `c` separates columns.
pub(super) fn is_column_separator(c: char) -> bool {
    matches!(c, '\t' | '|')
}

/// One line of a block, a block being lines without a blank one between.
pub(super) struct Row {
    /// Where the text begins, after indentation and list marker, and where the line ends.
    pub(super) text: Span,
    pub(super) kind: RowKind,
}

pub(super) enum RowKind {
    /// No Arabic letter in it.
    Verbatim,
    /// Several columns.
    Table,
    /// Running text, perhaps a piece of a paragraph.
    Prose(Prose),
}

/// What joining lines asks about one of them.
pub(super) struct Prose {
    /// Characters of the line, marks not counted.
    width: usize,
    /// Characters of the first word.
    first_word: usize,
    /// Whether a sentence ends with the line.
    closes: bool,
    /// Whether the line begins with a list marker.
    marked: bool,
}

/// Reads the lines of one block, `quotes` being the quotations of the whole `text`.
pub(super) fn row(text: &str, line: Span, quotes: &Quotes) -> Row {
    let content = line.of(text);
    if !has_arabic_letter(content) {
        return Row { text: line, kind: RowKind::Verbatim };
    }
    let marker = list_marker(content);
    let body = Span::new(line.start + marker, line.end);
    if content.trim().contains(is_column_separator) {
        return Row { text: body, kind: RowKind::Table };
    }
    let shown = content.trim_end_matches(is_blank);
    let end = line.start + shown.len();
    let quoted = quotes.around(end.saturating_sub(1)).is_some_and(|quote| quote.end > end);
    let prose = Prose {
        width: width(shown),
        first_word: width(content.split_whitespace().next().unwrap_or_default()),
        closes: !quoted && closes(shown),
        marked: marker > 0 && !is_blank_line(&content[..marker]),
    };
    Row { text: body, kind: RowKind::Prose(prose) }
}

/// The quotations of the lines from `first` to `last` of `text`.
pub(super) fn block_quotes(text: &str, first: Span, last: Span) -> Quotes {
    let mut found = quotes(&text[first.start..last.end]);
    for span in &mut found.spans {
        *span = span.shift(first.start);
    }
    for at in &mut found.unclosed {
        *at += first.start;
    }
    found
}

impl Row {
    /// Whether a sentence surely ends with this line.
    pub(super) fn closes(&self) -> bool {
        matches!(self.kind, RowKind::Prose(Prose { closes: true, .. }))
    }

    fn prose(&self) -> Option<&Prose> {
        match &self.kind {
            RowKind::Prose(prose) => Some(prose),
            _ => None,
        }
    }
}

/// Cuts the rows of a block into passages: single rows, or the rows of a wrapped paragraph.
pub(super) fn passages(rows: &[Row]) -> Vec<&[Row]> {
    let mut passages = Vec::new();
    // A run ends where a sentence ends with the line, and around lines that are not prose.
    let continues = |row: &Row, next: &Row| {
        row.prose().is_some_and(|prose| !prose.closes)
            && next.prose().is_some_and(|prose| !prose.marked)
    };
    for run in rows.chunk_by(continues) {
        let start = wrapped_from(run);
        passages.extend(run[..start].chunks(1));
        passages.push(&run[start..]);
    }
    passages
}

/// The first row of the wrapped paragraph that `run` ends with; its last row if there is none.
///
/// A line was wrapped where the next line's first word no longer fitted into the longest line (or
/// nearly: some programs balance their lines). Lists of headlines do not pass this test.
fn wrapped_from(run: &[Row]) -> usize {
    let last = run.len() - 1;
    let Some(end) = run[last].prose() else { return last };
    let mut start = last;
    let mut longest = end.width;
    let mut shortest_reach = usize::MAX;
    let mut next_word = end.first_word;
    for (at, row) in run[..last].iter().enumerate().rev() {
        let Some(prose) = row.prose() else { break };
        let reach = (prose.width + 1 + next_word).max(prose.width * 5 / 4);
        longest = longest.max(prose.width);
        shortest_reach = shortest_reach.min(reach);
        if shortest_reach < longest || longest > *WRAP.end() {
            break;
        }
        if longest >= *WRAP.start() {
            start = at;
        }
        next_word = prose.first_word;
    }
    if end.closes || last - start + 1 >= ENOUGH_LINES { start } else { last }
}

fn width(text: &str) -> usize {
    text.chars().filter(|&c| !unicode_normalization::char::is_combining_mark(c)).count()
}

/// Length of the indentation and list markers ("-", "•", "1.", "١)", "(أ)") that `line` begins
/// with. A letter with a full stop is left to the sentence: it may be a title, as in "د. سامي".
fn list_marker(line: &str) -> usize {
    let mut at = line.len() - line.trim_start_matches(is_blank).len();
    // Markers may follow each other: "- 1. ".
    for _ in 0..3 {
        let Some(length) = one_marker(&line[at..]) else { break };
        let rest = &line[at + length..];
        at = line.len() - rest.trim_start_matches(is_blank).len();
    }
    at
}

fn one_marker(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    let length = first.len_utf8();
    let next = text[length..].chars().next()?;
    match first {
        '•' | '●' | '▪' | '■' | '◦' | '‣' | '·' | '○' | '□' | '►' | '▶' | '◄' | '◀' | '✓' | '✔'
        | '➤' | '\u{F0B7}' => Some(length),
        '-' | '–' | '—' | '*' if next.is_whitespace() || next.is_alphabetic() => Some(length),
        '+' | '>' if next.is_whitespace() => Some(length),
        '#' => {
            let hashes = text.len() - text.trim_start_matches('#').len();
            text[hashes..].starts_with(char::is_whitespace).then_some(hashes)
        }
        _ => numbered_marker(text),
    }
}

/// "1.", "1)", "١-", "(1)", "أ)", "(أ)", followed by a space or a letter.
fn numbered_marker(text: &str) -> Option<usize> {
    let (open, inner) = match text.strip_prefix(['(', '[']) {
        Some(inner) => (true, inner),
        None => (false, text),
    };
    let count = inner.chars().take(4).take_while(|c| c.is_numeric()).count();
    let numbered = (1..=3).contains(&count);
    let length = match inner.chars().next()? {
        c if c.is_alphabetic() => c.len_utf8(),
        _ if numbered => inner.chars().take(count).map(char::len_utf8).sum(),
        _ => return None,
    };
    let spaces = inner[length..].len() - inner[length..].trim_start_matches(' ').len();
    let after = &inner[length + spaces..];
    let closing = after.chars().next()?;
    let fits = match closing {
        ')' | ']' => true,
        // "أ- " is a list marker, "و - قال" is not.
        '-' | '–' => !open && (numbered || spaces == 0),
        'ـ' => !open && numbered,
        '.' => !open && numbered && spaces == 0,
        _ => false,
    };
    let rest = &after[closing.len_utf8()..];
    let follows = rest.chars().next().is_some_and(|c| c.is_whitespace() || c.is_alphabetic());
    (fits && follows).then(|| text.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_of_lists() {
        let table = [
            ("- نص", "- "),
            ("-نص", "-"),
            ("  • نص", "  • "),
            ("•نص", "•"),
            ("1. نص", "1. "),
            ("١) نص", "١) "),
            ("١- نص", "١- "),
            ("(12) نص", "(12) "),
            ("أ) نص", "أ) "),
            ("أ- نص", "أ- "),
            ("(ب) نص", "(ب) "),
            ("- 1. نص", "- 1. "),
            ("## نص", "## "),
            ("\u{200F}- نص", "\u{200F}- "),
            ("1ـ نص", "1ـ "),
            ("نص", ""),
            ("هـ نص", ""),
            ("1.5 مليون", ""),
            ("2020. نص", ""),
            ("-5 درجات", ""),
            ("د. سامي", ""),
            ("#وسم نص", ""),
            ("12-5-2020 نص", ""),
            ("(نص)", ""),
        ];
        for (line, wanted) in table {
            assert_eq!(&line[..list_marker(line)], wanted, "{line}");
        }
    }

    #[test]
    fn terminators_of_lines() {
        let text = "a\r\nb\rc\n\nd\u{2029}e";
        let found: Vec<_> = lines(text).map(|(line, _)| line.of(text)).collect();
        assert_eq!(found, ["a", "b", "c", "", "d", "e"]);
        assert_eq!(lines(text).last().map(|(_, end)| end), Some(text.len()));
    }
}
