//! Downloads as seen by the reader: a bar on a terminal, plain lines elsewhere, all on stderr.

use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};
use tarjim::hub::{Event, Progress, Settings};

use crate::cli::{Volume, say};

/// Time between two plain lines about the same file.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows what the hub does.
pub struct HubProgress {
    bars: bool,
    quiet: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    size: Option<u64>,
    last_line: Option<Instant>,
}

impl HubProgress {
    /// Bars if stderr is a terminal and the settings do not forbid them; nothing if quiet.
    pub fn new(settings: &Settings, volume: Volume) -> Self {
        let bars = settings.progress_bars && std::io::stderr().is_terminal();
        HubProgress { bars, quiet: volume == Volume::Quiet, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, file: &str, size: Option<u64>, have: u64) {
        let mut state = self.state();
        *state = State { size, last_line: Some(Instant::now()), ..State::default() };
        if self.bars {
            let bar = match size {
                Some(size) => ProgressBar::new(size).with_style(style(
                    "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}",
                )),
                None => ProgressBar::new_spinner()
                    .with_style(style("{msg} {spinner} {decimal_bytes} {decimal_bytes_per_sec}")),
            };
            // The rate counts only what arrives now.
            let bar = bar.with_message(file.to_string()).with_position(have);
            bar.reset_eta();
            state.bar = Some(bar);
            return;
        }
        let size = size.map_or("unknown size".into(), |size| DecimalBytes(size).to_string());
        match have {
            0 => say(&format!("fetching {file} ({size})")),
            have => say(&format!("fetching {file} ({size}, {} are here)", DecimalBytes(have))),
        }
    }

    fn bytes(&self, file: &str, have: u64) {
        let mut state = self.state();
        if let Some(bar) = &state.bar {
            bar.set_position(have);
        } else if state.last_line.is_none_or(|last| last.elapsed() >= LINE_EVERY) {
            state.last_line = Some(Instant::now());
            match state.size {
                Some(size) if size > 0 => {
                    say(&format!("{file}: {} %", u128::from(have) * 100 / u128::from(size)));
                }
                _ => say(&format!("{file}: {}", DecimalBytes(have))),
            }
        }
    }

    /// One line that stays, above a bar if there is one.
    fn note(&self, text: &str) {
        match &self.state().bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }
}

impl Progress for HubProgress {
    fn on(&self, event: &Event<'_>) {
        if self.quiet {
            return;
        }
        match event {
            Event::Licence { model, licence } => {
                let commercial = if licence.commercial { "allowed" } else { "not allowed" };
                self.note(&format!("{model}: {}; commercial use {commercial}", licence.id));
                if let Some(note) = &licence.note {
                    self.note(&format!("{model}: {note}"));
                }
            }
            Event::Start { file, size, have } => self.start(file, *size, *have),
            Event::Bytes { file, have } => self.bytes(file, *have),
            Event::Done { .. } => {
                if let Some(bar) = self.state().bar.take() {
                    bar.finish();
                }
            }
            Event::Retry { error, wait } if wait.is_zero() => {
                self.note(&format!("{error}; starting over"));
            }
            Event::Retry { error, wait } => {
                self.note(&format!("{error}; next attempt in {:.1} s", wait.as_secs_f32()));
            }
            Event::Waiting { .. } => {
                self.note("another process is downloading this file; waiting for it");
            }
            _ => {}
        }
    }
}

pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
