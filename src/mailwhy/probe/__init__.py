"""The probes: try one target once and write down what happened. A probe observes, it does not judge.

    probe(target, credential, way)  ->  Attempt        failures are steps, never exceptions

Stages, limits and evidence: `net.Recorder`. The words of each protocol: `smtp`, `imap`, `pop`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ..model import Attempt, Credential, Protocol, Step, Target
from ..net import Over, Recorder, Timeouts, Way, nothing_left
from . import imap, pop, smtp
from .session import MaySignIn, Session

__all__ = ["MaySignIn", "Recorder", "Timeouts", "Way", "probe"]


DIALOGUES: dict[Protocol, tuple[Callable[[Session], Awaitable[None]], Callable[[Session], None]]] = {
    Protocol.SMTP: (smtp.talk, smtp.goodbye),
    Protocol.IMAP: (imap.talk, imap.goodbye),
    Protocol.POP: (pop.talk, pop.goodbye),
}


async def probe(
    target: Target,
    credential: Credential | None,
    way: Way,
    *,
    may_sign_in: MaySignIn | None = None,
    on_step: Callable[[Target, Step], None] | None = None,
    recorder: Recorder | None = None,
) -> Attempt:
    """Tries `target` (host, port and tls are known) once, and signs in at most once.

    credential   None: stop after the capabilities
    may_sign_in  awaited when the session stands ready, with the attempt so far; None goes on, a text holds the
                 sign-in back for that reason. The connection stays open meanwhile.
    on_step      called with each step as it ends
    recorder     where to write; pass one of your own to read `recorder.attempt` after a cancellation

    Raises nothing but CancelledError, and what `may_sign_in` and `on_step` raise.
    """
    recorder = recorder or Recorder(target, credential.kind if credential else None)
    recorder.on_step = on_step or recorder.on_step
    session = Session(target, credential, way, recorder, may_sign_in)
    talk, goodbye = DIALOGUES[target.protocol]
    try:
        await session.connect()
        await talk(session)
    except Over:
        pass
    except asyncio.CancelledError:
        session.wire.abort()
        raise
    finally:
        goodbye(session)
        recorder.leftovers = nothing_left  # who ran the probe may stay: the wire, with all that TLS holds, need not
    return recorder.attempt
