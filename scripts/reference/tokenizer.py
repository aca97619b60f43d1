"""Makes the golden files of the tokenizer: tests/golden/tokenizer/.

Trains small SentencePiece models on sentences put together here, encodes varied lines with the
sentencepiece package, and encodes and decodes with transformers' MarianTokenizer.

    python scripts/reference/tokenizer.py [FOLDER]

Files: NAME.spm, the model; NAME.jsonl, a line for every text:
    t   the text
    i   ids
    u   the pieces of the ids that are unknown, in order
    e   where every surface ends, in bytes (surfaces tile the text from `b`)
    b   where the first surface begins
marian/: source.spm, target.spm and vocab.json; marian.jsonl: t, source ids, target ids;
decode.jsonl: ids and what they decode to.
"""

import io
import json
import random
import sys
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from transformers import MarianTokenizer

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "tests/golden/tokenizer")

AR_SUBJECTS = "المعلمة الطبيب الصياد جارتنا البحّار خالي أختي العالِم الطفل التاجر السائق القاضية".split()
AR_VERBS = "كتبت وصف رأى حملت أصلح اشترى تعلّمت قرأ فتح باع نسي شكرت".split()
AR_OBJECTS = "الكتابَ السفينة رسالةً البيت القديم المدينة سمكةً كبيرة الدفتر الأزرق خريطة الطريق بالقلم والكرسي".split()
AR_PLACES = ["في السوق", "قرب النهر", "على الجبل", "من النافذة", "إلى المدرسة", "بعد الغروب", "قبل المطر", "مع أصدقائه", "ثم عاد إلى بيته", "وللمدينة سبعة أبواب", "في ٢٠٢٣", "عند الساعة ١٢:٣٠"]
EN_SUBJECTS = "the teacher|a doctor|our neighbour|the old fisherman|my sister|the judge|a careful sailor|the child".split("|")
EN_VERBS = "wrote described saw carried repaired bought learned opened sold forgot thanked".split()
EN_OBJECTS = "the book|a letter|an old house|the city|a large fish|the blue notebook|a map of the road|seven gates".split("|")
EN_PLACES = ["in the market", "near the river", "on the mountain", "from the window", "before the rain", "with her friends", "in 2023", "at 12:30", "and then went home"]


AR_STEMS = "كتاب مكتب درس مدرس سفر مسافر علم معلم قلم باب شجر بحر مطر قمر نجم خبز ملح سوق طريق جسر شارع حديق صديق رسال مدين سفين جزير قري ليل نهار صباح مساء عمل لعب".split()
AR_PREFIXES = ["", "ال", "وال", "بال", "فال", "لل", "و", "ب", "ل", "س", "سي", "وسي", "كال"]
AR_SUFFIXES = ["", "ة", "ات", "ون", "ين", "ه", "ها", "هم", "نا", "ي", "ك", "ان", "تها", "اتهم"]
EN_STEMS = "work walk talk play read teach learn build paint sail travel garden bridge market river letter window winter summer light water stone farm hunt bake sing call open clean plant print reach".split()
EN_PREFIXES = ["", "re", "un", "over", "out", "under", "pre"]
EN_SUFFIXES = ["", "s", "ing", "ed", "er", "ers", "able", "less", "ful", "fully", "ness"]


def ar_word(rng):
    return rng.choice(AR_PREFIXES) + rng.choice(AR_STEMS) + rng.choice(AR_SUFFIXES)


def en_word(rng):
    return rng.choice(EN_PREFIXES) + rng.choice(EN_STEMS) + rng.choice(EN_SUFFIXES)


def ar(rng):
    words = [rng.choice(AR_VERBS), rng.choice(AR_SUBJECTS), rng.choice(AR_OBJECTS), ar_word(rng), ar_word(rng), rng.choice(AR_PLACES)]
    words = rng.sample(words, 4)
    return " ".join(words) + rng.choice(["", ".", "؟", "!", "،"])


def en(rng):
    words = [rng.choice(EN_SUBJECTS), rng.choice(EN_VERBS), rng.choice(EN_OBJECTS), en_word(rng), en_word(rng), rng.choice(EN_PLACES)]
    words = rng.sample(words, 4)
    return " ".join(words).capitalize() + rng.choice(["", ".", "?", "!", ","])


