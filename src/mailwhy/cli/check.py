"""`mailwhy check`: sign in over SMTP, IMAP and POP, and say why it fails."""

from __future__ import annotations

import dataclasses
import re
import signal
from typing import TYPE_CHECKING, Any

import click

from ..diagnose import consumer_cloud
from ..knowledge import load
from ..model import Account, Exit, Fault, Kind, Knowledge, Notice, Outcome, Protocol, Stage, Target
from ..targets import BadServerError, of_cloud, parse_server
from ._dns import resolver_option
from ._options import as_of_option, facts_option, kind_option, protocols
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
@secret_options
@output_options
@click.pass_context
def command(ctx: click.Context, /, address: str, output: Output, **given: Any) -> None:
    """Sign in as ADDRESS over SMTP, IMAP and POP, once each, and say why it fails.

    The password comes from a hidden prompt, or from --password-stdin, --password-file, --password-command,
    MAILWHY_PASSWORD or --keyring; never from the command line. Nothing is sent as mail, unless --send-to asks for it:
    Exchange tells only after a message whether the account may send as this sender, and whether it is over a limit.
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
        send_to=_recipient(given["send_to"], account),
        on_step=output.live(),
        knowledge=knowledge,
    )
    outcome = with_names(perform(run), given["resolver"])
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


def with_names(outcome: Outcome, resolver: tuple[str, int] | None) -> Outcome:
    """Where a look-up failed: what DNS says of that name, as notices. Elsewhere DNS is not asked."""
    failed = [d.attempt.failed for d in outcome.diagnoses]
    hosts = {
        diagnosis.attempt.target.host: None
        for diagnosis, step in zip(outcome.diagnoses, failed, strict=True)
        if step and step.stage is Stage.DNS and step.fault is not Fault.CANCELLED and not step.seen.get("addresses")
    }
    if not hosts or outcome.exit is Exit.CANCELLED:
        return outcome
    import asyncio

    from ..discover import Resolver, explain_name

    async def ask() -> list[Notice]:
        names = await asyncio.gather(*(explain_name(host or "", Resolver(resolver, 3.0)) for host in hosts))
        return [notice for naming in names for notice in naming.notices]

    try:
        found = asyncio.run(ask())
    except KeyboardInterrupt:
        return outcome
    learned = {notice.text: notice for notice in found}.values()
    return dataclasses.replace(outcome, notices=(*outcome.notices, *learned))


def _recipient(given: str | None, account: Account) -> str | None:
    """Whom the message of --send-to goes to: the account's own address where none is named."""
    if given is None:
        return None
    recipient = given or account.mailbox or ""
    if not re.fullmatch(r"[^\s@<>]+@[^\s@<>]+", recipient):
        raise click.BadParameter(f"{recipient!r} is not an address", param_hint="--send-to")
    return recipient


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
