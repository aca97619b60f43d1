//! Many inputs, and what can go wrong with them: files that cannot be read, disks that are full,
//! processes that are killed. Translations are made by tests/golden/toy, as in tests/cli.rs.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use common::{ARRIVED, LEFT, tarjim, translate};

/// Runs to the end with some input. Gives exit code, standard output, standard error.
fn run(mut command: Command, stdin: &str) -> (i32, String, String) {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_owned();
    // A program that does not read to the end is no failure here.
    let writer = std::thread::spawn(move || drop(pipe.write_all(stdin.as_bytes())));
    let done = told(child.wait_with_output().unwrap());
    writer.join().unwrap();
    done
}

fn told(done: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap_or(-1), text(done.stdout), text(done.stderr))
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn name(dir: &TempDir, path: &str) -> String {
    dir.path().join(path).to_str().unwrap().to_owned()
}

/// The files below a folder, those of the program's own left out.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true if path.ends_with(".tarjim") => {}
                true => folders.push(path),
                false => found.push(path.strip_prefix(root).unwrap().display().to_string()),
            }
        }
    }
    found.sort();
    found
}

/// Input, status, and number of sentences of each entry of a report.
fn report(path: &str) -> (String, Vec<(String, String, u64)>) {
    let report: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let entry = |entry: &Value| {
        let input = text(&entry["input"]);
        let input = input.rsplit('/').next().unwrap().to_owned();
        (input, text(&entry["status"]), entry["sentences"].as_u64().unwrap())
    };
    (text(&report["status"]), report["inputs"].as_array().unwrap().iter().map(entry).collect())
}

fn entries(expected: &[(&str, &str, u64)]) -> Vec<(String, String, u64)> {
    expected.iter().map(|&(input, status, n)| (input.into(), status.into(), n)).collect()
}

#[test]
fn folders_are_mirrored_and_failures_reported() {
    let dir = folder(&[
        ("in/a.txt", ARRIVED),
        ("in/deep/er/b.txt", "وصل الوزير إلى القاهرة. خرج الرجل من السوق."),
        ("in/deep/latin.txt", "x"),
        ("in/no.md", ARRIVED),
    ]);
    fs::write(dir.path().join("in/deep/latin.txt"), b"abc \xe9\n").unwrap();
    symlink("/nowhere/at/all", dir.path().join("in/gone.txt")).unwrap();
    let (input, out, report_file) =
        (name(&dir, "in"), name(&dir, "out"), name(&dir, "report.json"));
    let args = ["--recursive", &input, "--output-dir", &out, "--report", &report_file];
    let (code, stdout, stderr) = run(translate(&args), "");
    assert_eq!((code, stdout.as_str()), (3, ""), "{stderr}");
    assert!(stderr.contains("gone.txt: No such file"), "{stderr}");
    assert!(stderr.contains("latin.txt is not valid UTF-8: byte 4"), "{stderr}");
    assert!(stderr.ends_with("error: 2 of 4 inputs failed\n"), "{stderr}");
    assert_eq!(files(Path::new(&out)), ["a.en.txt", "deep/er/b.en.txt"]);
    let b = fs::read_to_string(dir.path().join("out/deep/er/b.en.txt")).unwrap();
    assert_eq!(b, "The minister arrived at Cairo. The man left the market.");
    let (status, inputs) = report(&report_file);
    assert_eq!(status, "failed");
    let expected = [
        ("a.txt", "done", 1),
        ("b.txt", "done", 2),
        ("latin.txt", "failed", 0),
        ("gone.txt", "failed", 0),
    ];
    assert_eq!(inputs, entries(&expected));

    // A pattern, another suffix, and no folder for what has nothing to be put into it.
    let (pattern, other) = (name(&dir, "in/**/[ab].*"), name(&dir, "other"));
    let args = [&pattern, "--output-dir", &other, "--suffix", "-english.md"];
    assert_eq!(run(translate(&args), "").0, 0);
    assert_eq!(files(Path::new(&other)), ["a-english.md", "deep/er/b-english.md"]);

    let (code, _, stderr) = run(translate(&[&input, "--output-dir", &other]), "");
    assert_eq!(code, 1);
    assert!(stderr.contains("in: is a directory") && stderr.contains("--recursive"), "{stderr}");
}

