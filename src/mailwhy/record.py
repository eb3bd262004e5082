"""The way back from a JSON report to the evidence in it: `attempts_of`. Pure; model only.

`mailwhy explain` takes a report that `check --format json` wrote and judges it anew, with today's knowledge.
What the report concluded is not read, only what it saw. Raises `NotPlainError`, never anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .model import Account, Attempt, JsonValue
from .plain import NotPlainError, from_plain

SCHEMA = "mailwhy/1"


def is_record(data: JsonValue) -> bool:
    """Is this a report of ours, of a version that this program reads?"""
    return isinstance(data, Mapping) and data.get("schema") == SCHEMA


def attempts_of(data: JsonValue) -> tuple[Account, tuple[Attempt, ...]]:
    """The account and the attempts of one report (one line of `batch`).

    NotPlainError names the key that does not fit.
    """
    if not is_record(data):
        raise NotPlainError(f"top level: the schema is not {SCHEMA!r}")
    account = from_plain(Account, data.get("account"), "account")
    diagnoses = data.get("diagnoses")
    if not isinstance(diagnoses, list):
        raise NotPlainError("diagnoses: expected a list")
    return account, tuple(_attempt(entry, f"diagnoses[{number}]") for number, entry in enumerate(diagnoses))


def _attempt(entry: Any, where: str) -> Attempt:
    if not isinstance(entry, Mapping):
        raise NotPlainError(f"{where}: expected a table, got {entry!r}")
    plain = {
        "target": entry.get("target"),
        "steps": entry.get("steps", []),
        "kind": entry.get("credential"),
        "started": entry.get("started"),
        "held_back": entry.get("held_back"),
        "facts": entry.get("given", []),
        "seen": entry.get("seen"),
    }
    return from_plain(Attempt, plain, where)
