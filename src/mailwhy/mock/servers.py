"""The listeners: joins world, dialogues, faults and connections. With `wire.py` the only place that touches sockets.

    async with mailwhy.mock.serve() as servers:
        servers.address("smtp")          # host, port, tls
        servers.ca_file                  # what clients have to trust
        servers.world.attempts           # the sign-ins that were made

Loopback only, unless another address is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ..model import Protocol, Tls, bracketed
from .certs import GOOD, Certificates, shared
from .dialogue_imap import Imap
from .dialogue_pop import Pop
from .dialogue_smtp import Smtp
from .faults import ALERT, Faults, closing, send
from .front import Front
from .load import builtin, read
from .replay import Recording
from .session import Session
from .state import Tenant, secret_of
from .talk import Close, Dialogue, Say, StartTls, Talk, Wait
from .wire import GoneError, Wire
from .world import World

RECORDING = "recording"
LOOPBACK = "127.0.0.1"
ANYWHERE = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 - how to reach a listener of all addresses
LISTENERS: tuple[tuple[Protocol, Tls], ...] = tuple(
    (protocol, tls) for protocol in Protocol for tls in (Tls.STARTTLS, Tls.IMPLICIT)
)
Given = Tenant | str | Path
Served = Coroutine[Any, Any, None]
LAST_TURNS = 3  # of the event loop, in which it tells of connections that the kernel has accepted already


@dataclass(frozen=True, slots=True)
class Address:
    """Where one listener is. `str()` is what `mailwhy check --server` takes."""

    protocol: Protocol
    host: str
    port: int
    tls: Tls
    front: str

    def __str__(self) -> str:
        return f"{self.protocol.value}={bracketed(self.host)}:{self.port}/{self.tls.value}"


class Servers:
    """What `serve` gives: the addresses, the CA file, and the world behind them."""

    def __init__(self, world: World, certificates: Certificates, ca_file: Path, delay: float) -> None:
        self.world = world
        self.ca_file = ca_file
        self.delay = delay
        self.addresses: list[Address] = []
        self._certificates = certificates
        self._listeners: list[asyncio.Server] = []
        self._wires: set[Wire] = set()

    @property
    def playing(self) -> bool:
        """Are recordings played instead of tenants served?"""
        return self.addresses[0].front == RECORDING

    def address(self, protocol: Protocol | str, tls: Tls | str | None = None, front: str | None = None) -> Address:
        """One listener. tls: SMTP's default is starttls, the others' implicit. front: the first one by default.

        Raises KeyError where there is none.
        """
        protocol = Protocol(protocol)
        mode = Tls(tls) if tls else (Tls.STARTTLS if protocol is Protocol.SMTP else Tls.IMPLICIT)
        wanted = front or self.addresses[0].front
        for each in self.addresses:
            if (each.protocol, each.tls, each.front) == (protocol, mode, wanted):
                return each
        raise KeyError(f"no listener for {protocol.value}/{mode.value} of {wanted}")

    def front_of(self, login: str) -> str:
        """The front end at which this login's tenant answers."""
        org = self.world.tenant_of(login).org
        found = [front.id for front in self.world.fronts if (front.service, front.cloud) == (org.service, org.cloud)]
        return found[0] if found else self.addresses[0].front

    def server_options(self, login: str = "") -> tuple[str, ...]:
        """The values for `--server` that lead a check of this login here, one a protocol."""
        front = self.front_of(login)
        mine = [each for each in self.addresses if each.front == front]
        wanted = {each.protocol: each for each in mine if each == self._default(each)}
        return tuple(str(each) for each in wanted.values())

    def check_options(self, login: str = "") -> list[str]:
        """The options that lead a `mailwhy check` of this login here."""
        options = [word for value in self.server_options(login) for word in ("--server", value)]
        return [*options, "--ca-file", str(self.ca_file)]

    def secret_of(self, login: str) -> str:
        """What the account signs in with: printed test data. Raises KeyError for an account that is not ours."""
        return secret_of(self.world.tenant_of(login).accounts[login])

    def _default(self, each: Address) -> Address:
        return self.address(each.protocol, None, each.front)

    async def start(self, host: str, front: Front, ports: Mapping[tuple[Protocol, Tls], int]) -> None:
        """Opens the listeners of one front end. A port that is not given is any free one."""
        loop = asyncio.get_running_loop()
        for protocol, tls in LISTENERS:
            if protocol.value not in front.protocols:
                continue

            def made(protocol: Protocol = protocol, tls: Tls = tls) -> Wire:
                return Wire(lambda wire: self._known(wire, self._serve(wire, front, protocol, tls)))

            listener = await loop.create_server(made, host, ports.get((protocol, tls), 0), backlog=1024)
            self._listeners.append(listener)
            port = listener.sockets[0].getsockname()[1]
            self.addresses.append(Address(protocol, ANYWHERE.get(host, host), port, tls, front.id))

    def _known(self, wire: Wire, serving: Served) -> Served:
        """Notes a connection in its first moment: `stop` may come before its task has begun."""
        self._wires.add(wire)
        return serving

    async def play(self, host: str, recording: Recording, port: int = 0) -> None:
        """Opens one listener that plays a recording, on a free port unless one is given."""

        def made() -> Wire:
            return Wire(lambda wire: self._known(wire, self._play(wire, recording)))

        listener = await asyncio.get_running_loop().create_server(made, host, port)
        self._listeners.append(listener)
        port = listener.sockets[0].getsockname()[1]
        self.addresses.append(Address(recording.protocol, host, port, recording.tls, RECORDING))

    async def _play(self, wire: Wire, recording: Recording) -> None:
        talk = Talk(recording.talk())
        try:
            while not talk.ended:
                for act in talk.acts():
                    if isinstance(act, Say):
                        await wire.write(act.data)
                    elif isinstance(act, StartTls):
                        await wire.start_tls(self._certificates.context())
                        talk.resume()
                if not talk.ended:
                    talk.feed(await wire.read())
        except (GoneError, ConnectionError):
            pass
        finally:
            wire.close()
            self._wires.discard(wire)

    def reset(self) -> None:
        """Back to the start; open connections are cut, so that nothing of before can reach what comes now."""
        for wire in list(self._wires):
            wire.transport.abort()
        self.world.reset()

    async def stop(self) -> None:
        """Closes everything: no listener, no connection, no task is left."""
        for listener in self._listeners:
            listener.close()
        for _ in range(LAST_TURNS):
            await asyncio.sleep(0)
        tasks = [wire.task for wire in self._wires if wire.task]
        for wire in list(self._wires):
            wire.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in self._listeners:
            await listener.wait_closed()

    async def _serve(self, wire: Wire, front: Front, protocol: Protocol, tls: Tls) -> None:
        """One connection, from its first octet to its last."""
        session: Session | None = None
        faults = Faults(self.world.faults, self.world.faults_met, protocol, tls, front.id)
        try:
            if (tls is Tls.IMPLICIT and not faults.handshake("clear_on_tls")) or (
                tls is Tls.STARTTLS and faults.handshake("tls_on_clear")
            ):
                await self._start_tls(wire, faults)
            session = Session(self.world, front, protocol, wire.peer, wire.tls, self.delay)
            await self._converse(wire, session, faults)
            await closing(wire, faults)
        except (GoneError, ConnectionError):
            pass  # the client has left, or a fault has ended it
        finally:
            if session:
                session.end()
            wire.close()
            self._wires.discard(wire)

    async def _start_tls(self, wire: Wire, faults: Faults) -> None:
        if faults.handshake("tls_refused"):
            await wire.read()  # the ClientHello
            await wire.write(ALERT)
            raise GoneError
        certificate, version = faults.handshake("certificate"), faults.handshake("tls_version")
        await wire.start_tls(
            self._certificates.context(certificate.value if certificate else GOOD, version.value if version else "")
        )

    async def _converse(self, wire: Wire, session: Session, faults: Faults) -> None:
        talk = Talk(dialogue(session))

        def news() -> None:
            talk.poke()
            wire.poke()

        store = self.world.store
        store.watchers.add(news)
        try:
            await self._act(wire, session, talk, faults)
        finally:
            store.watchers.discard(news)

    async def _act(self, wire: Wire, session: Session, talk: Talk, faults: Faults) -> None:
        while not talk.ended:
            for act in talk.acts():
                if isinstance(act, Say):
                    faults.signed_in_as(session.mailbox, session.faults)
                    await send(wire, act.data, act.stage, faults)
                elif isinstance(act, Wait):
                    await asyncio.sleep(act.seconds)
                    talk.resume()
                elif isinstance(act, StartTls):
                    await self._start_tls(wire, faults)
                    session.tls = wire.tls
                    talk.resume()
                elif isinstance(act, Close):
                    return
            data = await wire.read()
            if data or wire.closed:
                talk.feed(data)


