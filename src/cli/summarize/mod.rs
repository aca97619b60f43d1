//! `tarjim summarize`.

mod documents;

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use regex::Regex;
use serde_json::{Map, Value, json};
use tarjim::summarize::{self, Article, Document, Options, Reads, Role, Summary};
use tarjim::translate::{Settings, Translation};
use tarjim::{Error, Result};

use self::documents::Documents;
use super::Volume;
use super::batch::{self, BatchArgs, Plan};
use super::model::{Loaded, LoadedSummarizer, ModelArgs};
use super::records::{self, Answer, RecordArgs, Task};

const LONG_ABOUT: &str = "\
Summarize an Arabic article in English bullets, each with the numbers of the sentences it rests on; these \
are shown below with their translation.

The extractive mode chooses the sentences and clauses that say most of what the article says, and \
translates them: nothing is put into other words. In the abstractive mode a second model writes the \
bullets, and what each rests on is looked for; bullets that little in the article supports, and numbers and \
names that stand nowhere in it, are marked.";

const EXAMPLES: &str = "\
Examples:
  tarjim summarize article.txt
  tarjim summarize --bullets 3 --query 'الاقتصاد' article.txt
  tarjim summarize --format markdown -o summary.md article.txt
  tarjim summarize --format json *.txt             one object an article, one a line
  tarjim summarize --split-on '^===' many.txt      several articles in one file
  tarjim summarize --input-format jsonl --field body < news.jsonl > summaries.jsonl
  tarjim summarize --mode abstractive --strict article.txt";

/// The model that writes summaries if none is named: the one that anybody may use for anything.
const DEFAULT_SUMMARIZER: &str = "t5-small-summarization";

/// Summarize Arabic articles in English bullets that name their sources
#[derive(Args, Debug)]
#[command(long_about = LONG_ABOUT, after_help = EXAMPLES)]
pub struct SummarizeArgs {
    #[command(flatten)]
    batch: BatchArgs,
    /// Choose sentences, or have a model write new ones
    #[arg(long, value_enum, default_value = "extractive")]
    mode: Mode,
    /// Most bullets
    #[arg(long, short, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    bullets: u16,
    /// Share of the article's sentences, 0 to 1, instead of a number of bullets
    #[arg(long, value_name = "SHARE", conflicts_with = "bullets", value_parser = super::model::share)]
    ratio: Option<f32>,
    /// Most words in all bullets together, of the article's if they are chosen from it
    #[arg(long, value_name = "N")]
    max_words: Option<usize>,
    /// Only what has to do with these Arabic words (extractive)
    #[arg(long, value_name = "TEXT")]
    query: Option<String>,
    /// Leave out bullets that little in the article supports, or with numbers or names from nowhere
    #[arg(long)]
    strict: bool,
    /// Lines that match this regular expression stand between articles
    #[arg(long, value_name = "PATTERN")]
    split_on: Option<Regex>,
    /// How summaries are written
    #[arg(long, short, value_enum, default_value = "text")]
    format: FormatArg,
    #[command(flatten)]
    records: RecordArgs,
    /// Field of a record that is given the bullets, one a line; `bullets` has them with their sources
    #[arg(long, value_name = "NAME", default_value = "summary", help_heading = "Record options")]
    target_field: String,
    #[command(flatten)]
    summarizer: SummarizerArgs,
    #[command(flatten)]
    model: ModelArgs,
}

