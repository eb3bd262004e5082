"""`mailwhy batch LIST`: check a whole list of mailboxes, gently, and sum up by cause."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import batch, secrets
from ..batch import Limits, ListError, Results, Row, Tally, remedy
from ..batch.results import records
from ..knowledge import load
from ..ledger import Ledger, is_loopback
from ..model import Account, Exit, Kind, Knowledge, Notice, Outcome, Target, Verdict
from ..report import json as report
from ..report.words import SAID
from ..secrets import Environment, NoSecretError, Taken
from ..targets import BadServerError, parse_server
from ._documents import of_many, write_documents
from ._ends import tell
from ._options import as_of_option, ca_file, complete_cloud, complete_protocols, kind_option, protocols, seconds
from ._output import Output, refuse_existing, write_file
from ._secret import no_more_arguments
from ._signals import end_like_ctrl_c
from ._where import cloud_of, detour, refuse_bare_login, server, targets_of, way_of

if TYPE_CHECKING:
    from ..probe import Way

LINE_EVERY = 10.0  # seconds between two lines of progress where there is no terminal
SOURCES = {"password_file": "file", "password_command": "command", "keyring_service": "keyring"}
SAFE_LOGIN = re.compile(r"[^\W_][\w.+@=~-]*")  # what may stand for {login} in a path or a command


@click.command(
    "batch",
    epilog="Exit: that of the worst result (1 refused, 3 could not find out, 0 works).",
    context_settings={"allow_extra_args": True},
)
@click.argument("list_", metavar="LIST", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--results", type=click.Path(path_type=Path), help="Where results go (default: LIST.results.jsonl).")
@click.option("--resume", is_flag=True, help="Go on with the results that are there; nothing is tested twice.")
@click.option(
    "--remediation", type=click.Path(path_type=Path), help="Write a PowerShell script: look, ask, change, undo."
)
@click.option(
    "--output",
    "-o",
    multiple=True,
    metavar="[FORMAT=]FILE",
    help="Also one report of all: html, markdown, csv, junit, prometheus, json. Several times.",
)
@click.option("--overwrite", is_flag=True, help="Let --output and --remediation replace files that are there.")
@click.option("--password-file", metavar="PATH", help="For rows that name no source; {login} stands for the login.")
@click.option("--password-command", metavar="CMD", help="The same with a command, run without a shell.")
@click.option("--keyring-service", metavar="NAME", help="The same with the system's keyring.")
@click.option(
    "--only",
    type=protocols,
    shell_complete=complete_protocols,
    metavar="PROTOCOLS",
    help="Test only these: smtp,imap,pop.",
)
@click.option("--all", "insist", is_flag=True, help="Sign in over IMAP and POP even where SMTP refused the password.")
@click.option(
    "--cloud",
    shell_complete=complete_cloud,
    help="worldwide, gcc-high, dod, china, consumer or hve; follows from the address where it can.",
)
@click.option("--server", "servers", type=server, metavar="SERVER", multiple=True, help="A server of your own.")
@click.option("--connect-to", type=detour, metavar="DETOUR", multiple=True, help="Dial another address.")
@click.option("--timeout", type=seconds(0.1, 600), metavar="SECONDS", help="Seconds for each stage.")
@click.option("--ca-file", "--cacert", type=ca_file, metavar="FILE", help="Trust this CA (PEM).")
@click.option("--parallel", type=click.IntRange(1, 200), default=10, show_default=True, help="Checks at the same time.")
@click.option("--per-server", type=click.IntRange(1, 200), default=4, show_default=True, help="... to one server.")
@click.option(
    "--rate",
    type=click.FloatRange(0, 6000),
    default=20,
    show_default=True,
    help="Sign-ins a minute and tenant; 0: any.",
)
@click.option("--pace-loopback", is_flag=True, help="Keep to --rate on this machine's own servers as well.")
@click.option(
    "--stop-loss",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Leave a tenant alone after so many refused passwords in a row; 0: never.",
)
@click.option("--many-domains", is_flag=True, help="Yes, these accounts of many unrelated domains are mine to test.")
@click.option("--force", is_flag=True, help="Sign in although earlier refusals say not to. Risks lock-outs.")
@click.option(
    "--format", "format_", type=click.Choice(["human", "json"]), default="human", help="json: one result a line."
)
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@kind_option
@as_of_option
@click.pass_context
def command(ctx: click.Context, /, list_: Path, **given: Any) -> None:
    """Check every mailbox of LIST once: CSV, TSV or JSON Lines with named columns.

    Columns: address; login, from, server, cloud, only, credential; and where the secret is: password-file,
    password-command, password-variable, keyring. A password column works, with a warning.
    """
    no_more_arguments(ctx)
    files = tuple(of_many(spec) for spec in given["output"])
    script = [(given["remediation"], "ps1")] if given["remediation"] else []
    refuse_existing(Output(files=(*files, *script), overwrite=given["overwrite"]))
    plan = Plan(ctx, list_, given, load())
    try:
        found = batch.survey(list_, plan.wrong)
        plan.accept(found)
        path = given["results"] or list_.with_name(f"{list_.stem}.results.jsonl")
        with Results.open(path, resume=given["resume"]) as results:
            exit_ = _run(plan, results, found.rows)
            tally = results.tally
    except ListError as why:
        raise click.UsageError(str(why), ctx) from None
    except OSError as why:
        raise Broken(f"The results cannot be written any more ({why.strerror}): stopped. --resume goes on.") from None
    _sum_up(tally, plan, found.rows, path)
    write_documents(files, path, plan.knowledge, overwrite=given["overwrite"])
    if given["remediation"]:
        text = "".join(remedy.script(lambda: records(path), path.name))
        write_file(given["remediation"], text, overwrite=given["overwrite"])
        tell(f"{given['remediation']}: read it, then run it yourself; it asks before every change.")
    ctx.exit(exit_ or tally.exit)


class Broken(click.ClickException):
    """The run had to stop: what is left could not be found out."""

    exit_code = Exit.UNKNOWN


class Plan:
    """What holds for all rows: the options, and the secrets of the environment."""

    def __init__(self, ctx: click.Context, path: Path, given: dict[str, Any], knowledge: Knowledge) -> None:
        self.ctx = ctx
        self.path = path
        self.given = given
        self.knowledge = knowledge
        self.environment = Environment()
        self.environment.claim(*secrets.VARIABLES.values())
        self.way: Way = way_of(given)
        self.sources = [name for name in SOURCES if given[name]]
        if len(self.sources) > 1:
            raise click.UsageError("Give one of --password-file, --password-command and --keyring-service.", self.ctx)

    def wrong(self, row: Row) -> str | None:
        """What is against a row, before anything is sent."""
        try:
            refuse_bare_login(row.login, self.targets(row), self.knowledge)
        except (click.BadParameter, BadServerError) as why:
            return str(getattr(why, "message", why))
        if not row.source[0] and not self.sources:
            return "no secret: give it a password-file, password-command, password-variable or keyring"
        if not row.source[0] and not SAFE_LOGIN.fullmatch(row.login):
            return "the login has characters that may not stand for {login}; name the row's own source"
        return None

    def targets(self, row: Row) -> tuple[Target, ...]:
        """The servers of a row. Raises BadParameter or BadServerError."""
        servers = tuple(parse_server(text) for text in row.servers) or self.given["servers"]
        cloud = cloud_of(row.cloud or self.given["cloud"], Account(row.login), self.knowledge)
        return targets_of(servers, row.only or self.given["only"], cloud, self.knowledge)

    def accept(self, found: batch.rows.Survey) -> None:
        """Refuses a list with mistakes, or that looks stolen; says what is odd. Raises UsageError."""
        if found.problems:
            listed = "\n".join(f"  {line}" for line in found.problems)
            raise click.UsageError(f"{self.path}: nothing was tested, because of\n{listed}", self.ctx)
        if not found.rows:
            raise click.UsageError(f"{self.path}: no rows", self.ctx)
        if found.many_domains and not self.given["many_domains"]:
            raise click.UsageError(
                f"{self.path}: {len(found.domains)} unrelated domains in {found.rows} rows look like stolen "
                "credentials. If all of them are yours to test, say so with --many-domains.",
                self.ctx,
            )
        self.environment.claim(*found.variables)
        if missing := sorted(name for name in found.variables if not self.environment.has(name)):
            raise click.UsageError(f"{self.path}: variables that are not set: {', '.join(missing)}", self.ctx)
        if found.ignored:
            tell(f"Columns that are not understood, and ignored: {', '.join(found.ignored)}")
        if found.passwords_inside:
            tell(f"{self.path} holds passwords. Name a source for each row instead, and delete it after.")
            for line in secrets.open_to_others(self.path):
                tell(line)

    def loopback(self, row: Row) -> bool:
        """All of a row's sign-ins stay on this machine."""
        return all(is_loopback(self.dialled(target)) for target in self.targets(row))

    def dialled(self, target: Target) -> str:
        """The host that a target's connection really goes to."""
        detours = dict(self.given["connect_to"])
        host, port = target.host or "", target.port or 0
        return str(detours.get((host, port), (host, port))[0])

    def source(self, row: Row) -> tuple[str, str]:
        """Where the row's secret comes from: file, command, variable, keyring or password, and which."""
        if row.source[0]:
            return row.source
        name = self.sources[0]
        return SOURCES[name], str(self.given[name]).replace("{login}", row.login)

    def secret(self, row: Row) -> Taken:
        """The row's secret. Raises NoSecretError. May wait for a command or a file."""
        if row.secret is not None:
            return Taken(row.secret, "the list")
        kind, where = self.source(row)
        if kind == "file":
            return secrets.from_file(Path(where))
        if kind == "command":
            return secrets.from_command(where)
        if kind == "keyring":
            return secrets.from_keyring(where, row.login)
        return self.environment.read(where)

    def may_wait(self, row: Row) -> bool:
        """Reading the row's secret may take its time: a command, a keyring, a named pipe."""
        if row.secret is not None:
            return False
        kind, where = self.source(row)
        return not (kind == "variable" or (kind == "file" and Path(where).is_file()))

    async def check(self, row: Row) -> Outcome:
        """One row, checked. What can go wrong is in the outcome."""
        from ..checking import check

        kind = Kind(row.kind or self.given["credential"] or "password")
        try:
            await asyncio.sleep(0)  # here ends what another row's error ends
            taken = await asyncio.to_thread(self.secret, row) if self.may_wait(row) else self.secret(row)
        except NoSecretError as why:
            return self._untried(row, str(why))
        outcome = await check(
            row.login,
            taken.secret,
            mailbox=row.address,
            sender=row.sender or row.address,
            kind=kind,
            targets=self.targets(row),
            cloud=cloud_of(row.cloud or self.given["cloud"], Account(row.login), self.knowledge),
            way=self.way,
            insist=self.given["insist"],
            asked=row.only or self.given["only"] or (),
            as_of=self.given["as_of"],
            facts=secrets.shape(taken.secret, kind),
            ledger=Ledger(),
            force=self.given["force"],
            knowledge=self.knowledge,
        )
        return replace(outcome, command="batch")

    def _untried(self, row: Row, why: str) -> Outcome:
        today = self.given["as_of"] or time.strftime("%Y-%m-%d", time.gmtime())
        account = Account(row.login, row.address, row.sender or row.address)
        notices = (Notice("secret.missing", f"Not tried: {why}"),)
        return Outcome("batch", today, account, (), Verdict.NOT_TRIED, Exit.UNKNOWN, notices=notices)


