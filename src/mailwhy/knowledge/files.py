"""The data files as plain values, fast: 250 TOML files take 200 ms to read, one JSON file takes 2.

    gathered(home)   reads the TOML files                       what the tests and the build of a wheel use
    plain(home)      the same values from the fastest source:   compiled.json, which only a wheel has (and no TOML)
                                                                the cache in __pycache__, if nothing has changed
                                                                the TOML files, which then fill the cache

The cache is like a .pyc: beside its source, never needed, never wrong. It holds the name, size and times of every
file that it was made of, and is not written while one of them is so new that a change could leave no trace in them.
This file imports nothing of ours: `hatch_build.py` loads it alone, before the package exists.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDERS = ("signs", "causes", "guides")  # one noun a file
TABLES = ("facts", "timeline", "clouds", "notices", "blind")  # one file each
SHIPPED = "compiled.json"
SETTLED = 2.0  # seconds after which a further change shows in a file's times on every file system

Plain = Mapping[str, Mapping[str, Any]]


class BadDataError(ValueError):
    """A data file that cannot be used: names the file, the key and what was expected."""


def plain(home: Path) -> Plain:
    """What the data files in this folder say. Raises BadDataError."""
    try:
        shipped: Plain = json.loads((home / SHIPPED).read_bytes())
    except FileNotFoundError:
        return _cached(home)
    return shipped


def gathered(home: Path) -> Plain:
    """What the TOML files say: folder -> file -> its keys, and table -> its keys. Raises BadDataError."""
    nouns = {name: {path.stem: _toml(path) for path in sorted(home.glob(f"{name}/*.toml"))} for name in FOLDERS}
    for sign in nouns["signs"].values():
        _lists_in_match(sign)
    return {**nouns, **{name: _toml(home / f"{name}.toml") for name in TABLES}}


def _lists_in_match(sign: dict[str, Any]) -> None:
    """In `match`, one text may be written without its brackets."""
    match = sign.get("match")
    if isinstance(match, dict):
        sign["match"] = {key: [value] if isinstance(value, str) else value for key, value in match.items()}


def _toml(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as why:
        raise BadDataError(f"{path.name}: {why}") from None


def _cached(home: Path) -> Plain:
    cache = home / "__pycache__" / "knowledge.json"
    stamp, settled = _stamp(home)
    try:
        kept = json.loads(cache.read_bytes())
        if kept["stamp"] == stamp:
            found: Plain = kept["plain"]
            return found
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or damaged: it is only a cache
    fresh = gathered(home)
    if settled:
        _keep(cache, {"stamp": stamp, "plain": fresh})
    return fresh


def _stamp(home: Path) -> tuple[list[list[str | int]], bool]:
    """Name, times and size of every source, this file's own among them; and whether all have been left alone."""
    sources = [Path(__file__).stat()]
    names = ["files.py"]
    for folder in (home, *(home / name for name in FOLDERS)):
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".toml"):
                    names.append(f"{folder.name}/{entry.name}")
                    sources.append(entry.stat())
    stamp: list[list[str | int]] = sorted(
        [name, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size] for name, stat in zip(names, sources, strict=True)
    )
    newest = max(max(stat.st_mtime, stat.st_ctime) for stat in sources)
    return stamp, newest < time.time() - SETTLED


def _keep(cache: Path, content: Mapping[str, Any]) -> None:
    """Puts the cache in place in one step, where that is possible."""
    aside = cache.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError, TypeError):  # TypeError: a date in a file, which the reading refuses in words
        text = json.dumps(content, separators=(",", ":"))
        cache.parent.mkdir(exist_ok=True)
        aside.write_text(text, encoding="utf-8")
        aside.replace(cache)
