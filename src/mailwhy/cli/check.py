"""`mailwhy check`: sign in over SMTP, IMAP and POP, and say why it fails."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..knowledge import load
from ..model import Account, Attempt, Exit, Kind, Outcome, Target
from ._dns import resolver_option
from ._ends import tell
from ._names import with_names
from ._options import (
    as_of_option,
    ca_file,
    ca_text,
    complete_cloud,
    complete_protocols,
    duration,
    facts_option,
    family_options,
    helo,
    kind_option,
    one_line,
    protocols,
    seconds,
    source,
)
from ._output import Output, monitor_options, output_options
from ._secret import no_more_arguments, secret_options, take
from ._signals import end_like_ctrl_c, held
from ._where import cloud_of, detour, refuse_bare_login, server, targets_of, under_way, way_of

if TYPE_CHECKING:
    from ..checking import Check
    from ..waiting import Start, Waiting

SOONEST = 30.0  # seconds between two checks of --until-pass: settings act within minutes, and servers count


@click.command(
    "check",
    epilog="Exit: 0 works, 1 refused, 2 usage, 3 could not find out, 130 cancelled.",
    context_settings={"allow_extra_args": True},
)
@click.argument("address", type=one_line)
@click.option(
    "--login",
    "--auth-user",
    type=one_line,
    metavar="NAME",
    help="The name that signs in, where it is not ADDRESS (a delegate, a UPN).",
)
@click.option(
    "--from", "sender", type=one_line, metavar="ADDRESS", help="The address that sends, where it is not ADDRESS."
)
@click.option(
    "--only",
    type=protocols,
    shell_complete=complete_protocols,
    metavar="PROTOCOLS",
    help="Test only these, and each whatever the others say: smtp,imap,pop.",
)
@click.option("--all", "insist", is_flag=True, help="Sign in over IMAP and POP even where SMTP refused the password.")
@click.option(
    "--cloud",
    shell_complete=complete_cloud,
    help="worldwide, gcc-high, dod, china, consumer or hve; follows from ADDRESS where it can.",
)
@click.option(
    "--server", "servers", type=server, metavar="SERVER", multiple=True, help="A server of your own. Several times."
)
@click.option(
    "--timeout",
    "-t",
    type=seconds(0.1, 600),
    metavar="SECONDS",
    help="Seconds for each stage, 0.1 to 600 (10 to connect, 30 for AUTH).",
)
@click.option("--ca-file", "--cacert", type=ca_text, metavar="FILE", help="Trust this CA (PEM).")
@family_options
@click.option("--source", "--interface", type=source, metavar="IP", help="Connect from this local address.")
@click.option(
    "--connect-to", type=detour, metavar="DETOUR", multiple=True, help="Dial another address, same name in TLS."
)
@click.option(
    "--ehlo",
    "--helo",
    type=helo,
    metavar="NAME",
    help="The name in EHLO (default: an address literal, which Exchange accepts).",
)
@click.option(
    "--send-to",
    is_flag=False,
    flag_value="",
    metavar="[RECIPIENT]",
    help="Then send one marked message, to yourself or RECIPIENT; takes one more sign-in.",
)
@resolver_option
@kind_option
@as_of_option
@facts_option
@click.option("--force", is_flag=True, help="Sign in although earlier refusals say not to. Risks a lock-out.")
@click.option("--until-pass", is_flag=True, help="Check again until it passes, as long as no refusal forbids it.")
@click.option("--every", type=duration, metavar="TIME", default="5m", show_default=True, help="... so often (30s, 5m).")
@click.option("--max", "most", type=duration, metavar="TIME", default="2h", show_default=True, help="... so long.")
@secret_options
@output_options
@monitor_options
@click.pass_context
def command(ctx: click.Context, /, address: str, output: Output, **given: Any) -> None:
    """Sign in as ADDRESS over SMTP, IMAP and POP, once each, and say why it fails.

    The password comes from a hidden prompt, or from --password-stdin, --password-file, --password-command,
    MAILWHY_PASSWORD or --keyring; never from the command line. Nothing is sent as mail, unless --send-to asks for it:
    Exchange tells only after a message whether the account may send as this sender, and whether it is over a limit.
    """
    no_more_arguments(ctx)
    refuse_odd_pace(ctx, given)
    knowledge = load()
    kind = Kind(given["credential"] or "password")
    account = Account(given["login"] or address, address, given["sender"] or address)
    cloud = cloud_of(given["cloud"], account, knowledge)
    targets = targets_of(given["servers"], given["only"], cloud, knowledge)
    refuse_bare_login(account.login or address, targets, knowledge)
    way = way_of(given)
    send_to = recipient_of(given["send_to"], account)
    ready = take(ctx, account.login or address, kind)

    def start(again: Sequence[Target] | None = None, others: Sequence[Attempt] = ()) -> Check:
        from ..checking import Check
        from ..ledger import Ledger

        return Check(
            account,
            ready.secret,
            kind=kind,
            targets=targets if again is None else again,
            cloud=cloud,
            way=way if again is None else way_of(given),  # what was begun was for the first
            insist=given["insist"] or given["only"] is not None,
            asked=given["only"] or (),
            as_of=given["as_of"],
            facts=(*given["facts"], *ready.facts),
            ledger=Ledger(),
            force=given["force"],
            send_to=send_to,
            on_step=output.live() if again is None else None,
            knowledge=knowledge,
            others=others,
        )

    with held() as let_go:
        way = under_way(targets, way)  # what costs time to import comes after this
        try:
            if way.ca_file:
                ca_file(way.ca_file)
            outcome = perform(waiting(start, given, output) if given["until_pass"] else start(), let_go)
        finally:
            way.ahead.close()
    outcome = with_names(outcome, given["resolver"])
    output.write(outcome, knowledge)
    ctx.exit(output.status(outcome))


def refuse_odd_pace(ctx: click.Context, given: dict[str, Any]) -> None:
    """Before a password is asked for: what --until-pass does not go with. Raises UsageError."""
    typed = [name for name in ("every", "most") if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if typed and not given["until_pass"]:
        raise click.UsageError("--every and --max belong to --until-pass", ctx)
    if given["until_pass"] and given["every"] < SOONEST:
        raise click.BadParameter(f"at least {SOONEST:g} s", ctx, param_hint="--every")
    if given["until_pass"] and given["force"]:
        raise click.UsageError("--until-pass and --force: a forced sign-in is made once, not again and again", ctx)
    if given["until_pass"] and given["send_to"] is not None:
        raise click.UsageError("--until-pass and --send-to: a message is sent once, not again and again", ctx)


def recipient_of(given: str | None, account: Account) -> str | None:
    """Whom the message of --send-to goes to: the account's own address where none is named. Raises BadParameter."""
    if given is None:
        return None
    recipient = given or account.mailbox or ""
    if not re.fullmatch(r"[^\s@<>]+@[^\s@<>]+", recipient):
        raise click.BadParameter(f"{recipient!r} is not an address", param_hint="--send-to")
    return recipient


def waiting(start: Start, given: dict[str, Any], output: Output) -> Waiting:
    """The checks of `--until-pass`, told on standard error unless -q was said."""
    from ..waiting import Waiting

    def say(line: str) -> None:
        if output.verbosity >= 0:
            tell(line)

    return Waiting(start, every=given["every"], most=given["most"], asked=given["only"] or (), say=say)


def perform(run: Check | Waiting, let_go: Callable[[], None]) -> Outcome:
    """Runs it to its end; Ctrl-C or SIGTERM ends it at once, with what is known so far and exit code 130.

    let_go: lets signals through that were held until now.
    """
    import asyncio

    end_like_ctrl_c()
    try:
        let_go()
        asyncio.run(run.go())
    except KeyboardInterrupt:
        return dataclasses.replace(run.outcome(), exit=Exit.CANCELLED)
    return run.outcome()
