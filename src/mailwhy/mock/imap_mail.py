"""The commands of an open IMAP mailbox: folders, messages, flags, searches. A generator without sockets."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from datetime import datetime

from ..model import Stage
from .imap_args import BadArgumentsError, Text, Token, numbers, text
from .imap_fetch import fetch, marks_seen, search, wanted
from .store import Folder, Message, Store
from .talk import POKED, Act, ReadLine, Say

Part = Generator[Act, bytes | None, None]

FLAGS = "\\Seen \\Answered \\Flagged \\Deleted \\Draft $MDNSent"
WILD = re.compile(r"[*%]+")
ARGUMENTS = "BAD Command Argument Error. 12"
INVALID_STATE = "BAD Command received in Invalid state."
ASSUMED = {
    "no folder": "NO [NONEXISTENT] The folder does not exist.",
    "exists": "NO Mailbox already exists.",
    "read-only": "NO STORE failed.",
    "idle": "+ IDLE accepted, awaiting DONE command.",
}


class Mailbox:
    """A signed-in session's view of its mailbox."""

    COMMANDS = frozenset(
        {
            "SELECT", "EXAMINE", "LIST", "LSUB", "NAMESPACE", "STATUS", "CREATE", "DELETE", "RENAME", "SUBSCRIBE",
            "UNSUBSCRIBE", "APPEND", "FETCH", "STORE", "SEARCH", "COPY", "MOVE", "EXPUNGE", "UID", "CLOSE", "UNSELECT",
            "CHECK", "IDLE",
        }
    )  # fmt: skip

    def __init__(self, store: Store, address: str, now: datetime) -> None:
        self.store = store
        self.address = address
        self.now = now
        self.folder: Folder | None = None
        self.view: list[Message] = []
        self.writable = False
        self.commands: dict[str, Callable[[str, list[Token]], Part]] = {
            "SELECT": self.select,
            "EXAMINE": self.examine,
            "LIST": self.list_folders,
            "LSUB": self.lsub,
            "NAMESPACE": self.namespace,
            "STATUS": self.status,
            "CREATE": self.create,
            "DELETE": self.delete,
            "SUBSCRIBE": self.nothing,
            "UNSUBSCRIBE": self.nothing,
            "APPEND": self.append,
        }
        self.open_commands: dict[str, Callable[[str, list[Token], bool], Part]] = {
            "FETCH": self.fetch,
            "STORE": self.flag,
            "SEARCH": self.search,
            "COPY": self.copy,
            "MOVE": self.move,
            "EXPUNGE": self.expunge,
            "CLOSE": self.close,
            "UNSELECT": self.unselect,
            "CHECK": self.check,
            "IDLE": self.idle,
        }

    def command(self, tag: str, name: str, args: list[Token]) -> Part:
        """One command, answered."""
        try:
            uid = name == "UID"
            if uid:
                name, args = text(args[0]).upper(), args[1:]
            if name in self.commands and not uid:
                yield from self.commands[name](tag, args)
            elif name not in self.open_commands:
                yield say(f"{tag} BAD Command Error. 10")
            elif self.folder is None:
                yield say(f"{tag} {INVALID_STATE}")
            else:
                yield from self.open_commands[name](tag, args, uid)
        except (BadArgumentsError, IndexError, RecursionError):  # the last: a search nested a thousand deep
            yield say(f"{tag} {ARGUMENTS}")
        except KeyError:
            yield say(f"{tag} {ASSUMED['no folder']}")

    def select(self, tag: str, args: list[Token]) -> Part:
        """SELECT."""
        yield from self.open(tag, args, "SELECT", "READ-WRITE")

    def examine(self, tag: str, args: list[Token]) -> Part:
        """EXAMINE: SELECT, read-only."""
        yield from self.open(tag, args, "EXAMINE", "READ-ONLY")

    def open(self, tag: str, args: list[Token], name: str, mode: str) -> Part:
        """Opens a folder (facts: imap-pop 3.3)."""
        self.folder, self.view = None, []
        self.folder = self.store.folder(self.address, text(args[0]))
        self.view = list(self.folder.messages)
        self.writable = mode == "READ-WRITE"
        recent = sum(message.recent for message in self.view)
        unseen = next((n for n, message in enumerate(self.view, 1) if "\\Seen" not in message.flags), 0)
        lines = [
            f"* {len(self.view)} EXISTS",
            f"* {recent} RECENT",
            f"* FLAGS ({FLAGS})",
            f"* OK [PERMANENTFLAGS ({FLAGS if self.writable else ''})] Permanent flags",
            *([f"* OK [UNSEEN {unseen}] Is the first unseen message"] if unseen else []),
            f"* OK [UIDVALIDITY {self.folder.validity}] UIDVALIDITY value",
            f"* OK [UIDNEXT {self.folder.next_uid}] The next unique identifier value",
            f"{tag} OK [{mode}] {name} completed.",
        ]
        if self.writable:
            for message in self.view:
                message.recent = False
        yield say("\r\n".join(lines))

    def news(self) -> Part:
        """What has changed in the open folder since the last answer."""
        if self.folder is None:
            return
        known = {id(message) for message in self.view}
        kept = {id(message) for message in self.folder.messages}
        lines = []
        for number in range(len(self.view), 0, -1):
            if id(self.view[number - 1]) not in kept:
                del self.view[number - 1]
                lines.append(f"* {number} EXPUNGE")
        new = [message for message in self.folder.messages if id(message) not in known]
        if new:
            self.view += new
            lines += [f"* {len(self.view)} EXISTS", f"* {sum(m.recent for m in self.view)} RECENT"]
        if lines:
            yield say("\r\n".join(lines))

    def list_folders(self, tag: str, args: list[Token], name: str = "LIST") -> Part:
        """LIST (facts: imap-pop 3.3)."""
        pattern = text(args[0]) + text(args[1])
        lines = []
        if not text(args[1]):
            lines.append(f'* {name} (\\Noselect) "/" ""')
        for folder in self.store.folders(self.address).values():
            if fits(folder.name.casefold(), pattern.casefold()):
                shown = "Inbox" if folder.name == "INBOX" else folder.name
                lines.append(f'* {name} ({folder.attributes}) "/" {quoted(shown)}')
        yield say("\r\n".join([*lines, f"{tag} OK {name} completed."]))

    def lsub(self, tag: str, args: list[Token]) -> Part:
        """LSUB: every folder is subscribed."""
        yield from self.list_folders(tag, args, "LSUB")

    def namespace(self, tag: str, _: list[Token]) -> Part:
        """NAMESPACE."""
        yield say(f'* NAMESPACE (("" "/")) NIL NIL\r\n{tag} OK NAMESPACE completed.')

    def status(self, tag: str, args: list[Token]) -> Part:
        """STATUS."""
        folder = self.store.folder(self.address, text(args[0]))
        values = {
            "MESSAGES": len(folder.messages),
            "RECENT": sum(message.recent for message in folder.messages),
            "UIDNEXT": folder.next_uid,
            "UIDVALIDITY": folder.validity,
            "UNSEEN": sum("\\Seen" not in message.flags for message in folder.messages),
        }
        items = args[1] if isinstance(args[1], list) else [args[1]]
        shown = " ".join(f"{name} {values[name]}" for name in (text(item).upper() for item in items) if name in values)
        yield say(f"* STATUS {quoted(text(args[0]))} ({shown})\r\n{tag} OK STATUS completed.")

    def create(self, tag: str, args: list[Token]) -> Part:
        """CREATE."""
        name = text(args[0]).rstrip("/")
        folders = self.store.folders(self.address)
        if name.upper() == "INBOX" or name in folders or not name:
            yield say(f"{tag} {ASSUMED['exists']}")
            return
        folders[name] = Folder(name)
        yield say(f"{tag} OK CREATE completed.")

    def delete(self, tag: str, args: list[Token]) -> Part:
        """DELETE."""
        folders = self.store.folders(self.address)
        name = text(args[0])
        if name.upper() == "INBOX":
            yield say(f"{tag} NO Folder name is reserved")
            return
        del folders[name]
        yield say(f"{tag} OK DELETE completed.")

    def nothing(self, tag: str, _: list[Token]) -> Part:
        """SUBSCRIBE and the like: nothing to do."""
        yield say(f"{tag} OK completed.")

    def append(self, tag: str, args: list[Token]) -> Part:
        """APPEND."""
        folder = self.store.folder(self.address, text(args[0]))
        data = args[-1]
        if not isinstance(data, Text) or len(args) < 2:
            raise BadArgumentsError("a message was expected")
        given = [text(flag) for flag in args[1]] if isinstance(args[1], list) else []
        message = folder.add(data.value, self.now, frozenset(given))
        yield from self.news()
        yield say(f"{tag} OK [APPENDUID {folder.validity} {message.uid}] APPEND completed.")

    def chosen(self, spec: Token, uid: bool) -> list[tuple[int, Message]]:
        """The messages of a sequence set, with their numbers."""
        largest = max((message.uid for message in self.view), default=0) if uid else len(self.view)
        ranges = numbers(text(spec), largest)
        pairs = enumerate(self.view, 1)
        return [(n, m) for n, m in pairs if any(low <= (m.uid if uid else n) <= high for low, high in ranges)]

    def fetch(self, tag: str, args: list[Token], uid: bool) -> Part:
        """FETCH and UID FETCH."""
        items = wanted(args[1], uid)
        seen = marks_seen(items) and self.writable
        for number, message in self.chosen(args[0], uid):
            if seen:
                message.flags.add("\\Seen")
            yield Say(b"* %d FETCH " % number + fetch(message, items) + b"\r\n", Stage.USE)
        yield from self.news()
        yield say(f"{tag} OK FETCH completed.")

    def flag(self, tag: str, args: list[Token], uid: bool) -> Part:
        """STORE and UID STORE."""
        action = text(args[1]).upper()
        given = {text(each) for each in args[2]} if isinstance(args[2], list) else {text(each) for each in args[2:]}
        if not self.writable:
            yield say(f"{tag} {ASSUMED['read-only']}")
            return
        for number, message in self.chosen(args[0], uid):
            if action.startswith("+"):
                message.flags |= given
            elif action.startswith("-"):
                message.flags -= given
            else:
                message.flags = set(given)
            if not action.endswith(".SILENT"):
                items = ["UID", "FLAGS"] if uid else ["FLAGS"]
                yield Say(b"* %d FETCH " % number + fetch(message, items) + b"\r\n", Stage.USE)
        yield say(f"{tag} OK STORE completed.")

    def search(self, tag: str, args: list[Token], uid: bool) -> Part:
        """SEARCH and UID SEARCH."""
        largest_uid = max((message.uid for message in self.view), default=0)
        test = search(args, len(self.view), largest_uid)
        found = [str(m.uid if uid else n) for n, m in enumerate(self.view, 1) if test(n, m)]
        yield from self.news()
        yield say(f"{' '.join(['* SEARCH', *found])}\r\n{tag} OK SEARCH completed.")

    def copy(self, tag: str, args: list[Token], uid: bool) -> Part:
        """COPY and UID COPY."""
        chosen = self.chosen(args[0], uid)
        yield say(f"{tag} OK {self.copied(chosen, text(args[1]))}COPY completed.")

    def copied(self, chosen: list[tuple[int, Message]], name: str) -> str:
        """Copies, and says which UIDs came to stand for which."""
        target = self.store.folder(self.address, name)
        made = [target.add(message.data, message.at, frozenset(message.flags)) for _, message in chosen]
        if not made:
            return ""
        old, new = (",".join(str(m.uid) for m in each) for each in ([m for _, m in chosen], made))
        return f"[COPYUID {target.validity} {old} {new}] "

    def move(self, tag: str, args: list[Token], uid: bool) -> Part:
        """MOVE and UID MOVE."""
        chosen = self.chosen(args[0], uid)
        where = self.copied(chosen, text(args[1]))
        self.remove([message for _, message in chosen])
        yield from self.news()
        yield say(f"{tag} OK {where}MOVE completed.")

    def remove(self, gone: list[Message]) -> None:
        """Takes messages out of the open folder."""
        marks = {id(message) for message in gone}
        if self.folder is not None:
            self.folder.messages[:] = [m for m in self.folder.messages if id(m) not in marks]

    def expunge(self, tag: str, args: list[Token], uid: bool) -> Part:
        """EXPUNGE and UID EXPUNGE."""
        chosen = self.chosen(args[0], True) if uid else list(enumerate(self.view, 1))
        if self.writable:
            self.remove([message for _, message in chosen if "\\Deleted" in message.flags])
        yield from self.news()
        yield say(f"{tag} OK EXPUNGE completed.")

    def close(self, tag: str, _: list[Token], __: bool) -> Part:
        """CLOSE: what is marked goes silently."""
        if self.writable:
            self.remove([message for message in self.view if "\\Deleted" in message.flags])
        self.folder, self.view = None, []
        yield say(f"{tag} OK CLOSE completed.")

    def unselect(self, tag: str, _: list[Token], __: bool) -> Part:
        """UNSELECT: CLOSE without removing anything."""
        self.folder, self.view = None, []
        yield say(f"{tag} OK UNSELECT completed.")

    def check(self, tag: str, _: list[Token], __: bool) -> Part:
        """CHECK."""
        yield from self.news()
        yield say(f"{tag} OK CHECK completed.")

    def idle(self, tag: str, _: list[Token], __: bool) -> Part:
        """IDLE: says what is new until the client says DONE."""
        yield say(ASSUMED["idle"])
        while True:
            yield from self.news()
            line = yield ReadLine(poked=True)
            if line is None:
                return
            if line != POKED:
                break
        yield say(f"{tag} OK IDLE completed.")


def fits(name: str, pattern: str) -> bool:
    """Does the pattern (`*` anything, `%` anything but the separator) cover the name?

    All ends that a match can have are followed at once: a regular expression would take ages over `*%*%*%*%x`.
    """
    ends = {0}
    for char in WILD.sub(lambda run: "*" if "*" in run[0] else "%", pattern):
        if char in "*%":
            stops = {end: len(name) if char == "*" else f"{name}/".index("/", end) for end in ends}
            ends = {reached for end, stop in stops.items() for reached in range(end, stop + 1)}
        else:
            ends = {end + 1 for end in ends if name[end : end + 1] == char}
    return len(name) in ends


def quoted(name: str) -> str:
    """A folder's name, in quotes where it needs them."""
    return f'"{name}"' if " " in name or not name else name


def say(answer: str) -> Say:
    """One answer, which may have several lines."""
    return Say(f"{answer}\r\n".encode(), Stage.USE)
