"""The command line: one module a command; parse, call, print, exit. Commands are imported when they are run."""

from __future__ import annotations

from importlib import import_module

import click

# name -> (module, one line of help): `--help` shows the lines without importing the modules
COMMANDS: dict[str, tuple[str, str]] = {
    "check": ("check", "Sign in over SMTP, IMAP and POP, and say why it fails."),
    "explain": ("explain", "Say what a pasted reply, log or traceback means. Offline."),
    "causes": ("causes", "Browse the handbook of causes."),
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
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mailwhy", message="mailwhy %(version)s")
def main() -> None:
    """Why does this app password not open the mailbox?

    Tests SMTP AUTH, IMAP and POP of a Microsoft 365 mailbox and names the gate that is closed.
    """
