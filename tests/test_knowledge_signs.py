"""The signs of the handbook: each one is said by its own example, by nothing nearer, and its facts exist."""

from __future__ import annotations

import random
import re
import string

import pytest
from day import DAY, USUAL
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwhy import knowledge
from mailwhy.diagnose import diagnose
from mailwhy.facts import cloud_of, consumer_cloud
from mailwhy.model import (
    Account,
    Attempt,
    Diagnosis,
    Fault,
    Protocol,
    Reply,
    Sign,
    Speaker,
    Stage,
    Step,
    Target,
)
from mailwhy.reply import parse
from mailwhy.signs import ENOUGH, Hit, Signs, squash

KNOWN = knowledge.load()
AUTH = "535 5.7.139 Authentication unsuccessful, "
SIGNS = Signs(KNOWN.signs)
SPOKEN = [sign for sign in KNOWN.signs.values() if sign.example]
FAULTS = [sign for sign in KNOWN.signs.values() if sign.match.fault]

# The one list of cause ids; a sign may name a cause before its page exists, but none that is not here.
CAUSES = frozenset(
    f"{group}.{name}"
    for group, names in {
        "credentials": ("wrong", "account_password_under_mfa", "app_password_not_honoured", "username_not_upn"),
        "account": (
            "locked",
            "malicious_ip_block",
            "sign_in_blocked",
            "password_expired",
            "unlicensed_or_no_mailbox",
            "federation_unreachable",
        ),
        "org": (
            "security_defaults",
            "conditional_access",
            "auth_policy_blocks_basic",
            "smtp_auth_disabled",
            "smtp_basic_auth_default_off",
        ),
        "mailbox": ("smtp_auth_disabled", "imap_disabled", "pop_disabled"),
        "service": ("basic_auth_retired", "oauth_flow_not_supported", "throttled", "transient"),
        "client": (
            "no_auth_attempted",
            "unsupported_mechanism",
            "starttls_required",
            "tls_too_old",
            "wrong_port_or_tls_mode",
            "wrong_host",
            "protocol_error",
            "ca_store_missing",
        ),
        "sender": ("send_as_denied", "restricted_outbound_spam"),
        "relay": ("not_permitted", "client_ip_blocklisted"),
        "network": ("dns", "port_blocked", "tls_interception", "smtp_redirected"),
        "oauth": (
            "missing_permission_or_scope",
            "service_principal_not_registered",
            "token_invalid_or_expired",
            "token_user_mismatch",
            "client_registration_wrong",
            "mfa_or_consent_required",
        ),
    }.items()
    for name in names
)

