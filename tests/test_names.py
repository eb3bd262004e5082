"""`explain_name`: what DNS says of a host, next to what the system's look-up gave; and the commands that ask it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Sequence
from typing import Any

import pytest
from click.testing import CliRunner, Result
from dns_server import CONTOSO, Faults, Zone, dns_server, dns_thread

from mailwhy.cli import main
from mailwhy.cli._dns import name_server
from mailwhy.discover import Naming, Resolver, explain_name
from mailwhy.discover.names import CANARY, reading
from mailwhy.net import AddressInfo
from mailwhy.places import Answered, Lookup

HOST = "smtp.contoso.test"
PUBLIC, OTHER_PUBLIC, PRIVATE = "8.8.8.8", "9.9.9.9", "10.1.2.3"
ZONE: Zone = {(HOST, "A"): [PUBLIC]}


def system(monkeypatch: pytest.MonkeyPatch, *addresses: str, canonical: str = "", error: int | None = None) -> None:
    """Lets the system's look-up give this."""

    async def look_up(*_: Any) -> list[AddressInfo]:
        if error is not None:
            raise socket.gaierror(error, "as the test wants")
        return [(socket.AF_INET, 1, 6, canonical, (address, 0)) for address in addresses]

    monkeypatch.setattr("mailwhy.discover.names.look_up", look_up)
    monkeypatch.setattr("mailwhy.probe.session.look_up", look_up)
    monkeypatch.setattr("mailwhy.paths.look_up", look_up)
    monkeypatch.setattr("mailwhy.cli.check.under_way", lambda _, way: way)  # whose look-up would be a real one
    monkeypatch.setattr("mailwhy.net.look_up", look_up)  # last: a module imported after it would keep this one


async def naming_of(zone: Zone = ZONE, faults: Faults | None = None, host: str = HOST) -> Naming:
    async with dns_server(zone, faults) as server:
        return await explain_name(host, Resolver(server.address, 0.5))


def ids(naming: Naming) -> list[str]:
    return [notice.id for notice in naming.notices]


async def test_both_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    system(monkeypatch, PUBLIC)
    naming = await naming_of()
    assert (naming.system, naming.fault, ids(naming)) == ((PUBLIC,), "", [])


async def test_other_public_addresses_are_ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    system(monkeypatch, OTHER_PUBLIC)
    assert ids(await naming_of()) == []


async def test_a_private_address_on_one_side_is_split_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    system(monkeypatch, PRIVATE)
    naming = await naming_of()
    assert ids(naming) == ["names.split-horizon"]
    assert PRIVATE in naming.notices[0].text


async def test_the_hosts_file(monkeypatch: pytest.MonkeyPatch) -> None:
    system(monkeypatch, PRIVATE)
    naming = await naming_of({("other.test", "A"): [PUBLIC]})
    assert ids(naming) == ["names.system-only"]
    assert "NXDOMAIN" in naming.notices[0].text


async def test_a_system_that_does_not_ask_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    system(monkeypatch, error=socket.EAI_NONAME)
    naming = await naming_of()
    assert (naming.fault, ids(naming)) == ("no_such_host", ["names.dns-only"])


@pytest.mark.parametrize(
    ("zone", "fault", "expected"),
    [
        ({("other.test", "A"): [PUBLIC]}, "", "names.no-such-name"),
        ({(HOST, "TXT"): ['"x"']}, "", "names.no-address"),
        (ZONE, "servfail", "names.servfail"),
        (ZONE, "refused", "names.refused"),
        (ZONE, "timeout", "names.timeout"),
        (ZONE, "garbage", "names.timeout"),
    ],
)
async def test_why_nobody_finds_it(monkeypatch: pytest.MonkeyPatch, zone: Zone, fault: str, expected: str) -> None:
    system(monkeypatch, error=socket.EAI_AGAIN)
    assert ids(await naming_of(zone, {HOST: fault})) == [expected]


async def test_a_captive_portal(monkeypatch: pytest.MonkeyPatch) -> None:
    system(monkeypatch, PRIVATE)
    naming = await naming_of({(HOST, "A"): [PRIVATE], (CANARY, "A"): [PRIVATE]})
    assert ids(naming) == ["names.answers-everything"]


def test_a_search_domain_that_was_appended() -> None:
    def lookup(answered: Answered, *records: str) -> Lookup:
        return Lookup(HOST, "A", answered, records)

    asked: Sequence[Lookup] = [lookup(Answered.NO_NAME)] * 3
    found = list(
        reading(HOST, [PRIVATE], "", asked, canonical=f"{HOST}.corp.example", search=("corp.example", "other.example"))
    )
    assert [notice.id for notice in found] == ["names.search-domain", "names.system-only"]
    assert "corp.example" in found[0].text


