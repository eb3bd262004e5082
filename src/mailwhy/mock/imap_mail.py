"""The commands of an open IMAP mailbox: folders, messages, flags, searches. A generator without sockets."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import datetime

from ..model import Stage
from .imap_args import BadArgumentsError, Token, text
from .store import Folder, Message, Store
from .talk import Act, Say

Part = Generator[Act, bytes | None, None]

FLAGS = "\\Seen \\Answered \\Flagged \\Deleted \\Draft $MDNSent"
ARGUMENTS = "BAD Command Argument Error. 12"
INVALID_STATE = "BAD Command received in Invalid state."
NO_FOLDER = "NO [NONEXISTENT] The folder does not exist."  # assumed: no report shows the text


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
        }

    def command(self, tag: str, name: str, args: list[Token]) -> Part:
        """One command, answered."""
        command = self.commands.get(name)
        if command is None:
            yield say(f"{tag} BAD Command Error. 10")
            return
        try:
            yield from command(tag, args)
        except (BadArgumentsError, IndexError):
            yield say(f"{tag} {ARGUMENTS}")
        except KeyError:
            yield say(f"{tag} {NO_FOLDER}")

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


def say(answer: str) -> Say:
    """One answer, which may have several lines."""
    return Say(f"{answer}\r\n".encode(), Stage.USE)
