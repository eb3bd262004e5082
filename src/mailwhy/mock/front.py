"""The front ends: which names and lists a kind of service shows before it knows who signs in.

One front end is one set of listeners. The names are made up, their shape is not (facts: smtp 2, imap-pop 3).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

SMTP_WORDS = (
    "SIZE 157286400",
    "PIPELINING",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "{sixth}",
    "8BITMIME",
    "BINARYMIME",
    "CHUNKING",
    "SMTPUTF8",
)
IMAP_BEFORE = "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"
IMAP_AFTER = (
    "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CLIENTACCESSRULES "
    "CLIENTNETWORKPRESENCELOCATION BACKENDAUTHENTICATE CHILDREN IDLE NAMESPACE LITERAL+"
)


@dataclass(frozen=True, slots=True)
class Front:
    """One kind of service.

    greets     the name in greeting and EHLO; `server` the internal one in trailers and base64 brackets
    auth       what EHLO offers inside TLS; imap_auth, pop_sasl likewise
    protocols  what it listens on
    with_id    does the greeting end in `[session]`?
    """

    service: str
    cloud: str
    greets: str
    server: str
    auth: tuple[str, ...] = ("LOGIN", "XOAUTH2")
    imap_before: str = IMAP_BEFORE
    imap_after: str = IMAP_AFTER
    pop_sasl: tuple[str, ...] = ("PLAIN", "XOAUTH2")
    protocols: tuple[str, ...] = ("smtp", "imap", "pop")
    with_id: bool = True
    bracket: bool = True
    imap_greeting: str = "The Microsoft Exchange IMAP4 service is ready."
    pop_greeting: str = "The Microsoft Exchange POP3 service is ready."

    @property
    def id(self) -> str:
        """How listeners and `--server` lines are told apart."""
        return self.service if self.cloud in ("worldwide", "consumer") else self.cloud

    @property
    def encoded(self) -> str:
        """The bracket of IMAP and POP greetings: base64 of the UTF-16LE name (facts: imap-pop 1.12)."""
        return f" [{base64.b64encode(self.server.encode('utf-16-le')).decode()}]" if self.bracket else ""

    @property
    def facts(self) -> frozenset[str]:
        """What is known of whoever speaks here."""
        facts = {f"service={self.service}", f"cloud={self.cloud}"}
        return frozenset(facts | ({"account.consumer"} if self.cloud == "consumer" else set()))


_WORLDWIDE = ("exchange-online", "worldwide")
_ALL = (
    Front(*_WORLDWIDE, "MWP281CA0101.outlook.office365.com", "MWP281CA0101.MWYP281.PROD.OUTLOOK.COM"),
    Front("outlook-com", "consumer", "MWP281CA0202.outlook.office365.com", "MWP281CA0202.MWYP281.PROD.OUTLOOK.COM"),
    Front(
        "hve", "worldwide", "MWP281CA0303.smtp.hve.mx.microsoft", "MWP281CA0303.MWYP281.PROD.OUTLOOK.COM",
        protocols=("smtp",),
    ),
    Front("exchange-online", "gcc-high", "MWP110CA0404.outlook.office365.us", "MWP110CA0404.MWYP110.PROD.OUTLOOK.COM"),
    Front("exchange-online", "dod", "MWP111CA0505.outlook-dod.office365.us", "MWP111CA0505.MWYP111.PROD.OUTLOOK.COM"),
    Front("exchange-online", "china", "MWPR01CA006.partner.outlook.cn", "MWPR01CA006.CHNPR01.prod.partner.outlook.cn"),
    Front(
        "exchange-server", "worldwide", "mail.on-premises.test", "mail.on-premises.test",
        auth=("GSSAPI", "NTLM", "LOGIN"), pop_sasl=("NTLM", "GSSAPI", "PLAIN", "LOGIN"), with_id=False, bracket=False,
        imap_before=(
            "IMAP4 IMAP4rev1 AUTH=NTLM AUTH=GSSAPI AUTH=PLAIN SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE "
            "NAMESPACE LITERAL+"
        ),
        imap_after="IMAP4 IMAP4rev1 SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+",
    ),
)  # fmt: skip
FRONTS: Mapping[tuple[str, str], Front] = {(front.service, front.cloud): front for front in _ALL}
