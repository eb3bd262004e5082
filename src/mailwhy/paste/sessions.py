"""What was said, counted once and put together: the same reply is one thing heard, what belongs together an attempt.

    Said (every place)  --Hearing.add-->  Heard (each thing once: lines, times, count)  --attempts-->  Attempt

Replies belong together by session id, else by nearness; a bare 530 near a refused AUTH is its consequence. Different
refusals in one paste are attempts of their own. Memory does not grow with the paste, only with what differs in it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

from ..model import Attempt, Kind, Protocol, Reply, Seen, Sign, Stage, Step, Target
from ..signs import Signs, squash
from .context import Context, context_of
from .finder import Said, find
from .scrub import redact
from .text import Page
from .times import seconds_between

NEAR = 25  # lines between two replies of one connection, where no session id tells
MOMENT = 5.0  # seconds within which a log repeats one event in other words
MOST_LINES = 200  # line numbers kept of one reply
MOST_HEARD = 500  # different things kept of one paste
MOST_WINDOWS = 100  # different windows whose meaning is kept

# refused sign-ins say 535, 534, 504, NO ...; these follow from having no sign-in, or from its refusal
_CONSEQUENCE = ("530 5.7.57", "530 5.7.1", "530 5.7.0")


class Heard:
    """One thing that was said, however often."""

    def __init__(self, said: Said, protocol: Protocol, order: int) -> None:
        self.said = said
        self.protocol = protocol
        self.order = order
        self.lines: list[int] = []
        self.sessions: set[str] = set()
        self.trailer_times: set[str] = set()
        self.first: str | None = None
        self.last: str | None = None
        self.moments = 0
        self.last_line = 0

    @property
    def reply(self) -> Reply:
        return self.said.reply

    @property
    def sign(self) -> Sign | None:
        return self.said.sign

    @property
    def count(self) -> int:
        return max(1, len(self.trailer_times), 0 if self.trailer_times else self.moments)

    @property
    def consequence(self) -> bool:
        """Said because no sign-in was accepted, without telling why."""
        reply = self.reply
        if reply.inner:
            return False
        codes = f"{reply.status} {reply.enhanced}".strip()
        words = squash(reply.text)
        return (
            codes in _CONSEQUENCE
            or (
                reply.status in ("530", "")
                and (("notauthenticated" in words and "tosend" in words) or words.startswith("clientwasnotauth"))
            )
            or (reply.status == "BYE" and "signingoff" in words)
            or (reply.status == "BAD" and words.startswith("commandreceivedininvalidstate"))
        )

    def add(self, line: int, reply: Reply, time: str | None) -> None:
        """The same thing once more."""
        if len(self.lines) < MOST_LINES and line not in self.lines[-3:]:
            self.lines.append(line)
        self.last_line = line
        for each in (reply, *(filter(None, (reply.inner,)))):
            if each.session:
                self.sessions.add(each.session)
            if each.time:
                if len(self.trailer_times) < 1_000_000:
                    self.trailer_times.add(each.time)
                time = each.time
        if not time:
            return
        if self.last is None or (seconds_between(self.last, time) or 0) > MOMENT:
            self.moments += 1
        self.first = min(filter(None, (self.first, time)))
        self.last = max(filter(None, (self.last, time)))


class Hearing:
    """Collects what was said, page after page."""

    def __init__(self, hint: Protocol | None = None, kind: Kind | None = None) -> None:
        self.hint = hint
        self.kind = kind
        self.context = Context()
        self._heard: dict[tuple[Protocol, str], Heard] = {}
        self._windows: dict[Hashable, tuple[list[Said], Context]] = {}

    def listen(self, page: Page, signs: Signs, owned: range | None = None) -> None:
        """Takes the secrets out of a page, and adds what is said in it (in its `owned` lines, where it is a window)."""
        text, _ = redact(page.text)
        if text != page.text:
            lines = zip(page.lines, text.split("\n"), strict=True)
            page = Page(tuple(replace(line, text=words) for line, words in lines))
        if owned is None:
            self.add(page, find(page, signs, self.hint), context_of(page))
        else:
            said, context = self._meaning(page, signs)
            self.add(page, [each for each in said if page.line(each.start).number in owned], context)

    def _meaning(self, page: Page, signs: Signs) -> tuple[list[Said], Context]:
        """What a window means. A log says the same thing ten thousand times: only numbers and times may differ."""
        key = (page.text, page.lines[0].number == 1, tuple((line.speaker, line.prefixed) for line in page.lines))
        if key not in self._windows:
            if len(self._windows) >= MOST_WINDOWS:
                self._windows.clear()
            self._windows[key] = find(page, signs, self.hint), context_of(page)
        return self._windows[key]

    def add(self, page: Page, said: Iterable[Said], context: Context) -> None:
        """Everything said in one page, in order."""
        self.context = self.context.joined(context)
        for each in said:
            protocol = self._protocol(each, context)
            key = (protocol, _key(each))
            heard = self._heard.get(key)
            line = page.line(each.start).number
            if heard is None:
                if len(self._heard) >= MOST_HEARD:
                    continue
                heard = self._heard[key] = Heard(each, protocol, len(self._heard))
            elif len(each.reply.line) > len(heard.reply.line) and not heard.reply.time:
                heard.said = replace(each, start=heard.said.start)  # the fuller telling is kept
            heard.add(line, each.reply, page.time(each.start))

    def _protocol(self, said: Said, context: Context) -> Protocol:
        told = said.reply.protocol or (said.sign.protocol if said.sign else None)
        return told or self.hint or context.protocol or self.context.protocol or Protocol.SMTP

    def attempts(self) -> tuple[Attempt, ...]:
        """What was heard, as attempts; the ones that name something come first."""
        groups = _grouped(_whole([heard for heard in self._heard.values() if _matters(heard)]))
        built = [(self._importance(group), self._attempt(group)) for group in groups]
        return tuple(attempt for _, attempt in sorted(built, key=lambda pair: pair[0]))

    def _importance(self, group: Sequence[Heard]) -> tuple[int, int]:
        def rank(heard: Heard) -> int:
            if heard.said.ok:
                return 5
            if heard.sign is None:
                return 4
            if heard.consequence:
                return 3
            return 2 if heard.said.client else 1

        return min(map(rank, group)), min(heard.order for heard in group)

    def _attempt(self, group: Sequence[Heard]) -> Attempt:
        protocol = group[0].protocol
        context = self.context
        fits = context.protocol in (None, protocol)
        times = [time for heard in group for time in (heard.first, heard.last) if time]
        lines = sorted({line for heard in group for line in heard.lines})
        telling = [heard for heard in group if not heard.said.ok and not heard.consequence] or list(group)
        return Attempt(
            target=Target(protocol, context.host if fits else None, context.port if fits else None),
            steps=(*_opening(protocol, context, group), *self._steps(group, context)),
            kind=self.kind or context.kind,
            started=max((time for time in times if time[0].isdigit()), default=None),
            facts=_later_accepted(group) | ({"host=other"} if fits and context.elsewhere else set()),
            seen=Seen(
                lines=tuple(lines[:MOST_LINES]),
                first=min(times) if times else None,
                last=max(times) if times else None,
                count=max(heard.count for heard in telling),
            ),
        )

    def _steps(self, group: Sequence[Heard], context: Context) -> Iterable[Step]:
        refused = any(not heard.said.ok and not heard.consequence for heard in group)
        for heard in group:
            stage = _stage(heard, refused)
            mechanism = context.mechanisms[0] if len(context.mechanisms) == 1 and stage is Stage.AUTH else None
            yield Step(
                stage,
                ok=heard.said.ok,
                reply=heard.reply,
                seen={"mechanism": mechanism} if mechanism else {},
            )


def _key(said: Said) -> str:
    """The same words, whatever their trailer and wrapper, are the same thing said."""
    reply = said.reply.spoken
    if said.client and said.sign:
        return f"client:{said.sign.id}"
    words = squash(reply.text).strip(".,;:'\"()[]")
    return f"{reply.enhanced}:{words[:160]}" if words else f"{reply.status}:{reply.enhanced}"


def _matters(heard: Heard) -> bool:
    """Greetings and good answers other than to a sign-in are context, not evidence."""
    if not heard.said.ok:
        return True
    words = squash(heard.reply.text)
    return heard.reply.status == "235" or words.startswith(
        ("logincompleted", "authenticatecompleted", "usersuccessfully", "authenticationsuccessful")
    )


def _whole(heard: list[Heard]) -> list[Heard]:
    """Without what a program printed shortened ("535 5.7.3 Authe...") beside the whole."""
    words = {id(each): f"{each.reply.enhanced}:{squash(each.reply.spoken.text)}" for each in heard}
    return [
        each
        for each in heard
        if not words[id(each)].endswith("...")
        or not any(other is not each and words[id(other)].startswith(words[id(each)][:-3]) for other in heard)
    ]


def _grouped(heard: Sequence[Heard]) -> list[list[Heard]]:
    groups: list[list[Heard]] = []
    for each in sorted(heard, key=lambda heard: heard.order):
        home = next((group for group in groups if any(_together(each, other) for other in group)), None)
        if home is None:
            groups.append([each])
        else:
            home.append(each)
    return [_without_wrappers(group) for group in groups]


def _together(one: Heard, other: Heard) -> bool:
    """Do these two belong to one connection?"""
    if one.protocol is not other.protocol:
        return False
    if one.sessions and other.sessions:
        return bool(one.sessions & other.sessions)
    if min(abs(a - b) for a in (one.lines[0], one.last_line) for b in (other.lines[0], other.last_line)) > NEAR:
        return False
    return not _different_refusals(one, other)


def _different_refusals(one: Heard, other: Heard) -> bool:
    """Two sentences that name different problems; one that only says less than the other is no problem of its own."""
    for heard in (one, other):
        if heard.said.ok or heard.said.client or heard.consequence or heard.sign is None:
            return False
    if one.sign is other.sign:
        return False
    if one.protocol is not Protocol.SMTP:
        return False  # IMAP and POP name nothing: what follows each other there is one dialogue
    a, b = squash(one.reply.spoken.text), squash(other.reply.spoken.text)
    return not (a.startswith(b.rstrip(".")) or b.startswith(a.rstrip(".")))


def _without_wrappers(group: list[Heard]) -> list[Heard]:
    """Beside a server's own refusal a program's words for it say nothing more."""
    server = [h for h in group if not h.said.ok and not h.said.client and h.sign]
    if any(not heard.consequence for heard in server):
        return [heard for heard in group if not heard.said.client]
    refused = min((h.order for h in server if h.protocol is Protocol.SMTP), default=None)
    if refused is None:
        return group
    # a server that has answered was reached: that the connection ended then is no fault of the way
    return [heard for heard in group if not (_of_the_way(heard) and heard.order > refused)]


def _of_the_way(heard: Heard) -> bool:
    """A program's words about the connection, not about the sign-in."""
    sign = heard.sign
    return bool(heard.said.client and sign and sign.means and sign.means[0].cause.startswith(_WAY))


