#!/usr/bin/env python3
"""Tests of translate.py: its filter alone, Spark in local mode, and a cluster of two executors of
which one is killed half way. What Spark writes is compared with a plain run of tarjim.

    pip install pyspark 'pandas<3' pyarrow
    cargo build --release
    python scripts/spark/test_translate.py

Needs Java 17 or later, 4 GiB, and a minute or five. TARJIM names another binary.
"""
import collections
import contextlib
import csv
import datetime
import glob
import importlib.util
import io
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import pyarrow.parquet

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOY = str(ROOT / "tests" / "golden" / "toy")
BUILT = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
TARJIM = os.environ.get("TARJIM") or str(BUILT / "release" / "tarjim")

spec = importlib.util.spec_from_file_location("translate", HERE / "translate.py")
translate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(translate)

NOUNS = "الوزير المدير الرجل المرأة الطالب المعلم الطفل الرئيس".split()
VERBS = ["وصل إلى", "ذهب إلى", "خرج من", "عاد إلى", "كتب عن", "تحدث عن"]
PLACES = "المدرسة البيت القاهرة دمشق السوق المكتب المدينة".split()


def sentence(rng):
    verb, preposition = rng.choice(VERBS).split()
    year = f" عام {rng.randint(1, 2099)}" if rng.random() < 0.3 else ""
    return f"{verb} {rng.choice(NOUNS)} {preposition} {rng.choice(PLACES)}{year}."


def lines_of(count):
    """Lines of JSON with a bad one here and there, and some that occur twice."""
    rng = random.Random(7)
    lines = []
    for number in range(count):
        text = " ".join(sentence(rng) for _ in range(rng.randint(1, 3)))
        lines.append(json.dumps({"id": number, "text": text, "tags": ["a", str(number % 3)]}, ensure_ascii=False))
        if number % 97 == 5:
            lines.append(rng.choice(['{"id": 1, "text": ', "not json", "", "[1]", '{"id": 3}', '{"id": 4, "text": 12}']))
        if number % 101 == 7:
            lines.append(lines[-1])
    return lines


def without_none(value):
    if isinstance(value, dict):
        return {name: without_none(inner) for name, inner in value.items() if inner is not None}
    return [without_none(inner) for inner in value] if isinstance(value, list) else value


def multiset(pairs):
    """What each input line was answered, as often as it was."""
    return collections.Counter(json.dumps(pair, ensure_ascii=False, sort_keys=True) for pair in pairs)


def plain(lines, *options):
    """What tarjim answers without Spark."""
    command = [TARJIM, "translate", "--quiet", "--input-format", "jsonl", "--model", TOY, "--no-self-test", *options]
    done = subprocess.run(command, input="".join(line + "\n" for line in lines).encode(), stdout=subprocess.PIPE)
    assert done.returncode in (0, 3), done
    answers = [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]
    assert len(answers) == len(lines)
    kept = ["id", "tags", "translation", "model", "sentences" if "--align" in options else "warnings"]
    return multiset(
        (line, answer["error"]) if "error" in answer else
        (answer["text"], {name: answer[name] for name in kept if name in answer})
        for line, answer in zip(lines, answers))


def written(folder):
    """The same from Spark's output. With --align the warnings stand twice; plain has them once."""
    rows = [row for path in sorted(glob.glob(f"{folder}/part-*.parquet"))
            for row in pyarrow.parquet.read_table(path).to_pylist()]
    def good(row):
        row = without_none(row)
        if "sentences" in row:
            warnings = [w for sentence in row["sentences"] for w in sentence.get("warnings", [])]
            assert row.pop("warnings", []) == list(dict.fromkeys(warnings))
        return row.pop("text"), {name: row[name] for name in row if name != "record_id"}
    return multiset(
        (row["bad_record"], row["error"]) if row["error"] is not None else good(row) for row in rows)


def arguments(output, *more, master, tarjim, options=""):
    return ["--master", master, "--tarjim", tarjim, "--model", TOY, f"--tarjim-options=--no-self-test {options}",
            "--conf", "spark.ui.enabled=false", "--conf", "spark.ui.showConsoleProgress=false",
            "--conf", "spark.sql.shuffle.partitions=2", "--output", str(output), *map(str, more)]


