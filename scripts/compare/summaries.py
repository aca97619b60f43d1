#!/usr/bin/env python3
"""ROUGE of extractive summaries beside lead, random and centroid baselines at the same number of words.

    cargo build --release
    python scripts/compare/summaries.py scripts/compare/articles [--words 60]

The folder has an Arabic NAME.txt for each article, its headline on the first line, and NAME.ref, an Arabic
summary written by a person who had read the article and no other summary. What is measured is the Arabic
that is chosen, not its translation. Every system takes sentences in its order of preference, as many
as fit into the words. ROUGE is that of `tarjim eval --metric rouge-stems`: lightly stemmed words. The
articles in odd places of the list are those on which tarjim's weights were set; the others are the
test. Confidence intervals: 95%, paired bootstrap over the articles.
"""
import argparse
import json
import math
import os
import random
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
SEEDS = 20


def tarjim(*args, binary):
    done = subprocess.run([binary, *args], capture_output=True, text=True, check=True,
                          env={**os.environ, "HF_HUB_OFFLINE": "1"})
    return done.stdout


def count(text):
    return sum(any(c.isalnum() for c in word) for word in text.split())


def stems(text):
    """Light stems, good enough for a centroid."""
    text = re.sub("[\u064b-\u0652\u0640]", "", text)
    text = re.sub("[أإآ]", "ا", text).replace("ى", "ي").replace("ة", "ه")
    found = []
    for word in re.findall(r"\w+", text):
        word = re.sub("^(وال|بال|كال|فال|لل|ال|و)(?=..)", "", word)
        found.append(re.sub("(?<=..)(ها|ان|ات|ون|ين|يه|ه|ي)$", "", word))
    return [stem for stem in found if len(stem) > 2]


def fit(sentences, order, words):
    taken, left = [], words
    for i in order:
        if count(sentences[i]) <= left or not taken:
            left -= count(sentences[i])
            taken.append(i)
    return " ".join(sentences[i] for i in sorted(taken))


def centroid(sentences):
    counts = [Counter(stems(sentence)) for sentence in sentences]
    frequency = Counter(stem for own in counts for stem in own)
    idf = {stem: math.log(len(sentences) / n) + 1 for stem, n in frequency.items()}
    mean = Counter()
    for own in counts:
        for stem, n in own.items():
            mean[stem] += n * idf[stem]

    def likeness(own):
        norm = math.sqrt(sum((n * idf[stem]) ** 2 for stem, n in own.items())) or 1
        return sum(n * idf[stem] * mean[stem] for stem, n in own.items()) / norm

    return sorted(range(len(sentences)), key=lambda i: (-likeness(counts[i]), i))


def ours(path, options):
    args = ["summarize", "--quiet", "--format", "json", "--bullets", "50",
            "--max-words", str(options.words), str(path)]
    summary = json.loads(tarjim(*args, *options.model, binary=options.tarjim))
    return " ".join(
        part["text"] for bullet in summary["bullets"] for citation in bullet["citations"]
        for part in citation["parts"]
    )


def sentences_of(path):
    """Sentences of the body, by their final marks; tables left out."""
    body = path.read_text().split("\n", 1)[1]
    lines = [line.strip().lstrip("- ") for line in body.splitlines() if "|" not in line]
    parts = [part.strip() for line in lines for part in re.split(r"(?<=[.؟!])\s+", line)]
    return [part for part in parts if count(part) > 0]


def rouge(pairs, options):
    """For each pair of a summary and its reference ROUGE-1, -2 and -L."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        hyp, ref = Path(folder, "hyp"), Path(folder, "ref")
        for summary, reference in pairs:
            hyp.write_text(" ".join(summary.split()) + "\n")
            ref.write_text(" ".join(reference.split()) + "\n")
            out = tarjim("eval", "--json", "--metric", "rouge-stems", "--ref", str(ref), str(hyp),
                         binary=options.tarjim)
            score = json.loads(out)["rouge-stems"]
            found.append([100 * score[name]["f1"] for name in ("rouge1", "rouge2", "rougeL")])
    return found


def mean(rows):
    return [sum(column) / len(rows) for column in zip(*rows)]


def interval(rows, others, rng):
    """Of the difference of the mean of the three figures."""
    gaps = [sum(a) / 3 - sum(b) / 3 for a, b in zip(rows, others)]
    means = sorted(sum(rng.choices(gaps, k=len(gaps))) / len(gaps) for _ in range(2000))
    return sum(gaps) / len(gaps), means[50], means[1949]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--words", type=int, default=60)
    parser.add_argument("--tarjim", default=str(TARGET / "release/tarjim"))
    options = parser.parse_args()
    # What is chosen does not depend on the model that translates it: this one is fast.
    options.model = ["--model", str(ROOT / "tests/golden/toy"), "--no-self-test"]

    paths = sorted(options.folder.glob("*.txt"))
    summaries = {"tarjim": [], "centroid": [], "lead": []}
    by_chance = [[] for _ in range(SEEDS)]
    for path in paths:
        sentences = sentences_of(path)
        everything = list(range(len(sentences)))
        summaries["tarjim"].append(ours(path, options))
        summaries["centroid"].append(fit(sentences, centroid(sentences), options.words))
        summaries["lead"].append(fit(sentences, everything, options.words))
        for seed, own in enumerate(by_chance):
            order = random.Random(f"{seed} {path.name}").sample(everything, len(everything))
            own.append(fit(sentences, order, options.words))
    references = [path.with_suffix(".ref").read_text() for path in paths]
    scores = {name: rouge(zip(own, references), options) for name, own in summaries.items()}
    seeds = [rouge(zip(own, references), options) for own in by_chance]
    scores["random"] = [mean(rows) for rows in zip(*seeds)]
    lengths = {name: sum(map(count, own)) / len(own) for name, own in summaries.items()}
    lengths["random"] = sum(count(s) for own in by_chance for s in own) / SEEDS / len(paths)

    rng = random.Random(1)
    for title, first in (("weights set on these", 0), ("test", 1)):
        print(f"{title}: {len(paths[first::2])} articles")
        print(f"  {'':10} ROUGE-1 ROUGE-2 ROUGE-L  words  tarjim is better by")
        for name, rows in scores.items():
            r1, r2, rl = mean(rows[first::2])
            gap, low, high = interval(scores["tarjim"][first::2], rows[first::2], rng)
            better = "" if name == "tarjim" else f"  {gap:.1f} ({low:.1f} to {high:.1f})"
            print(f"  {name:10} {r1:7.1f} {r2:7.1f} {rl:7.1f}  {lengths[name]:5.1f}{better}")


main()
