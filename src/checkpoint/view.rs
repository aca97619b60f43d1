//! A file read at given places, and tensors as strided views into it.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::{Error, Result};

/// Most dimensions of a tensor; weights have one to four.
const MAX_RANK: usize = 8;
/// Elements converted at a time.
const CHUNK: usize = 1 << 16;

/// What goes wrong while a weights file is parsed.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file cannot be read.
    Io(io::Error),
    /// What it says makes no sense.
    Bad(String),
}

impl Fault {
    /// The crate's error for a fault in the file `path`.
    pub fn at(self, path: &Path) -> Error {
        match self {
            Fault::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Error::malformed(path, "weights file", "it ends early")
            }
            Fault::Io(source) => Error::Read { path: path.into(), source },
            Fault::Bad(detail) => Error::malformed(path, "weights file", detail),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Io(error)
    }
}

impl From<&str> for Fault {
    fn from(detail: &str) -> Self {
        Fault::Bad(detail.into())
    }
}

impl From<String> for Fault {
    fn from(detail: String) -> Self {
        Fault::Bad(detail)
    }
}

trait Source: Read + Seek + Send {}
impl<T: Read + Seek + Send> Source for T {}

/// A file that is read at given places, from any thread.
pub(super) struct DataFile {
    pub path: PathBuf,
    pub len: u64,
    source: Mutex<Box<dyn Source>>,
}

impl DataFile {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::read(path))?;
        let len = file.metadata().map_err(Error::read(path))?.len();
        Ok(DataFile { path: path.into(), len, source: Mutex::new(Box::new(file)) })
    }

    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Self {
        let len = bytes.len() as u64;
        DataFile { path: path.into(), len, source: Mutex::new(Box::new(Cursor::new(bytes))) }
    }

    /// Fills `buffer` with the bytes from `at` on.
    pub fn read_exact_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        // A thread that panicked while reading leaves nothing behind but a position.
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        source.seek(SeekFrom::Start(at))?;
        source.read_exact(buffer)
    }

    /// The `len` bytes from `at` on; nothing is allocated when the file does not have them.
    pub fn bytes(&self, at: u64, len: u64) -> Result<Vec<u8>, Fault> {
        self.check(at, len)?;
        let mut bytes = vec![0; usize::try_from(len).map_err(|_| "it is too large")?];
        self.read_exact_at(at, &mut bytes)?;
        Ok(bytes)
    }

    /// Fails unless the file has `len` bytes from `at` on.
    pub fn check(&self, at: u64, len: u64) -> Result<(), Fault> {
        match at.checked_add(len) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }

    /// A reader whose next byte is the one at `at`.
    pub fn reader_at(&self, at: u64) -> FileReader<'_> {
        FileReader { file: self, at }
    }
}

impl std::fmt::Debug for DataFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataFile").field("path", &self.path).field("len", &self.len).finish()
    }
}

/// A [`DataFile`] read from front to back.
pub(super) struct FileReader<'a> {
    file: &'a DataFile,
    at: u64,
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.file.len.saturating_sub(self.at);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        self.file.read_exact_at(self.at, &mut buffer[..count])?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for FileReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(by) => (self.at, by),
            SeekFrom::End(by) => (self.file.len, by),
        };
        self.at = base.checked_add_signed(by).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// How one number is written on disk; always little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dtype {
    F32,
    F16,
    Bf16,
    /// Signed, for [`View::read_bytes`].
    Int8,
    /// Any other type, which a file may hold but this crate does not load.
    Other {
        name: &'static str,
        /// Bytes of one number.
        width: u64,
    },
}

impl Dtype {
    /// Bytes of one number.
    pub fn width(self) -> u64 {
        match self {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::Bf16 => 2,
            Dtype::Int8 => 1,
            Dtype::Other { width, .. } => width,
        }
    }
}

/// A run of numbers in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage {
    pub dtype: Dtype,
    /// Byte offset in the file.
    pub start: u64,
    /// How many numbers.
    pub len: u64,
}

/// A tensor as a strided view into a file. The bytes it covers have been checked to be there.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub shape: Vec<usize>,
    dtype: Dtype,
    /// Byte offset of the first number.
    start: u64,
    /// How many numbers lie from the first to the last one of the tensor, both counted.
    span: usize,
    /// Numbers to step over for the next index of each dimension; None when contiguous.
    strides: Option<Vec<usize>>,
}

