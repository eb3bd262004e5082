"""The pure heart: attempts + facts + knowledge -> verdicts, findings, exit codes. On a small handbook of its own,
so that these tests say how the reading works and not what Exchange Online says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailwhy.diagnose import diagnose, outcome
from mailwhy.facts import cloud_of, consumer_cloud, facts_of
from mailwhy.model import (
    Account,
    Attempt,
    Basis,
    Calendar,
    Cause,
    Cloud,
    Event,
    Exit,
    Fault,
    Judged,
    Kind,
    Knowledge,
    Match,
    Meaning,
    Outcome,
    Password,
    Protocol,
    Reply,
    Rule,
    Seen,
    Sign,
    Stage,
    Step,
    Target,
    Tls,
    Verdict,
)
from mailwhy.reply import parse

FIELD = Basis.FIELD


def sign(
    name: str, *means: Meaning, credential: Judged = Judged.UNKNOWN, family: str = "microsoft", **match: object
) -> Sign:
    return Sign(name, Match(**match), means, ("test",), credential=credential, family=family)  # type: ignore[arg-type]


def cause(name: str, **more: object) -> Cause:
    return Cause(name, name, "tenant admin", "why", **more)  # type: ignore[arg-type]


SIGNS = (
    sign("bare", Meaning("credentials.wrong", FIELD), Meaning("mailbox.smtp_auth_disabled", FIELD, unless=("credential=oauth",)),
         text=("Authentication unsuccessful",), status=("535",)),
    sign("tenant", Meaning("org.smtp_auth_disabled", FIELD), text=("Authentication unsuccessful, it is disabled for the Tenant",), enhanced=("5.7.139",), credential=Judged.NOT_JUDGED),
    sign("wrong", Meaning("credentials.wrong", FIELD), text=("the user credentials were incorrect",), credential=Judged.REFUSED),
    sign("anonymous", Meaning("client.no_auth_attempted", FIELD, unless=("smtp.auth.failed",)), text=("Client not authenticated to send mail",)),
    sign("login-failed", Meaning("service.basic_auth_retired", FIELD, given=("retired.imap",)), Meaning("credentials.wrong", FIELD), text=("LOGIN failed.",), status=("NO",)),
    sign("rfc", Meaning("credentials.wrong", FIELD), text=("[AUTHENTICATIONFAILED]",), family="any", credential=Judged.REFUSED),
    sign("not-connected", Meaning("mailbox.imap_disabled", FIELD), text=("User is authenticated but not connected",), credential=Judged.ACCEPTED),
    sign("busy", Meaning("service.throttled", FIELD), text=("Concurrent connections limit exceeded",)),
    sign("no-port", Meaning("network.port_blocked", FIELD), fault=(Fault.TIMEOUT,), stage=(Stage.TCP,), family="any"),
    sign("off-by-default", Meaning("org.smtp_basic_auth_default_off", Basis.INFERRED, given=("off_by_default.smtp",)), Meaning("org.smtp_auth_disabled", FIELD), text=("basic authentication is disabled",)),
)  # fmt: skip
CAUSES = (
    cause("credentials.wrong"),
    cause("org.smtp_auth_disabled", unless=("service=other",)),
    cause("mailbox.smtp_auth_disabled"),
    cause("mailbox.imap_disabled"),
    cause("service.throttled", transient=True),
    cause("service.basic_auth_retired"),
)
CLOUDS = (
    Cloud("worldwide", "Worldwide", "exchange-online", {}, suffixes=("office365.com", "prod.outlook.com")),
    Cloud("gcc-high", "GCC High", "exchange-online", {}, suffixes=("office365.us",), careful=True),
    Cloud("consumer", "Personal", "outlook-com", {}, domains=("hotmail.com", "outlook.*")),
)
CALENDAR = Calendar(
    "2026-11-22",
    (
        Event("gone", "removed", "2023-01-01", ("exchange-online",), ("worldwide",), (Protocol.IMAP, Protocol.POP), Kind.PASSWORD, "s"),
        Event("off", "off_by_default", "2026-12-31", ("exchange-online",), ("worldwide",), (Protocol.SMTP,), Kind.PASSWORD, "s"),
    ),
)  # fmt: skip
NOTICES = (Rule("smtp-works", "It works until December.", given=("smtp.auth.ok", "service=exchange-online")),)
BOOK = Knowledge(
    {s.id: s for s in SIGNS},
    {c.id: c for c in CAUSES},
    {},
    CALENDAR,
    {c.id: c for c in CLOUDS},
    {n.id: n for n in NOTICES},
)
USER = Account("user@contoso.test", "user@contoso.test", "user@contoso.test")
TODAY = "2026-11-22"
HOST = {
    Protocol.SMTP: "smtp.office365.com",
    Protocol.IMAP: "outlook.office365.com",
    Protocol.POP: "outlook.office365.com",
}


def ended(
    protocol: Protocol, *said: str, stage: Stage = Stage.AUTH, kind: Kind = Kind.PASSWORD, host: str | None = None
) -> Attempt:
    """An attempt that ended with this reply at this stage."""
    step = Step(stage, False, reply=parse(protocol, said))
    return Attempt(Target(protocol, host or HOST[protocol], 587, Tls.STARTTLS), (step,), kind)


def worked(protocol: Protocol) -> Attempt:
    steps = (Step(Stage.AUTH, True, reply=Reply(protocol, "OK")), Step(Stage.USE, True))
    return Attempt(Target(protocol, HOST[protocol], 993, Tls.IMPLICIT), steps, Kind.PASSWORD)


def broke(protocol: Protocol, fault: Fault, stage: Stage) -> Attempt:
    return Attempt(
        Target(protocol, HOST[protocol], 587, Tls.STARTTLS), (Step(stage, False, fault=fault),), Kind.PASSWORD
    )


def run(*attempts: Attempt, as_of: str = TODAY, insisted: tuple[Protocol, ...] = (), command: str = "check") -> Outcome:
    found = diagnose(attempts, USER, BOOK, as_of)
    return outcome(command, USER, found, BOOK, as_of, insisted=insisted)


def causes(result: Outcome) -> list[str]:
    return [finding.cause for finding in result.findings]


WRONG = "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect."
SMTP_WRONG = ended(Protocol.SMTP, WRONG)
SMTP_TENANT = ended(Protocol.SMTP, "535 5.7.139 Authentication unsuccessful, it is disabled for the Tenant.")
IMAP_FAILED = ended(Protocol.IMAP, "a1 NO LOGIN failed.")


def test_the_sentence_speaks_before_the_code() -> None:
    result = run(SMTP_TENANT)
    assert (result.verdict, causes(result), result.exit) == (Verdict.NAMED, ["org.smtp_auth_disabled"], Exit.REFUSED)
    assert result.diagnoses[0].password is Password.NOT_LOOKED_AT


def test_several_meanings_are_narrowed_in_their_order() -> None:
    result = run(ended(Protocol.SMTP, "535 5.7.3 Authentication unsuccessful"))
    assert result.verdict is Verdict.NARROWED
    assert causes(result) == ["credentials.wrong", "mailbox.smtp_auth_disabled"]
    assert result.diagnoses[0].password is Password.NOT_TOLD


def test_a_fact_strikes_a_meaning_out_and_is_named() -> None:
    result = run(ended(Protocol.SMTP, "535 5.7.3 Authentication unsuccessful", kind=Kind.OAUTH))
    assert causes(result) == ["credentials.wrong"]
    assert [(r.cause, r.by) for r in result.ruled_out] == [("mailbox.smtp_auth_disabled", "credential=oauth")]


def test_when_every_meaning_is_struck_out_it_is_unknown_and_the_struck_ones_are_shown() -> None:
    attempt = replace(SMTP_TENANT, facts=frozenset({"service=other"}))
    struck = replace(BOOK, signs={"tenant": replace(BOOK.signs["tenant"], family="any")})
    found = diagnose([attempt], USER, struck, TODAY)[0]
    assert (found.verdict, found.findings) == (Verdict.UNKNOWN, ())
    assert [r.by for r in found.ruled_out] == ["service=other"]


def test_the_inner_refusal_speaks_not_its_wrapper() -> None:
    result = run(ended(Protocol.SMTP, f"530 5.7.57 Client not authenticated to send mail. Error: {WRONG}"))
    assert causes(result) == ["credentials.wrong"]
    assert result.diagnoses[0].password is Password.REFUSED


def test_what_follows_a_refused_auth_is_only_its_consequence() -> None:
    after = Step(Stage.USE, False, reply=parse(Protocol.SMTP, "530 5.7.57 Client not authenticated to send mail"))
    result = run(replace(SMTP_WRONG, steps=(*SMTP_WRONG.steps, after)))
    assert causes(result) == ["credentials.wrong"]


def test_an_unknown_reply_is_unknown() -> None:
    result = run(ended(Protocol.SMTP, "599 9.9.9 Never heard of"))
    assert (result.verdict, result.exit, result.findings) == (Verdict.UNKNOWN, Exit.UNKNOWN, ())


def test_a_foreign_server_gets_no_cause_of_microsofts() -> None:
    foreign = replace(SMTP_TENANT, facts=frozenset({"service=other"}))
    assert run(foreign).verdict is Verdict.UNKNOWN
    rfc = replace(ended(Protocol.IMAP, "a1 NO [AUTHENTICATIONFAILED] no"), facts=frozenset({"service=other"}))
    assert causes(run(rfc)) == ["credentials.wrong"]


@pytest.mark.parametrize(
    ("as_of", "verdict", "password"),
    [("2022-06-01", Verdict.NAMED, Password.NOT_TOLD), (TODAY, Verdict.RETIRED, Password.NOT_TOLD)],
)
def test_the_calendar_retires_imap(as_of: str, verdict: Verdict, password: Password) -> None:
    result = run(IMAP_FAILED, as_of=as_of)
    assert (result.verdict, result.diagnoses[0].password) == (verdict, password)


@pytest.mark.parametrize(
    "change", [{"kind": Kind.OAUTH}, {"target": Target(Protocol.IMAP, "mail.example.com", 993, Tls.IMPLICIT)}]
)
def test_the_calendar_holds_only_where_service_and_credential_fit(change: dict[str, object]) -> None:
    attempt = replace(IMAP_FAILED, **change)  # type: ignore[arg-type]
    assert run(attempt).verdict is not Verdict.RETIRED


def test_a_pasted_reply_is_judged_at_its_own_time() -> None:
    old = replace(IMAP_FAILED, started="2021-10-05T10:00:00Z", seen=Seen((1,)))
    assert run(old).verdict is Verdict.NAMED
    assert run(replace(old, seen=None)).verdict is Verdict.RETIRED


def test_off_by_default_is_a_verdict_of_its_own() -> None:
    attempt = ended(Protocol.SMTP, "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.")
    assert run(attempt, as_of="2027-01-15").verdict is Verdict.OFF_BY_DEFAULT
    assert causes(run(attempt)) == ["org.smtp_auth_disabled"]


def test_exit_codes() -> None:
    smtp, imap = worked(Protocol.SMTP), IMAP_FAILED
    dead = broke(Protocol.SMTP, Fault.TIMEOUT, Stage.TCP)
    busy = ended(Protocol.SMTP, "432 4.3.2 Concurrent connections limit exceeded")
    assert run(smtp).exit is Exit.OK
    assert run(smtp, imap).exit is Exit.OK, "a retired protocol nobody asked for does not spoil a pass"
    assert run(smtp, imap, insisted=(Protocol.IMAP,)).exit is Exit.REFUSED
    assert run(imap).exit is Exit.REFUSED
    assert run(dead).exit is Exit.UNKNOWN
    assert run(dead, worked(Protocol.POP)).exit is Exit.OK
    assert run(busy).exit is Exit.UNKNOWN, "throttled: could not find out"
    assert run(SMTP_WRONG, dead).exit is Exit.REFUSED
    assert run(SMTP_WRONG, command="explain").exit is Exit.OK
    assert run(ended(Protocol.SMTP, "599 what"), command="explain").exit is Exit.UNKNOWN


def test_network_faults_are_unreachable_with_their_causes() -> None:
    result = run(broke(Protocol.SMTP, Fault.TIMEOUT, Stage.TCP))
    assert (result.verdict, causes(result)) == (Verdict.UNREACHABLE, ["network.port_blocked"])
    assert result.diagnoses[0].password is Password.NOT_LOOKED_AT


def test_held_back_is_not_tried() -> None:
    held = Attempt(Target(Protocol.IMAP), (Step(Stage.GREETING, True),), Kind.PASSWORD, held_back="SMTP refused it")
    result = run(SMTP_WRONG, held)
    assert [d.verdict for d in result.diagnoses] == [Verdict.NAMED, Verdict.NOT_TRIED]
    assert result.verdict is Verdict.NAMED


def test_accepted_but_not_connected() -> None:
    attempt = Attempt(
        Target(Protocol.IMAP, HOST[Protocol.IMAP]),
        (Step(Stage.AUTH, True), Step(Stage.USE, False, reply=parse(Protocol.IMAP, "a2 BAD User is authenticated but not connected."))),
        Kind.OAUTH,
    )  # fmt: skip
    found = run(attempt).diagnoses[0]
    assert (found.password, found.verdict) == (Password.ACCEPTED, Verdict.NAMED)


def test_causes_that_explain_most_come_first_and_retired_ones_last() -> None:
    pop = replace(ended(Protocol.POP, "-ERR [AUTHENTICATIONFAILED]"), facts=frozenset({"service=other"}))
    imap_wrong = replace(ended(Protocol.IMAP, "a1 NO [AUTHENTICATIONFAILED]"), facts=frozenset({"service=other"}))
    assert causes(run(SMTP_TENANT, pop, imap_wrong)) == ["credentials.wrong", "org.smtp_auth_disabled"]
    assert causes(run(IMAP_FAILED, SMTP_TENANT)) == ["org.smtp_auth_disabled", "service.basic_auth_retired"]
    assert causes(run(IMAP_FAILED)) == ["service.basic_auth_retired", "credentials.wrong"]


def test_notices_come_with_their_facts_and_a_stale_calendar_is_said() -> None:
    assert [n.id for n in run(worked(Protocol.SMTP)).notices] == ["smtp-works"]
    assert "calendar-stale" in [n.id for n in run(SMTP_WRONG, as_of="2027-06-01").notices]


def test_facts() -> None:
    attempt = Attempt(
        Target(Protocol.SMTP, HOST[Protocol.SMTP], 587, Tls.STARTTLS),
        (
            Step(Stage.CAPABILITIES, True, seen={"words": ["STARTTLS"], "auth": ["PLAIN"]}),
            Step(Stage.CAPABILITIES, True, seen={"words": [], "auth": ["LOGIN", "XOAUTH2"], "source": "2001:db8::1"}),
            Step(Stage.AUTH, False, fault=Fault.CLOSED, seen={"mechanism": "LOGIN"}),
        ),
        Kind.PASSWORD,
    )
    facts = facts_of(attempt, Account("bare", "shared@x.test", "other@x.test"), BOOK)
    assert facts == {
        "protocol=smtp", "port=587", "host=microsoft", "tls=starttls", "credential=password", "smtp.capabilities.ok",
        "smtp.auth.failed",
        "smtp.capabilities.auth.login", "smtp.capabilities.auth.xoauth2", "smtp.fault.closed", "smtp.mechanism=login",
        "source.family=ipv6", "login.bare", "login.not_mailbox", "sender.not_login", "service=exchange-online", "cloud=worldwide",
    }  # fmt: skip


def test_the_service_is_what_answered_not_what_was_dialled() -> None:
    def facts(**seen: object) -> frozenset[str]:
        step = Step(Stage.GREETING, True, reply=parse(Protocol.SMTP, "220 hello"), seen=seen)
        return facts_of(Attempt(Target(Protocol.SMTP, "smtp.office365.com"), (step,)), USER, BOOK)

    assert "service=other" in facts(host="cp7.hoster.example", software="exim")
    assert "service=exchange-server" in facts(host="mail.contoso.test", software="exchange")
    assert "service=exchange-online" in facts(host="SY5P282CA0097.outlook.office365.com", software="exchange")
    assert not any(f.startswith("service=") for f in facts(host="who.knows.example", software=""))


def test_an_exchange_without_a_name_that_we_dialled_elsewhere_is_not_exchange_online() -> None:
    """IMAP and POP of a customer's own Exchange: no name in the greeting, and no cause of Exchange Online fits."""
    hello = Step(Stage.GREETING, True, seen={"software": "exchange", "host": ""})
    dialled = (Step(Stage.TCP, True, seen={"address": "192.0.2.1"}), hello)

    def facts(host: str | None, steps: tuple[Step, ...]) -> frozenset[str]:
        return facts_of(Attempt(Target(Protocol.IMAP, host), steps), USER, BOOK)

    assert "service=exchange-server" in facts("mail.contoso.test", dialled)
    assert "service=exchange-online" in facts("outlook.office365.com", dialled)
    assert not any(f.startswith("service=") for f in facts("mail.contoso.test", (hello,)))  # a paste may lack the name


def test_clouds() -> None:
    assert cloud_of("AM0PR02CA0134.eurprd02.prod.outlook.com", BOOK) == "worldwide"
    assert cloud_of("outlook.office365.us.", BOOK) == "gcc-high"
    assert cloud_of("evil-office365.com", BOOK) is None
    assert consumer_cloud("a@Hotmail.com", BOOK) == "consumer"
    assert consumer_cloud("a@outlook.de", BOOK) == "consumer"
    assert consumer_cloud("a@contoso.test", BOOK) is None
