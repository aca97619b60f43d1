//! Documents, read piece by piece so that a file of any size takes little memory.

use std::io::Read;
use std::path::PathBuf;

use crate::{Error, Result};

/// Bytes wanted before a block is cut off.
const BLOCK: usize = 16 * 1024;
/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// Where a block may end, given the beginning of what is left of a document: a byte offset above 0,
/// or none if more must be read first.
pub type Cut = fn(&str) -> Option<usize>;

/// A stretch of a document whose sentences are those of the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Byte of the document at which it begins.
    pub offset: u64,
    /// The text.
    pub text: String,
}

/// Cuts a UTF-8 document into blocks that tile it.
pub struct Blocks<R> {
    reader: R,
    /// For messages.
    path: PathBuf,
    /// Read but not yet returned.
    text: String,
    /// Bytes of a character whose rest is still to come.
    partial: Vec<u8>,
    /// Where `text` begins in the document.
    offset: u64,
    /// Length at which `text` is looked at next.
    wanted: usize,
    ended: bool,
    cut: Cut,
}

impl<R: Read> Blocks<R> {
    /// Of what `reader` gives, cut where `cut` says; `path` names it in errors.
    pub fn new(reader: R, path: impl Into<PathBuf>, cut: Cut) -> Self {
        Blocks {
            reader,
            path: path.into(),
            text: String::new(),
            partial: Vec::new(),
            offset: 0,
            wanted: BLOCK,
            ended: false,
            cut,
        }
    }

    /// The next block; none at the end.
    pub fn next_block(&mut self) -> Result<Option<Block>> {
        loop {
            while !self.ended && self.text.len() < self.wanted {
                self.read()?;
            }
            let cut = if self.ended { Some(self.text.len()) } else { (self.cut)(&self.text) };
            match cut {
                Some(0) if self.ended => return Ok(None),
                Some(at) if at > 0 => {
                    let rest = self.text.split_off(at);
                    let text = std::mem::replace(&mut self.text, rest);
                    let offset = self.offset;
                    self.offset += at as u64;
                    self.wanted = BLOCK;
                    return Ok(Some(Block { offset, text }));
                }
                // Twice as much each time keeps the time linear.
                _ => self.wanted = self.text.len().max(BLOCK) * 2,
            }
        }
    }

    fn read(&mut self) -> Result<()> {
        let before = self.partial.len();
        self.partial.resize(before + CHUNK, 0);
        let got = loop {
            match self.reader.read(&mut self.partial[before..]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other.map_err(Error::read(&self.path))?,
            }
        };
        self.partial.truncate(before + got);
        self.ended = got == 0;
        let start = self.offset + self.text.len() as u64;
        let valid = match std::str::from_utf8(&self.partial) {
            Ok(text) => text.len(),
            // A character may go on in what is read next, but not past the end.
            Err(error) if error.error_len().is_none() && !self.ended => error.valid_up_to(),
            Err(error) => {
                return Err(Error::NotUtf8 {
                    path: self.path.clone(),
                    offset: start + error.valid_up_to() as u64,
                });
            }
        };
        let rest = self.partial.split_off(valid);
        let whole = std::mem::replace(&mut self.partial, rest);
        self.text.push_str(&String::from_utf8_lossy(&whole));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::text::{Segment, cut_point, segment};

    /// Gives a byte or a few at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let n = self.1.min(self.0.len()).min(buffer.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn blocks(bytes: &[u8], step: usize) -> Result<Vec<Block>> {
        let mut blocks = Blocks::new(Drip(bytes, step), "test", cut_point);
        let mut all = Vec::new();
        while let Some(block) = blocks.next_block()? {
            all.push(block);
        }
        Ok(all)
    }

    #[test]
    fn blocks_tile_the_document_and_keep_its_sentences() {
        let text = "عنوان المقال\n\nوصل المدير أمس. ثم خرج من المكتب؟ نعم!\n".repeat(3000);
        for step in [7001, 64 * 1024] {
            let blocks = blocks(text.as_bytes(), step).unwrap();
            assert!(blocks.len() > 2);
            let mut at = 0;
            let mut segments: Vec<Segment> = Vec::new();
            for block in &blocks {
                assert_eq!(block.offset, at);
                let own = segment(&block.text);
                segments
                    .extend(own.iter().map(|s| Segment { span: s.span.shift(at as usize), ..*s }));
                at += block.text.len() as u64;
            }
            assert_eq!(segments, segment(&text));
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_named() {
        let mut bytes = "نص".repeat(100_000).into_bytes();
        bytes[300_000] = 0xff;
        for step in [4096, 65_536] {
            let error = blocks(&bytes, step).unwrap_err();
            assert!(matches!(error, Error::NotUtf8 { offset: 300_000, .. }), "{error}");
        }
        let cut = &"نص".as_bytes()[..3];
        assert!(matches!(blocks(cut, 1).unwrap_err(), Error::NotUtf8 { offset: 2, .. }));
        assert_eq!(blocks(b"", 1).unwrap(), []);
    }
}
