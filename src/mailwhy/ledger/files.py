"""The ledger's files, their lock and their troubles: whatever goes wrong is a notice and the careful default."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from ..model import Judged, Notice, Protocol
from ..plain import NotPlainError, from_plain, to_plain
from .lock import Sleep, Waits, awaiting, lock, sleeping
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
    Since,
    aged,
    fingerprint,
    iso,
    moment,
    weigh,
)

if TYPE_CHECKING:
    from pathlib import Path

UNUSABLE = (
    "the ledger in {folder} cannot be used ({why}), so a refusal would not be remembered, and a program that tries "
    "again and again would lock the account; MAILWHY_STATE_DIR names a folder that can be written"
)

T = TypeVar("T")


def state_home() -> str:
    """Where the state is kept: MAILWHY_STATE_DIR, or the platform's place."""
    if named := os.environ.get("MAILWHY_STATE_DIR"):
        return named
    home, base = os.environ.get("HOME", ""), os.environ.get("XDG_STATE_HOME", "")
    if sys.platform == "linux" and os.path.isabs(home):  # as platformdirs says; importing it costs 5 ms
        return os.path.join(base if os.path.isabs(base) else os.path.join(home, ".local", "state"), "mailwhy")
    import platformdirs

    try:
        return platformdirs.user_state_dir("mailwhy", appauthor=False)
    except RuntimeError:  # neither a HOME nor a name in passwd, as in some containers
        return "no-home"  # relative, which `lock` refuses


def since_start() -> Since:
    """The clock that nobody can set, where the system has one that also counts its sleep (Linux)."""
    if sys.platform != "linux":
        return Since()
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return Since(file.read().strip(), round(time.clock_gettime(time.CLOCK_BOOTTIME), 3))
    except (OSError, ValueError):
        return Since()


