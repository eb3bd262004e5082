"""Progress while a check runs: one line a stage, on a terminal only. Says what happened, judges nothing."""

from __future__ import annotations

from typing import TextIO

from ..model import Stage, Step, Target
from . import words as w


class Live:
    """An observer: `live(target, step)` after each stage. Silent where the stream is no terminal, or has gone."""

    def __init__(self, stream: TextIO | None, *, color: bool = False) -> None:
        self.stream = stream
        self.color = color
        self.on = _is_terminal(stream)

    def __call__(self, target: Target, step: Step) -> None:
        """One line about one stage."""
        text = f"{w.name(target.protocol):<5} {w.stage_words(step)}"
        if step.stage is Stage.TCP and step.ok:
            text += f" to {w.place(target)}"
        self.say(text, ok=step.ok)

    def say(self, text: str, *, ok: bool = True) -> None:
        """One line about something that is over."""
        if not self.on or self.stream is None:
            return
        if self.color:
            text = f"\x1b[2m{text}\x1b[0m" if ok else f"\x1b[31m{text}\x1b[0m"
        encoding = self.stream.encoding or "utf-8"
        try:
            self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            self.stream.flush()
        except (OSError, ValueError):  # the terminal went away: the check goes on
            self.on = False


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False
