//! `tarjim translate`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use tarjim::checkpoint::EarlyStopping;
use tarjim::output::{Document, Format};
use tarjim::text::Segment;
use tarjim::translate::{Settings, Translation};
use tarjim::{Error, Result};

use super::Volume;
use super::batch::{self, BatchArgs, Plan};
use super::documents::{Documents, translate, write};
use super::model::{Loaded, ModelArgs};
use super::records::{self, Answer, RecordArgs, Task};

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
    #[command(flatten)]
    batch: BatchArgs,
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

/// Runs `tarjim translate`.
pub fn run(args: &TranslateArgs, volume: Volume) -> Result<ExitCode> {
    let input = args.records.input_format;
    let records = args.records.is_records()?;
    let format = args.format(records)?;
    let extension = if records { input.extension() } else { format.extension() };
    let jobs = args.batch.jobs(input.extension(), extension)?;
    let mut loaded = args.model.load(volume)?;
    args.apply(&mut loaded)?;
    let plan = Plan {
        args: &args.batch,
        model: &loaded.resolved,
        key: match args.batch.remembers(records) {
            true => args.key(&loaded, format)?,
            false => String::new(),
        },
        resumable: records,
        flush: args.records.flush,
    };
    let align = args.align || format == Format::Interlinear || format == Format::Pharaoh;
    if records {
        let mut task = Records {
            loaded: &loaded,
            lines: args.lines,
            target: &args.target_field,
            align: args.align,
        };
        records::run(&plan, jobs, &args.records, &mut task, volume)
    } else {
        let loaded = &loaded;
        let mut work = Documents { loaded, format, align, lines: args.lines, volume };
        batch::run(&plan, jobs, &mut work, volume)
    }
}

impl TranslateArgs {
    /// The format, if it can hold what was asked for.
    fn format(&self, records: bool) -> Result<Format> {
        if records && (self.format.is_some() || self.n_best.is_some()) {
            return Err(Error::Usage(
                "records are answered by records: --format and --n-best do not go with --input-format"
                    .into(),
            ));
        }
        let by_default = if self.align { Format::Interlinear } else { Format::Text };
        let format = self.format.map_or(by_default, FormatArg::format);
        if self.align && !records && !format.has_alignment() {
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

    /// Stands for all but the input that decides what is written.
    fn key(&self, loaded: &Loaded, format: Format) -> Result<String> {
        // How many are worked on together changes nothing.
        let settings = Settings { batch_tokens: 0, ..loaded.settings.clone() };
        let RecordArgs { input_format, field, id_field, no_header, shard, flush: _ } =
            &self.records;
        let records = (input_format, field, id_field, no_header, shard, &self.target_field);
        let layout = (format, self.align, self.lines);
        batch::key(&loaded.resolved, &format!("{:?}", (settings, loaded.compute, records, layout)))
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
}

/// Translations of records.
struct Records<'a> {
    loaded: &'a Loaded,
    /// Whether every line of a text is one sentence.
    lines: bool,
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
        let translated = translate(self.loaded, self.lines, texts)?;
        let mut answers = Vec::with_capacity(texts.len());
        for (text, (segments, own)) in texts.iter().zip(translated) {
            answers.push(Answer {
                fields: self.added(text, &segments, &own)?,
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
