//! Summaries of documents.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tarjim::summarize::{self, Article, Articles, Document, Passage, Summary};
use tarjim::{Error, Result};

use super::{FormatArg, Run};
use crate::cli::batch::{Job, Place, Source, Stream, Text, Work};
use crate::cli::{Volume, say};

/// How documents are summarized.
pub struct Documents<'a> {
    run: Run<'a>,
    /// Whether each document is headed by its name.
    named: bool,
    /// Whether all are written to one place.
    together: bool,
    volume: Volume,
    /// How many were opened.
    opened: Cell<usize>,
}

impl<'a> Documents<'a> {
    pub(super) fn new(run: Run<'a>, named: bool, together: bool, volume: Volume) -> Self {
        Documents { run, named, together, volume, opened: Cell::new(0) }
    }
}

impl Work for Documents<'_> {
    type Stream = SummaryStream;

    fn open(&self, job: &Job, source: Source, _: Option<Place>) -> Result<SummaryStream> {
        let before = self.opened.replace(self.opened.get() + 1);
        let split_on = self.run.args.split_on.clone();
        Ok(SummaryStream {
            name: job.name().to_owned(),
            heading: self.named.then(|| job.shown()),
            document: Document { path: job.shown(), ..self.run.document_of() },
            format: self.run.args.format,
            several: split_on.is_some(),
            articles: Articles::new(source, job.name(), split_on),
            begins: VecDeque::new(),
            number: 0,
            apart: self.together && before > 0,
            volume: self.volume,
            place: Place::default(),
        })
    }

    fn answer(&mut self, texts: &[&str]) -> Result<Vec<(Article, Summary)>> {
        let answer = |text: &&str| {
            let article = Article::new(text);
            let summary = self.run.summary(&article)?;
            Ok((article, summary))
        };
        texts.iter().map(answer).collect()
    }
}

/// The articles of one document.
pub struct SummaryStream {
    name: PathBuf,
    heading: Option<String>,
    document: Document,
    format: FormatArg,
    /// Whether there may be several articles.
    several: bool,
    articles: Articles<Source>,
    /// Bytes and characters before the articles that are read but not written.
    begins: VecDeque<(usize, usize)>,
    /// Articles written.
    number: usize,
    /// Whether something was written before.
    apart: bool,
    volume: Volume,
    place: Place,
}

impl Stream for SummaryStream {
    type Answer = (Article, Summary);

    fn read(&mut self) -> Result<Option<Text>> {
        let Some(Passage { text, offset, chars }) = self.articles.next_passage()? else {
            return Ok(None);
        };
        self.begins.push_back((offset, chars));
        Ok(Some(Text { bytes: text.len() as u64, text }))
    }

    fn write(
        &mut self,
        text: &str,
        answer: Result<(Article, Summary)>,
        (out, path): (&mut dyn Write, &Path),
    ) -> Result<()> {
        let (article, summary) = answer?;
        let (bytes, chars) = self.begins.pop_front().unwrap_or_default();
        self.place.offset = (bytes + text.len()) as u64;
        self.summary(out, &article.shift(bytes, chars), &summary).map_err(Error::write(path))
    }

    fn finish(&mut self, (out, path): (&mut dyn Write, &Path)) -> Result<()> {
        // A file with nothing in it is answered too.
        match self.number {
            0 => self.summary(out, &Article::default(), &Summary::default()),
            _ => Ok(()),
        }
        .map_err(Error::write(path))
    }

    fn place(&self) -> &Place {
        &self.place
    }
}

impl SummaryStream {
    fn summary(
        &mut self,
        out: &mut dyn Write,
        article: &Article,
        summary: &Summary,
    ) -> io::Result<()> {
        self.number += 1;
        self.place.tally.sentences += summary.sources.len() as u64;
        self.warn(article, summary);
        if self.format == FormatArg::Json {
            let article_number = self.several.then_some(self.number);
            let document = Document { article: article_number, ..self.document.clone() };
            return writeln!(out, "{}", summarize::json(summary, article, &document));
        }
        let markdown = self.format == FormatArg::Markdown;
        if std::mem::replace(&mut self.apart, true) {
            writeln!(out)?;
        }
        let number = self.number;
        let heading = match (&self.heading, self.several) {
            (Some(name), true) => Some(format!("{name} ({number})")),
            (Some(name), false) => Some(name.clone()),
            (None, true) => Some(number.to_string()),
            (None, false) => None,
        };
        if let Some(heading) = heading {
            writeln!(out, "{}{heading}\n", if markdown { "# " } else { "" })?;
        }
        match markdown {
            true => summarize::markdown(out, summary, article),
            false => summarize::text(out, summary, article),
        }
    }

    /// What the reader of the summary should know, on stderr.
    fn warn(&self, article: &Article, summary: &Summary) {
        if self.volume < Volume::Normal {
            return;
        }
        let place = match self.several {
            true => format!("{}, article {}", self.name.display(), self.number),
            false => self.name.display().to_string(),
        };
        if article.sentences.is_empty() {
            say(&format!("warning: {place}: no Arabic letter, nothing to summarize"));
        }
        for warning in summary.bullets.iter().flat_map(|bullet| &bullet.warnings) {
            say(&format!("warning: {place}, {warning}"));
        }
        if summary.dropped > 0 {
            let bullets = if summary.dropped == 1 { "bullet" } else { "bullets" };
            say(&format!(
                "warning: {place}: {} {bullets} left out, as the article does not bear them out",
                summary.dropped
            ));
        }
    }
}