def dialogue(session: Session) -> Dialogue:
    """The dialogue of a session's protocol."""
    if session.protocol is Protocol.SMTP:
        return Smtp(session).talk()
    return Imap(session).talk() if session.protocol is Protocol.IMAP else Pop(session).talk()


def tenants_of(given: Given | Iterable[Given] | None) -> list[Tenant]:
    """Tenants from what callers have: nothing (the built-in ones), a tenant, a file, or several."""
    if given is None:
        return list(builtin())
    if isinstance(given, Tenant | str | Path):
        given = [given]
    return [each if isinstance(each, Tenant) else read(Path(each)) for each in given]


@contextlib.asynccontextmanager
async def serve(
    tenants: Given | Iterable[Given] | None = None,
    *,
    as_of: date | None = None,
    host: str = LOOPBACK,
    ports: Sequence[Mapping[tuple[Protocol, Tls], int]] = (),
    delay: float = 0.0,
    world: World | None = None,
    certificates: Certificates | None = None,
    ca_file: Path | None = None,
    recordings: Sequence[Recording] = (),
) -> AsyncIterator[Servers]:
    """Starts the look-alike and stops it cleanly.

    tenants   a Tenant, a TOML file, several of them, or None for the built-in ones
    as_of     the day on which everything happens; None: today
    host      the address to listen on
    ports     fixed ports, one mapping a front end in the order of `world.fronts` (or a recording); free ones elsewhere
    delay     seconds before a refusal (Exchange takes about 5)
    recordings   sessions to play instead: one clear listener each, no tenant
    ca_file   where to write the CA's certificate; None: a temporary file that goes away afterwards

    Raises OSError where a fixed port is taken, `load.BadTenantError` for a wrong file, `certs.MissingExtraError`.
    """
    world = world or World(tenants_of(tenants), as_of=as_of)
    certificates = certificates or shared()
    with contextlib.ExitStack() as stack:
        if ca_file is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mailwhy-mock-"))
            ca_file = Path(folder) / "ca.pem"
        certificates.write_ca(ca_file)
        servers = Servers(world, certificates, ca_file, delay)
        try:
            for number, recording in enumerate(recordings):
                fixed = ports[number] if number < len(ports) else {}
                await servers.play(host, recording, fixed.get((recording.protocol, recording.tls), 0))
            for number, front in enumerate(() if recordings else world.fronts):
                await servers.start(host, front, ports[number] if number < len(ports) else {})
            yield servers
        finally:
            await servers.stop()
