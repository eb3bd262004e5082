"""What other programs make of the output: monitoring plug-ins' rules, jq; and the reports of a batch."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import click
import pytest
import test_knowledge_causes as causes
from click.testing import CliRunner, Result
from outcomes import book, outcomes
from prometheus_client.parser import text_string_to_metric_families

from mailwhy.batch import remedy
from mailwhy.cli import batch, check
from mailwhy.cli._output import Output, monitor_options, output_options
from mailwhy.mock.threaded import Running
from mailwhy.model import Account, Place, Verdict
from mailwhy.report import json as as_json
from mailwhy.report import render, render_many

# monitoring-plugins' guidelines: 'label'=value[UOM];[warn];[crit];[min];[max], ranges as [@]start:end
RANGE = r"@?(?:~|-?\d+(?:\.\d+)?)?:?(?:-?\d+(?:\.\d+)?)?"
PERFDATA = re.compile(
    rf"'?[^'=| ]+'?=-?\d+(?:\.\d+)?(?:us|ms|s|%|B|KB|MB|TB|c)?(?:;(?:{RANGE})){{0,2}}(?:;-?[\d.]*){{0,2}}"
)


def run(exchange: Running, login: str, *more: object) -> Result:
    words = [login, *exchange.check_options(login), "--as-of", "2026-11-22", "--only", "smtp", *map(str, more)]
    environ = {"MAILWHY_PASSWORD": exchange.secret_of(login)}
    return CliRunner().invoke(check.command, words, env=environ)


@pytest.mark.parametrize(
    ("login", "more", "state"),
    [
        ("works@contoso.test", (), (0, "OK")),
        ("works@contoso.test", ("-w", "0"), (1, "WARNING")),
        ("works@contoso.test", ("-w", "0", "-c", "0"), (2, "CRITICAL")),
        ("smtp-off@contoso.test", ("-w", "60", "-c", "90"), (2, "CRITICAL")),
    ],
)
def test_a_monitor_gets_its_line_its_state_and_its_limits(
    exchange_online: Running, login: str, more: tuple[str, ...], state: tuple[int, str]
) -> None:
    done = run(exchange_online, login, "--format", "nagios", *more)
    assert (done.exit_code, done.stdout.split()[1]) == state, done.output
    words, _, data = done.stdout.rstrip("\n").partition(" | ")
    assert len(words) < 80
    assert done.stdout.count("\n") == 1
    assert data.split()
    for item in data.split():
        assert PERFDATA.fullmatch(item), item
    if "-w" in more and "60" in more:
        assert re.search(r"(^| )time=\d+\.\d+s;60;90;0( |$)", data)


@click.command()
@output_options
@monitor_options
@click.pass_context
def tool(ctx: click.Context, output: Output) -> None:
    """Reports an outcome whose certificate is good for 190 days."""
    output.write(outcomes()["works"], book())
    ctx.exit(output.status(outcomes()["works"]))


@pytest.mark.parametrize(
    ("more", "state"),
    [
        (["--warning-days", "190"], 0),
        (["--warning-days", "191"], 1),
        (["--warning-days", "200", "--critical-days", "191"], 2),
    ],
)
def test_days_that_a_certificate_must_last(more: list[str], state: int) -> None:
    done = CliRunner().invoke(tool, ["--format", "nagios", *more])
    assert done.exit_code == state, done.output
    assert f"cert_days=190;{more[1]}:;" in done.stdout
    assert ("190 days left" in done.stdout) == (state > 0)


def test_a_limit_that_can_never_be_reached_is_a_mistake(exchange_online: Running) -> None:
    for more in (("-w", "5", "-c", "1"), ("--warning-days", "1")):
        done = run(exchange_online, "works@contoso.test", "--format", "nagios", *more)
        assert done.exit_code == 2
        assert "CRITICAL" in done.output
    assert exchange_online.attempts == []


@pytest.mark.parametrize("named", [False, True])
def test_the_mailbox_stands_in_metrics_only_where_that_was_asked_for(exchange_online: Running, named: bool) -> None:
    done = run(exchange_online, "works@contoso.test", "--format", "prometheus", *(["--name-mailbox"] if named else []))
    labels = {s.labels.get("mailbox") for family in text_string_to_metric_families(done.stdout) for s in family.samples}
    assert labels == ({"works@contoso.test"} if named else {None})


# --- jq -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def jq() -> str:
    """The program, as Debian has it."""
    path = shutil.which("jq")
    if path is None:
        assert os.environ.get("CI") != "true", "tests/real/install-servers.sh installs jq"
        pytest.skip("jq is not installed")
    return path


def asked(jq: str, text: str, question: str) -> str:
    return subprocess.run([jq, "-r", "-c", question], input=text, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", sorted(outcomes()))
def test_jq_reads_every_outcome(jq: str, name: str) -> None:
    text = render(outcomes()[name], book(), "json")
    assert (
        asked(jq, text, "[.schema, .verdict]")
        == json.dumps(["mailwhy/1", outcomes()[name].verdict.value], separators=(",", ":")) + "\n"
    )
    assert json.loads(asked(jq, text, ".")) == json.loads(text)


def test_jq_sums_up_a_batch(jq: str) -> None:
    many = list(outcomes().values())
    lines = render_many(many, book(), "json")
    found = asked(jq, lines, 'select(.verdict == "named") | .findings[0].cause').splitlines()
    assert found == [o.findings[0].cause for o in many if o.verdict == "named"]
    assert found


# --- the documents of a batch -------------------------------------------------------------------------------------

MAILBOXES = ("works@contoso.test", "smtp-off@contoso.test", "any@org-smtp-off.test")


@pytest.fixture
def listed(tmp_path: Path, exchange_online: Running) -> Path:
    """A list of three mailboxes, the last one without its secret's file."""
    lines = ["address,password-file"]
    for login in MAILBOXES:
        (tmp_path / login).write_text(exchange_online.secret_of(login))
        (tmp_path / login).chmod(0o600)
        lines.append(f"{login},{tmp_path / login}")
    (tmp_path / MAILBOXES[-1]).unlink()
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "list.csv"


