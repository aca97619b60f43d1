//! Streams of records: JSON Lines in, JSON Lines out. Every line is answered by one line, in order.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use serde_json::{Map, Value, json};
use tarjim::output::{Document, Format};
use tarjim::text::{Segment, SegmentKind};
use tarjim::translate::Translation;
use tarjim::{Error, Result};

use super::model::Loaded;
use super::translate::write;

/// Bytes of a line that is still read; a longer one is answered by an error.
const LONGEST_LINE: u64 = 64 << 20;
/// Bytes of text translated together: enough to fill the model's batches.
const BATCH_BYTES: usize = 256 << 10;

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

/// What is read from each record and written into it.
#[derive(Debug)]
pub struct Fields<'a> {
    /// Holds the Arabic text.
    pub source: &'a str,
    /// Is given the English text.
    pub target: &'a str,
    /// Whether `sentences` is added, with word alignment.
    pub align: bool,
}

/// How a stream went.
#[derive(Debug, Default)]
pub struct Count {
    /// Lines answered.
    pub records: u64,
    /// Of these, by an error.
    pub failed: u64,
}

/// A line of the input.
struct Record {
    object: Map<String, Value>,
    /// The text and its segments, or why there is none.
    text: std::result::Result<(String, Vec<Segment>), String>,
}

/// Translates the lines of `reader`.
///
/// # Errors
/// If the input cannot be read or the output not written; a bad line is no error, but answered.
pub fn translate(
    reader: impl Read,
    name: &Path,
    out: (&mut dyn Write, &Path),
    loaded: &Loaded,
    segment: fn(&str) -> Vec<Segment>,
    fields: &Fields<'_>,
    (shard, flush): (Option<Shard>, bool),
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
            if shard.is_some_and(|shard| (number - 1) % shard.of != shard.index) {
                continue;
            }
            bytes += line.len();
            batch.push(Record::new(&line, number, fields, segment));
        }
        // Who waits for an answer may send the next line only after it.
        let waiting = flush && reader.buffer().is_empty();
        if ended || waiting || bytes >= BATCH_BYTES {
            for answer in answers(std::mem::take(&mut batch), loaded, fields)? {
                count.records += 1;
                count.failed += u64::from(answer.contains_key("error"));
                writeln!(out, "{}", Value::Object(answer)).map_err(Error::write(path))?;
            }
            if flush || ended {
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
    fn new(
        line: &[u8],
        number: u64,
        fields: &Fields<'_>,
        segment: fn(&str) -> Vec<Segment>,
    ) -> Self {
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
        let text = match object.get(fields.source) {
            Some(Value::String(text)) => Ok((text.clone(), segment(text))),
            Some(_) => Err(format!("field `{}` is not a string", fields.source)),
            None => Err(format!("no field `{}`", fields.source)),
        };
        Record { object, text }
    }
}

/// The records with their translations, all sentences translated together.
fn answers(
    records: Vec<Record>,
    loaded: &Loaded,
    fields: &Fields<'_>,
) -> Result<Vec<Map<String, Value>>> {
    let sentences: Vec<&str> = records
        .iter()
        .filter_map(|record| record.text.as_ref().ok())
        .flat_map(|(text, segments)| {
            let sentences = segments.iter().filter(|s| s.kind == SegmentKind::Sentence);
            sentences.map(|segment| segment.span.of(text))
        })
        .collect();
    let mut translations = loaded.translator.translate(&sentences, &loaded.settings)?.into_iter();
    let mut answers = Vec::with_capacity(records.len());
    for Record { mut object, text } in records {
        match text {
            Ok((text, segments)) => {
                let count = segments.iter().filter(|s| s.kind == SegmentKind::Sentence).count();
                let own: Vec<Translation> = translations.by_ref().take(count).collect();
                let english = written(Format::Text, &text, &segments, &own, loaded, fields)?;
                object.insert(fields.target.into(), json!(english));
                object.insert("model".into(), json!(loaded.resolved.name));
                if fields.align {
                    let json = written(Format::Json, &text, &segments, &own, loaded, fields)?;
                    let document: Value = serde_json::from_str(&json).unwrap_or_default();
                    object.insert("sentences".into(), document["sentences"].clone());
                } else {
                    let mut warnings: Vec<Value> =
                        own.iter().flat_map(|t| &t.warnings).map(|w| json!(w)).collect();
                    warnings.dedup();
                    if !warnings.is_empty() {
                        object.insert("warnings".into(), json!(warnings));
                    }
                }
            }
            Err(error) => {
                object.insert("error".into(), json!(error));
            }
        }
        answers.push(object);
    }
    Ok(answers)
}

/// One record's text in a format.
fn written(
    format: Format,
    text: &str,
    segments: &[Segment],
    translations: &[Translation],
    loaded: &Loaded,
    fields: &Fields<'_>,
) -> Result<String> {
    let mut out = Vec::new();
    let mut writer = format.writer(Document {
        path: String::new(),
        model: loaded.resolved.name.clone(),
        revision: loaded.resolved.revision.clone(),
        align: fields.align,
    });
    write(&mut out, writer.as_mut(), text, 0, segments, translations)
        .and_then(|()| writer.finish(&mut out))
        .map_err(Error::write("<memory>"))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}