# Every distinct text of field reports, and the sign that must speak for it.
SMTP_TEXTS = {
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit "
    "https://aka.ms/smtp_auth_disabled for more information.": "smtp-535-5.7.139-tenant",
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit "
    "https://aka.ms/smtp_auth_disabled for more information.": "smtp-535-5.7.139-mailbox",
    "535 5.7.139 Authentication unsuccessful, user is locked by your organization\u2019s security defaults policy. "
    "Contact your administrator.": "smtp-535-5.7.139-security-defaults",
    "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated "
    "successfully. Contact your administrator.": "smtp-535-5.7.139-criteria",
    "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.": "smtp-535-5.7.139-basic-disabled",
    "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.": "smtp-535-5.7.139-credentials",
    "535 5.7.139 Authentication unsuccessful, account locked. Contact your administrator.": "smtp-535-5.7.139-locked",
    "535 5.7.139 Authentication unsuccessful, account has an issue. Contact your "
    "administrator.": "smtp-535-5.7.139-account-issue",
    "535 5.7.139 Authentication unsuccessful [AM8P190CA0003.EURP190.PROD.OUTLOOK.COM]": "smtp-535-new-sentence",
    "535 5.7.3 Authentication unsuccessful [AM8P190CA0003.EURP190.PROD.OUTLOOK.COM]": "smtp-535-5.7.3",
    "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL "
    "FROM": "smtp-530-5.7.57-anonymous",
    "530 5.7.57 Client not authenticated to send mail.": "smtp-530-5.7.57",
    "530 5.7.57 Client not authenticated to send mail. Error: 535 5.7.3 Authentication unsuccessful": "smtp-535-5.7.3",
    "504 5.7.4 Unrecognized authentication type": "smtp-504-5.7.4",
    "451 5.7.3 STARTTLS is required to send mail": "smtp-451-5.7.3-starttls",
    "503 5.5.2 Send hello first": "smtp-503-5.5.2-hello",
    "421 4.7.66 TLS 1.0 and 1.1 are not supported. Please upgrade/update your client to support TLS 1.2. Visit "
    "https://aka.ms/smtp_auth_tls.": "smtp-421-4.7.66-tls",
    "421 4.3.2 Service not active": "smtp-421-4.3.2-not-active",
    "451 4.7.0 Temporary server error. Please try again later. PRX4": "smtp-451-4.7.0-temporary",
    "501 5.5.4 Invalid domain name": "smtp-501-5.5.4-domain",
    "554 5.2.252 SendAsDenied; a@example.com not allowed to send as b@example.com; STOREDRV.Submission.Exception:"
    "SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message due to a permanent exception with "
    "message [BeginDiagnosticData]Cannot submit message.": "smtp-554-send-as-denied",
    "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process "
    "message due to a permanent exception with message Cannot submit message.": "smtp-554-send-as-denied",
    "550 5.7.60 SMTP; Client does not have permissions to send as this sender": "smtp-550-5.7.60-send-as",
    "5.7.1 Client does not have permissions to send as this sender": "smtp-550-5.7.60-send-as",
    "554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; WASCL UserAction verdict is not None. Actual "
    "verdict is RefuseQuota.": "smtp-554-outbound-spam",
    "432 4.3.2 Concurrent connections limit exceeded": "smtp-432-concurrent",
    "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded": "smtp-432-thread-limit",
    "430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission.Exception:ConnectionFailedTransientException."
    "MapiExceptionLogonFailed;": "smtp-430-storedrv-logon",
    "550 5.7.64 TenantAttribution; Relay Access Denied": "smtp-550-5.7.64-relay",
    "550 5.7.606 Access denied, banned sending IP [192.0.2.1]": "smtp-550-banned-ip",
    "550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus. AS(1440)": "smtp-550-spamhaus",
    "550 5.1.8 Access denied, bad outbound sender AS(42004)": "smtp-550-5.1.8-bad-sender",
    "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP. "
    "AS(7171)": "smtp-550-5.7.708-tenant",
    "550 5.7.30 Basic authentication is not supported for Client Submission.": "smtp-550-5.7.30",
    "wrong version number": "client-wrong-tls-mode",
    "SSL23_GET_SERVER_HELLO:unknown protocol": "client-wrong-tls-mode",
    "first record does not look like a TLS handshake": "client-wrong-tls-mode",
    "javax.net.ssl.SSLException: Unsupported or unrecognized SSL message": "client-wrong-tls-mode",
    "MailKit.Security.SslHandshakeException: An error occurred while attempting to establish an SSL or TLS "
    "connection. One possibility is that you are trying to connect to a port which does not support "
    "SSL/TLS.": "client-wrong-tls-mode",
    "self signed certificate in certificate chain": "client-certificate-self-signed",
    "RemoteCertificateChainErrors": "client-certificate-self-signed",
    "unable to get local issuer certificate": "client-certificate-chain",
    "Could not convert socket to TLS": "client-certificate-self-signed",
    "SMTP AUTH extension not supported by server.": "client-auth-not-offered",
    "Requested auth method not available": "client-no-mechanism",
    "connect ETIMEDOUT 192.0.2.1:587": "client-connect-timeout",
    "An attempt was made to access a socket in a way forbidden by its access permissions": "client-connect-timeout",
    "The transport failed to connect to the server.": "client-connect-timeout",
    "An existing connection was forcibly closed by the remote host": "client-connection-reset",
    "TcpTestSucceeded : False": "client-connect-timeout",
    "535 Incorrect authentication data": "smtp-535-exim",
}
IMAP_TEXTS = {
    "A2 NO LOGIN failed.": "imap-login-failed",
    "A1 NO AUTHENTICATE failed.": "imap-authenticate-failed",
    "a1 NO Basic authentication is disabled.": "imap-basic-disabled",
    "AuthFailed:LogonDenied-BasicAuthBlocked": "imap-basic-auth-blocked",
    'A1 NO AUTHENTICATE failed. Error="AuthFailed:LogonDenied-None-OAuthLog:AuthExc_Auth Failed."': "imap-oauthlog",
    "NoADRecipient (AuthResultFromPopImapEnd=8)": "imap-noadrecipient",
    "C3 BAD User is authenticated but not connected.": "imap-authenticated-not-connected",
    "* BYE Connection closed. 14": "imap-bye-connection-closed-14",
    "* BYE Connection is closed. 13": "imap-bye-connection-closed-13",
    "A1 BAD Request is throttled. Suggested Backoff Time: 89117 milliseconds": "imap-throttled",
    "A1 NO Request is throttled. Suggested Backoff Time: 299187 milliseconds": "imap-throttled",
    "* BYE Session invalidated - AccessTokenExpired": "imap-bye-token-expired",
    "A1 BAD Command received in Invalid state.": "imap-invalid-state",
    "A1 NO Server Unavailable. 15": "imap-server-unavailable",
    "A1 BAD Command Argument Error. 11": "imap-argument-error",
    "A1 BAD Command Argument Error. 12": "imap-argument-error",
    "A1 BAD Command Error. 10": "imap-command-error",
    "SSL23_GET_SERVER_HELLO:unsupported protocol": "client-tls-too-old",
    "Certificate failure for outlook.office365.com: unable to get local issuer certificate": "client-certificate-chain",
    "getaddrinfo for outlook.office365.com failed: Name or service not known": "client-host-unknown",
    "SASL(-1): generic failure: Unable to find a callback: 18948": "client-no-mechanism",
    "IMAP wants more steps despite successful SASL authentication.": "client-no-mechanism",
    "Need admin approval": "entra-admin-approval",
    "AADSTS53003": "entra-conditional-access",
    "AADSTS9002313": "entra-malformed",
    "AADSTS50011": "entra-redirect-uri",
    "AADSTS700081": "entra-token-expired",
    "AADSTS7000218": "entra-client-secret-missing",
    "AADSTS900971": "entra-redirect-uri",
    "AADSTS700016": "entra-application-unknown",
}
POP_TEXTS = {
    "-ERR Logon failure: unknown user name or bad password.": "pop-logon-failure",
    "-ERR Authentication failure: unknown user name or bad password.": "pop-authentication-failure",
    "-ERR Protocol error. Connection is closed. 10": "pop-protocol-error-10",
    "-ERR Protocol error. 19": "pop-protocol-error-19",
    "-ERR Command is not valid in this state.": "pop-not-valid-in-state",
    "-ERR Server Unavailable. 21": "pop-server-unavailable",
}
TEXTS = [
    *((Protocol.SMTP, text, sign) for text, sign in SMTP_TEXTS.items()),
    *((Protocol.IMAP, text, sign) for text, sign in IMAP_TEXTS.items()),
    *((Protocol.POP, text, sign) for text, sign in POP_TEXTS.items()),
]


