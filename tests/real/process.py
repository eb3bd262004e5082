"""Starting and stopping a server of somebody else: free ports, waiting until it answers, ending it by its pid."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

START_LIMIT = 20.0  # seconds; Postfix needs 2 to 3 on a busy machine


class NotStartedError(Exception):
    """A server did not come up; the message carries the end of its log."""


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
