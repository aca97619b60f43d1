//! What is here and is it whole: the side of [`Hub`] that only looks at the disk, or deletes.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::HubError;
use super::model::ModelRef;
use super::registry::{self, Manifest};
use super::verify::Checksum;
use super::{Hub, missing, needs, wanted};
use crate::Result;

/// A model as `tarjim models list` shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// Its repository.
    pub repo: Option<String>,
    /// The manifest, for a model of the registry.
    pub manifest: Option<&'static Manifest>,
    /// The revision in use: what settings or manifest name.
    pub revision: Option<String>,
    /// The commit in the cache.
    pub commit: Option<String>,
    /// Whether everything it needs is here.
    pub cached: bool,
    /// Where it is, if it is here.
    pub folder: Option<PathBuf>,
    /// Bytes on disk, all revisions together; zero if it is not here.
    pub bytes: u64,
}

/// How a file compares with its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Integrity {
    /// The bytes are the right ones.
    Intact,
    /// They are not.
    Damaged,
    /// The file is needed and not there, or its link leads nowhere.
    Missing,
    /// There is nothing to compare with.
    Unknown,
}

/// What [`Hub::verify`] found out about a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Path of the file in the model's folder.
    pub file: String,
    /// Its state.
    pub integrity: Integrity,
}

impl Hub {
    /// Compares every file of `model` with its checksum.
    pub fn verify(&self, model: &str) -> Result<Vec<FileReport>> {
        let model = ModelRef::parse(model)?;
        let Some(repo) = model.repo() else {
            return self.verify_folder(&model);
        };
        let cached = self.cache.repo(repo);
        let commit = cached
            .commit(&self.revision(&model)?)
            .filter(|commit| cached.snapshot(commit).is_dir())
            .ok_or_else(|| HubError::NotCached(model.name()))?;
        let snapshot = cached.snapshot(&commit);
        let mut reports = Vec::new();
        for file in cached.files(&commit) {
            let integrity = integrity(&file.path, file.checksum.as_ref())?;
            reports.push(FileReport { file: file.name, integrity });
        }
        for file in missing(&snapshot, &needs(&model, &snapshot)) {
            // A link that leads nowhere is reported above.
            if !reports.iter().any(|report| report.file == file) {
                reports.push(FileReport { file, integrity: Integrity::Missing });
            }
        }
        Ok(reports)
    }

    /// A folder has no checksums of its own; the manifest may list some for the bundled model.
    fn verify_folder(&self, model: &ModelRef) -> Result<Vec<FileReport>> {
        let found = self.locate_ref(model)?.ok_or_else(|| HubError::NotBundled(model.name()))?;
        let mut reports = Vec::new();
        for file in wanted(&found.folder, &needs(model, &found.folder)) {
            let pin = found.manifest.and_then(|manifest| manifest.sha256.get(&file));
            let checksum = pin.and_then(|hex| Checksum::parse(hex));
            let integrity = integrity(&found.folder.join(&file), checksum.as_ref())?;
            reports.push(FileReport { file, integrity });
        }
        Ok(reports)
    }

    /// Deletes `model` from the cache, all its revisions, and returns the bytes freed.
    pub fn remove(&self, model: &str) -> Result<u64> {
        let model = ModelRef::parse(model)?;
        let repo = model.repo().ok_or_else(|| HubError::NotCached(model.name()))?;
        if !self.cache.repos().iter().any(|id| id == repo) {
            return Err(HubError::NotCached(model.name()).into());
        }
        Ok(self.cache.repo(repo).remove()?)
    }

    /// All models of the registry, then those of the cache that this program can run.
    pub fn list(&self) -> Vec<Status> {
        let known = registry::all().iter().map(ModelRef::Known);
        let others = self
            .cache
            .repos()
            .into_iter()
            .filter(|id| registry::find(id).is_none())
            .map(ModelRef::Repo);
        let runnable = |status: &Status| status.manifest.is_some() || status.cached;
        known.chain(others).map(|model| self.status_ref(&model)).filter(runnable).collect()
    }

    /// What there is to know about `model` without asking the server.
    pub fn status(&self, model: &str) -> Result<Status> {
        Ok(self.status_ref(&ModelRef::parse(model)?))
    }

    fn status_ref(&self, model: &ModelRef) -> Status {
        let located = self.locate_ref(model).ok().flatten();
        let repo = model.repo();
        let bytes = match (&located, repo) {
            (_, Some(repo)) => self.cache.repo(repo).size(),
            (Some(found), None) => folder_size(&found.folder),
            (None, None) => 0,
        };
        Status {
            name: model.name(),
            repo: repo.map(str::to_string),
            manifest: model.manifest(),
            revision: repo.and_then(|_| self.revision(model).ok()),
            commit: located.as_ref().and_then(|found| found.revision.clone()),
            cached: located.is_some(),
            folder: located.map(|found| found.folder),
            bytes,
        }
    }
}

fn integrity(path: &Path, checksum: Option<&Checksum>) -> Result<Integrity, HubError> {
    Ok(match checksum {
        _ if !path.exists() => Integrity::Missing,
        None => Integrity::Unknown,
        Some(checksum) => match checksum.of_file(path).map_err(HubError::io(path))? {
            found if found == checksum.hex() => Integrity::Intact,
            _ => Integrity::Damaged,
        },
    })
}

fn folder_size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}
