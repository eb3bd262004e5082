"""Keeps the README true: runs the commands of its output blocks against the look-alike.

    python tests/readme.py          prints what differs, exit 1
    python tests/readme.py --write  writes what is printed today into the README

A block is `<!-- output: ARGUMENTS -->`, a console block, `<!-- end -->`. Ports, times and ids, which differ from
run to run, are written as they were in one run and compared without their digits.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from pathlib import Path

from mailwhy import mock

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"(<!-- output: (?P<args>.+?) -->\n```console\n)(?P<shown>.*?)(```\n<!-- end -->)", re.DOTALL)
AS_OF = "2026-11-22"


async def printed(arguments: list[str]) -> str:
    """What `mailwhy ARGUMENTS` prints, with the look-alike in the place of Microsoft's servers."""
    async with mock.serve() as servers:
        address = next((word for word in arguments if "@" in word and word.endswith(".test")), None)
        options = servers.check_options()
        pairs = dict(zip(options[::2], options[1::2], strict=True)) if len(options) % 2 == 0 else {}
        environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("MAILWHY_")},
            "MAILWHY_AS_OF": AS_OF,
            "MAILWHY_SERVER": " ".join(v for k, v in zip(options[::2], options[1::2], strict=True) if k == "--server"),
            "MAILWHY_CA_FILE": pairs["--ca-file"],
            "COLUMNS": "80",
        }
        if address:
            environ["MAILWHY_PASSWORD"] = servers.secret_of(address)
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mailwhy", *arguments, env=environ, stdout=-1, stderr=-1, stdin=-3
        )
        out, err = await child.communicate()
    return f"$ mailwhy {shlex.join(arguments)}\n{err.decode()}{out.decode()}"


def alike(text: str) -> str:
    """The text without what differs between two runs: digits, white space, server names and ids."""
    text = re.sub(r"\[[A-Z0-9]{8,}\.[^\]]*\]", "[]", text)
    text = re.sub(r"(ms|s)\b", "", re.sub(r"\d+(\.\d+)?", "0", text))
    return " ".join(text.split())


def differing(write: bool = False) -> list[str]:
    """The commands whose printed output is not what the README shows."""
    text = README.read_text(encoding="utf-8")
    wrong: list[str] = []

    def block(found: re.Match[str]) -> str:
        now = asyncio.run(printed(shlex.split(found["args"])))
        if alike(now) == alike(found["shown"]):
            return found[0]
        wrong.append(found["args"])
        return found[1] + now + found[4]

    text = BLOCK.sub(block, text)
    if write:
        README.write_text(text, encoding="utf-8")
    return wrong


if __name__ == "__main__":
    found = differing("--write" in sys.argv)
    for arguments in found:
        print("differs:", arguments)
    sys.exit(bool(found) and "--write" not in sys.argv)
