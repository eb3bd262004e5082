"""How a command ends when it cannot end well: the reader has gone, there is no room to print, we made a mistake.

None of these may end with 1, which says that the password was refused. Imports nothing heavy: every command does.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

import click

COULD_NOT_TELL = 3  # model.Exit.UNKNOWN
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


def silence(stream: TextIO) -> None:
    """Points a broken stream to nowhere, so that the interpreter's own flush at the end stays quiet."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def unheard() -> Iterator[None]:
    """What is said inside goes to standard error; where nobody reads that, everything else goes on."""
    try:
        yield
    except (OSError, ValueError):
        silence(sys.stderr)


def tell(text: str) -> None:
    """A remark beside the report, on standard error."""
    with unheard():
        click.echo(text, err=True)


def nobody_reads() -> int:
    """The reader has closed its pipe, which is its good right. The exit code."""
    silence(sys.stdout)
    return 0


def interrupted(why: BaseException) -> bool:
    """Was it Ctrl-C after all? Python 3.11 makes a RuntimeError of what falls into the making of a class."""
    return isinstance(why.__cause__, KeyboardInterrupt)


def went_wrong(why: Exception) -> int:
    """Says what happened, on standard error; the exit code."""
    if isinstance(why, OSError) and why.errno in NO_ROOM:
        silence(sys.stdout)
        _say(f"Error: this could not be printed: {why.strerror}\n")
        return COULD_NOT_TELL
    import traceback

    _say("".join(traceback.format_exception(why)))
    _say("This is a mistake in mailwhy; it says nothing about the password or the mailbox.\n")
    return COULD_NOT_TELL


def _say(text: str) -> None:
    with suppress(OSError, ValueError, AttributeError):  # standard error may be gone as well
        sys.stderr.write(text)
        sys.stderr.flush()
