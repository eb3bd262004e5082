"""What `mailwhy mock` refuses at start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailwhy.cli import main


def refused(*arguments: str) -> str:
    done = CliRunner().invoke(main, ["mock", *arguments])
    assert done.exit_code == 2, done.output
    return done.output


@pytest.mark.parametrize("option", ["--port-base", "--smtp-port", "--control-port"])
def test_a_port_is_a_port(option: str) -> None:
    assert "65535" in refused(option, "99999")


def test_the_last_port_counts_too() -> None:
    assert "the last port" in refused("--port-base", "65530")


@pytest.mark.parametrize("delay", ["nan", "-5"])
def test_a_delay_is_a_number_of_seconds(delay: str) -> None:
    assert "--delay" in refused("--delay", delay)


def test_a_recording_is_text(tmp_path: Path) -> None:
    file = tmp_path / "session.txt"
    file.write_bytes(b"\xf3\x00\xff")
    assert "is not UTF-8" in refused("--replay", str(file))


def test_the_port_of_a_protocol_that_was_not_recorded_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "session.txt"
    file.write_text("# protocol: pop\nS: +OK recorded\n")
    assert "the recording has no SMTP" in refused("--replay", str(file), "--pop-port", "2110", "--smtp-port", "2525")


@pytest.mark.parametrize("value", ["[" * 20_000, '{"a":' * 20_000], ids=["TOML", "JSON"])
def test_a_value_that_is_nested_too_deep_is_refused(value: str) -> None:
    said = refused("--set", f"org.security_defaults={value}")
    assert "nested too deep" in said
    assert len(said) < 400


@pytest.mark.parametrize("command", ["demo", "mock", "relay"])
def test_without_the_extra_it_says_what_to_install(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mailwhy.mock import certs

    monkeypatch.setattr(certs, "shared", certs.Certificates)  # the one that is kept may have been made already
    monkeypatch.setattr("mailwhy.mock.servers.shared", certs.Certificates)
    monkeypatch.setitem(sys.modules, "trustme", None)
    done = CliRunner().invoke(main, [command])
    assert done.exit_code == 3, done.output  # 1 would say that a password was refused
    assert done.output.startswith("Error: ")
    assert "mailwhy[mock]" in done.output
