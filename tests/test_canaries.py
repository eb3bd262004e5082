"""No secret in anything that is written anywhere: streams, files, names, logs, warnings, tracebacks, children."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torture.canary import CANARIES, LOGIN, leaks, leaks_in_files
from torture.mean import mean_servers
from torture.tool import TRACEBACK, Done, arun, run

from mailwhy.ledger import SignIn
from mailwhy.model import Account, Credential, Kind, Protocol, Secret, Target, Tls, to_plain
from mailwhy.net import Recorder, Way
from mailwhy.probe.session import Session
from mailwhy.redact import Redactor
from mailwhy.report import FORMATS
from mailwhy.run import Check
from mailwhy.secrets import Environment, Taken
from mailwhy.wire import Wire

GUARD = Path(__file__).parent / "guard" / "sitecustomize.py"
LOUD = "import logging, warnings\nlogging.basicConfig(level=logging.DEBUG)\nwarnings.simplefilter('always')\n"
DEBUG = {"PYTHONASYNCIODEBUG": "1", "PYTHONWARNINGS": "always"}
each_secret = pytest.mark.parametrize("secret", CANARIES.values(), ids=CANARIES.keys())


def loud(folder: Path, code: str = "") -> dict[str, str]:
    """An environment in which a child logs all there is, and runs `code` first."""
    folder.mkdir(exist_ok=True)
    Path(folder, "sitecustomize.py").write_text(GUARD.read_text() + LOUD + code, encoding="utf-8")
    return {**DEBUG, "PYTHONPATH": str(folder)}


def clean(done: Done, secret: str) -> None:
    """Neither stream holds the secret."""
    assert leaks(done.all.encode("utf-8", "surrogateescape"), secret) == []


def every_output(folder: Path) -> list[str]:
    """--output once for each format."""
    return [f"--output={name}={folder / ('report.' + name)}" for name in FORMATS]


def test_the_search_finds_what_it_is_to_find() -> None:
    from torture.canary import forms

    for secret in CANARIES.values():
        for name, form in forms(secret):
            assert name in leaks(b"535 x" + form + b"y", secret)
            if len(form) > 12 and b"\0" not in form:
                assert name in leaks(b"535-" + form[:7] + b"\r\n535-" + form[7:], secret)
    assert leaks(b"535 5.7.139 Authentication unsuccessful", CANARIES["app password"]) == []


@each_secret
@pytest.mark.parametrize(
    "when", ["auth", "halves", *(pytest.param(when, marks=pytest.mark.long) for when in ("greeting", "capabilities"))]
)
async def test_a_server_that_echoes_the_secret(secret: str, when: str, own_home: Path, tmp_path: Path) -> None:
    """Every format and the most talkative of everything at once, with each form said by each protocol's server."""
    reports = tmp_path / "reports"
    reports.mkdir()
    async with mean_servers(secret, when) as servers:
        options = [f"--server={mean.option}" for mean in servers]
        env = {**loud(tmp_path / "loud"), "MAILWHY_PASSWORD": secret}
        done = await arun(
            "check", LOGIN, "--all", "-vv", *options, *every_output(reports), env=env, flags=["-X", "dev"]
        )
    assert done.status in (1, 3), done.err
    assert TRACEBACK not in done.err
    assert len(list(reports.iterdir())) == len(FORMATS)
    clean(done, secret)
    assert leaks_in_files(own_home, secret) == []
    assert leaks_in_files(reports, secret) == []
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in reports.iterdir())
    if when == "auth":
        words = (b"PASS", b"LOGIN", b"AUTH")
        assert all(any(word in line for line in mean.got for word in words) for mean in servers)


@pytest.mark.parametrize("when", ["auth", "capabilities"])
async def test_a_server_that_echoes_a_token(when: str, own_home: Path, tmp_path: Path) -> None:
    token = "eyJ0eXAiOiJKV1Qi." + "".join(chr(97 + n * n % 23) + chr(65 + n % 26) for n in range(500)) + ".sig-QZ"
    async with mean_servers(token, when) as servers:
        options = [f"--server={mean.option}" for mean in servers]
        env = {**loud(tmp_path / "loud"), "MAILWHY_TOKEN": token}
        more = ("--credential", "oauth", "--all", "-vv", "--format", "json")
        done = await arun("check", LOGIN, *more, *options, env=env, flags=["-X", "dev"])
    assert done.status in (1, 3), done.err
    clean(done, token)
    assert leaks_in_files(own_home, token) == []