class Ledger:
    """The ledger in the folder `home` (the platform's state folder unless given). Safe for many processes.

    `notices` collects what should be said: a damaged or unwritable ledger, a forced sign-in. Another run's lock is
    waited for: `held_back` and `note` sleep, `ask` and `tell` are the same and let the event loop go on meanwhile.
    """

    def __init__(self, home: str | os.PathLike[str] | None = None) -> None:
        self._folder = os.path.join(home or state_home(), "ledger")
        self.notices: list[Notice] = []
        self._memory: dict[str, Book] = {}  # where the disk cannot remember
        self._trouble: dict[str, str] = {}  # and why
        self._own: set[str] = set()
        self._pending: dict[tuple[str, Protocol], str] = {}
        self._accepted: set[tuple[str, str]] = set()
        self._spare_key = os.urandom(32)

    @property
    def folder(self) -> Path:
        """Where it is kept. A check never asks: `pathlib` takes 3 ms to import."""
        from pathlib import Path

        return Path(self._folder)

    def held_back(self, sign_in: SignIn, now: datetime, *, force: bool = False, insist: bool = False) -> Held | None:
        """None to go on, and the sign-in counts as under way until `note` is called; else why it must wait.

        force    go on whatever is remembered (a notice says what that risks)
        insist   go on although this same run has seen the secret refused elsewhere; the limit still holds
        """
        return sleeping(self._held_back(sign_in, now, force, insist))

    async def ask(
        self, sign_in: SignIn, now: datetime, sleep: Sleep, *, force: bool = False, insist: bool = False
    ) -> Held | None:
        """`held_back`, for whoever has an event loop; `sleep` is the loop's (asyncio.sleep)."""
        return await awaiting(self._held_back(sign_in, now, force, insist), sleep)

    def note(self, sign_in: SignIn, judged: Judged, now: datetime, *, sign: str = "", reply: str = "") -> None:
        """What came of a sign-in that was not held back. `reply` is the server's line, free of the secret."""
        sleeping(self._note(sign_in, judged, now, sign, reply))

    async def tell(
        self, sign_in: SignIn, judged: Judged, now: datetime, sleep: Sleep, *, sign: str = "", reply: str = ""
    ) -> None:
        """`note`, for whoever has an event loop."""
        await awaiting(self._note(sign_in, judged, now, sign, reply), sleep)

    def _held_back(self, sign_in: SignIn, now: datetime, force: bool, insist: bool) -> Waits[Held | None]:
        if sign_in.exempt:
            return None
        name, since = self._name(sign_in), since_start()

        def change(book: Book, key: bytes, trouble: str) -> tuple[Book, Held | None]:
            mark = fingerprint(key, sign_in)
            limit = CAREFUL_LIMIT if sign_in.careful or book.careful_until else LIMIT
            seen = book
            accepted = (name, mark) in self._accepted
            if accepted:
                # this run has seen the secret accepted: its own sign-ins under way are no guesses
                others = tuple(e for e in book.entries if e.judged != UNDER_WAY or e.id not in self._own)
                seen = replace(book, entries=others)
            held = weigh(seen, mark, limit, now, frozenset(self._own) if insist else frozenset(), since)
            if trouble and not accepted:
                held = held or Held(UNUSABLE.format(folder=self.folder, why=trouble))
            if held and not force:
                return book, held
            if held:
                self._say("ledger.forced", RISK)
            entry = Entry(
                os.urandom(8).hex(),
                iso(now),
                sign_in.protocol,
                UNDER_WAY,
                mark,
                start=since.start,
                uptime=since.seconds,
            )
            self._own.add(entry.id)
            self._pending[name, sign_in.protocol] = entry.id
            return replace(book, entries=(*book.entries, entry)), None

        return (yield from self._with_book(sign_in, now, since, change))

    def _note(self, sign_in: SignIn, judged: Judged, now: datetime, sign: str, reply: str) -> Waits[None]:
        if sign_in.exempt:
            return
        name, since = self._name(sign_in), since_start()

        def change(book: Book, key: bytes, trouble: str) -> tuple[Book, None]:
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
                told = (judged.value, mark, sign, reply[:1000], since.start, since.seconds)
                entries.append(Entry(entry_id, iso(now), sign_in.protocol, *told))
            return replace(book, entries=tuple(entries)), None

        yield from self._with_book(sign_in, now, since, change)
        self._pending.pop((name, sign_in.protocol), None)

    def books(self, now: datetime) -> list[Book]:
        """All that is remembered, by login. Raises OSError when the folder is there and cannot be read."""
        found = []
        for path in self._files():
            book = _parse(path.read_bytes())
            if book is None:
                self._say("ledger.damaged", f"{path} is damaged; `mailwhy ledger clear` takes it away")
            elif (book := aged(book, now, since_start())).entries:
                found.append(book)
        return sorted(found, key=lambda book: (book.login.casefold(), book.service))

    def clear(self, login: str | None = None) -> int:
        """Forgets one login, or everything (with damaged files and the key). Returns how many. Raises OSError."""
        count = 0
        if not self._files() and not self.folder.exists():
            return 0
        with sleeping(lock(self._folder)):
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

    def _with_book(
        self, sign_in: SignIn, now: datetime, since: Since, change: Callable[[Book, bytes, str], tuple[Book, T]]
    ) -> Waits[T]:
        """Lets `change` look at the account's book and give it back changed; it is kept where it can be.

        What keeps it from the disk is the last argument of `change`, in words; "" where nothing does.
        """
        name = self._name(sign_in)
        blank = Book(sign_in.service, sign_in.login)
        if name not in self._trouble:
            try:
                with (yield from lock(self._folder)):
                    old, whole = self._load(name, blank, now)
                    new, result = change(aged(old, now, since), self._key(make=True), "")
                    if new != old or not whole:
                        self._save(name, new)
                    return result
            except OSError as why:
                self._trouble[name] = why.strerror or type(why).__name__
                self._say(
                    "ledger.unwritable",
                    f"The ledger in {self.folder} cannot be used ({self._trouble[name]}): what this run was answered "
                    "is not remembered for the next one.",
                )
        book = self._memory.get(name) or self._readable(name, blank, now)
        self._memory[name], result = change(aged(book, now, since), self._key(make=False), self._trouble[name])
        return result

    def _readable(self, name: str, blank: Book, now: datetime) -> Book:
        try:
            return self._load(name, blank, now)[0]
        except OSError:
            return blank

    def _load(self, name: str, blank: Book, now: datetime) -> tuple[Book, bool]:
        """The book, and whether what is on the disk can stay as it is."""
        path = os.path.join(self._folder, f"{name}.json")
        try:
            raw = _content(path)
        except FileNotFoundError:
            return blank, True
        book = _parse(raw)
        if book is not None:
            return book, True
        aside = os.path.join(self._folder, f"{name}.damaged")
        again = _is_fresh(aside)
        with contextlib.suppress(OSError):
            os.replace(path, aside)
            os.utime(aside)
        self._say(
            "ledger.damaged",
            f"The ledger of {blank.login} was damaged and is set aside: what it remembered is not known, so one "
            "refused sign-in within the next hour is the limit.",
        )
        lost = Entry(os.urandom(8).hex(), iso(now), Protocol.SMTP, UNDER_WAY, "")  # the one that damage allows is spent
        return replace(blank, careful_until=iso(now + WINDOW), entries=(lost,) if again else ()), False

    def _save(self, name: str, book: Book) -> None:
        path = os.path.join(self._folder, f"{name}.json")
        if not book.entries and not book.careful_until:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
        _write(path, json.dumps(to_plain(book), ensure_ascii=True, indent=1).encode("ascii") + b"\n")

    def _key(self, make: bool) -> bytes:
        """The key of the fingerprints: this machine's own, made once."""
        path = os.path.join(self._folder, "key")
        with contextlib.suppress(OSError):
            key = _content(path)
            if len(key) == len(self._spare_key):
                return key
        if make:
            _write(path, self._spare_key)
        return self._spare_key

    def _say(self, name: str, text: str) -> None:
        notice = Notice(name, text)
        if notice not in self.notices:
            self.notices.append(notice)


def _parse(raw: bytes) -> Book | None:
    """A book, or None where the bytes are none."""
    try:
        book = from_plain(Book, json.loads(raw))
        for entry in book.entries:
            _ = entry.at, moment(entry.seen or entry.time)
        if book.careful_until:
            moment(book.careful_until)
    except (ValueError, NotPlainError, RecursionError):
        return None
    return book


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _is_fresh(path: str) -> bool:
    """Was this file set aside within the last hour, by the system's clock?"""
    try:
        return abs(time.time() - os.stat(path).st_mtime) < WINDOW.total_seconds()
    except OSError:
        return False


def _write(path: str, content: bytes) -> None:
    """Replaces the file in one step, 0600. Raises OSError."""
    new = f"{path}.{os.urandom(4).hex()}.new"
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        raise
