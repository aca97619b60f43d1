//! Reads the pickles that torch.save writes. A pickle is a program for a stack machine; this one
//! builds plain values and runs nothing: of all that a pickle can import, it knows only the names
//! in [`Global`].
//!
//! Values live in one list and refer to each other by position. So fetching a value again costs
//! four bytes however large it is, and neither building nor dropping values nests.

use std::collections::HashMap;
use std::io::{BufRead, Read};

use super::view::Fault;

/// Most instructions run. A tensor takes about fifty, so this is ten thousand tensors; it bounds
/// the memory at some forty megabytes.
const MAX_STEPS: usize = 1 << 19;
/// Longest string accepted; the names of tensors are far shorter.
const MAX_TEXT: u64 = 1 << 16;

/// Position of a value in [`Pickle::values`].
pub(super) type Id = u32;

/// A name that a pickle may import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// `collections.OrderedDict`, read as a dict.
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, …)`.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter(tensor, …)`.
    RebuildParameter,
    /// `torch.XStorage`: the kind X, such as `Float`.
    Storage(StorageKind),
}

/// The number type of a storage, as torch names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(super) enum StorageKind {
    Float,
    Half,
    BFloat16,
    Double,
    Long,
    Int,
    Short,
    Char,
    Byte,
    Bool,
}

impl Global {
    fn named(module: &str, name: &str) -> Option<Self> {
        use StorageKind::*;
        Some(match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
            ("torch", "FloatStorage") => Global::Storage(Float),
            ("torch", "HalfStorage") => Global::Storage(Half),
            ("torch", "BFloat16Storage") => Global::Storage(BFloat16),
            ("torch", "DoubleStorage") => Global::Storage(Double),
            ("torch", "LongStorage") => Global::Storage(Long),
            ("torch", "IntStorage") => Global::Storage(Int),
            ("torch", "ShortStorage") => Global::Storage(Short),
            ("torch", "CharStorage") => Global::Storage(Char),
            ("torch", "ByteStorage") => Global::Storage(Byte),
            ("torch", "BoolStorage") => Global::Storage(Bool),
            _ => return None,
        })
    }
}

/// A value that a pickle built.
#[derive(Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// A number whose value does not matter here: a float, or an integer beyond 64 bits.
    Number,
    Text(String),
    Global(Global),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// Something outside the pickle, described by the value inside.
    Persistent(Id),
    /// A function and the tuple of its arguments. It is not called.
    Call(Global, Id),
}

/// What a pickle held.
#[derive(Debug)]
pub(super) struct Pickle {
    /// All values, also those that the last one does not refer to.
    pub values: Vec<Value>,
    /// The value that the pickle stands for.
    pub root: Id,
}

impl Pickle {
    /// Reads one pickle and nothing behind it.
    pub fn read(reader: &mut impl BufRead) -> Result<Self, Fault> {
        let mut machine = Machine::default();
        for _ in 0..MAX_STEPS {
            if machine.step(reader)? {
                let root = machine.pop()?;
                return Ok(Pickle { values: machine.values, root });
            }
        }
        Err("its pickle is too long".into())
    }

    pub fn get(&self, id: Id) -> &Value {
        &self.values[id as usize]
    }
}

