"""Stage 1: one training file from the TSV files.

  python prepare.py --data DIR [--extra DIR] [--exclude FILE ...] --out DIR

Writes train.tsv and valid.tsv (domain, Arabic, English), of the sets in --data and --extra and of written/ beside
this script. --exclude names test
sets whose sentences (either side) are dropped from training if they occur.
"""
import argparse
import collections
import glob
import os
import random
import re
import subprocess

from textnorm import ARABIC, LATIN, clean_source, clean_target

VALID = {"tatoeba": 300, "written": 100, "sentence_bank25k": 200, "tico19_dev": 100, "xquad": 60, "mozilla_web": 60, "sdg_un": 20}


def read(path):
    if path.endswith(".zst"):
        text = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout.decode()
    else:
        text = open(path, encoding="utf-8").read()
    for line in text.split("\n"):
        cols = line.split("\t")
        if len(cols) == 2:
            ar, en = clean_source(cols[0]), clean_target(cols[1])
            if usable(ar, en):
                yield ar, en


def usable(ar, en):
    na, ne = len(ar), len(en)
    return (ARABIC.search(ar) and LATIN.search(en) and not ARABIC.search(en) and max(na, ne) < 900
            and len(ar.split()) <= 130 and len(en.split()) <= 130 and na < 3 * ne + 20 and ne < 3 * na + 20)


def key(text):
    return re.sub(r"\W+", "", text).lower()


def true_case(pairs, texts):
    """Dictionary entries all begin with a capital: keep it for words that
    sentences write so."""
    upper, lower = collections.Counter(), collections.Counter()
    for text in texts:
        for w in re.findall(r"[A-Za-z]+", text)[1:]:
            (upper if w[0].isupper() else lower)[w.lower()] += 1
    for ar, en in pairs:
        first = re.match(r"[A-Za-z]*", en).group().lower()
        if not upper[first] > lower[first] and not re.match(r"[A-Z][A-Z]", en):
            en = en[:1].lower() + en[1:]
        yield ar, en


def swap_names(ar, en, names, rng):
    """Tom and Mary are in half of the everyday sentences: other names instead."""
    for a, e in (("توم", "Tom"), ("ماري", "Mary"), ("سامي", "Sami"), ("ليلى", "Layla")):
        if len(re.findall(rf"\b{e}\b", en)) == 1 and len(re.findall(rf"(?<!\w){a}(?!\w)", ar)) == 1 and rng.random() < 0.7:
            na, ne = rng.choice(names)
            if rng.random() < 0.08:
                na = ne
            ar = re.sub(rf"(?<!\w){a}(?!\w)", lambda m: na, ar)
            en = re.sub(rf"\b{e}\b", lambda m: ne, en)
    return ar, en


