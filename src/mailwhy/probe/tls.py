"""What a TLS session shows: version, cipher, certificates, what is wrong with them, and who inspects. No I/O.

Reads the chain that was presented also after verification has failed, so that an inspecting proxy can be named
without a second connection. For that it needs CPython's private `_sslobj`; without it only less is known.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..model import JsonValue
from ..reply import harmless

CHAIN = 8  # certificates kept
NAMES = 40  # names kept; Exchange Online's certificate lists about 25

# Words in an issuer's name that stand for a product which opens TLS to look inside (companies, then desktops)
INSPECTORS = (
    *("zscaler", "netskope", "fortinet", "fortigate", "palo alto", "blue coat", "bluecoat", "check point"),
    *("sophos", "skyhigh", "mcafee web gateway", "cisco umbrella", "opendns", "forcepoint", "websense"),
    *("barracuda", "sonicwall", "watchguard", "untangle", "squid", "mitmproxy", "cato networks", "iboss"),
    *("avast", "avg technologies", "avg web", "eset ssl", "kaspersky", "bitdefender", "adguard", "charles proxy"),
)

_EXPIRED, _NOT_YET, _SELF_SIGNED = {10}, {9}, {18, 19}
_NO_ISSUER, _WRONG_NAME = {2, 20, 21}, {62, 63, 64}


def facts(tls: ssl.SSLObject | None, host: str, why: BaseException | None = None, first: bytes = b"") -> dict[str, Any]:
    """The observations of the tls stage (CONTRIBUTING.md), of a session that stands or of one that failed.

    why: what the handshake raised; first: the first bytes the server sent in it.
    """
    if tls is None:
        return {}
    seen: dict[str, JsonValue] = {}
    if why is None:
        cipher = tls.cipher()
        seen = {"version": tls.version(), "cipher": cipher[0] if cipher else ""}
    elif old := _old_version(why, first):
        seen = {"version": old}
    chain = presented(tls)
    if chain:
        seen |= _leaf(chain)
    problems = list(dict.fromkeys(_problems(chain, host, why)))
    return seen | ({"problems": problems} if problems else {})


def presented(tls: ssl.SSLObject) -> list[Mapping[str, Any]]:
    """The certificates the server sent, leaf first, as `getpeercert` gives them; also unverified ones."""
    read = getattr(getattr(tls, "_sslobj", None), "get_unverified_chain", None)
    try:
        chain = [certificate.get_info() for certificate in (read() or ())[:CHAIN]] if read else []
        leaf = None if chain else tls.getpeercert()
    except (ssl.SSLError, ValueError, AttributeError):
        return []
    return chain or ([leaf] if leaf else [])


def _leaf(chain: Sequence[Mapping[str, Any]]) -> dict[str, JsonValue]:
    leaf = chain[0]
    return {
        "subject": _name(leaf.get("subject", ())),
        "issuer": _name(leaf.get("issuer", ())),
        "not_before": _iso(leaf.get("notBefore")),
        "not_after": _iso(leaf.get("notAfter")),
        "names": _names(leaf)[:NAMES],
        "chain": [
            {
                "subject": _name(each.get("subject", ())),
                "issuer": _name(each.get("issuer", ())),
                "not_after": _iso(each.get("notAfter")),
            }
            for each in chain
        ],
    }


def _problems(chain: Sequence[Mapping[str, Any]], host: str, why: BaseException | None) -> Iterable[str]:
    """OpenSSL stops at the first problem; the others are read off the certificate."""
    if isinstance(why, ssl.SSLCertVerificationError):
        code = why.verify_code
        self_signed = bool(chain) and chain[0].get("subject") == chain[0].get("issuer")
        now = datetime.now(UTC).isoformat()
        if code in _EXPIRED or any(now > (_iso(each.get("notAfter")) or "9") for each in chain[:1]):
            yield "expired"
        if code in _NOT_YET or any(now < (_iso(each.get("notBefore")) or "") for each in chain[:1]):
            yield "not_yet_valid"
        if code in _WRONG_NAME or (chain and not fits(host, _names(chain[0]))):
            yield "name_mismatch"
        if code in _SELF_SIGNED and self_signed:
            yield "self_signed"
        elif code in _NO_ISSUER | _SELF_SIGNED:
            yield "unknown_issuer"
    if inspector(chain):
        yield "interception"


def inspector(chain: Sequence[Mapping[str, Any]]) -> str | None:
    """The word in an issuer's name that stands for a TLS-inspecting product."""
    issuers = " ".join(_name(each.get("issuer", ())) for each in chain).casefold()
    return next((word for word in INSPECTORS if word in issuers), None)


def fits(host: str, names: Iterable[str]) -> bool:
    """Is the host among the certificate's names? One wildcard stands for one whole first label."""
    wanted = host.casefold().rstrip(".")
    folded = {name.casefold().rstrip(".") for name in names}
    return wanted in folded or ("." in wanted and f"*.{wanted.partition('.')[2]}" in folded)


def _names(leaf: Mapping[str, Any]) -> list[str]:
    return [harmless(str(value)) for kind, value in leaf.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]


_SHORT = {"commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU", "countryName": "C"}


def _name(name: Iterable[Iterable[tuple[str, str]]]) -> str:
    return harmless(", ".join(f"{_SHORT.get(key, key)}={value}" for part in name for key, value in part))


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _iso(when: object) -> str | None:
    """`Jan  5 09:34:43 2018 GMT` in ISO form; read by hand, for `ssl.cert_time_to_seconds` imports strptime: 8 ms."""
    if not isinstance(when, str):
        return None
    try:
        month, day, clock, year, _ = when.split()
        hour, minute, second = map(int, clock.split(":"))
        moment = datetime(int(year), _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return moment.isoformat()


_RECORD = {b"\x03\x00": "SSLv3", b"\x03\x01": "TLSv1", b"\x03\x02": "TLSv1.1"}


def _old_version(why: BaseException, first: bytes) -> str | None:
    """The version of a server that knows nothing newer, read from its first record."""
    reason = getattr(why, "reason", None) or ""
    if "PROTOCOL_VERSION" in reason or reason in ("UNSUPPORTED_PROTOCOL", "WRONG_SSL_VERSION"):
        inside = first[9:11] if first[:1] == b"\x16" else first[1:3]
        return _RECORD.get(inside)
    return None
