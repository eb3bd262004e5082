"""The options of the commands that ask DNS, and how they print: `--resolver`, `--timeout`, `--format`, `--color`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ._output import Output, print_text

if TYPE_CHECKING:
    from ..report.live import Live

F = TypeVar("F", bound=Callable[..., Any])
WHERE = r"(?:\[([^\]]+)\]|([^\[\]:]+))(?::(\d{1,5}))?|([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)"


def name_server(text: str) -> tuple[str, int]:
    """`ADDRESS`, `ADDRESS:PORT`, `[IPV6]:PORT` as address and port (53 unless given)."""
    import ipaddress

    found = re.fullmatch(WHERE, text.strip())
    address, port = (found[1] or found[2] or found[4], int(found[3] or 53)) if found else ("", 0)
    try:
        ipaddress.ip_address(address)
    except ValueError:
        port = 0
    if not 0 < port < 65536:
        raise click.BadParameter(
            f"{text!r}: write the name server's address: 192.0.2.53, 192.0.2.53:5353, [2001:db8::53]"
        )
    return address, port


def resolver_option(function: F) -> F:
    """`--resolver ADDRESS[:PORT]`."""
    text = "Ask this name server, not the system's."
    return click.option("--resolver", type=name_server, metavar="ADDRESS[:PORT]", help=text)(function)


def place_options(function: F) -> F:
    """`--format human|json` and `--color`."""
    colors, formats = click.Choice(["auto", "always", "never"]), click.Choice(["human", "json"])
    function = click.option("--color", type=colors, default="auto", help="Colour in the output.")(function)
    return click.option("--format", "format_", type=formats, default="human", show_default=True, help="What to print.")(
        function
    )


def output_of(color: str) -> Output:
    """Where text goes, in the width and colour of standard output."""
    return Output(color={"auto": None, "always": True, "never": False}[color])


def live(format_: str, color: str) -> Live:
    """Progress on standard error, where that is a terminal and text was asked for."""
    progress = output_of(color).live()
    progress.on = progress.on and format_ == "human"
    return progress


def say(text: str) -> None:
    """Prints to standard output; a closed pipe is the reader's good right."""
    print_text(text, sys.stdout)
