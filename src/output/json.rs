//! JSON: one object a document, or one line a sentence.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::{Document, Piece, Writer};
use crate::text::Span;
use crate::translate::{Target, Translation};

/// `{"file", "model", "revision", "sentences": […]}`, written as it comes.
pub(super) struct Json {
    document: Document,
    sentences: usize,
}

impl Json {
    pub fn new(document: Document) -> Self {
        Json { document, sentences: 0 }
    }

    fn open(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let Document { path, model, revision, .. } = &self.document;
        write!(
            out,
            "{{\"file\":{},\"model\":{},\"revision\":{},\"sentences\":[",
            json!(path),
            json!(model),
            json!(revision)
        )
    }
}

impl Writer for Json {
    fn piece(&mut self, out: &mut dyn Write, piece: Piece<'_>) -> io::Result<()> {
        let Piece::Translated(translation, span) = piece else { return Ok(()) };
        match self.sentences {
            0 => self.open(out)?,
            _ => out.write_all(b",")?,
        }
        self.sentences += 1;
        write!(out, "\n{}", Value::Object(sentence(translation, span, self.document.align)))
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.sentences == 0 {
            self.open(out)?;
        }
        out.write_all(b"\n]}\n")
    }
}

/// The same sentences, one object a line, each with its file and model.
pub(super) struct Jsonl {
    document: Document,
}

impl Jsonl {
    pub fn new(document: Document) -> Self {
        Jsonl { document }
    }
}

impl Writer for Jsonl {
    fn piece(&mut self, out: &mut dyn Write, piece: Piece<'_>) -> io::Result<()> {
        let Piece::Translated(translation, span) = piece else { return Ok(()) };
        let mut object = sentence(translation, span, self.document.align);
        object.insert("file".into(), json!(self.document.path));
        object.insert("model".into(), json!(self.document.model));
        writeln!(out, "{}", Value::Object(object))
    }
}

/// A sentence; `span` is where it stands in its document, and all offsets of source words are
/// bytes of the document too. Those of target words are bytes of `target`.
fn sentence(translation: &Translation, span: Span, align: bool) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("source".into(), json!(translation.source));
    object.insert("start".into(), json!(span.start));
    object.insert("end".into(), json!(span.end));
    let mut targets = translation.targets.iter().map(|t| target(t, align));
    object.extend(targets.next().unwrap_or_default());
    if align {
        let words = translation.source_words.iter().map(|word| {
            let at = word.shift(span.start);
            json!({"text": word.of(&translation.source), "start": at.start, "end": at.end})
        });
        object.insert("source_words".into(), words.collect());
    }
    let alternatives: Vec<Value> = targets.map(Value::Object).collect();
    if !alternatives.is_empty() {
        object.insert("alternatives".into(), json!(alternatives));
    }
    let mut suspect = |name: &str, spans: &[Span], text: &str, by: usize| {
        if !spans.is_empty() {
            let spans = spans.iter().map(|word| (word.of(text), word.shift(by)));
            let words: Vec<Value> = spans
                .map(|(text, at)| json!({"text": text, "start": at.start, "end": at.end}))
                .collect();
            object.insert(name.into(), json!(words));
        }
    };
    suspect("lost", &translation.lost, &translation.source, span.start);
    if let Some(target) = translation.targets.first() {
        suspect("added", &translation.added, &target.text, 0);
        suspect("restored", &target.restored, &target.text, 0);
    }
    if !translation.warnings.is_empty() {
        object.insert("warnings".into(), json!(translation.warnings));
    }
    object
}

fn target(target: &Target, align: bool) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("target".into(), json!(target.text));
    object.insert("score".into(), rounded(target.score));
    if align {
        let words = target.words.iter().zip(&target.confidence).map(|(word, &confidence)| {
            json!({
                "text": word.of(&target.text),
                "start": word.start,
                "end": word.end,
                "confidence": rounded(confidence),
            })
        });
        object.insert("target_words".into(), words.collect());
        let links = target.links.iter().map(|link| {
            json!({"source": link.source, "target": link.target, "score": rounded(link.score)})
        });
        object.insert("alignment".into(), links.collect());
    }
    object
}

/// More digits would differ between machines.
fn rounded(value: f32) -> Value {
    json!((f64::from(value) * 1e3).round() / 1e3)
}
