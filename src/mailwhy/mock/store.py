"""The mail: folders with messages, UIDs and flags; and everything that was accepted, for tests to read. In memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

# facts: imap-pop 3.3 (the list as seen; "Sent Items" because accepted mail is kept there, microsoft 4.3)
FOLDERS: dict[str, str] = {
    "Archive": "\\HasNoChildren",
    "Deleted": "\\Marked \\HasNoChildren \\Trash",
    "Drafts": "\\Marked \\HasNoChildren \\Drafts",
    "INBOX": "\\Marked \\HasNoChildren",
    "Junk": "\\Marked \\HasNoChildren \\Junk",
    "Notes": "\\HasNoChildren",
    "Sent Items": "\\Marked \\HasNoChildren \\Sent",
}


@dataclass(slots=True)
class Message:
    """One message in a folder; equal only to itself."""

    uid: int
    data: bytes
    at: datetime
    flags: set[str] = field(default_factory=set)
    recent: bool = True


@dataclass(slots=True)
class Folder:
    """Messages in the order of their UIDs."""

    name: str
    attributes: str = "\\HasNoChildren"
    validity: int = 14
    next_uid: int = 1
    messages: list[Message] = field(default_factory=list)

    def add(self, data: bytes, at: datetime, flags: frozenset[str] = frozenset()) -> Message:
        """A new message at the end."""
        message = Message(self.next_uid, data, at, set(flags))
        self.next_uid += 1
        self.messages.append(message)
        return message


@dataclass(frozen=True, slots=True)
class Mail:
    """One message as it was accepted: envelope and octets."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    at: datetime
    login: str


class Store:
    """All mailboxes, by primary address, and the messages that were accepted."""

    def __init__(self) -> None:
        self._boxes: dict[str, dict[str, Folder]] = {}
        self.messages: list[Mail] = []
        self.watchers: set[Callable[[], None]] = set()

    def changed(self) -> None:
        """Tells whoever waits (IDLE) that there is mail."""
        for watcher in list(self.watchers):
            watcher()

    def folders(self, address: str) -> dict[str, Folder]:
        """The folders of a mailbox, made when first asked for."""
        if address not in self._boxes:
            self._boxes[address] = {name: Folder(name, attributes) for name, attributes in FOLDERS.items()}
        return self._boxes[address]

    def folder(self, address: str, name: str) -> Folder:
        """One folder; INBOX in any case. Raises KeyError."""
        folders = self.folders(address)
        return folders["INBOX" if name.upper() == "INBOX" else name]
