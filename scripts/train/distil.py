"""Stage 8: pairs of news-like text. The base model writes, the teacher translates, filters choose.

  python distil.py grow --out DIR --minutes M     appends to DIR/pairs.tsv as long as it runs; can be stopped and run again
  python distil.py filter --out DIR               writes DIR/extra/distilled_ar.tsv and distilled_en.tsv for prepare.py

Reads DIR/base and DIR/teacher. distilled_ar: Arabic written by the base model, English by the teacher. distilled_en:
English written by the base model, Arabic by the teacher. DIR/pairs.tsv: language written, mean log probability of the
translation, text, translation.
"""
import argparse
import collections
import os
import random
import re
import time

import torch

import gemma
from decode import clean, decode, line_ends
from evaluate import loops
from teacher import prompt
from textnorm import clean_source, clean_target

# What the base model is asked to write: a heading, and how the text begins.
TOPICS = {
    "ar": "السياسة الاقتصاد الرياضة الصحة العلوم التكنولوجيا البيئة المناخ التعليم الثقافة السياحة القضاء الجيش الانتخابات الطيران"
          " الزلازل الحوادث الفضاء النفط الزراعة الطب الفن السينما التاريخ الجغرافيا الحيوانات المدن النقل الاستثمار الهجرة"
          " الدبلوماسية الاحتجاجات الأوبئة الفيضانات التجارة الطاقة الإنترنت كرة_القدم الموسيقى السفر".split(),
    "en": "politics economy sports health science technology environment climate education culture tourism justice military"
          " elections aviation earthquakes accidents space oil agriculture medicine art cinema history geography animals cities"
          " transport investment migration diplomacy protests epidemics floods trade energy internet football music travel".split(),
}
PLACES = {
    "ar": "مصر العراق سوريا لبنان الأردن فلسطين السعودية اليمن الإمارات قطر الكويت المغرب الجزائر تونس ليبيا السودان تركيا"
          " إيران الصين اليابان الهند روسيا أوكرانيا فرنسا ألمانيا بريطانيا إيطاليا إسبانيا أمريكا كندا البرازيل المكسيك أستراليا"
          " كينيا نيجيريا إثيوبيا باكستان إندونيسيا اليونان السويد".split(),
    "en": "Egypt Iraq Syria Lebanon Jordan Palestine Saudi_Arabia Yemen Emirates Qatar Kuwait Morocco Algeria Tunisia Libya"
          " Sudan Turkey Iran China Japan India Russia Ukraine France Germany Britain Italy Spain America Canada Brazil Mexico"
          " Australia Kenya Nigeria Ethiopia Pakistan Indonesia Greece Sweden".split(),
}
OPENINGS = {
    "ar": {"خبر صحفي": "أعلنت|أعلن|قال|قالت|ذكرت|أكد|أكدت|كشف|كشفت|أفادت|أفاد|وصل|بدأت|شهدت|نفى|دعا|طالب|قتل|أصيب|فاز|خسر|افتتح|وقع|يعتزم"
           "|تعتزم|ارتفع|ارتفعت|انخفض|تراجعت|أظهرت|حذر|حذرت|اتهم|رفض|وافق|التقى|بحث|من المتوقع أن|بعد|خلال|في|لا يزال|هناك|وقد|كما|لكن"
           "|وأضاف|وأوضح|وقال|وأشار|ويقول|يقول|تقول|إن|تم|يتم|كان|كانت",
           "موسوعة": "تقع|يقع|هو|هي|كان|كانت|ولد|تأسست|تأسس|يعتبر|تعتبر|يعد|تعد|يبلغ|تضم|يتكون|تتكون|في عام|بدأ|يعيش|تستخدم|يستخدم|يمكن|من أهم"
           "|تشتهر|أول|خلال القرن|عندما|إذا|على الرغم من|معظم|بعض|العديد من"},
    "en": {"News report": "The|A|An|Officials|Police|According to|At least|Two|Three|More than|In a|President|Prime Minister|Scientists"
           "|Researchers|Government|After|During|On Monday|On Friday|He said|She said|But|However|It is|There is|They|Some|Many|We|You|If"
           "|This|These|His|Her|Since|While|As|Thousands of|Hundreds of|Local",
           "Encyclopedia": "The|It is|It was|In|Located in|Founded in|Born in|He was|She was|Most|Some|Many|One of|There are|During|When|Although"
           "|Its|This|These|People|Animals|The first|The largest|You can|Travelers"},
}


def ask(lang, rng):
    """A prompt for the base model, and the opening that belongs to the text."""
    kind = rng.choice(list(OPENINGS[lang]))
    opening = rng.choice(OPENINGS[lang][kind].split("|"))
    heading = " - ".join([kind, rng.choice(TOPICS[lang]), rng.choice(PLACES[lang])]).replace("_", " ")
    return f"{heading}\n\n{opening}", opening


def sentences(text, ended):
    """Whole sentences of what was written; what was cut off is dropped."""
    parts = [s for s in re.split(r"(?<=[.!?؟])\s+(?=[\"«(]?[A-Z\u0621-\u064a])", text) if s]
    return parts if ended else parts[:-1]


