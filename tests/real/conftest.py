"""The real servers as fixtures: started once per test process, stopped by their pid, their log in the report of a
failed test. In CI a missing server is a failure; elsewhere the tests are skipped and say what to install.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
from needs import need
from real import certs as certificates
from real import dovecot, process
from real import postfix as postfixes


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


@pytest.fixture(scope="session")
def postfix(certs: certificates.Certs, real_servers: dovecot.Dovecot) -> Iterator[postfixes.Postfix]:
    """Postfix: submission in every TLS mode, for the same people."""
    need(postfixes.missing())
    server = postfixes.Postfix.start(certs, real_servers)
    yield server
    server.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Puts the end of the servers' logs into the report of a failed test."""
    report = yield
    if report.failed:
        for server in getattr(item, "funcargs", {}).values():
            if isinstance(server, process.Server):
                report.sections.append((f"log of {type(server).__name__}", process.tail(server.log)))
    return report
