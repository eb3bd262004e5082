"""The matrix: a good dialogue of each protocol and TLS mode, cut off at any point, and what a bad server does there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mailwhy.model import Fault, Protocol, Stage, Tls

S, I, P = Protocol.SMTP, Protocol.IMAP, Protocol.POP  # noqa: E741 - as in a table
GREETING, CAPABILITIES, TLS, AUTH, USE = Stage.GREETING, Stage.CAPABILITIES, Stage.TLS, Stage.AUTH, Stage.USE
Turn = tuple[Stage, str, str]  # the stage, what the client asks, what a good server answers


def dialogue(protocol: Protocol, tls: Tls) -> list[Turn]:
    """The turns of a sign-in that works."""
    offers = tls is Tls.STARTTLS
    if protocol is S:
        hello = ("C: EHLO ...\n", "S: 250-mail.test\nS: 250 AUTH PLAIN\n")
        first = [(GREETING, "", "S: 220 mail.test ESMTP\n")]
        clear = (CAPABILITIES, hello[0], "S: 250-mail.test\nS: 250-STARTTLS\nS: 250 AUTH PLAIN\n")
        start = (TLS, "C: STARTTLS\n", "S: 220 go\n* tls\n")
        last = [(AUTH, "C: AUTH PLAIN ...\n", "S: 235 ok\n"), (USE, "C: MAIL FROM...\n", "S: 250 ok\n")]
    elif protocol is I:
        hello = ("C: a1 CAPABILITY\n", "S: * CAPABILITY IMAP4rev1\nS: a1 OK\n")
        first = [(GREETING, "", "S: * OK hello\n")]
        clear = (CAPABILITIES, hello[0], "S: * CAPABILITY IMAP4rev1 STARTTLS\nS: a1 OK\n")
        start = (TLS, "C: a1 STARTTLS\n", "S: a1 OK go\n* tls\n")
        last = [(AUTH, "C: a2 LOGIN ...\n", "S: a2 OK\n"), (USE, "C: a3 EXAMINE INBOX\n", "S: a3 OK\n")]
    else:
        hello = ("C: CAPA\n", "S: +OK\nS: USER\nS: .\n")
        first = [(GREETING, "", "S: +OK hello\n")]
        clear = (CAPABILITIES, hello[0], "S: +OK\nS: STLS\nS: USER\nS: .\n")
        start = (TLS, "C: STLS\n", "S: +OK go\n* tls\n")
        last = [(AUTH, "C: USER ...\nS: +OK\nC: PASS ...\n", "S: +OK\n"), (USE, "C: STAT\n", "S: +OK 0 0\n")]
    middle = [clear, start, (CAPABILITIES, *hello)] if offers else [(CAPABILITIES, *hello)]
    return [*first, *middle, *last]


def whole(protocol: Protocol, tls: Tls) -> str:
    """The script of a server that lets in."""
    return "".join(asked + answer for _, asked, answer in dialogue(protocol, tls))


@dataclass(frozen=True, slots=True)
class Cell:
    """One misbehaviour at one point: the script, and how the attempt must end."""

    name: str
    protocol: Protocol
    tls: Tls
    stage: Stage
    script: str
    faults: frozenset[Fault | None]

    def __str__(self) -> str:
        return f"{self.protocol} {self.tls} {self.stage}: {self.name}"


@dataclass(frozen=True, slots=True)
class Bad:
    """What a server does in place of its answer. None among the faults: a reply that says no is as good."""

    act: dict[Protocol, str]
    faults: frozenset[Fault | None]
    stages: tuple[Stage, ...] = tuple(Stage)
    modes: tuple[Tls, ...] = tuple(Tls)


def _all(act: str, *faults: Fault | None, stages: tuple[Stage, ...] = tuple(Stage)) -> Bad:
    return Bad(dict.fromkeys(Protocol, act), frozenset(faults), stages)


def _each(smtp: str, imap: str, pop: str, *faults: Fault | None, stages: tuple[Stage, ...] = tuple(Stage)) -> Bad:
    acts = {protocol: act for protocol, act in ((S, smtp), (I, imap), (P, pop)) if act}
    return Bad(acts, frozenset(faults), stages)


SLOW: dict[str, Bad] = {  # these end by the time limit
    "no answer": _all("* gone\n", Fault.TIMEOUT),
    "half a line": _each("R: b'2'\n* gone\n", "R: b'*'\n* gone\n", "R: b'+'\n* gone\n", Fault.TIMEOUT),
    "one byte at a time": _all("* drip b'2'\n", Fault.TIMEOUT),
    "an answer without end, slowly": _each("* drip b'250-x\\r\\n'\n", "* drip b'* OK x\\r\\n'\n", "", Fault.TIMEOUT,
                                           stages=(CAPABILITIES, AUTH, USE)),
}  # fmt: skip
FAST: dict[str, Bad] = {
    "closes": _all("* close\n", Fault.CLOSED),
    "resets": _all("* reset\n", Fault.RESET, Fault.CLOSED),
    "half a line, then closes": _all("R: b'2'\n* close\n", Fault.CLOSED),
    "a line without end": _all("* flood b'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'\n", Fault.TOO_LONG),
    "lines without end": _each(
        "* flood b'250-x\\r\\n250-x\\r\\n250-x\\r\\n250-x\\r\\n250-x\\r\\n250-x\\r\\n250-x\\r\\n'\n",
        "* flood b'* OK x\\r\\n* OK x\\r\\n* OK x\\r\\n* OK x\\r\\n* OK x\\r\\n* OK x\\r\\n'\n",
        "* flood b'+OK\\r\\n+OK\\r\\n+OK\\r\\n+OK\\r\\n+OK\\r\\n+OK\\r\\n+OK\\r\\n+OK\\r\\n'\n",
        Fault.TOO_LONG, stages=(CAPABILITIES,)),
    "garbage": _all("R: b'\\xff\\xfe\\x00\\x1b[31m\\xe2\\x80\\xae\\n'\n* gone\n", Fault.GARBLED),
    "NUL": _all("R: b'\\x00\\r\\n'\n* gone\n", Fault.GARBLED),
    "an empty line": _all("S: \n* gone\n", Fault.GARBLED),
    "a huge number": _all("S: 99999999999999999999999999 x\n* gone\n", Fault.GARBLED),
    "another protocol": _each("S: +OK\n* gone\n", "S: 250 ok\n* gone\n", "S: * OK\n* gone\n", Fault.GARBLED),
    "a wrong code": _each("S: 354 go\n* gone\n", "", "", None, Fault.GARBLED),
    "a refusal": _each("S: 454 4.7.0 no\n* gone\n", "S: * BYE no\n* close\n", "S: -ERR no\n* gone\n", None, Fault.CLOSED,
                       stages=(GREETING, TLS, AUTH, USE)),
    "421 and closes": _each("S: 421 4.3.2 closing\n* close\n", "S: * BYE closing\n* close\n", "S: -ERR [SYS/TEMP] x\n* close\n",
                            None, Fault.CLOSED, Fault.RESET, stages=(GREETING, TLS, AUTH, USE)),
    "a literal of 4 GB": _each("", "S: * x {4294967296}\n* gone\n", "", Fault.TOO_LONG, stages=(CAPABILITIES, AUTH, USE)),
    "a literal of more digits than memory": _each("", "S: * x {" + "9" * 5000 + "}\n* gone\n", "", Fault.TOO_LONG,
                                                  stages=(CAPABILITIES, AUTH, USE)),
}  # fmt: skip


def cells(table: dict[str, Bad]) -> Iterator[Cell]:
    """Every misbehaviour at every point of every protocol and TLS mode."""
    for name, bad in table.items():
        for protocol, act in bad.act.items():
            for tls in Tls:
                turns = dialogue(protocol, tls)
                for number, (stage, asked, _) in enumerate(turns):
                    if stage in bad.stages:
                        before = "".join(question + answer for _, question, answer in turns[:number])
                        yield Cell(name, protocol, tls, stage, before + asked + act, bad.faults)
