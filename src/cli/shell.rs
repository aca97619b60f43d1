//! `tarjim completions` and `tarjim man`: what shells and manuals want to know of the options.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use tarjim::{Error, Result};

use super::Cli;

const COMPLETIONS: &str = "\
Examples:
  tarjim completions bash > ~/.local/share/bash-completion/completions/tarjim
  tarjim completions zsh > ~/.zfunc/_tarjim               with ~/.zfunc in fpath
  tarjim completions fish > ~/.config/fish/completions/tarjim.fish";

const MAN: &str = "\
Examples:
  tarjim man | man -l -
  tarjim man --dir ~/.local/share/man/man1                then: man tarjim-translate";

/// Print a script that lets a shell complete commands and options
#[derive(Args, Debug)]
#[command(after_help = COMPLETIONS)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Print the manual page, or write the pages of all commands
#[derive(Args, Debug)]
#[command(after_help = MAN)]
pub struct ManArgs {
    /// Write a page for each command into this folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs `tarjim completions`.
pub fn completions(args: &CompletionsArgs, out: &mut dyn Write) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tarjim", &mut script);
    out.write_all(&script).map_err(Error::write("<stdout>"))
}

/// Runs `tarjim man`.
pub fn man(args: &ManArgs, out: &mut dyn Write) -> Result<()> {
    match &args.dir {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(Error::write(folder))?;
            clap_mangen::generate_to(Cli::command(), folder).map_err(Error::write(folder))
        }
        None => Man::new(Cli::command()).render(out).map_err(Error::write("<stdout>")),
    }
}
