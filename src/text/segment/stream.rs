//! Where a text that is still being read can be cut, so that a reader needs bounded memory.

use super::lines::{block_quotes, is_blank_line, lines, row};
use super::quotes::LONGEST;
use super::{SegmentKind, segment};
use crate::text::Span;

/// Text of so many bytes without a sentence's end is cut between words.
const LONGEST_SENTENCE: usize = 64 * 1024;

/// The byte offset up to which the segments of `text` are final, `text` being the beginning of a
/// longer one. Segment what lies before it, keep the rest, read on, and ask again; `None` says to
/// read more first. When asking again the buffer should have grown by a constant factor, so that
/// the time stays linear.
///
/// The cut lies where a line ends with a blank one after it, or where a sentence certainly ends
/// with its line: there the segments of both parts are the segments of the whole, but for a gap
/// that may be cut in two. A text with no such place is cut before its last sentence, or, if it is
/// 64 KiB long, between words; then lines further on may be joined otherwise than in the whole
/// text.
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
        if let Some(line) = complete[block..].iter().rev().map(|(line, _)| *line).find(closes) {
            return Some(line.end);
        }
    }
    // No line closes: the last line of the block ahead of the last blank line.
    let ahead = &complete[..block];
    let content = ahead.iter().rev().find(|line| !blank(line));
    content.map(|(line, _)| line.end).or(ahead.last().map(|&(_, end)| end))
}

fn before_last_sentence(text: &str) -> Option<usize> {
    let mut solid = segment(text).into_iter().rev().filter(|s| s.kind != SegmentKind::Gap);
    let last = solid.next()?;
    solid.next().map(|_| last.span.start)
}

/// After the last whitespace; a text without any is cut where it ends.
fn between_words(text: &str) -> Option<usize> {
    let after = |(at, c): (usize, char)| at + c.len_utf8();
    let space = text.char_indices().rev().find(|(_, c)| c.is_whitespace());
    (text.len() >= LONGEST_SENTENCE).then(|| space.map_or(text.len(), after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Segment;
    use proptest::prelude::*;

    #[test]
    fn cuts() {
        // The cut is where ‖ stands.
        let table = [
            "جملة أولى‖\n\nجملة",
            "جملة أولى.‖\nجملة",
            "أولى.\nثانية؟ ‖\nثالثة",
            "أولى.‖\r\nثانية",
            "د- ‖\n\n",
            "أولى.‖\n«ثانية.\nثالثة",
            "أولى.‖\n\n«ثانية.\nثالثة",
            "\n \n‖",
            "\n|‖\n\n",
            "أولى|‖\n\nثانية",
            "عنوان\n‖آخر",
            "أولى. ‖ثانية",
        ];
        for marked in table {
            assert_eq!(cut_point(&marked.replace('‖', "")), marked.find('‖'), "{marked}");
        }
        for text in ["", "جملة", "جملة.", "جملة ليس لها"] {
            assert_eq!(cut_point(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_without_marks_is_cut_between_words() {
        let text = "كلمة ".repeat(20_000) + "كل";
        assert_eq!(cut_point(&text), Some(text.len() - "كل".len()));
        let text = "ك".repeat(LONGEST_SENTENCE);
        assert_eq!(cut_point(&text), Some(text.len()));
        assert_eq!(cut_point(&text[..LONGEST_SENTENCE - 2]), None);
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
                for part in segment(&whole[cut..]) {
                    let span = part.span.shift(cut);
                    match parts.last_mut() {
                        // A gap may be cut in two.
                        Some(last) if last.kind == part.kind && part.kind == SegmentKind::Gap => {
                            last.span.end = span.end;
                        }
                        _ => parts.push(Segment { span, kind: part.kind }),
                    }
                }
                prop_assert_eq!(parts, segment(&whole));
            }
            if let Some(cut) = cut_point(&prefix) {
                prop_assert!(cut > 0 && prefix.is_char_boundary(cut));
            }
        }
    }
}
