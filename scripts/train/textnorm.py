"""Text clean-up shared by the stages."""
import re
import unicodedata

TASHKEEL = re.compile("[\u064b-\u0652\u0670\u0640]")
BIDI = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\u200b\ufeff]")
PRESENTATION = re.compile("[\ufb50-\ufdff\ufe70-\ufeff]+")
ARABIC = re.compile("[\u0621-\u064a]")
LATIN = re.compile("[A-Za-z]")


def clean_source(text):
    """What the translator does to Arabic before tokenizing."""
    text = PRESENTATION.sub(lambda m: unicodedata.normalize("NFKC", m.group()), text)
    return clean_target(TASHKEEL.sub("", text))


def clean_target(text):
    text = BIDI.sub("", unicodedata.normalize("NFC", text)).replace("\xad", "")
    return " ".join(text.split())


def charsmap_rules():
    """Character rules written into the sentencepiece model: NFKC for single
    characters, control characters removed, white space unified, Arabic
    diacritics and tatweel removed, hamza forms of alef folded, Arabic-Indic
    digits as ASCII ones. Lines of 'source hex<TAB>target hex'."""
    rules = {}
    for cp in range(1, 0x20000):
        if 0xD800 <= cp <= 0xDFFF or 0xAC00 <= cp <= 0xD7A3:
            continue
        ch = chr(cp)
        cat = unicodedata.category(ch)
        if cat == "Cn":
            continue
        if cat in ("Zs", "Zl", "Zp") or ch in "\t\n\r\x0b\x0c":
            new = " "
        elif cat in ("Cc", "Cf") or TASHKEEL.match(ch):
            new = ""
        else:
            new = unicodedata.normalize("NFKC", ch)
            new = TASHKEEL.sub("", new)
            if not new.strip():
                new = " "
        new = fold(new)
        if new != ch:
            rules[ch] = new
        # canonical pairs, so that e + combining acute is one character
        parts = unicodedata.normalize("NFD", ch)
        if len(parts) > 1 and unicodedata.normalize("NFC", parts) == ch and not TASHKEEL.search(parts):
            rules[parts] = fold(ch)
    return rules


def fold(text):
    out = []
    for c in text:
        if c in "\u0622\u0623\u0625\u0671":
            c = "\u0627"
        elif "\u0660" <= c <= "\u0669":
            c = chr(ord(c) - 0x0660 + 48)
        elif "\u06f0" <= c <= "\u06f9":
            c = chr(ord(c) - 0x06F0 + 48)
        elif c == "\u066a":
            c = "%"
        elif c == "\u066b":
            c = "."
        elif c == "\u066c":
            c = ","
        out.append(c)
    return "".join(out)


def write_charsmap(path):
    hexes = lambda s: " ".join(f"{ord(c):X}" for c in s)
    with open(path, "w", encoding="ascii") as f:
        for src, dst in sorted(charsmap_rules().items()):
            f.write(f"{hexes(src)}\t{hexes(dst)}\n")
