"""The program ends at once, and nothing is lost by it: what was printed, the code, what others want done at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CAUSES = "import sys; sys.argv = ['mailwhy', 'causes']; from mailwhy.__main__ import main; "


def ended(code: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *flags, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_everything_printed_arrives_and_so_does_the_code() -> None:
    told = ended(CAUSES + "main()")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.endswith("\n")
    assert len(told.stdout) > 4096
    assert ended(CAUSES.replace("'causes'", "'explain', 'hello'") + "main()").returncode == 3


def test_what_others_want_done_at_the_end_is_done() -> None:
    told = ended("import atexit; atexit.register(print, 'done'); " + CAUSES + "main()")
    assert told.stdout.endswith("done\n")


def test_nothing_is_taken_apart_first() -> None:
    heavy = "import sys\nclass Heavy:\n    def __del__(self): print('apart', file=sys.__stdout__)\nkept = Heavy()\n"
    assert "apart" not in ended(heavy + CAUSES + "main()").stdout
    assert "apart" in ended(heavy + CAUSES + "main()", "-X", "dev").stdout


@pytest.mark.parametrize("flags", [[], ["-X", "dev"]])
def test_a_thread_that_still_works_is_waited_for(flags: list[str]) -> None:
    work = "import threading; said = threading.Event()\n"
    work += "threading.Thread(target=lambda: (said.wait(), print('worked'))).start()\n"
    work += "import atexit; threading._register_atexit(said.set)\n"
    assert ended(work + CAUSES + "main()", *flags).stdout.endswith("worked\n")


def test_where_nothing_can_be_printed_the_end_is_pythons_own() -> None:
    full = ended("import sys; sys.stdout = open('/dev/full', 'w'); sys.stdout.write('x'); " + CAUSES + "main()")
    assert full.returncode == 3
    assert "could not be printed" in full.stderr


WITHIN = {
    "a function": "def run():\n    from mailwhy.__main__ import main\n    main()\nrun()",
    "runpy, as coverage and pdb do": "import runpy; runpy.run_module('mailwhy', run_name='__main__')",
    "profile": "import cProfile; cProfile.run('from mailwhy.__main__ import main; main()')",
}


@pytest.mark.parametrize("run", WITHIN.values(), ids=WITHIN)
def test_who_runs_the_program_within_their_own_goes_on_after_it(run: str) -> None:
    body = "\n".join(f"    {line}" for line in run.splitlines())
    told = ended(f"import sys; sys.argv = ['mailwhy', 'causes']\ntry:\n{body}\nfinally: print('went on')")
    assert told.stdout.endswith("went on\n")


def test_python_stays_where_it_was_asked_to() -> None:
    command = [sys.executable, "-i", "-m", "mailwhy", "--version"]
    told = subprocess.run(command, input="print('stayed')", capture_output=True, text=True, timeout=60, check=False)
    assert told.stdout.endswith("stayed\n")


# -- where nobody reads, or there is no room: 1 would say that the password was refused, 0 that it works

USAGE = (["nosuch"], ["explain", "--file", "/nosuch"], ["--config", "/nosuch", "causes"], ["causes", "nosuch"])


def code_of(args: list[str], **streams: int) -> int:
    command = [sys.executable, "-m", "mailwhy", *args]
    where = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **streams}
    return subprocess.run(command, timeout=60, check=False, **where).returncode  # type: ignore[call-overload, no-any-return]  # streams by name


@pytest.fixture
def unread() -> Iterator[int]:
    """A pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.fixture
def full() -> Iterator[int]:
    if not Path("/dev/full").is_char_device():
        pytest.skip("needs a device that is always full")
    with Path("/dev/full").open("wb") as device:
        yield device.fileno()


@pytest.mark.parametrize("args", USAGE, ids=" ".join)
def test_wrong_usage_is_wrong_usage_where_nobody_reads_why(args: list[str], unread: int, full: int) -> None:
    assert code_of(args, stderr=unread) == 2
    assert code_of(args, stderr=full) == 2


@pytest.mark.parametrize("args", [["--version"], ["--help"], ["explain", "--help"]], ids=" ".join)
def test_a_reader_that_leaves_is_no_failure_and_a_full_disk_no_refusal(args: list[str], unread: int, full: int) -> None:
    assert code_of(args, stdout=unread) == 0
    assert code_of(args, stdout=full) == 3


def test_a_check_goes_on_where_nobody_reads_its_remarks(tmp_path: Path, unread: int, full: int) -> None:
    secret = tmp_path / "secret"
    secret.write_text("abcd efgh ijkl mnop")  # a remark on its blanks
    args = ["check", "a@contoso.test", "--only", "smtp", "--server", "smtp=127.0.0.1:1/none"]
    args += ["--password-file", str(secret)]
    for stream in (unread, full):
        report = tmp_path / f"{stream}.json"
        assert code_of([*args, "-o", str(report)], stderr=stream) == 3
        assert '"tcp"' in report.read_text()