ODD = [
    "", " ", "   ", *("p" + "-" * n for n in range(9, 70, 3)), *("=" * n + " p-p-p" + "-" * n + "p" for n in range(5, 40, 5)), "\t", "\u00a0", "\u3000 ", "▁", "▁▁", " ▁ ", "a▁b", "</s>", "<unk>", "<s>", "<pad>",
    "كلمة</s>كلمة", "<unk> <s> </s>", "<0x41>", "<0xD8><0xA7>", "<sep>", "a<sep>b", "x <sep> y", "ab<sep><sep>cd",
    "العَرَبِيَّةُ", "كِتَابٌ جَدِيدٌ", "مُحَمَّدٌ", "الكـــتاب", "ســـلام", "ـ", "ﷺ", "ﷲ", "ﷻ", "ﻻ", "ﻷ", "ﻼ", "ﻛﺘﺎﺏ", "ﺍﻟﺴﻼﻡ",
    "قال ﷺ ذلك", "الله ﷻ", "ﷺﷺ", "ﷺ.", "ＡＢＣ１２３", "ｈｅｌｌｏ", "ﾊﾝｶｸ", "ﬁne ﬂow", "½ cup", "x²", "①②③", "㍿", "㎏",
    "é", "e\u0301", "n\u0303", "a\u0301\u0302", "\u0301", "\u0301a", "ä", "Å", "Å", "각", "각", "漢字かな交じり文", "中文分詞", "日本語 の テスト",
    "👩‍👩‍👧‍👦", "👍🏽", "🇵🇸", "❤️", "a👩‍🚀b", "🏳️‍🌈 🏴‍☠️", "😀😀😀", "zero\u200bwidth", "\u200bfirst", "last\u200b", "a\u200cb\u200dc",
    "\u200fيمين\u200f", "\u202bمضمّن\u202c", "\u2066x\u2069", "\ufeffbom", "soft\u00adhyphen", "a\u0000b", "\u0001\u0002", "bell\u0007", "esc\u001b[0m",
    "line\u2028sep", "nel\u0085x", "a\u001fb", "tab\tbed", "two  spaces", "  lead", "trail  ", "  both  ", "a \u00a0 b", "a\u2003b", "´x", "¨", "a ¨ b", "\ufffd", "\U0010ffff", "\ue000",
    "https://example.org/مسار?q=1&r=%20#x", "someone@example.com", "+963-11-555-0100", "3.14159", "١٬٢٣٤٫٥٦", "۱۲۳", "1,234,567.89", "12/05/2023", "50%", "٪٥٠", "$5", "€9",
    "word" * 40, "كلمة" * 40, "a" * 200, "ا" * 200, "." * 50, "…" * 10, "!?!?!?", "«اقتباس»", "“quote”", "‘x’", "—", "a—b", "a-b_c", "(x)", "[y]", "{z}", "\\n", "'", '"', "`", "~", "^",
    "Hello, World!", "HELLO", "hello", "iPhone", "COVID-19", "ВОЛГА", "ελληνικά", "עברית", "हिन्दी", "ไทย", "𝔘𝔫𝔦", "𐍈", "a\u0300\u0301\u0302\u0303", "ﷺ\u0301", "foo", "foobar", "xfoo", "▁foo", "hello foo bar",
    ">>ara<< hi", ">>eng<< مرحبا", ">> <<", "؟", "،", "؛", "٫", "ٱلرَّحْمَٰن", "لآ لأ لإ لا", "ڤ پ چ گ", "ى ي ئ ی", "ه ة ۀ", "ک ك",
]


def lines(rng, count):
    """All of ODD, then sentences, some of them mutilated."""
    chosen = list(ODD)
    while len(chosen) < count:
        text = rng.choice([ar, en])(rng)
        kind = rng.randrange(10)
        if kind == 0:  # letters drawn from anywhere
            text = "".join(chr(rng.choice([rng.randrange(32, 127), rng.randrange(0x600, 0x700), rng.randrange(0x2000, 0x2070), rng.randrange(0xFB50, 0xFDFF), rng.randrange(0xFE70, 0xFF70), rng.randrange(0x1F600, 0x1F650), rng.randrange(0x300, 0x340)])) for _ in range(rng.randrange(1, 14)))
        elif kind == 1:  # an odd piece in the middle
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice(ODD)[:40] + text[at:]
        elif kind == 2:  # vocalised or stretched at random
            text = "".join(c + (rng.choice("\u064b\u064e\u064f\u0650\u0651\u0652\u0640") if rng.random() < 0.3 else "") for c in text[:30])
        elif kind == 3:  # other spaces
            text = "".join(rng.choice([" ", "  ", "\u00a0", "\t", "\u2009", " \u200b "]) if c == " " else c for c in text)
        elif kind == 4:  # two languages, no spaces
            text = ar(rng)[:15] + en(rng)[:15]
        chosen.append(text)
    return chosen[:count]


