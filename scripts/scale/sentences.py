#!/usr/bin/env python3
"""Writes N records of one made-up Arabic sentence each, 23 words on average.

    python scripts/scale/sentences.py 10000 > records.jsonl
"""
import json
import random
import sys

WHO = ["وزير الصحة", "رئيس البلدية", "مدير المدرسة الجديدة", "الفريق الوطني لكرة القدم", "باحثون من جامعة القاهرة",
       "لجنة التعليم في البرلمان", "المتحدث باسم الشركة", "سكان القرية", "طبيبة الأطفال", "المهندس المسؤول عن المشروع"]
SAID = ["أعلن", "أكد", "ذكر", "أوضح", "قال", "نفى", "كشف", "أضاف"]
WHEN = ["أمس", "اليوم", "صباح الأحد", "مساء الخميس الماضي", "في الأسبوع الماضي", "قبل شهرين", "في مطلع العام"]
WHERE = ["في بغداد", "في شمال المغرب", "على الساحل الشرقي", "في العاصمة تونس", "بالقرب من النهر", "في حي قديم من المدينة",
         "خلال مؤتمر صحفي في عمان", "أمام مئات الزوار"]
WHAT = ["العمل في الجسر الجديد سيبدأ {when} بكلفة {n} مليون دينار", "عدد الطلاب ارتفع إلى {n} طالبا",
        "المياه ستعود إلى {n} بيتا {where}", "المستشفى استقبل {n} مريضا {when}", "أسعار الخبز والزيت لن تتغير هذا العام",
        "المكتبة العامة ستفتح أبوابها للقراء كل يوم", "القطار بين المدينتين تأخر {n} دقيقة بسبب المطر",
        "المزارعين زرعوا {n} شجرة زيتون {where}"]
MORE = ["وأن النتائج ستنشر قريبا", "رغم نقص المال والعمال", "بعد نقاش طويل مع السكان", "وهو ما رحب به التجار",
        "من دون أن يحدد موعدا جديدا", "لأن الطريق القديم لم يعد آمنا", "بينما ينتظر الناس قرار المحكمة", ""]


def sentence(rng):
    fill = {"when": rng.choice(WHEN), "where": rng.choice(WHERE), "n": rng.randint(2, 9999)}
    parts = [rng.choice(SAID), rng.choice(WHO), rng.choice(WHEN), rng.choice(WHERE), "أن",
             rng.choice(WHAT).format(**fill), rng.choice(MORE)]
    return " ".join(part for part in parts if part) + "."


def main():
    rng = random.Random(3)
    for number in range(int(sys.argv[1])):
        print(json.dumps({"id": number, "text": sentence(rng)}, ensure_ascii=False))


if __name__ == "__main__":
    main()
