"""`mailwhy rehearse`: act like an old device or a library, and say which of its habits the service refuses."""

from __future__ import annotations

import dataclasses
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from ..facts import cloud_of, consumer_cloud
from ..knowledge import load
from ..model import (
    Account,
    Attempt,
    Credential,
    Exit,
    Fault,
    Judged,
    Kind,
    Knowledge,
    Outcome,
    Password,
    Stage,
    Step,
    Target,
    Verdict,
)
from ..targets import of_cloud
from ._options import as_of_option, ca_file, facts_option, seconds
from ._output import Output, output_options, print_text
from ._secret import no_more_arguments, secret_options, take
from ._where import server

if TYPE_CHECKING:
    from ..checking import Check
    from ..ledger import SignIn
    from ..net import Way
    from ..rehearse import Profile
    from ..report.live import Live

STOPS = frozenset({"account.locked"})  # a further sign-in would do harm


@click.command(
    "rehearse",
    epilog="Exit: as for check, of the app that was rehearsed.",
    context_settings={"allow_extra_args": True},
)
@click.argument("profile", required=False)
@click.argument("user", required=False)
@click.option("--list", "listing", is_flag=True, help="Show the profiles, and end.")
@click.option("--from", "sender", help="The address in MAIL FROM, where it is not USER.")
@click.option("--no-auth", is_flag=True, help="Never sign in: what a device without a sign-in sees.")
@click.option("--server", "named", type=server, metavar="SERVER", help="A server of your own: smtp=HOST:PORT/starttls.")
@click.option("--cloud", help="worldwide, gcc-high, dod, china, consumer or hve; follows from USER where it can.")
@click.option(
    "--timeout",
    type=seconds(0.1, 600),
    metavar="SECONDS",
    help="Seconds for each stage, 0.1 to 600 (10 to connect, 30 for AUTH).",
)
@click.option("--ca-file", "--cacert", type=ca_file, metavar="FILE", help="Trust this CA (PEM).")
@as_of_option
@facts_option
@click.option("--force", is_flag=True, help="Sign in although earlier refusals say not to. Risks a lock-out.")
@secret_options
@output_options
@click.pass_context
def command(ctx: click.Context, /, profile: str | None, user: str | None, output: Output, **given: Any) -> None:
    """Act like PROFILE, signing in as USER once, and show what the service refuses of it.

    Beside it stands what a modern client gets with the same password: one more sign-in, which is left out where the
    password was refused. PROFILE: see --list. Nothing is sent as mail.
    """
    from ..rehearse import profiles

    no_more_arguments(ctx)
    known = profiles()
    if given["listing"]:
        for each in known.values():
            click.echo(f"{each.id:<20}{each.title}. {each.habits}")
        return
    if not profile or not user:
        raise click.UsageError("name a PROFILE and a USER; --list shows the profiles")
    if profile not in known:
        raise click.BadParameter(f"{profile!r}: known are {', '.join(known)}", param_hint="PROFILE")
    run = Rehearsal(known[profile], user, ctx, given, output.live())
    import asyncio

    try:
        app, modern = asyncio.run(run.go())
    except KeyboardInterrupt:
        app, modern = run.so_far()
    if output.format == "human" and not output.files:
        show(run, app, modern, output)
    else:
        both = (*app.diagnoses, *(modern.diagnoses if modern else ()))
        output.write(dataclasses.replace(app, diagnoses=both), run.knowledge)
    ctx.exit(int(app.exit))


