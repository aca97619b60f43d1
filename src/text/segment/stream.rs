//! Where a text that is still being read can be cut, so that a reader needs bounded memory.

use super::lines::{block_quotes, is_blank_line, lines, row};
use super::quotes::LONGEST;
use super::{Segment, SegmentKind, segment};
use crate::text::Span;

/// Text of so many bytes without a sentence's end is cut between words.
const LONGEST_SENTENCE: usize = 64 * 1024;

/// The byte offset up to which the segments of `text` are final, `text` being the beginning of a
/// longer one. Segment what lies before it, keep the rest, read on, and ask again; `None` says to
/// read more first. When asking again the buffer should have grown by a constant factor, so that
/// the time stays linear.
///
/// The cut lies where a line ends with a blank one after it, or where a sentence certainly ends
/// with its line: there the segments of both parts are the segments of the whole. A text with
/// no such place is cut before its last sentence, or, if it is 64 KiB long, between words; then
/// lines further on may be joined otherwise than in the whole text. A buffer of nothing but blank
/// lines is cut at its end, which cuts a gap in two.
pub fn cut_point(text: &str) -> Option<usize> {
    exact_cut(text).or_else(|| before_last_sentence(text)).or_else(|| between_words(text))
}

/// The last place where cutting changes no segment.
fn exact_cut(text: &str) -> Option<usize> {
    let all: Vec<(Span, usize)> = lines(text).collect();
    let blank = |&(line, _): &(Span, usize)| is_blank_line(line.of(text));
    // The last line may go on: it is final only if a line break was read.
    let complete = &all[..all.iter().rposition(|(line, end)| line.end < *end).map_or(0, |n| n + 1)];
    let block = complete.iter().rposition(blank).map_or(0, |n| n + 1);
    if let (Some(first), Some(last)) = (complete[block..].first(), all.last()) {
        let quotes = block_quotes(text, first.0, last.0);
        let waits = |end: usize| {
            let before = quotes.unclosed.partition_point(|&at| at < end);
            before.checked_sub(1).is_some_and(|nth| {
                text[quotes.unclosed[nth]..end].chars().nth(LONGEST + 1).is_none()
            })
        };
        let closes = |line: &Span| row(text, *line, &quotes).closes() && !waits(line.end);
        let mut closing = complete[block..].iter().rev().map(|&(line, _)| line).filter(closes);
        if let Some(cut) = closing.find_map(|line| content_end(text, line)) {
            return Some(cut);
        }
    }
    // No line closes: the end of the last line with content ahead of the last blank one.
    let blanks = &complete[..block];
    let content = blanks.iter().rev().find_map(|&(line, _)| content_end(text, line));
    content.or_else(|| blanks.last().map(|&(_, end)| end))
}

/// Where the last segment of `line` that is no gap ends. The gap after it stays whole.
fn content_end(text: &str, line: Span) -> Option<usize> {
    last_solid(&segment(line.of(text))).map(|last| line.start + last.span.end)
}

fn last_solid(segments: &[Segment]) -> Option<&Segment> {
    segments.iter().rev().find(|segment| segment.kind != SegmentKind::Gap)
}

fn before_last_sentence(text: &str) -> Option<usize> {
    let segments = segment(text);
    let last = last_solid(&segments)?;
    let ahead = segments.iter().take_while(|segment| segment.span.end <= last.span.start);
    let another = ahead.into_iter().any(|segment| segment.kind != SegmentKind::Gap);
    another.then_some(last.span.start)
}

fn between_words(text: &str) -> Option<usize> {
    if text.len() < LONGEST_SENTENCE {
        return None;
    }
    let (at, space) = text.char_indices().rev().find(|(_, c)| c.is_whitespace())?;
    Some(at + space.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cuts() {
        // The cut is where ‖ stands.
        let table = [
            "جملة أولى‖\n\nجملة",
            "جملة أولى.‖\nجملة",
            "أولى.\nثانية؟ ‖\nثالثة",
            "أولى.‖\n«ثانية.\nثالثة",
            "أولى.‖\n\n«ثانية.\nثالثة",
            "\n \n‖",
            "\n|\n\n‖",
            "أولى‖\n|\n\nثانية",
            "عنوان\n‖آخر",
            "أولى. ‖ثانية",
        ];
        for marked in table {
            let text = marked.replace(" ‖\n", " \n").replace('‖', "");
            let wanted = marked.replace(" ‖\n", "‖ \n").find('‖');
            assert_eq!(cut_point(&text), wanted, "{marked}");
        }
        for text in ["", "جملة", "جملة.", "جملة ليس لها"] {
            assert_eq!(cut_point(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_without_marks_is_cut_between_words() {
        let text = "كلمة ".repeat(20_000) + "كل";
        assert_eq!(cut_point(&text), Some(text.len() - "كل".len()));
    }

    fn shifted(segments: Vec<Segment>, by: usize) -> impl Iterator<Item = Segment> {
        segments.into_iter().map(move |s| Segment { span: s.span.shift(by), kind: s.kind })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Reading a prefix, cutting it and reading on gives the segments of the whole text.
        #[test]
        fn cutting_changes_no_segment(
            pieces in prop::collection::vec(
                prop_oneof![
                    8 => prop::sample::select(vec![
                        "كلمة ", "د", ".", "؟", "\n", "\r\n", "\r", "\n\n", " ", "«", "»", "\"", "(",
                        ")", "...", "- ", "1. ", "x", "|", "\t", "12", "\u{200F}", "[3]", "وقال ",
                    ]),
                    2 => prop::sample::select(vec![
                        "اجتمع أعضاء المجلس صباح اليوم في قاعة المدينة الكبرى",
                        "وناقشوا خطة العام القادم مع عدد من الخبراء في التعليم",
                        "ثم خرجوا إلى الساحة وتحدثوا إلى الناس عن القرار.\n",
                    ]),
                ],
                0..40,
            ),
            read in 0..40usize,
        ) {
            let whole: String = pieces.concat();
            let prefix: String = pieces.iter().take(read).copied().collect();
            if let Some(cut) = exact_cut(&prefix) {
                let mut parts = segment(&whole[..cut]);
                // A buffer of blank lines may be cut inside its gap.
                let gap = parts.iter().all(|s| s.kind == SegmentKind::Gap);
                parts.extend(shifted(segment(&whole[cut..]), cut));
                if gap && parts.len() > 1 && parts[1].kind == SegmentKind::Gap {
                    let second = parts.remove(1);
                    parts[0].span.end = second.span.end;
                }
                prop_assert_eq!(parts, segment(&whole));
            }
            if let Some(cut) = cut_point(&prefix) {
                prop_assert!(cut > 0 && prefix.is_char_boundary(cut));
            }
        }
    }
}
