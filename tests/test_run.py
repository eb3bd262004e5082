"""The order of the sign-ins of one run, with probes that stand still until they are told to go on. No network."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from day import SET
from outcomes import IMAP_NO, book, reply

from mailwhy import probe
from mailwhy import run as api
from mailwhy.checking import Check
from mailwhy.cli import main
from mailwhy.ledger import Ledger
from mailwhy.model import Account, Kind, Outcome, Protocol, Secret, Stage, Target
from mailwhy.net import Over, Recorder
from mailwhy.targets import of_cloud

SMTP, IMAP, POP = Protocol
LOGIN = "a@contoso.us"
OK = {
    SMTP: "235 2.7.0 Authentication successful",
    IMAP: "a OK LOGIN completed.",
    POP: "+OK User successfully logged on.",
}


class Probes:
    """Stands for `probe`: asks for permission, signs in, and answers. `most`: sign-ins in flight at a time."""

    def __init__(self, answers: dict[Protocol, str]) -> None:
        self.answers = answers
        self.order: list[Protocol] = []
        self.flying = self.most = 0

    async def __call__(self, target: Target, *more: Any, may_sign_in: Any, recorder: Recorder) -> None:
        recorder.held_back = await may_sign_in(recorder.attempt)
        if recorder.held_back:
            return
        self.order.append(target.protocol)
        self.flying += 1
        self.most = max(self.most, self.flying)
        for _ in range(20):  # turns of the loop in which another one could start
            await asyncio.sleep(0)
        self.flying -= 1
        try:
            async with recorder.stage(Stage.AUTH) as step:
                step.reply = reply(self.answers[target.protocol], target.protocol)
                step.ok = step.reply.status in ("235", "OK", "+OK")
        except Over:
            pass


async def run(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    cloud: str,
    protocols: str,
    answers: dict[Protocol, str],
    **more: Any,
) -> tuple[Probes, Outcome]:
    probes = Probes(answers)
    monkeypatch.setattr(probe, "probe", probes)
    wanted = [Protocol(name) for name in protocols.split()]
    targets = of_cloud(book().clouds[cloud], wanted)
    account = Account(LOGIN, LOGIN, LOGIN)
    secret, ledger = Secret("x"), Ledger(tmp_path)
    check = Check(account, secret, kind=Kind.PASSWORD, targets=targets, ledger=ledger, knowledge=book(), **more)
    await check.go()
    return probes, check.outcome()


@pytest.mark.parametrize("insist", [False, True])
@pytest.mark.parametrize(
    ("protocols", "order"), [("imap pop", [IMAP, POP]), ("pop imap", [IMAP, POP]), ("smtp imap pop", [SMTP, IMAP, POP])]
)
async def test_where_accounts_lock_early_one_signs_in_after_the_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, protocols: str, order: list[Protocol], insist: bool
) -> None:
    probes, outcome = await run(monkeypatch, tmp_path, "gcc-high", protocols, OK, insist=insist)
    assert (probes.order, probes.most) == (order, 1)
    assert [d.attempt.held_back for d in outcome.diagnoses] == [None] * len(order)


async def test_a_refusal_there_is_the_last_sign_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers = {IMAP: IMAP_NO, POP: OK[POP]}  # long before Microsoft removed them
    probes, outcome = await run(monkeypatch, tmp_path, "gcc-high", "imap pop", answers, as_of="2021-01-01")
    assert probes.order == [IMAP]
    held = outcome.diagnoses[1].attempt.held_back or ""
    assert "under way" not in held
    assert "failed once" in held or "refused" in held


async def test_elsewhere_imap_and_pop_go_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    probes, _ = await run(monkeypatch, tmp_path, "worldwide", "imap pop", OK)
    assert probes.most == 2


async def test_smtp_leads_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    probes, _ = await run(monkeypatch, tmp_path, "worldwide", "smtp imap pop", OK)
    assert probes.order[0] is SMTP
    assert sorted(probes.order) == sorted(Protocol)


def test_who_names_no_day_gets_todays_or_that_of_the_tests() -> None:
    """Two looks at the real day, because midnight may come in between."""
    before = api.today()
    found = {api.explain("535 5.7.3").as_of, api.judge("relay", [], Account()).as_of, Check(Account("a@b"), None).as_of}
    shown = CliRunner().invoke(main, ["explain", "--format", "json", "535 5.7.3"])
    found.add(json.loads(shown.output)["as_of"])
    assert found <= {before, api.today()}
    if SET:
        assert found == {SET}
