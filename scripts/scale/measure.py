#!/usr/bin/env python3
"""Throughput of Spark beside the plain loop, and of one core: what docs/scale.md states.

    python scripts/scale/sentences.py 10000 > records.jsonl
    python scripts/scale/measure.py records.jsonl TARJIM MODEL

Needs what scripts/spark/translate.py needs. The plain loop is `tarjim translate --input-format
jsonl` with two threads; Spark is local[2]. Runs take turns, twice; the better counts. One thread
gets a fifth of the records.
"""
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPARK = Path(__file__).resolve().parent.parent / "spark" / "translate.py"


def timed(command):
    """Seconds and peak MiB of a command."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {command}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def spark(source, tarjim, model, folder):
    """Seconds of the whole run, before the translating job, and of that job."""
    events = Path(folder, "events")
    events.mkdir()
    conf = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": events.as_uri(), "spark.ui.enabled": "false",
            "spark.eventLog.compress": "false", "spark.eventLog.rolling.enabled": "false"}
    began = time.time()
    whole, _ = timed([sys.executable, str(SPARK), "--master", "local[2]", "--tarjim", tarjim, "--model", model,
                      "--output", f"{folder}/english", source,
                      *(part for pair in conf.items() for part in ("--conf", "=".join(pair)))])
    (log,) = events.iterdir()
    log = [json.loads(line) for line in open(log)]
    starts = {event["Job ID"]: event for event in log if event["Event"] == "SparkListenerJobStart"}
    ends = {event["Job ID"]: event["Completion Time"] for event in log if event["Event"] == "SparkListenerJobEnd"}
    seconds = {job: (ends[job] - start["Submission Time"]) / 1000 for job, start in starts.items()}
    job = max(seconds, key=seconds.get)
    print(f"  {sum(len(start['Stage Infos']) for start in starts.values())} stages, the translating one has "
          f"{starts[job]['Stage Infos'][0]['Number of Tasks']} tasks")
    return whole, starts[job]["Submission Time"] / 1000 - began, seconds[job]


def main():
    source, tarjim, model = sys.argv[1:]
    lines = open(source).read().splitlines(keepends=True)

    def words(lines):
        return sum(len(json.loads(line)["text"].split()) for line in lines)

    print(f"{len(lines)} records, {words(lines)} words", flush=True)
    loop = [tarjim, "translate", "--quiet", "--input-format", "jsonl", "--model", model]
    plains, sparks = [], []
    for _ in range(2):
        plains.append(timed([*loop, "--threads", "2", source])[0])
        with tempfile.TemporaryDirectory() as folder:
            sparks.append(spark(source, tarjim, model, folder))
        print(f"  plain {plains[-1]:.1f} s, Spark {sparks[-1]}", flush=True)
    with tempfile.NamedTemporaryFile("w") as part:
        start, _ = timed([*loop, "--threads", "1", part.name])
        fifth = lines[:len(lines) // 5]
        part.writelines(fifth)
        part.flush()
        seconds, memory = timed([*loop, "--threads", "1", part.name])
    plain, (whole, before, job) = min(plains), min(sparks)
    print(f"plain, 2 threads: {plain:.1f} s, {words(lines) / plain:.0f} words/s")
    print(f"plain, 1 thread:  {words(fifth) / (seconds - start):.0f} words/s, {memory:.0f} MiB; start {start:.2f} s")
    print(f"Spark local[2]:   {whole:.1f} s = {before:.1f} until the job, {job:.1f} the job, {whole - before - job:.1f} after")
    print(f"ratio to the plain loop: job {plain / job:.2f}, whole run {plain / whole:.2f}")


if __name__ == "__main__":
    main()
