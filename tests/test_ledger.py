"""The ledger: what counts, what is held back, and that no file trouble is ever a free pass."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mailwhy
from mailwhy.ledger import Book, Entry, Ledger, SignIn, family, files, is_loopback, lock
from mailwhy.ledger import judged as judge
from mailwhy.ledger.rule import MEMORY, Held, Since, aged, iso, weigh
from mailwhy.mock.threaded import Running
from mailwhy.model import (
    Account,
    Attempt,
    Diagnosis,
    Exit,
    Judged,
    Outcome,
    Password,
    Protocol,
    Secret,
    Stage,
    Step,
    Target,
    Verdict,
)
from mailwhy.plain import from_plain, to_plain
from mailwhy.probe import Way
from mailwhy.targets import parse_server

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CANARY = 'ca"na\\ry päss'
REPLY = "535 5.7.3 Authentication unsuccessful [AM0PR01CA0001.eurprd01.prod.exchangelabs.com]"


def sign_in(secret: str = "one", protocol: Protocol = Protocol.SMTP, **more: object) -> SignIn:
    given: dict[str, object] = {"login": "u@contoso.com", "host": "smtp.office365.com", "cloud": "worldwide", **more}
    return SignIn(protocol=protocol, secret=Secret(secret), **given)  # type: ignore[arg-type]  # a table of fields


def fail(ledger: Ledger, what: SignIn, now: datetime, judged: Judged = Judged.UNKNOWN) -> None:
    assert ledger.held_back(what, now) is None
    ledger.note(what, judged, now, sign="smtp-535-5.7.3", reply=REPLY)


@pytest.fixture(autouse=True)
def uptime(monkeypatch: pytest.MonkeyPatch) -> list[Since]:
    """The clock since the machine's start does not tell, unless a test puts something here: time passes in arguments."""
    told = [Since()]
    monkeypatch.setattr(files, "since_start", lambda: told[0])
    return told


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


# --- the rule ----------------------------------------------------------------------------------------------


def test_two_an_hour_and_the_third_waits_with_the_remembered_answer(ledger: Ledger) -> None:
    fail(ledger, sign_in("one"), NOW)
    fail(ledger, sign_in("two"), NOW + 10 * MINUTE)
    held = ledger.held_back(sign_in("three"), NOW + 20 * MINUTE)
    assert held
    assert held.reply == REPLY
    assert held.sign == "smtp-535-5.7.3"
    assert held.age == 10 * MINUTE
    assert held.again == NOW + 60 * MINUTE
    assert "failed 2 times within the last hour" in str(held)
    assert "10:00 UTC" in str(held)
    assert f'The answer 10 min ago was: "{REPLY}"' in str(held)
    assert str(Held("refused 5 min ago", REPLY)).startswith("refused 5 min ago. The answer was: ")
    assert "--force" in str(held)
    assert ledger.held_back(sign_in("three"), NOW + 60 * MINUTE) is None


def test_one_an_hour_where_the_cloud_locks_early(ledger: Ledger) -> None:
    fail(ledger, sign_in("one", careful=True, cloud="gcc-high"), NOW)
    assert ledger.held_back(sign_in("two", careful=True, cloud="gcc-high"), NOW + MINUTE)


@pytest.mark.parametrize("judged", [Judged.NOT_JUDGED, Judged.ACCEPTED])
def test_policy_sentences_and_successes_count_nothing(ledger: Ledger, judged: Judged) -> None:
    for minute in range(20):
        fail(ledger, sign_in(), NOW + minute * MINUTE, judged)
    assert list(ledger.folder.glob("*.json")) == []


def test_a_secret_refused_as_such_is_held_back_for_days_but_another_one_is_not(tmp_path: Path) -> None:
    fail(Ledger(tmp_path), sign_in("one"), NOW, Judged.REFUSED)
    later = NOW + timedelta(days=3)
    held = Ledger(tmp_path).held_back(sign_in("one"), later)
    assert held
    assert held.again is None
    assert "this very secret was refused over SMTP 3 days ago" in str(held)
    assert Ledger(tmp_path).held_back(sign_in("other"), later) is None
    assert Ledger(tmp_path).held_back(sign_in("one"), NOW + MEMORY) is None