def swap_numbers(ar, en, rng):
    """A number that stands once on both sides becomes another of its form."""
    number = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?![\w])")
    west = str.maketrans("٠١٢٣٤٥٦٧٨٩", "0123456789")
    na, ne = number.findall(ar.translate(west)), number.findall(en)
    for n in sorted(set(na) & set(ne)):
        if len(n) > 1 and na.count(n) == ne.count(n) == 1 and rng.random() < 0.5:
            new = re.sub(r"\d", lambda m: str(rng.randrange(10)), n)
            if new[0] == "0" and n[0] != "0":
                new = str(rng.randrange(1, 10)) + new[1:]
            if re.match(r"(19|20)\d\d$", n):
                new = str(rng.randrange(1900, 2030))
            ar, en = (re.sub(rf"(?<![\d.,]){re.escape(n)}(?!\d)", new, x) for x in (ar.translate(west), en))
    if rng.random() < 0.15:
        ar = re.sub(r"\d+", lambda m: m.group().translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")), ar)
    return ar, en


def swap_latin(ar, en, words, rng):
    """A Latin word kept in the Arabic becomes another of its kind."""
    for w in sorted(set(re.findall(r"(?<![\w-])[A-Za-z][A-Za-z-]+(?![\w-])", ar))):
        whole = rf"(?<![\w-]){re.escape(w)}(?![\w-])"
        if len(re.findall(whole, en)) == len(re.findall(whole, ar)) == 1:
            new = "".join(rng.choices("ABCDEFGHIJKLMNOPRSTUVW", k=len(w))) if w.isupper() and len(w) < 6 else rng.choice(words)
            ar, en = (re.sub(whole, new, x) for x in (ar, en))
    return ar, en


def copies(words, rng, n=6000):
    """Lines to be passed through as they are."""
    pick = lambda: rng.choice(words)
    num = lambda k: str(rng.randrange(10 ** k))
    forms = [
        lambda: pick(), lambda: f"{pick()} {pick()}", lambda: f"{pick()} {num(2)}",
        lambda: f"https://www.{pick().lower()}.{rng.choice(['com', 'org', 'net'])}/{pick().lower()}",
        lambda: f"{pick().lower()}@{pick().lower()}.com", lambda: f"{num(2)}/{num(2)}/20{num(2)}",
        lambda: f"{num(2)}.{num(2)}", lambda: f"{num(3)},{rng.randrange(100, 1000)}", lambda: num(rng.randrange(1, 8)),
        lambda: f"{num(2)}:{rng.randrange(10, 60)}", lambda: f"{num(2)}%", lambda: f"({pick()})", lambda: f"\"{pick()}\"",
    ]
    for _ in range(n):
        line = rng.choice(forms)()
        yield line, line


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True)
    p.add_argument("--extra")
    p.add_argument("--exclude", nargs="*", default=[])
    p.add_argument("--out", required=True)
    a = p.parse_args()
    rng = random.Random(1)
    banned = {key(line) for f in a.exclude for line in open(f, encoding="utf-8")}
    banned = {k for k in banned if len(k) > 25}
    sets = {}
    written = sorted(glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "written/*.tsv")))
    sets["written"] = [p for path in written for p in read(path) if not (key(p[0]) in banned or key(p[1]) in banned)]
    for path in sorted(glob.glob(a.data + "/*.tsv.zst") + (glob.glob(a.extra + "/*.tsv") if a.extra else [])):
        name = os.path.basename(path).split(".")[0]
        sets[name] = [p for p in read(path) if not (key(p[0]) in banned or key(p[1]) in banned)]
    running = [en for n in ("tatoeba", "tico19_dev", "tico19_test", "xquad", "written", "handbook", "bible", "mozilla_web")
               for _, en in sets.get(n, [])]
    if "lexicon_freedict" in sets:
        sets["lexicon_freedict"] = list(true_case(sets["lexicon_freedict"], running))
    if "lexicon_names" in sets:
        sets["lexicon_names"] = [(ar, en.title()) for ar, en in sets["lexicon_names"]]
    valid = []
    for name, n in VALID.items():
        rows = sets.get(name, [])
        chosen = set(rng.sample(range(len(rows)), min(n, len(rows) // 5)))
        valid += [(name, *rows[i]) for i in sorted(chosen)]
        sets[name] = [r for i, r in enumerate(rows) if i not in chosen]
    names = [p for n in ("lexicon_names", "cities") for p in sets.get(n, []) if p[0][0] not in "ال"]
    if "tatoeba" in sets and names:
        sets["tatoeba"] = [swap_names(*p, names, rng) for p in sets["tatoeba"]]
    latin = sorted({w for t in running for w in re.findall(r"\b[A-Z][A-Za-z0-9-]{2,}\b", t)})
    written = sets["written"]
    for name in sets:
        sets[name] = [swap_numbers(*p, rng) for p in sets[name]]
    if latin:
        # The written pairs twice more, as far as that makes them new.
        sets["written"] += [swap_latin(*swap_numbers(*p, rng), latin, rng) for p in written * 2 if re.search(r"\d\d|[A-Za-z]", p[0])]
        sets["copy"] = list(copies(latin, rng))
    os.makedirs(a.out, exist_ok=True)
    seen = set()
    with open(a.out + "/train.tsv", "w", encoding="utf-8") as f:
        for name, rows in sets.items():
            kept = [r for r in rows if not ((r in seen) or seen.add(r))]
            print(f"{name:18} {len(kept):7} pairs {sum(len(e.split()) for _, e in kept):8} English words")
            f.writelines(f"{name}\t{ar}\t{en}\n" for ar, en in kept)
    with open(a.out + "/valid.tsv", "w", encoding="utf-8") as f:
        f.writelines("\t".join(r) + "\n" for r in valid)


if __name__ == "__main__":
    main()
