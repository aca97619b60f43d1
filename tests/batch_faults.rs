//! What becomes of a batch when disks fill up, folders vanish and processes are killed: nothing is
//! lost, doubled or half written. Translations are made by tests/golden/toy, as in tests/cli.rs.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use common::{ARRIVED, LEFT, translate};

/// Exit code, standard output and standard error.
fn ended(child: Child) -> (i32, String, String) {
    let done = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap_or(-1), text(done.stdout), text(done.stderr))
}

fn run(args: &[&str]) -> (i32, String, String) {
    ended(translate(args).spawn().unwrap())
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn name(dir: &TempDir, path: &str) -> String {
    dir.path().join(path).to_str().unwrap().to_owned()
}

/// The names in a folder, hidden ones too.
fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Numbers that look random, the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Numbered records, some of which are none, and some of which take time.
fn records(count: usize) -> String {
    let line = |n: usize| match n % 20 {
        3 => format!("not a record {n}\n"),
        7 => format!("{}\n", json!({"id": n, "text": if n % 40 == 7 { ARRIVED } else { LEFT }})),
        _ => format!("{}\n", json!({"id": n, "text": "Nothing Arabic."})),
    };
    (0..count).map(line).collect()
}

/// Checks that each of these records has its answer.
fn check(output: &str, count: usize) {
    let answers: Vec<Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), count);
    for (n, answer) in answers.iter().enumerate() {
        match n % 40 {
            3 | 23 => {
                assert_eq!(answer["line"], n + 1);
                assert!(answer["error"].as_str().unwrap().starts_with("expected ident"));
            }
            other => {
                let english = match other {
                    7 => "The minister arrived at Cairo",
                    27 => "The man left the market",
                    _ => "Nothing Arabic.",
                };
                assert_eq!((&answer["id"], &answer["translation"]), (&json!(n), &json!(english)));
            }
        }
    }
}

/// So many that the toy model needs some seconds.
const RECORDS: usize = 4000;

