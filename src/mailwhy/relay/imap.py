"""Reads an IMAP dialogue along: sign-in, capabilities, does the mailbox open. No I/O; keeps no mail and no secret."""

from __future__ import annotations

import re

from ..model import Fault, Kind, Stage
from ..probe import hello
from ..reply import decode
from .smtp import unbase64
from .watch import Asked, Watch

COMMAND = 8192  # octets in a command line, RFC 7162 4
LITERAL = re.compile(rb"\{(\d{1,12})(\+?)\}\r?\n$")
COUNT = re.compile(rb"\* \d+ (EXISTS|RECENT)\r?\n", re.IGNORECASE)
TAGGED = re.compile(rb"([^\s*+]\S*) (OK|NO|BAD)\b", re.IGNORECASE)
WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s"(){]+)')
BEFORE = frozenset({"CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "ID", "ENABLE"})
AFTER = frozenset(
    {"SELECT", "EXAMINE", "LIST", "LSUB", "NAMESPACE", "STATUS", "IDLE", "CLOSE", "UNSELECT", "CHECK", "EXPUNGE"}
)
UNKNOWN = "***"  # no app's tag: in a recording it stands for a command that is not shown
OPTIONAL = frozenset({"ID", "ENABLE", "NOOP"})  # a server need not know them before a sign-in
MAILBOX = frozenset(["SELECT", "EXAMINE", "LIST", "LSUB", "NAMESPACE", "STATUS"])


class Imap(Watch):
    """One IMAP session."""

    goodbyes = frozenset({"LOGOUT"})

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]  # handed on as they came
        self._greeted = False
        self._words: list[str] = []
        self._command = ""  # a command whose literals are still arriving
        self._withheld = False  # its literal waits for the server's leave
        self._literal = bytearray()  # of a LOGIN only
        self._tried = False

    # --- the app

    def client_line(self, line: bytes, size: int) -> None:
        self.habit("bare_lf", not line.endswith(b"\r\n"))
        self.habit("line_too_long", size > COMMAND)
        self._withheld = False
        if any(asked.verb == "AUTHENTICATE" for asked in self.asked):
            self.note("C", "***")
            self._sasl(decode(line).strip())
            return
        if literal := LITERAL.search(line):
            self._command += self._with_literal() + decode(line[: literal.start()])
            self._literal.clear()
            self.skip_client = int(literal[1])
            self._withheld = not literal[2] and self.skip_client > 0
            self._command += "\0"  # where a literal stands
            return
        command = self._command + self._with_literal() + decode(line)
        self._command = ""
        self._literal.clear()
        self._whole(command)

    def skipped(self, data: bytes) -> None:
        self._withheld = False
        if len(self._literal) < COMMAND and " LOGIN " in self._command[:200].upper():
            self._literal += data[:COMMAND]

    def _with_literal(self) -> str:
        """The literal that has arrived, as a quoted string: it is read like one."""
        if not self._command.endswith("\0"):
            return ""
        text = bytes(self._literal).decode("utf-8", "replace").replace("\\", "\\\\").replace('"', '\\"')
        self._command = self._command[:-1]
        return f'"{text}"'

    def _whole(self, command: str) -> None:
        tag, _, rest = command.strip().partition(" ")
        verb, _, words = rest.partition(" ")
        verb = verb.upper() or ("DONE" if tag.upper() == "DONE" else "")
        if verb == "DONE":
            self.note("C", "DONE")
            return
        asked = Asked(verb if verb.isalpha() else "?", verb if verb in BEFORE | AFTER else "a command", self.now, tag)
        if verb == "LOGIN":
            self._login(tag, words, asked)
        elif verb == "AUTHENTICATE":
            self._authenticate(tag, words, asked)
        elif verb in BEFORE or (self.signed_in and verb in AFTER):
            self.note("C", f"{tag} {rest}")
        else:
            if not self.signed_in:
                self.suspects(command.strip())
            self.note("C", f"*** ({len(command)} octets)")
        self.asked.append(asked)
        if verb == "STARTTLS" and self.upgradable and not self.server_secured:
            self.upgrading = True

    def _trying(self, asked: Asked, mechanism: str, sent: str) -> None:
        asked.mechanism, asked.sent = mechanism, sent
        self._tried = True
        self.kind = Kind.OAUTH if mechanism in ("XOAUTH2", "OAUTHBEARER") else Kind.PASSWORD
        self.habit("auth_before_tls", self.upgradable and not self.app_secured)

    def _login(self, tag: str, words: str, asked: Asked) -> None:
        found = [unquoted(each) for each in WORD.finditer(words)]
        self._trying(asked, "LOGIN", "LOGIN")
        self.habit("login_unquoted", len(found) > 2)
        self.login = found[0] if found else None
        self.knows(found[1] if len(found) > 1 else None)
        self.note("C", f'{tag} LOGIN "{self.login or ""}" ***')

    def _authenticate(self, tag: str, words: str, asked: Asked) -> None:
        mechanism, _, initial = words.partition(" ")
        mechanism = mechanism.upper() if re.fullmatch(r"[A-Za-z0-9_-]{1,20}", mechanism) else "?"
        self._trying(asked, mechanism, f"AUTHENTICATE {mechanism}")
        self.habit("mechanism_not_offered", f"AUTH={mechanism}" not in self._words)
        self.note("C", f"{tag} AUTHENTICATE {mechanism}{' ***' if initial else ''}")
        self._sasl(initial, mechanism)

    def _sasl(self, text: str, mechanism: str = "") -> None:
        mechanism = mechanism or next(a.mechanism for a in self.asked if a.verb == "AUTHENTICATE")
        value = unbase64(text.strip()) if text else None
        if value and mechanism == "PLAIN" and value.count("\0") == 2:
            self.login = value.split("\0")[1]
            self.knows(value.split("\0")[2])
        elif value and mechanism == "XOAUTH2" and value.startswith("user="):
            self.login = value[5:].split("\x01")[0]
            self.knows(value.partition("auth=Bearer ")[2].split("\x01")[0])
        elif value and mechanism == "LOGIN":
            self.knows(value)

    # --- the server

    def server_line(self, line: bytes) -> None:
        if literal := LITERAL.search(line):
            self.skip_server = int(literal[1])
        tagged = TAGGED.match(line)
        upper = line[:16].upper()
        if tagged or upper.startswith((b"* OK", b"* NO", b"* BAD", b"* BYE", b"* PREAUTH", b"* CAPABILITY", b"+")):
            self.heard(line)
        elif COUNT.match(line):
            self.note("S", decode(line))
        if line.startswith(b"+"):
            self.answer = []
        if not self._greeted:
            self._greeting()
        elif upper.startswith(b"* BYE"):
            self._goodbye()
        elif upper.startswith(b"* CAPABILITY"):
            self._listed(decode(line).split()[2:])
        elif tagged:
            self._answered(decode(tagged[1]), tagged[2].upper() == b"OK")

    def _greeting(self) -> None:
        self._greeted = True
        reply = self.reply()
        seen = {"host": reply.server or hello.host(reply.text), "software": hello.software(reply.text)}
        self.step(Stage.GREETING, ok=reply.status in ("OK", "PREAUTH"), reply=reply, seen=seen)

    def _goodbye(self) -> None:
        leaving = any(asked.verb == "LOGOUT" for asked in self.asked)
        if leaving:
            return
        reply = self.reply()
        asked = self.asked.pop(0) if self.asked else None
        stage = self.stage_of(asked) if asked else Stage.USE if self.signed_in else Stage.CAPABILITIES
        self.step(stage, ok=False, asked=asked, reply=reply)

    def _listed(self, words: list[str]) -> None:
        self._words = [word.upper() for word in words]
        if not any(asked.verb == "CAPABILITY" for asked in self.asked):
            return
        auth = [word[5:] for word in self._words if word.startswith("AUTH=")]
        self.step(Stage.CAPABILITIES, asked=self.asked[0], seen={"words": self._words, "auth": auth})

    def _answered(self, tag: str, ok: bool) -> None:
        if self._withheld and self._command.split(" ")[0] == tag:  # no leave: the literal does not come
            self.skip_client, self._withheld = 0, False
            command, self._command = self._command.removesuffix("\0"), ""
            self._whole(command)
        asked = next((each for each in self.asked if each.tag in (tag, UNKNOWN)), None)
        reply = self.reply()
        if asked is None:
            return
        self.asked.remove(asked)
        if asked.mechanism:
            self.signed_in |= ok
            self.refused += not ok
            self.habit("several_sign_ins", self.refused > 1)
            self.step(Stage.AUTH, ok=ok, asked=asked, reply=reply, seen={"mechanism": asked.mechanism})
        elif asked.verb == "STARTTLS":
            self.upgrading, self.upgrade = False, ok and self.upgradable
            if not ok:
                self.step(Stage.TLS, ok=False, asked=asked, reply=reply)
        elif self.signed_in and (not ok or (asked.verb in MAILBOX and not self._used)):
            self.step(Stage.USE, ok=ok, asked=asked, reply=reply)
        elif not ok and asked.verb not in OPTIONAL:
            self.step(Stage.CAPABILITIES, ok=False, asked=asked, reply=reply)

    @property
    def _used(self) -> bool:
        return any(step.stage is Stage.USE and step.ok for step in self.steps)

    # --- the end

    def stage_of(self, asked: Asked) -> Stage:
        if asked.mechanism:
            return Stage.AUTH
        return Stage.USE if self.signed_in else Stage.TLS if asked.verb == "STARTTLS" else Stage.CAPABILITIES

    def conclude(self) -> None:
        self.habit("no_auth", self._greeted and not self._tried)
        self.habit("no_starttls", self._greeted and self.upgradable and not self.app_secured)
        if self._greeted and not self._tried and all(step.ok for step in self.steps):
            self.failed(Stage.AUTH, Fault.NOT_OFFERED)


def unquoted(found: re.Match[str]) -> str:
    """A word of an IMAP command, without its quotes."""
    return found[2] if found[1] is None else re.sub(r"\\(.)", r"\1", found[1])
