"""Every misbehaviour of the matrix: an exact fault at the right stage, in time, in little memory, and nobody else harmed."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from talks import LOGIN, SECRET, Server, credential, serve, way
from torture.figures import count
from torture.matrix import FAST, SLOW, Cell, cells, dialogue, whole

from mailwhy.checking import Check
from mailwhy.model import Account, Attempt, Fault, Outcome, Protocol, Secret, Stage, Tls, Verdict
from mailwhy.net import trust
from mailwhy.probe import probe
from mailwhy.report import FORMATS, Options, render

SECONDS = 2.5  # each stage, where a fault ends by the limit
MANY = 12  # cells at once
MEMORY = 8 * 2**20  # bytes that a check of three flooding servers may take at its peak, beyond what it takes idle
SENT_BEFORE = {Stage.GREETING, Stage.TLS, Stage.CAPABILITIES}


async def attempt(cell: Cell, seconds: float) -> tuple[Attempt, Server]:
    """One probe of one cell."""
    async with serve(cell.script, implicit=cell.tls is Tls.IMPLICIT, strict=False) as server:
        return await probe(server.target(cell.protocol, cell.tls), credential(), way(seconds)), server


async def wrong(cell: Cell, seconds: float, room: asyncio.Semaphore) -> str:
    """What is wrong with how it ended, or ""."""
    async with room:
        began = time.monotonic()
        found, server = await attempt(cell, seconds)
        took = time.monotonic() - began
    step = found.steps[-1]
    if step.ok or step.stage is not cell.stage:
        return f"{cell}: ended at {step.stage} ({'ok' if step.ok else step.fault})"
    if step.fault not in cell.faults:
        return f"{cell}: {step.fault}, {step.reply and step.reply.lines}"
    if step.fault is None and step.reply is None:
        return f"{cell}: neither fault nor reply"
    if took > 20 + seconds:
        return f"{cell}: took {took:.1f} s"
    if cell.stage in SENT_BEFORE and _has_secret(server):
        return f"{cell}: the password was sent"
    return f"{cell}: the secret shows" if SECRET in repr(found) else ""


def _has_secret(server: Server) -> bool:
    return any(word in server.said for word in (SECRET.encode(), b"AUTH PLAIN", b"PASS ", b"LOGIN "))


async def all_wrong(which: Iterable[Cell], seconds: float) -> list[str]:
    """Runs them, MANY at once."""
    room = asyncio.Semaphore(MANY)
    chosen = list(which)
    found = await asyncio.gather(*(wrong(cell, seconds, room) for cell in chosen))
    count("misbehaviours survived (protocol x TLS x stage x fault)", len(chosen))
    return [said for said in found if said]


@pytest.mark.parametrize("name", FAST)
async def test_every_stage_protocol_and_tls_mode(name: str) -> None:
    assert await all_wrong(cells({name: FAST[name]}), 20) == []


@pytest.mark.parametrize("name", SLOW)
async def test_the_limit_holds_at_every_stage(name: str) -> None:
    chosen = list(cells({name: SLOW[name]}))
    assert await all_wrong(chosen[::3], SECONDS) == []


@pytest.mark.long
@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("part", [1, 2])
async def test_the_limit_holds_everywhere(name: str, part: int) -> None:
    chosen = list(cells({name: SLOW[name]}))
    assert await all_wrong(chosen[part::3], SECONDS) == []


@pytest.mark.parametrize("tls", Tls)
@pytest.mark.parametrize("protocol", Protocol)
async def test_a_good_server_passes_also_with_bare_line_feeds(protocol: Protocol, tls: Tls) -> None:
    bare = "".join(
        f"R: {(line[3:] + chr(10)).encode()!r}\n" if line.startswith("S: ") else line + "\n"
        for line in whole(protocol, tls).splitlines()
    )
    for script in (whole(protocol, tls), bare):
        async with serve(script, implicit=tls is Tls.IMPLICIT, strict=False) as server:
            found = await probe(server.target(protocol, tls), credential(), way(20))
        assert found.steps[-1].stage is Stage.USE
        assert found.steps[-1].ok


# --- answers that nobody asked for


@pytest.mark.parametrize("tls", Tls)
@pytest.mark.parametrize("protocol", Protocol)
async def test_a_yes_before_the_question_is_no_yes(protocol: Protocol, tls: Tls) -> None:
    turns = dialogue(protocol, tls)
    at = next(n for n, (stage, _, _) in enumerate(turns) if stage is Stage.AUTH)
    before = "".join(asked + answer for _, asked, answer in turns[:at])
    script = before + turns[at][2] + turns[at][1].replace("S: +OK\n", "") + "* gone\n"
    async with serve(script, implicit=tls is Tls.IMPLICIT, strict=False) as server:
        found = await probe(server.target(protocol, tls), credential(), way(SECONDS))
    assert (found.steps[-1].stage, found.steps[-1].fault) == (Stage.AUTH, Fault.TIMEOUT)
    assert any(step.seen.get("unasked") for step in found.steps)


STARTED = {
    Protocol.SMTP: "S: 220 go\nS: 250 fake\n",
    Protocol.IMAP: "S: a1 OK go\nS: * PREAUTH\n",
    Protocol.POP: "S: +OK\nS: +OK\n",
}


@pytest.mark.parametrize("protocol", Protocol)
async def test_clear_text_after_starttls_is_a_finding_and_ends_it(protocol: Protocol) -> None:
    before = "".join(asked + answer for _, asked, answer in dialogue(protocol, Tls.STARTTLS)[:2])
    question = dialogue(protocol, Tls.STARTTLS)[2][1]
    outcome, servers = await three(protocol, before + question + STARTED[protocol] + "* gone\n", tls=Tls.STARTTLS)
    found = next(d for d in outcome.diagnoses if d.attempt.target.protocol is protocol)
    assert found.attempt.steps[-1].fault is Fault.INJECTED
    assert found.findings, "nobody says what that means"
    assert any("network.tls_interception" in finding.cause for finding in found.findings)
    assert not _has_secret(servers[protocol])


@pytest.mark.parametrize("protocol", Protocol)
async def test_a_line_before_the_question_of_starttls_is_no_injection(protocol: Protocol) -> None:
    turns = dialogue(protocol, Tls.STARTTLS)
    stray = {Protocol.SMTP: "S: 250 stray\n", Protocol.IMAP: "S: * OK stray\n", Protocol.POP: "S: +OK stray\n"}[
        protocol
    ]
    script = "".join(asked + answer + (stray if number == 1 else "") for number, (_, asked, answer) in enumerate(turns))
    async with serve(script, strict=False) as server:
        found = await probe(server.target(protocol, Tls.STARTTLS), credential(), way(20))
    assert [step.fault for step in found.steps if step.fault] == []
    assert found.steps[-1].ok


@pytest.mark.parametrize("protocol", Protocol)
async def test_starttls_that_is_stripped_or_lied_about_never_falls_back(protocol: Protocol) -> None:
    clear = "".join(asked + answer for _, asked, answer in dialogue(protocol, Tls.NONE)[:2])
    async with serve(clear + "* gone\n", strict=False) as server:
        found = await probe(server.target(protocol, Tls.STARTTLS), credential(), way(20))
    assert (found.steps[-1].stage, found.steps[-1].fault) == (Stage.TLS, Fault.NOT_OFFERED)
    assert not _has_secret(server)


NO_AUTH = {
    Protocol.SMTP: ("S: 250 AUTH PLAIN\n", "S: 250 SIZE\n"),
    Protocol.IMAP: ("IMAP4rev1\n", "IMAP4rev1 LOGINDISABLED\n"),
    Protocol.POP: ("S: USER\n", "S: SASL GSSAPI\n"),
}


@pytest.mark.parametrize("protocol", Protocol)
async def test_auth_that_is_offered_in_clear_only_is_not_used(protocol: Protocol) -> None:
    turns = dialogue(protocol, Tls.STARTTLS)[:4]
    good, without = NO_AUTH[protocol]
    script = (
        "".join(asked + answer for _, asked, answer in turns[:3]) + turns[3][1] + turns[3][2].replace(good, without)
    )
    async with serve(script + "* gone\n", strict=False) as server:
        found = await probe(server.target(protocol, Tls.STARTTLS), credential(), way(20))
    assert (found.steps[-1].stage, found.steps[-1].fault) == (Stage.AUTH, Fault.NOT_OFFERED)
    assert not _has_secret(server)


# --- all three at once


@asynccontextmanager
async def servers_of(scripts: dict[Protocol, str], modes: dict[Protocol, Tls]) -> AsyncIterator[dict[Protocol, Server]]:
    """One server a protocol."""
    async with AsyncExitStack() as stack:
        yield {
            protocol: await stack.enter_async_context(
                serve(script, implicit=modes[protocol] is Tls.IMPLICIT, strict=False)
            )
            for protocol, script in scripts.items()
        }


async def three(
    bad: Protocol, script: str, tls: Tls = Tls.NONE, seconds: float = 20
) -> tuple[Outcome, dict[Protocol, Server]]:
    """A check of all three, one of them bad."""
    modes = {protocol: tls if protocol is bad else Tls.NONE for protocol in Protocol}
    scripts = {protocol: script if protocol is bad else whole(protocol, Tls.NONE) for protocol in Protocol}
    async with servers_of(scripts, modes) as servers:
        targets = [servers[protocol].target(protocol, modes[protocol]) for protocol in Protocol]
        run = Check(Account(LOGIN, LOGIN, LOGIN), Secret(SECRET), targets=targets, way=way(seconds), insist=True)
        await run.go()
    return run.outcome(), servers


@pytest.mark.parametrize("bad", Protocol)
@pytest.mark.parametrize("name", [*FAST, *SLOW])
async def test_the_others_are_not_harmed(name: str, bad: Protocol) -> None:
    table = {**FAST, **SLOW}
    if bad not in table[name].act:
        return
    mine = [cell for cell in cells({name: table[name]}) if cell.protocol is bad and cell.tls is Tls.NONE]
    cell = mine[len(name) % len(mine)]
    outcome, _ = await three(bad, cell.script, seconds=20 if name in FAST else SECONDS)
    for found in outcome.diagnoses:
        last = found.attempt.steps[-1]
        if found.attempt.target.protocol is bad:
            assert last.stage is cell.stage
            assert last.fault in cell.faults
        else:
            assert last.ok, f"{found.attempt.target.protocol} was harmed: {last}"
            assert found.verdict is not Verdict.UNREACHABLE
    for format_ in FORMATS:
        assert SECRET not in render(outcome, Check(Account("a"), None).knowledge, format_, Options(width=20))


async def test_memory_stays_bounded_with_three_floods_at_once() -> None:
    flood = "* flood " + repr(b"x" * 65536) + "\n"
    lines = {
        Protocol.SMTP: "* flood " + repr(b"250-" + b"y" * 300 + b"\r\n") + "\n",
        Protocol.IMAP: "* flood " + repr(b"* OK " + b"y" * 300 + b"\r\n") + "\n",
        Protocol.POP: "* flood " + repr(b"y" * 300 + b"\r\n") + "\n",
    }
    Check(Account("a"), None)  # the knowledge is loaded before the count begins
    trust(way().ca_file)
    for scripts in (dict.fromkeys(Protocol, flood), lines):
        for number in (1,):
            full = {
                p: "".join(q + a for _, q, a in dialogue(p, Tls.NONE)[:number]) + dialogue(p, Tls.NONE)[number][1]
                for p in Protocol
            }
            async with servers_of(
                {p: full[p] + scripts[p] for p in Protocol}, dict.fromkeys(Protocol, Tls.NONE)
            ) as servers:
                targets = [server.target(protocol) for protocol, server in servers.items()]
                run = Check(Account(LOGIN, LOGIN, LOGIN), Secret(SECRET), targets=targets, way=way(20), insist=True)
                gc.collect()
                tracemalloc.start()
                try:
                    await run.go()
                    peak = tracemalloc.get_traced_memory()[1]
                finally:
                    tracemalloc.stop()
            assert peak < MEMORY, f"{peak / 2**20:.1f} MiB"
            count("most bytes that a check of three flooding servers took (bound: 8 MiB)", peak)
            assert all(not recorder.attempt.steps[-1].ok for recorder in run.recorders)