def train(name, corpus, unused=None, **options):
    """Trains a model; with `unused`, every so many-th piece is marked as not to be used."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=model, minloglevel=2, num_threads=1,
        hard_vocab_limit=False, **options,
    )
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    if unused:
        for piece in [p for p in proto.pieces if p.type == p.NORMAL and len(p.piece) > 1][::unused]:
            piece.type = piece.UNUSED
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.spm").write_bytes(proto.SerializeToString())
    return sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())


def golden(model, text):
    pieces = model.encode(text, return_type="proto").pieces
    row = {"t": text, "i": [p.id for p in pieces], "e": [p.end for p in pieces]}
    unknown = [p.piece for p in pieces if p.id == model.unk_id()]
    if unknown:
        row["u"] = unknown
    if pieces and pieces[0].begin:
        row["b"] = pieces[0].begin
    at = pieces[0].begin if pieces else 0
    for p in pieces:
        assert p.begin == at, "surfaces tile the text"
        at = p.end
        assert p.piece == model.id_to_piece(p.id) or p.id == model.unk_id()
    return row


def write(name, rows):
    with open(OUT / name, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def main():
    rng = random.Random(20)
    arabic = [ar(rng) for _ in range(3000)]
    english = [en(rng) for _ in range(3000)]
    # Runs can be cut in many ways of nearly the same score: they show how scores are rounded.
    runs = ["-" * n + rng.choice(["", " p-p", " ==="]) for n in range(1, 16) for _ in range(20)]
    mixed = arabic + english + runs
    # The rule of the character map is identity where its 240 kB are not what is tested.
    plain = {"normalization_rule_name": "identity"}
    models = {
        "bytes": train("bytes", mixed, vocab_size=700, byte_fallback=True, normalization_rule_name="nmt_nfkc"),
        "symbols": train("symbols", mixed, vocab_size=400, user_defined_symbols=["<sep>", "foo", "▁hello", "Ａ", "ﷺ", "ال"], **plain),
        "bpe": train("bpe", mixed, unused=5, vocab_size=500, model_type="bpe", user_defined_symbols=["<sep>", "foo"], **plain),
        "bpe_bytes": train("bpe_bytes", mixed, vocab_size=600, model_type="bpe", byte_fallback=True, remove_extra_whitespaces=False, **plain),
        "no_prefix": train("no_prefix", mixed, unused=5, vocab_size=400, add_dummy_prefix=False, **plain),
        "spaces": train("spaces", mixed, vocab_size=400, remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, **plain),
        "suffix": train("suffix", mixed, vocab_size=400, treat_whitespace_as_suffix=True, split_by_whitespace=False, **plain),
    }
    texts = lines(random.Random(21), 2000)
    for name, model in models.items():
        count = len(texts) if name == "bytes" else 300
        write(f"{name}.jsonl", [golden(model, text) for text in texts[:count]])

    folder = OUT / "marian"
    folder.mkdir(exist_ok=True)
    source = train("marian/source", arabic, vocab_size=350, character_coverage=1.0, **plain)
    target = train("marian/target", english, vocab_size=520, byte_fallback=True, **plain)
    pieces = dict.fromkeys(["</s>", "<unk>"])
    for model in (source, target):
        pieces.update(dict.fromkeys(model.id_to_piece(i) for i in range(len(model))))
    # Some pieces of the models are not in the vocabulary, and one of its pieces is in no model.
    order = [p for k, p in enumerate(pieces) if k % 29 != 28] + [">>eng<<", "ж", "<pad>"]
    ids = {piece: at for at, piece in enumerate(order)}
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    tokenizer = MarianTokenizer.from_pretrained(folder)

    rows = []
    for text in texts[:400] + ["ж жж", ">>eng<< أهلا", ">>eng<<"]:
        if text.startswith(">>") and not text.startswith(">>eng<<"):
            continue  # an unknown language code is text to us
        kwargs = {"split_special_tokens": True}
        rows.append({"t": text, "s": tokenizer(text, **kwargs).input_ids, "g": tokenizer(text_target=text, **kwargs).input_ids})
    write("marian.jsonl", rows)

    rng = random.Random(22)
    # Decoded by the target's model: transformers takes the source's unless told otherwise, which
    # differs where only one of them spells bytes.
    decode = lambda ids: tokenizer.decode(ids, skip_special_tokens=True, use_source_tokenizer=False)
    sequences = [row["g"] for row in rows[::2]]
    sequences += [[rng.randrange(len(ids)) for _ in range(rng.randrange(12))] for _ in range(200)]
    spelled = [[ids.get(f"<0x{b:02X}>", ids["<unk>"]) for b in word.encode()] for word in ["كتاب", "é", "👍", "▁x", "\ufffd"]]
    sequences += spelled + [s[1:] for s in spelled] + [s[:1] + [ids["</s>"]] + s[1:] for s in spelled]
    write("decode.jsonl", [{"i": s, "d": decode(s)} for s in sequences])


main()