SPY = """
import os, sys
with open(sys.argv[1], "wb") as out:
    for pid in ("self", str(os.getppid())):
        for name in ("cmdline", "environ")[: 2 if pid == "self" else 1]:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                out.write(file.read())
sys.stdout.buffer.write(open(sys.argv[2], "rb").read())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@each_secret
def test_a_child_sees_no_secret_of_ours(secret: str, own_home: Path, tmp_path: Path) -> None:
    spy, seen, given = tmp_path / "spy.py", tmp_path / "seen", tmp_path / "given"
    spy.write_text(SPY)
    given.write_text(secret, encoding="utf-8")
    env = {**loud(tmp_path / "loud"), "MAILWHY_TOKEN": secret}  # must be gone before the command starts
    words = f"'{sys.executable}' '{spy}' '{seen}' '{given}'"
    server = "--server=smtp=127.0.0.1:1/none"
    done = run("check", LOGIN, server, "--password-command", words, env=env, flags=["-X", "dev"])
    assert done.status == 3, done.err
    assert b"mailwhy" in seen.read_bytes()
    assert leaks(seen.read_bytes(), secret) == []
    clean(done, secret)
    assert leaks_in_files(own_home, secret) == []


@each_secret
@pytest.mark.parametrize("source", ["stdin", "file"])
def test_other_sources_and_their_errors(secret: str, source: str, own_home: Path, tmp_path: Path) -> None:
    file = tmp_path / "given"
    file.write_bytes(b"\xef\xbb\xbf" + secret.encode() + b" \r\n\r\n")
    file.chmod(0o644)
    option = ["--password-stdin"] if source == "stdin" else ["--password-file", str(file)]
    arguments = ("check", LOGIN, "--server=pop=127.0.0.1:1/none", *option)
    done = run(*arguments, data=file.read_bytes(), env=loud(tmp_path / "loud"), flags=["-X", "dev"])
    assert done.status == 3, done.err
    assert "line end" in done.err
    clean(done, secret)
    assert leaks_in_files(own_home, secret) == []


BOOM: dict[str, str] = {  # where a mistake of ours may sit: with the secret in the hands of the function that fails
    "while it signs in": "import mailwhy.probe.smtp as m\nasync def f(*a, **k): raise RuntimeError('boom')\nm._sign_in = f\n",
    "in the redactor": "import mailwhy.redact as m\ndef f(*a, **k): raise RuntimeError('boom')\nm.Redactor.lines = f\n",
    "while the secret is made ready": "import mailwhy.secrets as m\ndef f(*a, **k): raise RuntimeError('boom')\nm.shape = f\n",
    "in the ledger": "import mailwhy.ledger.rule as m\ndef f(*a, **k): raise RuntimeError('boom')\nm.SignIn.exempt = property(f)\n",
    "in the report": "import mailwhy.diagnose as m\ndef f(*a, **k): raise RuntimeError('boom')\nm.outcome = f\n",
}


@pytest.mark.parametrize("place", BOOM)
async def test_a_mistake_of_ours_shows_no_secret(place: str, own_home: Path, tmp_path: Path) -> None:
    secret = CANARIES["quotes and backslashes"]
    async with mean_servers(secret, "auth") as servers:
        env = {**loud(tmp_path / "loud", BOOM[place]), "MAILWHY_PASSWORD": secret}
        done = await arun("check", LOGIN, f"--server={servers[0].option}", "-vv", env=env, flags=["-X", "dev"])
    assert done.status == 3
    assert "boom" in done.err
    clean(done, secret)
    assert leaks_in_files(own_home, secret) == []


QUIET = [
    ("config", "show", "--all"),
    ("config", "show", "--format", "json"),
    ("causes", "--format", "json"),
    ("mock", "--list"),
    ("ledger", "--format", "json"),
    ("explain", "535 5.7.3 Authentication unsuccessful", "-vv"),
    ("check", LOGIN, "--server", "bad"),
    ("check", LOGIN, "--cloud", "none"),
    ("check", "--help"),
    ("demo", "-q"),
]


@pytest.mark.parametrize("arguments", QUIET, ids=" ".join)
def test_commands_that_need_no_secret_show_none(arguments: tuple[str, ...], own_home: Path, tmp_path: Path) -> None:
    secret = CANARIES["app password"]
    env = {**loud(tmp_path / "loud"), "MAILWHY_PASSWORD": secret, "MAILWHY_TOKEN": secret}
    done = run(*arguments, env=env, flags=["-X", "dev"])
    assert done.status in (0, 2), done.err
    clean(done, secret)
    assert leaks_in_files(own_home, secret) == []


async def test_a_list_with_passwords_in_it(own_home: Path, tmp_path: Path) -> None:
    secret = CANARIES["blanks"]
    listed = tmp_path / "list.csv"
    listed.write_text(f"address,password\n{LOGIN},{secret}\n")
    listed.chmod(0o600)
    async with mean_servers(secret, "auth") as servers:
        options = [f"--server={mean.option}" for mean in servers]
        more = ("--format", "json", "--remediation", str(tmp_path / "mend.ps1"))
        done = await arun("batch", str(listed), *options, *more, env=loud(tmp_path / "loud"), flags=["-X", "dev"])
    assert done.status in (1, 3), done.err
    clean(done, secret)
    assert leaks_in_files(own_home, secret) == []
    assert leaks_in_files(tmp_path, secret, frozenset({"list.csv"})) == []


async def test_the_keys_of_a_session_are_not_written_down(tmp_path: Path) -> None:
    """SSLKEYLOGFILE would hand the password to whoever records the connection."""
    from talks import ca_file, serve

    log = tmp_path / "keys"
    async with serve(
        "S: 220 mail\nC: EHLO ...\nS: 250 AUTH PLAIN\nC: AUTH ...\nS: 535 no", implicit=True, strict=False
    ) as server:
        options = (f"--server=smtp=localhost:{server.port}/implicit", "--ca-file", ca_file())
        env = {"SSLKEYLOGFILE": str(log), "MAILWHY_PASSWORD": CANARIES["app password"]}
        done = await arun("check", LOGIN, *options, env=env)
    assert done.status == 1, done.err
    assert not log.exists() or b"SECRET" not in log.read_bytes()


SECRET = CANARIES["app password"]
CREDENTIAL = Credential(Account(LOGIN, LOGIN, LOGIN), Kind.PASSWORD, Secret(SECRET))
WHERE = Target(Protocol.SMTP, "localhost", 25, Tls.NONE)


def _environment() -> Environment:
    os.environ["MAILWHY_PASSWORD"] = SECRET
    found = Environment()
    found.claim("MAILWHY_PASSWORD")
    return found


MADE: dict[str, Callable[[], Any]] = {
    "Secret": lambda: Secret(SECRET),
    "Credential": lambda: CREDENTIAL,
    "Taken": lambda: Taken(Secret(SECRET), "x"),
    "SignIn": lambda: SignIn(LOGIN, "h", Protocol.SMTP, Secret(SECRET)),
    "Redactor": lambda: Redactor(SECRET, LOGIN),
    "Wire": lambda: Wire(Protocol.SMTP, Redactor(SECRET, LOGIN)),
    "Session": lambda: Session(WHERE, CREDENTIAL, Way(), Recorder(WHERE), None),
    "Check": lambda: Check(CREDENTIAL.account, CREDENTIAL.secret),
    "Environment": _environment,
}
WAYS: dict[str, Callable[[Any], Any]] = {
    "repr": repr,
    "str": str,
    "format": lambda it: f"{it:>40}" if isinstance(it, Secret) else f"{it}",
    "percent": lambda it: "%s %r" % (it, it),  # noqa: UP031 - the old way is tried too
    "vars": lambda it: repr(getattr(it, "__dict__", {})),
    "asdict": lambda it: repr(dataclasses.asdict(it)),
    "pickle": pickle.dumps,
    "pickle 0": lambda it: pickle.dumps(it, 0),
    "copy": lambda it: repr(copy.deepcopy(it)),
    "state": lambda it: repr(it.__getstate__()),
    "json": lambda it: json.dumps(it, default=str),
    "to_plain": lambda it: repr(to_plain(it)),
    "dir": dir,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MADE)
def test_no_object_shows_it(name: str, way: str) -> None:
    try:
        said = WAYS[way](MADE[name]())
    except Exception as why:  # a refusal is fine, as long as it does not quote
        said = repr(why)
    finally:
        os.environ.pop("MAILWHY_PASSWORD", None)
    assert leaks(said if isinstance(said, bytes) else str(said).encode(), SECRET) == []
