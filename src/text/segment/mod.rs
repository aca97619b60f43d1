//! Sentences: text cut into what is translated and what is copied through.
//!
//! A text is read as blocks of lines (blank lines stand between), a block as passages (one line,
//! one column of a line, or the lines of a paragraph wrapped by hand), a passage as sentences.

mod abbreviations;
mod boundaries;
mod breaks;
mod lines;
mod quotes;
mod stream;
#[cfg(test)]
mod tests;

use super::Span;
use super::chars::{has_arabic_letter, is_blank};
use boundaries::{sentence_ends, trimmed};
use lines::{RowKind, block_quotes, is_blank_line, is_column_separator, lines, passages, row};

pub use breaks::break_points;
pub use stream::cut_point;

/// What is to be done with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// To be translated: holds an Arabic letter and is trimmed of outer whitespace. A line break
    /// inside is one of hand-wrapped text and means a space.
    Sentence,
    /// Text without an Arabic letter, such as a URL, a number, English or a rule of dashes; it
    /// passes through unchanged. Trimmed of outer whitespace as well.
    Verbatim,
    /// What stands between: whitespace, line breaks, list markers, column separators; it passes
    /// through unchanged.
    Gap,
}

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it stands.
    pub span: Span,
    /// What is to be done with it.
    pub kind: SegmentKind,
}

/// Cuts `text` into segments that tile it: each begins where the one before ends, none is empty,
/// and no two gaps follow each other.
///
/// Sentences end after `. ؟ ! … ؛ ۔` and what closes after them, a missing space notwithstanding
/// ("النص.وقال"), but not inside numbers, addresses, abbreviations, initials, and quotations or
/// parentheses of up to 300 characters. A line break ends a sentence unless the line looks wrapped
/// by hand; blank lines, tabs and `|` always do. Time is linear in the length of the text.
///
/// ```
/// use tarjim::text::{SegmentKind, segment};
///
/// let text = "عنوان قصير\n- وصل المدير.وقال «نعم. سأعود»، ثم خرج.";
/// let sentences: Vec<_> = segment(text)
///     .into_iter()
///     .filter(|segment| segment.kind == SegmentKind::Sentence)
///     .map(|segment| segment.span.of(text))
///     .collect();
/// assert_eq!(sentences, ["عنوان قصير", "وصل المدير.", "وقال «نعم. سأعود»، ثم خرج."]);
/// ```
pub fn segment(text: &str) -> Vec<Segment> {
    let mut tiler = Tiler { text, at: 0, segments: Vec::new() };
    let lines: Vec<Span> = lines(text).map(|(line, _)| line).collect();
    for block in lines.split(|line| is_blank_line(line.of(text))) {
        if let (Some(&first), Some(&last)) = (block.first(), block.last()) {
            let quotes = block_quotes(text, first, last);
            let rows: Vec<_> = block.iter().map(|&line| row(text, line, &quotes)).collect();
            for passage in passages(&rows) {
                tiler.passage(passage);
            }
        }
    }
    tiler.finish()
}

/// Collects segments and fills gaps in between.
struct Tiler<'a> {
    text: &'a str,
    /// End of the last segment.
    at: usize,
    segments: Vec<Segment>,
}

impl Tiler<'_> {
    fn passage(&mut self, rows: &[lines::Row]) {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return };
        let span = Span::new(first.text.start, last.text.end);
        match first.kind {
            RowKind::Verbatim => self.push(span),
            RowKind::Prose(_) => self.sentences(span),
            RowKind::Table => {
                let mut start = span.start;
                for cell in span.of(self.text).split(is_column_separator) {
                    let end = start + cell.len();
                    self.sentences(Span::new(start, end));
                    start = end + 1;
                }
            }
        }
    }

    fn sentences(&mut self, passage: Span) {
        let text = self.text;
        let mut start = passage.start;
        for end in sentence_ends(passage.of(text)) {
            self.push(Span::new(start, passage.start + end));
            start = passage.start + end;
        }
        self.push(Span::new(start, passage.end));
    }

    /// Adds what is visible of `span`, and a gap before it if there is one.
    fn push(&mut self, span: Span) {
        let span = trimmed(self.text, span);
        if span.of(self.text).chars().all(|c| is_blank(c) || is_column_separator(c)) {
            return;
        }
        self.gap(span.start);
        let arabic = has_arabic_letter(span.of(self.text));
        let kind = if arabic { SegmentKind::Sentence } else { SegmentKind::Verbatim };
        self.segments.push(Segment { span, kind });
        self.at = span.end;
    }

    fn gap(&mut self, until: usize) {
        if self.at < until {
            let span = Span::new(self.at, until);
            self.segments.push(Segment { span, kind: SegmentKind::Gap });
        }
    }

    fn finish(mut self) -> Vec<Segment> {
        self.gap(self.text.len());
        self.segments
    }
}
