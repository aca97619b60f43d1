//! Tables: one row in, the same row with columns added out.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use csv::{ByteRecord, Reader, ReaderBuilder, WriterBuilder};
use serde_json::Value;
use tarjim::{Error, Result};

use super::{ERROR, LONGEST, RecordArgs, Rows, Said};
use crate::cli::batch::Source;

/// A stream of rows.
pub(super) struct Table {
    reader: Reader<Bounded>,
    /// Bytes that may be read until the row at hand has ended.
    bound: Rc<Cell<u64>>,
    name: PathBuf,
    separator: u8,
    /// Column of the text.
    field: usize,
    /// Column of the name.
    id: Option<usize>,
    /// Number of columns, of which those that are `true` are written.
    kept: Vec<bool>,
    /// Columns that are added.
    added: Vec<String>,
    /// The line of column names, until it is written.
    header: Option<ByteRecord>,
    /// The first row of a table without column names, until it is its turn.
    first: Option<ByteRecord>,
    /// Read but not answered.
    pending: VecDeque<ByteRecord>,
    /// Where the reader began.
    base: u64,
}

/// Bounds the memory that a row takes: where a quotation mark is missing, it would be all the rest.
struct Bounded {
    source: Source,
    /// Bytes read.
    read: u64,
    /// How many that may become before the row at hand has ended.
    bound: Rc<Cell<u64>>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read > self.bound.get() {
            let text = format!("a row is longer than {LONGEST} bytes: is a `\"` missing?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let read = self.source.read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}

impl Table {
    /// Reads the column names, then goes on at `offset`, if that is not 0.
    pub fn open(
        source: Source,
        name: &Path,
        separator: u8,
        args: &RecordArgs,
        added: &[&str],
        offset: u64,
    ) -> Result<Self> {
        let bound = Rc::new(Cell::new(LONGEST));
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(separator);
        builder.quoting(separator == b',').buffer_capacity(64 << 10);
        let bounded = Bounded { source, read: 0, bound: bound.clone() };
        let mut reader = builder.from_reader(bounded);
        let mut first = ByteRecord::new();
        let found = read(&mut reader, &mut first, name)?;
        let names: Vec<String> = match args.no_header {
            true => (1..=first.len()).map(|n| n.to_string()).collect(),
            false => first.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect(),
        };
        let column = |wanted: &str| {
            let missing = || Error::BadLine {
                path: name.to_owned(),
                line: 1,
                detail: format!("no column `{wanted}` among {}", names.join(", ").escape_debug()),
            };
            names.iter().position(|name| name == wanted).ok_or_else(missing)
        };
        // A table of nothing at all is answered by one.
        let (field, id) = match found {
            true => (column(&args.field)?, args.id_field.as_deref().map(column).transpose()?),
            false => (0, None),
        };
        let added: Vec<String> = added.iter().copied().chain([ERROR]).map(String::from).collect();
        let mut table = Table {
            reader,
            bound,
            name: name.to_owned(),
            separator,
            field,
            id,
            kept: names.iter().map(|name| args.no_header || !added.contains(name)).collect(),
            added,
            header: None,
            first: None,
            pending: VecDeque::new(),
            base: 0,
        };
        if offset > 0 {
            let mut source = table.reader.into_inner().source;
            source.seek(offset).map_err(Error::read(name))?;
            table.base = offset;
            table.bound.set(LONGEST);
            let bounded = Bounded { source, read: 0, bound: table.bound.clone() };
            table.reader = builder.from_reader(bounded);
        } else if args.no_header {
            table.first = found.then_some(first);
        } else {
            table.header = found.then_some(first);
        }
        Ok(table)
    }

    fn write(
        &self,
        row: &ByteRecord,
        added: impl Iterator<Item = Vec<u8>>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        // A row that is too short is filled up; what is too much of one has no column.
        let cells = (0..self.kept.len()).filter(|&i| self.kept[i]);
        let cells = cells.map(|i| row.get(i).unwrap_or_default().to_vec()).chain(added);
        if self.separator == b',' {
            let mut writer = WriterBuilder::new().from_writer(Vec::new());
            writer.write_record(cells)?;
            return out.write_all(&writer.into_inner().map_err(|error| error.into_error())?);
        }
        let line: Vec<Vec<u8>> = cells.map(one_line).collect();
        out.write_all(&line.join(&self.separator))?;
        out.write_all(b"\n")
    }

    fn write_header(&mut self, out: &mut dyn Write) -> io::Result<()> {
        match self.header.take() {
            Some(header) => {
                self.write(&header, self.added.iter().map(|name| name.clone().into_bytes()), out)
            }
            None => Ok(()),
        }
    }

    /// The text of a row.
    fn text(&self, row: &ByteRecord) -> std::result::Result<String, String> {
        if row.len() != self.kept.len() {
            return Err(format!("{} columns instead of {}", row.len(), self.kept.len()));
        }
        if self.id.is_some_and(|id| row.get(id).is_none_or(<[u8]>::is_empty)) {
            return Err("the column of the name is empty".into());
        }
        let text = row.get(self.field).unwrap_or_default();
        String::from_utf8(text.to_vec()).map_err(|_| "the text is not valid UTF-8".into())
    }
}

/// Without what separates cells and rows.
fn one_line(mut cell: Vec<u8>) -> Vec<u8> {
    for byte in &mut cell {
        if matches!(*byte, b'\t' | b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    cell
}

fn read(reader: &mut Reader<Bounded>, row: &mut ByteRecord, name: &Path) -> Result<bool> {
    let read = reader.read_byte_record(row).map_err(|error| match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    });
    read.map_err(Error::read(name))
}

impl Rows for Table {
    fn next(&mut self, wanted: bool) -> Result<Option<std::result::Result<String, String>>> {
        self.bound.set(self.reader.position().byte() + LONGEST);
        let row = match self.first.take() {
            Some(first) => first,
            None => {
                let mut row = ByteRecord::new();
                if !read(&mut self.reader, &mut row, &self.name)? {
                    return Ok(None);
                }
                row
            }
        };
        if !wanted {
            return Ok(Some(Ok(String::new())));
        }
        let text = self.text(&row);
        self.pending.push_back(row);
        Ok(Some(text))
    }

    fn answer(&mut self, said: Said, out: &mut dyn Write) -> io::Result<()> {
        self.write_header(out)?;
        let row = self.pending.pop_front().unwrap_or_default();
        let mut fields = match said {
            Ok(fields) => fields,
            Err(problem) => [(ERROR.to_owned(), Value::String(problem))].into_iter().collect(),
        };
        let added = self.added.iter().map(|name| match fields.remove(name) {
            Some(Value::String(text)) => text.into_bytes(),
            Some(Value::Null) | None => Vec::new(),
            Some(value) => value.to_string().into_bytes(),
        });
        self.write(&row, added, out)
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.write_header(out)
    }

    fn offset(&self) -> u64 {
        self.base + self.reader.position().byte()
    }

    fn waits(&mut self) -> bool {
        // The second byte of a line's end may be read with the next line.
        let held = self.reader.get_ref().read.saturating_sub(self.reader.position().byte());
        held <= 1 && self.reader.get_mut().source.waits()
    }
}
