#!/usr/bin/env python3
"""Golden values for the T5 family, from transformers' T5ForConditionalGeneration,
MT5ForConditionalGeneration and T5Tokenizer (which serves both).

Writes seeded random checkpoints of several shapes (float16 on disk, a few dozen kilobytes each)
and, beside each, golden.json with encoder states, logits, cross-attentions and the outputs of
generate() under many settings; then two small tokenizers with what they make of varied lines.
`cargo test t5` compares tarjim with them.

    python scripts/reference/t5.py tests/golden/t5

Needs torch, transformers and sentencepiece (values were made with torch 2.15, transformers 5.23,
sentencepiece 0.2.3).
"""
import io
import json
import random
import sys
import tempfile
from pathlib import Path

import sentencepiece
import torch
from safetensors.torch import save_file
from sentencepiece import sentencepiece_model_pb2
from transformers import (MT5Config, MT5ForConditionalGeneration, T5Config,
                          T5ForConditionalGeneration, T5Tokenizer)
from transformers.models.t5.modeling_t5 import T5Attention

BASE = dict(
    d_model=32, d_kv=8, d_ff=36, num_layers=2, num_decoder_layers=2, num_heads=4, vocab_size=71,
    relative_attention_num_buckets=32, relative_attention_max_distance=128, dropout_rate=0.1,
    layer_norm_epsilon=1e-6, feed_forward_proj="relu", pad_token_id=0, eos_token_id=1,
    decoder_start_token_id=0, tie_word_embeddings=True, num_beams=4, max_length=24,
)
SHAPES = {
    # The first T5: relu, one table for all embeddings, outputs scaled.
    "t5": {},
    # T5 1.1: gated gelu, an output table of its own; heads narrower than the model, other buckets.
    "v1_1": dict(
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, d_kv=6, num_layers=3,
        num_decoder_layers=1, relative_attention_num_buckets=8, relative_attention_max_distance=12,
    ),
    # mT5: as T5 1.1, heads wider than the model.
    "mt5": dict(
        model_type="mt5", feed_forward_proj="gated-gelu", tie_word_embeddings=False, d_kv=12,
        num_decoder_layers=1, vocab_size=67,
    ),
    # What else a configuration may ask for: another gate, an odd number of buckets, a larger
    # epsilon, another start token; and the table stored under all its names.
    "silu": dict(
        feed_forward_proj="gated-silu", num_layers=1, num_decoder_layers=None,
        relative_attention_num_buckets=11, relative_attention_max_distance=20,
        layer_norm_epsilon=1e-3, decoder_start_token_id=3,
    ),
}
ALIASES = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"]


def build(name, seed):
    settings = {"model_type": "t5", **BASE, **SHAPES[name]}
    multilingual = settings["model_type"] == "mt5"
    config_class = MT5Config if multilingual else T5Config
    model_class = MT5ForConditionalGeneration if multilingual else T5ForConditionalGeneration
    kept = {k: v for k, v in settings.items() if k not in ("model_type", "num_beams", "max_length")}
    config = config_class(**kept, attn_implementation="eager")
    torch.manual_seed(seed)
    model = model_class(config).eval()
    if not settings["tie_word_embeddings"]:
        # transformers ties the two unless a file has both; this is as if it had.
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    with torch.no_grad():
        for key, p in model.named_parameters():
            if "layer_norm" in key:
                p.copy_(1 + 0.2 * torch.randn_like(p))
            elif key == "shared.weight":
                p.copy_(2 * torch.randn_like(p))
            elif key == "lm_head.weight":
                p.copy_(0.4 * torch.randn_like(p))
            elif "relative_attention_bias" in key:
                p.copy_(torch.randn_like(p))
            elif key.endswith("q.weight"):
                p.copy_(0.1 * torch.randn_like(p))  # scores are not scaled
            else:
                p.copy_(0.3 * torch.randn_like(p))
        # Outputs of many lengths, by an end of sentence that is likelier than the others.
        model.lm_head.weight[config.eos_token_id] *= 1.7
        for p in model.parameters():
            p.copy_(p.half().float())  # the exact values that float16 on disk holds
    assert (model.lm_head.weight is model.shared.weight) == settings["tie_word_embeddings"]
    return settings, model


def save(folder, settings, model, aliases):
    folder.mkdir(parents=True, exist_ok=True)
    state, seen = {}, set()
    for key, value in model.state_dict().items():
        if value.data_ptr() not in seen:
            seen.add(value.data_ptr())
            state[key] = value.half().contiguous()
    for key in aliases:
        state[key] = state["shared.weight"].clone()
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n")


def rounded(tensor):
    return [round(v, 5) for v in tensor.flatten().tolist()]


