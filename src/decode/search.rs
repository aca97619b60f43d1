//! The beam search of one sentence, step for step as in transformers' `_beam_search`.

use super::constraints::{Constraint, Continuation};
use super::{Hypothesis, Options};
use crate::checkpoint::EarlyStopping;
use crate::models::Session;

/// One token of the tree that all hypotheses of a sentence form.
struct Node {
    parent: Option<usize>,
    id: u32,
    log_prob: f32,
    /// `[source]`.
    attention: Vec<f32>,
}

/// A hypothesis: its last token and the sum of its gains; for a finished one its final score.
#[derive(Clone, Copy)]
struct Beam {
    node: usize,
    score: f32,
    /// Whether it was broken off.
    cut: bool,
}

pub(super) struct Search<'o> {
    options: &'o Options,
    /// Most tokens of an output.
    limit: usize,
    /// The first node is the start token.
    nodes: Vec<Node>,
    /// Best first; empty once the search is over.
    running: Vec<Beam>,
    /// Best first, at most as many as beams.
    finished: Vec<Beam>,
    /// Tokens written by the running hypotheses.
    length: usize,
}

impl<'o> Search<'o> {
    /// Of a source of `source` tokens.
    pub fn new(options: &'o Options, start: u32, source: usize) -> Self {
        let mut limit = options.max_length;
        if options.guard_loops {
            limit = limit.min(3 * source + 16);
        }
        Search {
            options,
            limit,
            nodes: vec![Node { parent: None, id: start, log_prob: 0.0, attention: Vec::new() }],
            running: vec![Beam { node: 0, score: 0.0, cut: false }],
            finished: Vec::new(),
            length: 0,
        }
    }

    /// The last token of each running hypothesis.
    pub fn running(&self) -> impl Iterator<Item = u32> {
        self.running.iter().map(|beam| self.nodes[beam.node].id)
    }

    /// What each running hypothesis may go on with.
    pub fn constraints(&self) -> impl Iterator<Item = Constraint> {
        self.running.iter().map(|beam| {
            let history: Vec<u32> = self.path(beam.node).map(|node| node.id).collect();
            Constraint::new(self.options, &history, self.limit)
        })
    }

    /// Goes one token further: `next` holds the continuations of each running hypothesis, which
    /// stand in the session's rows from `first_row` on. Returns the rows that the hypotheses
    /// running from now on continue.
    pub fn advance(
        &mut self,
        first_row: usize,
        next: Vec<Vec<Continuation>>,
        session: &dyn Session,
    ) -> Vec<usize> {
        if self.running.is_empty() {
            return Vec::new();
        }
        self.length += 1;
        let beams = self.options.num_beams;
        let mut best: Vec<(f32, usize, Continuation)> = Vec::new();
        for (beam, continuations) in next.into_iter().enumerate() {
            let score = self.running[beam].score;
            best.extend(continuations.into_iter().map(|c| (score + c.gain, beam, c)));
        }
        // Impossible continuations cannot win; equal ones are taken in order.
        best.retain(|(score, ..)| *score > f32::NEG_INFINITY);
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.id.cmp(&b.2.id)));
        best.truncate(self.options.candidates());

        let at_limit = self.length >= self.limit;
        let mut running = Vec::with_capacity(beams);
        let mut rows = Vec::with_capacity(beams);
        for (rank, &(score, beam, continuation)) in best.iter().enumerate() {
            let ended = self.options.eos_token_id.contains(&continuation.id);
            let ends = at_limit || ended;
            // One that ends counts only among the best; one that goes on, while there is room.
            let wanted = if ends { rank < beams } else { running.len() < beams };
            if !wanted {
                continue;
            }
            let row = first_row + beam;
            let node = self.nodes.len();
            self.nodes.push(Node {
                parent: Some(self.running[beam].node),
                id: continuation.id,
                log_prob: continuation.log_prob,
                attention: session.attention(row).to_vec(),
            });
            if ends {
                // A forced end says nothing.
                let cut = at_limit && (self.options.forced_eos_token_id.is_some() || !ended);
                let score = score / self.divisor(self.length);
                self.finished.push(Beam { node, score, cut });
            } else {
                running.push(Beam { node, score, cut: false });
                rows.push(row);
            }
        }
        // Stable: of equal scores the older comes first.
        self.finished.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.finished.truncate(beams);
        if running.is_empty() && self.finished.is_empty() {
            // Everything was banned: what there is must do.
            let divisor = self.divisor(self.length - 1);
            self.finished = std::mem::take(&mut self.running);
            for beam in &mut self.finished {
                beam.score /= divisor;
                beam.cut = true;
            }
        }
        self.running = running;
        if self.is_over() {
            self.running.clear();
            rows.clear();
        }
        rows
    }

    /// What the score of an output of so many tokens is divided by.
    fn divisor(&self, length: usize) -> f32 {
        (length.max(1) as f64).powf(f64::from(self.options.length_penalty)) as f32
    }

    fn is_over(&self) -> bool {
        let Some(running) = self.running.first() else { return true };
        if self.options.num_beams == 1 || self.finished.len() < self.options.num_beams {
            return false;
        }
        let length = match self.options.early_stopping {
            EarlyStopping::True => return true,
            EarlyStopping::Never if self.options.length_penalty > 0.0 => self.limit,
            _ => self.length,
        };
        let worst = self.finished[self.finished.len() - 1].score;
        running.score / self.divisor(length) <= worst
    }

    /// From the start token to `node`.
    fn path(&self, node: usize) -> impl Iterator<Item = &Node> {
        let mut path: Vec<&Node> = Vec::new();
        let mut next = Some(node);
        while let Some(node) = next {
            path.push(&self.nodes[node]);
            next = self.nodes[node].parent;
        }
        path.into_iter().rev()
    }

    /// The best finished hypotheses, best first.
    pub fn finish(self) -> Vec<Hypothesis> {
        let best = self.finished.iter().take(self.options.n_best);
        best.map(|beam| {
            let mut hypothesis =
                Hypothesis { score: beam.score, cut: beam.cut, ..Hypothesis::empty() };
            for node in self.path(beam.node).skip(1) {
                hypothesis.ids.push(node.id);
                hypothesis.log_probs.push(node.log_prob);
                hypothesis.attention.push(node.attention.clone());
            }
            hypothesis
        })
        .collect()
    }
}