class Rehearsal:
    """One run: the app's sign-in, then a modern client's where that can do no harm. `so_far()`: after Ctrl-C."""

    def __init__(self, profile: Profile, user: str, ctx: click.Context, given: dict[str, Any], live: Live) -> None:
        self.profile, self.given, self.live = profile, given, live
        self.steps: list[Step] = []  # of the app, while it is under way
        self.app: Outcome | None = None
        self.check: Check | None = None  # the modern client
        self.knowledge = load()
        self.account = Account(user, user, given["sender"] or user)
        self.target = _target(profile, given["named"], given["cloud"], self.account, self.knowledge)
        self.credential: Credential | None = None
        self.facts: tuple[str, ...] = given["facts"]
        self.told = ""  # by a real program
        self.why_no_modern = ""
        self._sign_in: SignIn | None = None
        if not given["no_auth"]:
            ready = take(ctx, user, Kind.PASSWORD)
            self.credential = Credential(self.account, Kind.PASSWORD, ready.secret)
            self.facts = (*self.facts, *ready.facts)

    async def go(self) -> tuple[Outcome, Outcome | None]:
        """What the app gets, and what a modern client gets."""
        self.app = self._judged(await self._app())
        self.why_no_modern = self._harm(self.app)
        return self.app, None if self.why_no_modern else await self._modern()

    def so_far(self) -> tuple[Outcome, Outcome | None]:
        """What is known when the run has been stopped."""
        if self.app is None:  # the ledger keeps a sign-in that was under way as one that was made
            self._sign_in = None
            kind = self.credential.kind if self.credential else None
            steps = tuple(self.steps) or (Step(Stage.TCP, ok=False, fault=Fault.CANCELLED),)
            self.app = self._judged(Attempt(self.target, steps, kind))
        self.why_no_modern = self.why_no_modern or "the run was stopped"
        modern = self.check.outcome() if self.check else None
        return dataclasses.replace(self.app, exit=Exit.CANCELLED), modern

    def _step(self, target: Target, step: Step) -> None:
        self.steps.append(step)
        self.live(target, step)

    @property
    def way(self) -> Way:
        """How to get there."""
        from ..net import Timeouts, Way

        limit = self.given["timeout"]
        timeouts = Timeouts.all(limit) if limit else Timeouts()
        return Way(ca_file=self.given["ca_file"], timeouts=timeouts)

    def _judged(self, attempt: Attempt) -> Outcome:
        from ..run import judge

        account = dataclasses.replace(self.account, sender=self.profile.sender or self.account.sender)
        as_of = self.given["as_of"]
        outcome = judge("rehearse", [attempt], account, as_of=as_of, facts=self.facts, knowledge=self.knowledge)
        if self._sign_in:
            from ..ledger import Ledger, judged

            (found,) = outcome.diagnoses
            step = next(iter(attempt.stage(Stage.AUTH)[-1:]), None)
            verdict = judged(found) if step else Judged.NOT_JUDGED  # booked, and then never made
            reply = step.reply.spoken.line if step and step.reply else ""
            Ledger().note(self._sign_in, verdict, datetime.now(UTC), sign=found.sign or "", reply=reply)
        return outcome

    async def _app(self) -> Attempt:
        from ..rehearse import act

        if not self.profile.program:
            sender = self.account.sender or ""
            return await act(
                self.profile,
                self.credential,
                self.target,
                self.way,
                sender=sender,
                may_go=self.may_sign_in,
                on_step=self._step,
            )
        return await self._program()

    async def _program(self) -> Attempt:
        import tempfile
        from pathlib import Path

        from ..mock.certs import Certificates, MissingExtraError
        from ..net import Failed
        from ..rehearse import MissingProgramError, perform

        if held := await self.may_sign_in(Attempt(self.target)):
            return Attempt(self.target, kind=Kind.PASSWORD, held_back=held)
        try:
            made = Certificates(("localhost",))
            with tempfile.TemporaryDirectory(prefix="mailwhy-") as folder:
                ca_file = Path(folder) / "ca.pem"
                made.write_ca(ca_file)
                performed = await perform(
                    self.profile,
                    self.credential,
                    self.target,
                    self.way,
                    sender=self.account.sender or "",
                    certificate=made.context(),
                    ca_file=str(ca_file),
                    on_step=self._step,
                )
        except (MissingExtraError, MissingProgramError) as why:
            raise click.ClickException(str(why)) from None
        except Failed as why:
            raise click.ClickException(
                f"{self.profile.program} did not connect: {why.seen.get('detail', '')}"
            ) from None
        self.told = performed.told
        return performed.seen.attempt

    async def may_sign_in(self, attempt: Attempt) -> str | None:
        """Asks the ledger, and tells it what is about to be sent."""
        import asyncio

        from ..ledger import Ledger, SignIn

        if self.credential is None:
            return None
        cloud = self.knowledge.clouds.get(cloud_of(self.target.host or "", self.knowledge) or "")
        sign_in = SignIn.of(attempt, self.credential, cloud)
        if held := await Ledger().ask(sign_in, datetime.now(UTC), asyncio.sleep, force=self.given["force"]):
            return str(held)
        self._sign_in = sign_in
        return None

    def _harm(self, app: Outcome) -> str:
        """Why a second sign-in is not made."""
        (found,) = app.diagnoses
        if self.credential is None:
            return "no sign-in was wanted (--no-auth)"
        if found.password is Password.REFUSED:
            return "the password itself was refused, and is not tried a second time"
        if any(finding.cause in STOPS for finding in found.findings[:1]):
            return "a further sign-in would keep the account locked"
        if found.verdict in (Verdict.UNREACHABLE, Verdict.NOT_TRIED):
            return "the app did not get as far as that"
        return ""

    async def _modern(self) -> Outcome:
        from ..checking import Check
        from ..ledger import Ledger

        credential = self.credential
        self.check = Check(
            self.account,
            credential.secret if credential else None,
            targets=(self.target,),
            way=self.way,
            insist=True,
            asked=(self.target.protocol,),
            as_of=self.given["as_of"],
            facts=self.facts,
            ledger=Ledger(),
            force=self.given["force"],
            on_step=self.live,
            knowledge=self.knowledge,
        )
        await self.check.go()
        return self.check.outcome()