SETTINGS = [
    dict(num_beams=1),
    dict(num_beams=1, no_repeat_ngram_size=2),
    dict(num_beams=4),
    dict(num_beams=6, no_repeat_ngram_size=2),
    dict(num_beams=4, no_repeat_ngram_size=3, num_return_sequences=4),
    dict(num_beams=4, no_repeat_ngram_size=2, length_penalty=0.6),
    dict(num_beams=4, no_repeat_ngram_size=2, length_penalty=2.0, early_stopping=True),
    dict(num_beams=4, length_penalty=0.0, early_stopping="never"),
    dict(num_beams=6, no_repeat_ngram_size=3, length_penalty=1.2, early_stopping="never"),
    dict(num_beams=4, no_repeat_ngram_size=2, min_length=8),
    dict(num_beams=4, no_repeat_ngram_size=2, max_length=7),
    dict(num_beams=4, repetition_penalty=1.3),
    dict(num_beams=2, no_repeat_ngram_size=3, max_length=64),
]


@torch.no_grad()
def golden(config, model, seed):
    g = torch.Generator().manual_seed(seed)

    def ids(length):
        return torch.randint(2, config.vocab_size - 1, (length,), generator=g).tolist()

    # Long enough for the buckets that hold many distances.
    sources = [ids(n) + [1] for n in (4, 33, 9, 0, 12, 6)]
    targets = [ids(n) + [1] for n in (21, 2, 5, 1)]
    forced = []
    for source, target in zip(sources, targets):
        out = model(
            input_ids=torch.tensor([source]),
            decoder_input_ids=torch.tensor([[config.decoder_start_token_id] + target[:-1]]),
            output_attentions=True,
        )
        forced.append(dict(
            source=source, target=target,
            encoder=rounded(out.encoder_last_hidden_state),       # [source, d_model]
            logits=rounded(out.logits),                           # [target, vocab]
            cross_attention=[rounded(a) for a in out.cross_attentions],  # a layer: [heads, target, source]
        ))
    runs = []
    for settings in SETTINGS:
        results = []
        for source in sources:
            out = model.generate(
                torch.tensor([source]), return_dict_in_generate=True, output_scores=True,
                **{"max_length": 24, **settings},
            )
            scores = getattr(out, "sequences_scores", None)
            results.append([
                dict(
                    ids=trim(row.tolist()[1:], config),
                    score=None if scores is None else round(scores[i].item(), 6),
                )
                for i, row in enumerate(out.sequences)
            ])
        runs.append(dict(settings=settings, outputs=results))
    return dict(forced=forced, sources=sources, generate=runs)


def trim(row, config):
    """The ids up to and with the end of sentence; the rest is padding."""
    return row[: row.index(config.eos_token_id) + 1] if config.eos_token_id in row else row


def buckets():
    """For several shapes, the bucket of each distance (key minus query), as runs: [first distance,
    bucket]."""
    rows = []
    for count, longest in [(32, 128), (8, 12), (11, 20), (32, 20), (64, 256), (4, 3), (33, 4000)]:
        for both in (False, True):
            distances = torch.arange(-5000, 5001 if both else 1)
            found = T5Attention._relative_position_bucket(distances, both, count, longest).tolist()
            runs = [[d, b] for d, b, before in zip(distances.tolist(), found, [None] + found) if b != before]
            rows.append(dict(buckets=count, max_distance=longest, both=both, runs=runs))
    return rows


# --- tokenizers ---

AR_STEMS = "كتاب مكتب درس مدرس سفر علم معلم قلم باب شجر بحر مطر قمر خبز سوق طريق جسر حديق رسال مدين سفين ليل صباح عمل".split()
AR_PREFIXES = ["", "ال", "وال", "بال", "لل", "و", "ب", "سي"]
AR_SUFFIXES = ["", "ة", "ات", "ون", "ين", "ها", "هم", "نا"]
EN_STEMS = "work walk play read teach learn build paint garden bridge market river letter winter summer light water stone sing open".split()
EN_SUFFIXES = ["", "s", "ing", "ed", "er", "ers", "less", "ful"]
EN_SMALL = "the a of in on and to from was were with her his after before".split()
# A short stand-in for nmt_nfkc, whose table alone has 240 kB.
RULES = {"\u00a0": " ", "\t": " ", "\u200b": "", "\u0640": "", "ﷺ": "صلى الله عليه وسلم", "ﻻ": "لا", "Ａ": "A",
         "½": "1/2", "…": "...", "e\u0301": "é", "\u2009": " ", "\u3000": " ", "\u2028": " "}
