//! A folder of outputs: one run at a time writes into it, and it is remembered what each output was
//! made from.
//!
//! Both are kept in its subfolder `.tarjim`: `lock`, and `manifest.jsonl`, to which a line is added
//! for each output as soon as that has its name, and `{"complete": true}` at the end of a run that
//! left nothing undone. What stands behind the last such line was made by a run that did not end
//! well: the next run with the same inputs, model and options takes it as done.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tarjim::{Error, Result};

use super::tally::Tally;
use crate::cli::sink::lock;

const STATE: &str = ".tarjim";
const MANIFEST: &str = "manifest.jsonl";

/// A folder that only this run writes to.
pub struct Folder {
    root: PathBuf,
    manifest: File,
    /// By the name of the output.
    made: HashMap<String, Made>,
    /// Held as long as the run lasts.
    _lock: File,
}

/// An output that is complete.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    /// Its name below the folder.
    output: String,
    /// SHA-256 of its input.
    input: String,
    /// Stands for model, options and version.
    key: String,
    /// What was done for it.
    #[serde(flatten)]
    tally: Tally,
    /// Whether the run that made it did not end well.
    #[serde(skip)]
    unfinished: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Made(Made),
    Complete { complete: bool },
}

impl Folder {
    /// Makes the folder if need be, and keeps others out.
    pub fn open(root: &Path) -> Result<Self> {
        let state = root.join(STATE);
        fs::create_dir_all(&state).map_err(Error::write(root))?;
        let held = lock(&state.join("lock")).map_err(Error::write(root))?;
        let held = held.ok_or_else(|| Error::Busy { path: root.to_owned() })?;
        let path = state.join(MANIFEST);
        let (manifest, made) = open(&path).map_err(Error::write(&path))?;
        Ok(Folder { root: root.to_owned(), manifest, made, _lock: held })
    }

    /// Where the output `name` stands.
    pub fn path(&self, name: &Path) -> PathBuf {
        self.root.join(name)
    }

    /// What was done for an output that is there already, made from the same input in the same way;
    /// by an unfinished run if not `any` will do.
    pub fn made(&self, name: &Path, input: &str, key: &str, any: bool) -> Option<Tally> {
        let made = self.made.get(&*name.to_string_lossy())?;
        let same = made.input == input && made.key == key && (any || made.unfinished);
        (same && self.path(name).is_file()).then(|| made.tally.clone())
    }

    /// Makes the folders above an output.
    pub fn prepare(&self, name: &Path) -> Result<()> {
        self.check()?;
        match name.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => {
                let parent = self.path(parent);
                fs::create_dir_all(&parent).map_err(Error::write(parent))
            }
            _ => Ok(()),
        }
    }

    /// Fails if the folder was removed or replaced since it was opened.
    pub fn check(&self) -> Result<()> {
        let lock = self.root.join(STATE).join("lock");
        match lock.is_file() {
            true => Ok(()),
            false => {
                let gone = io::Error::new(io::ErrorKind::NotFound, "the folder was removed");
                Err(Error::write(&self.root)(gone))
            }
        }
    }

    /// Remembers an output that has its name.
    pub fn add(&mut self, output: &Path, input: &str, key: &str, tally: &Tally) -> Result<()> {
        let output = output.to_string_lossy().into_owned();
        let (input, key) = (input.to_owned(), key.to_owned());
        self.line(&Line::Made(Made { output, input, key, tally: tally.clone(), unfinished: true }))
    }

    /// Remembers that nothing was left undone.
    pub fn complete(&mut self) -> Result<()> {
        self.line(&Line::Complete { complete: true })
    }

    fn line(&mut self, line: &Line) -> Result<()> {
        let mut json = serde_json::to_vec(line).unwrap_or_default();
        json.push(b'\n');
        // In one piece, so that a kill leaves at most one line cut off.
        self.manifest.write_all(&json).map_err(Error::write(self.root.join(STATE).join(MANIFEST)))
    }
}

/// The manifest, to be added to, and what it says.
fn open(path: &Path) -> io::Result<(File, HashMap<String, Made>)> {
    let mut file = File::options().create(true).read(true).append(true).open(path)?;
    let mut made: HashMap<String, Made> = HashMap::new();
    let mut reader = BufReader::new(&mut file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        match serde_json::from_slice(&line) {
            Ok(Line::Made(one)) => {
                made.insert(one.output.clone(), Made { unfinished: true, ..one });
            }
            Ok(Line::Complete { .. }) => {
                made.values_mut().for_each(|one| one.unfinished = false);
            }
            // Cut off by a kill: its output is made again.
            Err(_) => {}
        }
        line.clear();
    }
    if file.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok((file, made))
}

/// SHA-256 of what `reader` gives, in hexadecimal digits.
pub fn digest(mut reader: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut reader, &mut hash)?;
    Ok(format!("{:x}", hash.finalize()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_made_is_remembered() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().join("deep/out");
        let (a, b) = (Path::new("a"), Path::new("sub/b"));
        let tally = Tally { sentences: 3, ..Tally::default() };
        let mut folder = Folder::open(&root).unwrap();
        assert!(matches!(Folder::open(&root), Err(Error::Busy { .. })));
        folder.prepare(b).unwrap();
        fs::write(folder.path(a), "").unwrap();
        fs::write(folder.path(b), "").unwrap();
        folder.add(a, "in", "key", &tally).unwrap();
        folder.complete().unwrap();
        folder.add(b, "in", "key", &tally).unwrap();
        drop(folder);

        // The last line was cut off.
        let manifest = root.join(STATE).join(MANIFEST);
        let mut text = fs::read(&manifest).unwrap();
        text.extend(b"{\"output\":\"c");
        fs::write(&manifest, text).unwrap();
        let mut folder = Folder::open(&root).unwrap();
        assert!(folder.made(a, "in", "key", false).is_none(), "made by a run that ended well");
        assert_eq!(folder.made(a, "in", "key", true), Some(tally.clone()));
        assert!(folder.made(b, "in", "key", false).is_some());
        assert!(folder.made(b, "other", "key", true).is_none());
        assert!(folder.made(b, "in", "other", true).is_none());
        folder.add(Path::new("c"), "in", "key", &tally).unwrap();
        fs::remove_file(folder.path(b)).unwrap();
        drop(folder);

        let folder = Folder::open(&root).unwrap();
        assert!(folder.made.contains_key("c"), "the line after the one cut off is whole");
        assert!(folder.made(b, "in", "key", true).is_none(), "an output that is gone");
        fs::remove_dir_all(&root).unwrap();
        assert!(folder.check().is_err());
    }
}
