//! `tarjim translate`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use tarjim::checkpoint::EarlyStopping;
use tarjim::input::{Blocks, Cut};
use tarjim::output::{Document, Format, Piece, Writer};
use tarjim::text::{Segment, SegmentKind, cut_line, cut_point, segment, segment_lines};
use tarjim::translate::Translation;
use tarjim::{Error, Result};

use super::model::{Loaded, ModelArgs};
use super::records::{self, Answer, RecordArgs, Task};
use super::sink::Sink;
use super::{SOME_FAILED, Volume, is_broken_pipe, report, say};

const LONG_ABOUT: &str = "\
Translate Arabic to English, sentence by sentence. Blank lines, list markers and spacing are kept; \
what holds no Arabic letter passes through unchanged.";

const EXAMPLES: &str = "\
Examples:
  tarjim translate article.txt
  tarjim translate --align article.txt             where every word came from
  tarjim translate -o article.en.txt article.txt
  tarjim translate --output-dir english *.txt      english/NAME.en.txt for each
  tarjim translate --format json --n-best 4 --beam 8 article.txt
  echo 'مرحبا بالعالم' | tarjim translate
  tarjim translate --input-format jsonl --field body < news.jsonl > english.jsonl";

/// Translate Arabic text files to English
#[derive(Args, Debug)]
#[command(long_about = LONG_ABOUT, after_help = EXAMPLES)]
pub struct TranslateArgs {
    /// Files to translate; `-`, or none, is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write to a file instead of standard output
    #[arg(long, short, value_name = "FILE", conflicts_with = "output_dir")]
    output: Option<PathBuf>,
    /// Write a file for each input into this folder, which is made if need be
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// How results are written [default: text, or interlinear with --align]
    #[arg(long, short, value_enum)]
    format: Option<FormatArg>,
    #[command(flatten)]
    records: RecordArgs,
    /// Field of a record that is given the translation
    #[arg(
        long,
        value_name = "NAME",
        default_value = "translation",
        help_heading = "Record options"
    )]
    target_field: String,
    /// Take every line as one sentence: line N of the output translates line N of the input
    #[arg(long)]
    lines: bool,
    /// Write which source words each word stands for
    #[arg(long, short)]
    align: bool,
    /// Translations given for each sentence (json, jsonl, tsv)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Search options")]
    n_best: Option<u16>,
    /// Hypotheses followed at a time: 1 is fastest [default: what the model asks for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Search options")]
    beam: Option<u16>,
    /// Most tokens of a translated sentence [default: what the model asks for]
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Search options")]
    max_length: Option<u32>,
    /// Preference for long (above 1) or short (below 1) translations [default: what the model asks for]
    #[arg(
        long,
        value_name = "EXPONENT",
        allow_negative_numbers = true,
        help_heading = "Search options"
    )]
    length_penalty: Option<f32>,
    /// Forbid that a sequence of so many tokens occurs twice in a sentence; 0 allows it
    #[arg(long, value_name = "N", help_heading = "Search options")]
    no_repeat_ngram: Option<u16>,
    /// Stop searching a sentence as soon as there are as many translations as hypotheses
    #[arg(long, help_heading = "Search options")]
    early_stopping: bool,
    #[command(flatten)]
    model: ModelArgs,
}

/// Formats by name.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum FormatArg {
    /// English text, laid out as the source
    Text,
    /// Every sentence, its translation, and where each word came from
    Interlinear,
    /// One JSON object a document
    Json,
    /// One JSON object a sentence, one a line
    Jsonl,
    /// Source, translation, score and alignment in columns
    Tsv,
    /// Word links as `0-0 1-2`, one line a sentence
    Pharaoh,
}

impl FormatArg {
    fn format(self) -> Format {
        match self {
            FormatArg::Text => Format::Text,
            FormatArg::Interlinear => Format::Interlinear,
            FormatArg::Json => Format::Json,
            FormatArg::Jsonl => Format::Jsonl,
            FormatArg::Tsv => Format::Tsv,
            FormatArg::Pharaoh => Format::Pharaoh,
        }
    }
}

/// Where one input's translation goes.
struct Job<'a> {
    /// None for standard input.
    input: Option<&'a Path>,
    /// None for standard output.
    output: Option<PathBuf>,
}

/// What was done.
#[derive(Default)]
struct Count {
    sentences: usize,
    words: usize,
}

