#!/usr/bin/env python3
"""Writes tests/golden/metrics/metrics.json: the figures of sacrebleu and rouge-score on lines
written for this project, which tests/metrics.rs compares with `tarjim::eval`.

    pip install sacrebleu rouge-score
    python scripts/reference/metrics.py
"""

import json
from pathlib import Path

import sacrebleu
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

# Hypothesis and reference; a third string is a second reference.
PAIRS = [
    # 0-19: with two references.
    ("The minister said the bridge will open on Sunday.",
     "The minister said that the bridge would be opened on Sunday.",
     "On Sunday the bridge will open, the minister said."),
    ("Prices rose by 3.5% in March, the central bank said.",
     "Prices went up 3.5 percent in March, according to the central bank.",
     "The central bank said prices rose by 3.5% in March."),
    ("The team won the match 2-1 after extra time.",
     "The team won 2-1 after extra time.",
     "After extra time, the team won the match by 2-1."),
    ("“We will not wait,” she told reporters.",
     "\"We will not wait,\" she told the reporters.",
     "“We won't wait”, she told journalists."),
    ("The ship carried 1,200 tonnes of wheat to the port of Latakia.",
     "The ship was carrying 1,200 tons of wheat to the port of Latakia.",
     "It carried 1200 tonnes of wheat to Latakia port."),
    ("He didn't answer the journalists' questions.",
     "He did not answer the journalists' questions.",
     "He didn’t answer questions from journalists."),
    ("Rain is expected in the north - and snow on the hills.",
     "Rain is expected in the north – and snow above 1,500 m.",
     "The north expects rain — and snow on the hills."),
    ("", "An empty hypothesis has a reference.", "The hypothesis is empty."),
    ("An empty reference has a hypothesis.", "", "A reference."),
    ("", "", ""),
    ("The court in Tunis postponed the hearing until 14/5/2021.",
     "The Tunis court postponed the session to 14 May 2021.",
     "The hearing was postponed until 14/5/2021 by the court in Tunis."),
    ("The the the the the the the.", "The cat is on the mat.", "There is a cat on the mat."),
    ("Doctors treated 47 people, including 12 children.",
     "Doctors treated forty-seven people, among them twelve children.",
     "47 people, including 12 children, were treated by doctors."),
    ("The museum reopens tomorrow", "The museum reopens tomorrow.", "Tomorrow, the museum reopens!"),
    ("Farmers complain about the price of fuel, seeds and water.",
     "Farmers complain of the prices of fuel, seed and water.",
     "Farmers complain about fuel, seed and water prices."),
    ("The road between the two towns was closed for three hours.",
     "The road between the two towns was closed for three hours.",
     "For three hours the road linking the towns was closed."),
    ("A new school was built in the village.", "In the village a new school has been built.",
     "The village got a new school."),
    ("The company denied the report.", "The report was denied by the company.",
     "The firm denied that report."),
    ("Fish", "Fish", "A fish"),
    ("Yes.", "No.", "Yes!"),
    # 20-39: punctuation, entities, numbers, unusual characters.
    ("AT&amp;T and Smith &amp; Sons signed a &quot;secret&quot; deal.",
     "AT&T and Smith & Sons signed a \"secret\" deal."),
    ("if a &lt; b then b &gt; a", "if a < b then b > a"),
    ("&amp;lt; is an escaped escape &amp;quot;", "&lt; is an escaped escape \""),
    ("The <skipped> word is not there.", "The word is not there."),
    ("Call +961-1-555-0100 or visit www.example.org/news?id=5&lang=en.",
     "Call +961 1 555 0100 or visit www.example.org/news?id=5."),
    ("Wait... what? Really?! No...", "Wait… what?! Really? No.."),
    (".5 and 5. and 1.5 and 1,000,000 and 1.000,5", "0.5 and 5 and 1.5 and 1000000 and 1,000.5"),
    ("a.b.c.d U.S.A. e.g. i.e., 3.a a.3", "a.b.c.d. USA e.g. i.e. 3.a a.3"),
    ("20-year-old man, 1990-2000, pre-war, 5--6, -7, 8-", "a 20-year-old man, 1990–2000, prewar, 5-6, -7, 8 -"),
    ("[brackets] {braces} (parens) <angles> |pipe| ~tilde~ `tick` ^caret^ _under_",
     "(brackets) {braces} [parens] <angles> |pipe| ~tilde~ 'tick' ^caret^ _under_"),
    ("cost: $5,000; £20; €1.5m; 7 % = 7%; #1 @home; a/b; c\\d; x*y+z",
     "cost: $5,000; £20; €1.5m; 7% = 7%; #1 at home; a / b; c\\d; x*y+z"),
    ("«French quotes» and ‘single’ and „low“ quotes", "“French quotes” and 'single' and \"low\" quotes"),
    ("The temperature was −5 °C on 1 January…", "The temperature was -5°C on January 1."),
    ("Non\u00a0breaking\u2009thin\u3000wide spaces\ttab", "Non breaking thin wide spaces tab"),
    ("file\x1cseparator\x1dgroup\x1funit\x85next", "file separator group unit next"),
    ("zero\u200bwidth and \ufeffbom and soft\u00adhyphen", "zerowidth and bom and softhyphen"),
    ("   leading and trailing   ", "leading and trailing"),
    (" . , . , ", ". , . ,"),
    ("...", "…"),
    ("1.,2,.3", "1. ,2, .3"),
    # 40-49: other scripts, emoji, case.
    ("قال الوزير إن الجسر سيفتح يوم الأحد.", "قال الوزير: إن الجسر سيُفتح يوم الأحد."),
    ("ارتفعت الأسعار بنسبة ٣٫٥٪ في مارس، بحسب البنك.", "ارتفعت الأسعار ٣٫٥٪ خلال مارس، وفق البنك المركزي؟"),
    ("The word سلام means peace.", "The word \"سلام\" means peace."),
    ("Great goal! ⚽️🎉👏🏽", "Great goal 🎉⚽️👏🏿!"),
    ("👨‍👩‍👧‍👦 family", "👨‍👩‍👧 family"),
    ("El niño comió piñatas en São Paulo, naïve café", "El nino comio pinatas en Sao Paulo, naive cafe"),
    ("İstanbul and Kelvin K and STRASSE straße", "istanbul and kelvin k and strasse straße"),
    ("THE PRESIDENT SAID", "The president said"),
    ("数字 3.5 和 日本語。", "数字 3,5 和 日本語 。"),
    ("cafe\u0301 is decomposed", "café is composed"),
    # 50-61: longer news-like lines.
    ("The foreign ministers of the two countries met in Cairo on Tuesday to discuss the return of the ambassadors, which has been delayed since the spring.",
     "The two countries' foreign ministers met in Cairo on Tuesday to discuss the ambassadors' return, delayed since spring."),
    ("According to the report, which was published last week, more than half of the young people in the region do not have a permanent job.",
     "More than half of the region's young people have no permanent job, says the report, which was published last week."),
    ("The player, who is 31 years old, said he would stay with the club for another season if his knee allows it.",
     "The 31-year-old player said that he would stay at the club another season, knee permitting."),
    ("Rescue workers searched the rubble of the building through the night, and by dawn they had found four people alive.",
     "Rescue teams searched through the rubble of the building all night, and had found four people alive by dawn."),
    ("Rescue workers searched the rubble of the building through the night, and by dawn they had found four people alive.",
     "Rescue workers searched the rubble of the building through the night, and by dawn they had found four people alive."),
    ("It is a book about a river, a book about a city and a book about a family.",
     "It is a book about a city, a book about a family, and about a river."),
    ("The harvest was good this year; the olives, however, were small.",
     "This year's harvest was good, but the olives were small."),
    ("Engineers hope that the new line - 120 km long - will carry 4 million passengers a year by 2030.",
     "The engineers hope the new 120-km line will be carrying four million passengers annually by 2030."),
    ("He studied medicine in Damascus, then he studied music in Vienna, then he returned.",
     "He studied medicine in Damascus and then music in Vienna, and returned."),
    ("Nothing here matches at all", "Completely different words stand over yonder"),
    ("a", "b"),
    ("Water was cut off in six districts. Repairs began at once. Residents queued at the tankers.",
     "Six districts lost water. Residents queued at tankers. Repairs began immediately."),
]

