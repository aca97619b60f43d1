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
use crate::models::{Seq2Seq, Session};
pub use options::Options;
use search::Search;

/// A finished output.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// Target ids, the end of sentence included where it was written.
    pub ids: Vec<u32>,
    /// The model's natural log-probability of each id.
    pub log_probs: Vec<f32>,
    /// What the alignment head looked at when each id was written, `[ids][source]`.
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
            if hypotheses.first().is_some_and(|best| loops::is_looping(&best.ids)) {
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
                    output.log_probs.push(session.log_prob(row, id)?);
                    output.attention.push(session.attention(row).to_vec());
                }
            }
            for output in &mut outputs {
                output.score =
                    output.log_probs.iter().sum::<f32>() / output.ids.len().max(1) as f32;
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
                next.push(constraints[row].apply(row, &best[row], session.as_ref())?);
            }
            parents.extend(search.advance(rows.start, next, session.as_ref())?);
        }
        session.select(&parents);
    }
    Ok(searches.into_iter().map(Search::finish).collect())
}
