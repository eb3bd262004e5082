"""The command line: one module a command; parse, call, print, exit. Commands are imported when they are run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from ._ends import COULD_NOT_TELL, interrupted, nobody_reads, unheard, went_wrong

# name -> (module, one line of help): `--help` shows the lines without importing the modules
COMMANDS: dict[str, tuple[str, str]] = {
    "check": ("check", "Sign in over SMTP, IMAP and POP, and say why it fails."),
    "batch": ("batch", "Check a whole list of mailboxes, gently, and sum up by cause."),
    "explain": ("explain", "Say what a pasted reply, log or traceback means. Offline."),
    "causes": ("causes", "Browse the handbook of causes."),
    "relay": ("relay", "Stand between an app and the server, and show what the app really says."),
    "rehearse": ("rehearse", "Act like an old device or a library, and show which habit is refused."),
    "discover": ("discover", "Say which cloud and hosts serve a domain, by DNS."),
    "paths": ("paths", "Try every port and address without signing in, and say what is in the way."),
    "ledger": ("ledger", "Show or clear what is remembered of refused sign-ins."),
    "config": ("config", "Show where the options of a run come from."),
    "mock": ("mock", "Run a look-alike of an Exchange Online tenant on loopback."),
    "demo": ("demo", "See it work on a built-in tenant; no account needed."),
}


class Commands(click.Group):
    """A group that imports a command's module when it is run, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f".{COMMANDS[cmd_name][0]}", __name__)
        from ._config import from_environment

        command: click.Command = module.command
        return from_environment(command)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **more: Any,
    ) -> Any:
        """As click's, but for the exit codes: click gives 1 to Ctrl-C, to a closed pipe, to an error and to a
        traceback, and 1 says here that the password was refused."""
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **more)
            if not standalone_mode:
                return code
        except Exception as why:
            if not standalone_mode:
                raise
            if isinstance(why, click.Abort) or interrupted(why):
                sys.exit(130)
            if isinstance(why, click.ClickException):
                with unheard():
                    why.show()
                sys.exit(COULD_NOT_TELL if why.exit_code == 1 else why.exit_code)
            sys.exit(went_wrong(why))
        sys.exit(code if isinstance(code, int) else 0)

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        try:
            return super().make_context(*args, **more)  # prints --help
        except BrokenPipeError:
            sys.exit(nobody_reads())

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            ctx.exit(nobody_reads())

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mailwhy", message="mailwhy %(version)s")
@click.option("--config", "path", type=click.Path(), metavar="FILE", help="Read this file, not mailwhy.toml.")
@click.option("--profile", envvar="MAILWHY_PROFILE", help="The profile of mailwhy.toml to use.")
@click.pass_context
def main(ctx: click.Context, path: str | None, profile: str | None) -> None:
    """Why does this app password not open the mailbox?

    Tests SMTP AUTH, IMAP and POP of a Microsoft 365 mailbox and names the gate that is closed.

    Every option can also come from mailwhy.toml, or from the environment as MAILWHY_<OPTION>; `mailwhy config show`
    tells which did.
    """
    from .. import config as files
    from ._config import default_map

    name = ctx.invoked_subcommand or ""
    try:
        ctx.obj = files.load(path, profile, COMMANDS)
        command = commands.get_command(ctx, name)
        if command and name != "config" and ctx.obj.found:
            found = default_map(ctx.obj, name, command, lambda: all_commands(ctx))
            ctx.default_map = {name: found}
    except files.ConfigError as why:
        raise click.UsageError(str(why), ctx) from None


commands: Commands = main


def all_commands(ctx: click.Context) -> dict[str, click.Command]:
    """Every command, imported: only for messages that name what is known."""
    return {name: command for name in COMMANDS if (command := commands.get_command(ctx, name))}
