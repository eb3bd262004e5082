"""Nothing that people or monitors do locks an account: the real command in loops, in parallel, killed, with a wrong
clock and a damaged ledger, against a server that refuses and counts how many passwords it was sent."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from talks import Server, serve
from torture.tool import TRACEBACK, Done, arun, start

from mailwhy.ledger import Ledger, SignIn
from mailwhy.ledger.files import since_start
from mailwhy.model import Judged, Protocol, Secret

NAME = "mail.lookalike.example"  # dialled on loopback, as a tunnel would be: not exempt
LOGIN = "user@lookalike.example"
BEFORE = "S: 220 mail ESMTP\nC: EHLO ...\nS: 250-mail\nS: 250 AUTH PLAIN\nC: AUTH PLAIN ...\n"
REFUSED = BEFORE + "S: 535 5.7.3 Authentication unsuccessful\nC: QUIT"
HANGS = BEFORE + "* gone"


def options(server: Server) -> tuple[str, ...]:
    """Towards the server under a name that is no loopback's."""
    return ("--server", f"smtp={NAME}:25/none", "--connect-to", f"{NAME}:25:127.0.0.1:{server.port}")


def sent(server: Server) -> int:
    """How many passwords have arrived."""
    return sum(line.startswith(b"AUTH ") for line in server.got)


@asynccontextmanager
async def refuses(script: str = REFUSED) -> AsyncIterator[Server]:
    """A server that counts what it is sent; several connections at once."""
    async with serve(script, strict=False) as server:
        yield server


async def check(server: Server, secret: str, *more: str) -> Done:
    """One run of the command."""
    done = await arun("check", LOGIN, *options(server), *more, env={"MAILWHY_PASSWORD": secret})
    assert TRACEBACK not in done.all
    assert secret not in done.all
    return done


async def test_a_monitor_that_repeats_a_check_sends_it_once() -> None:
    async with refuses() as server:
        ends = [(await check(server, "abcdefghijklmnop")) for _ in range(4)]
    # 535 5.7.3 does not say that the password was wrong: two an hour, then the remembered answer
    assert sent(server) == 2
    assert [done.status for done in ends] == [1, 1, 3, 3]
    assert "5.7.3 Authentication unsuccessful" in ends[-1].out


async def test_ten_different_passwords_make_two_sign_ins() -> None:
    async with refuses() as server:
        for number in range(5):
            await check(server, f"wrong-number-{number}")
    assert sent(server) == 2


async def test_parallel_runs_do_not_pass_each_other() -> None:
    async with refuses() as server:
        await asyncio.gather(*(check(server, f"wrong-number-{number}") for number in range(6)))
    assert sent(server) == 2


async def killed(server: Server, count: int, number: int) -> None:
    """Starts a check and ends it by this signal once its password has arrived."""
    child = await start("check", LOGIN, *options(server), env={"MAILWHY_PASSWORD": f"wrong-number-{count}"})
    while sent(server) <= count:
        assert child.returncode is None
        await asyncio.sleep(0.01)  # until the child has come so far
    child.send_signal(number)
    await asyncio.wait_for(child.communicate(), 20)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
async def test_runs_that_are_killed_while_they_wait_count(number: int) -> None:
    async with refuses(HANGS) as server:
        for count in range(2):
            await killed(server, count, number)
        assert (await check(server, "wrong-number-3")).status == 3
    assert sent(server) == 2


async def test_a_damaged_ledger_is_no_free_pass(own_home: Path) -> None:
    async with refuses() as server:
        await check(server, "wrong-number-0")
        books = list(own_home.rglob("ledger/*.json"))
        assert len(books) == 1
        for content in (b"{", b"", b"\x00" * 99, b"[" * 100_000, b'{"entries": 3}'):
            books[0].write_bytes(content)
            await check(server, "wrong-number-1")
    assert sent(server) <= 3


async def test_a_ledger_that_cannot_be_written_is_no_free_pass(own_home: Path) -> None:
    Path(own_home, ".local").write_text("in the way")
    async with refuses() as server:
        done = await check(server, "wrong-number-0", "--all")
        assert sent(server) == 0
        assert done.status == 3
        assert "MAILWHY_STATE_DIR" in done.out
        await check(server, "wrong-number-0", "--force")
        assert sent(server) == 1


JUMPS = [(30, -30), (-1, -3600, -86400), (0, 3000, 3500), (0, -(10**9)), (0, 3600, 86400), (0, -7200, 60, 3599)]


@pytest.mark.parametrize("jumps", JUMPS)
def test_clock_jumps_are_no_free_pass(jumps: Sequence[int], tmp_path: Path) -> None:
    """Backwards by anything, and, where the machine knows since when it runs, forwards as well."""
    if max(jumps) >= 3600 and not since_start().start:
        pytest.skip("this system does not tell how long it has been running")
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    passed = 0
    for number in range(9):
        now = noon + timedelta(seconds=jumps[min(number // 2, len(jumps) - 1)])
        what = SignIn(LOGIN, NAME, Protocol.SMTP, Secret(f"wrong-{number}"), address="127.0.0.1")
        ledger = Ledger(tmp_path)
        if ledger.held_back(what, now) is None:
            passed += 1
            ledger.note(what, Judged.UNKNOWN, now)
    assert passed == 2