/// Runs `tarjim translate`.
pub fn run(args: &TranslateArgs, volume: Volume) -> Result<ExitCode> {
    if args.records.is_records()? {
        return args.records(volume);
    }
    let format = args.format()?;
    let jobs = args.jobs(format)?;
    let mut loaded = args.model.load(volume)?;
    args.apply(&mut loaded)?;
    if let Some(folder) = &args.output_dir {
        std::fs::create_dir_all(folder).map_err(Error::write(folder))?;
    }

    let began = Instant::now();
    let mut count = Count::default();
    let mut failed = 0;
    let mut shared = match &args.output_dir {
        Some(_) => None,
        None => Some(Sink::open(args.output.as_deref())?),
    };
    for job in &jobs {
        let done = match (&mut shared, &job.output) {
            (Some(sink), _) => args.document(job, format, &loaded, sink, volume, &mut count),
            (None, output) => Sink::open(output.as_deref()).and_then(|mut sink| {
                args.document(job, format, &loaded, &mut sink, volume, &mut count)?;
                sink.finish()
            }),
        };
        match done {
            // Nothing more can be written for any input, or the only one failed.
            Err(error @ Error::Write { .. }) if shared.is_some() || is_broken_pipe(&error) => {
                return Err(error);
            }
            Err(error) if jobs.len() == 1 => return Err(error),
            Err(error) => {
                report(&error);
                failed += 1;
            }
            Ok(()) => {}
        }
    }
    if let Some(sink) = shared {
        sink.finish()?;
    }
    if volume >= Volume::Verbose {
        let seconds = began.elapsed().as_secs_f32();
        let rate = |n: usize| n as f32 / seconds.max(f32::MIN_POSITIVE);
        say(&format!(
            "{} sentences, {} words in {seconds:.2} s ({:.1} sentences/s, {:.0} words/s)",
            count.sentences,
            count.words,
            rate(count.sentences),
            rate(count.words)
        ));
    }
    match failed {
        0 => Ok(ExitCode::SUCCESS),
        _ => {
            say(&format!("error: {failed} of {} inputs failed", jobs.len()));
            Ok(ExitCode::from(SOME_FAILED))
        }
    }
}

impl TranslateArgs {
    /// Translates streams of records.
    fn records(&self, volume: Volume) -> Result<ExitCode> {
        if self.format.is_some() || self.n_best.is_some() || self.output_dir.is_some() {
            return Err(Error::Usage(
                "records are answered by records: --format, --n-best and --output-dir do not go with --input-format jsonl".into(),
            ));
        }
        let mut loaded = self.model.load(volume)?;
        self.apply(&mut loaded)?;
        let mut task = Records {
            loaded: &loaded,
            segment: if self.lines { segment_lines } else { segment },
            target: &self.target_field,
            align: self.align,
        };
        let mut sink = Sink::open(self.output.as_deref())?;
        let (mut records, mut failed) = (0, 0);
        for job in self.jobs(Format::Jsonl)? {
            let (reader, name): (Box<dyn Read>, &Path) = match job.input {
                Some(path) => (Box::new(open(path)?), path),
                None => (Box::new(io::stdin().lock()), Path::new("<stdin>")),
            };
            let count = records::run(reader, name, sink.writer(), &self.records, &mut task)?;
            records += count.records;
            failed += count.failed;
        }
        sink.finish()?;
        match failed {
            0 => Ok(ExitCode::SUCCESS),
            _ => {
                say(&format!("error: {failed} of {records} records failed"));
                Ok(ExitCode::from(SOME_FAILED))
            }
        }
    }

    /// The format, if it can hold what was asked for.
    fn format(&self) -> Result<Format> {
        let by_default = if self.align { Format::Interlinear } else { Format::Text };
        let format = self.format.map_or(by_default, FormatArg::format);
        if self.align && !format.has_alignment() {
            return Err(Error::Usage(
                "plain text has no place for an alignment: use --format interlinear, json, jsonl, tsv or pharaoh".into(),
            ));
        }
        if self.n_best.is_some_and(|n| n > 1) && !format.has_alternatives() {
            return Err(Error::Usage(
                "this format holds one translation: use --format json, jsonl or tsv for several"
                    .into(),
            ));
        }
        Ok(format)
    }

