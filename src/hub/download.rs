//! One file from the hub into the cache: resumed, checked, and only then given its name.
//!
//! hf-hub's own `download_file` begins every attempt with `File::create`, stores whatever body comes
//! and checks neither length nor checksum. Here its byte stream is used instead, and written to
//! `<checksum>.incomplete`, the name huggingface_hub and hf-hub use, so that what any of them left
//! behind is continued. Whose bytes they were does not matter: all of them are checked at the end.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::cache::CachedRepo;
use super::client::{Fetched, Remote, RemoteFile};
use super::error::HubError;
use super::lock::{Lock, activity};
use super::progress::{Event, Progress};
use super::settings::Settings;

/// Longest wait between two attempts.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Room left free on the disk besides what the file takes.
const SPARE: u64 = 1 << 20;

/// What every step of a download needs.
pub(super) struct Download<'a> {
    pub(super) remote: &'a Remote,
    pub(super) settings: &'a Settings,
    pub(super) progress: &'a dyn Progress,
    /// `owner/name`.
    pub(super) id: &'a str,
    pub(super) repo: &'a CachedRepo,
}

impl Download<'_> {
    /// What `file` is at `revision`, asked as often as the settings allow.
    pub(super) fn metadata(&self, revision: &str, file: &str) -> Result<RemoteFile, HubError> {
        let mut patience = Patience::new(self);
        loop {
            match self.remote.metadata(self.id, revision, file) {
                Err(error) => patience.wait(error, false)?,
                answer => return answer,
            }
        }
    }

    /// Whether the blob of `file` is here, by its name and length.
    pub(super) fn is_here(&self, file: &RemoteFile) -> bool {
        std::fs::metadata(self.repo.blob(&file.checksum))
            .is_ok_and(|blob| file.size.is_none_or(|size| blob.len() == size))
    }

    /// Bytes of `file` still to be fetched.
    pub(super) fn missing(&self, file: &RemoteFile) -> u64 {
        if self.is_here(file) {
            return 0;
        }
        let have = length(&self.repo.incomplete(&file.checksum));
        file.size.unwrap_or(0).saturating_sub(have)
    }

    /// Makes sure that the blob of `file` is here and that its snapshot links to it.
    pub(super) fn file(&self, file: &RemoteFile) -> Result<(), HubError> {
        if !self.is_here(file) {
            let path = self.repo.lock(&file.checksum);
            let blobs = self.repo.blobs();
            let lock = Lock::acquire(
                &path,
                self.settings.lock_timeout,
                || activity(&blobs, file.checksum.hex()),
                || self.progress.on(&Event::Waiting { lock: &path }),
            )?;
            // Whoever held the lock may have fetched it.
            if !self.is_here(file) {
                self.blob(file, &lock)?;
            }
        }
        self.repo.link(&file.commit, &file.name, &file.checksum)
    }

    /// Fetches the bytes of `file` under the lock.
    fn blob(&self, file: &RemoteFile, lock: &Lock) -> Result<(), HubError> {
        let blob = self.repo.blob(&file.checksum);
        let blobs = self.repo.blobs();
        std::fs::create_dir_all(&blobs).map_err(HubError::io(&blobs))?;
        let mut partial = self.repo.incomplete(&file.checksum);
        if !lock.is_exclusive() {
            partial.set_extension(format!("{}.incomplete", std::process::id()));
        }

        let have = length(&partial);
        self.progress.on(&Event::Start { file: &file.name, size: file.size, have });
        self.complete(file, &partial)?;
        if let Err(damaged) = self.check(file, &partial) {
            // The beginning may be someone else's, or the server's mistake: once more from zero.
            remove(&partial)?;
            self.progress.on(&Event::Retry { error: &damaged, wait: Duration::ZERO });
            self.complete(file, &partial)?;
            if let Err(damaged) = self.check(file, &partial) {
                remove(&partial)?;
                return Err(damaged);
            }
        }
        std::fs::rename(&partial, &blob).map_err(HubError::io(&blob))?;
        self.progress.on(&Event::Done { file: &file.name });
        Ok(())
    }

    /// Attempts until all bytes are here, or until attempts in a row gain none.
    fn complete(&self, file: &RemoteFile, partial: &Path) -> Result<(), HubError> {
        let mut patience = Patience::new(self);
        loop {
            let before = length(partial);
            match self.attempt(file, partial) {
                Ok(()) => return Ok(()),
                Err(error) => patience.wait(error, length(partial) > before)?,
            }
        }
    }

    /// One attempt to get the rest of `file`.
    fn attempt(&self, file: &RemoteFile, partial: &Path) -> Result<(), HubError> {
        let mut have = length(partial);
        // Without a length there is nothing to tell a rest by; more than the length is nonsense.
        if have > 0 && file.size.is_none_or(|size| have > size) {
            remove(partial)?;
            have = 0;
        }
        if file.size == Some(have) && have > 0 {
            return Ok(());
        }
        self.check_space(file, have)?;
        if self.receive(file, partial, have)? == Fetched::NoRange {
            remove(partial)?;
            self.receive(file, partial, 0)?;
        }
        match file.size {
            Some(size) if length(partial) < size => Err(HubError::Interrupted {
                file: file.name.clone(),
                detail: format!("{} of {size} bytes arrived", length(partial)),
            }),
            _ => Ok(()),
        }
    }

    /// Appends what the server sends from byte `from` on.
    fn receive(&self, file: &RemoteFile, partial: &Path, from: u64) -> Result<Fetched, HubError> {
        let mut out = OpenOptions::new()
            .create(true)
            .append(true)
            .open(partial)
            .map_err(HubError::io(partial))?;
        let mut have = from;
        let fetched = self.remote.fetch(self.id, file, from, &mut |piece| {
            have = have.saturating_add(piece.len() as u64);
            if let Some(expected) = file.size.filter(|size| have > *size) {
                let file = file.name.clone();
                return Err(HubError::WrongSize { file, expected, found: have });
            }
            out.write_all(piece).map_err(HubError::io(partial))?;
            self.progress.on(&Event::Bytes { file: &file.name, have });
            Ok(())
        })?;
        out.sync_all().map_err(HubError::io(partial))?;
        Ok(fetched)
    }

    /// Compares the finished file with what the server announced.
    fn check(&self, file: &RemoteFile, partial: &Path) -> Result<(), HubError> {
        self.progress.on(&Event::Verify { file: &file.name });
        let found = file.checksum.of_file(partial).map_err(HubError::io(partial))?;
        let expected = file.checksum.hex().to_string();
        if found == expected {
            return Ok(());
        }
        Err(HubError::Checksum { file: file.name.clone(), expected, found })
    }

    fn check_space(&self, file: &RemoteFile, have: u64) -> Result<(), HubError> {
        let needed = file.size.unwrap_or(0).saturating_sub(have);
        check_space(&self.repo.blobs(), &file.name, needed)
    }
}

