//! The cache on disk, laid out as by Python's huggingface_hub and shared with it:
//!
//! ```text
//! models--OWNER--NAME/blobs/<checksum>                   the bytes, once
//! models--OWNER--NAME/blobs/<checksum>.incomplete        the bytes so far
//! models--OWNER--NAME/snapshots/<commit>/<file>          a link to a blob
//! models--OWNER--NAME/refs/<branch>                      the commit it was at
//! .locks/models--OWNER--NAME/<checksum>.lock
//! ```

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use super::error::HubError;
use super::lock::Lock;
use super::verify::Checksum;

/// A folder of repositories.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    root: PathBuf,
}

/// One repository in it, present or not.
#[derive(Clone, Debug)]
pub(super) struct CachedRepo {
    folder: PathBuf,
    locks: PathBuf,
}

/// A file of a snapshot.
#[derive(Clone, Debug)]
pub(super) struct CachedFile {
    /// Path in the snapshot.
    pub(super) path: PathBuf,
    /// Name of the file, `/` between folders.
    pub(super) name: String,
    /// What its bytes should give; none for a file that is not a link into `blobs`.
    pub(super) checksum: Option<Checksum>,
}

impl Cache {
    pub(super) fn new(root: &Path) -> Self {
        Cache { root: root.to_path_buf() }
    }

    /// The place of the repository `owner/name`.
    pub(super) fn repo(&self, id: &str) -> CachedRepo {
        let name = format!("models--{}", id.replace('/', "--"));
        CachedRepo { locks: self.root.join(".locks").join(&name), folder: self.root.join(name) }
    }

    /// Identifiers of all model repositories that are here.
    pub(super) fn repos(&self) -> Vec<String> {
        let mut ids: Vec<String> = entries(&self.root)
            .filter_map(|path| {
                let name = path.file_name()?.to_str()?.strip_prefix("models--")?;
                let (owner, name) = name.split_once("--")?;
                Some(format!("{owner}/{name}"))
            })
            .collect();
        ids.sort();
        ids
    }
}

impl CachedRepo {
    pub(super) fn blobs(&self) -> PathBuf {
        self.folder.join("blobs")
    }

    pub(super) fn blob(&self, checksum: &Checksum) -> PathBuf {
        self.blobs().join(checksum.hex())
    }

    pub(super) fn incomplete(&self, checksum: &Checksum) -> PathBuf {
        self.blobs().join(format!("{}.incomplete", checksum.hex()))
    }

