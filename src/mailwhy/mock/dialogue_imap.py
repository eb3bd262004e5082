"""IMAP as Exchange answers it, as a generator without sockets (facts: imap-pop section 3). The way in and out.

    greeting -> CAPABILITY -> LOGIN | AUTHENTICATE -> SELECT | EXAMINE -> (imap_mail.py) -> LOGOUT

A sign-in can succeed while the mailbox stays closed: then every command but CAPABILITY and LOGOUT is answered
`BAD User is authenticated but not connected.`, the second time with a BYE.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from ..model import Kind, Stage
from .imap_args import LITERAL, BadArgumentsError, Text, Token, text, tokens
from .imap_mail import Mailbox
from .session import UNKNOWN, Session, unbase64, xoauth2
from .talk import READ_LINE, START_TLS, Act, Dialogue, Say, Take, Wait

Part = Generator[Act, bytes | None, bool]  # a command; True: the session is over

NOT_CONNECTED = "BAD User is authenticated but not connected."
INVALID_STATE = "BAD Command received in Invalid state."
ARGUMENTS = "BAD Command Argument Error. 12"
NO_COMMAND = "BAD Command Error. 10"
BYE = "* BYE Microsoft Exchange Server IMAP4 server signing off."
BYE_CLOSED = "* BYE Connection closed. 14"
TLS_TOO_OLD = (
    "* BYE TLS 1.0 and 1.1 are not supported. Please upgrade/update your client to support TLS 1.2. "
    "Visit https://aka.ms/popimap_tls."
)
ASSUMED = {
    "literal": "+ Ready for additional command text.",
    "starttls": "OK Begin TLS negotiation now.",
    "noop": "OK NOOP completed.",
    "id": '* ID ("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.20")',
}
MAX_LITERALS = 64 * 1024 * 1024  # octets in one command; before the sign-in only a name and a secret can come
MAX_LITERALS_BEFORE = 64 * 1024


class Imap:
    """One IMAP session. `talk()` is the dialogue."""

    def __init__(self, session: Session) -> None:
        self.it = session
        self.box: Mailbox | None = None
        self.complaints = 0
        self.always: dict[str, Callable[[str, list[Token]], Part]] = {
            "CAPABILITY": self.capability,
            "LOGOUT": self.logout,
            "NOOP": self.noop,
            "ID": self.id,
        }
        self.before: dict[str, Callable[[str, list[Token]], Part]] = {
            "STARTTLS": self.starttls,
            "LOGIN": self.login,
            "AUTHENTICATE": self.authenticate,
        }

    def talk(self) -> Dialogue:
        """The whole session."""
        it = self.it
        if it.tls in ("TLSv1", "TLSv1.1"):
            yield say(TLS_TOO_OLD, Stage.GREETING)
            return
        yield say(f"* OK {it.front.imap_greeting}{it.front.encoded}", Stage.GREETING)
        while True:
            line = yield READ_LINE
            more = None if line is None else (yield from self.literals(line))
            if line is None or more is None or (yield from self.command(line, more)):
                return

    def literals(self, line: bytes) -> Generator[Act, bytes | None, list[bytes | Text] | None]:
        """The literals of a command and the lines after them; None when the client has closed."""
        parts: list[bytes | Text] = []
        left = MAX_LITERALS if self.it.signed_in else MAX_LITERALS_BEFORE
        while (found := LITERAL.search(line)) and (size := int(found["size"])) <= left:
            left -= size
            if not found["plus"]:
                yield say(ASSUMED["literal"])
            data = yield Take(size)
            after = None if data is None else (yield READ_LINE)
            if data is None or after is None:
                return None
            parts += [Text(data), after]
            line = after
        return parts

    def command(self, line: bytes, more: list[bytes | Text]) -> Part:
        """Finds the command and lets it answer."""
        tag_bytes, _, rest = line.partition(b" ")
        tag = tag_bytes.decode("utf-8", "replace") or "*"
        verb, _, rest = rest.strip().partition(b" ")
        name = verb.upper().decode("latin-1")
        self.it.heard(name if name in self.always or name in self.before or name in Mailbox.COMMANDS else UNKNOWN)
        try:
            args = tokens([rest, *more])
        except BadArgumentsError:
            yield say(f"{tag} {ARGUMENTS}")
            return False
        if self.it.closed and self.it.signed_in and name not in ("CAPABILITY", "LOGOUT"):
            return (yield from self.not_connected(tag))
        if name in self.always:
            return (yield from self.always[name](tag, args))
        if self.it.signed_in is None and name in self.before:
            return (yield from self.before[name](tag, args))
        if self.box is None:
            yield say(
                f"{tag} {INVALID_STATE}" if name in Mailbox.COMMANDS or name in self.before else f"{tag} {NO_COMMAND}"
            )
            return False
        yield from self.box.command(tag, name, args)
        return False

    def not_connected(self, tag: str) -> Part:
        """Credential accepted, mailbox not opened (facts: imap-pop 1.4, 3.1)."""
        it = self.it
        kind = it.signed_in.kind if it.signed_in else Kind.PASSWORD
        answer = it.refusal(it.closed.cause, "", kind, "use") if it.closed else ""
        if not answer.startswith("BAD"):
            answer = NOT_CONNECTED
        self.complaints += 1
        if self.complaints < 2:
            yield say(f"{tag} {answer}")
            return False
        yield say(f"{tag} {answer}\r\n{BYE_CLOSED}")
        return True

    def capability(self, tag: str, _: list[Token]) -> Part:
        """The list, which says nothing about the retirement (facts: imap-pop 1.2)."""
        front = self.it.front
        words = front.imap_after if self.it.signed_in else front.imap_before
        if not self.it.tls:
            words = words.replace(" AUTH=PLAIN AUTH=XOAUTH2", " LOGINDISABLED STARTTLS")
        yield say(f"* CAPABILITY {words}\r\n{tag} OK CAPABILITY completed.", Stage.CAPABILITIES)
        return False

    def logout(self, tag: str, _: list[Token]) -> Part:
        """LOGOUT."""
        yield say(f"{BYE}\r\n{tag} OK LOGOUT completed.")
        return True

    def noop(self, tag: str, _: list[Token]) -> Part:
        """NOOP, with what is new in the open folder."""
        if self.box is not None:
            yield from self.box.news()
        yield say(f"{tag} {ASSUMED['noop']}")
        return False

    def id(self, tag: str, _: list[Token]) -> Part:
        """ID."""
        yield say(f"{ASSUMED['id']}\r\n{tag} OK ID completed")
        return False

    def starttls(self, tag: str, _: list[Token]) -> Part:
        """STARTTLS."""
        if self.it.tls:
            yield say(f"{tag} {INVALID_STATE}", Stage.TLS)
            return False
        yield say(f"{tag} {ASSUMED['starttls']}", Stage.TLS)
        yield START_TLS
        return False

    def login(self, tag: str, args: list[Token]) -> Part:
        """LOGIN; an unquoted blank in the password is an argument error (facts: imap-pop 1.9)."""
        if not self.it.tls:
            yield say(f"{tag} {INVALID_STATE}", Stage.AUTH)
            return False
        if len(args) != 2 or any(isinstance(arg, list) for arg in args):
            yield say(f"{tag} {ARGUMENTS}", Stage.AUTH)
            return False
        yield from self.judge(tag, (text(args[0]), text(args[1])), Kind.PASSWORD, "LOGIN")
        return False

    def authenticate(self, tag: str, args: list[Token]) -> Part:
        """AUTHENTICATE PLAIN and XOAUTH2, with or without the initial response."""
        if not args or any(isinstance(arg, list) for arg in args):
            yield say(f"{tag} {ARGUMENTS}", Stage.AUTH)
            return False
        name = text(args[0]).upper()
        if not self.it.tls or f"AUTH={name}" not in self.it.front.imap_before.split():
            yield say(f"{tag} {INVALID_STATE if not self.it.tls else 'NO AUTHENTICATE failed.'}", Stage.AUTH)
            return False
        if len(args) > 1:
            line: bytes | None = text(args[1]).encode()
        else:
            yield say("+ ", Stage.AUTH)
            line = yield READ_LINE
        if line is None:
            return True
        answer = unbase64(line)
        if name == "XOAUTH2":
            yield from self.judge(tag, xoauth2(answer), Kind.OAUTH, "AUTHENTICATE")
        else:
            parts = (answer or "").split("\0")
            pair = (parts[1], parts[2]) if len(parts) == 3 else None
            yield from self.judge(tag, pair, Kind.PASSWORD, "AUTHENTICATE")
        return False

    def judge(
        self, tag: str, pair: tuple[str, str] | None, kind: Kind, command: str
    ) -> Generator[Act, bytes | None, None]:
        """The sign-in itself, and what is said of it."""
        it = self.it
        closed = it.sign_in(pair[0], pair[1], kind, command) if pair else None
        if pair and (closed is None or closed.stage is Stage.USE):
            if it.signed_in is not None and closed is None:
                self.box = Mailbox(it.world.store, it.signed_in.address, it.now)
            yield say(f"{tag} OK {command} completed.", Stage.AUTH)
            return
        answer = it.refusal(closed.cause, command, kind) if closed else f"NO {command} failed."
        yield Wait(it.delay)
        yield say(f"{tag} {answer}", Stage.AUTH)


def say(answer: str, stage: Stage = Stage.USE) -> Say:
    """One answer, which may have several lines."""
    return Say(f"{answer}\r\n".encode(), stage)
