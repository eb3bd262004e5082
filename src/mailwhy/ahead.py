"""Connections that are begun while the rest of the program is imported: asyncio and ssl cost 60 ms, a round trip 100.

    ahead = set_out([(host, port), ...], family)     look-ups, and a connection to the first address of each
    net.look_up, net.dial                            take them over, and do anew what is not there

Threads, because the system's look-up blocks, and because somebody has to note when a connection stood.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

NOTED = 0.25  # seconds for which a thread waits for its connection; after that asyncio surely does


class Begun:
    """One look-up, and one connection. Times are of `time.monotonic`.

    dialled    when the look-up was over, well or not
    connected  when the connection stood or was refused; None while it is not known
    """

    def __init__(self, host: str, port: int, family: int) -> None:
        self.began = self.dialled = time.monotonic()
        self.connected: float | None = None
        self.sock: socket.socket | None = None
        self._infos: list[Any] = []
        self._why: Exception | None = None
        self._looked_up = threading.Event()
        with contextlib.suppress(OSError, UnicodeError):  # a number: nobody has to be asked
            self._found(numeric(host, port, family))
        threading.Thread(target=self._go, args=(host, port, family), name=f"dial {host}", daemon=True).start()

    @property
    def known(self) -> bool:
        """The look-up is over."""
        return self._looked_up.is_set()

    def addresses(self) -> list[Any]:
        """What the look-up found; waits for it. Raises what `socket.getaddrinfo` raises."""
        self._looked_up.wait()
        if self._why:
            raise self._why
        return self._infos

    def _go(self, host: str, port: int, family: int) -> None:
        try:
            if not self.known:
                self._found(named(host, port, family))
        except Exception as why:  # told to whoever asks
            self._why = why
            self.dialled = time.monotonic()
            self._looked_up.set()
        sock = self.sock
        with contextlib.suppress(OSError, ValueError):  # it may be closed meanwhile
            if sock and select.select([], [sock], [], NOTED)[1]:
                self.connected = time.monotonic()

    def _found(self, infos: list[Any]) -> None:
        self._infos = infos
        self.dialled = time.monotonic()
        self._dial()
        self._looked_up.set()

    def _dial(self) -> None:
        """Begins the connection; one that fails at once is left to `net.dial`, which says why."""
        family, kind, proto, _, address = self._infos[0]
        with contextlib.suppress(OSError):
            sock = socket.socket(family, kind, proto)
            try:
                sock.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    sock.connect(address)
            except BaseException:
                sock.close()
                raise
            self.sock = sock


class Ahead:
    """What was begun; each connection can be taken once. Empty: nothing was."""

    def __init__(self, begun: dict[tuple[str, int], Begun] | None = None) -> None:
        self._begun = begun or {}

    def look_up(self, host: str, port: int) -> Begun | None:
        """The look-up of this name, where one was begun."""
        return self._begun.get((host, port))

    def take(self, address: Any) -> Begun | None:
        """The connection to this address, where one was begun: its socket is the caller's now."""
        for place, begun in self._begun.items():
            if begun.known and begun.sock and address == begun.addresses()[0][4]:
                return self._begun.pop(place)
        return None

    def close(self) -> None:
        """Closes what nobody took."""
        for begun in self._begun.values():
            if begun.known and begun.sock:
                begun.sock.close()
        self._begun.clear()


def set_out(places: Iterable[tuple[str, int]], family: int = 0) -> Ahead:
    """Begins all of them at once. On Windows nothing: its asyncio connects in a way of its own."""
    return Ahead({} if sys.platform == "win32" else {place: Begun(*place, family) for place in places})


def numeric(host: str, port: int, family: int) -> list[Any]:
    """The address that a number is, without asking anybody. Raises socket.gaierror for a name."""
    return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)


def named(host: str, port: int, family: int) -> list[Any]:
    """The addresses of a name, as the system gives them to any program. Raises socket.gaierror, UnicodeError."""
    return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
