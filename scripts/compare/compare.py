"""Speed of tarjim beside CTranslate2 and transformers, taken in turns in one run.

  python compare.py make FOLDER           a random checkpoint of opus-mt-ar-en's shape, and 64 sources
  python compare.py fixed FOLDER          tokens/s, milliseconds to the first token, load time and
                                          peak memory on it, ratios to CTranslate2
  python compare.py text MODEL SOURCE     sentences/s on real text with a real model folder

Needs torch, transformers, sentencepiece and ctranslate2; `fixed` also `cargo bench --no-run` and
`text` `cargo build --release`. Every system is a process of its own with two threads; rounds
alternate between the systems, the best round of each counts. A source has 30 tokens, an output is
forced to 30 tokens.
"""
import argparse
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

LENGTH = 30
CASES = {"b64k1": (64, 1), "b64k4": (64, 4), "b16k1": (16, 1), "b16k4": (16, 4), "b1k1": (1, 1), "b1k4": (1, 4)}
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
# The rest as arguments of this script, see `worker`.
SYSTEMS = {
    "tarjim int8": None,
    "tarjim int8 avx512vnni": None,
    "tarjim float32": None,
    "ctranslate2 int8": ["ct2", "int8"],
    "ctranslate2 float32": ["ct2", "float32"],
    "transformers": ["transformers", "float32"],
}


def make(folder):
    import torch
    from transformers import MarianConfig, MarianMTModel

    torch.manual_seed(0)
    size, pad = 62834, 62833
    config = MarianConfig(
        vocab_size=size, decoder_vocab_size=size, d_model=512, encoder_layers=6, decoder_layers=6,
        encoder_attention_heads=8, decoder_attention_heads=8, encoder_ffn_dim=2048, decoder_ffn_dim=2048,
        activation_function="swish", scale_embedding=True, share_encoder_decoder_embeddings=True,
        tie_word_embeddings=True, max_position_embeddings=512, pad_token_id=pad, decoder_start_token_id=pad,
        eos_token_id=0, bos_token_id=0, forced_eos_token_id=0, num_beams=6, max_length=512, init_std=0.02)
    MarianMTModel(config).save_pretrained(f"{folder}/hf")
    vocab = {"</s>": 0, "<unk>": 1, "<pad>": pad, **{f"piece{i}": i for i in range(2, pad)}}
    json.dump(vocab, open(f"{folder}/hf/vocab.json", "w"))
    ids = torch.randint(2, pad, (64, LENGTH - 1)).tolist()
    json.dump([row + [0] for row in ids], open(f"{folder}/ids64.json", "w"))
    os.makedirs(f"{folder}/ct2", exist_ok=True)
    convert(f"{folder}/hf", f"{folder}/ct2", vocab)


def convert(source, out, vocab):
    """The weights of a Marian folder, in CTranslate2's format. The converter wants a tokenizer; the
    vocabulary is all it takes from it."""
    from ctranslate2.converters import TransformersConverter

    class Converter(TransformersConverter):
        def load_tokenizer(self, *_args, **_kwargs):
            class Tokenizer:
                eos_token, unk_token, bos_token, model_max_length = "</s>", "<unk>", None, 512
                get_vocab = staticmethod(lambda: vocab)
            return Tokenizer()

    Converter(source).convert(out, force=True)


def memory():
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))


