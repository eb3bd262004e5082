"""The options that say where the secret comes from, shared by the commands that sign in.

The highest layer that names a source decides (command line, then environment, then mailwhy.toml); two sources in
one layer are refused, because it would not be clear which of them was tested.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import click
from click.core import ParameterSource

from .. import secrets
from ..model import Kind, Secret
from ..noun import dataclass
from ..report.wrap import wrapped
from ..secrets import Environment, NoSecretError, Taken
from ._ends import tell

F = TypeVar("F", bound=Callable[..., Any])

_KEY = "mailwhy.secret"
_LAYERS = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)
DEFAULT_SERVICE = "mailwhy"


@dataclass(frozen=True, slots=True)
class Ready:
    """A secret that is ready to be sent, the facts of its shape, and all that was said about it."""

    secret: Secret
    facts: frozenset[str]
    source: str
    said: tuple[str, ...]


def secret_options(command: F) -> F:
    """Adds the options; `take(ctx, ...)` reads what they name. Nothing is passed to the function itself."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    source = ctx.get_parameter_source(param.name or "")
    if value not in (None, False) and source in _LAYERS:
        ctx.meta.setdefault(_KEY, {})[param.name] = (value, source)
    return value


def _refuse(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value is not None:
        raise click.UsageError(
            f"{param.opts[0]} is not taken: an argument stands in the process list and in the shell's history. "
            f"Leave it out for a hidden prompt, or use {secrets.ELSEWHERE}. "
            "If a secret was just typed there, treat it as known to others.",
            ctx,
        )


def no_more_arguments(ctx: click.Context) -> None:
    """Refuses what stands behind the last argument, without repeating it: click would print it, and it may be a
    password. The command needs `allow_extra_args`. Raises UsageError."""
    if ctx.args:
        raise click.UsageError(
            f"One argument too many, not repeated here. A secret is never an argument: it would stand in the process "
            f"list and in the shell's history. Leave it out for a hidden prompt, or use {secrets.ELSEWHERE}. "
            "If a secret was just typed there, treat it as known to others.",
            ctx,
        )


def _option(*names: str, **more: Any) -> Callable[[F], F]:
    return click.option(*names, expose_value=False, callback=_keep, **more)


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    _option("--password-stdin", is_flag=True, help="Read the secret from standard input."),
    _option(
        "--password-file",
        type=click.Path(),
        metavar="PATH",
        help="Read the secret from a file.",
    ),
    _option("--password-command", metavar="CMD", help="Read the secret from what a command prints (no shell)."),
    _option("--keyring", is_flag=True, help="Read the secret from the system's keyring."),
    _option(
        "--keyring-service",
        metavar="NAME",
        help=f"The service under which the keyring has it ({DEFAULT_SERVICE} unless told otherwise).",
    ),
    _option("--strip-spaces", is_flag=True, help="Take blanks and line ends out of the secret."),
    *(
        click.option(
            *names,
            expose_value=False,
            hidden=True,
            is_eager=True,
            is_flag=False,
            flag_value="",
            callback=_refuse,
            allow_from_autoenv=False,
        )
        for names in (("--password", "_password"), ("--auth-password", "_auth_password"), ("--token", "_token"))
    ),
)


def take(ctx: click.Context, login: str, kind: Kind = Kind.PASSWORD, quiet: bool = False) -> Ready:
    """The secret for `login`, read from the one source that was named, else from a hidden prompt.

    Says on standard error what is odd about it, before anything is sent. Exits with 2 when there is none, with 130
    when the prompt is cancelled.
    """
    environment = Environment()
    environment.claim(*secrets.VARIABLES.values())
    given: dict[str, tuple[Any, ParameterSource]] = ctx.meta.get(_KEY, {})
    try:
        taken = _read(_choose(given, _variable(environment, kind), ctx), given, environment, login, kind)
        secret = taken.secret
        facts = secrets.shape(secret, kind)
        said = list(taken.warnings)
        if "strip_spaces" in given and (blanks := facts & _BLANKS):
            secret = secrets.without_spaces(secret)
            facts = secrets.shape(secret, kind)
            found = ", ".join(sorted(fact.partition("=")[2].replace("_", " ") for fact in blanks))
            said.append(f"Taken out of the secret, as asked: {found}.")
    except NoSecretError as why:
        raise click.UsageError(f"No secret for {login}: {why}", ctx) from None
    except KeyboardInterrupt:
        _cancelled(ctx)
    said += secrets.remarks(facts, kind)
    if not quiet:
        for line in said:
            tell("\n".join(wrapped(line, 79)))
    return Ready(secret, facts, taken.source, tuple(said))


_BLANKS = frozenset(f"secret.shape={name}" for name in ("line_end", "bom", "edge_space", "spaces"))


def _cancelled(ctx: click.Context) -> NoReturn:
    tell("")
    ctx.exit(130)


def _variable(environment: Environment, kind: Kind) -> str | None:
    """The variable that holds the secret: MAILWHY_TOKEN is for tokens only, MAILWHY_PASSWORD will do for both."""
    names = (secrets.VARIABLES[kind], secrets.VARIABLES[Kind.PASSWORD])
    return next((name for name in names if environment.has(name)), None)


def _choose(given: dict[str, tuple[Any, ParameterSource]], variable: str | None, ctx: click.Context) -> str:
    """The one source of the highest layer that names any: an option's name, a variable's, or "prompt"."""
    for layer in _LAYERS:
        named = [name for name in _SOURCES if name in given and given[name][1] is layer]
        if "keyring" in named and "keyring_service" in named:
            named.remove("keyring_service")
        if layer is ParameterSource.ENVIRONMENT and variable:
            named.append(variable)
        if len(named) > 1:
            shown = " and ".join(name if name == variable else "--" + name.replace("_", "-") for name in named)
            raise click.UsageError(f"The secret is to come from one place only, not from {shown}.", ctx)
        if named:
            return named[0]
    return "prompt"


_SOURCES = ("password_stdin", "password_file", "password_command", "keyring", "keyring_service")


def _read(
    name: str,
    given: dict[str, tuple[Any, ParameterSource]],
    environment: Environment,
    login: str,
    kind: Kind,
) -> Taken:
    value = given[name][0] if name in given else None
    if name == "password_stdin":
        return secrets.from_stdin()
    if name == "password_file":
        return secrets.from_file(str(value))
    if name == "password_command":
        return secrets.from_command(str(value))
    if name in ("keyring", "keyring_service"):
        service = given.get("keyring_service", (DEFAULT_SERVICE, None))[0]
        return secrets.from_keyring(str(service), login)
    if name == "prompt":
        noun = "App password" if kind is Kind.PASSWORD else "Access token"
        return secrets.from_prompt(f"{noun} for {login}: ")
    return environment.read(name)
