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
# what can be an answer there: the refusal of AUTH is 535 (and 550 5.7.30), the one of a message is not
ANSWERS = {
    (Protocol.SMTP, "auth"): re.compile(r"^(?:535|550 5\.7\.30|454|432|421)[ -]"),
    (Protocol.IMAP, "auth"): re.compile(r"^(?:\S+ )?(?:NO|BAD (?!User is authenticated))"),
    (Protocol.SMTP, "use"): re.compile(r"^(?!535|530|504|503|501|451 5\.7\.3)[45]\d\d[ -]"),
    (Protocol.IMAP, "use"): re.compile(r"^(?:\S+ )?BAD\b"),
    (Protocol.POP, "auth"): re.compile(r"^-ERR\b"),
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


NO_TRAILER = Trailer("", "", "")


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

    def choices(
        self, cause: str, protocol: Protocol, known: frozenset[str] = frozenset(), where: str = "auth"
    ) -> list[Spoken]:
        """Every text for this cause, best first.

        known   the facts that hold for server and sign-in
        where   what is being answered: "auth", or "use": IMAP after the sign-in, SMTP a whole message
        """
        found = list(self._spoken(cause, protocol, known, where))
        found.sort(key=lambda pair: pair[0])
        return [spoken for _, spoken in found]

    def say(
        self,
        cause: str,
        protocol: Protocol,
        known: frozenset[str] = frozenset(),
        where: str = "auth",
        status: str = "",
    ) -> Spoken:
        """One text for this cause, without our trailer yet (see `own`); with `status`, one that begins so, if any."""
        choices = self.choices(cause, protocol, known, where)
        choices = [each for each in choices if each.text.startswith(status)] or choices
        return self._pick(choices) if choices else Spoken(PLAIN_REFUSAL[protocol], None)

    def _spoken(
        self, cause: str, protocol: Protocol, known: frozenset[str], where: str
    ) -> Iterator[tuple[tuple[int, int, int, int, int, str], Spoken]]:
        for sign in self._knowledge.signs.values():
            if sign.speaker is not Speaker.SERVER or sign.protocol not in (None, protocol):
                continue
            if not ANSWERS[protocol, where].match(sign.example) or contradicted(_family(sign.shows, known), known):
                continue
            for place, meaning in enumerate(sign.means):
                if meaning.cause != cause or not meaning.spoken or set(meaning.unless) & known:
                    continue
                if contradicted(meaning.given, known):
                    continue
                exact = 0 if set(meaning.given) & known else 1
                # on IMAP and POP the reply hardly ever names the reason (facts: imap-pop 1.1)
                plain = 0 if own(sign.example, protocol, NO_TRAILER) == PLAIN_REFUSAL[protocol] else 1
                yield (
                    (exact, plain, place, len(sign.means), len(sign.example), sign.id),
                    Spoken(sign.example, sign, meaning),
                )
                break


def _family(shows: Sequence[str], known: frozenset[str]) -> Sequence[str]:
    """Personal accounts and High Volume Email answer at Exchange Online's own front ends, in its words."""
    if known & {"service=outlook-com", "service=hve"}:
        return [fact for fact in shows if fact != "service=exchange-online"]
    return shows


# facts without a value that hold only where they are known
_FLAGS = ("account.consumer", "off_by_default.", "retired.", "login.bare")


def contradicted(facts: Sequence[str], known: frozenset[str]) -> bool:
    """Is one of these facts known to be otherwise? `service=hve` contradicts `service=exchange-online`."""
    for fact in facts:
        if fact in known:
            continue
        name, equals, _ = fact.partition("=")
        if equals and any(other.startswith(name + "=") for other in known):
            return True
        if fact.startswith(_FLAGS):
            return True
    return False


def own(text: str, protocol: Protocol, trailer: Trailer) -> str:
    """The text with our own trailer in the place of the recorded one. SMTP refusals of AUTH always carry one."""
    if protocol is not Protocol.SMTP:
        return _TAG.sub("", text)
    if _HOSTNAME.search(text):
        return _HOSTNAME.sub(f"[Hostname={trailer.server}]", text)
    if _BLANK.search(text):
        return _BLANK.sub(str(trailer), text)
    if reply.TRAILER.find(text):
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
