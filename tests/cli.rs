//! The program as its user meets it: stdout, stderr and exit code. Translations are made by
//! tests/golden/toy, a checkpoint that knows a made-up grammar (scripts/reference/toy.py).
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use tempfile::TempDir;

const TOY: [&str; 3] = ["--model", "tests/golden/toy", "--no-self-test"];

/// A folder of inputs.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn tarjim() -> Command {
    let mut command = Command::cargo_bin("tarjim").unwrap();
    for (name, _) in std::env::vars() {
        if name.starts_with("HF_") || name.starts_with("TARJIM_") || name.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    // Whatever a test does, it sends nothing, and what stands in the tester's home changes nothing.
    command.env("HF_HUB_OFFLINE", "1").env("COLUMNS", "100").env("XDG_CONFIG_HOME", "/nowhere");
    // On a slow machine lines would come between.
    command.env("TARJIM_PROGRESS", "none");
    command
}

/// What a run prints, and how it ends.
fn shown(command: &mut Command) -> String {
    let done = command.output().unwrap();
    let code = done.status.code().unwrap();
    let (out, err) =
        (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
    format!("exit code: {code}\n----- stdout -----\n{out}\n----- stderr -----\n{err}")
}

/// Runs with `DIR` in the arguments, and in what is printed, standing for a folder.
fn run(dir: &Path, args: &[&str], stdin: &str) -> String {
    let dir = dir.to_str().unwrap();
    let args = args.iter().map(|arg| arg.replace("DIR", dir));
    shown(tarjim().args(args).write_stdin(stdin)).replace(dir, "DIR")
}

fn translate_in(dir: &Path, args: &[&str], stdin: &str) -> String {
    run(dir, &[&["translate"][..], &TOY, args].concat(), stdin)
}

fn translate(args: &[&str], stdin: &str) -> String {
    translate_in(Path::new("/nowhere"), args, stdin)
}

const ARTICLE: &str = "\
وصل الوزير إلى القاهرة

- ذهب الطالب إلى المدرسة أمس.وعاد المدير إلى البيت عام 1987!
  See https://example.org
هل خرج الرجل من السوق؟
";

#[test]
fn text_keeps_the_layout() {
    insta::assert_snapshot!(translate(&[], ARTICLE));
}

#[test]
fn alignment_is_shown_under_each_sentence() {
    insta::assert_snapshot!(translate(&["--align"], ARTICLE));
}

#[test]
fn machine_formats() {
    insta::assert_snapshot!(
        "json",
        translate(&["--format", "json", "--align", "--n-best", "2"], ARTICLE)
    );
    insta::assert_snapshot!("tsv", translate(&["--format", "tsv", "--align"], ARTICLE));
    insta::assert_snapshot!("pharaoh", translate(&["--format", "pharaoh"], ARTICLE));
}

/// Records of three good lines between bad ones.
const RECORDS: &str = concat!(
    "{\"id\": 7, \"text\": \"وصل الوزير إلى القاهرة\", \"tags\": [1, null]}\n",
    "{\"id\": 8, \"text\": 12}\n",
    "not json\n",
    "\n",
    "{\"id\": 9, \"text\": \"\"}\n",
    "[1]\n",
    "{\"id\": 10}\n",
    "{\"id\": 11, \"text\": \"ذهب الطالب إلى المدرسة.\\n\\nhello\"}",
);

#[test]
fn every_record_is_answered_by_one() {
    let jsonl =
        |args: &[&str]| translate(&[&["--input-format", "jsonl"][..], args].concat(), RECORDS);
    insta::assert_snapshot!("records", jsonl(&[]));
    insta::assert_snapshot!("records_align", jsonl(&["--align", "--shard", "0/7"]));
    insta::assert_snapshot!("records_format", jsonl(&["--format", "tsv"]));
    insta::assert_snapshot!("records_shard", jsonl(&["--shard", "4/4"]));
    assert_eq!(jsonl(&["--flush"]), jsonl(&[]));
}

/// The shards of a stream hold each record once.
#[test]
fn shards_make_up_the_stream() {
    let lines: String =
        (0..50).map(|n| format!("{{\"id\":{n},\"text\":\"وصل الوزير إلى القاهرة\"}}\n")).collect();
    let run = |args: &[&str]| {
        let args = [&["translate"][..], &TOY, &["--input-format", "jsonl"], args].concat();
        String::from_utf8(tarjim().args(args).write_stdin(lines.clone()).output().unwrap().stdout)
            .unwrap()
    };
    let whole = run(&[]);
    assert_eq!(whole.lines().count(), 50);
    let shards: Vec<String> = (0..3).map(|n| run(&["--shard", &format!("{n}/3")])).collect();
    let mut shards: Vec<_> = shards.iter().map(|shard| shard.lines()).collect();
    let woven: Vec<&str> = (0..50).map(|n| shards[n % 3].next().unwrap()).collect();
    assert_eq!(woven, whole.lines().collect::<Vec<_>>());
}

#[test]
fn with_lines_every_line_is_a_sentence() {
    let text = "وصل الوزير إلى\nالقاهرة\n\nذهب الطالب إلى المدرسة. خرج الرجل من السوق";
    insta::assert_snapshot!(translate(&["--lines"], text));
}

#[test]
fn nothing_gives_nothing() {
    insta::assert_snapshot!("empty", translate(&[], ""));
    insta::assert_snapshot!("blank", translate(&[], "\n \n\n"));
    insta::assert_snapshot!("english", translate(&["--format", "jsonl"], "No Arabic here. 12!\n"));
}

/// Batch size and threads change no byte, nor does cutting a long text into blocks.
#[test]
fn same_bytes_whatever_the_batch_and_the_threads() {
    let long = ARTICLE.repeat(5);
    let args = |extra: [&str; 4]| {
        let mut args = vec!["--format", "jsonl", "--align"];
        args.extend(extra);
        translate(&args, &long)
    };
    let expected = args(["--batch-size", "1", "--threads", "1"]);
    assert!(expected.starts_with("exit code: 0"), "{expected}");
    assert_eq!(args(["--batch-size", "100", "--threads", "2"]), expected);
    assert_eq!(args(["--batch-size", "5000", "--threads", "3"]), expected);
}

#[test]
fn files_are_written_into_a_folder_and_failures_named() {
    let dir = folder(&[("a.txt", "وصل الوزير إلى دمشق.\n"), ("b.txt", "خرج الطفل من البيت\n")]);
    fs::write(dir.path().join("latin1.txt"), b"abc \xe9\n").unwrap();
    let files = ["DIR/a.txt", "DIR/missing.txt", "DIR/latin1.txt", "DIR/b.txt"];
    let args = [&["--output-dir", "DIR/out/deep"], &files[..]].concat();
    insta::assert_snapshot!(translate_in(dir.path(), &args, ""));
    let out = dir.path().join("out/deep");
    let mut names: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [".tarjim", "a.en.txt", "b.en.txt"], "nothing half written");
    assert_eq!(fs::read_to_string(out.join("b.en.txt")).unwrap(), "The child left the house\n");
}

