//! How far a batch is: a bar on a terminal, a line now and then elsewhere, or events for programs.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{HumanDuration, ProgressBar};
use serde_json::{Map, Value, json};

use super::hub::style;
use crate::cli::batch::{Entry, Tally};
use crate::cli::{Volume, log, say};

/// Time between two lines.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Time between two events.
const EVENT_EVERY: Duration = Duration::from_secs(1);
/// Before that, a rate says nothing.
const BEGINNING: Duration = Duration::from_millis(500);

/// How progress is told.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressArg {
    /// A bar if stderr is a terminal, else a line every few seconds
    Auto,
    /// A bar
    Bar,
    /// A line every few seconds
    Lines,
    /// JSON objects on stderr: `start`, `progress` every second, `input` for each one done, `end`
    Json,
    /// Not at all
    None,
}

/// Shows how far a batch is.
pub struct Meter {
    how: How,
    began: Instant,
    /// Bytes of all inputs, where known.
    size: Option<u64>,
    inputs: usize,
    /// Inputs that are done with, in whatever way.
    ended: usize,
    failed: usize,
    /// Bytes behind us; of these, bytes that were not worked on now.
    bytes: u64,
    skipped: u64,
    sentences: u64,
    words: u64,
    current: String,
}

enum How {
    Bar(ProgressBar),
    /// When something was last said.
    Lines(Instant),
    Events(Instant),
    Silent,
}

impl Meter {
    /// Begins. `results_shown` says that results go to the terminal, where a bar would be between
    /// them.
    pub fn new(
        how: ProgressArg,
        volume: Volume,
        inputs: usize,
        size: Option<u64>,
        results_shown: bool,
    ) -> Self {
        let terminal = io::stderr().is_terminal();
        let now = Instant::now();
        let how = match how {
            ProgressArg::Json => How::Events(now),
            _ if volume == Volume::Quiet => How::Silent,
            ProgressArg::None => How::Silent,
            ProgressArg::Auto if terminal && results_shown => How::Silent,
            ProgressArg::Auto if terminal => How::Bar(bar(size)),
            ProgressArg::Bar => How::Bar(bar(size)),
            ProgressArg::Auto | ProgressArg::Lines => How::Lines(now),
        };
        if let How::Bar(bar) = &how {
            log::keep_above(Some(bar.clone()));
        }
        let meter = Meter {
            how,
            began: now,
            size,
            inputs,
            ended: 0,
            failed: 0,
            bytes: 0,
            skipped: 0,
            sentences: 0,
            words: 0,
            current: String::new(),
        };
        meter.event("start", json!({"inputs": inputs, "total_bytes": size}));
        meter
    }

    /// An input is begun; `behind` bytes of it were done by an earlier run.
    pub fn input(&mut self, name: String, behind: u64) {
        self.current = name;
        self.bytes += behind;
        self.skipped += behind;
        if let (How::Bar(bar), 1..) = (&self.how, behind) {
            bar.set_position(self.bytes);
            bar.reset_eta();
        }
    }

    /// Texts were worked on.
    pub fn advance(&mut self, bytes: u64, sentences: u64, words: u64) {
        self.bytes += bytes;
        self.sentences += sentences;
        self.words += words;
        let due = match &self.how {
            How::Bar(bar) => {
                bar.set_position(self.bytes);
                bar.set_message(self.rates());
                bar.set_prefix(self.current.clone());
                false
            }
            How::Lines(last) => last.elapsed() >= LINE_EVERY,
            How::Events(last) => last.elapsed() >= EVENT_EVERY,
            How::Silent => false,
        };
        if due {
            self.tell();
        }
    }

    /// An input is done with.
    pub fn ended(&mut self, entry: &Entry, bytes: u64, failed: bool) {
        self.ended += 1;
        self.failed += usize::from(failed);
        // What was not read will not be.
        self.bytes += bytes;
        self.skipped += bytes;
        if let How::Bar(bar) = &self.how {
            bar.set_position(self.bytes);
        }
        self.event("input", serde_json::to_value(entry).unwrap_or_default());
    }

    /// Seconds since the beginning.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// The run ends. Gives a summary of it.
    pub fn finish(&mut self, tally: &Tally) -> String {
        if let How::Bar(bar) = &self.how {
            bar.finish_and_clear();
            log::keep_above(None);
        }
        let mut event = self.state();
        event.insert("total".into(), serde_json::to_value(tally).unwrap_or_default());
        self.event("end", Value::Object(event));
        format!("{} in {:.2} s", self.rates(), self.seconds())
    }

    fn tell(&mut self) {
        match &mut self.how {
            How::Lines(last) => {
                *last = Instant::now();
                let inputs = match self.inputs {
                    0 | 1 => String::new(),
                    all => format!("{} of {all} inputs, ", self.ended),
                };
                let share = self.size.filter(|&size| size > 0).map_or(String::new(), |size| {
                    format!("{} %, ", (u128::from(self.bytes) * 100 / u128::from(size)).min(100))
                });
                let left = self
                    .left()
                    .map_or(String::new(), |left| format!(", {} left", HumanDuration(left)));
                say(&format!("{}: {inputs}{share}{}{left}", self.current, self.rates()));
            }
            How::Events(last) => {
                *last = Instant::now();
                self.event("progress", Value::Object(self.state()));
            }
            How::Bar(_) | How::Silent => {}
        }
    }

    fn rates(&self) -> String {
        let seconds = self.seconds().max(1e-3);
        format!(
            "{} sentences ({:.1}/s), {} words ({:.0}/s)",
            self.sentences,
            self.sentences as f64 / seconds,
            self.words,
            self.words as f64 / seconds
        )
    }

    /// Time left, by the bytes that were worked on.
    fn left(&self) -> Option<Duration> {
        let (done, elapsed) = (self.bytes - self.skipped, self.began.elapsed());
        let left = self.size?.checked_sub(self.bytes)?;
        let known = done > 0 && elapsed >= BEGINNING;
        known.then(|| Duration::from_secs_f64(elapsed.as_secs_f64() * left as f64 / done as f64))
    }

    fn state(&self) -> Map<String, Value> {
        let seconds = self.seconds();
        let tenth = |value: f64| (value * 10.0).round() / 10.0;
        let Value::Object(state) = json!({
            "input": self.current,
            "inputs": self.inputs,
            "inputs_ended": self.ended,
            "inputs_failed": self.failed,
            "bytes": self.bytes,
            "total_bytes": self.size,
            "sentences": self.sentences,
            "words": self.words,
            "seconds": tenth(seconds),
            "sentences_per_second": tenth(self.sentences as f64 / seconds.max(1e-3)),
            "words_per_second": tenth(self.words as f64 / seconds.max(1e-3)),
            "seconds_left": self.left().map(|left| tenth(left.as_secs_f64())),
        }) else {
            return Map::new();
        };
        state
    }

    fn event(&self, name: &str, fields: Value) {
        if let (How::Events(_), Value::Object(fields)) = (&self.how, fields) {
            let mut event = Map::from_iter([("event".to_owned(), json!(name))]);
            event.extend(fields);
            log::line(&Value::Object(event).to_string());
        }
    }
}

fn bar(size: Option<u64>) -> ProgressBar {
    let bar = match size {
        Some(size) => ProgressBar::new(size)
            .with_style(style("{wide_bar} {percent}% {msg}, {eta} left, {prefix}")),
        None => ProgressBar::new_spinner().with_style(style("{spinner} {msg} {prefix}")),
    };
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
