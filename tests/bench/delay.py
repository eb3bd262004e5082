"""A line with a delay, where the kernel has none to offer: two network namespaces and a bridge in this process.

    with Line(0.05) as line:            50 ms each way; needs root
        line.client(command)            the command, as it is run at the near end
        line.server(command)            ... at the far end, whose address is FAR

Real packets: handshakes, acknowledgements and Nagle's rule behave as on a long line. `flights` counts, for each
connection, how often the client spoke after the server had: the round trips that a dialogue took.

    with Proxy(0.05, ports) as proxy:   without root: a proxy on loopback; proxy.ports stand for the servers' ports

What is said is delayed; that a connection is made, is not: a round trip less than on a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import select
import socket
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Self

FAR, NEAR = "10.77.0.2", "10.77.0.1"
SPACES = ("mwb-near", "mwb-far")
ALL = 3  # ETH_P_ALL
SIOCETHTOOL, NO_CHECKSUM = 0x8946, 0x17  # ETHTOOL_STXCSUM: what leaves must carry a whole checksum


def possible() -> str:
    """Why there can be no such line here; "" where there can."""
    if os.geteuid() != 0:
        return "not root: no network namespaces"
    if subprocess.run(["ip", "netns"], capture_output=True, check=False).returncode:
        return "ip netns does not work here"
    return ""


class Line:
    """The two namespaces and the bridge between them; taken away again at the end."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.flights: dict[int, int] = {}
        self._spoke: dict[int, bool] = {}
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self._take_away()
        try:
            for number, (space, address) in enumerate(zip(SPACES, (NEAR, FAR), strict=True)):
                inner, outer = f"mwb-in{number}", f"mwb-out{number}"
                _ip("netns", "add", space)
                _ip("link", "add", inner, "type", "veth", "peer", "name", outer)
                for device in (inner, outer):
                    _no_checksum_offload(device)
                _ip("link", "set", inner, "netns", space)
                _ip("link", "set", outer, "up")
                _ip("-n", space, "addr", "add", f"{address}/24", "dev", inner)
                _ip("-n", space, "link", "set", inner, "up")
                _ip("-n", space, "link", "set", "lo", "up")
            self._ends = tuple(_packets(f"mwb-out{number}") for number in range(2))
            self._thread = threading.Thread(target=self._carry, daemon=True)
            self._thread.start()
        except BaseException:
            self._take_away()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        for end in self._ends:
            end.close()
        self._take_away()

    def client(self, command: Sequence[str]) -> list[str]:
        """The command at the near end."""
        return ["ip", "netns", "exec", SPACES[0], *command]

    def server(self, command: Sequence[str]) -> list[str]:
        """The command at the far end."""
        return ["ip", "netns", "exec", SPACES[1], *command]

    def _take_away(self) -> None:
        for space in SPACES:
            subprocess.run(["ip", "netns", "del", space], stderr=subprocess.DEVNULL, check=False)
        for number in range(2):
            subprocess.run(["ip", "link", "del", f"mwb-out{number}"], stderr=subprocess.DEVNULL, check=False)

    def _carry(self) -> None:
        """Each packet leaves at the other end, `delay` seconds later, in order."""
        waiting: deque[tuple[float, int, bytes]] = deque()
        while not self._ended.is_set():
            rest = max(0.0, waiting[0][0] - time.perf_counter()) if waiting else 0.05
            ready, _, _ = select.select(self._ends, [], [], rest)
            for end in ready:
                frame, where = end.recvfrom(1 << 16)
                if where[2] == socket.PACKET_OUTGOING:
                    continue
                side = self._ends.index(end)
                self._count(side, frame)
                waiting.append((time.perf_counter() + self.delay, 1 - side, frame))
            while waiting and waiting[0][0] <= time.perf_counter():
                _, side, frame = waiting.popleft()
                with contextlib.suppress(OSError):
                    self._ends[side].send(frame)

    def _count(self, side: int, frame: bytes) -> None:
        if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[23] != 6:
            return
        ports = struct.unpack("!HH", frame[34:38])
        size = struct.unpack("!H", frame[16:18])[0] - 20 - (frame[46] >> 4) * 4
        opens = bool(frame[47] & 2)
        if not (size or opens):
            return  # an acknowledgement, or an end
        client = ports[side]
        if side == 0 and not self._spoke.get(client, False):
            self.flights[client] = self.flights.get(client, 0) + 1
        self._spoke[client] = side == 0


def _packets(device: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
    end.bind((device, ALL))
    return end


def _no_checksum_offload(device: str) -> None:
    import array

    value = array.array("B", struct.pack("II", NO_CHECKSUM, 0))
    request = struct.pack("16sP", device.encode(), value.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, request)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


class Proxy:
    """One listener a server, in a thread of its own."""

    def __init__(self, delay: float, ports: Mapping[str, int]) -> None:
        self.delay = delay
        self.ports: dict[str, int] = {}
        self.flights: dict[int, int] = {}
        self._behind = ports
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        for name, port in self._behind.items():
            listening = asyncio.run_coroutine_threadsafe(self._listen(port), self._loop)
            self.ports[name] = listening.result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _listen(self, port: int) -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection("127.0.0.1", port)
            client = int(writer.get_extra_info("peername")[1])
            self.flights[client] = 1  # to connect
            turn = [False]
            await asyncio.gather(
                self._pump(reader, back, client, turn, True), self._pump(there, writer, client, turn, False)
            )

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        return int(server.sockets[0].getsockname()[1])

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: int, turn: list[bool], ours: bool
    ) -> None:
        """Hands on what arrives, `delay` seconds later. turn: the client spoke last."""
        data = b"x"
        while data:
            try:
                data = await reader.read(1 << 16)
            except OSError:
                data = b""
            if data and ours and not turn[0]:
                self.flights[client] += 1
            turn[0] = ours if data else turn[0]
            self._loop.call_later(self.delay, writer.write if data else lambda _: writer.close(), data)