def test_a_monitor_that_repeats_a_refused_check_makes_one_sign_in(tmp_path: Path) -> None:
    made = 0
    for round_ in range(100):
        ledger, now = Ledger(tmp_path), NOW + 5 * round_ * MINUTE
        if ledger.held_back(sign_in(), now) is None:
            made += 1
            ledger.note(sign_in(), Judged.REFUSED, now, reply=REPLY)
    assert made == 1


def test_a_success_takes_the_mark_off_the_secret_but_not_off_the_hour(ledger: Ledger) -> None:
    fail(ledger, sign_in("one"), NOW, Judged.REFUSED)
    assert ledger.held_back(sign_in("one"), NOW + MINUTE, force=True) is None
    ledger.note(sign_in("one"), Judged.ACCEPTED, NOW + MINUTE)
    fail(ledger, sign_in("one"), NOW + 2 * MINUTE)
    assert ledger.held_back(sign_in("one"), NOW + 3 * MINUTE)


def test_force_goes_on_says_the_risk_and_still_counts(ledger: Ledger) -> None:
    fail(ledger, sign_in(), NOW, Judged.REFUSED)
    assert ledger.held_back(sign_in(), NOW + MINUTE, force=True) is None
    assert [notice.id for notice in ledger.notices] == ["ledger.forced"]
    assert "lock" in ledger.notices[0].text
    ledger.note(sign_in(), Judged.REFUSED, NOW + MINUTE)
    assert ledger.held_back(sign_in("new"), NOW + 2 * MINUTE)


def test_force_without_need_says_nothing(ledger: Ledger) -> None:
    assert ledger.held_back(sign_in(), NOW, force=True) is None
    assert ledger.notices == []


def test_a_sign_in_under_way_counts_also_when_its_run_never_tells(tmp_path: Path) -> None:
    assert Ledger(tmp_path).held_back(sign_in("a"), NOW) is None
    assert Ledger(tmp_path).held_back(sign_in("b"), NOW) is None
    held = Ledger(tmp_path).held_back(sign_in("c"), NOW)
    assert held
    assert "2 sign-ins of u@contoso.com are under way" in str(held)
    assert Ledger(tmp_path).held_back(sign_in("c"), NOW + 61 * MINUTE) is None


def test_within_one_run_an_accepted_secret_opens_all_protocols_at_once(ledger: Ledger) -> None:
    smtp, imap, pop = (sign_in("one", p, careful=True, cloud="gcc-high") for p in Protocol)
    assert ledger.held_back(smtp, NOW) is None
    ledger.note(smtp, Judged.ACCEPTED, NOW)
    assert ledger.held_back(imap, NOW) is None
    assert ledger.held_back(pop, NOW) is None
    ledger.note(imap, Judged.ACCEPTED, NOW)
    ledger.note(pop, Judged.ACCEPTED, NOW)
    assert list(ledger.folder.glob("*.json")) == []


def test_a_run_that_insists_may_send_the_same_secret_again_up_to_the_limit(ledger: Ledger) -> None:
    fail(ledger, sign_in(), NOW, Judged.REFUSED)
    imap, pop = sign_in("one", Protocol.IMAP), sign_in("one", Protocol.POP)
    assert ledger.held_back(imap, NOW)
    assert ledger.held_back(imap, NOW, insist=True) is None
    ledger.note(imap, Judged.REFUSED, NOW)
    assert ledger.held_back(pop, NOW, insist=True)


