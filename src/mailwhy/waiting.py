"""Waits for a setting to take effect: checks again and again until what is awaited passes, or waiting cannot help.

    following(diagnoses, ...)   what to ask again, or why not to; pure
    Waiting(start, ...).go()    the loop; the check, the sleep and the clocks come in as arguments

A sign-in is repeated only while the last answer says that the password was accepted or not looked at: a refused one
that is sent again and again locks the account. The ledger is asked by every check as always.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol as Interface

from .model import Attempt, Diagnosis, Notice, Outcome, Password, Protocol, Target, Verdict


class Round(Interface):
    """One check, as `checking.Check` is."""

    async def go(self) -> None: ...

    def diagnoses(self) -> tuple[Diagnosis, ...]: ...

    def outcome(self) -> Outcome: ...


# which targets (None: all that are wanted), and what is known of the others -> the check to run
Start = Callable[[Sequence[Target] | None, Sequence[Attempt]], Round]


@dataclass(frozen=True, slots=True)
class Next:
    """What to ask again; nothing: it is over. `why`: in words, where it is over without a pass."""

    targets: tuple[Target, ...] = ()
    why: str = ""


def following(diagnoses: Sequence[Diagnosis], asked: Iterable[Protocol] = (), first: bool = False) -> Next:
    """What the answers so far leave to be awaited. A retired protocol is, only if it was `asked` for by name.

    first: these are the answers of the first check, so a server that was not reached may never have been there.
    """
    asked = frozenset(asked)
    retired = [d for d in diagnoses if d.verdict is Verdict.RETIRED and _protocol(d) not in asked]
    live = [d for d in diagnoses if d not in retired] or retired
    open_ = [d for d in live if d.verdict is not Verdict.WORKS]
    reasons = {_name(d): why for d in open_ if (why := hopeless(d, first))}
    if not reasons:
        return Next(tuple(d.attempt.target for d in open_))
    why = "; ".join(f"{name}: {why}" for name, why in reasons.items())
    hopeful = [_name(d).lower() for d in open_ if _name(d) not in reasons]
    return Next(why=why + (f" (--only {','.join(hopeful)} waits without it)" if hopeful else ""))


def hopeless(diagnosis: Diagnosis, first: bool = False) -> str:
    """Why a further sign-in would not help, or would harm; "" where waiting may mend it."""
    cause = diagnosis.findings[0].cause if diagnosis.findings else ""
    if diagnosis.verdict is Verdict.RETIRED:
        return "Microsoft removed it; no setting brings it back"
    if diagnosis.verdict is Verdict.NOT_TRIED:
        return f"not tried: {diagnosis.attempt.held_back or 'stopped'}"
    if cause == "account.locked":
        return "the account is locked; a further sign-in would keep it locked"
    if diagnosis.password is Password.REFUSED:
        return "the password was refused; waiting does not mend that, and repeating it may lock the account"
    if diagnosis.password is Password.NOT_TOLD:
        return "the server does not tell whether it looked at the password; repeating it may lock the account"
    if diagnosis.verdict is Verdict.UNREACHABLE and first:
        return "not reached, so there is no answer that could change"
    return ""


class Waiting:
    """`await go()`; `outcome()` at any time: the last answer of every protocol, after Ctrl-C as well.

    start        makes the check of some targets, given what is known of the others
    every, most  seconds between two checks, and in all
    say          one line about each check, for a person
    now, sleep   seconds that only grow, and how to let some pass; `clock` the time of day in UTC
    """

    def __init__(
        self,
        start: Start,
        *,
        every: float,
        most: float,
        asked: Iterable[Protocol] = (),
        say: Callable[[str], None] = lambda line: None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.start, self.every, self.most, self.asked = start, every, most, tuple(asked)
        self.say, self.now, self.sleep, self.clock = say, now, sleep, clock
        self.notices: list[Notice] = []
        self._run = start(None, ())
        self._checks = 1
        self._asked_at = clock()

    async def go(self) -> None:
        """Checks until everything that is awaited passes, waiting cannot help any more, or the time is over."""
        end = self.now() + self.most
        await self._run.go()
        left = following(self._run.diagnoses(), self.asked, first=True)
        if left.targets:
            pace = f"every {in_words(self.every)}, for at most {in_words(self.most)}"
            self.say(f"Waiting for {_and(left.targets)}: asked again {pace}. Ctrl-C ends it.")
        while left.targets:
            if self.now() + self.every > end:
                self._stop(f"{_and(left.targets)} did not pass within {in_words(self.most)}")
                return
            await self.sleep(self.every)
            await self._again(left.targets)
            left = following(self._run.diagnoses(), self.asked)
        if left.why:
            self._stop(left.why)

    async def _again(self, targets: Sequence[Target]) -> None:
        """One more check of these; becomes the last one only when it has come to its end."""
        before = {d.attempt.target: d for d in self._run.diagnoses()}
        others = [d.attempt for target, d in before.items() if target not in targets]
        at, run = self.clock(), self.start(targets, others)
        await run.go()
        self._run, self._checks = run, self._checks + 1
        for diagnosis in run.diagnoses():
            if diagnosis.attempt.target in targets:
                self._tell(before[diagnosis.attempt.target], diagnosis, at)
        self._asked_at = at

    def _tell(self, before: Diagnosis, after: Diagnosis, at: datetime) -> None:
        name = _name(after)
        if after.verdict is Verdict.WORKS:
            text = f"{name} signs in since {at:%H:%M} UTC; at {self._asked_at:%H:%M} UTC it did not yet."
            self.notices.append(Notice("waiting.passed", f"{text} Sign-ins until then: {self._checks}."))
            self.say(text)
        elif (before.sign, before.verdict) == (after.sign, after.verdict):
            self.say(f"{at:%H:%M} UTC {name}: as before.")
        else:
            step = after.attempt.failed
            answer = step.reply.line if step and step.reply else str(step.fault if step else "none").replace("_", " ")
            self.say(f"{at:%H:%M} UTC {name}: another answer: {answer}")

    def _stop(self, why: str) -> None:
        self.notices.append(Notice("waiting.stopped", f"Not waited any longer: {why}."))
        self.say(self.notices[-1].text)

    def outcome(self) -> Outcome:
        """What the last check came to, with the last answer of the protocols that it did not ask."""
        last = self._run.outcome()
        return replace(last, notices=(*self.notices, *last.notices))


def in_words(seconds: float) -> str:
    """`30 s`, `5 min`, `2 h`."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _protocol(diagnosis: Diagnosis) -> Protocol:
    return diagnosis.attempt.target.protocol


def _name(diagnosis: Diagnosis) -> str:
    return _protocol(diagnosis).upper()


def _and(targets: Sequence[Target]) -> str:
    return " and ".join(target.protocol.upper() for target in targets)
