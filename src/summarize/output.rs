//! Summaries as text, Markdown and JSON.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::article::{Article, Sentence};
use super::attribute::Citation;
use super::summary::{Bullet, Summary};
use crate::text::Span;

/// What a summary is of and by.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// The file, `-` for standard input.
    pub path: String,
    /// Number of the article in its file, from 1, if there may be several.
    pub article: Option<usize>,
    /// `extractive` or `abstractive`.
    pub mode: &'static str,
    /// The model that translated.
    pub model: String,
    /// Its commit.
    pub revision: Option<String>,
    /// The model that wrote the bullets, and its commit.
    pub summary_model: Option<(String, Option<String>)>,
}

/// Bullets with the numbers of the sentences they rest on, then these with their translation.
pub fn text(out: &mut dyn Write, summary: &Summary, article: &Article) -> io::Result<()> {
    for bullet in &summary.bullets {
        writeln!(out, "• {}", line(bullet))?;
    }
    if summary.bullets.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nSources")?;
    for (i, translation) in &summary.sources {
        let target = translation.targets.first().map_or("", |target| &target.text);
        // Isolated, as its direction is another.
        writeln!(out, "[{}] \u{2068}{}\u{2069}\n    {target}", i + 1, source(article, *i))?;
    }
    Ok(())
}

/// The same as a Markdown document.
pub fn markdown(out: &mut dyn Write, summary: &Summary, article: &Article) -> io::Result<()> {
    for bullet in &summary.bullets {
        writeln!(out, "- {}", line(bullet))?;
    }
    if summary.bullets.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Sources")?;
    for (i, translation) in &summary.sources {
        let target = translation.targets.first().map_or("", |target| &target.text);
        writeln!(out, "\n{}\\. {}\n\n> {target}", i + 1, source(article, *i))?;
    }
    Ok(())
}

/// A bullet with its numbers, counted from 1, and what is to be doubted.
fn line(bullet: &Bullet) -> String {
    let numbers: Vec<String> =
        bullet.citations.iter().map(|citation| (citation.sentence + 1).to_string()).collect();
    let mut line = format!("{} [{}]", bullet.text, numbers.join(", "));
    let unknown = bullet.unknown_words();
    if !unknown.is_empty() {
        line.push_str(&format!(" (not in the source: {})", unknown.join(", ")));
    } else if !bullet.is_supported() {
        line.push_str(" (little in the source supports this)");
    }
    line
}

/// A sentence on one line.
fn source(article: &Article, i: usize) -> String {
    let text = article.sentences.get(i).map_or("", |sentence| &sentence.text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One object. `start` and `end` are bytes of the file, `char_start` and `char_end` characters.
pub fn json(summary: &Summary, article: &Article, document: &Document) -> Value {
    let mut object = json!({ "file": document.path });
    if let Some(number) = document.article {
        object["article"] = json!(number);
    }
    object["mode"] = json!(document.mode);
    object["model"] = json!(document.model);
    object["revision"] = json!(document.revision);
    if let Some((model, revision)) = &document.summary_model {
        object["summary_model"] = json!(model);
        object["summary_revision"] = json!(revision);
    }
    let bullets = summary.bullets.iter().map(|bullet| self::bullet(bullet, summary, article));
    object["bullets"] = bullets.collect();
    object["dropped"] = json!(summary.dropped);
    object
}

fn bullet(bullet: &Bullet, summary: &Summary, article: &Article) -> Value {
    let citations = bullet.citations.iter().filter_map(|citation| {
        let sentence = article.sentences.get(citation.sentence)?;
        Some(self::citation(citation, sentence, summary))
    });
    json!({
        "text": bullet.text,
        "score": rounded(bullet.score),
        "support": rounded(bullet.support),
        "supported": bullet.is_supported(),
        "not_in_source": bullet.unknown_words(),
        "warnings": bullet.warnings,
        "citations": citations.collect::<Vec<_>>(),
    })
}

fn citation(citation: &Citation, sentence: &Sentence, summary: &Summary) -> Value {
    let translation = summary.sources.get(&citation.sentence);
    let target = translation.and_then(|translation| translation.targets.first());
    let chars = |at: usize| sentence.chars.start + sentence.text[..at].chars().count();
    let place = |span: Span| {
        json!({
            "start": sentence.bytes.start + span.start,
            "end": sentence.bytes.start + span.end,
            "char_start": chars(span.start),
            "char_end": chars(span.end),
            "text": span.of(&sentence.text),
        })
    };
    json!({
        "sentence": citation.sentence + 1,
        "start": sentence.bytes.start,
        "end": sentence.bytes.end,
        "char_start": sentence.chars.start,
        "char_end": sentence.chars.end,
        "source": sentence.text,
        "target": target.map(|target| &target.text),
        "support": rounded(citation.support),
        "parts": citation.parts.iter().map(|&span| place(span)).collect::<Vec<_>>(),
        "score": target.map(|target| rounded(target.score)),
        "warnings": translation.map(|translation| &translation.warnings),
    })
}

fn rounded(value: f32) -> f64 {
    (f64::from(value) * 1e3).round() / 1e3
}
