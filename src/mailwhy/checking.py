"""One run of `check`: probes, ledger and diagnosis joined. No console, no exit.

    outcome = await check("user@contoso.com", Secret("..."))       three protocols at once, to their end
    one = Check(account, secret, ...)
    await one.go()                     to its end; may be cancelled at any time
    one.outcome()                      what is known so far

How a sign-in is kept harmless (design: "Signing in without harm"): the three connections are made at once, but
IMAP and POP hold the secret back until SMTP's AUTH has answered, and do not send it when that answer refuses the
credential or says that the account is locked. Where accounts lock early, each waits for the one before it. One sign-in
a protocol and run, never a retry, never a variant. asyncio, ssl and the probes are imported where they are used.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from . import diagnose, run
from .facts import cloud_of, consumer_cloud
from .knowledge import load
from .model import (
    Account,
    Attempt,
    Cloud,
    Credential,
    Diagnosis,
    Fault,
    Judged,
    Kind,
    Knowledge,
    Notice,
    Outcome,
    Password,
    Protocol,
    Secret,
    Stage,
    Step,
    Target,
)
from .signs import Signs
from .targets import of_cloud

if TYPE_CHECKING:
    import asyncio

    from .ledger import Ledger, SignIn
    from .net import Recorder
    from .probe import Way

NEAR = 0.1  # seconds within which servers on loopback have answered: what works needs no signs
Observer = Callable[[Target, Step], None]
NOT_BEGUN = (Step(Stage.DNS, ok=False, fault=Fault.CANCELLED),)  # stopped before anything was noted


async def check(
    login: str,
    secret: Secret | None,
    *,
    mailbox: str | None = None,
    sender: str | None = None,
    kind: Kind = Kind.PASSWORD,
    targets: Sequence[Target] | None = None,
    cloud: str | None = None,
    way: Way | None = None,
    insist: bool = False,
    asked: Iterable[Protocol] = (),
    as_of: str | None = None,
    facts: Iterable[str] = (),
    ledger: Ledger | None = None,
    force: bool = False,
    send_to: str | None = None,
    on_step: Observer | None = None,
    knowledge: Knowledge | None = None,
) -> Outcome:
    """Signs in once over each protocol and says what came of it.

    login, secret   the name and the password or token (kind) that sign in; no secret: stop before AUTH
    mailbox, sender the mailbox that is meant, the address that sends; the login unless given
    targets         servers; else those of `cloud`, else of the cloud that the login's domain decides
    insist          IMAP and POP sign in whatever SMTP answered; `asked`: protocols the caller wants by name
    as_of           ISO date for which the calendar is read; today (UTC) unless given
    ledger, force   remembers refused sign-ins and holds further ones back, unless forced
    send_to         when SMTP has signed in: send one marked message to this address, which takes one more sign-in
    on_step         called with each finished step, in order per target

    Failures of servers and networks are values in the Outcome. Raises only what the caller did wrong
    (KeyError: no such cloud) and CancelledError.
    """
    one = Check(
        Account(login, mailbox or login, sender or login),
        secret,
        kind=kind,
        targets=targets,
        cloud=cloud,
        way=way,
        insist=insist,
        asked=asked,
        as_of=as_of,
        facts=facts,
        ledger=ledger,
        force=force,
        send_to=send_to,
        on_step=on_step,
        knowledge=knowledge,
    )
    await one.go()
    return one.outcome()


class Check:
    """One run of `check`. `outcome()` may be asked at any time: after Ctrl-C it tells what is known so far.

    others: what was seen of the account's further protocols before, and is not asked again; judged with the rest
    """

    def __init__(
        self,
        account: Account,
        secret: Secret | None,
        *,
        kind: Kind = Kind.PASSWORD,
        targets: Sequence[Target] | None = None,
        cloud: str | None = None,
        way: Way | None = None,
        insist: bool = False,
        asked: Iterable[Protocol] = (),
        as_of: str | None = None,
        facts: Iterable[str] = (),
        ledger: Ledger | None = None,
        force: bool = False,
        send_to: str | None = None,
        on_step: Observer | None = None,
        knowledge: Knowledge | None = None,
        others: Sequence[Attempt] = (),
    ) -> None:
        from .net import Recorder

        self.knowledge = knowledge or load()
        self.account = account
        self.credential = Credential(account, kind, secret) if secret is not None else None
        self.cloud = cloud or consumer_cloud(account.login or "", self.knowledge) or "worldwide"
        self.targets = tuple(targets) if targets is not None else of_cloud(self.knowledge.clouds[self.cloud])
        self.way = way
        self.insist = insist
        self.asked = tuple(asked)
        self.as_of = as_of or run.today()
        self.facts = frozenset(facts)
        self.ledger = ledger
        self.force = force
        self.send_to = send_to
        self.on_step = on_step
        self.others = tuple(others)
        self._sent: dict[Target, SignIn] = {}
        self._notes: dict[Target, asyncio.Task[None]] = {}
        self._told: list[Notice] = []
        used = kind if secret is not None else None
        self.recorders = tuple(Recorder(target, used, self._watch) for target in self.targets)
        self.started: str | None = None
        self.finished: str | None = None
        self._answered: dict[Target, asyncio.Event] = {}

    @functools.cached_property
    def signs(self) -> Signs:
        """The handbook's signs, ready to be asked."""
        return run.signs() if self.knowledge is load() else Signs(self.knowledge.signs)

    async def go(self) -> None:
        """Runs all probes to their end."""
        import asyncio

        self.started = run.now()
        self._answered = {target: asyncio.Event() for target in self.targets}
        try:
            async with asyncio.TaskGroup() as group:
                for recorder in self.recorders:
                    group.create_task(self._one(recorder))
                # a refusal needs them: made while the first answers are on their way, where that takes any time
                asyncio.get_running_loop().call_later(NEAR, self.signs.make_ready)
        finally:
            self.finished = run.now()
            for recorder in self.recorders:  # a list must not wait for the search for garbage to forget this run
                recorder.on_step = None

    async def _one(self, recorder: Recorder) -> None:
        from .probe import Way, probe

        try:
            way = self.way or Way()
            await probe(recorder.target, self.credential, way, may_sign_in=self.may_sign_in, recorder=recorder)
            if note := self._notes.get(recorder.target):
                await note
        finally:
            self._answered[recorder.target].set()
        if self.send_to and recorder.target.protocol is Protocol.SMTP:
            await self._send(recorder, way, self.send_to)

    async def _send(self, recorder: Recorder, way: Way, recipient: str) -> None:
        """One message, where SMTP has let us in; the ledger is asked and told as for any sign-in."""
        attempt = recorder.attempt
        if self.credential is None or attempt.failed or not attempt.ok(Stage.AUTH):
            self._tell("send.not_tried", f"No message was sent to {recipient}: SMTP did not let us in.")
            return
        if held := await self._held_by_ledger(attempt):
            self._tell("send.not_tried", f"No message was sent to {recipient}: {held}")
            return
        import asyncio

        from .send import send

        await send(recorder, self.credential, way, str(attempt.stage(Stage.AUTH)[-1].seen["mechanism"]), recipient)
        step = recorder.attempt.steps[-1]
        refused = str(step.seen.get("at", "")).startswith("AUTH")
        sign_in = self._sent.pop(recorder.target, None)
        if self.ledger and sign_in:
            came_of_it = Judged.UNKNOWN if refused else Judged.ACCEPTED
            await self.ledger.tell(sign_in, came_of_it, datetime.now(UTC), asyncio.sleep)
        what = "was accepted" if step.ok else f"was not accepted (at {step.seen.get('at')})"
        said = f": {step.reply.line}" if step.reply else ""
        text = f"A test message to {recipient} {what}{said}. It took one more sign-in on a connection of its own."
        self._tell("send.message", text)

    def _tell(self, id_: str, text: str) -> None:
        self._told.append(Notice(id_, text))

    def _watch(self, target: Target, step: Step) -> None:
        if step.stage is Stage.AUTH:
            self._remember(target, step)
        if self.on_step:
            self.on_step(target, step)

    def _waits_for(self, target: Target) -> list[Target]:
        """Whose answers come first: SMTP's, unless it is insisted; one after another where accounts lock early."""
        order = list(Protocol)
        first = [each for each in self.targets if order.index(each.protocol) < order.index(target.protocol)]
        cloud = self._cloud_at(target)
        if cloud and cloud.careful:
            return first
        return [] if self.insist else [each for each in first if each.protocol is Protocol.SMTP]

    def _cloud_at(self, target: Target) -> Cloud | None:
        return self.knowledge.clouds.get(cloud_of(target.host or "", self.knowledge) or "")

    async def may_sign_in(self, attempt: Attempt) -> str | None:
        """The one hook before a secret leaves this machine: None to go on, else why it is held back."""
        for first in self._waits_for(attempt.target):
            await self._answered[first].wait()
        if attempt.target.protocol is not Protocol.SMTP and not self.insist and (reason := self._after_smtp()):
            return reason
        return await self._held_by_ledger(attempt)

    async def _held_by_ledger(self, attempt: Attempt) -> str | None:
        """Asks the ledger, and tells it what is about to be sent."""
        if self.ledger is None or self.credential is None:
            return None
        import asyncio

        from .ledger import SignIn

        sign_in = SignIn.of(attempt, self.credential, self._cloud_at(attempt.target))
        if sign_in.exempt:
            return None
        now = datetime.now(UTC)
        if held := await self.ledger.ask(sign_in, now, asyncio.sleep, force=self.force, insist=self.insist):
            return str(held)
        self._sent[attempt.target] = sign_in
        return None

    def _remember(self, target: Target, step: Step) -> None:
        """Tells the ledger what came of a sign-in; only then may another one of this run go on and ask it."""
        sign_in = self._sent.pop(target, None)
        if self.ledger is None or sign_in is None or step.fault is Fault.CANCELLED:
            self._answered[target].set()
            return
        import asyncio

        from .ledger import judged

        attempt = next(r.attempt for r in self.recorders if r.target is target)
        found = diagnose.diagnose([attempt], self.account, self.knowledge, self.as_of, self.facts, self.signs)[0]
        reply = step.reply.spoken.line if step.reply else ""
        now, sign = datetime.now(UTC), found.sign or ""
        told = self.ledger.tell(sign_in, judged(found), now, asyncio.sleep, sign=sign, reply=reply)
        note = self._notes[target] = asyncio.get_running_loop().create_task(told)
        note.add_done_callback(lambda _: self._answered[target].set())

    def _after_smtp(self) -> str | None:
        for recorder in self.recorders:
            if recorder.target.protocol is not Protocol.SMTP:
                continue
            reading = diagnose.read(recorder.attempt, self.account, self.knowledge, self.signs, self.as_of, self.facts)
            if reading.password is Password.REFUSED:
                return "SMTP refused this password; the same one is not tried again in this run (--all insists)"
            if reading.hit and reading.hit.sign.means and reading.hit.sign.means[0].cause == "account.locked":
                return "the account is locked; a further sign-in would keep it locked (--all insists)"
        return None

    def outcome(self) -> Outcome:
        """What the run comes to, as far as it has got."""
        return diagnose.outcome(
            "check",
            self.account,
            self.diagnoses(),
            self.knowledge,
            self.as_of,
            insisted=self.asked,
            outside=self.facts,
            started=self.started,
            finished=self.finished or run.now(),
            notices=(*self._told, *(self.ledger.notices if self.ledger else ())),
        )

    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """One diagnosis a target, in the order of the targets (with `others`: of the protocols)."""
        attempts = [recorder.attempt for recorder in self.recorders]
        attempts = [attempt if attempt.steps else replace(attempt, steps=NOT_BEGUN) for attempt in attempts]
        if self.others:
            attempts = sorted([*attempts, *self.others], key=lambda a: list(Protocol).index(a.target.protocol))
        return diagnose.diagnose(attempts, self.account, self.knowledge, self.as_of, self.facts, self.signs)
