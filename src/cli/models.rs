//! `tarjim models`: what there is, what is here, and is it whole.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use indicatif::DecimalBytes;
use serde_json::json;
use tarjim::hub::registry::{self, Manifest};
use tarjim::hub::{FileReport, Hub, HubError, Integrity, Settings, Status, Token};
use tarjim::{Error, Result};

use super::Volume;
use super::progress::HubProgress;

/// Where models come from; understood by every command that loads one.
#[derive(Args, Clone, Debug, Default)]
pub struct HubArgs {
    /// Never use the network [env: HF_HUB_OFFLINE]
    #[arg(long, global = true, help_heading = "Hub options")]
    pub offline: bool,
    /// Branch, tag or commit of the model, or refs/pr/N
    #[arg(long, global = true, value_name = "REV", help_heading = "Hub options")]
    pub revision: Option<String>,
    /// Folder for downloaded models [env: HF_HUB_CACHE, HF_HOME]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Hub options")]
    pub cache_dir: Option<PathBuf>,
    /// Access token for private and gated models [env: HF_TOKEN, which other users cannot see]
    #[arg(long, global = true, value_parser = token, help_heading = "Hub options")]
    pub token: Option<Token>,
    /// Agree to a licence that forbids commercial use [env: TARJIM_ACCEPT_LICENSE]
    #[arg(long, global = true, help_heading = "Hub options")]
    pub accept_license: bool,
}

impl HubArgs {
    /// The environment's settings, overridden by the flags.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::from_env();
        settings.offline |= self.offline;
        settings.accept_licence |= self.accept_license;
        if let Some(dir) = &self.cache_dir {
            settings.cache_dir.clone_from(dir);
        }
        if self.revision.is_some() {
            settings.revision.clone_from(&self.revision);
        }
        if self.token.is_some() {
            settings.token.clone_from(&self.token);
        }
        settings
    }
}

fn token(text: &str) -> Result<Token, String> {
    Token::new(text).ok_or_else(|| "it is empty".into())
}

/// List, fetch, check and remove models
#[derive(Args, Clone, Debug)]
pub struct ModelsArgs {
    /// What to do
    #[command(subcommand)]
    pub command: ModelsCommand,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Where models come from
    #[command(flatten)]
    pub hub: HubArgs,
}

/// The verbs of `tarjim models`.
#[derive(Subcommand, Clone, Debug)]
pub enum ModelsCommand {
    /// Show the known models, and others that are here
    List,
    /// Show all about one model
    Info {
        /// Name, repository or folder
        model: String,
    },
    /// Fetch models, or what is new in them
    Download {
        /// Names or repositories
        #[arg(default_value = registry::DEFAULT)]
        models: Vec<String>,
    },
    /// Compare the files of models with their checksums
    Verify {
        /// Names, repositories or folders; all that are here if none is named
        models: Vec<String>,
    },
    /// Delete models from the cache, all their revisions
    Remove {
        /// Names or repositories
        #[arg(required = true)]
        models: Vec<String>,
    },
    /// Print the folder of a model that is here
    Path {
        /// Name, repository or folder
        #[arg(default_value = registry::DEFAULT)]
        model: String,
    },
}

/// Runs `tarjim models`; results go to `out`.
pub fn run(args: &ModelsArgs, volume: Volume, out: &mut dyn Write) -> Result<()> {
    let settings = args.hub.settings();
    let progress = HubProgress::new(&settings, volume);
    let hub = Hub::new(settings);
    let mut out = Output { out, json: args.json };
    match &args.command {
        ModelsCommand::List => list(&hub, &mut out),
        ModelsCommand::Info { model } => info(&hub, model, &mut out),
        ModelsCommand::Download { models } => {
            for model in models {
                let found = hub.download(model, &progress)?;
                out.put(&json!(found), &found.folder.display().to_string())?;
            }
            Ok(())
        }
        ModelsCommand::Verify { models } => verify(&hub, models, &mut out),
        ModelsCommand::Remove { models } => {
            for model in models {
                let bytes = hub.remove(model)?;
                let text = format!("{model}: removed, {} freed", DecimalBytes(bytes));
                out.put(&json!({ "name": model, "removed_bytes": bytes }), &text)?;
            }
            Ok(())
        }
        ModelsCommand::Path { model } => {
            let found = hub.locate(model)?.ok_or_else(|| HubError::NotCached(model.clone()))?;
            out.put(&json!(found), &found.folder.display().to_string())
        }
    }
}

/// Writes a value as a line of JSON or as text.
struct Output<'a> {
    out: &'a mut dyn Write,
    json: bool,
}

impl Output<'_> {
    fn put(&mut self, value: &serde_json::Value, text: &str) -> Result<()> {
        let written =
            if self.json { writeln!(self.out, "{value}") } else { writeln!(self.out, "{text}") };
        written.map_err(Error::write("<stdout>"))
    }
}

