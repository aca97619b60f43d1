//! What the sessions of all architectures have in common: sources in a ragged batch, and the
//! hypotheses written for them.

use std::ops::{Deref, DerefMut, Range};
use std::sync::{Mutex, PoisonError};

use super::ModelInfo;
use crate::{Error, Result};

/// Which rows of a ragged batch belong to which sentence.
pub(super) struct Rows {
    /// Rows of each sentence.
    pub spans: Vec<Range<usize>>,
    /// Sentence of each row.
    owner: Vec<usize>,
    /// The numbers of all rows.
    numbers: Vec<u32>,
}

impl Rows {
    pub fn new(sources: &[&[u32]]) -> Self {
        let mut rows = Rows { spans: Vec::new(), owner: Vec::new(), numbers: Vec::new() };
        for (i, source) in sources.iter().enumerate() {
            let start = rows.owner.len();
            rows.owner.resize(start + source.len(), i);
            rows.spans.push(start..rows.owner.len());
        }
        rows.numbers = (0..rows.owner.len() as u32).collect();
        rows
    }

    /// All rows of a sentence.
    pub fn of(&self, sentence: usize) -> &[u32] {
        &self.numbers[self.spans[sentence].clone()]
    }

    /// All rows of the sentence that `row` belongs to.
    pub fn beside(&self, row: usize) -> &[u32] {
        self.of(self.owner[row])
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
    /// For each row, where its keys and values of every step stand among those of all rows.
    pub paths: Vec<Vec<u32>>,
    /// Rows of all steps so far.
    count: usize,
    /// What alignment is read from, for each row, `[source]`.
    pub attention: Vec<Vec<f32>>,
}

impl Hypotheses {
    /// One for each source.
    pub fn new(sources: usize) -> Self {
        Hypotheses {
            owner: (0..sources).collect(),
            paths: vec![Vec::new(); sources],
            count: 0,
            attention: vec![Vec::new(); sources],
        }
    }

    /// Begins a step, whose keys and values will stand after those of all steps before, and returns
    /// the position of its tokens.
    pub fn begin_step(&mut self, info: &ModelInfo) -> Result<usize> {
        let position = self.paths.first().map_or(0, Vec::len);
        if position >= info.max_positions {
            return Err(Error::Usage(format!("the model writes at most {position} tokens")));
        }
        for (row, path) in self.paths.iter_mut().enumerate() {
            path.push((self.count + row) as u32);
        }
        self.count += self.paths.len();
        Ok(position)
    }

    /// See [`super::Session::select`].
    pub fn select(&mut self, rows: &[usize]) {
        self.owner = rows.iter().map(|&row| self.owner[row]).collect();
        self.paths = rows.iter().map(|&row| self.paths[row].clone()).collect();
        self.attention = rows.iter().map(|&row| self.attention[row].clone()).collect();
    }
}

/// What sessions that have ended leave for later ones: memory from the system costs time.
#[derive(Debug)]
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool(Mutex::default())
    }
}

impl<T> Pool<T> {
    /// One that was left, as it was left, or a new one.
    pub fn take(&self, make: impl FnOnce() -> Result<T>) -> Result<Lent<'_, T>> {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let lent = match left {
            Some(left) => left,
            None => make()?,
        };
        Ok(Lent { pool: self, lent: Some(lent) })
    }
}

/// Something of a [`Pool`], to which it returns.
pub(super) struct Lent<'p, T> {
    pool: &'p Pool<T>,
    /// Only missing once this is dropped.
    lent: Option<T>,
}

impl<T> Deref for Lent<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.lent.as_ref().unwrap_or_else(|| unreachable!())
    }
}

impl<T> DerefMut for Lent<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.lent.as_mut().unwrap_or_else(|| unreachable!())
    }
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        let left = self.pool.0.lock();
        left.unwrap_or_else(PoisonError::into_inner).extend(self.lent.take());
    }
}
