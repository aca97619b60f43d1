#!/usr/bin/env python3
"""A toy model for the tests of the command line: a Marian checkpoint of some 100 KB that has learnt
to translate sentences of a small made-up grammar, with head 0 of its last decoder layer trained to
align. What it says is right or wrong for reasons that can be seen, and stays the same from
version to version, which the bundled model's translations do not.

    python scripts/reference/toy.py tests/golden/toy

Needs torch, transformers and sentencepiece; takes some minutes.
"""
import json
import random
import sys
from pathlib import Path

import sentencepiece as spm
import torch
from safetensors.torch import save_file
from transformers import MarianConfig, MarianMTModel

NOUNS = {
    "الوزير": "the minister", "المدير": "the manager", "الرجل": "the man", "المرأة": "the woman",
    "الطالب": "the student", "المعلم": "the teacher", "الطفل": "the child", "الرئيس": "the president",
}
PLACES = {
    "المدرسة": "the school", "البيت": "the house", "القاهرة": "Cairo", "دمشق": "Damascus",
    "السوق": "the market", "المكتب": "the office", "المدينة": "the city",
}
VERBS = {
    "وصل إلى": "arrived at", "ذهب إلى": "went to", "خرج من": "left", "عاد إلى": "returned to",
    "كتب عن": "wrote about", "تحدث عن": "talked about",
}
TIMES = {"أمس": "yesterday", "اليوم": "today", "صباحا": "in the morning", "": ""}
ENDS = {".": ".", "؟": "?", "!": "!", "": ""}


def side(pairs, rng):
    return rng.choice(list(pairs.items()))


def clause(rng):
    """Source words, target words and the links between them."""
    verb, noun, place, time = (side(p, rng) for p in (VERBS, NOUNS, PLACES, TIMES))
    with_and = rng.random() < 0.15
    number = str(rng.randint(1, 2099)) if rng.random() < 0.3 else ""
    v, prep = verb[0].split()
    source = [("و" if with_and else "") + v, noun[0], prep, place[0]]
    target, links = [], []

    def say(words, at):
        for word in words.split():
            links.append((at, len(target)))
            target.append(word)

    if with_and:
        say("and", 0)
    say(noun[1], 1)
    first, *rest = verb[1].split()
    say(first, 0)
    for word in rest:
        say(word, 2)
    say(place[1], 3)
    if number:
        source += ["عام", number]
        say("in", 4)
        say(number, 5)
    if time[0]:
        source.append(time[0])
        say(time[1], len(source) - 1)
    return source, target, links


def sentence(rng):
    source, target, links = clause(rng)
    if rng.random() < 0.25:
        s, t, l = clause(rng)
        links += [(len(source) + 1 + a, len(target) + 1 + b) for a, b in l]
        links.append((len(source), len(target)))
        source, target = source + ["ثم"] + s, target + ["then"] + t
    end = side(ENDS, rng)
    target[0] = target[0][0].upper() + target[0][1:]
    if end[0]:
        links.append((len(source) - 1, len(target) - 1))  # the mark goes with its word
        source[-1] += end[0]
        target[-1] += end[1]
    return source, target, links


def pieces(model, words):
    """Ids and, for each, the number of its word."""
    ids, owner, word = [], [], -1
    for piece in model.encode(" ".join(words), out_type=str):
        word += piece.startswith("▁")
        ids.append(piece)
        owner.append(max(word, 0))
    return ids, owner


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(5)
    torch.manual_seed(5)
    torch.set_num_threads(1)
    data = [sentence(rng) for _ in range(20000)]
    text = out / "text.txt"
    text.write_text("".join(" ".join(s) + "\n" + " ".join(t) + "\n" for s, t, _ in data[:4000]))
    spm.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(out / "joint"), vocab_size=170, hard_vocab_limit=False,
        normalization_rule_name="identity", character_coverage=1.0, bos_id=-1, minloglevel=2,
    )
    text.unlink()
    (out / "joint.vocab").unlink()
    (out / "source.spm").write_bytes((out / "joint.model").read_bytes())
    (out / "joint.model").rename(out / "target.spm")
    model = spm.SentencePieceProcessor(model_file=str(out / "source.spm"))
    vocab = {"</s>": 0, "<unk>": 1}
    for i in range(model.get_piece_size()):
        vocab.setdefault(model.id_to_piece(i), len(vocab))
    vocab["<pad>"] = len(vocab)
    (out / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False, indent=0) + "\n")
    pad = vocab["<pad>"]

    settings = dict(
        vocab_size=len(vocab), decoder_vocab_size=len(vocab), d_model=48, encoder_layers=2,
        decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=96,
        decoder_ffn_dim=96, max_position_embeddings=64, activation_function="swish",
        scale_embedding=True, pad_token_id=pad, eos_token_id=0, decoder_start_token_id=pad,
        forced_eos_token_id=0, bad_words_ids=[[pad]], num_beams=4, max_length=64,
        share_encoder_decoder_embeddings=True, tie_word_embeddings=True,
        static_position_embeddings=True,
    )
    net = MarianMTModel(MarianConfig(**settings, dropout=0.0, attn_implementation="eager"))
    rows = []
    for s, t, links in data:
        s, s_word = pieces(model, s)
        t, t_word = pieces(model, t)
        gold = torch.zeros(len(t) + 1, len(s) + 1)
        for i, a in enumerate(t_word):
            for j, b in enumerate(s_word):
                gold[i, j] = float((b, a) in links)
        gold[len(t), len(s)] = 1
        ids = lambda x: [vocab.get(p, 1) for p in x] + [0]
        rows.append((ids(s), ids(t), gold / gold.sum(1, keepdim=True).clamp(min=1)))

    updates, size = 1800, 48
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, updates)
    for update in range(updates):
        batch = rng.sample(rows, size)
        width, height = max(len(b[0]) for b in batch), max(len(b[1]) for b in batch)
        source = torch.full((size, width), pad)
        target = torch.full((size, height), -100)
        gold = torch.zeros(size, height, width)
        for i, (s, t, g) in enumerate(batch):
            source[i, : len(s)] = torch.tensor(s)
            target[i, : len(t)] = torch.tensor(t)
            gold[i, : len(t), : len(s)] = g
        result = net(input_ids=source, attention_mask=source != pad, labels=target, output_attentions=True)
        head = result.cross_attentions[-1][:, 0]
        guide = -(gold * (head + 1e-6).log()).sum() / gold.sum()
        optimizer.zero_grad()
        (result.loss + 0.5 * guide).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if update % 200 == 199:
            print(update + 1, round(result.loss.item(), 4), round(guide.item(), 4), flush=True)

    seen, state = set(), {}
    for key, value in net.state_dict().items():
        if "embed_positions" not in key and value.data_ptr() not in seen:
            seen.add(value.data_ptr())
            state[key] = value.half().contiguous()
    save_file(state, out / "model.safetensors", metadata={"format": "pt"})
    config = {"architectures": ["MarianMTModel"], "model_type": "marian", **settings}
    (out / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