#[test]
fn the_first_failure_can_end_the_run() {
    let dir = folder(&[("a.txt", ARRIVED), ("b.txt", LEFT)]);
    let (out, report_file) = (name(&dir, "out"), name(&dir, "report.json"));
    let (a, b) = (name(&dir, "a.txt"), name(&dir, "b.txt"));
    let args = [
        "--fail-fast",
        "--jobs",
        "1",
        "--output-dir",
        &out,
        "--report",
        &report_file,
        &a,
        "/nowhere/x",
        &b,
    ];
    let (code, _, stderr) = run(translate(&args), "");
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.starts_with("error: cannot read /nowhere/x"), "{stderr}");
    assert_eq!(files(Path::new(&out)), ["a.en.txt"]);
    let expected = [("a.txt", "done", 1), ("x", "failed", 0), ("b.txt", "not_started", 0)];
    assert_eq!(report(&report_file), ("failed".into(), entries(&expected)));
}

#[test]
fn what_is_done_is_not_done_again() {
    let dir = folder(&[("a.txt", ARRIVED), ("b.txt", LEFT)]);
    let (a, b) = (name(&dir, "a.txt"), name(&dir, "b.txt"));
    let (out, report_file) = (name(&dir, "out"), name(&dir, "report.json"));
    let states = |more: &[&str]| {
        let args = ["--output-dir", &out, "--report", &report_file, &a, &b];
        let (code, _, stderr) = run(translate(&[&args, more].concat()), "");
        assert!(code == 0 || code == 3, "{stderr}");
        let states: Vec<String> = report(&report_file).1.into_iter().map(|entry| entry.1).collect();
        states.join(" ")
    };
    assert_eq!(states(&["--skip-existing"]), "done done");
    assert_eq!(states(&["--skip-existing"]), "skipped skipped");
    assert_eq!(
        states(&["--skip-existing", "--threads", "1", "--batch-size", "7"]),
        "skipped skipped"
    );
    assert_eq!(states(&[]), "done done", "not asked for");
    // Another option, another input, no output.
    assert_eq!(states(&["--skip-existing", "--beam", "1"]), "done done");
    fs::write(&a, LEFT).unwrap();
    assert_eq!(states(&["--skip-existing", "--beam", "1"]), "done skipped");
    fs::remove_file(name(&dir, "out/b.en.txt")).unwrap();
    assert_eq!(states(&["--skip-existing", "--beam", "1"]), "skipped done");
    // Of a run with a failure the rest is taken as done.
    fs::write(&b, b"\xff").unwrap();
    assert_eq!(states(&[]), "done failed");
    fs::write(&b, ARRIVED).unwrap();
    assert_eq!(states(&[]), "skipped done");
    assert_eq!(states(&[]), "done done", "the last run left nothing undone");
    assert_eq!(files(Path::new(&out)), ["a.en.txt", "b.en.txt"]);
}

#[test]
fn tables_are_answered_row_by_row() {
    let csv = "\u{feff}id,note,text,error\n\
        1,\"a, \"\"b\"\"\",وصل الوزير إلى القاهرة,old\n\
        2,,\"خرج الرجل من السوق.\nوصل الوزير إلى القاهرة\",\n\
        3,short\n\
        ,no id,خرج الرجل من السوق,\n\
        5,too,خرج الرجل من السوق,,long\n\
        6,,,\n";
    let args = ["--input-format", "csv", "--id-field", "id", "--target-field", "english"];
    let (code, stdout, stderr) = run(translate(&args), csv);
    assert_eq!(code, 3);
    assert_eq!(stderr, "error: 3 of 6 records failed: their field `error` says why\n");
    let expected = "id,note,text,english,model,warnings,error\n\
        1,\"a, \"\"b\"\"\",وصل الوزير إلى القاهرة,The minister arrived at Cairo,toy,,\n\
        2,,\"خرج الرجل من السوق.\nوصل الوزير إلى القاهرة\",\"The man left the market.\n\
        The minister arrived at Cairo\",toy,,\n\
        3,short,,,,,2 columns instead of 4\n\
        ,no id,خرج الرجل من السوق,,,,the column of the name is empty\n\
        5,too,خرج الرجل من السوق,,,,5 columns instead of 4\n\
        6,,,,toy,,\n";
    assert_eq!(stdout, expected);

    let tsv = "a \"b\tوصل الوزير إلى القاهرة\n\"\tخرج الرجل من السوق\n";
    let args = ["--input-format", "tsv", "--no-header", "--field", "2"];
    let (code, stdout, _) = run(translate(&args), tsv);
    let expected = "a \"b\tوصل الوزير إلى القاهرة\tThe minister arrived at Cairo\ttoy\t\t\n\
        \"\tخرج الرجل من السوق\tThe man left the market\ttoy\t\t\n";
    assert_eq!((code, stdout.as_str()), (0, expected));
    let (code, stdout, _) =
        run(translate(&[&args[..], &["--shard", "1/2", "--flush"]].concat()), tsv);
    assert_eq!((code, stdout.as_str()), (0, expected.split_inclusive('\n').nth(1).unwrap()));

    let (code, stdout, stderr) = run(translate(&["--input-format", "csv"]), "a,b\n1,2\n");
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert_eq!(stderr, "error: <stdin>, line 1: no column `text` among a, b\n");
    assert_eq!(run(translate(&["--input-format", "csv"]), "").1, "");
    let (_, stdout, _) = run(translate(&["--input-format", "csv"]), "text\n");
    assert_eq!(stdout, "text,translation,model,warnings,error\n");
}

