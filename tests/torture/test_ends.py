"""Whatever ends a command (a signal, a reader that has gone, a full disk, a mistake of ours): no traceback of what is
nobody's mistake, no exit code that says something untrue, no secret."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from talks import SECRET, ca_file, serve
from torture.tool import TRACEBACK, arun, environment, run, start

from mailwhy.model import Tls

REPLY = "535 5.7.3 Authentication unsuccessful [AM5PR06.x.y 08DD32D465DA2413]"
EXPLAIN = ("explain", REPLY)
REAL = "/dev/full"
unix = pytest.mark.skipif(not Path(REAL).exists(), reason="needs /dev/full")


def trips(folder: Path, code: str) -> dict[str, str]:
    """An environment in which a child runs this code before anything of ours is imported (besides the tests' guard)."""
    folder.mkdir()
    Path(folder, "sitecustomize.py").write_text(
        "import runpy, os, sys\n"
        + "".join(f"exec(open({str(p)!r}).read())\n" for p in [Path(__file__).parents[1] / "guard/sitecustomize.py"])
        + code
    )
    return {"PYTHONPATH": os.pathsep.join((str(folder), os.environ["PYTHONPATH"]))}


@pytest.mark.parametrize("name", ["check", "batch", "rehearse"])
def test_a_password_given_as_an_argument_is_refused_and_not_repeated(name: str, tmp_path: Path) -> None:
    listed = tmp_path / "list.csv"
    listed.write_text("address\n")
    before = {"check": ["u@contoso.test"], "batch": [str(listed)], "rehearse": ["aiosmtplib", "u@contoso.test"]}
    done = run(name, *before[name], "hunter2hunter2")
    assert done.status == 2
    assert "hunter2" not in done.all
    assert "never an argument" in " ".join(done.err.split())


@unix
@pytest.mark.parametrize(
    "arguments", [("causes",), EXPLAIN, ("ledger",), ("config", "show", "--all"), ("mock", "--list"), ("--help",)]
)
def test_a_full_disk_is_said_and_is_no_verdict(arguments: tuple[str, ...]) -> None:
    with Path(REAL).open("wb") as full:
        done = run(*arguments, stdout=full)
    assert done.status == 3
    assert TRACEBACK not in done.err
    assert "No space left" in done.err


@unix
def test_a_full_disk_on_both_streams_is_no_verdict() -> None:
    with Path(REAL).open("wb") as full:
        assert run(*EXPLAIN, stdout=full, stderr=full).status == 3


@pytest.mark.parametrize("closed", [1, 2])
@pytest.mark.parametrize("what", ["explain", "check"])
def test_a_stream_that_was_closed_from_the_start(closed: int, what: str) -> None:
    arguments = EXPLAIN if what == "explain" else ("check", "u@contoso.test", "--server", "smtp=127.0.0.1:1/none")
    line = f'exec "$0" "$@" {closed}>&-'
    child = ["sh", "-c", line, sys.executable, "-m", "mailwhy", *arguments]
    env = environment(MAILWHY_PASSWORD=SECRET)
    done = subprocess.run(child, env=env, capture_output=True, timeout=45, check=False)
    assert done.returncode == (0 if what == "explain" else 3), done.stderr
    assert TRACEBACK.encode() not in done.stderr + done.stdout


@pytest.mark.parametrize("arguments", [("causes",), ("explain", REPLY, "-vv"), ("config", "show", "--all")])
def test_a_reader_that_goes_away_ends_it_quietly(arguments: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = run(*arguments, stdout=write)
    finally:
        os.close(write)
    assert (done.status, done.err) == (0, "")


def test_a_mistake_of_ours_is_no_verdict(tmp_path: Path) -> None:
    env = trips(
        tmp_path / "x", "import mailwhy.knowledge as k\ndef load(): raise RuntimeError('ours')\nk.load = load\n"
    )
    done = run(*EXPLAIN, env=env)
    assert done.status == 3
    assert "RuntimeError: ours" in done.err
    assert "mistake in mailwhy" in done.err


@pytest.mark.parametrize("module", ["click", "mailwhy.cli", "mailwhy.cli.explain", "mailwhy.knowledge"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_modules_are_imported(module: str, number: signal.Signals, tmp_path: Path) -> None:
    code = f"""
import importlib.abc
class Kills(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {number.value})
sys.meta_path.insert(0, Kills())
"""
    done = run(*EXPLAIN, env=trips(tmp_path / "x", code))
    early = number is signal.SIGTERM and module in ("click", "mailwhy.cli")  # the system's own end of a program
    assert done.status == (-signal.SIGTERM if early else 130)
    assert TRACEBACK not in done.all


def test_ctrl_c_while_a_class_is_made(tmp_path: Path) -> None:
    """Python 3.11 raises a RuntimeError out of `__set_name__` whatever happened in it, and so hides the Ctrl-C."""
    code = """
import signal
import mailwhy.knowledge as k
class Kills:
    def __set_name__(self, owner, name): signal.raise_signal(signal.SIGINT)
def load(): type("Made", (), {"it": Kills()})
k.load = load
"""
    done = run(*EXPLAIN, env=trips(tmp_path / "x", code))
    assert done.status == 130
    assert TRACEBACK not in done.all


# --- signals at every stage of a check

GREET, HELLO = "S: 220 mail.test ESMTP\nC: EHLO ...\n", "S: 250-mail.test\nS: 250-STARTTLS\nS: 250 AUTH PLAIN\n"
POINTS: dict[str, tuple[Tls, str]] = {
    "greeting": (Tls.NONE, "* gone"),
    "tls": (Tls.IMPLICIT, "* gone"),
    "capabilities": (Tls.NONE, GREET + "* gone"),
    "starttls": (Tls.STARTTLS, GREET + HELLO + "C: STARTTLS\n* gone"),
    "auth": (Tls.NONE, GREET + HELLO + "C: AUTH PLAIN ...\n* gone"),
    "use": (Tls.NONE, GREET + HELLO + "C: AUTH PLAIN ...\nS: 235 ok\nC: MAIL ...\n* gone"),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("point", POINTS)
async def test_a_signal_at_every_stage_ends_with_the_evidence(point: str, number: signal.Signals) -> None:
    tls, script = POINTS[point]
    asked = script.count("C:")
    async with serve(script, strict=False) as server:
        options = ("--server", f"smtp=localhost:{server.port}/{tls}", "--ca-file", ca_file())
        child = await start("check", "user@contoso.test", *options, env={"MAILWHY_PASSWORD": SECRET})
        while server.connections == 0 or len(server.got) < asked:
            assert child.returncode is None
            await asyncio.sleep(0.01)  # until the child has come so far
        child.send_signal(number)
        out, err = (stream.decode() for stream in await asyncio.wait_for(child.communicate(), 20))
    assert child.returncode == 130
    assert TRACEBACK not in out + err
    assert SECRET not in out + err
    assert "stopped" in out.casefold() or "cancelled" in out.casefold()


async def test_a_background_job_of_a_shell_takes_sigterm(tmp_path: Path) -> None:
    """Such a job ignores SIGINT, and Python then has no handler of its own."""
    env = {**trips(tmp_path / "x", "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n")}
    async with serve("* gone", strict=False) as server:
        options = ("--server", f"smtp=localhost:{server.port}/none")
        child = await start("check", "user@contoso.test", *options, env={**env, "MAILWHY_PASSWORD": SECRET})
        while server.connections == 0:
            assert child.returncode is None
            await asyncio.sleep(0.01)  # until the child has come so far
        child.send_signal(signal.SIGTERM)
        out, err = (stream.decode() for stream in await asyncio.wait_for(child.communicate(), 20))
    assert child.returncode == 130
    assert TRACEBACK not in out + err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_the_prompt_gives_the_echo_back(number: signal.Signals) -> None:
    child = pexpect.spawn(sys.executable, ["-m", "mailwhy", "check", "u@contoso.test"], timeout=20, encoding="utf-8")
    child.expect("App password")
    child.waitnoecho()
    child.kill(number)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    assert TRACEBACK not in str(child.before)


@pytest.mark.parametrize("columns", ["1", "20", "500"])
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
async def test_any_width_and_any_locale(columns: str, locale: str) -> None:
    script = GREET + HELLO + f"C: AUTH PLAIN ...\nS: {REPLY} \u00e4\u2713\U0001f600"
    async with serve(script, strict=False) as server:
        options = ("--server", f"smtp=localhost:{server.port}/none", "-vv")
        env = {"COLUMNS": columns, "LC_ALL": locale, "MAILWHY_PASSWORD": SECRET, "PYTHONUTF8": "0"}
        done = await arun("check", "user@contoso.test", *options, env=env)
    assert done.status == 1, done.err
    assert done.err.count("Traceback") == 0
    assert "535 5.7.3" in done.out


def test_no_home_at_all() -> None:
    """Neither a HOME nor a name in passwd: containers run so."""
    env = environment(MAILWHY_PASSWORD=SECRET)
    for name in ("HOME", "USER", "LOGNAME"):
        env.pop(name, None)
    code = "import pwd, sys\ndef no(*a): raise KeyError(a)\npwd.getpwuid = pwd.getpwnam = no\nfrom mailwhy.__main__ import main\nmain()"
    options = ["check", "u@contoso.test", "--server", "smtp=127.0.0.1:1/none"]
    done = subprocess.run([sys.executable, "-c", code, *options], env=env, capture_output=True, timeout=45, check=False)
    assert done.returncode == 3, done.stderr
    assert TRACEBACK.encode() not in done.stderr + done.stdout
