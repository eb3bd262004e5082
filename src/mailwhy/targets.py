"""Where to sign in: a cloud's hosts, and what a user writes for a server of their own. Pure.

smtp=mail.example.com:587/starttls      imap=[::1]:1993/implicit      pop=127.0.0.1:1110/none
smtp://HOST:PORT   smtps://HOST   imaps://HOST   pop3s://HOST        (as curl writes them)
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .model import Cloud, Protocol, Target, Tls

PORTS = {
    (Protocol.SMTP, Tls.STARTTLS): 587,
    (Protocol.SMTP, Tls.IMPLICIT): 465,
    (Protocol.SMTP, Tls.NONE): 25,
    (Protocol.IMAP, Tls.STARTTLS): 143,
    (Protocol.IMAP, Tls.IMPLICIT): 993,
    (Protocol.IMAP, Tls.NONE): 143,
    (Protocol.POP, Tls.STARTTLS): 110,
    (Protocol.POP, Tls.IMPLICIT): 995,
    (Protocol.POP, Tls.NONE): 110,
}
MODE_OF_PORT = {25: Tls.STARTTLS, 587: Tls.STARTTLS, 465: Tls.IMPLICIT, 143: Tls.STARTTLS, 993: Tls.IMPLICIT}
MODE_OF_PORT |= {110: Tls.STARTTLS, 995: Tls.IMPLICIT}
USUAL_MODE = {Protocol.SMTP: Tls.STARTTLS, Protocol.IMAP: Tls.IMPLICIT, Protocol.POP: Tls.IMPLICIT}
SCHEMES = {
    "smtp": (Protocol.SMTP, None),
    "smtps": (Protocol.SMTP, Tls.IMPLICIT),
    "imap": (Protocol.IMAP, None),
    "imaps": (Protocol.IMAP, Tls.IMPLICIT),
    "pop": (Protocol.POP, None),
    "pop3": (Protocol.POP, None),
    "pops": (Protocol.POP, Tls.IMPLICIT),
    "pop3s": (Protocol.POP, Tls.IMPLICIT),
}
_SERVER = (
    r"^(?P<scheme>[a-z0-9]+)(?:=|://)"
    r"(?P<host>\[[0-9a-fA-F:.%]+[^\]]*\]|[^\s:/\[\]@]+)"
    r"(?::(?P<port>\d{1,5}))?"
    r"(?:/(?P<tls>[a-z]*))?$"
)


class BadServerError(ValueError):
    """A server that cannot be read; the message says how to write it."""


def parse_server(text: str) -> Target:
    """`smtp=HOST:PORT/starttls` or a URL as a Target. Port and TLS mode may be left out.

    Raises BadServerError, with the form to use.
    """
    found = re.match(_SERVER, text.strip())
    if not found or found["scheme"] not in SCHEMES:
        raise BadServerError(
            f"{text!r} is not a server; write it as smtp=HOST:PORT/starttls (or imap=, pop=; /implicit, /none)"
        )
    protocol, tls = SCHEMES[found["scheme"]]
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 0 < port < 65536:
        raise BadServerError(f"{text!r}: a port is between 1 and 65535")
    if found["tls"]:
        try:
            tls = Tls(found["tls"])
        except ValueError:
            raise BadServerError(f"{text!r}: after / stands starttls, implicit or none") from None
    tls = tls or MODE_OF_PORT.get(port or 0) or USUAL_MODE[protocol]
    return Target(protocol, found["host"].strip("[]"), port or PORTS[protocol, tls], tls)


def of_cloud(cloud: Cloud, protocols: Iterable[Protocol] = tuple(Protocol)) -> tuple[Target, ...]:
    """The cloud's own servers, in the order of `protocols`; a protocol that the cloud has not got is left out."""
    return tuple(parse_server(f"{p}={cloud.hosts[p]}") for p in protocols if p in cloud.hosts)
