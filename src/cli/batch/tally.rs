//! What a run has done, input by input, and the report of it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tarjim::translate::Warning;
use tarjim::{Error, Result};

use super::jobs::Job;
use crate::cli::sink::Sink;

/// Counts of what was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Records answered; none for documents.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub records: u64,
    /// Of these, by an error.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed_records: u64,
    /// Sentences translated.
    pub sentences: u64,
    /// Words of their sources.
    pub words: u64,
    /// How many sentences deserve doubt, by the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub warnings: BTreeMap<String, u64>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Tally {
    /// Counts warnings, of one sentence or many.
    pub fn warn(&mut self, warnings: &[Warning]) {
        for warning in warnings {
            // Under the name that it has in JSON.
            if let Ok(serde_json::Value::String(name)) = serde_json::to_value(warning) {
                *self.warnings.entry(name).or_default() += 1;
            }
        }
    }

    /// Counts what another counted.
    pub fn add(&mut self, other: &Tally) {
        self.records += other.records;
        self.failed_records += other.failed_records;
        self.sentences += other.sentences;
        self.words += other.words;
        for (name, count) in &other.warnings {
            *self.warnings.entry(name.clone()).or_default() += count;
        }
    }
}

/// What became of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its output is complete.
    Done,
    /// An earlier run had done it.
    Skipped,
    /// It could not be read or worked on, or its output not be written.
    Failed,
    /// It was begun but not ended.
    Interrupted,
    /// It was not begun.
    NotStarted,
}

/// An input in the report.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// As it was given or found; `-` for standard input.
    pub input: String,
    /// None for standard output.
    pub output: Option<String>,
    /// What became of it.
    pub status: Status,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was done, in earlier runs too.
    #[serde(flatten)]
    pub tally: Tally,
    /// Its share of the time that texts worked on together took.
    pub seconds: f64,
}

impl Entry {
    /// An input that was not begun.
    pub fn new(job: &Job, root: Option<&Path>) -> Self {
        let output = job.output.as_ref().map(|name| root.unwrap_or(Path::new("")).join(name));
        Entry {
            input: job.shown(),
            output: output.map(|path| path.display().to_string()),
            status: Status::NotStarted,
            error: None,
            tally: Tally::default(),
            seconds: 0.0,
        }
    }
}

/// All that a run did.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    /// Version of the program.
    pub version: &'static str,
    /// Name of the model.
    pub model: &'a str,
    /// Its commit, where known.
    pub revision: Option<&'a str>,
    /// `done`, `failed`, or `interrupted`.
    pub status: Status,
    /// From beginning to end.
    pub seconds: f64,
    /// Sums over the inputs.
    pub total: &'a Tally,
    /// In the order they were given.
    pub inputs: Vec<Entry>,
}

impl Report<'_> {
    /// Writes it to a file.
    pub fn write(&self, mut sink: Sink) -> Result<()> {
        let (out, name) = sink.writer();
        serde_json::to_writer_pretty(&mut *out, self)
            .map_err(std::io::Error::from)
            .and_then(|()| out.write_all(b"\n"))
            .map_err(Error::write(name))?;
        sink.finish()
    }
}
