"""The entry: answers `--version` before click is imported, hands everything else to `cli`, and ends at once."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # as in typing, whose import takes 3 ms
    from types import FrameType


def main() -> None:
    """Runs the command line and ends the process; the codes are those of design ("Verdicts and exit codes")."""
    try:
        answer()
    except SystemExit as end:
        _end_at_once(end.code)
        raise
    _end_at_once(0)


def answer() -> None:
    """Runs the command line. Raises SystemExit, as a rule also where all is well."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from . import __version__

        _say_version(f"mailwhy {__version__}")
        return
    import gc

    # What a program reads at its start stays to its end: to look for garbage in it costs 7 ms
    gc.set_threshold(50_000)
    try:
        from .cli import main as cli
        from .cli._signals import end_like_ctrl_c

        end_like_ctrl_c()
        cli()
    except KeyboardInterrupt:  # before click was there to take it
        sys.exit(130)


def _say_version(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError as why:
        from .cli._ends import nobody_reads, went_wrong

        sys.exit(nobody_reads() if isinstance(why, BrokenPipeError) else went_wrong(why))


def _end_at_once(code: object) -> None:
    """Ends without taking everything apart first, which takes Python 4 to 6 ms and helps nobody.

    Returns where Python's own end is wanted: something else still runs, has to be said, is looked for (`-X dev`), or
    comes after us (`-i`; a profiler, coverage or a test that runs the program within its own).
    """
    import atexit
    import os

    threading = sys.modules.get("threading")
    runs_on = threading and sum(not thread.daemon for thread in threading.enumerate()) > 1
    if runs_on or sys.flags.dev_mode or sys.flags.inspect or not isinstance(code, int | None) or not _is_all():
        return
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return
    atexit._run_exitfuncs()
    os._exit(code or 0)


def _is_all() -> bool:
    """Is this the whole program: was `main` called by a script, or by `python -m` (runpy), and by nobody behind it?"""
    frame: FrameType | None = sys._getframe(3)
    callers = []
    while frame:
        callers.append(frame.f_code.co_name)
        frame = frame.f_back
    return callers in (["<module>"], ["<module>", "_run_code", "_run_module_as_main"])


if __name__ == "__main__":
    main()
