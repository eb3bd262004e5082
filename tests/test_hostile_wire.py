"""Misbehaviour at each point of each protocol: an exact fault at the right stage, within the limit, no secret shown."""

from __future__ import annotations

import json
import time

import pytest
from talks import LOGIN, SECRET, credential, serve, way

from mailwhy.model import Fault, Protocol, Stage, Tls
from mailwhy.net import Timeouts
from mailwhy.plain import to_plain
from mailwhy.probe import probe

WAITS = Timeouts(connect=10, reply=1, auth=1)  # long enough for a machine that is busy with other tests
TALKS: dict[Protocol, list[str]] = {  # up to the greeting, the capabilities, the sign-in
    Protocol.SMTP: ["", "S: 220 mail.test ESMTP\nC: EHLO ...\n", "S: 250-mail.test\nS: 250 AUTH PLAIN\nC: AUTH ...\n"],
    Protocol.IMAP: ["", "S: * OK hello\nC: a1 ...\n", "S: * CAPABILITY IMAP4rev1\nS: a1 OK\nC: a2 LOGIN ...\n"],
    Protocol.POP: ["", "S: +OK hello\nC: CAPA\n", "S: -ERR no\nC: USER ...\nS: +OK\nC: PASS ...\n"],
}
STAGES = [Stage.GREETING, Stage.CAPABILITIES, Stage.AUTH]
FAULTS: dict[str, tuple[str, set[Fault]]] = {
    "silent": ("* gone", {Fault.TIMEOUT}),
    "closes": ("* close", {Fault.CLOSED}),
    "resets": ("* reset", {Fault.RESET}),
    "half a line": ("R: b'2'\n* gone", {Fault.TIMEOUT}),
    "half a line, then closes": ("R: b'2'\n* close", {Fault.CLOSED}),
    "endless line": ("R: b'x' b'xxxxxxxxxxxxxxxx'\n" * 600 + "* gone", {Fault.TOO_LONG}),
    "garbage": ("R: b'\\xff\\xfe\\x00\\x1b[31m\\n'\n* gone", {Fault.GARBLED}),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("tls", [Tls.NONE, Tls.IMPLICIT])
async def test_misbehaviour_is_exact(protocol: Protocol, stage: Stage, fault: str, tls: Tls) -> None:
    act, expected = FAULTS[fault]
    script = "".join(TALKS[protocol][: STAGES.index(stage) + 1]) + act
    began = time.monotonic()
    async with serve(script, implicit=tls is Tls.IMPLICIT, strict=False) as server:
        limits = WAITS if expected == {Fault.TIMEOUT} else Timeouts.all(10)
        attempt = await probe(server.target(protocol, tls), credential(), way(timeouts=limits))
    step = attempt.steps[-1]
    assert step.stage is stage
    assert step.fault in expected
    assert time.monotonic() - began < 9
    text = json.dumps(to_plain(attempt))
    assert SECRET not in text
    if fault.startswith("half"):
        assert step.seen["partial"].endswith("2")


@pytest.mark.parametrize("form", [SECRET, SECRET.upper(), SECRET.encode().hex(), f"LOGIN {LOGIN} {SECRET}"])
async def test_an_echoed_secret_is_masked(form: str) -> None:
    script = (
        TALKS[Protocol.SMTP][1]
        + TALKS[Protocol.SMTP][2]
        + f"S: 535-you said {form}\nS: 535 {form}\nS: 421 {form}\n* close"
    )
    async with serve(script, strict=False) as server:
        attempt = await probe(server.target(Protocol.SMTP), credential(), way())
    text = json.dumps(to_plain(attempt)).casefold()
    assert SECRET not in text
    assert SECRET.encode().hex() not in text
    assert "***" in text
