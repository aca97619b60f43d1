//! From source ids to target ids: beam search over any [`Seq2Seq`] model.
//!
//! Outputs equal those of transformers' `generate()` (its `_beam_search`, and greedy search for one
//! beam). Sentences are searched in lockstep, many to a batch, and nothing a sentence's output
//! depends on is shared with its neighbours.

mod constraints;
mod loops;
mod options;
mod search;

use rayon::prelude::*;

use crate::Result;
use crate::models::{ModelInfo, Seq2Seq, Session};
pub use loops::is_looping;
pub use options::Options;
use search::Search;

/// A finished output.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// Target ids, the end of sentence included where it was written.
    pub ids: Vec<u32>,
    /// The model's natural log-probability of each id.
    pub log_probs: Vec<f32>,
    /// What the alignment head looked at for each id, `[ids][source]`: when it was written, or, of a
    /// shifted head, when it was read.
    pub attention: Vec<Vec<f32>>,
    /// What hypotheses are ranked by: the sum of log-probabilities, after constraints, over the
    /// length penalty.
    pub score: f32,
    /// Whether it was broken off at its greatest length.
    pub cut: bool,
    /// Whether a first attempt ran in circles and this is the second (see
    /// [`Options::guard_loops`]).
    pub retried: bool,
}

/// Searches the best outputs of every source (ids, end of sentence included), best first,
/// [`Options::n_best`] of each. At most `batch_tokens` source tokens are searched together; neither
/// that nor the number of threads changes a bit of the result.
pub fn generate(
    model: &dyn Seq2Seq,
    sources: &[&[u32]],
    options: &Options,
    batch_tokens: usize,
) -> Result<Vec<Vec<Hypothesis>>> {
    options.validate(model.info())?;
    let mut outputs = in_batches(
        sources,
        |&source| source.len(),
        batch_tokens,
        |batch| search(model, batch, options),
    )?;
    if options.guard_loops {
        // Too few to be worth a batch.
        let careful = Options { no_repeat_ngram_size: loops::NGRAM, ..options.clone() };
        for (source, hypotheses) in sources.iter().zip(&mut outputs) {
            // A source that repeats itself is translated so.
            let looping = |ids: &[u32]| loops::is_looping(ids, &options.letters);
            if hypotheses.first().is_some_and(|best| looping(&best.ids)) && !looping(source) {
                let second = search(model, &[source], &careful)?;
                *hypotheses = second.into_iter().flatten().collect();
                hypotheses.iter_mut().for_each(|hypothesis| hypothesis.retried = true);
            }
        }
    }
    Ok(outputs)
}

/// Feeds each source's given target (both with the end of sentence) to the model and returns it as
/// a hypothesis, scored by the mean log-probability.
pub fn force(
    model: &dyn Seq2Seq,
    pairs: &[(&[u32], &[u32])],
    batch_tokens: usize,
) -> Result<Vec<Hypothesis>> {
    let start = model.info().decoder_start;
    in_batches(
        pairs,
        |(source, target)| source.len() + target.len(),
        batch_tokens,
        |batch| {
            let sources: Vec<&[u32]> = batch.iter().map(|(source, _)| *source).collect();
            let mut session = model.start(&sources)?;
            let mut outputs: Vec<Hypothesis> = batch.iter().map(|_| Hypothesis::empty()).collect();
            let mut rows: Vec<usize> = (0..batch.len()).collect();
            for step in 0.. {
                let open: Vec<usize> =
                    (0..rows.len()).filter(|&row| step < batch[rows[row]].1.len()).collect();
                session.select(&open);
                rows = open.into_iter().map(|row| rows[row]).collect();
                if rows.is_empty() {
                    break;
                }
                let inputs: Vec<u32> = rows
                    .iter()
                    .map(|&i| if step == 0 { start } else { batch[i].1[step - 1] })
                    .collect();
                session.step(&inputs, 0, &vec![Vec::new(); rows.len()])?;
                for (row, &i) in rows.iter().enumerate() {
                    let id = batch[i].1[step];
                    let output = &mut outputs[i];
                    output.ids.push(id);
                    output.log_probs.push(session.log_prob(row, id));
                    output.attention.push(session.attention(row).to_vec());
                }
            }
            for output in &mut outputs {
                output.score =
                    output.log_probs.iter().sum::<f32>() / output.ids.len().max(1) as f32;
                output.settle(model.info());
            }
            Ok(outputs)
        },
    )
}

