//! Which inputs there are, and where the output of each goes: files, patterns and folders.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use tarjim::{Error, Result};
use walkdir::WalkDir;

/// An input and where its output goes.
#[derive(Debug)]
pub struct Job {
    /// None for standard input.
    pub input: Option<PathBuf>,
    /// None where all outputs go to one place. With a folder of outputs, a path below it.
    pub output: Option<PathBuf>,
    /// Why it cannot be read, if that is known beforehand.
    pub problem: Option<Error>,
}

impl Job {
    /// What it is called in messages.
    pub fn name(&self) -> &Path {
        self.input.as_deref().unwrap_or(Path::new("<stdin>"))
    }

    /// What it is called in results, `-` for standard input.
    pub fn shown(&self) -> String {
        self.input.as_deref().unwrap_or(Path::new("-")).display().to_string()
    }
}

/// How inputs are found and outputs named.
pub struct Naming<'a> {
    /// The folder of outputs.
    pub root: Option<&'a Path>,
    /// Put behind the name of an input without its extension.
    pub suffix: &'a str,
    /// Whether folders are searched.
    pub recursive: bool,
    /// Which files of a folder are inputs.
    pub include: &'a [String],
}

/// The inputs that `arguments` name, standard input if there are none. One that cannot be read is
/// among them, with its problem.
///
/// # Errors
/// If two outputs would be the same file, or an output would replace an input.
pub fn find(arguments: &[PathBuf], naming: &Naming<'_>) -> Result<Vec<Job>> {
    let include = globs(naming.include)?;
    let mut found = Vec::new();
    for argument in arguments {
        if argument.as_os_str() == "-" {
            found.push(Found { path: None, relative: "stdin".into(), problem: None });
        } else if fs::symlink_metadata(argument).is_ok() {
            if naming.recursive && argument.is_dir() {
                walk(argument, usize::MAX, naming, &mut found, |relative| {
                    include.is_match(relative)
                        || relative.file_name().is_some_and(|name| include.is_match(name))
                })?;
            } else {
                found.push(Found::file(argument));
            }
        } else if let Some((base, pattern)) = split(argument) {
            let depth = match pattern.contains("**") {
                true => usize::MAX,
                false => pattern.matches('/').count() + 1,
            };
            let matcher = globs(&[pattern])?;
            let before = found.len();
            walk(&base, depth, naming, &mut found, |relative| matcher.is_match(relative))?;
            if found.len() == before {
                let error = io::Error::new(io::ErrorKind::NotFound, "no file matches");
                found.push(Found::problem(argument.clone(), Error::read(argument)(error)));
            }
        } else {
            found.push(Found::file(argument));
        }
    }
    if arguments.is_empty() {
        found.push(Found { path: None, relative: "stdin".into(), problem: None });
    }
    outputs(found, naming)
}

/// An input, and its name below the place where it was looked for.
struct Found {
    path: Option<PathBuf>,
    relative: PathBuf,
    problem: Option<Error>,
}

impl Found {
    fn file(path: &Path) -> Self {
        let name = path.file_name().unwrap_or(path.as_os_str());
        Found { path: Some(path.to_owned()), relative: name.into(), problem: None }
    }

    fn problem(path: PathBuf, error: Error) -> Self {
        Found { relative: path.clone(), path: Some(path), problem: Some(error) }
    }
}

/// The files below a folder that are wanted, in the order of their names. Hidden ones are not, nor
/// is what stands in the folder of outputs.
fn walk(
    base: &Path,
    depth: usize,
    naming: &Naming<'_>,
    found: &mut Vec<Found>,
    wanted: impl Fn(&Path) -> bool,
) -> Result<()> {
    let same = |path: &Path| match naming.root {
        Some(root) => same_file::is_same_file(root, path).unwrap_or(false),
        None => false,
    };
    let in_place = same(base);
    let entries = WalkDir::new(base).follow_links(true).max_depth(depth).sort_by_file_name();
    let seen = |entry: &walkdir::DirEntry| {
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        entry.depth() == 0 || !(hidden || entry.file_type().is_dir() && same(entry.path()))
    };
    for entry in entries.into_iter().filter_entry(seen) {
        match entry {
            Ok(entry) => {
                let relative = entry.path().strip_prefix(base).unwrap_or(entry.path());
                let name = entry.file_name().to_string_lossy();
                // Written beside their inputs, outputs are not to be taken for inputs.
                let output = in_place && name.ends_with(naming.suffix);
                if !entry.file_type().is_dir() && !output && wanted(relative) {
                    let (relative, path) = (relative.to_owned(), Some(entry.into_path()));
                    found.push(Found { path, relative, problem: None });
                }
            }
            Err(error) => {
                let path = error.path().unwrap_or(base).to_owned();
                let relative = path.strip_prefix(base).unwrap_or(&path);
                // A link to nothing is no matter where no such file is wanted.
                if path.is_symlink() && !wanted(relative) {
                    continue;
                }
                let error = Error::read(&path)(error.into());
                found.push(Found::problem(path, error));
            }
        }
    }
    Ok(())
}