    pub(super) fn lock(&self, checksum: &Checksum) -> PathBuf {
        self.locks.join(format!("{}.lock", checksum.hex()))
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The commit that `revision` stands for, as far as the cache knows.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_string());
        }
        let commit = fs::read_to_string(self.folder.join("refs").join(revision)).ok()?;
        let commit = commit.trim();
        is_commit(commit).then(|| commit.to_string())
    }

    /// Records that `revision` is at `commit`.
    pub(super) fn set_commit(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if is_commit(revision) || self.commit(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        write_whole(&path, commit.as_bytes()).map_err(HubError::io(&path))
    }

    /// Makes `file` of the snapshot `commit` a link to its blob, in one step.
    pub(super) fn link(&self, commit: &str, file: &str, blob: &Checksum) -> Result<(), HubError> {
        let path = self.snapshot(commit).join(file);
        let depth = file.split('/').count() + 1;
        let target: PathBuf =
            std::iter::repeat_n("..", depth).chain(["blobs", blob.hex()]).collect();
        let same = fs::read_link(&path).is_ok_and(|to| to.file_name() == target.file_name());
        if same && path.exists() {
            return Ok(());
        }
        replace_with_link(&path, &target, &self.blob(blob)).map_err(HubError::io(&path))
    }

    /// Every file of the snapshot `commit`.
    pub(super) fn files(&self, commit: &str) -> Vec<CachedFile> {
        let root = self.snapshot(commit);
        let mut folders = vec![root.clone()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for path in entries(&folder) {
                // A link is never followed into another folder.
                if fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir()) {
                    folders.push(path);
                } else if let Ok(name) = path.strip_prefix(&root) {
                    let link = fs::read_link(&path).ok();
                    let blob = link.as_deref().and_then(Path::file_name).and_then(OsStr::to_str);
                    files.push(CachedFile {
                        name: name.to_string_lossy().replace('\\', "/"),
                        checksum: blob.and_then(Checksum::parse),
                        path,
                    });
                }
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        files
    }

    /// Bytes that all snapshots, blobs and unfinished downloads take.
    pub(super) fn size(&self) -> u64 {
        entries(&self.blobs()).filter_map(|path| Some(fs::metadata(path).ok()?.len())).sum()
    }

    /// Deletes the repository from the cache, and returns the bytes freed. Refused while another
    /// process is downloading into it.
    pub(super) fn remove(&self) -> Result<u64, HubError> {
        let freed = self.size();
        let mut held = Vec::new();
        for path in entries(&self.locks) {
            match Lock::attempt(&path)? {
                Some(lock) => held.push(lock),
                None => return Err(HubError::Locked { path, waited: Default::default() }),
            }
        }
        // References and snapshots first: what is left after an interruption is unused, not broken.
        for folder in ["refs", "snapshots", "blobs"].map(|name| self.folder.join(name)) {
            remove_folder(&folder)?;
        }
        remove_folder(&self.folder)?;
        remove_folder(&self.locks)?;
        Ok(freed)
    }
}

/// Whether this is a full git commit hash, which never changes its meaning.
pub(super) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether a revision or file name stays inside the folder it is joined to.
pub(super) fn is_inside(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(['\\', '\0', ':'])
        && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Writes a small file that is either there whole or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path)?;
    let mut file = fs::File::create(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// A name of this process's own in the folder of `path`, which is created if need be.
fn beside(path: &Path) -> io::Result<PathBuf> {
    static COUNTER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let count = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    Ok(folder.join(format!(".{}-{count}.tmp", std::process::id())))
}

#[cfg(unix)]
fn replace_with_link(path: &Path, target: &Path, _blob: &Path) -> io::Result<()> {
    let temporary = beside(path)?;
    std::os::unix::fs::symlink(target, &temporary)?;
    fs::rename(&temporary, path).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

/// Links need rights that readers of Windows seldom have: a second name for the same file, or else
/// a copy, which is what huggingface_hub makes there.
#[cfg(not(unix))]
fn replace_with_link(path: &Path, _target: &Path, blob: &Path) -> io::Result<()> {
    let temporary = beside(path)?;
    fs::hard_link(blob, &temporary).or_else(|_| fs::copy(blob, &temporary).map(drop))?;
    fs::rename(&temporary, path)
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn remove_folder(folder: &Path) -> Result<(), HubError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(HubError::io(folder)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for good in ["main", "refs/pr/7", "config.json", "v1.0", "a/b.c"] {
            assert!(is_inside(good), "{good}");
        }
        for bad in ["", "..", "../x", "a/../../b", "/etc/passwd", "c:\\x", "a\0b", "./a"] {
            assert!(!is_inside(bad), "{bad}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_reaches_its_blob_from_any_depth() {
        let root = tempfile::tempdir().unwrap();
        let repo = Cache::new(root.path()).repo("owner/name");
        let blob = Checksum::parse(&"a".repeat(40)).unwrap();
        let commit = "b".repeat(40);
        write_whole(&repo.blob(&blob), b"bytes").unwrap();
        for file in ["config.json", "sub/folder/file.bin"] {
            repo.link(&commit, file, &blob).unwrap();
            repo.link(&commit, file, &blob).unwrap();
            assert_eq!(fs::read(repo.snapshot(&commit).join(file)).unwrap(), b"bytes");
        }
        let files = repo.files(&commit);
        assert_eq!(files.len(), 2);
        assert!(files.iter().all(|f| f.checksum.as_ref() == Some(&blob)));

        repo.set_commit("refs/pr/7", &commit).unwrap();
        assert_eq!(repo.commit("refs/pr/7").as_deref(), Some(commit.as_str()));
        assert_eq!(repo.commit("main"), None);
        assert_eq!(Cache::new(root.path()).repos(), ["owner/name"]);
        assert_eq!(repo.remove().unwrap(), 5);
        assert_eq!(Cache::new(root.path()).repos(), [""; 0]);
    }

    #[test]
    fn a_reference_to_nonsense_is_no_commit() {
        let root = tempfile::tempdir().unwrap();
        let repo = Cache::new(root.path()).repo("owner/name");
        write_whole(&repo.folder.join("refs").join("main"), b"../../elsewhere").unwrap();
        assert_eq!(repo.commit("main"), None);
    }
}
