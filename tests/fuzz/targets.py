"""What is fuzzed: one function a parser. Each takes any bytes, and raises only when a promise is broken.

python targets.py NAME SECONDS      coverage-guided with atheris where that is installed, else with random changes
"""

from __future__ import annotations

import contextlib
import copy
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from mailwhy import explain
from mailwhy.batch import ListError, survey
from mailwhy.config import ConfigError, load
from mailwhy.knowledge import load as knowledge
from mailwhy.ledger.files import _parse
from mailwhy.mock.load import BadTenantError
from mailwhy.mock.load import read as read_tenant
from mailwhy.model import Fault, Protocol
from mailwhy.net import Failed
from mailwhy.probe import imap, pop, smtp
from mailwhy.redact import MASK, Redactor
from mailwhy.reply import decode, parse
from mailwhy.report import FORMATS, Options, render
from mailwhy.wire import Wire

SECRET, LOGIN = "qzvkxwjhbtrnmpdf", "user@contoso.test"
REDACTOR = Redactor(SECRET, LOGIN)
SLOW = 5.0  # seconds of the processor that nothing here may take for at most 64 KiB


def a_reply(data: bytes) -> None:
    """reply.parse: never raises, shows nothing that acts on a terminal."""
    lines = [decode(line) for line in data.split(b"\n")]
    for protocol in (None, *Protocol):
        found = parse(protocol, lines)
        text = found.text + (found.server or "") + "".join(found.lines)
        if any(char < " " and char != "\t" for char in text):
            raise AssertionError("a control character got through")


def a_redaction(data: bytes) -> None:
    """The redactor: keeps the number of lines, lets the secret through in no case."""
    lines = [decode(line) for line in data.split(b"\n")]
    shown = REDACTOR.lines(lines)
    if len(shown) != len(lines) or SECRET in "\n".join(shown).replace(MASK, "\0").lower():
        raise AssertionError("the secret got through")


