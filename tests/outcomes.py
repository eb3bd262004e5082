"""One set of outcomes for every report's snapshot: built from evidence, judged on the real handbook.

Every verdict, several protocols, hostile text, missing fields, a paste. The replies are those of the handbook's
signs or of the project's collected facts, never invented; the hostile ones are hostile on purpose.
"""

from __future__ import annotations

from functools import cache

from mailwhy import knowledge
from mailwhy.diagnose import diagnose, outcome
from mailwhy.model import (
    Account,
    Attempt,
    Fault,
    Kind,
    Knowledge,
    Outcome,
    Protocol,
    Reply,
    Seen,
    Stage,
    Step,
    Target,
    Tls,
)
from mailwhy.reply import parse

AS_OF = "2026-11-22"
STARTED = "2026-11-22T09:14:24.000Z"
FINISHED = "2026-11-22T09:14:31.000Z"
USER = Account("scanner@contoso.com", "scanner@contoso.com", "scanner@contoso.com")
TRAILER = "[AM0PR02CA0001.eurprd02.prod.outlook.com 2026-11-22T09:14:30.912Z 08DE29A000000001]"
TENANT = (
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. "
    f"Visit https://aka.ms/smtp_auth_disabled for more information. {TRAILER}"
)
BARE = f"535 5.7.3 Authentication unsuccessful {TRAILER}"
CRITERIA = (
    "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated "
    f"successfully. Contact your administrator. {TRAILER}"
)
NEW = f"535 5.7.139 Authentication unsuccessful, the moon is in the wrong house. {TRAILER}"
HOSTILE = (
    "535 5.7.3 \x1b[31mred\x1b]0;title\x07 <script>alert(1)</script> &amp; \u202egnirts ]]> \"'|` "
    "=cmd|' /C calc'!A0 {mailbox}"
)
HOST = {
    Protocol.SMTP: "smtp.office365.com",
    Protocol.IMAP: "outlook.office365.com",
    Protocol.POP: "outlook.office365.com",
}
PORT = {Protocol.SMTP: 587, Protocol.IMAP: 993, Protocol.POP: 995}
MECHANISM = {Protocol.SMTP: "LOGIN", Protocol.IMAP: "LOGIN", Protocol.POP: "USER"}
IMAP_NO = "A1 NO LOGIN failed."
POP_ERR = "-ERR Logon failure: unknown user name or bad password."


def reply(text: str, protocol: Protocol) -> Reply:
    """One answer as probes would give it."""
    return parse(protocol, text)


def target(protocol: Protocol) -> Target:
    """Where Exchange Online listens."""
    tls = Tls.STARTTLS if protocol is Protocol.SMTP else Tls.IMPLICIT
    return Target(protocol, HOST[protocol], PORT[protocol], tls)


def way(protocol: Protocol) -> tuple[Step, ...]:
    """The stages before the sign-in, all well."""
    tls = Step(
        Stage.TLS,
        True,
        "STARTTLS" if protocol is Protocol.SMTP else "",
        parse(protocol, "220 2.0.0 SMTP server ready") if protocol is Protocol.SMTP else None,
        seen={
            "version": "TLSv1.3",
            "cipher": "TLS_AES_256_GCM_SHA384",
            "subject": "outlook.com",
            "issuer": "DigiCert Cloud Services CA-1",
            "not_before": "2026-06-01T00:00:00Z",
            "not_after": "2027-06-01T00:00:00Z",
            "names": ["*.outlook.com", "smtp.office365.com"],
        },
        seconds=0.041,
        at=0.085,
    )
    greeting = {
        Protocol.SMTP: "220 AM0PR02CA0001.outlook.office365.com Microsoft ESMTP MAIL Service ready at Sun, 22 Nov 2026",
        Protocol.IMAP: "* OK The Microsoft Exchange IMAP4 service is ready.",
        Protocol.POP: "+OK The Microsoft Exchange POP3 service is ready.",
    }[protocol]
    words = {
        Protocol.SMTP: ["SIZE 157286400", "AUTH LOGIN XOAUTH2", "8BITMIME", "SMTPUTF8"],
        Protocol.IMAP: ["IMAP4", "IMAP4rev1", "AUTH=PLAIN", "AUTH=XOAUTH2", "SASL-IR"],
        Protocol.POP: ["TOP", "UIDL", "SASL PLAIN XOAUTH2", "USER"],
    }[protocol]
    listed = Step(
        Stage.CAPABILITIES,
        True,
        {Protocol.SMTP: "EHLO", Protocol.IMAP: "CAPABILITY", Protocol.POP: "CAPA"}[protocol],
        seen={
            "words": words,
            "auth": ["LOGIN", "XOAUTH2"] if protocol is Protocol.SMTP else ["PLAIN", "XOAUTH2"],
            "host": "AM0PR02CA0001.eurprd02.prod.outlook.com",
            **({"source": "203.0.113.9"} if protocol is Protocol.SMTP else {}),
        },
        seconds=0.021,
        at=0.128,
    )
    said = reply(greeting, protocol)
    dns = Step(Stage.DNS, True, seen={"addresses": ["192.0.2.7", "2001:db8::7"]}, seconds=0.012)
    tcp = Step(Stage.TCP, True, seen={"address": "192.0.2.7", "port": PORT[protocol]}, seconds=0.023, at=0.012)
    if protocol is Protocol.SMTP:
        hello = Step(Stage.GREETING, True, reply=said, seen={"software": "exchange"}, seconds=0.03, at=0.04)
        return (dns, tcp, hello, tls, listed)
    hello = Step(Stage.GREETING, True, reply=said, seen={"software": "exchange"}, seconds=0.002, at=0.126)
    return (dns, tcp, tls, hello, listed)


