//! Which licences were shown and agreed to: one small file, so that each is asked about once.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::cache::write_whole;
use super::error::HubError;
use super::progress::{Event, Progress};
use super::registry::Licence;
use super::settings::Settings;

/// What is recorded of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    licence: String,
    commercial: bool,
}

/// The terms of a model whose repository names the licence `id`.
///
/// Commercial use counts as allowed only under licences that are known to allow it.
pub(super) fn from_id(id: Option<&str>) -> Licence {
    const PERMISSIVE: &[&str] = &[
        "apache-2.0",
        "mit",
        "bsd",
        "bsd-2-clause",
        "bsd-3-clause",
        "cc0-1.0",
        "cc-by-2.0",
        "cc-by-3.0",
        "cc-by-4.0",
        "cc-by-sa-3.0",
        "cc-by-sa-4.0",
        "unlicense",
        "isc",
        "zlib",
        "bsl-1.0",
        "gpl-2.0",
        "gpl-3.0",
        "lgpl-3.0",
        "agpl-3.0",
        "mpl-2.0",
    ];
    match id {
        Some(id) => Licence {
            id: id.to_string(),
            commercial: PERMISSIVE.contains(&id.to_ascii_lowercase().as_str()),
            note: None,
        },
        None => Licence { id: "no stated licence".into(), commercial: false, note: None },
    }
}

/// Shows the terms of `model` unless they were shown before, and asks for agreement where they
/// forbid commercial use. The answer is recorded.
pub(super) fn agree(
    model: &str,
    licence: &Licence,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<(), HubError> {
    let path = settings.config_dir.join("licences.toml");
    let mut records = read(&path);
    let record = Record { licence: licence.id.clone(), commercial: licence.commercial };
    if records.get(model) == Some(&record) {
        return Ok(());
    }
    progress.on(&Event::Licence { model, licence });
    if !licence.commercial && !settings.accept_licence {
        return Err(HubError::LicenceNotAccepted {
            model: model.to_string(),
            licence: licence.id.clone(),
        });
    }
    records.insert(model.to_string(), record);
    let text = toml::to_string(&records).unwrap_or_default();
    // Where it cannot be recorded, for example in a container without a home, it is shown again.
    let _ = write_whole(&path, text.as_bytes());
    Ok(())
}

/// The records; none where the file is missing or was edited into something else.
fn read(path: &Path) -> BTreeMap<String, Record> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    toml::from_str(&text).unwrap_or_default()
}
