"""What goes wrong on the way, blind to the protocol: a fault sees octets and the stage in which they are said.

Names follow toxiproxy where it has one (latency, bandwidth, slicer, slow_close, timeout, reset_peer, limit_data).

    {kind = "latency", seconds = 0.2}                           every answer later
    {kind = "silence", stage = "auth"}                          nothing is said from there on
    {kind = "say", stage = "greeting", text = "421 4.3.2 Service not active"}      and closed
    {kind = "certificate", value = "expired", protocol = "imap", times = 2}        twice, then it works
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..model import Protocol, Stage, Tls
from ..plain import NotPlainError, from_plain
from .certs import WRONG
from .wire import GoneError, Wire

STREAM = (
    *("latency", "bandwidth", "slicer", "slow_close", "timeout", "reset_peer", "limit_data"),
    *("silence", "half_close", "garbage", "endless_line", "endless_answer", "say", "strip_starttls"),
)
HANDSHAKE = ("certificate", "tls_version", "tls_refused", "clear_on_tls", "tls_on_clear")
KINDS = (*STREAM, *HANDSHAKE)
ALERT = bytes.fromhex("15030100020228")  # TLS alert: handshake_failure
CHUNK = 4096


class BadFaultError(ValueError):
    """A fault that does not exist or lacks what it needs; the message says how to mend it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, and where it happens.

    protocol, tls, front, mailbox   only there; None: everywhere
    stage     from this stage on; None: from the first octet
    times     only for the first so many connections that meet it; 0: always
    seconds   latency, slicer, slow_close, timeout;  rate: octets a second (bandwidth)
    size      octets (limit_data, slicer);  value: the certificate or the TLS version;  text: for say
    """

    kind: str
    protocol: Protocol | None = None
    tls: Tls | None = None
    front: str | None = None
    mailbox: str | None = None
    stage: Stage | None = None
    times: int = 0
    seconds: float = 0.0
    rate: int = 1024
    size: int = 0
    value: str = ""
    text: str = ""


def fault(data: Mapping[str, Any]) -> Fault:
    """A fault from a table. Raises BadFaultError."""
    try:
        made: Fault = from_plain(Fault, data)
    except NotPlainError as why:
        raise BadFaultError(f"fault: {why}") from None
    if made.kind not in KINDS:
        raise BadFaultError(f"fault: there is no kind {made.kind!r}; use one of {', '.join(KINDS)}")
    if made.kind == "certificate" and made.value not in WRONG:
        raise BadFaultError(f"fault: certificate needs value = one of {', '.join(WRONG)}")
    if made.kind == "tls_version" and made.value not in ("1.0", "1.1", "1.2"):
        raise BadFaultError('fault: tls_version needs value = "1.0", "1.1" or "1.2"')
    if not all(0 <= number < math.inf for number in (made.times, made.seconds, made.rate, made.size)):
        raise BadFaultError("fault: times, seconds, rate and size are numbers from 0 on")
    if made.kind == "say" and not made.text:
        raise BadFaultError("fault: say needs a text")
    return made


_ORDER = {stage: number for number, stage in enumerate(Stage)}


class Faults:
    """The faults of one connection. `told` counts, for the whole mock, how many connections met each fault."""

    def __init__(
        self, all_faults: Iterable[Fault], told: Counter[Fault], protocol: Protocol, tls: Tls, front: str
    ) -> None:
        self._told = told
        self._met: dict[Fault, bool] = {}
        self._mine = [
            each
            for each in all_faults
            if each.protocol in (None, protocol) and each.tls in (None, tls) and each.front in (None, front)
        ]
        self._mailbox = ""
        self.sent = 0

    def signed_in_as(self, mailbox: str, more: Iterable[Fault] = ()) -> None:
        """From now on the faults of this mailbox happen as well."""
        if mailbox and mailbox != self._mailbox:
            self._mailbox = mailbox
            self._mine += [dataclasses.replace(each, mailbox=mailbox) for each in more]

    def at(self, stage: Stage, kinds: tuple[str, ...] = STREAM) -> list[Fault]:
        """The faults that happen in this stage, each counted once a connection."""
        found = []
        for each in self._mine:
            if each.kind not in kinds or (each.mailbox and each.mailbox != self._mailbox):
                continue
            if each.stage is not None and _ORDER[stage] < _ORDER[each.stage]:
                continue
            if each not in self._met:
                self._told[each] += 1
                self._met[each] = not each.times or self._told[each] <= each.times
            if self._met[each]:
                found.append(each)
        return found

    def handshake(self, kind: str) -> Fault | None:
        """The fault of this kind that spoils TLS here, if any."""
        return next(iter(self.at(Stage.TLS, (kind,))), None)


async def send(wire: Wire, data: bytes, stage: Stage, faults: Faults) -> None:
    """Sends an answer through the faults of its stage. Raises GoneError when the connection is over."""
    pace: Fault | None = None
    for each in faults.at(stage):
        kind = each.kind
        if kind == "latency":
            await asyncio.sleep(each.seconds)
        elif kind in ("bandwidth", "slicer"):
            pace = each
        elif kind == "garbage":
            data = secrets.token_bytes(64).replace(b"\n", b"?") + b"\r\n"
        elif kind == "strip_starttls":
            data = stripped(data)
        elif kind == "limit_data":
            left = max(0, each.size - faults.sent)
            if left < len(data):
                await wire.write(data[:left])
                raise GoneError
        elif kind in _ENDS:
            await _ENDS[kind](wire, data, each)
            raise GoneError
    faults.sent += len(data)
    await (paced(wire, data, pace) if pace else wire.write(data))


async def paced(wire: Wire, data: bytes, pace: Fault) -> None:
    """In small pieces: `slicer` by size, `bandwidth` by rate."""
    size = (pace.size or 1) if pace.kind == "slicer" else max(1, pace.rate // 20)
    pause = pace.seconds if pace.kind == "slicer" else size / max(1, pace.rate)
    for at in range(0, len(data), size):
        await wire.write(data[at : at + size])
        await asyncio.sleep(pause)


async def closing(wire: Wire, faults: Faults) -> None:
    """Before an orderly end: `slow_close` takes its time."""
    for each in faults.at(Stage.USE, ("slow_close",)):
        await asyncio.sleep(each.seconds)


async def _silence(wire: Wire, _: bytes, __: Fault) -> None:
    while not wire.closed:
        await wire.read()


async def _timeout(wire: Wire, _: bytes, each: Fault) -> None:
    await asyncio.sleep(each.seconds)


async def _reset(wire: Wire, _: bytes, __: Fault) -> None:
    wire.reset()


async def _half_close(wire: Wire, data: bytes, each: Fault) -> None:
    await wire.write(data[: len(data) // 2])
    wire.half_close()
    await _silence(wire, data, each)


async def _endless_line(wire: Wire, _: bytes, __: Fault) -> None:
    while True:
        await wire.write(b"x" * CHUNK)
        await asyncio.sleep(0)


async def _endless_answer(wire: Wire, data: bytes, __: Fault) -> None:
    again = re.sub(rb"^(\d{3}) ", rb"\1-", data)
    while True:
        await wire.write(again * (CHUNK // len(again) + 1))
        await asyncio.sleep(0)


async def _say(wire: Wire, _: bytes, each: Fault) -> None:
    await wire.write(f"{each.text}\r\n".encode())


_ENDS = {
    "silence": _silence,
    "timeout": _timeout,
    "reset_peer": _reset,
    "half_close": _half_close,
    "endless_line": _endless_line,
    "endless_answer": _endless_answer,
    "say": _say,
}


def stripped(data: bytes) -> bytes:
    """What a middle box leaves of an offer of STARTTLS (the word made unknown, as firewalls do it)."""
    return re.sub(rb"(?m)(?<![A-Za-z])(?:STARTTLS|STLS)(?=[ \r]|$)", lambda found: b"X" * len(found.group()), data)