#[derive(Default)]
struct Machine {
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack at the marks not yet used up.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl Machine {
    /// Runs one instruction; true after the last one.
    fn step(&mut self, reader: &mut impl BufRead) -> Result<bool, Fault> {
        let [opcode] = take(reader)?;
        match opcode {
            // PROTO
            0x80 => match take(reader)? {
                [2 | 3] => {}
                [other] => return Err(format!("pickle protocol {other} is not supported").into()),
            },
            b'.' => return Ok(true),
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            // BININT1, BININT2, BININT
            b'K' => self.push(Value::Int(take::<1>(reader)?[0].into())),
            b'M' => self.push(Value::Int(u16::from_le_bytes(take(reader)?).into())),
            b'J' => self.push(Value::Int(i32::from_le_bytes(take(reader)?).into())),
            // LONG1: a length, then a two's complement number of so many bytes
            0x8a => {
                let [len] = take(reader)?;
                let mut bytes = [0; 255];
                reader.read_exact(&mut bytes[..len.into()])?;
                self.push(long(&bytes[..len.into()]));
            }
            // BINFLOAT
            b'G' => {
                take::<8>(reader)?;
                self.push(Value::Number);
            }
            // BINUNICODE
            b'X' => {
                let text = text(reader)?;
                self.push(Value::Text(text));
            }
            // GLOBAL
            b'c' => {
                let (module, name) = (line(reader)?, line(reader)?);
                let global = Global::named(&module, &name).ok_or_else(|| {
                    format!("its pickle imports {module:?} {name:?}, which no weights need")
                })?;
                self.push(Value::Global(global));
            }
            // BINPUT, LONG_BINPUT
            b'q' => self.remember(take::<1>(reader)?[0].into())?,
            b'r' => self.remember(u32::from_le_bytes(take(reader)?))?,
            // BINGET, LONG_BINGET
            b'h' => self.recall(take::<1>(reader)?[0].into())?,
            b'j' => self.recall(u32::from_le_bytes(take(reader)?))?,
            // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE
            b')' => self.push(Value::Tuple(Vec::new())),
            0x85..=0x87 => {
                let mut items = vec![0; usize::from(opcode - 0x84)];
                for item in items.iter_mut().rev() {
                    *item = self.pop()?;
                }
                self.push(Value::Tuple(items));
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items));
            }
            // EMPTY_LIST, APPEND, APPENDS
            b']' => self.push(Value::List(Vec::new())),
            b'a' => {
                let item = self.pop()?;
                self.top_list()?.push(item);
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.top_list()?.extend(items);
            }
            // EMPTY_DICT, SETITEM, SETITEMS
            b'}' => self.push(Value::Dict(Vec::new())),
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.top_dict()?.push((key, value));
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                let (pairs, []) = items.as_chunks::<2>() else {
                    return Err("its pickle has a key without a value".into());
                };
                self.top_dict()?.extend(pairs.iter().map(|&[key, value]| (key, value)));
            }
            // BINPERSID
            b'Q' => {
                let id = self.pop()?;
                self.push(Value::Persistent(id));
            }
            // REDUCE: call a function
            b'R' => {
                let arguments = self.pop()?;
                let function = self.pop()?;
                let called =
                    match (&self.values[function as usize], &self.values[arguments as usize]) {
                        (Value::Global(Global::OrderedDict), Value::Tuple(items))
                            if items.is_empty() =>
                        {
                            Value::Dict(Vec::new())
                        }
                        (
                            Value::Global(f @ (Global::RebuildTensor | Global::RebuildParameter)),
                            Value::Tuple(_),
                        ) => Value::Call(*f, arguments),
                        _ => return Err("its pickle calls something that no weights need".into()),
                    };
                self.push(called);
            }
            // BUILD: set attributes. Torch keeps version numbers in one of the state dict.
            b'b' => {
                self.pop()?;
                self.top_dict()?;
            }
            other => {
                return Err(format!("its pickle has the unknown instruction {other:#04x}").into());
            }
        }
        Ok(false)
    }

    fn push(&mut self, value: Value) {
        // At most MAX_STEPS values, so the cast loses nothing.
        self.stack.push(self.values.len() as Id);
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len() > floor {
            true => self.stack.pop().ok_or_else(underflow),
            false => Err(underflow()),
        }
    }

    fn top(&self) -> Result<Id, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack.get(floor..).and_then(<[Id]>::last).copied().ok_or_else(underflow)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Fault> {
        let mark = self.marks.pop().ok_or_else(underflow)?;
        Ok(self.stack.split_off(mark))
    }

    fn top_list(&mut self) -> Result<&mut Vec<Id>, Fault> {
        let top = self.top()?;
        match &mut self.values[top as usize] {
            Value::List(items) => Ok(items),
            _ => Err("its pickle appends to something that is not a list".into()),
        }
    }

    fn top_dict(&mut self) -> Result<&mut Vec<(Id, Id)>, Fault> {
        let top = self.top()?;
        match &mut self.values[top as usize] {
            Value::Dict(items) => Ok(items),
            _ => Err("its pickle sets an item of something that is not a dict".into()),
        }
    }

    fn remember(&mut self, key: u32) -> Result<(), Fault> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), Fault> {
        let id = self.memo.get(&key).ok_or("its pickle refers to a value that it never built")?;
        self.stack.push(*id);
        Ok(())
    }
}

fn underflow() -> Fault {
    "its pickle takes a value from an empty stack".into()
}

