"""One app's connection and the one to the server, joined octet for octet; the watch reads along.

Errors of networks end in the watch's steps, never outside. An app that leaves while an answer is due is outlived by
the server's connection until that answer is there: it is what the app did not wait for.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass, field

from ..model import Fault, Protocol, Stage, Target, Tls
from ..net import AddressInfo, Failed, Way, detail_of, dial, fault_of, look_up, trust
from ..probe import tls as certificates
from . import clienthello, prelude
from .imap import Imap
from .pop import Pop
from .side import Side
from .smtp import Smtp
from .watch import OnStep, Watch

WATCHES: dict[Protocol, type[Watch]] = {Protocol.SMTP: Smtp, Protocol.IMAP: Imap, Protocol.POP: Pop}
GARBAGE = 64 * 1024  # octets without a line end, before TLS, that the relay's own words are wasted on


@dataclass(frozen=True, slots=True)
class Limits:
    """In seconds. idle: nothing from either side; silence: an app that says nothing where TLS is expected;
    late: for an answer that the app did not wait for; handshake: for TLS on either side; farewell: for what the
    server says when the app has left; patience: an app that is silent for so long waits for a greeting."""

    idle: float = 600.0
    silence: float = 60.0
    late: float = 30.0
    handshake: float = 30.0
    farewell: float = 2.0
    patience: float = 1.0


@dataclass(slots=True)
class Session:
    """target: the server, and how it is reached; app_tls: how the app's side is; certificate: for the app's TLS."""

    app: Side
    target: Target
    app_tls: Tls
    certificate: ssl.SSLContext | None
    way: Way
    limits: Limits = field(default_factory=Limits)
    on_step: OnStep | None = None
    watch: Watch = field(init=False)
    server: Side | None = field(init=False, default=None)
    heard: float = field(init=False, default=0.0)
    over: Fault | None = field(init=False, default=None)
    app_left: bool = field(init=False, default=False)
    _settled: asyncio.Event = field(init=False, default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        upgradable = self.app_tls is Tls.STARTTLS and self.target.tls is Tls.STARTTLS
        self.watch = WATCHES[self.target.protocol](self.target, upgradable=upgradable, on_step=self.on_step)
        self.heard = time.monotonic()

    @property
    def idle(self) -> bool:
        """Nothing is in flight: to end now loses nothing."""
        return not self.watch.due and not self.watch.sending

    async def run(self) -> None:
        """To its end. Raises nothing but CancelledError."""
        try:
            await self._run()
        except Failed as why:
            self.over = self.over or why.fault
        except asyncio.CancelledError:
            if not self.app.ended or self.watch.due:  # else the app was through, and only the goodbye is cut short
                self.over = Fault.CANCELLED
            raise
        except (OSError, EOFError) as why:
            self.over = self.over or fault_of(why)
        finally:
            self.watch.close(self.over)
            for side in (self.app, self.server):
                if side:
                    side.close()

    async def _run(self) -> None:
        if self.app_tls is Tls.IMPLICIT and not await self._app_handshake(self.limits.silence):
            return
        greeting = await self._connect()
        if self.app_tls is Tls.STARTTLS and not self.watch.upgradable and not await self._prelude(greeting):
            return
        self._opening()
        if greeting:
            self.watch.server(greeting)
            if self.app_tls is not Tls.STARTTLS:  # else it has heard it already
                await self.app.write(prelude.greeting(self.target.protocol, greeting))
        self.watch.habit("clear_text", self.app_tls is Tls.NONE)
        await self._join()

    async def _join(self) -> None:
        """Both directions, to their end."""
        upward, downward = asyncio.create_task(self._upward()), asyncio.create_task(self._downward())
        try:
            await self._guard(upward, downward)
        finally:
            upward.cancel()
            downward.cancel()
            ends = await asyncio.gather(downward, upward, return_exceptions=True)
        for why in ends:
            if isinstance(why, Exception):
                raise why

    # --- the way to the server

    async def _connect(self) -> bytes:
        """Connects; gives the greeting where the relay has read it already (it asked for TLS itself)."""
        target = self.target
        host, port = target.host or "", target.port or 0
        seen: dict[str, object] = {}
        infos = await self._dns(*self.way.connect_to.get((host, port), (host, port)))
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.way.timeouts.connect):
                sock = await dial(infos, self.way, seen)
        except (Failed, OSError) as why:
            fault = why.fault if isinstance(why, Failed) else fault_of(why)
            self.watch.step(Stage.TCP, ok=False, fault=fault, seen=seen, began=began)
            raise
        self.watch.step(Stage.TCP, seen=seen, began=began)
        _, server = await asyncio.get_running_loop().create_connection(Side, sock=sock)
        self.server = server
        if target.tls is Tls.IMPLICIT:
            await self._server_handshake()
        elif target.tls is Tls.STARTTLS and not self.watch.upgradable:
            async with asyncio.timeout(self.way.timeouts.reply):
                greeting = await prelude.upgrade(server, target.protocol)
            self.watch.note("R", "asked the server for TLS")
            await self._server_handshake()
            return greeting
        if self.app_tls is Tls.STARTTLS and not self.watch.upgradable:
            async with asyncio.timeout(self.way.timeouts.reply):
                return await server.read()
        return b""

    async def _dns(self, host: str, port: int) -> list[AddressInfo]:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.way.timeouts.connect):
                return await look_up(host, port, self.way)
        except (OSError, UnicodeError) as why:
            self.over = fault_of(why)
            self.watch.step(Stage.DNS, ok=False, fault=self.over, seen=detail_of(why), began=began)
            raise Failed(self.over) from None

    async def _server_handshake(self) -> None:
        server, host = self.server, self.target.host or ""
        if server is None:
            return
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.limits.handshake):
                await server.start_tls(trust(self.way.ca_file), name=host)
        except (OSError, EOFError) as why:
            seen = {**certificates.facts(server.tls, host, why, server.opening), **detail_of(why), "side": "server"}
            self.over = fault_of(why)
            if server.opening and not clienthello.looks_like_tls(server.opening) and server.opening[0] not in (20, 21):
                self.over = Fault.TLS_NOT_SPOKEN
            self.watch.step(Stage.TLS, ok=False, fault=self.over, seen=seen, began=began)
            raise Failed(self.over) from None
        self.watch.secured(app=False, seen=certificates.facts(server.tls, host))

    # --- the app's TLS

    def _opening(self) -> None:
        """An app that begins TLS on a port of clear text, as it shows in its first octets."""
        if not self.watch.app_secured and clienthello.looks_like_tls(self.app.opening):
            self.watch.habit("tls_on_clear_port")
            offer = clienthello.read(self.app.opening)
            self.watch.habit("tls_old", bool(offer and offer.old))

    async def _app_handshake(self, limit: float) -> bool:
        """TLS with the app; False where it did not come to that, and the watch has why."""
        if self.certificate is None:
            raise Failed(Fault.LOCAL, detail="no certificate for the app's side")
        app, watch, why = self.app, self.watch, None
        began = time.monotonic()
        try:
            async with asyncio.timeout(limit):
                await app.start_tls(self.certificate, server=True)
        except (OSError, EOFError) as error:
            why = error
        offer = clienthello.read(app.opening)
        watch.habit("tls_old", bool(offer and offer.old))
        seen: dict[str, object] = {"side": "app"}
        if offer:
            seen["offered"] = offer.newest
        if why is None:
            cipher = app.tls.cipher() if app.tls else None
            version = app.tls.version() if app.tls else ""
            watch.secured(app=True, seen={**seen, "version": version, "cipher": cipher[0] if cipher else ""})
            return True
        fault = self._no_handshake(why, offer)
        watch.step(Stage.TLS, ok=False, fault=fault, seen={**seen, **detail_of(why)}, began=began)
        return False

    def _no_handshake(self, why: BaseException, offer: clienthello.ClientHello | None) -> Fault:
        """What the app met, in its own terms."""
        if not self.app.opening and time.monotonic() - self.heard < self.limits.patience:
            return Fault.CLOSED  # only looked whether the port is open
        if offer is None and not clienthello.looks_like_tls(self.app.opening):
            self.watch.habit("clear_on_tls_port")
            return Fault.TLS_SPOKEN
        reason = (getattr(why, "reason", None) or "").upper()
        if "ALERT" in reason and ("UNKNOWN_CA" in reason or "CERTIFICATE" in reason):
            self.watch.habit("rejects_certificate")
            return Fault.TLS_UNTRUSTED
        if offer and offer.old:
            return Fault.TLS_FAILED
        if isinstance(why, EOFError | ConnectionError):
            self.watch.habit("rejects_certificate")
            return Fault.TLS_UNTRUSTED
        return Fault.TLS_FAILED

    async def _prelude(self, greeting: bytes) -> bool:
        """The relay's own words until the app begins TLS; False where it never does."""
        await self.app.write(prelude.greeting(self.target.protocol, greeting))
        part = b""
        while data := await self.app.read():
            if len(part) + len(data) > GARBAGE:
                return False
            *lines, part = (part + data).split(b"\n")
            for number, line in enumerate(lines):
                said, begins = prelude.answer(self.target.protocol, line)
                verb = prelude.verb_of(self.target.protocol, line)
                self.watch.note("R", f"before TLS the app said {verb}")
                self.watch.habit("auth_before_tls", verb in prelude.SIGN_IN)
                await self.app.write(said)
                if begins:
                    self.app.unread(b"\n".join([*lines[number + 1 :], part]))
                    return await self._app_handshake(self.limits.handshake)
        return False

    # --- the octets

    async def _upward(self) -> None:
        """App to server."""
        while data := await self.app.read():
            self.heard = time.monotonic()
            self._opening()
            while data and self.server:
                self._settled.clear()
                count = self.watch.client(data)
                await self.server.write(data[:count])
                data = data[count:]
                if self.watch.upgrading:
                    self.app.unread(data)  # belongs to the handshake, or is sent after a refusal
                    data = b""
                    await self._settled.wait()
        if self.watch.due:
            self.watch.habit("gave_up")

    async def _downward(self) -> None:
        """Server to app."""
        server = self.server
        while server and not (self.app_left and not self.watch.due) and (data := await server.read()):
            self.heard = time.monotonic()
            await self._to_app(data)
            if self.watch.upgrade:
                await self._both_handshakes()
                self.watch.upgrade = False
            if self.watch.lost:
                self.watch.upgrading = False
            if not self.watch.upgrading:
                self._settled.set()
        if server and server.why:
            self.over = self.over or fault_of(server.why)

    async def _to_app(self, data: bytes) -> None:
        self.watch.server(data)
        await self.app.write(data)

    async def _both_handshakes(self) -> None:
        """STARTTLS was agreed: with the server and with the app at the same time."""
        ends = await asyncio.gather(
            self._server_handshake(), self._app_handshake(self.limits.handshake), return_exceptions=True
        )
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        if not ends[1]:
            raise Failed(Fault.TLS_FAILED)

    async def _guard(self, upward: asyncio.Task[None], downward: asyncio.Task[None]) -> None:
        """Returns after the server's end, after the app's, or after too long a silence."""
        while not downward.done() and not upward.done():
            left = self.limits.idle - (time.monotonic() - self.heard)
            if left <= 0:
                self.over = self.over or Fault.TIMEOUT
                return
            await asyncio.wait({upward, downward}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if downward.done():
            return
        self.app_left = True
        if self.watch.due:  # what the app did not wait for
            await asyncio.wait({downward}, timeout=self.limits.late)
        if self.server:
            self.server.finish()
        if not downward.done():
            await asyncio.wait({downward}, timeout=self.limits.farewell)
