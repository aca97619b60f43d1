//! Weights in eight bits kept from run to run: a quarter of the bytes to read, and nothing to round.
//!
//! The first run rounds the checkpoint's weights and writes what the model asked for into a
//! safetensors file; later runs read that. Both give the same bits.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use candle_core::Tensor;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};

use super::Weights;
use crate::Result;
use crate::nn::{Compute, Table, with_values};

/// Smaller files are rounded as fast as a second one is read.
const LEAST_BYTES: u64 = if cfg!(test) { 1 } else { 32 << 20 };

/// Goes into the names of files: a change of the format makes others.
const FORMAT: &str = "tarjim int8 1";

/// Weights as layers want them.
#[derive(Debug)]
pub struct Prepared {
    weights: Weights,
    compute: Compute,
    /// What is to be written, and where.
    made: Option<(PathBuf, RefCell<BTreeMap<String, Made>>)>,
}

/// A tensor of the file: its type, its shape, and its bytes.
type Made = (Dtype, Vec<usize>, Vec<u8>);

impl Prepared {
    /// The weights in the file `path`, from the copy of them in `folder` if there is one; else a copy
    /// is made by [`Prepared::keep`].
    pub fn open(path: &Path, folder: &Path) -> Result<Self> {
        let copy = copy_of(path, folder);
        if let Some(copy) = &copy
            && copy.is_file()
            // One that was damaged is made anew.
            && let Ok(weights) = Weights::open(copy)
        {
            return Ok(Self::direct(weights, Compute::Int8));
        }
        let made = copy.map(|copy| (copy, RefCell::default()));
        Ok(Prepared { made, ..Self::direct(Weights::open(path)?, Compute::Int8) })
    }

    /// Weights of which no copy is kept.
    pub fn direct(weights: Weights, compute: Compute) -> Self {
        Prepared { weights, compute, made: None }
    }

    /// See [`Weights::contains`].
    pub fn contains(&self, name: &str) -> bool {
        self.weights.contains(name)
    }

    /// See [`Weights::get`].
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let tensor = self.weights.get(name, shape)?;
        if let Some((_, made)) = &self.made {
            let bytes = with_values(&tensor, to_bytes)?;
            made.borrow_mut().insert(name.into(), (Dtype::F32, shape.to_vec(), bytes));
        }
        Ok(tensor)
    }

    /// A matrix in the numbers that layers are computed with.
    pub fn table(&self, name: &str, shape: [usize; 2]) -> Result<Table> {
        let table = self.weights.table(name, shape)?.converted(self.compute)?;
        if let (Some((_, made)), Table::Int8(table)) = (&self.made, &table) {
            let mut made = made.borrow_mut();
            let values = table.values().iter().map(|&x| x as u8).collect();
            made.insert(name.into(), (Dtype::I8, shape.to_vec(), values));
            let scales = (Dtype::F32, shape[..1].to_vec(), to_bytes(table.scales()));
            made.insert(format!("{name}.scales"), scales);
        }
        Ok(table)
    }

    /// Writes what was asked for, if there was no copy yet. That it cannot be written is no error:
    /// the next run will do without, too.
    pub fn keep(self) {
        let Some((path, made)) = self.made else { return };
        let made = made.into_inner();
        let views = made.iter().map(|(name, (dtype, shape, bytes))| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name, view))
        });
        let Ok(views) = views.collect::<Result<Vec<_>, _>>() else { return };
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(folder)?;
            let file = tempfile::NamedTempFile::new_in(folder)?;
            safetensors::serialize_to_file(views, None, file.path())
                .map_err(std::io::Error::other)?;
            file.persist(&path)?;
            // What was made of an earlier state of the same file.
            let of = name.to_string_lossy();
            let of = of.split('-').next().unwrap_or_default();
            for other in std::fs::read_dir(folder)?.flatten() {
                let other = other.path();
                let stale = other.file_name().is_some_and(|name| {
                    let name = name.to_string_lossy();
                    name.starts_with(of) && name.ends_with(".safetensors")
                });
                if stale && other != path {
                    std::fs::remove_file(other)?;
                }
            }
            Ok(())
        };
        drop(write());
    }
}

fn to_bytes(x: &[f32]) -> Vec<u8> {
    x.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// The copy of a weights file: named by where that lies, its length and the time it was last changed.
/// None of a small one.
fn copy_of(path: &Path, folder: &Path) -> Option<PathBuf> {
    // In the hub's cache, a link to a file named by its contents.
    let path = path.canonicalize().ok()?;
    let about = path.metadata().ok()?;
    if about.len() < LEAST_BYTES {
        return None;
    }
    let changed = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    let hash = Sha256::digest(format!("{FORMAT}\n{}", path.display()));
    let hash: String = hash[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    Some(folder.join(format!("{hash}-{}-{changed}.safetensors", about.len())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::models;

    fn golden() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/marian/untied")
    }

    /// Log-probabilities of the first token.
    fn bits(checkpoint: &Checkpoint, compute: Compute) -> Vec<u32> {
        let model = models::load(checkpoint, None, compute).unwrap();
        let mut session = model.start(&[&[5, 6, 7, 0]]).unwrap();
        session.step(&[model.info().decoder_start], 1, &[vec![]]).unwrap();
        (0..model.info().target_vocab as u32).map(|id| session.log_prob(0, id).to_bits()).collect()
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    #[test]
    fn a_copy_gives_the_same_bits() {
        let dir = tempfile::tempdir().unwrap();
        let kept = dir.path().join("kept");
        let plain = Checkpoint::open(&golden()).unwrap();
        let checkpoint = plain.clone().prepared_in(&kept);
        let expected = bits(&plain, Compute::Int8);
        bits(&checkpoint, Compute::Float32);
        assert!(!kept.exists(), "nothing is rounded for float32");
        assert_eq!(bits(&checkpoint, Compute::Int8), expected, "the run that makes the copy");
        let [copy] = &files(&kept)[..] else { panic!("one copy") };
        assert!(copy.metadata().unwrap().len() * 2 < 3 * 111_602 / 2);
        assert_eq!(bits(&checkpoint, Compute::Int8), expected, "a run that reads it");

        // The copy is really read, and one that was cut off is made anew.
        let whole = std::fs::read(copy).unwrap();
        let mut other = whole.clone();
        let middle = other.len() / 2;
        other[middle..].iter_mut().step_by(3).for_each(|byte| *byte ^= 1);
        std::fs::write(copy, &other).unwrap();
        assert_ne!(bits(&checkpoint, Compute::Int8), expected);
        std::fs::write(copy, &whole[..middle]).unwrap();
        assert_eq!(bits(&checkpoint, Compute::Int8), expected);
        assert_eq!(std::fs::read(copy).unwrap(), whole);
    }

    #[test]
    fn copies_of_older_files_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (model, kept) = (dir.path().join("model"), dir.path().join("kept"));
        std::fs::create_dir(&model).unwrap();
        for name in ["config.json", "model.safetensors"] {
            std::fs::copy(golden().join(name), model.join(name)).unwrap();
        }
        let load = || bits(&Checkpoint::open(&model).unwrap().prepared_in(&kept), Compute::Int8);
        load();
        let first = files(&kept);
        let file = std::fs::File::options().write(true).open(model.join("model.safetensors"));
        file.unwrap().set_modified(std::time::SystemTime::now()).unwrap();
        load();
        let second = files(&kept);
        assert!(first.len() == 1 && second.len() == 1 && first != second);
    }
}
