//! Streams of records: every record is answered by the same record with something added, in order.

mod jsonl;
mod table;

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
use tarjim::translate::Warning;
use tarjim::{Error, Result};

use super::Volume;
use super::batch::{self, Job, Place, Plan, Source, Stream, Text, Work};

/// Bytes of a record that is still read; a longer one is an error.
const LONGEST: u64 = 8 << 20;
/// Name of the field that says why a record has no answer.
const ERROR: &str = "error";

/// Options of every command that answers records.
#[derive(Args, Debug)]
pub struct RecordArgs {
    /// What the input is
    #[arg(long, value_enum, default_value = "text", help_heading = "Record options")]
    pub input_format: InputFormat,
    /// Field of a record, or column of a table, that holds the Arabic text
    #[arg(long, value_name = "NAME", default_value = "text", help_heading = "Record options")]
    pub field: String,
    /// Field or column that names a record in messages; a record without it is an error
    #[arg(long, value_name = "NAME", help_heading = "Record options")]
    pub id_field: Option<String>,
    /// The table has no line of column names: columns are called 1, 2, 3 …
    #[arg(long, help_heading = "Record options")]
    pub no_header: bool,
    /// Only records I, I+N, I+2N …, counted from 0
    #[arg(long, value_name = "I/N", help_heading = "Record options")]
    pub shard: Option<Shard>,
    /// Answer a record as soon as no other waits, instead of in large batches
    #[arg(long, help_heading = "Record options")]
    pub flush: bool,
}

/// What the input is.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputFormat {
    /// Plain text
    Text,
    /// JSON objects, one a line; each is answered by one line, with the result or an error
    Jsonl,
    /// A table with a line of column names, separated by commas, quoted as in RFC 4180; each row is
    /// answered by one row
    Csv,
    /// The same, separated by tabs, without quotation
    Tsv,
}

impl InputFormat {
    /// The usual end of a file's name.
    pub fn extension(self) -> &'static str {
        match self {
            InputFormat::Text => "txt",
            InputFormat::Jsonl => "jsonl",
            InputFormat::Csv => "csv",
            InputFormat::Tsv => "tsv",
        }
    }
}

impl RecordArgs {
    /// Whether the input is records rather than documents.
    ///
    /// # Errors
    /// If there are options that only other inputs have.
    pub fn is_records(&self) -> Result<bool> {
        let tables = matches!(self.input_format, InputFormat::Csv | InputFormat::Tsv);
        let wrong = match self.input_format {
            InputFormat::Text if self.shard.is_some() => Some("--shard"),
            InputFormat::Text if self.flush => Some("--flush"),
            InputFormat::Text if self.id_field.is_some() => Some("--id-field"),
            _ if self.no_header && !tables => {
                return Err(Error::Usage("--no-header needs --input-format csv or tsv".into()));
            }
            _ => None,
        };
        match wrong {
            Some(option) => {
                Err(Error::Usage(format!("{option} needs --input-format jsonl, csv or tsv")))
            }
            None => Ok(self.input_format != InputFormat::Text),
        }
    }
}

/// Every `of`-th record, from number `index` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    of: u64,
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, of)| {
            Some(Shard { index: index.parse().ok()?, of: of.parse().ok()? })
        });
        match numbers {
            Some(shard) if shard.index < shard.of => Ok(shard),
            _ => Err("two numbers as in 0/4, the first below the second".into()),
        }
    }
}

/// What is done with the text of records.
pub trait Task {
    /// Names of all fields that an answer may have. A record's own fields of these names give way.
    fn fields(&self) -> Vec<&str>;

    /// An answer to each text. Texts given together are worked on together, which is faster; what
    /// is said of one must not depend on the others.
    fn answer(&mut self, texts: &[&str]) -> Result<Vec<Answer>>;
}

/// What is said of one record.
#[derive(Debug, Default)]
pub struct Answer {
    /// Added to the record.
    pub fields: Map<String, Value>,
    /// Sentences translated for it.
    pub sentences: u64,
    /// Words of their sources.
    pub words: u64,
    /// What is to be counted of them.
    pub warnings: Vec<Warning>,
}

/// Answers the records of all inputs.
///
/// # Errors
/// If an input cannot be read or an output not written; a bad record is no error, but answered.
pub fn run(
    plan: &Plan<'_>,
    jobs: Vec<Job>,
    args: &RecordArgs,
    task: &mut dyn Task,
    volume: Volume,
) -> Result<ExitCode> {
    let tables = !matches!(args.input_format, InputFormat::Jsonl);
    if tables && jobs.len() > 1 && plan.args.output_dir.is_none() {
        return Err(Error::Usage("several tables need --output-dir: each has its columns".into()));
    }
    batch::run(plan, jobs, &mut Records { args, task }, volume)
}

