"""Reads a POP dialogue along: sign-in, capabilities, whether the mailbox opens. No I/O; keeps no mail and no secret."""

from __future__ import annotations

import re

from ..model import Fault, Kind, Stage
from ..probe import hello
from ..reply import decode
from .smtp import unbase64
from .watch import Asked, Watch

COMMAND = 255  # octets in a command, RFC 2449 4
SHOWN = frozenset(["CAPA", "STLS", "STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "RSET", "NOOP", "QUIT"])
MANY = frozenset({"CAPA", "RETR", "TOP"})  # answered with several lines; LIST and UIDL only without an argument
SIGN_IN = frozenset({"PASS", "AUTH", "APOP"})


class Pop(Watch):
    """One POP session."""

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]  # handed on as they came
        self._greeted = False
        self._listing: Asked | None = None  # an answer of several lines is being read
        self._list: list[str] = []
        self._offered: list[str] = []
        self._tried = False

    @property
    def due(self) -> bool:
        return self._listing is not None or super().due

    # --- the app

    def client_line(self, line: bytes, size: int) -> None:
        self.habit("bare_lf", not line.endswith(b"\r\n"))
        text = decode(line).strip()
        if any(asked.verb == "AUTH" for asked in self.asked):
            self.note("C", "***")
            self._sasl(text, next(asked.mechanism for asked in self.asked if asked.verb == "AUTH"))
            return
        verb, _, rest = text.partition(" ")
        verb = verb.upper()
        asked = Asked(verb if verb.isalpha() else "?", verb if verb in SHOWN else "a command", self.now)
        if verb in SIGN_IN:
            self._sign_in(verb, rest, asked, size)
        elif verb == "USER":
            self.login, asked.sent = rest, "USER"
            self.note("C", text)
        elif verb in SHOWN:
            self.habit("line_too_long", size > COMMAND)
            self.note("C", text)
        else:
            self.suspects(text)
            self.note("C", f"*** ({size} octets, no command known here)")
        asked.many = verb in MANY or (verb in ("LIST", "UIDL") and not rest.strip())
        self.asked.append(asked)
        if verb == "STLS" and self.upgradable and not self.server_secured:
            self.upgrading = True

    def _sign_in(self, verb: str, rest: str, asked: Asked, size: int) -> None:
        self._tried = True
        self.kind = Kind.PASSWORD
        self.habit("auth_before_tls", self.upgradable and not self.app_secured)
        if verb == "AUTH":
            mechanism, _, initial = rest.partition(" ")
            mechanism = mechanism.upper() if re.fullmatch(r"[A-Za-z0-9_-]{1,20}", mechanism) else "?"
            asked.mechanism, asked.sent = mechanism, f"AUTH {mechanism}"
            self.kind = Kind.OAUTH if mechanism in ("XOAUTH2", "OAUTHBEARER") else Kind.PASSWORD
            self.habit("mechanism_not_offered", mechanism not in self._offered)
            self.habit("token_on_one_line", bool(initial) and mechanism == "XOAUTH2")
            self.note("C", f"AUTH {mechanism}{' ***' if initial else ''}")
            self._sasl(initial, mechanism)
        else:
            asked.mechanism, asked.sent = ("USER" if verb == "PASS" else "APOP"), verb
            self.note("C", f"{verb} ***")
            self.knows(rest if verb == "PASS" else None)

    def _sasl(self, text: str, mechanism: str) -> None:
        value = unbase64(text.strip()) if text else None
        if value and mechanism == "PLAIN" and value.count("\0") == 2:
            self.login = value.split("\0")[1]
            self.knows(value.split("\0")[2])
        elif value and mechanism == "XOAUTH2" and value.startswith("user="):
            self.login = value[5:].split("\x01")[0]
            self.knows(value.partition("auth=Bearer ")[2].split("\x01")[0])

    # --- the server

    def server_line(self, line: bytes) -> None:
        if self._listing:
            self._more(line)
            return
        self.heard(line)
        if line.startswith(b"+ ") or line.rstrip() == b"+":
            self.answer = []
        elif not self._greeted:
            self._greeting()
        elif self.asked:
            self._answered(line[:3].upper() == b"+OK")
        else:
            self.step(Stage.USE if self.signed_in else Stage.CAPABILITIES, ok=False, reply=self.reply())

    def _greeting(self) -> None:
        self._greeted = True
        reply = self.reply()
        seen = {"host": reply.server or hello.host(reply.text), "software": hello.software(reply.text)}
        self.step(Stage.GREETING, ok=reply.status == "+OK", reply=reply, seen=seen)

    def _more(self, line: bytes) -> None:
        asked = self._listing
        end = line.rstrip(b"\r\n") == b"."
        if end or (asked and asked.verb == "CAPA"):
            self.note("S", decode(line))
        if not end:
            if asked and asked.verb == "CAPA" and len(self._list) < COMMAND:
                self._list.append(decode(line))
            return
        self._listing = None
        if asked and asked.verb == "CAPA":
            sasl = [word.upper().split()[1:] for word in self._list if word.upper().startswith("SASL")]
            self._offered = [name for names in sasl for name in names]
            auth = [*self._offered, *("USER" for word in self._list if word.upper() == "USER")]
            self.step(Stage.CAPABILITIES, asked=asked, seen={"words": self._list, "auth": auth})

    def _answered(self, ok: bool) -> None:
        asked = self.asked.pop(0)
        reply = self.reply()
        if ok and asked.many:
            self._listing, self._list = asked, []
        elif asked.mechanism:
            self.signed_in |= ok
            self.refused += not ok
            self.habit("several_sign_ins", self.refused > 1)
            self.step(Stage.AUTH, ok=ok, asked=asked, reply=reply, seen={"mechanism": asked.mechanism})
        elif asked.verb == "STLS":
            self.upgrading, self.upgrade = False, ok and self.upgradable
            if not ok:
                self.step(Stage.TLS, ok=False, asked=asked, reply=reply)
        elif not ok and asked.verb != "CAPA":  # a server need not know CAPA
            self.step(self.stage_of(asked), ok=False, asked=asked, reply=reply)
        elif asked.verb == "STAT":
            self.step(Stage.USE, asked=asked, reply=reply)

    # --- the end

    def lost_track(self) -> None:
        super().lost_track()
        self._listing = None

    def stage_of(self, asked: Asked) -> Stage:
        if asked.mechanism or asked.verb == "USER":
            return Stage.AUTH
        return Stage.USE if self.signed_in else Stage.TLS if asked.verb == "STLS" else Stage.CAPABILITIES

    def conclude(self) -> None:
        self.habit("no_auth", self._greeted and not self._tried)
        self.habit("no_starttls", self._greeted and self.upgradable and not self.app_secured)
        if self._greeted and not self._tried and all(step.ok for step in self.steps):
            self.failed(Stage.AUTH, Fault.NOT_OFFERED)
