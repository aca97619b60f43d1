//! pytorch_model.bin: a pickled state dict and its storages, either in a zip archive (torch 1.6
//! and later) or one behind the other (earlier).

use std::collections::HashMap;
use std::io::{BufReader, Read, Seek};

use super::pickle::{Global, Id, Pickle, StorageKind, Value};
use super::view::{DataFile, Dtype, Fault, Storage, View};

/// The pickle that a file without an archive starts with: a magic number.
pub(super) const LEGACY_MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// What a zip archive starts with.
pub(super) const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// Every tensor of a file that starts with [`ZIP_MAGIC`].
pub(super) fn read_zip(file: &DataFile) -> Result<Vec<(String, View)>, Fault> {
    let mut archive = zip::ZipArchive::new(BufReader::new(file.reader_at(0))).map_err(not_a_zip)?;
    let name = archive
        .file_names()
        .filter_map(|name| name.ok())
        .find(|name| name.ends_with("/data.pkl"))
        .ok_or("it is a zip archive but not of a torch checkpoint: it has no data.pkl")?;
    let folder = name.trim_end_matches("data.pkl").to_owned();

    if let Some((start, len)) = entry(file, &mut archive, &format!("{folder}byteorder"))?
        && file.bytes(start, len.min(16))? != b"little"
    {
        return Err("it was written on a big-endian machine".into());
    }
    let (start, len) = entry(file, &mut archive, &format!("{folder}data.pkl"))?
        .ok_or("its data.pkl is missing")?;
    let pickle = Pickle::read(&mut BufReader::new(file.reader_at(start).take(len)))?;

    let state = StateDict { pickle: &pickle };
    let mut starts = HashMap::new();
    for (key, (dtype, len)) in state.storages()? {
        let (start, bytes) = entry(file, &mut archive, &format!("{folder}data/{key}"))?
            .ok_or_else(|| format!("its storage {key:?} is missing"))?;
        if len.checked_mul(dtype.width()).is_none_or(|needed| needed > bytes) {
            return Err(format!("its storage {key:?} is too short").into());
        }
        starts.insert(key, start);
    }
    state.tensors(file, &starts)
}

/// Where an entry of the archive lies: byte offset and length.
fn entry<R: Read + Seek>(
    file: &DataFile,
    archive: &mut zip::ZipArchive<R>,
    name: &str,
) -> Result<Option<(u64, u64)>, Fault> {
    let Some(index) = archive.index_for_name(name) else { return Ok(None) };
    let entry = archive.by_index_raw(index).map_err(not_a_zip)?;
    // Torch never compresses. So the tensors can be read in place, and no archive unpacks to more
    // than its own size.
    let stored = entry.compression() == zip::CompressionMethod::Stored;
    if !stored || entry.encrypted() || entry.compressed_size() != entry.size() {
        return Err(format!("its entry {name:?} is compressed or encrypted").into());
    }
    let start = entry.data_start().ok_or("an entry of its archive has no place")?;
    file.check(start, entry.size())?;
    Ok(Some((start, entry.size())))
}

fn not_a_zip(error: zip::result::ZipError) -> Fault {
    match error {
        zip::result::ZipError::Io(error) => Fault::Io(error),
        error => format!("its zip archive: {error}").into(),
    }
}

/// Every tensor of a file that starts with [`LEGACY_MAGIC`]: the magic number, the version of the
/// format, facts about the machine, the state dict, the keys of the storages, each a pickle; then
/// the storages, each behind its length (i64, in numbers).
pub(super) fn read_legacy(file: &DataFile) -> Result<Vec<(String, View)>, Fault> {
    let mut reader = BufReader::new(file.reader_at(LEGACY_MAGIC.len() as u64));
    let version = Pickle::read(&mut reader)?;
    if !matches!(version.get(version.root), Value::Int(1001)) {
        return Err("it is of an unknown version of torch's format".into());
    }
    check_machine(&Pickle::read(&mut reader)?)?;
    let pickle = Pickle::read(&mut reader)?;
    let keys = Pickle::read(&mut reader)?;
    let Value::List(key_ids) = keys.get(keys.root) else {
        return Err("the keys of its storages are not a list".into());
    };

    let state = StateDict { pickle: &pickle };
    let storages = state.storages()?;
    let mut at = reader.stream_position()?;
    let mut starts = HashMap::new();
    for &id in key_ids {
        let Value::Text(key) = keys.get(id) else {
            return Err("the key of a storage is not a string".into());
        };
        let (dtype, len) = storages.get(key.as_str()).ok_or("a storage belongs to no tensor")?;
        let mut written = [0; 8];
        file.check(at, 8)?;
        file.read_exact_at(at, &mut written)?;
        if u64::from_le_bytes(written) != *len {
            return Err(format!("its storage {key:?} has another length than announced").into());
        }
        let bytes = len.checked_mul(dtype.width()).ok_or("a storage is too large")?;
        file.check(at + 8, bytes)?;
        starts.insert(key.as_str(), at + 8);
        at += 8 + bytes;
    }
    state.tensors(file, &starts)
}

