"""Options that several commands share, and how their values are checked."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

import click

from ..model import Protocol

F = TypeVar("F", bound=Callable[..., Any])


def protocols(text: str) -> tuple[Protocol, ...]:
    """`smtp,imap,pop` as protocols, in the order of the model."""
    names = [name.strip().casefold() for name in text.split(",") if name.strip()]
    if not names or not set(names) <= set(Protocol):
        raise click.BadParameter(f"{text!r}: name one or more of smtp, imap, pop, with commas between them")
    return tuple(protocol for protocol in Protocol if protocol in names)


def day(text: str) -> str:
    """An ISO date, kept as text."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a date; write it as 2026-11-22") from None


def duration(text: str) -> float:
    """`30s`, `5m`, `2h`, `1h30m` as seconds."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip())
    if not found or not any(found.groups()):
        raise click.BadParameter(f"{text!r} is not a duration; write it as 30s, 5m, 2h or 1h30m")
    hours, minutes, seconds = (int(number or 0) for number in found.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def fact(text: str) -> str:
    """A declared fact; a misspelled one is refused with the nearest names."""
    from ..knowledge import declared, load

    if declared(text) is not None:
        return text
    import difflib

    near = difflib.get_close_matches(text, list(load().facts), n=3, cutoff=0.5)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    raise click.BadParameter(f"{text!r} is not a known fact{hint} (`mailwhy causes --facts` lists them)")


# What only a person, the tenant's settings or the sign-in log can know; the other facts a run finds out for itself
HINTS = ("account.", "mfa=", "tenant.", "mailbox.", "signin.", "source.location=")


def complete_fact(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """For the shell: the facts that are worth giving."""
    from ..knowledge import load

    return [name.rstrip("*") for name in load().facts if name.startswith(HINTS) and name.startswith(incomplete)]


def complete_cloud(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """For the shell: the clouds' ids."""
    from ..knowledge import load

    return [name for name in load().clouds if name.startswith(incomplete)]


def complete_cause(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """For the shell: the ids of the handbook's pages."""
    from ..knowledge import handbook

    return [name for name in handbook() if name.startswith(incomplete.casefold())]


def complete_protocols(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """For the shell: one more protocol behind the commas."""
    before, comma, last = incomplete.rpartition(",")
    return [before + comma + p for p in Protocol if p.startswith(last) and p not in before.split(",")]


def as_of_option(function: F) -> F:
    """`--as-of DATE`: the day for which Microsoft's calendar is read."""
    text = "Read Microsoft's calendar for this day (default: today)."
    return click.option("--as-of", type=day, metavar="DATE", help=text)(function)


def facts_option(function: F) -> F:
    """`--fact NAME`, several times: what is known from elsewhere."""
    text = "Something you know from elsewhere, for example mfa=conditional-access. Several times."
    return click.option(
        "--fact", "facts", type=fact, metavar="FACT", multiple=True, help=text, shell_complete=complete_fact
    )(function)


def one_line(text: str) -> str:
    """Text without control characters, and not empty: an address, a name."""
    if not text.strip():
        raise click.BadParameter("it is empty")
    if not text.isprintable():
        raise click.BadParameter(f"{text!r} has a control character in it")
    return text


def helo(text: str) -> str:
    """One printable word of ASCII: what may stand behind EHLO."""
    if not re.fullmatch(r"[!-~]+", text):
        raise click.BadParameter(f"{text!r}: a host name or an address literal, in ASCII and without blanks")
    return text


def family_options(function: F) -> F:
    """`--ipv4` and `--ipv6`, which exclude each other; `_where.family_of` reads them."""
    for version in "64":
        name, text = f"ipv{version}", f"Connect over IPv{version} only."
        function = click.option(f"--{name}", f"-{version}", name, is_flag=True, help=text)(function)
    return function


def seconds(least: float, most: float) -> Callable[[str], float]:
    """A number of seconds in this range. (click's own FloatRange takes nan.)"""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise click.BadParameter(f"{text!r} is not a number of seconds between {least:g} and {most:g}")
        return value

    parse.__name__ = "seconds"
    return parse


def ca_text(text: str) -> str:
    """A file that seems to hold a certificate: seen without importing ssl. `ca_file` reads it."""
    try:
        with open(text, "rb") as file:
            found = re.search(rb"^-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----", file.read(), re.MULTILINE)
    except (OSError, ValueError) as why:
        raise click.BadParameter(f"{text}: {getattr(why, 'strerror', None) or why}") from None
    if not found:
        raise click.BadParameter(_NO_CERTIFICATE.format(text))
    return text


def ca_file(text: str) -> str:
    """A file that holds at least one CA certificate."""
    import ssl

    from ..net import trust

    try:
        trust(text)  # which the probes take as it is
    except ssl.SSLError:
        raise click.BadParameter(_NO_CERTIFICATE.format(text), param_hint="--ca-file") from None
    except OSError as why:
        raise click.BadParameter(f"{text}: {why.strerror or why}", param_hint="--ca-file") from None
    return text


_NO_CERTIFICATE = "{}: there is no certificate in it (PEM, -----BEGIN CERTIFICATE-----)"


def source(text: str) -> str:
    """An IP address of this machine."""
    import ipaddress
    import socket

    try:
        version = ipaddress.ip_address(text).version
    except ValueError:
        raise click.BadParameter(f"{text!r} is not an IP address") from None
    try:
        with socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind((text, 0))
    except OSError:
        raise click.BadParameter(f"{text} is not an address of this machine") from None
    return text


def kind_option(function: F) -> F:
    """`--credential password|oauth`."""
    text = "What signs in: a password (also an app password) or an OAuth token."
    return click.option("--credential", type=click.Choice(["password", "oauth"]), default=None, help=text)(function)
