"""Plays the client against a dialogue of the mock, without sockets, in pieces of any size."""

from __future__ import annotations

from mailwhy.mock.session import Session
from mailwhy.mock.talk import Close, Dialogue, Say, StartTls, Talk, Wait


class Player:
    """Runs a dialogue without sockets, feeding in pieces of a given size."""

    def __init__(self, talk: Dialogue, session: Session, size: int) -> None:
        self.talk, self.session, self.size = Talk(talk), session, size
        self.said = b""
        self.closed = False
        self.drain()

    def drain(self) -> None:
        for act in self.talk.acts():
            if isinstance(act, Say):
                self.said += act.data
            elif isinstance(act, StartTls):
                self.session.tls = "TLSv1.3"
                self.talk.resume()
            elif isinstance(act, Wait):
                self.talk.resume()
            elif isinstance(act, Close):
                self.closed = True

    def send(self, data: bytes) -> None:
        for at in range(0, len(data), self.size):
            self.talk.feed(data[at : at + self.size])
            self.drain()

    def lines(self) -> list[str]:
        lines, self.said = self.said.decode().split("\r\n")[:-1], b""
        return lines
