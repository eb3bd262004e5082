"""A throw-away certificate authority, and one certificate for every loopback name of the test servers.

The authority carries a common name, since some clients show nothing else. `STRANGER` is the loopback address that
the certificate does not name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme

NAMES = ("localhost", "127.0.0.1", "127.0.0.2", "::1")
STRANGER = "127.0.0.3"


@dataclass(frozen=True)
class Certs:
    """Files: the authority that clients trust, the servers' chain and key, an authority that signed nothing."""

    ca: Path
    chain: Path
    key: Path
    other_ca: Path


def make(folder: Path) -> Certs:
    """Writes fresh files into `folder` (milliseconds: elliptic curve keys)."""
    certs = Certs(folder / "ca.pem", folder / "chain.pem", folder / "key.pem", folder / "other-ca.pem")
    authority = trustme.CA(organization_name="mailwhy tests")
    leaf = authority.issue_cert(*NAMES, common_name="localhost")
    authority.cert_pem.write_to_path(str(certs.ca))
    trustme.CA(organization_name="somebody else").cert_pem.write_to_path(str(certs.other_ca))
    leaf.private_key_pem.write_to_path(str(certs.key))
    for number, pem in enumerate(leaf.cert_chain_pems):
        pem.write_to_path(str(certs.chain), append=number > 0)
    return certs
