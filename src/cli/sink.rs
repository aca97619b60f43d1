//! Where results go: standard output, or a file that gets its name when it is complete.
//!
//! Until then the file `name` is called `.name.tarjim-part`, and locked, so that a second run that
//! would write it finds out. A part left behind by a run that was killed is written over by the next
//! one, or gone on with: then `.name.tarjim-state` says how far it is good.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use same_file::Handle;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tarjim::{Error, Result};

/// A destination being written to.
pub enum Sink {
    /// Standard output.
    Stdout(BufWriter<io::Stdout>),
    /// What is no ordinary file, such as /dev/null, and its name.
    Device(BufWriter<File>, PathBuf),
    /// A file that is not complete yet.
    File(Part),
}

/// A file under its name for the time being. Dropped, it is removed, unless a later run can go on
/// with it.
pub struct Part {
    out: BufWriter<File>,
    /// The name it will have.
    path: PathBuf,
    /// Whether a state is saved.
    resumable: bool,
    complete: bool,
}

/// How far a file is good.
#[derive(Serialize, Deserialize)]
struct State<T> {
    /// Stands for all that decides what is written.
    key: String,
    /// Bytes of the file.
    written: u64,
    /// What was read and done for them.
    progress: T,
}

impl Sink {
    /// Standard output for none, else a file in a folder that is there.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Sink::Stdout(BufWriter::new(io::stdout()))) };
        let mut sink = Sink::unfinished(path)?;
        if let Sink::File(part) = &mut sink {
            part.go_on(0).map_err(Error::write(path))?;
        }
        Ok(sink)
    }

    /// Goes on with a file that a run with the same key left unfinished, and tells how far it got;
    /// or begins it.
    pub fn resume<T: DeserializeOwned>(path: &Path, key: &str) -> Result<(Self, Option<T>)> {
        let mut sink = Sink::unfinished(path)?;
        let Sink::File(part) = &mut sink else { return Ok((sink, None)) };
        let state = fs::read(part.beside("state")).ok();
        let state: Option<State<T>> = state.and_then(|json| serde_json::from_slice(&json).ok());
        if let Some(state) = state
            && state.key == key
            && part.go_on(state.written).is_ok()
        {
            part.resumable = true;
            return Ok((sink, Some(state.progress)));
        }
        part.go_on(0).map_err(Error::write(path))?;
        Ok((sink, None))
    }

    /// A file as an earlier run left it.
    fn unfinished(path: &Path) -> Result<Self> {
        let failed = |error| Error::write(path)(error);
        let mut name = path.to_owned();
        if let Ok(there) = fs::metadata(path) {
            if there.is_dir() {
                return Err(failed(ErrorKind::IsADirectory.into()));
            }
            if !there.is_file() {
                let device = OpenOptions::new().write(true).open(path).map_err(failed)?;
                return Ok(Sink::Device(BufWriter::new(device), path.to_owned()));
            }
            // A link stays; the file it names is written.
            name = fs::canonicalize(path).map_err(failed)?;
        }
        let file = lock(&beside(&name, "part")).map_err(failed)?;
        let file = file.ok_or_else(|| Error::Busy { path: path.to_owned() })?;
        let out = BufWriter::new(file);
        Ok(Sink::File(Part { out, path: name, resumable: false, complete: false }))
    }

    /// What to write to, and its name in errors.
    pub fn writer(&mut self) -> (&mut dyn Write, &Path) {
        match self {
            Sink::Stdout(out) => (out, Path::new("<stdout>")),
            Sink::Device(out, path) => (out, path),
            Sink::File(part) => (&mut part.out, &part.path),
        }
    }

    /// Saves what is written, and that it stands for `progress`, so that [`Sink::resume`] can go on
    /// from here. Only a file can be gone on with.
    pub fn save<T: Serialize>(&mut self, key: &str, progress: T) -> Result<()> {
        let Sink::File(part) = self else { return Ok(()) };
        part.save(key, progress).map_err(Error::write(&part.path))
    }

    /// Writes what is buffered; a file gets its name.
    pub fn finish(self) -> Result<()> {
        match self {
            Sink::Stdout(mut out) => out.flush().map_err(Error::write("<stdout>")),
            Sink::Device(mut out, path) => out.flush().map_err(Error::write(path)),
            Sink::File(mut part) => part.finish().map_err(Error::write(&part.path)),
        }
    }
}

impl Part {
    fn beside(&self, kind: &str) -> PathBuf {
        beside(&self.path, kind)
    }

