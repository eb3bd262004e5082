"""Takes secrets out of a clean page before anything of it is kept, and hides who and where for a public tracker.

`redact` always runs. It knows the places where programs print secrets; the value is replaced by `***`, and wherever
the same value stands again as well. Line ends stay. `scrubbed` hides addresses, hosts and names, for `--scrub` only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..model import Account, Diagnosis, Finding, Outcome, Reply, Step, Target
from ..shape import Shape, fold

MASK = "***"
_B64 = r"[A-Za-z0-9+/_-]{4,}={0,2}"
_CLIENT = r"(?:C:|CLIENT[ ]->[ ]SERVER:|>>>|->|-->|~>)?"
_NAMES = (
    r"(?:pass(?:word|wd|phrase|wort)?|pwd|secret|token|contrase\w+|mot[_ ]de[_ ]passe|kennwort|senha|api[_-]?key"
    r"|client_assertion)"
)
_NAMES_HOLD = ("pass", "pwd", "secret", "token", "contrase", "kennwort", "senha", "api", "client_assertion")
_PROSE = r"command\b|not\b|expired\b|is\b|was\b|the\b|5\d\d\b|4\d\d\b|authentication\b"
_NO_ARGUMENT = r"failed|XOAUTH|PLAIN|mech|command|request|error|with|for|from|to\b|on\b|is\b|and\b|or\b|attempt"
_NO_RESPONSE = r"failed|completed|XOAUTH2|LOGIN\b|PLAIN\b|auth|refused|returned|and\b|or\b|is\b|command|mechanism"
_COMMANDS = r"AUTH|EHLO|HELO|MAIL|RCPT|DATA|QUIT|STARTTLS"

# where programs print secrets (facts: users 6.4); the group `secret` is masked
_PLACES = tuple(
    Shape(source, re.IGNORECASE | re.MULTILINE, holds)
    for holds, source in (
        # the answer to the prompt for the password: on the next line, or behind it
        (
            ("334",),
            r"\b334[ ]UGFzc3dvcmQ6[^\n\v]*[\n\v](?![^\n\v]{0,80}?\b[245]\d\d[ -][245]\.\d)[^\n\v]{0,80}?"
            r"(?P<secret>(?<![\w+/])(?!334)(?!535)[A-Za-z0-9+/_-]{2,}={0,2})\s*$",
        ),
        (
            ("334",),
            rf"\b334[ ]UGFzc3dvcmQ6[\s\"',;.|]+{_CLIENT}\s*(?P<secret>(?!334|[245]\d\d[ -]){_B64})(?=[\s\"',;]|$)",
        ),
        # SMTP and IMAP initial responses
        (
            ("auth ", "authenticate "),
            r"\b(?:AUTH|AUTHENTICATE)[ ]+(?:PLAIN|XOAUTH2|OAUTHBEARER|CRAM-MD5|NTLM|LOGIN)[ ]+(?:\"|')?"
            rf"(?P<secret>(?!{_NO_RESPONSE})(?:[A-Za-z0-9+/_-]{{8,}}={{0,2}}))",
        ),
        # IMAP LOGIN, quoted and bare; POP PASS
        (
            ("login ",),
            r"\bLOGIN[ ]+(?:\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[^\s\"'\[(]+@[^\s\"']+|[^\s\"']+)[ ]+"
            r"\"(?P<secret>(?:[^\"\\\n]|\\.)*)\"",
        ),
        (
            ("login ",),
            r"\bLOGIN[ ]+(?!methods[ ]supported|(?:failed|to)[.,:;]?[ ])"  # sentences of JavaMail's and of servers
            rf"(?:\"[^\"\n]*\"|[^\s\"'\[(]+)[ ]+(?P<secret>(?!\"|{_NO_ARGUMENT})[^\s\"']+)[\"']?[ \t]*\r?$",
        ),
        (("pass ",), r"(?:^|[\s:>'\"])PASS[ ]+(?P<secret>(?!word\b)[^\n\v'\"]+)"),
        # addresses, tokens
        (("://",), r"\b[a-z][a-z0-9+.-]{1,15}://[^\s/:@\"']*:(?P<secret>[^\s/\"']+)@"),
        (("bearer",), r"\b(?:auth=)?Bearer\s+(?P<secret>[^\s\x01\"',;]{8,})"),
        # a JSON web token
        (("eyj",), r"(?<![A-Za-z0-9_-])(?P<secret>eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2})"),
        # settings: SQL, JSON, key=value, YAML
        (("pass",), r"@?(?:password|mailserver_password|smtp_pass\w*)\s*=\s*N?'(?P<secret>[^'\n]+)'"),
        (("identified ",), r"\bIDENTIFIED[ ]+(?:BY|WITH)[ ]+['\"](?P<secret>[^'\"\n]+)['\"]"),
        (_NAMES_HOLD, rf"{_NAMES}[\"']?\s*(?:=>|:=|=|:|\bis\b)\s*[\"'](?P<secret>[^\"'\n]+)[\"']"),
        (_NAMES_HOLD, rf"{_NAMES}[\"']?\s*(?:=>|:=|=)\s*(?P<secret>[^\s\"',;&)\]}}]+)"),
        (
            _NAMES_HOLD,
            r"(?:^|[\s,;{(])(?:[\w.-]*[_.-])?(?:pass(?:word|wd|phrase|wort)|pwd|kennwort|senha|client_secret)[\"']?\s*:"
            rf"\s*(?P<secret>(?!{_PROSE})[^\s\"',;&)\]}}]{{3,}})(?=[ \t]*(?:$|[,;}}\v]))",
        ),
        # PHP stack traces, command lines
        (
            ("->",),
            r"->(?:authenticate|login|auth\w*|_?auth\w*|executeCommand)\((?:[^()\n]|\([^()\n]*\))*?,\s*"
            r"'(?P<secret>[^'\n]+)'\)",
        ),
        (
            ("command(", "authenticate(", "client_send(", "fputs(", "fwrite("),
            r"(?:executeCommand|authenticate|sendCommand|client_send|fputs|fwrite)\((?:'[^'\n]*',\s*)?"
            rf"'(?P<secret>(?!{_COMMANDS})[A-Za-z0-9+/]{{4,}}={{0,2}})(?:\s|\\[rn])*'",
        ),
        (("-u",), r"(?:--?(?:user|u)[ =]|\bcurl\b[^\n]*\s-u\s*)[\"']?[^\s:\"']+:(?P<secret>[^\s\"']+)"),
        (
            ("-ap", "-password", "-auth", "-xp"),
            r"(?:-ap|--auth-password|--password|-xp)[ =]+[\"']?(?P<secret>[^\s\"']+)",
        ),
    )
)
_ARGUMENTS = Shape(
    r"(?:->|::)\w*(?:login|auth|connect|open)\w*\((?P<arguments>[^()\n]{3,400})\)", re.IGNORECASE, ("->", "::")
)
_USER_PROMPT = Shape(
    r"\b334[ ]VXNlcm5hbWU6[\s\"',;]+(?:C:|CLIENT[ ]->[ ]SERVER:|>>>|->|~>)?\s*(?P<user>[A-Za-z0-9+/]{4,}={0,2})",
    re.IGNORECASE,
    ("334",),
)
_PROMPT = Shape(r"\b334(?:[ ]\S*)?[ \t]*$", re.IGNORECASE)
_BASE64_LINE = Shape(r"^[^\n]{0,60}?(?<![\w+/=.-])(?P<secret>[A-Za-z0-9+/]{8,}={0,2})[ \t]*$")


def redact(text: str) -> tuple[str, frozenset[str]]:
    """The text with every secret masked, and the secrets themselves (to be forgotten by the caller)."""
    secrets: set[str] = set()

    def mask(found: re.Match[str]) -> str:
        value = found["secret"]
        if not value.strip("*.xX•…<>-") or value.lower() in _HARMLESS:
            return found.group()
        secrets.update(_forms(value))
        start, end = found.span("secret")
        return found.string[found.start() : start] + MASK + found.string[end : found.end()]

    folded = fold(text)
    for shape in _PLACES:
        if shape.fits(folded):
            text = shape.pattern.sub(mask, text)
    text = _after_prompts(text, secrets)
    if _ARGUMENTS.fits(folded):
        text = _ARGUMENTS.pattern.sub(lambda found: _masked_arguments(found, secrets), text)
    return forget(text, secrets), frozenset(secrets)


_HARMLESS = frozenset(
    {
        "failed",
        "redacted",
        "true",
        "false",
        "none",
        "null",
        "yes",
        "no",
        "incorrect",
        "authentication",
        "set",
        "empty",
        "command",
    }
)


def forget(text: str, secrets: Iterable[str]) -> str:
    """The text without these values, wherever they stand."""
    for value in sorted(secrets, key=len, reverse=True):
        if len(value) >= 4:
            text = text.replace(value, MASK)
    return text


def _forms(value: str) -> Iterable[str]:
    import binascii

    yield value
    try:
        plain = binascii.a2b_base64(value + "=" * (-len(value) % 4), strict_mode=True).decode()
    except (binascii.Error, ValueError):
        return
    if plain.isprintable() and len(plain) >= 4:
        yield plain
    elif "\0" in plain:
        yield plain.rpartition("\0")[2]


def _after_prompts(text: str, secrets: set[str]) -> str:
    """In a dialogue the line behind any `334` is an answer to it: a name or a secret."""
    if "334" not in text:
        return text
    lines = text.split("\n")
    for number, line in enumerate(lines[:-1]):
        if _PROMPT.pattern.search(line) and (found := _BASE64_LINE.pattern.match(lines[number + 1])):
            user = line.rstrip().upper().endswith("VXNLCM5HBWU6")
            if not user:
                secrets.update(_forms(found["secret"]))
                start, end = found.span("secret")
                lines[number + 1] = found.string[:start] + MASK + found.string[end:]
    return "\n".join(lines)


def _masked_arguments(found: re.Match[str], secrets: set[str]) -> str:
    """In a stack trace the last quoted argument of a login call is the secret."""
    quoted = list(re.finditer(r"(['\"])(?P<value>[^'\"\n]+)\1", found["arguments"]))
    last = quoted[-1] if len(quoted) > 1 else None
    if not last or "..." in last["value"]:
        return found.group()
    secrets.add(last["value"])
    return found.group().replace(last.group(), f"{last[1]}{MASK}{last[1]}")


def user_told(text: str) -> str | None:
    """The name that answers `334 VXNlcm5hbWU6`, decoded."""
    found = _USER_PROMPT.search(text, fold(text))
    if not found:
        return None
    import binascii

    try:
        name = binascii.a2b_base64(found["user"], strict_mode=True).decode()
    except (binascii.Error, ValueError):
        return None
    return name if name.isprintable() and 2 < len(name) < 120 else None


# -- for a public tracker -----------------------------------------------------------------------------------------

_MICROSOFT = (
    r"(?:prod\.outlook\.com|prod\.exchangelabs\.com|prod\.protection\.outlook\.com|prod\.partner\.outlook\.cn"
    r"|office365\.(?:com|us)|outlook\.(?:com|cn|de)|microsoftonline\.(?:com|us)|office\.com|aka\.ms|microsoft\.com"
    r"|azure\.(?:com|us)|live\.com)"
)
_TOP = r"com|net|org|edu|gov|io|local|lan|internal|corp|example|test|[a-z]{2}"
_HIDE = Shape(
    rf"""
      (?P<name>[^\s@]+@name\b)
    | (?P<address>[A-Za-z0-9._%+'=&~/\\-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)
    | (?P<front>(?<![\w.-])[A-Z0-9]{{4,20}}(?=\.[A-Za-z0-9.]*{_MICROSOFT}))
    | (?P<microsoft>(?<![\w.-])(?:[A-Za-z0-9-]+\.)*{_MICROSOFT}(?![\w-]))
    | (?P<ip4>(?<![\w.])(?:\d{{1,3}}\.){{3}}\d{{1,3}}(?![\w.]))
    | (?P<ip6>(?<![\w:.])(?:[0-9A-Fa-f]{{1,4}}:){{2,7}}(?::|[0-9A-Fa-f]{{1,4}})(?:[0-9A-Fa-f:]*)(?![\w:]))
    | (?P<host>(?<![\w./-])(?:[A-Za-z0-9](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?\.)+(?:{_TOP})(?![\w-]))
    """,
    re.VERBOSE,
)


class Scrubber:
    """Replaces addresses, hosts and IP addresses by made-up ones; the same one by the same one, within a run."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    def __call__(self, text: str) -> str:
        return _HIDE.pattern.sub(self._hide, text)

    def _hide(self, found: re.Match[str]) -> str:
        kind = found.lastgroup or ""
        if kind == "microsoft":
            return found.group()
        make = _MADE_UP[kind]
        key = (kind, found.group().casefold())
        if key not in self._given:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._given[key] = make(self._counts[kind])
        return self._given[key]


_MADE_UP: dict[str, Callable[[int], str]] = {
    "address": lambda n: f"user{n}@example.com",
    "name": lambda n: f"user{n}",
    "front": lambda n: f"SERVER{n}",
    "ip4": lambda n: f"192.0.2.{n % 255}",
    "ip6": lambda n: f"2001:db8::{n:x}",
    "host": lambda n: f"host{n}.example.com",
}


def scrubbed(outcome: Outcome) -> Outcome:
    """The outcome without addresses, hosts and names: for a public issue tracker. What it says stays."""
    hide = Scrubber()

    def account(old: Account) -> Account:
        return Account(*(value and hide(value if "@" in value else f"{value}@name") for value in _names(old)))

    def reply(old: Reply) -> Reply:
        return replace(
            old,
            text=hide(old.text),
            lines=tuple(map(hide, old.lines)),
            server=old.server and hide(old.server),
            inner=old.inner and reply(old.inner),
        )

    def plain(value: Any) -> Any:
        if isinstance(value, str):
            return hide(value)
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    def step(old: Step) -> Step:
        return replace(old, reply=old.reply and reply(old.reply), seen=plain(old.seen))

    def where(old: Target) -> Target:
        return replace(old, host=old.host and hide(old.host))

    def finding(old: Finding) -> Finding:
        return replace(old, because=tuple(map(hide, old.because)), target=old.target and where(old.target))

    def diagnosis(old: Diagnosis) -> Diagnosis:
        attempt = replace(old.attempt, target=where(old.attempt.target), steps=tuple(map(step, old.attempt.steps)))
        return replace(old, account=account(old.account), attempt=attempt, findings=tuple(map(finding, old.findings)))

    return replace(
        outcome,
        account=account(outcome.account),
        diagnoses=tuple(map(diagnosis, outcome.diagnoses)),
        findings=tuple(map(finding, outcome.findings)),
    )


def _names(account: Account) -> tuple[str | None, ...]:
    return account.login, account.mailbox, account.sender
