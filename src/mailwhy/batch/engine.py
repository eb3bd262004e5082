"""Who is checked when: concurrency, pacing per tenant, stop-loss. No network, no files, no clock of its own."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from ..model import Outcome, Password, Verdict
from .results import Tally
from .rows import Row

CheckOne = Callable[[Row], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast, and when to stop.

    overall, per_server   checks at the same time
    per_minute            sign-ins a minute and tenant; 0: not paced
    stop_loss             refused credentials in a row after which a tenant is left alone; 0: never
    """

    overall: int = 10
    per_server: int = 4
    per_minute: float = 20.0
    stop_loss: int = 10


@dataclass(slots=True)
class _Tenant:
    """One tenant's pace and luck."""

    free_at: float = 0.0
    refused: int = 0


@dataclass(slots=True)
class Engine:
    """One batch run. `server_of` names what a row's checks go to, `cost` how many sign-ins it makes, and
    `exempt` rows are not paced (loopback)."""

    check_one: CheckOne
    on_result: Callable[[Row, Outcome], None]
    limits: Limits
    tally: Tally
    server_of: Callable[[Row], str]
    cost: Callable[[Row], int]
    exempt: Callable[[Row], bool]
    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    tenants: defaultdict[str, _Tenant] = field(default_factory=lambda: defaultdict(_Tenant))
    servers: dict[str, asyncio.Semaphore] = field(default_factory=dict)

    async def go(self, rows: Iterable[Row]) -> None:
        """Checks all rows; the first error that `check_one` or `on_result` raises ends the run."""
        overall = asyncio.Semaphore(self.limits.overall)
        # rows that wait for their tenant's turn take no place among those that are checked
        window = asyncio.Semaphore(4 * self.limits.overall)
        try:
            async with asyncio.TaskGroup() as group:
                for row in rows:
                    await window.acquire()
                    task = group.create_task(self._row(row, overall))
                    task.add_done_callback(lambda _: window.release())
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _row(self, row: Row, overall: asyncio.Semaphore) -> None:
        tenant = self.tenants[row.tenant]
        if not self._stopped(row, tenant):
            await self._turn(row, tenant)
        async with self._server(row), overall:
            if self._stopped(row, tenant):
                self.tally.stopped[row.tenant] = self.tally.stopped.get(row.tenant, 0) + 1
                return
            outcome = await self.check_one(row)
            self._learn(tenant, outcome)
            self.on_result(row, outcome)

    def _stopped(self, row: Row, tenant: _Tenant) -> bool:
        return 0 < self.limits.stop_loss <= tenant.refused

    async def _turn(self, row: Row, tenant: _Tenant) -> None:
        """Waits until the tenant may have this row's sign-ins."""
        if not self.limits.per_minute or self.exempt(row):
            return
        now = self.now()
        start = max(now, tenant.free_at)
        tenant.free_at = start + self.cost(row) * 60 / self.limits.per_minute
        if start > now:
            await self.sleep(start - now)

    def _server(self, row: Row) -> asyncio.Semaphore:
        name = self.server_of(row)
        if name not in self.servers:
            if len(self.servers) > 10_000:  # as many servers as rows: no limit is worth the memory
                self.servers.clear()
            self.servers[name] = asyncio.Semaphore(self.limits.per_server)
        return self.servers[name]

    def _learn(self, tenant: _Tenant, outcome: Outcome) -> None:
        if any(d.password is Password.ACCEPTED for d in outcome.diagnoses):
            tenant.refused = 0
        elif any(refused(d.verdict, d.password) for d in outcome.diagnoses):
            tenant.refused += 1


def refused(verdict: Verdict, password: Password) -> bool:
    """Counts towards the stop-loss: refused as a credential, or a refusal that does not tell. Not: retirement."""
    if verdict in (Verdict.RETIRED, Verdict.UNREACHABLE, Verdict.NOT_TRIED):
        return False
    return password in (Password.REFUSED, Password.NOT_TOLD)


async def run(
    rows: Iterable[Row],
    check_one: CheckOne,
    on_result: Callable[[Row, Outcome], None],
    *,
    limits: Limits | None = None,
    tally: Tally | None = None,
    server_of: Callable[[Row], str] = lambda row: " ".join(row.servers) or row.cloud or "",
    cost: Callable[[Row], int] = lambda row: len(row.only) or 3,
    exempt: Callable[[Row], bool] = lambda row: False,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Tally:
    """Checks every row once and hands each outcome to `on_result` as it comes; gives back the tally.

    `rows` is read only as far ahead as needed. The tally knows which tenants stop-loss left, and how many rows.
    """
    tally = tally if tally is not None else Tally()
    engine = Engine(check_one, on_result, limits or Limits(), tally, server_of, cost, exempt, now, sleep)
    await engine.go(rows)
    return tally
