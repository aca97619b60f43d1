//! What can go wrong between a name and a folder of verified files.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The message states the fact; [`HubError::hint`] says what to do. Neither ever holds a token.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The value of `--model` is none of the things it may be.
    #[error("`{name}` is neither a folder, nor a known model, nor a repository `owner/name`")]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// A known name that looks like it.
        near: Option<String>,
    },
    /// A revision or file name that would lead out of the cache, or cannot be a git revision.
    #[error("`{0}` cannot be a revision")]
    BadRevision(String),
    /// The model is not cached and the network must not be used.
    #[error("Model `{model}` is not in the cache, and network access is disabled")]
    Offline {
        /// The model.
        model: String,
    },
    /// The model that ships with the program is not where it should be.
    #[error("Model `{0}` should come with this program, and its folder was not found")]
    NotBundled(String),
    /// A command that works on the cache met a model that is not there.
    #[error("Model `{0}` is not in the cache")]
    NotCached(String),
    /// The terms ask for the reader's agreement.
    #[error(
        "Model `{model}` is published under {licence}, which does not allow commercial use or does not say"
    )]
    LicenceNotAccepted {
        /// The model.
        model: String,
        /// Identifier of the licence.
        licence: String,
    },
    /// config.json names an architecture this program has no code for.
    #[error("Model `{model}` is of type `{model_type}`, which this program cannot run")]
    UnsupportedType {
        /// The model.
        model: String,
        /// What its config.json says.
        model_type: String,
    },

    /// The name of the server could not be resolved.
    #[error("the name of {host} could not be resolved")]
    Dns {
        /// The server.
        host: String,
    },
    /// No connection.
    #[error("{host} could not be reached: {detail}")]
    Unreachable {
        /// The server.
        host: String,
        /// What the system said.
        detail: String,
    },
    /// A proxy refused.
    #[error("the proxy refused to reach {host}: {detail}")]
    Proxy {
        /// The server.
        host: String,
        /// What the proxy said.
        detail: String,
    },
    /// No secure connection.
    #[error("no secure connection to {host}: {detail}")]
    Tls {
        /// The server.
        host: String,
        /// What is wrong.
        detail: String,
    },
    /// The server went silent.
    #[error("{host} sent nothing for {} s", waited.as_secs_f32())]
    Timeout {
        /// The server.
        host: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The connection broke in the middle of a file.
    #[error("the download of {file} broke off: {detail}")]
    Interrupted {
        /// The file.
        file: String,
        /// What is known about it.
        detail: String,
    },

    /// HTTP 401.
    #[error("{host} refused access to {repo} without a valid token")]
    Unauthorized {
        /// The server.
        host: String,
        /// The repository.
        repo: String,
    },
    /// HTTP 401 or 403, access is granted on request.
    #[error("{repo} is gated: its owners grant access on request")]
    Gated {
        /// The repository.
        repo: String,
    },
    /// HTTP 403.
    #[error("{host} does not allow access to {repo}")]
    Forbidden {
        /// The server.
        host: String,
        /// The repository.
        repo: String,
    },
    /// HTTP 404, the repository.
    #[error("{host} has no repository {repo}, or not for you")]
    RepoNotFound {
        /// The server.
        host: String,
        /// The repository.
        repo: String,
    },
    /// HTTP 404, the revision.
    #[error("{repo} has no revision `{revision}`")]
    RevisionNotFound {
        /// The repository.
        repo: String,
        /// The revision.
        revision: String,
    },
    /// HTTP 404, the file.
    #[error("{repo} has no file {file} at revision `{revision}`")]
    FileNotFound {
        /// The repository.
        repo: String,
        /// The revision.
        revision: String,
        /// The file or files.
        file: String,
    },
    /// HTTP 429.
    #[error("{host} received too many requests")]
    RateLimited {
        /// The server.
        host: String,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// HTTP 5xx.
    #[error("{host} is failing: HTTP {status}")]
    Server {
        /// The server.
        host: String,
        /// The status.
        status: u16,
    },
    /// An answer that a hub would not give.
    #[error("{host} did not answer like a model hub: {detail}")]
    BadResponse {
        /// The server.
        host: String,
        /// What is wrong with it.
        detail: String,
    },

    /// The server announces or sends another number of bytes than it should.
    #[error("{file} should be {expected} bytes long and the server sent {found}")]
    WrongSize {
        /// The file.
        file: String,
        /// Bytes announced.
        expected: u64,
        /// Bytes sent, or about to be sent.
        found: u64,
    },
    /// The bytes are not those the checksum belongs to.
    #[error("{file} is damaged: its checksum should be {expected} and is {found}")]
    Checksum {
        /// The file.
        file: String,
        /// What the server or the manifest says.
        expected: String,
        /// What the bytes give.
        found: String,
    },

    /// Files in the cache are not what they should be.
    #[error("Model `{model}` has {files} damaged or missing files")]
    Damaged {
        /// The model.
        model: String,
        /// How many.
        files: usize,
    },

    /// Not enough room.
    #[error("{} has {available} bytes free and {file} needs {needed}", path.display())]
    DiskFull {
        /// The folder.
        path: PathBuf,
        /// The file.
        file: String,
        /// Bytes still to be written.
        needed: u64,
        /// Bytes free.
        available: u64,
    },
    /// The cache cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    ReadOnly {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds a lock and does not get on.
    #[error("{} has been locked by another process for {} s without progress", path.display(), waited.as_secs())]
    Locked {
        /// The lock.
        path: PathBuf,
        /// How long nothing moved.
        waited: Duration,
    },
    /// Any other trouble with a file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up: {0}")]
    Client(String),
}

impl HubError {
    /// Sorts a file error into the kind it is: full, not writable, or other.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| {
            let path = path.to_path_buf();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => HubError::DiskFull {
                    file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                    available: fs4::available_space(path.parent().unwrap_or(&path)).unwrap_or(0),
                    path: path.parent().unwrap_or(&path).to_path_buf(),
                    needed: 1,
                },
                io::ErrorKind::PermissionDenied
                | io::ErrorKind::ReadOnlyFilesystem
                | io::ErrorKind::NotADirectory => HubError::ReadOnly { path, source },
                _ => HubError::Io { path, source },
            }
        }
    }

    /// Whether the same request may succeed later without anyone doing anything.
    pub(super) fn is_transient(&self) -> bool {
        matches!(
            self,
            HubError::Timeout { .. }
                | HubError::Interrupted { .. }
                | HubError::RateLimited { .. }
                | HubError::Server { .. }
                | HubError::WrongSize { .. }
        )
    }

    /// Whether the server could not be reached at all: a state rather than a hiccup, unless bytes
    /// were flowing a moment ago.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, HubError::Unreachable { .. } | HubError::Dns { .. })
    }

    /// Whether no server could be reached, as opposed to one that refused.
    pub fn is_network(&self) -> bool {
        use HubError::*;
        matches!(
            self,
            Offline { .. }
                | Dns { .. }
                | Unreachable { .. }
                | Proxy { .. }
                | Tls { .. }
                | Timeout { .. }
                | Server { .. }
                | BadResponse { .. }
        )
    }

    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            HubError::UnknownModel { near: Some(near), .. } => {
                return Some(format!(
                    "Did you mean `{near}`? `tarjim models list` shows all known models"
                ));
            }
            HubError::UnknownModel { .. } => "`tarjim models list` shows all known models",
            HubError::BadRevision(_) => {
                "Name a branch, a tag, a commit of 40 hexadecimal digits, or `refs/pr/N`"
            }
            HubError::Offline { .. } => {
                "Run the command once without `--offline` (and without HF_HUB_OFFLINE) to download it"
            }
            HubError::NotBundled(_) => {
                "Name another model with `--model`, or put the folder beside the program under `models/`"
            }
            HubError::NotCached(_) => "`tarjim models download` fetches it",
            HubError::LicenceNotAccepted { .. } => {
                "If its terms suit your use, run the command once with `--accept-license`, or set TARJIM_ACCEPT_LICENSE=1 in scripts"
            }
            HubError::UnsupportedType { .. } => "Supported types are marian, t5 and mt5",
            HubError::Dns { .. } => {
                "Check the network and the address in HF_ENDPOINT; models already downloaded work without a network"
            }
            HubError::Unreachable { .. } => {
                "Check the network, and HTTPS_PROXY if one is needed; models already downloaded work without a network"
            }
            HubError::Proxy { .. } => {
                "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY, and the user name and password in them"
            }
            HubError::Tls { .. } => {
                "If your network has its own certificate authority, name its PEM file in SSL_CERT_FILE; also check the clock and HF_ENDPOINT"
            }
            HubError::Timeout { .. } | HubError::Interrupted { .. } => {
                "Run the command again: the download goes on where it stopped. HF_HUB_DOWNLOAD_TIMEOUT sets the seconds to wait"
            }
            HubError::Unauthorized { .. } => {
                "Set HF_TOKEN to a valid access token, or remove one that has expired"
            }
            HubError::Gated { .. } => {
                "Ask for access on the model's page, then set HF_TOKEN to a token of that account"
            }
            HubError::Forbidden { .. } => "Use a token whose account may read this repository",
            HubError::RepoNotFound { .. } => {
                "Check the spelling; a private repository needs HF_TOKEN"
            }
            HubError::RevisionNotFound { .. } => "Check `--revision`, or leave it out",
            HubError::FileNotFound { .. } => {
                "Try another `--revision`, or another model: `tarjim models list`"
            }
            HubError::RateLimited { .. } => {
                "Wait a few minutes and run the command again; with HF_TOKEN set, the limits are higher"
            }
            HubError::Server { .. } => {
                "Try again later, or set HF_ENDPOINT to a mirror; nothing was lost"
            }
            HubError::BadResponse { .. } => {
                "A login page or a proxy may be in between: open the address in a browser, and check HF_ENDPOINT"
            }
            HubError::WrongSize { .. } | HubError::Checksum { .. } => {
                "Nothing was installed. Try again; if it persists, the file on the server or a proxy in between is broken"
            }
            HubError::Damaged { .. } => {
                "Remove it with `tarjim models remove`, then fetch it again with `tarjim models download`"
            }
            HubError::DiskFull { .. } => {
                "Free some space (`tarjim models remove`), or name another disk with `--cache-dir` or HF_HUB_CACHE"
            }
            HubError::ReadOnly { .. } => {
                "Name a folder you may write with `--cache-dir` or HF_HUB_CACHE"
            }
            HubError::Locked { .. } => {
                "End the process that holds it, then run the command again; a lock is freed when its process ends"
            }
            HubError::Io { .. } | HubError::Client(_) => return None,
        };
        Some(hint.into())
    }
}
