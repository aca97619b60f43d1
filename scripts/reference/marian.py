#!/usr/bin/env python3
"""Golden values for the Marian model and the beam search, from transformers' MarianMTModel.

Writes seeded random checkpoints of several shapes (float16 on disk, a few dozen kilobytes each)
and, beside each, golden.json with encoder states, logits, cross-attentions and the outputs of
generate() under many settings. `cargo test --test golden` compares tarjim with them.

    python scripts/reference/marian.py tests/golden/marian

Needs torch and transformers (values were made with torch 2.15, transformers 5.23).
"""
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import MarianConfig, MarianMTModel
from transformers.models.marian import modeling_marian

BASE = dict(
    d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
    decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=64,
    vocab_size=97, decoder_vocab_size=97, pad_token_id=96, decoder_start_token_id=96,
    eos_token_id=0, forced_eos_token_id=0, activation_function="swish", scale_embedding=True,
    static_position_embeddings=True, share_encoder_decoder_embeddings=True,
    tie_word_embeddings=True, bad_words_ids=[[96]], num_beams=4, max_length=24,
)
SHAPES = {
    # The shape of OPUS-MT checkpoints.
    "opus": {},
    # Deep encoder, shallow decoder, other widths; the decoder has its own vocabulary.
    "separate": dict(
        encoder_layers=3, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=8,
        encoder_ffn_dim=40, decoder_ffn_dim=24, activation_function="relu", vocab_size=71,
        decoder_vocab_size=83, share_encoder_decoder_embeddings=False, pad_token_id=70,
        decoder_start_token_id=70, bad_words_ids=[[70]], tie_word_embeddings=True,
    ),
    # Output layer of its own, no scaling of embeddings, exact gelu.
    "untied": dict(activation_function="gelu", scale_embedding=False, tie_word_embeddings=False),
    # Layer normalization before each block, which transformers' Marian lacks; see pre_norm().
    "prenorm": dict(normalize_before=True, encoder_layers=1, decoder_layers=2),
}

# Added to the end of sentence's logit, so that outputs of many lengths occur.
EOS_BIAS = dict(opus=4, separate=4, untied=2, prenorm=9)


def pre_norm(model):
    """Moves the layer norms of `model` in front of the blocks, as marian-dev's
    --transformer-preprocess n --transformer-postprocess da does, by replacing the layers' forward."""

    def encoder_layer(self, x, attention_mask, **kwargs):
        h, _ = self.self_attn(self.self_attn_layer_norm(x), attention_mask=attention_mask, **kwargs)
        x = x + h
        return x + self.fc2(self.activation_fn(self.fc1(self.final_layer_norm(x))))

    def decoder_layer(self, x, attention_mask=None, encoder_hidden_states=None,
                      encoder_attention_mask=None, past_key_values=None, use_cache=True, **kwargs):
        h, _ = self.self_attn(self.self_attn_layer_norm(x), past_key_values=past_key_values,
                              attention_mask=attention_mask, **kwargs)
        x = x + h
        h, _ = self.encoder_attn(self.encoder_attn_layer_norm(x), key_value_states=encoder_hidden_states,
                                 attention_mask=encoder_attention_mask,
                                 past_key_values=past_key_values, **kwargs)
        x = x + h
        return x + self.fc2(self.activation_fn(self.fc1(self.final_layer_norm(x))))

    for layer in model.model.encoder.layers:
        layer.forward = encoder_layer.__get__(layer)
    for layer in model.model.decoder.layers:
        layer.forward = decoder_layer.__get__(layer)


def build(name, seed):
    settings = {**BASE, **SHAPES[name]}
    config = MarianConfig(**settings, attn_implementation="eager")
    torch.manual_seed(seed)
    model = MarianMTModel(config).eval()
    with torch.no_grad():
        for key, p in model.named_parameters():
            if "embed_positions" in key:
                continue  # fixed, not stored
            if "layer_norm" in key and key.endswith("weight"):
                p.copy_(1 + 0.2 * torch.randn_like(p))
            elif p.dim() > 1:
                # Without a norm behind them sums grow, and rounding errors with them.
                size = 0.5 if settings.get("normalize_before") else 1
                p.copy_(size * torch.randn_like(p) * (0.35 if "proj" in key or "fc" in key else 0.5))
            else:
                p.copy_(0.1 * torch.randn_like(p))
        model.final_logits_bias.copy_(0.3 * torch.randn_like(model.final_logits_bias))
        model.final_logits_bias[0, config.eos_token_id] += EOS_BIAS[name]
        stored = [p for key, p in model.named_parameters() if "embed_positions" not in key]
        for p in stored + [model.final_logits_bias]:
            p.copy_(p.half().float())  # the exact values that float16 on disk holds
    if settings.get("normalize_before"):
        pre_norm(model)
    return config, settings, model


