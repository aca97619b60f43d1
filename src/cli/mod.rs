//! The command line: one file a command. Parsing validates, `run` acts.

mod align;
mod batch;
mod config;
mod documents;
mod eval;
mod log;
mod model;
mod models;
mod progress;
mod records;
mod shell;
mod sink;
mod summarize;
mod translate;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tarjim::Error;

use self::log::{LogFormat, report, say};

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

Any option can be given a default in the configuration file, under its name, or in the environment, \
as TARJIM_ and its name in capitals: TARJIM_BEAM=1. What is typed goes before the environment, and that \
before the file.

Exit codes: 0 all done, 1 the run failed, 2 wrong usage, 3 some of several inputs or records failed, \
130 interrupted.";

/// Arabic to English, with the source of every word
#[derive(Parser, Debug)]
#[command(name = "tarjim", version, long_about = LONG_ABOUT, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Say nothing but errors
    #[arg(long, short, global = true, help_heading = "Global options")]
    quiet: bool,
    /// Say more on stderr: model, times
    #[arg(long, short, global = true, conflicts_with = "quiet", help_heading = "Global options")]
    verbose: bool,
    /// Defaults for options: a TOML file [default: tarjim/config.toml in $XDG_CONFIG_HOME or ~/.config]
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        env = "TARJIM_CONFIG",
        hide_env = true,
        help_heading = "Global options"
    )]
    config: Option<PathBuf>,
    /// How messages on stderr are written: lines to read, or JSON objects, one a line
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        global = true,
        default_value = "text",
        help_heading = "Global options"
    )]
    log_format: LogFormat,
}

#[derive(Subcommand, Debug)]
enum Command {
    Translate(translate::TranslateArgs),
    Summarize(summarize::SummarizeArgs),
    Align(align::AlignArgs),
    Eval(eval::EvalArgs),
    Models(models::ModelsArgs),
    Completions(shell::CompletionsArgs),
    Man(shell::ManArgs),
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
/// Exit code of a run that was told to end before its work was done, as of one ended by SIGINT.
const INTERRUPTED: u8 = 130;
const FAILED: u8 = 1;
const USAGE: u8 = 2;

/// Parses the command line, runs the command, and reports how it went.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let command = match config::with_defaults(Cli::command(), &arguments) {
        Ok(command) => command,
        Err(error) => {
            report(&error);
            return ExitCode::from(USAGE);
        }
    };
    let parsed = command.try_get_matches_from(arguments);
    match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli.run(),
        Err(error) => error.exit(),
    }
}

impl Cli {
    fn run(&self) -> ExitCode {
        log::set_format(self.log_format);
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
            Command::Completions(args) => {
                sink::to_stdout(|out| shell::completions(args, out)).map(|()| ExitCode::SUCCESS)
            }
            Command::Man(args) => {
                sink::to_stdout(|out| shell::man(args, out)).map(|()| ExitCode::SUCCESS)
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
