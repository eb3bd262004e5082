"""The handbook's data files, read and checked. File name = id; one new failure text = one new file.

`load()` gives the whole `Knowledge`; it raises `BadDataError` with file, key and mend where a file is wrong.
Nothing here judges: `diagnose.py` does.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..model import Blind, Calendar, Cause, Cloud, Fault, Knowledge, Protocol, Rule, Sign, Stage
from ..plain import NotPlainError, from_plain
from .files import BadDataError, Plain, gathered, plain

__all__ = ["HOME", "PLACES", "BadDataError", "declared", "guides", "handbook", "load", "read"]

HOME = Path(__file__).parent

T = TypeVar("T")

# what a placeholder in a fact's name stands for; {PROTOCOL} in the meaning is {protocol} in capitals
PLACES: Mapping[str, tuple[str, ...]] = {
    "protocol": tuple(Protocol),
    "stage": tuple(Stage),
    "fault": tuple(Fault),
    "mechanism": (
        *("plain", "login", "xoauth2", "oauthbearer", "cram-md5", "digest-md5", "ntlm", "gssapi", "gss-spnego"),
        *("scram-sha-1", "scram-sha-256", "scram-sha-1-plus", "scram-sha-256-plus", "external", "anonymous", "apop"),
        *("user", "plain-clienttoken"),
    ),
    "problem": ("expired", "not_yet_valid", "name_mismatch", "self_signed", "unknown_issuer", "interception"),
}


@functools.cache
def load() -> Knowledge:
    """Everything that the data files say. Read once per process."""
    data = _plain()
    signs, causes = Later(lambda: _nouns(Sign, data["signs"])), Later(lambda: _nouns(Cause, data["causes"]))
    return _knowledge(data, signs, causes)


@functools.cache
def guides() -> Mapping[str, Cause]:
    """The pages about the steps before a sign-in: the same noun as a cause, but no sign points to them."""
    return _nouns(Cause, _plain()["guides"])


@functools.cache
def handbook() -> Mapping[str, Cause]:
    """Every page, guides and causes, without the signs: what browsing needs."""
    return {**guides(), **_nouns(Cause, _plain()["causes"])}


def read(home: Path) -> Knowledge:
    """The knowledge in the folder `home` (for tests of single files; everybody else uses `load`)."""
    data = gathered(home)
    return _knowledge(data, _nouns(Sign, data["signs"]), _nouns(Cause, data["causes"]))


@functools.cache
def _plain() -> Plain:
    return plain(HOME)


class Later(Mapping[str, T]):
    """A table that is built when it is first looked at: two thirds of what reading the handbook costs (10 ms)."""

    def __init__(self, build: Callable[[], Mapping[str, T]]) -> None:
        self._build = build

    @functools.cached_property
    def _table(self) -> Mapping[str, T]:
        return self._build()

    def __getitem__(self, name: str) -> T:
        return self._table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


def _knowledge(data: Plain, signs: Mapping[str, Sign], causes: Mapping[str, Cause]) -> Knowledge:
    return Knowledge(
        signs=signs,
        causes=causes,
        facts=dict(_facts(data["facts"])),
        calendar=_build(Calendar, "timeline", data["timeline"]),
        clouds=_entries(Cloud, "clouds", data["clouds"]),
        notices=_entries(Rule, "notices", data["notices"]),
        blind=_entries(Blind, "blind", data["blind"]),
    )


def declared(fact: str, knowledge: Knowledge | None = None) -> str | None:
    """The one line of meaning of a fact's name, None where no such fact is declared.

    A name that is declared with a `*` at its end takes any value there (`signin.error=53003`), but not none.
    """
    facts = (knowledge or load()).facts
    if fact in facts:
        return None if fact.endswith("*") else facts[fact]
    return next((m for name, m in facts.items() if name[-1:] == "*" and fact.startswith(name[:-1])), None)


def _facts(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The declared names, those with placeholders written out once for every value."""
    for name, meaning in table.items():
        places = [place for place in PLACES if "{" + place + "}" in name]
        for values in itertools.product(*(PLACES[place] for place in places)):
            words = {place: str(value) for place, value in zip(places, values, strict=True)}
            if "protocol" in words:
                words["PROTOCOL"] = words["protocol"].upper()
            plain = {place: value.replace("_", " ") for place, value in words.items()}
            yield name.format(**words), str(meaning).format(**plain)


def _nouns(kind: type[Any], files: Mapping[str, Any]) -> Mapping[str, Any]:
    """One noun a file; the file's name is its id."""
    return {name: _build(kind, name, {"id": name, **data}) for name, data in files.items()}


def _entries(kind: type[Any], file: str, table: Mapping[str, Any]) -> Mapping[str, Any]:
    """All nouns of one file; a table's name is its id."""
    return {name: _build(kind, file, {"id": name, **entry}) for name, entry in table.items()}


def _build(kind: type[Any], file: str, data: Any) -> Any:
    try:
        return from_plain(kind, data)
    except NotPlainError as why:
        raise BadDataError(f"{file}.toml: {why}") from None