/// A quotation mark that is never closed must not draw the rest of the input into memory.
#[test]
fn a_row_without_end_is_an_error() {
    let csv = format!("text\n{ARRIVED}\n\"{}", "خرج الرجل ".repeat(1_000_000));
    let (code, stdout, stderr) = run(translate(&["--input-format", "csv"]), &csv);
    assert_eq!(code, 1);
    assert!(stdout.contains("The minister arrived at Cairo"), "{stdout}");
    assert!(stderr.contains("a row is longer than"), "{stderr}");
}

#[test]
fn an_invalid_record_can_end_the_run() {
    let lines = format!("{{\"text\":\"{ARRIVED}\"}}\nnot json\n{{\"text\":\"{LEFT}\"}}\n");
    let args = ["--input-format", "jsonl", "--fail-fast"];
    let (code, stdout, stderr) = run(translate(&args), &lines);
    assert_eq!(code, 1);
    assert_eq!(stdout.lines().count(), 2, "{stdout}");
    assert!(stderr.contains("<stdin>, record 2: expected ident"), "{stderr}");
    let (code, stdout, _) = run(translate(&args[..2]), &lines);
    let lines: Vec<Value> =
        stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, lines.len()), (3, 3));
    assert_eq!(lines[1]["line"], 2);
    assert_eq!(lines[2]["translation"], "The man left the market");
}