/// A pattern, cut into the folder before its first wildcard and the rest.
fn split(argument: &Path) -> Option<(PathBuf, String)> {
    let is_glob = |part: &Component| {
        part.as_os_str().as_encoded_bytes().iter().any(|byte| b"*?[{".contains(byte))
    };
    let parts: Vec<Component> = argument.components().collect();
    let first = parts.iter().position(is_glob)?;
    let base: PathBuf = parts[..first].iter().collect();
    let rest: PathBuf = parts[first..].iter().collect();
    let base = if first == 0 { PathBuf::from(".") } else { base };
    Some((base, rest.to_str()?.replace('\\', "/")))
}

fn globs<T: AsRef<str>>(patterns: &[T]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    let wrong = |error: globset::Error| Error::Usage(error.to_string());
    for pattern in patterns {
        // As in a shell, `*` does not pass over `/`.
        let glob = GlobBuilder::new(pattern.as_ref()).literal_separator(true).build();
        set.add(glob.map_err(wrong)?);
    }
    set.build().map_err(wrong)
}

/// Gives every input its output.
fn outputs(found: Vec<Found>, naming: &Naming<'_>) -> Result<Vec<Job>> {
    let mut jobs: Vec<Job> = Vec::with_capacity(found.len());
    let mut taken: HashMap<PathBuf, usize> = HashMap::new();
    for Found { path, relative, problem } in found {
        let output = naming.root.map(|_| {
            let mut name = OsString::from(relative.file_stem().unwrap_or_default());
            name.push(naming.suffix);
            relative.with_file_name(name)
        });
        let job = Job { input: path, output, problem };
        if let (Some(root), Some(output), None) = (naming.root, &job.output, &job.problem) {
            let full = root.join(output);
            if let Some(&other) = taken.get(output) {
                let other: &Job = &jobs[other];
                return Err(Error::Usage(format!(
                    "{} and {} would both be written to {}",
                    other.name().display(),
                    job.name().display(),
                    full.display()
                )));
            }
            if let Some(input) = &job.input
                && same_file::is_same_file(input, &full).unwrap_or(false)
            {
                return Err(Error::Usage(format!(
                    "{} would be written over by its translation",
                    input.display()
                )));
            }
            taken.insert(output.clone(), jobs.len());
        }
        jobs.push(job);
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Inputs and outputs, `!` for one with a problem, under a folder with some files.
    fn found(arguments: &[&str], root: &str, include: &[&str]) -> Result<Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        for file in
            ["a.txt", "b.md", "sub/a.txt", "sub/deep/c.txt", ".hidden/x.txt", "out/a.en.txt"]
        {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let include: Vec<String> = include.iter().map(|&glob| glob.into()).collect();
        let root = dir.path().join(root);
        let naming =
            Naming { root: Some(&root), suffix: ".en.txt", recursive: true, include: &include };
        let arguments: Vec<PathBuf> = arguments
            .iter()
            .map(|&name| if name == "-" { name.into() } else { dir.path().join(name) })
            .collect();
        let jobs = find(&arguments, &naming)?;
        let show = |job: &Job| {
            let input = job.name().strip_prefix(dir.path()).unwrap_or(job.name()).display();
            match &job.problem {
                Some(_) => format!("! {input}"),
                None => format!("{input} {}", job.output.as_ref().unwrap().display()),
            }
        };
        Ok(jobs.iter().map(show).collect())
    }

    #[test]
    fn folders_are_mirrored() {
        let all = ["a.txt a.en.txt", "sub/a.txt sub/a.en.txt", "sub/deep/c.txt sub/deep/c.en.txt"];
        assert_eq!(found(&[""], "out", &["*.txt"]).unwrap(), all);
        assert_eq!(found(&[""], "", &["*.txt"]).unwrap()[..1], all[..1]);
        assert_eq!(found(&[""], "out", &["sub/*.txt", "*.md"]).unwrap(), ["b.md b.en.txt", all[1]]);
        assert_eq!(
            found(&["sub"], "out", &["*.txt"]).unwrap(),
            ["sub/a.txt a.en.txt", "sub/deep/c.txt deep/c.en.txt"]
        );
    }

    #[test]
    fn patterns_are_as_in_a_shell() {
        assert_eq!(found(&["*.txt"], "out", &[]).unwrap(), ["a.txt a.en.txt"]);
        assert_eq!(found(&["*/a.txt"], "out", &[]).unwrap(), ["sub/a.txt sub/a.en.txt"]);
        assert_eq!(found(&["**/*.{txt,md}"], "out", &[]).unwrap().len(), 4);
        assert_eq!(found(&["sub/**/c.???"], "out", &[]).unwrap(), ["sub/deep/c.txt deep/c.en.txt"]);
        assert_eq!(
            found(&["*.pdf", "-"], "out", &[]).unwrap(),
            ["! *.pdf", "<stdin> stdin.en.txt"]
        );
        assert!(found(&["[a"], "out", &[]).is_err());
    }

    #[test]
    fn no_output_replaces_another_or_an_input() {
        let error = found(&["a.txt", "sub/a.txt"], "out", &[]).unwrap_err().to_string();
        assert!(error.contains("would both be written"), "{error}");
        let error = found(&["out/a.en.txt"], "out", &[]);
        assert!(error.is_ok(), "a.en.txt becomes a.en.en.txt");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.txt");
        fs::write(&file, "").unwrap();
        let naming =
            Naming { root: Some(dir.path()), suffix: ".txt", recursive: false, include: &[] };
        let error = find(&[file], &naming).unwrap_err().to_string();
        assert!(error.contains("written over"), "{error}");
    }
}
