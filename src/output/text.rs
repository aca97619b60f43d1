//! The English text with the layout of the source.

use std::io::{self, Write};

use super::{Piece, Writer};

pub(super) struct Text;

impl Writer for Text {
    fn piece(&mut self, out: &mut dyn Write, piece: Piece<'_>) -> io::Result<()> {
        match piece {
            Piece::Copied(text) => out.write_all(text.as_bytes()),
            Piece::Translated(translation, _) => match translation.targets.first() {
                Some(target) => out.write_all(target.text.as_bytes()),
                None => Ok(()),
            },
        }
    }
}
