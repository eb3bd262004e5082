"""SIGTERM ends a command just as Ctrl-C does: by one road, so that it is tried by the tests of both."""

from __future__ import annotations

import signal
import threading
from types import FrameType


def end_like_ctrl_c() -> None:
    """From now on. Does nothing outside the main thread, where Python takes no handlers.

    While asyncio runs, its own handler of SIGINT cancels the main task; an exception thrown into whatever callback
    happens to run would leave the others unfinished.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _pass_on)


def _pass_on(number: int, frame: FrameType | None) -> None:
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):  # a background job of a shell ignores SIGINT
        raise KeyboardInterrupt
    handler(number, frame)
