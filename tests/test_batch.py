"""Lists, pacing, stop-loss, results and resume: without network, with a clock of the test's own."""

from __future__ import annotations

import asyncio
import heapq
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwhy import batch
from mailwhy.batch import Limits, ListError, Results, Row, Tally, remedy
from mailwhy.batch.results import records
from mailwhy.batch.rows import read, survey
from mailwhy.model import (
    Account,
    Attempt,
    Diagnosis,
    Exit,
    Outcome,
    Password,
    Protocol,
    Target,
    Verdict,
)

CANARY = 'ca"na\\ry päss'


def row(number: int, login: str = "", **more: Any) -> Row:
    login = login or f"u{number}@contoso.com"
    return Row(number, number + 1, login, login, **more)


def outcome(verdict: Verdict = Verdict.WORKS, password: Password = Password.ACCEPTED) -> Outcome:
    code = {Verdict.WORKS: Exit.OK, Verdict.NAMED: Exit.REFUSED}.get(verdict, Exit.UNKNOWN)
    diagnosis = Diagnosis(Account(), Attempt(Target(Protocol.SMTP)), verdict, password)
    return Outcome("batch", "2026-11-22", Account("u@x"), (diagnosis,), verdict, code)


REFUSED = outcome(Verdict.NAMED, Password.REFUSED)


def record(verdict: str = "works", exit_: int = 0, **more: Any) -> dict[str, Any]:
    return {"verdict": verdict, "exit": exit_, "findings": [], **more}


# --- lists -------------------------------------------------------------------------------------------------


def write(tmp_path: Path, text: str | bytes, name: str = "list.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows(tmp_path: Path, text: str | bytes, name: str = "list.csv") -> list[Row]:
    return list(read(write(tmp_path, text, name)))


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("Email Address", "address"),
        ("PrimarySmtpAddress", "address"),
        ("UPN", "login"),
        ("User-Principal_Name", "login"),
        ("mailbox", "address"),
    ],
)
def test_columns_are_known_by_many_names(tmp_path: Path, header: str, field: str) -> None:
    (found,) = rows(tmp_path, f"{header}, Password File \nu@x, /a b \n")
    assert getattr(found, field) == "u@x"
    assert (found.address, found.login) == ("u@x", "u@x")
    assert found.source == ("file", "/a b")


