//! Text as byte spans over an untouched original: normalization with a map back, sentences, words.

mod chars;
mod lines;
mod literal;
mod mapped;
mod normalize;
mod segment;
mod web;
mod words;

pub use chars::has_arabic_letter;
pub use lines::{cut_line, segment_lines};
pub use literal::{added, is_latin, is_number, literal, lost, unknown_numbers};
pub use mapped::Mapped;
pub use normalize::Normalization;
pub use segment::{Segment, SegmentKind, break_points, cut_point, segment};
pub use words::words;

/// A half-open range of bytes, `start..end`, on character boundaries of the text it belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The span `start..end`; `start` must not exceed `end`.
    pub fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end, "span {start}..{end} runs backwards");
        Span { start, end }
    }

    /// Length in bytes.
    pub fn len(self) -> usize {
        self.end - self.start
    }

    /// Whether the span covers no byte.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The same span of a text that stands `by` bytes further on.
    pub fn shift(self, by: usize) -> Self {
        Span { start: self.start + by, end: self.end + by }
    }

    /// The smallest span covering both.
    pub fn cover(self, other: Span) -> Self {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// How many bytes both spans share.
    pub fn overlap(self, other: Span) -> usize {
        self.end.min(other.end).saturating_sub(self.start.max(other.start))
    }

    /// The bytes of `text` under the span.
    pub fn of(self, text: &str) -> &str {
        &text[self.start..self.end]
    }
}
