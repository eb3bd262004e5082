"""The reports: one function a format, and the table of them. Pure: an Outcome comes in, text goes out.

One more format = one module and one line in `FORMATS`. The console is never touched here.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from ..model import Knowledge, Outcome
from ..noun import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """How to show it.

    width, color, verbosity   columns, whether ANSI colour is wanted, how much (-1 quiet ... 2 everything)
    utc_offset                the reader's own offset ("+01:00"); said once, every time is UTC
    warn_days, crit_days      days that a certificate must still be valid for (nagios)
    warn_seconds, crit_seconds   limits of the whole attempt (nagios); None: no limit
    users                     whether labels may name the mailbox (prometheus)
    """

    width: int = 80
    color: bool = False
    verbosity: int = 0
    utc_offset: str = ""
    warn_days: int = 30
    crit_days: int = 7
    warn_seconds: float | None = None
    crit_seconds: float | None = None
    users: bool = False


# name -> module with `render(outcome, knowledge, options) -> str`; imported when used. Those of `MANY` also have
# `render_many(outcomes, knowledge, options) -> str`, one document for a whole batch.
FORMATS: dict[str, str] = {
    "human": "human",
    "json": "json",
    "markdown": "markdown",
    "html": "html",
    "junit": "junit",
    "nagios": "nagios",
    "prometheus": "prometheus",
    "csv": "csv",
}
MANY: frozenset[str] = frozenset({"json", "markdown", "html", "junit", "prometheus", "csv"})


def render(outcome: Outcome, knowledge: Knowledge, format_: str = "human", options: Options | None = None) -> str:
    """The outcome in one of `FORMATS`, with a final line end. KeyError for a format that is not there."""
    module = import_module(f".{FORMATS[format_]}", __name__)
    text: str = module.render(outcome, knowledge, options or Options())
    return text


def render_many(outcomes: Iterable[Outcome], knowledge: Knowledge, format_: str, options: Options | None = None) -> str:
    """Many outcomes as one document. KeyError for a format that is not in `MANY`."""
    if format_ not in MANY:
        raise KeyError(format_)
    module = import_module(f".{FORMATS[format_]}", __name__)
    text: str = module.render_many(outcomes, knowledge, options or Options())
    return text
