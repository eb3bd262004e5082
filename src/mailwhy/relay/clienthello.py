"""What an app offers in its ClientHello: TLS versions and server name. Pure; never raises, whatever the octets are."""

from __future__ import annotations

from dataclasses import dataclass

VERSIONS = {0x0300: "SSLv3", 0x0301: "TLSv1", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}
OLD = frozenset({"SSLv2", "SSLv3", "TLSv1", "TLSv1.1"})
SERVER_NAME, SUPPORTED_VERSIONS = 0, 43


@dataclass(frozen=True, slots=True)
class ClientHello:
    """newest: the best version that is offered, as OpenSSL names it; name: the server name asked for, or ""."""

    newest: str
    name: str = ""

    @property
    def old(self) -> bool:
        """Nothing that Exchange Online still takes is offered."""
        return self.newest in OLD


def looks_like_tls(data: bytes) -> bool:
    """Do these octets begin a TLS (or SSLv2) handshake, rather than a line of text?"""
    return data[:1] == b"\x16" or (len(data) > 2 and data[0] & 0x80 != 0 and data[2] == 1)


def read(data: bytes) -> ClientHello | None:
    """The ClientHello that these octets begin with; None where they are none, or too few."""
    if data[:1] != b"\x16":
        return ClientHello("SSLv2") if looks_like_tls(data) else None
    try:
        return _read(_Octets(_fragments(data)))
    except IndexError:
        return None


def _fragments(data: bytes) -> bytes:
    """The handshake message without the heads of the records that carry it."""
    found = b""
    while data[:1] == b"\x16" and len(data) > 5:
        size = int.from_bytes(data[3:5], "big")
        found += data[5 : 5 + size]
        data = data[5 + size :]
    return found


class _Octets:
    """A reader that raises IndexError at the end."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, size: int) -> bytes:
        if size > len(self.data):
            raise IndexError
        found, self.data = self.data[:size], self.data[size:]
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def field(self, size: int) -> bytes:
        return self.take(self.number(size))


def _read(octets: _Octets) -> ClientHello | None:
    if octets.number(1) != 1:
        return None
    octets.take(3)
    version = octets.number(2)
    octets.take(32)
    octets.field(1)  # session id
    octets.field(2)  # cipher suites
    octets.field(1)  # compression
    name = ""
    rest = _Octets(octets.field(2)) if octets.data else octets
    while rest.data:
        kind, body = rest.number(2), _Octets(rest.field(2))
        if kind == SUPPORTED_VERSIONS:
            offered = body.field(1)
            pairs = (int.from_bytes(offered[at : at + 2], "big") for at in range(0, len(offered) - 1, 2))
            version = max((pair for pair in pairs if pair in VERSIONS), default=version)
        elif kind == SERVER_NAME and body.number(2) and body.number(1) == 0:
            name = body.field(2).decode("ascii", "replace")
    return ClientHello(VERSIONS.get(version, "TLSv1.3" if version > 0x0304 else "SSLv3"), name)
