//! Damaged and hostile weights: an error or the right values, never a panic, never more memory
//! than a small multiple of the file.

#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;

use proptest::prelude::*;
use tarjim::checkpoint::Weights;

thread_local! {
    /// Bytes that this thread has allocated and not freed, and the most there have been.
    static ALLOCATED: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

struct Counting;

fn count(bytes: isize) {
    ALLOCATED.with(|allocated| {
        let (now, most) = allocated.get();
        allocated.set((now + bytes, most.max(now + bytes)));
    });
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is passed on to the system's allocator unchanged. Counting allocates nothing:
// the counter is a constant-initialized thread local without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(block, layout) }
    }
}

const FILES: [(&str, &str); 3] = [
    ("model.safetensors", "safetensors"),
    ("pytorch_model.bin", "zip"),
    ("pytorch_model.bin", "legacy"),
];

fn golden(file: usize) -> Vec<u8> {
    let (name, form) = FILES[file];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/checkpoints");
    std::fs::read(folder.join(form).join(name)).unwrap()
}

type Tensors = Vec<(String, Result<Vec<u32>, String>)>;

/// Opens the weights and reads every tensor, one after the other, within the memory allowed.
fn read_all(file: &str, bytes: &[u8]) -> Result<Tensors, String> {
    let bytes = bytes.to_vec();
    // A pickle may take a hundred bytes for each of its own, up to its greatest length; anything
    // else takes far less.
    let len = bytes.len() as isize;
    let allowed = (16 * len + (48 << 20)).min(112 * len + (256 << 10));
    let before = ALLOCATED.get().0;
    ALLOCATED.set((before, before));

    let read = read_unmeasured(file, bytes);

    let most = ALLOCATED.get().1 - before;
    assert!(most <= allowed, "{most} bytes allocated, {allowed} allowed");
    read
}

fn read_unmeasured(file: &str, bytes: Vec<u8>) -> Result<Tensors, String> {
    let weights = Weights::from_bytes(Path::new(file), bytes).map_err(|error| error.to_string())?;
    let read = |name: &str| {
        let tensor = weights.get(name, weights.shape(name).unwrap());
        match tensor.and_then(|tensor| Ok(tensor.flatten_all()?.to_vec1::<f32>()?)) {
            Ok(values) => Ok(values.into_iter().map(f32::to_bits).collect()),
            Err(error) => Err(error.to_string()),
        }
    };
    Ok(weights.names().map(|name| (name.to_owned(), read(name))).collect())
}

fn complaint(file: &str, bytes: &[u8]) -> String {
    read_all(file, bytes).expect_err("this should have failed")
}

