//! What may be written next: transformers' logits processors, for one hypothesis.

use super::Options;
use crate::models::{Candidate, Session};

/// What applies to one hypothesis in one step.
pub(super) struct Constraint {
    /// Never written.
    banned: Vec<u32>,
    /// Written already, each once, and made less likely by the repetition penalty.
    penalized: Vec<u32>,
    penalty: f32,
    /// The only token allowed.
    forced: Option<u32>,
    renormalize: bool,
}

/// A continuation of a hypothesis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Continuation {
    pub id: u32,
    /// What it adds to the hypothesis' score.
    pub gain: f32,
    /// The model's own log-probability.
    pub log_prob: f32,
}

impl Constraint {
    /// After `history`, which begins with the start token, of an output of at most `limit` tokens.
    pub fn new(options: &Options, history: &[u32], limit: usize) -> Self {
        let written = history.len() - 1;
        let mut forced = None;
        if written == 0 {
            forced = options.forced_bos_token_id;
        }
        if written + 1 == limit && options.forced_eos_token_id.is_some() {
            forced = options.forced_eos_token_id;
        }
        let mut banned = repeats(history, options.no_repeat_ngram_size);
        for word in &options.bad_words_ids {
            // A banned end of sentence alone is ignored, as there.
            if let [id] = word[..]
                && options.eos_token_id.contains(&id)
            {
                continue;
            }
            if let Some((&last, before)) = word.split_last()
                && history.ends_with(before)
            {
                banned.push(last);
            }
        }
        if written < options.min_length {
            banned.extend(&options.eos_token_id);
        }
        banned.sort_unstable();
        banned.dedup();
        let mut penalized = Vec::new();
        if options.repetition_penalty != 1.0 {
            penalized = history.to_vec();
            penalized.sort_unstable();
            penalized.dedup();
            penalized.retain(|id| banned.binary_search(id).is_err());
        }
        let renormalize = options.renormalize_logits;
        Constraint { banned, penalized, penalty: options.repetition_penalty, forced, renormalize }
    }

    /// The tokens that [`Constraint::apply`] does not want among the candidates.
    pub fn withheld(&self) -> Vec<u32> {
        [self.banned.as_slice(), &self.penalized].concat()
    }

    /// What the best tokens of `row`, those withheld left out, are worth.
    pub fn apply(
        &self,
        row: usize,
        best: &[Candidate],
        session: &dyn Session,
    ) -> Vec<Continuation> {
        if let Some(id) = self.forced {
            return vec![Continuation { id, gain: 0.0, log_prob: session.log_prob(row, id) }];
        }
        let mut continuations: Vec<Continuation> = best
            .iter()
            .map(|c| Continuation { id: c.id, gain: c.log_prob, log_prob: c.log_prob })
            .collect();
        for &id in &self.penalized {
            let log_prob = session.log_prob(row, id);
            continuations.push(Continuation { id, gain: log_prob * self.penalty, log_prob });
        }
        if self.renormalize && !(self.banned.is_empty() && self.penalized.is_empty()) {
            let withheld = self.withheld();
            let mut total = 1.0f64;
            for &id in &withheld {
                total -= f64::from(session.log_prob(row, id)).exp();
            }
            if total < 0.5 {
                // Little is left of the float32 probabilities' digits.
                total = f64::from(session.log_prob_besides(row, &withheld)).exp();
            }
            for &id in &self.penalized {
                total += f64::from(session.log_prob(row, id) * self.penalty).exp();
            }
            let shift = total.ln() as f32;
            continuations.iter_mut().for_each(|c| c.gain -= shift);
        }
        continuations
    }
}

/// The tokens that would make an n-gram of this size occur a second time.
fn repeats(history: &[u32], size: usize) -> Vec<u32> {
    if size == 0 || history.len() + 1 < size {
        return Vec::new();
    }
    let tail = &history[history.len() + 1 - size..];
    history.windows(size).filter(|gram| gram.starts_with(tail)).map(|gram| gram[size - 1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_ngrams_are_those_that_would_come_twice() {
        let history = [9, 1, 2, 3, 1, 2, 4, 1, 2];
        assert_eq!(repeats(&history, 3), [3, 4]);
        assert_eq!(repeats(&history, 2), [3, 4]);
        assert_eq!(repeats(&history, 1), history);
        assert_eq!(repeats(&history, 0), [0; 0]);
        assert_eq!(repeats(&[9], 3), [0; 0]);
    }
}
