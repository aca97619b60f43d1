//! What the value of `--model` can be.

use std::path::PathBuf;

use super::error::HubError;
use super::registry::{self, Manifest};
use super::settings::expand_home;

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
        let path = expand_home(text, std::env::home_dir().as_deref());
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

    /// The repository behind it; none for folders and the bundled model.
    pub fn repo(&self) -> Option<&str> {
        match self {
            ModelRef::Folder(_) => None,
            ModelRef::Known(manifest) => manifest.repo.as_deref(),
            ModelRef::Repo(id) => Some(id),
        }
    }

    /// Its manifest, if it is in the registry.
    pub fn manifest(&self) -> Option<&'static Manifest> {
        match self {
            ModelRef::Known(manifest) => Some(manifest),
            _ => None,
        }
    }
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
}