impl Hypothesis {
    fn empty() -> Self {
        Hypothesis {
            ids: Vec::new(),
            log_probs: Vec::new(),
            attention: Vec::new(),
            score: 0.0,
            cut: false,
            retried: false,
        }
    }

    /// Gives each id the attention of the step that read it, if the model's alignment is shifted. The
    /// last id, mostly the end of the sentence, is read by none and keeps its own.
    fn settle(&mut self, info: &ModelInfo) {
        if let (true, Some(last)) = (info.shifted_alignment, self.attention.last().cloned()) {
            self.attention.remove(0);
            self.attention.push(last);
        }
    }
}

/// Runs `work` over batches of items of similar length, in parallel, and returns the results in
/// the order of `items`.
fn in_batches<T: Copy + Sync, R: Send>(
    items: &[T],
    length: impl Fn(&T) -> usize,
    batch_tokens: usize,
    work: impl Fn(&[T]) -> Result<Vec<R>> + Sync,
) -> Result<Vec<R>> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(length(&items[i])));
    // Every thread gets a share of a small input.
    let total: usize = items.iter().map(&length).sum();
    let share = total.div_ceil(rayon::current_num_threads()).min(batch_tokens);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut tokens = usize::MAX;
    for i in order {
        let more = length(&items[i]);
        match batches.last_mut() {
            Some(batch) if tokens.saturating_add(more) <= share => {
                batch.push(i);
                tokens += more;
            }
            _ => {
                batches.push(vec![i]);
                tokens = more;
            }
        }
    }
    let done: Vec<Vec<R>> = batches
        .par_iter()
        .map(|batch| work(&batch.iter().map(|&i| items[i]).collect::<Vec<_>>()))
        .collect::<Result<_>>()?;
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    for (i, result) in batches.into_iter().flatten().zip(done.into_iter().flatten()) {
        results[i] = Some(result);
    }
    Ok(results.into_iter().flatten().collect())
}

