"""Batched decoding for gemma.py: greedy, or sampling, with a static key-value cache."""
import torch

import gemma


class Gumbel:
    """Noise from slices of one pool made beforehand: drawing it anew for every step and piece costs more than the model."""
    pool = None

    def __call__(self, shape, device):
        n = shape[0] * shape[1]
        if self.pool is None or self.pool.numel() < 2 * n or self.pool.device != device:
            self.pool = -torch.log(torch.empty(max(1 << 25, 2 * n), device=device).exponential_()).to(torch.bfloat16)
        at = int(torch.randint(self.pool.numel() - n, ()))
        return self.pool[at: at + n].view(shape)


gumbel = Gumbel()


@torch.no_grad()
def decode(model, prompts, longest, temperature=0.0, least=0.04, stop=(gemma.EOS,)):
    """Lists of piece ids -> for each the ids that follow (without the stopping piece), their mean log probability under
    the model (0 when drawn), and whether a stopping piece was reached. With a temperature, pieces less likely than
    `least` times the likeliest are never drawn."""
    device = model.embed_tokens.weight.device
    width = max(map(len, prompts))
    b = len(prompts)
    start = torch.tensor([width - len(p) for p in prompts], device=device)
    ids = torch.tensor([[gemma.PAD] * (width - len(p)) + p for p in prompts], device=device)
    room = lambda: torch.empty(gemma.LAYERS, b, width + longest, gemma.HEAD, dtype=model.embed_tokens.weight.dtype, device=device)
    cache = room(), room()
    done, sums = [None] * b, torch.zeros(b, device=device)
    live = torch.arange(b, device=device)
    said = torch.zeros(b, longest, dtype=torch.long, device=device)
    stops = torch.tensor(stop, device=device)
    hidden, at = model(ids, start, cache)[:, -1], width
    for t in range(longest):
        logits = model.logits(hidden)
        if temperature:
            top = logits.amax(1, keepdim=True)
            floor = top + temperature * torch.log(torch.tensor(least)).to(logits.dtype)
            noisy = logits + temperature * gumbel(logits.shape, device)
            piece = noisy.masked_fill_(logits < floor, -1e4).argmax(1)
        else:
            piece = logits.argmax(1)
            sums += logits.gather(1, piece[:, None])[:, 0].float() - logits.float().logsumexp(1)
        said[:, t] = piece
        ended = torch.isin(piece, stops)
        if ended.any():
            for i in ended.nonzero()[:, 0].tolist():
                k = int(live[i])
                done[k] = said[i, :t].tolist(), float(sums[i]) / (t + 1), True
            # the last living lines move into the places of the finished ones
            n = int((~ended).sum())
            if not n:
                break
            keep = torch.arange(n, device=device)
            holes, movers = ended[:n].nonzero()[:, 0], n + (~ended[n:]).nonzero()[:, 0]
            keep[holes] = movers
            for side in cache:
                side[:, holes, :at] = side[:, movers, :at]
            live, said, sums, start, piece = live[keep], said[keep], sums[keep], start[keep], piece[keep]
        hidden = model(piece[:, None], start, cache, at)[:, -1]
        at += 1
    for i, k in enumerate(live.tolist()):
        done[k] = done[k] or (said[i].tolist(), float(sums[i]) / longest, False)
    return done


def line_ends(tok):
    """The pieces after which nothing more of a line comes."""
    return gemma.EOS, tok.token_to_id("\n"), tok.token_to_id("\n\n")


def clean(tok, ids):
    return " ".join(tok.decode(ids, skip_special_tokens=True).split())


def greedy(model, tok, prompts, lines=256, longest=150):
    """Translations of prompts, in their order; an empty line where no end was reached."""
    ids = [e.ids for e in tok.encode_batch(prompts)]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    out = [""] * len(ids)
    for k in range(0, len(order), lines):
        part = order[k: k + lines]
        for i, (line, _, ended) in zip(part, decode(model, [ids[i] for i in part], longest, stop=line_ends(tok))):
            out[i] = clean(tok, line) if ended else ""
    return out
