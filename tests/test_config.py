"""mailwhy.toml: what it may hold, which table wins, and that errors name file, key and mend but no value."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwhy import config
from mailwhy.config import ConfigError, load

COMMANDS = ("check", "batch")


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mailwhy.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


FULL = """
cloud = "worldwide"
timeout = 5
profile = "office"
[check]
timeout = 10
[profiles.office]
cloud = "gcc-high"
[profiles.office.check]
ca_file = "office.pem"
[profiles.home]
timeout = 20
[profiles.home.batch]
timeout = 30
"""


def values(found: config.Config, command: str) -> dict[str, object]:
    return {key: setting.value for key, setting in found.settings(command).items()}


def test_the_narrower_table_wins(tmp_path: Path) -> None:
    found = load(write(tmp_path, FULL), None, COMMANDS)
    assert found.profile == "office"
    assert values(found, "check") == {"cloud": "gcc-high", "timeout": 10, "ca-file": "office.pem"}
    assert values(found, "batch") == {"cloud": "gcc-high", "timeout": 5}
    assert found.settings("check")["timeout"].where == "[check]"
    assert found.settings("batch")["timeout"].where == "the top of the file"
    assert found.settings("check")["cloud"].where == "[profiles.office]"


def test_a_named_profile_goes_before_the_files_own(tmp_path: Path) -> None:
    found = load(write(tmp_path, FULL), "home", COMMANDS)
    assert values(found, "check") == {"cloud": "worldwide", "timeout": 20}
    assert values(found, "batch")["timeout"] == 30


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "mailwhy.toml"
    path.write_bytes(b'\xef\xbb\xbfcloud = "dod"\r\n[check]\r\ntimeout = 1\r\n')
    assert values(load(path, None, COMMANDS), "check") == {"cloud": "dod", "timeout": 1}


@pytest.mark.parametrize(
    "key", ["password", "Token", "app_password", "auth-password", "SECRET", "[check]\npassword", "[profiles.x]\npwd"]
)
def test_secrets_are_refused_and_not_repeated(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match="secrets do not belong") as caught:
        load(write(tmp_path, f'{key} = "hunter2"\n'), None, COMMANDS)
    said = str(caught.value)
    assert "mailwhy.toml" in said
    assert key.rpartition("\n")[2] in said
    assert "password-command" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("force = true", "force: this has to be meant each time"),
        ("[chekc]\ntimeout = 1", "no such command; did you mean 'check'?"),
        ("[profiles]\noffice = 1", r"write each one as a table, \[profiles.NAME\]"),
        ('profile = "none"\n[profiles.office]', r"no \[profiles.none\]; the file has: office"),
        ("profile = 1", "the file has: none"),
        ("a = ", "not TOML"),
        ("a = 1\na = 2", "not TOML"),
        ("a = [" + "[" * 5000, "not TOML"),
    ],
)
def test_errors_name_the_file_and_the_mend(tmp_path: Path, text: str, part: str) -> None:
    with pytest.raises(ConfigError, match=part) as caught:
        load(write(tmp_path, text), None, COMMANDS)
    assert str(caught.value).startswith(str(tmp_path / "mailwhy.toml"))


def test_a_missing_file_is_an_error_only_when_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "default_path", lambda: str(tmp_path / "none.toml"))
    assert load(None, None, COMMANDS) == config.Config(str(tmp_path / "none.toml"))
    for path, profile in ((tmp_path / "none.toml", None), (None, "office")):
        with pytest.raises(ConfigError, match="no such file"):
            load(path, profile, COMMANDS)


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, None, COMMANDS)
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "x.toml", None, COMMANDS)
    monkeypatch.setattr(config, "default_path", lambda: str(tmp_path))
    assert not load(None, None, COMMANDS).found


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")
def test_a_command_that_others_could_put_there_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, '[check]\npassword-command = "pass show x"\n')
    assert load(path, None, COMMANDS).found
    path.chmod(0o666)
    with pytest.raises(ConfigError, match="chmod go-w"):
        load(path, None, COMMANDS)


def test_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWHY_CONFIG", str(tmp_path / "x"))
    assert config.default_path() == str(tmp_path / "x")
    with pytest.raises(ConfigError, match="no such file"):
        load(None, None, COMMANDS)
    monkeypatch.delenv("MAILWHY_CONFIG")
    assert Path(config.default_path()).name == "mailwhy.toml"


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    path.chmod(0o600)
    with contextlib.suppress(ConfigError):
        assert load(path, None, COMMANDS).found


@pytest.mark.parametrize("base", [None, "", "relative", "/elsewhere/config"])
@pytest.mark.parametrize("home", [None, "", "relative", "/home-of/somebody"])
def test_the_file_is_where_platformdirs_says(
    base: str | None, home: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAILWHY_CONFIG", raising=False)
    for name, value in (("XDG_CONFIG_HOME", base), ("HOME", home)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    folder = platformdirs.user_config_dir("mailwhy", appauthor=False)
    assert config.default_path() == str(Path(folder, "mailwhy.toml"))
