"""Programs that people use sign in, are refused, send and read against the mock; all are installed here or part of Python."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from needs import program

from mailwhy.mock.threaded import Running

GOOD = "works@before-retirement.test"  # here passwords still open IMAP and POP
TEXT = b"From: works@before-retirement.test\r\nTo: works@before-retirement.test\r\nSubject: hello\r\n\r\n.one dot\r\nlast\r\n"


def context(exchange: Running) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(exchange.ca_file))


@contextmanager
def smtp(exchange: Running) -> Iterator[smtplib.SMTP]:
    where = exchange.address("smtp")
    with smtplib.SMTP(where.host, where.port, "probe.test", timeout=20) as client:
        client.starttls(context=context(exchange))
        yield client


def send(exchange: Running, login: str = GOOD, text: bytes = TEXT) -> None:
    with smtp(exchange) as client:
        client.login(login, exchange.secret_of(login))
        client.sendmail(login, [login], text)


def error(refused: smtplib.SMTPResponseException) -> bytes:
    said = refused.smtp_error
    return said.encode() if isinstance(said, str) else said


def imap(exchange: Running, login: str = GOOD) -> imaplib.IMAP4_SSL:
    where = exchange.address("imap")
    client = imaplib.IMAP4_SSL(where.host, where.port, ssl_context=context(exchange), timeout=20)
    client.login(login, exchange.secret_of(login))
    return client


def test_smtplib_is_refused_with_the_text_of_the_gate(exchange_online: Running) -> None:
    with smtp(exchange_online) as client, pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        client.login("any@security-defaults.test", "abcdefghijklmnop")
    assert refused.value.smtp_code == 535
    assert b"user is locked by your organization's security defaults policy" in error(refused.value)
    assert [(a.login, a.ok, a.cause) for a in exchange_online.attempts] == [
        ("any@security-defaults.test", False, "org.security_defaults")
    ]


def test_smtplib_sends_and_imaplib_reads(exchange_online: Running) -> None:
    send(exchange_online)
    assert [(m.sender, m.recipients, m.data) for m in exchange_online.messages] == [(GOOD, (GOOD,), TEXT)]
    client = imap(exchange_online)
    assert client.select("INBOX")[1] == [b"1"]
    assert client.search(None, "UNSEEN", "SUBJECT", "hello")[1] == [b"1"]
    assert client.search(None, "NOT", "SUBJECT", "hello")[1] == [b""]
    _, found = client.fetch(
        "1", "(FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE BODY.PEEK[] BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
    )
    assert any(isinstance(each, tuple) and each[1] == TEXT for each in found)
    assert any(isinstance(each, tuple) and each[1] == b"Subject: hello\r\n\r\n" for each in found)
    client.store("1", "+FLAGS", "\\Deleted")
    client.copy("1", "Archive")
    client.expunge()
    assert client.select("INBOX", readonly=True)[1] == [b"0"]
    assert client.select("Archive")[1] == [b"1"]
    client.append("Notes", "", imaplib.Time2Internaldate(0), TEXT)
    assert client.status("Notes", "(MESSAGES)")[1] == [b"Notes (MESSAGES 1)"]
    assert client.logout()[0] == "BYE"


def test_poplib_reads_and_deletes(exchange_online: Running) -> None:
    send(exchange_online)
    where = exchange_online.address("pop")
    for left in (1, 0):
        client = poplib.POP3_SSL(where.host, where.port, context=context(exchange_online), timeout=20)
        client.user(GOOD)
        client.pass_(exchange_online.secret_of(GOOD))
        assert client.stat()[0] == left
        if left:
            assert b"\r\n".join(client.retr(1)[1]) + b"\r\n" == TEXT
            assert client.top(1, 1)[1][-1] == b".one dot"
            assert len(client.uidl()[1]) == 1
            client.dele(1)
            assert client.list()[1] == []
        client.quit()


def test_starttls_on_imap_and_stls_on_pop(exchange_online: Running) -> None:
    where = exchange_online.address("imap", "starttls")
    client = imaplib.IMAP4(where.host, where.port, timeout=20)
    assert "LOGINDISABLED" in client.capabilities
    client.starttls(context(exchange_online))
    assert client.login(GOOD, exchange_online.secret_of(GOOD))[0] == "OK"
    client.logout()
    where = exchange_online.address("pop", "starttls")
    pop = poplib.POP3(where.host, where.port, timeout=20)
    pop.stls(context(exchange_online))
    pop.user(GOOD)
    assert pop.pass_(exchange_online.secret_of(GOOD)) == b"+OK User successfully logged on."
    pop.quit()


def test_send_as_is_refused_after_data(exchange_online: Running) -> None:
    login = "send-as@contoso.test"
    with smtp(exchange_online) as client:
        client.login(login, exchange_online.secret_of(login))
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail("noreply@contoso.test", ["you@contoso.test"], TEXT)
    assert refused.value.smtp_code == 554
    assert b"send-as@contoso.test not allowed to send as noreply@contoso.test" in error(refused.value)
    exchange_online.set("mailbox.send_as", ["noreply@contoso.test"], login)
    with smtp(exchange_online) as client:
        client.login(login, exchange_online.secret_of(login))
        client.sendmail("noreply@contoso.test", ["you@contoso.test"], TEXT)


def test_the_thirty_first_message_of_a_minute_is_refused(exchange_online: Running) -> None:
    exchange_online.set("org.messages_per_minute", 2, "before-retirement.test")
    send(exchange_online)
    send(exchange_online)
    with pytest.raises(smtplib.SMTPDataError, match="submission rate"):
        send(exchange_online)
    assert len(exchange_online.messages) == 2


def test_the_fourth_connection_of_a_mailbox_may_not_send(exchange_online: Running) -> None:
    with ExitStack() as stack:
        for _ in range(4):
            client = stack.enter_context(smtp(exchange_online))
            client.login(GOOD, exchange_online.secret_of(GOOD))
        with pytest.raises(smtplib.SMTPDataError, match="Concurrent connections limit exceeded"):
            client.sendmail(GOOD, [GOOD], TEXT)
    send(exchange_online)


def test_smart_lockout_counts_different_secrets_only(exchange_online: Running) -> None:
    def try_with(secret: str) -> str:
        with smtp(exchange_online) as client, pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(GOOD, secret)
        return exchange_online.attempts[-1].cause

    for _ in range(12):
        assert try_with("always the same") == "credentials.wrong"
    for number in range(9):
        assert try_with(f"wrong {number}") == "credentials.wrong"
    assert try_with(exchange_online.secret_of(GOOD)) == "account.locked"


def test_high_volume_email_stays_inside(exchange_online: Running) -> None:
    where = exchange_online.address("smtp", front="hve")
    with smtplib.SMTP(where.host, where.port, "probe.test", timeout=20) as client:
        client.starttls(context=context(exchange_online))
        client.login("bulk@hve.test", exchange_online.secret_of("bulk@hve.test"))
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("bulk@hve.test", ["you@contoso.test"], TEXT)
        client.sendmail("bulk@hve.test", ["bulk@hve.test"], TEXT)


def run(*words: object, stdin: bytes = b"", ok: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run([str(word) for word in words], input=stdin, capture_output=True, timeout=50, check=False)
    out = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode in ok, out
    return out


@pytest.mark.parametrize(("secret", "rc"), [("abcdefghijklmnop", 0), ("ponmlkjihgfedcba", 67)])
def test_curl(exchange_online: Running, secret: str, rc: int) -> None:
    curl = [program("curl"), "-sS", "--cacert", exchange_online.ca_file, "-u", f"{GOOD}:{secret}"]
    where = exchange_online.address("smtp")
    run(*curl, "--ssl-reqd", f"smtp://{where.host}:{where.port}/probe.test", "-X", "NOOP", ok=(rc,))
    where = exchange_online.address("imap")
    run(*curl, f"imaps://{where.host}:{where.port}/", "-X", "NOOP", ok=(rc,))
    where = exchange_online.address("pop")
    run(*curl, f"pop3s://{where.host}:{where.port}/", "-X", "NOOP", "-I", ok=(rc,))


def test_curl_with_a_token(exchange_online: Running) -> None:
    login = "oauth@contoso.test"
    where = exchange_online.address("imap")
    words = [
        "--cacert",
        exchange_online.ca_file,
        "-u",
        f"{login}:",
        "--oauth2-bearer",
        exchange_online.secret_of(login),
    ]
    run(
        program("curl"),
        "-sS",
        *words,
        "--login-options",
        "AUTH=XOAUTH2",
        f"imaps://{where.host}:{where.port}/",
        "-X",
        "NOOP",
    )


@pytest.mark.parametrize(("login", "rc"), [(GOOD, 0), ("smtp-off@contoso.test", 28)])
def test_swaks(exchange_online: Running, login: str, rc: int) -> None:
    where = exchange_online.address("smtp")
    words = [
        "--server",
        where.host,
        "--port",
        where.port,
        "-tls",
        "--tls-verify",
        "--tls-ca-path",
        exchange_online.ca_file,
    ]
    words += ["--auth", "LOGIN", "-au", login, "-ap", exchange_online.secret_of(login), "--helo", "probe.test"]
    out = run(program("swaks"), *words, "--from", login, "--to", login, ok=(rc,))
    assert ("disabled for the Mailbox" in out) == bool(rc)
    assert len(exchange_online.messages) == (0 if rc else 1)


def test_msmtp_sends(exchange_online: Running, tmp_path: Path) -> None:
    where = exchange_online.address("smtp")
    words = [f"--host={where.host}", f"--port={where.port}", "--auth=login", f"--user={GOOD}", "--tls=on"]
    words += [f"--tls-trust-file={exchange_online.ca_file}", f"--passwordeval=echo {exchange_online.secret_of(GOOD)}"]
    run(program("msmtp"), "--file=/dev/null", "--domain=probe.test", *words, f"--from={GOOD}", GOOD, stdin=TEXT)
    assert len(exchange_online.messages) == 1


def test_fetchmail_fetches(exchange_online: Running, tmp_path: Path) -> None:
    send(exchange_online)
    where = exchange_online.address("pop")
    settings = tmp_path / "fetchmailrc"
    settings.write_text(
        f'poll "localhost" protocol pop3 port {where.port}\n'
        f'user "{GOOD}" password "{exchange_online.secret_of(GOOD)}" ssl sslcertck sslcertfile "{exchange_online.ca_file}"\n'
        f'mda "cat >> {tmp_path}/mail"\n'
    )
    settings.chmod(0o600)
    run(
        program("fetchmail"),
        "-f",
        settings,
        "--nodetach",
        "--nosyslog",
        "--idfile",
        tmp_path / "ids",
        "--pidfile",
        tmp_path / "pid",
    )
    assert "Subject: hello" in (tmp_path / "mail").read_text()


def test_mbsync_pulls(exchange_online: Running, tmp_path: Path) -> None:
    send(exchange_online)
    where = exchange_online.address("imap")
    (tmp_path / "box").mkdir()
    settings = tmp_path / "mbsyncrc"
    settings.write_text(
        f"IMAPAccount a\nHost localhost\nPort {where.port}\nUser {GOOD}\nPass {exchange_online.secret_of(GOOD)}\n"
        f"SSLType IMAPS\nSystemCertificates no\nCertificateFile {exchange_online.ca_file}\nAuthMechs LOGIN\n\n"
        f"IMAPStore far\nAccount a\n\nMaildirStore near\nPath {tmp_path}/box/\nInbox {tmp_path}/box/inbox\n\n"
        "Channel all\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSync Pull\nSyncState *\n"
    )
    run(program("mbsync"), "-c", settings, "all")
    found = [
        path.read_bytes()
        for path in (tmp_path / "box").rglob("*")
        if path.is_file() and path.parent.name in ("new", "cur")
    ]
    assert any(b"Subject: hello" in each for each in found)
