"""`mailwhy.toml`: options that need not be typed every time. Holds no secret, ever: only where one comes from.

    cloud = "worldwide"                 # for every command that has the option
    password-command = "pass show mail/scanner"
    profile = "office"                  # the profile where --profile names none

    [check]                             # for one command
    timeout = 20

    [profiles.office]                   # the same again, stronger
    cloud = "gcc-high"
    [profiles.office.check]
    only = "smtp"

Errors name file, key and mend, and never quote a value.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Collection, Mapping
from dataclasses import field
from typing import Any

from .noun import dataclass

NAME = "mailwhy.toml"
SECRETS = frozenset(
    {"password", "passwd", "pass", "pwd", "secret", "token", "auth-password", "app-password", "access-token", "keys"}
)
EACH_TIME = frozenset(
    {"force", "many-domains", "password-stdin", "send-to"}
)  # what has to be meant anew with every run


class ConfigError(Exception):
    """A file that cannot be used; the message names the file, the key and the mend, and is safe to show."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One value, and the table of the file in which it stands ("" is the top of the file)."""

    value: Any
    table: str

    @property
    def where(self) -> str:
        """The table as a person looks for it."""
        return f"[{self.table}]" if self.table else "the top of the file"


@dataclass(frozen=True, slots=True)
class Config:
    """What was read. `path` is where it was, or would be, looked for; `tables` by name, weakest first."""

    path: str
    found: bool = False
    profile: str | None = None
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def settings(self, command: str) -> dict[str, Setting]:
        """The settings that are meant for this command; keys are option names without their dashes in front."""
        names = ["", command]
        if self.profile:
            names += [f"profiles.{self.profile}", f"profiles.{self.profile}.{command}"]
        return {
            key: Setting(value, name)
            for name in names
            if name in self.tables
            for key, value in self.tables[name].items()
        }


def default_path() -> str:
    """Where the file is looked for: MAILWHY_CONFIG, or the platform's place."""
    named = os.environ.get("MAILWHY_CONFIG")
    if named:
        return named
    home, base = os.environ.get("HOME", ""), os.environ.get("XDG_CONFIG_HOME", "")
    if sys.platform == "linux" and os.path.isabs(home):  # as platformdirs says, whose import is slow
        return os.path.join(base if os.path.isabs(base) else os.path.join(home, ".config"), "mailwhy", NAME)
    import platformdirs

    try:
        return os.path.join(platformdirs.user_config_dir("mailwhy", appauthor=False), NAME)
    except RuntimeError:  # neither a HOME nor a name in passwd, as in some containers: there is no such file
        return os.path.join(os.devnull, NAME)


def load(path: str | os.PathLike[str] | None, profile: str | None, commands: Collection[str]) -> Config:
    """Reads the file. A missing one is an error only where it, or a profile, was asked for by name.

    Raises ConfigError.
    """
    asked = path is not None or bool(os.environ.get("MAILWHY_CONFIG"))
    path = default_path() if path is None else os.fspath(path) or os.curdir
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read().decode("utf-8-sig")
    except FileNotFoundError:
        if asked or profile:
            raise ConfigError(
                f"{path}: there is no such file{f' (and so no profile {profile!r})' * bool(profile)}"
            ) from None
        return Config(path)
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except OSError as why:
        if asked or profile:
            raise ConfigError(f"{path}: cannot be read ({why.strerror})") from None
        return Config(path)
    import tomllib  # only where there is a file

    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as why:
        raise ConfigError(f"{path}: not TOML: {why}") from None
    tables = _tables(data, path, frozenset(commands))
    own = tables[""].pop("profile", None)
    named = profile or own
    _check_profile(named, data, path)
    _check_writers(tables, path, mode)
    return Config(path, True, named, tables)


def _tables(data: Mapping[str, Any], path: str, commands: frozenset[str]) -> dict[str, dict[str, Any]]:
    """All tables by their dotted name, keys normalised, secrets and misplaced tables refused."""
    profiles = data.get("profiles", {})
    if not isinstance(profiles, dict) or not all(isinstance(value, dict) for value in profiles.values()):
        raise ConfigError(f"{path}: profiles: write each one as a table, [profiles.NAME]")
    tables: dict[str, dict[str, Any]] = {}
    top = {key: value for key, value in data.items() if key != "profiles"}
    for prefix, table in (("", top), *((f"profiles.{name}", value) for name, value in profiles.items())):
        tables[prefix] = {}
        for key, value in table.items():
            name = ".".join(filter(None, (prefix, key)))
            if not isinstance(value, dict):
                tables[prefix][_key(key, name, path)] = value
            elif key in commands:
                tables[name] = {_key(k, f"{name}.{k}", path): v for k, v in value.items()}
            else:
                raise ConfigError(f"{path}: [{name}]: no such command{_near(key, commands)}")
    return tables


def _key(key: str, where: str, path: str) -> str:
    name = key.replace("_", "-").casefold()
    if name in SECRETS:
        raise ConfigError(
            f"{path}: {where}: secrets do not belong in this file. Name where it comes from: password-command, "
            "password-file or keyring. What stood here should be treated as known to others."
        )
    if name in EACH_TIME:
        raise ConfigError(f"{path}: {where}: this has to be meant each time; take it out and give --{name} when needed")
    return name


def _check_profile(profile: Any, data: Mapping[str, Any], path: str) -> None:
    if profile is None:
        return
    known = data.get("profiles", {})
    if not isinstance(profile, str) or profile not in known:
        listed = ", ".join(sorted(known)) or "none"
        raise ConfigError(f"{path}: there is no [profiles.{profile}]; the file has: {listed}")


def _check_writers(tables: Mapping[str, Mapping[str, Any]], path: str, mode: int) -> None:
    """A command in a file that others may write would be theirs to choose."""
    if os.name == "nt" or not mode & (stat.S_IWGRP | stat.S_IWOTH):
        return
    if any("password-command" in table for table in tables.values()):
        raise ConfigError(f"{path}: password-command: others may write this file; chmod go-w mends it")


def unknown(path: str, setting: Setting, key: str, known: Collection[str]) -> ConfigError:
    """The error for a key that is no option of any command it could be meant for."""
    return ConfigError(f"{path}: {setting.where}: {key!r} is no option{_near(key, known)}")


def _near(name: str, known: Collection[str]) -> str:
    import difflib

    found = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {found[0]!r}?" if found else f"; known are {', '.join(sorted(known))}"
