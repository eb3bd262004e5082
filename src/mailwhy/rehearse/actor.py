"""Says what a profile says, over one connection. Nothing is repeated, and no password leaves without TLS unasked."""

from __future__ import annotations

import asyncio
import base64
import ssl
import warnings
from collections.abc import Awaitable, Callable

from ..model import Attempt, Credential, Fault, Stage, Target, Tls
from ..net import Failed, Way, detail_of, dial, fault_of, look_up, trust
from ..relay.side import Side
from ..relay.smtp import Smtp
from ..relay.watch import OnStep
from .profiles import Profile

LONGEST = 64 * 1024  # octets of one answer
VERSIONS = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2}

MayGo = Callable[[Attempt], Awaitable[str | None]]


async def act(
    profile: Profile,
    credential: Credential | None,
    target: Target,
    way: Way,
    *,
    sender: str,
    may_go: MayGo | None = None,
    on_step: OnStep | None = None,
) -> Attempt:
    """The profile's SMTP dialogue with `target`. credential None: no sign-in is made (`--no-auth`).

    Failures are steps. Raises nothing but CancelledError.
    """
    actor = _Actor(profile, credential, target, way, sender, may_go, on_step)
    fault = None
    try:
        await actor.run()
    except Failed as why:
        fault = why.fault
    except (OSError, EOFError) as why:
        fault = fault_of(why)
    except asyncio.CancelledError:
        fault = Fault.CANCELLED
        actor.watch.close(fault)  # tells `on_step` where it stood
        raise
    finally:
        if actor.side:
            actor.side.close()
    if actor.held is not None:
        return _held(actor.watch.attempt, actor.held)
    actor.watch.close(fault)
    return actor.watch.attempt


def _held(attempt: Attempt, why: str) -> Attempt:
    return Attempt(attempt.target, attempt.steps, attempt.kind, attempt.started, why, attempt.facts)


class _Actor:
    """Says what the profile says. The watch reads along, as it does for an app behind the relay."""

    def __init__(
        self,
        profile: Profile,
        credential: Credential | None,
        target: Target,
        way: Way,
        sender: str,
        may_go: MayGo | None,
        on_step: OnStep | None,
    ) -> None:
        self.profile, self.credential, self.target, self.way = profile, credential, target, way
        self.sender = profile.sender or sender
        self.may_go = may_go
        self.held: str | None = None
        self.side: Side | None = None
        upgradable = target.tls is Tls.STARTTLS
        self.watch = Smtp(target, upgradable=upgradable, on_step=on_step)

    async def run(self) -> None:
        profile = self.profile
        self.side = await self._connect()
        if self.target.tls is Tls.IMPLICIT:
            await self._handshake()
        if not (await self._answer()).startswith("220"):
            return
        said = await self._say(f"{profile.hello} {profile.name}")
        if profile.tls is Tls.STARTTLS and self.target.tls is Tls.STARTTLS:
            if not (await self._say("STARTTLS")).startswith("220"):
                return
            self.watch.upgrade = False
            await self._handshake()
            said = await self._say(f"{profile.hello} {profile.name}")
        if said.startswith("2"):
            signed_in = await self._sign_in(said)
            if self.held is None and (signed_in or profile.goes_on or not self._signs_in):
                await self._say(f"MAIL FROM:<{self.sender}>")
        await self._say("QUIT")

    @property
    def _signs_in(self) -> bool:
        return self.credential is not None and bool(self.profile.mechanisms)

    async def _connect(self) -> Side:
        host, port = self.target.host or "", self.target.port or 0
        seen: dict[str, object] = {}
        stage = Stage.DNS
        try:
            async with asyncio.timeout(self.way.timeouts.connect):
                infos = await look_up(*self.way.connect_to.get((host, port), (host, port)), self.way)
                stage = Stage.TCP
                sock = await dial(infos, self.way, seen)
        except (Failed, OSError, UnicodeError) as why:
            fault = why.fault if isinstance(why, Failed) else fault_of(why)
            self.watch.step(stage, ok=False, fault=fault, seen=seen)
            raise Failed(fault) from None
        self.watch.step(Stage.TCP, seen=seen)
        _, side = await asyncio.get_running_loop().create_connection(Side, sock=sock)
        return side

    async def _handshake(self) -> None:
        if self.side is None:
            return
        began = self.watch.now
        try:
            async with asyncio.timeout(self.way.timeouts.reply):
                await self.side.start_tls(self._context(), name=self.target.host)
        except (OSError, EOFError) as why:
            self.watch.habit("tls_old", self.profile.tls_max in ("1.0", "1.1"))
            self.watch.step(Stage.TLS, ok=False, fault=fault_of(why), seen=detail_of(why), began=began)
            raise Failed(fault_of(why)) from None
        self.watch.secured(app=False, seen={"version": self.side.tls.version() if self.side.tls else ""})
        self.watch.app_secured = True

    def _context(self) -> ssl.SSLContext:
        """Verified, up to the newest TLS that the app knows."""
        if not self.profile.tls_max:
            return trust(self.way.ca_file)
        context = ssl.create_default_context(cafile=self.way.ca_file)
        context.keylog_filename = None  # type: ignore[assignment]  # as in net.trust
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old versions are the point here
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = VERSIONS[self.profile.tls_max]
        return context

    async def _sign_in(self, said: str) -> bool:
        """One sign-in, as the profile makes it; False where none was made or it was refused."""
        credential, profile = self.credential, self.profile
        if credential is None or not profile.mechanisms:
            return False
        offered = [word for line in said.splitlines() if line[4:8].upper() == "AUTH" for word in line[9:].split()]
        mechanism = next((m for m in profile.mechanisms if m in offered), profile.mechanisms[0])
        if profile.chooses and mechanism not in offered:
            return False
        if not self.watch.server_secured and self.target.tls is not Tls.NONE:
            self.held = "the app has no TLS here; a password is not sent in clear text to a server that offers TLS"
            return False
        if self.may_go and (reason := await self.may_go(self.watch.attempt)):
            self.held = reason
            return False
        return (await self._auth(mechanism, credential)).startswith("235")

    async def _auth(self, mechanism: str, credential: Credential) -> str:
        login, secret = credential.account.login or "", credential.secret.reveal()
        whole = f"\0{login}\0{secret}" if mechanism == "PLAIN" else f"user={login}\1auth=Bearer {secret}\1\1"
        messages = [login, secret] if mechanism == "LOGIN" else [whole]
        initial = " " + b64(messages.pop(0)) if self.profile.initial else ""
        said = await self._say(f"AUTH {mechanism}{initial}", self.way.timeouts.auth)
        while said.startswith("334") and messages:
            said = await self._say(b64(messages.pop(0)), self.way.timeouts.auth)
        return await self._say("*") if said.startswith("334") else said

    async def _say(self, line: str, limit: float | None = None) -> str:
        if self.side is None:
            return ""
        data = line.encode() + b"\r\n"
        self.watch.client(data)
        await self.side.write(data)
        return await self._answer(limit)

    async def _answer(self, limit: float | None = None) -> str:
        """One whole answer."""
        said = b""
        async with asyncio.timeout(limit or self.way.timeouts.reply):
            while self.side:
                data = await self.side.read()
                if not data:
                    raise Failed(Fault.CLOSED)
                self.watch.server(data)
                said += data
                if len(said) > LONGEST:
                    raise Failed(Fault.TOO_LONG)
                if said.endswith(b"\n") and said.splitlines()[-1][3:4] != b"-":
                    break
        return said.decode("latin-1")


def b64(text: str) -> str:
    """As SASL writes it."""
    return base64.b64encode(text.encode()).decode()
