"""`discover`: which cloud serves a domain, by DNS answers of every kind; asked of a DNS server of our own."""

from __future__ import annotations

import time
from typing import Any

import pytest
from dns_server import CONTOSO, Zone, dns_server

from mailwhy.discover import BadDomainError, Place, Resolver, ascii_domain, discover
from mailwhy.discover.read import Evidence, _absent, marks, servers
from mailwhy.knowledge import load
from mailwhy.places import Answered, AtMicrosoft, Lookup
from mailwhy.report import Options
from mailwhy.report.places import place_text

TIMEOUT = 5.0


async def place_of(zone: Zone, domain: str = "contoso.test", faults: Any = None, timeout: float = TIMEOUT) -> Place:
    async with dns_server(zone, faults) as server:
        return await discover(domain, Resolver(server.address, timeout))


def ids(place: Place) -> set[str]:
    return {conflict.id for conflict in place.conflicts}


def lookup(place: Place, name: str, type_: str) -> Lookup:
    return next(one for one in place.lookups if (one.name, one.type) == (name, type_))


def changed(**records: Any) -> Zone:
    """CONTOSO with other records: mx=[...], txt=[...], autodiscover=[...]; None takes one away."""
    names = {"mx": ("contoso.test", "MX"), "txt": ("contoso.test", "TXT")}
    names |= {"autodiscover": ("autodiscover.contoso.test", "CNAME")}
    names |= {"endpoint": ("contoso-test.mail.protection.outlook.com", "A")}
    zone = {**CONTOSO, **{names[key]: value for key, value in records.items()}}
    return {key: value for key, value in zone.items() if value is not None}


# --- where it is


async def test_a_domain_at_microsoft_365() -> None:
    place = await place_of(CONTOSO)
    assert (place.at_microsoft, place.clouds, place.exit) == (AtMicrosoft.YES, ("worldwide",), 0)
    assert not place.personal
    assert place.direct_send == "contoso-test.mail.protection.outlook.com"
    assert [target.host for target in place.servers] == ["smtp.office365.com", *["outlook.office365.com"] * 2]
    assert place.conflicts == ()
    assert lookup(place, "contoso.test", "MX").records == ("0 contoso-test.mail.protection.outlook.com.",)


async def test_the_newer_mx_of_microsoft() -> None:
    place = await place_of(changed(mx=["0 contoso-test.o-v1.mx.microsoft."]))
    assert place.at_microsoft is AtMicrosoft.YES
    assert place.direct_send == "contoso-test.o-v1.mx.microsoft"


@pytest.mark.parametrize(
    ("autodiscover", "clouds"),
    [
        (["autodiscover.office365.us."], ("gcc-high",)),
        (["autodiscover-dod.office365.us."], ("dod",)),
        (None, ("gcc-high", "dod")),
    ],
)
async def test_autodiscover_tells_gcc_high_from_dod(autodiscover: Any, clouds: tuple[str, ...]) -> None:
    zone = changed(
        mx=["0 contoso-test.mail.protection.office365.us."],
        txt=['"v=spf1 include:spf.protection.office365.us -all"'],
        autodiscover=autodiscover,
    )
    place = await place_of(zone)
    assert place.clouds == clouds
    assert ("discover.cloud-open" in ids(place)) is (len(clouds) > 1)
    assert place.servers[0].host == load().clouds[clouds[0]].hosts["smtp"].partition(":")[0]


async def test_21vianet_by_msoid() -> None:
    zone: Zone = {
        ("contoso.test", "MX"): ["0 mail.contoso.test."],
        ("msoid.contoso.test", "CNAME"): ["clientconfig.partner.microsoftonline-p.net.cn."],
    }
    place = await place_of(zone)
    assert (place.at_microsoft, place.clouds) == (AtMicrosoft.YES, ("china",))


async def test_a_personal_domain_is_known_without_dns() -> None:
    place = await place_of({}, "someone@hotmail.co.uk")
    assert (place.domain, place.at_microsoft, place.personal) == ("hotmail.co.uk", AtMicrosoft.YES, True)
    assert place.clouds == ("consumer",)
    assert place.direct_send is None


async def test_an_mx_of_outlook_com_is_personal() -> None:
    zone: Zone = {("family.test", "MX"): ["0 family-test.olc.protection.outlook.com."]}
    place = await place_of(zone, "family.test")
    assert (place.personal, place.clouds, place.direct_send) == (True, ("consumer",), None)


async def test_a_domain_elsewhere() -> None:
    zone: Zone = {
        ("contoso.test", "MX"): ["1 aspmx.l.google.com.", "5 alt1.aspmx.l.google.com."],
        ("contoso.test", "TXT"): ['"v=spf1 include:_spf.google.com ~all"'],
    }
    place = await place_of(zone)
    assert (place.at_microsoft, place.exit) == (AtMicrosoft.NO, 1)
    assert place.providers == ("Google Workspace or Gmail",)
    assert place.servers == ()


async def test_spf_alone_does_not_bring_google_mailboxes_to_microsoft() -> None:
    place = await place_of(changed(mx=["1 smtp.google.com."], autodiscover=None, endpoint=None))
    assert place.at_microsoft is AtMicrosoft.NO


