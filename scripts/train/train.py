"""Stage 4: training. Goes on from DIR/checkpoint.pt if that is there.

  python train.py --out DIR --minutes M [--device cpu|cuda] ...

The learning rate warms up, stays, and falls to zero towards the end of the
given minutes. A checkpoint is written every few minutes, and the weights alone
(DIR/weights-N.pt) for averaging.
"""
import argparse
import glob
import json
import os
import random
import tempfile
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from safetensors.torch import load_file

from model import Marian, SmoothedLoss

# times a set is seen in one epoch, and what is joined to longer lines
RATE = {"written": 2, "tico19_dev": 2, "tico19_test": 2, "xquad": 2, "sdg_un": 2, "mozilla_web": 1.5, "handbook": 1, "bible": 0.4,
        "software_strings": 0.25, "lexicon_freedict": 0.3, "lexicon_names": 0.25, "cities": 0.3, "wikicats": 0.2, "copy": 0.5}
JOIN = {"tatoeba": 0.3, "sentence_bank25k": 0.3, "tico19_dev": 0.2, "tico19_test": 0.2, "xquad": 0.2}


class Pairs:
    def __init__(self, path, max_len=160):
        z = np.load(path)
        self.z = {k: z[k] for k in z.files}
        self.domains = [str(d) for d in self.z["domains"]]
        self.max_len = max_len
        self.n = len(self.z["domain"])

    def part(self, key, i):
        at = self.z[key + "_at"]
        return self.z[key][at[i]: at[i + 1]]

    def joined(self, ids):
        src = np.concatenate([self.part("src", i) for i in ids])
        tgt = np.concatenate([self.part("tgt", i) for i in ids])
        links, s, t = [], 0, 0
        for i in ids:
            links.append(self.part("links", i).astype(np.int64) + [s, t])
            s += len(self.part("src", i))
            t += len(self.part("tgt", i))
        return src, tgt, np.concatenate(links)

    def epoch(self, rng, rates=RATE, join=JOIN):
        """Lists of pair numbers, each one training line."""
        lines = []
        for d, name in enumerate(self.domains):
            ids = np.flatnonzero(self.z["domain"] == d).tolist()
            rate = rates.get(name, 1)
            chosen = ids * int(rate) + rng.sample(ids, int(len(ids) * (rate - int(rate))))
            for i in chosen:
                group = [i]
                if rng.random() < join.get(name, 0):
                    for k in range(1, rng.choice([2, 2, 3, 4])):
                        if i + k < self.n and self.z["domain"][i + k] == d:
                            group.append(i + k)
                lines.append(group)
        return lines

    def batches(self, lines, tokens, rng, workers=1):
        """Shuffled, but batches for different workers at the same time are about as long."""
        size = lambda g: (sum(len(self.part("src", i)) for i in g), sum(len(self.part("tgt", i)) for i in g))
        sized = [(s, g) for g in lines if max(s := size(g)) <= self.max_len]
        rng.shuffle(sized)
        sized.sort(key=lambda x: (max(x[0]) // 3, x[0][1]))
        out, batch, longest = [], [], 0
        for (s, t), g in sized:
            longest_now = max(longest, s + 1, t + 1)
            if batch and longest_now * (len(batch) + 1) > tokens:
                out.append(batch)
                batch, longest_now = [], max(s, t) + 1
            batch.append(g)
            longest = longest_now
        out.append(batch)
        shared = [out[i: i + workers] for i in range(0, len(out) - workers + 1, workers)]
        rng.shuffle(shared)
        return [batch for group in shared for batch in group]

    def tensors(self, batch, pad):
        rows = [self.joined(g) for g in batch]
        s, t = max(len(r[0]) for r in rows) + 1, max(len(r[1]) for r in rows) + 1
        src = np.full((len(rows), s), pad)
        tgt_in, tgt = np.full((len(rows), t), pad), np.full((len(rows), t), pad)
        align = np.zeros((len(rows), t, s), np.float32)
        for b, (x, y, links) in enumerate(rows):
            src[b, : len(x)], src[b, len(x)] = x, 0
            tgt[b, : len(y)], tgt[b, len(y)] = y, 0
            tgt_in[b, 1: len(y) + 1] = y
            align[b, links[:, 1], links[:, 0]] = 1
            # what stands for nothing in the source looks at its end
            align[b, : len(y), len(x)] = align[b, : len(y)].sum(1) == 0
        total = align.sum(2, keepdims=True)
        return [torch.from_numpy(a) for a in (src, tgt_in, tgt, align / np.maximum(total, 1))]


def losses(model, batch, smooth):
    src, tgt_in, tgt, align = batch
    hidden, logp = model.hidden(src, tgt_in)
    real = tgt != model.pad
    ce = SmoothedLoss.apply(hidden[real], model.model.shared.weight, model.final_logits_bias[0], tgt[real], smooth)
    # Head 0 looks for the piece that is to be written, head 1 for the one just read, which it knows.
    read = F.pad(align, (0, 0, 1, 0))[:, :-1]
    guide = [-(links * logp[:, head]).sum() / links.sum().clamp_min(1) for head, links in enumerate((align, read))]
    return ce, guide, real.sum()


def make_optimizers(model, rate):
    """Muon (Jordan et al. 2024) for the matrices between the layers, with updates as large as Adam's would be (Liu et al.
    2025, section 2.2), and Adam for embeddings, biases and norms."""
    hidden = [p for name, p in model.named_parameters() if p.dim() == 2 and ".layers." in name]
    chosen = {id(p) for p in hidden}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [torch.optim.Muon(hidden, lr=rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
            torch.optim.Adam(rest, lr=rate, betas=(0.9, 0.98), eps=1e-9, fused=True)]


def average_over_workers(model, figures):
    """Gradients, and a vector of figures, become their means over all workers."""
    if not dist.is_initialized():
        return figures
    grads = [p.grad for p in model.parameters()]
    flat = torch.cat([g.flatten() for g in grads] + [figures])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for g, mean in zip(grads, flat.split([g.numel() for g in grads] + [len(figures)])):
        g.copy_(mean.view_as(g))
    return flat[-len(figures):]


def exported_shape(folder):
    c = json.load(open(folder + "/config.json", encoding="utf-8"))
    return dict(vocab=c["vocab_size"], d=c["d_model"], heads=c["encoder_attention_heads"], ffn=c["encoder_ffn_dim"],
                encoder=c["encoder_layers"], decoder=c["decoder_layers"])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", required=True)
    p.add_argument("--minutes", type=float, required=True)
    p.add_argument("--decay", type=float, default=0.4, help="part of the minutes in which the rate falls")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--dim", type=int, default=256)
    p.add_argument("--ffn", type=int, default=1024)
    p.add_argument("--encoder", type=int, default=6)
    p.add_argument("--decoder", type=int, default=2)
    p.add_argument("--heads", type=int, default=8)
    p.add_argument("--dropout", type=float, default=0.1)
    p.add_argument("--smooth", type=float, default=0.1)
    p.add_argument("--guide", type=float, default=0.3, help="weight of the guided alignment")
    p.add_argument("--rate", type=float, default=1e-3)
    p.add_argument("--warmup", type=int, default=500)
    p.add_argument("--tokens", type=int, default=3000, help="padded tokens of a side in a batch")
    p.add_argument("--save-minutes", type=float, default=2)
    p.add_argument("--bf16", type=int, default=1)
    p.add_argument("--see", nargs="*", default=[], metavar="SET=TIMES", help="how often a set is seen in an epoch, instead of RATE")
    p.add_argument("--init", help="begin with the weights of this exported folder (same vocabulary)")
    p.add_argument("--steps", type=int, default=0, help="stop after so many updates (for a trial)")
    p.add_argument("--threads", type=int)
    p.add_argument("--workers", type=int, default=1, help="processes that share the batches of an update, on a CPU; best one"
                   " to a core, with one thread each")
    a = p.parse_args()
    a.seed = int(time.time())
    if a.workers == 1:
        return train(0, a)
    with tempfile.TemporaryDirectory() as tmp:
        a.meet = f"file://{tmp}/meet"
        torch.multiprocessing.spawn(train, (a,), a.workers)


def train(rank, a):
    if a.workers > 1:
        dist.init_process_group("gloo", init_method=a.meet, rank=rank, world_size=a.workers)
    if a.threads:
        torch.set_num_threads(a.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(a.seed)
    rng = random.Random(a.seed)
    data, valid = Pairs(a.out + "/train.npz"), Pairs(a.out + "/valid.npz")
    vocab = len(json.load(open(a.out + "/vocab.json", encoding="utf-8")))
    shape = dict(vocab=vocab, d=a.dim, heads=a.heads, ffn=a.ffn, encoder=a.encoder, decoder=a.decoder)
    state = None
    if os.path.exists(a.out + "/checkpoint.pt"):
        state = torch.load(a.out + "/checkpoint.pt", map_location=a.device)
        shape = state["shape"]
    elif a.init:
        shape = exported_shape(a.init)
    model = Marian(**shape, drop=a.dropout).to(a.device)
    optimizers = make_optimizers(model, a.rate)
    step = 0
    if state:
        model.load_state_dict(state["model"])
        for opt, saved in zip(optimizers, state["optimizers"]):
            opt.load_state_dict(saved)
        step = state["step"]
    elif a.init:
        model.load_state_dict({k: v.float() for k, v in load_file(a.init + "/model.safetensors").items()})
    say = lambda *text: rank or print(*text, flush=True)
    say("parameters", sum(p.numel() for p in model.parameters()), "from update", step)
    rates = dict(RATE, **{name: float(times) for name, times in (x.split("=") for x in a.see)})
    start = saved = logged = time.time()
    sums, first = [0.0] * 5, step

    def save():
        torch.save({"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers], "step": step, "shape": shape},
                   a.out + "/checkpoint.tmp")
        os.replace(a.out + "/checkpoint.tmp", a.out + "/checkpoint.pt")
        torch.save({"model": model.state_dict(), "shape": shape, "step": step}, f"{a.out}/weights-{step:06d}.pt")
        for old in sorted(glob.glob(a.out + "/weights-*.pt"))[:-12]:
            os.remove(old)

    spent = 0.0  # part of the minutes
    while spent < 1:
        batches = data.batches(data.epoch(rng, rates), a.tokens, rng, a.workers)
        for batch in batches[rank:: a.workers]:
            lr = a.rate * min(1, (step + 1) / a.warmup) * min(1, max(0.02, (1 - spent) / a.decay))
            for opt in optimizers:
                for g in opt.param_groups:
                    g["lr"] = lr
            tensors = [t.to(a.device) for t in data.tensors(batch, model.pad)]
            with torch.autocast(a.device, torch.bfloat16, enabled=bool(a.bf16)):
                ce, guide, n = losses(model, tensors, a.smooth)
            loss = ce / n + a.guide * sum(guide)
            model.zero_grad()
            loss.backward()
            figures = torch.stack([ce.detach(), n, *(g.detach() for g in guide), n * 0 + (time.time() - start) / 60 / a.minutes])
            *figures, spent = average_over_workers(model, figures).tolist()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for opt in optimizers:
                opt.step()
            step += 1
            sums = [x + y for x, y in zip(sums, (*figures, 1))]
            now = time.time()
            if sums[-1] == 50:
                say(f"{step} loss {sums[0] / sums[1]:.3f} align {sums[2] / 50:.3f} {sums[3] / 50:.3f} rate {lr:.1e}"
                    f" {a.workers * sums[1] / (now - logged):.0f} tok/s {(now - start) / 60:.1f} min")
                sums, logged = [0.0] * 5, now
            if not rank and now - saved > a.save_minutes * 60:
                save()
                saved = now
            if a.steps and step - first >= a.steps:
                spent = 1
            if spent >= 1:
                break
        say("epoch")
    if rank:
        return
    save()
    model.eval()
    with torch.no_grad():
        tot = torch.zeros(2)
        for batch in valid.batches([[i] for i in range(valid.n)], 4000, rng):
            ce, _, n = losses(model, [t.to(a.device) for t in valid.tensors(batch, model.pad)], 0.0)
            tot += torch.tensor([ce.item(), n.item()])
    print(f"valid cross-entropy {tot[0] / tot[1]:.3f}", flush=True)


if __name__ == "__main__":
    main()