/// Who waits for an answer gets it before the input goes on.
#[test]
fn records_are_answered_as_they_come() {
    for (format, head, record) in
        [("jsonl", "", json!({"text": ARRIVED}).to_string()), ("csv", "text\n", ARRIVED.into())]
    {
        let mut child = translate(&["--input-format", format, "--flush"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
        stdin.write_all(head.as_bytes()).unwrap();
        for round in 0..3 {
            writeln!(stdin, "{record}").unwrap();
            if round == 0 && !head.is_empty() {
                answers.next().unwrap().unwrap();
            }
            assert!(answers.next().unwrap().unwrap().contains("arrived at Cairo"));
        }
        drop(stdin);
        assert!(answers.next().is_none());
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_sentence_of_a_megabyte_is_a_record_like_others() {
    // Mostly one word, so that it does not take minutes.
    let long = format!("{} {ARRIVED}", "وصل الوزير إلى القاهرة ".repeat(60) + &"x".repeat(1 << 20));
    let lines: String =
        [LEFT, &long, LEFT].iter().map(|text| format!("{}\n", json!({ "text": text }))).collect();
    let (code, stdout, stderr) =
        run(translate(&["--input-format", "jsonl", "--beam", "1"]), &lines);
    assert_eq!(code, 0, "{stderr}");
    let answers: Vec<Value> =
        stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[1]["warnings"].as_array().unwrap()[0], "split");
    let english = answers[1]["translation"].as_str().unwrap();
    assert!(english.matches("Cairo").count() > 10, "{english}");
    assert_eq!(answers[2]["translation"], "The man left the market");
}

/// Of a sentence without end the parts are aligned some at a time; it is one sentence all the same.
#[test]
fn a_sentence_of_many_parts_is_put_together_again() {
    use tarjim::nn::Compute;
    use tarjim::translate::{Translator, Warning};
    let toy = Path::new("tests/golden/toy");
    let translator = Translator::open(toy, None, Compute::Float32, None).unwrap();
    let mut settings = translator.settings();
    settings.max_input_tokens = 16;
    settings.decode.num_beams = 1;
    let text = format!("{ARRIVED}، ").repeat(30);
    let translation = &translator.translate(&[&text], &settings).unwrap()[0];
    assert_eq!(translation.source, text);
    assert_eq!(translation.source_words, tarjim::text::words(&text));
    assert!(translation.warnings.contains(&Warning::Split));
    let target = &translation.targets[0];
    assert_eq!(target.text.matches("minister").count(), 30, "{}", target.text);
    assert_eq!(target.words, tarjim::text::words(&target.text));
    assert_eq!(target.words.len(), target.confidence.len());
    let ministers = target.links.iter().filter(|link| {
        let source = translation.source_words[link.source].of(&text);
        source == "الوزير" && target.words[link.target].of(&target.text) == "minister"
    });
    // Each with its own, in order.
    let pairs: Vec<(usize, usize)> = ministers.map(|link| (link.source, link.target)).collect();
    assert_eq!(pairs.len(), 30, "{pairs:?}");
    assert!(pairs.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1), "{pairs:?}");
}

#[test]
fn progress_and_messages_can_be_json() {
    let dir = folder(&[("a.txt", ARRIVED), ("b.txt", "x")]);
    fs::write(dir.path().join("b.txt"), b"\xff").unwrap();
    let (a, b, out) = (name(&dir, "a.txt"), name(&dir, "b.txt"), name(&dir, "out"));
    let args = ["--output-dir", &out, "--progress", "json", "--log-format", "json", &a, &b];
    let (code, _, stderr) = run(translate(&args), "");
    assert_eq!(code, 3);
    let lines: Vec<Value> =
        stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    assert_eq!(events, ["start", "input", "input", "end"]);
    assert_eq!(lines[0]["total_bytes"], ARRIVED.len() + 1);
    assert_eq!((&lines[1]["status"], &lines[1]["sentences"]), (&json!("done"), &json!(1)));
    let end = lines.iter().find(|line| line["event"] == "end").unwrap();
    assert_eq!((&end["inputs_ended"], &end["inputs_failed"]), (&json!(2), &json!(1)));
    assert_eq!((&end["bytes"], &end["words"]), (&end["total_bytes"], &json!(4)));
    let messages: Vec<&Value> = lines.iter().filter(|line| line["level"] == "error").collect();
    assert_eq!(messages.len(), 2);
    assert!(messages[0]["message"].as_str().unwrap().contains("b.txt is not valid UTF-8"));
    assert!(messages[0]["hint"].as_str().unwrap().starts_with("Convert the file"));
    assert!(messages[0]["time"].as_f64().unwrap() > 1e9);
    assert_eq!(messages[1]["message"], "1 of 2 inputs failed");
}

/// What is typed goes before the environment, that before the file, and that before the default.
#[test]
fn options_have_defaults_of_ones_own() {
    let dir = folder(&[
        ("a.txt", ARRIVED),
        (
            "tarjim/config.toml",
            "log-format = 'json'\n[translate]\nformat = 'pharaoh'\nlines = true\n",
        ),
        ("wrong.toml", "[translate]\nbeam = 0\n"),
    ]);
    let a = name(&dir, "a.txt");
    let first = |more: &[&str], variables: &[(&str, &str)]| {
        let mut command = translate(&[more, &[&a]].concat());
        command.env("XDG_CONFIG_HOME", dir.path()).envs(variables.iter().copied());
        let (code, stdout, stderr) = run(command, "");
        format!("{code} {}{stderr}", stdout.chars().next().map_or(' ', |c| c))
    };
    assert_eq!(first(&[], &[]), "0 0", "links, as the file says");
    assert_eq!(first(&[], &[("TARJIM_FORMAT", "json")]), "0 {");
    assert_eq!(first(&["--format", "text"], &[("TARJIM_FORMAT", "json")]), "0 T");
    let other = first(&[], &[("TARJIM_CONFIG", "/nowhere.toml")]);
    assert!(other.starts_with("2 ") && other.contains("cannot read /nowhere.toml"), "{other}");
    let wrong = first(&["--config", &name(&dir, "wrong.toml")], &[]);
    assert!(wrong.starts_with("2 ") && wrong.contains("wrong.toml: invalid value '0'"), "{wrong}");
    // Messages too.
    let mut command = translate(&["/nowhere.txt"]);
    command.env("XDG_CONFIG_HOME", dir.path());
    assert!(run(command, "").2.starts_with("{\"time\":"));
}

#[test]
fn shells_and_manuals_know_the_options() {
    for shell in ["bash", "zsh", "fish"] {
        let mut command = tarjim();
        command.args(["completions", shell]);
        let (code, script, _) = run(command, "");
        assert_eq!(code, 0);
        assert!(script.contains("skip-existing") && script.contains("summarize"), "{shell}");
    }
    let mut command = tarjim();
    command.arg("man");
    assert!(run(command, "").1.contains(".TH tarjim 1"));
    let dir = folder(&[]);
    let pages = name(&dir, "man/man1");
    let mut command = tarjim();
    command.args(["man", "--dir", &pages]);
    assert_eq!(run(command, "").0, 0);
    let page = fs::read_to_string(format!("{pages}/tarjim-translate.1")).unwrap();
    assert!(page.contains("skip\\-existing"), "{page}");
}