async def test_autodiscover_at_microsoft_and_mx_at_google_is_only_likely() -> None:
    place = await place_of(changed(mx=["1 smtp.google.com."]))
    assert place.at_microsoft is AtMicrosoft.LIKELY
    assert "discover.mx-elsewhere" in ids(place)


async def test_a_gateway_before_microsoft() -> None:
    zone = changed(mx=["10 mx0a-0012ab01.pphosted.com.", "10 mx0b-0012ab01.pphosted.com."], autodiscover=None)
    place = await place_of(zone)
    assert (place.at_microsoft, place.exit) == (AtMicrosoft.LIKELY, 0)
    assert place.providers == ("Proofpoint",)
    assert "discover.mx-elsewhere" in ids(place)
    assert place.direct_send == "contoso-test.mail.protection.outlook.com", "the usual endpoint exists"


async def test_a_gateway_that_hides_what_is_behind() -> None:
    zone: Zone = {("contoso.test", "MX"): ["10 eu-smtp-inbound-1.mimecast.com."]}
    place = await place_of(zone)
    assert (place.at_microsoft, place.exit) == (AtMicrosoft.UNKNOWN, 3)
    assert ids(place) == {"discover.gateway-hides"}


async def test_a_server_of_its_own_without_a_sign_of_microsoft() -> None:
    place = await place_of({("contoso.test", "MX"): ["10 mail.contoso.test."]})
    assert (place.at_microsoft, place.providers) == (AtMicrosoft.NO, ("mail.contoso.test",))


async def test_several_providers_in_one_mx() -> None:
    place = await place_of(changed(mx=["0 contoso-test.mail.protection.outlook.com.", "20 mx1.hornetsecurity.com."]))
    assert "discover.mx-several" in ids(place)
    assert place.providers == ("Hornetsecurity",)


async def test_autodiscover_elsewhere() -> None:
    place = await place_of(changed(autodiscover=["mail.contoso.test."]))
    assert "discover.autodiscover-elsewhere" in ids(place)


async def test_spf_that_contradicts() -> None:
    two = ['"v=spf1 include:spf.protection.outlook.com -all"', '"v=spf1 mx -all"']
    assert "discover.spf-several" in ids(await place_of(changed(txt=two)))
    assert "discover.spf-without-microsoft" in ids(await place_of(changed(txt=['"v=spf1 mx -all"'])))


async def test_an_spf_record_in_pieces() -> None:
    place = await place_of(changed(mx=["10 mail.contoso.test."], autodiscover=None, endpoint=None,
                                   txt=['"v=spf1 include:spf.protec" "tion.outlook.com -all"']))  # fmt: skip
    assert place.at_microsoft is AtMicrosoft.LIKELY


async def test_srv_that_leads_elsewhere() -> None:
    zone = {
        **CONTOSO,
        ("_submission._tcp.contoso.test", "SRV"): ["0 1 587 mail.old-host.test."],
        ("_imaps._tcp.contoso.test", "SRV"): ["0 1 993 outlook.office365.com."],
        ("_pop3s._tcp.contoso.test", "SRV"): ["0 0 0 ."],
    }
    assert ids(await place_of(zone)) == {"discover.srv-submission"}


async def test_clouds_that_contradict() -> None:
    place = await place_of(changed(autodiscover=["autodiscover-dod.office365.us."]))
    assert "discover.clouds-contradict" in ids(place)


async def test_tlsa_and_mta_sts_are_asked_and_shown() -> None:
    zone = {
        **CONTOSO,
        ("_25._tcp.contoso-test.mail.protection.outlook.com", "TLSA"): ["3 1 1 " + "ab" * 32],
        ("_mta-sts.contoso.test", "TXT"): ['"v=STSv1; id=1"'],
        ("mta-sts.contoso.test", "A"): ["192.0.2.1"],
    }
    place = await place_of(zone)
    assert lookup(place, "_25._tcp.contoso-test.mail.protection.outlook.com", "TLSA").answered is Answered.FOUND
    assert lookup(place, "_mta-sts.contoso.test", "TXT").records == ('"v=STSv1; id=1"',)


# --- what DNS may answer


async def test_a_domain_that_does_not_exist() -> None:
    place = await place_of({("other.test", "A"): ["192.0.2.1"]}, "nowhere.test")
    assert (place.at_microsoft, lookup(place, "nowhere.test", "MX").answered) == (AtMicrosoft.NO, Answered.NO_NAME)
    assert "misspelling" in place.because[0]


async def test_a_domain_without_mx_and_one_that_takes_no_mail() -> None:
    bare = await place_of({("contoso.test", "A"): ["192.0.2.1"]})
    assert lookup(bare, "contoso.test", "MX").answered is Answered.NO_RECORD
    assert bare.at_microsoft is AtMicrosoft.NO
    null = await place_of({("contoso.test", "MX"): ["0 ."]})
    assert any("null MX" in line for line in null.because)


