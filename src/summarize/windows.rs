//! Windows: stretches of an article that a summarizer reads at once. Neighbours overlap, so that what is
//! said across a border is read whole in one of them.

use std::ops::Range;

/// Share of a window that the next one reads again.
const OVERLAP: f32 = 0.2;

/// Sentences of each window, given how many tokens each sentence has and how many a window may have. Every
/// sentence is in a window; one that is too long by itself has a window to itself.
pub fn windows(lengths: &[usize], limit: usize) -> Vec<Range<usize>> {
    let mut windows = Vec::new();
    let mut start = 0;
    while start < lengths.len() {
        let mut tokens = lengths[start];
        let mut end = start + 1;
        while end < lengths.len() && tokens + lengths[end] <= limit {
            tokens += lengths[end];
            end += 1;
        }
        windows.push(start..end);
        if end == lengths.len() {
            break;
        }
        // With room for the first sentence that was not read yet.
        let again = ((limit as f32 * OVERLAP) as usize).min(limit.saturating_sub(lengths[end]));
        let mut next = end;
        let mut repeated = 0;
        while lengths[end] <= limit && next > start + 1 && repeated + lengths[next - 1] <= again {
            next -= 1;
            repeated += lengths[next];
        }
        start = next;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn windows_overlap() {
        assert_eq!(windows(&[10; 3], 100), vec![0..3]);
        assert_eq!(windows(&[10; 12], 50), vec![0..5, 4..9, 8..12]);
        assert_eq!(windows(&[200, 10, 10], 50), vec![0..1, 1..3]);
        assert!(windows(&[], 50).is_empty());
    }

    proptest! {
        #[test]
        fn every_sentence_is_read(
            lengths in prop::collection::vec(0usize..90, 0..60),
            limit in 1usize..120,
        ) {
            let windows = windows(&lengths, limit);
            let mut read = 0;
            for window in &windows {
                prop_assert!(window.start <= read && window.end > read, "{windows:?}");
                let tokens: usize = lengths[window.clone()].iter().sum();
                prop_assert!(tokens <= limit || window.len() == 1);
                read = window.end;
            }
            prop_assert_eq!(read, lengths.len());
        }
    }
}