/// Fails unless the machine that wrote the file was little-endian.
fn check_machine(pickle: &Pickle) -> Result<(), Fault> {
    let Value::Dict(items) = pickle.get(pickle.root) else {
        return Err("its facts about the machine are not a dict".into());
    };
    let big = items.iter().any(|&(key, value)| {
        matches!(pickle.get(key), Value::Text(key) if key == "little_endian")
            && matches!(pickle.get(value), Value::Bool(false))
    });
    match big {
        true => Err("it was written on a big-endian machine".into()),
        false => Ok(()),
    }
}

/// A pickled dict from names to tensors.
struct StateDict<'a> {
    pickle: &'a Pickle,
}

impl<'a> StateDict<'a> {
    /// Type and length in numbers of every storage that the pickle mentions, by key.
    fn storages(&self) -> Result<HashMap<&'a str, (Dtype, u64)>, Fault> {
        let mut storages = HashMap::new();
        for value in &self.pickle.values {
            if let Value::Persistent(id) = value {
                let (key, dtype, len) = self.storage(*id)?;
                if storages.insert(key, (dtype, len)).is_some_and(|old| old != (dtype, len)) {
                    return Err(format!("its storage {key:?} is described in two ways").into());
                }
            }
        }
        Ok(storages)
    }

    /// `("storage", torch.FloatStorage, key, location, length)`, to which the older format adds
    /// None or, before torch 1.0, a part of the storage.
    fn storage(&self, id: Id) -> Result<(&'a str, Dtype, u64), Fault> {
        let (&[tag, kind, key, _location, len], rest) =
            self.tuple(id)?.split_first_chunk::<5>().ok_or("a storage is described too briefly")?;
        if rest.iter().any(|&part| !matches!(self.pickle.get(part), Value::None)) {
            return Err("its tensors share parts of storages as torch did before 1.0".into());
        }
        match (self.pickle.get(tag), self.pickle.get(kind), self.pickle.get(key)) {
            (Value::Text(tag), Value::Global(Global::Storage(kind)), Value::Text(key))
                if tag == "storage" =>
            {
                Ok((key, dtype(*kind), self.size(len)? as u64))
            }
            _ => Err("a storage is not described as one".into()),
        }
    }

    /// The tensors, their storages beginning at the byte offsets `starts`. Values that are no
    /// tensors are passed over.
    fn tensors(
        &self,
        file: &DataFile,
        starts: &HashMap<&str, u64>,
    ) -> Result<Vec<(String, View)>, Fault> {
        let Value::Dict(items) = self.pickle.get(self.pickle.root) else {
            return Err("it does not hold a dict of tensors".into());
        };
        let mut tensors = Vec::new();
        for &(name, value) in items {
            let Value::Text(name) = self.pickle.get(name) else { continue };
            let arguments = match self.pickle.get(value) {
                Value::Call(Global::RebuildParameter, arguments) => {
                    let tensor = self.tuple(*arguments)?.first().ok_or("an empty parameter")?;
                    self.pickle.get(*tensor)
                }
                value => value,
            };
            let Value::Call(Global::RebuildTensor, arguments) = arguments else { continue };
            let view = self.tensor(file, *arguments, starts).map_err(|fault| match fault {
                Fault::Bad(detail) => Fault::Bad(format!("{detail} (tensor {name:?})")),
                fault => fault,
            })?;
            tensors.push((name.clone(), view));
        }
        Ok(tensors)
    }

    /// The arguments of `_rebuild_tensor_v2(storage, offset, size, stride, …)`.
    fn tensor(
        &self,
        file: &DataFile,
        arguments: Id,
        starts: &HashMap<&str, u64>,
    ) -> Result<View, Fault> {
        let (&[storage, offset, size, stride], _) = self
            .tuple(arguments)?
            .split_first_chunk::<4>()
            .ok_or("a tensor is described too briefly")?;
        let Value::Persistent(storage) = self.pickle.get(storage) else {
            return Err("a tensor has no storage".into());
        };
        let (key, dtype, len) = self.storage(*storage)?;
        let start = *starts.get(key).ok_or("a tensor's storage is missing")?;
        let storage = Storage { dtype, start, len };
        let offset = self.size(offset)? as u64;
        View::new(file, storage, offset, self.sizes(size)?, self.sizes(stride)?)
    }

    fn tuple(&self, id: Id) -> Result<&'a [Id], Fault> {
        match self.pickle.get(id) {
            Value::Tuple(items) => Ok(items),
            _ => Err("its pickle lacks a tuple".into()),
        }
    }

    fn size(&self, id: Id) -> Result<usize, Fault> {
        match self.pickle.get(id) {
            Value::Int(size) => usize::try_from(*size).map_err(|_| "a size is negative".into()),
            _ => Err("a size is not a number".into()),
        }
    }

    fn sizes(&self, id: Id) -> Result<Vec<usize>, Fault> {
        self.tuple(id)?.iter().map(|&size| self.size(size)).collect()
    }
}

fn dtype(kind: StorageKind) -> Dtype {
    let other = |name, width| Dtype::Other { name, width };
    match kind {
        StorageKind::Float => Dtype::F32,
        StorageKind::Half => Dtype::F16,
        StorageKind::BFloat16 => Dtype::Bf16,
        StorageKind::Double => other("float64", 8),
        StorageKind::Long => other("int64", 8),
        StorageKind::Int => other("int32", 4),
        StorageKind::Short => other("int16", 2),
        StorageKind::Char => other("int8", 1),
        StorageKind::Byte => other("uint8", 1),
        StorageKind::Bool => other("bool", 1),
    }
}
