//! Where results go: standard output, or a file that appears when it is complete.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tarjim::{Error, Result};
use tempfile::NamedTempFile;

/// A destination being written to.
pub enum Sink {
    /// Standard output.
    Stdout(BufWriter<io::Stdout>),
    /// A file, under another name until it is complete.
    File(BufWriter<NamedTempFile>, PathBuf),
}

impl Sink {
    /// Standard output for none, else a file in a folder that is there.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Sink::Stdout(BufWriter::new(io::stdout()))) };
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        // As any new file, not private as a temporary one.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.prefix(".tarjim-").tempfile_in(folder);
        // The error's own text names the temporary file, which means nothing to the reader.
        let file = file.map_err(|error| Error::write(path)(error.kind().into()))?;
        Ok(Sink::File(BufWriter::new(file), path.to_owned()))
    }

    /// What to write to, and its name in errors.
    pub fn writer(&mut self) -> (&mut dyn Write, &Path) {
        match self {
            Sink::Stdout(out) => (out, Path::new("<stdout>")),
            Sink::File(out, path) => (out, path),
        }
    }

    /// Writes what is buffered; a file gets its name.
    pub fn finish(self) -> Result<()> {
        match self {
            Sink::Stdout(mut out) => out.flush().map_err(Error::write("<stdout>")),
            Sink::File(out, path) => {
                let failed = |error| Error::write(&path)(error);
                let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
                file.as_file().sync_all().map_err(failed)?;
                // A device such as /dev/null must not be replaced.
                let special = fs::metadata(&path).is_ok_and(|old| !old.is_file());
                if special {
                    let mut copy = file.reopen().map_err(failed)?;
                    let mut device =
                        fs::OpenOptions::new().write(true).open(&path).map_err(failed)?;
                    io::copy(&mut copy, &mut device).map_err(failed)?;
                    return Ok(());
                }
                file.persist(&path).map(drop).map_err(|error| failed(error.error))
            }
        }
    }
}

/// Runs `write` with standard output, then writes what is buffered.
pub fn to_stdout(write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut out = BufWriter::new(io::stdout());
    write(&mut out)?;
    out.flush().map_err(Error::write("<stdout>"))
}