#[test]
fn an_output_file_appears_only_when_complete() {
    let dir = folder(&[("good.txt", "وصل الوزير إلى دمشق.\n"), ("out.txt", "old")]);
    fs::write(dir.path().join("bad.txt"), b"\xff").unwrap();
    let to = |output: &str, input: &str| translate_in(dir.path(), &["-o", output, input], "");
    let written = || fs::read_to_string(dir.path().join("out.txt")).unwrap();
    insta::assert_snapshot!("not_utf8", to("DIR/out.txt", "DIR/bad.txt"));
    assert_eq!(written(), "old");
    to("DIR/out.txt", "DIR/good.txt");
    assert_eq!(written(), "The minister arrived at Damascus.\n");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "no temporary file is left");
    insta::assert_snapshot!("no_folder", to("DIR/no/out.txt", "DIR/good.txt"));
}

#[test]
fn wrong_usage_is_told() {
    let dir = folder(&[]);
    insta::assert_snapshot!("align_text", translate(&["--align", "--format", "text"], ""));
    insta::assert_snapshot!("n_best_text", translate(&["--n-best", "3"], ""));
    insta::assert_snapshot!(
        "n_best_beam",
        translate(&["--n-best", "3", "--beam", "2", "--format", "json"], "")
    );
    insta::assert_snapshot!("beam_0", translate(&["--beam", "0"], ""));
    insta::assert_snapshot!("max_length", translate(&["--max-length", "4000"], ""));
    insta::assert_snapshot!(
        "same_output",
        translate(&["--output-dir", "x", "a/n.txt", "b/n.txt"], "")
    );
    insta::assert_snapshot!(
        "no_model",
        run(dir.path(), &["translate", "--model", "opus-mt-ar-em"], "")
    );
    insta::assert_snapshot!("no_command", run(dir.path(), &[], ""));
}

#[test]
fn a_model_that_prints_garbage_is_refused() {
    let args = ["translate", "--model", "tests/golden/toy"];
    insta::assert_snapshot!("toy", run(Path::new("/nowhere"), &args, ARTICLE));
    let dir = folder(&[("config.json", "{}")]);
    let args = ["translate", "--model", "DIR"];
    insta::assert_snapshot!("no_weights", run(dir.path(), &args, ARTICLE));
}

#[test]
fn given_translations_are_aligned() {
    let dir = folder(&[
        ("ar", "وصل الوزير إلى القاهرة .\nخرج الرجل من السوق\n\n"),
        ("en", "The minister arrived at Cairo .\nThe man left the market\n\n"),
        ("short", "One line\n"),
    ]);
    let align = |target: &str, more: &[&str]| {
        run(dir.path(), &[&["align"][..], &TOY, &["DIR/ar", target], more].concat(), "")
    };
    insta::assert_snapshot!("align", align("DIR/en", &[]));
    insta::assert_snapshot!("align_jsonl", align("DIR/en", &["--format", "jsonl"]));
    insta::assert_snapshot!("align_lines", align("DIR/short", &[]));
}

#[test]
fn help_teaches() {
    for command in ["translate", "align", "eval", "models", "summarize", "completions", "man"] {
        let help = run(Path::new("/nowhere"), &[command, "--help"], "");
        insta::assert_snapshot!(format!("help_{command}"), help);
    }
    insta::assert_snapshot!("help", run(Path::new("/nowhere"), &["--help"], ""));
    let version = run(Path::new("/nowhere"), &["--version"], "");
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
}

/// `tarjim translate … | head`: not an error.
#[cfg(unix)]
#[test]
fn a_reader_that_leaves_is_no_error() {
    use std::process::{Command, Stdio};
    let dir = folder(&[("long.txt", &ARTICLE.repeat(40))]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_tarjim"))
        .args(["translate", "--progress", "none"])
        .args(TOY)
        .arg(dir.path().join("long.txt"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(done.stderr).unwrap(), "");
    assert!(done.status.success());
}
