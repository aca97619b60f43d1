//! The command line: one file a command. Parsing validates, `run` acts.

mod align;
mod eval;
mod model;
mod models;
mod progress;
mod records;
mod sink;
mod summarize;
mod translate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tarjim::Error;

const LONG_ABOUT: &str = "\
Translate Arabic to English on this computer, and see where every word came from.

The first run fetches the default model (about 300 MB) from the Hugging Face hub into its cache; \
without a network a small model that comes with the program is used instead.";

const EXAMPLES: &str = "\
Examples:
  Translate a file, layout kept:
    tarjim translate article.txt

  See where every English word came from:
    tarjim translate --align article.txt

  The gist in five bullets, each with its source:
    tarjim summarize article.txt

  In a script, one JSON object a sentence:
    cat *.txt | tarjim translate --format jsonl --align > out.jsonl

Exit codes: 0 all done, 1 the run failed, 2 wrong usage, 3 some of several inputs failed.";

/// Arabic to English, with the source of every word
#[derive(Parser, Debug)]
#[command(name = "tarjim", version, long_about = LONG_ABOUT, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Say nothing but errors
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Say more on stderr: model, times
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    verbose: bool,
}

#[derive(Subcommand, Debug)]
enum Command {
    Translate(translate::TranslateArgs),
    Summarize(summarize::SummarizeArgs),
    Align(align::AlignArgs),
    Eval(eval::EvalArgs),
    Models(models::ModelsArgs),
}

/// How much is said on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volume {
    /// Errors.
    Quiet,
    /// Warnings and progress too.
    Normal,
    /// Model and times too.
    Verbose,
}

/// Exit code of a run of which a part failed.
const SOME_FAILED: u8 = 3;
const FAILED: u8 = 1;
const USAGE: u8 = 2;

impl Cli {
    /// Runs the command and reports how it went.
    pub fn run(&self) -> ExitCode {
        let volume = match (self.quiet, self.verbose) {
            (true, _) => Volume::Quiet,
            (_, true) => Volume::Verbose,
            _ => Volume::Normal,
        };
        let done: tarjim::Result<ExitCode> = match &self.command {
            Command::Translate(args) => translate::run(args, volume),
            Command::Summarize(args) => summarize::run(args, volume),
            Command::Align(args) => align::run(args, volume).map(|()| ExitCode::SUCCESS),
            Command::Eval(args) => {
                sink::to_stdout(|out| eval::run(args, out)).map(|()| ExitCode::SUCCESS)
            }
            Command::Models(args) => {
                sink::to_stdout(|out| models::run(args, volume, out)).map(|()| ExitCode::SUCCESS)
            }
        };
        match done {
            Ok(code) => code,
            // The reader of our output has seen enough.
            Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
            Err(error) => {
                report(&error);
                ExitCode::from(if matches!(error, Error::Usage(_)) { USAGE } else { FAILED })
            }
        }
    }
}

fn is_broken_pipe(error: &Error) -> bool {
    matches!(error, Error::Write { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Puts an error and what to do about it on stderr.
fn report(error: &Error) {
    say(&format!("error: {error}"));
    if let Some(hint) = error.hint() {
        say(&format!("\nhint: {hint}"));
    }
}

/// One message on stderr. That nobody reads it is no reason to stop.
fn say(message: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{message}");
}
