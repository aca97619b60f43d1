//! The checkpoints this program knows: one manifest each, `models/*.toml`, embedded in the binary.
//!
//! A new checkpoint is one file in `models/` and one line in `SOURCES`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::models::AlignmentHead;
use serde::{Deserialize, Serialize};

/// Name of the checkpoint used when none is named.
pub const DEFAULT: &str = "opus-mt-ar-en";

/// Name of the checkpoint that ships with the program.
pub const BUNDLED: &str = "tarjim-ar-en-tiny";

/// The manifests, in the order `tarjim models list` shows them.
const SOURCES: &[&str] = &[
    include_str!("../../models/opus-mt-ar-en.toml"),
    include_str!("../../models/opus-mt-tc-big-ar-en.toml"),
    include_str!("../../models/tarjim-ar-en-tiny.toml"),
    include_str!("../../models/mt5-crosssum-english.toml"),
    include_str!("../../models/t5-small-summarization.toml"),
];

/// What a checkpoint is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// One language in, another out.
    Translate,
    /// A text in, a shorter one out.
    Summarize,
}

/// The terms a checkpoint is published under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Licence {
    /// Identifier as the hub writes it, such as `cc-by-4.0`.
    pub id: String,
    /// Whether commercial use is allowed. Where it is not, or not known, the reader has to agree.
    pub commercial: bool,
    /// What else the reader should know.
    #[serde(default)]
    pub note: Option<String>,
}

/// Options that suit a checkpoint, where they differ from what its own files say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelOptions {
    /// Hypotheses kept by beam search.
    pub beams: Option<usize>,
    /// Longest input, in tokens.
    pub max_input_tokens: Option<usize>,
    /// Longest output, in tokens.
    pub max_new_tokens: Option<usize>,
    /// Length of the n-grams that may not occur twice.
    pub no_repeat_ngram: Option<usize>,
    /// Text put before every input.
    pub prefix: Option<String>,
}

/// A published score. Never one of ours: those are in docs/performance.md with their commands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// The test set.
    pub set: String,
    /// The metric.
    pub metric: String,
    /// The score, in the metric's usual unit.
    pub value: f64,
    /// Where it is published.
    pub source: String,
}

/// One checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Short name, for `--model`.
    pub name: String,
    /// One line about it.
    pub title: String,
    /// What it is for.
    pub task: Task,
    /// Languages it reads, as ISO 639-1 codes.
    pub source: Vec<String>,
    /// Language it writes.
    pub target: String,
    /// Repository on the hub, `owner/name`; none for the checkpoint that ships with the program.
    #[serde(default)]
    pub repo: Option<String>,
    /// Commit, branch, tag or `refs/pr/N`.
    #[serde(default = "main_branch")]
    pub revision: String,
    /// `model_type` that its config.json must have.
    pub model_type: String,
    /// Files it cannot run without, weights aside.
    pub files: Vec<String>,
    /// Files fetched where the repository has them.
    #[serde(default)]
    pub optional: Vec<String>,
    /// Weights, best first: the first that the repository has is fetched.
    pub weights: Vec<String>,
    /// How the weights are stored.
    pub format: String,
    /// Bytes to fetch, about.
    #[serde(default)]
    pub size: Option<u64>,
    /// The head trained to align words, if there is one.
    #[serde(default)]
    pub alignment: Option<AlignmentHead>,
    /// SHA-256 by file name, where known beforehand, of files that the hub keeps in LFS or that
    /// ship with the program; checked besides what the server says.
    #[serde(default)]
    pub sha256: BTreeMap<String, String>,
    /// The terms.
    pub licence: Licence,
    /// Options that suit it.
    #[serde(default)]
    pub options: ModelOptions,
    /// Published scores.
    #[serde(default)]
    pub quality: Vec<Quality>,
    /// What else to know.
    #[serde(default)]
    pub notes: Option<String>,
    /// Fields above that could not be checked against the hub when this was written. The program
    /// goes by what the server and the downloaded files say.
    #[serde(default)]
    pub unverified: Vec<String>,
}

