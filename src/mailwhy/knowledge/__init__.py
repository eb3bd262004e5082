"""The handbook's data files, read and checked. File name = id; one new failure text = one new file.

`load()` gives the whole `Knowledge`; it raises `BadDataError` with file, key and mend where a file is wrong.
Nothing here judges: `diagnose.py` does.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..model import Calendar, Cause, Cloud, Knowledge, NotPlainError, Rule, Sign, from_plain

HOME = Path(__file__).parent


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
        facts=_table(home / "facts.toml"),
        calendar=_build(Calendar, home / "timeline.toml", _toml(home / "timeline.toml")),
        clouds=_entries(Cloud, home / "clouds.toml"),
        notices=_entries(Rule, home / "notices.toml"),
    )


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as why:
        raise BadDataError(f"{path.name}: {why}") from None


def _table(path: Path) -> Mapping[str, str]:
    return {str(key): str(value) for key, value in _toml(path).items()}


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
