"""What a dialogue knows of its connection: who answers, whom it talks to, and how a refusal is worded. No sockets."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from ..model import Kind, Protocol, Stage
from .faults import Fault, fault
from .front import Front
from .says import Spoken, Trailer, for_command, own
from .tenant import Closed, SignIn
from .world import Seen, World

UNKNOWN = "?"  # what stands for a word that is no command: out of step, a client may have sent its secret
MECHANISMS = frozenset({"LOGIN", "PLAIN", "XOAUTH2", "OAUTHBEARER", "NTLM", "GSSAPI", "CRAM-MD5", "DIGEST-MD5"})
MAX_HEARD = 1000  # labels that are kept of one session


def mechanism_label(rest: bytes) -> str:
    """`AUTH LOGIN`: the label of an AUTH command, without what comes after the mechanism."""
    name = rest.strip().partition(b" ")[0].upper().decode("latin-1")
    return f"AUTH {name if name in MECHANISMS else UNKNOWN}"


def new_id() -> str:
    """A session id as seen in the field: 16 upper-case hexadecimal digits that begin with 08D."""
    return f"08DE{secrets.token_hex(6).upper()}"


@dataclass(slots=True)
class Session:
    """One connection. `tls` is "" in clear, else the version ("TLSv1.3"); `peer` the client's address."""

    world: World
    front: Front
    protocol: Protocol
    peer: str = "127.0.0.1"
    tls: str = ""
    delay: float = 0.0
    id: str = field(default_factory=new_id)
    seen: Seen = field(init=False)
    signed_in: SignIn | None = None
    closed: Closed | None = None
    named: str = ""
    counted: str = ""

    def __post_init__(self) -> None:
        at = self.world.now().isoformat(timespec="milliseconds")
        self.seen = Seen(self.id, self.protocol.value, self.front.id, self.tls, self.peer, at)
        self.world.sessions.append(self.seen)

    @property
    def now(self) -> datetime:
        """The time on this tenant's day."""
        return self.world.now(self.signed_in.tenant) if self.signed_in else self.world.now()

    @property
    def trailer(self) -> Trailer:
        """`[server time session]`: the id stays the same throughout the connection."""
        time = self.now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.now.microsecond // 1000:03}Z"
        return Trailer(self.front.server, time, self.id)

    def heard(self, label: str) -> None:
        """Writes down what the client did; the label never holds a secret."""
        if len(self.seen.heard) < MAX_HEARD:
            self.seen.heard.append(label)
        self.seen.tls = self.tls

    def sign_in(self, login: str, secret: str, kind: Kind, mechanism: str) -> Closed | None:
        """Tries to sign in; the first closed gate, if any. IMAP may sign in and show a closed gate afterwards."""
        it, closed = self.world.sign_in(self.protocol, login, secret, kind, mechanism, self.seen)
        self.closed = closed
        self.named = it.address
        if closed is None or closed.stage is Stage.USE:
            self.signed_in = it
        return closed

    @property
    def mailbox(self) -> str:
        """The mailbox that somebody has named here, whether or not the sign-in was good."""
        return self.named

    @property
    def faults(self) -> list[Fault]:
        """The faults of this mailbox."""
        found = self.world.owner(self.named) if self.named else None
        return [fault(each) for each in found[1].faults] if found else []

    def end(self) -> None:
        """The connection is over."""
        self.seen.over = True
        if self.counted:
            self.world.open_connections[self.counted] -= 1

    def count(self) -> None:
        """One more submission that is signed in to this mailbox."""
        self.counted = self.named
        self.world.open_connections[self.named] += 1

    def say(self, cause: str, kind: Kind = Kind.PASSWORD, where: str = "auth", status: str = "") -> Spoken:
        """The text for a cause here, as its sign has it."""
        known = facts_for(self.front, self.protocol, kind, cause, self.seen.login)
        return self.world.voice.say(cause, self.protocol, known, where, status)

    def refusal(self, cause: str, command: str, kind: Kind, where: str = "auth", status: str = "") -> str:
        """The text for a cause, with our trailer, in the words that fit the command."""
        text = own(self.say(cause, kind, where, status).text, self.protocol, self.trailer)
        return for_command(text, self.protocol, command, kind)


def facts_for(front: Front, protocol: Protocol, kind: Kind, cause: str, login: str) -> frozenset[str]:
    """What is known where a cause is to be put into words."""
    known = {*front.facts, f"credential={kind.value}"}
    if cause == "org.smtp_basic_auth_default_off":
        known.add(f"off_by_default.{protocol.value}")
    if login and "@" not in login:
        known.add("login.bare")
    return frozenset(known)


def unbase64(line: bytes) -> str | None:
    """What a SASL line says, or None where it is not base64 of UTF-8."""
    try:
        return base64.b64decode(line, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def xoauth2(text: str | None) -> tuple[str, str] | None:
    """`user=…^Aauth=Bearer …^A^A` -> user, token."""
    if text is None:
        return None
    parts = dict(part.partition("=")[::2] for part in text.split("\x01") if part)
    kind, _, token = parts.get("auth", "").partition(" ")
    return (parts["user"], token) if parts.get("user") and kind.lower() == "bearer" and token else None
