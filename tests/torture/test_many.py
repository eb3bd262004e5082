"""1,000 checks in one process, beside other code in the same loop: no task, socket, thread or memory is left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from pathlib import Path

import pytest
from talks import LOGIN, SECRET, Server, ca_file, serve
from torture.figures import count
from torture.matrix import whole

from mailwhy.checking import Check
from mailwhy.ledger import Ledger
from mailwhy.model import Account, Protocol, Secret, Tls, Verdict
from mailwhy.net import Way

LEFT = 4000  # blocks of memory that half of them may leave: caches, and the ledger's entries; one check makes 100,000s
REFUSED = whole(Protocol.POP, Tls.NONE).replace(
    "S: +OK\nC: STAT\nS: +OK 0 0\n", "S: -ERR Logon failure: unknown user name or bad password.\n"
)


def open_files() -> int:
    """How many file descriptors this process has."""
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0  # noqa: PTH208  # one call


async def one(servers: dict[Protocol, Server], modes: dict[Protocol, Tls], ledger: Ledger, number: int) -> None:
    """One check of all three; every seventh is cancelled somewhere on its way."""
    targets = [server.target(protocol, modes[protocol]) for protocol, server in servers.items()]
    way = Way(ca_file=ca_file())
    run = Check(Account(LOGIN, LOGIN, LOGIN), Secret(SECRET), targets=targets, way=way, ledger=ledger, insist=True)
    task = asyncio.create_task(run.go())
    if number % 7 == 0:
        for _ in range(number % 40):
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    if not task.cancelled():
        assert not task.exception()
        assert [d.verdict is Verdict.WORKS for d in run.diagnoses()][:2] == [True, True]


async def many(number: int, tmp_path: Path) -> None:
    """That many checks, eight at a time, while other code of the same loop goes on."""
    modes = {Protocol.SMTP: Tls.STARTTLS, Protocol.IMAP: Tls.IMPLICIT, Protocol.POP: Tls.NONE}
    scripts = {p: whole(p, modes[p]) if p is not Protocol.POP else REFUSED for p in Protocol}
    ledger, beats = Ledger(tmp_path), 0

    async def other() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0.01)

    async with (
        serve(scripts[Protocol.SMTP], strict=False) as smtp,
        serve(scripts[Protocol.IMAP], implicit=True, strict=False) as imap,
        serve(scripts[Protocol.POP], strict=False) as pop,
    ):
        servers = {Protocol.SMTP: smtp, Protocol.IMAP: imap, Protocol.POP: pop}
        beside = asyncio.create_task(other())
        for at in range(0, number, 8):
            await asyncio.gather(*(one(servers, modes, ledger, n) for n in range(at, min(at + 8, number))))
            for server in servers.values():
                server.got.clear()
        beside.cancel()
        await asyncio.gather(beside, return_exceptions=True)
    assert beats > 1


async def settled() -> tuple[int, int, int]:
    """Tasks, descriptors and threads once everything has been closed."""
    for _ in range(50):
        await asyncio.sleep(0.01)  # closing a socket takes a turn of the loop
        if len(asyncio.all_tasks()) == 1:
            break
    gc.collect()
    return len(asyncio.all_tasks()), open_files(), threading.active_count()


async def leaves_nothing(number: int, tmp_path: Path) -> None:
    """Measures around them."""
    await many(16, tmp_path)  # what is loaded once, is loaded
    before = await settled()
    await many(number // 2, tmp_path)
    await settled()
    half = sys.getallocatedblocks()
    await many(number - number // 2, tmp_path)
    after = await settled()
    left = sys.getallocatedblocks() - half
    assert after == before
    assert left < LEFT, f"{left} blocks of memory are left"
    count("checks in one process", number)
    count(f"most blocks of memory left behind by half of them (bound: {LEFT:,})", max(left, 0))


async def test_many_checks_leave_nothing_behind(tmp_path: Path) -> None:
    await leaves_nothing(60, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_thousand_checks_leave_nothing_behind(tmp_path: Path) -> None:
    await leaves_nothing(1000, tmp_path)
