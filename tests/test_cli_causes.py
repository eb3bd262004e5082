"""`mailwhy causes`: the list, a page, the search, the formats, and that it stays offline and light."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mailwhy.cli import main
from mailwhy.cli.causes import GROUPS, by_group, command
from mailwhy.knowledge import handbook, load
from mailwhy.model import Account, Cause, Exit, Sign
from mailwhy.plain import from_plain
from mailwhy.report import page

PAGES = handbook()
each_page = pytest.mark.parametrize("cause", PAGES.values(), ids=list(PAGES))


def causes(*args: str, columns: int = 80) -> Result:
    return CliRunner(env={"COLUMNS": str(columns), "LINES": "24"}).invoke(command, args)


def test_the_list_names_every_page_with_title_and_owner_under_a_heading() -> None:
    result = causes(columns=100)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    for cause in PAGES.values():
        at = lines.index(f"  {cause.id}")
        assert lines[at + 1] == f"      {cause.title} ({cause.owner})"
    assert [line for line in lines if line in GROUPS.values()] == list(GROUPS.values())


def test_no_page_is_lost_by_grouping_and_none_stands_in_an_unnamed_group() -> None:
    groups = by_group(list(PAGES.values()))
    assert sorted(cause.id for _, members in groups for cause in members) == sorted(PAGES)
    assert {heading for heading, _ in groups} == set(GROUPS.values())


def test_a_page_of_a_new_group_is_listed_under_its_prefix() -> None:
    assert by_group([Cause("moon.phase", "Title", "nobody", "Why")])[0][0] == "moon"


@pytest.mark.parametrize("name", ["org.security_defaults", "ORG.Security_Defaults", " org.security_defaults "])
def test_a_page_is_found_in_any_case(name: str) -> None:
    result = causes(name)
    assert result.exit_code == 0
    assert result.output.startswith(
        "Security Defaults block every old sign-in of the organization\norg.security_defaults\n"
    )


def test_an_alias_shows_the_page_of_its_cause() -> None:
    assert causes("sender.IP_blocked").output == causes("relay.client_ip_blocklisted").output


@pytest.mark.parametrize("name", ["app-password-missing", "app-password-made-but-refused"])
def test_the_guides_are_pages_too(name: str) -> None:
    result = causes(name)
    assert result.exit_code == 0
    assert "app password" in result.output.lower()
    assert "Who must act" in result.output


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("org.securty_defaults", "org.security_defaults"),
        ("smtp_auth_disabled", "org.smtp_auth_disabled"),
        ("app-pasword-missing", "app-password-missing"),
        ("client.ca_bundel_missing", "client.ca_bundle_missing"),
    ],
)
def test_a_typo_gets_a_suggestion_and_exit_2(typo: str, meant: str) -> None:
    result = causes(typo)
    assert result.exit_code == Exit.USAGE
    assert meant in result.stderr
    assert result.stdout == ""


def test_a_name_like_nothing_gets_no_suggestion() -> None:
    result = causes("zzzzqqq")
    assert result.exit_code == Exit.USAGE
    assert "Did you mean" not in result.stderr


def test_an_id_and_a_search_at_once_are_a_usage_error() -> None:
    assert causes("org.security_defaults", "--search", "x").exit_code == Exit.USAGE


@each_page
@pytest.mark.parametrize("width", [40, 80, 100])
def test_a_page_keeps_within_its_columns_but_for_what_must_be_copied(cause: Cause, width: int) -> None:
    runs = [action.run for action in (*cause.check, *cause.fix, *cause.undo) if action.run]
    shown = page.text(cause, width)
    for line in shown.splitlines():
        copied = line.strip().startswith("https://") or any(line.strip().startswith(run.split()[0]) for run in runs)
        single = len(line.split()) <= 3 and ("/" in line or "." in line)  # one long word cannot be wrapped
        assert len(line) <= width or copied or single, line
        assert line == line.rstrip()
    assert "\x1b" not in shown


@each_page
def test_a_page_shows_everything_it_knows_and_ends_with_who_what_how_long_and_undo(cause: Cause) -> None:
    shown = " ".join(page.text(cause, 80).split())
    for text in (cause.title, cause.why, cause.tonight, cause.delay, cause.role, cause.conflict, *cause.baseline):
        assert " ".join(text.split()) in shown
    for link in cause.links:
        assert link in shown
    order = ["Why", "Check", "Fix", "Who must act", "What they need to see", "How long it takes", "How to undo it"]
    headings = [line for line in page.text(cause, 80).splitlines() if line in order]
    assert headings == order


def test_a_command_stands_on_one_line_however_narrow_the_terminal() -> None:
    shown = page.text(PAGES["mailbox.smtp_auth_disabled"], 40)
    assert any(
        line.strip() == "Set-CASMailbox -Identity <mailbox> -SmtpClientAuthenticationDisabled $false"
        for line in shown.splitlines()
    )


def test_addresses_are_filled_in_where_they_are_known_quoted_for_the_place() -> None:
    account = Account(login="o'neill@contoso.com", mailbox="shared@contoso.com")
    shown = page.text(PAGES["org.smtp_auth_disabled"], 80, account=account)
    assert "Get-CASMailbox -Identity 'shared@contoso.com' |" in shown
    shown = page.text(PAGES["credentials.app_password_not_honoured"], 80, account=account)
    assert "/beta/users/o%27neill@contoso.com/authentication/requirements" in shown


def test_colour_is_only_for_headings_and_only_when_wanted() -> None:
    cause = PAGES["org.security_defaults"]
    shown = page.text(cause, 80, color=True)
    assert "\x1b[1mWhy\x1b[0m" in shown
    assert shown.replace("\x1b[1m", "").replace("\x1b[0m", "") == page.text(cause, 80)


@each_page
def test_json_is_the_whole_page_and_can_be_read_back(cause: Cause) -> None:
    result = causes(cause.id, "--format", "json")
    assert result.exit_code == 0
    assert from_plain(Cause, json.loads(result.output)) == from_plain(Cause, page.json(cause))


def test_json_of_the_list_has_every_page() -> None:
    entries = json.loads(causes("--format", "json").output)["causes"]
    assert {entry["id"] for entry in entries} == set(PAGES)
    assert set(entries[0]) == {"id", "title", "owner", "aliases"}


@each_page
def test_markdown_fences_commands_and_links_addresses(cause: Cause) -> None:
    shown = causes(cause.id, "--format", "markdown").output
    assert shown.startswith("# ")
    assert shown.count("```") == 2 * sum(1 for a in (*cause.check, *cause.fix, *cause.undo) if a.run)
    for link in cause.links:
        assert f"- <{link}>" in shown


def test_markdown_of_the_list_is_tables() -> None:
    shown = causes("--format", "markdown").output
    assert "## Tokens (OAuth)" in shown
    assert shown.count("\n| `") == len(PAGES)


def searched(text: str) -> list[str]:
    result = causes("--search", text, "--format", "json")
    return [entry["id"] for entry in json.loads(result.output)["causes"]] if result.exit_code == 0 else []


@pytest.mark.parametrize("sign", load().signs.values(), ids=list(load().signs))
def test_a_pasted_reply_finds_the_pages_it_may_mean(sign: Sign) -> None:
    found = searched(sign.example) if sign.example else [meaning.cause for meaning in sign.means]
    assert {meaning.cause for meaning in sign.means} <= set(found)


def test_a_part_of_a_reply_and_another_spelling_find_the_same_pages() -> None:
    for text in ("is disabled for the Tenant", "smtpclientauthentication IS disabled\nfor the   tenant"):
        assert {"org.smtp_auth_disabled", "mailbox.smtp_auth_disabled"} <= set(searched(text))


def test_what_the_title_says_comes_before_what_the_text_says() -> None:
    assert searched("security defaults")[0] == "org.security_defaults"
    assert searched("client.ca_bundle")[0] == "client.ca_store_missing"


def test_a_search_in_vain_says_so_and_could_not_find_out() -> None:
    for text in ("xylophone concerto", "   "):
        result = causes("--search", text)
        assert result.exit_code == Exit.UNKNOWN
        assert "No page speaks of" in result.stderr
        assert result.stdout == ""


def test_the_help_is_that_of_the_command() -> None:
    result = CliRunner().invoke(main, ["causes", "--help"])
    assert result.exit_code == 0
    assert "--search" in result.output


def run(*args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, timeout=30, env=env, check=False)


def test_the_real_command_prints_plain_text_into_a_pipe() -> None:
    done = run("-m", "mailwhy", "causes", "org.security_defaults")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[1] == "org.security_defaults"


def test_it_starts_without_the_parts_that_talk_to_servers(tmp_path: Path) -> None:
    script = tmp_path / "modules.py"
    script.write_text(
        "import sys\n"
        "from mailwhy.cli import main\n"
        "main(['causes', 'org.security_defaults'], standalone_mode=False)\n"
        "heavy = {'asyncio', 'ssl', 'rich', 'dns', 'aiosmtplib', 'mailwhy.probe', 'mailwhy.net'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    done = run(str(script))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    from mailwhy.cli import causes as module

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert module._color()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not module._color()


def test_the_facts_that_a_person_may_give_are_listed_with_their_meaning() -> None:
    lines = causes("--facts").output.splitlines()
    assert f"{'mfa=per-user':<30}the user's per-user MFA state is Enforced" in lines
    assert any(line.startswith("signin.error=NUMBER ") for line in lines)
    assert not any(line.startswith("smtp.") for line in lines)
    assert json.loads(causes("--facts", "--format", "json").output)["facts"] == dict(load().facts)
    assert "| `mfa=none` | the user has no MFA |" in causes("--facts", "--format", "markdown").output
    assert causes("--facts", "org.security_defaults").exit_code == 2


def test_a_misspelled_fact_tells_where_the_list_is() -> None:
    done = CliRunner().invoke(main, ["explain", "--fact", "mfa=per_user", "x"])
    assert done.exit_code == 2
    assert "mfa=per-user" in done.output
    assert "mailwhy causes --facts" in done.output.replace("\n", " ")