@pytest.mark.parametrize(
    ("fault", "answered"),
    [
        ("servfail", Answered.SERVFAIL),
        ("refused", Answered.REFUSED),
        ("timeout", Answered.TIMEOUT),
        ("garbage", Answered.TIMEOUT),
        ("truncated", Answered.TIMEOUT),
    ],
)
async def test_each_failure_is_told_apart_and_never_a_no(fault: str, answered: Answered) -> None:
    names = dict.fromkeys(("contoso.test", "autodiscover.contoso.test"), fault)
    begun = time.monotonic()
    place = await place_of(changed(endpoint=None), faults=names, timeout=0.5)
    assert lookup(place, "contoso.test", "MX").answered is answered
    assert (place.at_microsoft, place.exit) == (AtMicrosoft.UNKNOWN, 3)
    assert time.monotonic() - begun < 8


async def test_tcp_is_used_where_udp_is_cut() -> None:
    async with dns_server(CONTOSO, {("contoso.test", "TXT"): "tcp-only"}) as server:
        place = await discover("contoso.test", Resolver(server.address, TIMEOUT))
        assert ("contoso.test", "TXT", "tcp") in server.asked
    assert lookup(place, "contoso.test", "TXT").answered is Answered.FOUND


async def test_one_failure_does_not_hide_the_rest() -> None:
    place = await place_of(CONTOSO, faults={"autodiscover.contoso.test": "servfail"})
    assert place.at_microsoft is AtMicrosoft.YES
    assert any("servfail" in line for line in place.because)


async def test_records_are_harmless_to_print() -> None:
    place = await place_of(
        {("contoso.test", "TXT"): ['"\\027[31mred \\226\\128\\174"'], ("contoso.test", "MX"): ["0 ."]}
    )
    shown = lookup(place, "contoso.test", "TXT").records[0]
    assert "\x1b" not in shown
    assert "\\027[31mred" in shown


async def test_no_resolver_is_an_answer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_configured(*_: Any, **__: Any) -> None:
        raise OSError("cannot open resolv.conf")

    monkeypatch.setattr("dns.asyncresolver.Resolver", none_configured)
    place = await discover("contoso.test", Resolver())
    assert place.at_microsoft is AtMicrosoft.UNKNOWN
    assert lookup(place, "contoso.test", "MX").detail == "cannot open resolv.conf"


# --- names


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("Contoso.COM", "contoso.com"),
        ("contoso.com.", "contoso.com"),
        ("user@contoso.com", "contoso.com"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("BU\u0308CHER.example", "xn--bcher-kva.example"),
        ("stra\u00dfe.example", "xn--strae-oqa.example"),
        ("\u4f8b\u5b50\u3002\u516c\u53f8", "xn--fsqu00a.xn--55qx5d"),
        ("_spf.contoso.com", "_spf.contoso.com"),
    ],
)
def test_domains_as_dns_has_them(text: str, domain: str) -> None:
    assert ascii_domain(text) == domain


@pytest.mark.parametrize(
    "text",
    ["", ".", "contoso", "user@", "https://contoso.com/", "10.0.0.1", "[::1]", "a..b", "-a.com", "a b.com", "x" * 64 + ".com",
     "a.\x1b[31m", ".".join(["abcdefgh"] * 40)],
)  # fmt: skip
def test_what_is_no_domain(text: str) -> None:
    with pytest.raises(BadDomainError):
        ascii_domain(text)


# --- the data


def test_every_mark_and_provider_has_a_source_and_speaks_of_known_clouds() -> None:
    clouds = load().clouds
    for mark in marks():
        assert mark.source.startswith("https://")
        assert set(mark.clouds) <= set(clouds)
        assert mark.record in ("mx", "autodiscover", "spf", "msoid")
    for server in servers():
        assert server.kind in ("gateway", "mailboxes")
        assert server.mx
        assert server.sources
    suffixes = [suffix for server in servers() for suffix in server.mx]
    assert len(suffixes) == len(set(suffixes))


@pytest.mark.parametrize(
    ("answered", "words"), [("TIMEOUT", "the resolver does not answer"), ("NO_RECORD", "DNS does not show")]
)
def test_a_silent_resolver_is_said_first(answered: str, words: str) -> None:
    lookups = tuple(Lookup("contoso.test", type_, Answered[answered], ()) for type_ in ("MX", "TXT"))
    place = Place("contoso.test", "contoso.test", AtMicrosoft.UNKNOWN, lookups=lookups)
    assert words in place_text(place, load(), Options()).splitlines()[0]


@pytest.mark.parametrize(
    ("failed", "last"), [(3, "TLSA of"), (4, "1 more question was not"), (5, "2 more questions were")]
)
def test_what_could_not_be_asked_is_counted(failed: int, last: str) -> None:
    types = ("MX", "TXT", "SRV", "CNAME", "TLSA")
    lookups = tuple(
        Lookup("contoso.test", type_, Answered.TIMEOUT if number >= 5 - failed else Answered.FOUND, (), ("mx.test",))
        for number, type_ in enumerate(types)
    )
    *_, told = _absent(Evidence("contoso.test", lookups, personal=False))
    assert told.startswith(last)