def hits(sign: Sign | None, protocol: Protocol | None, text: str) -> tuple[Hit, ...]:
    """The signs in this text, most specific first, at the stage that the sign asks for."""
    stage = sign.match.stage[0] if sign and sign.match.stage else Stage.AUTH
    protocol = protocol or Protocol.SMTP
    return tuple(SIGNS.of_step(Step(stage, ok=False, reply=parse(protocol, text)), protocol))


def named(sign: Sign) -> str:
    return sign.id


@pytest.mark.parametrize("sign", SPOKEN, ids=named)
def test_the_example_is_said_by_its_own_sign_and_by_none_as_specific(sign: Sign) -> None:
    found = hits(sign, sign.protocol, sign.example)
    assert found, f"{sign.id}: no sign speaks"
    assert found[0].sign.id == sign.id, f"{found[0].sign.id} {found[0].weight} speaks before"
    assert len(found) == 1 or found[0].weight > found[1].weight, f"a tie with {found[1].sign.id}"


@pytest.mark.parametrize("sign", SPOKEN, ids=named)
def test_the_near_miss_is_not_said_by_this_sign_first(sign: Sign) -> None:
    assert sign.not_this
    for text in sign.not_this:
        found = hits(sign, sign.protocol, text)
        assert not found or found[0].sign.id != sign.id, text