/// Fails if the disk under `folder`, which may not exist yet, has no room for `needed` bytes.
pub(super) fn check_space(folder: &Path, file: &str, needed: u64) -> Result<(), HubError> {
    let existing = folder.ancestors().find(|path| path.exists()).unwrap_or(folder);
    match fs4::available_space(existing) {
        Ok(available) if available < needed.saturating_add(SPARE) => Err(HubError::DiskFull {
            path: folder.to_path_buf(),
            file: file.to_string(),
            needed,
            available,
        }),
        // A file system that does not tell is found full when it is.
        _ => Ok(()),
    }
}

/// Counts failures in a row and waits between them.
struct Patience<'a> {
    progress: &'a dyn Progress,
    retries: u32,
    delay: Duration,
    failures: u32,
    gained: bool,
}

impl<'a> Patience<'a> {
    fn new(download: &Download<'a>) -> Self {
        Patience {
            progress: download.progress,
            retries: download.settings.retries,
            delay: download.settings.retry_delay,
            failures: 0,
            gained: false,
        }
    }

    /// Waits before the next attempt, or hands the error back when there should be none.
    fn wait(&mut self, error: HubError, gained: bool) -> Result<(), HubError> {
        self.gained |= gained;
        if gained {
            self.failures = 0;
        }
        let passes = error.is_transient() || (self.gained && error.is_unreachable());
        if !passes || self.failures >= self.retries {
            return Err(error);
        }
        let wait = self.delay.saturating_mul(1 << self.failures.min(16));
        let wait = match &error {
            HubError::RateLimited { retry_after: Some(after), .. } => wait.max(*after),
            _ => wait,
        };
        // Up to a fifth more, so that processes that failed together do not return together.
        let wait = wait.mul_f64(1.0 + f64::from(std::process::id() % 16) / 80.0).min(MAX_WAIT);
        self.failures += 1;
        self.progress.on(&Event::Retry { error: &error, wait });
        std::thread::sleep(wait);
        Ok(())
    }
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

fn remove(path: &Path) -> Result<(), HubError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(HubError::io(path)(error))
        }
        _ => Ok(()),
    }
}
