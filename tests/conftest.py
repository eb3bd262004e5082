"""What holds for every test: no dial beyond loopback, a home of its own, no surprise from the environment."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from day import SET
from guard import sitecustomize as guard

# In CI the same examples every time: a change is not blamed for what chance finds. Everywhere else chance decides.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")

GUARD = Path(guard.__file__).parent

# What a developer's shell may have set, and what would change an output or lead somewhere
SURPRISES = frozenset(
    [
        "NO_COLOR",
        "FORCE_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "PY_COLORS",
        "COLUMNS",
        "LINES",
        "TTY_COMPATIBLE",
        "TTY_INTERACTIVE",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "SSLKEYLOGFILE",
        "BROWSER",
    ]
)
PREFIXES = ("MAILWHY_", "XDG_", "LC_", "PYTHONWARN", "PYTHONASYNCIO")
SUFFIXES = ("_PROXY", "_proxy")


@pytest.fixture(scope="session", autouse=True)
def _utc() -> Iterator[None]:
    """Local time is UTC, here and in the children."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the homes of all tests lie, one number each."""
    base = tmp_path_factory.mktemp("homes")
    return (base / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def own_home(_homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for this test alone; configuration and state of mailwhy go there, and so do the children's."""
    folder = next(_homes)
    folder.mkdir()
    for name in tuple(os.environ):
        if name in SURPRISES or name.startswith(PREFIXES) or name.endswith(SUFFIXES):
            monkeypatch.delenv(name)
    fixed = {
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(GUARD), os.environ.get("PYTHONPATH")))),
    }
    if SET:  # then also for whoever names no day: the commands, here and in children, and the functions
        fixed["MAILWHY_AS_OF"] = SET
        monkeypatch.setattr("mailwhy.run.today", lambda: SET)
    for name, value in fixed.items():
        monkeypatch.setenv(name, value)
    return folder


@pytest.fixture(autouse=True)
def refused_dials(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Fails the test when it, or a child, tried to go beyond loopback, even where the exception was swallowed.

    A test of the guard itself takes the file away.
    """
    record = own_home.with_name(own_home.name + ".dials")
    monkeypatch.setenv(guard.RECORD, str(record))
    yield record
    if record.exists():
        pytest.fail(f"beyond loopback:\n{record.read_text(encoding='utf-8')}")


@pytest.fixture
def refused_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections, and that nobody else can take meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
