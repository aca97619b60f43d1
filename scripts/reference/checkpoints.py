"""Writes tests/golden/checkpoints: the same few tensors in every form a hub checkpoint takes.

Needs torch and safetensors. Run from the repository's root.
"""

import json
import shutil
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file

OUT = Path("tests/golden/checkpoints")


def tensors():
    torch.manual_seed(5)
    base = torch.randn(8, 6)
    embed = torch.nn.Embedding(7, 4)
    state = OrderedDict()
    state["embed.weight"] = embed.weight  # a Parameter
    state["lm_head.weight"] = embed.weight.data  # tied: the same storage
    state["half"] = torch.randn(3, 5).half()
    state["brain"] = torch.randn(2, 3, 2).bfloat16()
    state["half.extremes"] = torch.tensor([65504.0, -65504.0, 6e-8, -6e-5, 0.0, -0.0]).half()
    state["transposed"] = torch.randn(3, 4).t()
    state["permuted"] = torch.randn(2, 3, 4).permute(2, 0, 1)
    state["half.transposed"] = torch.randn(3, 4).half().t()
    state["base"] = base
    state["window"] = base[2:5]  # an offset into the storage
    state["strided"] = base[1::3, 1::2]  # offset and strides
    state["column"] = base[:, 4:5]  # a dimension of size one
    state["scalar"] = torch.tensor(0.1)
    state["empty"] = torch.zeros(0, 4)
    state["position_ids"] = torch.arange(6).expand(1, -1)
    state["double"] = torch.randn(2, dtype=torch.float64)
    state["mask"] = torch.tensor([True, False])
    state["nan"] = torch.tensor([1.0, float("nan")])
    state["infinite"] = torch.tensor([1.0, float("-inf")]).bfloat16()
    # What Module.state_dict() attaches.
    state._metadata = OrderedDict([("", {"version": 1})])
    return state


REFUSED = {
    "position_ids": "int64",
    "double": "float64",
    "mask": "bool",
    "nan": "not numbers",
    "infinite": "not numbers",
}


def folder(name):
    path = OUT / name
    path.mkdir(parents=True)
    config = {"model_type": "marian", "d_model": 4, "num_beams": 6, "max_length": 512}
    (path / "config.json").write_text(json.dumps(config) + "\n")
    return path


def plain(state):
    return {name: tensor.detach().clone().contiguous() for name, tensor in state.items()}


def shards(state, path, stem, extension, save):
    names = list(state)
    weight_map = {}
    for i, part in enumerate((names[:7], names[7:])):
        shard = f"{stem}-{i + 1:05}-of-00002.{extension}"
        save(OrderedDict((name, state[name]) for name in part), path / shard)
        weight_map |= dict.fromkeys(part, shard)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (path / f"{stem}.{extension}.index.json").write_text(json.dumps(index, indent=1) + "\n")


def main():
    if OUT.exists():
        shutil.rmtree(OUT)
    state = tensors()

    def old(state, path):
        torch.save(state, path, _use_new_zipfile_serialization=False)

    save_file(plain(state), folder("safetensors") / "model.safetensors", {"format": "pt"})
    torch.save(state, folder("zip") / "pytorch_model.bin")
    old(state, folder("legacy") / "pytorch_model.bin")
    shards(plain(state), folder("sharded-safetensors"), "model", "safetensors", save_file)
    shards(state, folder("sharded-zip"), "pytorch_model", "bin", torch.save)
    shards(state, folder("sharded-legacy"), "pytorch_model", "bin", old)
    generation = {"num_beams": 4, "eos_token_id": 0, "bad_words_ids": [[6]]}
    (OUT / "zip" / "generation_config.json").write_text(json.dumps(generation) + "\n")

    expected = {
        name: {"shape": list(tensor.shape), "values": tensor.float().flatten().tolist()}
        for name, tensor in state.items()
        if name not in REFUSED
    }
    refused = {
        name: {"shape": list(state[name].shape), "message": message}
        for name, message in REFUSED.items()
    }
    text = json.dumps({"tensors": expected, "refused": refused})
    (OUT / "expected.json").write_text(text + "\n")


main()
