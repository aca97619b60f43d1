"""Stage 5: average weights and write the folder in the hub's layout.

  python export.py --out DIR --to FOLDER [--last 4]
"""
import argparse
import glob
import json
import os
import shutil

import torch
from safetensors.torch import save_file


def average(files):
    states = [torch.load(f, map_location="cpu") for f in files]
    mean = {k: sum(s["model"][k].double() for s in states) / len(states) for k in states[0]["model"]}
    return mean, states[-1]["shape"]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", required=True)
    p.add_argument("--to", required=True)
    p.add_argument("--last", type=int, default=4)
    a = p.parse_args()
    files = sorted(glob.glob(a.out + "/weights-*.pt"))[-a.last:]
    mean, shape = average(files)
    vocab, pad = shape["vocab"], shape["vocab"] - 1
    tmp = a.to.rstrip("/") + ".new"
    os.makedirs(tmp, exist_ok=True)
    save_file({k: v.half().contiguous() for k, v in mean.items()}, tmp + "/model.safetensors", metadata={"format": "pt"})
    special = dict(bos_token_id=0, eos_token_id=0, pad_token_id=pad, decoder_start_token_id=pad, forced_eos_token_id=0)
    search = dict(num_beams=4, max_length=512, bad_words_ids=[[pad]])
    config = dict(
        architectures=["MarianMTModel"], model_type="marian", vocab_size=vocab, decoder_vocab_size=vocab, d_model=shape["d"],
        encoder_layers=shape["encoder"], decoder_layers=shape["decoder"], encoder_attention_heads=shape["heads"],
        decoder_attention_heads=shape["heads"], encoder_ffn_dim=shape["ffn"], decoder_ffn_dim=shape["ffn"],
        activation_function="swish", dropout=0.1, attention_dropout=0.0, activation_dropout=0.0, init_std=0.02,
        is_encoder_decoder=True, max_position_embeddings=512, normalize_before=False, normalize_embedding=False,
        num_hidden_layers=shape["encoder"], scale_embedding=True, share_encoder_decoder_embeddings=True,
        static_position_embeddings=True, add_bias_logits=False, add_final_layer_norm=False, tie_word_embeddings=True,
        use_cache=True, torch_dtype="float16",
        alignment_head=dict(layer=shape["decoder"] - 1, head=1, shifted=True), **special, **search)
    for name, value in (("config", config), ("generation_config", {**special, **search}),
                        ("tokenizer_config", dict(source_lang="ar", target_lang="en", model_max_length=512, separate_vocabs=False,
                                                  tokenizer_class="MarianTokenizer", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"))):
        with open(f"{tmp}/{name}.json", "w", encoding="utf-8") as f:
            json.dump(value, f, indent=2)
            f.write("\n")
    for side in ("source", "target"):
        shutil.copyfile(a.out + "/joint.model", f"{tmp}/{side}.spm")
    shutil.copyfile(a.out + "/vocab.json", tmp + "/vocab.json")
    if os.path.exists(a.to + "/README.md"):
        shutil.copyfile(a.to + "/README.md", tmp + "/README.md")
    for name in os.listdir(tmp):
        os.chmod(f"{tmp}/{name}", 0o644)
    shutil.rmtree(a.to + ".old", ignore_errors=True)
    if os.path.exists(a.to):
        os.rename(a.to, a.to + ".old")
    os.rename(tmp, a.to)
    shutil.rmtree(a.to + ".old", ignore_errors=True)
    print("averaged", [os.path.basename(f) for f in files])


if __name__ == "__main__":
    main()
