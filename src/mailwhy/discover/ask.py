"""DNS questions, one at a time, each with an answer that is a value. The only file that imports dnspython.

NXDOMAIN, an empty answer, SERVFAIL, REFUSED and silence are told apart. Names are asked as they stand: no search list.
"""

from __future__ import annotations

import asyncio
import re
import time
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.rdatatype
import dns.resolver

from ..places import Answered, Lookup
from ..reply import harmless

RECORDS, CLIP = 40, 1000  # records kept of one answer, characters kept of one record
TRY = 2.0  # seconds for one name server before the next is asked
LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


class BadDomainError(ValueError):
    """Not a domain name; the message says why, in words for the user."""


def ascii_domain(text: str) -> str:
    """A domain, or an address's, as DNS has it: lower case, punycode, no final dot. Raises BadDomainError.

    International names are written by the rules of IDNA 2008 for their letters (ß stays ß), without its tables.
    """
    domain = unicodedata.normalize("NFKC", text.strip().rpartition("@")[2]).replace("\u3002", ".").lower()
    if "/" in domain:
        raise BadDomainError(f"{text!r} is a web address; write the domain alone")
    labels = [_label(label) for label in domain.removesuffix(".").split(".")]
    if len(labels) < 2:
        raise BadDomainError(f"{text!r} is not a domain (contoso.com, or an address in it)")
    if not all(LABEL.fullmatch(label) for label in labels) or len(".".join(labels)) > 253:
        raise BadDomainError(f"{text!r} is not a domain that DNS can hold")
    if labels[-1].isdigit():
        raise BadDomainError(f"{text!r} is an IP address; write the domain")
    return ".".join(labels)


def _label(label: str) -> str:
    return label if label.isascii() else "xn--" + unicodedata.normalize("NFC", label).encode("punycode").decode()


class Resolver:
    """Asks one name server, or the system's.

    timeout    seconds for each question, all tries together
    on_lookup  called with each answer as it comes
    """

    def __init__(
        self,
        server: tuple[str, int] | None = None,
        timeout: float = 5.0,
        on_lookup: Callable[[Lookup], None] = lambda lookup: None,
    ) -> None:
        self.timeout = timeout
        self.on_lookup = on_lookup
        self.broken = ""  # why there is nobody to ask
        try:
            self._resolver = dns.asyncresolver.Resolver(configure=server is None)
        except (dns.resolver.NoResolverConfiguration, OSError) as why:
            self.broken = harmless(str(why))
            return
        if server:
            self._resolver.nameservers = [dns.nameserver.Do53Nameserver(*server)]
        self._resolver.lifetime = timeout
        self._resolver.timeout = min(timeout, TRY)
        self._resolver.cache = None

    @property
    def search(self) -> tuple[str, ...]:
        """The domains that this machine appends to names."""
        return () if self.broken else tuple(str(name).rstrip(".").lower() for name in self._resolver.search)

    async def ask(self, name: str, type_: str) -> Lookup:
        """One question. Never raises but for what the caller did wrong (a type that does not exist)."""
        begun = time.monotonic()
        answered, detail, found = Answered.FAILED, self.broken, None
        if not self.broken:
            try:
                async with asyncio.timeout(self.timeout + 1):  # dnspython's own limit is not kept to the second
                    found = await self._resolver.resolve(f"{name}.", type_, search=False, raise_on_no_answer=True)
                answered = Answered.FOUND
            except (dns.exception.DNSException, OSError) as why:
                answered, detail = _why(why)
        rdatas = _sorted(found.rrset or (), type_) if found else []
        records = tuple(harmless(rdata.to_text())[:CLIP] for rdata in rdatas)
        targets = tuple(target for rdata in rdatas if (target := _target(rdata, type_)) is not None)
        took = round(time.monotonic() - begun, 6)
        lookup = Lookup(name, type_, answered, records, targets, detail, took)
        self.on_lookup(lookup)
        return lookup

    async def ask_all(self, questions: Iterable[tuple[str, str]]) -> tuple[Lookup, ...]:
        """Several questions at once; the answers in the order of the questions."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.ask(name, type_)) for name, type_ in dict.fromkeys(questions)]
        return tuple(task.result() for task in tasks)


def _why(why: Exception) -> tuple[Answered, str]:
    """The one table of dnspython's exceptions."""
    match why:
        case dns.resolver.NXDOMAIN():
            return Answered.NO_NAME, ""
        case dns.resolver.NoAnswer():
            return Answered.NO_RECORD, ""
        case dns.resolver.NoNameservers():
            words = [str(error[3]) for error in why.kwargs.get("errors", ())]
            detail = harmless("; ".join(words))[:CLIP]
            if "SERVFAIL" in words:
                return Answered.SERVFAIL, detail
            return (Answered.REFUSED if "REFUSED" in words else Answered.FAILED), detail
        case dns.exception.Timeout() | TimeoutError():
            return Answered.TIMEOUT, ""
    return Answered.FAILED, harmless(str(why))[:CLIP]


def _sorted(rrset: Iterable[Any], type_: str) -> Sequence[Any]:
    """In the order in which they are to be used; records without one by their text, so that output is stable."""
    if type_ == "MX":
        order = sorted(rrset, key=lambda rdata: (rdata.preference, rdata.to_text()))
    elif type_ == "SRV":
        order = sorted(rrset, key=lambda rdata: (rdata.priority, -rdata.weight, rdata.to_text()))
    else:
        order = sorted(rrset, key=lambda rdata: str(rdata.to_text()))
    return order[:RECORDS]


def _target(rdata: Any, type_: str) -> str | None:
    """The host that a record names; "" for the root (a null MX, a service that is not offered)."""
    name = getattr(rdata, {"MX": "exchange", "SRV": "target", "CNAME": "target"}.get(type_, "_"), None)
    return None if name is None else harmless(name.to_text()).rstrip(".").lower()
