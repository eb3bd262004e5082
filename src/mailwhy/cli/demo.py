"""`mailwhy demo`: the main job on the built-in tenant.

Starts the look-alike on loopback and checks some of its mailboxes with the real command, so that what is printed
here is what a user would see.
"""

from __future__ import annotations

import asyncio
import os
import sys

import click

from ._ends import COULD_NOT_TELL

# mailbox -> what an administrator did to it; the look-alike prints the secrets itself
SHOWN = {
    "works@contoso.test": "an app password that works",
    "smtp-off@contoso.test": "SMTP AUTH is off for the mailbox",
    "any@org-smtp-off.test": "SMTP AUTH is off for the organization",
    "any@security-defaults.test": "Security Defaults are on",
}
AS_OF = "2026-11-22"


@click.command("demo")
@click.option("--quiet", "-q", is_flag=True, help="Three lines a mailbox.")
def command(quiet: bool) -> None:
    """See it work on a built-in tenant: no account, no network, nothing to set up."""
    from ..mock.certs import MissingExtraError

    try:
        wrong = asyncio.run(demonstrate(quiet))
    except MissingExtraError as why:
        raise click.ClickException(str(why)) from None
    sys.exit(COULD_NOT_TELL if wrong else 0)


async def demonstrate(quiet: bool) -> int:
    """Checks every mailbox of `SHOWN` against a look-alike of our own; the number of runs that went wrong."""
    from .. import mock

    wrong = 0
    async with mock.serve() as servers:
        for mailbox, story in SHOWN.items():
            click.secho(f"\n=== {mailbox}: {story}", bold=True)
            arguments = ["check", mailbox, *servers.check_options(), "--as-of", AS_OF, *(["-q"] if quiet else [])]
            click.echo(f"$ mailwhy {' '.join(arguments)}\n")
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "mailwhy",
                *arguments,
                env={**os.environ, "MAILWHY_PASSWORD": servers.secret_of(mailbox)},
            )
            wrong += await child.wait() not in (0, 1)
    return wrong
