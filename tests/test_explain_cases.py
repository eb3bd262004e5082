"""The project's own copy of the field cases, judged as strangers' cases will be: a regression test with floors."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from day import DAY

from mailwhy import run
from mailwhy.model import Kind, Outcome, Protocol, Verdict

CASES = Path(__file__).parent.parent / "fixtures" / "field-cases"


def cases(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CASES / name).read_text(encoding="utf-8").splitlines()]


@cache
def answer(text: str, protocol: str, credential: str | None) -> Outcome:
    kind = Kind(credential) if credential else None
    return run.explain(text, protocol=Protocol(protocol), kind=kind, as_of=DAY)


def place(case: dict[str, Any]) -> int | None:
    """Where the first right cause stands among the findings, None where it does not."""
    outcome = answer(case["input"], case["protocol"], case.get("credential"))
    right = {case["cause"]} if case["confirmed"] else {case["cause"], *case["also_plausible"]}
    if case["cause"] == "unknown" and outcome.verdict in (Verdict.UNKNOWN, Verdict.NO_REPLY):
        return 0
    return next((rank for rank, finding in enumerate(outcome.findings) if finding.cause in right), None)


def share(chosen: list[dict[str, Any]], places: int) -> float:
    return sum((rank := place(case)) is not None and rank < places for case in chosen) / len(chosen)


REPLIES = [case for case in cases("cases.jsonl") if case["cause"] != "input.no_server_reply"]
SILENT = [
    case for name in ("cases.jsonl", "silent.jsonl") for case in cases(name) if case["cause"] == "input.no_server_reply"
]


def test_the_confirmed_cause_comes_first_or_among_three() -> None:
    confirmed = [case for case in REPLIES if case["confirmed"]]
    assert share(confirmed, 1) >= 0.86
    assert share(confirmed, 3) >= 0.94


def test_open_cases_get_one_of_the_causes_that_they_leave_open() -> None:
    assert share([case for case in REPLIES if not case["confirmed"]], 3) >= 0.92


def test_no_confirmed_cause_is_ruled_out() -> None:
    for case in REPLIES:
        outcome = answer(case["input"], case["protocol"], case.get("credential"))
        if case["confirmed"] and case["cause"] not in {finding.cause for finding in outcome.findings}:
            assert case["cause"] not in {ruled.cause for ruled in outcome.ruled_out}, case["id"]


@pytest.mark.parametrize("case", SILENT, ids=lambda case: case["id"])
def test_a_text_without_a_reply_is_told_apart_and_says_how_to_get_it(case: dict[str, Any]) -> None:
    outcome = answer(case["input"], case["protocol"], case.get("credential"))
    assert outcome.verdict is Verdict.NO_REPLY
    assert len([notice for notice in outcome.notices if notice.id.startswith("no-reply")]) >= 2