fn main_branch() -> String {
    "main".into()
}

impl Manifest {
    /// Reads one manifest.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Whether it ships with the program instead of living on the hub.
    pub fn is_bundled(&self) -> bool {
        self.repo.is_none()
    }
}

/// Every known checkpoint.
pub fn all() -> &'static [Manifest] {
    static ALL: OnceLock<Vec<Manifest>> = OnceLock::new();
    // That each of them parses is a test; a broken one would be missing here, not fatal.
    ALL.get_or_init(|| SOURCES.iter().filter_map(|text| Manifest::parse(text).ok()).collect())
}

/// The checkpoint of that short name, or of that repository.
pub fn find(name: &str) -> Option<&'static Manifest> {
    all().iter().find(|m| m.name == name || m.repo.as_deref() == Some(name))
}

/// What a model needs to run, from its repository or snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// This file.
    File(String),
    /// This file, if there is one.
    Optional(String),
    /// One of these files, best first.
    OneOf(Vec<String>),
}

/// The needs of a registered checkpoint; config.json comes first, for it is read before the rest
/// is fetched.
pub(super) fn needs(manifest: &Manifest) -> Vec<Need> {
    let mut needs: Vec<Need> = manifest.files.iter().cloned().map(Need::File).collect();
    needs.sort_by_key(|need| *need != Need::File("config.json".into()));
    needs.extend(manifest.optional.iter().cloned().map(Need::Optional));
    needs.push(Need::OneOf(manifest.weights.clone()));
    needs
}

/// The needs of a model outside the registry, by the `model_type` of its config.json; none for a
/// type that this program has no code for.
pub(super) fn needs_of_type(model_type: &str) -> Option<Vec<Need>> {
    let file = |name: &str| Need::File(name.into());
    let mut needs = vec![file("config.json")];
    needs.extend(
        ["generation_config.json", "tokenizer_config.json", "special_tokens_map.json"]
            .map(|name| Need::Optional(name.into())),
    );
    match model_type {
        "marian" => needs.extend(["source.spm", "target.spm", "vocab.json"].map(file)),
        "t5" | "mt5" => {
            needs.push(Need::OneOf(vec!["spiece.model".into(), "tokenizer.json".into()]));
        }
        _ => return None,
    }
    needs.push(Need::OneOf(vec!["model.safetensors".into(), "pytorch_model.bin".into()]));
    Some(needs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_manifest_parses_and_holds_together() {
        for text in SOURCES {
            let manifest = Manifest::parse(text).unwrap();
            assert!(manifest.files.contains(&"config.json".to_string()), "{}", manifest.name);
            assert!(!manifest.weights.is_empty(), "{}", manifest.name);
            assert!(needs_of_type(&manifest.model_type).is_some(), "{}", manifest.name);
            assert!(
                manifest.files.iter().chain(&manifest.weights).all(|f| !f.contains("..")),
                "{}",
                manifest.name
            );
            let named: toml::Table = toml::from_str(text).unwrap();
            for field in &manifest.unverified {
                assert!(named.contains_key(field), "{}: no field {field}", manifest.name);
            }
        }
        assert_eq!(all().len(), SOURCES.len());
    }

    #[test]
    fn names_and_repositories_are_unique_and_both_found() {
        for manifest in all() {
            assert_eq!(find(&manifest.name).unwrap().name, manifest.name);
            if let Some(repo) = &manifest.repo {
                assert_eq!(find(repo).unwrap().name, manifest.name);
            }
        }
        assert!(find(DEFAULT).is_some());
        assert!(find(BUNDLED).unwrap().is_bundled());
        assert!(find("opus-mt-xx-yy").is_none());
    }

    #[test]
    fn config_is_needed_first_and_weights_last() {
        let needs = needs(find(DEFAULT).unwrap());
        assert_eq!(needs[0], Need::File("config.json".into()));
        assert!(matches!(needs.last(), Some(Need::OneOf(weights)) if weights.len() == 2));
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let text = SOURCES[0].replace("task =", "tusk =");
        assert!(Manifest::parse(&text).is_err());
    }
}