# Several lines in one text, for ROUGE-Lsum.
SUMMARIES = [
    ("The bridge opens on Sunday.\nIt cost 20 million.\nTrucks must still take the old road.",
     "The new bridge will open on Sunday.\nTrucks still take the old road.\nThe bridge cost 20 million pounds."),
    ("one two three\n\ntwo three four\n", "four three two one\none two three four\n\n\none"),
    ("a b a b a\nb a b a b", "b b a a\na a b b\nc"),
    ("...\n!!!", "words here"),
    ("", "words\nhere"),
    ("The council met.\nThe council voted to close the market.\nThe market closes in May.",
     "The council voted.\nIn May the market closes.\nThe council will meet the market traders in May."),
]

CORPORA = {
    "all": range(len(PAIRS)),
    "two_references": range(20),
    "punctuation": range(20, 40),
    "scripts": range(40, 50),
    "news": range(50, len(PAIRS)),
    "short": [18, 19, 60],
    "short_match": [18],
    "no_fourgram": [13, 16, 17],
    "empty_lines": [7, 9],
    "empty_references": [8, 9],
    "nothing_matches": [59, 60],
    "identical": [15, 54],
    "short_hypotheses": [7, 13, 18],
}


def scores(hyps, refs):
    """`refs` is a list of reference streams, as sacrebleu takes them."""
    bleu_metric, chrf_metric, chrfpp_metric = BLEU(), CHRF(), CHRF(word_order=2)
    bleu = bleu_metric.corpus_score(hyps, refs)
    return {
        "bleu": {
            "score": bleu.score,
            "precisions": bleu.precisions,
            "bp": bleu.bp,
            "hyp_len": bleu.sys_len,
            "ref_len": bleu.ref_len,
            "text": bleu.format(),
            "signature": str(bleu_metric.get_signature()),
        },
        "chrf": chrf_metric.corpus_score(hyps, refs).score,
        "chrf_signature": str(chrf_metric.get_signature()),
        "chrfpp": chrfpp_metric.corpus_score(hyps, refs).score,
    }


