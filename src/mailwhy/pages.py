"""Which parts of a cause's page fit the place where the mailbox lives, and which server its commands ask. Pure.

A page is written for a Microsoft 365 tenant. Personal accounts have no tenant, and other people's servers are not
Microsoft's: their reader must not be sent to portals and PowerShell that say nothing about them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .model import Action, Cause, Place, Protocol, Target, Tls, bracketed
from .shape import Shape

TENANT_PLACES = frozenset(
    {
        "Azure portal",
        "Entra admin center",
        "Exchange admin center",
        "Exchange Online PowerShell",
        "Graph Explorer",
        "Microsoft 365 admin center",
        "Microsoft Defender portal",
        "My Account > Security info",
    }
)
PERSONAL_PLACE = "Outlook.com (personal accounts)"


def place_of(facts: frozenset[str]) -> Place:
    """Where the mailbox lives, as far as the facts tell."""
    if facts & {"service=other", "service=exchange-server"}:
        return Place.ELSEWHERE
    if facts & {"account.consumer", "service=outlook-com"}:
        return Place.PERSONAL
    return Place.TENANT if "service=exchange-online" in facts else Place.UNKNOWN


def suited(cause: Cause, place: Place) -> Cause:
    """The page as it fits there: other words where it has them, and only what can be done there."""
    if place is Place.UNKNOWN:
        return cause
    cause = replace(
        cause,
        check=_fitting(cause.check, place),
        fix=_fitting(cause.fix, place),
        undo=_fitting(cause.undo, place),
    )
    if place is not Place.ELSEWHERE:
        return cause
    words: dict[str, Any] = {"conflict": "", "role": "", "delay": "", **cause.elsewhere}
    return replace(cause, baseline=(), **words)


def _fitting(actions: Sequence[Action], place: Place) -> tuple[Action, ...]:
    if place is Place.TENANT:
        return tuple(action for action in actions if action.where != PERSONAL_PLACE)
    left_out = TENANT_PLACES | ({PERSONAL_PLACE} if place is Place.ELSEWHERE else frozenset())
    return tuple(action for action in actions if action.where not in left_out)


# where the server is not known and the mailbox may be in a tenant: as in clouds.toml
USUAL = {
    Protocol.SMTP: Target(Protocol.SMTP, "smtp.office365.com", 587, Tls.STARTTLS),
    Protocol.IMAP: Target(Protocol.IMAP, "outlook.office365.com", 993, Tls.IMPLICIT),
    Protocol.POP: Target(Protocol.POP, "outlook.office365.com", 995, Tls.IMPLICIT),
}
_SERVER = Shape(r"\{host\}:\{port\}|\{(?:host|port|starttls)\}", holds=("{host}", "{port}", "{starttls}"))
_HARMLESS = r"[A-Za-z0-9:][A-Za-z0-9._:-]*"  # may stand unquoted in every shell


def located(cause: Cause, target: Target | None = None, place: Place = Place.UNKNOWN) -> Cause:
    """The page with {host}, {port} and {starttls} filled in: the server that was asked, else Microsoft's usual one."""

    def filled(actions: Sequence[Action]) -> tuple[Action, ...]:
        return tuple(
            replace(a, text=at(a.text, target, place), run=at(a.run, target, place), expect=at(a.expect, target, place))
            for a in actions
        )

    return replace(cause, check=filled(cause.check), fix=filled(cause.fix), undo=filled(cause.undo))


def at(text: str, target: Target | None = None, place: Place = Place.UNKNOWN) -> str:
    """The text with the server filled in. A host that may not stand in a command, or is not known where Microsoft's
    would be wrong, becomes `<host>`, which no shell runs."""
    if not _SERVER.fits(text):
        return text
    usual = USUAL[target.protocol if target else Protocol.SMTP]
    known = target or usual
    host = known.host or (usual.host if place in (Place.TENANT, Place.UNKNOWN) else None)
    host = host if host and re.fullmatch(_HARMLESS, host) else "<host>"
    name = {Protocol.POP: "pop3"}.get(known.protocol, known.protocol.value)
    port = str(known.port or usual.port)
    values = {
        "{host}": host,
        "{port}": port,
        "{host}:{port}": f"{bracketed(host)}:{port}",
        "{starttls}": f" -starttls {name}" if (known.tls or usual.tls) is Tls.STARTTLS else "",
    }
    return _SERVER.sub(lambda found: values[found[0]], text)
