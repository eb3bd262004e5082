"""The program ends at once, and nothing is lost by it: what was printed, the code, what others want done at the end."""

from __future__ import annotations

import subprocess
import sys

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
