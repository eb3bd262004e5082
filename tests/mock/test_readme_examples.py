"""The README's examples do what they say: each block that is marked `run` is run as it stands there."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

from needs import program

from mailwhy import mock
from mailwhy.mock.control import Control

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- run: (\w+) -->\n```\w+\n(.*?)```\n", README, re.DOTALL))


def test_what_is_run_here_is_there() -> None:
    assert set(BLOCKS) == {"pytest", "sh", "python"}


def test_the_pytest_example_passes(tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(BLOCKS["pytest"])
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=55, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{BLOCKS['pytest'].count('def test_')} passed" in done.stdout


async def test_the_lines_of_the_control_interface_work() -> None:
    program("curl")
    async with mock.serve() as servers:
        control = Control(servers.world, dict, servers.reset)
        address = await control.start("127.0.0.1")
        held = {}
        for line in BLOCKS["sh"].splitlines():
            child = await asyncio.create_subprocess_exec(
                "sh", "-c", line, env={**os.environ, "CONTROL": address}, stdout=-1, stderr=-1
            )
            out, err = await asyncio.wait_for(child.communicate(), 20)
            assert child.returncode == 0, err
            assert out.strip() in (b"{}", b"[]"), out
            held[line.split("/")[-1].split()[0]] = (
                servers.world.tenants["contoso.test"].org.security_defaults, len(servers.world.faults),
            )  # fmt: skip
        await control.stop()
    assert list(held.values()) == [(True, 0), (True, 1), (True, 1), (False, 0)]


def test_its_files_and_options_exist() -> None:
    helped = subprocess.run(
        [sys.executable, "-m", "mailwhy", "mock", "--help"], capture_output=True, text=True, timeout=50, check=True
    ).stdout
    lines = re.findall(r"^    mailwhy mock (.*?)(?:  +#.*)?$", README, re.MULTILINE)
    assert len(lines) >= 4
    for line in lines:
        option, _, value = line.partition(" ")
        assert option in helped
        if value.startswith("fixtures/"):
            assert (Path(__file__).parents[2] / value).exists()
