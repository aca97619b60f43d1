#!/usr/bin/env python3
"""The sizing table of docs/scale.md: core hours = words / (words a second and core) / 3600.

    python scripts/scale/sizing.py                          # the table
    python scripts/scale/sizing.py --words 3e8 --rate 1500  # for your own text, measured with measure.py
"""
import argparse

# Output pieces of opus-mt-ar-en for an Arabic word. Of its English for FLORES dev: 1.35 if every word
# and mark were one piece, 2.0 with the bundled model's 8,000 pieces; its own 62,834 lie between.
PIECES = 1.6

# Arabic words a second and core, both cores of the machine busy. The first from measure.py, the others
# from the output pieces a second of docs/performance.md (64 sentences, two cores).
RATES = {
    "bundled, beam 4": 6137 / 2,
    "opus-mt-ar-en's shape, beam 4": 2318 / 2 / PIECES,
    "opus-mt-ar-en's shape, greedy": 6001 / 2 / PIECES,
}


def core_hours(words, rate):
    return words / rate / 3600


def shown(hours):
    return f"{hours * 60:.0f} min" if hours < 1 else f"{hours:.1f} h" if hours < 100 else f"{hours:,.0f} h"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=float, help="Arabic words, as wc -w counts them")
    parser.add_argument("--rate", type=float, help="words a second and core")
    args = parser.parse_args()
    sizes = [args.words] if args.words else [1e6, 1e9]
    rates = {"given": args.rate} if args.rate else RATES
    print("| model | words/s a core |" + "".join(f" {size:,.0f} words: core hours |" for size in sizes)
          + f" {sizes[-1]:,.0f} words on 1,000 cores |")
    print("|---" * (3 + len(sizes)) + "|")
    for name, rate in rates.items():
        hours = [core_hours(size, rate) for size in sizes]
        print(f"| {name} | {rate:,.0f} |" + "".join(f" {hour:,.2f} |" if hour < 10 else f" {hour:,.0f} |" for hour in hours)
              + f" {shown(hours[-1] / 1000)} |")


if __name__ == "__main__":
    main()