/// Kills a run at random moments, again and again, and lets it end when it has got that far.
#[test]
fn a_stream_that_is_killed_goes_on_where_it_was() {
    let dir = folder(&[("in.jsonl", &records(RECORDS))]);
    let (input, out) = (name(&dir, "in.jsonl"), name(&dir, "out"));
    fs::create_dir(&out).unwrap();
    let output = format!("{out}/x.jsonl");
    let part = PathBuf::from(format!("{out}/.x.jsonl.tarjim-part"));
    let args = ["--input-format", "jsonl", "--beam", "1", "-o", &output, &input];
    let mut random = Random(7);
    let (mut kills, mut resumed) = (0, 0);
    // Until it has ended after twenty kills.
    loop {
        let mut child = translate(&args).spawn().unwrap();
        if kills < 20 {
            wait_until("no part", || part.exists() || child.try_wait().unwrap().is_some());
            std::thread::sleep(Duration::from_millis(random.below(800)));
            kills += usize::from(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
        }
        let (code, _, stderr) = ended(child);
        resumed += usize::from(stderr.contains("were answered by an earlier run"));
        if Path::new(&output).exists() {
            assert!(code == 3 || code == -1, "{stderr}");
            assert_eq!(names(&out).iter().filter(|name| *name == "x.jsonl").count(), 1);
            check(&fs::read_to_string(&output).unwrap(), RECORDS);
            if kills == 20 {
                break;
            }
            fs::remove_file(&output).unwrap();
        }
    }
    assert_eq!(names(&out), ["x.jsonl"], "nothing else is left");
    assert!(resumed > 5, "{resumed} runs went on with the work of an earlier one");
}

/// The same for many files.
#[test]
fn files_that_are_complete_are_not_made_again_after_a_kill() {
    let dir = folder(&[]);
    let (input, out) = (name(&dir, "in"), name(&dir, "out"));
    fs::create_dir(&input).unwrap();
    let text = |n: usize| format!("{ARRIVED}\n{n}\n").repeat(3);
    for n in 0..60 {
        fs::write(format!("{input}/{n:02}.txt"), text(n)).unwrap();
    }
    let args = ["--recursive", &input, "--output-dir", &out, "--beam", "1", "--jobs", "2"];
    let mut random = Random(3);
    for _ in 0..5 {
        let mut child = translate(&args).spawn().unwrap();
        let before = fs::read_dir(&out).map_or(0, Iterator::count);
        wait_until("nothing done", || {
            fs::read_dir(&out).map_or(0, Iterator::count) > before.max(2)
                || child.try_wait().unwrap().is_some()
        });
        std::thread::sleep(Duration::from_millis(random.below(50)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let report = name(&dir, "report.json");
    let (code, _, stderr) = run(&[&args[..], &["--report", &report]].concat());
    assert_eq!(code, 0, "{stderr}");
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    let skipped = report["inputs"].as_array().unwrap().iter();
    let skipped = skipped.filter(|input| input["status"] == "skipped").count();
    assert!((1..60).contains(&skipped), "{skipped}");
    let found: Vec<String> = names(&out).into_iter().filter(|name| name != ".tarjim").collect();
    assert_eq!(found, (0..60).map(|n| format!("{n:02}.en.txt")).collect::<Vec<_>>());
    for n in 0..60 {
        let english = fs::read_to_string(format!("{out}/{n:02}.en.txt")).unwrap();
        assert_eq!(english, format!("The minister arrived at Cairo\n{n}\n").repeat(3));
    }
}

/// Whether this process was begun with one of the signals ignored that end a program.
fn ignores_signals() -> bool {
    const HANGUP_INTERRUPT_TERMINATE: u64 = 1 << 0 | 1 << 1 | 1 << 14;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.unwrap_or(0) & HANGUP_INTERRUPT_TERMINATE != 0
}

/// Ctrl-C: what is in work is brought to an end, and the next run goes on; twice, and it is over.
#[test]
fn an_interruption_ends_cleanly() {
    if ignores_signals() {
        // Under nohup, or in the background of a script, the program ignores them too, as it should.
        return;
    }
    let dir = folder(&[("in.csv", ""), ("a.txt", ARRIVED)]);
    let input = name(&dir, "in.csv");
    let row =
        |n: usize| format!("{n},{}\n", if n.is_multiple_of(20) { ARRIVED } else { "English" });
    let rows: String = (0..RECORDS).map(row).collect();
    fs::write(&input, format!("id,text\n{rows}")).unwrap();
    let out = name(&dir, "out.csv");
    let args = ["--input-format", "csv", "--beam", "1", "-o", &out, &input];
    let part = dir.path().join(".out.csv.tarjim-part");
    let written = || fs::metadata(&part).map_or(0, |part| part.len());
    let begin = || {
        let before = written();
        let child = translate(&args).spawn().unwrap();
        wait_until("nothing written", || written() > before);
        child
    };
    let child = begin();
    send("-INT", &child);
    let (code, _, stderr) = ended(child);
    assert_eq!(code, 130, "{stderr}");
    assert!(stderr.contains("the same command goes on from here"), "{stderr}");
    assert!(!Path::new(&out).exists());
    let child = begin();
    send("-TERM", &child);
    send("-INT", &child);
    assert_eq!(ended(child).0, 130);
    let (code, _, stderr) = run(&args);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("were answered by an earlier run"), "{stderr}");
    let english = fs::read_to_string(&out).unwrap();
    let numbers: Vec<String> =
        english.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect();
    assert_eq!(numbers, (0..RECORDS).map(|n| n.to_string()).collect::<Vec<_>>());

    // While it waits for input, and into a folder.
    let (a, out) = (name(&dir, "a.txt"), name(&dir, "english"));
    let mut child = translate(&["--output-dir", &out, "--jobs", "1", &a, "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let done = dir.path().join("english/a.en.txt");
    wait_until("a.txt is not done", || done.exists());
    send("-INT", &child);
    let stdin = child.stdin.take();
    let (code, _, stderr) = ended(child);
    drop(stdin);
    assert_eq!(code, 130, "{stderr}");
    assert_eq!(names(&out), [".tarjim", "a.en.txt"]);
}

/// One that waits for its input, and so holds on to its output.
fn waiting(args: &[&str], held: &Path) -> Child {
    let child = translate(args).stdin(Stdio::piped()).spawn().unwrap();
    wait_until("the output is not taken", || held.exists());
    child
}

#[test]
fn two_runs_do_not_write_the_same_output() {
    let dir = folder(&[("a.txt", ARRIVED)]);
    let (a, out, file) = (name(&dir, "a.txt"), name(&dir, "out"), name(&dir, "file.txt"));
    let part = dir.path().join(".file.txt.tarjim-part");
    for (output, held) in [("--output-dir", dir.path().join("out/.tarjim/lock")), ("-o", part)] {
        let to = if output == "-o" { &file } else { &out };
        let mut first = waiting(&[output, to, "-"], &held);
        // Made is not yet locked.
        std::thread::sleep(Duration::from_millis(100));
        let (code, _, stderr) = run(&[output, to, &a]);
        assert_eq!(code, 1);
        assert!(stderr.contains(&format!("another run is writing {to}")), "{stderr}");
        assert!(stderr.contains("hint: Wait until it has ended"), "{stderr}");
        first.stdin.take().unwrap().write_all(LEFT.as_bytes()).unwrap();
        assert_eq!(ended(first).0, 0);
        assert_eq!(run(&[output, to, &a]).0, 0, "the lock is gone with its holder");
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "The minister arrived at Cairo");
}

#[test]
fn a_folder_that_is_removed_is_told() {
    let dir = folder(&[("a.txt", ARRIVED)]);
    let (a, out, report) = (name(&dir, "a.txt"), name(&dir, "out"), name(&dir, "report.json"));
    let held = dir.path().join("out/.tarjim/lock");
    let args = ["--output-dir", &out, "--report", &report, "--jobs", "1", "-", &a];
    let mut child = waiting(&args, &held);
    wait_until("no part", || dir.path().join("out/.stdin.en.txt.tarjim-part").exists());
    fs::remove_dir_all(&out).unwrap();
    child.stdin.take().unwrap().write_all(LEFT.as_bytes()).unwrap();
    let (code, _, stderr) = ended(child);
    assert_eq!(code, 1);
    assert_eq!(stderr, format!("error: cannot write {out}: the folder was removed\n"));
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!(report["inputs"][0]["status"], "failed");
    assert_eq!(report["inputs"][1]["status"], "not_started");
    assert!(!Path::new(&out).exists());
}

/// A file system of 256 KiB, if one may be mounted here.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success()).then(|| Small(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_told_and_the_work_kept() {
    let text = records(6000);
    let dir = folder(&[("in.jsonl", &text), ("a.txt", ARRIVED)]);
    let (input, a) = (name(&dir, "in.jsonl"), name(&dir, "a.txt"));
    let jsonl = ["--input-format", "jsonl", "--beam", "1"];
    let (code, _, stderr) = run(&["-o", "/dev/full", &a]);
    assert_eq!(
        (code, stderr.contains("cannot write /dev/full: No space left")),
        (1, true),
        "{stderr}"
    );
    let full = File::options().write(true).open("/dev/full").unwrap();
    let child = translate(&[&jsonl[..], &[&input]].concat()).stdout(full).spawn().unwrap();
    let (code, _, stderr) = ended(child);
    assert_eq!(
        (code, stderr.contains("cannot write <stdout>: No space left")),
        (1, true),
        "{stderr}"
    );

    let Some(small) = Small::mount(&dir.path().join("small")) else { return };
    let out = name(&dir, "small/out.jsonl");
    let args = [&jsonl[..], &["-o", &out, &input]].concat();
    let (code, _, stderr) = run(&args);
    assert_eq!(code, 1);
    assert!(stderr.contains(&format!("cannot write {out}: No space left")), "{stderr}");
    assert!(!Path::new(&out).exists());
    // With more room the work goes on.
    let more =
        Command::new("mount").args(["-o", "remount,size=4m"]).arg(&small.0).status().unwrap();
    assert!(more.success());
    let (code, _, stderr) = run(&args);
    assert_eq!(code, 3);
    assert!(stderr.contains("were answered by an earlier run"), "{stderr}");
    assert_eq!(fs::read_to_string(&out).unwrap().lines().count(), 6000);
    drop(small);
}

#[test]
fn a_reader_that_leaves_ends_the_run_quietly() {
    let dir = folder(&[("in.jsonl", &records(500))]);
    let input = name(&dir, "in.jsonl");
    let mut child = translate(&["--input-format", "jsonl", "--beam", "1", &input]).spawn().unwrap();
    drop(child.stdout.take());
    let (code, _, stderr) = ended(child);
    assert_eq!((code, stderr.as_str()), (0, ""));
}

/// Peak memory in KiB after all of so many records were answered.
#[cfg(target_os = "linux")]
fn peak(count: usize) -> u64 {
    use std::io::{BufRead, BufReader};
    let args = ["--input-format", "jsonl", "--flush", "--beam", "1", "--threads", "1"];
    let mut child = translate(&args).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap());
    let writer = std::thread::spawn(move || {
        // Long lines, of which little is to be translated.
        for n in 0..count {
            let text = if n % 50 == 0 { LEFT } else { "English" };
            let record = json!({"text": text, "carried": "x".repeat(4000)});
            stdin.write_all(format!("{record}\n").as_bytes()).unwrap();
        }
        stdin
    });
    let mut line = String::new();
    for _ in 0..count {
        line.clear();
        answers.read_line(&mut line).unwrap();
        assert!(line.contains("\"translation\""), "{line}");
    }
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak = peak.trim().trim_end_matches(" kB").parse().unwrap();
    drop(writer.join().unwrap());
    assert!(child.wait().unwrap().success());
    peak
}

/// 16 MB of records take no more memory than 2 MB.
#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_input() {
    let (few, many) = (peak(500), peak(4000));
    assert!(many < few + 8 * 1024, "{few} KiB, then {many} KiB");
}
