"""`mailwhy ledger`: shows, clears, and says what it cannot read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mailwhy.cli import main
from mailwhy.ledger import Ledger, SignIn
from mailwhy.model import Judged, Protocol, Secret

REPLY = "535 5.7.3 Authentication unsuccessful"


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv("MAILWHY_STATE_DIR", str(tmp_path))
    return Ledger()


def remember(ledger: Ledger) -> None:
    what = SignIn("u@contoso.com", "smtp.office365.com", Protocol.SMTP, Secret("hunter2"), cloud="worldwide")
    assert ledger.held_back(what, datetime.now(UTC)) is None
    ledger.note(what, Judged.REFUSED, datetime.now(UTC), reply=REPLY)


def run(*args: str) -> Any:
    return CliRunner().invoke(main, ["ledger", *args])


def test_nothing_is_remembered_at_first(ledger: Ledger) -> None:
    assert "Nothing is remembered" in run().output
    assert json.loads(run("--format", "json").output)["accounts"] == []
    assert run("clear").output == "Forgot 0 accounts.\n"


def test_it_shows_login_service_time_and_answer(ledger: Ledger) -> None:
    remember(ledger)
    shown = run().output
    for part in ("u@contoso.com", "worldwide", "refused", REPLY, "0 s ago", "smtp"):
        assert part in shown
    (account,) = json.loads(run("--format", "json").output)["accounts"]
    assert account["entries"][0]["reply"] == REPLY
    assert "hunter2" not in shown + str(account)


def test_clear(ledger: Ledger) -> None:
    remember(ledger)
    missing = run("clear", "v@contoso.com")
    assert missing.exit_code == 3  # 1 says that a password was refused
    assert "nothing is remembered of v@contoso.com" in missing.output
    assert run("clear", "u@contoso.com").output == "Forgot 1 account.\n"
    assert "Nothing is remembered" in run().output


def test_a_damaged_file_is_said(ledger: Ledger) -> None:
    remember(ledger)
    next(ledger.folder.glob("*.json")).write_text("{")
    result = run()
    assert result.exit_code == 0
    assert "is damaged" in result.stderr


def test_a_folder_that_cannot_be_read_is_an_error_without_a_traceback(ledger: Ledger) -> None:
    ledger.folder.parent.joinpath("ledger").write_text("a file in the way")
    for args in ((), ("clear",)):
        result = run(*args)
        assert result.exit_code == 3
        assert "Not a directory" in result.output
