"""Where reports go: formats and files as they are asked for, never half a file, never over another."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from outcomes import book, outcomes

from mailwhy.cli._output import Output, output_options, print_text, wants_color, write_file
from mailwhy.model import Exit, Protocol, Stage, Step, Target
from mailwhy.report.live import Live


@click.command()
@click.argument("name")
@output_options
@click.pass_context
def tool(ctx: click.Context, /, name: str, output: Output) -> None:
    outcome = outcomes()[name]
    output.write(outcome, book())
    ctx.exit(output.status(outcome))


def call(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(tool, arguments)
    return done.exit_code, done.output


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_prints_the_format_asked_for() -> None:
    code, text = call("tenant-off", "--format", "json")
    assert (code, json.loads(text)["verdict"]) == (1, "narrowed")
    assert call("tenant-off", "-q")[1].count("\n") == 3
    assert call("works", "--format", "nagios")[0] == 0
    assert call("tenant-off", "--format", "nagios")[0] == 2


def test_several_files_at_once_each_by_its_ending(tmp_path: Path) -> None:
    names = ["a.json", "a.md", "a.html", "a.xml", "a.prom", "a.csv", "a.txt"]
    files = [argument for name in names for argument in ("--output", str(tmp_path / name))]
    code, _ = call("tenant-off", *files, "-o", f"nagios={tmp_path / 'plain'}")
    assert code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "plain"])
    assert (tmp_path / "plain").read_text().startswith("MAILWHY CRITICAL")
    assert json.loads((tmp_path / "a.json").read_text())["schema"] == "mailwhy/1"
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("spec", ["report", "report.pdf", "pdf=report"])
def test_a_format_that_nobody_can_guess_is_asked_for(
    tmp_path: Path, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = call("works", "-o", spec)
    assert code == 2
    assert "which format?" in text
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_replaced_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("mine")
    code, text = call("works", "-o", str(path))
    assert (code, path.read_text()) == (2, "mine")
    assert "--overwrite" in text
    assert call("works", "-o", str(path), "--overwrite")[0] == 0
    assert json.loads(path.read_text())["verdict"] == "works"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("theirs")
    with pytest.raises(click.UsageError, match="there already"):
        write_file(path, "ours")
    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("victim")
    link.symlink_to(victim)
    with pytest.raises(click.UsageError):
        write_file(link, "ours")
    write_file(link, "ours", overwrite=True)
    assert (victim.read_text(), link.read_text(), link.is_symlink()) == ("victim", "ours", False)


@pytest.mark.parametrize("where", ["no/such/folder/a.json", "."])
def test_places_that_cannot_be_written(tmp_path: Path, where: str) -> None:
    code, text = call("works", "-o", f"json={tmp_path / where}")
    assert code == 2
    assert "Traceback" not in text


def test_quiet_and_verbose_contradict() -> None:
    assert call("works", "-q", "-v")[0] == 2


@pytest.mark.parametrize(
    ("chosen", "terminal", "environ", "wanted"),
    [
        (None, True, {}, True),
        (None, False, {}, False),
        (None, True, {"NO_COLOR": "1"}, False),
        (None, True, {"NO_COLOR": ""}, True),
        (None, True, {"TERM": "dumb"}, False),
        (True, False, {"NO_COLOR": "1"}, True),
        (False, True, {}, False),
    ],
)
def test_colour(chosen: bool | None, terminal: bool, environ: dict[str, str], wanted: bool) -> None:
    assert wants_color(chosen, Terminal() if terminal else io.StringIO(), environ) is wanted


def test_a_stream_that_cannot_hold_a_character_gets_its_escape() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    print_text("caf\u00e9 \U0001f600\n", stream)
    assert raw.getvalue() == b"caf\\xe9 \\U0001f600\n"


def test_a_closed_pipe_ends_quietly() -> None:
    program = (
        "import sys; from mailwhy.cli._output import print_text;"
        "sys.stdin.readline(); print_text('x' * 10_000_000, sys.stdout); sys.exit(7)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout
        assert child.stdin
        assert child.stderr
        child.stdout.close()
        child.stdin.write(b"\n")
        child.stdin.close()
        assert child.stderr.read() == b""
        assert child.wait() == 7


def test_progress_only_on_a_terminal() -> None:
    target, step = Target(Protocol.SMTP, "mail.example.com", 587), Step(Stage.TCP, True, seconds=0.012)
    for stream, text in ((Terminal(), "SMTP  tcp 12 ms to mail.example.com:587\n"), (io.StringIO(), "")):
        Live(stream)(target, step)
        assert stream.getvalue() == text


def test_progress_outlives_its_terminal() -> None:
    stream = Terminal()
    live = Live(stream)
    stream.close()
    live(Target(Protocol.SMTP), Step(Stage.DNS, True))
    assert live.on is False


def test_a_cancelled_run_says_so_in_every_format() -> None:
    stopped = replace(outcomes()["works"], exit=Exit.CANCELLED)
    assert {Output(format=f).status(stopped) for f in ("human", "nagios", "json")} == {130}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_written_into_not_replaced(tmp_path: Path) -> None:
    """`--output json=/dev/stdout --overwrite` as root must not put a file where the device was."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        code, text = call("works", "-q", "-o", f"nagios={pipe}", "--overwrite")
        assert code == 0, text
        assert os.read(reader, 1 << 16).startswith(b"MAILWHY OK")
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)


def test_one_file_is_not_named_twice_and_a_dash_is_no_file(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    code, text = call("works", "-o", str(file), "-o", f"markdown={file}", "--overwrite")
    assert code == 2
    assert "twice" in text
    assert not file.exists()
    code, text = call("works", "-o", "json=-")
    assert code == 2
    assert "--format" in text


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs a device that is always full")
@pytest.mark.parametrize(
    "arguments", [["explain", "535 5.7.3 Authentication unsuccessful"], ["causes"], ["check", "--help"]]
)
def test_a_full_disk_is_no_refusal(arguments: list[str]) -> None:
    words = [sys.executable, "-m", "mailwhy", *arguments]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 3
    assert done.stderr.decode().startswith("Error: ")
    assert b"Traceback" not in done.stderr


def test_standard_output_may_be_closed() -> None:
    code = "import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, '-m', 'mailwhy', *sys.argv[1:]])"
    words = [sys.executable, "-c", code, "explain", "535 5.7.3 Authentication unsuccessful"]
    done = subprocess.run(words, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