@pytest.mark.parametrize("sign", KNOWN.signs.values(), ids=named)
def test_the_file_is_complete(sign: Sign) -> None:
    assert re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", sign.id), "file name"
    assert sign.sources
    assert all(re.match(r"https?://\S+$|ref \d+$", source) for source in sign.sources), sign.sources
    assert sign.example or sign.match.fault, "a sign shows how it reads"
    assert sign.means
    assert sign.family in ("microsoft", "any")
    match = sign.match
    assert not any(word.isdigit() for word in match.word), "a bare number is said by everything"
    assert match.text or match.word or match.fault or match.status or match.enhanced
    assert not (match.fault and (match.text or match.status)), "a fault has no words"
    for text in match.text:
        assert len(squash(text)) >= ENOUGH or match.status or match.enhanced, f"{text} is too short to stand alone"
    if sign.protocol and sign.speaker is Speaker.SERVER:
        assert sign.id.startswith(sign.protocol)


@pytest.mark.parametrize("sign", KNOWN.signs.values(), ids=named)
def test_every_fact_and_every_cause_is_known(sign: Sign) -> None:
    facts = [*sign.shows, *(f for m in sign.means for f in (*m.given, *m.unless))]
    assert [fact for fact in facts if knowledge.declared(fact, KNOWN) is None] == []
    assert {meaning.cause for meaning in sign.means} <= CAUSES


@pytest.mark.parametrize("sign", KNOWN.signs.values(), ids=named)
def test_no_meaning_is_unreachable(sign: Sign) -> None:
    """A meaning whose cause was offered before under no more facts can never be seen."""
    for i, later in enumerate(sign.means):
        for earlier in sign.means[:i]:
            if earlier.cause == later.cause:
                assert not (set(earlier.given) <= set(later.given) and not earlier.unless), later


@pytest.mark.parametrize("sign", SPOKEN, ids=named)
def test_the_example_survives_being_taken_apart(sign: Sign) -> None:
    reply = parse(sign.protocol, sign.example)
    again = parse(sign.protocol, reply.lines)
    assert again == reply
    if sign.speaker is Speaker.SERVER and sign.match.status and sign.protocol is Protocol.SMTP:
        assert reply.status, sign.example


@pytest.mark.parametrize(("protocol", "text", "sign"), TEXTS, ids=[text[:60] for _, text, _ in TEXTS])
def test_every_text_of_the_field_has_its_sign(protocol: Protocol, text: str, sign: str) -> None:
    found = hits(None, protocol, text)
    assert found
    assert found[0].sign.id == sign


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.CANCELLED])
@pytest.mark.parametrize("protocol", Protocol)
def test_every_fault_has_a_sign(protocol: Protocol, fault: Fault) -> None:
    stages = [Stage.TCP, Stage.TLS, Stage.GREETING, Stage.AUTH]
    assert any(tuple(SIGNS.of_step(Step(stage, ok=False, fault=fault), protocol)) for stage in stages)


@pytest.mark.parametrize("stage", [Stage.DNS, Stage.TCP, Stage.TLS, Stage.GREETING, Stage.CAPABILITIES, Stage.AUTH])
def test_a_time_out_has_a_sign_at_every_stage(stage: Stage) -> None:
    for protocol in Protocol:
        assert tuple(SIGNS.of_step(Step(stage, ok=False, fault=Fault.TIMEOUT), protocol))


SURE = [
    s
    for s in SPOKEN
    if s.match.text and any(len(squash(t)) >= ENOUGH and squash(t) in squash(s.example) for t in s.match.text)
]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SURE), st.randoms(use_true_random=False))
def test_a_mangled_example_still_speaks(sign: Sign, chance: random.Random) -> None:
    """Wrapped in the middle of words, in another case, without its digits in front: still this sign's text."""
    words = re.sub(r"^[0-9]{3}[ -]([0-9]\.[0-9]{1,3}\.[0-9]{1,3} )?", "", sign.example)
    words = "".join(c + ("\n " if chance.random() < 0.05 else "") for c in words)
    words = words.upper() if chance.random() < 0.3 else words
    found = tuple(SIGNS.of_reply(Reply(sign.protocol, text=words), sign.protocol))
    assert sign.id in {hit.sign.id for hit in found}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(string.ascii_letters + " .,:;"), max_size=300).map("".join))
def test_random_text_speaks_none(text: str) -> None:
    assert tuple(SIGNS.of_reply(Reply(text=text))) == ()