ODD = [
    "", " ", "   ", "\u00a0", "\u3000 ", "▁", "a▁b", "</s>", "a</s>b", "<unk> <pad>", "<extra_id_0> x <extra_id_1>", "<extra_id_99>",
    "a<extra_id_3>b", "\u200bfirst", "last\u200b", "a\u200bb", "كتـــاب", "قال ﷺ ذلك", "ﷺ", "ﻻ", "ＡＢ", "½ cup…", "cafe\u0301",
    "العَرَبِيَّةُ", "😀", "a😀b", "👩‍👩‍👧‍👦", "two  spaces", "  lead", "trail  ", "tab\tbed", "thin\u2009space", "line\u2028sep", "a\u0000b",
    "1,234.5", "٪٥٠", "https://example.org/x?q=1", "«اقتباس»", "ж", "\ufffd", "x" * 60, "كتاب" * 20,
]


def sentence(rng):
    arabic = rng.random() < 0.5
    words = []
    for _ in range(rng.randrange(2, 9)):
        if arabic:
            words.append(rng.choice(AR_PREFIXES) + rng.choice(AR_STEMS) + rng.choice(AR_SUFFIXES))
        else:
            words.append(rng.choice(EN_SMALL) if rng.random() < 0.4 else rng.choice(EN_STEMS) + rng.choice(EN_SUFFIXES))
    return " ".join(words) + rng.choice(["", ".", "؟" if arabic else "?", "!"])


def tokenizers(root):
    rng = random.Random(31)
    corpus = [sentence(rng) for _ in range(3000)]
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        code = lambda text: " ".join(f"{ord(c):X}" for c in text)
        rules.write("".join(f"{code(old)}\t{code(new)}\n" for old, new in RULES.items()))
        rules.flush()
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus), model_writer=model, minloglevel=2, num_threads=1,
            vocab_size=420, hard_vocab_limit=False, character_coverage=1.0,
            normalization_rule_tsv=rules.name, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        )
    # T5: the sentinels come after the model's pieces. mT5: the model has them itself.
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    proto.normalizer_spec.ClearField("normalization_rule_tsv")  # the name of the file
    with_sentinels = sentencepiece_model_pb2.ModelProto()
    with_sentinels.CopyFrom(proto)
    for i in reversed(range(5)):
        with_sentinels.pieces.add(piece=f"▁<extra_id_{i}>", score=0.0, type=4)
    lines = ODD + [sentence(rng) for _ in range(80)]
    for name, proto in [("t5", proto), ("mt5", with_sentinels)]:
        folder = root / f"{name}_tokenizer"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "spiece.model").write_bytes(proto.SerializeToString())
        if name == "mt5":
            (folder / "tokenizer_config.json").write_text('{"extra_ids": 0, "model_max_length": 512}\n')
        pieces = sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())
        tokenizer = T5Tokenizer.from_pretrained(folder)
        if name == "t5":
            json_folder = root / "json_tokenizer"
            json_folder.mkdir(exist_ok=True)
            tokenizer.backend_tokenizer.save(str(json_folder / "tokenizer.json"), pretty=False)
        decode = lambda ids: tokenizer.decode(
            [i for i in ids if i >= len(pieces) or not pieces.id_to_piece(i).startswith("▁<extra_id_")],
            skip_special_tokens=True,
        )
        rows = []
        for text in lines:
            # t: the text; s: ids of sentencepiece with the end of sentence; h: ids of transformers;
            # d: what transformers decodes s to, mT5's sentinels (which it takes for text) left out.
            ids = pieces.encode(text) + [1]
            rows.append(dict(
                t=text, s=ids, h=tokenizer(text, split_special_tokens=True).input_ids,
                d=decode(ids),
            ))
        rng = random.Random(32)
        size = len(tokenizer)
        for _ in range(40):
            ids = [rng.randrange(size + 3) for _ in range(rng.randrange(12))]
            rows.append(dict(i=ids, d=decode(ids)))
        with open(folder / "golden.jsonl", "w", encoding="utf-8") as out:
            for row in rows:
                out.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
        same = sum(row.get("s") == row.get("h") for row in rows if "s" in row)
        print(name, "tokenizer:", len(pieces), "pieces,", size, "ids;", same, "of", len(lines), "lines the same in both")


def main():
    root = Path(sys.argv[1])
    for n, name in enumerate(SHAPES):
        settings, model = build(name, seed=7 + n)
        save(root / name, settings, model, ALIASES if name == "silu" else [])
        values = golden(model.config, model, seed=100 + n)
        (root / name / "golden.json").write_text(json.dumps(values, separators=(",", ":")) + "\n")
        lengths = sorted(len(o[0]["ids"]) for r in values["generate"] for o in r["outputs"])
        print(name, "output lengths, by deciles:", lengths[:: max(1, len(lengths) // 10)])
    (root / "buckets.json").write_text(json.dumps(buckets(), separators=(",", ":")) + "\n")
    tokenizers(root)


main()
