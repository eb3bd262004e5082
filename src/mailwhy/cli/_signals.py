"""SIGTERM ends a command just as Ctrl-C does: by one road, so that it is tried by the tests of both."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


def end_like_ctrl_c() -> None:
    """From now on. Does nothing outside the main thread, where Python takes no handlers.

    While asyncio runs, its own handler of SIGINT cancels the main task; an exception thrown into whatever callback
    happens to run would leave the others unfinished.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _pass_on)


@contextlib.contextmanager
def held() -> Iterator[Callable[[], None]]:
    """Ctrl-C and SIGTERM wait for the call of what this gives, or for the end of the block.

    For a beginning of some 0.1 s in which an interruption could not be answered with what is known so far. Windows has
    no masks: there nothing waits.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield lambda: None
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def let_go() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    try:
        yield let_go
    finally:
        let_go()


def _pass_on(number: int, frame: FrameType | None) -> None:
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):  # a background job of a shell ignores SIGINT
        raise KeyboardInterrupt
    handler(number, frame)
