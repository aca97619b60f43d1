//! What happens during a download, told to whoever shows it. The library itself prints nothing.

use std::path::Path;
use std::time::Duration;

use super::error::HubError;
use super::registry::Licence;

/// Something worth showing.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A model is about to be fetched for the first time under these terms.
    Licence {
        /// Name of the model.
        model: &'a str,
        /// Its terms.
        licence: &'a Licence,
    },
    /// A file is about to be fetched.
    Start {
        /// Path of the file in its repository.
        file: &'a str,
        /// Its size in bytes, where the server said.
        size: Option<u64>,
        /// Bytes already here from an interrupted download.
        have: u64,
    },
    /// More of the file arrived.
    Bytes {
        /// Path of the file in its repository.
        file: &'a str,
        /// Bytes of it that are here now; less than before when a download starts over.
        have: u64,
    },
    /// All bytes are here and are being compared with the checksum.
    Verify {
        /// Path of the file in its repository.
        file: &'a str,
    },
    /// The file is in the cache.
    Done {
        /// Path of the file in its repository.
        file: &'a str,
    },
    /// Something failed that may pass; another attempt follows.
    Retry {
        /// What failed.
        error: &'a HubError,
        /// Time until the attempt.
        wait: Duration,
    },
    /// Another process is fetching the same file; its progress is awaited.
    Waiting {
        /// The lock it holds.
        lock: &'a Path,
    },
}

/// Receives [`Event`]s. Called from the thread that downloads, so it should return soon.
pub trait Progress: Sync {
    /// One event.
    fn on(&self, event: &Event<'_>);
}

/// Shows nothing.
impl Progress for () {
    fn on(&self, _: &Event<'_>) {}
}
