"""JUnit XML: one test case per mailbox and protocol. A refusal is a failure, what could not be found out an error."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from ..model import Diagnosis, Knowledge, Outcome, Verdict
from . import Options
from . import words as w

FAILED = frozenset({Verdict.NAMED, Verdict.NARROWED, Verdict.OFF_BY_DEFAULT})
SKIPPED = frozenset({Verdict.NOT_TRIED, Verdict.RETIRED})
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(outcome: Outcome, knowledge: Knowledge, options: Options) -> str:
    """One suite."""
    return render_many((outcome,), knowledge, options)


def render_many(outcomes: Iterable[Outcome], knowledge: Knowledge, options: Options) -> str:
    """One suite per mailbox."""
    root = ET.Element("testsuites")
    for number, outcome in enumerate(outcomes):
        _suite(root, outcome, knowledge, number)
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    root.set("name", "mailwhy")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, outcome: Outcome, knowledge: Knowledge, number: int) -> None:
    mailbox = outcome.account.mailbox or outcome.account.login or outcome.command
    suite = ET.SubElement(root, "testsuite", {"name": _xml(mailbox), "id": str(number), "package": "mailwhy"})
    counts = {"failure": 0, "error": 0, "skipped": 0}
    for diagnosis in outcome.diagnoses:
        if kind := _case(suite, diagnosis, outcome, knowledge):
            counts[kind] += 1
    suite.set("tests", str(len(outcome.diagnoses)))
    for kind, plural in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(plural, str(counts[kind]))
    suite.set("time", f"{sum(w.total(d.attempt) for d in outcome.diagnoses):.3f}")
    if moment := w.instant(outcome.started):
        suite.set("timestamp", f"{moment:%Y-%m-%dT%H:%M:%S}")


def _case(suite: ET.Element, diagnosis: Diagnosis, outcome: Outcome, knowledge: Knowledge) -> str | None:
    attempt = diagnosis.attempt
    protocol = w.name(attempt.target.protocol)
    where = w.place(attempt.target) or w.lines_words(attempt)
    case = ET.SubElement(
        suite,
        "testcase",
        {
            "name": _xml(f"{protocol} {where}"),
            "classname": _xml(f"mailwhy.{outcome.account.mailbox or outcome.command}"),
            "time": f"{w.total(attempt):.3f}",
        },
    )
    if diagnosis.verdict is Verdict.WORKS:
        return None
    titles = [w.cause_of(finding, knowledge).title for finding in diagnosis.findings]
    message = "; ".join([f"{protocol} {w.said(diagnosis)}", *titles[:1]])
    if diagnosis.verdict in SKIPPED:
        ET.SubElement(case, "skipped", {"message": _xml(attempt.held_back or message)})
        return "skipped"
    kind = "failure" if diagnosis.verdict in FAILED else "error"
    first = diagnosis.findings[0].cause if diagnosis.findings else diagnosis.verdict.value
    problem = ET.SubElement(case, kind, {"message": _xml(message), "type": _xml(first)})
    lines = [w.verbatim(diagnosis), f"{w.secret_of(diagnosis)}: {w.looked(diagnosis)}."]
    lines += [f"{number}. {title}" for number, title in enumerate(titles, 1)]
    problem.text = "\n".join(_xml(line) for line in lines if line)
    return kind


def _xml(text: str) -> str:
    """Characters that XML 1.0 has no place for become visible."""
    return NOT_XML.sub(lambda found: f"\\u{ord(found.group()):04x}", w.clean(text))
