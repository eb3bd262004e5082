"""`mailwhy relay`: listens, prints each stage of the app's dialogue as it happens, then the diagnosis."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..knowledge import load
from ..model import Exit, Knowledge, Outcome, Protocol, Target, Tls
from ..targets import BadServerError, of_cloud, parse_server
from ._ends import tell
from ._options import as_of_option, ca_file, facts_option
from ._output import print_text, wants_color, write_file

if TYPE_CHECKING:
    from ..relay import Relay, Seen, Settings

GRACE = 30.0  # seconds that sessions in flight get after Ctrl-C
WARNING = (
    "Listening on {host}, not on loopback: apps on {allow} can use this relay, and with a side without TLS their "
    "passwords cross that network in clear text. Run it only as long as you watch it."
)


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """`192.0.2.7` or `192.0.2.0/24`."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no address and no network; write 192.0.2.7 or 192.0.2.0/24") from None


@click.command("relay", epilog="Exit: 0 stopped; with --once as for check. Stop with Ctrl-C; twice: at once.")
@click.option(
    "--to",
    "--server",
    "to",
    default="smtp",
    show_default=True,
    metavar="SERVER",
    help="smtp, imap or pop (the cloud's own), or smtp=HOST:PORT/starttls.",
)
@click.option("--cloud", default="worldwide", show_default=True, help="Whose hosts smtp, imap and pop stand for.")
@click.option(
    "--app-tls",
    type=click.Choice([tls.value for tls in Tls]),
    help="The app's side (default: the same as the server's).",
)
@click.option(
    "--listen",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Where the app connects to; 0.0.0.0 is all of IPv4, :: all of IPv6.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port to listen on (default: any free one).")
@click.option("--allow", type=network, multiple=True, metavar="CLIENT", help="Who may connect: an address or network.")
@click.option("--cert", type=click.Path(exists=True, dir_okay=False), help="A certificate for the app's side (PEM).")
@click.option("--key", type=click.Path(exists=True, dir_okay=False), help="Its key (PEM).")
@click.option("--ca-out", type=click.Path(path_type=Path), help="Write the throw-away authority here, for the app.")
@click.option("--old-tls", is_flag=True, help="Let TLS 1.0 and 1.1 in on the app's side, to see what comes after.")
@click.option("--ca-file", "--cacert", type=ca_file, metavar="FILE", help="Trust this CA (PEM).")
@click.option("--record", type=click.Path(path_type=Path, file_okay=False), help="Write each session to this folder.")
@click.option("--ready-file", type=click.Path(path_type=Path), help="Write address and port here when ready.")
@click.option("--once", is_flag=True, help="End after the first session.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colour in the output.")
@click.option("--quiet", "-q", is_flag=True, help="Three lines a session.")
@click.option("--verbose", "-v", count=True, help="Show the dialogue; -vv: everything seen.")
@as_of_option
@facts_option
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Stand between an app and the server, and show what the app really says.

    Point the app at the printed address in place of smtp.office365.com. Every octet goes on unaltered to one server;
    each stage is shown as it happens, then what the session means. Passwords pass through and are kept nowhere.
    """
    knowledge = load()
    target = server_of(given["to"], given["cloud"], knowledge)
    app_tls = Tls(given["app_tls"] or target.tls or Tls.STARTTLS)
    allow = _allow(given["listen"], given["allow"])
    import asyncio

    context, ca = _certificate(app_tls, given, target)
    if given["ca_out"]:
        if not ca:
            raise click.UsageError("--ca-out: there is no throw-away authority with --cert, or without TLS")
        write_file(given["ca_out"], ca.decode(), overwrite=True)
    settings = _settings(target, app_tls, context, allow, given)
    show = Show(knowledge, given)
    ctx.exit(asyncio.run(_run(settings, show, given)))


def server_of(text: str, cloud: str, knowledge: Knowledge) -> Target:
    """`smtp` as the cloud's own server, or one that the user names."""
    if text in tuple(Protocol):
        if cloud not in knowledge.clouds:
            raise click.BadParameter(f"{cloud!r}: known clouds are {', '.join(knowledge.clouds)}", param_hint="--cloud")
        found = of_cloud(knowledge.clouds[cloud], (Protocol(text),))
        if not found:
            raise click.BadParameter(f"the cloud {cloud} has no {text}", param_hint="--to")
        return found[0]
    try:
        return parse_server(text)
    except BadServerError as why:
        raise click.BadParameter(str(why), param_hint="--to") from None


def _allow(listen: str, allow: tuple[Any, ...]) -> tuple[Any, ...]:
    from ..relay.serve import LOOPBACK

    try:
        inside = ipaddress.ip_address(listen).is_loopback
    except ValueError:
        raise click.BadParameter(f"{listen!r} is not an IP address", param_hint="--listen") from None
    if inside:
        return allow or LOOPBACK
    if not allow:
        raise click.UsageError(f"--listen {listen} needs --allow: name the apps (addresses or networks) that may come")
    tell("Warning: " + WARNING.format(host=listen, allow=", ".join(map(str, allow))))
    return allow


def _certificate(app_tls: Tls, given: dict[str, Any], target: Target) -> tuple[ssl.SSLContext | None, bytes | None]:
    """The TLS settings of the app's side, and the throw-away authority where there is one."""
    if app_tls is Tls.NONE:
        return None, None
    if bool(given["cert"]) != bool(given["key"]):
        raise click.UsageError("--cert and --key belong together")
    from ..mock.certs import Certificates, MissingExtraError

    ca: bytes | None = None
    if given["cert"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(given["cert"], given["key"])
        except (OSError, ssl.SSLError) as why:
            raise click.UsageError(f"--cert, --key: {why.strerror or why}") from None
    else:
        names = {"localhost", "127.0.0.1", "::1", given["listen"], target.host or "localhost"}
        try:
            made = Certificates(sorted(names))
        except MissingExtraError:
            raise click.ClickException(
                "a throw-away certificate needs mailwhy[mock]; or give --cert and --key, or --app-tls none"
            ) from None
        context, ca = made.context(), made.ca_pem
    _versions(context, old=given["old_tls"])
    return context, ca


def _versions(context: ssl.SSLContext, *, old: bool) -> None:
    """TLS 1.2 or newer, as Exchange Online; with --old-tls what this machine's OpenSSL still speaks."""
    import warnings

    if not old:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return
    if not (ssl.HAS_TLSv1 and ssl.HAS_TLSv1_1):
        tell(f"Warning: {ssl.OPENSSL_VERSION} was built without TLS 1.0 or 1.1: such apps fail here too.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are the point here
        context.minimum_version = ssl.TLSVersion.TLSv1
    try:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    except ssl.SSLError:
        tell(f"Warning: {ssl.OPENSSL_VERSION} keeps its security level: very old apps fail here too.")


def _settings(
    target: Target, app_tls: Tls, context: ssl.SSLContext | None, allow: tuple[Any, ...], given: dict[str, Any]
) -> Settings:
    from ..net import Way
    from ..relay import Settings

    way = Way(ca_file=given["ca_file"])
    return Settings(target, app_tls, context, given["listen"], given["port"], allow, way)


async def _run(settings: Settings, show: Show, given: dict[str, Any]) -> int:
    import asyncio
    import signal

    from ..relay import Relay
    from ..relay.serve import Observer

    stop = asyncio.Event()
    at_once = asyncio.Event()

    def asked() -> None:
        (at_once if stop.is_set() else stop).set()

    def ended(seen: Seen) -> None:
        show.ended(seen)
        if given["once"]:
            stop.set()

    loop = asyncio.get_running_loop()
    for name in ("SIGINT", "SIGTERM"):
        with contextlib.suppress(NotImplementedError, ValueError, AttributeError):
            loop.add_signal_handler(getattr(signal, name), asked)
    relay = Relay(settings, Observer(show.began, show.step, ended, show.refused))
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(relay)
        except OSError as why:
            tell(f"Error: cannot listen on {settings.host}: {why.strerror or why}")
            return int(Exit.UNKNOWN)
        show.ready(relay, given["ready_file"])
        await stop.wait()
        stopping = asyncio.create_task(relay.stop(GRACE))
        hurry = asyncio.create_task(at_once.wait())
        await asyncio.wait({stopping, hurry}, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        stopping.cancel()
    show.summary(relay)
    if show.unwritten:
        return int(Exit.UNKNOWN)
    return int(show.last.exit) if given["once"] and show.last else int(Exit.OK)


class Show:
    """What the user sees: one line a stage, then the report of a session; the record, where one is kept.

    unwritten   why something could not be shown or recorded. No session is cut off for that: an app is being served
    """

    def __init__(self, knowledge: Knowledge, given: dict[str, Any]) -> None:
        from ..report import Options

        color = wants_color({"auto": None, "always": True, "never": False}[given["color"]], sys.stdout)
        verbosity = -1 if given["quiet"] else min(given["verbose"], 2)
        self.knowledge = knowledge
        self.hint = not (given["cert"] or given["ca_out"])
        self.options = Options(color=color, verbosity=verbosity)
        self.as_of, self.facts = given["as_of"], given["facts"]
        self.record: Path | None = given["record"]
        self.last: Outcome | None = None
        self.unwritten = ""
        if self.record:
            try:
                self.record.mkdir(parents=True, exist_ok=True)
            except OSError as why:
                raise click.UsageError(f"--record {self.record}: {why.strerror or why}") from None

    def line(self, text: str) -> None:
        """One line, at once."""
        try:
            print_text(text + "\n", sys.stdout)
        except OSError as why:
            self._unwritten(f"nothing more can be shown: {why.strerror or why}")

    def _unwritten(self, why: str) -> None:
        """Said once; the sessions go on."""
        if not self.unwritten:
            tell(f"Error: {why}")
        self.unwritten = why

    def ready(self, relay: Relay, path: Path | None) -> None:
        """Where the app has to be pointed."""
        from ..report.words import place

        settings = relay.settings
        modes = {Tls.NONE: "no TLS", Tls.STARTTLS: "STARTTLS", Tls.IMPLICIT: "TLS from the start"}
        if path:
            data = {"host": settings.host, "port": relay.port, "tls": settings.app_tls.value}
            waiting = path.with_name(path.name + ".part")
            try:
                waiting.write_text(json.dumps(data) + "\n", encoding="utf-8")
                waiting.replace(path)
            except OSError as why:
                raise click.UsageError(f"--ready-file {path}: {why.strerror or why}") from None
        everywhere = ipaddress.ip_address(settings.host).is_unspecified
        where = "an address of this machine" if everywhere else settings.host
        self.line(f"Point the app at {where}, port {relay.port}, {modes[settings.app_tls]}.")
        self.line(f"Everything goes on unaltered to {place(settings.target)}. Stop with Ctrl-C.")
        if self.hint and settings.app_tls is not Tls.NONE:
            self.line(
                "The certificate is a throw-away one: --ca-out FILE writes the authority that the app has to trust."
            )
        if settings.app_tls is Tls.NONE:
            self.line(
                "The app's side is clear text: whoever can listen between the app and here can read the password."
            )

    def began(self, number: int, peer: str) -> None:
        """A session begins."""
        if self.options.verbosity >= 0:
            self.line(f"[{number}] {peer} connected")

    def step(self, number: int, target: Target, step: Any) -> None:
        """One stage is over."""
        from .rehearse import stage

        if self.options.verbosity >= 0:
            self.line(f"[{number}] {stage(step)}")

    def refused(self, peer: str) -> None:
        """Somebody who is not on the list."""
        self.line(f"Refused: {peer} is not on the list of --allow")

    def ended(self, seen: Seen) -> None:
        """A session is over: what the app does, and what it means."""
        from ..relay.notes import dialogue
        from ..report import render
        from ..report.words import clean
        from ..run import judge

        outcome = judge(
            "relay", [seen.attempt], seen.account, as_of=self.as_of, facts=self.facts, knowledge=self.knowledge
        )
        self.last = outcome
        self._keep(seen, outcome)
        self.line(f"[{seen.number}] the session is over")
        if self.options.verbosity >= 1:
            self.line(clean_lines(dialogue(seen), clean))
        for fact in sorted(f for f in seen.attempt.facts if f.startswith("app.")):
            self.line(f"    - {self.knowledge.facts.get(fact, fact)}")
        self.line(render(outcome, self.knowledge, "human", self.options))

    def _keep(self, seen: Seen, outcome: Outcome) -> None:
        if not self.record:
            return
        from ..relay.notes import dialogue
        from ..report import render

        stem = self.record / f"session-{os.getpid()}-{seen.number:04}"
        try:
            write_file(stem.with_suffix(".json"), render(outcome, self.knowledge, "json"), overwrite=True)
            write_file(stem.with_suffix(".txt"), dialogue(seen), overwrite=True)
        except click.UsageError as why:
            self._unwritten(f"a session was not recorded: {why.message.removeprefix('--output ')}")

    def summary(self, relay: Relay) -> None:
        """The last words."""
        if relay.refused or relay.dropped:
            self.line(f"{relay.refused} connections refused, {relay.dropped} dropped for want of room.")


def clean_lines(text: str, clean: Any) -> str:
    """Every line made harmless for a terminal."""
    return "\n".join(f"    {clean(line)}" for line in text.splitlines())
