//! Outputs that run in circles, as models do on input unlike what they were trained on.

/// Size of the n-grams that may not repeat in a second attempt.
pub(super) const NGRAM: usize = 3;

/// Shortest stretch, in tokens, that is called a loop where no letter is known to stand in it.
const SHORTEST: usize = 12;
/// How often at least its period must stand in it.
const TIMES: usize = 4;

/// Whether one sequence of tokens stands at least four times in a row somewhere in `ids`, over at least
/// twelve tokens if none of them has a letter (see [`Options::letters`](super::Options::letters)).
pub fn is_looping(ids: &[u32], letters: &[bool]) -> bool {
    let letter = |id: &u32| letters.get(*id as usize).copied().unwrap_or(false);
    (1..=ids.len() / TIMES).any(|period| {
        let least = period * TIMES;
        // Length of the run of tokens equal to the one a period before.
        let mut run = 0;
        ids.iter().zip(&ids[period..]).enumerate().any(|(i, (a, b))| {
            run = if a == b { run + 1 } else { 0 };
            let repeated = run + period;
            let wordy = || ids[i..i + period].iter().any(letter);
            repeated >= least.max(SHORTEST) || repeated >= least && wordy()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_found_wherever_they_stand() {
        let text = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17];
        assert!(!is_looping(&text, &[]));
        assert!(!is_looping(&[], &[]));
        let twelve = |period: usize| (0..12).map(|i| (i % period) as u32).collect::<Vec<_>>();
        for period in [1, 2, 3] {
            assert!(is_looping(&twelve(period), &[]), "{period}");
            assert!(is_looping(&[&text[..], &twelve(period), &text].concat(), &[]), "{period}");
            assert!(!is_looping(&twelve(period)[..11], &[]), "{period}");
        }
        assert!(!is_looping(&twelve(4), &[]), "three times only");
        assert!(is_looping(&[twelve(4), twelve(4)].concat(), &[]));
        // Tokens 6 and on are words, those before are digits.
        let letters = [[false; 6], [true; 6]].concat();
        assert!(is_looping(&[1, 7, 7, 7, 7, 1], &letters));
        assert!(is_looping(&[1, 3, 7, 3, 7, 3, 7, 3, 7, 1], &letters));
        assert!(!is_looping(&[1, 7, 7, 7, 1, 7, 8], &letters));
        assert!(!is_looping(&[1, 0, 0, 0, 0, 0, 0, 7], &letters), "1000000");
    }
}
