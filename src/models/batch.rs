//! What the sessions of all architectures have in common: sources in a ragged batch, and the
//! hypotheses written for them.

use std::ops::Range;

use super::ModelInfo;
use crate::{Error, Result};

/// Which rows of a ragged batch belong to which sentence.
pub(super) struct Rows {
    /// Rows of each sentence.
    pub spans: Vec<Range<usize>>,
    /// Sentence of each row.
    owner: Vec<usize>,
}

impl Rows {
    pub fn new(sources: &[&[u32]]) -> Self {
        let mut rows = Rows { spans: Vec::new(), owner: Vec::new() };
        for (i, source) in sources.iter().enumerate() {
            let start = rows.owner.len();
            rows.owner.resize(start + source.len(), i);
            rows.spans.push(start..rows.owner.len());
        }
        rows
    }

    /// All rows of the sentence that `row` belongs to.
    pub fn sentence(&self, row: usize) -> &Range<usize> {
        &self.spans[self.owner[row]]
    }
}

/// Refuses sources that the model cannot take.
pub(super) fn check_sources(info: &ModelInfo, sources: &[&[u32]]) -> Result<()> {
    for source in sources {
        let limit = info.max_positions;
        if source.is_empty() || source.len() > limit {
            return Err(Error::Usage(format!(
                "a source of {} tokens; the model takes 1 to {limit}",
                source.len()
            )));
        }
        if let Some(id) = source.iter().find(|&&id| id as usize >= info.source_vocab) {
            return Err(Error::Usage(format!("no source token has the id {id}")));
        }
    }
    Ok(())
}

/// The hypotheses of a session, one a row.
pub(super) struct Hypotheses {
    /// Source of each row.
    pub owner: Vec<usize>,
    /// For each row, where its keys and values stand in every step.
    pub paths: Vec<Vec<u32>>,
    /// What alignment is read from, for each row, `[source]`.
    pub attention: Vec<Vec<f32>>,
}

impl Hypotheses {
    /// One for each source.
    pub fn new(sources: usize) -> Self {
        Hypotheses {
            owner: (0..sources).collect(),
            paths: vec![Vec::new(); sources],
            attention: vec![Vec::new(); sources],
        }
    }

    /// Begins the step after `steps` others; every row's keys and values will stand where it does.
    pub fn begin_step(&mut self, steps: usize, info: &ModelInfo) -> Result<()> {
        if steps >= info.max_positions {
            return Err(Error::Usage(format!("the model writes at most {steps} tokens")));
        }
        for (row, path) in self.paths.iter_mut().enumerate() {
            path.push(row as u32);
        }
        Ok(())
    }

    /// See [`super::Session::select`].
    pub fn select(&mut self, rows: &[usize]) {
        self.owner = rows.iter().map(|&row| self.owner[row]).collect();
        self.paths = rows.iter().map(|&row| self.paths[row].clone()).collect();
        self.attention = rows.iter().map(|&row| self.attention[row].clone()).collect();
    }
}