class InFolder(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tarjim-spark-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.output = self.folder / "english"

    def write(self, lines, name="input.jsonl"):
        path = self.folder / name
        path.write_bytes("".join(line + "\n" for line in lines).encode())
        return path

    def script(self, text, name="stand-in"):
        """A program to run in place of tarjim."""
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    def run_spark(self, *more, code=0, master="local[2]", tarjim=TARJIM, output=None, **options):
        """In this process, so that there is one Java to wait for. What it said."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            got = translate.main(arguments(output or self.output, *more, master=master, tarjim=tarjim, **options))
        self.assertEqual(got, code, said.getvalue())
        return said.getvalue()


class FilterTest(InFolder):
    """The filter, without Spark."""

    def fails(self, command, lines, expected, timeout=20):
        running = translate.Filter(command, timeout)
        try:
            with self.assertRaises(translate.TarjimFailed) as caught:
                running.send(lines)
                running.close()
                running.answers(len(lines))
                running.finish()
        finally:
            running.kill()
        for part in expected:
            self.assertIn(part, str(caught.exception))

    def test_more_than_the_pipes_hold_goes_through(self):
        lines = [str(number).encode() * 100 for number in range(100_000)]
        running = translate.Filter(["cat"], 20)
        running.send(lines)
        self.assertEqual(running.answers(1), lines[:1])
        running.close()
        self.assertEqual(running.answers(len(lines) - 1), lines[1:])
        running.finish()
        running.kill()

    def test_answers_come_before_the_input_ends(self):
        running = translate.Filter(["cat"], 20)
        for line in (b"one", b"", b"three"):
            running.send([line])
            self.assertEqual(running.answers(1), [line])
        running.close()
        running.finish()
        running.kill()

    def test_one_that_dies_says_why(self):
        self.fails(["sh", "-c", "read x; echo $x; read x; echo no memory >&2; exit 7"], [b"good", b"bad"],
                   ["exit code 7", "after 1 answers", "record without an answer: bad", "no memory"])
        self.fails(["sh", "-c", "kill -9 $$"], [b"x"], ["SIGKILL", "(nothing)"])

    def test_one_that_hangs_is_killed(self):
        self.fails(["sh", "-c", "echo here I am >&2; exec sleep 1000"], [b"x"],
                   ["no sign of life", "was killed", "here I am"], timeout=0.5)
        self.fails(["sh", "-c", "exec sleep 1000"], [b"x" * 1_000_000], ["no sign of life"], timeout=0.5)
        self.fails(["sh", "-c", "cat; exec sleep 1000"], [b"x"], ["no sign of life"], timeout=0.5)

    def test_too_many_and_too_few_answers_are_found(self):
        self.fails(["sed", "p"], [b"x"], ["more answers than records"])
        self.fails(["sed", "d"], [b"x"], ["ended too early"])
        self.fails(["head", "-c", "0"], [b"x" * 1_000_000], ["exit code 0"])
        self.fails(["sh", "-c", "cat; exit 1"], [b"x"], ["ended badly (exit code 1)"])

    def test_one_that_is_not_there(self):
        with self.assertRaisesRegex(translate.TarjimFailed, "cannot start /no/tarjim"):
            translate.Filter(["/no/tarjim"], 1)


class LocalTest(InFolder):
    """Spark in this process."""

    def test_records_are_answered_as_without_spark(self):
        lines = lines_of(500)
        source = self.write(lines)
        self.assertIn("with an error", self.run_spark("--align", source, "--split-mb", "0.02"))
        parts = sorted(glob.glob(f"{self.output}/part-*.parquet"))
        self.assertGreater(len(parts), 2)
        self.assertEqual(written(self.output), plain(lines, "--align"))
        # Again, and every task writes the same rows in the same order. (Not the same bytes: a footer
        # of Parquet lists encodings in an order that differs from process to process.)
        first = [pyarrow.parquet.read_table(part) for part in parts]
        shutil.rmtree(self.output)
        self.run_spark("--align", source, "--split-mb", "0.02")
        parts = sorted(glob.glob(f"{self.output}/part-*.parquet"))
        self.assertEqual([pyarrow.parquet.read_table(part) for part in parts], first)

    def test_bytes_that_are_no_utf8_are_a_bad_record(self):
        source = self.folder / "input.jsonl"
        source.write_bytes(b'{"id": 1, "text": "\xff\xfe"}\n{"id": 2, "text": ""}\n')
        self.run_spark(source, "--output-format", "jsonl")
        (part,) = self.output.glob("part-*.json")
        rows = [json.loads(line) for line in part.read_text().splitlines()]
        self.assertEqual([row.get("translation") for row in rows], [None, ""])
        self.assertIn("unicode", rows[0]["error"])
        self.assertEqual(rows[0]["bad_record"], '{"id": 1, "text": "\ufffd\ufffd"}')

    def test_csv_parquet_and_text(self):
        text, english = "وصل الوزير إلى القاهرة.", "The minister arrived at Cairo."
        with open(self.folder / "input.csv", "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([["id", "body"], ["1", text], ["2"], ["3", text, "more"], ["4", f'{text}\n"a"']])
        self.run_spark(self.folder / "input.csv", "--input-format", "csv", "--field", "body",
                       "--read-option", "multiLine=true")
        rows = pyarrow.parquet.read_table(self.output).to_pylist()
        self.assertEqual([row["translation"] for row in rows], [english, None, None, f'{english}\n"a"'])
        self.assertEqual([row["bad_record"] for row in rows], [None, "2", f"3,{text},more", None])
        self.assertEqual([row["error"] is None for row in rows], [True, False, False, True])

        shutil.rmtree(self.output)
        day = datetime.date(2026, 2, 3)
        table = pyarrow.table({"a.b": [1, 2], "day": [day, None], "text": [text, None]})
        pyarrow.parquet.write_table(table, self.folder / "input.parquet")
        self.run_spark(self.folder / "input.parquet", "--input-format", "parquet")
        rows = pyarrow.parquet.read_table(self.output).to_pylist()
        self.assertEqual([(row["a.b"], row["day"], row["translation"]) for row in rows], [(1, day, english), (2, None, None)])
        self.assertEqual(rows[1]["error"], "no field `text`")

        shutil.rmtree(self.output)
        self.run_spark(self.write([text, "", text], "a.txt"), "--input-format", "text")
        rows = pyarrow.parquet.read_table(self.output).to_pylist()
        self.assertEqual([row["translation"] for row in rows], [english, "", english])
        self.assertTrue(rows[0]["file"].endswith("/a.txt"))

    def test_resuming_adds_what_is_missing(self):
        lines = lines_of(300)
        source = self.write(lines)
        self.run_spark(source, "--split-mb", "0.01")
        parts = sorted(glob.glob(f"{self.output}/part-*.parquet"))
        for part in parts[::2]:
            os.remove(part)
        self.assertNotEqual(written(self.output), plain(lines))
        self.assertIn("exists", self.run_spark(source, code=1))
        self.assertIn("do not give", self.run_spark(source, "--resume", options="--beam 1", code=1))
        self.assertIn("records remain", self.run_spark(source, "--resume"))
        self.assertEqual(written(self.output), plain(lines))
        self.assertIn("0 records remain", self.run_spark(source, "--resume"))
        self.assertEqual(written(self.output), plain(lines))
        # One more record, which is there twice already.
        self.write([*lines, lines[0]])
        self.assertIn("\n1 records remain", "\n" + self.run_spark(source, "--resume"))
        self.assertEqual(written(self.output), plain([*lines, lines[0]]))

    def test_a_task_whose_tarjim_died_is_tried_again(self):
        lines = lines_of(200)
        source = self.write(lines)
        once = self.script(f"if mkdir {self.folder}/died; then read x; echo I die >&2; exit 9; fi; exec {TARJIM} \"$@\"")
        self.run_spark(source, tarjim=once, master="local[2,4]")
        self.assertTrue((self.folder / "died").exists())
        self.assertEqual(written(self.output), plain(lines))

        shutil.rmtree(self.output)
        said = self.run_spark(source, tarjim=self.script("echo no such model >&2; exit 1"), code=1)
        self.assertIn("error: a task failed for good", said)
        self.assertIn("it said: no such model", said)
        self.run_spark(source, "--resume")
        self.assertEqual(written(self.output), plain(lines))

    def test_what_is_wrong_is_said(self):
        source = self.write(lines_of(3))
        self.assertIn("no column `body` in the input; it has id, tags, text", self.run_spark(source, "--field", "body", code=1))
        self.assertIn("does not exist", self.run_spark(self.folder / "none.jsonl", code=1))
        source = self.write(['{"text": "x", "error": 1}'])
        self.assertIn("has a column `error`, which the output needs", self.run_spark(source, code=1))
        self.run_spark(source, "--columns", "text")
        self.assertIn("cannot start /no/tarjim", self.run_spark(source, "--columns", "text", output=self.folder / "b", tarjim="/no/tarjim", code=1))


def processes():
    """Parent and command of every process."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], stdout=subprocess.PIPE, text=True).stdout
    rows = (line.split(None, 2) for line in listed.splitlines())
    return {int(pid): (int(parent), command) for pid, parent, command in (row for row in rows if len(row) == 3)}


def busy_executor(driver):
    """An executor of a driver, and a tarjim that it runs; none while there is none."""
    table = processes()
    for pid, (_, command) in table.items():
        if " translate --quiet --input-format jsonl " not in command:
            continue
        above = []
        while pid in table:
            above.append(pid)
            pid = table[pid][0]
        executors = [pid for pid in above if "CoarseGrainedExecutorBackend" in table[pid][1]]
        if driver in above and executors:
            return executors[0], above[0]
    return None


class ClusterTest(InFolder):
    """Two executors, processes of their own."""

    def test_an_executor_killed_half_way_loses_and_doubles_nothing(self):
        lines = lines_of(4000)
        source = self.write(lines)
        # Executors work below SPARK_HOME: a folder of links, not the one of the Python package.
        home = self.folder / "home"
        home.mkdir()
        for entry in Path(importlib.util.find_spec("pyspark").origin).parent.iterdir():
            (home / entry.name).symlink_to(entry)
        events = self.folder / "events"
        events.mkdir()
        conf = {"enabled": "true", "dir": events.as_uri(), "compress": "false", "rolling.enabled": "false"}
        command = arguments(
            self.output, "--align", "--split-mb", "0.02", source, master="local-cluster[2,1,1024]",
            *(part for name, value in conf.items() for part in ("--conf", f"spark.eventLog.{name}={value}")),
            # Tarjim starts slowly, so that there is a half way.
            tarjim=self.script(f'sleep 0.3; exec {TARJIM} "$@"'))
        process = subprocess.Popen([sys.executable, str(HERE / "translate.py"), *command], stderr=subprocess.PIPE,
                                   text=True, env={**os.environ, "SPARK_HOME": str(home)})
        self.addCleanup(process.kill)
        found, until = None, time.monotonic() + 300
        while (len(glob.glob(f"{self.output}/part-*")) < 10 or not found) and time.monotonic() < until:
            self.assertIsNone(process.poll(), "it ended before an executor could be killed")
            time.sleep(0.05)
            found = busy_executor(process.pid)
        executor, tarjim = found
        # So that the task cannot end before its executor does.
        os.kill(tarjim, signal.SIGSTOP)
        os.kill(executor, signal.SIGKILL)
        done = len(glob.glob(f"{self.output}/part-*"))
        with contextlib.suppress(ProcessLookupError):
            os.kill(tarjim, signal.SIGKILL)
        said = process.communicate(timeout=600)[1]
        self.assertEqual(process.returncode, 0, said)

        self.assertEqual(written(self.output), plain(lines, "--align"))
        self.assertLess(done, len(glob.glob(f"{self.output}/part-*")))
        (log,) = events.iterdir()
        log = [json.loads(line) for line in log.read_text().splitlines()]
        reasons = collections.Counter(
            event["Task End Reason"]["Reason"] for event in log if event["Event"] == "SparkListenerTaskEnd")
        self.assertGreater(reasons["ExecutorLostFailure"], 0, reasons)
        added = [event for event in log if event["Event"] == "SparkListenerExecutorAdded"]
        self.assertGreaterEqual(len(added), 2)


if __name__ == "__main__":
    if not os.access(TARJIM, os.X_OK):
        sys.exit(f"error: no program at {TARJIM}\n\nhint: cargo build --release, or name it with TARJIM=PATH")
    unittest.main(verbosity=2)