EXO = ("service=exchange-online", "cloud=worldwide")
# protocol, reply, facts, day, the causes that come first, causes that must not be offered, verdict
RANKED = [
    (
        "smtp",
        "535 5.7.3 Authentication unsuccessful",
        ("credential=password",),
        "credentials.wrong",
        "oauth.",
        "narrowed",
    ),
    (
        "smtp",
        "535 5.7.3 Authentication unsuccessful",
        ("credential=oauth",),
        "oauth.token_user_mismatch",
        "credentials.",
        "narrowed",
    ),
    ("smtp", "535 5.7.3 Authentication unsuccessful", ("login.bare",), "credentials.username_not_upn", "-", "narrowed"),
    (
        "smtp",
        "535 5.7.3 Authentication unsuccessful",
        ("signin.error=53003",),
        "org.conditional_access",
        "-",
        "narrowed",
    ),
    (
        "smtp",
        AUTH + "the request did not meet the criteria to be authenticated successfully",
        ("signin.error=530035",),
        "org.security_defaults",
        "-",
        "narrowed",
    ),
    (
        "smtp",
        AUTH + "the request did not meet the criteria to be authenticated successfully",
        ("secret.shape=app_password",),
        "org.conditional_access",
        "-",
        "narrowed",
    ),
    (
        "smtp",
        AUTH + "SmtpClientAuthentication is disabled for the Tenant.",
        (),
        "org.smtp_auth_disabled",
        "service.",
        "narrowed",
    ),
    (
        "smtp",
        AUTH + "SmtpClientAuthentication is disabled for the Mailbox.",
        (),
        "mailbox.smtp_auth_disabled",
        "service.",
        "named",
    ),
    (
        "smtp",
        AUTH + "SmtpClientAuthentication is disabled for the Mailbox.",
        ("account.consumer",),
        "service.basic_auth_retired",
        "mailbox.",
        "named",
    ),
    (
        "smtp",
        AUTH + "user is locked by your organization's security defaults policy.",
        (),
        "org.security_defaults",
        "account.",
        "named",
    ),
    ("smtp", AUTH + "words of next year", (), "mailbox.smtp_auth_disabled", "oauth.", "narrowed"),
    (
        "smtp",
        AUTH + "basic authentication is disabled.",
        (*EXO, "credential=password"),
        "service.basic_auth_retired",
        "oauth.",
        "narrowed",
    ),
    ("smtp", "535 5.7.8 Error: authentication failed", ("service=other",), "credentials.wrong", "org.", "narrowed"),
    ("smtp", "535 go away", ("service=other",), "credentials.wrong", "org.", "narrowed"),
    ("imap", "a1 NO LOGIN failed.", EXO, "service.basic_auth_retired", "oauth.", "retired"),
    ("imap", "a1 NO LOGIN failed.", ("service=exchange-server",), "credentials.wrong", "service.", "narrowed"),
    ("imap", "a1 NO LOGIN failed.", ("service=other",), "credentials.wrong", "service.", "narrowed"),
    (
        "imap",
        "a1 NO AUTHENTICATE failed.",
        ("credential=oauth",),
        "oauth.missing_permission_or_scope",
        "credentials.",
        "narrowed",
    ),
    (
        "imap",
        "a1 NO AUTHENTICATE failed.",
        (*EXO, "credential=password"),
        "service.basic_auth_retired",
        "oauth.",
        "retired",
    ),
    (
        "imap",
        "a1 NO [AUTHENTICATIONFAILED] Authentication failed.",
        ("service=other",),
        "credentials.wrong",
        "service.",
        "narrowed",
    ),
    (
        "pop",
        "-ERR Logon failure: unknown user name or bad password.",
        EXO,
        "service.basic_auth_retired",
        "oauth.",
        "retired",
    ),
    (
        "pop",
        "-ERR Authentication failure: unknown user name or bad password.",
        ("credential=oauth",),
        "oauth.service_principal_not_registered",
        "credentials.",
        "narrowed",
    ),
]


# what means something else after the end of December 2026
TURNED = [
    AUTH + "basic authentication is disabled.",
    "550 5.7.30 Basic authentication is not supported for Client Submission.",
]


def judged(protocol: Protocol, text: str, facts: tuple[str, ...], as_of: str) -> Diagnosis:
    step = Step(Stage.AUTH, ok=False, reply=parse(protocol, text))
    attempt = Attempt(Target(protocol), (step,))
    return diagnose((attempt,), Account(), KNOWN, as_of, facts, SIGNS)[0]


