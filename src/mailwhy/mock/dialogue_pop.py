"""POP3 as Exchange answers it, as a generator without sockets (facts: imap-pop 3.5).

XOAUTH2 comes in two lines; in one line it is a protocol error and the connection is closed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator

from ..model import Kind, Stage
from .imap_fetch import halves
from .session import UNKNOWN, Session, mechanism_label, unbase64, xoauth2
from .store import Folder, Message
from .talk import READ_LINE, START_TLS, Act, Dialogue, Say, Wait

Part = Generator[Act, bytes | None, bool]  # a command; True: the session is over

ASSUMED = {
    "quit": "+OK Good-bye.",
    "stls": "+OK Begin TLS negotiation.",
    "no such message": "-ERR The specified message is out of range.",
    "deleted": "+OK",
}
WRONG_STATE = "-ERR Command is not valid in this state."
PROTOCOL_ERROR = "-ERR Protocol error. 19"
ONE_LINE = "-ERR Protocol error. Connection is closed. 10"
REFUSED = "-ERR Authentication failure: unknown user name or bad password."
MAX_COMMAND = 4096  # a longer one is a protocol error (facts: imap-pop 1.6)
TLS_TOO_OLD = (
    "-ERR TLS 1.0 and 1.1 are not supported. Please upgrade/update your client to support TLS 1.2. "
    "Visit https://aka.ms/popimap_tls."
)


class Pop:
    """One POP3 session. `talk()` is the dialogue."""

    def __init__(self, session: Session) -> None:
        self.it = session
        self.user = ""
        self.inbox: Folder | None = None
        self.listed: list[Message] = []
        self.deleted: set[int] = set()
        self.before: dict[str, Callable[[list[bytes]], Part]] = {
            "CAPA": self.capa,
            "STLS": self.stls,
            "USER": self.username,
            "PASS": self.password,
            "AUTH": self.auth,
            "QUIT": self.quit,
        }
        self.after: dict[str, Callable[[list[bytes]], Part]] = {
            "CAPA": self.capa,
            "STAT": self.stat,
            "LIST": self.scan,
            "UIDL": self.uidl,
            "RETR": self.retr,
            "TOP": self.top,
            "DELE": self.dele,
            "RSET": self.rset,
            "NOOP": self.noop,
            "QUIT": self.quit,
        }

    def talk(self) -> Dialogue:
        """The whole session."""
        it = self.it
        if it.tls in ("TLSv1", "TLSv1.1"):
            yield say(TLS_TOO_OLD, Stage.GREETING)
            return
        yield say(f"+OK {it.front.pop_greeting}{it.front.encoded}", Stage.GREETING)
        while True:
            line = yield READ_LINE
            if line is None:
                return
            if len(line) > MAX_COMMAND:
                yield say(ONE_LINE, Stage.AUTH)
                return
            verb, _, rest = line.partition(b" ")
            name = verb.strip().upper().decode("latin-1")
            it.heard(mechanism_label(rest) if name == "AUTH" else name if self.known(name) else UNKNOWN)
            allowed = self.before if self.inbox is None else self.after
            command = allowed.get(name)
            if command is None:
                yield say(WRONG_STATE if self.known(name) else PROTOCOL_ERROR)
            elif (yield from command([rest] if name in ("PASS", "USER") else rest.split())):
                return

    def known(self, name: str) -> bool:
        """Is this a command, here or in another state?"""
        return name in self.before or name in self.after

    def capa(self, _: list[bytes]) -> Part:
        """The list, which says nothing about the retirement (facts: imap-pop 1.2)."""
        words = ["TOP", "UIDL"]
        if self.it.tls:
            words += [f"SASL {' '.join(self.it.front.pop_sasl)}", "USER"]
        else:
            words += ["STLS"]
        yield Say("".join(f"{word}\r\n" for word in ("+OK", *words, ".")).encode(), Stage.CAPABILITIES)
        return False

    def stls(self, _: list[bytes]) -> Part:
        """STLS."""
        if self.it.tls:
            yield say(WRONG_STATE, Stage.TLS)
            return False
        yield say(ASSUMED["stls"], Stage.TLS)
        yield START_TLS
        return False

    def username(self, words: list[bytes]) -> Part:
        """USER: not judged yet."""
        if not self.it.tls:
            yield say(WRONG_STATE, Stage.AUTH)
            return False
        self.user = words[0].decode("utf-8", "replace") if words else ""
        yield say("+OK", Stage.AUTH)
        return False

    def password(self, words: list[bytes]) -> Part:
        """PASS: everything after the one blank is the password."""
        if not self.it.tls or not self.user:
            yield say(WRONG_STATE, Stage.AUTH)
            return False
        user, self.user = self.user, ""
        secret = words[0].decode("utf-8", "replace") if words else ""
        yield from self.judge((user, secret), Kind.PASSWORD, "USER", "+OK User successfully logged on.")
        return False

    def auth(self, words: list[bytes]) -> Part:
        """AUTH XOAUTH2 in two lines, AUTH PLAIN in either form."""
        name = words[0].upper().decode("latin-1") if words else ""
        if not self.it.tls or name not in ("XOAUTH2", "PLAIN") or name not in self.it.front.pop_sasl:
            yield say(PROTOCOL_ERROR, Stage.AUTH)
            return False
        if len(words) > 1 and name == "XOAUTH2":
            yield say(ONE_LINE, Stage.AUTH)
            return True
        line: bytes | None = words[1] if len(words) > 1 else b""
        if not line:
            yield say("+ ", Stage.AUTH)
            line = yield READ_LINE
        if line is None:
            return True
        text = unbase64(line)
        pair: tuple[str, str] | None
        if name == "XOAUTH2":
            pair, kind = xoauth2(text), Kind.OAUTH
        else:
            parts = (text or "").split("\0")
            pair, kind = ((parts[1], parts[2]) if len(parts) == 3 else None), Kind.PASSWORD
        yield from self.judge(pair, kind, name, "+OK User successfully authenticated.")
        return False

    def judge(
        self, pair: tuple[str, str] | None, kind: Kind, mechanism: str, welcome: str
    ) -> Generator[Act, bytes | None, None]:
        """The sign-in itself, and what is said of it."""
        it = self.it
        closed = it.sign_in(pair[0], pair[1], kind, mechanism) if pair else None
        if pair and closed is None:
            address = it.signed_in.address if it.signed_in else pair[0]
            self.inbox = it.world.store.folder(address, "INBOX")
            self.listed = list(self.inbox.messages)
            yield say(welcome, Stage.AUTH)
            return
        yield Wait(it.delay)
        yield say(it.refusal(closed.cause, "PASS", kind) if closed else REFUSED, Stage.AUTH)

    def message(self, words: list[bytes]) -> tuple[int, Message] | None:
        """The message with this number, if it is there and not marked."""
        number = int(words[0]) if words and words[0].isdigit() else 0
        if not 1 <= number <= len(self.listed) or number in self.deleted:
            return None
        return number, self.listed[number - 1]

    def kept(self) -> list[tuple[int, Message]]:
        """All messages that are not marked, with their numbers."""
        return [(n, m) for n, m in enumerate(self.listed, 1) if n not in self.deleted]

    def stat(self, _: list[bytes]) -> Part:
        """STAT."""
        kept = self.kept()
        yield say(f"+OK {len(kept)} {sum(len(message.data) for _, message in kept)}")
        return False

    def _listing(self, words: list[bytes], value: Callable[[Message], str]) -> Part:
        if words:
            found = self.message(words)
            yield say(f"+OK {found[0]} {value(found[1])}" if found else ASSUMED["no such message"])
            return False
        lines = ["+OK", *(f"{number} {value(message)}" for number, message in self.kept()), "."]
        yield Say("".join(f"{line}\r\n" for line in lines).encode())
        return False

    def scan(self, words: list[bytes]) -> Part:
        """LIST."""
        return self._listing(words, lambda message: str(len(message.data)))

    def uidl(self, words: list[bytes]) -> Part:
        """UIDL: the same name in every session."""
        return self._listing(words, lambda message: hashlib.sha256(b"%d" % message.uid + message.data).hexdigest()[:24])

    def retr(self, words: list[bytes]) -> Part:
        """RETR."""
        found = self.message(words)
        if found is None:
            yield say(ASSUMED["no such message"])
        else:
            yield Say(b"+OK\r\n" + stuffed(found[1].data) + b".\r\n")
        return False

    def top(self, words: list[bytes]) -> Part:
        """TOP: the header and so many lines."""
        found = self.message(words)
        if found is None or len(words) < 2 or not words[1].isdigit():
            yield say(ASSUMED["no such message"])
            return False
        header, body = halves(found[1].data)
        lines = body.splitlines(keepends=True)[: int(words[1])]
        yield Say(b"+OK\r\n" + stuffed(header + b"".join(lines)) + b".\r\n")
        return False

    def dele(self, words: list[bytes]) -> Part:
        """DELE marks; QUIT deletes."""
        found = self.message(words)
        if found:
            self.deleted.add(found[0])
        yield say(ASSUMED["deleted"] if found else ASSUMED["no such message"])
        return False

    def rset(self, _: list[bytes]) -> Part:
        """RSET takes the marks away."""
        self.deleted.clear()
        yield say("+OK")
        return False

    def noop(self, _: list[bytes]) -> Part:
        """NOOP."""
        yield say("+OK")
        return False

    def quit(self, _: list[bytes]) -> Part:
        """QUIT deletes what is marked."""
        if self.inbox is not None:
            gone = {id(self.listed[number - 1]) for number in self.deleted}
            self.inbox.messages[:] = [message for message in self.inbox.messages if id(message) not in gone]
        yield say(ASSUMED["quit"])
        return True


def stuffed(data: bytes) -> bytes:
    """A multi-line answer: dots doubled, a line end at the end."""
    lines = data.split(b"\r\n")
    text = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines)
    return text if text.endswith(b"\r\n") else text + b"\r\n"


def say(text: str, stage: Stage = Stage.USE) -> Say:
    """One answer line."""
    return Say(f"{text}\r\n".encode(), stage)