def signed_in(protocol: Protocol) -> Attempt:
    """The password opens the mailbox."""
    ok = {
        Protocol.SMTP: "235 2.7.0 Authentication successful",
        Protocol.IMAP: "A1 OK LOGIN completed.",
        Protocol.POP: "+OK User successfully logged on.",
    }[protocol]
    auth = Step(Stage.AUTH, True, f"AUTH {MECHANISM[protocol]}", reply(ok, protocol), seconds=0.6, at=0.15)
    use = Step(Stage.USE, True, "MAIL FROM", seconds=0.05, at=0.75)
    return Attempt(target(protocol), (*way(protocol), auth, use), Kind.PASSWORD, STARTED)


def refused(protocol: Protocol, text: str, **more: object) -> Attempt:
    """The sign-in is answered with `text`."""
    auth = Step(
        Stage.AUTH,
        False,
        f"AUTH {MECHANISM[protocol]}",
        reply(text, protocol),
        seen={"mechanism": MECHANISM[protocol]},
        seconds=5.1,
        at=0.15,
    )
    return Attempt(target(protocol), (*way(protocol), auth), Kind.PASSWORD, STARTED, **more)  # type: ignore[arg-type] # test data


def held(protocol: Protocol) -> Attempt:
    """The way was open; the password was not sent."""
    return Attempt(
        target(protocol), way(protocol), Kind.PASSWORD, STARTED, "SMTP refused the password; one refusal is enough"
    )


def unreachable(protocol: Protocol) -> Attempt:
    """No answer on the port."""
    dns = Step(Stage.DNS, True, seen={"addresses": ["192.0.2.7"]}, seconds=0.012)
    tcp = Step(Stage.TCP, False, fault=Fault.TIMEOUT, seen={"detail": "timed out"}, seconds=10.0, at=0.012)
    return Attempt(target(protocol), (dns, tcp), Kind.PASSWORD, STARTED)


def pasted(text: str, *lines: int, count: int = 1) -> Attempt:
    """A refusal found in a log."""
    step = Step(Stage.AUTH, False, reply=reply(text, Protocol.SMTP))
    seen = Seen(lines, "2026-11-20T06:00:01Z", "2026-11-22T09:14:30Z", count)
    return Attempt(Target(Protocol.SMTP), (step,), started="2026-11-22T09:14:30.912Z", seen=seen)


def judged(command: str, account: Account, *attempts: Attempt) -> Outcome:
    """What the handbook makes of the attempts."""
    known = book()
    started, finished = (None, None) if command == "explain" else (STARTED, FINISHED)
    diagnoses = diagnose(attempts, account, known, AS_OF)
    return outcome(command, account, diagnoses, known, AS_OF, started=started, finished=finished)


@cache
def book() -> Knowledge:
    """The real handbook."""
    return knowledge.load()


@cache
def outcomes() -> dict[str, Outcome]:
    """By name; the order is that of a batch."""
    smtp, imap, pop = Protocol.SMTP, Protocol.IMAP, Protocol.POP
    hostile = Account("'; Remove-Mailbox @x <b>", '=HYPERLINK("x")@contoso.com', "\x1b[31m@contoso.com")
    return {
        "works": judged("check", USER, signed_in(smtp)),
        "works-imap-retired": judged("check", USER, signed_in(smtp), refused(imap, IMAP_NO), refused(pop, POP_ERR)),
        "tenant-off": judged("check", USER, refused(smtp, TENANT), refused(imap, IMAP_NO), refused(pop, POP_ERR)),
        "wrong-password": judged("check", USER, refused(smtp, BARE), held(imap), held(pop)),
        "criteria": judged("check", USER, refused(smtp, CRITERIA)),
        "new-wording": judged("check", USER, refused(smtp, NEW)),
        "unreachable": judged("check", USER, unreachable(smtp), unreachable(imap)),
        "not-tried": judged("check", USER, held(smtp)),
        "retired": judged("check", USER, refused(imap, IMAP_NO), refused(pop, POP_ERR)),
        "hostile": judged("check", hostile, refused(smtp, HOSTILE)),
        "bare": judged("check", Account(), Attempt(Target(smtp))),
        "explain": judged("explain", Account(), pasted(TENANT, 3, 4, 5, 9, count=4), pasted(BARE, 12)),
        "explain-nothing": judged("explain", Account()),
    }
