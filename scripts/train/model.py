"""The Marian transformer, with the parameter names of transformers' MarianMTModel."""
import math
import random

import torch
import torch.nn as nn
import torch.nn.functional as F


def sinusoids(n, dim):
    pos = torch.arange(n, dtype=torch.float64)[:, None]
    angle = pos / torch.pow(10000, 2 * (torch.arange(dim // 2, dtype=torch.float64)) / dim)
    return torch.cat([angle.sin(), angle.cos()], 1).float()


class Dropout:
    """Dropout from slices of one random mask made beforehand: drawing random
    numbers takes a sixth of the time of an update on a CPU."""
    pools = {}

    def __call__(self, x, p):
        if not p:
            return x
        key = (p, x.dtype, x.device)
        if key not in self.pools:
            self.pools[key] = (torch.rand(1 << 24, device=x.device) >= p).to(x.dtype) / (1 - p)
        n, pool = x.numel(), self.pools[key]
        if n > len(pool):
            return F.dropout(x, p)
        at = random.randrange(len(pool) - n + 1)
        return x * pool[at: at + n].view(x.shape)


dropout = Dropout()


class SmoothedLoss(torch.autograd.Function):
    """Summed cross-entropy with label smoothing over h @ weight.T + bias (or no bias). The
    gradient is made on the way forward, some rows at a time, so that the
    logits never leave the cache; what smoothing adds is the same for every word of the vocabulary, hence two
    vectors."""

    @staticmethod
    def forward(ctx, h, weight, bias, target, smooth, rows=256):
        low = torch.bfloat16 if torch.is_autocast_enabled(h.device.type) else weight.dtype
        # autocast would take the softmax in float32, and copy the logits to and fro
        with torch.autocast(h.device.type, enabled=False):
            return SmoothedLoss.rounded(ctx, h, weight, bias, target, smooth, rows, low)

    @staticmethod
    def rounded(ctx, h, weight, bias, target, smooth, rows, low):
        w, h = weight.to(low), h.to(low)
        b = None if bias is None else bias.to(low)
        n, even, sure = len(h), smooth / len(w), 1 - smooth
        dh, dw, loss, gold = torch.empty_like(h), torch.zeros_like(w, dtype=torch.float32), 0.0, 0.0
        db = None if bias is None else torch.zeros_like(bias, dtype=torch.float32)
        ones = h.new_ones(1, rows)
        for at in range(0, n, rows):
            part, t = h[at: at + rows], target[at: at + rows, None]
            z = part @ w.t() if b is None else torch.addmm(b, part, w.t())
            p = z.softmax(1)
            loss -= p.gather(1, t).float().clamp_min(1e-30).log().sum()
            gold += z.gather(1, t).float().sum()
            if db is not None:
                db += (ones[:, : len(p)] @ p)[0]
            torch.mm(p, w, out=dh[at: at + rows])
            dw += p.t() @ part
        # From the probabilities the gradient takes the target's 1 - smooth, and smooth shared out to all words.
        w_sum, h_sum = w.float().sum(0), h.float().sum(0)
        dh -= w[target] * sure + (even * w_sum).to(low)
        dw.index_add_(0, target, h.float(), alpha=-sure)
        dw -= even * h_sum
        bias_sum = 0.0
        if db is not None:
            db -= sure * torch.bincount(target, minlength=len(db)) + even * n
            bias_sum = n * b.float().sum()
        ctx.save_for_backward(dh, dw.to(weight.dtype), db)
        return loss + smooth * gold - even * (h_sum @ w_sum + bias_sum)

    @staticmethod
    def backward(ctx, grad):
        dh, dw, db = ctx.saved_tensors
        return dh * grad.to(dh.dtype), dw * grad.to(dw.dtype), None if db is None else db * grad, None, None, None


class Attention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (nn.Linear(d, d) for _ in range(4))
        self.heads = heads

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def forward(self, x, memory, mask, want=False):
        q, k, v = self.split(self.q_proj(x)), self.split(self.k_proj(memory)), self.split(self.v_proj(memory))
        scores = q @ k.transpose(2, 3) * (1 / math.sqrt(q.shape[-1])) + mask.to(q.dtype)
        weights = F.log_softmax(scores[:, :2].float(), -1) if want else None
        y = F.softmax(scores, -1).to(v.dtype) @ v
        return self.out_proj(y.transpose(1, 2).reshape(x.shape)), weights


class Layer(nn.Module):
    def __init__(self, d, heads, ffn, drop, decoder):
        super().__init__()
        self.self_attn = Attention(d, heads)
        self.self_attn_layer_norm = nn.LayerNorm(d)
        if decoder:
            self.encoder_attn = Attention(d, heads)
            self.encoder_attn_layer_norm = nn.LayerNorm(d)
        self.fc1, self.fc2 = nn.Linear(d, ffn), nn.Linear(ffn, d)
        self.final_layer_norm = nn.LayerNorm(d)
        self.drop = drop

    def forward(self, x, mask, memory=None, memory_mask=None, want=False):
        drop = lambda y: dropout(y, self.drop if self.training else 0)
        y, _ = self.self_attn(x, x, mask)
        x = self.self_attn_layer_norm(x + drop(y))
        weights = None
        if memory is not None:
            y, weights = self.encoder_attn(x, memory, memory_mask, want=want)
            x = self.encoder_attn_layer_norm(x + drop(y))
        y = self.fc2(F.silu(self.fc1(x)))
        return self.final_layer_norm(x + drop(y)), weights


class Stack(nn.Module):
    def __init__(self, d, heads, ffn, layers, drop, decoder):
        super().__init__()
        self.layers = nn.ModuleList(Layer(d, heads, ffn, drop, decoder) for _ in range(layers))


class Marian(nn.Module):
    def __init__(self, vocab, d=256, heads=8, ffn=1024, encoder=6, decoder=2, drop=0.1, positions=512):
        super().__init__()
        self.pad, self.eos, self.d, self.drop = vocab - 1, 0, d, drop
        self.model = nn.Module()
        self.model.shared = nn.Embedding(vocab, d, padding_idx=vocab - 1)
        self.model.encoder = Stack(d, heads, ffn, encoder, drop, False)
        self.model.decoder = Stack(d, heads, ffn, decoder, drop, True)
        self.final_logits_bias = nn.Parameter(torch.zeros(1, vocab))
        self.register_buffer("positions", sinusoids(positions, d), persistent=False)
        for name, p in self.named_parameters():
            if p.dim() > 1 and name.endswith("weight") and "shared" not in name:
                nn.init.xavier_uniform_(p)
            elif name.endswith("bias"):
                nn.init.zeros_(p)
        # small enough that the first residual sums are not swamped
        nn.init.normal_(self.model.shared.weight, std=d ** -0.5)
        with torch.no_grad():
            self.model.shared.weight[self.pad].zero_()

    def embed(self, ids):
        x = self.model.shared(ids) * math.sqrt(self.d) + self.positions[: ids.shape[1]]
        return dropout(x, self.drop if self.training else 0)

    def forward(self, src, tgt_in):
        y, logp = self.hidden(src, tgt_in)
        return F.linear(y, self.model.shared.weight) + self.final_logits_bias, logp

    def hidden(self, src, tgt_in):
        """Last hidden state, and the log attention of the first two heads of the last decoder layer, [batch, 2, target,
        source]."""
        mask = torch.zeros(src.shape, dtype=torch.float32, device=src.device).masked_fill_(src == self.pad, -1e4)[:, None, None, :]
        x = self.embed(src)
        for layer in self.model.encoder.layers:
            x, _ = layer(x, mask)
        causal = torch.full((tgt_in.shape[1],) * 2, -1e4, device=src.device).triu(1)
        y, last, logp = self.embed(tgt_in), len(self.model.decoder.layers) - 1, None
        for i, layer in enumerate(self.model.decoder.layers):
            y, logp = layer(y, causal, x, mask, want=i == last)
        return y, logp
