"""Throw-away certificates: a good one under our own CA, and the wrong ones that faults show. Needs the extra `mock`."""

from __future__ import annotations

import functools
import ssl
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trustme

GOOD = "good"
WRONG = ("expired", "other_name", "self_signed", "unknown_ca")
NAMES = ("localhost", "127.0.0.1", "::1", "smtp.office365.com", "outlook.office365.com", "smtp.hve.mx.microsoft")


class MissingExtraError(RuntimeError):
    """The package `trustme` is not installed."""


class Certificates:
    """One CA and the contexts made from it; a context is made when it is first used."""

    def __init__(self, names: Sequence[str] = NAMES) -> None:
        try:
            import trustme
        except ModuleNotFoundError:
            raise MissingExtraError(
                "the look-alike needs certificates: python -m pip install 'mailwhy[mock]' (it brings trustme)"
            ) from None
        self._names = tuple(names)
        self._trustme = trustme
        self._ca: trustme.CA = trustme.CA(organization_name="mailwhy mock", key_type=trustme.KeyType.ECDSA)
        self._contexts: dict[tuple[str, str], ssl.SSLContext] = {}

    @property
    def ca_pem(self) -> bytes:
        """Our CA's certificate."""
        return self._ca.cert_pem.bytes()

    def write_ca(self, path: Path) -> None:
        """Writes the CA's certificate where clients can be pointed at it."""
        path.write_bytes(self.ca_pem)

    def context(self, certificate: str = GOOD, tls: str = "") -> ssl.SSLContext:
        """A server context. certificate: `good` or one of `WRONG`; tls: "" or the only version ("1.0", "1.1")."""
        key = (certificate, tls)
        if key not in self._contexts:
            self._contexts[key] = self._make(certificate, tls)
        return self._contexts[key]

    def _make(self, certificate: str, tls: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old versions are the point here
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            if tls:
                context.minimum_version = context.maximum_version = {
                    "1.0": ssl.TLSVersion.TLSv1,
                    "1.1": ssl.TLSVersion.TLSv1_1,
                    "1.2": ssl.TLSVersion.TLSv1_2,
                }[tls]
        if certificate == "self_signed":
            own = self._trustme.CA(organization_name="Self-signed", key_type=self._trustme.KeyType.ECDSA)
            with own.private_key_pem.tempfile() as key, own.cert_pem.tempfile() as cert:
                context.load_cert_chain(cert, key)
        else:
            self._issue(certificate).configure_cert(context)
        return context

    def _issue(self, certificate: str) -> trustme.LeafCert:
        ecdsa = self._trustme.KeyType.ECDSA
        names = self._names
        if certificate == "expired":
            past = datetime.now(UTC) - timedelta(days=30)
            return self._ca.issue_cert(*names, not_before=past - timedelta(days=60), not_after=past, key_type=ecdsa)
        if certificate == "other_name":
            return self._ca.issue_cert("mail.example.org", key_type=ecdsa)
        if certificate == "unknown_ca":
            stranger = self._trustme.CA(organization_name="Somebody else", key_type=ecdsa)
            return stranger.issue_cert(*names, key_type=ecdsa)
        # some programs (mbsync) ask for a common name
        return self._ca.issue_cert(*names, common_name=names[0], key_type=ecdsa)


@functools.cache
def shared() -> Certificates:
    """One set for the whole process: making a CA takes longer than starting the servers."""
    return Certificates()