class _Session:
    """What the dialogues' own parsers need of a session."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire


def an_answer(data: bytes) -> None:
    """The line splitter, and the readers of one answer of SMTP, IMAP and POP, however the bytes are cut."""
    for protocol, read in ((Protocol.SMTP, smtp._answer), (Protocol.IMAP, imap._answer), (Protocol.POP, pop._answer)):
        wire = Wire(protocol, REDACTOR)
        cut = data[0] + 1 if data else 1
        for at in range(0, len(data), cut * 16):
            wire.data_received(data[at : at + cut * 16])
        wire.connection_lost(None)
        arguments = (_Session(wire), "a1") if protocol is Protocol.IMAP else (_Session(wire),)
        reading = read(*arguments)
        try:
            reading.send(None)
        except StopIteration:
            pass
        except Failed as why:
            if why.fault not in (Fault.CLOSED, Fault.GARBLED, Fault.TOO_LONG, Fault.TLS_SPOKEN):
                raise
        else:
            raise AssertionError("it waits although the connection has ended")
        wire.leftovers(False)


def an_explanation(data: bytes) -> None:
    """explain, and every report of what it found."""
    outcome = explain(data, as_of="2026-11-22")
    for format_ in FORMATS:
        render(outcome, knowledge(), format_, Options(width=max(1, data[0] if data else 80)))


def a_record(data: bytes) -> None:
    """A JSON report of ours, damaged: as text, and in its structure."""
    an_explanation(b'{"schema": "mailwhy/1", ' + data)
    rng = random.Random(data)
    report = json.loads(REPORT)
    for _ in range(rng.randrange(1, 4)):
        _spoil(report, rng)
    an_explanation(json.dumps(report).encode())


REPORT = (Path(__file__).parents[1] / "snapshots/json/hostile.json").read_text(encoding="utf-8")
JUNK: list[object] = [None, "", "x", 3, -1, 1e308, True, [], {}, [[]], {"x": []}, "2026-13-45", "\ud800", 10**30]


def _spoil(report: object, rng: random.Random) -> None:
    """Puts junk in place of one value, somewhere."""
    at = report
    while isinstance(at, dict | list) and at:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = rng.choice(keys)
        value = at[key]
        if not isinstance(value, dict | list) or not value or rng.random() < 0.2:
            at[key] = copy.deepcopy(rng.choice(JUNK))
            return
        at = value


def a_ledger(data: bytes) -> None:
    """A file of the ledger."""
    _parse(data)


def a_config(data: bytes) -> None:
    """mailwhy.toml."""
    with _file("mailwhy.toml", data) as path, contextlib.suppress(ConfigError):
        load(path, None, ("check", "explain")).settings("check")


def a_tenant(data: bytes) -> None:
    """A tenant file of the look-alike."""
    with _file("tenant.toml", data) as path, contextlib.suppress(BadTenantError):
        read_tenant(path)


def a_list(data: bytes) -> None:
    """A list of mailboxes."""
    for name in ("list.csv", "list.jsonl"):
        with _file(name, data) as path, contextlib.suppress(ListError):
            survey(path)


@contextlib.contextmanager
def _file(name: str, data: bytes) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        yield path


TARGETS: dict[str, Callable[[bytes], None]] = {
    "reply": a_reply,
    "redactor": a_redaction,
    "wire": an_answer,
    "explain": an_explanation,
    "record": a_record,
    "ledger": a_ledger,
    "config": a_config,
    "tenant": a_tenant,
    "list": a_list,
}
WORDS = [
    *(
        b"535 5.7.139 Authentication unsuccessful",
        b"250-AUTH LOGIN",
        b"* OK [CAPABILITY",
        b"a1 NO LOGIN failed.",
        b"+OK",
    ),
    *(
        b"-ERR [SYS/TEMP]",
        b"{4294967296}",
        b"* x {3}\r\nabc",
        b"\r\n",
        b"\n",
        b"\0",
        b"\xff\xfe",
        b"\x1b[31m",
        b"\xe2\x80\xae",
    ),
    *(
        SECRET.encode(),
        SECRET.encode().hex().encode(),
        b"[[tenant]]\n",
        b"[check]\n",
        b"a = 1\n",
        b'"steps": [',
        b"}" * 9,
    ),
    *(
        b"address,password\n",
        b"[" * 2000,
        b'"',
        b"\\",
        b"2026-11-22T09:14:24Z",
        b"AADSTS50126",
        b"=3D=\n",
        b"99999999999999999",
    ),
    *(
        b'"as_of": "x", "diagnoses": [{"target": {}}]}',
        b'"as_of": 3, "diagnoses": [], "account": {}}',
        b'{"address": "a@b"}\n',
    ),
]


def seeds() -> list[bytes]:
    """Real transcripts and files to start from."""
    root = Path(__file__).parents[2]
    paths = [*sorted((root / "fixtures").rglob("*"))[:60], *sorted((root / "tests/snapshots/json").glob("*.json"))]
    return [path.read_bytes()[:4096] for path in paths if path.is_file()] + WORDS


def changed(rng: random.Random, corpus: list[bytes]) -> bytes:
    """One input: pieces of the corpus, cut, doubled and spoilt."""
    data = bytearray(rng.choice(corpus))
    for _ in range(rng.randrange(6)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0:
                data[at:at] = rng.choice(WORDS)
            case 1:
                del data[at : at + rng.randrange(1, 40)]
            case 2:
                data[at:at] = rng.randbytes(rng.randrange(1, 12))
            case 3:
                data[at:at] = data[at : at + 200] * rng.randrange(1, 8)
            case _:
                data[at:] = rng.choice(corpus)[rng.randrange(200) :]
    return bytes(data[:16384])


def run(name: str, seconds: float, seed: int = 0, most: int | None = None) -> int:
    """Fuzzes one target for so long, with `most` inputs at the most; how many they were.

    Raises what the target raises, with the input.
    """
    rng, corpus, count = random.Random(seed), seeds(), 0
    until = time.monotonic() + seconds
    while time.monotonic() < until and count != most:
        attempt(name, changed(rng, corpus))
        count += 1
    return count


def attempt(name: str, data: bytes) -> None:
    """One input; an AssertionError with the input where a promise is broken."""
    began = time.process_time()
    try:
        TARGETS[name](data)
    except Exception as why:
        raise AssertionError(f"{name}: {type(why).__name__}: {why}\ninput: {data!r}") from why
    if time.process_time() - began > SLOW:
        raise AssertionError(f"{name}: took {time.process_time() - began:.1f} s\ninput: {data!r}")


def main(name: str, seconds: float) -> None:
    """Coverage-guided where atheris is there."""
    seed = int(time.time())
    try:
        import atheris  # type: ignore[import-untyped]  # it has none, where it is there at all
    except ImportError:
        print(json.dumps({"target": name, "inputs": run(name, seconds, seed), "seed": seed, "how": "random changes"}))
        return
    atheris.instrument_all()
    atheris.Setup([name, f"-max_total_time={int(seconds)}", "-max_len=8192"], lambda data: attempt(name, data))
    atheris.Fuzz()


if __name__ == "__main__" and sys.argv[1:] == ["--list"]:
    print(*TARGETS)
elif __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