/// What is said of a record, or why nothing is.
type Said = std::result::Result<Map<String, Value>, String>;

/// The records of one input, in a format.
trait Rows {
    /// The text of the next record, or why it has none; nothing at the end. One that is not wanted is
    /// read past.
    fn next(&mut self, wanted: bool) -> Result<Option<std::result::Result<String, String>>>;

    /// Writes what is said of the next of the records that were wanted.
    fn answer(&mut self, said: Said, out: &mut dyn Write) -> io::Result<()>;

    /// Writes what an output has even without records.
    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()>;

    /// Bytes of the input that are read.
    fn offset(&self) -> u64;

    /// Whether the next record may be long in coming.
    fn waits(&mut self) -> bool;
}

struct Records<'a> {
    args: &'a RecordArgs,
    task: &'a mut dyn Task,
}

impl Work for Records<'_> {
    type Stream = RecordStream;

    fn open(&self, job: &Job, source: Source, place: Option<Place>) -> Result<RecordStream> {
        let place = place.unwrap_or_default();
        let (name, added) = (job.name(), self.task.fields());
        let rows: Box<dyn Rows> = match self.args.input_format {
            InputFormat::Csv => {
                Box::new(table::Table::open(source, name, b',', self.args, &added, place.offset)?)
            }
            InputFormat::Tsv => {
                Box::new(table::Table::open(source, name, b'\t', self.args, &added, place.offset)?)
            }
            InputFormat::Text | InputFormat::Jsonl => {
                Box::new(jsonl::Lines::open(source, name, self.args, &added, &place)?)
            }
        };
        Ok(RecordStream {
            name: name.to_owned(),
            rows,
            shard: self.args.shard,
            number: place.number,
            pending: VecDeque::new(),
            place,
            failure: None,
        })
    }

    fn answer(&mut self, texts: &[&str]) -> Result<Vec<Answer>> {
        self.task.answer(texts)
    }
}

/// The records of one input.
struct RecordStream {
    name: PathBuf,
    rows: Box<dyn Rows>,
    shard: Option<Shard>,
    /// How many were read.
    number: u64,
    /// Of those read but not answered: why one has no text, and where it ends.
    pending: VecDeque<(Option<String>, u64, u64)>,
    place: Place,
    /// What was wrong with the first that failed.
    failure: Option<(u64, String)>,
}

impl Stream for RecordStream {
    type Answer = Answer;

    fn read(&mut self) -> Result<Option<Text>> {
        loop {
            let before = self.rows.offset();
            let wanted = self.shard.is_none_or(|shard| self.number % shard.of == shard.index);
            let Some(text) = self.rows.next(wanted)? else { return Ok(None) };
            self.number += 1;
            if !wanted {
                continue;
            }
            let offset = self.rows.offset();
            // One without a text is answered in its turn, as the others.
            let (text, problem) = match text {
                Ok(text) => (text, None),
                Err(problem) => (String::new(), Some(problem)),
            };
            self.pending.push_back((problem, offset, self.number));
            return Ok(Some(Text { text, bytes: offset - before }));
        }
    }

    fn waits(&mut self) -> bool {
        self.rows.waits()
    }

    fn write(
        &mut self,
        _: &str,
        answer: Result<Answer>,
        (out, path): (&mut dyn Write, &Path),
    ) -> Result<()> {
        let Some((problem, offset, number)) = self.pending.pop_front() else { return Ok(()) };
        let tally = &mut self.place.tally;
        tally.records += 1;
        let said = match (problem, answer) {
            (Some(problem), _) => Err(problem),
            (None, Err(error)) => Err(error.to_string()),
            (None, Ok(answer)) => {
                tally.sentences += answer.sentences;
                tally.words += answer.words;
                tally.warn(&answer.warnings);
                Ok(answer.fields)
            }
        };
        if let Err(problem) = &said {
            tally.failed_records += 1;
            self.failure.get_or_insert_with(|| (number, problem.clone()));
        }
        self.rows.answer(said, out).map_err(Error::write(path))?;
        (self.place.offset, self.place.number) = (offset, number);
        Ok(())
    }

    fn finish(&mut self, (out, path): (&mut dyn Write, &Path)) -> Result<()> {
        self.rows.finish(out).map_err(Error::write(path))
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn failure(&mut self) -> Option<Error> {
        let (record, detail) = self.failure.take()?;
        Some(Error::BadRecord { path: self.name.clone(), record, detail })
    }
}
