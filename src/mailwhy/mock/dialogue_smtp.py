"""SMTP submission as Exchange answers it, as a generator without sockets (facts: smtp section 2).

    greeting -> EHLO -> STARTTLS -> EHLO -> AUTH LOGIN | XOAUTH2 -> MAIL -> RCPT -> DATA | BDAT -> QUIT

`ASSUMED` lists the answers that no report has shown us; everything else is quoted in facts/smtp.md.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Generator
from email.utils import format_datetime

from ..model import Kind, Stage
from .front import SMTP_WORDS
from .session import UNKNOWN, Session, mechanism_label, unbase64, xoauth2
from .talk import READ_LINE, START_TLS, Act, Dialogue, Say, Take, Wait

Part = Generator[Act, bytes | None, bool]  # a command; True: the session is over

ASSUMED = {
    "sequence": "503 5.5.2 Need mail command",
    "recipients": "503 5.5.2 Need rcpt command",
    "unknown": "500 5.3.3 Unrecognized command",
    "reset": "250 2.0.0 Resetting",
    "noop": "250 2.0.0 OK",
    "vrfy": "252 2.1.5 Cannot VRFY user",
    "help": "214 This server supports the following commands: HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT RSET QUIT",
    "chunk": "250 2.6.0 CHUNK received OK, {octets} octets",
    "again": "503 5.5.1 Already authenticated",
    "argument": "501 5.5.4 Invalid arguments",
    "size": "552 5.3.4 Message size exceeds fixed maximum message size",  # RFC 1870 and RFC 3463
    "queued": "250 2.0.0 OK <{id}@{server}> [Hostname={server}]",
}
PATH = re.compile(rb"^(?:FROM|TO):\s*<(?P<address>[^>]*)>(?P<more>.*)$", re.IGNORECASE | re.DOTALL)
MAX_SIZE = 157286400  # octets, as EHLO says
MAX_CHUNK_SIZE = 10  # digits
PIECE = 64 * 1024
OLD_TLS = ("TLSv1", "TLSv1.1")


class Smtp:
    """One SMTP session. `talk()` is the dialogue."""

    def __init__(self, session: Session) -> None:
        self.it = session
        self.hello = False
        self.refused = ""  # the AUTH refusal that a later 530 repeats
        self.sender: str | None = None
        self.recipients: list[str] = []
        self.body = bytearray()
        self.size = 0  # octets of the message; what is beyond the limit is counted, not kept
        self.commands: dict[str, Callable[[bytes], Part]] = {
            "EHLO": self.ehlo,
            "HELO": self.helo,
            "STARTTLS": self.starttls,
            "AUTH": self.auth,
            "MAIL": self.mail,
            "RCPT": self.rcpt,
            "DATA": self.data,
            "BDAT": self.bdat,
            "RSET": self.rset,
            "QUIT": self.quit,
        }

    def talk(self) -> Dialogue:
        """The whole session."""
        it = self.it
        ready = f"220 {it.front.greets} Microsoft ESMTP MAIL Service ready at {format_datetime(it.now)}"
        yield say(f"{ready} [{it.id}]" if it.front.with_id else ready, Stage.GREETING)
        while True:
            line = yield READ_LINE
            if line is None:
                return
            verb, _, rest = line.strip().partition(b" ")
            name = verb.upper().decode("latin-1")
            command = self.commands.get(name)
            if command is None:
                it.heard(name if name in SIMPLE else UNKNOWN)
                yield say(SIMPLE.get(name, ASSUMED["unknown"]))
            elif (yield from command(rest.strip())):
                return

    def ehlo(self, name: bytes) -> Part:
        """EHLO, before and after TLS: the sixth line changes from STARTTLS to AUTH (facts: smtp 2.1)."""
        it = self.it
        it.heard("EHLO")
        if not good_name(name):
            yield Wait(it.delay)
            yield say(f"501 5.5.4 Invalid domain name {it.trailer}", Stage.CAPABILITIES)
            return False
        if it.tls in OLD_TLS:
            yield say(f"{TLS_TOO_OLD} [{it.front.server}]", Stage.CAPABILITIES)
            return True
        self.hello = True
        sixth = f"AUTH {' '.join(it.front.auth)}" if it.tls else "STARTTLS"
        words = [f"{it.front.greets} Hello [{it.peer}]", *(word.format(sixth=sixth) for word in SMTP_WORDS)]
        lines = [f"250-{word}" for word in words[:-1]] + [f"250 {words[-1]}"]
        yield Say("".join(f"{each}\r\n" for each in lines).encode(), Stage.CAPABILITIES)
        return False

    def helo(self, name: bytes) -> Part:
        """HELO: one line."""
        it = self.it
        it.heard("HELO")
        self.hello = good_name(name)
        answer = (
            f"250 {it.front.greets} Hello [{it.peer}]" if self.hello else f"501 5.5.4 Invalid domain name {it.trailer}"
        )
        yield say(answer, Stage.CAPABILITIES)
        return False

    def starttls(self, _: bytes) -> Part:
        """STARTTLS; afterwards the client has to say EHLO again."""
        self.it.heard("STARTTLS")
        if self.it.tls:
            yield say(ASSUMED["sequence"], Stage.TLS)
            return False
        yield say("220 2.0.0 SMTP server ready", Stage.TLS)
        yield START_TLS
        self.hello = False
        return False

    def auth(self, rest: bytes) -> Part:
        """AUTH LOGIN and XOAUTH2. PLAIN, and any AUTH before TLS, is not recognised (facts: smtp 2.9)."""
        it = self.it
        mechanism, _, initial = rest.partition(b" ")
        name = mechanism.upper().decode("latin-1")
        it.heard(mechanism_label(rest))
        if not self.hello:
            yield say("503 5.5.2 Send hello first", Stage.AUTH)
        elif it.signed_in:
            yield say(ASSUMED["again"], Stage.AUTH)
        elif not it.tls or name not in it.front.auth or name not in ("LOGIN", "XOAUTH2"):
            yield say(f"504 5.7.4 Unrecognized authentication type {it.trailer}", Stage.AUTH)
        elif name == "LOGIN":
            yield from self.auth_login(initial)
        else:
            yield from self.auth_xoauth2(initial)
        return False

    def auth_login(self, initial: bytes) -> Generator[Act, bytes | None, None]:
        """User name and password, each in answer to its prompt; the user name may come with the command."""
        user: bytes | None = initial
        if not initial:
            yield say(f"334 {base64.b64encode(b'Username:').decode()}", Stage.AUTH)
            user = yield READ_LINE
        if user is None:
            return
        yield say(f"334 {base64.b64encode(b'Password:').decode()}", Stage.AUTH)
        secret = yield READ_LINE
        if secret is None:
            return
        login, password = unbase64(user), unbase64(secret)
        yield from self.judge(login and (login, password or ""), Kind.PASSWORD, "LOGIN")

    def auth_xoauth2(self, initial: bytes) -> Generator[Act, bytes | None, None]:
        """A token, with the command or on the next line. A refusal comes at once, without a JSON challenge."""
        line: bytes | None = initial
        if not initial:
            yield say("334 ", Stage.AUTH)
            line = yield READ_LINE
        if line is not None:
            yield from self.judge(xoauth2(unbase64(line)), Kind.OAUTH, "XOAUTH2")

    def judge(
        self, pair: tuple[str, str] | str | None, kind: Kind, mechanism: str
    ) -> Generator[Act, bytes | None, None]:
        """The sign-in itself, and what is said of it."""
        it = self.it
        if not isinstance(pair, tuple):  # a malformed exchange gets the bare refusal (facts: smtp section 1)
            text = f"535 5.7.3 Authentication unsuccessful {it.trailer}"
        else:
            closed = it.sign_in(pair[0], pair[1], kind, mechanism)
            if closed is None or closed.stage is Stage.USE:
                self.refused = ""
                it.count()
                yield say("235 2.7.0 Authentication successful", Stage.AUTH)
                return
            text = it.refusal(closed.cause, "AUTH", kind)
        self.refused = text
        yield Wait(it.delay)
        yield say(text, Stage.AUTH)

    def mail(self, rest: bytes) -> Part:
        """MAIL FROM: refused without TLS, and without a sign-in, repeating the refusal of AUTH (facts: smtp 2.9)."""
        it = self.it
        it.heard("MAIL")
        found = PATH.match(rest)
        if not self.hello:
            yield say("503 5.5.2 Send hello first")
        elif not it.tls:
            yield say(f"451 5.7.3 STARTTLS is required to send mail [{it.front.server}]")
        elif not it.signed_in:
            why = f"Error: {self.refused}" if self.refused else str(it.trailer)
            yield say(f"530 5.7.57 Client not authenticated to send mail. {why}")
        elif found is None:
            yield say(ASSUMED["argument"])
        elif announced(found["more"]) > MAX_SIZE:
            yield say(ASSUMED["size"])
        else:
            self.sender, self.recipients = found["address"].decode("utf-8", "replace"), []
            self.body, self.size = bytearray(), 0
            yield say("250 2.1.0 Sender OK")
        return False

    def rcpt(self, rest: bytes) -> Part:
        """RCPT TO: everybody is accepted; High Volume Email stays inside."""
        it = self.it
        it.heard("RCPT")
        found = PATH.match(rest)
        if self.sender is None:
            yield say(ASSUMED["sequence"])
        elif found is None:
            yield say(ASSUMED["argument"])
        else:
            recipient = found["address"].decode("utf-8", "replace")
            tenant = it.signed_in.tenant if it.signed_in else None
            if it.front.service == "hve" and it.world.tenant_of(recipient) is not tenant:
                yield say("550 5.5.105 External sending is not supported for High Volume Email accounts")
                return False
            self.recipients.append(recipient)
            yield say("250 2.1.5 Recipient OK")
        return False

    def data(self, _: bytes) -> Part:
        """DATA: the message, undotted; send-as and limits are judged only now (facts: smtp 2.1)."""
        self.it.heard("DATA")
        if not self.recipients:
            yield say(ASSUMED["recipients"])
            return False
        yield say("354 Start mail input; end with <CRLF>.<CRLF>")
        while True:
            line = yield READ_LINE
            if line is None:
                return True
            if line == b".":
                break
            self.add((line[1:] if line.startswith(b".") else line) + b"\r\n")
        yield from self.accept()
        return False

    def bdat(self, rest: bytes) -> Part:
        """BDAT: the message in chunks."""
        self.it.heard("BDAT")
        size, _, last = rest.partition(b" ")
        if not size.isdigit() or len(size) > MAX_CHUNK_SIZE:
            yield say(ASSUMED["argument"])
            return False
        left = int(size)
        while left:
            piece = yield Take(min(left, PIECE))
            if piece is None:
                return True
            left -= len(piece)
            if self.recipients:
                self.add(piece)
        if not self.recipients:
            yield say(ASSUMED["recipients"])
        elif last.strip().upper() == b"LAST":
            yield from self.accept()
        else:
            yield say(ASSUMED["chunk"].format(octets=int(size)))
        return False

    def add(self, octets: bytes) -> None:
        """More of the message."""
        self.size += len(octets)
        if self.size <= MAX_SIZE:
            self.body += octets

    def accept(self) -> Generator[Act, bytes | None, None]:
        """The end of a message: refused for what the sender may not, or delivered."""
        it = self.it
        sender, recipients, self.sender, self.recipients = self.sender or "", self.recipients, None, []
        if self.size > MAX_SIZE:
            yield say(ASSUMED["size"])
            return
        cause, status = self.send_gate(sender)
        if cause:
            text = it.refusal(cause, "DATA", Kind.PASSWORD, "use", status)
            who = it.signed_in.address if it.signed_in else ""
            yield say(SEND_AS.sub(lambda _: f"SendAsDenied; {who} not allowed to send as {sender}", text))
            return
        it.world.deliver(it.signed_in.address if it.signed_in else "", sender, recipients, bytes(self.body))
        serial = f"{it.id}{len(it.world.store.messages):04X}"
        yield say(ASSUMED["queued"].format(id=serial, server=it.front.server))

    def send_gate(self, sender: str) -> tuple[str, str]:
        """The cause that stops this message, or "", and how its text begins where there are several."""
        it = self.it
        signed = it.signed_in
        if signed is None or signed.account is None:
            return "", ""
        box, org = signed.account.mailbox, signed.tenant.org
        own = {signed.address, signed.login, *box.aliases, *box.send_as}
        if sender.casefold() not in {name.casefold() for name in own}:
            return "sender.send_as_denied", "554 5.2.252"
        if box.restricted:
            return "sender.restricted_outbound_spam", ""
        if it.closed:
            return it.closed.cause, "432" if it.closed.cause == "service.throttled" else ""
        if org.connections and it.world.open_connections[signed.address] > org.connections:
            return "service.throttled", "432"  # facts: microsoft 5 (three at once for a mailbox)
        if it.world.too_many_messages(signed.address, signed.tenant):
            return "service.throttled", "421"  # facts: microsoft 5 (thirty a minute)
        return "", ""

    def rset(self, _: bytes) -> Part:
        """RSET forgets the envelope."""
        self.it.heard("RSET")
        self.sender, self.recipients = None, []
        yield say(ASSUMED["reset"])
        return False

    def quit(self, _: bytes) -> Part:
        """QUIT."""
        self.it.heard("QUIT")
        yield say("221 2.0.0 Service closing transmission channel")
        return True


SIMPLE = {"NOOP": ASSUMED["noop"], "VRFY": ASSUMED["vrfy"], "HELP": ASSUMED["help"]}
SEND_AS = re.compile(r"SendAsDenied; \S+ not allowed to send as [^\s;]+")
TLS_TOO_OLD = (
    "421 4.7.66 TLS 1.0 and 1.1 are not supported. Please upgrade/update your client to support TLS 1.2. "
    "Visit https://aka.ms/smtp_auth_tls."
)


def announced(parameters: bytes) -> int:
    """What `SIZE=` of MAIL says; 0 where it says nothing that can be read."""
    found = re.search(rb"(?i)\bSIZE=(\d{1,10})\b", parameters)
    return int(found[1]) if found else 0


def good_name(name: bytes) -> bool:
    """Names with an empty label were refused, bare ones both ways: the rule is not established (facts: smtp 2.6)."""
    return bool(name) and not name.startswith(b".") and b".." not in name and not name.endswith(b".")


def say(text: str, stage: Stage = Stage.USE) -> Say:
    """One answer line."""
    return Say(f"{text}\r\n".encode(), stage)
