"""Where secrets come from, what is kept, what is said, and that nothing shows them."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pexpect
import pytest
from click.testing import CliRunner
from hypothesis import assume, given
from hypothesis import strategies as st

from mailwhy import secrets
from mailwhy.cli import _secret
from mailwhy.model import Kind, Secret

CANARY = 'ca"na\\ry päss'


def facts(value: str, kind: Kind = Kind.PASSWORD) -> set[str]:
    return {fact.removeprefix("secret.shape=") for fact in secrets.shape(Secret(value), kind)}


# --- the sources -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"abc", "abc"),
        (b"abc\n", "abc"),
        (b"abc\r\n", "abc"),
        (b"abc\n\n", "abc\n"),
        (b"abc\r", "abc\r"),
        (b"abc \r\n", "abc "),
        (b"\xef\xbb\xbfabc\n", "\ufeffabc"),
        ("pä ß".encode(), "pä ß"),
        (b" \n", " "),
    ],
)
def test_exactly_one_final_line_end_is_the_files_own(tmp_path: Path, content: bytes, kept: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    file.chmod(0o600)
    taken = secrets.from_file(file)
    assert taken.secret.reveal() == kept
    assert taken.warnings == ()


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.sampled_from(["\n", "\r\n"]))
def test_whatever_stands_before_the_last_line_end_is_kept(value: str, end: str) -> None:
    assume(end != "\n" or not value.endswith("\r"))  # that would be the other line end
    assert secrets._line((value + end).encode(), "x").reveal() == value


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"\xe4bc\n", "not UTF-8"),
        ("abc\n".encode("utf-16"), "UTF-16"),
        (b"x" * (secrets.LIMIT + 1), "KiB"),
    ],
)
def test_a_file_that_gives_no_secret_says_why(tmp_path: Path, content: bytes, word: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(secrets.NoSecretError, match=word) as caught:
        secrets.from_file(file)
    assert caught.value.__cause__ is None
    assert "abc" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_errors_with_their_reason(tmp_path: Path) -> None:
    with pytest.raises(secrets.NoSecretError, match="No such file"):
        secrets.from_file(tmp_path / "none")
    with pytest.raises(secrets.NoSecretError, match="directory"):
        secrets.from_file(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")
@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o400, False), (0o644, True), (0o660, True)])
def test_a_file_that_others_may_read_is_warned_about(tmp_path: Path, mode: int, warned: bool) -> None:
    file = tmp_path / "secret"
    file.write_text("abc\n")
    file.chmod(mode)
    assert bool(secrets.from_file(file).warnings) is warned
    assert bool(secrets.open_to_others(file)) is warned


def python(code: str) -> str:
    return f"{sys.executable} -c '{code}'"


def test_a_command_gives_its_output_without_its_line_end() -> None:
    assert secrets.from_command(python('print("a  b")')).secret.reveal() == "a  b"


def test_a_command_sees_no_shell_no_input_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWHY_PASSWORD", CANARY)
    monkeypatch.setenv("MAILWHY_TOKEN", CANARY)
    code = "import os,sys; print(sys.argv[1:], sys.stdin.read(), [k for k in os.environ if k.startswith(sys.argv[2])])"
    said = secrets.from_command(f"{python(code)} $HOME MAILWHY_").secret.reveal()
    assert said == "['$HOME', 'MAILWHY_']  []"


@pytest.mark.parametrize(
    ("command", "word"),
    [
        (python('print("hunter2"); raise SystemExit(3)'), "exit status 3"),
        ("hunter2-no-such-program", "no such program"),
        ("'hunter2", "cannot be split"),
        ("", "is empty"),
        (python("pass"), "is empty"),
        (python('print("hunter2" * 100000)'), "KiB"),
        ("/proc", "cannot be run"),
    ],
)
def test_a_command_that_fails_is_an_error_that_shows_neither_it_nor_its_output(command: str, word: str) -> None:
    with pytest.raises(secrets.NoSecretError, match=word) as caught:
        secrets.from_command(command)
    assert "hunter2" not in str(caught.value)


def test_a_command_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "COMMAND_SECONDS", 0.2)
    with pytest.raises(secrets.NoSecretError, match="did not end"):
        secrets.from_command(python("import time; time.sleep(50)"))


def test_a_variable_is_taken_out_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "abc\n")
    environment = secrets.Environment()
    assert environment.read("ONE").secret.reveal() == "abc\n"
    assert "ONE" not in os.environ
    assert environment.read("ONE").secret.reveal() == "abc\n"
    with pytest.raises(secrets.NoSecretError, match="TWO is not set"):
        environment.read("TWO")


def test_a_variable_with_bytes_that_are_not_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "ab\udce4")
    with pytest.raises(secrets.NoSecretError, match="not text"):
        secrets.Environment().read("ONE")


class Ring:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def __call__(self, service: str, login: str) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer if (service, login) == ("mailwhy", "u@x") else None


@pytest.mark.parametrize(
    ("answer", "word"), [(None, "no entry"), (RuntimeError(CANARY), "RuntimeError"), ("", "empty")]
)
def test_a_keyring_without_an_answer(monkeypatch: pytest.MonkeyPatch, answer: object, word: str) -> None:
    monkeypatch.setattr("keyring.get_password", Ring(answer))
    with pytest.raises(secrets.NoSecretError, match=word) as caught:
        secrets.from_keyring("mailwhy", "u@x")
    assert CANARY not in str(caught.value)


def test_the_keyring_is_asked_and_a_missing_one_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyring.get_password", Ring(CANARY))
    assert secrets.from_keyring("mailwhy", "u@x").secret.reveal() == CANARY
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(secrets.NoSecretError, match=r"mailwhy\[keyring\]"):
        secrets.from_keyring("mailwhy", "u@x")


# --- the prompt, on a real terminal ------------------------------------------------------------------------

ASK = """
from mailwhy import secrets
try:
    taken = secrets.from_prompt("App password: ")
    print("GOT", len(taken.secret.reveal()), sorted(secrets.shape(taken.secret)))