def good_text(text, lang):
    words = text.split()
    letters = [c for c in text if c.isalpha()]
    mine = sum(("\u0621" <= c <= "\u064a") if lang == "ar" else c.isascii() for c in letters)
    least = 0.85 if lang == "ar" else 0.97
    thrice = collections.Counter(zip(words, words[1:], words[2:])).most_common(1)
    return (4 <= len(words) <= 45 and len(text) < 320 and mine >= least * len(letters) and len(letters) > 0.6 * len(text)
            and not loops(text) and not (thrice and thrice[0][1] > 2) and not re.search(r"https?:|www\.|[<>{}|_\\^~#*\[\]]", text))


DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩", "0123456789")


def good_pair(ar, en):
    numbers = lambda t: sorted(re.findall(r"\d+", re.sub(r"(?<=\d)[.,٬٫](?=\d)", "", t.translate(DIGITS))))
    ratio = len(en.split()) / max(1, len(ar.split()))
    return (good_text(ar, "ar") and good_text(en, "en") and 0.75 <= ratio <= 2.3 and numbers(ar) == numbers(en)
            and (ar[-1] in ".!؟?") == (en[-1] in ".!?"))


def in_batches(items, size):
    """Items (text, ...) in groups of about equal length."""
    items = sorted(items, key=lambda x: len(x[0]))
    return [items[i: i + size] for i in range(0, len(items), size)]


def write(model, tok, lang, count, a, rng):
    asked = [ask(lang, rng) for _ in range(count)]
    out = []
    for group in in_batches(asked, a.lines):
        lines = decode(model, [e.ids for e in tok.encode_batch([p for p, _ in group])], a.longest, a.temperature, stop=line_ends(tok))
        for (_, opening), (ids, _, ended) in zip(group, lines):
            text = clean_target(clean(tok, tok.encode(opening, add_special_tokens=False).ids + ids))
            out += [s for s in sentences(text, ended) if good_text(s, lang)]
    return out


def translate(model, tok, lang, texts, a):
    """Text, translation and score."""
    asked = [(prompt("article", clean_source(t) if lang == "ar" else t, "en" if lang == "ar" else "ar"), t) for t in texts]
    for group in in_batches(asked, a.lines):
        ids = [e.ids for e in tok.encode_batch([p for p, _ in group])]
        for (_, text), (line, score, ended) in zip(group, decode(model, ids, a.longest + 20, stop=line_ends(tok))):
            if ended:
                yield text, clean_target(clean(tok, line)), score


def grow(a):
    rng = random.Random(time.time())
    torch.manual_seed(int(time.time()))
    base, tok = gemma.load(a.out + "/base", device=a.device)
    teacher, _ = gemma.load(a.out + "/teacher", device=a.device)
    start, made = time.time(), 0
    with open(a.out + "/pairs.tsv", "a", encoding="utf-8") as f:
        while time.time() - start < a.minutes * 60:
            for lang, count in (("ar", a.arabic), ("en", a.english)):
                t = time.time()
                texts = write(base, tok, lang, count, a, rng) if count else []
                wrote = time.time() - t
                for text, other, score in translate(teacher, tok, lang, texts, a):
                    f.write(f"{lang}\t{score:.3f}\t{text}\t{other}\n")
                    made += 1
                f.flush()
                if texts:
                    print(f"{made} pairs, {(time.time() - start) / 60:.1f} min; {lang}: {len(texts)} sentences written in {wrote:.0f} s,"
                          f" translated in {time.time() - t - wrote:.0f} s", flush=True)


def choose(a):
    seen, count = set(), collections.Counter()
    os.makedirs(a.out + "/extra", exist_ok=True)
    files = {lang: open(f"{a.out}/extra/distilled_{lang}.tsv", "w", encoding="utf-8") for lang in ("ar", "en")}
    for line in open(a.out + "/pairs.tsv", encoding="utf-8"):
        cols = line.rstrip("\n").split("\t")
        if len(cols) != 4:
            continue
        lang, score, text, other = cols
        ar, en = (text, other) if lang == "ar" else (other, text)
        key = re.sub(r"\W+", "", text)
        count[lang, "all"] += 1
        if float(score) < a.least or key in seen or not good_pair(ar, en):
            continue
        seen.add(key)
        count[lang, "kept"] += 1
        files[lang].write(f"{ar}\t{en}\n")
    print(dict(count))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("stage", choices=["grow", "filter"])
    p.add_argument("--out", required=True)
    p.add_argument("--minutes", type=float, default=30)
    p.add_argument("--arabic", type=int, default=512, help="Arabic texts written in a round")
    p.add_argument("--english", type=int, default=256, help="English texts written in a round")
    p.add_argument("--lines", type=int, default=256, help="lines decoded together")
    p.add_argument("--longest", type=int, default=70, help="pieces a written text may have")
    p.add_argument("--temperature", type=float, default=0.9)
    p.add_argument("--least", type=float, default=-1.0, help="drop translations with a mean log probability below this")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--threads", type=int)
    a = p.parse_args()
    if a.threads:
        torch.set_num_threads(a.threads)
    {"grow": grow, "filter": choose}[a.stage](a)


if __name__ == "__main__":
    main()
