"""The apps that can be rehearsed, read from `knowledge/profiles.toml`; one more is one more entry there."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from ..knowledge import HOME
from ..model import Protocol, Tls
from ..plain import NotPlainError, from_plain


@dataclass(frozen=True, slots=True)
class Profile:
    """One app, as `knowledge/profiles.toml` describes it (the keys are explained there)."""

    id: str
    title: str
    habits: str
    sources: tuple[str, ...]
    protocol: Protocol = Protocol.SMTP
    program: str = ""
    hello: str = "EHLO"
    name: str = "localhost"
    tls: Tls = Tls.STARTTLS
    tls_max: str = ""
    mechanisms: tuple[str, ...] = ()
    chooses: bool = False
    initial: bool = False
    goes_on: bool = False
    sender: str = ""


def profiles(home: Path = Path(HOME)) -> dict[str, Profile]:
    """Every profile by its id. Raises NotPlainError, which names entry and key."""
    data = tomllib.loads((home / "profiles.toml").read_text(encoding="utf-8"))
    found = {}
    for name, entry in data.items():
        try:
            found[name] = from_plain(Profile, {"id": name, **entry})
        except NotPlainError as why:
            raise NotPlainError(f"profiles.toml, {name}: {why}") from None
    return found
