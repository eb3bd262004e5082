"""Whole lists of mailboxes: read a list, check each once, write each result as it comes, go on after a crash.

    rows.py      a CSV, TSV or JSON Lines list as Rows, streamed, and surveyed before anything is sent
    results.py   the results file: written line by line, read again for --resume and the summary
    engine.py    who is checked when: concurrency, pacing, stop-loss; the check itself comes in as an argument
    remedy.py    one PowerShell script for all: check, ask, change; then the undo. Never run by us

Memory does not grow with the list, but for four bytes a row while a run is resumed.
"""

from __future__ import annotations

from .engine import Limits, run
from .results import Results, Tally
from .rows import ListError, Row, read, survey

__all__ = ["Limits", "ListError", "Results", "Row", "Tally", "read", "run", "survey"]
