"""A watched session as a plain dialogue: what `mailwhy mock --replay` plays and `mailwhy explain` reads. Pure."""

from __future__ import annotations

from ..model import bracketed
from .serve import Seen


def dialogue(seen: Seen) -> str:
    """`S:`, `C:` and `TLS` lines; what the relay itself did stands in comments. Secrets were masked before."""
    target = seen.attempt.target
    lines = [
        f"# protocol: {target.protocol}",
        f"# server: {bracketed(target.host or '?')}:{target.port or '?'}/{target.tls or '?'}",
        f"# app: {seen.peer}",
        f"# started: {seen.attempt.started or '?'}",
    ]
    lines += [_line(who, text) for who, text in seen.dialogue]
    if seen.dropped:
        lines.append(f"# and {seen.dropped} lines more")
    return "\n".join(lines) + "\n"


def _line(who: str, text: str) -> str:
    if who == "R":
        return f"# the relay - {text}"
    return "TLS" if who == "TLS" else f"{who}: {text}"
