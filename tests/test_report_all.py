"""What holds for every format: the snapshots, harmless whatever comes in, and no network stack behind a report.

UPDATE_SNAPSHOTS=1 writes the snapshots anew; read the difference before you commit it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes import book, outcomes
from strategies import FEW, an_outcome

from mailwhy.model import Outcome
from mailwhy.report import FORMATS, MANY, Options, render, render_many

HOME = Path(__file__).parent / "snapshots"
ENDINGS = {"markdown": "md", "prometheus": "prom", "junit": "xml", "human": "txt", "nagios": "txt"}
UPDATE = bool(os.environ.get("UPDATE_SNAPSHOTS"))
OPTIONS = Options(utc_offset="+01:00")
# what may act on a terminal or turn a line round: C0 but for the line end, DEL, C1, bidi, lone surrogates
ACTS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def snapshot(format_: str, name: str, text: str) -> None:
    path = HOME / format_ / f"{name}.{ENDINGS.get(format_, format_)}"
    if UPDATE:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    assert path.exists(), f"{path} is not there: UPDATE_SNAPSHOTS=1 writes it"
    assert text == path.read_text(encoding="utf-8")


# these two carry whole pages of the handbook: a few say as much as all
FEW_OF = {
    "json": ("works", "tenant-off", "hostile", "bare", "explain"),
    "html": ("works-imap-retired", "tenant-off", "hostile", "explain"),
}


@pytest.mark.parametrize(
    ("format_", "name"), [(format_, name) for format_ in FORMATS for name in FEW_OF.get(format_, tuple(outcomes()))]
)
def test_snapshots(format_: str, name: str) -> None:
    snapshot(format_, name, render(outcomes()[name], book(), format_, OPTIONS))


@pytest.mark.parametrize("format_", FORMATS)
def test_an_ipv6_address_before_a_port_stands_in_brackets(format_: str) -> None:
    """Without them `::1:587` would be another address. Columns and JSON have the host alone, as it is."""
    outcome = outcomes()["unreachable"]
    at = replace(outcome.diagnoses[0].attempt.target, host="2001:db8::1", port=587)
    diagnosis = replace(outcome.diagnoses[0], attempt=replace(outcome.diagnoses[0].attempt, target=at))
    findings = tuple(replace(finding, target=at) for finding in outcome.findings)
    said = render(replace(outcome, diagnoses=(diagnosis,), findings=findings), book(), format_, OPTIONS)
    assert "2001:db8::1:587" not in said
    assert ("[2001:db8::1]:587" in said) is (format_ in {"human", "json", "markdown", "html", "junit"})
    if format_ == "json":
        assert json.loads(said)["diagnoses"][0]["target"]["host"] == "2001:db8::1"
    if format_ == "csv":
        assert "2001:db8::1,587" in said


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tenant-off.quiet", Options(verbosity=-1)),
        ("tenant-off.v", Options(verbosity=1)),
        ("tenant-off.vv", Options(verbosity=2)),
        ("tenant-off.narrow", Options(width=20)),
        ("tenant-off.wide", Options(width=500)),
        ("tenant-off.color", Options(color=True)),
    ],
)
def test_snapshots_of_how_much(name: str, options: Options) -> None:
    snapshot("human", name, render(outcomes()["tenant-off"], book(), "human", options))


@pytest.mark.parametrize("format_", sorted(MANY - {"json", "markdown", "html"}))
def test_snapshots_of_many(format_: str) -> None:
    snapshot(format_, "many", render_many(outcomes().values(), book(), format_, OPTIONS))


@pytest.mark.skipif(UPDATE, reason="they are being written")
def test_no_snapshot_is_left_over() -> None:
    known = {*outcomes(), "many", *(f"tenant-off.{how}" for how in ("quiet", "v", "vv", "narrow", "wide", "color"))}
    assert {path.stem for path in HOME.glob("*/*")} == known
    assert {path.name for path in HOME.iterdir()} == set(FORMATS)


@pytest.mark.parametrize("format_", FORMATS)
@FEW
@given(outcome=an_outcome(), width=st.integers(-1, 500), verbosity=st.integers(-1, 2))
def test_never_raises_and_never_acts_on_a_terminal(format_: str, outcome: Outcome, width: int, verbosity: int) -> None:
    text = render(outcome, book(), format_, Options(width=width, verbosity=verbosity))
    assert text.endswith("\n")
    assert not ACTS.search(text)


@pytest.mark.parametrize("format_", sorted(MANY))
def test_many_may_be_none(format_: str) -> None:
    assert not ACTS.search(render_many((), book(), format_))


def test_one_line_formats_have_no_many() -> None:
    with pytest.raises(KeyError):
        render_many((), book(), "nagios")


@pytest.mark.parametrize("format_", FORMATS)
def test_no_format_pays_for_the_network(format_: str) -> None:
    program = (
        f"import sys; from mailwhy.report import FORMATS; import mailwhy.report.{FORMATS[format_]};"
        "print(sorted({'asyncio', 'ssl', 'socket', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
