"""JUnit, Nagios, Prometheus and CSV, each read by a consumer of its own kind."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st
from outcomes import USER, book, judged, outcomes, refused, signed_in
from prometheus_client.parser import text_string_to_metric_families
from strategies import FEW, an_outcome

from mailwhy.model import Exit, Outcome, Protocol, Stage
from mailwhy.report import Options, nagios, render, render_many
from mailwhy.report.csv import COLUMNS, cell

JUNIT = xmlschema.XMLSchema(Path(__file__).parent / "schemas" / "junit.xsd")
PERFDATA = re.compile(r"[a-z_]+=-?[0-9.]+(?:s|)(?:;[0-9.:~@]*){0,4}")


# --- nagios -----------------------------------------------------------------------------------------------------


@FEW
@given(an_outcome())
def test_nagios_is_one_short_line_with_clean_perfdata(outcome: Outcome) -> None:
    text = render(outcome, book(), "nagios")
    assert text.count("\n") == 1
    words, _, data = text.rstrip("\n").partition(" | ")
    assert len(words) < 80
    assert "|" not in words
    assert words.startswith(f"MAILWHY {nagios.STATES[nagios.status(outcome)]} - ")
    for item in data.split():
        assert PERFDATA.fullmatch(item), item


@pytest.mark.parametrize(
    ("name", "state"),
    [("works", 0), ("tenant-off", 2), ("unreachable", 3), ("not-tried", 3), ("explain", 2), ("explain-nothing", 3)],
)
def test_nagios_states(name: str, state: int) -> None:
    assert nagios.status(outcomes()[name]) == state


@pytest.mark.parametrize(
    ("options", "state", "words"),
    [
        (Options(warn_days=190), 0, ""),
        (Options(warn_days=191), 1, "(SMTP certificate: 190 days left)"),
        (Options(warn_days=300, crit_days=191), 2, "(SMTP certificate: 190 days left)"),
        (Options(warn_seconds=0.8), 0, ""),
        (Options(warn_seconds=0.79), 1, "(SMTP took 0.8 s)"),
        (Options(warn_seconds=0.5, crit_seconds=0.6), 2, "(SMTP took 0.8 s)"),
    ],
)
def test_nagios_limits(options: Options, state: int, words: str) -> None:
    outcome = outcomes()["works"]
    assert nagios.status(outcome, options) == state
    line = render(outcome, book(), "nagios", options)
    assert line.startswith(f"MAILWHY {nagios.STATES[state]} - SMTP works {words}".strip())


def test_a_limit_never_makes_a_refusal_better() -> None:
    outcome = outcomes()["tenant-off"]
    assert nagios.status(outcome, Options(warn_days=9999, crit_days=1)) == 2
    assert nagios.status(replace(outcome, exit=Exit.UNKNOWN), Options(warn_days=9999, crit_days=1)) == 3


# --- prometheus -------------------------------------------------------------------------------------------------


def metrics(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"twice: {key}"
            found[key] = sample.value
    return found


@FEW
@given(st.lists(an_outcome(), max_size=3), st.booleans())
def test_the_official_parser_reads_every_outcome(many: list[Outcome], users: bool) -> None:
    metrics(render_many(many, book(), "prometheus", Options(users=users)))
    for outcome in many:
        metrics(render(outcome, book(), "prometheus", Options(users=users)))


def test_the_numbers_are_those_of_the_outcome() -> None:
    found = metrics(render(outcomes()["tenant-off"], book(), "prometheus"))
    smtp = frozenset({("protocol", "smtp")})
    assert found["probe_success", smtp] == 0
    assert found["probe_smtp_status_code", smtp] == 535
    assert found["probe_duration_seconds", smtp] == 5.25
    assert found["probe_ssl_earliest_cert_expiry", smtp] == 1811808000
    assert found["probe_mail_duration_seconds", smtp | {("phase", "auth")}] == 5.1
    assert found["mailwhy_cause_info", smtp | {("cause", "org.smtp_auth_disabled"), ("rank", "1")}] == 1
    assert metrics(render(outcomes()["works"], book(), "prometheus"))["probe_success", smtp] == 1


def test_names_of_people_only_on_request() -> None:
    assert "scanner" not in render(outcomes()["tenant-off"], book(), "prometheus")
    assert 'mailbox="scanner@contoso.com"' in render(outcomes()["works"], book(), "prometheus", Options(users=True))


# --- csv --------------------------------------------------------------------------------------------------------


@FEW
@given(an_outcome())
def test_csv_has_a_row_a_protocol_and_no_formula(outcome: Outcome) -> None:
    table = list(csv.reader(io.StringIO(render(outcome, book(), "csv"))))
    assert tuple(table[0]) == COLUMNS
    assert len(table) == 1 + max(1, len(outcome.diagnoses))
    for row in table[1:]:
        assert len(row) == len(COLUMNS)
        assert not any(value.startswith(("=", "+", "-", "@", "\t", "\r")) for value in row)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1+1", "\t=1", "\r\n=1"])
def test_no_cell_becomes_a_formula(text: str) -> None:
    assert cell(text).startswith("'")


def test_csv_columns_carry_what_they_say() -> None:
    rows = list(csv.DictReader(io.StringIO(render(outcomes()["tenant-off"], book(), "csv"))))
    assert [row["protocol"] for row in rows] == ["smtp", "imap", "pop"]
    assert rows[0]["cause"] == "org.smtp_auth_disabled"
    assert (rows[0]["status"], rows[0]["enhanced"], rows[0]["server_time"]) == (
        "535",
        "5.7.139",
        "2026-11-22T09:14:30.912Z",
    )


# --- junit ------------------------------------------------------------------------------------------------------


@FEW
@given(st.lists(an_outcome(), max_size=3))
def test_junit_keeps_its_schema_and_counts_right(many: list[Outcome]) -> None:
    text = render_many(many, book(), "junit")
    JUNIT.validate(text)
    root = ET.fromstring(text)
    assert len(root.findall("testsuite/testcase")) == sum(len(outcome.diagnoses) for outcome in many)
    for suite in root:
        for kind, plural in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert int(suite.get(plural, "-1")) == len(suite.findall(f"testcase/{kind}"))
    assert int(root.get("tests", "-1")) == len(root.findall("testsuite/testcase"))


def test_the_junit_schema_can_refuse() -> None:
    text = render(outcomes()["tenant-off"], book(), "junit")
    for good, bad in ((' type="', ' kind="'), (' tests="', ' runs="'), ('time="5.250"', 'time="5,2"')):
        assert JUNIT.is_valid(text)
        assert good in text
        assert not JUNIT.is_valid(text.replace(good, bad))


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("works", [None]),
        ("tenant-off", ["failure", "skipped", "skipped"]),
        ("not-tried", ["skipped"]),
        ("unreachable", ["error", "error"]),
    ],
)
def test_junit_kinds(name: str, kinds: list[str | None]) -> None:
    root = ET.fromstring(render(outcomes()[name], book(), "junit"))
    found = [case[0].tag if len(case) else None for case in root.iter("testcase")]
    assert found == kinds


def test_stage_times_add_up() -> None:
    outcome = judged("check", USER, signed_in(Protocol.SMTP), refused(Protocol.IMAP, "A1 NO LOGIN failed."))
    assert outcome.diagnoses[0].attempt.ok(Stage.AUTH)
    root = ET.fromstring(render(outcome, book(), "junit"))
    total = sum(float(case.get("time", "0")) for case in root.iter("testcase"))
    assert float(root[0].get("time", "0")) == pytest.approx(total)