/// Searches one batch in lockstep.
fn search(
    model: &dyn Seq2Seq,
    sources: &[&[u32]],
    options: &Options,
) -> Result<Vec<Vec<Hypothesis>>> {
    let start = model.info().decoder_start;
    let mut session: Box<dyn Session> = model.start(sources)?;
    let mut searches: Vec<Search> =
        sources.iter().map(|source| Search::new(options, start, source.len())).collect();
    loop {
        // Rows of the session are the running hypotheses of all searches, in order.
        let mut inputs = Vec::new();
        let mut constraints = Vec::new();
        for search in &searches {
            search.running().for_each(|last| inputs.push(last));
            constraints.extend(search.constraints());
        }
        if inputs.is_empty() {
            break;
        }
        let banned: Vec<Vec<u32>> =
            constraints.iter().map(|constraint| constraint.withheld()).collect();
        let best = session.step(&inputs, options.candidates(), &banned)?;
        let mut parents = Vec::new();
        let mut row = 0;
        for search in &mut searches {
            let rows = row..row + search.running().count();
            row = rows.end;
            let mut next = Vec::with_capacity(rows.len());
            for row in rows.clone() {
                next.push(constraints[row].apply(row, &best[row], session.as_ref()));
            }
            parents.extend(search.advance(rows.start, next, session.as_ref()));
        }
        session.select(&parents);
    }
    let mut outputs: Vec<Vec<Hypothesis>> = searches.into_iter().map(Search::finish).collect();
    outputs.iter_mut().flatten().for_each(|hypothesis| hypothesis.settle(model.info()));
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::checkpoint::GenerationConfig;
    use crate::models::fake::Fake;

    const VOCAB: usize = 20;

    /// Options of a model whose end of sentence is 0.
    fn options(model: &Fake, beams: usize) -> Options {
        let generation = GenerationConfig {
            num_beams: beams,
            max_length: 40,
            eos_token_id: vec![0],
            ..GenerationConfig::default()
        };
        Options::new(&generation, model.info())
    }

    #[test]
    fn a_shifted_alignment_is_the_one_of_the_step_that_read_the_token() {
        let mut model = copying();
        let source: &[u32] = &[3, 4, 5, 0];
        // The fake model's attention stands on the source token with the number of the step.
        let looks = |hypothesis: &Hypothesis| -> Vec<usize> {
            let at = |row: &Vec<f32>| row.iter().position(|&weight| weight == 1.0);
            hypothesis.attention.iter().filter_map(at).collect()
        };
        let options = options(&model, 2);
        let found = generate(&model, &[source], &options, 64).unwrap();
        assert_eq!(looks(&found[0][0]), [0, 1, 2, 3]);
        model.info.shifted_alignment = true;
        let found = generate(&model, &[source], &options, 64).unwrap();
        assert_eq!((looks(&found[0][0]), &*found[0][0].ids), (vec![1, 2, 3, 3], source));
        let forced = force(&model, &[(source, source)], 64).unwrap();
        assert_eq!(looks(&forced[0]), [1, 2, 3, 3]);
    }

    fn ids(outputs: &[Vec<Hypothesis>]) -> Vec<&[u32]> {
        outputs.iter().map(|found| found[0].ids.as_slice()).collect()
    }

    /// Writes the source token by token, then ends.
    fn copying() -> Fake {
        Fake::new(VOCAB, |source, target| {
            let mut logits = vec![0.0; VOCAB];
            logits[source[(target.len() - 1).min(source.len() - 1)] as usize] = 9.0;
            logits
        })
    }

    #[test]
    fn sentences_come_back_in_their_order() {
        let model = copying();
        let sources: Vec<Vec<u32>> =
            (0..30).map(|n| (0..n % 7).map(|i| 1 + (n + i) % 15).chain([0]).collect()).collect();
        let slices: Vec<&[u32]> = sources.iter().map(Vec::as_slice).collect();
        for beams in [1, 3] {
            for batch_tokens in [1, 12, 500] {
                let found =
                    generate(&model, &slices, &options(&model, beams), batch_tokens).unwrap();
                assert_eq!(ids(&found), slices, "{beams} {batch_tokens}");
            }
        }
        assert!(generate(&model, &[], &options(&model, 2), 10).unwrap().is_empty());
    }

    /// Says 5 again and again, or 6 where it may not.
    fn stuck() -> Fake {
        Fake::new(VOCAB, |_, target| {
            let mut logits = vec![0.0; VOCAB];
            logits[5] = 9.0;
            logits[6] = 6.0;
            logits[0] = if target.len() > 4 { 7.0 } else { 0.0 };
            logits
        })
    }

    #[test]
    fn loops_are_searched_again() {
        let model = stuck();
        let plain = options(&model, 2);
        let looped = &generate(&model, &[&[3, 0]], &plain, 10).unwrap()[0][0];
        assert!(loops::is_looping(&looped.ids, &[]) && looped.cut && !looped.retried);
        let guarded = Options { guard_loops: true, ..plain };
        let found = &generate(&model, &[&[3, 0]], &guarded, 10).unwrap()[0][0];
        assert!(found.retried && !found.cut, "{:?}", found.ids);
        assert!(!loops::is_looping(&found.ids, &[]));
    }

    #[test]
    fn what_reaches_its_greatest_length_is_marked() {
        let model = copying();
        let source: &[u32] = &[1, 2, 3, 4, 0];
        let options = Options { max_length: 3, ..options(&model, 1) };
        let found = &generate(&model, &[source], &options, 10).unwrap()[0][0];
        assert_eq!((found.ids.as_slice(), found.cut), (&source[..3], true));
        let forced = Options { forced_eos_token_id: Some(0), ..options.clone() };
        let found = &generate(&model, &[source], &forced, 10).unwrap()[0][0];
        assert_eq!((found.ids.as_slice(), found.cut), (&[1, 2, 0][..], true));
        let roomy = Options { max_length: 6, ..forced };
        let found = &generate(&model, &[source], &roomy, 10).unwrap()[0][0];
        assert_eq!((found.ids.as_slice(), found.cut), (source, false));
    }

    #[test]
    fn a_model_that_may_say_nothing_says_nothing() {
        let model = copying();
        let all = (0..VOCAB as u32).map(|id| vec![id]).collect();
        let options = Options { bad_words_ids: all, eos_token_id: vec![], ..options(&model, 2) };
        let found = &generate(&model, &[&[1, 0]], &options, 10).unwrap()[0][0];
        assert!(found.ids.is_empty() && found.cut);
    }

    #[test]
    fn impossible_options_are_errors() {
        let model = copying();
        let good = options(&model, 2);
        let bad = [
            Options { n_best: 3, ..good.clone() },
            Options { n_best: 0, ..good.clone() },
            Options { max_length: 0, ..good.clone() },
            Options { max_length: 65, ..good.clone() },
            Options { length_penalty: f32::NAN, ..good.clone() },
            Options { eos_token_id: vec![20], ..good.clone() },
            Options { forced_eos_token_id: Some(99), ..good },
        ];
        for options in bad {
            assert!(generate(&model, &[&[1, 0]], &options, 10).is_err(), "{options:?}");
        }
    }
}
