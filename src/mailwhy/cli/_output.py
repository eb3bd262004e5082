"""Where reports go: `--format`, `--output`, `--color`, `-q`, `-v`. The only file that writes reports to disk.

A file is written aside and put in place at once, readable by its owner only, and replaces an older one only with
`--overwrite`. A reader that closes its pipe ends the writing, not the program with a traceback.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO

import click

from ..model import Exit, Knowledge, Outcome
from ..noun import dataclass
from ..report import FORMATS, Options, render
from ._ends import silence

if TYPE_CHECKING:
    from pathlib import Path

    from ..report.live import Live

SUFFIXES: dict[str, str] = {
    ".txt": "human",
    ".log": "human",
    ".json": "json",
    ".jsonl": "json",
    ".md": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xml": "junit",
    ".prom": "prometheus",
    ".csv": "csv",
}


@dataclass(frozen=True, slots=True)
class Output:
    """What the user asked of the reports.

    files      (path, format) of each `--output`
    verbosity  -1 for -q, else how many -v
    color      None: as the stream allows
    limits     a monitor's limits and labels, where the command has `monitor_options`
    """

    format: str = "human"
    files: tuple[tuple[Path, str], ...] = ()
    color: bool | None = None
    verbosity: int = 0
    overwrite: bool = False
    limits: Options = field(default_factory=Options)

    def options(self, stream: TextIO | None = None) -> Options:
        """Options for one stream; for a file (None): 80 columns, no colour."""
        color = False if stream is None else wants_color(self.color, stream)
        width = 80
        if stream is not None and _is_terminal(stream):
            from shutil import get_terminal_size

            width = get_terminal_size().columns
        verbosity, offset = self.verbosity, local_offset()
        return replace(self.limits, width=width, color=color, verbosity=verbosity, utc_offset=offset)

    def write(self, outcome: Outcome, knowledge: Knowledge, stream: TextIO | None = None) -> None:
        """The report on standard output and in every file asked for; click's UsageError where a file cannot be."""
        for path, format_ in self.files:
            write_file(path, render(outcome, knowledge, format_, self.options()), overwrite=self.overwrite)
        out: TextIO | None = stream or sys.stdout
        print_text(render(outcome, knowledge, self.format, self.options(out)), out)

    def live(self) -> Live:
        """What to call after each stage: progress on standard error, where that is a terminal and -q was not said."""
        from ..report.live import Live

        progress = Live(sys.stderr, color=wants_color(self.color, sys.stderr))
        progress.on = progress.on and self.verbosity >= 0 and self.format == "human"
        return progress

    def status(self, outcome: Outcome) -> int:
        """The exit code; that of a monitoring plug-in where its format is printed."""
        if self.format == "nagios" and outcome.exit is not Exit.CANCELLED:
            from ..report import nagios

            return nagios.status(outcome, self.options())
        return int(outcome.exit)


def output_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options to a click command's function, which receives them as one argument, `output: Output`."""

    @functools.wraps(function)
    def packed(*args: Any, **values: Any) -> Any:
        mine = {key: values.pop(key) for key in ("format", "output", "overwrite", "color", "quiet", "verbose")}
        return function(*args, output=collect(mine), **values)

    for decorate in reversed(_DECORATORS):
        packed = decorate(packed)
    return packed


def monitor_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds a monitor's limits and labels; the function receives them in `output`. Stands under `output_options`."""

    @functools.wraps(function)
    def packed(*args: Any, output: Output, **values: Any) -> Any:
        mine = {key: values.pop(key) for key in ("warn_seconds", "crit_seconds", "warn_days", "crit_days", "users")}
        warn, crit = mine["warn_seconds"], mine["crit_seconds"]
        if mine["crit_days"] > mine["warn_days"] or (warn is not None and crit is not None and warn > crit):
            raise click.UsageError("a limit for CRITICAL would be passed before the one for WARNING")
        return function(*args, output=replace(output, limits=Options(**mine)), **values)

    for decorate in reversed(_MONITOR):
        packed = decorate(packed)
    return packed


def collect(values: Mapping[str, Any]) -> Output:
    """The values of `output_options`, as click gives them, put together. UsageError where they contradict."""
    if values["quiet"] and values["verbose"]:
        raise click.UsageError("-q and -v contradict each other")
    files = tuple(file_of(spec) for spec in values["output"])
    color = {"auto": None, "always": True, "never": False}[values["color"]]
    verbosity = -1 if values["quiet"] else min(values["verbose"], 2)
    chosen = Output(values["format"], files, color, verbosity, values["overwrite"])
    refuse_existing(chosen)
    return chosen


def refuse_existing(output: Output) -> None:
    """Before any work is done: a file that is there already is not replaced without `--overwrite`."""
    for number, (path, _) in enumerate(output.files):
        if path.is_dir():
            raise click.UsageError(f"--output {path}: that is a folder")
        if any(path == other for other, _ in output.files[:number]):
            raise click.UsageError(f"--output {path}: named twice")
        if is_device(path):
            continue
        if os.path.lexists(path) and not output.overwrite:
            raise click.UsageError(f"--output {path}: there already; --overwrite replaces it")
        if not path.parent.is_dir():
            raise click.UsageError(f"--output {path}: the folder {path.parent} is not there")