/// The model that writes summaries, and how.
#[derive(Args, Debug)]
struct SummarizerArgs {
    /// Name, repository or folder of the model that writes the bullets [default: what --model names,
    /// if that writes summaries, else t5-small-summarization]
    #[arg(long, value_name = "ID|PATH", help_heading = "Abstractive options")]
    summary_model: Option<String>,
    /// What that model reads [default: what it is known to; of other models, mT5 reads Arabic]
    #[arg(long, value_enum, value_name = "LANGUAGE", help_heading = "Abstractive options")]
    summary_input: Option<InputArg>,
    /// Hypotheses followed at a time [default: what the model asks for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Abstractive options")]
    beam: Option<u16>,
    /// Most tokens written for each window of the article [default: what the model asks for]
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Abstractive options")]
    max_length: Option<u32>,
    /// Preference for long (above 1) or short (below 1) summaries [default: what the model asks for]
    #[arg(
        long,
        value_name = "EXPONENT",
        allow_negative_numbers = true,
        help_heading = "Abstractive options"
    )]
    length_penalty: Option<f32>,
    /// Forbid that a sequence of so many tokens occurs twice; 0 allows it [default: what the model asks
    /// for, or 3]
    #[arg(long, value_name = "N", help_heading = "Abstractive options")]
    no_repeat_ngram: Option<u16>,
    /// Tokens of the article that the model reads at once [default: what it was trained on, mostly 512]
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Abstractive options")]
    window: Option<u32>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Sentences and clauses of the article, translated
    Extractive,
    /// Sentences that a summarization model writes
    Abstractive,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum InputArg {
    /// The article
    Arabic,
    /// Its translation
    English,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum FormatArg {
    /// Bullets, then the sentences they rest on
    Text,
    /// The same, as a document with headings and quotations
    Markdown,
    /// One JSON object an article, one a line
    Json,
}

impl FormatArg {
    /// The usual end of a file's name.
    fn extension(self) -> &'static str {
        match self {
            FormatArg::Text => "txt",
            FormatArg::Markdown => "md",
            FormatArg::Json => "json",
        }
    }
}

/// What a run works with.
struct Run<'a> {
    args: &'a SummarizeArgs,
    loaded: &'a Loaded,
    summarizer: Option<LoadedSummarizer>,
}

/// Runs `tarjim summarize`.
pub fn run(args: &SummarizeArgs, volume: Volume) -> Result<ExitCode> {
    let input = args.records.input_format;
    let is_records = args.records.is_records()?;
    if is_records && (args.split_on.is_some() || args.format != FormatArg::Text) {
        return Err(Error::Usage(
            "records are answered by records: --split-on and --format do not go with --input-format"
                .into(),
        ));
    }
    let name = args.summarizer_name()?;
    let extension = if is_records { input.extension() } else { args.format.extension() };
    let jobs = args.batch.jobs(input.extension(), extension)?;
    let loaded = args.model.load_translator(volume)?;
    let summarizer = name.map(|name| args.load_summarizer(name, volume)).transpose()?;
    let plan = Plan {
        args: &args.batch,
        model: &loaded.resolved,
        key: match args.batch.remembers(is_records) {
            true => args.key(&loaded, summarizer.as_ref())?,
            false => String::new(),
        },
        resumable: is_records,
        flush: args.records.flush,
    };
    let mut run = Run { args, loaded: &loaded, summarizer };
    match is_records {
        true => records::run(&plan, jobs, &args.records, &mut run, volume),
        false => {
            let together = args.batch.output_dir.is_none();
            let mut work = Documents::new(run, together && jobs.len() > 1, together, volume);
            batch::run(&plan, jobs, &mut work, volume)
        }
    }
}

impl SummarizeArgs {
    /// Stands for all but the input that decides what is written.
    fn key(&self, loaded: &Loaded, summarizer: Option<&LoadedSummarizer>) -> Result<String> {
        // How many are worked on together changes nothing.
        let settings = Settings { batch_tokens: 0, ..loaded.settings.clone() };
        let RecordArgs { input_format, field, id_field, no_header, shard, flush: _ } =
            &self.records;
        let records = (input_format, field, id_field, no_header, shard, &self.target_field);
        let chosen =
            (self.mode, self.bullets, self.ratio, self.max_words, &self.query, self.strict);
        let writer = summarizer.map(|s| batch::key(&s.resolved, "")).transpose()?;
        let layout = (self.format, self.split_on.as_ref().map(Regex::as_str));
        let all = (settings, loaded.compute, records, chosen, &self.summarizer, writer, layout);
        batch::key(&loaded.resolved, &format!("{all:?}"))
    }

    /// Name of the model that writes the bullets, if one is to.
    fn summarizer_name(&self) -> Result<Option<&str>> {
        let named = self.model.summarizer().map(|manifest| manifest.name.as_str());
        let named = self.summarizer.summary_model.as_deref().or(named);
        match (self.mode, named) {
            (Mode::Extractive, Some(name)) => Err(Error::Usage(format!(
                "{name} would write summaries, which is done with --mode abstractive"
            ))),
            (Mode::Abstractive, _) if self.query.is_some() => Err(Error::Usage(
                "a model that writes summaries cannot be told what about: --query needs --mode extractive"
                    .into(),
            )),
            (Mode::Extractive, None) => Ok(None),
            (Mode::Abstractive, named) => Ok(Some(named.unwrap_or(DEFAULT_SUMMARIZER))),
        }
    }

