"""Options from mailwhy.toml and the environment, and `mailwhy config show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from mailwhy import cli
from mailwhy.cli import _config, main
from mailwhy.cli._options import family_options
from mailwhy.cli._where import family_of


@click.command("check")
@click.option("--timeout", type=click.FloatRange(0.1, 600))
@click.option("--from", "sender")
@click.option("--fact", "facts", multiple=True)
@family_options
@click.option("--all", "insist", is_flag=True)
@click.option("--force", is_flag=True)
@click.option("--password-command")
def probe(**given: Any) -> None:
    """A command with every kind of option."""
    click.echo(json.dumps(given))


@click.command("other")
@click.option("--width", type=int)
def other(width: int | None) -> None:
    """A command with an option of its own."""
    click.echo(str(width))


@click.command("family")
@family_options
def family(**given: Any) -> None:
    """A command that connects."""
    click.echo(family_of(given))


@pytest.fixture(autouse=True)
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands of our own in place of the real ones, and no file of the person who runs the tests."""
    from mailwhy.cli import config as show

    table = {"check": probe, "other": other, "family": family, "config": show.command}
    monkeypatch.setattr(cli, "COMMANDS", dict.fromkeys(table, ("", "")))
    monkeypatch.setattr(show, "COMMANDS", dict.fromkeys(table, ("", "")))
    monkeypatch.setattr(
        cli.Commands, "get_command", lambda self, ctx, name: (c := table.get(name)) and _config.from_environment(c)
    )
    monkeypatch.setattr("mailwhy.config.default_path", lambda: tmp_path / "mailwhy.toml")
    monkeypatch.delenv("MAILWHY_CONFIG", raising=False)


def write(tmp_path: Path, text: str) -> None:
    (tmp_path / "mailwhy.toml").write_text(text)
    (tmp_path / "mailwhy.toml").chmod(0o600)


def run(*args: str, **env: str) -> Any:
    return CliRunner().invoke(main, args, env=env)


def given(*args: str, **env: str) -> dict[str, Any]:
    result = run(*args, **env)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


def test_the_file_then_the_environment_then_the_command_line(tmp_path: Path) -> None:
    assert given("check")["timeout"] is None
    write(tmp_path, "timeout = 5\n")
    assert given("check")["timeout"] == 5
    assert given("check", MAILWHY_TIMEOUT="6")["timeout"] == 6
    assert given("check", "--timeout", "7", MAILWHY_TIMEOUT="6")["timeout"] == 7


def test_every_kind_of_option(tmp_path: Path) -> None:
    write(tmp_path, 'from = "a@x"\nfact = ["one", "two"]\nipv6 = true\nipv4 = false\nall = true\n')
    found = given("check")
    assert found == {
        "timeout": None,
        "sender": "a@x",
        "facts": ["one", "two"],
        "ipv4": False,
        "ipv6": True,
        "insist": True,
        "force": False,
        "password_command": None,
    }


def test_what_has_to_be_meant_each_time_comes_from_neither(tmp_path: Path) -> None:
    assert given("check", MAILWHY_FORCE="1")["force"] is False
    write(tmp_path, "force = true\n")
    result = run("check")
    assert result.exit_code == 2
    assert "give --force when needed" in result.output


def test_a_profile_by_option_and_by_variable(tmp_path: Path) -> None:
    write(tmp_path, "[profiles.a]\ntimeout = 1\n[profiles.b.check]\ntimeout = 2\n")
    assert given("--profile", "a", "check")["timeout"] == 1
    assert given("check", MAILWHY_PROFILE="b")["timeout"] == 2
    assert run("--profile", "c", "check").exit_code == 2


