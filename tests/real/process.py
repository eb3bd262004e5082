"""Starting and stopping a server of somebody else: free ports, waiting until it answers, ending it by its pid."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from real import people
from real.certs import Certs

from mailwhy.model import Protocol, Target, Tls

START_LIMIT = 20.0  # seconds; Postfix needs 2 to 3 on a busy machine


class NotStartedError(Exception):
    """A server did not come up; the message carries the end of its log."""


Launch = Callable[[Path, dict[str, int]], "list[subprocess.Popen[bytes]]"]


@dataclass
class Server:
    """A running server of somebody else, with all that a test needs to sign in.

    home       a short folder of its own: names of unix sockets end at 107 bytes
    ports      listener -> port on loopback
    processes  the server first, then its helpers
    """

    certs: Certs
    home: Path
    ports: dict[str, int]
    processes: list[subprocess.Popen[bytes]]

    @classmethod
    def launched(cls, certs: Certs, listeners: Sequence[str], launch: Launch) -> Self:
        """Starts on free ports; tries three times, since somebody else may take a port in between."""
        for last in (False, False, True):
            home = Path(tempfile.mkdtemp(prefix="mw-", dir="/tmp"))
            for source in (certs.chain, certs.key):
                shutil.copy(source, home / source.name)
            ports = dict(zip(listeners, free_ports(len(listeners)), strict=True))
            server = cls(certs, home, ports, launch(home, ports))
            try:
                wait_until_open(server.processes[0], ports.values(), server.log)
            except NotStartedError:
                server.stop()
                if last:
                    raise
            else:
                return server
        raise AssertionError("the last try returns or raises")

    @property
    def log(self) -> Path:
        """What the server wrote. It names users, never passwords."""
        return self.home / "log"

    @property
    def ca_file(self) -> Path:
        """The authority that signed the server's certificate."""
        return self.certs.ca

    @property
    def users(self) -> dict[str, str]:
        """login -> password, awkward ones among them."""
        return people.USERS

    def target(self, protocol: Protocol, tls: Tls, host: str = "127.0.0.1") -> Target:
        """Where to find one protocol in one TLS mode."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends the server and takes its folder away."""
        for process in self.processes:
            stop(process)
        shutil.rmtree(self.home, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Ports that are free on loopback now. Held together while they are drawn, so that no two are the same."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_until_open(process: subprocess.Popen[bytes], ports: Iterable[int], log: Path) -> None:
    """Returns when every port accepts. Raises NotStartedError when the process ends first, or nothing opens in time."""
    limit = time.monotonic() + START_LIMIT
    for port in ports:
        while not _accepts(port):
            if process.poll() is not None or time.monotonic() > limit:
                raise NotStartedError(f"{process.args!r}, status {process.poll()}, port {port}:\n{tail(log)}")
            time.sleep(0.02)  # polling, not hoping: a server has no other way to tell that it listens


def stop(process: subprocess.Popen[bytes]) -> None:
    """Asks the process to end, waits, and insists after ten seconds."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def tail(log: Path, lines: int = 40) -> str:
    """The end of a server's log, for the report of a failed test."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def is_root() -> bool:
    """True where this process may start a server under another user."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
