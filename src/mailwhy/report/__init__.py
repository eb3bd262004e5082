"""The reports: one function a format, and the table of them. Pure: an Outcome comes in, text goes out.

One more format = one module and one line in `FORMATS`. The console is never touched here.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from ..model import Knowledge, Outcome


@dataclass(frozen=True, slots=True)
class Options:
    """How to show it: columns, whether ANSI colour is wanted, and how much (-1 quiet ... 2 everything)."""

    width: int = 80
    color: bool = False
    verbosity: int = 0


# name -> module with `render(outcome, knowledge, options) -> str`; imported when used
FORMATS: dict[str, str] = {
    "human": "human",
    "json": "json",
}


def render(outcome: Outcome, knowledge: Knowledge, format_: str = "human", options: Options | None = None) -> str:
    """The outcome in one of `FORMATS`, with a final line end. KeyError for a format that is not there."""
    module = import_module(f".{FORMATS[format_]}", __name__)
    text: str = module.render(outcome, knowledge, options or Options())
    return text
