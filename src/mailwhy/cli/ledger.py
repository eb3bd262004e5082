"""`mailwhy ledger`: what is remembered of refused sign-ins, and how to forget it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from ..ledger import Ledger, age_in_words
from ..plain import to_plain
from ._ends import tell


@click.group(invoke_without_command=True)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["human", "json"]),
    default="human",
    show_default=True,
    help="How to show it.",
)
@click.pass_context
def command(ctx: click.Context, format_: str) -> None:
    """Show the refused sign-ins that are remembered, so that testing locks no account.

    At most two refused sign-ins an account and hour are made (one on US government clouds), and a secret that was
    refused as such is not sent again without --force.
    """
    if ctx.invoked_subcommand:
        return
    ledger, now = Ledger(), datetime.now(UTC)
    try:
        books = ledger.books(now)
    except OSError as why:
        raise click.ClickException(f"{ledger.folder} cannot be read: {why.strerror}") from None
    for notice in ledger.notices:
        tell(notice.text)
    if format_ == "json":
        click.echo(json.dumps({"folder": str(ledger.folder), "accounts": to_plain(books)}, indent=2))
        return
    if not books:
        click.echo(f"Nothing is remembered in {ledger.folder}.")
    for book in books:
        click.echo(f"{book.login}  ({book.service})")
        for entry in book.entries:
            words = entry.judged.replace("_", " ")
            click.echo(f"  {entry.time}  {age_in_words(now - entry.at)} ago  {entry.protocol}  {words}")
            if entry.reply:
                click.echo(f"    {entry.reply}")


@command.command()
@click.argument("login", required=False)
def clear(login: str | None) -> None:
    """Forget one LOGIN, or everything."""
    ledger = Ledger()
    try:
        count = ledger.clear(login)
    except OSError as why:
        raise click.ClickException(f"{ledger.folder} cannot be cleared: {why.strerror}") from None
    if login and not count:
        raise click.ClickException(f"nothing is remembered of {login}")
    click.echo(f"Forgot {count} account{'' if count == 1 else 's'}.")
