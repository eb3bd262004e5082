"""`mailwhy explain`: says what a pasted reply, log or traceback means. Parse, call, print, exit."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import click

from ..model import Exit, Kind, Protocol
from ._ends import tell
from ._options import as_of_option, facts_option, kind_option
from ._output import Output, output_options

PIECE = 1 << 18  # bytes read at once
AT_ONCE = 1 << 20  # bytes up to which the text is handed over whole
END = "Ctrl-Z and Enter" if sys.platform == "win32" else "Ctrl-D"


@click.command("explain", epilog="Exit: 0 it names causes, 2 usage, 3 it cannot tell.")
@click.argument("text", required=False)
@click.option("--file", "-f", "path", metavar="PATH", help="Read this file; - is standard input.")
@click.option(
    "--protocol",
    type=click.Choice([str(each) for each in Protocol]),
    help="What was tried, where the text does not tell.",
)
@kind_option
@as_of_option
@facts_option
@click.option("--scrub", is_flag=True, help="Hide addresses, hosts and names, for a public issue tracker.")
@output_options
@click.pass_context
def command(ctx: click.Context, /, text: str | None, path: str | None, output: Output, **given: Any) -> None:
    """Say what a pasted reply, log or traceback means. Offline.

    TEXT is what you have: the server's reply, a log, a stack trace, a JSON report of check, or the name of a file that
    holds it. Without TEXT it is read from standard input. Passwords and tokens in it are never shown.
    """
    if text is not None and path is not None:
        raise click.UsageError("give TEXT or --file, not both")
    if text is not None and _names_a_file(text):
        tell(f"Reading the file {text}.")
        text, path = None, text
    from .. import run
    from ..knowledge import load

    kind = given["credential"]
    outcome = run.explain(
        _input(text, path),
        protocol=Protocol(given["protocol"]) if given["protocol"] else None,
        kind=Kind(kind) if kind else None,
        facts=given["facts"],
        as_of=given["as_of"],
        scrub=given["scrub"],
    )
    output.write(outcome, load())
    ctx.exit(int(outcome.exit))


def _names_a_file(text: str) -> bool:
    """No reply is the path of a file that is there: who writes one means what is in it."""
    try:
        return text != "-" and os.path.exists(text)
    except (OSError, ValueError):  # too long for a path, or a NUL in it
        return False


def _input(text: str | None, path: str | None) -> str | bytes | Iterable[bytes]:
    if text is not None and text != "-":
        return text
    if path is not None and path != "-":
        return _opened(path)
    if sys.stdin is None or sys.stdin.closed:
        raise click.UsageError("nothing to explain: give TEXT, --file PATH, or something on standard input")
    if sys.stdin.isatty():
        tell(f"Paste the reply, log or traceback, then press {END} on a new line.")
    try:
        return _pieces(sys.stdin.buffer)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(int(Exit.CANCELLED)) from None


def _opened(path: str) -> bytes | Iterable[bytes]:
    try:
        with open(path, "rb") as file:
            start = file.read(AT_ONCE + 1)
    except OSError as why:
        raise click.UsageError(f"--file {path}: {why.strerror or why}") from None
    return start if len(start) <= AT_ONCE else _of_file(path)


def _of_file(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _pieces(stream: BinaryIO) -> bytes | Iterator[bytes]:
    """All of it when it is short, else piece by piece."""
    start = b""
    while piece := stream.read(PIECE):
        start += piece
        if len(start) > AT_ONCE:
            return _rest(start, stream)
    return start


def _rest(start: bytes, stream: BinaryIO) -> Iterator[bytes]:
    yield start
    while piece := stream.read(PIECE):
        yield piece
