"""Joins mailwhy.toml and the environment to click: for every option, MAILWHY_<OPTION> and a key of the file.

The command line is stronger than the environment, the environment stronger than the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from ..config import EACH_TIME, Config, ConfigError, Setting, unknown

PREFIX = "MAILWHY"


def from_environment(command: click.Command) -> click.Command:
    """Lets every option of the command come from MAILWHY_<OPTION>, but for those that have to be meant each time."""
    for option in options_of(command):
        option.envvar = variable_of(option)
    return command


def names_of(option: click.Option) -> list[str]:
    """The long names of an option, without dashes, the plainest one first."""
    return [name.lstrip("-") for name in option.opts if name.startswith("--")]


def options_of(command: click.Command) -> list[click.Option]:
    """The options that a file or a variable may give."""
    return [p for p in command.params if isinstance(p, click.Option) and not p.hidden and names_of(p)]


def variable_of(option: click.Option) -> str | None:
    """The variable that an option comes from: MAILWHY_FROM for --from."""
    names = names_of(option)
    return None if EACH_TIME.intersection(names) else f"{PREFIX}_{names[0].upper().replace('-', '_')}"


def default_map(
    config: Config, name: str, command: click.Command, others: Callable[[], Mapping[str, click.Command]]
) -> dict[str, Any]:
    """The file's settings as click wants them, checked. `others` is asked only for keys that this command has not.

    Raises ConfigError.
    """
    by_key = {key: option for option in options_of(command) for key in names_of(option)}
    found: dict[str, Any] = {}
    with click.Context(command, info_name=name) as ctx:
        for key, setting in config.settings(name).items():
            if key in by_key:
                option = by_key[key]
                value = _value(config, ctx, option, key, setting)
                if value is not None:
                    found[option.name or key] = value
            elif setting.table.endswith(name):
                raise unknown(config.path, setting, key, by_key)
            else:
                known = {key for other in others().values() for option in options_of(other) for key in names_of(option)}
                if key not in known:
                    raise unknown(config.path, setting, key, known)
    return found


def _value(config: Config, ctx: click.Context, option: click.Option, key: str, setting: Setting) -> Any:
    """The value, in the form in which click takes a default."""
    value, where = setting.value, f"{config.path}: {setting.where}: {key}"
    if option.is_flag:
        if not isinstance(value, bool):
            raise ConfigError(f"{where}: write true or false")
        return value
    if option.multiple:
        value = value if isinstance(value, list) else [value]
    if any(not isinstance(item, str | int | float) for item in (value if option.multiple else [value])):
        raise ConfigError(f"{where}: {'write a list of texts' if option.multiple else 'write one text or number'}")
    value = [str(item) for item in value] if option.multiple else str(value)
    try:
        option.type_cast_value(ctx, value)
    except click.BadParameter as why:
        raise ConfigError(f"{where}: {why.message}") from None
    return value