def _run(plan: Plan, results: Results, total: int) -> Exit | None:
    """Checks what has no result yet; gives 130 when it was ended by hand."""
    given = plan.given
    limits = Limits(given["parallel"], given["per_server"], given["rate"], given["stop_loss"])

    def todo() -> Iterator[Row]:
        return (row for row in batch.read(plan.path) if not results.has(row))

    with _progress(total, results.tally, given["quiet"]) as show:

        def on_result(row: Row, outcome: Outcome) -> None:
            record = report.plain(outcome, plan.knowledge)
            results.write(row, record)
            if given["format_"] == "json":
                click.echo(json.dumps({"row": row.number, **record}, separators=(",", ":")))
            show()

        end_like_ctrl_c()
        try:
            asyncio.run(
                batch.run(
                    todo(),
                    plan.check,
                    on_result,
                    limits=limits,
                    tally=results.tally,
                    server_of=lambda row: plan.targets(row)[0].host or "",
                    cost=lambda row: len(plan.targets(row)),
                    exempt=lambda row: not given["pace_loopback"] and plan.loopback(row),
                )
            )
        except KeyboardInterrupt:
            tell(f"Ended by hand; --resume --results {results.path} goes on.")
            return Exit.CANCELLED
    return None


@contextmanager
def _progress(total: int, tally: Tally, quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, a line now and then elsewhere; on standard error."""
    if quiet:
        yield lambda: None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
        with Progress(*columns, TextColumn("{task.description}"), console=Console(stderr=True)) as bar:
            task = bar.add_task("", total=total, completed=tally.done, rate="")
            began, before = time.monotonic(), tally.done

            def show() -> None:
                rate = (tally.done - before) / max(time.monotonic() - began, 0.001) * 60
                bar.update(task, completed=tally.done, description=_counts(tally), rate=f"{rate:.0f}/min")

            yield show
    else:
        last = time.monotonic()

        def line() -> None:
            nonlocal last
            if time.monotonic() - last >= LINE_EVERY:
                last = time.monotonic()
                tell(f"{tally.done} of {total}: {_counts(tally)}")

        yield line


def _counts(tally: Tally) -> str:
    said: Counter[str] = Counter()
    for verdict, count in tally.verdicts.items():
        said[SAID[Verdict(verdict)]] += count
    return ", ".join(f"{count} {words}" for words, count in said.most_common())


def _sum_up(tally: Tally, plan: Plan, total: int, path: Path) -> None:
    """The result by cause, the commonest first; a cause that is not the only one possible is only the likeliest."""
    out_json = plan.given["format_"] == "json"
    click.echo(f"{tally.done} of {total} mailboxes: {_counts(tally) or 'none tested'}. Results: {path}", err=out_json)
    for (group, verdict), count in tally.groups.most_common():
        cause = plan.knowledge.cause(group)
        likely = "most likely: " if verdict == Verdict.NARROWED else ""
        words = f"{likely}{cause.title} ({group})" if cause else SAID[Verdict(verdict)]
        click.echo(f"{count:>7}  {words}", err=out_json)
    for tenant, count in tally.stopped.items():
        tell(
            f"{tenant}: stopped after {plan.given['stop_loss']} refused passwords in a row (one mistake for all, or an "
            f"attack?); {count} left untested. --resume goes on with them."
        )
