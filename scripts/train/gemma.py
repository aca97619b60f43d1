"""Gemma 3 270M written small, for fine-tuning and batched decoding, and its vocabulary cut to two languages.

The layers are those of transformers' Gemma3ForCausalLM (`check` in teacher.py compares the logits). Lines here are far
shorter than the sliding window of 512, so all layers attend alike and differ only in the base of their rotations.
"""
import json
import math
import re

import torch
import torch.nn as nn
import torch.nn.functional as F
from tokenizers import Tokenizer

LAYERS, D, HEADS, HEAD, FFN, EPS = 18, 640, 4, 256, 2048, 1e-6
PAD, EOS, BOS, UNK = 0, 1, 2, 3


class Norm(nn.Module):
    """RMS norm. The weight is held as 1 + w of the published checkpoint."""

    def __init__(self, d):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, EPS)


def linear(a, b):
    return nn.Linear(a, b, bias=False)


class Attention(nn.Module):
    """Four query heads share one key and value head, so that all queries of a line are one matrix."""

    def __init__(self):
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = linear(D, HEADS * HEAD), linear(D, HEAD), linear(D, HEAD)
        self.o_proj = linear(HEADS * HEAD, D)
        self.q_norm, self.k_norm = Norm(HEAD), Norm(HEAD)

    def forward(self, x, rotation, mask, cache=None, at=0):
        """x [lines, time, D]; mask [lines or 1, time, keys]; cache: keys and values [lines, room, HEAD] of this layer."""
        b, t, _ = x.shape
        cos, sin = rotation  # [lines or 1, time, 1, HEAD]
        turn = lambda y: y * cos + torch.cat([-y[..., HEAD // 2:], y[..., : HEAD // 2]], -1) * sin
        q = turn(self.q_norm(self.q_proj(x).view(b, t, HEADS, HEAD)))
        k = turn(self.k_norm(self.k_proj(x).view(b, t, 1, HEAD))).view(b, t, HEAD)
        v = self.v_proj(x)
        if cache is not None:
            keys, values = cache
            keys[:b, at: at + t], values[:b, at: at + t] = k, v
            k, v = keys[:b, : at + t], values[:b, : at + t]
        scores = torch.bmm(q.reshape(b, t * HEADS, HEAD) * HEAD ** -0.5, k.transpose(1, 2)).view(b, t, HEADS, -1)
        weights = F.softmax(scores + mask[:, :, None], -1)
        y = torch.bmm(weights.view(b, t * HEADS, -1), v)
        return self.o_proj(y.view(b, t, HEADS * HEAD))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn = Attention()
        self.mlp = nn.Module()
        self.mlp.gate_proj, self.mlp.up_proj, self.mlp.down_proj = linear(D, FFN), linear(D, FFN), linear(FFN, D)
        self.input_layernorm, self.post_attention_layernorm = Norm(D), Norm(D)
        self.pre_feedforward_layernorm, self.post_feedforward_layernorm = Norm(D), Norm(D)

    def forward(self, x, *attention):
        x = x + self.post_attention_layernorm(self.self_attn(self.input_layernorm(x), *attention))
        h, m = self.pre_feedforward_layernorm(x), self.mlp
        return x + self.post_feedforward_layernorm(
            m.down_proj(F.gelu(m.gate_proj(h), approximate="tanh") * m.up_proj(h)))


class Gemma(nn.Module):
    def __init__(self, vocab, positions=1024):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab, D)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = Norm(D)
        for name, base in (("local", 1e4), ("full", 1e6)):
            angle = torch.arange(positions)[:, None] / base ** (torch.arange(0, HEAD, 2) / HEAD)
            angle = torch.cat([angle, angle], 1)
            self.register_buffer(name, torch.stack([angle.cos(), angle.sin()]), persistent=False)

    def forward(self, ids, start=None, cache=None, at=0):
        """Last hidden states [lines, time, D]. `start`: where each line begins, when lines are padded on the left.
        `cache` and `at`: what earlier calls left, and how many positions it holds."""
        b, t = ids.shape
        w = self.embed_tokens.weight
        x = F.embedding(ids, w) * torch.tensor(math.sqrt(D), dtype=w.dtype)
        when = torch.arange(at, at + t, device=ids.device)
        hidden = torch.arange(at + t, device=ids.device)[None, None] > when[None, :, None]
        if start is not None:
            hidden = hidden | (torch.arange(at + t, device=ids.device)[None, None] < start[:, None, None])
            when = (when[None] - start[:, None]).clamp_min(0)
        mask = torch.zeros(hidden.shape, dtype=w.dtype, device=ids.device).masked_fill_(hidden, -1e4)
        rotation = {n: getattr(self, n)[:, when].to(w.dtype).view(2, -1, t, 1, HEAD) for n in ("local", "full")}
        for i, layer in enumerate(self.layers):
            kind = "full" if i % 6 == 5 else "local"
            x = layer(x, rotation[kind], mask, cache and (cache[0][i], cache[1][i]), at)
        return self.norm(x)

    def compile(self):
        """Fuse what is not a matrix product: 1.6 times as fast on one core."""
        for layer in self.layers:
            layer.compile(dynamic=True)

    def logits(self, hidden):
        return F.linear(hidden, self.embed_tokens.weight)


def load(folder, dtype=torch.bfloat16, device="cpu"):
    """The model and tokenizer that teacher.py wrote."""
    from safetensors.torch import load_file
    state = load_file(folder + "/model.safetensors", device=str(device))
    model = Gemma(len(state["embed_tokens.weight"])).to(device)
    model.load_state_dict(state)
    return model.to(dtype), Tokenizer.from_file(folder + "/tokenizer.json")


def from_transformers(state):
    """transformers' names and norms to ours."""
    out = {}
    for name, value in state.items():
        if name != "lm_head.weight":
            out[name.removeprefix("model.")] = value.float() + 1 if "norm" in name else value.float()
    return out


def merges_on_the_way(piece, rank):
    """What byte-pair encoding builds from single characters until it has `piece`."""
    parts = list(piece)
    while len(parts) > 1:
        best = min(range(len(parts) - 1), key=lambda i: rank.get((parts[i], parts[i + 1]), math.inf))
        if (parts[best], parts[best + 1]) not in rank:
            break
        parts[best: best + 2] = [parts[best] + parts[best + 1]]
        yield parts[best]


def cut_vocabulary(tokenizer, used, latin=16000):
    """`tokenizer`: the tokenizer's JSON as a dict; `used`: ids that the texts need. Keeps those, bytes and special pieces,
    every Arabic piece, Latin words among the first `latin` ids, single characters of these, and what the merges pass
    through. Returns the new JSON and the old id of every new one."""
    vocab = tokenizer["model"]["vocab"]
    names = {i: p for p, i in vocab.items()}
    rank = {tuple(m): i for i, m in enumerate(tokenizer["model"]["merges"])}
    keep = {p for p, i in vocab.items() if i in used or i < 4 or re.fullmatch(r"<0x..>|\n{1,2}", p)
            or re.fullmatch("▁?[\u0621-\u064a]+", p) or (i < latin and re.fullmatch("▁?[A-Za-z]+", p))}
    for p in list(keep):
        if not p.startswith("<"):
            keep.update(merges_on_the_way(p, rank))
            keep.update(c for c in p if c in vocab)
    old = sorted(vocab[p] for p in keep)
    new = {names[i]: k for k, i in enumerate(old)}
    model = dict(tokenizer["model"], vocab=new,
                 merges=[m for m in tokenizer["model"]["merges"] if m[0] in new and m[1] in new and m[0] + m[1] in new])
    special = [dict(t, id=new[t["content"]]) for t in tokenizer["added_tokens"] if vocab[t["content"]] < 4]
    post = json.loads(json.dumps(tokenizer["post_processor"]))
    return dict(tokenizer, model=model, added_tokens=special, post_processor=post), old
