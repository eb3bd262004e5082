"""The listener: who may come, how many at once, and how it stops. The only place that accepts connections.

One server, named at the start, is all that anybody gets through to: there is no command, address or header by which
an app could choose another. Who is not on the list is cut off before a word is said.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from ..model import Account, Attempt, Step, Target, Tls
from ..net import Way
from .session import Limits, Session
from .side import Side

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
LOOK = 0.05  # seconds between two looks at what is still in flight
LAST_TURNS = 3  # of the event loop, in which it tells of connections that the kernel has accepted already
CLIENTS = 1000  # clients whose refused sign-ins are counted


@dataclass(frozen=True, slots=True)
class Settings:
    """target: the one server; app_tls: how the app's side is (certificate: needed unless none).

    allow      networks whose apps may come; loopback unless given
    at_once    sessions at the same time; further apps wait for their turn
    waiting    connections at the same time; further ones are dropped
    """

    target: Target
    app_tls: Tls = Tls.STARTTLS
    certificate: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    port: int = 0
    allow: tuple[Network, ...] = LOOPBACK
    way: Way = field(default_factory=Way)
    limits: Limits = field(default_factory=Limits)
    at_once: int = 200
    waiting: int = 2000


@dataclass(frozen=True, slots=True)
class Seen:
    """One session that is over. dialogue: who ("C", "S", "TLS", "R", "#") and what, secrets masked."""

    number: int
    peer: str
    attempt: Attempt
    account: Account
    dialogue: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Observer:
    """What a relay tells while it runs; each may be replaced. Numbers are those of the sessions."""

    began: Callable[[int, str], None] = lambda number, peer: None
    step: Callable[[int, Target, Step], None] = lambda number, target, step: None
    ended: Callable[[Seen], None] = lambda seen: None
    refused: Callable[[str], None] = lambda peer: None


class Relay:
    """`async with Relay(settings) as relay:` listens at `relay.port`. Raises OSError where the port is taken."""

    def __init__(self, settings: Settings, observer: Observer | None = None) -> None:
        self.settings = settings
        self.observer = observer or Observer()
        self.port = 0
        self.refused = 0  # connections from elsewhere than `allow`
        self.dropped = 0  # connections beyond `waiting`
        self._number = 0
        self._listener: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], Session | None] = {}
        self._turn = asyncio.Semaphore(settings.at_once)
        self._refusals: OrderedDict[str, int] = OrderedDict()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        make = lambda: _AppSide(self._accepted)  # noqa: E731 - a factory, as asyncio wants it
        self._listener = await loop.create_server(make, self.settings.host, self.settings.port, backlog=1024)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self, grace: float = 0.0) -> None:
        """No new sessions; those with nothing in flight end now, the others within `grace` seconds."""
        if self._listener:
            self._listener.close()
        for _ in range(LAST_TURNS):
            await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        while self._tasks:
            for task, session in self._tasks.items():
                if session is None or session.idle:
                    task.cancel()
            left = end - loop.time()
            if left <= 0:
                break
            # an app that has its answer may keep its connection for long: looked at again, and ended then
            await asyncio.wait(self._tasks, timeout=min(left, LOOK))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._listener:
            await self._listener.wait_closed()

    def _accepted(self, side: Side) -> None:
        peer = side.peer
        if not allowed(peer, self.settings.allow):
            self.refused += 1
            side.abort()
            self.observer.refused(peer)
        elif len(self._tasks) >= self.settings.waiting:
            self.dropped += 1
            side.abort()
        else:
            task = asyncio.get_running_loop().create_task(self._serve(side, peer))
            self._tasks[task] = None
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)

    async def _serve(self, side: Side, peer: str) -> None:
        settings = self.settings
        try:
            async with self._turn:
                if side.gone:
                    return
                self._number += 1
                number = self._number
                self.observer.began(number, peer)
                session = Session(
                    side,
                    settings.target,
                    settings.app_tls,
                    settings.certificate,
                    settings.way,
                    settings.limits,
                    lambda target, step: self.observer.step(number, target, step),
                )
                if task := asyncio.current_task():
                    self._tasks[task] = session
                with contextlib.suppress(asyncio.CancelledError):  # the relay stops; what was seen is told
                    await session.run()
                self._count(peer, session)
                watch = session.watch
                told = Seen(number, peer, watch.attempt, watch.account, tuple(watch.dialogue))
                self.observer.ended(told)
        finally:
            side.close()

    def _count(self, peer: str, session: Session) -> None:
        """Refused sign-ins in a row, over the sessions of one client: what ends in a lock-out."""
        watch = session.watch
        if watch.signed_in:
            self._refusals.pop(peer, None)
        elif watch.refused:
            self._refusals[peer] = self._refusals.pop(peer, 0) + watch.refused
            watch.habit("several_sign_ins", self._refusals[peer] > 1)
            if len(self._refusals) > CLIENTS:
                self._refusals.popitem(last=False)


class _AppSide(Side):
    """An accepted connection, which tells so."""

    def __init__(self, accepted: Callable[[Side], None]) -> None:
        super().__init__()
        self._accepted = accepted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._accepted(self)


def allowed(peer: str, networks: tuple[Network, ...]) -> bool:
    """Is this address in one of the networks? An IPv4 address inside an IPv6 one counts as itself."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return any((mapped or address) in network for network in networks)
