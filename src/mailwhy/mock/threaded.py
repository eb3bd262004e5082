"""The mock in a thread of its own, for callers that block: the pytest plugin, and plain scripts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from .faults import fault
from .servers import Address, Given, Servers, serve
from .store import Mail
from .world import Attempted, Seen

T = TypeVar("T")


class Running:
    """`with Running() as exchange: ...`. Takes what `serve` takes for tenants and day."""

    def __init__(self, tenants: Given | Iterable[Given] | None = None, *, as_of: date | None = None) -> None:
        self._tenants = tenants
        self._as_of = as_of
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="mailwhy-mock", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self.servers: Servers

    def __enter__(self) -> Running:
        self._thread.start()
        self._ready.wait()
        if self._failed:
            raise self._failed
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with serve(self._tenants, as_of=self._as_of) as self.servers:
                self._ready.set()
                await self._stop.wait()
        except BaseException as why:
            self._failed = why
            self._ready.set()

    def _there(self, do: Callable[[], T]) -> T:
        """Does something in the thread of the servers, where nothing else runs meanwhile."""

        async def call() -> T:
            return do()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def reset(self) -> None:
        """Back to the start: settings, faults, counters, mail, what was seen; open connections are cut."""
        self._there(self.servers.reset)

    def set(self, name: str, value: Any, scope: str = "") -> None:
        """Sets `org.…` (scope: a domain, or "" for all) or `mailbox.…`/`user.…` (scope: an address)."""
        self._there(lambda: self.servers.world.change(scope, name, value))

    def fault(self, kind: str, **more: Any) -> None:
        """Adds a fault (see `faults.py`)."""
        self._there(lambda: self.servers.world.faults.append(fault({"kind": kind, **more})))

    def address(self, protocol: str, tls: str | None = None, front: str | None = None) -> Address:
        """Where a listener is: `.host`, `.port`, `.tls`; `str()` is what `mailwhy check --server` takes."""
        return self.servers.address(protocol, tls, front)

    def secret_of(self, login: str) -> str:
        """What an account signs in with."""
        return self.servers.secret_of(login)

    def check_options(self, login: str = "") -> list[str]:
        """The options that lead a `mailwhy check` of this login here."""
        return self.servers.check_options(login)

    @property
    def ca_file(self) -> Path:
        """The CA's certificate, which clients have to trust."""
        return self.servers.ca_file

    @property
    def sessions(self) -> list[Seen]:
        """The connections that were made."""
        return self._there(lambda: list(self.servers.world.sessions))

    @property
    def attempts(self) -> list[Attempted]:
        """The sign-ins that were made."""
        return self._there(lambda: list(self.servers.world.attempts))

    @property
    def messages(self) -> list[Mail]:
        """The messages that were accepted."""
        return self._there(lambda: list(self.servers.world.store.messages))