def test_every_override(tmp_path: Path) -> None:
    text = (
        "address;login;from;server;cloud;only;credential;password-env\n"
        'm@x;u@x;f@x;"smtp=h:1/none imap=h:2/none";dod;"imap, smtp";OAuth;ONE\n'
    )
    (found,) = rows(tmp_path, text)
    assert found == Row(
        1,
        2,
        "m@x",
        "u@x",
        "f@x",
        ("smtp=h:1/none", "imap=h:2/none"),
        "dod",
        (Protocol.SMTP, Protocol.IMAP),
        "oauth",
        ("variable", "ONE"),
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("address,keyring\nu@x,s\n", "l.csv"),
        ("address\tkeyring\r\nu@x\ts\r\n", "l.tsv"),
        ("address\tkeyring\nu@x\ts", "l.txt"),
        ("address;keyring\nu@x;s\n", "l.csv"),
        ("\ufeffaddress,keyring\n\nu@x,s\n\n", "l.csv"),
        ('{"Address": "u@x", "keyring": "s", "cloud": null}\n', "l.jsonl"),
        ('\n{"address": "u@x", "keyring": "s"}', "l.csv"),
        ("address\tkeyring\r\nu@x\ts\r\n".encode("utf-16"), "excel.txt"),
    ],
)
def test_the_same_row_in_every_form(tmp_path: Path, text: str | bytes, name: str) -> None:
    (found,) = rows(tmp_path, text, name)
    assert (found.number, found.login, found.source) == (1, "u@x", ("keyring", "s"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("u@x\nv@x\n", "first line has to name the columns"),
        ("address,email\nu@x,u@x\n", "two columns mean the same: address"),
        ("address,keyring\nu@x,a,hunter2\n", "more cells than columns"),
        ("address,keyring\n,a\n", "no address"),
        ("address,keyring,password\nu@x,a,hunter2\n", "one place only, not from keyring and password"),
        ("address,only\nu@x,ftp\n", "smtp, imap, pop"),
        ("address,credential\nu@x,hunter2\n", "password or oauth"),
        ("address\nu\u202e@x\n", "invisible"),
        ('address\n"u@x', "not a table"),
        (b"address\n\xff@x\n", "not UTF-8"),
        ('{"address": "u@x"}\n{"password": \n', "line 2: not a JSON object"),
        ('{"address": "u@x"}\n[1]\n', "line 2: not a JSON object"),
        ('{"address": 1}', "expected a text"),
        ('{"address": "u@x", "password": ["hunter2"]}', "expected a text"),
        ('{"address": "u@x", "mail": "v@x"}', "two keys mean the same"),
        ("address\n" + "x" * (2 << 20), "longer than 1 MiB"),
    ],
)
def test_mistakes_are_named_with_their_line_and_no_secret(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(ListError, match=message) as caught:
        rows(tmp_path, text)
    assert "hunter2" not in str(caught.value)


def test_a_password_column_keeps_every_character_and_shows_none(tmp_path: Path) -> None:
    quoted = CANARY.replace('"', '""')
    (found,) = rows(tmp_path, f'address,App Password\nu@x,"  {quoted} "\n')
    assert found.secret
    assert found.secret.reveal() == f"  {CANARY} "
    assert CANARY not in repr(found)
    assert found.mark == replace(found, secret=None).mark
    assert survey(tmp_path / "list.csv").passwords_inside


def test_the_survey_collects_all_mistakes_and_what_is_odd(tmp_path: Path) -> None:
    text = "address,only,password-env,colour\nu@x,smtp,ONE,red\n,smtp,,\nv@x,ftp,,\nw@y,,,\n"
    found = survey(write(tmp_path, text), lambda row: "no w" if row.login == "w@y" else None)
    assert (found.rows, found.without_source, found.variables) == (2, 1, {"ONE"})
    assert found.ignored == ("colour",)
    assert found.problems == ["line 3: no address", "line 4: only: name one or more of smtp, imap, pop", "line 5: no w"]


@pytest.mark.parametrize(
    ("domains", "each", "many"), [(1, 400, False), (10, 1, False), (11, 1, True), (30, 13, False), (1200, 9, True)]
)
def test_many_unrelated_domains_are_noticed(tmp_path: Path, domains: int, each: int, many: bool) -> None:
    lines = (f"u{n}@d{d}.com" for d in range(domains) for n in range(each))
    assert survey(write(tmp_path, "address\n" + "\n".join(lines))).many_domains is many


names = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Zs"]), min_size=1, max_size=12)


@given(st.lists(st.tuples(names, names, st.text(st.characters(exclude_categories=["Cs"]), min_size=1)), max_size=8))
def test_json_lists_give_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, str, str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    lines = [json.dumps({"address": a, "login": u, "password": p}) for a, u, p in table]
    path.write_text("\n".join(lines))
    if not lines:
        return
    found = [(r.address, r.login, r.secret.reveal() if r.secret else "") for r in read(path)]
    assert found == table


@given(st.binary(max_size=300), st.sampled_from(["address,password\n", "{", "", "login\tonly\n", "\ufeff"]))
def test_any_bytes_are_rows_or_one_kind_of_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, head: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(head.encode() + data)
    try:
        found = list(read(path))
    except ListError:
        return
    assert [r.number for r in found] == list(range(1, len(found) + 1))


# --- the engine, on a clock of our own ---------------------------------------------------------------------


class Clock:
    """Virtual time: when nothing else can run, the earliest sleeper wakes."""

    def __init__(self) -> None:
        self.time = 0.0
        self.waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self.count = 0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self.count += 1
        heapq.heappush(self.waiting, (self.time + seconds, self.count, future))
        await future

    async def drive(self, work: Any) -> Any:
        task = asyncio.ensure_future(work)
        while not task.done():
            for _ in range(50):  # let everything run that can
                await asyncio.sleep(0)
            if self.waiting and not task.done():
                self.time, _, future = heapq.heappop(self.waiting)
                future.set_result(None)
        return task.result()


async def run(rows: list[Row], clock: Clock, answer: Any = None, seconds: float = 0.0, **more: Any) -> Any:
    """Runs the engine; gives the tally, the times at which checks began, and the greatest number at once."""
    began: dict[int, float] = {}
    active: Counter[str] = Counter()
    most: Counter[str] = Counter()
    server_of = more.get("server_of", lambda row: "")

    async def check_one(row: Row) -> Outcome:
        began[row.number] = clock.now()
        for name in ("all", server_of(row)):
            active[name] += 1
            most[name] = max(most[name], active[name])
        await clock.sleep(seconds)
        for name in ("all", server_of(row)):
            active[name] -= 1
        found: Outcome = answer(row) if answer else outcome()
        return found

    done: list[int] = []
    options = {"limits": Limits(), **more}
    tally = await clock.drive(
        batch.run(rows, check_one, lambda r, o: done.append(r.number), now=clock.now, sleep=clock.sleep, **options)
    )
    assert sorted(done) == sorted(began)
    return tally, began, most


async def test_twenty_sign_ins_a_minute_and_tenant() -> None:
    rows_ = [row(n, f"u{n}@{'a' if n % 2 else 'b'}.com", only=(Protocol.SMTP,)) for n in range(1, 41)]
    _, began, _ = await run(rows_, Clock(), limits=Limits(overall=40))
    for domain in (0, 1):
        times = sorted(t for n, t in began.items() if n % 2 == domain)
        assert times == [3.0 * n for n in range(20)]


async def test_a_row_with_three_protocols_counts_three() -> None:
    _, began, _ = await run([row(n) for n in (1, 2, 3)], Clock())
    assert [began[n] for n in (1, 2, 3)] == [0, 9, 18]


async def test_no_pace_where_none_is_asked_for_or_needed() -> None:
    rows_ = [row(n) for n in range(1, 50)]
    for more in ({"limits": Limits(per_minute=0)}, {"exempt": lambda row: True}):
        _, began, _ = await run(rows_, Clock(), **more)
        assert set(began.values()) == {0}


async def test_concurrency_overall_and_per_server() -> None:
    rows_ = [row(n) for n in range(1, 60)]
    limits = Limits(overall=5, per_server=2, per_minute=0)
    _, _, most = await run(rows_, Clock(), seconds=1, limits=limits, server_of=lambda r: f"s{r.number % 3}")
    assert most["all"] == 5
    assert max(count for name, count in most.items() if name != "all") == 2


async def test_stop_loss_leaves_a_tenant_alone_and_no_other() -> None:
    rows_ = [row(n, f"u{n}@{'bad' if n % 2 else 'good'}.com") for n in range(1, 101)]

    def answer(row: Row) -> Outcome:
        return REFUSED if row.tenant == "bad.com" else outcome()

    limits = Limits(overall=1, per_minute=0, stop_loss=3)
    tally, began, _ = await run(rows_, Clock(), answer, limits=limits)
    assert sorted(n for n in began if n % 2) == [1, 3, 5]
    assert sum(1 for n in began if not n % 2) == 50
    assert tally.stopped == {"bad.com": 47}
    assert tally.exit is Exit.UNKNOWN


@pytest.mark.parametrize(
    ("found", "stops"),
    [
        (outcome(Verdict.UNKNOWN, Password.NOT_TOLD), True),
        (outcome(Verdict.NAMED, Password.NOT_LOOKED_AT), False),
        (outcome(Verdict.RETIRED, Password.NOT_TOLD), False),
        (outcome(Verdict.UNREACHABLE, Password.NOT_LOOKED_AT), False),
    ],
)
async def test_what_counts_towards_the_stop_loss(found: Outcome, stops: bool) -> None:
    rows_ = [row(n) for n in range(1, 21)]
    tally, _, _ = await run(rows_, Clock(), lambda row: found, limits=Limits(1, per_minute=0, stop_loss=4))
    assert tally.stopped == ({"contoso.com": 16} if stops else {})


async def test_a_success_between_starts_the_count_anew_and_zero_switches_it_off() -> None:
    rows_ = [row(n) for n in range(1, 31)]
    mixed = await run(
        rows_,
        Clock(),
        lambda r: outcome() if r.number % 3 == 0 else REFUSED,
        limits=Limits(1, per_minute=0, stop_loss=3),
    )
    assert mixed[0].stopped == {}
    off = await run(rows_, Clock(), lambda r: REFUSED, limits=Limits(1, per_minute=0, stop_loss=0))
    assert len(off[1]) == 30


async def test_an_error_ends_the_run_with_itself() -> None:
    def broken(row: Row) -> Outcome:
        raise ListError("changed")

    with pytest.raises(ListError, match="changed"):
        await run([row(n) for n in range(1, 30)], Clock(), broken)


async def test_rows_are_read_only_as_far_as_needed() -> None:
    read_ = 0

    def endless() -> Iterator[Row]:
        nonlocal read_
        while True:
            read_ += 1
            yield row(read_)

    started = asyncio.Event()

    async def never(row: Row) -> Outcome:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.ensure_future(
        batch.run(endless(), never, lambda r, o: None, limits=Limits(overall=3, per_minute=0), exempt=lambda r: True)
    )
    await started.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    assert read_ <= 13
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# --- results and resume ------------------------------------------------------------------------------------


def test_the_file_is_private_never_overwritten_and_counts(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with Results.open(path, resume=False) as results:
        results.write(row(1), record())
        results.write(row(2), record("named", 1, findings=[{"cause": "account.locked"}]))
        results.write(row(3), record("unreachable", 3))
        assert results.tally.worst is Exit.REFUSED
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ListError, match="--resume goes on"):
        Results.open(path, resume=False)
    with Results.open(path, resume=True) as again:
        assert again.tally.groups == {("works", "works"): 1, ("account.locked", "named"): 1, ("unreachable",) * 2: 1}
        assert [again.has(row(n)) for n in (1, 2, 3, 4)] == [True, True, True, False]
        with pytest.raises(ListError, match="the list was changed"):
            again.has(row(2, "other@x"))


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ListError, match="cannot be written"):
        Results.open(tmp_path / "none" / "r.jsonl", resume=True)
    with pytest.raises(ListError, match="cannot be written"):
        Results.open(tmp_path, resume=True)


