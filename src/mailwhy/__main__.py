"""The entry: answers `--version` before click is imported, hands everything else to `cli`."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line; exits with the codes of design ("Verdicts and exit codes")."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from . import __version__

        sys.stdout.write(f"mailwhy {__version__}\n")
        return
    import atexit
    import gc

    # What a program reads at its start stays to its end: to look for garbage in it costs 15 ms, half of that at exit
    gc.set_threshold(50_000)
    atexit.register(gc.freeze)
    try:
        from .cli import main as cli
        from .cli._signals import end_like_ctrl_c

        end_like_ctrl_c()
        cli()
    except KeyboardInterrupt:  # before click was there to take it
        sys.exit(130)


if __name__ == "__main__":
    main()
