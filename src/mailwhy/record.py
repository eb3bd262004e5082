"""The way back from a JSON report to the evidence in it: `report_of` a text, `attempts_of` its JSON. Pure.

`mailwhy explain` takes a report that `check --format json` wrote and judges it anew, with today's knowledge.
What the report concluded is not read, only what it saw.
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

    NotPlainError names the key that does not fit; nothing else is raised.
    """
    if not is_record(data):
        raise NotPlainError(f"top level: the schema is not {SCHEMA!r}")
    account = from_plain(Account, data.get("account"), "account")
    diagnoses = data.get("diagnoses")
    if not isinstance(diagnoses, list):
        raise NotPlainError("diagnoses: expected a list")
    return account, tuple(_attempt(entry, f"diagnoses[{number}]") for number, entry in enumerate(diagnoses))


def report_of(text: str | bytes) -> tuple[Account, tuple[Attempt, ...], frozenset[str], str] | None:
    """What a report says that it saw: account, attempts, facts from outside and its day; None for any other text.

    One that was cut, or changed by hand so that it no longer fits, is any other text.
    """
    data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    if SCHEMA.encode() not in data[:4096] or data.lstrip()[:1] != b"{":
        return None
    import json

    try:
        plain = json.loads(data)
        account, attempts = attempts_of(plain)
        return account, attempts, frozenset(map(str, plain.get("facts") or ())), str(plain["as_of"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


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
