"""What a test needs from outside Python: skipped where it is missing, but a failure in CI, which installs it."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest


def need(missing: str) -> None:
    """Skips when something is missing (`missing` says what, and how to get it), and fails instead in CI."""
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


def program(name: str) -> str:
    """The path of a program that `make servers` installs."""
    found = shutil.which(name)
    need("" if found else f"{name} is not installed; `make servers` does it")
    return found or name


def node_modules() -> Path:
    """Where Node's mail libraries lie. Skips without Node, also in CI: who has no Node needs none of its libraries."""
    if not shutil.which("node"):
        pytest.skip("Node is not installed")
    home = Path(__file__).parents[1] / ".cache" / "npm"
    need("" if (home / ".installed").exists() else "tests/real/install-node-clients.sh has not been run")
    return home / "node_modules"


def ipv6() -> None:
    """Skips where ::1 cannot be listened on, in CI as well: that is the kernel's doing, and nothing can be installed.

    What mailwhy itself does about families is tested without it (tests/test_net.py).
    """
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as why:
        pytest.skip(f"this machine's loopback has no IPv6 ({why.strerror})")
