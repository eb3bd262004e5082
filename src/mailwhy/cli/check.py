"""`mailwhy check`: sign in over SMTP, IMAP and POP, and say why it fails."""

from __future__ import annotations

import dataclasses
import signal
from typing import TYPE_CHECKING, Any

import click

from ..knowledge import load
from ..model import Account, Exit, Kind, Outcome
from ._options import as_of_option, facts_option, kind_option, protocols
from ._output import Output, output_options
from ._secret import secret_options, take
from ._where import cloud_of, detour, server, targets_of, way_of

if TYPE_CHECKING:
    from ..run import Check


@click.command("check", epilog="Exit: 0 works, 1 refused, 2 usage, 3 could not find out, 130 cancelled.")
@click.argument("address")
@click.option("--login", "--auth-user", help="The name that signs in, where it is not ADDRESS (a delegate, a UPN).")
@click.option("--from", "sender", help="The address that sends, where it is not ADDRESS.")
@click.option(
    "--only",
    type=protocols,
    metavar="PROTOCOLS",
    help="Test only these, and each whatever the others say: smtp,imap,pop.",
)
@click.option("--all", "insist", is_flag=True, help="Sign in over IMAP and POP even where SMTP refused the password.")
@click.option("--cloud", help="worldwide, gcc-high, dod, china, consumer or hve; follows from ADDRESS where it can.")
@click.option(
    "--server", "servers", type=server, metavar="SERVER", multiple=True, help="A server of your own. Several times."
)
@click.option("--timeout", type=click.FloatRange(0.1, 600), help="Seconds for each stage (10 to connect, 30 for AUTH).")
@click.option("--ca-file", "--cacert", type=click.Path(exists=True, dir_okay=False), help="Trust this CA (PEM).")
@click.option("--ipv4", "-4", "family", flag_value="ipv4", help="Connect over IPv4 only.")
@click.option("--ipv6", "-6", "family", flag_value="ipv6", help="Connect over IPv6 only.")
@click.option("--source", "--interface", help="Connect from this local address.")
@click.option(
    "--connect-to", type=detour, metavar="DETOUR", multiple=True, help="Dial another address, same name in TLS."
)
@click.option("--ehlo", "--helo", help="The name in EHLO (default: an address literal, which Exchange accepts).")
@kind_option
@as_of_option
@facts_option
@click.option("--force", is_flag=True, help="Sign in although earlier refusals say not to. Risks a lock-out.")
@secret_options
@output_options
@click.pass_context
def command(ctx: click.Context, /, address: str, output: Output, **given: Any) -> None:
    """Sign in as ADDRESS over SMTP, IMAP and POP, once each, and say why it fails.

    The password comes from a hidden prompt, or from --password-stdin, --password-file, --password-command,
    MAILWHY_PASSWORD or --keyring; never from the command line. Nothing is sent as mail.
    """
    knowledge = load()
    kind = Kind(given["credential"] or "password")
    account = Account(given["login"] or address, address, given["sender"] or address)
    cloud = cloud_of(given["cloud"], account, knowledge)
    targets = targets_of(given["servers"], given["only"], cloud, knowledge)
    way = way_of(given)
    ready = take(ctx, account.login or address, kind)
    from ..ledger import Ledger
    from ..run import Check

    run = Check(
        account,
        ready.secret,
        kind=kind,
        targets=targets,
        cloud=cloud,
        way=way,
        insist=given["insist"] or given["only"] is not None,
        asked=given["only"] or (),
        as_of=given["as_of"],
        facts=(*given["facts"], *ready.facts),
        ledger=Ledger(),
        force=given["force"],
        on_step=output.live(),
        knowledge=knowledge,
    )
    outcome = perform(run)
    output.write(outcome, knowledge)
    ctx.exit(output.status(outcome))


def perform(run: Check) -> Outcome:
    """Runs it to its end; Ctrl-C or SIGTERM ends it at once, with what is known so far and exit code 130."""
    import asyncio

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        asyncio.run(run.go())
    except KeyboardInterrupt:
        return dataclasses.replace(run.outcome(), exit=Exit.CANCELLED)
    return run.outcome()