def worker(system, kind, folder, cases):
    """Times one peer and prints what `cargo bench --bench decode` prints."""
    ids = json.load(open(f"{folder}/ids64.json"))
    began = time.perf_counter()
    if system == "ct2":
        import ctranslate2
        vocab = json.load(open(f"{folder}/ct2/shared_vocabulary.json"))
        began = time.perf_counter()
        model = ctranslate2.Translator(f"{folder}/ct2", compute_type=kind, inter_threads=2, intra_threads=1)
        load = time.perf_counter() - began
        source = [[vocab[i] for i in row] for row in ids]

        def run(batch, beams, length=LENGTH):
            found = model.translate_batch(
                source[:batch], beam_size=beams, min_decoding_length=length, max_decoding_length=length,
                max_batch_size=-(-batch // 2) if batch > 1 else 0)
            return [len(result.hypotheses[0]) for result in found]
    else:
        import torch
        from transformers import MarianMTModel
        torch.set_num_threads(2)
        began = time.perf_counter()
        model = MarianMTModel.from_pretrained(f"{folder}/hf").eval()
        load = time.perf_counter() - began

        def run(batch, beams, length=LENGTH):
            with torch.inference_mode():
                found = model.generate(torch.tensor(ids[:batch]), num_beams=beams,
                                       min_new_tokens=length, max_new_tokens=length)
            return [row.shape[0] - 1 for row in found]
    first = []
    for _ in range(10):
        began = time.perf_counter()
        run(1, 1, 1)
        first.append(1000 * (time.perf_counter() - began))
    result = {"load_s": load, "first_ms": min(first), "cases": {}}
    for case in cases.split(","):
        batch, beams = CASES[case]
        run(batch, beams)
        rates = []
        for _ in range(1 if system == "transformers" else 3 if batch == 1 else 1):
            began = time.perf_counter()
            assert run(batch, beams) == [LENGTH] * batch
            rates.append(batch * LENGTH / (time.perf_counter() - began))
        result["cases"][case] = {"tok_s": rates}
    result["peak_rss_mib"] = memory()
    print(json.dumps(result))


def fixed(folder, cases, rounds, systems):
    bench = max((path for path in glob.glob(f"{TARGET}/release/deps/decode-*") if "." not in os.path.basename(path)),
                key=os.path.getmtime)
    best = {system: {} for system in systems}
    for _ in range(rounds):
        for system in systems:
            if SYSTEMS[system] is None:
                kind, *kernel = system.split()[1:]
                command = [bench, folder, "--compute", kind, "--threads", "2", "--cases", cases, "--runs", "1"]
            else:
                command = [sys.executable, __file__, "worker", *SYSTEMS[system], folder, cases]
            environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
            if SYSTEMS[system] is None and kernel:
                environment["TARJIM_KERNEL"] = kernel[0]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            result = json.loads(done.stdout.strip().splitlines()[-1])
            mine = best[system]
            for case, value in result["cases"].items():
                mine[case] = max(mine.get(case, 0), statistics.median(value["tok_s"]))
            mine["first ms"] = min(mine.get("first ms", 1e9), result["first_ms"])
            mine["load s"] = min(mine.get("load s", 1e9), result["load_s"])
            mine["MiB"] = max(mine.get("MiB", 0), result["peak_rss_mib"])
    names = cases.split(",")
    print("| tokens/s | " + " | ".join(names) + " | first ms | load s | peak MiB |\n|" + "---|" * (len(names) + 4))
    for system, mine in best.items():
        print(f"| {system} | " + " | ".join(f"{mine[name]:,.0f}" for name in names)
              + f" | {mine['first ms']:.1f} | {mine['load s']:.2f} | {mine['MiB']:.0f} |")
    for kind in ("int8", "int8 avx512vnni", "float32"):
        ours, peer = best.get(f"tarjim {kind}"), best.get(f"ctranslate2 {kind.split()[0]}")
        if ours and peer:
            print(f"| tarjim ÷ ctranslate2, {kind} | " + " | ".join(f"{ours[n] / peer[n]:.2f}×" for n in names)
                  + f" | {ours['first ms'] / peer['first ms']:.2f} | {ours['load s'] / peer['load s']:.2f} | {ours['MiB'] / peer['MiB']:.2f} |")


def text(folder, source, beams, rounds):
    """Whole runs on real text: the program from start to end; CTranslate2 from reading to writing,
    its start and load left out."""
    import ctranslate2
    import sentencepiece

    lines = open(source, encoding="utf-8").read().splitlines()
    vocab = json.load(open(f"{folder}/vocab.json"))
    with tempfile.TemporaryDirectory() as out:
        convert(folder, out, vocab)
        peer = ctranslate2.Translator(out, compute_type="int8", inter_threads=2, intra_threads=1)
        pieces = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/source.spm")
        target = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/target.spm")
        seconds = {"tarjim": [], "ctranslate2": []}
        for _ in range(rounds):
            began = time.perf_counter()
            subprocess.run([f"{TARGET}/release/tarjim", "translate", "--quiet", "--lines", "--compute", "int8", "--beam",
                            str(beams), "--model", folder, "-o", f"{out}/tarjim.en", source], check=True)
            seconds["tarjim"].append(time.perf_counter() - began)
            began = time.perf_counter()
            tokens = [pieces.encode(line, out_type=str) + ["</s>"] for line in lines]
            found = peer.translate_batch(tokens, beam_size=beams, max_batch_size=1024, batch_type="tokens",
                                         max_decoding_length=256)
            with open(f"{out}/ct2.en", "w", encoding="utf-8") as file:
                file.writelines(target.decode(result.hypotheses[0]) + "\n" for result in found)
            seconds["ctranslate2"].append(time.perf_counter() - began)
        words = {name: len(open(f"{out}/{file}.en", encoding="utf-8").read().split())
                 for name, file in (("tarjim", "tarjim"), ("ctranslate2", "ct2"))}
    for name, times in seconds.items():
        print(f"{name}: {len(lines) / min(times):.0f} sentences/s, {words[name] / min(times):.0f} English words/s"
              f" ({len(times)} rounds: {', '.join(f'{t:.2f}' for t in times)} s)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make").add_argument("folder")
    one = commands.add_parser("fixed")
    one.add_argument("folder")
    one.add_argument("--cases", default=",".join(CASES))
    one.add_argument("--rounds", type=int, default=3)
    one.add_argument("--systems", default=",".join(SYSTEMS))
    one = commands.add_parser("text")
    one.add_argument("folder")
    one.add_argument("source")
    one.add_argument("--beams", type=int, default=4)
    one.add_argument("--rounds", type=int, default=3)
    one = commands.add_parser("worker")
    for name in ("system", "kind", "folder", "cases"):
        one.add_argument(name)
    args = parser.parse_args()
    if args.command == "make":
        make(args.folder)
    elif args.command == "fixed":
        fixed(args.folder, args.cases, args.rounds, args.systems.split(","))
    elif args.command == "text":
        text(args.folder, args.source, args.beams, args.rounds)
    else:
        worker(args.system, args.kind, args.folder, args.cases)


if __name__ == "__main__":
    main()
