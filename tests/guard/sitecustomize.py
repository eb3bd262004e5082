"""Nothing that the tests start may look up or dial anything beyond loopback.

Importing this file sets the guard up for the whole process, for good. `tests/conftest.py` imports it; a child that
Python starts imports it by itself, by its name, when this folder stands in PYTHONPATH. What is refused is also
written to the file that $LOOPBACK_ONLY_RECORD names, since the code under test may swallow the exception.
It must never import anything that a plain `python` does not import.
"""

from __future__ import annotations

import os
import sys

RECORD = "LOOPBACK_ONLY_RECORD"
DIALS = ("socket.connect", "socket.sendto", "socket.sendmsg")
LOOK_UPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
AF_INET, AF_INET6 = 2, (10 if sys.platform == "linux" else 30 if sys.platform == "darwin" else 23)


class BeyondLoopbackError(AssertionError):
    """Raised in place of the dial or look-up. Not an OSError: no table of faults may take it for an answer."""


def refuse_beyond_loopback(event: str, args: tuple[object, ...]) -> None:
    """An audit hook: sees every dial, also those of C code and of asyncio."""
    if event in DIALS and getattr(args[0], "family", None) in (AF_INET, AF_INET6):
        address = args[1]
        # None: the socket was connected before, and that was looked at then
        if isinstance(address, tuple) and not is_loopback(str(address[0])):
            _refuse(f"{event} {address!r}")
    elif event in LOOK_UPS and args[0] is not None:
        host = args[0].decode("ascii", "replace") if isinstance(args[0], bytes) else str(args[0])
        if not is_loopback(host) and not _is_number(host):
            _refuse(f"{event} {host!r}")


def is_loopback(host: str) -> bool:
    """Is this address, or name, this machine for certain? An empty name is (it means "any" or "myself")."""
    host = host.lower().rstrip(".").removeprefix("::ffff:")
    if host in ("", "localhost", "::1", "::", "0.0.0.0"):
        return True
    return host.startswith("127.") and _is_number(host)


def _is_number(host: str) -> bool:
    """An address in digits, which nobody needs to look up."""
    return ":" in host or (host.count(".") == 3 and host.replace(".", "").isdigit())


def _refuse(what: str) -> None:
    if path := os.environ.get(RECORD):
        with open(path, "a", encoding="utf-8") as record:  # noqa: PTH123  # pathlib is not loaded in every child
            record.write(what + "\n")
    raise BeyondLoopbackError(f"a test went beyond loopback: {what}")


sys.addaudithook(refuse_beyond_loopback)
