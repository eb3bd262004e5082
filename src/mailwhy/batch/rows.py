"""A list of mailboxes as Rows. Streams; trusts nothing in the list; never quotes a secret column in a message."""

from __future__ import annotations

import codecs
import csv
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..model import Protocol, Secret

# field of a row -> names of its column, compared without case, blanks, dashes and underscores
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "address": (
        *("address", "email", "emailaddress", "mail", "mailbox", "account", "identity"),
        *("smtpaddress", "primarysmtpaddress", "windowsemailaddress"),
    ),
    "login": ("login", "user", "username", "upn", "userprincipalname", "authuser", "signinname"),
    "sender": ("from", "sender", "mailfrom"),
    "servers": ("server", "servers", "host"),
    "cloud": ("cloud",),
    "only": ("only", "protocol", "protocols"),
    "kind": ("credential", "credentialtype", "kind"),
    "file": ("passwordfile", "secretfile", "tokenfile"),
    "command": ("passwordcommand", "secretcommand", "tokencommand"),
    "variable": ("passwordvariable", "passwordenv", "passwordenvironment", "env", "variable"),
    "keyring": ("keyring", "keyringservice"),
    "password": ("password", "apppassword", "secret", "token", "passwd", "pass", "pwd"),
}
NAMES = {name: column for column, names in COLUMNS.items() for name in names}
SOURCES = ("file", "command", "variable", "keyring", "password")
MANY_DOMAINS = 10  # from here on the list has to look like one administrator's
ROWS_A_DOMAIN = 5  # ... with at least so many rows for each domain
REMEMBERED_DOMAINS = 1000
SHOWN_PROBLEMS = 20
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_LINE_LIMIT = 1 << 20


class ListError(Exception):
    """A list that cannot be used: names file, line and mend. Never holds a secret."""


@dataclass(frozen=True, slots=True)
class Row:
    """One mailbox to check. `number` counts the rows from 1, `line` is where it stands in the file.

    source   (kind, where): file, command, variable, keyring; or "password", whose value is in `secret`; or ""
    """

    number: int
    line: int
    address: str
    login: str
    sender: str | None = None
    servers: tuple[str, ...] = ()
    cloud: str | None = None
    only: tuple[Protocol, ...] = ()
    kind: str | None = None
    source: tuple[str, str] = ("", "")
    secret: Secret | None = None

    @property
    def tenant(self) -> str:
        """What is paced and stopped together: the login's domain."""
        return self.login.rpartition("@")[2].casefold()

    @property
    def mark(self) -> int:
        """A number that changes when the row is about another sign-in; never 0. Free of the secret."""
        source = self.source if self.source[0] != "password" else ("password", "")
        parts = (self.address, self.login, self.sender, self.servers, self.cloud, self.only, self.kind, source)
        return zlib.crc32(repr(parts).encode("utf-8", "surrogatepass")) or 1


@dataclass(slots=True)
class Survey:
    """What the whole list is like, read once before anything is sent."""

    rows: int = 0
    domains: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)
    without_source: int = 0
    passwords_inside: bool = False
    ignored: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)

    @property
    def many_domains(self) -> bool:
        """Many unrelated domains with few mailboxes each: what stolen credentials look like."""
        count = len(self.domains)
        return count >= REMEMBERED_DOMAINS or (count > MANY_DOMAINS and self.rows < ROWS_A_DOMAIN * count)


def survey(path: Path, wrong: Callable[[Row], str | None] = lambda row: None) -> Survey:
    """Reads the whole list for what is wrong or odd in it; `wrong` may add what it knows against a row.

    Raises ListError when the list cannot be read at all.
    """
    found = Survey()
    for row in read(path, found):
        found.rows += 1
        if (why := wrong(row)) and len(found.problems) < SHOWN_PROBLEMS:
            found.problems.append(f"line {row.line}: {why}")
        if len(found.domains) < REMEMBERED_DOMAINS:
            found.domains.add(".".join(row.tenant.split(".")[-2:]))
        kind, where = row.source
        found.without_source += not kind
        found.passwords_inside |= kind == "password"
        if kind == "variable" and len(found.variables) < REMEMBERED_DOMAINS:
            found.variables.add(where)
    return found


def read(path: Path, problems: Survey | None = None) -> Iterator[Row]:
    """The rows, one after the other. A wrong row raises ListError, or is noted in `problems` where that is given."""
    for number, (line, cells) in enumerate(_records(path, problems), 1):
        try:
            yield _row(number, line, cells)
        except ListError as why:
            if problems is None:
                raise ListError(f"{path}, line {line}: {why}") from None
            if len(problems.problems) < SHOWN_PROBLEMS:
                problems.problems.append(f"line {line}: {why}")


