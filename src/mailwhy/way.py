"""How to get there: limits, detours, addresses. Costs little to import: asyncio and ssl come with `net`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from .ahead import Ahead
from .noun import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits in seconds. connect: look-up, and all addresses together; reply: TLS and each answer; auth: AUTH."""

    connect: float = 10.0
    reply: float = 15.0
    auth: float = 30.0  # Exchange answers a refusal after 5 to 9 s (facts: smtp 2.2, imap-pop 1.10)

    @classmethod
    def all(cls, seconds: float) -> Timeouts:
        """All limits set to `seconds` (`--timeout`)."""
        return cls(seconds, seconds, seconds)


@dataclass(frozen=True, slots=True)
class Way:
    """How to get there: everything the user may set.

    connect_to   dial another address; the name in TLS stays the same (curl's HOST:PORT:ADDR:PORT)
    family       socket.AF_INET, socket.AF_INET6, or 0 for both
    source       local IP address to dial from
    ehlo         the name for EHLO. Exchange refused some bare host names with 501 5.5.4 and took `[127.0.0.1]`
                 (facts: smtp 2.6), so never the machine's own name
    ca_file      PEM file trusted in place of the system's store
    ahead        connections that are under way already
    """

    connect_to: Mapping[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    family: int = 0
    source: str | None = None
    ehlo: str = "[127.0.0.1]"
    ca_file: str | None = None
    timeouts: Timeouts = Timeouts()
    ahead: Ahead = field(default_factory=Ahead)

    def __post_init__(self) -> None:
        """Raises ValueError for an EHLO name that would be a second command."""
        if not self.ehlo.isprintable():
            raise ValueError("the name for EHLO has a control character in it")
