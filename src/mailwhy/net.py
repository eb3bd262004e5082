"""Look-up, dialling, the stage recorder, and the one table that maps foreign exceptions to faults.

    async with recorder.stage(Stage.TCP, limit=10) as step:     one stage = one Step, whatever happens inside
        ...                                                     Failed, OSError, ssl.SSLError -> step.fault
    Over is raised out of a stage that did not end well; only `probe` catches it.

Nobody else catches OSError, SSLError or TimeoutError. Cancellation is recorded (fault cancelled) and goes on.
Nothing here reads or writes the wire, or knows a secret.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import aiohappyeyeballs

from .ahead import Ahead, Begun, named, numeric
from .model import Attempt, Fault, JsonValue, Kind, Reply, Stage, Step, Target
from .reply import harmless
from .way import Timeouts, Way

__all__ = ["Timeouts", "Way"]  # with all that is defined here

HEAD_START = 0.25  # seconds between two addresses tried in parallel (RFC 8305: 250 ms)
AddressInfo = tuple[int, int, int, str, Any]


class Failed(Exception):  # noqa: N818 - reads as what happened: the stage failed
    """A stage cannot go on, for a reason of ours. `reply`: what was said although it could not be used."""

    def __init__(self, fault: Fault, reply: Reply | None = None, **seen: JsonValue) -> None:
        super().__init__(fault)
        self.fault, self.reply, self.seen = fault, reply, seen


class Over(Exception):  # noqa: N818 - control flow between a stage and `probe`, never seen outside
    """The attempt ends here; the step that says why is recorded."""


class Draft:
    """A step that is still happening. The dialogue fills in reply and seen; `ok` may be taken back.

    began, ended: on the clock of `time.monotonic`, where it was not when the stage was entered and left.
    """

    def __init__(self, stage: Stage, sent: str = "") -> None:
        self.stage, self.sent = stage, sent
        self.ok = True
        self.reply: Reply | None = None
        self.fault: Fault | None = None
        self.seen: dict[str, JsonValue] = {}
        self.began: float | None = None
        self.ended: float | None = None

    def fail(self, fault: Fault, **seen: JsonValue) -> None:
        """Ends in this fault; what was seen stays."""
        self.ok, self.fault = False, fault
        self.seen.update(seen)


def nothing_left(ok: bool) -> Mapping[str, JsonValue]:
    """What a wire holds that is not there yet, or not any more."""
    return {}


class Recorder:
    """Writes down one attempt, stage by stage; `attempt` gives what is known so far, at any moment.

    leftovers   asked at the end of each stage for what the wire holds besides (unasked lines, half an answer)
    """

    def __init__(
        self, target: Target, kind: Kind | None = None, on_step: Callable[[Target, Step], None] | None = None
    ) -> None:
        self.target, self.kind, self.on_step = target, kind, on_step
        self.held_back: str | None = None
        self.leftovers: Callable[[bool], Mapping[str, JsonValue]] = nothing_left
        self._steps: list[Step] = []
        self.begin(time.monotonic())

    def begin(self, at: float) -> None:
        """The attempt began at this moment of `time.monotonic`: when this was made, unless told otherwise."""
        self._began = at
        moment = datetime.now(UTC) - timedelta(seconds=time.monotonic() - at)
        self._started = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @property
    def attempt(self) -> Attempt:
        """The evidence so far."""
        return Attempt(self.target, tuple(self._steps), kind=self.kind, started=self._started, held_back=self.held_back)

    def amend(self, **seen: JsonValue) -> None:
        """Adds observations to the last step: what came after it, while nothing was asked."""
        if seen and self._steps:
            self._steps[-1] = replace(self._steps[-1], seen={**self._steps[-1].seen, **seen})

    @contextlib.asynccontextmanager
    async def stage(self, stage: Stage, sent: str = "", limit: float | None = None) -> AsyncIterator[Draft]:
        """One stage, at most `limit` seconds. Raises Over when it did not end well."""
        draft = Draft(stage, sent)
        begun = time.monotonic()
        try:
            async with asyncio.timeout(limit):
                yield draft
        except Failed as why:
            draft.fail(why.fault, **why.seen)
            draft.reply = why.reply or draft.reply
        except asyncio.CancelledError:
            draft.fail(Fault.CANCELLED)
            raise
        except (OSError, EOFError, UnicodeError) as why:
            draft.fail(fault_of(why), **detail_of(why))
        except Exception:  # a mistake in this program is nobody's evidence
            draft.ok = False
            raise
        finally:
            self._record(draft, begun)
        if not draft.ok:
            raise Over

    def _record(self, draft: Draft, begun: float) -> None:
        seen = {**self.leftovers(draft.ok), **draft.seen}
        if draft.reply:
            seen.pop("partial", None)  # the reply says it all
        begun = begun if draft.began is None else draft.began
        ended = time.monotonic() if draft.ended is None else draft.ended
        took, at = max(0.0, ended - begun), begun - self._began
        step = Step(draft.stage, draft.ok, draft.sent, draft.reply, draft.fault, seen, round(took, 6), round(at, 6))
        self._steps.append(step)
        if self.on_step:
            self.on_step(self.target, step)


_NO_NAME = {getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name)}
_BY_ERRNO: Mapping[int, Fault] = {
    errno.ECONNREFUSED: Fault.REFUSED,
    errno.EHOSTUNREACH: Fault.UNREACHABLE,
    errno.ENETUNREACH: Fault.UNREACHABLE,
    errno.EHOSTDOWN: Fault.UNREACHABLE,
    errno.ENETDOWN: Fault.UNREACHABLE,
    errno.EAFNOSUPPORT: Fault.UNREACHABLE,  # a kernel without IPv6
    errno.ETIMEDOUT: Fault.TIMEOUT,
    errno.ECONNRESET: Fault.RESET,
    errno.ECONNABORTED: Fault.RESET,
    errno.EPIPE: Fault.RESET,
}


def fault_of(why: BaseException) -> Fault:
    """The one table of foreign exceptions. What is not in it is this machine's refusal (LOCAL)."""
    match why:
        case asyncio.CancelledError():
            return Fault.CANCELLED
        case TimeoutError():
            return Fault.TIMEOUT
        case ssl.SSLCertVerificationError():
            return Fault.TLS_UNTRUSTED
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | EOFError():
            return Fault.CLOSED
        case ssl.SSLError():
            return Fault.TLS_FAILED
        case socket.gaierror():
            return Fault.NO_SUCH_HOST if why.errno in _NO_NAME else Fault.DNS_FAILED
        case UnicodeError():  # a host name that cannot be written in DNS
            return Fault.NO_SUCH_HOST
        case OSError():
            return _BY_ERRNO.get(why.errno or 0, Fault.LOCAL)
    return Fault.LOCAL


