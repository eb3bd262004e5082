"""Real sessions of Exchange Online: the client's side is played against the mock, the server's compared line by line."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from player import Player

from mailwhy.mock.front import FRONTS
from mailwhy.mock.load import builtin
from mailwhy.mock.replay import Recording, from_text
from mailwhy.mock.servers import dialogue
from mailwhy.mock.session import Session
from mailwhy.mock.state import secret_of
from mailwhy.mock.world import World

FOLDER = Path(__file__).parents[2] / "fixtures" / "transcripts"
FILES = sorted(FOLDER.glob("*.txt"))
WILD = (
    (r"[A-Z]{3}, +\d+ [A-Z]{3} \d{4} [\d:]{8} [+-]\d{4}", "<DATE>"),
    (r"\[[A-Za-z0-9+/]{40,}=*\]", "[<NAME>]"),
    (r"[A-Z0-9]+(?:\.[A-Z0-9]+)*\.(?:outlook\.com|outlook\.office365\.com)", "<HOST>"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<TIME>"),
    (r"\b[0-9A-F]{16}\b", "<ID>"),
    (r"Hello \[[^\]]+\]", "Hello [<IP>]"),
    (r"\[<HOST>(?: <TIME> <ID>)?\]", "[<TRAILER>]"),  # it was shorter in earlier years
)


def plain(line: str) -> str:
    """The line with names, times and ids made wild."""
    for pattern, word in WILD:
        line = re.sub(pattern, word, line, flags=re.IGNORECASE)
    return line


def session_for(recording: Recording) -> Session:
    world = World(builtin(), as_of=date(2026, 11, 22))
    login = recording.headers.get("login", "works@contoso.test")
    org = world.tenant_of(login).org
    for number in range(int(recording.headers.get("mail", "0"))):
        world.deliver(login, login, [login], b"Subject: %d\r\n\r\nx\r\n" % number)
    tls = "TLSv1.3" if recording.headers.get("tls") else ""
    return Session(world, FRONTS[org.service, org.cloud], recording.protocol, tls=tls)


def words_for(recording: Recording, session: Session) -> dict[str, str]:
    login = recording.headers.get("login", "works@contoso.test")
    secret = secret_of(session.world.tenant_of(login).accounts[login])

    def b64(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    return {
        "login": login,
        "secret": secret,
        "login64": b64(login),
        "secret64": b64(secret),
        "plain": b64(f"\0{login}\0{secret}"),
        "xoauth2": b64(f"user={login}\x01auth=Bearer {secret}\x01\x01"),
    }


def turns(recording: Recording) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """What the client says, and what the server answered."""
    client, server = "", list[tuple[str, str]]()
    for who, what in recording.lines:
        if who == "C":
            yield client, server
            client, server = what, []
        elif who != "TLS":
            server.append((who, what))
    yield client, server


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_server_says_what_the_real_one_said(path: Path, size: int) -> None:
    recording = from_text(path.read_text(), path.name)
    assert recording.headers["source"]
    session = session_for(recording)
    words = words_for(recording, session)
    player = Player(dialogue(session), session, size)
    for client, server in turns(recording):
        if client:
            player.send(client.format(**words).encode() + b"\r\n")
        said = player.lines()
        assert len(said) == len(server), (client, said)
        for mine, (who, real) in zip(said, server, strict=True):
            if who == "S~":  # abridged where it was published
                assert plain(mine).startswith(plain(real))
            else:
                assert plain(mine) == plain(real)


def test_one_session_has_one_id() -> None:
    recording = from_text((FOLDER / "smtp-login-refused-2025-01.txt").read_text())
    session = session_for(recording)
    words = words_for(recording, session)
    player = Player(dialogue(session), session, 10_000)
    for client, _ in turns(recording):
        player.send(client.format(**words).encode() + b"\r\n" if client else b"")
    ids = set(re.findall(r"\b08D[0-9A-F]{13}\b", player.said.decode()))
    assert ids == {session.id}


def test_there_are_transcripts() -> None:
    assert len(FILES) >= 15
