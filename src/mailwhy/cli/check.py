"""`mailwhy check`: sign in over SMTP, IMAP and POP, and say why it fails."""

from __future__ import annotations

import dataclasses
import re
import signal
from typing import TYPE_CHECKING, Any

import click

from ..diagnose import consumer_cloud
from ..knowledge import load
from ..model import Account, Exit, Kind, Knowledge, Outcome, Protocol, Target
from ..targets import BadServerError, of_cloud, parse_server
from ._options import as_of_option, ca_file, facts_option, helo, kind_option, one_line, protocols, seconds, source
from ._output import Output, output_options
from ._secret import secret_options, take

if TYPE_CHECKING:
    from ..net import Way
    from ..run import Check


def server(text: str) -> Target:
    """`smtp=HOST:PORT/starttls` as a Target."""
    try:
        return parse_server(text)
    except BadServerError as why:
        raise click.BadParameter(str(why)) from None


def detour(text: str) -> tuple[tuple[str, int], tuple[str, int]]:
    """curl's `HOST:PORT:ADDRESS:PORT`, IPv6 in brackets."""
    host = r"(\[[^\]]+\]|[^:\[\]]+)"
    found = re.fullmatch(rf"{host}:(\d+):{host}:(\d+)", text)
    if not found:
        raise click.BadParameter(f"{text!r}: write it as HOST:PORT:ADDRESS:PORT (IPv6 in brackets)")
    return (found[1].strip("[]"), int(found[2])), (found[3].strip("[]"), int(found[4]))


@click.command("check", epilog="Exit: 0 works, 1 refused, 2 usage, 3 could not find out, 130 cancelled.")
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
    metavar="PROTOCOLS",
    help="Test only these, and each whatever the others say: smtp,imap,pop.",
)
@click.option("--all", "insist", is_flag=True, help="Sign in over IMAP and POP even where SMTP refused the password.")
@click.option("--cloud", help="worldwide, gcc-high, dod, china, consumer or hve; follows from ADDRESS where it can.")
@click.option(
    "--server", "servers", type=server, metavar="SERVER", multiple=True, help="A server of your own. Several times."
)
@click.option(
    "--timeout",
    type=seconds(0.1, 600),
    metavar="SECONDS",
    help="Seconds for each stage, 0.1 to 600 (10 to connect, 30 for AUTH).",
)
@click.option("--ca-file", "--cacert", type=ca_file, metavar="FILE", help="Trust this CA (PEM).")
@click.option("--ipv4", "-4", "family", flag_value="ipv4", help="Connect over IPv4 only.")
@click.option("--ipv6", "-6", "family", flag_value="ipv6", help="Connect over IPv6 only.")
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
    cloud = _cloud(given["cloud"], account, knowledge)
    targets = _targets(given["servers"], given["only"], cloud, knowledge)
    way = _way(given)
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


def _cloud(named: str | None, account: Account, knowledge: Knowledge) -> str:
    if named and named not in knowledge.clouds:
        raise click.BadParameter(f"{named!r}: known clouds are {', '.join(knowledge.clouds)}", param_hint="--cloud")
    return named or consumer_cloud(account.login or "", knowledge) or "worldwide"


def _targets(
    servers: tuple[Target, ...], only: tuple[Protocol, ...] | None, cloud: str, knowledge: Knowledge
) -> tuple[Target, ...]:
    """The named servers and no others, or the cloud's; in the order of the protocols."""
    wanted = only or tuple(Protocol)
    named = {target.protocol: target for target in servers}
    if len(named) < len(servers):
        raise click.BadParameter("name one server a protocol", param_hint="--server")
    found = tuple(named[p] for p in wanted if p in named) if servers else of_cloud(knowledge.clouds[cloud], wanted)
    if not found:
        where = "the servers of --server" if servers else f"the cloud {cloud}"
        raise click.BadParameter(f"{where} and --only {','.join(wanted)} have nothing in common", param_hint="--only")
    return found


def _way(given: dict[str, Any]) -> Way:
    import socket

    from ..net import Timeouts, Way

    families = {None: 0, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
    changes: dict[str, Any] = {
        "connect_to": dict(given["connect_to"]),
        "family": families[given["family"]],
        "source": given["source"],
        "ca_file": given["ca_file"],
    }
    if given["ehlo"]:
        changes["ehlo"] = given["ehlo"]
    if given["timeout"]:
        changes["timeouts"] = Timeouts.all(given["timeout"])
    return Way(**changes)