def test_a_setting_of_another_command_is_fine_at_the_top_but_a_misspelling_is_not(tmp_path: Path) -> None:
    write(tmp_path, "width = 3\n")
    assert given("check")["timeout"] is None
    assert run("other").output == "3\n"
    write(tmp_path, "timeuot = 3\n")
    result = run("check")
    assert result.exit_code == 2
    assert "the top of the file: 'timeuot' is no option; did you mean 'timeout'?" in " ".join(result.output.split())
    write(tmp_path, "[check]\nwidth = 3\n")
    assert "'width' is no option" in run("check").output


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("timeout = 9000", "timeout: 9000.0 is not in the range"),
        ('timeout = "soon"', "timeout: 'soon' is not a valid float"),
        ("timeout = [1]", "timeout: write one text or number"),
        ("all = 1", "all: write true or false"),
        ("fact = [[1]]", "fact: write a list of texts"),
    ],
)
def test_a_wrong_value_names_file_key_and_mend(tmp_path: Path, text: str, part: str) -> None:
    write(tmp_path, text)
    result = run("check")
    assert result.exit_code == 2
    said = " ".join(result.output.split())
    assert part in said
    assert str(tmp_path / "mailwhy.toml") in said.replace(" ", "") or "mailwhy.toml" in said


def test_a_switch_with_a_value_from_the_environment() -> None:
    assert given("check", MAILWHY_IPV6="1")["ipv6"] is True
    assert given("check", MAILWHY_FROM="a@x", MAILWHY_ALL="true", MAILWHY_FACT="one two")["facts"] == ["one", "two"]


@pytest.mark.parametrize(
    ("typed", "variable", "file", "expected"),
    [
        (["--ipv4"], "", "ipv6 = true", "ipv4"),
        (["-6"], "MAILWHY_IPV4", "", "ipv6"),
        ([], "MAILWHY_IPV6", "ipv4 = true", "ipv6"),
        (["-4"], "MAILWHY_IPV4", "ipv4 = true", "ipv4"),
        (["-4", "-6"], "", "", "error"),
        (["-4"], "", "ipv4 = true\nipv6 = true", "ipv4"),
        ([], "", "ipv4 = true\nipv6 = true", "error"),
    ],
)
def test_of_two_families_the_stronger_place_decides(
    tmp_path: Path, typed: list[str], variable: str, file: str, expected: str
) -> None:
    write(tmp_path, file)
    result = run("family", *typed, **({variable: "1"} if variable else {}))
    assert result.exit_code == (2 if expected == "error" else 0)
    assert ("give one of them, or neither" if expected == "error" else expected) in result.output


def test_a_version_in_the_environment_is_not_the_option_version() -> None:
    assert given("check", MAILWHY_VERSION="0.1.0", MAILWHY_PATH="x")["timeout"] is None


def test_show_tells_where_each_value_comes_from(tmp_path: Path) -> None:
    write(tmp_path, 'timeout = 5\n[check]\nipv6 = true\npassword-command = "echo hunter2"\n')
    result = run("config", "show", MAILWHY_FROM="a@x", MAILWHY_PASSWORD="hunter2")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert f"--timeout = 5    {tmp_path / 'mailwhy.toml'}, the top of the file" in lines
    assert f"--ipv6 = True    {tmp_path / 'mailwhy.toml'}, [check]" in lines
    assert "--from = a@x    environment, MAILWHY_FROM" in lines
    assert "MAILWHY_PASSWORD is set (not shown)" in lines
    assert "--ipv4" not in result.output
    assert "hunter2" not in result.output


def test_show_as_json_and_with_all_defaults(tmp_path: Path) -> None:
    shown = json.loads(run("config", "show", "--all", "--format", "json").output)
    assert shown["found"] is False
    assert {"option": "timeout", "value": None, "source": "default"} in shown["options"]
    assert "All options of other have their defaults" in run("config", "show", "other").output
    assert run("config", "show", "none").exit_code == 2


def test_show_with_a_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("timeout = 8\n")
    assert "--timeout = 8" in run("--config", str(tmp_path / "x.toml"), "config", "show").output
    assert run("--config", str(tmp_path / "none.toml"), "config", "show").exit_code == 2
