"""Measures `tarjim translate` as a batch: throughput against the plain loop, and peak memory.

    python scripts/batch_measure.py target/release/tarjim speed --sentences 10000
    python scripts/batch_measure.py target/release/tarjim memory --records 1000 1000000
    python scripts/batch_measure.py target/release/tarjim memory --records 262144 --bytes 4096

Needs nothing but Python. Sentences are made up here, from a few words, so that no two need be alike.
Memory is the largest resident set that the process had, as the system counts it. Of the records for
the measure of memory one in a hundred has Arabic; `--all` gives every record a sentence.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

SUBJECTS = "المدير الطالب الوزير الطبيب المهندس الصحفي الجار المعلم الكاتب السائق".split()
VERBS = "زار شاهد ترك دخل وصف ذكر اشترى باع رمم نظف".split()
OBJECTS = "المدينة المكتبة المدرسة السوق الحديقة المحطة البيت المصنع المتحف الميناء".split()
ENDS = ["أمس", "في الصباح", "مع أصدقائه", "قبل عام 1987", "بعد المطر", "للمرة الأولى", "من جديد"]
LINKS = ["ثم", "وبعد ذلك", "لكنه"]


def sentence(rng):
    """A sentence of 4 to 20 words."""
    clause = lambda: f"{rng.choice(VERBS)} {rng.choice(SUBJECTS)} {rng.choice(OBJECTS)} {rng.choice(ENDS)}"
    clauses = [clause() for _ in range(rng.choice([1, 1, 2, 3]))]
    return "".join([clauses[0]] + [f" {rng.choice(LINKS)} {clause}" for clause in clauses[1:]]) + "."


def run(command, **options):
    """Seconds and peak resident MB of a command that must succeed."""
    began = time.monotonic()
    process = subprocess.Popen(command, **options)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{command} ended with {status}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def speed(args, folder):
    rng = random.Random(1)
    sentences = [sentence(rng) for _ in range(args.sentences)]
    words = sum(len(text.split()) for text in sentences)
    (folder / "plain.txt").write_text("".join(f"{text}\n" for text in sentences))
    with open(folder / "records.jsonl", "w") as out:
        for number, text in enumerate(sentences):
            print(json.dumps({"id": number, "text": text}, ensure_ascii=False), file=out)
    with open(folder / "table.csv", "w") as out:
        print("id,text", file=out)
        for number, text in enumerate(sentences):
            print(f"{number},{text}", file=out)
    (folder / "files").mkdir()
    for start in range(0, len(sentences), 10):
        text = "".join(f"{text}\n" for text in sentences[start : start + 10])
        (folder / "files" / f"{start:06}.txt").write_text(text)
    translate = [args.tarjim, "translate", "--quiet", *args.options]
    out = folder / "out"
    ways = {
        "plain loop (--lines, one file)": ["--lines", "-o", out, folder / "plain.txt"],
        "files of 10 lines": ["--recursive", "--output-dir", out, folder / "files"],
        "JSONL": ["--input-format", "jsonl", "-o", out, folder / "records.jsonl"],
        "JSONL --flush": ["--input-format", "jsonl", "--flush", "-o", out, folder / "records.jsonl"],
        "CSV": ["--input-format", "csv", "-o", out, folder / "table.csv"],
    }
    best = {}
    for _ in range(args.rounds):
        for name, rest in ways.items():
            shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
            seconds, _ = run([*translate, *map(str, rest)])
            best[name] = min(seconds, best.get(name, seconds))
    plain = next(iter(best.values()))
    print(f"{len(sentences)} sentences, {words} words, best of {args.rounds}")
    for name, seconds in best.items():
        rate = len(sentences) / seconds
        print(f"{name:32} {seconds:7.2f} s {rate:7.0f} sentences/s  {plain / seconds:.2f} of the plain loop")


def memory(args, folder):
    for count in args.records:
        rng = random.Random(1)
        path = folder / "records.jsonl"
        with open(path, "w") as out:
            for number in range(count):
                arabic = args.all or number % 100 == 0
                record = {"id": number, "text": sentence(rng) if arabic else "Nothing Arabic here."}
                if args.bytes:
                    record["carried"] = "x" * args.bytes
                print(json.dumps(record, ensure_ascii=False), file=out)
        command = [args.tarjim, "translate", "--quiet", *args.options, "--input-format", "jsonl"]
        command += ["-o", str(folder / "out.jsonl"), str(path)]
        seconds, peak = run(command)
        with open(folder / "out.jsonl") as lines:
            answered = sum(1 for _ in lines)
        size = path.stat().st_size / 1e6
        print(f"{count:9} records, {size:7.1f} MB: peak {peak:6.1f} MB, {seconds:6.1f} s, {answered} answered")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tarjim", help="the program")
    parser.add_argument("what", choices=["speed", "memory"])
    parser.add_argument("--sentences", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--records", type=int, nargs="+", default=[1000, 1_000_000])
    parser.add_argument("--bytes", type=int, default=0, help="bytes that each record carries along")
    parser.add_argument("--all", action="store_true", help="every record has a sentence")
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="passed to tarjim; comes last")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (speed if args.what == "speed" else memory)(args, Path(folder))


if __name__ == "__main__":
    main()
