"""One attempt on its way: look-up, connection, TLS, the permission to sign in. The dialogues stand on this.

Everything is recorded by the `Recorder`; nothing here knows a protocol's words.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from ..model import Attempt, Credential, Fault, Kind, Reply, Stage, Target, Tls
from ..net import Draft, Failed, Over, Recorder, Way, dial, load_trust_meanwhile, look_up, trust
from ..redact import Redactor
from ..wire import Wire
from . import tls

MaySignIn = Callable[[Attempt], Awaitable[str | None]]
LAST_TRY = 2.0  # seconds in which a server that was silent in clear text may answer a TLS handshake


class Session:
    """What a dialogue needs. `words` and `mechanisms`: the capabilities as last listed."""

    def __init__(
        self,
        target: Target,
        credential: Credential | None,
        way: Way,
        recorder: Recorder,
        may_sign_in: MaySignIn | None,
    ) -> None:
        self.target, self.credential, self.way, self.recorder = target, credential, way, recorder
        self.may_sign_in = may_sign_in
        self.words: list[str] = []
        self.mechanisms: list[str] = []
        secret = credential.secret.reveal() if credential else None
        login = credential.account.login if credential else None
        self.wire = Wire(target.protocol, Redactor(secret, login))
        recorder.leftovers = self.wire.leftovers

    @property
    def host(self) -> str:
        """The name that was asked for: what TLS verifies."""
        return self.target.host or ""

    def stage(self, stage: Stage, sent: str = "") -> contextlib.AbstractAsyncContextManager[Draft]:
        """A stage with its usual time limit."""
        limits = self.way.timeouts
        limit = {Stage.DNS: limits.connect, Stage.TCP: limits.connect, Stage.AUTH: limits.auth}
        return self.recorder.stage(stage, sent, limit.get(stage, limits.reply))

    async def connect(self) -> None:
        """Look-up, connection and, where TLS comes first, the handshake."""
        port = self.target.port or 0
        host, port = self.way.connect_to.get((self.host, port), (self.host, port))
        begun = self.way.ahead.look_up(host, port)
        if begun:
            self.recorder.begin(begun.began)
        async with self.stage(Stage.DNS) as step:
            step.began = begun.began if begun else None
            load_trust_meanwhile(self.way.ca_file)
            try:
                infos = await look_up(host, port, self.way)
            finally:
                step.ended = begun.dialled if begun and begun.known else None
            step.seen["addresses"] = list(dict.fromkeys(info[4][0] for info in infos))
            if canonical := next((info[3] for info in infos if info[3]), ""):
                step.seen["canonical"] = canonical
        async with self.stage(Stage.TCP) as step:
            step.began = begun.dialled if begun and begun.sock else None  # one that failed at once is dialled anew
            try:
                sock = await dial(infos, self.way, step.seen)
            finally:
                tried = step.seen.get("tried")
                if begun and begun.sock and isinstance(tried, list) and len(tried) == 1:
                    step.ended = begun.connected
            try:
                await asyncio.get_running_loop().create_connection(lambda: self.wire, sock=sock)
            except BaseException:
                sock.close()
                raise
        if self.target.tls is Tls.IMPLICIT:
            async with self.stage(Stage.TLS) as step:
                await self._handshake(step, after_reply=False)

    @contextlib.asynccontextmanager
    async def greeting(self) -> AsyncIterator[Draft]:
        """The greeting stage. A server that says nothing in clear text may be waiting for TLS: that is asked last."""
        limit = self.way.timeouts.reply
        async with self.recorder.stage(Stage.GREETING, "", limit + LAST_TRY + 1) as step:
            try:
                async with asyncio.timeout(limit):
                    yield step
            except TimeoutError:
                if self.target.tls is not Tls.IMPLICIT and await self._speaks_tls(min(limit, LAST_TRY)):
                    raise Failed(Fault.TLS_SPOKEN) from None
                raise

    async def _speaks_tls(self, limit: float) -> bool:
        try:
            async with asyncio.timeout(limit):
                return await self.wire.answers_tls(trust(self.way.ca_file), self.host)
        except TimeoutError:
            return False

    async def start_tls(self, command: str, ask: Callable[[], Awaitable[Reply]], offered: bool, ok: str) -> None:
        """STARTTLS or STLS, where it is offered; never goes on in clear text."""
        async with self.stage(Stage.TLS, command) as step:
            if not offered:
                raise Failed(Fault.NOT_OFFERED)
            reply = await ask()
            if reply.status != ok:
                step.ok, step.reply = False, reply
                return
            await self._handshake(step, after_reply=True)

    async def _handshake(self, step: Draft, *, after_reply: bool) -> None:
        wire = self.wire
        try:
            await wire.start_tls(trust(self.way.ca_file), self.host, after_reply=after_reply)
        except (ssl.SSLError, Failed) as why:
            step.seen.update(wire.masked(tls.facts(wire.tls, self.host, why, wire.first)))
            raise
        step.seen.update(wire.masked(tls.facts(wire.tls, self.host)))

    @property
    def oauth(self) -> bool:
        """The secret is a token."""
        return self.credential is not None and self.credential.kind is Kind.OAUTH

    def capabilities(self, step: Draft, words: list[str], mechanisms: list[str]) -> None:
        """Notes what the server offers."""
        self.words, self.mechanisms = [word.upper() for word in words], [name.upper() for name in mechanisms]
        step.seen.update(words=words, auth=self.mechanisms)

    def has(self, word: str) -> bool:
        """Is this capability listed?"""
        return any(each.split(" ")[0] == word for each in self.words)

    async def ready(self, mechanism: str | None) -> Credential:
        """The credential, once nothing stands in the way of using it; raises Over where something does.

        mechanism: what will be used, None where the server offers nothing that fits.
        """
        credential = await self.usable(mechanism)
        await self.permitted()
        return credential

    async def usable(self, mechanism: str | None) -> Credential:
        """The credential, where this server could be told it. Else as `ready`."""
        credential = self.credential
        if credential is None:
            raise Over
        if mechanism is None:
            async with self.stage(Stage.AUTH):
                raise Failed(Fault.NOT_OFFERED)
        if odd := unencodable(credential):
            async with self.stage(Stage.AUTH):
                raise Failed(Fault.UNENCODABLE, detail=odd, mechanism=mechanism)
        return credential

    async def permitted(self) -> None:
        """Waits for the permission to sign in; raises Over where it is refused."""
        if not self.may_sign_in:
            return
        try:
            reason = await self.may_sign_in(self.recorder.attempt)
        except asyncio.CancelledError:
            self.recorder.held_back = "the run was stopped"
            raise
        if reason is not None:
            self.recorder.held_back = reason
            if self.wire.gone:
                self.recorder.amend(**self.wire.leftovers(False))
            raise Over


def unencodable(credential: Credential) -> str | None:
    """Why the login or the secret cannot be sent in these protocols, or None. Says nothing about its content."""
    for what, value in (("login", credential.account.login or ""), ("secret", credential.secret.reveal())):
        if any(char < " " or char == "\x7f" for char in value):
            return f"the {what} contains a control character"
        if any("\ud800" <= char <= "\udfff" for char in value):
            return f"the {what} is not valid Unicode"
    return None