#[test]
fn a_file_cut_anywhere_is_refused_or_whole() {
    for (i, (name, form)) in FILES.into_iter().enumerate() {
        let whole = golden(i);
        let expected = read_all(name, &whole).unwrap();
        for len in 0..whole.len() {
            if let Ok(tensors) = read_all(name, &whole[..len]) {
                assert_eq!(tensors, expected, "{form} cut to {len} bytes");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn flipped_bits_do_no_harm(
        file in 0..FILES.len(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8u8), 1..6),
    ) {
        let mut bytes = golden(file);
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        let _ = read_all(FILES[file].0, &bytes);
    }

    /// Bytes where the machinery is: extreme values, in the pickle, the directory or the header.
    #[test]
    fn overwritten_bytes_do_no_harm(
        file in 0..FILES.len(),
        at in any::<prop::sample::Index>(),
        with in prop::collection::vec(prop::sample::select(vec![0u8, 1, 0x7f, 0x80, 0xff]), 1..9),
    ) {
        let mut bytes = golden(file);
        let at = at.index(bytes.len());
        let end = bytes.len().min(at + with.len());
        bytes[at..end].copy_from_slice(&with[..end - at]);
        let _ = read_all(FILES[file].0, &bytes);
    }

    #[test]
    fn any_bytes_do_no_harm(
        start in prop::sample::select(vec![&b""[..], b"PK\x03\x04", MAGIC, b"\x08\0\0\0\0\0\0\0"]),
        rest in prop::collection::vec(any::<u8>(), 0..300),
        file in prop::sample::select(vec!["model.safetensors", "pytorch_model.bin"]),
    ) {
        let _ = read_all(file, &[start, &rest].concat());
    }

    /// Any instructions where a pickle is expected.
    #[test]
    fn any_pickle_does_no_harm(
        steps in prop::collection::vec(prop::sample::select(STEPS.to_vec()), 0..200),
    ) {
        let _ = read_all("pytorch_model.bin", &legacy_file(&steps.concat(), &[]));
    }
}

/// What .bin files of the older format start with: the magic number.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// Instructions of pickles, for making nonsense of them.
#[rustfmt::skip]
const STEPS: [&[u8]; 32] = [
    b".", b"(", b"N", b"K\x01", b"]", b"}", b")", b"a", b"e", b"s", b"u", b"t", b"\x85", b"\x86",
    b"\x87", b"q\x00", b"h\x00", b"q\x01", b"h\x01", b"Q", b"R", b"b", b"X\x07\0\0\0storage",
    b"X\x01\0\0\x000", b"ccollections\nOrderedDict\n", b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch._utils\n_rebuild_parameter\n", b"ctorch\nFloatStorage\n", b"\x88", b"M\xff\xff",
    b"J\xff\xff\xff\xff", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
];

/// A .bin file of the older format around the pickle of a state dict.
fn legacy_file(state: &[u8], storages: &[u8]) -> Vec<u8> {
    let version = b"\x80\x02M\xe9\x03.";
    let machine = b"\x80\x02}X\x0d\0\0\0little_endian\x88s.";
    let keys = b"\x80\x02]X\x01\0\0\x000a.";
    [MAGIC, version, machine, b"\x80\x02", state, b".", keys, storages].concat()
}

fn int(value: i64) -> Vec<u8> {
    [&b"\x8a\x08"[..], &value.to_le_bytes()].concat()
}

fn tuple(values: &[i64]) -> Vec<u8> {
    let ints = values.iter().map(|&value| int(value)).collect::<Vec<_>>();
    [&b"("[..], &ints.concat(), b"t"].concat()
}

/// The pickle of one tensor, with these figures believed.
fn tensor(name: &str, kind: &str, len: i64, offset: i64, size: &[i64], stride: &[i64]) -> Vec<u8> {
    let text =
        |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    [
        text(name),
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        text("storage"),
        format!("ctorch\n{kind}\n").into(),
        text("0"),
        text("cpu"),
        int(len),
        b"NtQ".to_vec(),
        int(offset),
        tuple(size),
        tuple(stride),
        b"\x89}tR".to_vec(),
    ]
    .concat()
}

/// A file of one tensor whose storage really holds the numbers 1, 2, 3 and so on up to 6.
fn one_tensor(kind: &str, len: i64, offset: i64, size: &[i64], stride: &[i64]) -> Vec<u8> {
    let mut storage = len.to_le_bytes().to_vec();
    storage.extend((1..=6).flat_map(|n| (n as f32).to_le_bytes()));
    let state = [&b"}"[..], &tensor("w", kind, len, offset, size, stride), b"s"].concat();
    legacy_file(&state, &storage)
}

#[test]
fn figures_in_a_pickle_are_checked() {
    const FILE: &str = "pytorch_model.bin";
    let honest = read_all(FILE, &one_tensor("FloatStorage", 6, 1, &[2, 2], &[1, 2])).unwrap();
    let expected = [2f32, 4.0, 3.0, 5.0].map(f32::to_bits).to_vec();
    assert_eq!(honest, [("w".to_owned(), Ok(expected))]);
    // The stride of a dimension of size one means nothing.
    let odd = read_all(FILE, &one_tensor("FloatStorage", 6, 0, &[1, 6], &[i64::MAX, 1])).unwrap();
    assert_eq!(odd[0].1.as_ref().unwrap().len(), 6);

    let max = i64::MAX;
    for (len, offset, size, stride) in [
        (7, 0, &[6][..], &[1][..]), // more numbers than the file has
        (max, 0, &[6], &[1]),       // …so many that their bytes overflow
        (-1, 0, &[6], &[1]),
        (6, 1, &[6], &[1]), // the last element outside
        (6, max, &[6], &[1]),
        (6, -1, &[6], &[1]),
        (6, 0, &[6], &[2]),
        (6, 0, &[6], &[-1]),
        (6, 0, &[2], &[max]),
        (6, 0, &[3], &[max]),
        (6, 0, &[max, max], &[1, 1]), // a size that overflows
        (6, 0, &[max, 0], &[1, 1]),
        (6, 0, &[1_000_000_000], &[0]), // expanded from one number
        (6, 0, &[7], &[0]),
        (6, 0, &[6], &[]),
        (6, 0, &[], &[1]),
        (6, 0, &[1; 9], &[1; 9]),
    ] {
        complaint(FILE, &one_tensor("FloatStorage", len, offset, size, stride));
    }
    // The storage says how long it is, too.
    let mut other = one_tensor("FloatStorage", 6, 0, &[6], &[1]);
    let at = other.len() - 6 * 4 - 8;
    assert_eq!(other[at], 6);
    other[at] = 5;
    assert!(complaint(FILE, &other).contains("another length"));
    assert!(
        complaint(FILE, &one_tensor("QInt8Storage", 6, 0, &[6], &[1])).contains("QInt8Storage")
    );
    complaint(FILE, &one_tensor("DoubleStorage", 6, 0, &[6], &[1]));
}

#[test]
fn one_storage_under_many_names_does_not_multiply() {
    let mut storage = 1000i64.to_le_bytes().to_vec();
    storage.resize(8 + 4000, 0);
    let tensors = |count: usize| {
        let names = (0..count).map(|i| i.to_string());
        let each = names.map(|name| tensor(&name, "FloatStorage", 1000, 0, &[1000], &[1]));
        let state = [&b"}("[..], &each.collect::<Vec<_>>().concat(), b"u"].concat();
        read_all("pytorch_model.bin", &legacy_file(&state, &storage))
    };
    assert_eq!(tensors(4).unwrap().len(), 4);
    assert!(tensors(200).unwrap_err().contains("far larger"));
}

#[test]
fn pickles_that_try_things_are_refused() {
    let file = |state: &[u8]| complaint("pytorch_model.bin", &legacy_file(state, &[]));
    let call = b"cposix\nsystem\n(X\x02\0\0\0idtR";
    assert!(file(call).contains("\"posix\" \"system\""));
    assert!(file(&[b")".as_slice(), &[0x85; 200_000]].concat()).contains("belongs to no tensor"));
    assert!(file(&[b']'; 300_000]).contains("belongs to no tensor"));
    assert!(file(&[b'('; 300_000]).contains("empty stack"));
    assert!(file(&vec![b'N'; 1 << 20]).contains("too long"));
    assert!(file(b"X\xff\xff\xff\xff").contains("too long"));
    assert!(file(&[&b"\x8a\xff"[..], &[0x7f; 255]].concat()).contains("belongs to no tensor"));
    // A dict that is its own key and value.
    assert!(read_all("pytorch_model.bin", &legacy_file(b"}q\x00h\x00h\x00s", &[])).is_err());
}

fn safetensors(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
}

#[test]
fn a_safetensors_header_is_not_believed() {
    const FILE: &str = "model.safetensors";
    let good = r#"{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    assert_eq!(read_all(FILE, &safetensors(good, 8)).unwrap(), [("w".into(), Ok(vec![0, 0]))]);
    assert!(complaint(FILE, &safetensors(good, 9)).contains("add up"));
    assert!(complaint(FILE, &safetensors(good, 7)).contains("ends early"));

    for lie in [u64::MAX, u64::MAX - 7, 1 << 62, 100_000_001] {
        assert!(complaint(FILE, &[&lie.to_le_bytes()[..], b"{}"].concat()).contains("too long"));
    }
    assert!(
        complaint(FILE, &[&100_000_000u64.to_le_bytes()[..], b"{}"].concat()).contains("early")
    );

    let entry = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    for (dtype, shape, offsets) in [
        ("F32", "[2]", "[0,4]"),
        ("F32", "[2]", "[4,12]"),
        ("F32", "[2]", "[8,0]"),
        ("F32", "[2]", "[0,18446744073709551615]"),
        ("F32", "[2]", "[18446744073709551608,18446744073709551615]"),
        ("F32", "[4611686018427387904]", "[0,0]"),
        ("F32", "[4294967296,4294967296]", "[0,0]"),
        ("F32", "[-2]", "[0,8]"),
        ("F32", "[2.0]", "[0,8]"),
        ("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]"),
        ("F3", "[2]", "[0,8]"),
        ("F64", "[2]", "[0,8]"),
        ("F32", "2", "[0,8]"),
        ("F32", "[2]", "[0]"),
    ] {
        complaint(FILE, &safetensors(&entry(dtype, shape, offsets), 8));
    }
    let twice = r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                    "w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    assert!(complaint(FILE, &safetensors(twice, 8)).contains("twice"));
    let overlap = r#"{"v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                      "w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    assert!(complaint(FILE, &safetensors(overlap, 8)).contains("do not fit"));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let ignored = format!("{{\"__metadata__\":{deep}}}");
    assert_eq!(read_all(FILE, &safetensors(&ignored, 0)).unwrap(), []);
    let deep = format!("{{\"w\":{deep}}}");
    for header in ["", "[]", "{", "null", "{} x", "\u{0}", &deep] {
        complaint(FILE, &safetensors(header, 0));
    }
}

/// Every entry of the golden archive's directory, as the place where it begins.
fn directory(zip: &[u8]) -> Vec<usize> {
    (0..zip.len() - 4).filter(|&at| zip[at..].starts_with(b"PK\x01\x02")).collect()
}

#[test]
fn an_archive_cannot_unpack_to_more_than_itself() {
    let zip = golden(1);
    let entries = directory(&zip);
    assert!(entries.len() > 10);
    let mut refused = 0;
    for at in entries {
        // Of an entry: the method at 10, the compressed size at 20, the real size at 24.
        let mut compressed = zip.clone();
        compressed[at + 10] = 8;
        refused += usize::from(read_all("pytorch_model.bin", &compressed).is_err());
        for size in [0xff00_0000u32, 0x7fff_ffff, 100_000] {
            let mut larger = zip.clone();
            larger[at + 24..at + 28].copy_from_slice(&size.to_le_bytes());
            refused += usize::from(read_all("pytorch_model.bin", &larger).is_err());
            larger[at + 20..at + 24].copy_from_slice(&size.to_le_bytes());
            refused += usize::from(read_all("pytorch_model.bin", &larger).is_err());
        }
    }
    // Entries that no tensor needs (version numbers) may lie; the pickle and the storages may not.
    assert!(refused >= 7 * 10, "{refused} refused");
}
