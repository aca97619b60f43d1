//! Translated documents in every format that is written: one file a format.

mod interlinear;
mod json;
mod pharaoh;
mod text;
mod tsv;

use std::io::{self, Write};

use crate::text::Span;
use crate::translate::Translation;

/// The formats, under the names of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The English text, laid out as the source.
    Text,
    /// Each sentence with its translation and where every word of that came from.
    Interlinear,
    /// One object for the whole document.
    Json,
    /// One object a line for each sentence.
    Jsonl,
    /// Source, translation, score and alignment in columns.
    Tsv,
    /// Pairs of word numbers, one line for each sentence.
    Pharaoh,
}

/// What is told of a document as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Where it was read, `-` for standard input.
    pub path: String,
    /// The model used.
    pub model: String,
    /// Commit of the model, where known.
    pub revision: Option<String>,
    /// Whether word links are written.
    pub align: bool,
}

/// A stretch of a document, in order.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'a> {
    /// Layout, or text that needs no translation.
    Copied(&'a str),
    /// A sentence and where it stands in the document, in bytes.
    Translated(&'a Translation, Span),
}

/// Writes one document.
pub trait Writer {
    /// Writes what comes next.
    fn piece(&mut self, out: &mut dyn Write, piece: Piece<'_>) -> io::Result<()>;

    /// Writes what remains to be written.
    fn finish(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

impl Format {
    /// A writer for one document.
    pub fn writer(self, document: Document) -> Box<dyn Writer> {
        match self {
            Format::Text => Box::new(text::Text::default()),
            Format::Interlinear => Box::new(interlinear::Interlinear::default()),
            Format::Json => Box::new(json::Json::new(document)),
            Format::Jsonl => Box::new(json::Jsonl::new(document)),
            Format::Tsv => Box::new(tsv::Tsv::new(document)),
            Format::Pharaoh => Box::new(pharaoh::Pharaoh),
        }
    }

    /// What is put behind the name of a file in this format.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Text | Format::Interlinear => "txt",
            Format::Json => "json",
            Format::Jsonl => "jsonl",
            Format::Tsv => "tsv",
            Format::Pharaoh => "align",
        }
    }

    /// Whether it has a place for other translations than the best.
    pub fn has_alternatives(self) -> bool {
        matches!(self, Format::Json | Format::Jsonl | Format::Tsv)
    }

    /// Whether it has a place for word links.
    pub fn has_alignment(self) -> bool {
        self != Format::Text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::align::Link;
    use crate::text::words;
    use crate::translate::{Target, Warning};

    fn target(text: &str, links: &[(usize, usize)], score: f32) -> Target {
        let links = links.iter().map(|&(source, target)| Link { source, target, score: 0.75 });
        let words = words(text);
        Target {
            confidence: vec![0.5; words.len()],
            words,
            links: links.collect(),
            restored: vec![],
            score,
            text: text.into(),
        }
    }

    /// A title, a blank line and a sentence with two translations.
    fn written(format: Format, align: bool) -> String {
        let document = Document {
            path: "news.txt".into(),
            model: "toy".into(),
            revision: Some("abc".into()),
            align,
        };
        let translation = |source: &str, targets: Vec<Target>, warnings| Translation {
            source: source.into(),
            source_words: words(source),
            targets,
            lost: vec![],
            added: vec![],
            warnings,
        };
        let title = translation("خبر", vec![target("News", &[(0, 0)], -0.5)], vec![]);
        let mut sentence = translation(
            "وصل\tالمدير.",
            vec![
                target("The manager \"arrived\".", &[(1, 0), (1, 1), (0, 3), (2, 5)], -0.25),
                target("The boss came.", &[(1, 0), (1, 1), (0, 2), (2, 3)], -1.0),
            ],
            vec![Warning::Repetitive, Warning::Lost],
        );
        sentence.lost = vec![Span::new(0, 6)];
        let mut out = Vec::new();
        let mut writer = format.writer(document);
        let mut put = |piece| writer.piece(&mut out, piece).unwrap();
        put(Piece::Translated(&title, Span::new(0, 6)));
        put(Piece::Copied("\n\n\t12 "));
        put(Piece::Translated(&sentence, Span::new(12, 32)));
        put(Piece::Copied("\n"));
        writer.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_format_says_the_same() {
        insta::assert_snapshot!("text", written(Format::Text, false));
        insta::assert_snapshot!("interlinear", written(Format::Interlinear, true));
        insta::assert_snapshot!("json", written(Format::Json, true));
        insta::assert_snapshot!("json_plain", written(Format::Json, false));
        insta::assert_snapshot!("jsonl", written(Format::Jsonl, true));
        insta::assert_snapshot!("tsv", written(Format::Tsv, true));
        insta::assert_snapshot!("tsv_plain", written(Format::Tsv, false));
        insta::assert_snapshot!("pharaoh", written(Format::Pharaoh, true));
    }

    #[test]
    fn json_is_json_and_points_into_the_document() {
        let whole: serde_json::Value = serde_json::from_str(&written(Format::Json, true)).unwrap();
        for (n, line) in written(Format::Jsonl, true).lines().enumerate() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["target"], whole["sentences"][n]["target"]);
        }
        assert_eq!(whole["sentences"][1]["source_words"][1]["start"], 19);
    }
}