fn list(hub: &Hub, out: &mut Output<'_>) -> Result<()> {
    let models = hub.list();
    let width = models.iter().map(|model| model.name.len()).max().unwrap_or(0);
    let rows: Vec<String> = models
        .iter()
        .map(|model| {
            let size = size(model).map_or("?".into(), |n| DecimalBytes(n).to_string());
            format!(
                "{:width$}  {:9}  {:>9}  {:15}  {:10}  {}",
                model.name,
                model.manifest.map_or("?", task),
                size,
                model.manifest.map_or("?", |manifest| manifest.licence.id.as_str()),
                presence(model),
                model
                    .commit
                    .as_ref()
                    .or(model.revision.as_ref())
                    .map_or("", |revision| short(revision)),
            )
            .trim_end()
            .to_string()
        })
        .collect();
    out.put(&json!(models), &rows.join("\n"))
}

fn info(hub: &Hub, model: &str, out: &mut Output<'_>) -> Result<()> {
    let status = hub.status(model)?;
    let mut lines = vec![("name", status.name.clone()), ("here", presence(&status).into())];
    let mut add = |name, value: Option<String>| lines.extend(value.map(|value| (name, value)));
    add("repository", status.repo.clone());
    add("revision", status.revision.clone());
    add("commit", status.commit.clone());
    add("folder", status.folder.as_ref().map(|path| path.display().to_string()));
    add("size", size(&status).map(|n| DecimalBytes(n).to_string()));
    if let Some(manifest) = status.manifest {
        add("title", Some(manifest.title.clone()));
        add("task", Some(task(manifest).into()));
        add("languages", Some(format!("{} to {}", manifest.source.join(", "), manifest.target)));
        add("type", Some(format!("{}, {}", manifest.model_type, manifest.format)));
        let commercial = if manifest.licence.commercial { "allowed" } else { "not allowed" };
        add("licence", Some(format!("{}; commercial use {commercial}", manifest.licence.id)));
        add("", manifest.licence.note.clone());
        add(
            "alignment",
            manifest.alignment.map(|at| {
                let late = if at.shifted { ", one step late" } else { "" };
                format!("layer {}, head {}{late}", at.layer, at.head)
            }),
        );
        for score in &manifest.quality {
            let text = format!("{} {} {} ({})", score.set, score.metric, score.value, score.source);
            add("quality", Some(text));
        }
        add("notes", manifest.notes.clone());
        let unverified = manifest.unverified.join(", ");
        add("unverified", (!unverified.is_empty()).then_some(unverified));
    }
    let text: Vec<String> =
        lines.iter().map(|(name, value)| format!("{name:11} {value}")).collect();
    out.put(&json!(status), &text.join("\n"))
}

fn verify(hub: &Hub, models: &[String], out: &mut Output<'_>) -> Result<()> {
    let all: Vec<String> =
        hub.list().into_iter().filter(|model| model.cached).map(|model| model.name).collect();
    let models = if models.is_empty() { &all } else { models };
    let mut failed = None;
    for model in models {
        let reports = hub.verify(model)?;
        let text: Vec<String> = reports.iter().map(|report| verdict(model, report)).collect();
        out.put(&json!({ "name": model, "files": reports }), &text.join("\n"))?;
        let wrong = |report: &&FileReport| {
            matches!(report.integrity, Integrity::Damaged | Integrity::Missing)
        };
        let wrong = reports.iter().filter(wrong).count();
        if wrong > 0 && failed.is_none() {
            failed = Some(HubError::Damaged { model: model.clone(), files: wrong });
        }
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

fn verdict(model: &str, report: &FileReport) -> String {
    let verdict = match report.integrity {
        Integrity::Intact => "intact",
        Integrity::Damaged => "DAMAGED",
        Integrity::Missing => "MISSING",
        Integrity::Unknown => "no checksum to compare with",
    };
    format!("{model}: {}: {verdict}", report.file)
}

/// Bytes on disk, or what the manifest expects.
fn size(model: &Status) -> Option<u64> {
    Some(model.bytes)
        .filter(|bytes| *bytes > 0)
        .or_else(|| model.manifest.and_then(|manifest| manifest.size))
}

fn presence(model: &Status) -> &'static str {
    let bundled = model.manifest.is_some_and(Manifest::is_bundled);
    match (bundled, model.cached, model.bytes) {
        (true, true, _) => "bundled",
        (_, true, _) => "cached",
        (_, false, 0) => "-",
        (_, false, _) => "incomplete",
    }
}

fn task(manifest: &Manifest) -> &'static str {
    match manifest.task {
        registry::Task::Translate => "translate",
        registry::Task::Summarize => "summarize",
    }
}

/// The beginning of a commit hash, and a branch name as it is.
fn short(revision: &str) -> &str {
    if revision.len() == 40 { revision.get(..8).unwrap_or(revision) } else { revision }
}
