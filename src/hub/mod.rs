//! From the name of a model to a folder of verified files.
//!
//! ```text
//! `--model` ─ ModelRef ─> manifest ─ cache? ─> folder
//!                             └─ licence ─ client (hf-hub) ─ download ─ verify ─ cache ─> folder
//! ```
//!
//! A model whose files are all in the cache is used from there without a word to the network;
//! [`Hub::download`] asks the server whether there is something newer.

mod cache;
mod client;
mod download;
pub mod error;
mod licence;
mod lock;
pub mod progress;
pub mod registry;
pub mod settings;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::Serialize;

use crate::Result;
use cache::{Cache, CachedRepo, is_inside};
use client::{Remote, RemoteFile};
use download::Download;
pub use error::HubError;
pub use progress::{Event, Progress};
use registry::Need;
pub use registry::{AlignmentHead, Licence, Manifest};
pub use settings::{Settings, Token};

/// What the value of `--model` names.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelRef {
    /// A folder with the files of a model.
    Folder(PathBuf),
    /// A checkpoint of the registry.
    Known(&'static Manifest),
    /// Any other repository of the hub, `owner/name`.
    Repo(String),
}

impl ModelRef {
    /// Reads the value of `--model`: a known name or repository, then a folder that exists or is
    /// written as a path, then a repository.
    pub fn parse(text: &str) -> Result<Self, HubError> {
        let text = text.trim();
        if let Some(manifest) = registry::find(text) {
            return Ok(ModelRef::Known(manifest));
        }
        let path = settings::expand_home(text, std::env::home_dir().as_deref());
        if path.is_dir() {
            return Ok(ModelRef::Folder(path));
        }
        if !text.starts_with(['.', '/', '~', '\\']) && is_repo_id(text) {
            return Ok(ModelRef::Repo(text.to_string()));
        }
        Err(HubError::UnknownModel { name: text.to_string(), near: nearest(text) })
    }

    /// The name to call it by.
    pub fn name(&self) -> String {
        match self {
            ModelRef::Folder(path) => {
                let name = path.canonicalize().unwrap_or_else(|_| path.clone());
                name.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
            }
            ModelRef::Known(manifest) => manifest.name.clone(),
            ModelRef::Repo(id) => id.clone(),
        }
    }
}

/// A model that is ready to be loaded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resolved {
    /// The folder that holds its files.
    pub folder: PathBuf,
    /// Its name: of the registry, the repository or the folder.
    pub name: String,
    /// The commit its files are from; none for a folder.
    pub revision: Option<String>,
    /// Identifier of its licence, where known.
    pub licence: Option<String>,
    /// The head trained to align words, where the manifest names one.
    pub alignment_head: Option<AlignmentHead>,
    /// Its manifest, if it is in the registry.
    #[serde(skip)]
    pub manifest: Option<&'static Manifest>,
}

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

/// The hub, its cache, and the models in both.
pub struct Hub {
    settings: Settings,
    cache: Cache,
    remote: OnceLock<Remote>,
}

