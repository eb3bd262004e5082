"""The real servers as fixtures: started once per test process, stopped by their pid, their log in the report of a
failed test. In CI a missing server is a failure; elsewhere the tests are skipped and say what to install.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from real import certs as certificates
from real import dovecot

from mailwhy.model import Protocol, Tls


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> certificates.Certs:
    """The throw-away authority and the servers' certificate."""
    return certificates.make(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="session")
def real_servers(certs: certificates.Certs) -> Iterator[dovecot.Dovecot]:
    """Dovecot: IMAP, POP3 and submission in every TLS mode."""
    need(dovecot.missing())
    server = dovecot.Dovecot.start(certs)
    yield server
    server.stop()


def need(missing: str) -> None:
    """Skips when something is missing, and fails instead in CI."""
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
