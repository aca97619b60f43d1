//! The `tarjim` program: parse, dispatch, print the error and its hint, exit code.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::Cli::parse().run()
}
