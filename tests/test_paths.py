"""`paths`: each way in which a path can end, played on loopback by scripted servers, and told apart."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import ssl
from typing import Any

import pytest
from click.testing import CliRunner, Result
from dns_server import CONTOSO, Faults, Zone, dns_server
from talks import authority, ca_file, serve, server_tls, way

from mailwhy.cli.paths import command
from mailwhy.knowledge import load
from mailwhy.model import Attempt, Fault, Protocol, Stage, Step, Target, Tls
from mailwhy.paths import PORTS, hosts_of, read, targets_of, try_paths
from mailwhy.places import Path, Paths, State

SMTP_HOST = "smtp.office365.com"
BANNER = (
    "S: 220 AM0PR02CA0001.outlook.office365.com Microsoft ESMTP MAIL Service ready at Sun, 22 Nov 2026 09:14:24 +0000"
)
OFFERS = "S: 250-AM0PR02CA0001.outlook.office365.com Hello [127.0.0.1]"
STARTTLS = f"""
    {BANNER}
    C: EHLO [127.0.0.1]
    {OFFERS}
    S: 250 STARTTLS
    C: STARTTLS
    S: 220 2.0.0 SMTP server ready
    * tls
    C: EHLO [127.0.0.1]
    {OFFERS}
    S: 250 AUTH LOGIN XOAUTH2
"""
MICROSOFT = Target(Protocol.SMTP, SMTP_HOST, 587, Tls.STARTTLS)


def microsoft_tls() -> ssl.SSLContext:
    """A server with Microsoft's name, by the authority that the tests trust."""
    return server_tls(authority().issue_cert(SMTP_HOST, common_name=SMTP_HOST))


async def path_of(script: str, target: Target = MICROSOFT, seconds: float = 5.0, **more: Any) -> Path:
    """Tries a scripted server in the place of `target`."""
    more.setdefault("context", microsoft_tls())
    async with serve(script, strict=False, **more) as server:
        detour = {(target.host or "", target.port or 0): ("127.0.0.1", server.port)}
        paths = await try_paths([target], way(seconds, connect_to=detour), load())
        assert b"AUTH" not in server.said
    (path,) = paths.paths
    return path


# --- one test for each way to end


async def test_open() -> None:
    path = await path_of(STARTTLS)
    assert (path.state, path.family, path.address, path.said) == (State.OPEN, "ipv4", "127.0.0.1", "")
    assert Paths((path,)).exit == 0


async def test_open_by_implicit_tls_imap_and_pop() -> None:
    host = "outlook.office365.com"
    tls = server_tls(authority().issue_cert(host, common_name=host))
    imap = "S: * OK The Microsoft Exchange IMAP4 service is ready.\nC: a1 CAPABILITY\nS: * CAPABILITY IMAP4 AUTH=PLAIN\nS: a1 OK done"
    pop = "S: +OK The Microsoft Exchange POP3 service is ready.\nC: CAPA\nS: +OK\nS: USER\nS: ."
    for protocol, port, script in ((Protocol.IMAP, 993, imap), (Protocol.POP, 995, pop)):
        path = await path_of(script, Target(protocol, host, port, Tls.IMPLICIT), implicit=True, context=tls)
        assert (path.state, path.said) == (State.OPEN, "")


async def test_closed(refused_port: int) -> None:
    detour = {(SMTP_HOST, 587): ("127.0.0.1", refused_port)}
    paths = await try_paths([MICROSOFT], way(5, connect_to=detour), load())
    assert [path.state for path in paths.paths] == [State.CLOSED]
    assert paths.exit == 1


async def test_closed_465_is_normal_at_microsoft_and_nowhere_else(refused_port: int) -> None:
    states = []
    for host in (SMTP_HOST, "mail.contoso.test"):
        target = Target(Protocol.SMTP, host, 465, Tls.IMPLICIT)
        detour = {(host, 465): ("127.0.0.1", refused_port)}
        paths = await try_paths([target], way(5, connect_to=detour), load())
        states.append((paths.paths[0].state, bool(paths.paths[0].expected)))
    assert states == [(State.CLOSED, True), (State.CLOSED, False)]


