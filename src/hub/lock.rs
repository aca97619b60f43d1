//! One download of a file at a time, across processes and programs.
//!
//! The lock is the one huggingface_hub takes: an advisory lock of the operating system on
//! `.locks/<repo>/<blob>.lock`. The system frees it when its process ends, however it ends, so a
//! lock file left behind by a crash holds nobody up. hf-hub gives up on a lock after 10 s; here it
//! is waited for as long as its holder gets on.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::HubError;

/// How often a lock held by someone else is tried again.
const POLL: Duration = Duration::from_millis(100);

/// A held lock; dropping it lets go.
#[derive(Debug)]
pub(super) struct Lock {
    // None on a file system without locks. Nothing but double work comes of that: files are
    // written under a name of their own and checked before they are renamed.
    _file: Option<File>,
}

impl Lock {
    /// Takes the lock at `path`, waiting while another process holds it and `activity` keeps
    /// changing. Gives up after `patience` without change. `on_wait` is called once, before waiting.
    pub(super) fn acquire<A: PartialEq>(
        path: &Path,
        patience: Duration,
        mut activity: impl FnMut() -> A,
        on_wait: impl FnOnce(),
    ) -> Result<Self, HubError> {
        if let Some(lock) = Self::attempt(path)? {
            return Ok(lock);
        }
        on_wait();
        let mut last = activity();
        let mut since = Instant::now();
        loop {
            std::thread::sleep(POLL.min(patience));
            if let Some(lock) = Self::attempt(path)? {
                return Ok(lock);
            }
            let now = activity();
            if now != last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() >= patience {
                return Err(HubError::Locked { path: path.to_path_buf(), waited: since.elapsed() });
            }
        }
    }

    /// Takes the lock at `path` if nobody holds it.
    pub(super) fn attempt(path: &Path) -> Result<Option<Self>, HubError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(HubError::io(folder))?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(HubError::io(path))?;
        match file.try_lock() {
            // The holder may have deleted the file between our opening and our locking it; then
            // someone else can hold a lock on a new file of that name.
            Ok(()) if !is_still(&file, path) => Ok(None),
            Ok(()) => Ok(Some(Lock { _file: Some(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(_)) => Ok(Some(Lock { _file: None })),
        }
    }

    /// Whether the operating system keeps others out.
    pub(super) fn is_exclusive(&self) -> bool {
        self._file.is_some()
    }
}

#[cfg(unix)]
fn is_still(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(held), Ok(named)) => (held.dev(), held.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_still(_: &File, path: &Path) -> bool {
    path.exists()
}

/// Names and sizes of the files of `folder` that begin with `prefix`: changes while a process,
/// whichever program it runs, writes the blob of that name.
pub(super) fn activity(folder: &Path, prefix: &str) -> Vec<(PathBuf, u64)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len())))
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_lock_file_left_behind_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locks").join("x.lock");
        drop(Lock::attempt(&path).unwrap().unwrap());
        assert!(path.exists());
        let lock = Lock::acquire(&path, Duration::ZERO, || 0, || panic!("waited")).unwrap();
        assert!(lock.is_exclusive());
    }

    #[test]
    fn a_holder_that_gets_on_is_waited_for_and_one_that_hangs_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let held = Lock::attempt(&path).unwrap().unwrap();
        let patience = Duration::from_millis(150);
        let hung = Lock::acquire(&path, patience, || 0, || {}).unwrap_err();
        assert!(matches!(hung, HubError::Locked { .. }), "{hung}");

        // Longer than the patience, with something moving all the while.
        let release = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(600));
            drop(held);
        });
        let mut ticks = 0;
        let tick = || {
            ticks += 1;
            ticks
        };
        Lock::acquire(&path, patience, tick, || {}).unwrap();
        release.join().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_deleted_lock_file_is_not_taken_for_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let old = Lock::attempt(&path).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!is_still(old._file.as_ref().unwrap(), &path));
        assert!(Lock::attempt(&path).unwrap().is_some());
    }
}
