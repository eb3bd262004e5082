"""What `mailwhy mock` prints: mailboxes with their secrets (test data), and lines that are ready to paste. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from ..model import Kind, Protocol, Stage, bracketed
from . import dialogue_imap, dialogue_pop, dialogue_smtp, imap_mail
from .front import FRONTS
from .says import Trailer, own
from .servers import Servers
from .session import facts_for
from .state import Account, login_of, secret_of
from .world import World

HELO = "probe.test"
HERE = Trailer("server", "time", "session")
LATE = {Protocol.SMTP: " (signs in; after DATA)", Protocol.IMAP: " (signs in; at the next command)"}


def closes(account: Account) -> str:
    """`smtp: org.smtp_auth_disabled`, or `smtp: works`."""
    return ", ".join(f"{protocol}: {cause or 'works'}" for protocol, cause in account.closes.items())


def ready(servers: Servers, control: str = "") -> dict[str, Any]:
    """Everything a script needs, as JSON values."""
    return {
        "ca_file": str(servers.ca_file),
        "control": control,
        "servers": [
            {"protocol": a.protocol.value, "host": a.host, "port": a.port, "tls": a.tls.value, "front": a.front}
            for a in servers.addresses
        ],
        "accounts": [
            {
                "login": login_of(address, account),
                "secret": secret_of(account),
                "kind": account.kind,
                "about": account.about,
                "closes": dict(account.closes),
                "server": list(servers.server_options(address)) if not servers.playing else [],
            }
            for tenant in servers.world.tenants.values()
            for address, account in tenant.accounts.items()
        ],
    }


def mailboxes(servers: Servers) -> Iterator[str]:
    """One block a tenant: each mailbox with its secret and what it shows."""
    for tenant in servers.world.tenants.values():
        yield f"{tenant.domain}: {tenant.about}" if tenant.about else tenant.domain
        for address, account in tenant.accounts.items():
            yield f"  {login_of(address, account)}  {secret_of(account)}"
            yield f"      {account.about}" + (f" ({closes(account)})" if account.closes else "")


def check_line(servers: Servers, login: str, secret: str, kind: str = "password") -> str:
    """A line that checks this account against the mock."""
    words = ["mailwhy", "check", login]
    for option in servers.server_options(login):
        words += ["--server", option]
    words += ["--ca-file", str(servers.ca_file)]
    if kind != "password":
        words += ["--credential", kind]
    if servers.world.as_of:
        words += ["--as-of", servers.world.as_of.isoformat()]
    return f"MAILWHY_PASSWORD={shlex.quote(secret)} {shlex.join(words)}"


def curl_lines(servers: Servers, login: str, secret: str) -> Iterator[str]:
    """The same sign-in with curl, over each protocol."""
    front = servers.front_of(login)
    common = f"curl -sS -v --cacert {shlex.quote(str(servers.ca_file))} -u {shlex.quote(f'{login}:{secret}')}"
    smtp = servers.address("smtp", None, front)
    yield f"{common} --ssl-reqd smtp://{bracketed(smtp.host)}:{smtp.port}/{HELO} -X NOOP"
    for protocol, scheme, more in (("imap", "imaps", "-X NOOP"), ("pop", "pop3s", "-X NOOP -I")):
        try:
            address = servers.address(protocol, None, front)
        except KeyError:
            continue
        yield f"{common} {scheme}://{bracketed(address.host)}:{address.port}/ {more}"


def swaks_line(servers: Servers, login: str, secret: str) -> str:
    """The same sign-in with swaks."""
    smtp = servers.address("smtp", None, servers.front_of(login))
    return (
        f"swaks --server {smtp.host} --port {smtp.port} -tls --tls-verify "
        f"--tls-ca-path {shlex.quote(str(servers.ca_file))} "
        f"--auth LOGIN -au {shlex.quote(login)} -ap {shlex.quote(secret)} --helo {HELO} --quit-after AUTH"
    )


def python_line(servers: Servers, login: str, secret: str) -> str:
    """The same sign-in with smtplib."""
    smtp = servers.address("smtp", None, servers.front_of(login))
    code = (
        f"import smtplib, ssl; s = smtplib.SMTP({smtp.host!r}, {smtp.port}, {HELO!r}); "
        f"s.starttls(context=ssl.create_default_context(cafile={str(servers.ca_file)!r})); "
        f"print(s.login({login!r}, {secret!r}))"
    )
    return f"python3 -c {shlex.quote(code)}"


def summary(servers: Servers, control: str = "") -> Iterator[str]:
    """Everything that `mailwhy mock` prints when it stands."""
    yield from mailboxes(servers)
    yield ""
    for listener in servers.addresses:
        yield f"{listener}  ({listener.front})"
    if control:
        yield f"control: {control}"
    yield f"CA file: {servers.ca_file}"
    if servers.playing:
        return
    for tenant in servers.world.tenants.values():
        for address, account in tenant.accounts.items():
            login, secret = login_of(address, account), secret_of(account)
            yield ""
            yield "For example:"
            yield f"  {check_line(servers, login, secret, account.kind)}"
            for line in (*curl_lines(servers, login, secret), swaks_line(servers, login, secret)):
                yield f"  {line}"
            yield f"  {python_line(servers, login, secret)}"
            return


def overview(world: World) -> Iterator[str]:
    """`mailwhy mock --list`: mailboxes, what is said for which cause, and what of it is assumed."""
    for tenant in world.tenants.values():
        yield f"{tenant.domain}: {tenant.about}" if tenant.about else tenant.domain
        for address, account in tenant.accounts.items():
            yield f"  {login_of(address, account)}  {secret_of(account)}"
            yield f"      {account.about}" + (f" ({closes(account)})" if account.closes else "")
            for name, cause in account.closes.items():
                if cause:
                    yield f"      {said(world, address, account, Protocol(name))}"
    yield ""
    yield "[assumed]: no source says these words for this cause. Assumed as well, as no report shows them:"
    for name, table in (("smtp", dialogue_smtp), ("imap", dialogue_imap), ("imap", imap_mail), ("pop", dialogue_pop)):
        for text in dict.fromkeys(table.ASSUMED.values()):
            yield f"  {name}: {text}"
    yield "  imap: OK ... completed. of commands beyond LOGIN, CAPABILITY, LIST, SELECT, FETCH, LOGOUT"


def said(world: World, address: str, account: Account, protocol: Protocol) -> str:
    """What the account's sign-in is answered in this protocol, and when that is not at once."""
    login, kind = login_of(address, account), Kind(account.kind)
    it, closed = world.judge(protocol, login, secret_of(account), kind)
    front = FRONTS[it.tenant.org.service, it.tenant.org.cloud]
    cause, where = (closed.cause, closed.stage) if closed else ("", Stage.AUTH)
    spoken = world.voice.say(cause, protocol, facts_for(front, protocol, kind, cause, login), where.value)
    late = LATE.get(protocol, "") if where is Stage.USE else ""
    mark = "  [assumed]" if spoken.assumed else ""
    return f"{protocol.value}{late}: {own(spoken.text, protocol, HERE)}{mark}"
