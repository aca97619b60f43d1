//! `tarjim summarize`.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tarjim::input::Blocks;
use tarjim::summarize::{Choice, Options, choose};
use tarjim::text::{SegmentKind, Span, cut_point, segment, words};
use tarjim::translate::Translation;
use tarjim::{Error, Result};

use super::batch::Source;
use super::model::{Loaded, ModelArgs};
use super::sink::Sink;
use super::{SOME_FAILED, Volume, is_broken_pipe, report, say};

const LONG_ABOUT: &str = "\
Summarize an Arabic article in English bullets. The sentences that say most of what the article says \
are chosen and translated; each bullet names the sentences it comes from, and these are shown with \
their translation. Nothing is put into other words, so a bullet is as good as the translation.";

const EXAMPLES: &str = "\
Examples:
  tarjim summarize article.txt
  tarjim summarize --bullets 3 --query 'الاقتصاد' article.txt
  tarjim summarize --format markdown -o summary.md article.txt
  tarjim summarize --format json *.txt             one object a line, one line a file";

/// Summarize Arabic articles in English bullets that name their sources
#[derive(Args, Debug)]
#[command(long_about = LONG_ABOUT, after_help = EXAMPLES)]
pub struct SummarizeArgs {
    /// Files to summarize; `-`, or none, is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write to a file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Most bullets
    #[arg(long, short, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    bullets: u16,
    /// Share of the article's sentences, 0 to 1, instead of a number of bullets
    #[arg(long, value_name = "SHARE", conflicts_with = "bullets", value_parser = super::model::share)]
    ratio: Option<f32>,
    /// Most words of the article in all bullets together
    #[arg(long, value_name = "N")]
    max_words: Option<usize>,
    /// Only what has to do with these Arabic words
    #[arg(long, value_name = "TEXT")]
    query: Option<String>,
    /// How summaries are written
    #[arg(long, short, value_enum, default_value = "text")]
    format: FormatArg,
    #[command(flatten)]
    model: ModelArgs,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum FormatArg {
    /// Bullets, then the sentences they come from
    Text,
    /// The same, as a document with headings and quotations
    Markdown,
    /// One JSON object a file, one a line
    Json,
}

/// A sentence of the article.
struct Sentence {
    text: String,
    /// Bytes of the document.
    bytes: Span,
    /// Characters of the document.
    chars: Span,
}

/// A bullet with what it rests on.
struct Bullet {
    score: f32,
    /// Numbers of the sentences, from 0.
    sentences: Vec<usize>,
    translations: Vec<Translation>,
}

impl Bullet {
    fn text(&self) -> String {
        let texts = self.translations.iter().filter_map(|t| t.targets.first());
        texts.map(|target| target.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// `[3]`, `[3, 4]`, counted from 1.
    fn citation(&self) -> String {
        let numbers: Vec<String> = self.sentences.iter().map(|i| (i + 1).to_string()).collect();
        format!("[{}]", numbers.join(", "))
    }

    /// The sentences with their number, from 1, and their translation.
    fn sources(&self) -> impl Iterator<Item = (usize, &Translation)> {
        self.sentences.iter().map(|i| i + 1).zip(&self.translations)
    }
}

/// Runs `tarjim summarize`.
pub fn run(args: &SummarizeArgs, volume: Volume) -> Result<ExitCode> {
    let loaded = args.model.load(volume)?;
    let mut sink = Sink::open(args.output.as_deref())?;
    let files = match args.files.is_empty() {
        true => vec![PathBuf::from("-")],
        false => args.files.clone(),
    };
    let mut failed = 0;
    for (n, file) in files.iter().enumerate() {
        let done = args.summarize(file, &loaded, volume).and_then(|bullets| {
            let (out, path) = sink.writer();
            let heading = (files.len() > 1).then(|| file.display().to_string());
            args.write(out, n, heading.as_deref(), file, &loaded, &bullets)
                .and_then(|()| out.flush())
                .map_err(Error::write(path))
        });
        match done {
            Err(error @ Error::Write { .. }) => return Err(error),
            Err(error) if files.len() == 1 || is_broken_pipe(&error) => return Err(error),
            Err(error) => {
                report(&error);
                failed += 1;
            }
            Ok(()) => {}
        }
    }
    sink.finish()?;
    match failed {
        0 => Ok(ExitCode::SUCCESS),
        _ => {
            say(&format!("error: {failed} of {} inputs failed", files.len()));
            Ok(ExitCode::from(SOME_FAILED))
        }
    }
}

impl SummarizeArgs {
    fn summarize(
        &self,
        file: &Path,
        loaded: &Loaded,
        volume: Volume,
    ) -> Result<Vec<(Bullet, Vec<Sentence>)>> {
        let path = (file.as_os_str() != "-").then_some(file);
        let name = path.unwrap_or(Path::new("<stdin>"));
        let reader: Box<dyn Read> = Box::new(Source::open(path)?);
        let mut sentences = read(reader, name)?;
        if sentences.is_empty() && volume >= Volume::Normal {
            say(&format!("warning: {}: no Arabic letter, nothing to summarize", name.display()));
        }
        let bullets = match self.ratio {
            Some(ratio) => ((sentences.len() as f32 * ratio).round() as usize).max(1),
            None => self.bullets.into(),
        };
        let options = Options { bullets, max_words: self.max_words, query: self.query.clone() };
        let texts: Vec<&str> = sentences.iter().map(|sentence| sentence.text.as_str()).collect();
        let choices = choose(&texts, &options);
        let chosen: Vec<&str> =
            choices.iter().flat_map(|c| &c.sentences).map(|&i| texts[i]).collect();
        let mut translations = loaded.translator.translate(&chosen, &loaded.settings)?.into_iter();
        let mut bullets = Vec::with_capacity(choices.len());
        for Choice { sentences: numbers, score } in choices {
            let translations: Vec<Translation> =
                translations.by_ref().take(numbers.len()).collect();
            for (i, translation) in numbers.iter().zip(&translations) {
                for &warning in translation.warnings.iter().filter(|_| volume >= Volume::Normal) {
                    say(&format!(
                        "warning: {}, sentence {}: {}",
                        name.display(),
                        i + 1,
                        translation.message(warning)
                    ));
                }
            }
            let own = numbers.iter().map(|&i| {
                let Sentence { text, bytes, chars } = &mut sentences[i];
                Sentence { text: std::mem::take(text), bytes: *bytes, chars: *chars }
            });
            let own = own.collect();
            bullets.push((Bullet { score, sentences: numbers, translations }, own));
        }
        Ok(bullets)
    }

    fn write(
        &self,
        out: &mut dyn Write,
        n: usize,
        heading: Option<&str>,
        file: &Path,
        loaded: &Loaded,
        bullets: &[(Bullet, Vec<Sentence>)],
    ) -> io::Result<()> {
        if self.format == FormatArg::Json {
            let bullets: Vec<Value> = bullets.iter().map(|(b, s)| bullet(b, s)).collect();
            let object = json!({
                "file": file.display().to_string(),
                "mode": "extractive",
                "model": loaded.resolved.name,
                "revision": loaded.resolved.revision,
                "bullets": bullets,
            });
            return writeln!(out, "{object}");
        }
        let markdown = self.format == FormatArg::Markdown;
        if n > 0 {
            writeln!(out)?;
        }
        if let Some(heading) = heading {
            writeln!(out, "{}{heading}\n", if markdown { "# " } else { "" })?;
        }
        for (bullet, _) in bullets {
            let mark = if markdown { "-" } else { "•" };
            writeln!(out, "{mark} {} {}", bullet.text(), bullet.citation())?;
        }
        if bullets.is_empty() {
            return Ok(());
        }
        writeln!(out, "\n{}Sources", if markdown { "## " } else { "" })?;
        for (number, translation) in bullets.iter().flat_map(|(bullet, _)| bullet.sources()) {
            let source = translation.source.split_whitespace().collect::<Vec<_>>().join(" ");
            let target = translation.targets.first().map_or("", |target| &target.text);
            match markdown {
                true => writeln!(out, "\n{number}\\. {source}\n\n> {target}")?,
                // Isolated, as its direction is another.
                false => writeln!(out, "[{number}] \u{2068}{source}\u{2069}\n    {target}")?,
            }
        }
        Ok(())
    }
}

/// The sentences of a document. What is not Arabic is left out.
fn read(reader: Box<dyn Read>, name: &Path) -> Result<Vec<Sentence>> {
    let mut blocks = Blocks::new(reader, name, cut_point);
    let mut sentences = Vec::new();
    let mut chars = 0;
    while let Some(block) = blocks.next_block()? {
        for segment in segment(&block.text) {
            let text = segment.span.of(&block.text);
            let length = text.chars().count();
            if segment.kind == SegmentKind::Sentence && !words(text).is_empty() {
                sentences.push(Sentence {
                    text: text.to_owned(),
                    bytes: segment.span.shift(block.offset as usize),
                    chars: Span::new(chars, chars + length),
                });
            }
            chars += length;
        }
    }
    Ok(sentences)
}

fn bullet(bullet: &Bullet, sentences: &[Sentence]) -> Value {
    let citations = bullet.sources().zip(sentences).map(|((number, translation), sentence)| {
        let target = translation.targets.first();
        json!({
            "sentence": number,
            "start": sentence.bytes.start,
            "end": sentence.bytes.end,
            "char_start": sentence.chars.start,
            "char_end": sentence.chars.end,
            "source": translation.source,
            "target": target.map(|target| &target.text),
            "score": target.map(|target| (f64::from(target.score) * 1e3).round() / 1e3),
            "warnings": translation.warnings,
        })
    });
    json!({
        "text": bullet.text(),
        "score": (f64::from(bullet.score) * 1e3).round() / 1e3,
        "citations": citations.collect::<Vec<_>>(),
    })
}
