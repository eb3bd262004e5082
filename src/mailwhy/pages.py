"""Which parts of a cause's page fit the place where the mailbox lives. Pure.

A page is written for a Microsoft 365 tenant. Personal accounts have no tenant, and other people's servers are not
Microsoft's: their reader must not be sent to portals and PowerShell that say nothing about them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .model import Action, Cause, Place

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