def save(folder, settings, model):
    folder.mkdir(parents=True, exist_ok=True)
    state, seen = {}, {}
    for key, value in model.state_dict().items():
        if "embed_positions" in key or value.data_ptr() in seen:
            continue  # computed by the reader; tied
        seen[value.data_ptr()] = key
        state[key] = value.half().contiguous()
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    config = {"architectures": ["MarianMTModel"], "model_type": "marian", **settings}
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


def rounded(tensor):
    return [round(v, 6) for v in tensor.flatten().tolist()]


SETTINGS = [
    dict(num_beams=1),
    dict(num_beams=1, no_repeat_ngram_size=2),
    dict(num_beams=4),
    dict(num_beams=6),
    dict(num_beams=4, num_return_sequences=4),
    dict(num_beams=4, length_penalty=0.6),
    dict(num_beams=4, length_penalty=2.0, early_stopping=True),
    dict(num_beams=4, length_penalty=0.0, early_stopping="never"),
    dict(num_beams=6, length_penalty=1.2, early_stopping="never"),
    dict(num_beams=6, early_stopping=True, num_return_sequences=3),
    dict(num_beams=4, no_repeat_ngram_size=3),
    dict(num_beams=6, no_repeat_ngram_size=2, length_penalty=0.8),
    dict(num_beams=4, max_length=6),
    dict(num_beams=4, max_length=9, forced_eos_token_id=None),
    dict(num_beams=4, min_length=8),
    dict(num_beams=4, repetition_penalty=1.3),
    dict(num_beams=2),
    dict(num_beams=4, no_repeat_ngram_size=2, renormalize_logits=True),
    dict(num_beams=4, repetition_penalty=1.3, renormalize_logits=True),
]


@torch.no_grad()
def golden(config, model, seed):
    g = torch.Generator().manual_seed(seed)

    def ids(length, vocab):
        return (torch.randint(1, vocab - 1, (length,), generator=g)).tolist()

    target_vocab = model.lm_head.weight.shape[0]
    sources = [ids(n, config.vocab_size) + [0] for n in (4, 1, 9, 0, 12, 6)]
    targets = [ids(n, target_vocab) + [0] for n in (5, 2, 7, 1, 3, 6)]
    forced = []
    for source, target in list(zip(sources, targets))[:4]:
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
    multi = ids(2, target_vocab)
    runs = []
    for settings in SETTINGS + [dict(num_beams=4, bad_words_ids=[[config.pad_token_id], multi, [3], [5]])]:
        kept = {"bad_words_ids": config_bad_words(config), **settings}
        results = []
        for source in sources:
            out = model.generate(
                torch.tensor([source]), return_dict_in_generate=True, output_scores=True,
                max_length=kept.get("max_length", 24),
                **{k: v for k, v in kept.items() if k != "max_length"},
            )
            scores = getattr(out, "sequences_scores", None)
            results.append([
                dict(
                    ids=trim(row.tolist()[1:], config),
                    score=None if scores is None else round(scores[i].item(), 6),
                )
                for i, row in enumerate(out.sequences)
            ])
        runs.append(dict(settings=kept, outputs=results))
    return dict(forced=forced, sources=sources, generate=runs)


def config_bad_words(config):
    return [[config.pad_token_id]]


def trim(row, config):
    """The ids up to and with the end of sentence; the rest is padding."""
    return row[: row.index(config.eos_token_id) + 1] if config.eos_token_id in row else row


def main():
    root = Path(sys.argv[1])
    for n, name in enumerate(SHAPES):
        config, settings, model = build(name, seed=7 + n)
        model.generation_config.bad_words_ids = None
        save(root / name, settings, model)
        values = golden(config, model, seed=100 + n)
        (root / name / "golden.json").write_text(json.dumps(values, separators=(",", ":")) + "\n")
        lengths = sorted(len(o[0]["ids"]) for r in values["generate"] for o in r["outputs"])
        print(name, "output lengths, by deciles:", lengths[:: max(1, len(lengths) // 10)])


main()
