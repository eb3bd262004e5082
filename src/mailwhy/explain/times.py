"""The times that logs write in front of a line, as ISO 8601. Times without a zone stay without one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d+)?)?"
_ZONE = r"(?:\s?(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d))?"
_SHAPES = tuple(
    re.compile(
        rf"^\s*[\[(>]*\s*(?:(?:ts|time|t|date|timestamp)=)?\"?{shape}\"?\s*(?:[A-Z][a-z]+/\w+)?[\])|]*\s*[-:]?\s*",
        re.IGNORECASE,
    )
    for shape in (
        rf"(?P<year>\d{{4}})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T ]\s*{_CLOCK}{_ZONE}",
        rf"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?(?P<day>\d{{1,2}})[- /](?P<name>[a-z]{{3}})[- /](?P<year>\d{{4}})[ :,T]+{_CLOCK}{_ZONE}",
        rf"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?(?P<name>[a-z]{{3}})\s+(?P<day>\d{{1,2}})\s+{_CLOCK}(?:\s+(?P<year>\d{{4}})(?!\d))?{_ZONE}",
    )
)
_ANYWHERE = re.compile(rf"(?P<year>20\d\d)-(?P<month>\d\d)-(?P<day>\d\d)[T ]{_CLOCK}{_ZONE}")
_CLOCK_ALONE = re.compile(r"^\s*\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?\s+(?=\S)")


def leading_time(line: str) -> tuple[str | None, int] | None:
    """The time at the start of the line and where the rest begins; (None, n) for a clock without a day."""
    for shape in _SHAPES:
        if (found := shape.match(line)) and (time := _iso(found)) is not False:
            return time, found.end()
    if found := _CLOCK_ALONE.match(line):
        return None, found.end()
    return None


def time_inside(line: str) -> str | None:
    """An unmistakable date and time anywhere in the line."""
    found = _ANYWHERE.search(line)
    time = _iso(found) if found else None
    return time or None


def _iso(found: re.Match[str]) -> str | None | bool:
    """ISO 8601, in UTC where a zone is told; None where the year is not; False where it is no time."""
    part = found.groupdict()
    month = int(part["month"]) if part.get("month") else _MONTHS.get((part.get("name") or "").lower())
    if not month:
        return False
    if not part.get("year"):
        return None
    try:
        moment = datetime(
            int(part["year"]), month, int(part["day"]), int(part["hour"]), int(part["minute"]), int(part["second"] or 0)
        )
    except ValueError:
        return False
    return _in_utc(moment, part.get("zone"))


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
        a, b = datetime.fromisoformat(earlier), datetime.fromisoformat(later)
    except ValueError:
        return None
    if (a.tzinfo is None) != (b.tzinfo is None):
        return None
    return (b - a).total_seconds()
