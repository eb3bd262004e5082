"""A DNS server on loopback, over UDP and TCP, that answers from a table; faults by name.

zone: {("contoso.test", "MX"): ["0 contoso-test.mail.protection.outlook.com."], ...}; a name with any record exists
faults: {"contoso.test": "servfail" | "refused" | "timeout" | "garbage" | "truncated" | "tcp-only"}: for all its types,
        or ("contoso.test", "TXT"): for one. truncated: UDP says so and TCP is silent; tcp-only: TCP answers
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Zone = Mapping[tuple[str, str], Sequence[str]]
Faults = Mapping[str | tuple[str, str], str]


@dataclass
class DnsServer:
    """A running server. `asked`: every question, with the transport it came over."""

    zone: Zone
    faults: Faults
    host: str = "127.0.0.1"
    port: int = 0
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return self.host, self.port

    @property
    def option(self) -> str:
        """As `--resolver` takes it."""
        return f"{self.host}:{self.port}"

    def answer(self, data: bytes, transport: str) -> bytes | None:
        """The answer to one question; None: silence."""
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, type_ = question.name.to_text().lower().rstrip("."), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, type_, transport))
        fault = self.faults.get((name, type_), self.faults.get(name, ""))
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        if fault == "timeout" or (fault == "truncated" and transport == "tcp"):
            return None
        if fault == "garbage":
            return b"\xff" * 40
        if fault in ("servfail", "refused"):
            reply.set_rcode(dns.rcode.from_text(fault.upper()))
            return reply.to_wire()
        if fault in ("truncated", "tcp-only") and transport == "udp":
            reply.flags |= dns.flags.TC
            return reply.to_wire()
        self._fill(reply, name, type_)
        return reply.to_wire(max_size=65535)

    def _fill(self, reply: dns.message.Message, name: str, type_: str) -> None:
        """Follows CNAMEs as a resolver does."""
        for _ in range(5):
            if records := self.zone.get((name, type_)):
                reply.answer.append(dns.rrset.from_text_list(f"{name}.", 60, "IN", type_, records))
                return
            if not (alias := self.zone.get((name, "CNAME"))):
                break
            reply.answer.append(dns.rrset.from_text_list(f"{name}.", 60, "IN", "CNAME", alias))
            name = alias[0].lower().rstrip(".")
        if not any(known == name or known.endswith(f".{name}") for known, _ in self.zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self.server = server
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # asyncio's own type is wider
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        if self.transport and (answer := self.server.answer(data, "udp")):
            self.transport.sendto(answer, addr)


@contextlib.asynccontextmanager
async def dns_server(zone: Zone, faults: Faults | None = None) -> AsyncIterator[DnsServer]:
    """Serves this zone on a port of its own, the same for UDP and TCP."""
    server = DnsServer(zone, faults or {})

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = struct.unpack("!H", await reader.readexactly(2))[0]
                if answer := server.answer(await reader.readexactly(size), "tcp"):
                    writer.write(struct.pack("!H", len(answer)) + answer)
                    await writer.drain()
        writer.close()

    loop = asyncio.get_running_loop()
    for _ in range(20):  # the UDP port that the system gives may be taken for TCP
        udp, _protocol = await loop.create_datagram_endpoint(lambda: _Udp(server), local_addr=(server.host, 0))
        server.port = udp.get_extra_info("sockname")[1]
        try:
            tcp = await asyncio.start_server(talk, server.host, server.port)
        except OSError:
            udp.close()
            continue
        break
    try:
        yield server
    finally:
        udp.close()
        tcp.close()


@contextlib.contextmanager
def dns_thread(zone: Zone, faults: Faults | None = None) -> Iterator[DnsServer]:
    """The same in a thread of its own, for a command that has to run in the main one."""
    ready: Future[tuple[DnsServer, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def live() -> None:
        async with dns_server(zone, faults) as server:
            over = asyncio.Event()
            ready.set_result((server, asyncio.get_running_loop(), over))
            await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(live(),))
    thread.start()
    server, loop, over = ready.result(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)


CONTOSO: Zone = {
    ("contoso.test", "MX"): ["0 contoso-test.mail.protection.outlook.com."],
    ("contoso.test", "TXT"): ['"v=spf1 include:spf.protection.outlook.com -all"', '"MS=ms00000000"'],
    ("autodiscover.contoso.test", "CNAME"): ["autodiscover.outlook.com."],
    ("contoso-test.mail.protection.outlook.com", "A"): ["192.0.2.25"],
    ("autodiscover.outlook.com", "A"): ["192.0.2.80"],
}
