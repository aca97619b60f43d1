//! Columns: source, translation, score, and on request the alignment. One line for each
//! translation; alternatives follow the best one, with the same source.

use std::io::{self, Write};

use super::{Document, Piece, Writer, pharaoh};

pub(super) struct Tsv {
    align: bool,
}

impl Tsv {
    pub fn new(document: Document) -> Self {
        Tsv { align: document.align }
    }
}

impl Writer for Tsv {
    fn piece(&mut self, out: &mut dyn Write, piece: Piece<'_>) -> io::Result<()> {
        let Piece::Translated(translation, _) = piece else { return Ok(()) };
        let source = one_line(&translation.source);
        for target in &translation.targets {
            write!(out, "{source}\t{}\t{:.4}", one_line(&target.text), target.score)?;
            if self.align {
                write!(out, "\t{}", pharaoh::pairs(target))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

/// Without tabs and line breaks, which separate columns and lines.
fn one_line(text: &str) -> String {
    text.replace(['\t', '\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'], " ")
}