def detail_of(why: BaseException) -> dict[str, JsonValue]:
    """OpenSSL's or the system's own words, where there are any."""
    if isinstance(why, ssl.SSLCertVerificationError):
        return {"detail": f"{why.verify_message} (verify error {why.verify_code})"}
    if isinstance(why, ssl.SSLError):
        return {"detail": why.reason or harmless(str(why))}
    words = why.strerror if isinstance(why, OSError) and why.strerror else str(why)
    return {"detail": harmless(words)} if words else {}


@functools.cache
def trust(ca_file: str | None) -> ssl.SSLContext:
    """The TLS settings of every probe: verified, TLS 1.2 or newer. Costs 25 ms, so it is built once."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python 3.13 began to refuse CA certificates that other programs take; the verdict must not depend on it
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    # Python heeds SSLKEYLOGFILE: with those keys, whoever recorded the connection could read the password
    context.keylog_filename = None  # type: ignore[assignment]  # None is how it is switched off
    return context


def load_trust_meanwhile(ca_file: str | None) -> None:
    """Builds the TLS settings in the next turn of the loop, while a look-up or connect is in flight."""

    def load() -> None:
        with contextlib.suppress(OSError):  # the TLS stage meets the same error, and reports it
            trust(ca_file)

    asyncio.get_running_loop().call_soon(load)


async def look_up(host: str, port: int, way: Way) -> list[AddressInfo]:
    """The addresses of a name, as the system gives them to any program. Raises socket.gaierror, UnicodeError.

    In a daemon thread of its own: the loop's executor would keep a cancelled program waiting for the resolver.
    """
    begun = way.ahead.look_up(host, port)
    if begun and begun.known:
        return _infos(begun.addresses())
    with contextlib.suppress(socket.gaierror):
        return _infos(numeric(host, port, way.family))
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[AddressInfo]] = loop.create_future()

    def settle(infos: list[AddressInfo], why: Exception | None) -> None:
        if answer.done():
            return
        if why:
            answer.set_exception(why)
        else:
            answer.set_result(infos)

    def ask() -> None:
        infos: list[AddressInfo] = []
        failed: Exception | None = None
        try:
            infos = _infos(begun.addresses() if begun else named(host, port, way.family))
        except Exception as why:  # handed to the stage that asked
            failed = why
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            loop.call_soon_threadsafe(settle, infos, failed)

    threading.Thread(target=ask, name=f"look up {host}", daemon=True).start()
    return await answer


def _infos(found: list[Any]) -> list[AddressInfo]:
    return [(int(f), int(t), p, c, a) for f, t, p, c, a in found]


async def dial(infos: list[AddressInfo], way: Way, seen: dict[str, JsonValue]) -> socket.socket:
    """A connected socket to the first address that answers (happy eyeballs). Raises Failed.

    Writes `tried`, `address`, `port` and `local` into `seen`, also when it fails or is cancelled.
    """
    local = _local(way)
    tries = _Tries(way.ahead, any_source=not local)
    if local:
        infos = [info for info in infos if info[0] == local[0][0]]
        if not infos:
            raise Failed(Fault.LOCAL, detail=f"no address of the family of {way.source}")
    unfinished = Fault.TIMEOUT
    try:
        sock = await aiohappyeyeballs.start_connection(
            cast("Any", infos),
            local_addr_infos=cast("Any", local),
            happy_eyeballs_delay=HEAD_START,
            loop=cast("asyncio.AbstractEventLoop", tries),
            socket_factory=tries.made,
        )
        unfinished = Fault.CANCELLED  # another address answered first
    except (OSError, RuntimeError) as why:
        faults = [entry["fault"] for entry in tries.entries(Fault.TIMEOUT)] or [str(fault_of(why))]
        best = min(faults, key=lambda fault: _TELLING.index(fault) if fault in _TELLING else len(_TELLING))
        raise Failed(Fault(best), **detail_of(why)) from None
    finally:
        seen["tried"] = tries.entries(unfinished)
    peer, own = sock.getpeername(), sock.getsockname()
    seen.update(address=peer[0], port=peer[1], local=own[0])
    return sock


_TELLING = [str(f) for f in (Fault.REFUSED, Fault.RESET, Fault.TIMEOUT, Fault.UNREACHABLE, Fault.LOCAL)]


def _local(way: Way) -> list[AddressInfo] | None:
    if not way.source:
        return None
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(way.source).version == 6 else socket.AF_INET
    except ValueError:
        raise Failed(Fault.LOCAL, detail=f"{way.source} is not an IP address") from None
    return [(family, socket.SOCK_STREAM, 0, "", (way.source, 0))]


class _Tries:
    """Stands in for the loop in `start_connection`, which calls `sock_connect` only: notes how each one ended."""

    def __init__(self, ahead: Ahead, *, any_source: bool) -> None:
        self._ahead, self._any_source = ahead, any_source
        self._begun: dict[socket.socket, Begun] = {}
        self._entries: list[dict[str, JsonValue]] = []
        self._pending: list[dict[str, JsonValue]] = []

    def entries(self, pending: Fault) -> list[dict[str, JsonValue]]:
        """Every address that was tried: fault None for the one that answered, `pending` for the unfinished."""
        for entry in self._pending:
            entry["fault"] = str(pending)
        return self._entries

    def made(self, info: Any) -> socket.socket:
        """A socket for this address: the one that is connecting already, where there is one."""
        if begun := self._ahead.take(info[4]):
            sock = cast("socket.socket", begun.sock)
            self._begun[sock] = begun
            return sock
        return socket.socket(*info[:3])

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        entry: dict[str, JsonValue] = {"address": address[0], "fault": None, "seconds": 0.0}
        self._entries.append(entry)
        self._pending.append(entry)
        begun = self._begun.get(sock)
        began = begun.dialled if begun else time.monotonic()
        try:
            await asyncio.get_running_loop().sock_connect(sock, address)
            self._pending.remove(entry)
        except OSError as why:
            self._pending.remove(entry)
            if begun and why.errno == errno.EISCONN:  # so BSD says that it stands already; Linux says nothing
                return
            # no address to come from, though none was asked for: IPv6 is switched off
            homeless = self._any_source and sock.family == socket.AF_INET6 and why.errno == errno.EADDRNOTAVAIL
            entry["fault"] = str(Fault.UNREACHABLE if homeless else fault_of(why))
            raise
        finally:
            ended = (begun and begun.connected) or time.monotonic()
            entry["seconds"] = round(ended - began, 6)