_SIGN_IN_STATUS = ("535", "534", "538", "504", "454", "NO", "-ERR", "334", "501", "503")
_SIGN_IN_CODES = ("5.7.3", "5.7.4", "5.7.8", "5.7.9", "5.7.139", "5.7.30", "4.7.0", "4.7.66", "5.5.2", "5.5.4")
_WAY = ("network.", "client.wrong_", "client.tls_too_old", "client.ca_store", "service.transient")


def _stage(heard: Heard, refused: bool) -> Stage:
    """Where it was said. A sign that speaks at some stages only is believed to have been said at one of them."""
    sign, reply = heard.sign, heard.reply.spoken
    if heard.said.ok:
        return Stage.AUTH
    if heard.consequence or (reply.status == "BYE" and refused):
        stage = Stage.USE
    elif _of_the_way(heard):
        stage = Stage.TLS
    elif heard.protocol is not Protocol.SMTP:
        stage = Stage.USE if "notconnected" in squash(reply.text) else Stage.AUTH
    elif reply.status in _SIGN_IN_STATUS or reply.enhanced in _SIGN_IN_CODES:
        stage = Stage.AUTH
    else:
        stage = Stage.USE if reply.status or reply.enhanced else Stage.AUTH
    if sign and sign.match.stage and stage not in sign.match.stage:
        return sign.match.stage[0]
    return stage


def _later_accepted(group: Sequence[Heard]) -> frozenset[str]:
    refused = [heard.lines[0] for heard in group if not heard.said.ok and not heard.consequence]
    accepted = [heard.last_line for heard in group if heard.said.ok]
    return frozenset({"accepted.later"} if refused and accepted and max(accepted) > min(refused) else ())


def _opening(protocol: Protocol, context: Context, group: Sequence[Heard]) -> Iterable[Step]:
    """Greeting and capabilities, as far as the page shows them: they tell which service answered."""
    software = context.software
    servers = [h.reply.server or h.reply.spoken.server for h in group if h.reply.server or h.reply.spoken.server]
    if servers and not software:
        software = "exchange"
    if context.greeted or software:
        seen = {"host": context.greeted, "software": software}
        yield Step(Stage.GREETING, ok=True, seen={key: value for key, value in seen.items() if value})
    if words := context.capabilities.get(protocol):
        auth = [
            w.upper().removeprefix("AUTH=")
            for w in words
            if protocol is not Protocol.IMAP or w.upper().startswith("AUTH=")
        ]
        yield Step(Stage.CAPABILITIES, ok=True, seen={"words": list(words), "auth": auth})