fn take<const N: usize>(reader: &mut impl Read) -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A little-endian two's complement number.
fn long(bytes: &[u8]) -> Value {
    if bytes.len() > 8 {
        return Value::Number;
    }
    let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
    let mut filled = [if negative { 0xff } else { 0 }; 8];
    filled[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(filled))
}

/// A string behind its length.
fn text(reader: &mut impl Read) -> Result<String, Fault> {
    let len = u64::from(u32::from_le_bytes(take(reader)?));
    if len > MAX_TEXT {
        return Err("its pickle has a string that is too long".into());
    }
    let mut bytes = Vec::new();
    if reader.take(len).read_to_end(&mut bytes)? as u64 != len {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    String::from_utf8(bytes).map_err(|_| "its pickle has a string that is not UTF-8".into())
}

/// A string that ends with a line feed.
fn line(reader: &mut impl BufRead) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    reader.take(256).read_until(b'\n', &mut bytes)?;
    match bytes.pop() {
        Some(b'\n') => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        _ => Err("its pickle imports a name that never ends".into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(pickle: &[u8]) -> Result<Pickle, Fault> {
        Pickle::read(&mut &pickle[..])
    }

    fn complaint(pickle: &[u8]) -> String {
        match read(pickle).unwrap_err() {
            Fault::Bad(detail) => detail,
            Fault::Io(error) => error.kind().to_string(),
        }
    }

    #[test]
    fn integers_of_every_form() {
        for (pickle, expected) in [
            (&b"K\xff."[..], 255),
            (b"M\x01\x02.", 0x201),
            (b"J\xff\xff\xff\xff.", -1),
            (b"\x8a\x00.", 0),
            (b"\x8a\x01\xff.", -1),
            (b"\x8a\x02\xff\x00.", 255),
            (b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.", i64::MAX),
        ] {
            let pickle = read(pickle).unwrap();
            assert!(matches!(pickle.get(pickle.root), Value::Int(n) if *n == expected));
        }
        let huge = [&b"\x8a\xff"[..], &[0x7f; 255], b"."].concat();
        let huge = read(&huge).unwrap();
        assert!(matches!(huge.get(huge.root), Value::Number));
    }

    #[test]
    fn nothing_but_weights_is_imported_or_called() {
        assert!(complaint(b"cos\nsystem\n(X\x04\0\0\0truetR.").contains("\"os\" \"system\""));
        assert!(complaint(b"c__builtin__\neval\n.").contains("eval"));
        assert!(complaint(b"ctorch\nload\n.").contains("load"));
        // Old protocols import and call with other instructions: INST and OBJ.
        assert!(complaint(b"(ios\nsystem\n.").contains("instruction 0x69"));
        assert!(complaint(b"ctorch\nFloatStorage\n)R.").contains("calls"));
        assert!(complaint(b"ccollections\nOrderedDict\nK\x01R.").contains("calls"));
    }

    #[test]
    fn a_stack_cannot_be_emptied_below_a_mark() {
        for pickle in
            [&b"."[..], b"a.", b"K\x01(\x85.", b"t.", b"](a.", b"}(K\x01u.", b"K\x01K\x01s."]
        {
            complaint(pickle);
        }
        assert!(complaint(b"h\x05.").contains("never built"));
    }

    #[test]
    fn nesting_and_sharing_cost_nothing() {
        // A hundred thousand tuples in each other.
        let deep = [&b")"[..], &vec![0x85; 100_000], b"."].concat();
        assert_eq!(read(&deep).unwrap().values.len(), 100_001);
        // Thirty lists, each holding the one before twice: 2^30 items if they were copied.
        let mut bomb = b"]q\x00".to_vec();
        for i in 0..30u8 {
            bomb.extend([b']', b'q', i + 1, b'h', i, b'a', b'h', i, b'a']);
        }
        bomb.push(b'.');
        assert_eq!(read(&bomb).unwrap().values.len(), 31);
        // A list that holds itself.
        assert!(read(b"]q\x00h\x00a.").is_ok());
    }

    #[test]
    fn lengths_are_not_believed() {
        assert!(complaint(b"X\xff\xff\xff\xffabc").contains("too long"));
        assert!(complaint(b"X\xff\xff\x00\x00abc").contains("end of file"));
        assert!(complaint(&[b"c".as_slice(), &[b'a'; 1000]].concat()).contains("never ends"));
        assert!(complaint(&vec![b'N'; MAX_STEPS + 1]).contains("too long"));
    }
}