async def test_filtered() -> None:
    """A listener whose queue is full does not answer further connections."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    for _ in range(4):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(listener.getsockname())
        fillers.append(sock)
    try:
        detour = {(SMTP_HOST, 25): listener.getsockname()}
        target = Target(Protocol.SMTP, SMTP_HOST, 25, Tls.STARTTLS)
        paths = await try_paths([target], way(0.5, connect_to=detour), load())
    finally:
        for sock in (*fillers, listener):
            sock.close()
    assert paths.paths[0].state is State.FILTERED
    assert "587" in paths.paths[0].said


@pytest.mark.parametrize("where", ["no family", "no address"])
async def test_no_route_where_this_machine_has_no_ipv6(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without IPv6 makes no such socket; one that has it switched off finds no address to come from."""
    target = Target(Protocol.SMTP, "2001:db8::1", 587, Tls.STARTTLS)

    def made(self: Any, info: Any) -> socket.socket:
        if where == "no family":
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return Homeless(socket.AF_INET)

    class Homeless(socket.socket):
        family = socket.AF_INET6

    async def refuse(self: Any, sock: socket.socket, address: Any) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    monkeypatch.setattr("mailwhy.net._Tries.made", made)
    monkeypatch.setattr(type(asyncio.get_running_loop()), "sock_connect", refuse)
    paths = await try_paths([target], way(5), load())
    assert [path.state for path in paths.paths] == [State.NO_ROUTE]


async def test_silent() -> None:
    path = await path_of("* gone", seconds=0.4)
    assert path.state is State.SILENT


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_dropped(how: str) -> None:
    assert (await path_of(f"* {how}")).state is State.DROPPED


@pytest.mark.parametrize(
    "banner",
    [
        "220 mail.provider.example ESMTP Exim 4.96 Sun, 22 Nov 2026 09:14:24 +0000",
        "220 mx.contoso.test Microsoft ESMTP MAIL Service ready at Sun, 22 Nov 2026 09:14:24 +0000",
        "220 relay.provider.example ESMTP ready",
    ],
)
async def test_redirected_by_the_greeting(banner: str) -> None:
    path = await path_of(f"S: {banner}\nC: EHLO [127.0.0.1]\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 ready\n* tls")
    assert (path.state, path.said) == (State.REDIRECTED, banner)
    assert Paths((path,)).exit == 1


async def test_redirected_by_the_certificate() -> None:
    path = await path_of(STARTTLS, context=server_tls())
    assert path.state is State.REDIRECTED
    assert "name mismatch" in path.said


async def test_intercepted_by_a_product_that_is_known() -> None:
    leaf = authority("Zscaler Inc.").issue_cert(SMTP_HOST, common_name=SMTP_HOST)
    path = await path_of(STARTTLS, context=server_tls(leaf))
    assert path.state is State.INTERCEPTED
    assert "Zscaler" in path.said


async def test_intercepted_also_where_its_authority_is_trusted(tmp_path: Any) -> None:
    zscaler = authority("Zscaler Inc.")
    trusted = tmp_path / "zscaler.pem"
    zscaler.cert_pem.write_to_path(str(trusted))
    async with serve(STARTTLS, context=server_tls(zscaler.issue_cert(SMTP_HOST, common_name=SMTP_HOST))) as server:
        detour = {(SMTP_HOST, 587): ("127.0.0.1", server.port)}
        paths = await try_paths([MICROSOFT], way(5, connect_to=detour, ca_file=str(trusted)), load())
    assert paths.paths[0].state is State.INTERCEPTED


async def test_a_certificate_for_microsofts_name_that_nobody_trusts_is_an_interception() -> None:
    leaf = authority("Corporate IT").issue_cert(SMTP_HOST, common_name=SMTP_HOST)
    path = await path_of(STARTTLS, context=server_tls(leaf))
    assert path.state is State.INTERCEPTED
    assert "Corporate IT" in path.said


async def test_the_same_on_a_server_of_ones_own_is_only_untrusted() -> None:
    host = "mail.contoso.test"
    leaf = authority("Corporate IT").issue_cert(host, common_name=host)
    path = await path_of(STARTTLS, Target(Protocol.SMTP, host, 587, Tls.STARTTLS), context=server_tls(leaf))
    assert path.state is State.UNTRUSTED


async def test_injected_clear_text() -> None:
    script = f"{BANNER}\nC: EHLO [127.0.0.1]\n{OFFERS}\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 ready\nS: 250 injected"
    assert (await path_of(script)).state is State.INTERCEPTED


