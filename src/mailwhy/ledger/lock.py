"""The lock of the ledger's folder, and how to wait for it: asleep, or while an event loop goes on.

What may have to wait is a generator: it yields the seconds after which it wants to go on, and knows no loop.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import TypeVar

LOCK_SECONDS = 5.0
LOCK_PAUSE = 0.005  # seconds between two looks at a lock that another run holds

T = TypeVar("T")
Waits = Generator[float, None, T]
Sleep = Callable[[float], Awaitable[None]]


def sleeping(waits: Waits[T]) -> T:
    """Runs it to its end, asleep where it waits."""
    while True:
        try:
            pause = next(waits)
        except StopIteration as end:
            result: T = end.value
            return result
        time.sleep(pause)


async def awaiting(waits: Waits[T], sleep: Sleep) -> T:
    """Runs it to its end; other tasks go on where it waits."""
    while True:
        try:
            pause = next(waits)
        except StopIteration as end:
            result: T = end.value
            return result
        await sleep(pause)


def lock(folder: str | os.PathLike[str]) -> Waits[contextlib.AbstractContextManager[None]]:
    """The folder's lock, held until that context ends. Makes the folder, 0700.

    Raises OSError when it cannot be made, or had within LOCK_SECONDS.
    """
    if not os.path.isabs(folder):
        raise OSError(None, "no absolute path, or no home folder")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if os.name != "nt" and os.stat(folder).st_mode & 0o077:
        os.chmod(folder, 0o700)
    handle = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _try_lock(handle):
            if time.monotonic() > deadline:
                raise OSError(None, "another run does not let go of its lock")
            yield LOCK_PAUSE
    except BaseException:  # also where nobody waits any longer
        os.close(handle)
        raise
    return _closing(handle)


@contextlib.contextmanager
def _closing(handle: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(handle)  # which lets go of the lock


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
