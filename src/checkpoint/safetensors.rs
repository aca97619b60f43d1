//! The header of a .safetensors file: a length (u64), then JSON naming every tensor.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::view::{DataFile, Dtype, Fault, Storage, View, contiguous};

/// Longest header accepted, as in the format's own library.
const MAX_HEADER: u64 = 100_000_000;

#[derive(serde::Deserialize)]
struct Entry<'a> {
    dtype: &'a str,
    shape: Vec<usize>,
    /// Start and end in bytes, from the end of the header on.
    data_offsets: (u64, u64),
}

/// Every tensor of the file.
pub(super) fn read(file: &DataFile) -> Result<Vec<(String, View)>, Fault> {
    let mut length = [0; 8];
    file.check(0, 8)?;
    file.read_exact_at(0, &mut length)?;
    let header_len = u64::from_le_bytes(length);
    if header_len > MAX_HEADER {
        return Err("its header is too long; this is not a safetensors file".into());
    }
    let header = file.bytes(8, header_len)?;
    let data_start = 8 + header_len;

    let mut json = serde_json::Deserializer::from_slice(&header);
    let mut entries = json.deserialize_map(Header).map_err(|e| format!("its header: {e}"))?;
    json.end().map_err(|e| format!("its header: {e}"))?;

    // The format wants the tensors to tile the data exactly: no gap, no overlap.
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut expected = 0;
    let mut views = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        let (start, end) = entry.data_offsets;
        let dtype = dtype(entry.dtype).ok_or("its header: unknown dtype")?;
        let strides = contiguous(&entry.shape);
        let len = entry.shape.iter().try_fold(1u64, |n, &size| n.checked_mul(size as u64));
        let bytes = len.and_then(|len| len.checked_mul(dtype.width()));
        if start != expected || bytes.is_none() || bytes != end.checked_sub(start) {
            return Err(format!("the offsets of `{name}` do not fit").into());
        }
        expected = end;
        let start = data_start.checked_add(start).ok_or("its offsets are too large")?;
        let storage = Storage { dtype, start, len: len.unwrap_or_default() };
        views.push((name, View::new(file, storage, 0, entry.shape, strides)?));
    }
    match data_start.checked_add(expected) == Some(file.len) {
        true => Ok(views),
        false => Err("its tensors do not add up to its length".into()),
    }
}

fn dtype(name: &str) -> Option<Dtype> {
    let other = |name, width| Some(Dtype::Other { name, width });
    match name {
        "F32" => Some(Dtype::F32),
        "F16" => Some(Dtype::F16),
        "BF16" => Some(Dtype::Bf16),
        "F64" => other("float64", 8),
        "I64" => other("int64", 8),
        "U64" => other("uint64", 8),
        "I32" => other("int32", 4),
        "U32" => other("uint32", 4),
        "I16" => other("int16", 2),
        "U16" => other("uint16", 2),
        "I8" => Some(Dtype::Int8),
        "U8" => other("uint8", 1),
        "F8_E4M3" | "F8_E5M2" => other("float8", 1),
        "BOOL" => other("bool", 1),
        _ => None,
    }
}

/// Reads the header as a list, so that a name given twice is seen.
struct Header;

impl<'de> Visitor<'de> for Header {
    type Value = Vec<(String, Entry<'de>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            match name == "__metadata__" {
                true => drop(map.next_value::<IgnoredAny>()?),
                false => entries.push((name, map.next_value()?)),
            }
        }
        Ok(entries)
    }
}
