"""What reports that nobody had seen before taught: cut, escaped, prefixed and reworded, and who is not to be blamed."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest

from mailwhy import run
from mailwhy.knowledge import load
from mailwhy.model import Kind, Outcome, Protocol, Verdict
from mailwhy.report import Options, render

AS_OF = "2026-11-22"
AUTH = "535 5.7.139 Authentication unsuccessful"
CRITERIA = (
    f"{AUTH}, the request did not meet the criteria to be authenticated successfully. Contact your administrator."
)
DEFAULTS = f"{AUTH}, user is locked by your organization's security defaults policy. Contact your administrator."
BASIC = f"{AUTH}, basic authentication is disabled."


def explain(text: str, protocol: Protocol | None = Protocol.SMTP, kind: Kind | None = None) -> Outcome:
    return run.explain(text, protocol=protocol, kind=kind, as_of=AS_OF)


def first(text: str, protocol: Protocol | None = Protocol.SMTP) -> str:
    return explain(text, protocol).findings[0].cause


def shown(outcome: Outcome) -> str:
    return render(outcome, load(), "human", Options(width=100))


# -- what a paste loses


@pytest.mark.parametrize("words", [45, 60, 75])
def test_a_sentence_that_is_cut_says_what_it_began_to_say(words: int) -> None:
    assert first(DEFAULTS[: len(AUTH) + words]) == "org.security_defaults"


def test_two_sentences_that_begin_alike_are_not_guessed_from_their_beginning() -> None:
    signs = {explain(f"{AUTH}, SmtpClientAuthentication is disabled for the").diagnoses[0].sign}
    assert not signs & {"smtp-535-5.7.139-tenant", "smtp-535-5.7.139-mailbox"}


def test_a_sentence_that_ends_is_not_cut() -> None:
    outcome = explain("-ERR [SYS/TEMP] Temporary authentication failure.", Protocol.POP)
    assert outcome.diagnoses[0].sign == "pop-sys-temp-code"


@pytest.mark.parametrize("rest", ["", "p", "prod", "prod.out", "prod.outlook.c"])
def test_a_front_end_whose_name_is_cut_is_still_microsofts(rest: str) -> None:
    outcome = explain(f"{DEFAULTS} [CH2PR19CA0002.namprd19.{rest}")
    assert outcome.findings[0].cause == "org.security_defaults"


def test_another_exchange_is_still_another() -> None:
    outcome = explain(f"{DEFAULTS} [mail.contoso.test 2026-08-28T19:45:50.437Z 08DF04C6D9A404E7]")
    assert "service=exchange-server" in outcome.diagnoses[0].facts


@pytest.mark.parametrize("prefix", ["web-1  | ", "mail | ", "2026-11-22T09:14:31.123456789Z stderr F "])
def test_the_prefixes_of_containers_are_taken_off(prefix: str) -> None:
    wrapped = CRITERIA.replace("the request", "the\nrequest").replace("criteria to", "criteria\nto")
    outcome = explain("\n".join(prefix + line for line in wrapped.split("\n")))
    assert outcome.diagnoses[0].sign == "smtp-535-5.7.139-criteria"


@pytest.mark.parametrize("spell", [quote, quote_plus])
@pytest.mark.parametrize("before", ["Error: ", "(", '"', "said: "])
def test_a_reply_in_an_address_needs_no_blank_before_it(spell: object, before: str) -> None:
    assert callable(spell)
    assert first(f"https://app.example/settings?error={spell(before + DEFAULTS)}&back=1") == "org.security_defaults"


def test_a_page_inside_a_page_is_unescaped() -> None:
    assert first(DEFAULTS.replace("'", "&amp;#x27;")) == "org.security_defaults"


@pytest.mark.parametrize("blank", ["\u00a0", "\u202f", "\u3000", "\n"])
def test_short_words_are_found_whatever_blank_is_between_them(blank: str) -> None:
    found = explain(f"Error logging into IMAP Server: LOGIN{blank}failed", Protocol.IMAP)
    assert found.diagnoses[0].sign == "imap-login-failed"


def test_a_wrapped_reply_behind_the_password_prompt_is_no_secret() -> None:
    text = f'error: "334 VXNlcm5hbWU6 334 UGFzc3dvcmQ6\n{BASIC.replace("basic ", "basic" + chr(10))}"'
    outcome = explain(text)
    assert outcome.diagnoses[0].sign == "smtp-535-5.7.139-basic-disabled"
    assert "***" not in shown(outcome)


def test_a_secret_behind_the_password_prompt_is_still_hidden() -> None:
    outcome = explain(f"334 UGFzc3dvcmQ6\nC: Y2FuYXJ5LXNlY3JldA==\n{BASIC}")
    assert "Y2FuYXJ5" not in str(outcome)


# -- replies without the usual words around them


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("send: someone@example.test: 535 Authentication failed: No such account.", "credentials.wrong"),
        ("could not send email 1: 501 mail from address must be same as authorization user", "sender.send_as_denied"),
        ("ir_mail_server: (553, 'Relaying disallowed')", "sender.send_as_denied"),
        ("534-5.7.9 Application-Specific Password Required", "credentials.account_password_under_mfa"),
        ("response: '502 Command not implemented', responseCode: 502, command: 'AUTH PLAIN'", "client.protocol_error"),
    ],
)
def test_a_bare_status_behind_a_colon_is_a_reply(text: str, cause: str) -> None:
    assert first(text) == cause


@pytest.mark.parametrize(
    "text", ["sent today: 550 mails", "queue: 501 messages, sender ok", "total: 554 recipients of mail"]
)
def test_a_number_of_things_is_no_reply(text: str) -> None:
    assert explain(text).verdict is Verdict.NO_REPLY


def test_the_reply_that_says_most_is_shown() -> None:
    text = "451 ErrorInProcessing. System.Exception: 4.7.500 Access denied, please try again later."
    assert "\n4.7.500 Access denied, please try again later." in shown(explain(text))


# -- whose words they are


def test_words_of_another_protocol_do_not_speak_against_the_hint() -> None:
    outcome = explain("MailKit.Security.AuthenticationException: Authentication failed.")
    assert outcome.verdict is Verdict.NO_REPLY
    assert any("ProtocolLogger" in notice.text for notice in outcome.notices)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("smtplib.SMTPServerDisconnected: Connection unexpectedly closed", "closed without an answer"),
        ("connect ETIMEDOUT 192.0.2.1:587", "SMTP not reached"),
        ("An existing connection was forcibly closed by the remote host.", "cut off without an answer"),
        ("tls: first record does not look like a TLS handshake", "SMTP failed"),
    ],
)
def test_a_programs_own_words_are_no_refusal(text: str, words: str) -> None:
    page = shown(explain(text))
    assert words in page
    assert "refused" not in page.partition("Why")[0]
    assert "The program said:" in page


def test_a_closed_connection_blames_microsoft_only_where_microsoft_answered() -> None:
    assert first("Connection unexpectedly closed") != "service.transient"
    assert first("smtp.office365.com:587: Connection unexpectedly closed") == "service.transient"


def test_the_reason_behind_a_closed_connection_counts() -> None:
    text = "SMTPServerDisconnected: Connection unexpectedly closed: [SSL: WRONG_VERSION_NUMBER] wrong version number"
    assert first(text) == "client.wrong_port_or_tls_mode"


def test_only_the_listed_causes_are_counted() -> None:
    page = shown(explain("535 5.7.3 Authentication unsuccessful"))
    assert "Causes: 1-4 below, " in page
    assert "more with -v." in page


# -- what else the text tells


def test_exims_words_accuse_the_network_only_where_microsofts_host_was_dialled() -> None:
    refusal = "535 Incorrect authentication data"
    assert first(refusal) == "credentials.wrong"
    assert first(f"connecting to smtp.office365.com:587\n{refusal}") == "network.smtp_redirected"


def test_a_strangers_certificate_for_microsofts_name_is_a_redirection() -> None:
    text = "Peer certificate CN=`*.hoster.test' did not match expected CN=`smtp.office365.com'"
    assert first(text) == "network.smtp_redirected"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("auth [XOAUTH2]: ", Kind.OAUTH),
        ("'authentication' => \"oauth\"\n", Kind.OAUTH),
        ("'grant_type' => 'client_credentials'\n", Kind.OAUTH),
        ("scope=https://outlook.office.com/IMAP.AccessAsUser.All\n", Kind.OAUTH),
        ('A1 LOGIN "jim@contoso.test" "<password>"\n', Kind.PASSWORD),
        ("* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2\nA1 OK LOGIN completed.\n", Kind.PASSWORD),
        ("* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2\nA1 AUTHENTICATE XOAUTH2 <token>\n", Kind.OAUTH),
        ("* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2\n", None),
        ("Basic authentication is being retired, please use OAuth.\n", None),
    ],
)
def test_settings_and_commands_tell_what_signed_in(said: str, kind: Kind | None) -> None:
    outcome = explain(f"{said}A2 BAD User is authenticated but not connected.", Protocol.IMAP)
    assert outcome.diagnoses[0].attempt.kind is kind


# -- who is spoken of


@pytest.mark.parametrize(
    "text",
    [
        "connecting to mail.contoso.test:143\na1 NO LOGIN failed.",
        "imap://localhost:1143\na1 NO LOGIN failed.",
        "[127.0.0.1:993] a1 NO LOGIN failed.",
    ],
)
def test_microsoft_is_not_named_first_where_another_server_was_dialled(text: str) -> None:
    assert first(text, Protocol.IMAP) == "credentials.wrong"


@pytest.mark.parametrize(
    "text",
    [
        "a1 NO LOGIN failed.",
        "Host1 imap.contoso.test:993\nHost2 outlook.office365.com:993\na1 NO LOGIN failed.",
        "DavMail at localhost:1143, Exchange Online behind it\na1 NO LOGIN failed.",
        '127.0.0.1 - - "POST /mail HTTP/1.1" 500\na1 NO LOGIN failed.',
    ],
)
def test_a_refusal_stays_microsofts_where_its_name_stands_or_no_server_does(text: str) -> None:
    assert first(text, Protocol.IMAP) == "service.basic_auth_retired"


def test_only_microsofts_unknown_replies_are_looked_up_in_its_sign_in_log() -> None:
    other, ours = (
        shown(explain(f"connecting to {host}:587\n550 5.6.9 mailbox zorked, access denied"))
        for host in ("mail.contoso.test", "smtp.office365.com")
    )
    assert "in its own log" in other
    assert "sign-in log" not in other.partition("\n\n")[0]
    assert "sign-in log" in ours.partition("\n\n")[0]


def test_a_time_without_a_year_is_shown_as_the_log_wrote_it() -> None:
    told = shown(explain(f"Dec 28 12:41:01 host app[7]: {DEFAULTS}"))
    assert "first Dec 28 12:41:01" in told
    assert "--12-28" not in told


# -- words that were translated, and words of what stands in between


def test_a_translated_sentence_is_not_read_as_a_wrong_password() -> None:
    outcome = explain("535 5.7.139 Autenticação malsucedida, a solicitação não atendeu aos critérios")
    assert outcome.findings[0].cause != "credentials.wrong"
    assert outcome.diagnoses[0].password == "not_told"
    assert {"org.conditional_access", "org.security_defaults", "credentials.wrong"} <= {
        finding.cause for finding in outcome.findings
    }


def test_a_password_that_was_sent_as_a_token_is_the_programs_mistake() -> None:
    text = "AUTH XOAUTH2 failed 535 5.7.3 Authentication unsuccessful"
    assert explain(text, kind=Kind.PASSWORD).findings[0].cause == "client.unsupported_mechanism"
    assert explain(text, kind=Kind.OAUTH).findings[0].cause.startswith("oauth.")


def test_what_a_proxy_on_the_way_says_is_not_microsofts_refusal() -> None:
    said = "A1 NO AUTHENTICATE Email OAuth 2.0 Proxy: Login failed for account a@b.test - please check your internet connection and retry"
    outcome = explain(f"outlook.office365.com:993 {said}\n* BYE Autologout; authentication failed", Protocol.IMAP)
    assert outcome.findings[0].cause.startswith("network.")


def test_words_for_a_refusal_mean_tokens_where_a_token_was_used() -> None:
    outcome = explain("cannot login, user or password wrong", Protocol.IMAP, Kind.OAUTH)
    assert outcome.findings[0].cause.startswith("oauth.")


def test_another_providers_limit_is_not_called_microsofts() -> None:
    told = shown(explain("SMTP -> FROM SERVER:421 Too many concurrent SMTP connections; please try again later."))
    assert "The mail provider slows this account down" in told
    assert "Microsoft slows" not in told


# -- what pages say to whom


def test_a_block_of_the_organizations_own_list_is_not_called_spam() -> None:
    told = shown(explain("550 5.7.703 the server's words [AM0PR07CA0005.eurprd07.prod.outlook.com]"))
    assert "Tenant Allow/Block List" in told
    assert "for spam" not in told


def test_who_uses_a_token_is_not_sent_to_the_way_of_passwords() -> None:
    page = load().causes["client.unsupported_mechanism"]
    assert "XOAUTH2" in page.tonight
    assert page.tonight.index("password") < page.tonight.index("LOGIN") < page.tonight.index("token")


def test_another_servers_missing_mechanism_is_not_explained_with_microsofts() -> None:
    told = shown(explain("220 mail.contoso.test ESMTP Postfix\n504 5.7.4 Unrecognized authentication type"))
    assert "Exchange Online takes" not in told


# -- codes without their words, and numbers that look like codes


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        ("451 5.7.3 发送邮件需要 STARTTLS", "client.starttls_required"),  # hertzbeat issue 1062
        ("550 5.7.60", "sender.send_as_denied"),
        ("550 5.7.64 TenantAttribution", "relay.not_permitted"),
        ("421 4.7.66", "client.tls_too_old"),
        ("550 5.7.57", "client.no_auth_attempted"),
        ("530 SMTP authentication is required.", "client.no_auth_attempted"),  # pastebin q9ynDRAd
    ],
)
def test_a_code_that_means_one_thing_needs_no_words(reply: str, cause: str) -> None:
    assert first(reply) == cause


@pytest.mark.parametrize("protocol", [Protocol.SMTP, Protocol.IMAP])
@pytest.mark.parametrize(
    ("pasted", "cause"),
    [
        (
            "Sign-in error code\n50011\nFailure reason\nThe {redirectTerm} does not match",
            "oauth.client_registration_wrong",
        ),
        ("Error code: 50126", "credentials.wrong"),
        ("Failure reason: 53003", "org.conditional_access"),
    ],
)
def test_a_number_of_the_sign_in_log_is_not_the_status_that_it_begins_with(
    pasted: str, cause: str, protocol: Protocol
) -> None:
    assert first(pasted, protocol) == cause


@pytest.mark.parametrize("masked", ["xx.xx.xx.xx", "x.x.x.x", "XXX.XXX.XXX.XXX"])
def test_a_masked_address_is_not_the_name_of_a_server(masked: str) -> None:
    outcome = explain(f"550 5.7.1 Service unavailable, Client host [{masked}] blocked using Spamhaus.")
    assert outcome.findings[0].cause == "relay.client_ip_blocklisted"
    assert not any(notice.id == "exchange-server" for notice in outcome.notices)


def test_the_status_that_msmtp_tells_before_the_reply_is_no_reply_of_its_own() -> None:
    outcome = explain(
        f"errormsg='authentication failed (method LOGIN)' smtpstatus=535 smtpmsg='{DEFAULTS}' exitcode=77"
    )
    assert [diagnosis.sign for diagnosis in outcome.diagnoses] == ["smtp-535-5.7.139-security-defaults"]


# -- what follows from a refusal


def test_a_connection_that_ends_behind_a_refusal_is_not_the_fault() -> None:
    log = (
        "postfix/smtp[9]: 1: to=<a@b.test>, status=bounced (host smtp.office365.us[192.0.2.1] said: 530 5.7.57 Client not"
        " authenticated to send mail. (in reply to MAIL FROM command))\n"
        "postfix/smtp[9]: 1: lost connection with smtp.office365.us[192.0.2.1] while sending RCPT TO"
    )
    assert first(log) == "client.no_auth_attempted"


def test_a_connection_that_ended_before_a_refusal_is_told() -> None:
    log = (
        "lost connection with smtp.office365.com[192.0.2.1] while receiving the initial server greeting\n"
        "530 5.7.57 Client not authenticated to send mail."
    )
    assert "service.transient" in {finding.cause for finding in explain(log).findings}


def test_a_command_in_a_wrong_state_follows_from_the_refused_sign_in() -> None:
    state = "imapfilter: IMAP (3): 1003 BAD Command received in Invalid state."
    refused = f"imapfilter: IMAP (3): 1001 NO LOGIN failed.\n{state}"
    assert explain(refused, Protocol.IMAP).diagnoses[0].sign == "imap-login-failed"
    assert explain(state, Protocol.IMAP).diagnoses[0].sign == "imap-invalid-state"


def test_an_exchange_server_of_ones_own_is_not_microsofts_service() -> None:
    dialogue = (
        'DEBUG IMAPS: trying to connect to host "{host}", port 993, isSSL true\n'
        "* OK The Microsoft Exchange IMAP4 service is ready.\n"
        "A1 NO AUTHENTICATE failed."
    )
    assert first(dialogue.format(host="mail.contoso.test"), Protocol.IMAP) == "credentials.wrong"
    assert first(dialogue.format(host="outlook.office365.com"), Protocol.IMAP) != "credentials.wrong"


# -- programs' own words, each from a public report (named in its sign)


@pytest.mark.parametrize(
    ("pasted", "cause"),
    [
        ("Error in curl::curl_fetch_memory(url, handle = h) : MAIL failed: 530", "client.starttls_required"),
        ("{:no_more_hosts, {:permanent_failure, '192.0.2.1', :auth_failed}}", "credentials.wrong"),
        ('{error,no_more_hosts,{permanent_failure,"smtp.example.com",auth_failed}}', "credentials.wrong"),
        ('{error,retries_exceeded,{missing_requirement,"smtp.gmail.com",auth}}', "client.unsupported_mechanism"),
        ("No authenticators available\nCould not send the message.", "client.unsupported_mechanism"),
        ('Unable to find the socket transport "starttls" - did you forget', "client.wrong_port_or_tls_mode"),
        ("Sending the email to the following server failed : smtp.office365.com:465", "client.wrong_port_or_tls_mode"),
        ("501 Syntactically invalid EHLO argument(s)", "client.protocol_error"),
        ("454 4.7.0 Failed to establish appropriate TLS channel: Access Denied", "client.starttls_required"),
        ("535 5.7.8 Error: authentication failed: Connection lost to authentication server", "service.transient"),
        (
            "Host or domain name not found. Name service error for\n    name=b.test type=AAAA: Host not found,\n    try again",
            "network.dns",
        ),
        (
            "Your sign-in was successful but does not meet the criteria to access this resource",
            "org.conditional_access",
        ),
    ],
)
def test_what_programs_say_in_place_of_the_server(pasted: str, cause: str) -> None:
    assert first(pasted) == cause


def test_a_block_until_somebody_signs_in_at_the_website_is_no_wrong_password() -> None:
    text = "Error: LOGIN failed. Account is blocked. Login to your account via a web browser to verify your identity."
    assert first(text, Protocol.IMAP) == "account.malicious_ip_block"


def test_hordes_words_for_a_refused_sign_in_are_a_refusal_and_those_of_its_smtp_side_stay_empty() -> None:
    assert explain("IMAP error: Mail server denied authentication.", Protocol.IMAP).diagnoses[0].sign == (
        "client-horde-refused"
    )
    assert explain("Creating account failed: Server denied authentication.").verdict is Verdict.NO_REPLY


def test_words_of_other_programs_are_not_those_of_gen_smtp() -> None:
    assert explain("AUTH: Received control message: AUTH_FAILED").verdict is Verdict.NO_REPLY


@pytest.mark.parametrize(
    ("pasted", "causes"),
    [
        ("System.Net.WebException: Der Remotename konnte nicht aufgelöst werden: 'smtp.office365.com'", "network.dns"),
        ("System.Net.WebException: Le nom distant n'a pas pu être résolu: 'smtp.office365.com'", "network.dns"),
        ("No se puede resolver el nombre remoto: 'smtp.office365.com'", "network.dns"),
        ("System.Net.WebException: リモート名を解決できませんでした: 'smtp.office365.com'", "network.dns"),
        ("未能解析此远程名称: 'smtp.office365.com'", "network.dns"),
        ("不知道这样的主机。 (smtp.office365.com:587)", "network.dns"),
        ("Невозможно разрешить удаленное имя: 'smtp.office365.com'", "network.dns"),
        ("System.Net.Sockets.SocketException (0x80004005): 由于目标计算机积极拒绝，无法连接。", "network.port_blocked"),  # noqa: RUF001
        ("対象のコンピューターによって拒否されたため、接続できませんでした。 192.0.2.1:587", "network.port_blocked"),
        ("远程主机强迫关闭了一个现有的连接。 (os error 10054)", "service.transient"),
        ("System.IO.IOException: 既存の接続はリモート ホストに強制的に切断されました。", "service.transient"),
        ("Удаленный хост принудительно разорвал существующее подключение", "service.transient"),
    ],
)
def test_a_connection_that_fails_is_told_in_the_language_of_the_system(pasted: str, causes: str) -> None:
    assert first(pasted) == causes


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ('{:retries_exceeded, {:temporary_failure, ~c"192.0.2.1", :tls_failed}}', "client.ca_store_missing"),
        ('{error,no_more_hosts,{temporary_failure,"smtp.example.com",tls_failed}}', "client.ca_store_missing"),
        (
            '{:network_failure, ~c"mail.example.com", {:error, {:options, :incompatible,'
            " [verify: :verify_peer, cacerts: :undefined]}}}",
            "client.ca_store_missing",
        ),
        (
            "{:network_failure, 'smtp.office365.com', {:error, {:tls_alert, 'bad record mac'}}}",
            "client.wrong_port_or_tls_mode",
        ),
        ('{error,{tls_alert,"bad record mac"}}', "client.wrong_port_or_tls_mode"),
        (
            "TLS client: In state hello received UNDEFINED ALERT: Fatal - Unexpected Message",
            "client.wrong_port_or_tls_mode",
        ),
        ('{:network_failure, "smtp.example.com", {:error, :timeout}}', "client.wrong_port_or_tls_mode"),
        ('{:network_failure, "smtp.office365.com", {:error, :nxdomain}}', "network.dns"),
        ("could not initiate SMTP session: remote error: tls: handshake failure", "client.tls_too_old"),
    ],
)
def test_what_erlang_and_go_say_of_a_connection(reason: str, cause: str) -> None:
    assert first(reason) == cause


@pytest.mark.parametrize(
    ("pasted", "cause"),
    [
        (
            "サーバーへの接続は失敗しました。プロトコル: SMTP, ポート: 25, エラー番号: 0x800CCC0E",
            "network.port_blocked",
        ),
        ("Aufgabe - Senden: meldete Fehler (0x80042109)", "network.port_blocked"),
        (
            "Protocol: SMTP, Port: 25, Secure(SSL): No, Socket Error: 10061, Error Number: 0x800CCC0E",
            "network.port_blocked",
        ),
        ("Sending reported error (0x800CCC0D): Cannot find the e-mail server.", "client.wrong_host"),
        ("0x800CCC1A - Your server does not support the connection encryption type", "client.wrong_port_or_tls_mode"),
        ("reported error (0x800CCC80)", "client.unsupported_mechanism"),
        ("reported error (0x800CCC92): Your e-mail server rejected your login.", "credentials.wrong"),
        ("smtpd[8204]: smtp-out: Failed to resolve MX for [relay:mail.a.test,mx]: No MX found", "client.wrong_host"),
        ("stream_socket_enable_crypto(): SSL: Connection reset by peer", "network.tls_interception"),
    ],
)
def test_outlooks_numbers_are_known_in_every_language_and_those_of_other_programs(pasted: str, cause: str) -> None:
    assert first(pasted) == cause


def test_the_servers_words_count_more_than_outlooks_number() -> None:
    text = (
        "Server Response: '550 5.7.60 SMTP; Client does not have permissions to send as this sender',"
        " Port: 587, Secure(SSL): Yes, Server Error: 550, Error Number: 0x800CCC0F"
    )
    assert first(text) == "sender.send_as_denied"


def test_a_certificate_that_is_refused_is_told_though_swaks_says_more() -> None:
    text = (
        "*** TLS startup failed (connect(): error:14090086:SSL routines:ssl3_get_server_certificate:"
        "certificate verify failed)\n*** STARTTLS attempted but failed"
    )
    assert first(text) == "client.ca_store_missing"


@pytest.mark.parametrize(
    ("pasted", "cause"),
    [
        (
            "Unable to authenticate to Outgoing server (SMTP) smtp.office365.com. Please check the password",
            "credentials.wrong",
        ),
        (
            "The Outgoing server (SMTP) a.test does not support the selected authentication method.",
            "client.unsupported_mechanism",
        ),
        ("could not be sent because connecting to Outgoing server (SMTP) a.test failed.", "network.port_blocked"),
        ("Outgoing server (SMTP) a.test is unknown. The server may be incorrectly configured.", "client.wrong_host"),
        (
            "Unable to establish a secure link with Outgoing server (SMTP) a.test using STARTTLS since it doesn't",
            "client.starttls_required",
        ),
        ("The transport error code was 0x80040217. The server response was not available", "credentials.wrong"),
        ("ORA-24247: network access denied by access control list (ACL)", "network.port_blocked"),
        ("ORA-29024: Certificate validation failure", "client.ca_store_missing"),
        ("SSL handshake failed: SSSLERR_PEER_CERT_UNTRUSTED (-102)", "client.ca_store_missing"),
    ],
)
def test_what_thunderbird_cdo_oracle_and_sap_say_in_place_of_the_server(pasted: str, cause: str) -> None:
    assert first(pasted) == cause


def test_thunderbirds_refusal_of_the_incoming_side_is_the_end_of_passwords_at_microsoft_only() -> None:
    words = "Authentication failure while connecting to server {}."
    assert first(words.format("outlook.office365.com"), Protocol.IMAP) == "service.basic_auth_retired"
    assert first(words.format("imap.example.org"), Protocol.IMAP) != "service.basic_auth_retired"


def test_cdo_that_says_nothing_gets_the_way_to_the_reply() -> None:
    outcome = explain("error '80040211' The message could not be sent to the SMTP server.")
    assert outcome.verdict is Verdict.NO_REPLY


# -- the sign-in service, without its number or beside it


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("Invalid username or password or Invalid on-premise username or password.", "credentials.wrong"),
        ("Invalid password, entered expired password.", "account.password_expired"),
        ("User account is disabled. The account has been disabled by an administrator.", "account.sign_in_blocked"),
        ("Strong Authentication is required.", "credentials.account_password_under_mfa"),
        (
            "Sign-in was blocked because it came from an IP address with malicious activity.",
            "account.malicious_ip_block",
        ),
        (
            "Account is locked because the user tried to sign in too many times with an incorrect user ID or password.",
            "account.locked",
        ),
        (
            "Access has been blocked by security defaults. This is due to the request using legacy auth or being deemed "
            "unsafe by security defaults policies.",
            "org.security_defaults",
        ),
    ],
)
def test_the_sign_in_log_speaks_without_its_number(reason: str, cause: str) -> None:
    assert first(f"Failure reason: {reason}") == cause


@pytest.mark.parametrize(
    "row",
    [
        '"status": {{\n    "errorCode": 50053,\n    "failureReason": "{}"\n}}',
        '"status": {{"errorCode": 50053, "failureReason": "{}"}}',
        "Sign-in error code\t50053\nFailure reason\t{}",
    ],
)
def test_the_sentence_beside_a_number_with_two_meanings_decides(row: str) -> None:
    outcome = explain(row.format("Sign-in was blocked because it came from an IP address with malicious activity."))
    assert [found.cause for found in outcome.findings] == ["account.malicious_ip_block"]
    assert first(row.format("Another reason.")) == "account.locked"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("invalid_grant", "oauth.token_invalid_or_expired"),
        ("invalid_client", "oauth.token_invalid_or_expired"),
        ("unauthorized_client", "oauth.client_registration_wrong"),
        ("invalid_scope", "oauth.missing_permission_or_scope"),
        ("interaction_required", "oauth.mfa_or_consent_required"),
        ("consent_required", "oauth.mfa_or_consent_required"),
    ],
)
@pytest.mark.parametrize(
    "form", ['{{"error": "{}"}}', "http://localhost/?error={}&state=1", "RefreshError: ({}) Unauthorized", "{}: no."]
)
def test_oauths_own_name_of_an_error_is_read_where_it_stands_alone(form: str, error: str, cause: str) -> None:
    assert first(form.format(error), Protocol.IMAP) == cause


@pytest.mark.parametrize(
    "form",
    [
        '{{"error":"{}","error_description":"AADSTS{}: the words."}}',
        '{{\n  "error": "{}",\n  "error_description": "AADSTS{}: the words.\\r\\nTrace ID: 1"\n}}',
        "    [error] => {}\n    [error_description] => AADSTS{}: the words.",
        "({}) AADSTS{}: the words.",
    ],
)
@pytest.mark.parametrize(
    ("error", "number", "cause"),
    [
        ("invalid_grant", "50126", "credentials.wrong"),
        ("invalid_client", "7000218", "oauth.missing_permission_or_scope"),
        ("interaction_required", "50158", "org.conditional_access"),
        ("unauthorized_client", "700016", "oauth.service_principal_not_registered"),
    ],
)
def test_the_number_says_more_than_oauths_name_beside_it(form: str, error: str, number: str, cause: str) -> None:
    outcome = explain(form.format(error, number), Protocol.IMAP)
    assert outcome.findings[0].cause == cause
    assert {diagnosis.sign for diagnosis in outcome.diagnoses if diagnosis.sign} == {outcome.diagnoses[0].sign}


def test_words_that_only_hold_oauths_names_are_none() -> None:
    outcome = explain("my_invalid_grants = 3; the client_scope is unknown", Protocol.IMAP)
    assert outcome.verdict is Verdict.NO_REPLY


def test_an_account_that_microsoft_holds_for_abused_is_not_just_a_dead_token() -> None:
    words = "AADSTS70000: {}. Trace ID: 67464c27-b83b-4b69-b563-757303b1ca00"
    assert first(words.format("User account is found to be in service abuse mode"), Protocol.IMAP) == (
        "account.sign_in_blocked"
    )
    assert first(words.format("Provided grant is invalid or malformed"), Protocol.IMAP) == (
        "oauth.token_invalid_or_expired"
    )


def test_a_registration_that_is_asked_for_at_an_address_of_no_tenant_is_known() -> None:
    words = "No tenant-identifying information found in either the request or implied by any provided credentials."
    assert first(f"AADSTS50059: {words}", Protocol.IMAP) == "oauth.client_registration_wrong"
    assert first(words, Protocol.IMAP) == "oauth.client_registration_wrong"


def test_the_oauth_proxy_that_waits_for_the_browser_in_vain_is_known() -> None:
    words = "OAuth 2.0 authorisation response is missing or does not match `redirect_uri`"
    assert first(words, Protocol.IMAP) == "oauth.client_registration_wrong"


@pytest.mark.parametrize(
    "words",
    [
        "MailKit.Security.AuthenticationException: 'Authentication failed.'",
        "MailKit.Security.AuthenticationException\n  HResult=0x80131500\n  Message=Authentication failed.\n"
        "  Source=MailKit",
        "An exception of type 'MailKit.Security.AuthenticationException' occurred in System.Private.CoreLib.dll but was "
        "not handled in user code\nAuthentication failed.",
        'Error Domain=MCOErrorDomain Code=5 "Unable to authenticate with the current session\'s credentials."',
    ],
)
def test_mailkits_and_mailcores_words_for_a_refused_sign_in_are_those_of_the_server(words: str) -> None:
    assert explain(words, Protocol.IMAP).diagnoses[0].sign == "imap-authenticate-failed"
    outcome = explain(words, Protocol.IMAP, Kind.OAUTH)
    assert outcome.findings[0].cause == "oauth.missing_permission_or_scope"


@pytest.mark.parametrize(
    "words",
    [
        "58 BAD Command Error. 10",
        "<body BAD Command Error. 10",
        "The IMAP server replied to the 'FETCH' command with a 'BAD' response: Command Error. 10",
        "a104 BAD Command Error. 11",
        "LOGIN BAD Command Error. 12",
    ],
)
def test_a_command_that_exchange_cannot_read_is_the_programs_before_it_is_the_services(words: str) -> None:
    assert first(words, Protocol.IMAP) == "client.protocol_error"


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        ("50129", "org.conditional_access"),
        ("500121", "oauth.mfa_or_consent_required"),
        ("50048", "oauth.token_invalid_or_expired"),
        ("70044", "oauth.token_invalid_or_expired"),
        ("501481", "client.protocol_error"),
        ("50088", "service.throttled"),
        ("50107", "account.federation_unreachable"),
        ("50197", "credentials.username_not_upn"),
        ("70004", "oauth.client_registration_wrong"),
        ("65002", "oauth.client_registration_wrong"),
        ("70016", "oauth.mfa_or_consent_required"),
    ],
)
def test_rarer_numbers_of_microsofts_list_are_known(number: str, cause: str) -> None:
    assert explain(f"AADSTS{number}: the words.", Protocol.IMAP, Kind.OAUTH).findings[0].cause == cause


def test_an_error_in_an_address_is_not_overlooked_in_a_long_log() -> None:
    quiet = "a quiet line\n" * 200
    address = "GET /callback?error=invalid_scope&error_description=The%20provided%20value HTTP/1.1\n"
    outcome = run.explain(iter([(quiet + address + quiet).encode() * 300]), protocol=Protocol.IMAP, as_of=AS_OF)
    assert outcome.findings[0].cause == "oauth.missing_permission_or_scope"