def rouge(scorer, refs, hyp):
    return {k: [v.precision, v.recall, v.fmeasure] for k, v in scorer.score_multi(refs, hyp).items()}


def main():
    corpora = []
    for name, lines in CORPORA.items():
        hyps = [PAIRS[i][0] for i in lines]
        streams = [[PAIRS[i][1] for i in lines]]
        if all(len(PAIRS[i]) == 3 for i in lines):
            corpora.append({"name": name + "/one", "lines": list(lines), "references": 1,
                            **scores(hyps, streams)})
            streams.append([PAIRS[i][2] for i in lines])
        corpora.append({"name": name, "lines": list(lines), "references": len(streams),
                        **scores(hyps, streams)})
    tokenize = Tokenizer13a()
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=False)
    golden = {
        "made_by": f"scripts/reference/metrics.py, sacrebleu {sacrebleu.__version__}, "
                   "rouge-score 0.1.2",
        "pairs": [
            {
                "hyp": p[0],
                "refs": p[1:],
                "hyp_13a": tokenize(p[0].rstrip()),
                "ref_13a": tokenize(p[1].rstrip()),
                "rouge": rouge(scorer, p[1:], p[0]),
            }
            for p in PAIRS
        ],
        "multiline_13a": [
            {"text": text, "tokens": tokenize(text.rstrip())}
            for text in ["hyphen-\nated and\nbroken", "5-\n6", "<skip<skipped>ped>", "a\n"]
        ],
        "summaries": [{"hyp": h, "ref": r, "rouge": rouge(scorer, [r], h)} for h, r in SUMMARIES],
        "corpora": corpora,
    }
    path = Path(__file__).parents[2] / "tests/golden/metrics/metrics.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