def _records(path: Path, problems: Survey | None) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        with path.open("rb") as raw:
            start = raw.read(4096)
        encoding = "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
        head = start.decode(encoding, "ignore").lstrip()
        with path.open(encoding=encoding, newline="") as file:
            if head.startswith("{"):
                yield from _json_lines(file, problems)
            else:
                yield from _table(file, _delimiter(path, head), problems)
    except OSError as why:
        raise ListError(f"{path} cannot be read: {why.strerror}") from None
    except UnicodeError:
        raise ListError(f"{path} is not UTF-8 text; save it as CSV UTF-8") from None
    except csv.Error as why:
        raise ListError(f"{path} is not a table: {why}") from None


def _delimiter(path: Path, head: str) -> str:
    first = head.partition("\n")[0]
    if path.suffix.casefold() in (".tsv", ".tab"):
        return "\t"
    return max(",;\t", key=first.count)  # Excel writes ; where the decimal point is a comma


def _table(file: Any, delimiter: str, problems: Survey | None) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.reader(_bounded(file), delimiter=delimiter, strict=True)
    columns: list[str | None] | None = None
    before = 0
    for cells in reader:
        line, before = before + 1, reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        if columns is None:
            columns = _columns(cells, problems)
            continue
        extra = len(cells) > len(columns) and any(cells[len(columns) :])
        yield line, {"": "extra"} if extra else {c: v for c, v in zip(columns, cells, strict=False) if c}


def _bounded(file: Any) -> Iterator[str]:
    """Lines, none without end."""
    while text := file.readline(_LINE_LIMIT):
        if len(text) >= _LINE_LIMIT:
            raise ListError("a line of the list is longer than 1 MiB")
        yield text


def _columns(cells: list[str], problems: Survey | None) -> list[str | None]:
    columns = [NAMES.get(_plain(cell)) for cell in cells]
    if not {"address", "login"} & set(columns):
        raise ListError("the first line has to name the columns, for example: address,password-file")
    named = [column for column in columns if column]
    if twice := next((column for column in named if named.count(column) > 1), None):
        raise ListError(f"two columns mean the same: {twice}")
    if problems is not None:
        ignored = (cell.strip() for cell, column in zip(cells, columns, strict=True) if not column)
        problems.ignored = tuple(cell for cell in ignored if cell)
    return columns


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()


def _json_lines(file: Any, problems: Survey | None) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, text in enumerate(_bounded(file), 1):
        if not text.strip():
            continue
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            yield line, {"": "json"}
            continue
        if not isinstance(data, dict):
            yield line, {"": "json"}
            continue
        columns = {key: NAMES.get(_plain(key)) for key in data}
        if problems is not None:
            problems.ignored = tuple(dict.fromkeys((*problems.ignored, *(k for k, c in columns.items() if not c))))[:20]
        named = [column for column in columns.values() if column]
        twice = len(named) > len(set(named))
        yield line, {"": "twice"} if twice else {c: v for k, v in data.items() if (c := columns[k]) and v is not None}


_WRONG = {
    "extra": "more cells than columns (a value with the separator in it has to stand in quotation marks)",
    "json": "not a JSON object",
    "twice": "two keys mean the same",
}


def _row(number: int, line: int, cells: Mapping[str, Any]) -> Row:
    if "" in cells:
        raise ListError(_WRONG[cells[""]])
    text = {column: _cell(column, value) for column, value in cells.items()}
    text = {column: value for column, value in text.items() if value}
    login = text.get("login") or text.get("address")
    if not login:
        raise ListError("no address")
    sources = [column for column in SOURCES if column in text]
    if len(sources) > 1:
        raise ListError(f"the secret is to come from one place only, not from {' and '.join(sources)}")
    source = (sources[0], text[sources[0]]) if sources else ("", "")
    inside = source[0] == "password"
    kind = text.get("kind", "").casefold() or None
    if kind not in (None, "password", "oauth"):
        raise ListError("credential is password or oauth")
    return Row(
        number=number,
        line=line,
        address=text.get("address") or login,
        login=login,
        sender=text.get("sender"),
        servers=tuple(re.split(r"[\s,;]+", text["servers"])) if "servers" in text else (),
        cloud=text.get("cloud"),
        only=_only(text["only"]) if "only" in text else (),
        kind=kind,
        source=("password", "") if inside else source,
        secret=Secret(source[1]) if inside else None,
    )


def _cell(column: str, value: Any) -> str:
    """A cell as text; blanks around it go, but never those of a secret."""
    if column in ("servers", "only") and isinstance(value, list):
        value = " ".join(str(item) for item in value)
    if not isinstance(value, str):
        raise ListError(f"{column}: expected a text")
    if column == "password":
        return value
    text = value.strip()
    if _INVISIBLE.search(text):
        raise ListError(f"{column}: has control or invisible characters")
    return text


def _only(text: str) -> tuple[Protocol, ...]:
    names = [name for name in re.split(r"[\s,;+]+", text.casefold()) if name]
    if not names or not set(names) <= set(Protocol):
        raise ListError("only: name one or more of smtp, imap, pop")
    return tuple(protocol for protocol in Protocol if protocol in names)
