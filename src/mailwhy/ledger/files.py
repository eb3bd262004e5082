"""The ledger's files, their lock and their troubles: whatever goes wrong is a notice and the careful default."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from ..model import Judged, Notice, NotPlainError, Protocol, from_plain, to_plain
from .rule import (
    CAREFUL_LIMIT,
    LIMIT,
    RISK,
    UNDER_WAY,
    WINDOW,
    Book,
    Entry,
    Held,
    SignIn,
    aged,
    fingerprint,
    iso,
    moment,
    weigh,
)

LOCK_SECONDS = 5.0

T = TypeVar("T")


def state_home() -> Path:
    """Where the state is kept: MAILWHY_STATE_DIR, or the platform's place."""
    if named := os.environ.get("MAILWHY_STATE_DIR"):
        return Path(named)
    home, base = Path(os.environ.get("HOME", "")), Path(os.environ.get("XDG_STATE_HOME", ""))
    if sys.platform == "linux" and home.is_absolute():  # as platformdirs says; importing it costs 5 ms
        return (base if base.is_absolute() else home / ".local" / "state") / "mailwhy"
    import platformdirs

    try:
        return Path(platformdirs.user_state_dir("mailwhy", appauthor=False))
    except RuntimeError:  # neither a HOME nor a name in passwd, as in some containers
        return Path("no-home")  # relative, which `_locked` refuses