    /// Keeps the first bytes of the file, which must be there, and goes on behind them.
    fn go_on(&mut self, written: u64) -> io::Result<()> {
        if self.out.get_ref().metadata()?.len() < written {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if written == 0 {
            // What it says of a file that is begun anew is not true.
            let _ = fs::remove_file(self.beside("state"));
        }
        let file = self.out.get_mut();
        file.set_len(written)?;
        file.seek(SeekFrom::Start(written)).map(drop)
    }

    fn save<T: Serialize>(&mut self, key: &str, progress: T) -> io::Result<()> {
        self.out.flush()?;
        let file = self.out.get_mut();
        file.sync_data()?;
        let state = State { key: key.to_owned(), written: file.stream_position()?, progress };
        let new = self.beside("state-new");
        fs::write(&new, serde_json::to_vec(&state)?)?;
        fs::rename(new, self.beside("state"))?;
        self.resumable = true;
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        fs::rename(self.beside("part"), &self.path)?;
        self.complete = true;
        match self.resumable {
            true => fs::remove_file(self.beside("state")),
            false => Ok(()),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.complete && !self.resumable {
            let _ = fs::remove_file(self.beside("part"));
        }
    }
}

/// `.name.tarjim-kind` in the folder of `name`.
fn beside(path: &Path, kind: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".tarjim-{kind}"));
    path.with_file_name(name)
}

/// Opens a file, made if need be, that no other process has locked; none if one has.
pub fn lock(path: &Path) -> io::Result<Option<File>> {
    loop {
        let old = fs::symlink_metadata(path);
        if old.is_ok_and(|old| !old.is_file()) {
            // Not ours: we make ordinary files only.
            fs::remove_file(path)?;
        }
        let file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            // A file system without locks: done without.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        // Its holder may have renamed it between our opening and our locking it.
        let held = Handle::from_file(file.try_clone()?)?;
        if Handle::from_path(path).is_ok_and(|named| named == held) {
            return Ok(Some(file));
        }
    }
}

/// Runs `write` with standard output, then writes what is buffered.
pub fn to_stdout(write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut out = BufWriter::new(io::stdout());
    write(&mut out)?;
    out.flush().map_err(Error::write("<stdout>"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn written(sink: &mut Sink, text: &str) {
        sink.writer().0.write_all(text.as_bytes()).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_has_its_name_when_complete_and_two_do_not_write_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "old").unwrap();
        let mut sink = Sink::open(Some(&path)).unwrap();
        written(&mut sink, "new");
        assert!(matches!(Sink::open(Some(&path)), Err(Error::Busy { .. })));
        drop(sink);
        assert_eq!(
            (names(folder.path()), fs::read(&path).unwrap()),
            (vec!["out".into()], b"old".into())
        );
        let mut sink = Sink::open(Some(&path)).unwrap();
        written(&mut sink, "new");
        sink.finish().unwrap();
        assert_eq!(
            (names(folder.path()), fs::read(&path).unwrap()),
            (vec!["out".into()], b"new".into())
        );
    }

    #[test]
    fn an_unfinished_file_is_gone_on_with_from_where_it_was_saved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let begin = || {
            let (mut sink, progress) = Sink::resume::<u32>(&path, "key").unwrap();
            assert_eq!(progress, None);
            written(&mut sink, "abc");
            sink.save("key", 3).unwrap();
            written(&mut sink, "lost");
        };
        begin();
        let (mut sink, progress) = Sink::resume::<u32>(&path, "key").unwrap();
        assert_eq!(progress, Some(3));
        written(&mut sink, "def");
        sink.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "abcdef");
        assert_eq!(names(folder.path()), ["out"]);

        begin();
        let (mut sink, progress) = Sink::resume::<u32>(&path, "another").unwrap();
        assert_eq!(progress, None);
        written(&mut sink, "new");
        sink.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");

        // A file shorter than its state says: begun anew.
        begin();
        fs::write(folder.path().join(".out.tarjim-part"), "a").unwrap();
        assert_eq!(Sink::resume::<u32>(&path, "key").unwrap().1, None);
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mut sink = Sink::open(Some(&link)).unwrap();
        written(&mut sink, "new");
        sink.finish().unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        Sink::open(Some(Path::new("/dev/null"))).unwrap().finish().unwrap();
        assert!(
            fs::metadata("/dev/null").unwrap().permissions().readonly()
                || !Path::new("/dev/null").is_file()
        );
    }
}
