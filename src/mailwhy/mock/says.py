"""What a closed gate says: from its cause to the sign that is `spoken` for it, with the trailer made our own.

The texts are the `example` of the signs; nothing is invented here. Where no sign speaks for a cause, the protocol's
plain refusal stands in, and `mailwhy mock --list` marks it as assumed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .. import reply
from ..model import Kind, Knowledge, Meaning, Protocol, Sign, Speaker

# facts: smtp section 1 and imap-pop section 2: the refusals without a reason
PLAIN_REFUSAL = {
    Protocol.SMTP: "535 5.7.3 Authentication unsuccessful [server]",
    Protocol.IMAP: "NO LOGIN failed.",
    Protocol.POP: "-ERR Logon failure: unknown user name or bad password.",
}
STATUS = {
    Protocol.SMTP: re.compile(r"^[245]\d\d[ -]"),
    Protocol.IMAP: re.compile(r"^(?:\S+ )??(?:NO|BAD|BYE|OK)\b"),
    Protocol.POP: re.compile(r"^(?:\+OK|-ERR)"),
}
_BLANK = re.compile(r"\[(?:server|<server>|\.\.\.)[^\]]*\]")
_HOSTNAME = re.compile(r"\[Hostname=[^\]]*\]")
_TAG = re.compile(r"^\S+ (?=(?:NO|BAD|OK)\b)")


@dataclass(frozen=True, slots=True)
class Trailer:
    """Who answers: `[server time session]`."""

    server: str
    time: str
    session: str

    def __str__(self) -> str:
        return f"[{self.server} {self.time} {self.session}]"


@dataclass(frozen=True, slots=True)
class Spoken:
    """A text for a cause, and the sign that it comes from (None: the plain refusal stands in)."""

    text: str
    sign: Sign | None
    meaning: Meaning | None = None

    @property
    def assumed(self) -> bool:
        """No source says that the server says this for that cause."""
        return self.meaning is None or self.meaning.basis.value == "inferred"


def _first(choices: Sequence[Spoken]) -> Spoken:
    return choices[0]


class Voice:
    """Finds texts. `pick` chooses among several (default: the first); tests draw any."""

    def __init__(self, knowledge: Knowledge, pick: Callable[[Sequence[Spoken]], Spoken] = _first) -> None:
        self._knowledge = knowledge
        self._pick = pick

    def choices(self, cause: str, protocol: Protocol, known: frozenset[str] = frozenset()) -> list[Spoken]:
        """Every text for this cause in this protocol, best first; `known` are the facts that hold for the server."""
        found = list(self._spoken(cause, protocol, known))
        found.sort(key=lambda pair: pair[0])
        return [spoken for _, spoken in found]

    def say(self, cause: str, protocol: Protocol, known: frozenset[str] = frozenset()) -> Spoken:
        """One text for this cause, without our trailer yet (see `own`)."""
        choices = self.choices(cause, protocol, known)
        return self._pick(choices) if choices else Spoken(PLAIN_REFUSAL[protocol], None)

    def _spoken(
        self, cause: str, protocol: Protocol, known: frozenset[str]
    ) -> Iterator[tuple[tuple[int, int, str], Spoken]]:
        for sign in self._knowledge.signs.values():
            if sign.speaker is not Speaker.SERVER or sign.protocol not in (None, protocol):
                continue
            if not STATUS[protocol].match(sign.example) or not agrees(sign.shows, known):
                continue
            for place, meaning in enumerate(sign.means):
                if meaning.spoken and meaning.cause == cause and agrees(meaning.given, known):
                    exact = 0 if set(meaning.given) & known else 1
                    yield (exact, place, sign.id), Spoken(sign.example, sign, meaning)
                    break


def agrees(facts: Sequence[str], known: frozenset[str]) -> bool:
    """Does none of these facts contradict what is known? `service=hve` contradicts `service=exchange-online`."""
    for fact in facts:
        name, equals, _ = fact.partition("=")
        if equals and fact not in known and any(other.startswith(name + "=") for other in known):
            return False
        if fact == "account.consumer" and "account.consumer" not in known:
            return False
    return True


def own(text: str, protocol: Protocol, trailer: Trailer) -> str:
    """The text with our own trailer in the place of the recorded one. SMTP refusals of AUTH always carry one."""
    if protocol is not Protocol.SMTP:
        return _TAG.sub("", text)
    if _HOSTNAME.search(text):
        return _HOSTNAME.sub(f"[Hostname={trailer.server}]", text)
    if _BLANK.search(text):
        return _BLANK.sub(str(trailer), text)
    if reply.TRAILER.search(text):
        return reply.TRAILER.sub(str(trailer), text)
    return f"{text} {trailer}" if text.startswith("535") else text


def for_command(text: str, protocol: Protocol, command: str, kind: Kind) -> str:
    """The plain refusals name the command: `LOGIN failed.` or `AUTHENTICATE failed.` (facts: imap-pop 3.2, 3.5)."""
    if protocol is Protocol.IMAP:
        return re.sub(r"\b(?:LOGIN|AUTHENTICATE) failed\.", f"{command} failed.", text)
    if protocol is Protocol.POP and kind is Kind.OAUTH:
        return text.replace("Logon failure:", "Authentication failure:")
    if protocol is Protocol.POP:
        return text.replace("Authentication failure:", "Logon failure:")
    return text