    fn jobs(&self, format: Format) -> Result<Vec<Job<'_>>> {
        let mut jobs: Vec<Job> = Vec::new();
        for file in &self.files {
            let input = (file.as_os_str() != "-").then_some(file.as_path());
            let output = self.output_dir.as_ref().map(|folder| {
                let stem = input.and_then(Path::file_stem).unwrap_or("stdin".as_ref());
                let mut name = stem.to_owned();
                name.push(format!(".en.{}", format.extension()));
                folder.join(name)
            });
            if let Some(output) = &output
                && let Some(other) = jobs.iter().find(|job| job.output.as_ref() == Some(output))
            {
                let shown = |input: Option<&Path>| {
                    input.map_or("standard input".into(), |path| path.display().to_string())
                };
                return Err(Error::Usage(format!(
                    "{} and {} would both be written to {}",
                    shown(other.input),
                    shown(input),
                    output.display()
                )));
            }
            jobs.push(Job { input, output });
        }
        if jobs.is_empty() {
            let output = self.output_dir.as_ref();
            let output =
                output.map(|folder| folder.join(format!("stdin.en.{}", format.extension())));
            jobs.push(Job { input: None, output });
        }
        Ok(jobs)
    }

    /// Puts the options of the search over what the model asks for.
    fn apply(&self, loaded: &mut Loaded) -> Result<()> {
        let limit = loaded.translator.info().max_positions;
        let decode = &mut loaded.settings.decode;
        if let Some(n) = self.n_best {
            decode.n_best = n.into();
            decode.num_beams = decode.num_beams.max(decode.n_best);
        }
        if let Some(beams) = self.beam {
            if usize::from(beams) < decode.n_best {
                return Err(Error::Usage(format!(
                    "{} translations cannot come from {beams} hypotheses: raise --beam",
                    decode.n_best
                )));
            }
            decode.num_beams = beams.into();
        }
        if let Some(length) = self.max_length {
            if length as usize > limit {
                return Err(Error::Usage(format!(
                    "this model writes at most {limit} tokens a sentence"
                )));
            }
            decode.max_length = length as usize;
        }
        if let Some(penalty) = self.length_penalty {
            if !penalty.is_finite() {
                return Err(Error::Usage("the length penalty must be a number".into()));
            }
            decode.length_penalty = penalty;
        }
        if let Some(size) = self.no_repeat_ngram {
            decode.no_repeat_ngram_size = size.into();
        }
        if self.early_stopping {
            decode.early_stopping = EarlyStopping::True;
        }
        Ok(())
    }

    /// Translates one document.
    fn document(
        &self,
        job: &Job,
        format: Format,
        loaded: &Loaded,
        sink: &mut Sink,
        volume: Volume,
        count: &mut Count,
    ) -> Result<()> {
        let (reader, name): (Box<dyn Read>, &Path) = match job.input {
            Some(path) => (Box::new(open(path)?), path),
            None => (Box::new(io::stdin().lock()), Path::new("<stdin>")),
        };
        let mut writer = format.writer(Document {
            path: job.input.map_or("-".into(), |path| path.display().to_string()),
            model: loaded.resolved.name.clone(),
            revision: loaded.resolved.revision.clone(),
            align: self.align || format == Format::Interlinear || format == Format::Pharaoh,
        });
        let (cut, segment): (Cut, fn(&str) -> Vec<Segment>) = match self.lines {
            true => (cut_line, segment_lines),
            false => (cut_point, segment),
        };
        let mut blocks = Blocks::new(reader, name, cut);
        let (mut number, mut visible) = (0, false);
        while let Some(block) = blocks.next_block()? {
            let segments = segment(&block.text);
            visible |= segments.iter().any(|segment| segment.kind != SegmentKind::Gap);
            let sentences: Vec<&str> = segments
                .iter()
                .filter(|segment| segment.kind == SegmentKind::Sentence)
                .map(|segment| segment.span.of(&block.text))
                .collect();
            let translations = loaded.translator.translate(&sentences, &loaded.settings)?;
            for translation in &translations {
                number += 1;
                count.sentences += 1;
                count.words += translation.source_words.len();
                for &warning in &translation.warnings {
                    if volume >= Volume::Normal {
                        say(&format!(
                            "warning: {}, sentence {number}: {}",
                            name.display(),
                            translation.message(warning)
                        ));
                    }
                }
            }
            let (out, path) = sink.writer();
            write(out, writer.as_mut(), &block.text, block.offset, &segments, &translations)
                .map_err(Error::write(path))?;
        }
        if number == 0 && visible && volume >= Volume::Normal {
            say(&format!("warning: {}: no Arabic letter, nothing to translate", name.display()));
        }
        let (out, path) = sink.writer();
        writer.finish(out).and_then(|()| out.flush()).map_err(Error::write(path))
    }
}

