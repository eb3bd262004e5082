"""The apps of test_relay_apps.py: for each program how it is told where to sign in, and as whom. Starts nothing.

    nodemailer({"ignoreTLS": True})   gives a Command: called with a Stand it writes what files it needs into the
                                      stand's folder, and gives back the words that start the program

Every builder's default is an app that is well; what is handed over breaks it.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from needs import need, node_modules

LOGIN = "works@contoso.test"
TO = "b@example.net"


@dataclass
class Stand:
    """What a case needs to write its app's settings."""

    port: int
    ca: Path
    home: Path
    secret: str
    login: str = LOGIN
    stdin: bytes = b"From: works@contoso.test\n\nhello\n"  # what the app reads; the message, unless a builder needs it


Command = Callable[[Stand], Sequence[str]]


def swaks(*more: str, tls: str = "--tls", auth: str = "LOGIN", sender: str = LOGIN) -> Command:
    def made(at: Stand) -> list[str]:
        sign_in = ["--auth", auth, "--auth-user", at.login, "--auth-password", at.secret] if auth else []
        opening = ["swaks", "--server", f"127.0.0.1:{at.port}", "--helo", "app.contoso.test", "--timeout", "10"]
        return [*opening, "--from", sender, "--to", TO, *([tls] if tls else []), *sign_in, *more]

    return made


def msmtp(*settings: str, sender: str = LOGIN) -> Command:
    def made(at: Stand) -> list[str]:
        lines = {
            "host": "localhost",
            "port": str(at.port),
            "from": sender,
            "domain": "app.contoso.test",
            "auth": "login",
            "user": at.login,
            "password": at.secret,
            "tls": "on",
            "tls_starttls": "on",
            "tls_trust_file": str(at.ca),
            "timeout": "10",
            **dict(line.split(" ", 1) for line in settings),
        }
        file = at.home / "msmtprc"
        file.write_text("account default\n" + "".join(f"{key} {value}\n" for key, value in lines.items() if value))
        file.chmod(0o600)
        return ["msmtp", "-C", str(file), TO]

    return made


def python(script: str) -> Command:
    """The standard library, as scripts use it."""

    def made(at: Stand) -> list[str]:
        opening = "import imaplib, poplib, smtplib, ssl\ncontext = ssl.create_default_context(cafile=ca)\n"
        given = {"port": at.port, "ca": str(at.ca), "login": at.login, "secret": at.secret}
        return [sys.executable, "-c", "".join(f"{k} = {v!r}\n" for k, v in given.items()) + opening + script]

    return made


def curl(url: str, *more: str) -> Command:
    def made(at: Stand) -> list[str]:
        where = url.format(port=at.port)
        return ["curl", "-sS", "-m", "15", where, "--cacert", str(at.ca), "-u", f"{at.login}:{at.secret}", *more]

    return made


CURL_SMTP = ("--mail-from", LOGIN, "--mail-rcpt", TO, "--upload-file", "/dev/null")


def fetchmail(protocol: str, tls: str = "ssl sslcertck") -> Command:
    """tls: fetchmail's own words for it."""

    def made(at: Stand) -> list[str]:
        file = at.home / "fetchmailrc"
        file.write_text(
            f"poll localhost protocol {protocol} timeout 3 port {at.port} user '{at.login}' password '{at.secret}' "
            f"{tls} sslcertfile '{at.ca}'\n"
        )
        file.chmod(0o600)
        # as root it keeps its lock in one place for all, and two at once would be one too many
        mine = ["--idfile", str(at.home / "ids"), "--pidfile", str(at.home / "pid")]
        return ["fetchmail", "-f", str(file), "--check", "--nodetach", *mine]

    return made


def mbsync(tls: str = "IMAPS", *, trusting: bool = True) -> Command:
    def made(at: Stand) -> list[str]:
        file = at.home / "mbsyncrc"
        (at.home / "mail").mkdir()
        trust = f"CertificateFile {at.ca}\n" if trusting else ""
        file.write_text(
            f'IMAPAccount a\nHost localhost\nPort {at.port}\nUser {at.login}\nPass "{at.secret}"\nSSLType {tls}\n'
            f"Timeout 3\nAuthMechs LOGIN\n{trust}\nIMAPStore far\nAccount a\n\nMaildirStore near\n"
            f"Path {at.home}/mail/\nInbox {at.home}/mail/inbox\n\nChannel c\nFar :far:\nNear :near:\n"
            "Patterns INBOX\nCreate Near\n"
        )
        return ["mbsync", "-c", str(file), "c"]

    return made


