//! Documents: translated sentence by sentence, with their layout.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tarjim::input::{Blocks, Cut};
use tarjim::output::{Document, Format, Piece, Writer};
use tarjim::text::{Segment, SegmentKind, cut_line, cut_point, segment, segment_lines};
use tarjim::translate::Translation;
use tarjim::{Error, Result};

use super::batch::{Job, Place, Source, Stream, Text, Work};
use super::model::Loaded;
use super::{Volume, say};

/// How documents are translated.
pub struct Documents<'a> {
    pub loaded: &'a Loaded,
    pub format: Format,
    pub align: bool,
    /// Whether every line is one sentence.
    pub lines: bool,
    pub volume: Volume,
}

/// A text cut into segments, and the translations of its sentences.
pub type Translated = (Vec<Segment>, Vec<Translation>);

/// Bytes of sentences translated at once: what is remembered of a search takes a thousand times as
/// much.
const TOGETHER: usize = 1 << 20;

/// Translates the sentences of several texts, all together.
pub fn translate(loaded: &Loaded, lines: bool, texts: &[&str]) -> Result<Vec<Translated>> {
    let cut = if lines { segment_lines } else { segment };
    let segmented: Vec<Vec<Segment>> = texts.iter().map(|text| cut(text)).collect();
    let mut sentences = Vec::new();
    for (text, segments) in texts.iter().zip(&segmented) {
        let own = segments.iter().filter(|segment| segment.kind == SegmentKind::Sentence);
        sentences.extend(own.map(|segment| segment.span.of(text)));
    }
    let mut translations = Vec::with_capacity(sentences.len());
    let mut rest = &sentences[..];
    while !rest.is_empty() {
        let mut bytes = 0;
        let mut more = |sentence: &&str| {
            bytes += sentence.len();
            bytes <= TOGETHER
        };
        let count = rest.iter().take_while(|sentence| more(sentence)).count().max(1);
        let (now, later) = rest.split_at(count);
        translations.extend(loaded.translator.translate(now, &loaded.settings)?);
        rest = later;
    }
    let mut translations = translations.into_iter();
    let with_own = segmented.into_iter().map(|segments| {
        let count = segments.iter().filter(|s| s.kind == SegmentKind::Sentence).count();
        (segments, translations.by_ref().take(count).collect())
    });
    Ok(with_own.collect())
}

impl Work for Documents<'_> {
    type Stream = DocumentStream;

    fn open(&self, job: &Job, source: Source, _: Option<Place>) -> Result<DocumentStream> {
        let cut: Cut = if self.lines { cut_line } else { cut_point };
        Ok(DocumentStream {
            name: job.name().to_owned(),
            blocks: Blocks::new(source, job.name(), cut),
            offsets: VecDeque::new(),
            writer: self.format.writer(Document {
                path: job.shown(),
                model: self.loaded.resolved.name.clone(),
                revision: self.loaded.resolved.revision.clone(),
                align: self.align,
            }),
            volume: self.volume,
            visible: false,
            place: Place::default(),
        })
    }

    fn answer(&mut self, texts: &[&str]) -> Result<Vec<Translated>> {
        translate(self.loaded, self.lines, texts)
    }
}

/// One document, block by block.
pub struct DocumentStream {
    name: PathBuf,
    blocks: Blocks<Source>,
    /// Where the blocks begin that are read but not written.
    offsets: VecDeque<u64>,
    writer: Box<dyn Writer>,
    volume: Volume,
    /// Whether there is anything but space in it.
    visible: bool,
    place: Place,
}

impl Stream for DocumentStream {
    type Answer = Translated;

    fn read(&mut self) -> Result<Option<Text>> {
        let Some(block) = self.blocks.next_block()? else { return Ok(None) };
        self.offsets.push_back(block.offset);
        Ok(Some(Text { bytes: block.text.len() as u64, text: block.text }))
    }

    fn write(
        &mut self,
        text: &str,
        answer: Result<Translated>,
        (out, path): (&mut dyn Write, &Path),
    ) -> Result<()> {
        let (segments, translations) = answer?;
        let offset = self.offsets.pop_front().unwrap_or_default();
        self.visible |= segments.iter().any(|segment| segment.kind != SegmentKind::Gap);
        let tally = &mut self.place.tally;
        for translation in &translations {
            tally.sentences += 1;
            tally.words += translation.source_words.len() as u64;
            tally.warn(&translation.warnings);
            for &warning in translation.warnings.iter().filter(|_| self.volume >= Volume::Normal) {
                say(&format!(
                    "warning: {}, sentence {}: {}",
                    self.name.display(),
                    tally.sentences,
                    translation.message(warning)
                ));
            }
        }
        self.place.offset = offset + text.len() as u64;
        write(out, self.writer.as_mut(), text, offset, &segments, &translations)
            .map_err(Error::write(path))
    }

    fn finish(&mut self, (out, path): (&mut dyn Write, &Path)) -> Result<()> {
        if self.place.tally.sentences == 0 && self.visible && self.volume >= Volume::Normal {
            say(&format!(
                "warning: {}: no Arabic letter, nothing to translate",
                self.name.display()
            ));
        }
        self.writer.finish(out).map_err(Error::write(path))
    }

    fn place(&self) -> &Place {
        &self.place
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
