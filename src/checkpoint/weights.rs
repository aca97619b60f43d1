//! Named tensors of one or several files.

use std::collections::{BTreeMap, btree_map};
use std::ffi::OsStr;
use std::path::{Component, Path};

use candle_core::{Device, Tensor};

use super::view::{DataFile, Fault, View};
use super::{config, safetensors, torch};
use crate::nn::Table;
use crate::nn::kernels::ByteTable;
use crate::{Error, Result};

const WHAT: &str = "weights file";
/// Longest index of shards read.
const MAX_INDEX_BYTES: u64 = 16 << 20;
/// How many times the bytes of its files the tensors may take as float32. Half precision doubles;
/// tied embeddings are one storage under up to four names. More is a file made to fill memory.
const MAX_GROWTH: u64 = 8;

/// Named tensors, each read as float32 when it is asked for.
#[derive(Debug)]
pub struct Weights {
    files: Vec<DataFile>,
    /// By name: the index of the file and the place in it.
    tensors: BTreeMap<String, (usize, View)>,
}

impl Weights {
    /// Reads the table of the weights in `path`: .safetensors, .bin, or an .index.json of shards
    /// that lie beside it.
    pub fn open(path: &Path) -> Result<Self> {
        let mut weights = Weights { files: Vec::new(), tensors: BTreeMap::new() };
        match path.extension() == Some(OsStr::new("json")) {
            true => weights.add_shards(path)?,
            false => weights.add(DataFile::open(path)?, |_| true)?,
        }
        Ok(weights)
    }

    /// Reads the table of weights held in memory, as if read from `path`.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let mut weights = Weights { files: Vec::new(), tensors: BTreeMap::new() };
        weights.add(DataFile::from_bytes(path, bytes), |_| true)?;
        Ok(weights)
    }

    /// Names of all tensors, in alphabetic order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|(_, view)| view.shape.as_slice())
    }

    /// A tensor as float32 on the CPU. It must have this shape and finite numbers.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let Some((file, view)) = self.tensors.get(name) else {
            let path = self.files.first().map(|file| file.path.as_path());
            let detail = format!("the tensor `{name}` is missing");
            return Err(Error::malformed(path.unwrap_or(Path::new("")), WHAT, detail));
        };
        let file = &self.files[*file];
        if view.shape != shape {
            let detail = format!("`{name}` is {:?}, the model needs {shape:?}", view.shape);
            return Err(Error::malformed(&file.path, WHAT, detail));
        }
        let numbers = view.read(file).map_err(|fault| match fault {
            Fault::Bad(detail) => Fault::Bad(format!("`{name}`: {detail}")).at(&file.path),
            fault => fault.at(&file.path),
        })?;
        Ok(Tensor::from_vec(numbers, shape, &Device::Cpu)?)
    }

    /// A matrix as it is kept: in float32, or as 8-bit integers with a tensor `NAME.scales` beside
    /// them, a scale a row. It must have this shape and finite numbers.
    pub fn table(&self, name: &str, shape: [usize; 2]) -> Result<Table> {
        match self.tensors.get(name) {
            Some((file, view)) if view.is_int8() && view.shape == shape => {
                let scales = self.get(&format!("{name}.scales"), &shape[..1])?;
                let values = view.read_bytes(&self.files[*file]);
                let values = values.map_err(|fault| fault.at(&self.files[*file].path))?;
                Ok(Table::Int8(ByteTable::new(shape[1], values, scales.to_vec1()?)?))
            }
            _ => Ok(Table::Float32(self.get(name, &shape)?)),
        }
    }

    /// The first tensor of these names that there is; it must be as for [`Weights::get`].
    pub fn get_any(&self, names: &[&str], shape: &[usize]) -> Result<Option<Tensor>> {
        match names.iter().find(|name| self.contains(name)) {
            Some(name) => self.get(name, shape).map(Some),
            None => Ok(None),
        }
    }

    /// Adds the tensors of one file that are `wanted`.
    fn add(&mut self, file: DataFile, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let views = parse(&file).map_err(|fault| fault.at(&file.path))?;
        let malformed = |detail: String| Error::malformed(&file.path, WHAT, detail);
        let loaded =
            views.iter().try_fold(0u64, |sum, (_, view)| sum.checked_add(view.loaded_bytes()));
        if loaded.is_none_or(|loaded| loaded / MAX_GROWTH > file.len) {
            return Err(malformed("its tensors are far larger than itself".into()));
        }
        for (name, view) in views.into_iter().filter(|(name, _)| wanted(name)) {
            match self.tensors.entry(name) {
                btree_map::Entry::Vacant(entry) => entry.insert((self.files.len(), view)),
                btree_map::Entry::Occupied(entry) => {
                    return Err(malformed(format!("`{}` is there twice", entry.key())));
                }
            };
        }
        self.files.push(file);
        Ok(())
    }

    /// Adds the tensors that an index file names, each from the shard it gives.
    fn add_shards(&mut self, path: &Path) -> Result<()> {
        #[derive(serde::Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        const WHAT: &str = "index of weights files";
        let bytes = config::read_bounded(path, MAX_INDEX_BYTES, WHAT)?;
        let index: Index =
            serde_json::from_slice(&bytes).map_err(|error| Error::malformed(path, WHAT, error))?;

        let mut shards: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, shard) in &index.weight_map {
            shards.entry(shard).or_default().push(name); // in alphabetic order
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        for (shard, names) in shards {
            if !is_plain_file_name(shard) {
                let detail = format!("{shard:?} is not the name of a file beside it");
                return Err(Error::malformed(path, WHAT, detail));
            }
            let file = folder.join(shard);
            if !file.is_file() {
                return Err(Error::MissingFile { path: folder.into(), what: shard.into() });
            }
            self.add(DataFile::open(&file)?, |name| names.binary_search(&name).is_ok())?;
            if let Some(name) = names.iter().find(|name| !self.contains(name)) {
                let detail = format!("the tensor `{name}` is missing");
                return Err(Error::malformed(file, self::WHAT, detail));
            }
        }
        Ok(())
    }
}

/// The tensors of one file, whose format shows in its first bytes.
fn parse(file: &DataFile) -> Result<Vec<(String, View)>, Fault> {
    let start = file.bytes(0, file.len.min(32))?;
    if start.starts_with(torch::ZIP_MAGIC) {
        torch::read_zip(file)
    } else if start.starts_with(torch::LEGACY_MAGIC) {
        torch::read_legacy(file)
    } else if start.starts_with(b"version https://git-lfs") {
        Err("it is a Git LFS pointer that stands for the file".into())
    } else if file.path.extension() == Some(OsStr::new("safetensors")) {
        safetensors::read(file)
    } else {
        Err("it is neither safetensors nor written by torch.save".into())
    }
}

fn is_plain_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let plain = matches!(components.next(), Some(Component::Normal(first)) if first == name);
    plain && components.next().is_none() && !name.contains(['\\', ':', '\0'])
}
