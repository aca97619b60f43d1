"""Stage 3: word alignment of the training pairs and the binary training set.

  python align.py --out DIR        (reads train.tsv, valid.tsv, joint.model, vocab.json)

eflomal in both directions over words made of whole groups of pieces, joined
with grow-diag-final-and, then spread over the pieces. Writes DIR/train.npz and
DIR/valid.npz: ids of both sides without </s>, and links (source, target).

  python align.py --out DIR --gold SOURCE TARGET LINKS

writes nothing: eflomal's own alignment error rate on hand-aligned sentences (white-space tokens, 0-based links) that are
aligned together with train.tsv.
"""
import argparse
import json
import os
import re
import tempfile

import eflomal
import numpy as np
import sentencepiece as spm

from textnorm import clean_source, clean_target

PUNCT = re.compile(r"^▁?[^\w]+$")


def words(pieces):
    """Group index of every piece, and the words the groups spell."""
    group, out, last_punct = [], [], True
    for p in pieces:
        byte = p.startswith("<0x")
        punct = not byte and p != "▁" and bool(PUNCT.match(p))
        if p.startswith("▁") or punct != last_punct or not out:
            out.append("")
        out[-1] += p.lstrip("▁") or ("" if p == "▁" else p)
        group.append(len(out) - 1)
        last_punct = punct
    return group, [w.lower() or "_" for w in out]


def symmetrize(fwd, rev, ns, nt):
    """grow-diag-final-and, as in Koehn et al. 2005."""
    both = fwd & rev
    union = fwd | rev
    out = set(both)
    srcs, tgts = {s for s, _ in out}, {t for _, t in out}
    grown = True
    while grown:
        grown = False
        for s, t in sorted(out):
            for ds, dt in ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)):
                link = (s + ds, t + dt)
                if link in union and link not in out and (link[0] not in srcs or link[1] not in tgts):
                    out.add(link)
                    srcs.add(link[0])
                    tgts.add(link[1])
                    grown = True
    for links in (fwd, rev):
        for s, t in sorted(links):
            if s not in srcs and t not in tgts:
                out.add((s, t))
                srcs.add(s)
                tgts.add(t)
    return out


def run_eflomal(src, tgt):
    """Word lists of both sides -> symmetrized links of every pair."""
    with tempfile.TemporaryDirectory() as tmp:
        paths = [os.path.join(tmp, n) for n in ("s", "t", "f", "r")]
        for path, lines in zip(paths, (src, tgt)):
            with open(path, "w", encoding="utf-8") as f:
                f.writelines(" ".join(w) + "\n" for w in lines)
        with open(paths[0], encoding="utf-8") as s, open(paths[1], encoding="utf-8") as t:
            eflomal.Aligner().align(s, t, links_filename_fwd=paths[2], links_filename_rev=paths[3], quiet=True)
        read = lambda p: [{tuple(map(int, x.split("-"))) for x in line.split()} for line in open(p)]
        fwd, rev = read(paths[2]), read(paths[3])
    return [symmetrize(f, r, len(s), len(t)) for f, r, s, t in zip(fwd, rev, src, tgt)]


def tokens_of(sp, line):
    """The words of a line, and the white-space token each belongs to."""
    words_of, token = [], []
    for i, part in enumerate(line.split()):
        _, out = words(sp.encode(part, out_type=str))
        words_of += out
        token += [i] * len(out)
    return words_of, token


def gold_error(sp, rows, paths):
    from evaluate import aer, lines
    src, tgt = ([tokens_of(sp, clean(line)) for line in lines(path)] for path, clean in zip(paths, (clean_source, clean_target)))
    gold = [{tuple(map(int, x.split("-"))) for x in line.split()} for line in lines(paths[2])]
    words_of = lambda text: words(sp.encode(text, out_type=str))[1]
    pairs = [(s, t) for s, t in ((words_of(r[1]), words_of(r[2])) for r in rows) if len(s) < 200 and len(t) < 200]
    links = run_eflomal([s for s, _ in pairs] + [w for w, _ in src], [t for _, t in pairs] + [w for w, _ in tgt])[len(pairs):]
    links = [{(s[1][a], t[1][b]) for a, b in link} for s, t, link in zip(src, tgt, links)]
    print(f"eflomal, grow-diag-final-and, with {len(pairs)} pairs: AER {aer(links, gold):.4f} on {len(gold)} sentences")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", required=True)
    p.add_argument("--gold", nargs=3)
    a = p.parse_args()
    sp = spm.SentencePieceProcessor(model_file=a.out + "/joint.model")
    if a.gold:
        return gold_error(sp, [line.rstrip("\n").split("\t") for line in open(a.out + "/train.tsv", encoding="utf-8")], a.gold)
    vocab = json.load(open(a.out + "/vocab.json", encoding="utf-8"))
    rows, split = [], 0
    for name in ("train", "valid"):
        rows += [line.rstrip("\n").split("\t") for line in open(f"{a.out}/{name}.tsv", encoding="utf-8")]
        split = split or len(rows)
    pieces = [(sp.encode(r[1], out_type=str), sp.encode(r[2], out_type=str)) for r in rows]
    ok = [i for i, (s, t) in enumerate(pieces) if 0 < len(s) <= 250 and 0 < len(t) <= 250]
    src = [words(pieces[i][0]) for i in ok]
    tgt = [words(pieces[i][1]) for i in ok]
    links = run_eflomal([w for _, w in src], [w for _, w in tgt])
    domains = sorted({r[0] for r in rows})
    for name, part in (("train", [k for k, i in enumerate(ok) if i < split]), ("valid", [k for k, i in enumerate(ok) if i >= split])):
        flat = {"src": [], "tgt": [], "links": []}
        for k in part:
            (gs, _), (gt, _), (s, t) = src[k], tgt[k], pieces[ok[k]]
            flat["src"].append([vocab.get(x, 1) for x in s])
            flat["tgt"].append([vocab.get(x, 1) for x in t])
            by_t = {}
            for ws, wt in links[k]:
                by_t.setdefault(wt, set()).add(ws)
            flat["links"].append([(i, j) for j, wt in enumerate(gt) for i, ws in enumerate(gs) if ws in by_t.get(wt, ())])
        out = {"domain": np.array([domains.index(rows[ok[k]][0]) for k in part], np.int16), "domains": np.array(domains)}
        for key, lists in flat.items():
            out[key] = np.concatenate([np.array(x, np.int16).reshape(-1, *([2] if key == "links" else [])) for x in lists])
            out[key + "_at"] = np.cumsum([0] + [len(x) for x in lists])
        np.savez(f"{a.out}/{name}.npz", **out)
        print(name, len(part), "pairs", len(out["src"]), "source pieces", len(out["tgt"]), "target pieces", len(out["links"]), "links")
    for k in range(0, len(ok), max(1, len(ok) // 5)):
        print(" ".join(f"{src[k][1][s]}-{tgt[k][1][t]}" for s, t in sorted(links[k]))[:300])


if __name__ == "__main__":
    main()
