"""The data files as plain values, fast: 250 TOML files take 200 ms to read, one compiled file takes 1.

    gathered(home)   reads the TOML files                       what the tests and the build of a wheel use
    plain(home)      the same values from the fastest source:   compiled.jsonl, which only a wheel has (and no TOML)
                                                                the cache in __pycache__, if nothing has changed
                                                                the TOML files, which then fill the cache

Both compiled files are JSON Lines. The first line has the tables and the names of all signs and pages; each further
line is one of these, in that order, and is parsed when it is asked for: most runs need the pages of two causes.
The cache is like a .pyc: beside its source, never needed, never wrong. It holds the name, size and times of every
file that it was made of, and is not written while one of them is so new that a change could leave no trace in them.
This file imports nothing of ours: `hatch_build.py` loads it alone, before the package exists.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = ("signs", "causes", "guides")  # one noun a file
TABLES = ("facts", "timeline", "clouds", "notices", "blind")  # one file each
SHIPPED = "compiled.jsonl"
SETTLED = 2_000_000_000  # nanoseconds after which a further change shows in a file's times on every file system

Plain = Mapping[str, Mapping[str, Any]]
Place = str | os.PathLike[str]


class BadDataError(ValueError):
    """A data file that cannot be used: names the file, the key and what was expected."""


def plain(home: Place) -> Plain:
    """What the data files in this folder say. Raises BadDataError."""
    try:
        return _parsed(_content(os.path.join(home, SHIPPED)))[0]
    except FileNotFoundError:
        return _cached(home)


def gathered(home: Place) -> Plain:
    """What the TOML files say: folder -> file -> its keys, and table -> its keys. Raises BadDataError.

    `matches` has how each sign is recognised, once more: what is needed of every sign before one has been found.
    """
    from pathlib import Path

    home = Path(home)
    nouns = {name: {path.stem: _toml(path) for path in sorted(home.glob(f"{name}/*.toml"))} for name in FOLDERS}
    for sign in nouns["signs"].values():
        _lists_in_match(sign)
    matches = {name: sign.get("match") for name, sign in nouns["signs"].items()}
    return {**nouns, "matches": matches, **{name: _toml(home / f"{name}.toml") for name in TABLES}}


def _lists_in_match(sign: dict[str, Any]) -> None:
    """In `match`, one text may be written without its brackets."""
    match = sign.get("match")
    if isinstance(match, dict):
        sign["match"] = {key: [value] if isinstance(value, str) else value for key, value in match.items()}


class Lines(Mapping[str, Any]):
    """Values by their names, each one line of JSON until it is asked for."""

    def __init__(self, names: Sequence[str], lines: Sequence[bytes]) -> None:
        self._lines = dict(zip(names, lines, strict=True))

    def __getitem__(self, name: str) -> Any:
        return json.loads(self._lines[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


def compiled(plain: Plain, stamp: object = None) -> str:
    """All of it as JSON Lines. TypeError where a file has what JSON has not (a date)."""
    head = {
        "stamp": stamp,
        "tables": {name: table for name, table in plain.items() if name not in FOLDERS},
        "names": {folder: list(plain[folder]) for folder in FOLDERS},
    }
    nouns = (noun for folder in FOLDERS for noun in plain[folder].values())
    return "".join(json.dumps(each, separators=(",", ":")) + "\n" for each in (head, *nouns))


def _parsed(text: bytes) -> tuple[Plain, object]:
    """The way back, and the stamp. ValueError, KeyError or TypeError where the text is not whole."""
    first, *lines = text.split(b"\n")
    head = json.loads(first)
    if len(lines) != sum(map(len, head["names"].values())) + 1 or lines[-1]:
        raise ValueError("lines are missing")
    plain: dict[str, Mapping[str, Any]] = dict(head["tables"])
    at = 0
    for folder, names in head["names"].items():
        plain[folder] = Lines(names, lines[at : at + len(names)])
        at += len(names)
    return plain, head["stamp"]


def _toml(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as why:
        raise BadDataError(f"{path.name}: {why}") from None


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _cached(home: Place) -> Plain:
    cache = os.path.join(home, "__pycache__", "knowledge.jsonl")
    stamp, settled = _stamp(home)
    try:
        kept, made_of = _parsed(_content(cache))
        if made_of == stamp:
            return kept
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # not there, or damaged: it is only a cache
    fresh = gathered(home)
    if settled:
        _keep(cache, fresh, stamp)
    return fresh


def _stamp(home: Place) -> tuple[list[list[Any]], bool]:
    """Name, times and size of every source, this file's own among them; and whether all have been left alone."""
    found = [("files.py", os.stat(__file__))]
    for folder in ("", *FOLDERS):
        with contextlib.suppress(FileNotFoundError), os.scandir(os.path.join(home, folder)) as entries:
            found += [(f"{folder}/{e.name}", e.stat()) for e in entries if e.name.endswith(".toml")]
    stamp: list[list[Any]] = sorted([name, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size] for name, stat in found)
    newest = max(max(row[1:3]) for row in stamp)
    return stamp, newest < time.time_ns() - SETTLED


def _keep(cache: str, content: Plain, stamp: object) -> None:
    """Puts the cache in place in one step, where that is possible."""
    aside = f"{cache}.{os.getpid()}"
    with contextlib.suppress(OSError, TypeError):  # TypeError: a date in a file, which the reading refuses in words
        text = compiled(content, stamp)
        os.makedirs(os.path.dirname(cache), exist_ok=True)
        with open(aside, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(aside, cache)
