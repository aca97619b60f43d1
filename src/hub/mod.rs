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
mod inspect;
mod licence;
mod lock;
mod model;
pub mod progress;
pub mod registry;
pub mod settings;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::Serialize;

use crate::Result;
use crate::models::AlignmentHead;
use cache::{Cache, is_inside};
use client::{Remote, RemoteFile};
use download::Download;
pub use error::HubError;
pub use inspect::{FileReport, Integrity, Status};
pub use model::ModelRef;
pub use progress::{Event, Progress};
use registry::Need;
pub use registry::{Licence, Manifest};
pub use settings::{Settings, Token};

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

    /// The default model of the registry; or, where it is not here and no server can be reached,
    /// the bundled model and why.
    pub fn resolve_default(&self, progress: &dyn Progress) -> Result<(Resolved, Option<HubError>)> {
        match self.resolve(registry::DEFAULT, progress) {
            Ok(resolved) => Ok((resolved, None)),
            Err(crate::Error::Hub(reason)) if reason.is_network() => {
                Ok((self.resolve(registry::BUNDLED, progress)?, Some(reason)))
            }
            Err(error) => Err(error),
        }
    }

    /// The folder of `model` after asking the server for what is missing or newer.
    pub fn download(&self, model: &str, progress: &dyn Progress) -> Result<Resolved> {
        let model = ModelRef::parse(model)?;
        match (model.repo(), self.locate_ref(&model)?) {
            (None, Some(found)) => Ok(found),
            _ => self.fetch(&model, progress),
        }
    }

    /// The folder of `model` if all it needs is here already.
    pub fn locate(&self, model: &str) -> Result<Option<Resolved>> {
        Ok(self.locate_ref(&ModelRef::parse(model)?)?)
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
        let repo = match (model, model.repo()) {
            (_, Some(repo)) => self.cache.repo(repo),
            (ModelRef::Folder(path), _) => return Ok(Some(resolved(model, path.clone(), None))),
            _ => return Ok(bundled(&model.name()).map(|path| resolved(model, path, None))),
        };
        let commit = repo.commit(&self.revision(model)?);
        let complete = |commit: &String| {
            let snapshot = repo.snapshot(commit);
            let needs = needs(model, &snapshot);
            !needs.is_empty() && missing(&snapshot, &needs).is_empty()
        };
        Ok(commit
            .filter(complete)
            .map(|commit| resolved(model, repo.snapshot(&commit), Some(commit))))
    }

    /// Gets what is missing from the server.
    fn fetch(&self, model: &ModelRef, progress: &dyn Progress) -> Result<Resolved> {
        let name = model.name();
        let Some(id) = model.repo() else {
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

fn resolved(model: &ModelRef, folder: PathBuf, revision: Option<String>) -> Resolved {
    let manifest = model.manifest();
    Resolved {
        folder,
        name: model.name(),
        revision,
        licence: manifest.map(|manifest| manifest.licence.id.clone()),
        alignment_head: manifest.and_then(|manifest| manifest.alignment),
        manifest,
    }
}

/// What `model` needs to be in `folder`. For one outside the registry the config.json there tells,
/// and without it nothing is known.
fn needs(model: &ModelRef, folder: &Path) -> Vec<Need> {
    match model.manifest() {
        Some(manifest) => registry::needs(manifest),
        None => config_type(folder)
            .and_then(|model_type| registry::needs_of_type(&model_type))
            .unwrap_or_default(),
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

/// Compares the checksums the server announces with those the manifest pins. It announces SHA-256
/// for the large files only; a small one is held to the git checksum that comes with its commit.
fn check_pins(manifest: &Manifest, files: &[RemoteFile]) -> Result<(), HubError> {
    for file in files {
        if let Some(pin) = manifest.sha256.get(&file.name)
            && pin.len() == file.checksum.hex().len()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_revision_stays_in_the_cache() {
        let mut settings = Settings::from_vars(|_| None);
        settings.revision = Some("../../etc".into());
        let error = Hub::new(settings).locate("opus-mt-ar-en").unwrap_err();
        assert!(error.to_string().contains("cannot be a revision"), "{error}");
    }
}
