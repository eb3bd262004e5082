"""Where a domain's mail is, by DNS: which Microsoft cloud and hosts serve it, or who else; and what a name answers.

    place = await discover("contoso.com", Resolver())
    naming = await explain_name("smtp.office365.com", Resolver())

`ask` asks (dnspython), `read` and `names` judge. Nothing is connected to but the name server.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..knowledge import load
from ..model import Knowledge
from ..places import Answered, Lookup, Naming, Place
from .ask import BadDomainError, Resolver, ascii_domain
from .names import explain_name
from .read import SERVICES, endpoint, read

__all__ = ["BadDomainError", "Naming", "Place", "Resolver", "ascii_domain", "discover", "explain_name", "so_far"]


async def discover(asked: str, resolver: Resolver, knowledge: Knowledge | None = None) -> Place:
    """What DNS says of the domain `asked` (or of an address's). Raises BadDomainError, nothing else.

    Two rounds of questions, each at once: the domain's own records, then those of the MX hosts that it names.
    """
    domain = ascii_domain(asked)
    first = await resolver.ask_all(_own(domain))
    second = await resolver.ask_all(_of_hosts(first))
    return read(asked, domain, (*first, *second), knowledge or load())


def so_far(asked: str, lookups: Iterable[Lookup], knowledge: Knowledge | None = None) -> Place:
    """What the answers say that had come when a run was stopped (`Resolver.on_lookup`). Raises BadDomainError."""
    domain = ascii_domain(asked)
    known = {(lookup.name, lookup.type): lookup for lookup in lookups}

    def of(questions: Sequence[tuple[str, str]]) -> list[Lookup]:
        return [known.get(each) or Lookup(*each, Answered.STOPPED) for each in dict.fromkeys(questions)]

    first = of(_own(domain))
    return read(asked, domain, (*first, *of(_of_hosts(first))), knowledge or load())


def _own(domain: str) -> list[tuple[str, str]]:
    """The first round: the MX stands at its head."""
    return [
        (domain, "MX"),
        (domain, "TXT"),
        (f"autodiscover.{domain}", "CNAME"),
        (f"autodiscover.{domain}", "A"),
        (f"msoid.{domain}", "CNAME"),
        *((f"{service}._tcp.{domain}", "SRV") for service in SERVICES),
        (f"_mta-sts.{domain}", "TXT"),
        (f"mta-sts.{domain}", "A"),
        (endpoint(domain), "A"),
    ]


def _of_hosts(first: Sequence[Lookup]) -> list[tuple[str, str]]:
    """The second round: what the MX hosts say of themselves."""
    return [(f"_25._tcp.{host}", "TLSA") for host in first[0].targets if host]
