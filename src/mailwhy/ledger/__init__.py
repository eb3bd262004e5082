"""Remembers refused sign-ins, so that testing never locks an account. Never raises for its files, never a free pass.

    held_back(sign_in, now)   None: go on, and the sign-in is remembered as under way; else why not
    note(sign_in, judged, now)   what came of it
    ask, tell   the same two, for whoever has an event loop

One small JSON file an account (service and login in clear, the secret as a short keyed fingerprint), replaced
atomically under a lock, 0600 in a folder of 0700. Counted are sign-ins whose secret was refused, or of which the
answer does not tell; policy sentences and proven retirement count nothing; loopback is exempt. A sign-in that is
under way counts too: parallel runs cannot pass each other. A file that is damaged is a notice, and one sign-in is
all there is for an hour; where nothing can be written, there is none. Clocks that are set back or forward make no hour
pass: the one that says least is believed.

    rule.py    what counts, and when a further sign-in would be one too many; pure
    files.py   the files and their troubles
    lock.py    their lock, and how to wait for it
"""

from __future__ import annotations

from .files import Ledger, state_home
from .rule import CAREFUL_LIMIT, LIMIT, Book, Entry, Held, SignIn, age_in_words, family, is_loopback, judged

__all__ = [
    "CAREFUL_LIMIT",
    "LIMIT",
    "Book",
    "Entry",
    "Held",
    "Ledger",
    "SignIn",
    "age_in_words",
    "family",
    "is_loopback",
    "judged",
    "state_home",
]
