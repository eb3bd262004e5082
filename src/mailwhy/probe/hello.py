"""Which server software a greeting names, and which host. Pure."""

from __future__ import annotations

import re

SOFTWARE: tuple[tuple[str, str], ...] = (
    ("exchange", r"Microsoft (?:ESMTP MAIL Service|Exchange|SMTP Server)"),
    ("gmail", r"\bgsmtp\b|\bGimap\b|\bGpop\b"),
    ("exim", r"\bExim\b"),
    ("postfix", r"\bPostfix\b"),
    ("dovecot", r"\bDovecot\b"),
    ("courier", r"\bCourier\b"),
    ("cyrus", r"\bCyrus\b"),
    ("sendmail", r"\bSendmail\b"),
    ("opensmtpd", r"\bOpenSMTPD\b"),
    ("zimbra", r"\bZimbra\b"),
    ("hmailserver", r"\bhMailServer\b"),
    ("haraka", r"\bHaraka\b"),
    ("mdaemon", r"\bMDaemon\b"),
    ("kerio", r"\bKerio\b"),
)
HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)+")


def software(text: str) -> str:
    """The software that these words name, "" where none is known."""
    return next((name for name, shape in SOFTWARE if re.search(shape, text, re.IGNORECASE)), "")


def host(text: str) -> str:
    """The host name that these words begin with, "" where they do not."""
    found = HOST.match(text.strip())
    return found.group() if found else ""
