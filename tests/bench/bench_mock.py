"""The mock under load, beside Dovecot: prints JSON. A script of `make bench`; nothing is asserted.

bench_mock.py HOST CA LOGIN PASSWORD IMAP     a real server's place and account, for the same sign-ins
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import ssl
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.prototype import Wire, dial, imap

LOGIN = "works@on-premises.test"  # the one cloud where a password still opens IMAP
SESSIONS = 1_000
AT_ONCE = 100


async def sign_ins(host: str, ca: str, login: str, secret: str, port: int) -> float:
    """Sign-ins a second."""
    context, go, free = ssl.create_default_context(cafile=ca), asyncio.Event(), asyncio.Semaphore(AT_ONCE)
    go.set()

    async def one() -> None:
        async with free:
            await imap(host, port, context, login.encode(), secret.encode(), go)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(SESSIONS)))
    return SESSIONS / (time.perf_counter() - began)


async def held(host: str, ca: str, port: int, pid: int) -> float:
    """Megabytes that the process takes with all sessions open at once, each past its greeting."""
    context, free = ssl.create_default_context(cafile=ca), asyncio.Semaphore(AT_ONCE)

    async def one() -> Wire:
        async with free:
            wire = await dial(host, port)
            await wire.start_tls(context, host)
            await wire.until(b"* OK")
            return wire

    wires = await asyncio.gather(*(one() for _ in range(SESSIONS)))
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    for wire in wires:
        wire.transport.abort()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def fresh() -> float:
    """Milliseconds until a test has a fresh tenant."""
    from mailwhy.mock.threaded import Running

    took = []
    with Running() as running:
        for _ in range(50):
            began = time.perf_counter()
            running.reset()
            took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def main(host: str, ca: str, login: str, secret: str, port: str) -> None:
    """Starts the mock, measures, stops it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    real = asyncio.run(sign_ins(host, ca, login, secret, int(port)))
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("mailwhy")), "mock", "--json"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        told: dict[str, Any] = json.loads(process.stdout.readline())
        place, ours, account = where(told)
        mock = asyncio.run(sign_ins(place[0], ours, LOGIN, account, place[1]))
        memory = asyncio.run(held(place[0], ours, place[1], process.pid))
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
    print(json.dumps({"real": real, "mock": mock, "memory": memory, "fresh": fresh()}))


def where(told: dict[str, Any]) -> tuple[tuple[str, int], str, str]:
    """The IMAP server of the mock that a password opens, its CA, and the account's password."""
    place = next(
        (each["host"], each["port"])
        for each in told["servers"]
        if (each["protocol"], each["tls"], each["front"]) == ("imap", "implicit", "exchange-server")
    )
    secret = next(each["secret"] for each in told["accounts"] if each["login"] == LOGIN)
    return place, told["ca_file"], secret


if __name__ == "__main__":
    main(*sys.argv[1:])
