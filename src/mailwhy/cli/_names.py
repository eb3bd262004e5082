"""What DNS says of a host that could not be looked up, added to the outcome of `check`. Asked only after a failure."""

from __future__ import annotations

import dataclasses

from ..model import Exit, Fault, Notice, Outcome, Stage

LIMIT = 3.0  # seconds for each question: the look-up itself has already taken its time


def with_names(outcome: Outcome, resolver: tuple[str, int] | None) -> Outcome:
    """The outcome, with notices about the names whose look-up failed; DNS is asked for no others."""
    failed = [(d.attempt.target.host, d.attempt.failed) for d in outcome.diagnoses]
    hosts = dict.fromkeys(
        host for host, step in failed if host and step and step.stage is Stage.DNS and step.fault is not Fault.CANCELLED
    )
    if not hosts or outcome.exit is Exit.CANCELLED:
        return outcome
    import asyncio

    from ..discover import Resolver, explain_name

    async def ask() -> list[Notice]:
        namings = await asyncio.gather(*(explain_name(host, Resolver(resolver, LIMIT)) for host in hosts))
        return [notice for naming in namings for notice in naming.notices]

    try:
        found = asyncio.run(ask())
    except KeyboardInterrupt:  # the check itself is done, and its outcome stands
        return outcome
    learned = {notice.text: notice for notice in found}.values()
    return dataclasses.replace(outcome, notices=(*outcome.notices, *learned))
