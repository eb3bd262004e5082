"""A watched session as a plain dialogue: what `mailwhy mock --replay` plays and `mailwhy explain` reads. Pure.

    # mailwhy relay: one session, secrets masked
    # protocol: smtp
    # habits: no_auth                                  what cannot be seen from the lines below, too
    # step: tcp ok {"address": "127.0.0.1"}            a stage that the dialogue does not show
    S: 220 mail.example.org ready
    C: EHLO app.example.org
    # step: tls tls_untrusted {"side": "app"}          a stage, and why it ended without an answer

`read` is the way back: the same watch reads the lines along once more, so that both come to the same evidence.
"""

from __future__ import annotations

import json
import re

from ..model import Account, Attempt, Fault, Kind, Protocol, Stage, Step, Target, Tls, bracketed
from ..reply import harmless
from .imap import Imap
from .pop import Pop
from .serve import Seen
from .smtp import Smtp
from .watch import LEFT_OUT, Watch, mended

MARK = "# mailwhy relay:"
WATCHES: dict[Protocol, type[Watch]] = {Protocol.SMTP: Smtp, Protocol.IMAP: Imap, Protocol.POP: Pop}
SERVER = re.compile(r"(\S+):(\d+|\?)/(starttls|implicit|none|\?)")


def dialogue(seen: Seen) -> str:
    """`S:`, `C:` and `TLS` lines; all else stands in comments. Secrets were masked before."""
    target, account = seen.attempt.target, seen.account
    habits = (fact.removeprefix("app.") for fact in sorted(seen.attempt.facts))
    headers = {
        "protocol": target.protocol,
        "server": f"{bracketed(target.host or '?')}:{target.port or '?'}/{target.tls or '?'}",
        "app": seen.peer,
        "started": seen.attempt.started,
        "credential": seen.attempt.kind,
        "login": account.login,
        "sender": account.sender if account.sender != account.login else None,
        "habits": ", ".join(habits),
    }
    lines = [f"{MARK} one session, secrets masked"]
    lines += [f"# {name}: {harmless(value)}" for name, value in headers.items() if value]
    lines += [_line(who, text) for who, text in seen.dialogue]
    return "\n".join(lines) + "\n"


def _line(who: str, text: str) -> str:
    if who == "R":
        return f"# the relay - {text}"
    return {"TLS": "TLS", "#": f"# {text}"}.get(who, f"{who}: {text}")


def read(text: str) -> tuple[Account, Attempt] | None:
    """What the recorded session comes to. None for any other text, several sessions in one, or a changed head."""
    if text.count(MARK) != 1 or not text.lstrip("\ufeff \r\n").startswith(MARK):
        return None
    headers: dict[str, str] = {}
    lines = [line.rstrip("\r") for line in text.split("\n")]
    for line in lines:
        name, colon, value = line.removeprefix("# ").partition(": ")
        if line.startswith("# ") and colon:
            headers.setdefault(name, value)
    server = SERVER.fullmatch(headers.get("server", "?:?/?"))
    try:
        protocol, kind = Protocol(headers["protocol"]), headers.get("credential")
        watch = WATCHES[protocol](Target(protocol), upgradable=True)
        for line in lines:
            _again(watch, line)
        host, port, tls = server.groups() if server else ("?", "?", "?")
        host = host.strip("[]")
        target = Target(
            protocol,
            None if host == "?" else host,
            int(port) if port.isdigit() else None,
            None if tls == "?" else Tls(tls),
        )
        facts = frozenset(f"app.{name}" for name in headers.get("habits", "").split(", ") if name)
        login = headers.get("login")
        return Account(login, login, headers.get("sender", login)), Attempt(
            target, mended(watch.steps), Kind(kind) if kind else None, headers.get("started"), facts=facts
        )
    except (KeyError, ValueError, RecursionError):  # the last: JSON nested a thousand deep
        return None


def _again(watch: Watch, line: str) -> None:
    """One line, read along as it was when it was said. Raises ValueError for a step that is none."""
    who, what = line[:3], line[3:]
    if line.startswith("# step: "):
        watch.steps.append(_step(line.removeprefix("# step: ")))
    elif line.startswith("# ") and line.endswith(LEFT_OUT):
        watch.lost_track()
    elif line == "TLS":
        watch.app_secured = watch.server_secured = True
    elif who == "S: ":
        watch.server_line(f"{what}\r\n".encode())
    elif who == "C: ":
        watch.client_line(f"{what}\r\n".encode(), len(what))
    watch.skip_client = watch.skip_server = 0  # mail and literals are not in a recording
    watch.upgrading = watch.upgrade = False


def _step(text: str) -> Step:
    stage, ended, seen = text.split(" ", 2)
    plain = json.loads(seen)
    if not isinstance(plain, dict):
        raise ValueError(text)
    return Step(Stage(stage), ended == "ok", fault=None if ended == "ok" else Fault(ended), seen=plain)
