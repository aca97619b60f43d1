//! JSON Lines: one object a line in, one object a line out.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tarjim::{Error, Result};

use super::{ERROR, LONGEST, RecordArgs, Rows, Said};
use crate::cli::batch::{Place, Source};

/// A stream of JSON objects.
pub(super) struct Lines {
    reader: BufReader<Source>,
    name: PathBuf,
    /// Field of the text.
    field: String,
    /// Field of the name.
    id: Option<String>,
    /// Fields that earlier answers had.
    old: Vec<String>,
    /// Read but not answered.
    pending: VecDeque<Map<String, Value>>,
    offset: u64,
    number: u64,
}

impl Lines {
    pub fn open(
        mut source: Source,
        name: &Path,
        args: &RecordArgs,
        added: &[&str],
        place: &Place,
    ) -> Result<Self> {
        if place.offset > 0 {
            source.seek(place.offset).map_err(Error::read(name))?;
        }
        Ok(Lines {
            reader: BufReader::with_capacity(64 << 10, source),
            name: name.to_owned(),
            field: args.field.clone(),
            id: args.id_field.clone(),
            old: added.iter().copied().chain([ERROR]).map(String::from).collect(),
            pending: VecDeque::new(),
            offset: place.offset,
            number: place.number,
        })
    }

    /// The bytes of the next line; none at the end. Of a line that is too long one byte more than
    /// [`LONGEST`] is kept.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let read = self.reader.by_ref().take(LONGEST + 1).read_until(b'\n', &mut line)?;
        self.offset += read as u64;
        if line.len() as u64 > LONGEST && !line.ends_with(b"\n") {
            self.offset += self.reader.skip_until(b'\n')? as u64;
        }
        if line.ends_with(b"\n") {
            line.pop();
        }
        Ok((read > 0).then_some(line))
    }

    /// The object on a line, and its text or why there is none.
    fn parse(&self, line: &[u8]) -> (Map<String, Value>, std::result::Result<String, String>) {
        // Some editors begin a file with a byte order mark.
        let line = match (self.number, line.strip_prefix("\u{feff}".as_bytes())) {
            (1, Some(rest)) => rest,
            _ => line,
        };
        let parsed = match line.len() as u64 > LONGEST {
            true => Err(format!("longer than {LONGEST} bytes")),
            false => serde_json::from_slice::<Value>(line).map_err(|error| error.to_string()),
        };
        let object = match parsed {
            Ok(Value::Object(object)) => object,
            other => {
                let problem = other.map_or_else(|error| error, |_| "not a JSON object".into());
                let object = Map::from_iter([("line".to_owned(), json!(self.number))]);
                return (object, Err(problem));
            }
        };
        let named = self.id.as_ref().is_none_or(|id| object.contains_key(id));
        let text = match (object.get(&self.field), &self.id) {
            (_, Some(id)) if !named => Err(format!("no field `{id}`")),
            (Some(Value::String(text)), _) => Ok(text.clone()),
            (Some(_), _) => Err(format!("field `{}` is not a string", self.field)),
            (None, _) => Err(format!("no field `{}`", self.field)),
        };
        (object, text)
    }
}

impl Rows for Lines {
    fn next(&mut self, wanted: bool) -> Result<Option<std::result::Result<String, String>>> {
        self.number += 1;
        if !wanted {
            let read = self.reader.skip_until(b'\n').map_err(Error::read(&self.name))?;
            self.offset += read as u64;
            return Ok((read > 0).then(|| Ok(String::new())));
        }
        let Some(line) = self.line().map_err(Error::read(&self.name))? else { return Ok(None) };
        let (object, text) = self.parse(&line);
        self.pending.push_back(object);
        Ok(Some(text))
    }

    fn answer(&mut self, said: Said, out: &mut dyn Write) -> io::Result<()> {
        let mut object = self.pending.pop_front().unwrap_or_default();
        object.retain(|name, _| !self.old.contains(name));
        match said {
            Ok(fields) => object.extend(fields),
            Err(problem) => drop(object.insert(ERROR.into(), json!(problem))),
        }
        writeln!(out, "{}", Value::Object(object))
    }

    fn finish(&mut self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn offset(&self) -> u64 {
        self.offset
    }

    fn waits(&mut self) -> bool {
        self.reader.buffer().is_empty() && self.reader.get_mut().waits()
    }
}
