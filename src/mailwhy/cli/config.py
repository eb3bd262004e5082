"""`mailwhy config show`: which value every option has, and where it comes from. Shows no secret and no command."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from ..config import Config, ConfigError
from ..secrets import VARIABLES
from . import COMMANDS, all_commands, commands
from ._config import default_map, names_of, options_of, variable_of

HIDDEN = frozenset({"password_command"})  # people put secrets into commands


@click.group("config")
def command() -> None:
    """Show where the options of a run come from: command line, environment, mailwhy.toml, default."""


@command.command()
@click.argument("name", metavar="[COMMAND]", default="check")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["human", "json"]),
    default="human",
    show_default=True,
    help="How to show it.",
)
@click.option("--all", "everything", is_flag=True, help="Also options that have only their default.")
@click.pass_context
def show(ctx: click.Context, name: str, format_: str, everything: bool) -> None:
    """Every option of COMMAND (check unless told otherwise), its value, and where that comes from."""
    config = ctx.find_object(Config)
    if config is None or name not in COMMANDS:
        raise click.UsageError(f"{name!r} is no command; known are {', '.join(COMMANDS)}")
    try:
        rows = _rows(ctx, config, name)
    except ConfigError as why:
        raise click.UsageError(str(why)) from None
    shown = [row for row in rows if everything or row["source"] != "default"]
    if format_ == "json":
        head = {"file": str(config.path), "found": config.found, "profile": config.profile}
        click.echo(json.dumps({**head, "command": name, "options": shown}, indent=2, default=str))
        return
    click.echo(f"file     {config.path}{'' if config.found else ' (not there)'}")
    click.echo(f"profile  {config.profile or '(none)'}")
    for row in shown:
        value = "(not set)" if row["value"] in (None, False) else row["value"]
        click.echo(f"--{row['option']} = {value}    {row['source']}")
    if not shown:
        click.echo(f"All options of {name} have their defaults (--all lists them).")
    for variable in VARIABLES.values():
        if variable in os.environ:
            click.echo(f"{variable} is set (not shown)")


def _rows(ctx: click.Context, config: Config, name: str) -> list[dict[str, Any]]:
    target = commands.get_command(ctx, name) or click.Command(name)
    given = default_map(config, name, target, lambda: all_commands(ctx))
    settings = config.settings(name)
    rows = []
    for option in options_of(target):
        key = option.name or ""
        written = next((n for n in names_of(option) if n in settings), None)
        value: Any = option.default
        source = "default"
        variable = variable_of(option)
        if variable and os.environ.get(variable):
            value, source = os.environ[variable], f"environment, {variable}"
        elif written and key in given:
            value, source = given[key], f"{config.path}, {settings[written].where}"
        if callable(value) or (value is not None and type(value).__module__.startswith("click")):
            value = None
        if key in HIDDEN and source != "default":
            value = "(not shown)"
        rows.append({"option": names_of(option)[0], "value": value, "source": source})
    return rows
