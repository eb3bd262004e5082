"""A PowerShell script out of a results file: for each mailbox a look, a question, the change; then the undo. Pure.

Never run by us. The commands are the handbook's, with the addresses filled in and quoted when the result was made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .results import group_of

_SINGLE = re.compile("['\u2018\u2019\u201a\u201b]")  # PowerShell ends a string at each of them
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_FINDING_VERDICTS = ("named", "narrowed", "off_by_default")

HEAD = """\
# Written by mailwhy from {source}; nothing in it was run.
# For each mailbox: a read-only look, a question, the change. Answer yes to make it, anything else leaves it.
# The undo of every change stands at the end, commented out.
#Requires -Modules ExchangeOnlineManagement
$ErrorActionPreference = 'Stop'
# Connect-ExchangeOnline     (government clouds and 21Vianet: with -ExchangeEnvironmentName)

function Approve([string] $What) {{ (Read-Host "$What  -- make this change? (yes/no)") -ceq 'yes' }}
"""


def script(records: Callable[[], Iterable[Mapping[str, Any]]], source: str) -> Iterator[str]:
    """The script, piece by piece. `records` is asked once for each cause and once more, so that memory stays flat."""
    yield HEAD.format(source=_comment(source))
    causes = _causes(records())
    if not causes:
        yield "\n# No result has a change that PowerShell could make.\n"
        return
    for cause, (title, count) in causes.items():
        yield f"\n# === {_comment(cause)}: {_comment(title)} ({count} mailbox{'es' if count != 1 else ''})\n"
        yield from _changes(cause, records(), count)
    yield "\n# === Undo (take the # away from what is to be taken back)\n"
    seen: set[str] = set()
    for record in records():
        for command in _commands(record, "undo") if group_of(record) in causes else ():
            if _own(record, command) or command not in seen:
                seen |= set() if _own(record, command) else {command}
                yield f"# {command}\n"


def _causes(records: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, int]]:
    """The causes whose page has a change for PowerShell: cause -> title, mailboxes."""
    found: dict[str, tuple[str, int]] = {}
    for record in records:
        if record["verdict"] in _FINDING_VERDICTS and _commands(record, "fix"):
            finding = record["findings"][0]
            count = found.get(finding["cause"], ("", 0))[1]
            found[finding["cause"]] = (str(finding.get("title", "")), count + 1)
    return found


def _changes(cause: str, records: Iterable[Mapping[str, Any]], count: int) -> Iterator[str]:
    number = 0
    once: set[str] = set()
    for record in records:
        if group_of(record) != cause or record["verdict"] not in _FINDING_VERDICTS:
            continue
        number += 1
        finding = record["findings"][0]
        if number == 1:
            yield from (f"# Baseline: {_comment(line)}\n" for line in finding.get("baseline", ()))
        account = record["account"]
        yield f"\n# {number} of {count}: {_comment(account.get('mailbox') or account['login'])}\n"
        if others := [other["cause"] for other in record["findings"][1:]]:
            yield f"# Not certain. Also possible: {_comment(', '.join(others))}\n"
        for action in finding.get("check", ()):
            if (command := _command(action)) and _read_only(command) and (_own(record, command) or command not in once):
                once |= set() if _own(record, command) else {command}
                yield f"{command}\n"
                yield f"# expected: {_comment(action['expect'])}\n" if action.get("expect") else ""
        for command in _commands(record, "fix"):
            if _own(record, command) or command not in once:
                once |= set() if _own(record, command) else {command}
                yield f"if (Approve {_quoted(command)}) {{\n    {command}\n}}\n"


def _commands(record: Mapping[str, Any], part: str) -> list[str]:
    if not record.get("findings"):
        return []
    return [command for action in record["findings"][0].get(part, ()) if (command := _command(action))]


def _command(action: Mapping[str, Any]) -> str:
    """The action's command, where it is one for PowerShell and stands on one line."""
    run = str(action.get("run", ""))
    shell = "powershell" in str(action.get("where", "")).casefold()
    return run if run and shell and not _INVISIBLE.search(run) and "<" not in run else ""


def _read_only(command: str) -> bool:
    return command.startswith(("Get-", "Test-", "Search-"))


def _own(record: Mapping[str, Any], command: str) -> bool:
    """Whether the command is about this mailbox; others are about the organization and stand once."""
    account = record["account"]
    return any(_quoted(str(account[key])) in command for key in ("login", "mailbox", "sender") if account.get(key))


def _quoted(text: str) -> str:
    return "'" + _SINGLE.sub(lambda found: found[0] * 2, text) + "'"


def _comment(text: str) -> str:
    return _INVISIBLE.sub(" ", str(text))
