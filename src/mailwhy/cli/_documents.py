"""What `batch --output` writes: all results as one document, read anew from the evidence in the results file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from .. import diagnose
from ..batch.results import records
from ..model import Exit, JsonValue, Knowledge, Notice, Outcome, Verdict
from ..plain import from_plain
from ..record import attempts_of
from ..report import MANY, Options, render_many
from ..signs import Signs
from ._output import file_of, local_offset, write_file


def of_many(spec: str) -> tuple[Path, str]:
    """One `--output`. Raises UsageError for a format that is for one mailbox."""
    path, format_ = file_of(spec)
    if format_ not in MANY:
        raise click.UsageError(f"--output {spec}: {format_} is for one mailbox; take {', '.join(sorted(MANY))}")
    return path, format_


def write_documents(
    files: tuple[tuple[Path, str], ...], results: Path, knowledge: Knowledge, *, overwrite: bool
) -> None:
    """All results so far as one document a file, in the order of the list. Raises UsageError."""
    if not files:
        return
    signs = Signs(knowledge.signs)
    found = sorted(records(results), key=lambda record: int(record["row"]))
    for path, format_ in files:
        outcomes = (again(record, knowledge, signs) for record in found)
        options = Options(utc_offset=local_offset())
        text = render_many(outcomes, knowledge, format_, options)
        write_file(path, text, overwrite=overwrite)


def again(report: JsonValue, knowledge: Knowledge, signs: Signs) -> Outcome:
    """The outcome that a report of ours tells of: its evidence read anew, its verdict and exit code as they were.

    NotPlainError, KeyError or ValueError where it was changed by hand.
    """
    account, attempts = attempts_of(report)
    outside = frozenset(map(str, report["facts"]))
    diagnoses = diagnose.diagnose(attempts, account, knowledge, report["as_of"], outside, signs)
    found = diagnose.outcome(
        report["command"],
        account,
        diagnoses,
        knowledge,
        report["as_of"],
        outside=outside,
        started=report["started"],
        finished=report["finished"],
        notices=[from_plain(Notice, notice) for notice in report["notices"]],
    )
    return replace(found, verdict=Verdict(report["verdict"]), exit=Exit(report["exit"]))
