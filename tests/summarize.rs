//! `tarjim summarize` as its user meets it: stdout, stderr and exit code. Translations are made by
//! tests/golden/toy and bullets by tests/golden/toy_summary, two checkpoints that know a made-up grammar
//! (scripts/reference/toy.py, toy_summary.py).
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

const TOY: [&str; 3] = ["--model", "tests/golden/toy", "--no-self-test"];
const ABSTRACTIVE: [&str; 4] =
    ["--mode", "abstractive", "--summary-model", "tests/golden/toy_summary"];

const ARTICLE: &str = "\
وصل الوزير إلى القاهرة

- ذهب الطالب إلى المدرسة أمس.وعاد المدير إلى البيت عام 1987!
  See https://example.org
هل خرج الرجل من السوق؟
";

/// What the toy summarizer was made for: two went to the same place, and there is a year.
const VISITS: &str = "وصل الوزير إلى القاهرة أمس. وصل المعلم إلى القاهرة. خرج الطالب من المدرسة صباحا. \
                      عاد الطفل إلى دمشق عام 1987 صباحا.\n";

fn tarjim() -> Command {
    let mut command = Command::cargo_bin("tarjim").unwrap();
    for (name, _) in std::env::vars() {
        if name.starts_with("HF_") || name.starts_with("TARJIM_") || name.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    // Whatever a test does, it sends nothing.
    command.env("HF_HUB_OFFLINE", "1").env("COLUMNS", "100");
    command
}

/// What a run prints, and how it ends. `DIR` stands for a folder.
fn run(dir: &Path, args: &[&str], stdin: &str) -> String {
    let folder = dir.to_str().unwrap();
    let args = args.iter().map(|arg| arg.replace("DIR", folder));
    let done = tarjim().arg("summarize").args(TOY).args(args).write_stdin(stdin).output().unwrap();
    let code = done.status.code().unwrap();
    let (out, err) =
        (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
    format!("exit code: {code}\n----- stdout -----\n{out}\n----- stderr -----\n{err}")
        .replace(folder, "DIR")
}

fn summarize(args: &[&str], stdin: &str) -> String {
    run(Path::new("/nowhere"), args, stdin)
}

fn abstractive(args: &[&str], stdin: &str) -> String {
    summarize(&[&ABSTRACTIVE[..], args].concat(), stdin)
}

fn json(args: &[&str], stdin: &str) -> Value {
    let command = &mut tarjim();
    let command = command.arg("summarize").args(TOY).args(["--format", "json"]).args(args);
    serde_json::from_slice(&command.write_stdin(stdin).output().unwrap().stdout).unwrap()
}

#[test]
fn bullets_name_their_sources() {
    insta::assert_snapshot!("text", summarize(&["--bullets", "2"], ARTICLE));
    insta::assert_snapshot!(
        "markdown",
        summarize(&["--ratio", "0.5", "--format", "markdown", "--query", "المدرسة"], ARTICLE)
    );
    insta::assert_snapshot!("json", summarize(&["--max-words", "5", "--format", "json"], ARTICLE));
}

#[test]
fn texts_of_every_shape() {
    insta::assert_snapshot!("one_sentence", summarize(&[], "وصل الوزير إلى القاهرة."));
    insta::assert_snapshot!("headline", summarize(&[], "الوزير في القاهرة\n"));
    insta::assert_snapshot!("not_arabic", summarize(&[], "No Arabic here.\n"));
    insta::assert_snapshot!("nothing", summarize(&[], "\n"));
    insta::assert_snapshot!(
        "table",
        summarize(&[], "المدينة | الوزير\nالقاهرة | المدير\n\nوصل الوزير إلى القاهرة.\n")
    );
    insta::assert_snapshot!("only_table", summarize(&[], "المدينة | الوزير\nالقاهرة | المدير\n"));
    insta::assert_snapshot!(
        "list",
        summarize(
            &["--bullets", "2"],
            "- خرج الطالب من المدرسة.\n- وصل الوزير إلى القاهرة.\n- عاد الطفل.\n"
        )
    );
}

#[test]
fn several_articles_and_files() {
    let two = "=== 1\nوصل الوزير إلى القاهرة.\n=== 2\nخرج الطالب من المدرسة.\n";
    insta::assert_snapshot!("split", summarize(&["--split-on", "^==="], two));
    insta::assert_snapshot!("split_pattern", summarize(&["--split-on", "("], two));
    let objects = summarize(&["--split-on", "^===", "--format", "json", "-q"], two);
    assert_eq!(objects.matches("\"article\":").count(), 2, "{objects}");

    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.txt"), "وصل الوزير إلى القاهرة.").unwrap();
    fs::write(dir.path().join("b.txt"), "خرج الطالب من المدرسة.").unwrap();
    let files = ["DIR/a.txt", "DIR/missing.txt", "DIR/b.txt"];
    insta::assert_snapshot!("files", run(dir.path(), &files, ""));
    insta::assert_snapshot!("no_file", summarize(&["/nowhere/article.txt"], ""));
}

#[test]
fn every_record_is_answered() {
    let records = concat!(
        "{\"id\": 7, \"body\": \"وصل الوزير إلى القاهرة. خرج الطالب من المدرسة.\"}\n",
        "{\"id\": 8}\n",
        "not json\n",
        "{\"id\": 9, \"body\": \"hello\"}\n",
    );
    let args = ["--input-format", "jsonl", "--field", "body", "--bullets", "1"];
    insta::assert_snapshot!("records", summarize(&args, records));
    insta::assert_snapshot!(
        "records_format",
        summarize(&["--input-format", "jsonl", "--format", "json"], records)
    );
}

#[test]
fn wrong_usage_is_refused() {
    insta::assert_snapshot!("ratio", summarize(&["--ratio", "2"], ARTICLE));
    insta::assert_snapshot!(
        "summary_model_extractive",
        summarize(&["--summary-model", "tests/golden/toy_summary"], ARTICLE)
    );
    insta::assert_snapshot!("query_abstractive", abstractive(&["--query", "السوق"], ARTICLE));
    insta::assert_snapshot!(
        "summary_model_translates",
        summarize(&["--mode", "abstractive", "--summary-model", "opus-mt-ar-en"], ARTICLE)
    );
    insta::assert_snapshot!("window", abstractive(&["--window", "100000"], ARTICLE));
}

#[test]
fn a_model_writes_and_what_it_writes_is_attributed() {
    insta::assert_snapshot!("abstractive", abstractive(&[], VISITS));
    insta::assert_snapshot!(
        "abstractive_english",
        abstractive(&["--summary-input", "english"], VISITS)
    );
    insta::assert_snapshot!("abstractive_markdown", abstractive(&["--format", "markdown"], VISITS));
    insta::assert_snapshot!("abstractive_json", abstractive(&["--format", "json"], VISITS));
    // Two sentences at a time, one of them read again in the next window. What it makes of the last two
    // is partly invented, and that is seen.
    insta::assert_snapshot!("abstractive_windows", abstractive(&["--window", "20"], VISITS));
    insta::assert_snapshot!(
        "abstractive_strict",
        abstractive(&["--window", "20", "--strict"], VISITS)
    );
}

/// What a summary cites stands where it says, in bytes and in characters.
#[test]
fn citations_point_into_the_document() {
    for (args, text) in [(&[][..], ARTICLE), (&[], VISITS), (&ABSTRACTIVE, VISITS)] {
        let summary = json(args, text);
        let chars: Vec<char> = text.chars().collect();
        let check = |place: &Value, wanted: &Value| {
            let at = |name: &str| place[name].as_u64().unwrap() as usize;
            assert_eq!(&text[at("start")..at("end")], wanted.as_str().unwrap());
            let own: String = chars[at("char_start")..at("char_end")].iter().collect();
            assert_eq!(own, wanted.as_str().unwrap());
        };
        let mut cited = 0;
        for bullet in summary["bullets"].as_array().unwrap() {
            for citation in bullet["citations"].as_array().unwrap() {
                check(citation, &citation["source"]);
                for part in citation["parts"].as_array().unwrap() {
                    check(part, &part["text"]);
                    cited += 1;
                }
            }
        }
        assert!(cited > 0, "{summary}");
    }
}
