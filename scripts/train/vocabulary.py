"""Stage 2: joint sentencepiece model and vocab.json in Marian's order.

  python vocabulary.py --out DIR [--size 8000]      (reads DIR/train.tsv)
"""
import argparse
import collections
import json
import random

import sentencepiece as spm

from textnorm import write_charsmap

# how much of each set the vocabulary is built from
RATE = {"software_strings": 0.3, "lexicon_freedict": 0.3, "wikicats": 0.3, "bible": 0.3, "cities": 0.5, "lexicon_names": 0.5}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", required=True)
    p.add_argument("--size", type=int, default=8000)
    a = p.parse_args()
    rng = random.Random(2)
    count = collections.Counter()
    with open(a.out + "/train.tsv", encoding="utf-8") as f, open(a.out + "/spm.txt", "w", encoding="utf-8") as out:
        for line in f:
            name, ar, en = line.rstrip("\n").split("\t")
            count[name] += 1
            if rng.random() < RATE.get(name, 1):
                out.write(f"{ar}\n{en}\n")
    write_charsmap(a.out + "/charsmap.tsv")
    spm.SentencePieceTrainer.train(
        input=a.out + "/spm.txt", model_prefix=a.out + "/joint", vocab_size=a.size, model_type="unigram",
        byte_fallback=True, split_digits=True, character_coverage=0.9997, normalization_rule_tsv=a.out + "/charsmap.tsv",
        num_threads=2, input_sentence_size=0, minloglevel=1)
    sp = spm.SentencePieceProcessor(model_file=a.out + "/joint.model")
    # Marian's order: </s> <unk> pieces <pad>; the model's <s> is not used
    names = ["</s>", "<unk>"] + [sp.id_to_piece(i) for i in range(3, sp.get_piece_size())] + ["<pad>"]
    assert len(set(names)) == len(names)
    with open(a.out + "/vocab.json", "w", encoding="utf-8") as f:
        json.dump({n: i for i, n in enumerate(names)}, f, ensure_ascii=False, indent=0)
    print(len(names), sp.encode("أعلن الرئيسُ الأمريكيّ، يوم ٢٤ نوفمبر 2021، عن COVID-19.", out_type=str))


if __name__ == "__main__":
    main()
