//! Streams of records: JSON Lines in, JSON Lines out. Every line is answered by one line, in order.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use tarjim::translate::Warning;
use tarjim::{Error, Result};

/// Bytes of a line that is still read; a longer one is answered by an error.
const LONGEST_LINE: u64 = 64 << 20;
/// Bytes of text worked on together: enough to fill the model's batches.
const BATCH_BYTES: usize = 256 << 10;

/// Options of every command that answers records.
#[derive(Args, Debug)]
pub struct RecordArgs {
    /// What the input is
    #[arg(long, value_enum, default_value = "text", help_heading = "Record options")]
    pub input_format: InputFormat,
    /// Field of a record that holds the Arabic text
    #[arg(long, value_name = "NAME", default_value = "text", help_heading = "Record options")]
    pub field: String,
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
}

impl RecordArgs {
    /// Whether the input is records rather than documents.
    ///
    /// # Errors
    /// If documents are to be read with options that only records have.
    pub fn is_records(&self) -> Result<bool> {
        if self.input_format == InputFormat::Text && (self.shard.is_some() || self.flush) {
            return Err(Error::Usage("--shard and --flush need --input-format jsonl".into()));
        }
        Ok(self.input_format != InputFormat::Text)
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

/// How a stream went.
#[derive(Debug, Default)]
pub struct Count {
    /// Records answered.
    pub records: u64,
    /// Of these, by an error.
    pub failed: u64,
    /// Sentences translated.
    pub sentences: u64,
    /// Words of their sources.
    pub words: u64,
}

/// A line of the input.
struct Record {
    object: Map<String, Value>,
    /// The text, or why there is none.
    text: std::result::Result<String, String>,
}

/// Name of the field that says why a record has no answer.
const ERROR: &str = "error";

/// Answers the records of `reader`; `name` and the path of `out` stand in errors.
///
/// # Errors
/// If the input cannot be read or the output not written; a bad record is no error, but answered.
pub fn run(
    reader: impl Read,
    name: &Path,
    out: (&mut dyn Write, &Path),
    args: &RecordArgs,
    task: &mut dyn Task,
) -> Result<Count> {
    let (out, path) = out;
    let mut reader = BufReader::new(reader);
    let mut count = Count::default();
    let (mut batch, mut bytes, mut number) = (Vec::new(), 0, 0u64);
    loop {
        let line = next_line(&mut reader).map_err(Error::read(name))?;
        let ended = line.is_none();
        if let Some(line) = line {
            number += 1;
            if args.shard.is_some_and(|shard| (number - 1) % shard.of != shard.index) {
                continue;
            }
            bytes += line.len();
            batch.push(Record::new(&line, number, &args.field));
        }
        // Who waits for an answer may send the next line only after it.
        let waiting = args.flush && reader.buffer().is_empty();
        if ended || waiting || bytes >= BATCH_BYTES {
            for answer in answers(std::mem::take(&mut batch), task, &mut count) {
                writeln!(out, "{}", Value::Object(answer)).map_err(Error::write(path))?;
            }
            if args.flush || ended {
                out.flush().map_err(Error::write(path))?;
            }
            bytes = 0;
        }
        if ended {
            return Ok(count);
        }
    }
}

/// The bytes of a line without its end; none at the end of the input. Of a line that is too long
/// one byte more than [`LONGEST_LINE`] is kept.
fn next_line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.ends_with(b"\n") {
        line.pop();
    } else if line.len() as u64 > LONGEST_LINE {
        reader.skip_until(b'\n')?;
    }
    Ok(Some(line))
}

impl Record {
    fn new(line: &[u8], number: u64, field: &str) -> Self {
        let parsed = match line.len() as u64 > LONGEST_LINE {
            true => Err(format!("longer than {LONGEST_LINE} bytes")),
            false => serde_json::from_slice::<Value>(line).map_err(|error| error.to_string()),
        };
        let object = match parsed {
            Ok(Value::Object(object)) => object,
            other => {
                let text = match other {
                    Ok(_) => "not a JSON object".to_owned(),
                    Err(error) => error,
                };
                let object = Map::from_iter([("line".to_owned(), json!(number))]);
                return Record { object, text: Err(text) };
            }
        };
        let text = match object.get(field) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(format!("field `{field}` is not a string")),
            None => Err(format!("no field `{field}`")),
        };
        Record { object, text }
    }
}

/// The records with their answers.
fn answers(
    records: Vec<Record>,
    task: &mut dyn Task,
    count: &mut Count,
) -> Vec<Map<String, Value>> {
    let texts: Vec<&str> =
        records.iter().filter_map(|record| record.text.as_deref().ok()).collect();
    let mut answers = each(&texts, task).into_iter();
    let old: Vec<String> = task.fields().into_iter().chain([ERROR]).map(String::from).collect();
    let mut answered = Vec::with_capacity(records.len());
    for Record { mut object, text } in records {
        let answer = text.and_then(|_| {
            answers.next().unwrap_or_else(|| Err("the text was not worked on".into()))
        });
        // What an earlier run said of the record.
        object.retain(|name, _| !old.contains(name));
        count.records += 1;
        match answer {
            Ok(answer) => {
                count.sentences += answer.sentences;
                count.words += answer.words;
                object.extend(answer.fields);
            }
            Err(error) => {
                count.failed += 1;
                object.insert(ERROR.into(), json!(error));
            }
        }
        answered.push(object);
    }
    answered
}

/// For each text an answer, or why there is none. One that cannot be worked on does not drag down
/// those beside it.
fn each(texts: &[&str], task: &mut dyn Task) -> Vec<std::result::Result<Answer, String>> {
    match task.answer(texts) {
        Ok(answers) => answers.into_iter().map(Ok).collect(),
        Err(error) if texts.len() <= 1 => texts.iter().map(|_| Err(error.to_string())).collect(),
        Err(_) => texts.iter().flat_map(|text| each(&[text], task)).collect(),
    }
}
