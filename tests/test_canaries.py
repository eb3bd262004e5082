"""No secret in anything that is written anywhere: streams, files, names, logs, warnings, tracebacks, children."""

from __future__ import annotations

import asyncio
import base64
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
from torture.tool import SECONDS, TRACEBACK, Done, arun, run, start

from mailwhy.checking import Check
from mailwhy.ledger import SignIn
from mailwhy.model import Account, Credential, Kind, Protocol, Secret, Target, Tls
from mailwhy.net import Recorder, Way
from mailwhy.plain import to_plain
from mailwhy.probe.session import Session
from mailwhy.redact import Redactor
from mailwhy.report import FORMATS
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


@pytest.mark.parametrize("more", [("--send-to",), ("--until-pass", "--every", "30s", "--max", "30s")], ids=" ".join)
async def test_what_is_asked_for_after_the_sign_in(more: tuple[str, ...], own_home: Path, tmp_path: Path) -> None:
    secret = CANARIES["app password"]
    async with mean_servers(secret, "auth") as servers:
        options = [f"--server={mean.option}" for mean in servers]
        env = {**loud(tmp_path / "loud"), "MAILWHY_PASSWORD": secret}
        done = await arun("check", LOGIN, "-vv", *more, *options, env=env, flags=["-X", "dev"])
        assert any(b"AUTH" in line for line in servers[0].got)
    assert done.status in (1, 3), done.err
    clean(done, secret)
    assert leaks_in_files(own_home, secret) == []


SAID_BY_APPS: dict[Protocol, list[list[str]]] = {  # lines of the app, each answered before the next
    Protocol.SMTP: [["EHLO app.test", "AUTH PLAIN {plain}"], ["EHLO app.test", "AUTH LOGIN {login}", "{secret}"]],
    Protocol.IMAP: [["a1 CAPABILITY", 'a2 LOGIN canary@contoso.test "{quoted}"'], ["a2 AUTHENTICATE PLAIN {plain}"]],
    Protocol.POP: [["CAPA", "USER canary@contoso.test", "PASS {raw}"], ["AUTH PLAIN {plain}"]],
}


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize(
    "secret",
    [pytest.param(s, marks=() if n < 2 else pytest.mark.long, id=i) for n, (i, s) in enumerate(CANARIES.items())],
)
async def test_an_app_behind_the_relay(secret: str, protocol: Protocol, own_home: Path, tmp_path: Path) -> None:
    """What the app says, and what the server makes of it, on the screen and in --record."""
    if protocol is not Protocol.SMTP and not secret.isascii():
        pytest.skip("an app has no way to say it in a command")
    plain = base64.b64encode(f"\0{LOGIN}\0{secret}".encode()).decode()
    words = {
        "plain": plain,
        "login": base64.b64encode(LOGIN.encode()).decode(),
        "secret": base64.b64encode(secret.encode()).decode(),
        "quoted": secret.replace("\\", "\\\\").replace('"', '\\"'),
        "raw": secret,
    }
    for number, dialogue in enumerate(SAID_BY_APPS[protocol]):
        records, ready = tmp_path / f"records{number}", tmp_path / f"ready{number}.json"
        records.mkdir()
        async with mean_servers(secret, "auth") as servers:
            to = next(mean for mean in servers if mean.protocol is protocol)
            options = ("--to", to.option, "--app-tls", "none", "--once", "-vv", "--record", str(records))
            env = loud(tmp_path / "loud")
            child = await start("relay", *options, "--ready-file", str(ready), env=env, flags=["-X", "dev"])
            try:
                async with asyncio.timeout(SECONDS):
                    while not ready.exists() and child.returncode is None:
                        await asyncio.sleep(0.02)  # polling, not hoping: the file is how the command tells
                    reader, writer = await asyncio.open_connection("127.0.0.1", json.loads(ready.read_text())["port"])
                    await reader.readline()
                    for line in dialogue:
                        writer.write(line.format(**words).encode() + b"\r\n")
                        await reader.read(1)  # there is an answer; the rest of it may wait
                    await reader.read(4096)
                    writer.close()
                    out, err = await child.communicate()
            finally:
                if child.returncode is None:
                    child.kill()
                    await child.wait()
        done = Done(child.returncode or 0, out.decode(), err.decode())
        assert done.status in (1, 3), done.all
        assert leaks(b"".join(to.got), secret)  # it did come by
        assert list(records.iterdir())
        clean(done, secret)
        assert leaks_in_files(records, secret) == []
        assert leaks_in_files(own_home, secret) == []


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
    ("paths", "--server", "smtp=127.0.0.1:1/none"),
    ("discover", "contoso.test", "--resolver", "127.0.0.1:1", "--timeout", "0.1"),
]


@pytest.mark.parametrize("arguments", QUIET, ids=" ".join)
def test_commands_that_need_no_secret_show_none(arguments: tuple[str, ...], own_home: Path, tmp_path: Path) -> None:
    secret = CANARIES["app password"]
    env = {**loud(tmp_path / "loud"), "MAILWHY_PASSWORD": secret, "MAILWHY_TOKEN": secret}
    done = run(*arguments, env=env, flags=["-X", "dev"])
    assert done.status in (0, 2) or arguments[0] in ("paths", "discover"), done.err
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
