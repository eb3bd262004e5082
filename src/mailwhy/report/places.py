"""`discover` and `paths` as text and as JSON: the same `Page` as the human report. Pure.

Records, greetings and issuers are others' words: harmless already, shown verbatim, never wrapped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .. import __version__
from ..model import Exit, Knowledge, Protocol, Stage, Tls
from ..places import Answered, AtMicrosoft, Lookup, Path, Paths, Place, State
from ..plain import to_plain
from . import Options
from .human import Page
from .words import clean, seconds
from .words import place as shown_target

TONE: Mapping[State, str] = {
    State.OPEN: "good",
    State.NO_ROUTE: "doubt",
    State.NO_NAME: "doubt",
    State.UNKNOWN: "doubt",
}


# --- discover


def place_text(place: Place, knowledge: Knowledge, options: Options) -> str:
    """Where a domain's mail is: the answer, why, what contradicts, and the records themselves."""
    page = Page(options)
    tone = {AtMicrosoft.YES: "good", AtMicrosoft.LIKELY: "doubt", AtMicrosoft.UNKNOWN: "doubt"}
    page.say(_headline(place, knowledge), tone=tone.get(place.at_microsoft, ""))
    if place.asked != place.domain:
        page.say(f"Domain:        {clean(place.domain)}")
    if place.providers:
        page.say(f"Mail goes to:  {', '.join(map(clean, place.providers))}", hang=15)
    if place.servers:
        page.say("Sign in at:    " + ", ".join(map(shown_target, place.servers)), hang=15)
    if place.direct_send:
        text = (
            f"Direct Send:   {clean(place.direct_send)}, port 25 (without sign-in, to the domain's own mailboxes only)"
        )
        page.say(text, hang=15)
    _list(page, "Why", place.because)
    _list(page, "But", (conflict.text for conflict in place.conflicts))
    page.head("Records")
    for lookup in place.lookups:
        if lookup.answered is Answered.FOUND:
            page.say(f"{lookup.type} {lookup.name}", 2)
            for record in lookup.records:
                page.exact(clean(record))
    for answered, names in _grouped(place.lookups).items():
        page.say(f"{answered.replace('_', ' ')}: {', '.join(names)}", 2, 2)
    return page.text()


def _headline(place: Place, knowledge: Knowledge) -> str:
    titles = " or ".join(knowledge.clouds[cloud].title for cloud in place.clouds)
    name = clean(place.asked)
    if place.exit is Exit.CANCELLED:
        answered = sum(lookup.answered is not Answered.STOPPED for lookup in place.lookups)
        return f"{name}: stopped when {answered} of {len(place.lookups)} questions were answered."
    if place.lookups and all(lookup.answered is Answered.TIMEOUT for lookup in place.lookups):
        return f"{name}: the resolver does not answer, so nothing is known of its mail."
    return {
        AtMicrosoft.YES: f"{name}: its mail is at Microsoft: {titles}.",
        AtMicrosoft.LIKELY: f"{name}: its mailboxes are likely at Microsoft: {titles}.",
        AtMicrosoft.NO: f"{name}: no record puts its mail at Microsoft 365.",
        AtMicrosoft.UNKNOWN: f"{name}: DNS does not show whether its mail is at Microsoft 365.",
    }[place.at_microsoft]


def lookup_line(lookup: Lookup) -> str:
    """One answer in one line, while the others are awaited."""
    return f"{lookup.type:<5} {clean(lookup.name)}: {lookup.answered.replace('_', ' ')}"


def path_line(path: Path) -> str:
    """One path in one line, while the others are tried."""
    port, mode, where, state, took = _row(path)
    return f"{mode:<13} {port:>3} {clean(path.target.host)} {where}: {state} after {took}"


def _grouped(lookups: Iterable[Lookup]) -> dict[str, list[str]]:
    """What was asked and not found, by what became of it."""
    found: dict[str, list[str]] = {}
    for lookup in lookups:
        if lookup.answered is not Answered.FOUND:
            found.setdefault(str(lookup.answered), []).append(f"{lookup.type} {lookup.name}")
    return found


