"""The handbook's pages: complete, sourced, readable, and none of their advice is dead, swapped or dangerous."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mailwhy import pages
from mailwhy.knowledge import guides, handbook, load
from mailwhy.model import Account, Action, Cause, Place, Protocol, Target, Tls
from mailwhy.report import page
from mailwhy.report.powershell import fill, quoted, shell_quoted
from mailwhy.targets import of_cloud

# the one list of ids; a page more or less is a decision, not an accident
IDS = [
    "credentials.wrong",
    "credentials.account_password_under_mfa",
    "credentials.app_password_not_honoured",
    "credentials.username_not_upn",
    "account.locked",
    "account.malicious_ip_block",
    "account.sign_in_blocked",
    "account.password_expired",
    "account.unlicensed_or_no_mailbox",
    "account.federation_unreachable",
    "org.security_defaults",
    "org.conditional_access",
    "org.auth_policy_blocks_basic",
    "org.smtp_auth_disabled",
    "org.smtp_basic_auth_default_off",
    "mailbox.smtp_auth_disabled",
    "mailbox.imap_disabled",
    "mailbox.pop_disabled",
    "service.basic_auth_retired",
    "service.oauth_flow_not_supported",
    "service.throttled",
    "service.transient",
    "client.no_auth_attempted",
    "client.unsupported_mechanism",
    "client.starttls_required",
    "client.tls_too_old",
    "client.wrong_port_or_tls_mode",
    "client.wrong_host",
    "client.protocol_error",
    "client.ca_store_missing",
    "sender.send_as_denied",
    "sender.restricted_outbound_spam",
    "relay.not_permitted",
    "relay.client_ip_blocklisted",
    "network.dns",
    "network.port_blocked",
    "network.tls_interception",
    "network.smtp_redirected",
    "oauth.missing_permission_or_scope",
    "oauth.service_principal_not_registered",
    "oauth.token_invalid_or_expired",
    "oauth.token_user_mismatch",
    "oauth.client_registration_wrong",
    "oauth.mfa_or_consent_required",
]
GUIDES = ["app-password-made-but-refused", "app-password-missing"]
ALIASES = {
    "credentials.password_expired_or_must_change": "account.password_expired",
    "client.ca_bundle_missing": "client.ca_store_missing",
    "sender.ip_blocked": "relay.client_ip_blocklisted",
    "network.smtp_redirected_by_host": "network.smtp_redirected",
}
OWNERS = {"you", "device owner", "tenant admin", "network admin", "Microsoft", "nobody"}
PAGES = handbook()
each_page = pytest.mark.parametrize("cause", PAGES.values(), ids=list(PAGES))


def actions(cause: Cause) -> Iterator[Action]:
    yield from (*cause.check, *cause.fix, *cause.undo)


def texts(cause: Cause) -> list[str]:
    """Everything a page says, but for its links and `conflict`, which reports what others claim."""
    said = [cause.title, cause.why, cause.tonight, cause.delay, cause.role, *cause.baseline]
    return said + [text for a in actions(cause) for text in (a.where, a.text, a.run, a.expect)]


def words(cause: Cause) -> str:
    return " ".join(texts(cause))


def commands() -> list[tuple[str, str]]:
    return [(cause.id, action.run) for cause in PAGES.values() for action in actions(cause) if action.run]


def test_there_is_a_page_for_every_id_and_nothing_else() -> None:
    assert sorted(load().causes) == sorted(IDS)
    assert sorted(guides()) == GUIDES


@pytest.mark.parametrize(("alias", "cause"), ALIASES.items())
def test_older_spellings_lead_to_the_page(alias: str, cause: str) -> None:
    found = load().cause(alias)
    assert found is not None
    assert found.id == cause


def test_no_two_pages_share_a_name() -> None:
    names = [name.casefold() for cause in PAGES.values() for name in (cause.id, *cause.aliases)]
    assert len(names) == len(set(names))


@each_page
def test_a_page_says_who_why_how_and_from_where(cause: Cause) -> None:
    assert cause.owner in OWNERS
    assert cause.owner in page.NEEDS
    assert cause.why
    assert cause.tonight
    assert cause.delay
    assert cause.role
    assert cause.check
    assert cause.fix
    assert cause.undo
    assert cause.links
    for link in cause.links:
        assert re.fullmatch(r"https://[a-z0-9.-]+\.[a-z]+(/\S*)?", link), link
    assert len(set(cause.links)) == len(cause.links)


@each_page
def test_an_action_tells_what_to_do_and_a_check_what_it_shows(cause: Cause) -> None:
    for action in actions(cause):
        assert action.text or action.run
        assert action.where or action in cause.undo
    for check in cause.check:
        assert check.expect, check


@each_page
def test_a_page_can_be_read_at_six_in_the_evening(cause: Cause) -> None:
    assert len(cause.title) <= 75
    assert not cause.title.endswith(".")
    assert len(cause.tonight) <= 170
    assert 80 <= len(cause.why) <= 560
    for text in (cause.delay, cause.role, cause.conflict, *cause.baseline):
        assert len(text) <= 420
    for action in actions(cause):
        assert len(action.text) <= 340, action.text
        assert len(action.expect) <= 260, action.expect
        assert len(action.run) <= 130, action.run
    for sentence in re.split(r"(?<=[.!?]) ", f"{cause.why} {cause.tonight}"):
        assert len(sentence.split()) <= 42, sentence


@each_page
def test_texts_are_one_paragraph_of_plain_characters(cause: Cause) -> None:
    for said in (*texts(cause), cause.conflict):
        assert said == " ".join(said.split())
        assert said.isascii()


# --- what must never be advised -------------------------------------------------------------------------------------

DANGEROUS = {
    "dead modules": r"-(Msol|AzureAD)\w*|Connect-(Msol|AzureAD)",
    "Basic PowerShell sessions": r"New-PSSession|Import-PSSession|-Authentication\s+Basic",
    "the retired diagnostic": r"Diag:\s*Enable Basic Auth",
    "no switch brings IMAP and POP passwords back": r"AllowBasicAuth(Imap|Pop)",
    "old TLS is no cure": r"AllowLegacyTLSClients",
    "switching MFA off": r"(disable|turn off|switch off|remove|deactivate)\s+(the\s+|per-user\s+)?MFA",
    "switching certificate checks off": r"(?<!never )(?<!do not )(disable|turn off|switch off)\s+certificate",
    "a default or shared policy": r"Set-OrganizationConfig|Set-AuthenticationPolicy",
    "the organization's switch": r"Set-TransportConfig",
    "mail of strangers without sign-in": r"RejectDirectSend\s+\$false",
    "a password as an argument": r"--password[ =]",
    "commands that ask nobody": r"-Confirm:\$false|-Force\b",
}


@each_page
@pytest.mark.parametrize("why", DANGEROUS)
def test_dangerous_advice_is_not_given(cause: Cause, why: str) -> None:
    assert not re.search(DANGEROUS[why], words(cause), re.IGNORECASE)


@pytest.mark.parametrize(
    "advice",
    [
        "Connect-MsolService",
        "Get-AzureADUser",
        "Set-TransportConfig -SmtpClientAuthenticationDisabled $false",
        "Set-AuthenticationPolicy -Identity Default -AllowBasicAuthSmtp",
        "New-AuthenticationPolicy -Name x -AllowBasicAuthImap",
        "Disable MFA for the user",
        "turn off per-user MFA afterwards",
        "Switch off certificate checks",
    ],
)
def test_the_patterns_find_what_they_are_for(advice: str) -> None:
    assert any(re.search(pattern, advice, re.IGNORECASE) for pattern in DANGEROUS.values())


@each_page
def test_work_accounts_are_never_sent_to_the_personal_account_site(cause: Cause) -> None:
    assert "account.microsoft.com" not in words(cause) + " ".join(cause.links)


@each_page
def test_an_exclusion_from_conditional_access_comes_with_a_policy_that_limits_the_place(cause: Cause) -> None:
    for action in actions(cause):
        if re.search(r"\bexclu(de|sion)", action.text, re.IGNORECASE) and "policy" in action.text.lower():
            if action in cause.undo:
                continue
            assert re.search(r"(companion|second) policy", action.text), action.text
            assert "named location" in action.text, action.text


def test_turning_security_defaults_off_is_the_last_fix_and_only_after_conditional_access() -> None:
    fixes = PAGES["org.security_defaults"].fix
    off = [n for n, fix in enumerate(fixes) if re.search(r"turn Security Defaults off", fix.text)]
    assert off == [len(fixes) - 1]
    assert off != [0]
    assert "OAuth" in fixes[0].text
    assert fixes[-1].text.index("Conditional Access") < fixes[-1].text.index("turn Security Defaults off")
    assert "Entra ID P1" in fixes[-1].text
    for cause in PAGES.values():
        if cause.id != "org.security_defaults":
            assert not any("Security Defaults off" in f.text for f in cause.fix), cause.id


def test_disabled_for_the_tenant_is_mended_at_the_one_mailbox() -> None:
    cause = PAGES["org.smtp_auth_disabled"]
    runs = [fix.run for fix in cause.fix if fix.run]
    assert runs == ["Set-CASMailbox -Identity {mailbox} -SmtpClientAuthenticationDisabled $false"]
    assert "MS.EXO.5.1v1" in cause.baseline[0]
    assert "ScubaGear issue 915" in cause.conflict


def test_the_december_default_names_no_command_to_undo_it() -> None:
    cause = PAGES["org.smtp_basic_auth_default_off"]
    assert [fix.run for fix in cause.fix if fix.run] == []
    assert any("not published" in fix.text for fix in cause.fix)


def test_the_locked_account_begins_with_the_device_that_retries() -> None:
    assert "retries" in PAGES["account.locked"].fix[0].text
    assert "new password does not help" in PAGES["account.locked"].why


def test_not_a_lock_out_and_no_new_app_password_under_security_defaults() -> None:
    why = PAGES["org.security_defaults"].why
    assert "not a lock-out" in why
    assert "another app password, will not help" in why


@pytest.mark.parametrize("name", ["credentials.username_not_upn", "oauth.token_user_mismatch"])
def test_a_shared_mailbox_is_opened_by_its_delegate(name: str) -> None:
    shared = [fix.text for fix in PAGES[name].fix if "hared" in fix.text]
    assert shared
    assert "delegate" in shared[0]
    assert "Never enable the shared account's own sign-in" in shared[0]


# --- commands -------------------------------------------------------------------------------------------------------

# From the Exchange PowerShell reference (github.com/MicrosoftDocs/office-docs-powershell) and the pages named beside
# each; a parameter that is not here was not looked up.
ALLOWED: dict[str, set[str]] = {
    "Get-TransportConfig": set(),  # Enable or disable SMTP AUTH
    "Get-CASMailbox": {"Identity", "ProtocolSettings"},
    "Set-CASMailbox": {"Identity", "SmtpClientAuthenticationDisabled", "ImapEnabled", "PopEnabled"},
    "Get-OrganizationConfig": set(),  # Disable Basic authentication; Direct Send
    "Get-AuthenticationPolicy": set(),  # Disable Basic authentication
    "New-AuthenticationPolicy": {"Name", "AllowBasicAuthSmtp"},
    "Get-Mailbox": {"Identity"},  # finds by any address of the mailbox; Get-User and Set-User want the sign-in name
    "Get-User": {"Identity"},
    "Set-User": {"Identity", "AuthenticationPolicy", "StsRefreshTokensValidFrom"},
    "Get-ServicePrincipal": set(),  # Authenticate an IMAP, POP or SMTP application by using OAuth
    "New-ServicePrincipal": {"AppId", "ObjectId"},
    "Get-MailboxPermission": {"Identity"},
    "Add-MailboxPermission": {"Identity", "User", "AccessRights"},
    "Add-RecipientPermission": {"Identity", "Trustee", "AccessRights"},
    "Format-List": set(),
    "Test-NetConnection": {"ComputerName", "Port"},  # Windows
}
PROPERTIES = {
    "SmtpClientAuthenticationDisabled",
    "ImapEnabled",
    "PopEnabled",
    "PrimarySmtpAddress",
    "AuthenticationPolicy",
    "DefaultAuthenticationPolicy",
    "AllowBasicAuthSmtp",
    "Name",
    "UserPrincipalName",
    "RecipientTypeDetails",
    "RejectDirectSend",
    "AppId",
    "ObjectId",
    "DisplayName",
    "*Settings*",
}
OTHER = re.compile(
    r"mailwhy check \{login\}( --only smtp)?( --ipv4)?"
    r"|openssl s_client -connect \{host\}:\{port\}\{starttls\}( -servername \{host\})?( -tls1_2)?"
    r"|nslookup \{host\}"
    r"|GET https://graph\.microsoft\.com/(v1\.0|beta)/\S+"
)


@pytest.mark.parametrize(("name", "run"), commands())
def test_a_command_exists_with_its_parameters(name: str, run: str) -> None:
    if OTHER.fullmatch(run):
        return
    for part in run.split(" | "):
        cmdlet = part.split()[0]
        assert cmdlet in ALLOWED, f"{name}: {cmdlet} was not looked up"
        parameters = set(re.findall(r"(?<=\s)-([A-Za-z]+)", re.sub(r"'[^']*'", "''", part)))
        assert parameters <= ALLOWED[cmdlet], f"{name}: {parameters - ALLOWED[cmdlet]} was not looked up"
        if cmdlet == "Format-List":
            assert set(part.split()[1].split(",")) <= PROPERTIES


@pytest.mark.parametrize(("name", "run"), commands())
def test_placeholders_are_those_that_reports_fill(name: str, run: str) -> None:
    assert set(re.findall(r"\{(\w*)\}", run)) <= {"mailbox", "login", "sender", "host", "port", "starttls"}, name
    assert "'{" not in run, "quoting is the report's work"


# what switches something on, and what switches it off: `Disabled $false` enables
ON = {
    "-SmtpClientAuthenticationDisabled $false",
    "-ImapEnabled $true",
    "-PopEnabled $true",
    "-AllowBasicAuthSmtp",
    "-AuthenticationPolicy 'SMTP password for one account'",
}
OFF = {
    "-SmtpClientAuthenticationDisabled $true",
    "-SmtpClientAuthenticationDisabled $null",
    "-ImapEnabled $false",
    "-PopEnabled $false",
    "-AuthenticationPolicy $null",
}
SWITCH = re.compile(
    r"(?<= )-(?:\w*Disabled|\w*Enabled|AllowBasicAuth\w+|AuthenticationPolicy)\b(?: (?:\$\w+|'[^']*'))?"
)


@each_page
def test_fixes_open_and_undoing_closes(cause: Cause) -> None:
    for action in cause.fix:
        assert set(SWITCH.findall(action.run)) <= ON, action.run
    for action in cause.undo:
        assert set(SWITCH.findall(action.run)) <= OFF, action.run
    for action in cause.check:
        assert action.run.startswith(("Get-", "GET ", "Test-", "mailwhy ", "openssl ", "nslookup ")) or not action.run


@each_page
def test_a_fix_with_a_switch_can_be_undone(cause: Cause) -> None:
    switched = {found.split()[0] for fix in cause.fix for found in SWITCH.findall(fix.run)} - {"-AllowBasicAuthSmtp"}
    assert switched <= {found.split()[0] for undo in cause.undo for found in SWITCH.findall(undo.run)}


PLACES = pages.TENANT_PLACES | {
    pages.PERSONAL_PLACE,
    "a browser",
    "a terminal",
    "the device",
    "the federation server",
    "the network",
    "the program",
    "the program's log",
    "the server's reply",
    "Windows PowerShell",
    "you",
}


@each_page
def test_places_are_known_so_that_reports_can_leave_out_what_does_not_fit(cause: Cause) -> None:
    assert {action.where for action in actions(cause)} - {""} <= PLACES
    for action in actions(cause):
        if re.match(r"(Get|Set|New|Add)-", action.run):
            assert action.where == "Exchange Online PowerShell"


@pytest.mark.parametrize("fact", ["account.consumer", "service=outlook-com"])
@pytest.mark.parametrize("name", ["mailbox.imap_disabled", "service.basic_auth_retired", "credentials.wrong"])
def test_without_a_tenant_no_tenants_portal_and_no_powershell(name: str, fact: str) -> None:
    kept = pages.suited(PAGES[name], pages.place_of(frozenset({fact}))).fix
    shown = " ".join(page.steps(kept, 80))
    assert shown
    assert not re.search("PowerShell:|admin center:|Set-", shown)


ANY_SERVER = sorted({m.cause for s in load().signs.values() if s.family == "any" for m in s.means})


@pytest.mark.parametrize("fact", ["service=other", "service=exchange-server"])
@pytest.mark.parametrize("name", ANY_SERVER)
def test_another_providers_server_gets_no_advice_about_microsofts(name: str, fact: str) -> None:
    if fact in PAGES[name].unless:
        return
    kept = pages.suited(PAGES[name], pages.place_of(frozenset({fact})))
    shown = " ".join([kept.title, kept.why, kept.tonight, kept.role, *page.steps((*kept.check, *kept.fix), 80)])
    assert not re.search(r"Online PowerShell|admin center|(Get|Set)-CASMailbox|Security Defaults|tenant", shown)
    if name.partition(".")[0] in ("credentials", "account", "service"):
        assert "Microsoft" not in shown


def test_in_a_tenant_no_settings_of_personal_accounts() -> None:
    fixes = PAGES["mailbox.imap_disabled"].fix
    kept = pages.suited(PAGES["mailbox.imap_disabled"], Place.TENANT).fix
    assert [fix for fix in fixes if fix not in kept] == [fixes[-1]]
    assert pages.suited(PAGES["mailbox.imap_disabled"], Place.UNKNOWN).fix == fixes


# --- the server in the commands -------------------------------------------------------------------------------------

OWN = Target(Protocol.IMAP, "mail.contoso.com", 993, Tls.IMPLICIT)


@pytest.mark.parametrize(
    ("target", "place", "command"),
    [
        (OWN, Place.UNKNOWN, "openssl s_client -connect mail.contoso.com:993 -tls1_2"),
        (
            replace(OWN, port=143, tls=Tls.STARTTLS),
            Place.ELSEWHERE,
            "openssl s_client -connect mail.contoso.com:143 -starttls imap -tls1_2",
        ),
        (
            Target(Protocol.POP, "::1", 110, Tls.STARTTLS),
            Place.TENANT,
            "openssl s_client -connect [::1]:110 -starttls pop3 -tls1_2",
        ),
        (None, Place.UNKNOWN, "openssl s_client -connect smtp.office365.com:587 -starttls smtp -tls1_2"),
        (Target(Protocol.POP), Place.TENANT, "openssl s_client -connect outlook.office365.com:995 -tls1_2"),
        (Target(Protocol.POP), Place.ELSEWHERE, "openssl s_client -connect <host>:995 -tls1_2"),
        (replace(OWN, host="a;reboot"), Place.UNKNOWN, "openssl s_client -connect <host>:993 -tls1_2"),
        (replace(OWN, host="-config"), Place.UNKNOWN, "openssl s_client -connect <host>:993 -tls1_2"),
    ],
)
def test_commands_ask_the_server_that_was_asked(target: Target | None, place: Place, command: str) -> None:
    assert pages.located(PAGES["client.tls_too_old"], target, place).check[0].run == command


def test_brackets_stand_where_a_port_follows_and_nowhere_else() -> None:
    cause = pages.located(PAGES["network.port_blocked"], Target(Protocol.SMTP, "::1", 587, Tls.STARTTLS))
    assert {
        "Test-NetConnection -ComputerName ::1 -Port 587",
        "openssl s_client -connect [::1]:587 -starttls smtp",
    } <= {action.run for action in cause.check}


def test_the_usual_servers_are_those_of_the_worldwide_cloud() -> None:
    assert tuple(pages.USUAL.values()) == of_cloud(load().clouds["worldwide"])


@each_page
def test_no_placeholder_of_the_server_is_left(cause: Cause) -> None:
    shown = page.text(cause) + page.markdown(cause)
    assert not re.search(r"\{(host|port|starttls)", shown)


# --- for machines ---------------------------------------------------------------------------------------------------

# the settings that the look-alike tenant knows, and the value that opens
OPENS: dict[str, object] = {
    "org.security_defaults": False,
    "org.conditional_access": (),
    "org.authentication_policies": {"SMTP password for one account": {"allow_basic_auth_smtp": True}},
    "org.smtp_basic_auth_kept_on": True,
    "org.blocked_addresses": (),
    "mailbox.smtp_client_authentication_disabled": False,
    "mailbox.imap_enabled": True,
    "mailbox.pop_enabled": True,
    "mailbox.licensed": True,
    "mailbox.restricted": False,
    "user.authentication_policy": "SMTP password for one account",
    "user.blocked": False,
    "user.locked": False,
    "user.password_expired": False,
    "user.must_change_password": False,
    "user.federation_unreachable": False,
    "user.mfa": "enforced",
}
MENDED_IN_THE_TENANT = {
    "org.security_defaults",
    "org.conditional_access",
    "org.auth_policy_blocks_basic",
    "org.smtp_auth_disabled",
    "org.smtp_basic_auth_default_off",
    "mailbox.smtp_auth_disabled",
    "mailbox.imap_disabled",
    "mailbox.pop_disabled",
    "account.locked",
    "account.malicious_ip_block",
    "account.sign_in_blocked",
    "account.password_expired",
    "account.unlicensed_or_no_mailbox",
    "account.federation_unreachable",
    "credentials.app_password_not_honoured",
    "sender.restricted_outbound_spam",
}


def test_causes_that_a_setting_mends_say_which() -> None:
    assert {name for name, cause in PAGES.items() if cause.opens} == MENDED_IN_THE_TENANT


@each_page
def test_settings_are_known_and_open(cause: Cause) -> None:
    for key, value in cause.opens.items():
        assert key in OPENS
        expected = OPENS[key]
        assert (tuple(value) if isinstance(value, list) else value) == expected


def test_only_waiting_helps_against_throttling_and_faults() -> None:
    assert {name for name, cause in PAGES.items() if cause.transient} == {"service.throttled", "service.transient"}


TENANT_ONLY = [name for name in PAGES if name.startswith("org.") or name == "mailbox.smtp_auth_disabled"]


@pytest.mark.parametrize("name", TENANT_ONLY)
@pytest.mark.parametrize(
    "fact", ["service=other", "service=exchange-server", "service=outlook-com", "account.consumer"]
)
def test_tenant_causes_end_where_there_is_no_tenant(name: str, fact: str) -> None:
    assert fact in PAGES[name].unless


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("oauth.")])
def test_token_causes_need_a_token(name: str) -> None:
    assert "credential=password" in PAGES[name].unless


@pytest.mark.parametrize("name", ["mailbox.smtp_auth_disabled", "org.smtp_auth_disabled"])
def test_the_smtp_switch_stops_tokens_too_and_not_high_volume_email(name: str) -> None:
    assert "credential=oauth" not in PAGES[name].unless
    assert "service=hve" in PAGES[name].unless


@pytest.mark.parametrize(("name", "own"), [("mailbox.imap_disabled", "imap"), ("mailbox.pop_disabled", "pop")])
def test_protocol_switches_concern_their_protocol(name: str, own: str) -> None:
    others = {f"protocol={each}" for each in ("smtp", "imap", "pop") if each != own}
    assert {fact for fact in PAGES[name].unless if fact.startswith("protocol=")} == others


# --- values in commands ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("anna@contoso.com", "'anna@contoso.com'"),
        ("o'neill@contoso.com", "'o''neill@contoso.com'"),
        ("$(calc)@contoso.com", "'$(calc)@contoso.com'"),
        ("a\u2019; calc; \u2019@contoso.com", "'a\u2019\u2019; calc; \u2019\u2019@contoso.com'"),
    ],
)
def test_a_value_stays_a_value_in_powershell(value: str, expected: str) -> None:
    assert quoted(value) == expected


@pytest.mark.parametrize("value", ["a\nb@contoso.com", "a\x1b[2J@contoso.com", "a\u202eb@contoso.com", "a\u2028b"])
def test_what_breaks_or_turns_a_line_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"U\+"):
        quoted(value)
    with pytest.raises(ValueError, match=r"U\+"):
        shell_quoted(value)


def test_an_unknown_address_cannot_run_by_mistake() -> None:
    assert fill("Get-User -Identity {mailbox}", Account()) == "Get-User -Identity <mailbox>"


def test_the_mailbox_defaults_to_the_login_and_braces_of_powershell_stay() -> None:
    filled = fill("Get-User {mailbox} | Where-Object { $_.Name }", Account(login="a@contoso.com"))
    assert filled == "Get-User 'a@contoso.com' | Where-Object { $_.Name }"


def test_a_filled_value_is_not_filled_again() -> None:
    assert fill("{login} {sender}", Account(login="{sender}", sender="s@x.test")) == "'{sender}' 's@x.test'"