@pytest.mark.parametrize(
    ("offer", "said"), [("250 SIZE 1000", "not offered"), ("250 XXXXXXXA", "firewall"), ("250 XXXXXXXX", "firewall")]
)
async def test_stripped(offer: str, said: str) -> None:
    path = await path_of(f"{BANNER}\nC: EHLO [127.0.0.1]\n{OFFERS}\nS: {offer}")
    assert path.state is State.STRIPPED
    assert said in path.said


async def test_starttls_offered_and_refused() -> None:
    path = await path_of(
        f"{BANNER}\nC: EHLO [127.0.0.1]\n{OFFERS}\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 TLS not available"
    )
    assert path.state is State.STRIPPED
    assert "454 4.7.0" in path.said


@pytest.mark.parametrize(
    "banner", ["SSH-2.0-OpenSSH_9.2", "* OK IMAP4 ready", "+OK POP3 ready", "HTTP/1.1 400 Bad Request"]
)
async def test_wrong_service(banner: str) -> None:
    path = await path_of(f"S: {banner}")
    assert path.state is State.WRONG_SERVICE
    assert banner in path.said


async def test_wrong_tls_mode_both_ways() -> None:
    silent_tls = await path_of("S: 220 inside TLS", implicit=True, seconds=1.0)
    assert (silent_tls.state, "TLS" in silent_tls.said) == (State.WRONG_SERVICE, True)
    clear = await path_of(
        "S: 220 mail.contoso.test ESMTP", Target(Protocol.SMTP, "mail.contoso.test", 465, Tls.IMPLICIT)
    )
    assert (clear.state, "clear text" in clear.said) == (State.WRONG_SERVICE, True)


async def test_turned_away() -> None:
    path = await path_of("S: 554 5.7.1 You are not allowed to connect.\n* close")
    assert path.state is State.TURNED_AWAY
    assert "554 5.7.1" in path.said