class Ledger:
    """The ledger in the folder `home` (the platform's state folder unless given). Safe for many processes.

    `notices` collects what should be said: a damaged or unwritable ledger, a forced sign-in.
    """

    def __init__(self, home: Path | None = None) -> None:
        self.folder = (home or state_home()) / "ledger"
        self.notices: list[Notice] = []
        self._memory: dict[str, Book] = {}  # where the disk cannot remember
        self._own: set[str] = set()
        self._pending: dict[tuple[str, Protocol], str] = {}
        self._accepted: set[tuple[str, str]] = set()
        self._spare_key = os.urandom(32)

    def held_back(self, sign_in: SignIn, now: datetime, *, force: bool = False, insist: bool = False) -> Held | None:
        """None to go on, and the sign-in counts as under way until `note` is called; else why it must wait.

        force    go on whatever is remembered (a notice says what that risks)
        insist   go on although this same run has seen the secret refused elsewhere; the limit still holds
        """
        if sign_in.exempt:
            return None
        name = self._name(sign_in)

        def change(book: Book, key: bytes, careful: bool) -> tuple[Book, Held | None]:
            mark = fingerprint(key, sign_in)
            limit = CAREFUL_LIMIT if sign_in.careful or careful or book.careful_until else LIMIT
            seen = book
            if (name, mark) in self._accepted:
                # this run has seen the secret accepted: its own sign-ins under way are no guesses
                others = tuple(e for e in book.entries if e.judged != UNDER_WAY or e.id not in self._own)
                seen = replace(book, entries=others)
            held = weigh(seen, mark, limit, now, frozenset(self._own) if insist else frozenset())
            if held and not force:
                return book, held
            if held:
                self._say("ledger.forced", RISK)
            entry = Entry(os.urandom(8).hex(), iso(now), sign_in.protocol, UNDER_WAY, mark)
            self._own.add(entry.id)
            self._pending[name, sign_in.protocol] = entry.id
            return replace(book, entries=(*book.entries, entry)), None

        return self._with_book(sign_in, now, change)

    def note(self, sign_in: SignIn, judged: Judged, now: datetime, *, sign: str = "", reply: str = "") -> None:
        """What came of a sign-in that was not held back. `reply` is the server's line, free of the secret."""
        if sign_in.exempt:
            return
        name = self._name(sign_in)

        def change(book: Book, key: bytes, careful: bool) -> tuple[Book, None]:
            mark = fingerprint(key, sign_in)
            waiting = self._pending.get((name, sign_in.protocol))
            entries = [e for e in book.entries if e.id != waiting]
            if judged is Judged.ACCEPTED:
                self._accepted.add((name, mark))
                # it works now: it may be sent again, but what was refused within the hour still counts
                entries = [replace(e, judged=Judged.UNKNOWN.value) if e.secret == mark else e for e in entries]
            elif judged is not Judged.NOT_JUDGED:
                entry_id = waiting or os.urandom(8).hex()
                self._own.add(entry_id)
                entries.append(Entry(entry_id, iso(now), sign_in.protocol, judged.value, mark, sign, reply[:1000]))
            return replace(book, entries=tuple(entries)), None

        self._with_book(sign_in, now, change)
        self._pending.pop((name, sign_in.protocol), None)

    def books(self, now: datetime) -> list[Book]:
        """All that is remembered, by login. Raises OSError when the folder is there and cannot be read."""
        found = []
        for path in self._files():
            book = _parse(path.read_bytes())
            if book is None:
                self._say("ledger.damaged", f"{path} is damaged; `mailwhy ledger clear` takes it away")
            elif (book := aged(book, now)).entries:
                found.append(book)
        return sorted(found, key=lambda book: (book.login.casefold(), book.service))

    def clear(self, login: str | None = None) -> int:
        """Forgets one login, or everything (with damaged files and the key). Returns how many. Raises OSError."""
        count = 0
        if not self._files() and not self.folder.exists():
            return 0
        with self._locked():
            for path in self._files():
                book = _parse(path.read_bytes())
                if login is None or (book and book.login.casefold() == login.casefold()):
                    path.unlink()
                    count += 1
            if login is None:
                for path in (*self.folder.glob("*.damaged"), *self.folder.glob("*.new"), self.folder / "key"):
                    path.unlink(missing_ok=True)
        return count

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in self.folder.iterdir() if path.suffix == ".json")
        except FileNotFoundError:
            return []

    # -- below: one account's file, under the lock, or memory where that fails

    def _name(self, sign_in: SignIn) -> str:
        account = f"{sign_in.service}\n{sign_in.login.strip().casefold()}"
        return hashlib.sha256(account.encode("utf-8", "replace")).hexdigest()[:32]

    def _with_book(self, sign_in: SignIn, now: datetime, change: Callable[[Book, bytes, bool], tuple[Book, T]]) -> T:
        """Lets `change` look at the account's book and give it back changed; it is kept where it can be."""
        name = self._name(sign_in)
        blank = Book(sign_in.service, sign_in.login)
        if name not in self._memory:
            try:
                with self._locked():
                    book, whole = self._load(name, blank, now)
                    new, result = change(book, self._key(make=True), False)
                    if new != book or not whole:
                        self._save(name, new)
                    return result
            except OSError as why:
                self._say(
                    "ledger.unwritable",
                    f"The ledger in {self.folder} cannot be used ({why.strerror or type(why).__name__}): refused "
                    "sign-ins are not remembered beyond this run, and one an account is all that this run makes.",
                )
        book = self._memory.get(name) or self._readable(name, blank, now)
        self._memory[name], result = change(aged(book, now), self._key(make=False), True)
        return result

    def _readable(self, name: str, blank: Book, now: datetime) -> Book:
        try:
            return self._load(name, blank, now)[0]
        except OSError:
            return blank

    def _load(self, name: str, blank: Book, now: datetime) -> tuple[Book, bool]:
        """The book, and whether what is on the disk can stay as it is."""
        path = self.folder / f"{name}.json"
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return blank, True
        book = _parse(raw)
        if book is not None:
            return aged(book, now), True
        aside = path.with_suffix(".damaged")
        again = _is_fresh(aside)
        with contextlib.suppress(OSError):
            path.replace(aside)
            os.utime(aside)
        self._say(
            "ledger.damaged",
            f"The ledger of {blank.login} was damaged and is set aside: what it remembered is not known, so one "
            "refused sign-in within the next hour is the limit.",
        )
        lost = Entry(os.urandom(8).hex(), iso(now), Protocol.SMTP, UNDER_WAY, "")  # the one that damage allows is spent
        return replace(blank, careful_until=iso(now + WINDOW), entries=(lost,) if again else ()), False

    def _save(self, name: str, book: Book) -> None:
        path = self.folder / f"{name}.json"
        if not book.entries and not book.careful_until:
            path.unlink(missing_ok=True)
            return
        _write(path, json.dumps(to_plain(book), ensure_ascii=True, indent=1).encode("ascii") + b"\n")

    def _key(self, make: bool) -> bytes:
        """The key of the fingerprints: this machine's own, made once."""
        path = self.folder / "key"
        with contextlib.suppress(OSError):
            key = path.read_bytes()
            if len(key) == len(self._spare_key):
                return key
        if make:
            _write(path, self._spare_key)
        return self._spare_key

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the folder's lock. Raises OSError when it cannot be made or had within LOCK_SECONDS."""
        if not self.folder.is_absolute():
            raise OSError(None, "there is no home folder")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name != "nt" and self.folder.stat().st_mode & 0o077:
            self.folder.chmod(0o700)
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            deadline = time.monotonic() + LOCK_SECONDS
            while not _try_lock(handle):
                if time.monotonic() > deadline:
                    raise OSError(None, "another run does not let go of its lock")
                time.sleep(0.005)
            yield
        finally:
            os.close(handle)  # which lets go of the lock

    def _say(self, name: str, text: str) -> None:
        notice = Notice(name, text)
        if notice not in self.notices:
            self.notices.append(notice)


def _parse(raw: bytes) -> Book | None:
    """A book, or None where the bytes are none."""
    try:
        book = from_plain(Book, json.loads(raw))
        for entry in book.entries:
            _ = entry.at
        if book.careful_until:
            moment(book.careful_until)
    except (ValueError, NotPlainError, RecursionError):
        return None
    return book


def _is_fresh(path: Path) -> bool:
    """Was this file set aside within the last hour, by the system's clock?"""
    try:
        return abs(time.time() - path.stat().st_mtime) < WINDOW.total_seconds()
    except OSError:
        return False


def _write(path: Path, content: bytes) -> None:
    """Replaces the file in one step, 0600. Raises OSError."""
    new = path.with_name(f"{path.name}.{os.urandom(4).hex()}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
