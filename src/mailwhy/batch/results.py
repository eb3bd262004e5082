"""The results file: JSON Lines, 0600, one finished row a line, appended as they come. Survives a torn last line.

A row is done when its whole line is in the file. `Results.open` reads what is there (for --resume), cuts off half a
line and goes on behind it.
"""

from __future__ import annotations

import json
import os
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from ..model import Exit, JsonValue, Verdict
from .rows import ListError, Row

_SEVERITY = (Exit.OK, Exit.UNKNOWN, Exit.REFUSED)


@dataclass(slots=True)
class Tally:
    """The counts of a run: by verdict, and by cause (or verdict, where no cause was found)."""

    verdicts: Counter[str] = field(default_factory=Counter)
    groups: Counter[tuple[str, str]] = field(default_factory=Counter)
    worst: Exit = Exit.OK
    stopped: dict[str, int] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """How many rows have a result."""
        return self.verdicts.total()

    @property
    def exit(self) -> Exit:
        """The exit code of the worst result; rows that stop-loss left out count as not found out."""
        return worse(self.worst, Exit.UNKNOWN) if self.stopped else self.worst

    def add(self, record: Mapping[str, JsonValue]) -> None:
        """Counts one result."""
        verdict = str(record["verdict"])
        self.verdicts[verdict] += 1
        self.groups[group_of(record), verdict] += 1
        self.worst = worse(self.worst, Exit(record["exit"]))


def worse(one: Exit, other: Exit) -> Exit:
    """The graver of two exit codes: refused, then could not find out, then fine."""
    return max(one, other, key=lambda code: _SEVERITY.index(code) if code in _SEVERITY else 1)


def group_of(record: Mapping[str, JsonValue]) -> str:
    """What a result is summed up under: its first cause, or its verdict. What works, works, whatever was removed."""
    if record["verdict"] == Verdict.WORKS:
        return Verdict.WORKS.value
    findings = record.get("findings") or [{}]
    return str(findings[0].get("cause") or record["verdict"])


class Results:
    """The open results file. `tally` counts everything in it, also what an earlier run wrote."""

    def __init__(self, path: Path, handle: int, done: array[int], tally: Tally) -> None:
        self.path = path
        self.tally = tally
        self._handle = handle
        self._done = done

    @classmethod
    def open(cls, path: Path, *, resume: bool) -> Results:
        """Makes the file, or with `resume` goes on with the one that is there. Raises ListError."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        try:
            handle = os.open(path, flags | (0 if resume else os.O_EXCL), 0o600)
        except FileExistsError:
            raise ListError(
                f"{path} is there already: --resume goes on with it, another --results starts anew"
            ) from None
        except OSError as why:
            raise ListError(f"{path} cannot be written: {why.strerror}") from None
        done, tally = array("I"), Tally()
        try:
            whole = 0
            with os.fdopen(os.dup(handle), "rb") as file:
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    whole += len(line)
                    if (record := _record(line)) is not None:
                        _set(done, int(record["row"]), int(record["mark"]))
                        tally.add(record)
            os.truncate(handle, whole)
        except OSError as why:
            os.close(handle)
            raise ListError(f"{path} cannot be read again: {why.strerror}") from None
        return cls(path, handle, done, tally)

    def has(self, row: Row) -> bool:
        """Whether the row was tested already. Raises ListError when the list was changed at this row."""
        mark = self._done[row.number - 1] if row.number <= len(self._done) else 0
        if mark and mark != row.mark:
            raise ListError(
                f"row {row.number} (line {row.line}) of the list is not the one whose result is in {self.path}: the "
                "list was changed. Use another --results file."
            )
        return bool(mark)

    def write(self, row: Row, record: Mapping[str, JsonValue]) -> None:
        """Appends a result. Raises OSError: without a place to write, nothing more may be tested."""
        record = {"row": row.number, "mark": row.mark, **record}
        line = json.dumps(record, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"
        while line:
            line = line[os.write(self._handle, line) :]
        self.tally.add(record)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._handle)

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def records(path: Path) -> Iterator[dict[str, Any]]:
    """All results in a file, streamed."""
    with path.open("rb") as file:
        for line in file:
            if (record := _record(line)) is not None:
                yield record


def _record(line: bytes) -> dict[str, Any] | None:
    """A result, or None for a line that is none (a crash of the machine can leave such)."""
    try:
        record = json.loads(line)
        Exit(record["exit"])
        group_of(record)
        fits = 0 < record["row"] < 1 << 31 and 0 < record["mark"] < 1 << 32
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return None
    return record if fits and isinstance(record["verdict"], str) else None


def _set(done: array[int], number: int, mark: int) -> None:
    if number > len(done):
        done.extend([0] * (number - len(done)))
    done[number - 1] = mark
