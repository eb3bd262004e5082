"""Mail programs and libraries beyond Python's own and the command line: Node's, mutt, and asyncio's, against the mock."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import aioimaplib
import aiosmtplib
import pexpect
import pytest
from needs import node_modules, program

from mailwhy.mock.threaded import Running

GOOD = "works@before-retirement.test"  # here passwords still open IMAP and POP
OFF = "smtp-off@contoso.test"
SECRET = "abcdefghijklmnop"
TEXT = f"From: {GOOD}\r\nTo: {GOOD}\r\nSubject: hello\r\n\r\n.one dot\r\nlast\r\n"


def context(exchange: Running) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(exchange.ca_file))


# --- asyncio: the reference clients


async def dropped(*transports: Any) -> None:
    """Both libraries leave connections to the garbage collector, which complains in whatever test runs then."""
    for transport in transports:
        transport.abort()
    for _ in range(3):
        await asyncio.sleep(0)  # the loop closes an aborted socket in one of its next turns


async def test_aiosmtplib_sends_and_is_refused(exchange_online: Running) -> None:
    where = exchange_online.address("smtp")
    to: dict[str, Any] = {
        "hostname": where.host,
        "port": where.port,
        "start_tls": True,
        "tls_context": context(exchange_online),
    }
    async with aiosmtplib.SMTP(local_hostname="probe.test", **to) as client:
        first = client.transport
        await client.login(GOOD, SECRET)
        _, answer = await client.sendmail(GOOD, [GOOD], TEXT)
    assert answer.startswith("2.0.0 OK ")
    assert [mail.data.decode() for mail in exchange_online.messages] == [TEXT]
    async with aiosmtplib.SMTP(local_hostname="probe.test", **to) as client:
        second = client.transport
        with pytest.raises(aiosmtplib.SMTPAuthenticationError, match="disabled for the Mailbox") as refused:
            await client.login(OFF, SECRET)
    assert refused.value.code == 535
    await dropped(first, second)


async def test_aioimaplib_reads_and_is_refused(exchange_online: Running) -> None:
    exchange_online.servers.world.deliver(GOOD, GOOD, [GOOD], TEXT.encode())
    where = exchange_online.address("imap")

    async def signed_in(secret: str) -> tuple[aioimaplib.IMAP4_SSL, Any]:
        client = aioimaplib.IMAP4_SSL(where.host, where.port, timeout=20, ssl_context=context(exchange_online))
        await client.wait_hello_from_server()
        return client, await client.login(GOOD, secret)

    client, refused = await signed_in("ponmlkjihgfedcba")
    assert (refused.result, refused.lines[-1]) == ("NO", b"LOGIN failed.")
    await client.logout()
    await dropped(client.protocol.transport)
    client, accepted = await signed_in(SECRET)
    assert accepted.result == "OK"
    assert (await client.select("INBOX")).lines[0] == b"1 EXISTS"
    assert (await client.search("SUBJECT hello")).lines[0] == b"1"
    assert (await client.fetch("1", "(BODY.PEEK[])")).lines[1] == TEXT.encode()
    idle = await client.idle_start(timeout=20)
    exchange_online._there(lambda: exchange_online.servers.world.deliver(GOOD, GOOD, [GOOD], b"Subject: new\r\n\r\n"))
    assert (await client.wait_server_push())[0] == b"2 EXISTS"
    client.idle_done()
    await asyncio.wait_for(idle, 20)
    await client.logout()
    await dropped(client.protocol.transport)


# --- Node


def node(exchange: Running, script: str) -> Any:
    """What the script prints, as JSON. `it` holds where everything is."""
    modules = node_modules()
    smtp, imap = exchange.address("smtp"), exchange.address("imap")
    it = {"host": smtp.host, "smtp": smtp.port, "imap": imap.port, "good": GOOD, "off": OFF, "pass": SECRET}
    code = f"""
        const it = {json.dumps(it)};
        const tls = {{ca: require('fs').readFileSync({str(exchange.ca_file)!r}), servername: 'localhost'}};
        (async () => {{ {script} }})().catch(why => {{ console.error(why); process.exit(1) }});
    """
    done = subprocess.run(
        ["node", "-e", textwrap.dedent(code)],
        env={**os.environ, "NODE_PATH": str(modules)},
        capture_output=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_nodemailer(exchange_online: Running) -> None:
    said = node(
        exchange_online,
        """
        const as = user => require('nodemailer').createTransport({
            host: it.host, port: it.smtp, requireTLS: true, name: 'probe.test', auth: {user, pass: it.pass}, tls});
        const verified = await as(it.good).verify();
        const sent = await as(it.good).sendMail({from: it.good, to: it.good, subject: 'hello', text: '.one dot'});
        const refused = await as(it.off).verify().catch(why => why);
        console.log(JSON.stringify({verified, response: sent.response, code: refused.code, said: refused.response}));
        """,
    )
    assert said["verified"] is True
    assert said["response"].startswith("250 2.0.0 OK <")
    assert said["code"] == "EAUTH"
    assert (
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox." in said["said"]
    )
    assert exchange_online.messages[0].data.endswith(b"\r\n.one dot\r\n")


def test_imapflow(exchange_online: Running) -> None:
    exchange_online._there(lambda: exchange_online.servers.world.deliver(GOOD, GOOD, [GOOD], TEXT.encode()))
    said = node(
        exchange_online,
        """
        const { ImapFlow } = require('imapflow');
        const as = pass => new ImapFlow({
            host: it.host, port: it.imap, secure: true, auth: {user: it.good, pass}, tls, logger: false});
        const client = as(it.pass);
        await client.connect();
        const lock = await client.getMailboxLock('INBOX');
        const found = await client.search({subject: 'hello'});
        const message = await client.fetchOne('1', {envelope: true, bodyStructure: true, source: true, flags: true});
        const folders = (await client.list()).map(each => each.path);
        await client.messageFlagsAdd('1', ['\\\\Flagged']);
        await client.messageMove('1', 'Archive');
        const moved = (await client.status('Archive', {messages: true})).messages;
        lock.release();
        await client.logout();
        const wrong = as('ponmlkjihgfedcba');
        wrong.on('error', () => {});
        const refused = await wrong.connect().catch(why => why);
        wrong.close();
        console.log(JSON.stringify({
            found, moved, folders, subject: message.envelope.subject, type: message.bodyStructure.type,
            source: String(message.source), failed: refused.authenticationFailed, said: refused.responseText}));
        """,
    )
    assert (said["found"], said["moved"], said["subject"], said["type"]) == ([1], 1, "hello", "text/plain")
    assert said["source"] == TEXT
    assert {"INBOX", "Archive", "Sent Items"} <= set(said["folders"])
    assert (said["failed"], said["said"]) == (True, "AUTHENTICATE failed.")


# --- mutt


def test_mutt_sends_reads_and_is_refused(exchange_online: Running, tmp_path: Path) -> None:
    mutt = program("mutt")
    smtp, imap = exchange_online.address("smtp"), exchange_online.address("imap")
    settings = tmp_path / "muttrc"
    settings.write_text(
        f"set ssl_ca_certificates_file={exchange_online.ca_file} ssl_force_tls=yes hostname=probe.test copy=no record=''\n"
        f"set from={GOOD} use_from=yes use_envelope_from=yes smtp_pass={SECRET} wait_key=no quit=yes\n"
        f"set imap_user={GOOD} imap_pass={SECRET} folder={tmp_path}\n"
    )

    def send(login: str) -> subprocess.CompletedProcess[bytes]:
        url = f"smtp://{login.replace('@', '%40')}@localhost:{smtp.port}/"
        words = [mutt, "-F", str(settings), "-e", f"set smtp_url={url}", "-s", "hello", GOOD]
        return subprocess.run(words, input=b".one dot\n", capture_output=True, timeout=50, check=False)

    sent, refused = send(GOOD), send(OFF)
    assert sent.returncode == 0, sent.stderr
    assert refused.returncode != 0
    assert [mail.data.rpartition(b"\r\n\r\n")[2] for mail in exchange_online.messages] == [b".one dot\r\n"]
    out = tmp_path / "message"
    keys = f'push "<first-entry><pipe-message>cat > {out}<enter><exit>"'
    words = ["-F", str(settings), "-f", f"imaps://localhost:{imap.port}/INBOX", "-e", keys]
    child = pexpect.spawn(mutt, words, timeout=40, dimensions=(30, 100), encoding="utf-8")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert "Subject: hello" in out.read_text()
