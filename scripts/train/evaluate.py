"""Stage 6: BLEU and chrF2 of an exported folder, loops, copied numbers and Latin words, AER.

  python evaluate.py --model FOLDER [--test SOURCE REFERENCE] [--gold SOURCE TARGET LINKS] [--limit N]

Links are 0-based source-target pairs of white-space tokens. Needs ctranslate2
(for the beam search) beside transformers.
"""
import argparse
import os
import re
import tempfile

import sacrebleu
import torch
from transformers import MarianMTModel, MarianTokenizer

from textnorm import clean_source

lines = lambda path: open(path, encoding="utf-8").read().rstrip("\n").split("\n")
DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩", "0123456789")


def translate(folder, tok, src):
    import ctranslate2
    from ctranslate2.converters import TransformersConverter
    pieces = [tok.convert_ids_to_tokens(tok(s, truncation=True, max_length=400).input_ids) for s in src]
    with tempfile.TemporaryDirectory() as tmp:
        TransformersConverter(folder).convert(tmp, force=True)
        out = ctranslate2.Translator(tmp, inter_threads=1, intra_threads=2).translate_batch(
            pieces, beam_size=4, max_batch_size=2048, batch_type="tokens", max_decoding_length=256)
    return [tok.decode(tok.convert_tokens_to_ids(r.hypotheses[0]), skip_special_tokens=True) for r in out]


def loops(text):
    """A piece of one to six words said four times in a row."""
    return bool(re.search(r"(?:^|\s)(\S+(?:\s\S+){0,5}?)(?:\s+\1){3,}(?:\s|$)", text))


def kept(src, hyp):
    found = total = 0
    for s, h in zip(src, hyp):
        for t in re.findall(r"\d+(?:[.,:]\d+)*|[A-Za-z][A-Za-z-]+", s.translate(DIGITS)):
            total += 1
            found += t.replace(",", "") in h.replace(",", "")
    return found, total


def attention(folder, tok, src, tgt):
    """Attention of the alignment head, row t for target piece t, reference forced."""
    model = MarianMTModel.from_pretrained(folder, attn_implementation="eager").float().eval()
    at = getattr(model.config, "alignment_head", {"layer": -1, "head": 0, "shifted": False})
    for s, t in zip(src, tgt):
        x, y = tok(s, return_tensors="pt").input_ids, tok(text_target=t, return_tensors="pt").input_ids
        dec = torch.cat([torch.full((1, 1), model.config.decoder_start_token_id), y[:, :-1]], 1)
        with torch.no_grad():
            out = model(input_ids=x, decoder_input_ids=dec, output_attentions=True)
        sp = tok.convert_ids_to_tokens(x[0].tolist())[:-1]
        tp = tok.convert_ids_to_tokens(y[0].tolist())[:-1]
        yield sp, tp, out.cross_attentions[at["layer"]][0, at["head"]][at["shifted"]:][: len(tp), : len(sp)]


def word_of(pieces):
    n, out = -1, []
    for p in pieces:
        n += p.startswith("▁") or n < 0
        out.append(n)
    return out


def aer(links, gold):
    hit = sum(len(a & g) for a, g in zip(links, gold))
    return 1 - 2 * hit / (sum(map(len, links)) + sum(map(len, gold)))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True)
    p.add_argument("--test", nargs=2, action="append", default=[])
    p.add_argument("--gold", nargs=3)
    p.add_argument("--limit", type=int)
    a = p.parse_args()
    tok = MarianTokenizer.from_pretrained(a.model)
    for src_path, ref_path in a.test:
        src, ref = [clean_source(s) for s in lines(src_path)][: a.limit], lines(ref_path)[: a.limit]
        hyp = translate(a.model, tok, src)
        bleu, chrf = sacrebleu.corpus_bleu(hyp, [ref]), sacrebleu.corpus_chrf(hyp, [ref])
        found, total = kept(src, hyp)
        print(f"{os.path.basename(src_path)}: BLEU {bleu.score:.1f} chrF2 {chrf.score:.1f} length {bleu.sys_len / bleu.ref_len:.2f}"
              f" loops {sum(map(loops, hyp))}/{len(hyp)} numbers and Latin words kept {found}/{total}", flush=True)
        for i in range(0, len(hyp), max(1, len(hyp) // 5)):
            print("   ", hyp[i][:160])
    if a.gold:
        src, tgt = [clean_source(s) for s in lines(a.gold[0])], lines(a.gold[1])
        gold = [{tuple(map(int, x.split("-"))) for x in line.split()} for line in lines(a.gold[2])]
        rules = {"argmax": [], "mean argmax": [], "threshold 0.2": [], "threshold 0.3": [], "threshold 0.4": [], "threshold 0.5": []}
        for sp, tp, att in attention(a.model, tok, src, tgt):
            ws, wt = word_of(sp), word_of(tp)
            m = torch.zeros(len(tp), max(ws) + 1).index_add_(1, torch.tensor(ws), att)
            mean = torch.stack([m[[i for i, w in enumerate(wt) if w == k]].mean(0) for k in range(max(wt) + 1)])
            rules["argmax"].append({(ws[int(att[t].argmax())], wt[t]) for t in range(len(tp))})
            rules["mean argmax"].append({(int(mean[k].argmax()), k) for k in range(len(mean))})
            for th in (0.2, 0.3, 0.4, 0.5):
                rules[f"threshold {th}"].append({(int(s), int(k)) for k, s in (mean > th).nonzero()})
        for name, links in rules.items():
            print(f"AER {name}: {aer(links, gold):.3f}")


if __name__ == "__main__":
    main()
