"""The handbook's data files, read and checked. File name = id; one new failure text = one new file.

`load()` gives the whole `Knowledge`; it raises `BadDataError` with file, key and mend where a file is wrong.
Nothing here judges: `diagnose.py` does.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from ..model import Blind, Calendar, Cause, Cloud, Fault, Knowledge, Protocol, Rule, Sign, Stage
from ..plain import NotPlainError, from_plain
from .files import BadDataError, Place, Plain, gathered, plain

__all__ = ["HOME", "PLACES", "BadDataError", "declared", "guides", "handbook", "load", "matches", "read"]

HOME = os.path.dirname(__file__)

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
    return _knowledge(_plain())


def matches() -> Mapping[str, Any]:
    """How each sign is recognised, by its id, in plain values: makes `Signs` ready before any sign is built."""
    return _plain()["matches"]


@functools.cache
def guides() -> Mapping[str, Cause]:
    """The pages about the steps before a sign-in: the same noun as a cause, but no sign points to them."""
    return Nouns(Cause, _plain()["guides"])


@functools.cache
def handbook() -> Mapping[str, Cause]:
    """Every page, guides and causes, without the signs: what browsing needs."""
    return {**guides(), **Nouns(Cause, _plain()["causes"])}


def read(home: Place) -> Knowledge:
    """The knowledge in the folder `home` (for tests of single files; everybody else uses `load`)."""
    known = _knowledge(gathered(home))
    for nouns in (known.signs, known.causes):
        dict(nouns)  # builds them all: what is wrong is said now
    return known


@functools.cache
def _plain() -> Plain:
    return plain(HOME)


class Nouns(Mapping[str, T]):
    """One noun a file, the file's name is its id; built when it is first asked for: most runs need a few of them."""

    def __init__(self, kind: type[T], files: Mapping[str, Any]) -> None:
        self._kind, self._files = kind, files
        self._built: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._built:
            self._built[name] = _build(self._kind, name, {"id": name, **self._files[name]})
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


class Meanings(Mapping[str, str]):
    """The declared facts and what they mean; those with placeholders are written out when one is first looked up."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._table = table

    @functools.cached_property
    def _all(self) -> Mapping[str, str]:
        return dict(_facts(self._table))

    def __getitem__(self, name: str) -> str:
        if name in self._table and "{" not in name:
            return str(self._table[name]).format()
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def _knowledge(data: Plain) -> Knowledge:
    return Knowledge(
        signs=Nouns(Sign, data["signs"]),
        causes=Nouns(Cause, data["causes"]),
        facts=Meanings(data["facts"]),
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


def _entries(kind: type[Any], file: str, table: Mapping[str, Any]) -> Mapping[str, Any]:
    """All nouns of one file; a table's name is its id."""
    return {name: _build(kind, file, {"id": name, **entry}) for name, entry in table.items()}


def _build(kind: type[Any], file: str, data: Any) -> Any:
    try:
        return from_plain(kind, data)
    except NotPlainError as why:
        raise BadDataError(f"{file}.toml: {why}") from None