@pytest.mark.parametrize(("protocol", "text", "facts", "first", "never", "verdict"), RANKED)
def test_what_comes_first(
    protocol: str, text: str, facts: tuple[str, ...], first: str, never: str, verdict: str
) -> None:
    found = judged(Protocol(protocol), text, facts, USUAL if text in TURNED else DAY)
    causes = [finding.cause for finding in found.findings]
    assert causes[0] == first
    assert not any(cause.startswith(never) for cause in causes)
    if verdict != "narrowed" or len(causes) > 1:
        assert found.verdict == verdict


@pytest.mark.parametrize("text", TURNED)
def test_the_end_of_december_2026_turns_the_default(text: str) -> None:
    facts = (*EXO, "credential=password")
    before, after = (judged(Protocol.SMTP, text, facts, day) for day in (USUAL, "2027-01-15"))
    assert before.findings[0].cause == "service.basic_auth_retired"
    assert after.findings[0].cause == "org.smtp_basic_auth_default_off"
    assert after.verdict == "off_by_default"


def test_an_app_password_that_smtp_took_is_not_wrong_for_imap() -> None:
    found = judged(Protocol.IMAP, "a1 NO LOGIN failed.", (*EXO, "smtp.password.accepted"), DAY)
    assert "credentials.wrong" not in [finding.cause for finding in found.findings]
    assert ("credentials.wrong", "smtp.password.accepted") in [(r.cause, r.by) for r in found.ruled_out]


def test_every_cause_that_a_server_can_state_has_a_spoken_sign() -> None:
    spoken = {meaning.cause for sign in KNOWN.signs.values() for meaning in sign.means if meaning.spoken}
    assert {c for c in CAUSES if c.split(".")[0] in ("account", "org", "mailbox", "sender", "credentials")} <= spoken


def test_notices_and_clouds_use_declared_facts_and_have_sources() -> None:
    for rule in KNOWN.notices.values():
        assert rule.given
        assert rule.source.startswith("https://")
        assert [fact for fact in (*rule.given, *rule.unless) if knowledge.declared(fact, KNOWN) is None] == []
    for cloud in KNOWN.clouds.values():
        assert cloud.sources
        assert {f"cloud={cloud.id}", f"service={cloud.service}"} <= set(KNOWN.facts)
        assert all(re.fullmatch(r"[a-z0-9.-]+:\d+/(starttls|implicit)", host) for host in cloud.hosts.values())
    for event in KNOWN.calendar.events:
        assert event.source.startswith("https://")
        assert set(event.clouds) <= set(KNOWN.clouds)


@pytest.mark.parametrize(
    ("host", "cloud"),
    [
        ("smtp.office365.com", "worldwide"),
        ("FR3P281CA0057.DEUP281.PROD.OUTLOOK.COM", "worldwide"),
        ("SI2PR01CA0042.apcprd01.prod.exchangelabs.com", "worldwide"),
        ("outlook.office365.us", "gcc-high"),
        ("outlook-dod.office365.us", "dod"),
        ("webmail.apps.mil", "dod"),
        ("SH2PR01CA039.CHNPR01.prod.partner.outlook.cn", "china"),
        ("smtp-mail.outlook.com", "consumer"),
        ("smtp-hve.office365.com", "hve"),
        ("smtp.hve.mx.microsoft", "hve"),
        ("smtp.gmail.com", None),
        ("notoutlook.com", None),
    ],
)
def test_a_host_shows_its_cloud(host: str, cloud: str | None) -> None:
    assert cloud_of(host, KNOWN) == cloud


@pytest.mark.parametrize("domain", ["outlook.com", "outlook.de", "hotmail.co.uk", "live.nl", "msn.com"])
def test_a_personal_domain_shows_the_consumer_cloud(domain: str) -> None:
    assert consumer_cloud(f"someone@{domain}", KNOWN) == "consumer"
    assert consumer_cloud(f"someone@{domain}.example.com", KNOWN) is None
    assert consumer_cloud("someone@live.contoso.com", KNOWN) is None
    assert consumer_cloud("someone@contoso.com", KNOWN) is None


def test_declared_knows_placeholders_and_open_values() -> None:
    assert knowledge.declared("no.such.fact", KNOWN) is None
    assert knowledge.declared("signin.error=53003", KNOWN)
    assert knowledge.declared("imap.capabilities.auth.xoauth2", KNOWN)
    assert all("{" not in name and "{" not in meaning for name, meaning in KNOWN.facts.items())
