//! Options of every command that takes many inputs, and what they come to.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use sha2::{Digest, Sha256};
use tarjim::hub::Resolved;
use tarjim::{Error, Result};

use super::folder::digest;
use super::jobs::{self, Job, Naming};
use super::size;
use super::tally::{Entry, Report, Status, Tally};
use crate::cli::Volume;
use crate::cli::progress::{Meter, ProgressArg};

/// Which inputs, where outputs go, and what happens when something goes wrong.
#[derive(Args, Debug)]
pub struct BatchArgs {
    /// Files, patterns such as 'news/**/*.txt', or with --recursive folders; `-`, or none, is
    /// standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Write to a file instead of standard output
    #[arg(long, short, value_name = "FILE", conflicts_with = "output_dir")]
    pub output: Option<PathBuf>,
    /// Write a file for each input into this folder, which is made if need be
    #[arg(long, value_name = "DIR", help_heading = "Batch options")]
    pub output_dir: Option<PathBuf>,
    /// What the name of an output ends with, in place of the input's extension [default: `.en.` and
    /// the extension of the format]
    #[arg(
        long,
        value_name = "SUFFIX",
        requires = "output_dir",
        allow_hyphen_values = true,
        value_parser = suffix,
        help_heading = "Batch options"
    )]
    pub suffix: Option<String>,
    /// Search folders for inputs, and mirror them in the folder of outputs
    #[arg(long, short, help_heading = "Batch options")]
    pub recursive: bool,
    /// Take these files of a folder, by name or by path below it [default: the extension of the input
    /// format, such as *.txt]
    #[arg(long, value_name = "GLOB", requires = "recursive", help_heading = "Batch options")]
    pub include: Vec<String>,
    /// Most inputs worked on together: their sentences fill the model's batches
    #[arg(
        long,
        value_name = "N",
        default_value_t = 64,
        value_parser = clap::value_parser!(u16).range(1..),
        help_heading = "Batch options"
    )]
    pub jobs: u16,
    /// Leave alone outputs that an earlier run made from the same input with the same model, options
    /// and version
    #[arg(long, requires = "output_dir", help_heading = "Batch options")]
    pub skip_existing: bool,
    /// Stop at the first input or record that fails, instead of going on with the others
    #[arg(long, help_heading = "Batch options")]
    pub fail_fast: bool,
    /// Write what became of each input to a JSON file
    #[arg(long, value_name = "FILE", help_heading = "Batch options")]
    pub report: Option<PathBuf>,
    /// How progress is told, on stderr
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        default_value = "auto",
        help_heading = "Batch options"
    )]
    pub progress: ProgressArg,
}

fn suffix(text: &str) -> Result<String, String> {
    match text.is_empty() || text.contains(['/', '\\']) {
        true => Err("it must be the end of a file's name".into()),
        false => Ok(text.into()),
    }
}

impl BatchArgs {
    /// Whether it is remembered what outputs are made from, which takes a [`key`]; that of a model in
    /// a folder takes reading all of it. `resumable` as in [`Plan`].
    pub fn remembers(&self, resumable: bool) -> bool {
        self.output_dir.is_some() || (resumable && self.output.is_some())
    }

    /// The inputs, and where their outputs go. A folder is searched for files that end with
    /// `.{input}`; outputs end with `.en.{output}` unless another suffix is given.
    pub fn jobs(&self, input: &str, output: &str) -> Result<Vec<Job>> {
        let suffix = self.suffix.clone().unwrap_or_else(|| format!(".en.{output}"));
        let include = match self.include.is_empty() {
            true => vec![format!("*.{input}")],
            false => self.include.clone(),
        };
        let mut jobs = jobs::find(
            &self.files,
            &Naming {
                root: self.output_dir.as_deref(),
                suffix: &suffix,
                recursive: self.recursive,
                include: &include,
            },
        )?;
        if let [job] = &mut jobs[..] {
            job.output = job.output.take().or_else(|| self.output.clone());
        }
        match jobs.is_empty() {
            true => Err(Error::Usage("the folders hold no input: see --include".into())),
            false => Ok(jobs),
        }
    }
}

/// What a command makes of the options.
pub struct Plan<'a> {
    /// The options.
    pub args: &'a BatchArgs,
    /// The model in use.
    pub model: &'a Resolved,
    /// Stands for all that decides what the outputs are, apart from the inputs; see [`key`]. Empty
    /// unless [`BatchArgs::remembers`].
    pub key: String,
    /// Whether an unfinished output can be gone on with.
    pub resumable: bool,
    /// Whether each text is answered as soon as no other waits.
    pub flush: bool,
}

impl Plan<'_> {
    pub(super) fn meter(&self, jobs: &[Job], volume: Volume) -> Meter {
        let known = jobs.iter().all(|job| job.input.is_some());
        let size = known.then(|| jobs.iter().map(size).sum());
        let to_stdout = self.args.output.is_none() && self.args.output_dir.is_none();
        let shown = to_stdout && io::stdout().is_terminal();
        Meter::new(self.args.progress, volume, jobs.len(), size, shown)
    }

    pub(super) fn report<'r>(
        &'r self,
        status: Status,
        total: &'r Tally,
        seconds: f64,
        inputs: Vec<Entry>,
    ) -> Report<'r> {
        Report {
            version: env!("CARGO_PKG_VERSION"),
            model: &self.model.name,
            revision: self.model.revision.as_deref(),
            status,
            seconds,
            total,
            inputs,
        }
    }
}

/// A name for the version of the program, a model and options: two runs that share it make the same
/// of the same input.
pub fn key(model: &Resolved, options: &str) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(format!("{}\n{}\n{options}\n", env!("CARGO_PKG_VERSION"), model.name));
    match &model.revision {
        Some(revision) => hash.update(revision),
        // Of a folder nobody knows the version: its files tell.
        None => {
            let folder = &model.folder;
            let entries = fs::read_dir(folder).map_err(Error::read(folder))?;
            let mut files: Vec<PathBuf> =
                entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
            files.sort();
            for path in files {
                let file = fs::File::open(&path).map_err(Error::read(&path))?;
                let digest = digest(file).map_err(Error::read(&path))?;
                hash.update(format!("{:?} {digest}\n", path.file_name()));
            }
        }
    }
    Ok(format!("{:x}", hash.finalize()))
}
