"""`mailwhy mock`: starts the look-alike, prints how to reach it, stops cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import signal
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click

from ..mock import lines
from ..mock.certs import MissingExtraError
from ..mock.control import Control
from ..mock.load import BadTenantError, builtin, read
from ..mock.replay import BadRecordingError, Recording
from ..mock.replay import read as read_recording
from ..mock.servers import LISTENERS, LOOPBACK, Servers, serve
from ..mock.settings import BadSettingError, parse
from ..mock.world import World
from ..model import Exit, Protocol, Tls
from ._ends import tell
from ._options import seconds

DEFAULT_TLS = {Protocol.SMTP: Tls.STARTTLS, Protocol.IMAP: Tls.IMPLICIT, Protocol.POP: Tls.IMPLICIT}
STEP = 10  # ports between two front ends with --port-base


def _day(_: click.Context, __: click.Parameter, value: str | None) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is no date; write it as 2026-11-22") from None


@click.command("mock")
@click.option("--tenant", "files", multiple=True, type=click.Path(path_type=Path), help="A further tenant, as TOML.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="org.…, or ADDRESS:mailbox.… / ADDRESS:user.…"
)
@click.option("--as-of", callback=_day, metavar="DATE", help="The day on which everything happens (today).")
@click.option(
    "--delay",
    type=seconds(0, 600),
    default=0.0,
    metavar="SECONDS",
    help="Wait before a refusal; the real one takes about 5.",
)
@click.option(
    "--listen",
    default=LOOPBACK,
    show_default=True,
    metavar="ADDRESS",
    help="Listen here; 0.0.0.0 is all of IPv4, :: all of IPv6.",
)
@click.option(
    "--port-base", type=click.IntRange(1, 65535), metavar="PORT", help="Fixed ports: this one and those after it."
)
@click.option("--smtp-port", type=click.IntRange(1, 65535), metavar="PORT", help="A fixed port for SMTP with STARTTLS.")
@click.option(
    "--imap-port", type=click.IntRange(1, 65535), metavar="PORT", help="A fixed port for IMAP with implicit TLS."
)
@click.option(
    "--pop-port", type=click.IntRange(1, 65535), metavar="PORT", help="A fixed port for POP with implicit TLS."
)
@click.option(
    "--control-port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    help="The port of the control interface (any free one).",
)
@click.option("--ca-file", type=click.Path(path_type=Path), help="Where to write the CA's certificate.")
@click.option(
    "--ready-file", type=click.Path(path_type=Path), help="Write ports and accounts here, as JSON, when ready."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line with ports and accounts.")
@click.option(
    "--replay",
    type=click.Path(path_type=Path),
    help="Play a recorded session (JSON of a check, or S:/C: lines) on these ports.",
)
@click.option("--list", "listing", is_flag=True, help="Show mailboxes, causes and assumed texts, and end.")
def command(
    files: Sequence[Path],
    settings: Sequence[str],
    as_of: date | None,
    delay: float,
    listen: str,
    port_base: int | None,
    smtp_port: int | None,
    imap_port: int | None,
    pop_port: int | None,
    control_port: int,
    ca_file: Path | None,
    ready_file: Path | None,
    as_json: bool,
    replay: Path | None,
    listing: bool,
) -> None:
    """Run a look-alike of an Exchange Online tenant on loopback."""
    try:
        world = World([*builtin(), *(read(path) for path in files)], as_of=as_of)
        for each in settings:
            world.change(*parse(each))
        world.keep()
        recordings = read_recording(replay) if replay else ()
    except (BadTenantError, BadSettingError, BadRecordingError) as why:
        raise click.UsageError(str(why)) from None
    except OSError as why:
        raise click.UsageError(f"{replay}: {why.strerror}") from None
    if listing:
        for line in lines.overview(world):
            click.echo(line)
        return
    _warn(listen)
    singles = {Protocol.SMTP: smtp_port, Protocol.IMAP: imap_port, Protocol.POP: pop_port}
    ports = _ports_to_play(recordings, port_base, singles) if replay else _ports(len(world.fronts), port_base, singles)

    async def run() -> None:
        async with serve(
            world=world, host=listen, ports=ports, delay=delay, ca_file=ca_file, recordings=recordings
        ) as servers:
            stop = _stop_by_signal()
            control = Control(world, lambda: lines.ready(servers, url), servers.reset)
            url = await control.start(listen, control_port)
            try:
                _tell(servers, url, as_json, ready_file)
                while not stop.is_set():
                    with contextlib.suppress(TimeoutError):  # Windows hears Ctrl-C only when the loop turns
                        await asyncio.wait_for(stop.wait(), 1.0)
            finally:
                await control.stop()

    try:
        asyncio.run(run())
    except KeyboardInterrupt:  # where no signal handler can be set (Windows)
        pass
    except MissingExtraError as why:
        raise click.ClickException(str(why)) from None
    except OSError as why:
        tell(f"Error: cannot listen: {why.strerror or why}")
        raise SystemExit(Exit.UNKNOWN) from None


def _tell(servers: Servers, control: str, as_json: bool, ready_file: Path | None) -> None:
    data: dict[str, Any] = lines.ready(servers, control)
    if ready_file:
        waiting = ready_file.with_name(ready_file.name + ".part")
        waiting.write_text(json.dumps(data) + "\n", encoding="utf-8")
        waiting.replace(ready_file)  # whoever waits for the file never reads half of it
    if as_json:
        click.echo(json.dumps(data))
        return
    for line in lines.summary(servers, control):
        click.echo(line)
    click.echo("\nStop with Ctrl-C.")


def _stop_by_signal() -> asyncio.Event:
    """Set by Ctrl-C and by SIGTERM, where the platform can."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in ("SIGINT", "SIGTERM"):
        with contextlib.suppress(NotImplementedError, ValueError, AttributeError):
            loop.add_signal_handler(getattr(signal, name), stop.set)
    return stop