def batched(exchange: Running, path: Path, *more: object) -> Any:
    words = [path, *exchange.check_options(), "--as-of", "2026-11-22", *more]
    return CliRunner().invoke(batch.command, [str(word) for word in words])


def test_one_document_of_all_in_every_format(listed: Path, exchange_online: Running) -> None:
    names = ["all.html", "all.md", "all.csv", "all.xml", "all.prom", "all.json"]
    files = [word for name in names for word in ("-o", listed.with_name(name))]
    done = batched(exchange_online, listed, "--only", "smtp", "-q", *files)
    assert done.exit_code == 1, done.output
    assert "3 of 3 mailboxes" in done.stdout
    html = listed.with_name("all.html").read_text()
    assert "3 mailboxes tested, 1 of them can sign in" in html
    where = [html.find(login) for login in MAILBOXES]
    assert -1 not in where
    suites = ET.fromstring(listed.with_name("all.xml").read_text()).findall("testsuite")
    assert [suite.get("name") for suite in suites] == list(MAILBOXES)
    assert [suite.get("failures") for suite in suites] == ["0", "1", "0"]
    lines = [json.loads(line) for line in listed.with_name("all.json").read_text().splitlines()]
    results = listed.with_name("list.results.jsonl").read_text().splitlines()
    written = {json.loads(line)["row"]: json.loads(line) for line in results}
    for number, line in enumerate(lines, 1):  # read again from the evidence, and the same in all
        assert line == {key: value for key, value in written[number].items() if key not in ("row", "mark")}
    assert [line["verdict"] for line in lines] == ["works", "named", "not_tried"]
    success = next(iter(text_string_to_metric_families(listed.with_name("all.prom").read_text()))).samples
    assert [(s.labels["row"], s.value) for s in success] == [("1", 1), ("2", 0)]
    assert listed.with_name("all.csv").read_text().count("\n") == 4


@pytest.mark.parametrize(
    ("spec", "says"), [("nagios=a", "is for one mailbox"), ("a.pdf", "which format"), ("list.csv", "there already")]
)
def test_what_cannot_be_written_is_said_before_anything_is_sent(
    listed: Path, exchange_online: Running, spec: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(listed.parent)
    done = batched(exchange_online, listed, "-o", spec)
    assert done.exit_code == 2
    assert says in done.output
    assert exchange_online.attempts == []
    assert not listed.with_name("list.results.jsonl").exists()


def test_module_and_script_are_one(tmp_path: Path) -> None:
    def printed(*words: str) -> bytes:
        return subprocess.run([*words, "--version"], capture_output=True, check=True, cwd=tmp_path).stdout

    assert printed(sys.executable, "-m", "mailwhy") == printed(str(Path(sys.executable).with_name("mailwhy")))


# --- the script that mends a batch --------------------------------------------------------------------------------


def test_every_line_of_the_script_is_a_command_that_was_looked_up() -> None:
    """One mailbox for every page of the handbook that has PowerShell in its fix."""
    first = outcomes()["tenant-off"]
    records = []
    for number, cause in enumerate(c for c in book().causes.values() if any("PowerShell" in a.where for a in c.fix)):
        finding = replace(first.findings[0], cause=cause.id, place=Place.TENANT)
        login = f"o'neil{number}@contoso.com"
        outcome = replace(first, account=Account(login, login, login), findings=(finding,), verdict=Verdict.NAMED)
        records.append({"row": number + 1, "mark": 1, **as_json.plain(outcome, book())})
    script = "".join(remedy.script(lambda: iter(records), "r.jsonl"))
    body = script[script.index("\n# === ") :]
    changes = re.findall(r"^if \(Approve '(?P<shown>.*)'\) \{\n    (?P<run>.*)\n\}$", body, re.MULTILINE)
    assert len(changes) >= 5
    assert all(shown.replace("''", "'") == command for shown, command in changes)
    undo = body[body.index("# === Undo") :]
    looks = [line for line in body.splitlines() if re.match(r"(Get|Test|Search)-", line)]
    backs = [line[2:] for line in undo.splitlines()[1:] if re.match(r"# [A-Z]\w+-", line)]
    for command in (*(run for _, run in changes), *looks, *backs):
        for part in command.split(" | "):
            cmdlet = part.split()[0]
            parameters = set(re.findall(r"(?<=\s)-([A-Za-z]+)", re.sub(r"'(?:[^']|'')*'", "''", part)))
            assert parameters <= causes.ALLOWED[cmdlet], part
    told = {command for _, command in changes} | set(looks)
    for line in body.splitlines():  # and nothing else in it does anything
        assert not line.strip() or line.startswith(("#", "if (Approve '", "}")) or line.strip() in told, line
    for change in (command for _, command in changes if command.startswith("Set-CASMailbox")):
        name = change.split(" -Identity ")[1].split("@")[0]
        assert any(name in back for back in backs), f"no way back from {change}"
