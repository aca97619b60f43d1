//! Model folders as the hub lays them out: configuration and weights, nothing trusted.
//!
//! Every weights format is reduced to the same thing, a table of strided views into a file
//! (`view`), which [`Weights`] reads one tensor at a time with positioned reads. Nothing is
//! memory-mapped: tensors are copied to float32 anyway, so a map would save no memory, and a
//! mapped file that shrinks while in use kills the process where a read returns an error.

mod config;
mod pickle;
mod prepared;
mod safetensors;
mod torch;
mod view;
mod weights;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::nn::Compute;
use crate::{Error, Result};

pub use config::{EarlyStopping, GenerationConfig};
pub use prepared::Prepared;
pub use weights::Weights;

/// The files that may hold the weights, the preferred first.
const WEIGHTS: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// A model folder laid out as on the hub.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The folder.
    pub folder: PathBuf,
    config: Map<String, Value>,
    generation: GenerationConfig,
    weights: PathBuf,
    /// Where weights in eight bits are kept.
    prepared: Option<PathBuf>,
}

impl Checkpoint {
    /// Reads the configuration of the model in `folder` and finds its weights.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::metadata(folder).map_err(Error::read(folder))?;
        let missing = |what: String| Error::MissingFile { path: folder.into(), what };

        let config_path = folder.join("config.json");
        if !config_path.is_file() {
            return Err(missing("config.json".into()));
        }
        let config = config::read_object(&config_path)?;
        let generation_path = folder.join("generation_config.json");
        let overrides = match generation_path.is_file() {
            true => config::read_object(&generation_path)?,
            false => Map::new(),
        };
        let generation =
            GenerationConfig::merge((&config_path, &config), (&generation_path, &overrides))?;

        let weights = WEIGHTS
            .iter()
            .map(|name| folder.join(name))
            .find(|path| path.is_file())
            .ok_or_else(|| missing(format!("weights ({})", WEIGHTS.join(", "))))?;
        let folder = folder.into();
        Ok(Checkpoint { folder, config, generation, weights, prepared: None })
    }

    /// Has weights in eight bits kept in this folder from run to run.
    pub fn prepared_in(self, folder: &Path) -> Self {
        Checkpoint { prepared: Some(folder.into()), ..self }
    }

    /// config.json as it stands.
    pub fn config(&self) -> &Map<String, Value> {
        &self.config
    }

    /// config.json read as `T`; an error names the file and the field.
    pub fn parse_config<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        config::parse_map(&self.folder.join("config.json"), &self.config)
    }

    /// How the checkpoint wants to be decoded: generation_config.json over the generation fields
    /// that older checkpoints keep in config.json over transformers' defaults.
    pub fn generation(&self) -> &GenerationConfig {
        &self.generation
    }

    /// The architecture as config.json names it, such as `marian`.
    pub fn model_type(&self) -> Result<&str> {
        let path = self.folder.join("config.json");
        match self.config.get("model_type") {
            Some(Value::String(name)) => Ok(name),
            Some(_) => {
                Err(Error::malformed(path, config::WHAT, "the field `model_type` is not a string"))
            }
            None => Err(Error::malformed(path, config::WHAT, "missing field `model_type`")),
        }
    }

    /// Reads the table of tensors; the tensors themselves are read by [`Weights::get`].
    pub fn weights(&self) -> Result<Weights> {
        Weights::open(&self.weights)
    }

    /// The weights for layers computed so, from what an earlier run prepared where that is at hand.
    pub fn prepared(&self, compute: Compute) -> Result<Prepared> {
        match (&self.prepared, compute) {
            (Some(folder), Compute::Int8) => Prepared::open(&self.weights, folder),
            _ => Ok(Prepared::direct(self.weights()?, compute)),
        }
    }
}