except secrets.NoSecretError as why:
    print("NONE", why)
"""


@pytest.fixture
def terminal() -> Iterator[Any]:
    child = pexpect.spawn(sys.executable, ["-c", ASK], timeout=30, encoding="utf-8")
    child.expect("App password: ")
    yield child
    child.close(force=True)


def test_the_prompt_does_not_echo(terminal: Any) -> None:
    terminal.waitnoecho()
    terminal.sendline("abcd efgh ijkl mnop ")
    terminal.expect(pexpect.EOF)
    assert "abcd" not in terminal.before
    assert "GOT 20" in terminal.before
    assert "edge_space" in terminal.before
    assert "secret.shape=spaces" in terminal.before


def test_end_of_input_at_the_prompt_is_no_secret(terminal: Any) -> None:
    terminal.waitnoecho()
    terminal.sendeof()
    terminal.expect("NONE nothing was entered")


def test_bytes_that_are_not_text_at_the_prompt_are_not_shown(terminal: Any) -> None:
    terminal.waitnoecho()
    os.write(terminal.child_fd, b"hunter\xff\n")
    terminal.expect(pexpect.EOF)
    assert "hunter" not in terminal.before
    assert "NONE" in terminal.before


def test_without_a_terminal_the_prompt_refuses_instead_of_waiting() -> None:
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", ASK],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=30,
        check=True,
    )
    assert "NONE there is no way to ask for it: there is no terminal" in done.stdout
    assert "--password-stdin" in done.stdout
    assert done.stderr == ""


# --- the shape ---------------------------------------------------------------------------------------------

JWT = "eyJ0eXAiOiJKV1Qi.eyJhdWQiOiJodHRwcyJ9.c2ln"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("abcdefghijklmnop", {"app_password"}),
        ("abcd efgh ijkl mnop", {"app_password", "spaces"}),
        ("abcdefghijklmnop ", {"app_password", "edge_space"}),
        ("\u00a0abcdefghijklmnop", {"app_password", "edge_space", "non_ascii"}),
        ("abcdefghijklmnop\r", {"app_password", "line_end"}),
        ("\ufeffabcdefghijklmnop", {"app_password", "bom"}),
        ('"abcdefghijklmnop"', {"app_password", "quotes"}),
        ("\u201cabcdefghijklmnop\u201d", {"app_password", "quotes", "non_ascii"}),
        ("Summer2026!", {"not_app_password"}),
        ("ABCDEFGHIJKLMNOP", {"not_app_password"}),
        ("abcdefghijklmno", {"not_app_password"}),
        ("it's", {"not_app_password"}),
        ('ends with"', {"not_app_password", "spaces"}),
        ("pässword", {"not_app_password", "non_ascii"}),
        ("a\x00b", {"not_app_password", "control"}),
        ("a\tb", {"not_app_password", "control", "spaces"}),
        (JWT, {"token"}),
        ("Bearer " + JWT, {"token", "spaces"}),
        ("E" * 200, {"token"}),
    ],
)
def test_the_shape(value: str, expected: set[str]) -> None:
    assert facts(value) == expected


def test_a_token_is_not_judged_as_an_app_password() -> None:
    assert facts(JWT, Kind.OAUTH) == {"token"}
    assert facts("abcdefghijklmnop", Kind.OAUTH) == set()


def test_every_shape_but_a_clean_one_has_something_said_about_it() -> None:
    assert secrets.remarks(secrets.shape(Secret("abcdefghijklmnop"))) == []
    for name in ("line_end", "bom", "edge_space", "spaces", "quotes", "non_ascii", "control", "token"):
        assert secrets.remarks(frozenset({f"secret.shape={name}"})), name
    assert "--credential oauth" in " ".join(secrets.remarks(secrets.shape(Secret(JWT))))
    assert secrets.remarks(secrets.shape(Secret(JWT), Kind.OAUTH), Kind.OAUTH) == []
    assert "not look like an access token" in " ".join(secrets.remarks(frozenset(), Kind.OAUTH))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=9, max_size=40))
def test_remarks_never_show_the_value(value: str) -> None:
    known = "".join(secrets.remarks(frozenset(f"secret.shape={n}" for n, _ in secrets._REMARKS)))
    if value not in known:
        said = " ".join(secrets.remarks(secrets.shape(Secret(value))))
        assert value not in said


def test_blanks_go_only_on_request() -> None:
    assert secrets.without_spaces(Secret("\ufeff abcd efgh\u00a0ij\r\n")).reveal() == "abcdefghij"
    with pytest.raises(secrets.NoSecretError, match="empty"):
        secrets.without_spaces(Secret("  "))


# --- the options -------------------------------------------------------------------------------------------


@click.command(context_settings={"auto_envvar_prefix": "MAILWHY"})
@_secret.secret_options
@click.pass_context
def command(ctx: click.Context) -> None:
    ready = _secret.take(ctx, "u@x")
    click.echo(f"{len(ready.secret.reveal())} from {ready.source}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("abcd efgh ijkl mnop\n")
    path.chmod(0o600)
    return path


def run(*args: str, **more: Any) -> Any:
    return CliRunner().invoke(command, [str(arg) for arg in args], **more)


def test_a_file_is_read_and_its_blanks_are_said_and_kept(file: Path) -> None:
    result = run("--password-file", str(file))
    assert result.exit_code == 0
    assert result.stdout.startswith("19 from the password file")
    assert "blanks inside" in result.stderr
    assert "abcd" not in result.output


def test_strip_spaces_says_what_it_took_out(file: Path) -> None:
    result = run("--password-file", str(file), "--strip-spaces")
    assert result.stdout.startswith("16 from")
    assert "Taken out of the secret, as asked: spaces." in result.stderr


def test_standard_input(file: Path) -> None:
    assert run("--password-stdin", input="abc\r\n").stdout == "3 from standard input\n"
    assert run("--password-stdin", input="").exit_code == 2


def test_two_sources_are_refused_by_name(file: Path) -> None:
    result = run("--password-stdin", "--password-file", str(file), input="x")
    assert result.exit_code == 2
    assert "one place only, not from --password-stdin and --password-file" in result.output


def test_an_option_goes_before_the_variable_and_the_variable_leaves_anyway(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILWHY_PASSWORD", "abc")
    assert run("--password-file", str(file)).stdout.startswith("19 from the password file")
    assert "MAILWHY_PASSWORD" not in os.environ
    monkeypatch.setenv("MAILWHY_PASSWORD", "abc")
    assert run().stdout == "3 from the variable MAILWHY_PASSWORD\n"


def test_two_sources_in_the_environment_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWHY_PASSWORD", "abc")
    monkeypatch.setenv("MAILWHY_PASSWORD_FILE", str(file))
    assert "not from --password-file and MAILWHY_PASSWORD" in run().output


@pytest.mark.parametrize(
    "args", [["--password", "hunter2"], ["--password=hunter2"], ["--password"], ["--auth-password", "hunter2"]]
)
def test_a_secret_in_an_argument_is_refused_and_not_repeated(args: list[str]) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert "process list" in result.output
    assert "hunter2" not in result.output


def test_the_keyring_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyring.get_password", Ring(CANARY))
    assert run("--keyring").stdout.startswith(f"{len(CANARY)} from the keyring")
    assert run("--keyring", "--keyring-service", "other").exit_code == 2


def test_no_source_and_no_terminal_is_a_usage_error_that_names_the_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_nobody_there", lambda: "there is no terminal")
    result = run()
    assert result.exit_code == 2
    for way in ("--password-stdin", "--password-file", "--password-command", "--keyring", "MAILWHY_PASSWORD"):
        assert way in result.output


def test_ctrl_c_at_the_prompt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(question: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(secrets, "from_prompt", interrupted)
    assert run().exit_code == 130


def test_the_token_has_its_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWHY_TOKEN", JWT)
    with click.Context(click.Command("x")) as ctx:
        ready = _secret.take(ctx, "u@x", Kind.OAUTH)
    assert ready.secret.reveal() == JWT
    assert ready.facts == {"secret.shape=token"}
    assert textwrap.dedent(repr(ready)).count("eyJ") == 0