NODEMAILER = """
const given = JSON.parse(require("fs").readFileSync(0));
const { createTransport } = require(given.library);
const mail = { from: given.from, to: given.to, subject: "hello", text: "hello" };
(async () => {
    for (let number = 0; number < given.times; number++)
        console.log(await createTransport(given.options).sendMail(mail).then(sent => sent.response, String));
})();
"""


def nodemailer(
    options: Mapping[str, Any] | None = None, *, sender: str = LOGIN, trusting: bool = True, times: int = 1
) -> Command:
    """options: of createTransport, over those of an app that is well; None takes one away."""

    def made(at: Stand) -> list[str]:
        modules = node_modules()
        tls = {"servername": "localhost", **({"ca": at.ca.read_text()} if trusting else {})}
        well = {
            "host": "127.0.0.1",  # a name it would ask DNS for
            "port": at.port,
            "name": "app.contoso.test",
            "auth": {"user": at.login, "pass": at.secret},
            "tls": tls,
        }
        merged = {name: value for name, value in {**well, **(options or {})}.items() if value is not None}
        given = {"library": str(modules / "nodemailer"), "from": sender, "to": TO, "times": times, "options": merged}
        at.stdin = json.dumps(given).encode()
        return ["node", "-e", NODEMAILER]

    return made


PHPMAILER = """<?php
require '/usr/share/php/libphp-phpmailer/autoload.php';
$given = json_decode(stream_get_contents(STDIN), true);
for ($number = 0; $number < $given['times']; $number++) {
    $mail = new PHPMailer\\PHPMailer\\PHPMailer();
    $mail->isSMTP();
    $mail->getSMTPInstance()->Timelimit = $mail->Timeout = $given['seconds'];
    foreach ($given['settings'] as $name => $value) $mail->$name = $value;
    $mail->setFrom($given['from']);
    $mail->addAddress($given['to']);
    $mail->Subject = $mail->Body = 'hello';
    print($mail->send() ? "sent\n" : $mail->ErrorInfo . "\n");
}
"""


def phpmailer(
    settings: Mapping[str, Any] | None = None,
    *,
    sender: str = LOGIN,
    trusting: bool = True,
    times: int = 1,
    seconds: int = 10,
) -> Command:
    """settings: properties of a PHPMailer, over those of an app that is well; seconds: for each answer."""

    def made(at: Stand) -> list[str]:
        file = at.home / "mail.php"
        file.write_text(PHPMAILER)
        library = Path("/usr/share/php/libphp-phpmailer/autoload.php")
        need("" if library.exists() else "not installed: libphp-phpmailer (make servers)")
        well = {
            "Host": "localhost",
            "Port": at.port,
            "Helo": "app.contoso.test",
            "SMTPAuth": True,
            "Username": at.login,
            "Password": at.secret,
            "SMTPSecure": "tls",
            "SMTPOptions": {"ssl": {"cafile": str(at.ca)}} if trusting else {},
        }
        given = {"settings": {**well, **(settings or {})}, "from": sender, "to": TO}
        at.stdin = json.dumps({**given, "times": times, "seconds": seconds}).encode()
        return ["php", str(file)]

    return made


def php_mail(*settings: str, sender: str = LOGIN) -> Command:
    """PHP's own mail(), whose sendmail_path is msmtp with these settings."""

    def made(at: Stand) -> list[str]:
        _, option, file, _ = msmtp(*settings, sender=sender)(at)
        script = f"var_dump(mail({TO!r}, 'hello', 'hello', {f'From: {sender}'!r}));"
        need("" if shutil.which("msmtp") else "not installed: msmtp (make servers)")
        return ["php", "-d", f"sendmail_path=msmtp {option} {file} -t", "-r", script]

    return made
