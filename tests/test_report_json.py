"""The JSON contract: the committed schema, the way back to the evidence, JSON Lines."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from outcomes import book, outcomes
from strategies import FEW, an_outcome

from mailwhy.model import Fault, Outcome, Password, Protocol, Stage, Tls, Verdict
from mailwhy.plain import NotPlainError
from mailwhy.record import attempts_of
from mailwhy.report import render, render_many
from mailwhy.report.json import times

SCHEMA: Any = json.loads(resources.files("mailwhy.report").joinpath("schema.json").read_text(encoding="utf-8"))
CHECK = jsonschema.Draft202012Validator(SCHEMA)


def parsed(outcome: Outcome) -> Any:
    return json.loads(render(outcome, book(), "json"))


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", outcomes())
def test_reports_keep_the_contract(name: str) -> None:
    CHECK.validate(parsed(outcomes()[name]))


@FEW
@given(an_outcome())
def test_every_outcome_keeps_the_contract_and_leads_back_to_its_evidence(outcome: Outcome) -> None:
    data = parsed(outcome)
    CHECK.validate(data)
    account, attempts = attempts_of(data)
    assert account == outcome.account
    assert attempts == tuple(d.attempt for d in outcome.diagnoses)


@pytest.mark.parametrize(
    ("where", "values"),
    [
        ("verdict", Verdict),
        ("protocol", Protocol),
        (("step", "stage"), Stage),
        (("step", "fault"), Fault),
        (("target", "tls"), Tls),
        (("diagnosis", "password"), Password),
    ],
)
def test_the_schema_knows_every_word(where: str | tuple[str, str], values: Any) -> None:
    here = SCHEMA["$defs"][where] if isinstance(where, str) else SCHEMA["$defs"][where[0]]["properties"][where[1]]
    assert {word for word in here["enum"] if word} == {value.value for value in values}


def test_the_schema_refuses_what_is_not_a_report() -> None:
    data = parsed(outcomes()["tenant-off"])
    for key in SCHEMA["required"]:
        assert not CHECK.is_valid({k: v for k, v in data.items() if k != key}), key
    data["diagnoses"][0]["steps"][0]["password"] = "x"
    assert not CHECK.is_valid(data)


def test_times_are_cumulative_and_named_as_curl_names_them() -> None:
    found = times(outcomes()["tenant-off"].diagnoses[0].attempt)
    assert found == {
        "time_namelookup": 0.012,
        "time_connect": 0.035,
        "time_appconnect": 0.126,
        "time_pretransfer": 0.15,
        "time_starttransfer": 5.25,
        "time_total": 5.25,
    }
    assert set(times(outcomes()["bare"].diagnoses[0].attempt).values()) == {None}


def test_many_are_one_a_line() -> None:
    lines = render_many(outcomes().values(), book(), "json").splitlines()
    assert [json.loads(line)["verdict"] for line in lines] == [o.verdict.value for o in outcomes().values()]


def test_commands_carry_the_mailbox() -> None:
    text = render(outcomes()["tenant-off"], book(), "json")
    assert "{mailbox}" not in text


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "mailwhy/1",
        {},
        {"schema": "mailwhy/2", "account": {}, "diagnoses": []},
        {"schema": "mailwhy/1"},
        {"schema": "mailwhy/1", "account": {}, "diagnoses": {}},
        {"schema": "mailwhy/1", "account": {}, "diagnoses": [None]},
        {"schema": "mailwhy/1", "account": {"pass": "x"}, "diagnoses": []},
        {"schema": "mailwhy/1", "account": {}, "diagnoses": [{"target": {"protocol": "nntp"}}]},
    ],
)
def test_what_is_not_a_report_is_refused(data: Any) -> None:
    with pytest.raises(NotPlainError):
        attempts_of(data)
