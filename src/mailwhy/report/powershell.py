"""Puts addresses into the handbook's commands, quoted so that they stay values and never become commands.

Pure. A placeholder whose address is not known becomes `<mailbox>`, which PowerShell and a shell refuse to run.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..model import Account, Action
from ..shape import Shape

PLACEHOLDER = Shape(r"\{(mailbox|login|sender)\}", holds=("{mailbox}", "{login}", "{sender}"))
# PowerShell ends a single-quoted string at a typographic quote, too
SINGLE_QUOTES = "['\u2018\u2019\u201a\u201b]"


def quoted(value: str) -> str:
    """The value as a PowerShell single-quoted string: nothing in it is expanded.

    Raises ValueError for control and format characters (line ends, bidi overrides): a pasted line must stay one line
    and read as it acts.
    """
    _refuse_invisible(value)
    return "'" + re.sub(SINGLE_QUOTES, lambda found: found[0] * 2, value) + "'"


def shell_quoted(value: str) -> str:
    """The same for a POSIX shell; a plain address stays as it is, which suits other shells as well."""
    import shlex

    _refuse_invisible(value)
    return shlex.quote(value)


def url_quoted(value: str) -> str:
    """The same for one part of an address of Microsoft Graph."""
    from urllib.parse import quote

    _refuse_invisible(value)
    return quote(value, safe="@")


def _refuse_invisible(value: str) -> None:
    import unicodedata

    if bad := next((char for char in value if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")), None):
        raise ValueError(f"U+{ord(bad):04X} cannot stand in a command")


def fill(command: str, account: Account, quoting: Callable[[str], str] = quoted) -> str:
    """The command with its placeholders filled: the mailbox defaults to the login, the sender to the mailbox."""
    mailbox = account.mailbox or account.login
    values = {"mailbox": mailbox, "login": account.login or mailbox, "sender": account.sender or mailbox}

    def value_of(found: re.Match[str]) -> str:
        value = values[found[1]]
        return quoting(value) if value else f"<{found[1]}>"

    return PLACEHOLDER.sub(value_of, command)


def command_of(action: Action, account: Account) -> str:
    """What the action says to run, filled for the place where it runs; "" where nothing is to be run."""
    if "PowerShell" in action.where:
        return fill(action.run, account)
    return fill(action.run, account, url_quoted if action.where == "Graph Explorer" else shell_quoted)
