"""The times that logs write in front of a line, as ISO 8601. Times without a zone stay without one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from ..shape import Shape

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d+)?)?"
_ZONE = r"(?:\s?(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d))?"
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?"
_BEFORE = r"^\s*[\[(>]*\s*(?:(?:ts|time|t|date|timestamp)=)?\"?"
_BEHIND = r"\"?\s*(?:[A-Z][a-z]+/\w+)?[\])|]*\s*[-:]?\s*"
_FRONT = 64  # characters in which a leading time has its clock
_OPENING = " \t\v\f\xa0[(>"
_HAS_CLOCK = Shape(r"\d\d:\d\d", holds=(":",))
_SHAPES = tuple(
    Shape(_BEFORE + shape + _BEHIND, re.IGNORECASE)
    for shape in (
        rf"(?P<year>\d{{4}})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T ]\s*{_CLOCK}{_ZONE}",
        rf"{_WEEKDAY}(?P<day>\d{{1,2}})[- /](?P<name>[a-z]{{3}})[- /](?P<year>\d{{4}})[ :,T]+{_CLOCK}{_ZONE}",
        rf"{_WEEKDAY}(?P<name>[a-z]{{3}})\s+(?P<day>\d{{1,2}})\s+{_CLOCK}(?:\s+(?P<year>\d{{4}})(?!\d))?{_ZONE}",
    )
)
_CLOCK_ALONE = Shape(r"^\s*\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?\s+(?=\S)")
# a trailer that was broken before its time: the session follows, or nothing at all
_TRAILER_GOES_ON = Shape(r"\s*(?:[0-9A-F]{12,16}\s*\]|\]|$)")


def leading_time(line: str) -> tuple[str | None, int] | None:
    """The time at the start of the line and where the rest begins; None for the time where no day is told.

    Without a year it is ISO 8601 as far as known: `--09-28T13:03:50`.
    """
    front = line.lstrip(_OPENING)[:_FRONT]
    if not _HAS_CLOCK.find(front):
        return None
    for shape in _SHAPES if front[0].isdigit() else reversed(_SHAPES):  # they exclude each other
        found = shape.pattern.match(line)
        if found and (time := _iso(found)) and not _TRAILER_GOES_ON.pattern.match(line, found.end()):
            return time, found.end()
    if found := _CLOCK_ALONE.match(line):
        return None, found.end()
    return None


def _month(part: dict[str, str | None]) -> int:
    return int(part.get("month") or 0) or _MONTHS.get((part.get("name") or "").lower(), 0)


def _moment(part: dict[str, str | None], year: int) -> datetime | None:
    hour, minute, second = (int(part.get(name) or 0) for name in ("hour", "minute", "second"))
    try:
        # the zone, where there is one, is put in by `_in_utc`
        return datetime(year, _month(part), int(part["day"] or 0), hour, minute, second)  # noqa: DTZ001 - a log without a zone tells no zone
    except ValueError:
        return None


def _iso(found: re.Match[str]) -> str | None:
    part = found.groupdict()
    moment = _moment(part, int(part.get("year") or 2000))
    if not moment:
        return None  # it only looked like a time
    return _in_utc(moment, part.get("zone")) if part.get("year") else f"--{moment.isoformat()[5:]}"


def _in_utc(moment: datetime, zone: str | None) -> str:
    if not zone:
        return moment.isoformat()
    if zone[0] in "+-":
        digits = zone[1:].replace(":", "")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]))
        if offset >= timedelta(hours=24):
            return moment.isoformat()
        try:
            moment = moment.replace(tzinfo=timezone(-offset if zone[0] == "-" else offset)).astimezone(UTC)
        except OverflowError:
            return moment.replace(tzinfo=None).isoformat()
    return moment.replace(tzinfo=None).isoformat() + "Z"


def seconds_between(earlier: str, later: str) -> float | None:
    """Seconds from one such time to the other; None where they cannot be compared."""
    try:
        a, b = (datetime.fromisoformat(time.replace("--", "2000-", 1)) for time in (earlier, later))
    except ValueError:
        return None
    if (a.tzinfo is None) != (b.tzinfo is None):
        return None
    return (b - a).total_seconds()
