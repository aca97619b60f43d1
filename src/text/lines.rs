//! Text of which every line is a unit of its own, as in parallel corpora.

use super::chars::has_arabic_letter;
use super::{Segment, SegmentKind, Span};

/// Cuts `text` into segments that tile it, one for what is visible of each line. Lines end with
/// `\n` alone: nothing else shifts the numbers of lines.
pub fn segment_lines(text: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut at = 0;
    let gap = |at: usize, until: usize, segments: &mut Vec<Segment>| {
        if at < until {
            segments.push(Segment { span: Span::new(at, until), kind: SegmentKind::Gap });
        }
    };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let visible = line.trim();
        if !visible.is_empty() {
            let from = start + line.len() - line.trim_start().len();
            let span = Span::new(from, from + visible.len());
            gap(at, span.start, &mut segments);
            let kind = match has_arabic_letter(visible) {
                true => SegmentKind::Sentence,
                false => SegmentKind::Verbatim,
            };
            segments.push(Segment { span, kind });
            at = span.end;
        }
        start += line.len();
    }
    gap(at, text.len(), &mut segments);
    segments
}

/// Where a stream may be cut for [`segment_lines`]: after its last whole line.
pub fn cut_line(text: &str) -> Option<usize> {
    text.rfind('\n').map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_line_is_one_segment() {
        let text = " نص أول. نص ثان؟\n\nline\n  ثالث";
        let segments = segment_lines(text);
        let seen: Vec<_> = segments.iter().map(|s| (s.kind, s.span.of(text))).collect();
        use SegmentKind::*;
        assert_eq!(
            seen,
            [
                (Gap, " "),
                (Sentence, "نص أول. نص ثان؟"),
                (Gap, "\n\n"),
                (Verbatim, "line"),
                (Gap, "\n  "),
                (Sentence, "ثالث"),
            ]
        );
    }

    proptest! {
        #[test]
        fn segments_tile_any_text(text in "[ab\u{627}\u{628} \n\r\u{2028}.]{0,40}") {
            let mut at = 0;
            for segment in segment_lines(&text) {
                prop_assert_eq!(segment.span.start, at);
                prop_assert!(!segment.span.is_empty());
                at = segment.span.end;
            }
            prop_assert_eq!(at, text.len());
        }
    }
}
