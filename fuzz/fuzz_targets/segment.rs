//! Any text: segments that tile it, words in order and apart, cuts on characters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tarjim::text::{Normalization, Span, break_points, cut_point, segment, words};

fuzz_target!(|text: &str| {
    let mut at = 0;
    for segment in segment(text) {
        assert_eq!(segment.span.start, at);
        assert!(!segment.span.of(text).is_empty());
        at = segment.span.end;
    }
    assert_eq!(at, text.len());

    let mut at = 0;
    for word in words(text) {
        assert!(word.start >= at && !word.of(text).is_empty());
        at = word.end;
    }

    let mut from = 0;
    for (at, _) in break_points(text) {
        assert!(!text[from..at].is_empty());
        from = at;
    }

    if let Some(cut) = cut_point(text) {
        assert!(!text[..cut].is_empty());
    }

    let normalized = Normalization { digits: true, ..Normalization::default() }.apply(text);
    for (at, c) in normalized.text().char_indices() {
        let origin = normalized.original(Span::new(at, at + c.len_utf8()));
        assert!(!origin.of(text).is_empty());
    }
});
