"""What `mailwhy check` refuses before a packet leaves: values that could only give a false diagnosis, or break a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mailwhy.cli import main
from mailwhy.net import Way

SERVER = "smtp=127.0.0.1:9"  # never dialled: every case here ends before


def refused(*arguments: str) -> str:
    environment = {"MAILWHY_PASSWORD": "abcdefghijklmnop"}
    done = CliRunner().invoke(main, ["check", *arguments, "--server", SERVER], env=environment)
    assert done.exit_code == 2, done.output
    assert "abcdefghijklmnop" not in done.output
    return done.output


@pytest.mark.parametrize("address", ["", "  ", "a@b.com\nX", "a@b\x1b[31m.com", "a@b\x00.com"])
def test_an_address_is_a_line_of_text(address: str) -> None:
    assert "'ADDRESS'" in refused(address)


@pytest.mark.parametrize("option", ["--login", "--from"])
@pytest.mark.parametrize("value", ["", "a\r\nSTAT", "a\x7f"])
def test_names_are_lines_of_text(option: str, value: str) -> None:
    assert f"'{option}'" in refused("user@contoso.test", option, value)


@pytest.mark.parametrize("name", ["", "a\r\nNOOP", "a b", "é.example"])
def test_the_name_in_ehlo_is_one_word(name: str) -> None:
    assert "'--ehlo'" in refused("user@contoso.test", "--ehlo", name)


def test_a_way_cannot_carry_a_second_command() -> None:
    with pytest.raises(ValueError, match="EHLO"):
        Way(ehlo="a\r\nNOOP")


@pytest.mark.parametrize("content", [b"", b"\x00\xff\x8e" * 99, b"not a certificate"])
def test_a_ca_file_holds_a_certificate(tmp_path: Path, content: bytes) -> None:
    """Else the TLS stage would fail, and the report would speak of an old device."""
    file = tmp_path / "ca.pem"
    file.write_bytes(content)
    assert "no certificate" in refused("user@contoso.test", "--ca-file", str(file))


def test_a_time_limit_is_a_number() -> None:
    assert "--timeout" in refused("user@contoso.test", "--timeout", "nan")


@pytest.mark.parametrize(("source", "why"), [("bogus", "not an IP address"), ("192.0.2.1", "not an address of this")])
def test_the_source_is_an_address_of_this_machine(source: str, why: str) -> None:
    assert why in " ".join(refused("user@contoso.test", "--source", source).split())


@pytest.mark.parametrize("command", [["check", "user@contoso.test", "--server", SERVER], ["paths", "--server", SERVER]])
def test_both_families_at_once_are_none(command: list[str]) -> None:
    """Not the one that was typed last, as if the other had not been said."""
    done = CliRunner().invoke(main, [*command, "-4", "-6"])
    assert done.exit_code == 2
    assert "--ipv4 and --ipv6 exclude each other" in done.output


BARE = "has no @domain, and smtp.office365.com signs in by the full sign-in name"


@pytest.mark.parametrize(
    "arguments",
    [["nope"], ["user@contoso.com", "--login", "CONTOSO\\user"], ["nope", "--server", "smtp=smtp.office365.com"]],
)
def test_a_bare_name_is_not_tried_where_only_full_ones_sign_in(arguments: list[str]) -> None:
    done = CliRunner().invoke(main, ["check", *arguments], env={"MAILWHY_PASSWORD": "abcdefghijklmnop"})
    assert done.exit_code == 2
    assert BARE in " ".join(done.output.split())
    assert "--server" in done.output


def test_other_servers_may_take_a_bare_name(refused_port: int) -> None:
    arguments = ["check", "nope", "--server", f"smtp=127.0.0.1:{refused_port}"]
    done = CliRunner().invoke(main, arguments, env={"MAILWHY_PASSWORD": "abcdefghijklmnop"})
    assert done.exit_code == 3, done.output


def test_what_signs_in_counts_not_the_mailbox(refused_port: int) -> None:
    arguments = ["check", "scanner", "--login", "user@contoso.com", "--only", "smtp"]
    detour = ["--connect-to", f"smtp.office365.com:587:127.0.0.1:{refused_port}"]
    done = CliRunner().invoke(main, [*arguments, *detour], env={"MAILWHY_PASSWORD": "abcdefghijklmnop"})
    assert done.exit_code == 3, done.output
