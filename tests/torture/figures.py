"""Counts what was tried, for the figures that `make torture` prints: one line a count in the file TORTURE_FIGURES.

python figures.py FILE      adds them up
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

FILE = os.environ.get("TORTURE_FIGURES")


def count(what: str, number: int) -> None:
    """Notes a number that is to be added up, or, where `what` begins with `most`, of which the highest counts."""
    if FILE:
        with open(FILE, "a", encoding="utf-8") as file:  # noqa: PTH123  # one short write, from several processes
            file.write(f"{number}\t{what}\n")


def main(path: str) -> None:
    """Prints the sums."""
    sums: Counter[str] = Counter()
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        digits, _, what = line.partition("\t")
        sums[what] = max(sums[what], int(digits)) if what.startswith("most") else sums[what] + int(digits)
    for what, total in sorted(sums.items()):
        print(f"{total:>10,}  {what}")


if __name__ == "__main__":
    main(sys.argv[1])
