//! The one error type of the library. Every variant is a fact; [`Error::hint`] says what to do about it.

use std::path::PathBuf;

/// Result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong. The message states the fact only; see [`Error::hint`] for the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or stream could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file, or `<stdin>`.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file or stream could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file, or `<stdout>`.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Another process is writing the same file or folder.
    #[error("another run is writing {}", path.display())]
    Busy {
        /// What it writes.
        path: PathBuf,
    },
    /// A document that must be UTF-8 is not.
    #[error("{} is not valid UTF-8: byte {offset} cannot be decoded", path.display())]
    NotUtf8 {
        /// The file, or `<stdin>`.
        path: PathBuf,
        /// Byte offset of the first byte that is not UTF-8.
        offset: u64,
    },
    /// A file of a model is damaged, hostile or of another format.
    #[error("{} is not a usable {what}: {detail}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it was read as, such as "SentencePiece model".
        what: &'static str,
        /// What is wrong in it.
        detail: String,
    },
    /// A folder that should hold a model lacks a file.
    #[error("{} holds no {what}", path.display())]
    MissingFile {
        /// The folder.
        path: PathBuf,
        /// The file or files looked for.
        what: String,
    },
    /// A well-formed model that this program has no code for.
    #[error("{} cannot be run: {detail}", path.display())]
    Unsupported {
        /// The file or folder.
        path: PathBuf,
        /// What is not supported.
        detail: String,
    },
    /// A model can be run, but what it writes is noise.
    #[error("the model in {} does not translate: {detail}", path.display())]
    Garbage {
        /// The folder.
        path: PathBuf,
        /// What was seen.
        detail: String,
    },
    /// A line of a file is not what it should be.
    #[error("{}, line {line}: {detail}", path.display())]
    BadLine {
        /// The file, or `<stdin>`.
        path: PathBuf,
        /// Number of the line, counted from 1.
        line: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// A record of a stream cannot be worked on.
    #[error("{}, record {record}: {detail}", path.display())]
    BadRecord {
        /// The file, or `<stdin>`.
        path: PathBuf,
        /// Number of the record, counted from 1.
        record: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// Two files that belong together line by line differ in length.
    #[error(
        "the number of lines differs: {} has {lines}, {} has {other_lines}",
        path.display(),
        other.display()
    )]
    LineCounts {
        /// One file, or `<stdin>`.
        path: PathBuf,
        /// How many lines it has.
        lines: u64,
        /// The other file.
        other: PathBuf,
        /// How many lines that one has.
        other_lines: u64,
    },
    /// An option or argument has a value that cannot be used.
    #[error("{0}")]
    Usage(String),
    /// The tensor library refused an operation.
    #[error("the model could not be computed: {0}")]
    Compute(#[from] candle_core::Error),
    /// A model could not be found, fetched or checked.
    #[error(transparent)]
    Hub(#[from] crate::hub::HubError),
}

impl Error {
    /// Shorthand for [`Error::Malformed`].
    pub fn malformed(
        path: impl Into<PathBuf>,
        what: &'static str,
        detail: impl std::fmt::Display,
    ) -> Self {
        Error::Malformed { path: path.into(), what, detail: detail.to_string() }
    }

    /// Shorthand for [`Error::Read`], for `map_err`.
    pub fn read(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::Read { path, source }
    }

    /// Shorthand for [`Error::Write`], for `map_err`.
    pub fn write(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::Write { path, source }
    }

    /// What the reader can do about it; printed after the message, behind `hint:`.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::NotUtf8 { .. } => Some(
                "Convert the file first, for example `iconv -f WINDOWS-1256 -t UTF-8`".into(),
            ),
            Error::Read { source, .. } if source.kind() == std::io::ErrorKind::IsADirectory => {
                Some("`tarjim translate --recursive` takes folders".into())
            }
            Error::Busy { .. } => Some("Wait until it has ended, or write elsewhere".into()),
            Error::Malformed { .. } => {
                Some("Remove the damaged file and fetch the model again".into())
            }
            Error::MissingFile { .. } => {
                Some("Name a folder laid out as on the Hugging Face hub (config.json, weights, and source.spm, target.spm and vocab.json, or spiece.model, or tokenizer.json)".into())
            }
            Error::Garbage { .. } => Some(
                "Its files may not belong together: `tarjim models verify` compares them with their checksums. A model for other languages can be used with --no-self-test".into(),
            ),
            Error::LineCounts { .. } => {
                Some("Line by line the files must say the same: look for lost or extra lines".into())
            }
            Error::Hub(error) => error.hint(),
            _ => None,
        }
    }
}
