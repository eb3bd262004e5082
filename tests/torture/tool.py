"""Runs the real command in a child, as people and monitors do, and keeps all that it wrote."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SECONDS = 45.0  # far more than any of these may take on a busy machine
TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True, slots=True)
class Done:
    """How a child ended, and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def all(self) -> str:
        """Both streams."""
        return self.out + self.err


def command(*arguments: str, flags: Sequence[str] = ()) -> list[str]:
    """The command line of a child."""
    return [sys.executable, *flags, "-m", "mailwhy", *arguments]


def environment(**more: str) -> dict[str, str]:
    """The tests' environment and these."""
    return {**os.environ, **more}


def run(
    *arguments: str, data: bytes = b"", env: Mapping[str, str] | None = None, flags: Sequence[str] = (), **more: object
) -> Done:
    """Runs it to its end. more: what subprocess.run takes (stdout, close_fds, ...)."""
    given: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "input": data, **more}
    done = subprocess.run(
        command(*arguments, flags=flags), check=False, env=environment(**(env or {})), timeout=SECONDS, **given
    )  # type: ignore[call-overload]  # `more` is open
    return Done(done.returncode, _text(done.stdout), _text(done.stderr))


async def arun(
    *arguments: str, data: bytes = b"", env: Mapping[str, str] | None = None, flags: Sequence[str] = ()
) -> Done:
    """The same beside servers of this process."""
    child = await start(*arguments, env=env, flags=flags)
    try:
        out, err = await asyncio.wait_for(child.communicate(data), SECONDS)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return Done(child.returncode or 0, _text(out), _text(err))


async def start(
    *arguments: str, env: Mapping[str, str] | None = None, flags: Sequence[str] = ()
) -> asyncio.subprocess.Process:
    """A child that goes on by itself."""
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *command(*arguments, flags=flags), stdin=pipe, stdout=pipe, stderr=pipe, env=environment(**(env or {}))
    )


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "surrogateescape")