@settings(deadline=None)  # it writes to a disk that others use as well
@given(st.lists(st.integers(1, 30), unique=True, min_size=1), st.data())
def test_killed_anywhere_no_row_is_lost_and_none_is_done_twice(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "killed.jsonl"
    path.unlink(missing_ok=True)
    with Results.open(path, resume=False) as results:
        for number in order:
            results.write(row(number), record())
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    kept = order[: whole[:cut].count(b"\n")]
    with Results.open(path, resume=True) as results:
        todo = [n for n in range(1, 31) if not results.has(row(n))]
        assert sorted(todo + kept) == list(range(1, 31))
        for number in todo:
            results.write(row(number), record())
        assert results.tally.done == 30
    assert sorted(found["row"] for found in records(path)) == list(range(1, 31))


@pytest.mark.parametrize(
    "junk",
    [
        *(b"\n", b"{}\n", b"[]\n", b"\0\0\0\n", b'{"row": 2, "mark": 1, "verdict": "works", "exit": 7}\n', b"\xff\n"),
        b'{"row": 0, "mark": 1, "verdict": "works", "exit": 0}\n',
        b"[" * 99999 + b"\n",
    ],
    ids=range(8),
)
def test_a_line_that_is_no_result_is_not_counted(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "r.jsonl"
    with Results.open(path, resume=False) as results:
        results.write(row(1), record())
    path.write_bytes(junk + path.read_bytes())
    with Results.open(path, resume=True) as again:
        assert again.tally.done == 1
        assert [again.has(row(n)) for n in (1, 2)] == [True, False]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 8), st.data())
