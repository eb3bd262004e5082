"""What a page tells beside its replies: who answered, who was dialled, who signed in, and with what."""

from __future__ import annotations

import re
from dataclasses import field
from itertools import islice

from ..model import Kind, Protocol
from ..noun import dataclass
from ..reply import ENCODED_NAME, front_end
from ..shape import Shape, fold
from .scrub import user_told
from .text import Page

_SMTP_GREETING = Shape(r"\b220[ -](?P<host>[\w.*-]+) Microsoft ESMTP MAIL Service", re.IGNORECASE, ("microsoft esmtp",))
_OTHER_GREETING = Shape(r"\b220[ -](?P<host>[\w.*-]+) (?:[^\n]*?)\bESMTP\b(?P<more>[^\n]*)", re.IGNORECASE, ("esmtp",))
_IMAP_POP_GREETING = Shape(
    r"Microsoft Exchange (?:Server )?(?:\d{4} )?(?P<protocol>IMAP4|POP3)[^\n\[]*(?P<rest>\[[^\n]*)?",
    holds=("microsoft exchange",),
)
# words that only one kind of server says
_SOFTWARE: tuple[tuple[str, Shape], ...] = tuple(
    (name, Shape(shape, re.IGNORECASE, holds))
    for name, holds, shape in (
        (
            "gmail",
            ("gsmtp", "google.com", "gimap"),
            r"\bgsmtp\b|support\.google\.com/|\bmx\.google\.com\b|gimap ready",
        ),
        ("ses", ("email-smtp.",), r"while talking to email-smtp\.|email-smtp\.[\w-]+\.amazonaws\.com"),
        ("exim", ("exim", "incorrect"), r"ESMTP Exim|\b535 Incorrect authentication data"),
        ("postfix", ("postfix",), r"ESMTP Postfix"),
        ("postfix", ("relay access denied",), r"\b[45]54 [45]\.7\.1 <[^>\s]*>: Relay access denied"),
        ("dovecot", ("dovecot",), r"Dovecot (?:\([^)]*\) )?ready|\] Dovecot"),
        ("yahoo", ("yahoo",), r"smtp\.mail\.yahoo\.com (?:ESMTP|said)"),
    )
)
_CAPABILITIES = (
    (Protocol.SMTP, Shape(r"\b250[ -]AUTH[ =](?P<words>[A-Z0-9 -]+)", holds=("250",))),
    (
        Protocol.IMAP,
        Shape(r"(?:\* CAPABILITY|capability before authentication:) (?P<words>[^\n]*)", re.IGNORECASE, ("capability",)),
    ),
    (Protocol.POP, Shape(r"^\s*SASL (?P<words>[A-Z0-9 ]+)", re.MULTILINE, ("sasl ",))),
)
_MECHANISMS = "login|plain|xoauth2|cram-md5|ntlm|oauthbearer"
_USED = Shape(
    rf"""
      (?<!250[ -])(?<!sasl[ ])\bauth(?:enticate)?[ ]+(?P<a>{_MECHANISMS})(?![ ](?:login|xoauth2|plain))\b
    | \bauthmech[ ]\[(?P<b>{_MECHANISMS})\]
    | sasl[ ]mechanism[ ](?P<c>{_MECHANISMS})
    | authenticator[ ]"?(?P<d>{_MECHANISMS})"?
    | (?-i:(?!AUTH=[A-Z]))\bauth(?:_?type|_?mech\w*|entication[ ]method)?\s*[=:]\s*["']?(?P<e>{_MECHANISMS})\b
    | email\.(?P<f>login|plain)auth
    | 334[ ](?P<g>vxnlcm5hbwu6|ugfzc3dvcmq6)
    | (?P<h>password[ ](?:command[ ]failed|not[ ]accepted[ ]from[ ]server))
    """,
    re.IGNORECASE | re.VERBOSE,
    ("login", "plain", "xoauth2", "cram-md5", "ntlm", "oauthbearer", "vxnlcm5hbwu6", "ugfzc3dvcmq6", "password "),
)
_HOST = r"(?P<host>(?:[A-Za-z0-9_-]+\.)+[A-Za-z]{2,})"
_PORTS = r"25|143|110|465|587|993|995|2525"
_DIALLED = Shape(
    rf"""
      (?:\b(?:relay|server|host|(?:smtp|mail)[ ](?:host|server)|hostname|smarthost|talking[ ]to|login[ ]on|telnet
             |connect(?:ing|ed|ion)?(?:[ ]to)?|-connect|(?:imap|pop3?|smtp)s?://|ssl://|tls://)\b
        ["']?\s*[=:]?\s*[\[{{"'(]?\s*)
      {_HOST}(?:\[[\w.:]+\])?(?:[:,/\s]+(?:port\s*[=:]?\s*)?(?P<port>{_PORTS})\b)?
    | (?<![\w.-])
      (?P<known>(?:smtp|outlook|imap|pop|smtp-mail|imap-mail|pop-mail)[\w-]*\.(?:[\w-]+\.)*
                (?:office365|outlook|hotmail|live|office)\.[a-z]{{2,3}})\.?(?:\s*:(?P<port2>\d{{2,4}})\b)?
    """,
    re.IGNORECASE | re.VERBOSE,
    (
        *("relay", "server", "host", "talking to", "login on", "telnet", "connect"),
        *("imap://", "imaps://", "pop://", "pops://", "pop3://", "pop3s://", "smtp://", "smtps://", "ssl://", "tls://"),
        *("office365.", "outlook.", "hotmail.", "live.", "office."),
    ),
)
_ENDS_OF_NAMES = (
    ".com.net.org.edu.gov.mil.int.io.microsoft.local.lan.internal.example.test"
    ".de.fr.uk.us.es.it.nl.eu.ch.at.be.pl.br.in.au.ca.cn.jp.mx.co."
)
_PORT = Shape(
    r"\b(?:smtp |imap |pop )?port[\"']?\s*[=:]?\s*[\"']?(?P<port>25|143|110|465|587|993|995|2525)\b",
    re.IGNORECASE,
    ("port",),
)
_ADDRESS = Shape(rf"(?<![\w.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}:(?P<port>{_PORTS})\b")
_REFUSED = re.compile(r"\b535\b")
# a greeting is not enough: an Exchange server of one's own says the same words
_MICROSOFT = Shape(
    r"microsoft(?! exchange (?:imap4|pop3)| esmtp)|office ?365|outlook|hotmail|exchange(?! (?:imap4|pop3) )|\blive\.com"
    r"|\bmsn\.|\bo365|\bm365",
    re.IGNORECASE,
    ("microsoft", "office", "outlook", "hotmail", "exchange", "live.com", "msn.", "365"),
)
_LOCAL = Shape(
    rf"(?:host|server|(?:to|on|at)[ ]|//|\[)[\s\"'\[({{:=]{{0,20}}(?:localhost|127\.0\.0\.1)\b"
    rf"|\b(?:localhost|127\.0\.0\.1)[\]\"')]*(?::|,?[ ]port[ ])1?(?:{_PORTS})\b",
    re.IGNORECASE,
    ("localhost", "127.0.0.1"),
)
MOST_HOSTS, REST = 2000, 400  # hosts that are looked at, and characters after each
_PORT_OF = {
    143: Protocol.IMAP,
    993: Protocol.IMAP,
    110: Protocol.POP,
    995: Protocol.POP,
    25: Protocol.SMTP,
    465: Protocol.SMTP,
    587: Protocol.SMTP,
}
_LOGIN = Shape(
    r"(?:user ?name|user|login|authuser|auth user|account)[\"']?\s*[=:]?\s*[\[\"'(]?\s*"
    r"(?P<name>[\w.+'-]+@[\w-]+(?:\.[\w-]+)+)",
    re.IGNORECASE,
    ("@",),
)
_MAIL = Shape(
    r"smtp|imap|pop3|e-?mail|outlook|office ?365|\bexchange\b|mail(?:er|kit|box|[ ._-]?server)"
    r"|(?::|\bport\W{1,4})(?:110|143|465|587|993|995)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Context:
    """What the page tells; None and empty where it does not, or tells several things at once."""

    host: str | None = None  # dialled
    port: int | None = None
    greeted: str | None = None  # the name the server gives itself
    software: str = ""
    login: str | None = None
    kind: Kind | None = None
    mechanisms: tuple[str, ...] = ()
    capabilities: dict[Protocol, tuple[str, ...]] = field(default_factory=dict)
    protocol: Protocol | None = None
    local: bool = False  # a server on the same machine was dialled
    microsoft: bool = False  # something in the page names Microsoft or a product of its

    @property
    def elsewhere(self) -> bool:
        """A server is named, and nothing names Microsoft."""
        return bool(self.host or self.local) and not self.microsoft

    def joined(self, other: Context) -> Context:
        """Both: what was told first stays; kinds that differ are not known."""
        return Context(
            self.host or other.host,
            self.port or other.port,
            self.greeted or other.greeted,
            self.software or other.software,
            self.login or other.login,
            self.kind if other.kind in (None, self.kind) else other.kind if self.kind is None else None,
            tuple(dict.fromkeys((*self.mechanisms, *other.mechanisms))),
            {**other.capabilities, **self.capabilities},
            self.protocol or other.protocol,
            self.local or other.local,
            self.microsoft or other.microsoft,
        )


def context_of(page: Page) -> Context:
    """Reads it all from one page."""
    text, folded = page.text, page.folded
    greeted, software, protocol = _greeting(text, folded)
    host, port = _dialled(text, folded)
    # what a server offers stands behind AUTH= in capitals, what a program used behind auth=
    used = _USED.pattern.finditer(text) if "AUTH=" in text else _USED.places(text, folded)
    mechanisms = tuple(dict.fromkeys(filter(None, map(_mechanism, used))))
    return Context(
        host=host,
        port=port,
        greeted=greeted,
        software=software,
        login=_login(text, folded),
        kind=_kind(text, folded, mechanisms),
        mechanisms=mechanisms,
        capabilities=_capabilities(text, folded),
        protocol=protocol or _PORT_OF.get(port or 0) or _named_protocol(text, folded),
        local=bool(_LOCAL.search(text, folded)),
        microsoft=bool(_MICROSOFT.search(text, folded)),
    )


def mail_lines(page: Page) -> list[int]:
    """Which of the page's lines speak of mail, in order."""
    return [page.index(found.start()) for found in _MAIL.places(page.text, page.folded)]


def _greeting(text: str, folded: str) -> tuple[str | None, str, Protocol | None]:
    if found := _SMTP_GREETING.search(text, folded):
        return found["host"], "exchange", Protocol.SMTP
    if found := _IMAP_POP_GREETING.search(text, folded):
        protocol = Protocol.IMAP if found["protocol"] == "IMAP4" else Protocol.POP
        name = ENCODED_NAME.find(found["rest"] or "")
        return (front_end(name["name"]) if name else None), "exchange" if name else "", protocol
    for software, shape in _SOFTWARE:
        if shape.search(text, folded):
            found = _OTHER_GREETING.search(text, folded)
            return (found["host"] if found else None), software, None
    return None, "", None


def _mechanism(found: re.Match[str]) -> str | None:
    told = next((value for key, value in found.groupdict().items() if value and key in "abcdef"), None)
    return told.upper() if told else "LOGIN" if found["g"] or found["h"] else None


# what only a sign-in with a token says, asks for or is set to; no advice to use one ("please use OAuth")
_OAUTH = Shape(
    r"\bAADSTS\d|OAuthLog|AccessTokenExpired|\[XOAUTH2\]|\bauth=Bearer\b|grant_type|client_credentials|SaslMechanismOAuth"
    r"|\b(?:IMAP|POP)\.AccessAs|\bSMTP\.Send(?:AsApp)?\b|\bauth[a-z_]*[\"']?\s*(?:=>|:)\s*[\"']?x?oauth",
    re.IGNORECASE,
    (
        *("aadsts", "oauthlog", "accesstokenexpired", "[xoauth2]", "auth=bearer", "grant_type", "client_credentials"),
        *("saslmechanismoauth", ".accessas", "smtp.send", "oauth"),
    ),
)
_IMAP_LOGIN = Shape(r"\b[A-Za-z]{0,6}\d{1,8} (?:LOGIN [\"<{*](?!\[)|OK LOGIN completed)", holds=("login",))


def _kind(text: str, folded: str, mechanisms: tuple[str, ...]) -> Kind | None:
    oauth = "XOAUTH2" in mechanisms or "OAUTHBEARER" in mechanisms
    password = any(m not in ("XOAUTH2", "OAUTHBEARER") for m in mechanisms)
    oauth = oauth or (not password and bool(_OAUTH.search(text, folded)))
    password = password or bool(_IMAP_LOGIN.search(text, folded))
    if oauth and password:
        return None
    return Kind.PASSWORD if password else Kind.OAUTH if oauth else None


def _dialled(text: str, folded: str) -> tuple[str | None, int | None]:
    """The server of the first line that tells a refused sign-in; else the first one whose mail was not delivered."""
    first: tuple[str | None, int | None] | None = None
    for found in islice(_DIALLED.places(text, folded), MOST_HOSTS):
        host = found["host"] or found["known"]
        if f".{host.lower().rpartition('.')[2]}." not in _ENDS_OF_NAMES or _front_end(host.lower()):
            continue
        rest = text[found.end() : found.end() + REST].partition("\n")[0]
        refused = _REFUSED.search(rest)
        if (first and not refused) or "status=sent" in rest:
            continue
        port = found["port"] or found["port2"]
        if not port and (alone := _PORT.search(text, folded)):
            port = alone["port"]
        first = host.lower().rstrip("."), int(port) if port and int(port) < 65536 else None
        if refused:
            break
    if first:
        return first
    address = _ADDRESS.pattern.search(text)
    return None, int(address["port"]) if address else None


def _front_end(host: str) -> bool:
    """One machine of Exchange Online, which nobody dials."""
    if host.endswith((".prod.outlook.com", ".exchangelabs.com", ".partner.outlook.cn")):
        return True
    first, second, *_ = [*host.split("."), ""]
    return second == "outlook" and first.isalnum()


def _capabilities(text: str, folded: str) -> dict[Protocol, tuple[str, ...]]:
    return {
        protocol: tuple(found["words"].split())
        for protocol, shape in _CAPABILITIES
        if (found := shape.search(text, folded))
    }


_NAMED = Shape(r"\b(smtp|imap|pop)(?:3|4|s)?\b", re.IGNORECASE, ("smtp", "imap", "pop"))


def _named_protocol(text: str, folded: str) -> Protocol | None:
    named = {fold(found.group(1)) for found in _NAMED.places(text, folded)}
    return Protocol(named.pop()) if len(named) == 1 else None


def _login(text: str, folded: str) -> str | None:
    told = (text[slice(*found.span("name"))] for found in _LOGIN.places(text, folded))
    names = {name.casefold(): name for name in told}
    if len(names) == 1:
        return next(iter(names.values()))
    return user_told(text) if not names else None
