"""A dialogue is a generator without sockets: it yields acts, and is sent what it asked for.

    line = yield READ_LINE          one line, without its line end; None when the client has closed
    data = yield Take(42)           exactly 42 octets (IMAP literals, BDAT); None when the client has closed
    yield Say(b"220 ...\\r\\n", stage)   answer; `stage` is all that faults know
    yield START_TLS                 answered before, goes on when TLS stands; what came in clear before it is dropped
    yield Wait(5.0)                 a pause that the dialogue wants (the delay before a refusal)

The server closes when the generator ends.
`Talk` runs such a generator over octets as they come: whole, byte by byte, many commands at once. It never blocks.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

from ..model import Stage

MAX_LINE = 65_536  # octets; Exchange's own limits are smaller, and are the dialogues' business


@dataclass(frozen=True, slots=True)
class ReadLine:
    """Wants one line; with `poked`, also `POKED` when something has happened that the client should hear of."""

    poked: bool = False


@dataclass(frozen=True, slots=True)
class Take:
    """Wants exactly so many octets."""

    octets: int


@dataclass(frozen=True, slots=True)
class Say:
    """Sends octets. `stage` tells the faults where in the attempt this is."""

    data: bytes
    stage: Stage = Stage.USE


@dataclass(frozen=True, slots=True)
class Wait:
    """Pauses for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class StartTls:
    """Turns TLS on."""


@dataclass(frozen=True, slots=True)
class Close:
    """Closes the connection: what the driver is told when the dialogue has ended."""


READ_LINE = ReadLine()
POKED = b"\n"  # no line can be this: lines come without their end
START_TLS = StartTls()
CLOSE = Close()

Act = ReadLine | Take | Say | Wait | StartTls | Close
Dialogue = Generator[Act, bytes | None, None]


class Talk:
    """Runs one dialogue. `feed` takes what came; iterate `acts()` for what is to be done.

    After START_TLS and Wait the iteration stops until `resume()` is called: the driver has to do them first.
    """

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._buffer = bytearray()
        self._want: Act | None = None
        self._ended = False
        self._eof = False
        self._held = False
        self._poked = False
        self._answer: bytes | None = None

    @property
    def ended(self) -> bool:
        """The dialogue is over: nothing more will be said."""
        return self._ended

    def feed(self, data: bytes) -> None:
        """Octets from the client; b"" means that it has closed its side."""
        if data:
            self._buffer += data
        else:
            self._eof = True

    def poke(self) -> None:
        """Something has happened; a dialogue that waits with `poked` goes on."""
        self._poked = True

    def resume(self) -> None:
        """The driver has done the Wait or the START_TLS."""
        self._held = False

    def acts(self) -> Iterator[Act]:
        """What can be done with what has come so far."""
        while not self._ended and not self._held:
            if isinstance(self._want, ReadLine | Take) and not self._ready():
                return
            answer, self._answer = self._answer, None
            try:
                act = next(self._dialogue) if self._want is None else self._dialogue.send(answer)
            except StopIteration:
                self._ended = True
                yield CLOSE
                return
            self._want = act
            if isinstance(act, ReadLine | Take):
                continue
            if isinstance(act, StartTls):
                self._buffer.clear()
            if isinstance(act, StartTls | Wait):
                self._held = True
            yield act

    def _ready(self) -> bool:
        """Is what the dialogue waits for here? Then it stands in `_answer`."""
        if isinstance(self._want, Take):
            if len(self._buffer) < self._want.octets:
                return self._eof
            self._answer = bytes(self._buffer[: self._want.octets])
            del self._buffer[: self._want.octets]
            return True
        end = self._buffer.find(b"\n")
        if end < 0 and self._poked and isinstance(self._want, ReadLine) and self._want.poked:
            self._poked = False
            self._answer = POKED
            return True
        if end < 0 and len(self._buffer) <= MAX_LINE:
            return self._eof
        if 0 <= end <= MAX_LINE:
            self._answer = bytes(self._buffer[:end]).rstrip(b"\r")
            del self._buffer[: end + 1]
        else:  # too long: what is over becomes the next line
            self._answer = bytes(self._buffer[:MAX_LINE])
            del self._buffer[:MAX_LINE]
        return True
