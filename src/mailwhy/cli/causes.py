"""`mailwhy causes`: browse the handbook. Offline; never starts a connection, imports neither asyncio nor ssl."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence

import click

from ..knowledge import handbook, load
from ..model import Cause, Exit, Knowledge
from ..report import page
from ..report.wrap import wrapped
from ..signs import Signs, squash, word_pattern
from ._ends import tell
from ._options import HINTS, complete_cause

# first part of the id -> heading; the order is the order of the list
GROUPS: dict[str, str] = {
    "app-password": "Before the first sign-in",
    "credentials": "User name and password",
    "account": "The account",
    "org": "Closed by the organization",
    "mailbox": "Closed for the mailbox",
    "service": "Microsoft's service",
    "client": "The program or device",
    "network": "The way to the server",
    "sender": "The sender",
    "relay": "Sending without a sign-in",
    "oauth": "Tokens (OAuth)",
}
FORMATS = ("human", "markdown", "json")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("cause_id", metavar="[ID]", required=False, shell_complete=complete_cause)
@click.option("--search", metavar="TEXT", help="Only pages that speak of TEXT; a pasted server reply finds its pages.")
@click.option("--facts", is_flag=True, help="List what can be told with --fact, and what it means.")
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), default="human", show_default=True, help="How to show."
)
def command(cause_id: str | None, search: str | None, facts: bool, format_: str) -> None:
    """Browse the handbook of causes: why a sign-in fails, and what opens it.

    Without ID it lists all pages. ID is a cause's id or one of its aliases.
    """
    if (cause_id is not None) + (search is not None) + facts > 1:
        raise click.UsageError("give one of ID, --search and --facts")
    if facts:
        click.echo(_facts(load(), format_), nl=False)
        return
    pages = handbook()
    if cause_id is not None:
        click.echo(_page(_named(cause_id, pages), format_), nl=False)
        return
    chosen = list(pages.values()) if search is None else found(search, pages, load())
    if not chosen:
        tell(f"No page speaks of {search!r}. `mailwhy causes` lists all; `mailwhy explain` reads a log.")
        sys.exit(Exit.UNKNOWN)
    click.echo(_listing(chosen, format_, grouped=search is None), nl=False)


def _facts(knowledge: Knowledge, format_: str) -> str:
    """The facts that only a person can know, with their meaning; as JSON every declared one."""
    if format_ == "json":
        return json.dumps({"facts": dict(knowledge.facts)}, indent=2, ensure_ascii=False) + "\n"
    hints = {name.replace("*", "NUMBER"): text for name, text in knowledge.facts.items() if name.startswith(HINTS)}
    if format_ == "markdown":
        return "\n".join(["| fact | meaning |", "|---|---|", *(f"| `{n}` | {t} |" for n, t in hints.items())]) + "\n"
    wide = max(map(len, hints)) + 2
    lines = [f"{name:<{wide}}{text}" for name, text in hints.items()]
    return "\n".join([*lines, "", "mailwhy check ADDRESS --fact NAME uses one; --format json lists all names."]) + "\n"


def _named(name: str, pages: Mapping[str, Cause]) -> Cause:
    """The page with this id or alias, in any case. UsageError (exit 2) with suggestions otherwise."""
    names = {each.casefold(): cause for cause in pages.values() for each in (cause.id, *cause.aliases)}
    wanted = name.strip().casefold()
    if wanted in names:
        return names[wanted]
    import difflib

    inside = [each for each in names if len(wanted) > 2 and wanted in each]
    close = dict.fromkeys([*inside, *difflib.get_close_matches(wanted, names, n=3, cutoff=0.6)])
    hint = f" Did you mean {' or '.join(list(close)[:3])}?" if close else ""
    raise click.UsageError(f"there is no page {name!r}.{hint} `mailwhy causes` lists them all.")


def found(search: str, pages: Mapping[str, Cause], knowledge: Knowledge) -> list[Cause]:
    """The pages that speak of the text: by name and title first, then by what the server says, then by the words."""
    words = search.casefold().split()
    if not words:
        return []

    def holds(*texts: str) -> bool:
        said = " ".join(texts).casefold()
        return all(word in said for word in words)

    by_name = [cause.id for cause in pages.values() if holds(cause.id, *cause.aliases, cause.title)]
    by_words = [cause.id for cause in pages.values() if holds(cause.id, *cause.aliases, cause.title, cause.why)]
    ids = dict.fromkeys([*by_name, *_by_sign(search, knowledge), *by_words])
    return [pages[each] for each in ids if each in pages]


def _by_sign(search: str, knowledge: Knowledge) -> Iterable[str]:
    """The causes of every sign whose example holds the text, or whose words stand in the text."""
    wanted = squash(search)
    signs = Signs(knowledge.signs)
    spoken = [name for text, name in signs.texts if text in wanted]
    spoken += [name for word, name in signs.words if word_pattern(word).search(search)]
    if len(wanted) > 3:
        spoken += [name for name, sign in knowledge.signs.items() if wanted in squash(sign.example)]
    return [meaning.cause for name in spoken for meaning in knowledge.signs[name].means]


def _page(cause: Cause, format_: str) -> str:
    if format_ == "json":
        return json.dumps(page.json(cause), indent=2, ensure_ascii=False) + "\n"
    if format_ == "markdown":
        return page.markdown(cause)
    return page.text(cause, _width(), _color())


def _listing(causes: Sequence[Cause], format_: str, grouped: bool) -> str:
    if format_ == "json":
        entries = [{"id": c.id, "title": c.title, "owner": c.owner, "aliases": list(c.aliases)} for c in causes]
        return json.dumps({"causes": entries}, indent=2, ensure_ascii=False) + "\n"
    lines: list[str] = []
    for heading, members in by_group(causes) if grouped else [("", causes)]:
        lines += _markdown_group(heading, members) if format_ == "markdown" else _text_group(heading, members)
        lines.append("")
    if format_ == "human":
        lines.append("mailwhy causes ID shows a page.")
    return "\n".join(lines).rstrip("\n") + "\n"


def by_group(causes: Sequence[Cause]) -> list[tuple[str, list[Cause]]]:
    """Heading and pages of each group; a page of an unknown group comes last, under its own prefix."""
    groups: dict[str, list[Cause]] = {group: [] for group in GROUPS}
    for cause in causes:
        prefix = "app-password" if cause.id.startswith("app-password") else cause.id.partition(".")[0]
        groups.setdefault(prefix, []).append(cause)
    return [(GROUPS.get(group, group), members) for group, members in groups.items() if members]


def _text_group(heading: str, causes: Sequence[Cause]) -> list[str]:
    width = _width()
    lines = [page.bold(heading) if _color() else heading] if heading else []
    for cause in causes:
        words = f"{cause.title} ({cause.owner})"
        lines += [f"  {cause.id}", *wrapped(words, width, "      ")]
    return lines


def _markdown_group(heading: str, causes: Sequence[Cause]) -> list[str]:
    lines = [f"## {heading}", ""] if heading else []
    lines += ["| page | what is wrong | who must act |", "|---|---|---|"]
    return lines + [f"| `{c.id}` | {page.escaped(c.title)} | {c.owner} |" for c in causes]


def _width() -> int:
    return min(max(shutil.get_terminal_size().columns, 40), 100)


def _color() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
