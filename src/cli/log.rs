//! Messages on stderr: lines to read, or one JSON object a line.

use std::io::Write;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use indicatif::ProgressBar;
use serde_json::json;
use tarjim::Error;

/// How messages are written.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    // Time, level, message, and for errors what to do about it.
    Json,
}

static FORMAT: RwLock<LogFormat> = RwLock::new(LogFormat::Text);
/// Messages are written above it.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Chooses how messages are written from now on.
pub fn set_format(format: LogFormat) {
    *FORMAT.write().unwrap_or_else(PoisonError::into_inner) = format;
}

/// Writes messages above a bar from now on.
pub fn keep_above(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Puts an error and what to do about it on stderr.
pub fn report(error: &Error) {
    message(&format!("error: {error}"), error.hint());
}

/// One message on stderr: `level: text`, or text alone for what is only told.
pub fn say(text: &str) {
    message(text, None);
}

fn message(text: &str, hint: Option<String>) {
    if *FORMAT.read().unwrap_or_else(PoisonError::into_inner) == LogFormat::Text {
        let hint = hint.map_or(String::new(), |hint| format!("\n\nhint: {hint}"));
        return line(&format!("{text}{hint}"));
    }
    let (level, text) = match text.split_once(": ") {
        Some((level @ ("error" | "warning"), rest)) => (level, rest),
        _ => ("info", text),
    };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = (since.as_secs_f64() * 1e3).round() / 1e3;
    let mut object = json!({"time": time, "level": level, "message": text});
    if let Some(hint) = hint {
        object["hint"] = json!(hint);
    }
    line(&object.to_string());
}

/// One line on stderr. That nobody reads it is no reason to stop.
pub fn line(text: &str) {
    let write = || drop(writeln!(std::io::stderr(), "{text}"));
    match &*BAR.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}