# --- the commands


async def run(*args: str, zone: Zone = CONTOSO, faults: Faults | None = None, given: str = "") -> Result:
    async with dns_server(zone, faults) as server:
        arguments = [*args, "--resolver", server.option]
        return await asyncio.to_thread(CliRunner().invoke, main, arguments, input=given)


async def test_discover_as_text() -> None:
    result = await run("discover", "User@Contoso.Test.")
    assert result.exit_code == 0
    shown = " ".join(result.output.split())
    assert "its mail is at Microsoft: Microsoft 365 worldwide and GCC." in shown
    assert "smtp.office365.com:587 (STARTTLS)" in shown
    assert "Direct Send: contoso-test.mail.protection.outlook.com, port 25" in shown
    assert "\n0 contoso-test.mail.protection.outlook.com.\n" in result.output, "records are shown verbatim"


async def test_discover_as_json() -> None:
    result = await run("discover", "contoso.test", "--format", "json")
    data = json.loads(result.output)
    assert (data["schema"], data["exit"], data["at_microsoft"], data["clouds"]) == (
        "mailwhy/discover/1", 0, "yes", ["worldwide"],
    )  # fmt: skip
    assert {"name", "type", "answered", "records", "targets", "detail", "seconds"} == set(data["lookups"][0])


@pytest.mark.parametrize(
    ("zone", "faults", "code"),
    [
        ({("contoso.test", "MX"): ["1 smtp.google.com."]}, None, 1),
        (CONTOSO, dict.fromkeys(("contoso.test", "autodiscover.contoso.test",
                                 "contoso-test.mail.protection.outlook.com"), "servfail"), 3),
    ],
)  # fmt: skip
async def test_discover_exit_codes(zone: Zone, faults: Faults | None, code: int) -> None:
    assert (await run("discover", "contoso.test", zone=zone, faults=faults)).exit_code == code


async def test_discover_of_no_domain() -> None:
    result = await run("discover", "contoso")
    assert result.exit_code == 2
    assert "is not a domain" in result.output


async def test_discover_shows_records_harmless() -> None:
    zone: Zone = {**CONTOSO, ("contoso.test", "TXT"): ['"\\027[31mred"', '"v=spf1 include:\\027]0;x.test"']}
    result = await run("discover", "contoso.test", zone=zone)
    assert "\x1b" not in result.output


def test_check_explains_a_look_up_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    system(monkeypatch, error=socket.EAI_NONAME)
    with dns_thread({("other.test", "A"): [PUBLIC]}) as dns:
        args = ["user@contoso.test", "--password-stdin", "--server", f"smtp={HOST}:587/starttls", "--format", "json"]
        result = CliRunner().invoke(main, ["check", *args, "--resolver", dns.option], input="secret")
        assert (HOST, "A", "udp") in dns.asked
    assert result.exit_code == 3
    assert "names.no-such-name" in {notice["id"] for notice in json.loads(result.stdout)["notices"]}


def test_check_asks_no_dns_where_the_look_up_worked(refused_port: int) -> None:
    with dns_thread({}) as dns:
        args = ["user@contoso.test", "--password-stdin", "--server", f"smtp=127.0.0.1:{refused_port}/none"]
        result = CliRunner().invoke(main, ["check", *args, "--resolver", dns.option], input="secret")
        assert dns.asked == [], result.output
    assert result.exit_code == 3, result.output


async def test_paths_says_what_dns_says(monkeypatch: pytest.MonkeyPatch) -> None:
    system(monkeypatch, error=socket.EAI_AGAIN)
    result = await run("paths", "--host", HOST, "--timeout", "1", faults={HOST: "servfail"}, zone=ZONE)
    assert result.exit_code == 3
    assert "SERVFAIL" in result.output


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.53", ("192.0.2.53", 53)),
        ("192.0.2.53:5353", ("192.0.2.53", 5353)),
        ("2001:db8::53", ("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", ("2001:db8::53", 5353)),
    ],
)
def test_name_servers_as_they_are_written(text: str, server: tuple[str, int]) -> None:
    assert name_server(text) == server


@pytest.mark.parametrize("text", ["", "dns.example", "192.0.2.53:0", "192.0.2.53:99999", "192.0.2:53", ":53", "[]:53"])
async def test_what_is_no_name_server(text: str) -> None:
    result = CliRunner().invoke(main, ["discover", "contoso.test", "--resolver", text])
    assert result.exit_code == 2
