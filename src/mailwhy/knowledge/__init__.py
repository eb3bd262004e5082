"""The handbook's data files, read and checked. File name = id; one new failure text = one new file.

`load()` gives the whole `Knowledge`; it raises `BadDataError` with file, key and mend where a file is wrong.
Nothing here judges: `diagnose.py` does.
"""

from __future__ import annotations

import functools
import itertools
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..model import (
    Blind,
    Calendar,
    Cause,
    Cloud,
    Fault,
    Knowledge,
    NotPlainError,
    Protocol,
    Rule,
    Sign,
    Stage,
    from_plain,
)

HOME = Path(__file__).parent

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


class BadDataError(ValueError):
    """A data file that cannot be used: names the file, the key and what was expected."""


@functools.cache
def load() -> Knowledge:
    """Everything that the data files say. Read once per process."""
    return read(HOME)


@functools.cache
def guides() -> Mapping[str, Cause]:
    """The pages about the steps before a sign-in: the same noun as a cause, but no sign points to them."""
    return {path.stem: _noun(Cause, path, _toml(path)) for path in sorted(HOME.glob("guides/*.toml"))}


@functools.cache
def handbook() -> Mapping[str, Cause]:
    """Every page, guides and causes, without the signs: what browsing needs, in a third of the time of `load`."""
    causes = {path.stem: _noun(Cause, path, _toml(path)) for path in sorted(HOME.glob("causes/*.toml"))}
    return {**guides(), **causes}


def read(home: Path) -> Knowledge:
    """The knowledge in the folder `home` (for tests of single files; everybody else uses `load`)."""
    return Knowledge(
        signs={
            path.stem: _noun(Sign, path, _lists_in_match(_toml(path))) for path in sorted(home.glob("signs/*.toml"))
        },
        causes={path.stem: _noun(Cause, path, _toml(path)) for path in sorted(home.glob("causes/*.toml"))},
        facts=dict(_facts(_toml(home / "facts.toml"))),
        calendar=_build(Calendar, home / "timeline.toml", _toml(home / "timeline.toml")),
        clouds=_entries(Cloud, home / "clouds.toml"),
        notices=_entries(Rule, home / "notices.toml"),
        blind=_entries(Blind, home / "blind.toml"),
    )


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as why:
        raise BadDataError(f"{path.name}: {why}") from None


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


def _entries(kind: type[Any], path: Path) -> Mapping[str, Any]:
    return {name: _build(kind, path, {"id": name, **entry}) for name, entry in _toml(path).items()}


def _noun(kind: type[Any], path: Path, data: dict[str, Any]) -> Any:
    return _build(kind, path, {"id": path.stem, **data})


def _lists_in_match(data: dict[str, Any]) -> dict[str, Any]:
    """In `match`, one text may be written without its brackets."""
    match = data.get("match")
    if isinstance(match, dict):
        data["match"] = {key: [value] if isinstance(value, str) else value for key, value in match.items()}
    return data


def _build(kind: type[Any], path: Path, data: Any) -> Any:
    try:
        return from_plain(kind, data)
    except NotPlainError as why:
        raise BadDataError(f"{path.name}: {why}") from None