async def test_a_name_without_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(*_: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("mailwhy.paths.look_up", nobody)
    paths = await try_paths([MICROSOFT], way(5), load())
    assert [path.state for path in paths.paths] == [State.NO_NAME]
    assert paths.exit == 3


def attempt(*steps: Step) -> Attempt:
    return Attempt(MICROSOFT, steps)


@pytest.mark.parametrize(
    ("step", "state"),
    [
        (Step(Stage.TCP, False, fault=Fault.UNREACHABLE), State.NO_ROUTE),
        (Step(Stage.TCP, False, fault=Fault.LOCAL), State.UNKNOWN),
        (Step(Stage.TCP, False, fault=Fault.CANCELLED), State.UNKNOWN),
        (Step(Stage.TLS, False, fault=Fault.TLS_FAILED, seen={"version": "TLSv1"}), State.OLD_TLS),
        (Step(Stage.TLS, False, fault=Fault.TLS_FAILED, seen={"detail": "NO_SHARED_CIPHER"}), State.TLS_FAILED),
        (Step(Stage.TLS, False, fault=Fault.CLOSED), State.DROPPED),
        (Step(Stage.TLS, False, fault=Fault.TLS_UNTRUSTED, seen={"problems": ["expired"]}), State.UNTRUSTED),
        (Step(Stage.GREETING, False, fault=Fault.TOO_LONG), State.WRONG_SERVICE),
        (Step(Stage.CAPABILITIES, False, fault=Fault.TIMEOUT), State.SILENT),
    ],
)
def test_what_a_script_cannot_play(step: Step, state: State) -> None:
    assert read(MICROSOFT, "192.0.2.1", attempt(step), load()).state is state


# --- several at once


async def test_every_address_and_family_has_its_own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(STARTTLS, context=microsoft_tls()) as server:
        port = server.port

        async def two(*_: Any) -> Any:
            return [(socket.AF_INET6, 1, 6, "", ("::1", port, 0, 0)), (socket.AF_INET, 1, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr("mailwhy.paths.look_up", two)
        paths = await try_paths([MICROSOFT], way(5, connect_to={(SMTP_HOST, 587): ("elsewhere", port)}), load())
    four, six = paths.paths
    assert (four.family, four.state) == ("ipv4", State.OPEN)
    assert six.family == "ipv6"
    # the script listens on IPv4 only; a kernel without IPv6 says in its own words that it cannot even try
    assert six.state in (State.CLOSED, State.NO_ROUTE, State.UNKNOWN)


async def test_a_slow_path_does_not_hold_up_the_others(refused_port: int) -> None:
    async with serve("* gone", strict=False) as slow:
        detours = {(SMTP_HOST, 25): ("127.0.0.1", slow.port), (SMTP_HOST, 587): ("127.0.0.1", refused_port)}
        targets = [Target(Protocol.SMTP, SMTP_HOST, port, Tls.STARTTLS) for port in (25, 587)] * 20
        async with asyncio.timeout(8):
            paths = await try_paths(targets, way(0.5, connect_to=detours), load())
    assert {path.state for path in paths.paths} == {State.SILENT, State.CLOSED}


def test_the_ports_of_a_cloud() -> None:
    clouds = load().clouds
    targets = targets_of(hosts_of(clouds["worldwide"]))
    assert tuple(target.port for target in targets) == PORTS
    assert {target.host for target in targets} == {SMTP_HOST, "outlook.office365.com"}
    assert {target.port for target in targets_of(hosts_of(clouds["hve"]))} == {25, 587, 465}


# --- the command


async def run(*args: str, zone: Zone = CONTOSO, faults: Faults | None = None) -> Result:
    """`mailwhy paths` in a thread, with a DNS server of our own."""
    async with dns_server(zone, faults) as server:
        arguments = ["--resolver", server.option, "--ca-file", ca_file(), *args]
        return await asyncio.to_thread(CliRunner().invoke, command, arguments)


async def test_the_command_as_a_table_and_as_json() -> None:
    async with serve(STARTTLS, context=microsoft_tls()) as server:
        detour = f"{SMTP_HOST}:587:127.0.0.1:{server.port}"
        shown = await run("user@contoso.test", "--port", "587", "--connect-to", detour)
        told = await run("--cloud", "worldwide", "--port", "587", "--connect-to", detour, "--format", "json")
    assert shown.exit_code == told.exit_code == 0, shown.output
    assert shown.output.startswith("Open: 587 ipv4.\n")
    assert "587 SMTP STARTTLS 127.0.0.1 open" in shown.output
    data = json.loads(told.output)
    assert (data["schema"], data["exit"]) == ("mailwhy/paths/1", 0)
    (row,) = data["paths"]
    assert (row["state"], row["tls"]["version"]) == ("open", "TLSv1.3")
    assert [step["stage"] for step in row["steps"]][:3] == ["dns", "tcp", "greeting"]


async def test_the_command_names_what_is_in_the_way() -> None:
    async with serve(f"{BANNER}\nC: EHLO [127.0.0.1]\n{OFFERS}\nS: 250 XXXXXXXA", strict=False) as server:
        shown = await run("--port", "587", "--connect-to", f"{SMTP_HOST}:587:127.0.0.1:{server.port}")
    assert shown.exit_code == 1
    assert shown.output.startswith("No clean way to the server: 587 ipv4: stripped.")
    assert "XXXXXXXA" in shown.output


async def test_the_cloud_follows_from_dns() -> None:
    zone = {**CONTOSO, ("autodiscover.contoso.test", "CNAME"): ["autodiscover-dod.office365.us."],
            ("contoso.test", "MX"): ["0 contoso-test.mail.protection.office365.us."]}  # fmt: skip
    host = "outlook-dod.office365.us"
    async with serve("* close", strict=False) as server:
        shown = await run(
            "contoso.test", "--port", "587", "--connect-to", f"{host}:587:127.0.0.1:{server.port}", zone=zone
        )
    assert shown.exit_code == 1
    assert host in shown.output


async def test_a_cloud_that_dns_does_not_show_is_said_to_be_assumed() -> None:
    async with serve("* close", strict=False) as server:
        detour = f"{SMTP_HOST}:587:127.0.0.1:{server.port}"
        shown = await run("nowhere.test", "--port", "587", "--connect-to", detour)
    assert "worldwide hosts were tried" in " ".join(shown.output.split())


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--cloud", "moon"], "known clouds are"),
        (["--port", "2525"], "no mail port"),
        (["--server", "smtp=localhost:1/none", "--port", "25"], "--server says all"),
        (["https://contoso.com/x"], "web address"),
    ],
)
async def test_wrong_usage(args: list[str], words: str) -> None:
    result = await run(*args)
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())
