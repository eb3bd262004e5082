"""Reads along what an app and a server say to each other, and writes it down: steps, habits, a dialogue. No I/O.

    watch.client(octets)   what the app sent; tells how many of them go on before TLS has to be answered
    watch.server(octets)   what the server sent
    watch.attempt          the evidence so far, as `diagnose` reads it

Nothing that may be a secret is ever kept: answers in a sign-in, arguments of commands that are not known by name,
and the mail itself are counted, not stored. What the app signs in with is used at once to mask what follows.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from ..model import Account, Attempt, Fault, JsonValue, Kind, Reply, Stage, Step, Target, Tls
from ..redact import Redactor
from ..reply import decode, parse

LONGEST = 64 * 1024  # octets of one line that are looked at
SHOWN = 1000  # characters of one line that are kept
KEPT = 400  # lines kept of one session: half of them its first ones, half its last
ANSWER = 200  # lines of one answer
REDACTORS = 8  # things that may be secrets, remembered for masking
STEPS = 200  # steps written down of one session; then mails that went well are forgotten, else the rest goes on unread
DETAIL = 300  # characters of a library's words in a recording
LEFT_OUT = "left out"
SHOWN_OF_STEP = ("side", "version", "offered", "problems", "mechanism", "injected", "address", "detail")
UNANSWERED = 500  # commands that wait for their answers; an app that sends more is read along no further

OnStep = Callable[[Target, Step], None]


@dataclass(slots=True)
class Asked:
    """A command that waits for its answer."""

    verb: str
    sent: str  # a label, never what was sent
    at: float
    tag: str = ""
    mechanism: str = ""
    many: bool = False  # answered with several lines (POP)


class Lines:
    """Octets to lines, the length bounded; `size` octets of a line that was longer are counted only."""

    def __init__(self) -> None:
        self._part = bytearray()
        self._size = 0

    def add(self, piece: bytes) -> tuple[bytes, int] | None:
        """A line with its end, and its real length, once it is complete. `piece` holds at most one line end."""
        self._size += len(piece)
        if self._size <= LONGEST:
            self._part += piece
        if not piece.endswith(b"\n"):
            return None
        line, size = bytes(self._part), self._size
        if size > LONGEST:
            line = line[:LONGEST] + (b"\r\n" if piece.endswith(b"\r\n") else b"\n")
        self._part.clear()
        self._size = 0
        return line, size

    @property
    def part(self) -> bytes:
        """The beginning of a line that has no end yet."""
        return bytes(self._part[:SHOWN])


class Watch:
    """One session. Subclasses know the words of a protocol: `client_line`, `server_line`.

    upgradable   the app's STARTTLS goes to the server and is answered by it; the session then starts TLS on both sides
    """

    def __init__(self, target: Target, *, upgradable: bool, on_step: OnStep | None = None) -> None:
        self.target = target
        self.upgradable = upgradable
        self.upgrading = False  # STARTTLS was sent, its answer is awaited
        self.upgrade = False  # ... and it was yes: TLS begins with the next octet
        self.app_secured = False
        self._wordless = False  # the app has said nothing since TLS
        self._injected = False
        self.server_secured = False
        self.kind: Kind | None = None
        self.login: str | None = None
        self.sender: str | None = None
        self.habits: set[str] = set()
        self._first: list[tuple[str, str]] = []
        self._latest: deque[tuple[str, str]] = deque(maxlen=KEPT // 2)
        self._notes = 0
        self.refused = 0  # sign-ins
        self.signed_in = False
        self.asked: list[Asked] = []
        self.answer: list[bytes] = []  # lines of the answer that is being read
        self.skip_client = 0  # octets of a literal or of mail
        self.skip_server = 0
        self.on_step = on_step
        self.steps: list[Step] = []
        self._redactors: list[Redactor] = []
        self._began = time.monotonic()
        self._last = self._began
        self._started = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._client, self._server = Lines(), Lines()

    # --- what a session calls

    def client(self, data: bytes) -> int:
        """Octets of the app. How many of them go on now: fewer than all where STARTTLS ended a line among them."""
        at = 0
        self._wordless = False
        while at < len(data) and not self.lost:
            if self.skip_client:
                step = min(self.skip_client, len(data) - at)
                self.skipped(data[at : at + step])
                self.skip_client -= step
                at += step
                continue
            end = data.find(b"\n", at) + 1 or len(data)
            found = self._client.add(data[at:end])
            at = end
            if found:
                self.client_line(*found)
                if self.upgrading:
                    return at
        return len(data)

    def server(self, data: bytes) -> None:
        """Octets of the server."""
        at = 0
        while at < len(data) and (not self.lost or not self.steps):
            if self.skip_server:
                step = min(self.skip_server, len(data) - at)
                self.skip_server -= step
                at += step
                continue
            end = data.find(b"\n", at) + 1 or len(data)
            found = self._server.add(data[at:end])
            at = end
            if found:
                self.server_line(found[0])
                if self.upgrade and at < len(data):
                    self._injected = True  # clear text behind the answer to STARTTLS
                    return

    @property
    def lost(self) -> bool:
        """Not to be read along: TLS where text belongs, or more than anybody would read in a report."""
        return "app.tls_on_clear_port" in self.habits or len(self.steps) >= STEPS or len(self.asked) >= UNANSWERED

    def secured(self, *, app: bool, seen: dict[str, JsonValue]) -> None:
        """A handshake that went well, with the app or with the server."""
        if app:
            self.app_secured = self._wordless = True
        else:
            self.server_secured = True
        if app and self.upgradable:
            self.note("TLS", "")
        more = {"injected": True} if self._injected and not app else {}
        self.step(Stage.TLS, seen={**seen, **more, "side": "app" if app else "server"})

    @property
    def due(self) -> bool:
        """The server owes the app an answer."""
        if self.sending or self.lost:
            return False
        return self.skip_server > 0 or any(asked.verb not in self.goodbyes for asked in self.asked)

    @property
    def sending(self) -> bool:
        """The app is in the middle of something that it has to finish before it is answered."""
        return self.skip_client > 0

    def close(self, fault: Fault | None) -> None:
        """The session is over; `fault` where the server or the way to it ended it."""
        if "app.tls_on_clear_port" in self.habits:
            self.failed(Stage.TLS, Fault.TLS_NOT_SPOKEN)
            return
        if self._wordless and fault is None and all(step.ok for step in self.steps):
            # some TLS libraries end the handshake before they look at the certificate
            self.habit("rejects_certificate")
            self.failed(Stage.TLS, Fault.TLS_UNTRUSTED, side="app")
            return
        waiting = next((asked for asked in self.asked if asked.verb not in self.goodbyes), None)
        if waiting:
            gave_up = "app.gave_up" in self.habits
            self.failed(self.stage_of(waiting), Fault.TIMEOUT if gave_up else fault or Fault.CLOSED, waiting)
        elif fault is Fault.CANCELLED and self.signed_in:
            pass  # an idle app of which enough is known
        elif fault and all(step.ok for step in self.steps):
            self.failed(Stage.USE if self.signed_in else Stage.CAPABILITIES, fault)
        self.conclude()

    # --- what subclasses bring

    goodbyes: frozenset[str] = frozenset({"QUIT"})

    def client_line(self, line: bytes, size: int) -> None:
        """One line of the app, with its end; `size` is its real length."""
        raise NotImplementedError

    def server_line(self, line: bytes) -> None:
        """One line of the server, with its end."""
        raise NotImplementedError

    def skipped(self, data: bytes) -> None:
        """Octets of a literal or of mail that the app sent."""

    def stage_of(self, asked: Asked) -> Stage:
        """Which stage a command belongs to."""
        raise NotImplementedError

    def conclude(self) -> None:
        """The last word: habits that show only at the end."""

    def lost_track(self) -> None:
        """Something was left out here: nothing is awaited any more."""
        self.asked.clear()
        self.answer.clear()

    # --- what subclasses use

    def note(self, who: str, text: str) -> None:
        """One line of the dialogue; "C", "S", "TLS", "R" (the relay's own words) or "#" (a step, see `notes`)."""
        kept = self._first if len(self._first) < KEPT // 2 else self._latest
        kept.append((who, self._shown([text])[0]))
        self._notes += 1

    @property
    def dialogue(self) -> list[tuple[str, str]]:
        """The lines so far. What is left out of a long session is said, and ends where the app begins something."""
        latest = list(self._latest)
        if self._notes > KEPT:
            begins = (n for n, pair in enumerate(pairwise(latest), 1) if _begins(*pair))
            latest = latest[next(begins, len(latest)) :]
            latest.insert(0, ("#", f"and {self._notes - len(self._first) - len(latest)} lines {LEFT_OUT}"))
        return [*self._first, *latest]

    def heard(self, line: bytes) -> None:
        """Notes a line of the server's, and keeps it as part of the answer that is being read."""
        self.note("S", decode(line))
        if len(self.answer) < ANSWER:
            self.answer.append(line)

    def reply(self) -> Reply:
        """The answer that has been read, as evidence."""
        lines = self._shown([decode(line) for line in self.answer])
        self.answer = []
        return parse(self.target.protocol, lines)

    def knows(self, secret: str | None) -> None:
        """The app has shown what may be a secret: whatever repeats it from now on is masked."""
        if secret and len(secret) <= SHOWN:
            self._redactors = [*self._redactors[1 - REDACTORS :], Redactor(secret, self.login)]

    def suspects(self, text: str) -> None:
        """This may be a secret in the wrong place; a server may repeat it. Only the first ones are looked at."""
        if len(self._redactors) < REDACTORS // 2:
            self.knows(text)

    def _shown(self, lines: list[str]) -> list[str]:
        for redactor in self._redactors:
            lines = redactor.lines(lines)
        return [line[:SHOWN] for line in lines]

    def habit(self, name: str, when: bool = True) -> None:
        """Notes a habit of the app (facts.toml, `app.*`)."""
        if when:
            self.habits.add(f"app.{name}")

    def step(
        self,
        stage: Stage,
        *,
        ok: bool = True,
        asked: Asked | None = None,
        reply: Reply | None = None,
        fault: Fault | None = None,
        seen: dict[str, Any] | None = None,
        began: float | None = None,
    ) -> None:
        """Writes down one stage."""
        now = time.monotonic()
        start = asked.at if asked else self._last if began is None else began
        self._last = now
        made = Step(
            stage,
            ok,
            asked.sent if asked else "",
            reply,
            fault,
            seen or {},
            round(now - start, 6),
            round(start - self._began, 6),
        )
        self._keep(made)
        if self.on_step:
            self.on_step(self.target, made)

    def _keep(self, step: Step) -> None:
        """A long session's mails that went well make room for what comes after them."""
        if len(self.steps) >= STEPS - 1 and (
            old := next((s for s in self.steps if s.ok and s.stage is Stage.USE), None)
        ):
            self.steps.remove(old)
        self.steps.append(step)
        if step.fault or (step.reply is None and step.stage in (Stage.DNS, Stage.TCP, Stage.TLS)):
            seen = {key: step.seen[key] for key in SHOWN_OF_STEP if step.seen.get(key)}
            if "detail" in seen:
                seen["detail"] = str(seen["detail"])[:DETAIL]
            self.note("#", f"step: {step.stage} {'ok' if step.ok else step.fault} {json.dumps(seen)}")

    def failed(self, stage: Stage, fault: Fault, asked: Asked | None = None, **seen: JsonValue) -> None:
        """A stage that ended without an answer."""
        seen = {**seen, "mechanism": asked.mechanism} if asked and asked.mechanism else seen
        self.step(stage, ok=False, asked=asked, fault=fault, seen=seen)

    @property
    def now(self) -> float:
        """The clock of the steps."""
        return time.monotonic()

    @property
    def tls(self) -> Tls | None:
        """How the server was reached in fact: an app that never sent STARTTLS spoke in clear."""
        if self.target.tls is Tls.STARTTLS and self.upgradable and not self.server_secured:
            return Tls.NONE
        return self.target.tls

    @property
    def account(self) -> Account:
        """Who signed in, and who sends."""
        return Account(self.login, self.login, self.sender or self.login)

    @property
    def attempt(self) -> Attempt:
        """The evidence so far. Sign-ins that were refused before one that was accepted are not its end."""
        target = Target(self.target.protocol, self.target.host, self.target.port, self.tls)
        facts = frozenset(self.habits)
        return Attempt(target, mended(self.steps), kind=self.kind, started=self._started, facts=facts)


def _begins(before: tuple[str, str], line: tuple[str, str]) -> bool:
    """Does a command begin here, rather than go on? The answer to one came before, and it is one that is shown."""
    return before[0] == "S" and line[0] == "C" and not line[1].startswith(("***", "."))


def mended(every: Sequence[Step]) -> tuple[Step, ...]:
    """The steps without failures that the app itself has mended (a second EHLO, another mechanism)."""
    return tuple(_unmended(every))


def _unmended(every: Sequence[Step]) -> Iterable[Step]:
    last_ok = {step.stage: number for number, step in enumerate(every) if step.ok}
    signed_in = last_ok.get(Stage.AUTH, -1)
    for number, step in enumerate(every):
        later = last_ok.get(step.stage, -1) if step.stage in (Stage.AUTH, Stage.CAPABILITIES) else signed_in
        if step.ok or number > later or step.stage not in (Stage.AUTH, Stage.CAPABILITIES, Stage.USE):
            yield step