impl View {
    /// A view into `storage`, from its number `offset` on. A tensor may not have more elements
    /// than its storage has numbers, as an expanded one would: it could be as large as it liked.
    pub fn new(
        file: &DataFile,
        storage: Storage,
        offset: u64,
        shape: Vec<usize>,
        mut strides: Vec<usize>,
    ) -> Result<Self, Fault> {
        let width = storage.dtype.width();
        let storage_bytes = storage.len.checked_mul(width).ok_or("a storage is too large")?;
        file.check(storage.start, storage_bytes)?;
        if shape.len() > MAX_RANK || shape.len() != strides.len() {
            return Err("a tensor's dimensions make no sense".into());
        }
        let elements = elements(&shape).ok_or("a tensor is too large")?;
        // The furthest number: the last index of every dimension.
        let last = shape.iter().zip(&strides).try_fold(0usize, |sum, (&size, &stride)| {
            sum.checked_add(size.saturating_sub(1).checked_mul(stride)?)
        });
        let span = match elements {
            0 => 0,
            _ => last.and_then(|last| last.checked_add(1)).ok_or("a tensor is too large")?,
        };
        let end = offset.checked_add(span as u64).ok_or("a tensor is too large")?;
        if end > storage.len || elements as u64 > storage.len {
            return Err("a tensor reaches beyond its storage".into());
        }
        let start = storage.start + offset * width; // both within the storage
        // The stride of a dimension of size one means nothing and can be anything.
        let mut dense = contiguous(&shape);
        for i in (0..shape.len()).filter(|&i| shape[i] <= 1) {
            (strides[i], dense[i]) = (0, 0);
        }
        let strides = (strides != dense).then_some(strides);
        Ok(View { shape, dtype: storage.dtype, start, span, strides })
    }

    /// Bytes of the tensor as float32.
    pub fn loaded_bytes(&self) -> u64 {
        4 * elements(&self.shape).unwrap_or(usize::MAX) as u64
    }

    /// The elements of a tensor of 8-bit integers, which must be contiguous.
    pub fn read_bytes(&self, file: &DataFile) -> Result<Vec<i8>, Fault> {
        if self.dtype != Dtype::Int8 || self.strides.is_some() {
            return Err("its numbers are not 8-bit integers in a row".into());
        }
        let bytes = file.bytes(self.start, self.span as u64)?;
        Ok(bytes.into_iter().map(|byte| byte as i8).collect())
    }

    /// Whether the elements are 8-bit integers.
    pub fn is_int8(&self) -> bool {
        self.dtype == Dtype::Int8
    }

    /// The elements in row-major order.
    pub fn read(&self, file: &DataFile) -> Result<Vec<f32>, Fault> {
        let name = match self.dtype {
            Dtype::Int8 => Some("int8"),
            Dtype::Other { name, .. } => Some(name),
            _ => None,
        };
        if let Some(name) = name {
            return Err(format!("its numbers are {name}, not float32, float16 or bfloat16").into());
        }
        let width = self.dtype.width() as usize;
        let mut numbers = Vec::with_capacity(self.span);
        let mut buffer = vec![0; self.span.min(CHUNK) * width];
        while numbers.len() < self.span {
            let count = (self.span - numbers.len()).min(CHUNK);
            let bytes = &mut buffer[..count * width];
            file.read_exact_at(self.start + (numbers.len() * width) as u64, bytes)?;
            decode(self.dtype, bytes, &mut numbers);
        }
        let numbers = match &self.strides {
            None => numbers,
            Some(strides) => gather(&numbers, &self.shape, strides),
        };
        match numbers.iter().all(|number| number.is_finite()) {
            true => Ok(numbers),
            false => Err("it holds numbers that are infinite or not numbers".into()),
        }
    }
}

/// Strides of a row-major tensor.
pub(super) fn contiguous(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = shape[i].saturating_mul(strides[i]);
    }
    strides
}

/// How many elements a tensor has, unless too many to count.
fn elements(shape: &[usize]) -> Option<usize> {
    let bytes = shape.iter().try_fold(4usize, |product, &size| product.checked_mul(size))?;
    Some(bytes / 4)
}

/// Appends the numbers in `bytes`.
fn decode(dtype: Dtype, bytes: &[u8], numbers: &mut Vec<f32>) {
    let halves = || bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
    match dtype {
        Dtype::F16 => numbers.extend(halves().map(|b| half::f16::from_le_bytes(b).to_f32())),
        Dtype::Bf16 => numbers.extend(halves().map(|b| half::bf16::from_le_bytes(b).to_f32())),
        Dtype::F32 | Dtype::Int8 | Dtype::Other { .. } => numbers
            .extend(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
    }
}

/// The elements of a strided tensor in row-major order.
fn gather(numbers: &[f32], shape: &[usize], strides: &[usize]) -> Vec<f32> {
    let count = shape.iter().product();
    let mut index = vec![0; shape.len()];
    let mut at = 0;
    let mut gathered = Vec::with_capacity(count);
    for _ in 0..count {
        gathered.push(numbers[at]);
        // Count up like an odometer, the last dimension fastest.
        for d in (0..shape.len()).rev() {
            index[d] += 1;
            at += strides[d];
            if index[d] < shape[d] {
                break;
            }
            at -= strides[d] * shape[d];
            index[d] = 0;
        }
    }
    gathered
}
