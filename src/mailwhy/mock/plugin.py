"""The pytest plugin: the fixture `exchange_online`, a fresh tenant for every test, on free ports of loopback.

    def test_my_program_sends(exchange_online):
        smtp = exchange_online.address("smtp")
        my_program.send("works@contoso.test", exchange_online.secret_of("works@contoso.test"),
                        host=smtp.host, port=smtp.port, ca_file=exchange_online.ca_file)
        assert exchange_online.messages[0].recipients == ("you@contoso.test",)

    def test_my_program_says_why(exchange_online):
        exchange_online.set("org.security_defaults", True)
        ...

The servers run in a thread of their own, so that blocking clients can be tested; they are started once a process and
reset for every test. Everything is imported when the fixture is first used: `pytest` starts no slower for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .threaded import Running

AS_OF = "2026-11-22"  # nobody's tests flip on a date


@pytest.fixture(scope="session")
def _exchange_online_process() -> Iterator[Running]:
    from datetime import date

    from .threaded import Running

    with Running(as_of=date.fromisoformat(AS_OF)) as running:
        yield running


@pytest.fixture
def exchange_online(_exchange_online_process: Running) -> Running:
    """A look-alike of Exchange Online, fresh for this test (`threaded.Running` says what it can do)."""
    _exchange_online_process.reset()
    return _exchange_online_process
