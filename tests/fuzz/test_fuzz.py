"""The short run of the fuzzing: every target for a moment (`make fuzz`: for minutes), and what it once found."""

from __future__ import annotations

import os
import time

import pytest
from fuzz.targets import REDACTOR, SECRET, TARGETS, attempt, run
from torture.figures import count

from mailwhy.redact import Redactor
from mailwhy.wire import TOTAL

# the short run takes the same inputs every time, so that a change is never blamed for what it did not do
LONG_RUN = "FUZZ_SECONDS" in os.environ
SECONDS = float(os.environ.get("FUZZ_SECONDS", "30"))
SEED = int(time.time()) if LONG_RUN else 20261122
MOST = None if LONG_RUN else 150
FOUND: dict[str, list[bytes]] = {
    "tenant": [b"a=" + b"[" * 5000],
    "config": [b"a=" + b"[" * 5000],
    "list": [b'{"address": ' + b"[" * 5000, b"\xff\xfea\0"],
    "record": [b'"as_of": "x"}', b'"as_of": 5, "account": {}, "diagnoses": []}', b"[" * 5000],
    "ledger": [b"[" * 200_000],
}


@pytest.mark.parametrize("name", TARGETS)
def test_no_promise_is_broken(name: str) -> None:
    for data in (b"", *FOUND.get(name, [])):
        attempt(name, data)
    inputs = run(name, SECONDS, SEED, MOST)
    count("inputs fuzzed", inputs)
    assert inputs > 0


LONG = [SECRET, "41414141", 'p\u00e4"s\\s w\u2713rd', "aB3$" * 16, "eyJ0" + "aZ9_" * 500]
PIECES = ["{0}", "{0} ", "{1}", "{1}    ", "{2} ", "{2}0x", "{2}" + " " * 300, "a", "41", " ", "="]


@pytest.mark.parametrize("piece", ["{0}", "{1} ", "{2}" + " " * 300])
def test_the_redactor_takes_linear_time(piece: str) -> None:
    takes_linear_time("aaaa", piece)


@pytest.mark.long
@pytest.mark.parametrize("secret", LONG)
@pytest.mark.parametrize("piece", PIECES)
def test_the_redactor_takes_linear_time_whatever_comes(secret: str, piece: str) -> None:
    takes_linear_time(secret, piece)


def takes_linear_time(secret: str, piece: str) -> None:
    """Eight times as much text takes about eight times as long, and the longest answer little enough."""
    shape = piece.format(secret[:-1], secret.encode().hex()[:-2], secret.encode().hex()[:2])
    redactor = Redactor(secret, "u@x")

    def seconds(size: int) -> float:
        text = (shape * (size // len(shape) + 1))[:size]
        lines = [text[at : at + 8000] for at in range(0, size, 8000)]
        best = 99.0
        for _ in range(2):
            began = time.process_time()
            redactor.lines(lines)
            best = min(best, time.process_time() - began)
        return best

    small, large = seconds(TOTAL // 8), seconds(TOTAL)
    assert large < 5
    assert large < 24 * small + 0.1


def test_the_redactor_is_the_one_that_is_fuzzed() -> None:
    assert SECRET not in REDACTOR.line(f"535 {SECRET}")
