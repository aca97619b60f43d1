//! `tarjim align`: word links of given translations.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use tarjim::output::{Document, Format, Piece};
use tarjim::text::{Span, words};
use tarjim::{Error, Result};

use super::Volume;
use super::model::ModelArgs;
use super::sink::Sink;

const LONG_ABOUT: &str = "\
Link the words of given sentences and their translations. Line N of TARGET must translate line N of \
SOURCE. The model is made to write the given translation, and what it looks at is read as in \
`tarjim translate --align`.";

const EXAMPLES: &str = "\
Examples:
  tarjim align news.ar news.en
  tarjim align --format json news.ar news.en
  tarjim align gold.ar gold.en | tarjim eval --alignment --ref gold.talp -";

/// Align the words of given sentences and translations
#[derive(Args, Debug)]
#[command(long_about = LONG_ABOUT, after_help = EXAMPLES)]
pub struct AlignArgs {
    /// Arabic, one sentence a line
    source: PathBuf,
    /// English, one sentence a line
    target: PathBuf,
    /// Write to a file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How links are written
    #[arg(long, short, value_enum, default_value = "pharaoh")]
    format: FormatArg,
    /// What counts as a word
    #[arg(long, value_enum, default_value = "spaces")]
    words: Words,
    #[command(flatten)]
    model: ModelArgs,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum FormatArg {
    /// `0-0 1-2`, one line a sentence, source before target
    Pharaoh,
    /// One JSON object with all sentences
    Json,
    /// One JSON object a sentence, one a line
    Jsonl,
    /// Every sentence and where each of its words came from
    Interlinear,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    /// What stands between spaces
    Spaces,
    /// Words and marks, as `tarjim translate` cuts them
    Unicode,
}

/// Pairs aligned at once: bounds memory, not results.
const LINES: usize = 512;

/// Runs `tarjim align`.
pub fn run(args: &AlignArgs, volume: Volume) -> Result<()> {
    let mut source = Lines::open(&args.source)?;
    let mut target = Lines::open(&args.target)?;
    let loaded = args.model.load(volume)?;
    let format = match args.format {
        FormatArg::Pharaoh => Format::Pharaoh,
        FormatArg::Json => Format::Json,
        FormatArg::Jsonl => Format::Jsonl,
        FormatArg::Interlinear => Format::Interlinear,
    };
    let mut writer = format.writer(Document {
        path: args.source.display().to_string(),
        model: loaded.resolved.name.clone(),
        revision: loaded.resolved.revision.clone(),
        align: true,
    });
    let mut sink = Sink::open(args.output.as_deref())?;
    loop {
        let (sources, targets) = (source.take(LINES)?, target.take(LINES)?);
        if sources.len() != targets.len() {
            source.count_rest()?;
            target.count_rest()?;
            return Err(Error::LineCounts {
                path: args.source.clone(),
                lines: source.number,
                other: args.target.clone(),
                other_lines: target.number,
            });
        }
        if sources.is_empty() {
            break;
        }
        let pairs: Vec<(&str, &str)> =
            sources.iter().zip(&targets).map(|(s, t)| (s.text.as_str(), t.text.as_str())).collect();
        let cut = match args.words {
            Words::Spaces => between_spaces,
            Words::Unicode => words,
        };
        let aligned = loaded.translator.align(&pairs, cut, &loaded.settings)?;
        let (out, path) = sink.writer();
        for (line, translation) in sources.iter().zip(&aligned) {
            let span = Span::new(line.start, line.start + line.text.len());
            writer.piece(out, Piece::Translated(translation, span)).map_err(Error::write(path))?;
        }
    }
    let (out, path) = sink.writer();
    writer.finish(out).map_err(Error::write(path))?;
    sink.finish()
}

/// What stands between spaces.
fn between_spaces(text: &str) -> Vec<Span> {
    text.split_whitespace()
        .map(|word| {
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            Span::new(start, start + word.len())
        })
        .collect()
}

struct Line {
    /// Byte of the file at which it begins.
    start: usize,
    text: String,
}

/// A file of lines, read as they are needed.
struct Lines {
    reader: BufReader<File>,
    path: PathBuf,
    number: u64,
    offset: usize,
}

impl Lines {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::read(path))?;
        Ok(Lines { reader: BufReader::new(file), path: path.into(), number: 0, offset: 0 })
    }

    /// The next lines, at most `count`.
    fn take(&mut self, count: usize) -> Result<Vec<Line>> {
        let mut lines = Vec::new();
        while lines.len() < count {
            let mut bytes = Vec::new();
            let length =
                self.reader.read_until(b'\n', &mut bytes).map_err(Error::read(&self.path))?;
            if length == 0 {
                break;
            }
            let start = self.offset;
            self.offset += length;
            self.number += 1;
            let text = String::from_utf8(bytes).map_err(|error| Error::NotUtf8 {
                path: self.path.clone(),
                offset: (start + error.utf8_error().valid_up_to()) as u64,
            })?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            lines.push(Line { start, text: text.into() });
        }
        Ok(lines)
    }

    fn count_rest(&mut self) -> Result<()> {
        while !self.take(LINES)?.is_empty() {}
        Ok(())
    }
}
