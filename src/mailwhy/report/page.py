"""One page of the handbook as text, markdown or JSON values. Pure: a Cause comes in, text goes out.

The `causes` command shows whole pages; the human report takes `steps` for "what to do".
Commands are never wrapped: what stands on one line can be copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ..model import Account, Action, Cause, JsonValue
from ..pages import located
from ..plain import to_plain
from .powershell import command_of
from .wrap import wrapped

NOBODY = Account()

# what whoever must act needs to be shown, by owner
NEEDS: dict[str, str] = {
    "you": "The server's full reply and the time of the attempt. Never show the password to anybody.",
    "device owner": (
        "The server's full reply, and the host, port, encryption and user name that are set in the device or "
        "program. Never the password."
    ),
    "tenant admin": (
        "The user, the time of the attempt in UTC, the internet address it came from, the client app "
        "(Authenticated SMTP, IMAP4 or POP3) and the server's full reply. With these the attempt can be found in "
        "the sign-in log."
    ),
    "network admin": (
        "The host and port, the device's own address, the time of the attempt in UTC, and the stage at which it ended."
    ),
    "Microsoft": (
        "The server's full reply with its server name, time and session id. Nobody in the organization can change this."
    ),
    "nobody": "The server's full reply. It can be waited for or gone around, not switched.",
}


def text(cause: Cause, width: int = 80, color: bool = False, account: Account = NOBODY) -> str:
    """The page for a terminal of `width` columns, with a final line end."""
    return "\n".join(_text_lines(located(cause), width, color, account)) + "\n"


def _text_lines(cause: Cause, width: int, color: bool, account: Account) -> Iterator[str]:
    yield from (bold(line) if color else line for line in wrapped(cause.title, width))
    yield cause.id
    for heading, lines in _sections(cause, width - 2, account):
        yield ""
        yield bold(heading) if color else heading
        yield from (f"  {line}" if line else "" for line in lines)


def _sections(cause: Cause, width: int, account: Account) -> Iterator[tuple[str, Sequence[str]]]:
    """Heading and lines of each section that has something to say, in reading order."""
    said: tuple[tuple[str, Iterable[str]], ...] = (
        ("Why", wrapped(cause.why, width)),
        ("Tonight", wrapped(cause.tonight, width)),
        ("Check", steps(cause.check, width, account)),
        ("Fix", steps(cause.fix, width, account)),
        ("What hardening baselines say", paragraphs(cause.baseline, width)),
        ("Where sources disagree", wrapped(cause.conflict, width)),
        ("Who must act", wrapped(acting(cause), width)),
        ("What they need to see", wrapped(NEEDS.get(cause.owner, ""), width)),
        ("How long it takes", wrapped(cause.delay, width)),
        ("How to undo it", steps(cause.undo, width, account)),
        ("Read more", cause.links),
        ("Also called", cause.aliases),
    )
    for heading, lines in said:
        if shown := tuple(lines):
            yield heading, shown


def acting(cause: Cause) -> str:
    """Who must act, and with which role."""
    owner = cause.owner[:1].upper() + cause.owner[1:]
    return f"{owner}. Role: {cause.role}" if cause.role else f"{owner}."


def steps(actions: Sequence[Action], width: int, account: Account = NOBODY) -> list[str]:
    """Numbered actions (a single one without number): place, words, the command on a line of its own, expectation."""
    lines: list[str] = []
    for number, action in enumerate(actions, 1):
        first = f"{number}. " if len(actions) > 1 else ""
        rest = " " * len(first)
        where = f"{action.where[:1].upper()}{action.where[1:]}:" if action.where else ""
        words = " ".join(part for part in (where, action.text) if part)
        lines += wrapped(words, width, first, rest)
        if action.run:
            lines += [f"{rest}    {command_of(action, account)}"]
        if action.expect:
            lines += wrapped(f"-> {action.expect}", width, rest, f"{rest}   ")
    return lines


def paragraphs(texts: Iterable[str], width: int) -> list[str]:
    """Each text wrapped, one after the other."""
    return [line for each in texts for line in wrapped(each, width)]


def bold(line: str) -> str:
    """The line in bold, for a terminal."""
    return f"\x1b[1m{line}\x1b[0m"


def markdown(cause: Cause, account: Account = NOBODY) -> str:
    """The page as markdown, for a ticket or a wiki, with a final line end."""
    cause = located(cause)
    lines = [f"# {escaped(cause.title)}", "", f"`{cause.id}`"]
    for heading, body in (
        ("Why", [escaped(cause.why)] if cause.why else []),
        ("Tonight", [escaped(cause.tonight)] if cause.tonight else []),
        ("Check", _markdown_steps(cause.check, account)),
        ("Fix", _markdown_steps(cause.fix, account)),
        ("What hardening baselines say", [f"- {escaped(each)}" for each in cause.baseline]),
        ("Where sources disagree", [escaped(cause.conflict)] if cause.conflict else []),
        ("Who must act", [escaped(acting(cause))]),
        ("What they need to see", [escaped(NEEDS[cause.owner])] if cause.owner in NEEDS else []),
        ("How long it takes", [escaped(cause.delay)] if cause.delay else []),
        ("How to undo it", _markdown_steps(cause.undo, account)),
        ("Read more", [f"- <{link}>" for link in cause.links]),
        ("Also called", [f"- `{alias}`" for alias in cause.aliases]),
    ):
        if body:
            lines += ["", f"## {heading}", "", *body]
    return "\n".join(lines) + "\n"


def _markdown_steps(actions: Sequence[Action], account: Account) -> list[str]:
    lines: list[str] = []
    for number, action in enumerate(actions, 1):
        where = f"**{escaped(action.where)}**" if action.where else ""
        lines.append(f"{number}. " + " ".join(part for part in (where, escaped(action.text)) if part))
        if action.run:
            lines += ["", "   ```", f"   {command_of(action, account)}", "   ```"]
        if action.expect:
            lines += ["", f"   Expect: {escaped(action.expect)}"]
    return lines


def escaped(words: str) -> str:
    """The words with what markdown would take for marks made harmless."""
    return re.sub(r"([\\`*_<>\[\]|])", r"\\\1", words)


def json(cause: Cause) -> JsonValue:
    """The page as JSON values: the noun as it is, placeholders unfilled."""
    return to_plain(cause)