def _list(page: Page, title: str, lines: Iterable[str]) -> None:
    texts = list(lines)
    if texts:
        page.head(title)
    for text in texts:
        page.say(f"- {clean(text)}", 2, 2)


def place_json(place: Place) -> str:
    """One object, schema "mailwhy/discover/1"."""
    return _json("discover", to_plain(place), place.exit)


# --- paths


def paths_text(paths: Paths, options: Options) -> str:
    """A table: one line an address and port; under it what was seen, and what was learned about the names."""
    page = Page(options)
    page.say(_verdict(paths))
    rows = [_row(path) for path in paths.paths]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    host = None
    for path, row in zip(paths.paths, rows, strict=True):
        if path.target.host != host:
            host = path.target.host
            page.head(clean(host))
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        if not path.expected:
            cells[3] = page.paint(cells[3], TONE.get(path.state, "bad"))
        page.exact(" ".join(cells).rstrip(), 2)
        for text in (path.expected and f"normal: {path.expected}", path.said):
            if text:
                page.say(clean(text), 6, 2)
    _list(page, "Names", (notice.text for notice in paths.notices))
    return page.text()


def _row(path: Path) -> tuple[str, str, str, str, str]:
    target = path.target
    mode = {Tls.STARTTLS: "STARTTLS", Tls.IMPLICIT: "TLS", Tls.NONE: "clear"}.get(target.tls or Tls.NONE, "")
    where = path.address or "-"
    state = path.state.replace("_", " ")
    return f"{target.port}", f"{target.protocol.upper()} {mode}", where, state, seconds(path.seconds)


def _verdict(paths: Paths) -> str:
    clean_ones = [path for path in paths.paths if path.state is State.OPEN]
    odd = [path for path in paths.paths if path.state is not State.OPEN and not path.expected and path.state.definite]
    if paths.stopped:
        known = [path for path in paths.paths if path.state is not State.UNKNOWN]
        text = f"Stopped: {len(known)} of {len(paths.paths)} paths were tried to their end."
        return text + (f" Open: {_ports(clean_ones)}." if clean_ones else "")
    if paths.exit == 0:
        text = f"Open: {_ports(clean_ones)}."
        return text + (f" Not so: {_ports(odd, states=True)}." if odd else "")
    if paths.exit == 1:
        smtp = [path for path in odd if path.target.protocol is Protocol.SMTP]
        return f"No clean way to the server: {_ports(smtp or odd, states=True) or 'every path ends before it'}."
    return "Could not find out: no address could be tried."


def _ports(paths: Sequence[Path], *, states: bool = False) -> str:
    shown = []
    for path in paths:
        ending = f": {path.state.replace('_', ' ')}" if states else ""
        shown.append(f"{path.target.port} {path.family}".rstrip() + ending)
    return ", ".join(dict.fromkeys(shown))


def paths_json(paths: Paths) -> str:
    """One object, schema "mailwhy/paths/1"; each path with the steps that were seen."""
    rows = []
    for path in paths.paths:
        plain: dict[str, Any] = to_plain(path)
        attempt = plain.pop("attempt")
        plain["steps"] = attempt["steps"] if attempt else []
        plain["tls"] = _tls(path)
        rows.append(plain)
    return _json("paths", {"paths": rows, "notices": to_plain(paths.notices)}, paths.exit)


def _tls(path: Path) -> dict[str, Any]:
    """What was seen of the certificate, at hand without searching the steps."""
    steps = path.attempt.stage(Stage.TLS) if path.attempt else ()
    kept = ("version", "cipher", "subject", "issuer", "not_after", "problems")
    return {key: step.seen[key] for step in steps for key in kept if key in step.seen}


def _json(command: str, plain: dict[str, Any], exit_: int) -> str:
    head = {"schema": f"mailwhy/{command}/1", "command": command, "tool": f"mailwhy {__version__}"}
    return json.dumps({**head, **plain, "exit": int(exit_)}, indent=2, ensure_ascii=True) + "\n"
