"""`mailwhy explain`: parse, call, print, exit."""

from __future__ import annotations

import json
import sys

import click

from .. import run
from ..model import Kind, Protocol, to_plain


@click.command()
@click.argument("text", required=False)
@click.option("--file", "file", type=click.Path(exists=True, allow_dash=True))
@click.option("--protocol", type=click.Choice([p.value for p in Protocol]))
@click.option("--credential", type=click.Choice([k.value for k in Kind]))
@click.option("--as-of")
@click.option("--fact", "facts", multiple=True)
@click.option("--format", "format_", default="json")
def command(text, file, protocol, credential, as_of, facts, format_) -> None:
    """Say what a pasted reply, log or traceback means. Offline."""
    data: str | bytes = text if text is not None else sys.stdin.buffer.read()
    done = run.explain(
        data,
        protocol=Protocol(protocol) if protocol else None,
        kind=Kind(credential) if credential else None,
        facts=facts,
        as_of=as_of,
    )
    sys.stdout.write(json.dumps(to_plain(done), indent=1) + "\n")
    sys.exit(int(done.exit))