/// Opens a file, but not a folder.
pub fn open(path: &Path) -> Result<File> {
    let file = File::open(path).map_err(Error::read(path))?;
    // Reading a folder would fail later, with an error that says less.
    match file.metadata().map_err(Error::read(path))?.is_dir() {
        true => Err(Error::read(path)(io::ErrorKind::IsADirectory.into())),
        false => Ok(file),
    }
}

/// Writes the segments of a block, each sentence as its translation.
pub fn write(
    out: &mut dyn Write,
    writer: &mut dyn Writer,
    text: &str,
    offset: u64,
    segments: &[Segment],
    translations: &[Translation],
) -> io::Result<()> {
    let mut translations = translations.iter();
    for segment in segments {
        let piece = match segment.kind {
            SegmentKind::Sentence => match translations.next() {
                Some(translation) => {
                    Piece::Translated(translation, segment.span.shift(offset as usize))
                }
                None => continue,
            },
            SegmentKind::Gap | SegmentKind::Verbatim => Piece::Copied(segment.span.of(text)),
        };
        writer.piece(out, piece)?;
    }
    Ok(())
}

/// Translations of records.
struct Records<'a> {
    loaded: &'a Loaded,
    segment: fn(&str) -> Vec<Segment>,
    /// Name of the field that is given the English text.
    target: &'a str,
    /// Whether `sentences` is added, with word alignment.
    align: bool,
}

impl Task for Records<'_> {
    fn fields(&self) -> Vec<&str> {
        vec![self.target, "model", if self.align { "sentences" } else { "warnings" }]
    }

    fn answer(&mut self, texts: &[&str]) -> Result<Vec<Answer>> {
        let segmented: Vec<Vec<Segment>> = texts.iter().map(|text| (self.segment)(text)).collect();
        let mut sentences = Vec::new();
        for (text, segments) in texts.iter().zip(&segmented) {
            let own = segments.iter().filter(|s| s.kind == SegmentKind::Sentence);
            sentences.extend(own.map(|segment| segment.span.of(text)));
        }
        let translations = self.loaded.translator.translate(&sentences, &self.loaded.settings)?;
        let mut translations = translations.into_iter();
        let mut answers = Vec::with_capacity(texts.len());
        for (text, segments) in texts.iter().zip(&segmented) {
            let count = segments.iter().filter(|s| s.kind == SegmentKind::Sentence).count();
            let own: Vec<Translation> = translations.by_ref().take(count).collect();
            answers.push(Answer {
                fields: self.added(text, segments, &own)?,
                sentences: own.len() as u64,
                words: own.iter().map(|t| t.source_words.len() as u64).sum(),
                warnings: own.iter().flat_map(|t| t.warnings.iter().copied()).collect(),
            });
        }
        Ok(answers)
    }
}

impl Records<'_> {
    /// What is added to a record.
    fn added(
        &self,
        text: &str,
        segments: &[Segment],
        translations: &[Translation],
    ) -> Result<Map<String, Value>> {
        let mut fields = Map::new();
        let english = self.written(Format::Text, text, segments, translations)?;
        fields.insert(self.target.into(), json!(english));
        fields.insert("model".into(), json!(self.loaded.resolved.name));
        if self.align {
            let json = self.written(Format::Json, text, segments, translations)?;
            let document: Value = serde_json::from_str(&json).unwrap_or_default();
            fields.insert("sentences".into(), document["sentences"].clone());
        } else {
            let warnings = translations.iter().flat_map(|t| &t.warnings);
            let mut warnings: Vec<Value> = warnings.map(|warning| json!(warning)).collect();
            warnings.dedup();
            if !warnings.is_empty() {
                fields.insert("warnings".into(), json!(warnings));
            }
        }
        Ok(fields)
    }

    /// One record's text in a format.
    fn written(
        &self,
        format: Format,
        text: &str,
        segments: &[Segment],
        translations: &[Translation],
    ) -> Result<String> {
        let mut out = Vec::new();
        let mut writer = format.writer(Document {
            path: String::new(),
            model: self.loaded.resolved.name.clone(),
            revision: self.loaded.resolved.revision.clone(),
            align: self.align,
        });
        write(&mut out, writer.as_mut(), text, 0, segments, translations)
            .and_then(|()| writer.finish(&mut out))
            .map_err(Error::write("<memory>"))?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}