impl Hub {
    /// A hub with these settings. Nothing is read or sent yet.
    pub fn new(settings: Settings) -> Self {
        Hub { cache: Cache::new(&settings.cache_dir), settings, remote: OnceLock::new() }
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The folder of `model`, downloaded first if need be. With everything in the cache, no request
    /// is sent.
    pub fn resolve(&self, model: &str, progress: &dyn Progress) -> Result<Resolved> {
        let model = ModelRef::parse(model)?;
        match self.locate_ref(&model)? {
            Some(resolved) => Ok(resolved),
            None => self.fetch(&model, progress),
        }
    }

    /// The folder of `model` after asking the server for what is missing or newer.
    pub fn download(&self, model: &str, progress: &dyn Progress) -> Result<Resolved> {
        let model = ModelRef::parse(model)?;
        match &model {
            ModelRef::Known(manifest) if !manifest.is_bundled() => self.fetch(&model, progress),
            ModelRef::Repo(_) => self.fetch(&model, progress),
            _ => self.resolve(&model.name(), progress),
        }
    }

    /// The folder of `model` if all it needs is here already.
    pub fn locate(&self, model: &str) -> Result<Option<Resolved>> {
        Ok(self.locate_ref(&ModelRef::parse(model)?)?)
    }

    /// Compares every file of `model` with its checksum.
    pub fn verify(&self, model: &str) -> Result<Vec<FileReport>> {
        let model = ModelRef::parse(model)?;
        let Some(repo) = repo_of(&model) else {
            return self.verify_folder(&model);
        };
        let cached = self.cache.repo(repo);
        let commit = cached
            .commit(&self.revision(&model)?)
            .filter(|commit| cached.snapshot(commit).is_dir())
            .ok_or_else(|| HubError::NotCached(model.name()))?;
        let mut reports = Vec::new();
        for file in cached.files(&commit) {
            let integrity = match &file.checksum {
                _ if !file.path.exists() => Integrity::Missing,
                None => Integrity::Unknown,
                Some(checksum) => {
                    let found = checksum.of_file(&file.path).map_err(HubError::io(&file.path))?;
                    if found == checksum.hex() { Integrity::Intact } else { Integrity::Damaged }
                }
            };
            reports.push(FileReport { file: file.name, integrity });
        }
        for file in missing(&cached.snapshot(&commit), &self.needs(&model, &cached, &commit)) {
            if !reports.iter().any(|report| report.file == file) {
                reports.push(FileReport { file, integrity: Integrity::Missing });
            }
        }
        Ok(reports)
    }

    /// A folder has no checksums of its own; the manifest may list some for the bundled model.
    fn verify_folder(&self, model: &ModelRef) -> Result<Vec<FileReport>> {
        let resolved = self.locate_ref(model)?.ok_or_else(|| HubError::NotBundled(model.name()))?;
        let mut reports = Vec::new();
        let needs = match resolved.manifest {
            Some(manifest) => registry::needs(manifest),
            None => config_type(&resolved.folder)
                .and_then(|model_type| registry::needs_of_type(&model_type))
                .unwrap_or_default(),
        };
        for file in wanted(&resolved.folder, &needs) {
            let path = resolved.folder.join(&file);
            let expected = resolved.manifest.and_then(|manifest| manifest.sha256.get(&file));
            let integrity = match expected.and_then(|hex| verify::Checksum::parse(hex)) {
                _ if !path.exists() => Integrity::Missing,
                None => Integrity::Unknown,
                Some(checksum) => {
                    let found = checksum.of_file(&path).map_err(HubError::io(&path))?;
                    if found == checksum.hex() { Integrity::Intact } else { Integrity::Damaged }
                }
            };
            reports.push(FileReport { file, integrity });
        }
        Ok(reports)
    }

    /// Deletes `model` from the cache, all its revisions, and returns the bytes freed.
    pub fn remove(&self, model: &str) -> Result<u64> {
        let model = ModelRef::parse(model)?;
        let repo = repo_of(&model).ok_or_else(|| HubError::NotCached(model.name()))?;
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
        let repo = repo_of(model);
        let bytes = match (&located, repo) {
            (_, Some(repo)) => self.cache.repo(repo).size(),
            (Some(found), None) => folder_size(&found.folder),
            (None, None) => 0,
        };
        Status {
            name: model.name(),
            repo: repo.map(str::to_string),
            manifest: if let ModelRef::Known(manifest) = model { Some(manifest) } else { None },
            revision: repo.and_then(|_| self.revision(model).ok()),
            commit: located.as_ref().and_then(|found| found.revision.clone()),
            cached: located.is_some(),
            folder: located.map(|found| found.folder),
            bytes,
        }
    }

    /// The revision to use: the reader's, else the manifest's, else `main`.
    fn revision(&self, model: &ModelRef) -> Result<String, HubError> {
        let own = match model {
            ModelRef::Known(manifest) => manifest.revision.as_str(),
            _ => "main",
        };
        let revision = self.settings.revision.as_deref().unwrap_or(own);
        if !is_inside(revision) {
            return Err(HubError::BadRevision(revision.to_string()));
        }
        Ok(revision.to_string())
    }

    fn locate_ref(&self, model: &ModelRef) -> Result<Option<Resolved>, HubError> {
        let repo = match (model, repo_of(model)) {
            (_, Some(repo)) => self.cache.repo(repo),
            (ModelRef::Folder(path), _) => return Ok(Some(resolved(model, path.clone(), None))),
            _ => return Ok(bundled(&model.name()).map(|path| resolved(model, path, None))),
        };
        let commit = repo.commit(&self.revision(model)?);
        Ok(commit.filter(|commit| self.is_complete(model, &repo, commit)).map(|commit| {
            let folder = repo.snapshot(&commit);
            resolved(model, folder, Some(commit))
        }))
    }

    fn is_complete(&self, model: &ModelRef, repo: &CachedRepo, commit: &str) -> bool {
        let needs = self.needs(model, repo, commit);
        !needs.is_empty() && missing(&repo.snapshot(commit), &needs).is_empty()
    }

    /// What `model` needs; for a repository outside the registry its config.json tells, and without
    /// one nothing is known.
    fn needs(&self, model: &ModelRef, repo: &CachedRepo, commit: &str) -> Vec<Need> {
        match model {
            ModelRef::Known(manifest) => registry::needs(manifest),
            _ => config_type(&repo.snapshot(commit))
                .and_then(|model_type| registry::needs_of_type(&model_type))
                .unwrap_or_default(),
        }
    }

    /// Gets what is missing from the server.
    fn fetch(&self, model: &ModelRef, progress: &dyn Progress) -> Result<Resolved> {
        let name = model.name();
        let Some(id) = repo_of(model) else {
            return Err(HubError::NotBundled(name).into());
        };
        if self.settings.offline {
            return Err(HubError::Offline { model: name }.into());
        }
        let revision = self.revision(model)?;
        let remote = self.remote()?;
        let repo = self.cache.repo(id);
        let settings = &self.settings;
        let download = Download { remote, settings, progress, id, repo: &repo };

        let terms = match model {
            ModelRef::Known(manifest) => manifest.licence.clone(),
            _ => licence::from_id(remote.licence(id, &revision)?.as_deref()),
        };
        licence::agree(&name, &terms, settings, progress)?;

        // The first answer fixes the commit: a branch that moves meanwhile does not mix two states.
        let config = download.metadata(&revision, "config.json")?;
        download.file(&config)?;
        let commit = config.commit.clone();
        let needs = check_type(model, &repo.snapshot(&commit))?;

        let mut files = vec![config];
        for need in &needs {
            files.extend(find(&download, &commit, need)?);
        }
        if let ModelRef::Known(manifest) = model {
            check_pins(manifest, &files)?;
        }
        let bytes = files.iter().map(|file| download.missing(file)).fold(0, u64::saturating_add);
        download::check_space(&settings.cache_dir, &name, bytes)?;
        for file in &files {
            download.file(file)?;
        }
        // Last, so that a branch never leads to a snapshot that lacks something.
        repo.set_commit(&revision, &commit)?;
        let mut found = resolved(model, repo.snapshot(&commit), Some(commit));
        found.licence = Some(terms.id);
        Ok(found)
    }

    fn remote(&self) -> Result<&Remote, HubError> {
        if let Some(remote) = self.remote.get() {
            return Ok(remote);
        }
        let remote = Remote::new(&self.settings)?;
        Ok(self.remote.get_or_init(|| remote))
    }
}

/// The folder of the model that ships with this program, wherever it is started from: beside the
/// executable, in the usual place beside `bin/`, or in the source tree it was built from.
pub fn bundled(name: &str) -> Option<PathBuf> {
    let executable = std::env::current_exe().ok().and_then(|path| path.canonicalize().ok());
    let beside = executable.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    beside
        .into_iter()
        .flat_map(|bin| [bin.join("models"), bin.join("../share/tarjim/models")])
        .chain([source])
        .map(|models| models.join(name))
        .find(|folder| folder.join("config.json").is_file())
}

/// The repository behind a model; none for folders and the bundled model.
fn repo_of(model: &ModelRef) -> Option<&str> {
    match model {
        ModelRef::Folder(_) => None,
        ModelRef::Known(manifest) => manifest.repo.as_deref(),
        ModelRef::Repo(id) => Some(id),
    }
}

fn resolved(model: &ModelRef, folder: PathBuf, revision: Option<String>) -> Resolved {
    let manifest = if let ModelRef::Known(manifest) = model { Some(*manifest) } else { None };
    Resolved {
        folder,
        name: model.name(),
        revision,
        licence: manifest.map(|manifest| manifest.licence.id.clone()),
        alignment_head: manifest.and_then(|manifest| manifest.alignment),
        manifest,
    }
}

/// The files of one need as the server has them, config.json aside, which is here already.
fn find(download: &Download<'_>, commit: &str, need: &Need) -> Result<Vec<RemoteFile>, HubError> {
    let (names, required) = match need {
        Need::File(name) if name == "config.json" => return Ok(Vec::new()),
        Need::File(name) => (std::slice::from_ref(name), true),
        Need::Optional(name) => (std::slice::from_ref(name), false),
        Need::OneOf(names) => (names.as_slice(), true),
    };
    for name in names {
        match download.metadata(commit, name) {
            Ok(file) => return Ok(vec![file]),
            Err(HubError::FileNotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    if !required {
        return Ok(Vec::new());
    }
    let (repo, revision) = (download.id.to_string(), commit.to_string());
    Err(HubError::FileNotFound { repo, revision, file: names.join(" or ") })
}

/// Compares the `model_type` that arrived with what the manifest says, or with what this program
/// can run, before gigabytes of weights follow.
fn check_type(model: &ModelRef, snapshot: &Path) -> Result<Vec<Need>, HubError> {
    let model_type = config_type(snapshot).unwrap_or_else(|| "unknown".into());
    let needs = match model {
        ModelRef::Known(manifest) if manifest.model_type == model_type => {
            Some(registry::needs(manifest))
        }
        ModelRef::Known(_) => None,
        _ => registry::needs_of_type(&model_type),
    };
    needs.ok_or_else(|| HubError::UnsupportedType { model: model.name(), model_type })
}

/// Compares the checksums the server announces with those the manifest pins.
fn check_pins(manifest: &Manifest, files: &[RemoteFile]) -> Result<(), HubError> {
    for file in files {
        if let Some(pin) = manifest.sha256.get(&file.name)
            && !pin.eq_ignore_ascii_case(file.checksum.hex())
        {
            return Err(HubError::Checksum {
                file: file.name.clone(),
                expected: pin.clone(),
                found: file.checksum.hex().to_string(),
            });
        }
    }
    Ok(())
}

/// The `model_type` in the config.json of `folder`.
fn config_type(folder: &Path) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Config {
        model_type: String,
    }
    let file = std::fs::File::open(folder.join("config.json")).ok()?;
    let config: Config = serde_json::from_reader(std::io::BufReader::new(file)).ok()?;
    Some(config.model_type)
}

/// The files of `needs` that `folder` has or should have.
fn wanted(folder: &Path, needs: &[Need]) -> Vec<String> {
    let mut files = Vec::new();
    for need in needs {
        match need {
            Need::File(name) => files.push(name.clone()),
            Need::Optional(name) if folder.join(name).exists() => files.push(name.clone()),
            Need::Optional(_) => {}
            Need::OneOf(names) => {
                let here = names.iter().find(|name| folder.join(name).exists());
                files.push(here.cloned().unwrap_or_else(|| names.join(" or ")));
            }
        }
    }
    files
}

/// The files of `needs` that `folder` lacks.
fn missing(folder: &Path, needs: &[Need]) -> Vec<String> {
    wanted(folder, needs).into_iter().filter(|file| !folder.join(file).exists()).collect()
}

fn folder_size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

/// Whether `text` has the form `owner/name` that the hub allows.
fn is_repo_id(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.len() <= 96
            && !part.starts_with(['.', '-'])
            && !part.contains("..")
            && !part.contains("--")
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    text.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
}

/// The known name that looks most like `text`, if one does.
fn nearest(text: &str) -> Option<String> {
    let bigrams = |text: &str| -> Vec<(char, char)> {
        let text = text.to_lowercase();
        text.chars().zip(text.chars().skip(1)).collect()
    };
    let asked = bigrams(text);
    let score = |name: &str| {
        let known = bigrams(name);
        let shared = asked.iter().filter(|pair| known.contains(pair)).count();
        2.0 * shared as f64 / (asked.len() + known.len()).max(1) as f64
    };
    let best = registry::all().iter().map(|m| (score(&m.name), &m.name));
    best.filter(|(score, _)| *score >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_model_is_a_name_a_folder_or_a_repository() {
        let known = ModelRef::parse("opus-mt-ar-en").unwrap();
        assert_eq!(ModelRef::parse("Helsinki-NLP/opus-mt-ar-en").unwrap(), known);
        assert_eq!(
            ModelRef::parse("owner/some-model_1.0").unwrap(),
            ModelRef::Repo("owner/some-model_1.0".into())
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert_eq!(ModelRef::parse(path).unwrap(), ModelRef::Folder(folder.path().into()));
        for wrong in ["", "opus-mt", "./no/such", "/no/such", "a/b/c", "a/..", "../x", "a/b--c"] {
            assert!(ModelRef::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_right_one() {
        let error = ModelRef::parse("opus-mt-aren").unwrap_err();
        assert!(error.hint().unwrap().contains("`opus-mt-ar-en`"), "{error:?}");
        assert_eq!(nearest("zzz"), None);
    }

    #[test]
    fn a_revision_stays_in_the_cache() {
        let mut settings = Settings::from_vars(|_| None);
        settings.revision = Some("../../etc".into());
        let error = Hub::new(settings).locate("opus-mt-ar-en").unwrap_err();
        assert!(error.to_string().contains("cannot be a revision"), "{error}");
    }
}