    fn load_summarizer(&self, name: &str, volume: Volume) -> Result<LoadedSummarizer> {
        let options = &self.summarizer;
        let reads = options.summary_input.map(|input| match input {
            InputArg::Arabic => Reads::Arabic,
            InputArg::English => Reads::English,
        });
        let mut loaded = self.model.load_summarizer(name, reads, volume)?;
        let limit = loaded.summarizer.max_positions();
        let decode = &mut loaded.summarizer.decode;
        if let Some(beams) = options.beam {
            decode.num_beams = beams.into();
        }
        if let Some(length) = options.max_length {
            decode.max_length = length as usize;
        }
        if let Some(penalty) = options.length_penalty {
            decode.length_penalty = penalty;
        }
        if let Some(size) = options.no_repeat_ngram {
            decode.no_repeat_ngram_size = size.into();
        }
        if let Some(window) = options.window {
            if window as usize > limit {
                return Err(Error::Usage(format!(
                    "this model reads at most {limit} tokens at once"
                )));
            }
            loaded.summarizer.max_input_tokens = window as usize;
        }
        Ok(loaded)
    }
}

impl Run<'_> {
    fn summary(&self, article: &Article) -> Result<Summary> {
        let args = self.args;
        let bullets = match args.ratio {
            Some(ratio) => {
                let prose = article.sentences.iter().filter(|s| s.role == Role::Prose).count();
                ((prose as f32 * ratio).round() as usize).max(1)
            }
            None => args.bullets.into(),
        };
        let options = Options {
            bullets,
            max_words: args.max_words,
            query: args.query.clone(),
            ..Options::default()
        };
        let translate = |sentences: &[&str], n: usize| self.translate(sentences, n);
        match &self.summarizer {
            None => summarize::extract(article, &options, args.strict, &translate),
            Some(LoadedSummarizer { summarizer, reads, .. }) => {
                let write = |sentences: &[&str]| summarizer.write(sentences);
                summarize::generate(article, &options, args.strict, &translate, (&write, *reads))
            }
        }
    }

    fn translate(&self, sentences: &[&str], n: usize) -> Result<Vec<Translation>> {
        let Loaded { translator, settings, .. } = self.loaded;
        if n < 2 {
            return translator.translate(sentences, settings);
        }
        let mut settings: Settings = settings.clone();
        settings.decode.num_beams = settings.decode.num_beams.max(n);
        settings.decode.n_best = n;
        translator.translate(sentences, &settings)
    }

    fn document_of(&self) -> Document {
        let Loaded { resolved, .. } = self.loaded;
        Document {
            mode: if self.summarizer.is_some() { "abstractive" } else { "extractive" },
            model: resolved.name.clone(),
            revision: resolved.revision.clone(),
            summary_model: self
                .summarizer
                .as_ref()
                .map(|loaded| (loaded.resolved.name.clone(), loaded.resolved.revision.clone())),
            ..Document::default()
        }
    }
}

impl Task for Run<'_> {
    fn fields(&self) -> Vec<&str> {
        vec![&self.args.target_field, "bullets", "mode", "model", "summary_model", "dropped"]
    }

    fn answer(&mut self, texts: &[&str]) -> Result<Vec<Answer>> {
        texts.iter().map(|text| self.record(text)).collect()
    }
}

impl Run<'_> {
    fn record(&self, text: &str) -> Result<Answer> {
        let article = Article::new(text);
        let summary = self.summary(&article)?;
        let mut object = summarize::json(&summary, &article, &self.document_of());
        let lines: Vec<&str> = summary.bullets.iter().map(|bullet| bullet.text.as_str()).collect();
        let mut fields = Map::new();
        fields.insert(self.args.target_field.clone(), json!(lines.join("\n")));
        for name in ["bullets", "dropped", "mode", "model", "summary_model"] {
            let value = object[name].take();
            if value != Value::Null {
                fields.insert(name.into(), value);
            }
        }
        Ok(Answer { fields, sentences: summary.sources.len() as u64, ..Answer::default() })
    }
}