def _warn(listen: str) -> None:
    try:
        inside = listen == "localhost" or ipaddress.ip_address(listen).is_loopback
    except ValueError:
        inside = False
    if not inside:
        tell(f"Warning: listening on {listen}: everybody who reaches this machine can sign in.")


def _ports(
    fronts: int, base: int | None, singles: Mapping[Protocol, int | None]
) -> list[dict[tuple[Protocol, Tls], int]]:
    ports: list[dict[tuple[Protocol, Tls], int]] = [{} for _ in range(max(1, fronts))]
    if base is not None:
        last = base + STEP * (len(ports) - 1) + len(LISTENERS) - 1
        if last > 65535:
            raise click.UsageError(f"--port-base {base}: the last port would be {last}; there are 65535")
        for number, each in enumerate(ports):
            each.update({key: base + STEP * number + place for place, key in enumerate(LISTENERS)})
    for protocol, port in singles.items():
        if port is not None:
            ports[0][protocol, DEFAULT_TLS[protocol]] = port
    return ports


def _ports_to_play(
    recordings: Sequence[Recording], base: int | None, singles: Mapping[Protocol, int | None]
) -> list[dict[tuple[Protocol, Tls], int]]:
    """--port-base counts the recorded sessions; a protocol's own port goes to its first one."""
    if base is not None and base + len(recordings) - 1 > 65535:
        raise click.UsageError(f"--port-base {base}: the last port would be {base + len(recordings) - 1}")
    left = {protocol: port for protocol, port in singles.items() if port is not None}
    ports: list[dict[tuple[Protocol, Tls], int]] = []
    for number, each in enumerate(recordings):
        port = left.pop(each.protocol, 0 if base is None else base + number)
        ports.append({(each.protocol, each.tls): port})
    if left:
        protocol = next(iter(left))
        raise click.UsageError(f"--{protocol.value}-port: the recording has no {protocol.value.upper()}")
    return ports
