"""The JSON contract, schema "mailwhy/1" (schema.json beside this file). Never a secret: the model cannot hold one.

Fields may be added within version 1; none is renamed, removed or given another type. `record.attempts_of` is
the way back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from .. import __version__
from ..model import Account, Action, Attempt, Diagnosis, Finding, Knowledge, Outcome, Reply, Stage
from ..plain import to_plain
from ..record import SCHEMA
from . import Options
from .words import apart, cause_of, command, fill


def render(outcome: Outcome, knowledge: Knowledge, options: Options) -> str:
    """One object, indented, with a final line end."""
    return json.dumps(plain(outcome, knowledge), indent=2, ensure_ascii=True) + "\n"


def render_many(outcomes: Iterable[Outcome], knowledge: Knowledge, options: Options) -> str:
    """JSON Lines: one object a line."""
    return "".join(line(outcome, knowledge) for outcome in outcomes)


def line(outcome: Outcome, knowledge: Knowledge) -> str:
    """One outcome as one line of JSON Lines, with its line end."""
    return json.dumps(plain(outcome, knowledge), ensure_ascii=True, separators=(",", ":")) + "\n"


def plain(outcome: Outcome, knowledge: Knowledge) -> dict[str, Any]:
    """The outcome as the contract has it, in JSON values."""
    account = outcome.account
    return {
        "schema": SCHEMA,
        "command": outcome.command,
        "tool": f"mailwhy {__version__}",
        "as_of": outcome.as_of,
        "started": outcome.started,
        "finished": outcome.finished,
        "account": to_plain(account),
        "facts": to_plain(outcome.facts),
        "notices": to_plain(outcome.notices),
        "diagnoses": [_diagnosis(diagnosis, knowledge) for diagnosis in outcome.diagnoses],
        "replies": list(_replies(outcome.diagnoses)),
        "verdict": outcome.verdict.value,
        "exit": int(outcome.exit),
        "findings": [_finding(finding, account, knowledge) for finding in outcome.findings],
        "ruled_out": to_plain(outcome.ruled_out),
    }


def _diagnosis(diagnosis: Diagnosis, knowledge: Knowledge) -> dict[str, Any]:
    attempt = diagnosis.attempt
    return {
        "target": to_plain(attempt.target),
        "credential": to_plain(attempt.kind),
        "started": attempt.started,
        "held_back": attempt.held_back,
        "verdict": diagnosis.verdict.value,
        "password": diagnosis.password.value,
        "sign": diagnosis.sign,
        "steps": to_plain(attempt.steps),
        "times": times(attempt),
        "findings": [_finding(finding, diagnosis.account, knowledge) for finding in diagnosis.findings],
        "ruled_out": to_plain(diagnosis.ruled_out),
        "notices": to_plain(diagnosis.notices),
        "given": to_plain(attempt.facts),
        "facts": to_plain(diagnosis.facts),
        "seen": to_plain(attempt.seen),
    }


def times(attempt: Attempt) -> dict[str, float | None]:
    """Cumulative seconds from the start, named as curl names them; None for what did not happen.

    pretransfer is when the sign-in begins, starttransfer when its answer was there.
    """
    ends: dict[Stage, float] = {step.stage: step.at + step.seconds for step in attempt.steps}
    auth = attempt.stage(Stage.AUTH)
    return {
        "time_namelookup": _rounded(ends.get(Stage.DNS)),
        "time_connect": _rounded(ends.get(Stage.TCP)),
        "time_appconnect": _rounded(ends.get(Stage.TLS)),
        "time_pretransfer": _rounded(auth[0].at if auth else None),
        "time_starttransfer": _rounded(ends.get(Stage.AUTH)),
        "time_total": _rounded(max(ends.values(), default=None)),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _finding(finding: Finding, account: Account, knowledge: Knowledge) -> dict[str, Any]:
    cause = cause_of(finding, knowledge)
    return {
        "cause": finding.cause,
        "title": cause.title,
        "sign": finding.sign,
        "basis": finding.basis.value,
        "owner": cause.owner,
        "because": list(finding.because),
        "told_apart_by": [apart(text, finding, account) for text in finding.told_apart_by],
        "note": finding.note,
        "why": fill(cause.why, account),
        "tonight": fill(cause.tonight, account),
        "check": _actions(cause.check, account),
        "fix": _actions(cause.fix, account),
        "undo": _actions(cause.undo, account),
        "delay": cause.delay,
        "role": cause.role,
        "conflict": cause.conflict,
        "transient": cause.transient,
        "baseline": list(cause.baseline),
        "links": list(cause.links),
    }


def _actions(actions: Iterable[Action], account: Account) -> list[dict[str, str]]:
    return [
        {
            "text": fill(action.text, account),
            "run": command(action, account),
            "where": action.where,
            "expect": fill(action.expect, account),
        }
        for action in actions
    ]


def _replies(diagnoses: Iterable[Diagnosis]) -> Iterator[dict[str, str | None]]:
    """Every server answer in order, the inner ones after those that carry them."""
    for diagnosis in diagnoses:
        for step in diagnosis.attempt.steps:
            reply = step.reply
            while reply:
                yield _reply(reply, diagnosis.attempt)
                reply = reply.inner


def _reply(reply: Reply, attempt: Attempt) -> dict[str, str | None]:
    return {
        "protocol": (reply.protocol or attempt.target.protocol).value,
        "status": reply.status,
        "enhanced": reply.enhanced,
        "text": reply.text,
        "server": reply.server,
        "time": reply.time,
        "session": reply.session,
    }
