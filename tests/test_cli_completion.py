"""Completion as the shells ask for it: the words, that bash's script really fills them in, and that it is fast."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mailwhy.cli import COMMANDS
from mailwhy.knowledge import handbook, load
from mailwhy.report import FORMATS

MAILWHY = str(Path(sys.executable).with_name("mailwhy"))
SHELLS = ("bash", "zsh", "fish")


def completed(words: str) -> list[str]:
    """What is offered for the last word."""
    environ = {**os.environ, "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    done = subprocess.run(
        [MAILWHY],
        env={**environ, "_MAILWHY_COMPLETE": "bash_complete"},
        capture_output=True,
        text=True,
        check=False,
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line.startswith("plain,")]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("mailwhy ", list(COMMANDS)),
        ("mailwhy causes ", list(handbook())),
        ("mailwhy causes org.sm", ["org.smtp_auth_disabled", "org.smtp_basic_auth_default_off"]),
        ("mailwhy check --format ", list(FORMATS)),
        ("mailwhy check --cloud ", list(load().clouds)),
        ("mailwhy batch --cloud gcc", ["gcc-high"]),
        ("mailwhy check --only smtp,", ["smtp,imap", "smtp,pop"]),
        ("mailwhy explain --fact mfa", ["mfa=conditional-access", "mfa=per-user", "mfa=security-defaults", "mfa=none"]),
        ("mailwhy check --until", ["--until-pass"]),
    ],
)
def test_the_words(words: str, offered: list[str]) -> None:
    assert completed(words) == offered


def test_no_option_for_a_password_is_offered() -> None:
    assert "--password-file" in completed("mailwhy check --passw")
    assert "--password" not in completed("mailwhy check --passw")


def test_the_handbook_is_completed_without_the_network_modules() -> None:
    code = (
        "import sys; sys.argv = ['mailwhy']\ntry: from mailwhy.__main__ import answer; answer()\n"
        "finally: print({'asyncio', 'ssl', 'rich'} & sys.modules.keys())"
    )
    environ = {
        **os.environ,
        "COMP_WORDS": "mailwhy causes org",
        "COMP_CWORD": "2",
        "_MAILWHY_COMPLETE": "bash_complete",
    }
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "set()"
    assert "plain,org.security_defaults" in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_each_shell_is_one_that_it_reads(shell: str) -> None:
    environ = {**os.environ, "_MAILWHY_COMPLETE": f"{shell}_source"}
    script = subprocess.run([MAILWHY], env=environ, capture_output=True, text=True, check=False).stdout
    assert "_MAILWHY_COMPLETE" in script
    if path := shutil.which(shell):
        subprocess.run([path, "-n", "/dev/stdin"], input=script, text=True, check=True, capture_output=True)


def test_bash_fills_in_the_page(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    script = """
        # without a terminal: only note which function would be called
        complete() { while [ $# -gt 0 ]; do [ "$1" = -F ] && filler=$2; shift; done; }
        eval "$(_MAILWHY_COMPLETE=bash_source mailwhy)"
        COMP_WORDS=(mailwhy causes org.security); COMP_CWORD=2
        $filler mailwhy org.security causes
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    path = os.pathsep.join([str(Path(MAILWHY).parent), os.environ["PATH"]])
    done = subprocess.run(
        [bash, "-c", script], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["org.security_defaults"], done.stderr