def test_one_account_behind_several_hosts_is_one_account(ledger: Ledger) -> None:
    fail(ledger, sign_in("a", host="smtp.office365.com"), NOW)
    fail(ledger, sign_in("b", Protocol.IMAP, host="outlook.office365.com", login="U@Contoso.com "), NOW)
    assert ledger.held_back(sign_in("c"), NOW)
    assert ledger.held_back(sign_in("c", login="other@contoso.com"), NOW) is None
    assert ledger.held_back(sign_in("c", cloud="gcc-high"), NOW) is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("smtp.example.com", "example.com"),
        ("EXAMPLE.com.", "example.com"),
        ("mail", "mail"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_the_family_of_a_host(host: str, expected: str) -> None:
    assert family(host) == expected


@pytest.mark.parametrize(
    ("host", "loops"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("mail.localhost.", True),
        ("localhost.example.com", False),
        ("128.0.0.1", False),
        ("notlocalhost", False),
    ],
)
def test_loopback_is_exempt(ledger: Ledger, host: str, loops: bool) -> None:
    assert is_loopback(host) is loops
    for _ in range(5):
        what = sign_in(host=host, cloud=None)
        if ledger.held_back(what, NOW) is None:
            ledger.note(what, Judged.REFUSED, NOW)
    assert bool(ledger.held_back(sign_in(host=host, cloud=None), NOW)) is not loops


def test_name_and_dialled_address_must_both_be_loopback() -> None:
    assert sign_in(host="localhost", address="127.0.0.1").exempt
    assert not sign_in(address="127.0.0.1").exempt  # a tunnel to the real service
    assert not sign_in(host="localhost", address="192.0.2.1").exempt


def diagnosis(verdict: Verdict, password: Password) -> Diagnosis:
    return Diagnosis(Account(), Attempt(Target(Protocol.IMAP)), verdict, password)


def test_what_a_diagnosis_means_to_the_ledger() -> None:
    assert judge(diagnosis(Verdict.RETIRED, Password.NOT_TOLD)) is Judged.NOT_JUDGED
    assert judge(diagnosis(Verdict.UNKNOWN, Password.NOT_TOLD)) is Judged.UNKNOWN
    assert judge(diagnosis(Verdict.NAMED, Password.REFUSED)) is Judged.REFUSED
    assert judge(diagnosis(Verdict.NAMED, Password.NOT_LOOKED_AT)) is Judged.NOT_JUDGED
    assert judge(diagnosis(Verdict.WORKS, Password.ACCEPTED)) is Judged.ACCEPTED


times = st.integers(-86400, 2 * 86400).map(lambda seconds: NOW + timedelta(seconds=seconds))
books = st.builds(
    Book,
    st.just("worldwide"),
    st.just("u"),
    st.lists(
        st.builds(
            Entry,
            st.uuids().map(str),
            times.map(iso),
            st.sampled_from(Protocol),
            st.sampled_from(["refused", "unknown", "under_way"]),
            st.sampled_from(["aa", "bb"]),
        ),
        max_size=5,
    ).map(tuple),
    st.one_of(st.just(""), times.map(iso)),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine draws slowly
@given(books, times, st.sampled_from([1, 2]))
def test_whatever_is_remembered_and_wherever_the_clock_jumps_the_limit_holds(
    book: Book, now: datetime, limit: int
) -> None:
    now_book = aged(book, now)
    assert aged(now_book, now) == now_book
    recent = [e for e in book.entries if e.at - now > -timedelta(hours=1)]
    held = weigh(now_book, "cc", limit, now)
    if len(recent) >= limit:
        assert held
    if held and held.again:
        assert now < held.again <= now + timedelta(hours=1)
    assert from_plain(Book, json.loads(json.dumps(to_plain(book)))) == book


def test_a_time_in_the_future_counts_as_now_and_does_not_hold_for_ever(tmp_path: Path) -> None:
    year_2099 = NOW.replace(year=2099)
    fail(Ledger(tmp_path), sign_in("a"), year_2099)
    fail(Ledger(tmp_path), sign_in("b"), year_2099)
    for minute in (0, 30, 59):
        held = Ledger(tmp_path).held_back(sign_in("c"), NOW + minute * MINUTE)
        assert held
        assert held.again == NOW + 60 * MINUTE
    assert Ledger(tmp_path).held_back(sign_in("c"), NOW + 60 * MINUTE) is None


@pytest.mark.parametrize("judged", [Judged.UNKNOWN, Judged.REFUSED])
@pytest.mark.parametrize("back", [-90, -600, -(60 * 24 * 400)])
def test_a_clock_that_goes_back_and_is_set_right_again_frees_nothing(tmp_path: Path, judged: Judged, back: int) -> None:
    fail(Ledger(tmp_path), sign_in("a"), NOW, judged)
    fail(Ledger(tmp_path), sign_in("b"), NOW, judged)
    for minutes in (back, back + 59, 10, 59):
        assert Ledger(tmp_path).held_back(sign_in("c"), NOW + minutes * MINUTE)
    assert Ledger(tmp_path).held_back(sign_in("c"), NOW + 60 * MINUTE) is None


def test_a_secret_that_was_refused_is_not_forgotten_by_a_clock_that_went_back(tmp_path: Path) -> None:
    fail(Ledger(tmp_path), sign_in("a"), NOW, Judged.REFUSED)
    fail(Ledger(tmp_path), sign_in("b"), NOW - timedelta(days=400))  # writes the file with the wrong clock
    assert "very secret" in str(Ledger(tmp_path).held_back(sign_in("a"), NOW + timedelta(days=29)))


@pytest.mark.parametrize("hours", [1, 24 * 40])
def test_a_clock_that_goes_forward_makes_no_hour(tmp_path: Path, uptime: list[Since], hours: int) -> None:
    """As where a machine without a battery learns the time: the clock since its start knows better."""
    uptime[0] = Since("start", 100.0)
    fail(Ledger(tmp_path), sign_in("a"), NOW, Judged.REFUSED)
    fail(Ledger(tmp_path), sign_in("b"), NOW)
    later = NOW + timedelta(hours=hours)
    uptime[0] = Since("start", 700.0)
    held = Ledger(tmp_path).held_back(sign_in("c"), later)
    assert held
    assert held.age == 10 * MINUTE
    assert held.again == later + 50 * MINUTE
    assert "very secret" in str(Ledger(tmp_path).held_back(sign_in("a"), later))
    uptime[0] = Since("start", 3700.0)
    assert Ledger(tmp_path).held_back(sign_in("c"), later) is None


@pytest.mark.parametrize("after", [Since("another", 700.0), Since("start", 50.0), Since()])
def test_the_clock_of_another_start_proves_nothing(tmp_path: Path, uptime: list[Since], after: Since) -> None:
    uptime[0] = Since("start", 100.0)
    fail(Ledger(tmp_path), sign_in("a"), NOW)
    fail(Ledger(tmp_path), sign_in("b"), NOW)
    uptime[0] = after
    assert Ledger(tmp_path).held_back(sign_in("c"), NOW + 59 * MINUTE)
    assert Ledger(tmp_path).held_back(sign_in("c"), NOW + 60 * MINUTE) is None


def test_the_clock_since_the_start_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    before, after = files.since_start(), files.since_start()
    assert before.start == after.start
    assert before.seconds <= after.seconds
    assert bool(before.start) is Path("/proc/sys/kernel/random/boot_id").exists()


# --- the files ---------------------------------------------------------------------------------------------


def test_the_files_are_private_and_hold_login_and_service_but_no_secret(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    fail(ledger, sign_in(CANARY), NOW, Judged.REFUSED)
    if os.name != "nt":
        assert ledger.folder.stat().st_mode & 0o777 == 0o700
        assert {p.stat().st_mode & 0o777 for p in ledger.folder.iterdir()} == {0o600}
    (file,) = ledger.folder.glob("*.json")
    text = file.read_text()
    assert '"u@contoso.com"' in text
    assert '"worldwide"' in text
    assert len(json.loads(text)["entries"][0]["secret"]) == 8
    everything = b"".join(p.read_bytes() for p in ledger.folder.iterdir())
    for form in (CANARY.encode(), CANARY.encode("unicode-escape"), CANARY.encode().hex().encode()):
        assert form not in everything
    assert CANARY not in repr(sign_in(CANARY)) + repr(ledger.__dict__)


def test_the_fingerprint_differs_by_machine_and_account(tmp_path: Path) -> None:
    marks = set()
    for home, login in (("a", "u@x"), ("a", "v@x"), ("b", "u@x")):
        ledger = Ledger(tmp_path / home)
        fail(ledger, sign_in(login=login), NOW, Judged.REFUSED)
        marks |= {e.secret for book in ledger.books(NOW) for e in book.entries}
    assert len(marks) == 3


def test_a_folder_that_others_may_read_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    folder.mkdir(mode=0o755)
    fail(Ledger(tmp_path), sign_in(), NOW)
    assert folder.stat().st_mode & 0o777 == 0o700


GARBAGE = [b"", b"\0" * 40, b"{", b"[]", b"[" * 100000, b'{"service": "x", "login": "u", "entries": [{"id": 1}]}']
GARBAGE += [b'{"service": "x", "login": "u", "careful_until": "2026-11-22T09:00:00"}', b"\xff\xfe"]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_a_damaged_file_is_set_aside_said_and_no_free_pass(tmp_path: Path, garbage: bytes) -> None:
    fail(Ledger(tmp_path), sign_in("a"), NOW)
    (file,) = (tmp_path / "ledger").glob("*.json")
    file.write_bytes(garbage)
    ledger = Ledger(tmp_path)
    fail(ledger, sign_in("b"), NOW + MINUTE)
    assert [notice.id for notice in ledger.notices] == ["ledger.damaged"]
    assert Ledger(tmp_path).held_back(sign_in("c"), NOW + 2 * MINUTE)
    assert file.with_suffix(".damaged").read_bytes() == garbage
    # the hour after the damage has passed: as before
    fail(Ledger(tmp_path), sign_in("c"), NOW + 70 * MINUTE)
    fail(Ledger(tmp_path), sign_in("d"), NOW + 70 * MINUTE)


def unusable(tmp_path: Path, how: str) -> Path:
    if how == "file in the way":
        (tmp_path / "file").write_text("")
        return tmp_path / "file"
    if how == "proc":
        return Path("/proc/mailwhy-is-not-here")
    if how == "relative":
        return Path("no/home")
    (tmp_path / "ledger" / "lock").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("how", ["file in the way", "proc", "relative", "lock is a folder"])
def test_where_nothing_can_be_remembered_nobody_signs_in_unless_forced(tmp_path: Path, how: str) -> None:
    ledger = Ledger(unusable(tmp_path, how))
    held = ledger.held_back(sign_in("a"), NOW)
    assert "would not be remembered" in str(held)
    assert "MAILWHY_STATE_DIR" in str(held)
    assert "--force" in str(held)
    assert [notice.id for notice in ledger.notices] == ["ledger.unwritable"]
    assert "cannot be used" in ledger.notices[0].text
    assert ("no absolute path" in ledger.notices[0].text) is (how == "relative")
    assert ledger.held_back(sign_in("a"), NOW, force=True) is None
    ledger.note(sign_in("a"), Judged.UNKNOWN, NOW, reply=REPLY)
    assert [notice.id for notice in ledger.notices] == ["ledger.unwritable", "ledger.forced"]
    assert ledger.held_back(sign_in("b"), NOW)
    assert not Path("no").exists()


def test_a_disk_that_fills_up_between_two_protocols_does_not_hold_an_accepted_secret(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(ledger, sign_in(), NOW, Judged.ACCEPTED)

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_write", full)
    assert ledger.held_back(sign_in(protocol=Protocol.IMAP), NOW) is None
    assert ledger.held_back(sign_in("other", protocol=Protocol.POP), NOW)


def test_what_cannot_be_written_any_more_is_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(Ledger(tmp_path), sign_in("a"), NOW, Judged.REFUSED)

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_write", full)
    ledger = Ledger(tmp_path)
    assert "No space left" in str(ledger.held_back(sign_in("b"), NOW + MINUTE))
    assert "very secret" in str(ledger.held_back(sign_in("a"), NOW + timedelta(days=1)))
    assert "No space left" in ledger.notices[0].text


def test_a_full_disk_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(Ledger(tmp_path), sign_in("a"), NOW)
    (file,) = (tmp_path / "ledger").glob("*.json")
    before = file.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert Ledger(tmp_path).held_back(sign_in("b"), NOW + MINUTE)
    assert file.read_bytes() == before
    assert list((tmp_path / "ledger").glob("*.new")) == []


def test_a_lock_that_is_never_let_go_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "LOCK_SECONDS", 0.05)
    ledger = Ledger(tmp_path)
    with lock.sleeping(lock.lock(ledger.folder)):
        assert "let go of its lock" in str(ledger.held_back(sign_in("a"), NOW))
    assert "lock" in ledger.notices[0].text


CONTEST = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from mailwhy.ledger import Ledger, SignIn
from mailwhy.model import Judged, Protocol, Secret

now = datetime(2026, 11, 22, 9, tzinfo=UTC)
for number in range(15):
    ledger = Ledger(Path(sys.argv[1]))
    what = SignIn(f"u{number}@x", "mail.x", Protocol.SMTP, Secret(sys.argv[2]))
    if ledger.held_back(what, now) is None:
        print(what.login)
        ledger.note(what, Judged.UNKNOWN, now, reply="no")
    assert not ledger.notices, ledger.notices
"""


def test_parallel_runs_cannot_pass_each_other(tmp_path: Path) -> None:
    runs = [
        subprocess.Popen([sys.executable, "-c", CONTEST, str(tmp_path), str(n)], stdout=subprocess.PIPE, text=True)
        for n in range(5)
    ]
    said = [run.communicate(timeout=50)[0] for run in runs]
    assert [run.returncode for run in runs] == [0] * len(runs)
    assert set(Counter("".join(said).split()).values()) == {2}
    assert len(Ledger(tmp_path).books(NOW)) == 15


def test_the_place_follows_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWHY_STATE_DIR", str(tmp_path))
    assert Ledger().folder == tmp_path / "ledger"
    monkeypatch.delenv("MAILWHY_STATE_DIR")
    assert "mailwhy" in str(Ledger().folder)


def test_clear_forgets_one_login_or_everything(ledger: Ledger) -> None:
    assert ledger.clear() == 0
    fail(ledger, sign_in(), NOW)
    fail(ledger, sign_in(login="v@x"), NOW)
    assert ledger.clear("V@X") == 1
    assert [book.login for book in ledger.books(NOW)] == ["u@contoso.com"]
    (ledger.folder / "x.json").write_text("damaged")
    assert ledger.clear() == 2
    assert [path.name for path in ledger.folder.iterdir()] == ["lock"]


async def test_other_tasks_go_on_while_another_run_holds_the_lock(
    tmp_path: Path, exchange_online: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop itself lets the lock go: were it asleep, nobody would."""
    monkeypatch.setattr("mailwhy.ledger.rule.is_loopback", lambda host: False)
    login, loop = "works@contoso.test", asyncio.get_running_loop()
    found: list[bool] = []
    held: list[contextlib.ExitStack] = []
    real = lock._try_lock

    def watched(handle: int) -> bool:
        found.append(real(handle))
        if not found[-1]:
            loop.call_soon(held[-1].close)
        return found[-1]

    def hold() -> None:
        held.append(contextlib.ExitStack())
        held[-1].enter_context(lock.sleeping(lock.lock(tmp_path / "ledger")))

    def again(target: Target, step: Step) -> None:
        if step.stage is Stage.AUTH:
            hold()  # before the answer is noted

    hold()
    monkeypatch.setattr(lock, "_try_lock", watched)
    outcome = await mailwhy.check(
        login,
        Secret(exchange_online.secret_of(login)),
        targets=[parse_server(str(exchange_online.address("smtp")))],
        way=Way(ca_file=str(exchange_online.ca_file)),
        as_of="2026-11-22",
        ledger=Ledger(tmp_path),
        on_step=again,
    )
    assert found.count(False) >= 2
    assert outcome.verdict is Verdict.WORKS
    assert "ledger.unwritable" not in {notice.id for notice in outcome.notices}
    assert Ledger(tmp_path).books(datetime.now(UTC)) == []  # the second note was made as well


# --- with the real check, against the look-alike -----------------------------------------------------------


async def test_the_check_makes_two_wrong_sign_ins_and_no_third(
    tmp_path: Path, exchange_online: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailwhy.ledger.rule.is_loopback", lambda host: False)
    login = "works@contoso.test"
    target = parse_server(str(exchange_online.address("smtp")))
    way = Way(ca_file=str(exchange_online.ca_file))

    async def once(secret: str, force: bool = False) -> Outcome:
        return await mailwhy.check(
            login, Secret(secret), targets=[target], way=way, as_of="2026-11-22", ledger=Ledger(tmp_path), force=force
        )

    first, second, third = [await once(f"wrong{number}") for number in range(3)]
    assert [o.verdict is Verdict.NOT_TRIED for o in (first, second, third)] == [False, False, True]
    (attempt,) = (d.attempt for d in third.diagnoses)
    answer = next(s.reply.line for s in second.diagnoses[0].attempt.stage(Stage.AUTH) if s.reply)
    assert answer.split(" [")[0] in str(attempt.held_back)
    assert not attempt.stage(Stage.AUTH)
    assert third.exit is Exit.UNKNOWN
    forced = await once(exchange_online.secret_of(login), force=True)
    assert forced.verdict is Verdict.WORKS
    assert "ledger.forced" in {notice.id for notice in forced.notices}


async def test_policy_refusals_of_the_check_are_not_counted(
    tmp_path: Path, exchange_online: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailwhy.ledger.rule.is_loopback", lambda host: False)
    login = "smtp-off@contoso.test"
    target = parse_server(str(exchange_online.address("smtp")))
    for _ in range(4):
        found = await mailwhy.check(
            login,
            Secret(exchange_online.secret_of(login)),
            targets=[target],
            way=Way(ca_file=str(exchange_online.ca_file)),
            as_of="2026-11-22",
            ledger=Ledger(tmp_path),
        )
        assert found.verdict is Verdict.NAMED
    assert Ledger(tmp_path).books(datetime.now(UTC)) == []
