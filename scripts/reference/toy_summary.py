#!/usr/bin/env python3
"""A toy summarizer for the tests of the command line: an mT5 checkpoint of some 300 KB that has learnt to
summarize articles in the made-up grammar of toy.py, whether they are given in Arabic or in English. The
summary is English: in one sentence who did what the first sentence of the article says, and the second if
it says the same of somebody else; and what happened in a year that is named. The rest is left out.

    python scripts/reference/toy_summary.py tests/golden/toy_summary

Its attention is not trained to align. Needs torch, transformers and sentencepiece; takes some minutes.
"""
import json
import random
import sys
from pathlib import Path

import sentencepiece as spm
import torch
from safetensors.torch import save_file
from transformers import MT5Config, MT5ForConditionalGeneration

from toy import NOUNS, PLACES, TIMES, VERBS, side

PAD, EOS = 0, 1


def event(rng):
    return side(VERBS, rng), side(PLACES, rng)


def arabic(who, what, year, time):
    (verb, place), (v, prep) = what, what[0][0].split()
    words = [v, who[0], prep, place[0]] + (["عام", year] if year else []) + ([time[0]] if time[0] else [])
    return " ".join(words) + "."


def english(whos, what, year="", time=("", "")):
    verb, place = what
    words = [" and ".join(who[1] for who in whos), verb[1], place[1]]
    words += ([f"in {year}"] if year else []) + ([time[1]] if time[1] else [])
    text = " ".join(words) + "."
    return text[0].upper() + text[1:]


def article(rng):
    """An Arabic article, the same in English, and its summary."""
    people = rng.sample(list(NOUNS.items()), 4)
    events = []
    while len(events) < 3:
        one = event(rng)
        # No two events share a verb or a place: what is the same is seen from either.
        if all(one[0] != other[0] and one[1] != other[1] for other in events):
            events.append(one)
    # The second sentence may say the same of somebody else; others follow.
    together = 1 + (rng.random() < 0.5)
    others = rng.randint(1, 2)
    dated = rng.randrange(others) if rng.random() < 0.7 else None
    year = str(rng.randint(1900, 2099))
    told = [(who, events[0], "") for who in people[:together]]
    for i in range(others):
        told.append((people[together + i], events[1 + i], year if i == dated else ""))
    source, translation = [], []
    for who, what, when in told:
        time = side(TIMES, rng)
        source.append(arabic(who, what, when, time))
        translation.append(english([who], what, when, time))
    summary = english(people[:together], events[0])
    if dated is not None:
        summary += " " + english([people[together + dated]], events[1 + dated], year)
    return " ".join(source), " ".join(translation), summary


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(7)
    torch.manual_seed(7)
    torch.set_num_threads(1)
    text = out / "text.txt"
    text.write_text("".join("\n".join(article(rng)) + "\n" for _ in range(2000)))
    spm.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(out / "spiece"), vocab_size=240, hard_vocab_limit=False, model_type="bpe",
        normalization_rule_name="identity", character_coverage=1.0, split_digits=True,
        pad_id=PAD, eos_id=EOS, unk_id=2, bos_id=-1, minloglevel=2,
    )
    text.unlink()
    (out / "spiece.vocab").unlink()
    model = spm.SentencePieceProcessor(model_file=str(out / "spiece.model"))
    settings = dict(
        vocab_size=model.get_piece_size(), d_model=48, d_kv=12, d_ff=96, num_layers=2, num_decoder_layers=2,
        num_heads=4, relative_attention_num_buckets=32, relative_attention_max_distance=128,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, pad_token_id=PAD, eos_token_id=EOS,
        decoder_start_token_id=PAD, layer_norm_epsilon=1e-6,
    )
    net = MT5ForConditionalGeneration(MT5Config(**settings, dropout_rate=0.0))
    net.lm_head.weight = torch.nn.Parameter(0.05 * torch.randn(settings["vocab_size"], settings["d_model"]))
    updates, size = 2000, 32
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, updates, pct_start=0.2)

    def batch():
        rows = []
        for _ in range(size):
            source, translation, summary = article(rng)
            given = source if rng.random() < 0.5 else translation
            rows.append((model.encode(given) + [EOS], model.encode(summary) + [EOS]))
        pad = lambda rows, with_: torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(row) for row in rows], batch_first=True, padding_value=with_)
        return pad([s for s, _ in rows], PAD), pad([t for _, t in rows], -100)

    for update in range(updates):
        source, target = batch()
        result = net(input_ids=source, attention_mask=source != PAD, labels=target)
        optimizer.zero_grad()
        result.loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if update % 200 == 199:
            print(update + 1, round(result.loss.item(), 4), flush=True)
            save(out, net, settings)


def save(out, net, settings):
    seen, state = set(), {}
    for key, value in net.state_dict().items():
        if value.data_ptr() not in seen:
            seen.add(value.data_ptr())
            state[key] = value.half().contiguous()
    save_file(state, out / "model.safetensors", metadata={"format": "pt"})
    config = {"architectures": ["MT5ForConditionalGeneration"], "model_type": "mt5", "num_beams": 4,
              "max_length": 64, **settings}
    (out / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
