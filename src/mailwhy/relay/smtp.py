"""Reads an SMTP dialogue along: sign-in, envelope, the habits of old devices. No I/O; keeps no mail and no secret."""

from __future__ import annotations

import base64
import binascii
import re

from ..model import Fault, Kind, Stage
from ..probe import hello
from ..reply import decode
from .watch import Asked, Watch

COMMAND = 512  # octets in a command line, RFC 5321 4.5.3.1.4
TEXT = 1000  # octets in a line of mail, with its end, RFC 5321 4.5.3.1.6
HEADERS = 64 * 1024  # octets of a message in which its From: is looked for
REPLY = re.compile(rb"[2-5]\d\d([ -]|\r?\n|$)")
SOURCE = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f.:]*[.:][0-9A-Fa-f.:]*)\]")
ADDRESS = re.compile(r"<([^<>\s]*)>")
FROM = re.compile(rb"^from:[^\r\n]*?([^\s<>\"',;]+@[^\s<>\"',;]+)", re.IGNORECASE)
FULL_NAME = re.compile(r"\[[0-9A-Fa-f.:IPv]+\]|localhost|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)
SHOWN = frozenset(
    {"EHLO", "HELO", "STARTTLS", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "VRFY", "EXPN", "HELP"}
)
USERS = ("user", "login", "name")


class Smtp(Watch):
    """One SMTP session."""

    goodbyes = frozenset({"QUIT"})

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]  # handed on as they came
        self._greeted = False
        self._hello = ""  # EHLO or HELO, since the last change of TLS
        self._ehlo_ever = False
        self._offered: list[str] = []
        self._words: list[str] = []
        self._prompt = ""  # what the server asked for in a sign-in: "user", "password", "token", "" (nothing)
        self._tried = False
        self._sent_mail = False
        self._mail = False  # in the text of a message
        self._header = 0
        self._line_ended = True  # the last line of the message ended in CRLF
        self._octets = 0

    @property
    def sending(self) -> bool:
        return self._mail or self.skip_client > 0

    # --- the app

    def client_line(self, line: bytes, size: int) -> None:
        self.habit("bare_lf", not line.endswith(b"\r\n"))
        if self._mail:
            self._mail_line(line, size)
        elif any(asked.verb == "AUTH" for asked in self.asked):
            self._sasl_line(line)
        else:
            self._command(line, size)

    def _command(self, line: bytes, size: int) -> None:
        text = decode(line).strip()
        verb, _, rest = text.partition(" ")
        verb = verb.upper()
        self.habit("line_too_long", size > COMMAND and verb != "AUTH")
        asked = Asked(verb if verb in SHOWN or verb == "AUTH" else "?", verb if verb in SHOWN else "", self.now)
        if verb == "AUTH":
            self._auth(rest, asked)
        elif verb in SHOWN:
            self.note("C", text)
        else:
            self.suspects(text)
            self.note("C", f"*** ({size} octets, no command known here)")
        self.asked.append(asked)
        if verb in ("EHLO", "HELO"):
            self._named(verb, rest)
        elif verb == "MAIL":
            self._sent_mail = True
            self.habit("no_ehlo_after_tls", self.app_secured and not self._hello)
            if found := ADDRESS.search(rest):
                self.sender = found[1] or self.sender
        elif verb == "BDAT" and rest.split(" ")[0].isdigit():
            self.skip_client = int(rest.split(" ")[0])
        elif verb == "STARTTLS" and self.upgradable and not self.server_secured:
            self.upgrading = True

    def _named(self, verb: str, name: str) -> None:
        self._hello = verb
        self._ehlo_ever |= verb == "EHLO"
        self.habit("odd_name", not FULL_NAME.fullmatch(name.strip()))

    def _auth(self, rest: str, asked: Asked) -> None:
        words = rest.split()
        mechanism = words[0].upper() if words and re.fullmatch(r"[A-Za-z0-9_-]{1,20}", words[0]) else "?"
        self.note("C", f"AUTH {mechanism}{' ***' if len(words) > 1 else ''}")
        asked.sent, asked.mechanism = f"AUTH {mechanism}", mechanism
        self._tried = True
        self.kind = Kind.OAUTH if mechanism in ("XOAUTH2", "OAUTHBEARER") else Kind.PASSWORD
        self.habit("auth_before_tls", self.upgradable and not self.app_secured)
        self.habit("mechanism_not_offered", mechanism not in self._offered)
        self.habit("no_ehlo_after_tls", self.app_secured and not self._hello)
        self._prompt = "user" if mechanism == "LOGIN" else mechanism
        if len(words) > 1:
            self._sasl(words[1])

    def _sasl_line(self, line: bytes) -> None:
        """An answer in a sign-in, or what is taken for one: never kept."""
        text = line.strip().decode("ascii", "replace")
        if text == "*":
            self.note("C", "*")
            return
        self.note("C", f"*** (the {self._prompt or 'answer'})" if self._prompt in ("user", "password") else "***")
        if self._prompt != "user":
            self.suspects(text)
        self._sasl(text)

    def _sasl(self, text: str) -> None:
        value = unbase64(text)
        if value is None:
            return
        if self._prompt == "user":
            self.login, self._prompt = value, "password"
        elif self._prompt == "password":
            self.knows(value)
        elif self._prompt == "PLAIN" and value.count("\0") == 2:
            self.login = value.split("\0")[1]
            self.knows(value.split("\0")[2])
        elif self._prompt == "XOAUTH2" and value.startswith("user="):
            self.login = value[5:].split("\x01")[0]
            self.knows(value.partition("auth=Bearer ")[2].split("\x01")[0])

    def _mail_line(self, line: bytes, size: int) -> None:
        self._octets += size
        if line == b".\r\n" and self._line_ended:
            self._mail = False
            self.note("C", f"*** (a message of {self._octets} octets)")
            self.note("C", ".")
            return
        self._line_ended = line.endswith(b"\r\n")
        self.habit("line_too_long", size > TEXT)
        if 0 <= self._header < HEADERS:
            self._header += size
            if not line.strip():
                self._header = -1
            elif (found := FROM.match(line)) and self.login:
                address = decode(found[1])
                self.habit("from_differs", address.casefold() != self.login.casefold())

    # --- the server

    def server_line(self, line: bytes) -> None:
        self.heard(line)
        found = REPLY.match(line)
        if not found or found[1] == b"-":
            return
        if not self._greeted:
            self._greeting()
        elif not self.asked:
            self._unasked()
        else:
            self._answered(line[:3].decode())

    def _greeting(self) -> None:
        self._greeted = True
        reply = self.reply()
        seen = {"host": hello.host(reply.text), "software": hello.software(reply.text)}
        self.step(Stage.GREETING, ok=reply.status == "220", reply=reply, seen=seen)

    def _unasked(self) -> None:
        reply = self.reply()
        if reply.status[:1] in ("4", "5"):
            self.step(Stage.USE if self.signed_in else Stage.CAPABILITIES, ok=False, reply=reply)

    def _answered(self, status: str) -> None:
        asked = self.asked[0]
        if status == "334" and asked.verb == "AUTH":
            self._challenged()
            return
        if status == "354" and asked.verb == "DATA":
            self.answer = []
            self._mail, self._header, self._line_ended, self._octets = True, 0, True, 0
            return
        self.asked.pop(0)
        reply = self.reply()
        ok = status[:1] == "2"
        if asked.verb == "AUTH":
            self._judged(asked, status == "235")
            self.step(Stage.AUTH, ok=status == "235", asked=asked, reply=reply, seen={"mechanism": asked.mechanism})
        elif asked.verb in ("EHLO", "HELO"):
            self._capabilities(asked, reply.lines, ok)
            self.step(Stage.CAPABILITIES, ok=ok, asked=asked, reply=reply, seen=self._list(reply.lines, ok))
        elif asked.verb == "STARTTLS":
            self.upgrading, self.upgrade = False, ok
            if ok:
                self._hello, self._offered = "", []
            else:
                self.step(Stage.TLS, ok=False, asked=asked, reply=reply)
        elif asked.verb in ("MAIL", "RCPT", "DATA", "BDAT") or not ok:
            self._used(asked, ok)
            self.step(Stage.USE, ok=ok, asked=asked, reply=reply)

    def _used(self, asked: Asked, ok: bool) -> None:
        asked.sent = {"MAIL": "MAIL FROM", "RCPT": "RCPT TO", "?": "a command"}.get(asked.verb, asked.verb)
        if asked.verb == "DATA" and not ok:
            self._mail = False

    def _challenged(self) -> None:
        words = unbase64(decode(self.answer[-1])[4:].strip()) or ""
        self.answer = []
        if self._prompt in ("user", "password"):
            self._prompt = "user" if any(name in words.casefold() for name in USERS) else "password"

    def _judged(self, asked: Asked, ok: bool) -> None:
        self.signed_in |= ok
        self.refused += not ok
        self.habit("several_sign_ins", self.refused > 1)

    def _capabilities(self, asked: Asked, lines: tuple[str, ...], ok: bool) -> None:
        if not ok:
            return
        words = [line[4:].strip() for line in lines[1:]] if asked.verb == "EHLO" else []
        self._words = [word.upper() for word in words]
        offers = [word.replace("=", " ").split() for word in self._words]
        self._offered = [name for offer in offers if offer[:1] == ["AUTH"] for name in offer[1:]]

    def _list(self, lines: tuple[str, ...], ok: bool) -> dict[str, object]:
        first = lines[0][4:] if lines else ""
        seen: dict[str, object] = {"words": self._words, "auth": self._offered, "host": hello.host(first)} if ok else {}
        if ok and (found := SOURCE.search(first)):
            seen["source"] = found[1]
        return seen

    # --- the end

    def lost_track(self) -> None:
        super().lost_track()
        self._mail = False

    def stage_of(self, asked: Asked) -> Stage:
        stages = {"AUTH": Stage.AUTH, "EHLO": Stage.CAPABILITIES, "HELO": Stage.CAPABILITIES, "STARTTLS": Stage.TLS}
        return stages.get(asked.verb, Stage.USE)

    def conclude(self) -> None:
        greeted = any(step.stage is Stage.CAPABILITIES and step.ok for step in self.steps)
        self.habit("helo", greeted and not self._ehlo_ever)
        self.habit("no_auth", greeted and not self._tried)
        self.habit("no_starttls", greeted and self.upgradable and not self.app_secured)
        if greeted and not self._tried and not self._sent_mail and all(step.ok for step in self.steps):
            self.failed(Stage.AUTH, Fault.NOT_OFFERED)


def unbase64(text: str) -> str | None:
    """What the base64 stands for, None where it is none."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return None