def test_a_run_that_is_cancelled_at_any_point_goes_on(
    tmp_path_factory: pytest.TempPathFactory, count: int, overall: int, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "cancelled.jsonl"
    path.unlink(missing_ok=True)
    stop = data.draw(st.integers(0, count))
    tested: Counter[int] = Counter()

    async def go(limit: int | None) -> None:
        whole = asyncio.current_task()

        async def check_one(row: Row) -> Outcome:
            await asyncio.sleep(0)
            return outcome()

        def on_result(row: Row, outcome: Outcome) -> None:
            if limit is not None and sum(tested.values()) >= limit:
                assert whole
                whole.cancel()  # what asyncio does on Ctrl-C
                return
            results.write(row, record())
            tested[row.number] += 1

        with Results.open(path, resume=True) as results:
            rows_ = (row(n) for n in range(1, count + 1) if not results.has(row(n)))
            await batch.run(rows_, check_one, on_result, limits=Limits(overall, overall, 0))

    try:
        asyncio.run(go(stop))
    except asyncio.CancelledError:
        assert sum(tested.values()) == stop
    asyncio.run(go(None))
    assert tested == Counter(range(1, count + 1))


STREAM = """
import asyncio, sys
from pathlib import Path
from mailwhy import batch
from mailwhy.model import Account, Exit, Outcome, Verdict

good = Outcome("batch", "2026-11-22", Account("u@x"), (), Verdict.WORKS, Exit.OK)

async def check_one(row):
    return good

def go(count):
    path = Path(sys.argv[1], f"{count}.csv")
    with path.open("w") as file:
        file.write("address,keyring\\n")
        file.writelines(f"u{n}@contoso.com,s\\n" for n in range(count))
    with batch.Results.open(path.with_suffix(".jsonl"), resume=False) as results:
        assert batch.survey(path).rows == count
        todo = (row for row in batch.read(path) if not results.has(row))
        done = lambda row, outcome: results.write(row, {"verdict": "works", "exit": 0})
        asyncio.run(batch.run(todo, check_one, done, limits=batch.Limits(per_minute=0), tally=results.tally))
        assert results.tally.done == count
    # not ru_maxrss: that one starts with the peak of the process that started this one
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

small = go(1000)
print((go(100_000) - small) * 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_hundred_thousand_rows_stream_in_flat_memory(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", STREAM, str(tmp_path)], capture_output=True, text=True, check=True, timeout=55
    )
    assert int(said.stdout) < 4 << 20, f"{int(said.stdout) / 2**20:.1f} MiB more than for 1,000 rows"


# --- the exit code and the script --------------------------------------------------------------------------


def test_the_exit_code_is_the_worst() -> None:
    tally = Tally()
    for exit_, expected in ((0, Exit.OK), (3, Exit.UNKNOWN), (0, Exit.UNKNOWN), (1, Exit.REFUSED), (3, Exit.REFUSED)):
        tally.add(record(exit_=exit_))
        assert tally.exit is expected


EXO = "Exchange Online PowerShell"


def closed(address: str, **more: Any) -> dict[str, Any]:
    who = "'" + address.replace("'", "''") + "'"
    finding = {
        "cause": "mailbox.smtp_auth_disabled",
        "title": "SMTP AUTH is switched off for this mailbox",
        "baseline": ["CISA MS.EXO.5.1v1: single mailboxes only"],
        "check": [{"where": EXO, "run": f"Get-CASMailbox -Identity {who}", "expect": "True"}],
        "fix": [
            {"where": "Microsoft 365 admin center", "run": "", "text": "tick"},
            {"where": EXO, "run": f"Set-CASMailbox -Identity {who} -SmtpClientAuthenticationDisabled $false"},
        ],
        "undo": [{"where": EXO, "run": f"Set-CASMailbox -Identity {who} -SmtpClientAuthenticationDisabled $true"}],
        **more,
    }
    return {"verdict": "named", "exit": 1, "account": {"login": address, "mailbox": address}, "findings": [finding]}


def test_the_script_looks_asks_changes_and_undoes() -> None:
    found = [closed("a@x"), closed("o'b@x"), {"account": {"login": "c@x"}, **record()}]
    text = "".join(remedy.script(lambda: found, "r.jsonl"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines[2:] == [
        "Get-CASMailbox -Identity 'a@x'",
        "if (Approve 'Set-CASMailbox -Identity ''a@x'' -SmtpClientAuthenticationDisabled $false') {",
        "    Set-CASMailbox -Identity 'a@x' -SmtpClientAuthenticationDisabled $false",
        "}",
        "Get-CASMailbox -Identity 'o''b@x'",
        "if (Approve 'Set-CASMailbox -Identity ''o''''b@x'' -SmtpClientAuthenticationDisabled $false') {",
        "    Set-CASMailbox -Identity 'o''b@x' -SmtpClientAuthenticationDisabled $false",
        "}",
    ]
    assert "(2 mailboxes)" in text
    assert "# Baseline: CISA MS.EXO.5.1v1" in text
    undo = text.index("# === Undo")
    assert text.index("$true") > undo
    assert "\n# Set-CASMailbox -Identity 'a@x' -SmtpClientAuthenticationDisabled $true\n" in text[undo:]


def test_a_change_of_the_organization_stands_once_and_what_is_uncertain_is_said() -> None:
    org = {"where": EXO, "run": "Set-TransportConfig -SmtpClientAuthenticationDisabled $false"}
    found = [closed(f"u{n}@x", fix=[org], undo=[org]) for n in range(3)]
    found[0]["findings"].append({"cause": "credentials.wrong"})
    text = "".join(remedy.script(lambda: found, "r.jsonl"))
    assert text.count("    Set-TransportConfig") == 1
    assert text.count("# Set-TransportConfig") == 1
    assert "Also possible: credentials.wrong" in text


@pytest.mark.parametrize("bad", ["Set-X 'a\nRemove-Mailbox b'", "Set-X <mailbox>", "Set-X '\u202ea'"])
def test_commands_that_are_not_one_plain_line_are_left_out(bad: str) -> None:
    text = "".join(remedy.script(lambda: [closed("a@x", fix=[{"where": EXO, "run": bad}])], "r\nRemove-Item x"))
    assert "Remove-Mailbox" not in text
    assert "Set-X" not in text
    assert "No result has a change" in text
    assert "\nRemove-Item" not in text


def test_a_look_that_is_no_look_is_left_out() -> None:
    sly = closed("a@x", check=[{"where": EXO, "run": "Remove-Mailbox 'a@x'"}])
    assert "Remove-Mailbox" not in "".join(remedy.script(lambda: [sly], "r"))