def file_of(spec: str) -> tuple[Path, str]:
    """`FILE`, its ending says the format; or `FORMAT=FILE`."""
    from pathlib import Path

    before, sign, after = spec.partition("=")
    if "-" in (spec, after):
        raise click.UsageError(f"--output {spec}: what goes to standard output is chosen with --format")
    if sign and after and before in FORMATS:
        return Path(after), before
    format_ = SUFFIXES.get(Path(spec).suffix.lower())
    if format_ not in FORMATS:
        raise click.UsageError(f"--output {spec}: which format? Write FORMAT={spec}, with {', '.join(FORMATS)}")
    return Path(spec), format_


def write_file(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Writes beside `path`, mode 0600, and puts the file in place in one step; never half a file.

    A device or a pipe is written into. Raises UsageError where something stands there already (without `overwrite`)
    or the system refuses.
    """
    import tempfile
    from pathlib import Path

    try:
        if is_device(path):
            with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as device:
                device.write(text)
            return
        handle, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            _place(Path(aside), path, overwrite)
        finally:
            with suppress(FileNotFoundError):
                Path(aside).unlink()
    except FileExistsError:
        raise click.UsageError(f"--output {path}: there already; --overwrite replaces it") from None
    except OSError as why:
        raise click.UsageError(f"--output {path}: {why.strerror or why}") from None


def is_device(path: Path) -> bool:
    """/dev/stdout, a terminal, a named pipe: nothing that a file may take the place of."""
    stream = str(path) in ("/dev/stdout", "/dev/stderr") or str(path.parent) in ("/dev/fd", "/proc/self/fd")
    return stream or (path.exists() and not path.is_file() and not path.is_dir())


def _place(aside: Path, path: Path, overwrite: bool) -> None:
    if overwrite:
        aside.replace(path)
        return
    try:
        os.link(aside, path)  # unlike rename, this refuses where a file has appeared meanwhile
    except FileExistsError:
        raise
    except (OSError, NotImplementedError, AttributeError):  # a file system, or a platform, without hard links
        if os.path.lexists(path):
            raise FileExistsError from None
        aside.replace(path)


def print_text(text: str, stream: TextIO | None) -> None:
    """Prints, whatever the stream's encoding can hold; a closed pipe is the reader's good right, and so is no stream.

    Raises OSError where there is no room.
    """
    if stream is None:  # standard output was closed before we began
        return
    encoding = stream.encoding or "utf-8"
    safe = text.encode(encoding, "backslashreplace").decode(encoding)
    try:
        stream.write(safe)
        stream.flush()
    except BrokenPipeError:
        silence(stream)


def wants_color(chosen: bool | None, stream: TextIO | None, environ: Mapping[str, str] = os.environ) -> bool:
    """--color decides; else NO_COLOR (any value but empty), TERM=dumb, and whether the stream is a terminal."""
    if chosen is not None:
        return chosen
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb" and _is_terminal(stream)


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def local_offset() -> str:
    """The reader's offset from UTC now: `+01:00`."""
    return datetime.now().astimezone().isoformat()[-6:]


_DECORATORS: Sequence[Callable[[Any], Any]] = (
    click.option(
        "--format", type=click.Choice(list(FORMATS)), default="human", show_default=True, help="What to print."
    ),
    click.option(
        "--output",
        "-o",
        multiple=True,
        metavar="[FORMAT=]FILE",
        help="Also write the report to FILE; its ending says the format. May be given several times.",
    ),
    click.option("--overwrite", is_flag=True, help="Let --output replace files that are there."),
    click.option(
        "--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colour in the output."
    ),
    click.option("--quiet", "-q", is_flag=True, help="Three lines only."),
    click.option("--verbose", "-v", count=True, help="Show the dialogue; -vv: everything seen."),
)

_MONITOR: Sequence[Callable[[Any], Any]] = (
    click.option(
        "--warning",
        "-w",
        "warn_seconds",
        type=click.FloatRange(0),
        metavar="SECONDS",
        help="nagios: slower is WARNING.",
    ),
    click.option(
        "--critical",
        "-c",
        "crit_seconds",
        type=click.FloatRange(0),
        metavar="SECONDS",
        help="nagios: slower is CRITICAL.",
    ),
    click.option(
        "--warning-days",
        "warn_days",
        type=click.IntRange(0),
        default=30,
        show_default=True,
        help="nagios: WARNING where the certificate ends sooner.",
    ),
    click.option(
        "--critical-days",
        "crit_days",
        type=click.IntRange(0),
        default=7,
        show_default=True,
        help="nagios: CRITICAL where it ends sooner.",
    ),
    click.option("--name-mailbox", "users", is_flag=True, help="prometheus: the mailbox as a label."),
)
