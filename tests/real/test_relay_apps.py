"""Real apps through the relay to the look-alike, each broken in a way that users report: is each named rightly?

The look-alike and the relay run in the test's own process, the apps in theirs. What the apps print is not looked at:
programs hide, translate and invent (facts: users section 4), and that is what the relay is for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from needs import need
from real import postfix
from real.apps import (
    CURL_SMTP,
    LOGIN,
    Command,
    Stand,
    curl,
    fetchmail,
    mbsync,
    msmtp,
    nodemailer,
    php_mail,
    phpmailer,
    python,
    swaks,
)
from real.process import is_root

from mailwhy import mock
from mailwhy.mock import Servers
from mailwhy.mock.certs import Certificates, shared
from mailwhy.model import Protocol, Stage, Target, Tls
from mailwhy.net import Way
from mailwhy.relay import Relay, Seen, Settings
from mailwhy.relay.notes import dialogue
from mailwhy.relay.serve import Observer
from mailwhy.run import explain, judge

pytestmark = pytest.mark.real

OLDER = "works@before-retirement.test"
OLD_TLS = """openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = defaults
[defaults]
MinProtocol = TLSv1
CipherString = DEFAULT:@SECLEVEL=0
"""


@dataclass(frozen=True)
class Case:
    """cause: the first finding, "" where it works; habit: of the app, "" where none is to be named."""

    name: str
    command: Command
    cause: str
    habit: str = ""
    app_tls: Tls = Tls.STARTTLS
    protocol: Protocol = Protocol.SMTP
    login: str = LOGIN
    secret: str | None = None
    old_tls: bool = False
    delay: float = 0.0
    day: str = "2026-11-22"
    closed: str = ""  # a setting of the organization that the case switches on


def reading(
    name: str,
    command: Command,
    cause: str = "",
    habit: str = "",
    tls: Tls = Tls.IMPLICIT,
    protocol: Protocol = Protocol.IMAP,
) -> Case:
    """An app that reads mail, when passwords still opened IMAP and POP."""
    return Case(f"{name}, in 2021", command, cause, habit, tls, protocol, OLDER, day="2021-06-01")


NO_TLS, WRONG_MODE = "client.starttls_required", "client.wrong_port_or_tls_mode"
CLEAR = "sslproto ''"  # fetchmail's way to say: no STARTTLS
SMTPLIB = "client = smtplib.SMTP('localhost', port, 'app.contoso.test', timeout={limit})\n"
CASES = [
    Case("swaks that is well", swaks(), ""),
    Case("swaks without a sign-in", swaks(auth=""), "client.no_auth_attempted", "no_auth"),
    Case("swaks, HELO only", swaks("--protocol", "SMTP", tls="", auth=""), "client.starttls_required", "helo"),
    Case("swaks, STARTTLS off", swaks(tls=""), "client.starttls_required", "no_starttls"),
    Case(
        "swaks, TLS at once on 587", swaks(tls="--tls-on-connect"), "client.wrong_port_or_tls_mode", "tls_on_clear_port"
    ),
    Case(
        "swaks, STARTTLS on 465",
        swaks("--timeout", "2"),
        "client.wrong_port_or_tls_mode",
        "clear_on_tls_port",
        Tls.IMPLICIT,
    ),
    Case("swaks, CRAM-MD5", swaks(auth="CRAM-MD5"), "client.no_auth_attempted", "no_auth"),
    Case("swaks, TLS 1.1", swaks("--tls-protocol", "tlsv1_1"), "client.tls_too_old", "tls_old", old_tls=True),
    Case(
        "swaks, another From",
        swaks("--header", "From: scan@contoso.test", sender="scan@contoso.test"),
        "sender.send_as_denied",
        "from_differs",
    ),
    Case("swaks, wrong password", swaks(), "credentials.wrong", secret="not-the-right-one"),
    Case("swaks, SMTP AUTH off", swaks(), "mailbox.smtp_auth_disabled", login="smtp-off@contoso.test"),
    Case("swaks in clear text to the relay", swaks(tls=""), "", "clear_text", Tls.NONE),
    Case("msmtp that is well", msmtp(), ""),
    Case("msmtp, auth off", msmtp("auth off"), "client.no_auth_attempted", "no_auth"),
    Case(
        "msmtp, tls off",
        msmtp("tls off", "tls_starttls ", "tls_trust_file "),
        "client.starttls_required",
        "no_starttls",
    ),
    Case("msmtp, tls_starttls off", msmtp("tls_starttls off"), "client.wrong_port_or_tls_mode", "tls_on_clear_port"),
    Case(
        "msmtp without the authority",
        msmtp("tls_trust_file /etc/ssl/certs/ca-certificates.crt"),
        "client.ca_store_missing",
        "rejects_certificate",
    ),
    Case(
        "smtplib that forgets starttls",
        python(SMTPLIB.format(limit=10) + "client.login(login, secret)"),
        "client.starttls_required",
        "no_starttls",
    ),
    Case(
        "smtplib that forgets login",
        python(
            SMTPLIB.format(limit=10)
            + "client.starttls(context=context); client.sendmail(login, 'b@example.net', 'hello')"
        ),
        "client.no_auth_attempted",
        "no_auth",
    ),
    Case(
        "smtplib that does not wait",
        python(SMTPLIB.format(limit=0.7) + "client.starttls(context=context); client.login(login, secret)"),
        "credentials.wrong",
        "gave_up",
        secret="not-the-right-one",
        delay=2.0,
    ),
    Case(
        "a script that sends PLAIN unasked",
        python(
            SMTPLIB.format(limit=10)
            + "client.starttls(context=context); client.ehlo(); client.docmd('AUTH PLAIN AGEAYg=='); client.quit()"
        ),
        "client.unsupported_mechanism",
        "mechanism_not_offered",
    ),
    Case(
        "a script without a second EHLO",
        python(
            SMTPLIB.format(limit=10)
            + "client.starttls(context=context); client.docmd('AUTH LOGIN YQ=='); client.docmd('MAIL FROM:<a@contoso.test>'); client.quit()"
        ),
        "client.protocol_error",
        "no_ehlo_after_tls",
    ),
    Case(
        "a script with a broken name",
        python("client = smtplib.SMTP('localhost', port, 'MacBook..', timeout=10); client.ehlo(); client.quit()"),
        "client.protocol_error",
        "odd_name",
    ),
    Case(
        "a script that tries again",
        python(
            "for _ in 'abc':\n    "
            + SMTPLIB.format(limit=10).strip()
            + "\n    client.starttls(context=context)\n    try:\n        client.login(login, secret)\n    except smtplib.SMTPException:\n        client.quit()"
        ),
        "credentials.wrong",
        "several_sign_ins",
        secret="not-the-right-one",
    ),
    Case("nodemailer that is well", nodemailer(), ""),
    Case("nodemailer without auth", nodemailer({"auth": None}), "client.no_auth_attempted", "no_auth"),
    Case("nodemailer, ignoreTLS", nodemailer({"ignoreTLS": True}), "client.starttls_required", "no_starttls"),
    Case(
        "nodemailer, secure: true on 587",
        nodemailer({"secure": True}),
        "client.wrong_port_or_tls_mode",
        "tls_on_clear_port",
    ),
    Case(
        "nodemailer, secure: false on 465",
        nodemailer({"greetingTimeout": 2000}),
        "client.wrong_port_or_tls_mode",
        "clear_on_tls_port",
        Tls.IMPLICIT,
    ),
    Case(
        "nodemailer, authMethod PLAIN",
        nodemailer({"authMethod": "PLAIN"}),
        "client.unsupported_mechanism",
        "mechanism_not_offered",
    ),
    Case("nodemailer, another From", nodemailer(sender="scan@contoso.test"), "sender.send_as_denied", "from_differs"),
    Case("nodemailer, wrong password", nodemailer(), "credentials.wrong", secret="not-the-right-one"),
    Case(
        "nodemailer that tries again",
        nodemailer(times=3),
        "credentials.wrong",
        "several_sign_ins",
        secret="not-the-right-one",
    ),
    Case(
        "nodemailer that does not wait",
        nodemailer({"socketTimeout": 700}),
        "credentials.wrong",
        "gave_up",
        secret="not-the-right-one",
        delay=2.0,
    ),
    Case(
        "nodemailer without the authority",
        nodemailer(trusting=False),
        "client.ca_store_missing",
        "rejects_certificate",
    ),
    Case("nodemailer, SMTP AUTH off", nodemailer(), "mailbox.smtp_auth_disabled", login="smtp-off@contoso.test"),
    Case(
        "nodemailer, SMTP AUTH off for all",
        nodemailer(),
        "org.smtp_auth_disabled",
        closed="org.smtp_client_authentication_disabled",
    ),
    Case("PHPMailer that is well", phpmailer(), ""),
    Case("PHPMailer, SMTPAuth off", phpmailer({"SMTPAuth": False}), "client.no_auth_attempted", "no_auth"),
    Case(
        "PHPMailer, SMTPAutoTLS off",
        phpmailer({"SMTPSecure": "", "SMTPAutoTLS": False}),
        "client.starttls_required",
        "no_starttls",
    ),
    Case("PHPMailer, only SMTPAutoTLS", phpmailer({"SMTPSecure": ""}), ""),
    Case(
        "PHPMailer, ssl on 587",
        phpmailer({"SMTPSecure": "ssl"}),
        "client.wrong_port_or_tls_mode",
        "tls_on_clear_port",
    ),
    Case(
        "PHPMailer, tls on 465",
        phpmailer(seconds=2),
        "client.wrong_port_or_tls_mode",
        "clear_on_tls_port",
        Tls.IMPLICIT,
    ),
    Case("PHPMailer, AuthType PLAIN, which it then does not use", phpmailer({"AuthType": "PLAIN"}), ""),
    Case("PHPMailer, another From", phpmailer(sender="scan@contoso.test"), "sender.send_as_denied", "from_differs"),
    Case("PHPMailer, wrong password", phpmailer(), "credentials.wrong", secret="not-the-right-one"),
    Case(
        "PHPMailer that tries again",
        phpmailer(times=3),
        "credentials.wrong",
        "several_sign_ins",
        secret="not-the-right-one",
    ),
    Case(
        "PHPMailer that does not wait",
        phpmailer(seconds=1),
        "credentials.wrong",
        "gave_up",
        secret="not-the-right-one",
        delay=4.0,
    ),
    Case(
        "PHPMailer without the authority",
        phpmailer(trusting=False),
        "client.ca_store_missing",
        "rejects_certificate",
    ),
    Case("PHPMailer, a broken name", phpmailer({"Helo": "MacBook.."}), "client.protocol_error", "odd_name"),
    Case("PHPMailer, SMTP AUTH off", phpmailer(), "mailbox.smtp_auth_disabled", login="smtp-off@contoso.test"),
    Case(
        "PHPMailer, SMTP AUTH off for all",
        phpmailer(),
        "org.smtp_auth_disabled",
        closed="org.smtp_client_authentication_disabled",
    ),
    Case("PHPMailer, Security Defaults", phpmailer(), "org.security_defaults", closed="org.security_defaults"),
    Case("mail() of PHP that is well", php_mail(), ""),
    Case("mail() of PHP, auth off", php_mail("auth off"), "client.no_auth_attempted", "no_auth"),
    Case(
        "mail() of PHP, tls off",
        php_mail("tls off", "tls_starttls ", "tls_trust_file "),
        "client.starttls_required",
        "no_starttls",
    ),
    Case(
        "mail() of PHP, tls_starttls off",
        php_mail("tls_starttls off"),
        "client.wrong_port_or_tls_mode",
        "tls_on_clear_port",
    ),
    Case("mail() of PHP, another From", php_mail(sender="scan@contoso.test"), "sender.send_as_denied", "from_differs"),
    Case("mail() of PHP, wrong password", php_mail(), "credentials.wrong", secret="not-the-right-one"),
    Case("mail() of PHP, SMTP AUTH off", php_mail(), "mailbox.smtp_auth_disabled", login="smtp-off@contoso.test"),
    Case(
        "mail() of PHP, SMTP AUTH off for all",
        php_mail(),
        "org.smtp_auth_disabled",
        closed="org.smtp_client_authentication_disabled",
    ),
    Case("curl that is well", curl("smtp://localhost:{port}/app.contoso.test", "--ssl-reqd", *CURL_SMTP), ""),
    Case(
        "curl, AUTH=PLAIN",
        curl("smtp://localhost:{port}/app.contoso.test", "--ssl-reqd", "--login-options", "AUTH=PLAIN", *CURL_SMTP),
        "client.no_auth_attempted",
        "no_auth",
    ),
    Case(
        "curl, IMAP",
        curl("imaps://localhost:{port}/INBOX"),
        "service.basic_auth_retired",
        "",
        Tls.IMPLICIT,
        Protocol.IMAP,
    ),
    Case("curl, POP", curl("pop3s://localhost:{port}/"), "service.basic_auth_retired", "", Tls.IMPLICIT, Protocol.POP),
    Case("fetchmail, IMAP", fetchmail("imap"), "service.basic_auth_retired", "", Tls.IMPLICIT, Protocol.IMAP),
    Case("fetchmail, POP", fetchmail("pop3"), "service.basic_auth_retired", "", Tls.IMPLICIT, Protocol.POP),
    Case("mbsync", mbsync(), "service.basic_auth_retired", "", Tls.IMPLICIT, Protocol.IMAP),
    reading("fetchmail, IMAP", fetchmail("imap")),
    reading("fetchmail, POP", fetchmail("pop3"), protocol=Protocol.POP),
    reading("fetchmail, STARTTLS", fetchmail("imap", "sslproto TLS1.2+ sslcertck"), tls=Tls.STARTTLS),
    reading("fetchmail, no TLS on 143", fetchmail("imap", CLEAR), NO_TLS, "no_starttls", Tls.STARTTLS),
    reading("fetchmail, no TLS on 110", fetchmail("pop3", CLEAR), NO_TLS, "no_starttls", Tls.STARTTLS, Protocol.POP),
    reading("fetchmail, TLS at once on 143", fetchmail("imap"), WRONG_MODE, "tls_on_clear_port", Tls.STARTTLS),
    reading("fetchmail, no TLS on 993", fetchmail("imap", CLEAR), WRONG_MODE, "clear_on_tls_port"),
    reading("mbsync", mbsync()),
    reading("mbsync, STARTTLS", mbsync("STARTTLS"), tls=Tls.STARTTLS),
    reading("mbsync, no TLS on 143", mbsync("None"), NO_TLS, "no_starttls", Tls.STARTTLS),
    reading("mbsync without the authority", mbsync(trusting=False), "client.ca_store_missing", "rejects_certificate"),
]


class Table:
    """The relay and the look-alike of one case."""

    def __init__(self, servers: Servers, relay: Relay, over: asyncio.Queue[Seen]) -> None:
        self.servers, self.relay, self.over = servers, relay, over

    async def last(self) -> Seen:
        """The last of the sessions so far; waits for the first one."""
        async with asyncio.timeout(20):
            seen = await self.over.get()
        while not self.over.empty():
            seen = self.over.get_nowait()
        return seen


@contextlib.asynccontextmanager
async def laid(case: Case) -> AsyncIterator[Table]:
    over: asyncio.Queue[Seen] = asyncio.Queue()
    context = shared().context()
    if case.old_tls:
        import ssl

        made = Certificates()
        context = made.context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    async with mock.serve(delay=case.delay) as servers:
        begins_clear = case.protocol is Protocol.SMTP or case.app_tls is Tls.STARTTLS
        where = Tls.STARTTLS if begins_clear else Tls.IMPLICIT
        at = servers.address(case.protocol, where)
        settings = Settings(
            Target(at.protocol, at.host, at.port, at.tls), case.app_tls, context, way=Way(ca_file=str(servers.ca_file))
        )
        async with Relay(settings, Observer(ended=over.put_nowait)) as relay:
            yield Table(servers, relay, over)


async def ran(command: Sequence[str], home: Path, old_tls: bool = False, stdin: bytes = Stand.stdin) -> str:
    """What the app printed; only for the report of a failed test."""
    environment = {**os.environ, "HOME": str(home), "FETCHMAILHOME": str(home)}
    if old_tls:
        (home / "openssl.cnf").write_text(OLD_TLS)
        environment["OPENSSL_CONF"] = str(home / "openssl.cnf")
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        cwd=home,
    )
    try:
        async with asyncio.timeout(40):
            out, _ = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return out.decode(errors="replace")


def judged(seen: Seen, day: str = "2026-11-22") -> list[str]:
    """The causes, most likely first; the same for the session, and for who has only its recording."""
    outcome = judge("relay", [seen.attempt], seen.account, as_of=day)
    again = explain(dialogue(seen), as_of=day)
    assert [each.verdict for each in again.diagnoses] == [each.verdict for each in outcome.diagnoses], dialogue(seen)
    assert again.findings == outcome.findings, dialogue(seen)
    return [finding.cause for finding in outcome.findings]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_each_is_named_rightly(case: Case, tmp_path: Path) -> None:
    async with laid(case) as table:
        secret = case.secret or table.servers.secret_of(case.login)
        if case.closed:
            table.servers.world.change(case.login.rpartition("@")[2], case.closed, True)
        stand = Stand(table.relay.port, table.servers.ca_file, tmp_path, secret, case.login)
        command = case.command(stand)
        need("" if shutil.which(command[0]) else f"not installed: {command[0]} (make servers)")
        said = await ran(command, tmp_path, case.old_tls, stand.stdin)
        seen = await table.last()
    told = f"{said}\n{seen.dialogue}\n{sorted(seen.attempt.facts)}"
    assert (judged(seen, case.day) or [""])[0] == case.cause, told
    assert not case.habit or f"app.{case.habit}" in seen.attempt.facts, told
    assert secret not in str(seen.dialogue) + str(seen.attempt)
    if not case.cause:
        assert seen.attempt.ok(Stage.AUTH), told


MAIN = """
relayhost = [127.0.0.1]:{port}
smtp_tls_CAfile = {ca}
smtp_tls_security_level = {tls}
smtp_sasl_auth_enable = {auth}
smtp_sasl_password_maps = inline:{{ {{ [127.0.0.1]:{port} = {login}:{secret} }} }}
smtp_sasl_security_options = noanonymous
smtp_helo_name = app.contoso.test
smtp_host_lookup = native
default_transport = smtp
relay_transport = smtp
smtpd_sasl_auth_enable = no
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
"""


@pytest.mark.parametrize(
    ("tls", "auth", "cause", "habit"),
    [
        ("encrypt", "yes", "", ""),
        ("encrypt", "wrong", "credentials.wrong", ""),
        ("encrypt", "no", "client.no_auth_attempted", "no_auth"),
        ("none", "yes", "client.starttls_required", "no_starttls"),
        ("none", "no", "client.starttls_required", "no_starttls"),
    ],
)
async def test_postfix_as_a_client(tls: str, auth: str, cause: str, habit: str) -> None:
    """A relayhost without credentials, and one without TLS (facts: users section 3, the 530 5.7.57 row)."""
    need(postfix.missing() or ("" if is_root() else "Postfix starts only as root"))
    case = Case("postfix", lambda at: [], cause)
    async with laid(case) as table:
        home = Path(tempfile.mkdtemp(prefix="mw-", dir="/tmp"))
        try:
            secret = "not-the-right-one" if auth == "wrong" else table.servers.secret_of(LOGIN)
            given = {
                "port": table.relay.port,
                "ca": table.servers.ca_file,
                "tls": tls,
                "login": LOGIN,
                "secret": secret,
            }
            given["auth"] = "no" if auth == "no" else "yes"
            async with client_postfix(home, MAIN.format(**given)):
                await ran(["/usr/sbin/sendmail", "-C", str(home), "-f", LOGIN, "b@example.net"], home)
                kicking = asyncio.create_task(kicked(home))
                seen = await table.last()
                kicking.cancel()
                taken = len(table.servers.world.store.messages)
        finally:
            shutil.rmtree(home, ignore_errors=True)
    assert (judged(seen) or [""])[0] == cause, f"{seen.dialogue}\n{sorted(seen.attempt.facts)}"
    assert not habit or f"app.{habit}" in seen.attempt.facts
    assert taken == (0 if cause else 1)


async def kicked(home: Path) -> None:
    """Tells Postfix to look for mail until somebody stops this: on a busy machine its first look may come too early."""
    while True:
        await ran(["/usr/sbin/postkick", "-c", str(home), "public", "pickup", "W"], home)
        await asyncio.sleep(1.0)


@contextlib.asynccontextmanager
async def client_postfix(home: Path, more: str) -> AsyncIterator[None]:
    """Postfix that only sends, from a folder of its own."""
    home.chmod(0o755)
    (home / "queue").mkdir()
    (home / "data").mkdir()
    shutil.chown(home / "data", "postfix")
    opening = postfix.MAIN.split("smtpd_relay_restrictions")[0].format(home=home, key="", chain="", sasl="")
    (home / "main.cf").write_text(opening + more)
    services = postfix.SERVICES.partition("postlog unix-dgram")
    (home / "master.cf").write_text(
        f"{services[1]}{services[2]}smtp unix - - n - - smtp\npickup unix n - n 60 1 pickup\n"
    )
    await ran(["/usr/sbin/postfix", "-c", str(home), "check"], home)
    server = await asyncio.create_subprocess_exec(
        *(postfix.MASTER, "-c", str(home), "-d"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(20):
            while not (home / "queue" / "public" / "pickup").exists() and server.returncode is None:
                await asyncio.sleep(0.05)  # polling, not hoping: Postfix has no other way to tell that it takes mail
        yield
    finally:
        server.terminate()
        async with asyncio.timeout(10):
            await server.wait()
