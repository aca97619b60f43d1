//! The English text with the layout of the source.

use std::io::{self, Write};

use super::{Piece, Writer};

#[derive(Default)]
pub(super) struct Text {
    /// Whether what was written last is a translation.
    after_sentence: bool,
}

impl Writer for Text {
    fn piece(&mut self, out: &mut dyn Write, piece: Piece<'_>) -> io::Result<()> {
        match piece {
            Piece::Copied(text) => {
                self.after_sentence = false;
                out.write_all(text.as_bytes())
            }
            Piece::Translated(translation, _) => {
                // Arabic news sites leave out the space after a full stop; English needs it.
                if self.after_sentence {
                    out.write_all(b" ")?;
                }
                self.after_sentence = true;
                match translation.targets.first() {
                    Some(target) => out.write_all(target.text.as_bytes()),
                    None => Ok(()),
                }
            }
        }
    }
}
