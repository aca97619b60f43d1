//! Where texts are read from.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use tarjim::{Error, Result};

use super::interrupt;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;
/// How often someone who waits for input looks whether the run is to end.
const PATIENCE: Duration = Duration::from_millis(50);

/// A file or standard input.
pub enum Source {
    /// A file.
    File(File),
    /// Something else than a file, where the next byte may be long in coming.
    Stream(Stream),
}

/// What comes in, read by a thread of its own: waiting for it can be broken off, and it can be told
/// whether something waits.
pub struct Stream {
    chunks: Receiver<io::Result<Vec<u8>>>,
    /// What came last, and how much of it was taken.
    chunk: Vec<u8>,
    taken: usize,
    /// Something that has come but was not looked at.
    next: Option<io::Result<Vec<u8>>>,
}

impl Source {
    /// Opens a file, but not a folder; standard input for none.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Source::Stream(Stream::new(io::stdin()))) };
        let file = File::open(path).map_err(Error::read(path))?;
        // Reading a folder would fail later, with an error that says less.
        let kind = file.metadata().map_err(Error::read(path))?.file_type();
        if kind.is_dir() {
            return Err(Error::read(path)(ErrorKind::IsADirectory.into()));
        }
        Ok(if kind.is_file() { Source::File(file) } else { Source::Stream(Stream::new(file)) })
    }

    /// Goes to a byte of a file.
    pub fn seek(&mut self, offset: u64) -> io::Result<()> {
        match self {
            Source::File(file) => file.seek(SeekFrom::Start(offset)).map(drop),
            Source::Stream(_) => Err(ErrorKind::NotSeekable.into()),
        }
    }

    /// Whether the next read might have to wait.
    pub fn waits(&mut self) -> bool {
        match self {
            Source::File(_) => false,
            Source::Stream(stream) => stream.waits(),
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::File(file) => file.read(buffer),
            Source::Stream(stream) => stream.read(buffer),
        }
    }
}

impl Stream {
    fn new(mut reader: impl Read + Send + 'static) -> Self {
        let (send, chunks) = sync_channel(2);
        thread::spawn(move || {
            loop {
                let mut chunk = vec![0; CHUNK];
                let read = reader.read(&mut chunk).map(|length| {
                    chunk.truncate(length);
                    chunk
                });
                let ended = match &read {
                    Ok(chunk) => chunk.is_empty(),
                    Err(error) => error.kind() != ErrorKind::Interrupted,
                };
                // Nobody reads on.
                if send.send(read).is_err() || ended {
                    break;
                }
            }
        });
        Stream { chunks, chunk: Vec::new(), taken: 0, next: None }
    }

    fn waits(&mut self) -> bool {
        if self.taken < self.chunk.len() {
            return false;
        }
        if self.next.is_none() {
            self.next = self.chunks.try_recv().ok();
        }
        self.next.is_none()
    }

    fn next(&mut self) -> io::Result<Vec<u8>> {
        if let Some(next) = self.next.take() {
            return next;
        }
        loop {
            match self.chunks.recv_timeout(PATIENCE) {
                Ok(next) => return next,
                Err(RecvTimeoutError::Disconnected) => return Ok(Vec::new()),
                Err(RecvTimeoutError::Timeout) if interrupt::asked() => {
                    return Err(io::Error::other("interrupted"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.chunk.len() {
            self.chunk = self.next()?;
            self.taken = 0;
        }
        let length = buffer.len().min(self.chunk.len() - self.taken);
        buffer[..length].copy_from_slice(&self.chunk[self.taken..self.taken + length]);
        self.taken += length;
        Ok(length)
    }
}