def _target(
    profile: Profile, named: Target | None, cloud: str | None, account: Account, knowledge: Knowledge
) -> Target:
    if named:
        if named.protocol is not profile.protocol:
            raise click.BadParameter(
                f"{profile.id} speaks {profile.protocol}, not {named.protocol}", param_hint="--server"
            )
        return named
    wanted = cloud or consumer_cloud(account.login or "", knowledge) or "worldwide"
    if wanted not in knowledge.clouds:
        raise click.BadParameter(f"{wanted!r}: known clouds are {', '.join(knowledge.clouds)}", param_hint="--cloud")
    found = of_cloud(knowledge.clouds[wanted], (profile.protocol,))
    if not found:
        raise click.BadParameter(f"the cloud {wanted} has no {profile.protocol}", param_hint="--cloud")
    return found[0]


def show(run: Rehearsal, app: Outcome, modern: Outcome | None, output: Output) -> None:
    """The app's report, the modern client's three lines, and the difference."""
    from ..report import render
    from ..report.words import clean

    options = output.options(sys.stdout)
    short = dataclasses.replace(options, verbosity=-1)
    (found,) = app.diagnoses
    say = [f"As {run.profile.id}: {run.profile.title}.", run.profile.habits, ""]
    say += [f"- {stage(step)}" for step in found.attempt.steps]
    say += [f"- {run.knowledge.facts.get(f, f)}" for f in sorted(found.attempt.facts) if f.startswith("app.")]
    if run.told:
        say += [f"- what {run.profile.program} tells its caller: {clean(run.told)}"]
    say += ["", render(app, run.knowledge, "human", options)]
    if modern:
        say += ["A modern client, with the same password:", render(modern, run.knowledge, "human", short)]
    else:
        say += [f"A modern client was not tried: {run.why_no_modern}.", ""]
    say += [difference(app, modern)]
    print_text("\n".join(say).rstrip() + "\n", sys.stdout)


def stage(step: Step) -> str:
    """One stage, with the server's words where it refused."""
    from ..report.words import clean, stage_words

    sent = f" ({clean(step.sent)})" if step.sent else f" ({step.seen['side']})" if step.seen.get("side") else ""
    return f"{stage_words(step)}{sent}" + (f": {clean(step.reply.line)}" if step.reply and not step.ok else "")


def difference(app: Outcome, modern: Outcome | None) -> str:
    """What the comparison comes to, in one sentence."""
    if app.exit is Exit.CANCELLED:
        return "Stopped before it was known."
    if app.verdict is Verdict.WORKS:
        return "The service takes this app as it is."
    if modern is None:
        return "The service refuses this app; whether a modern client fares better was not tried."
    if modern.verdict is Verdict.WORKS:
        return "The service takes the password and refuses the app's habit: change the app, not the password."
    return "The service refuses a modern client as well: the app's habits are not the only reason."
