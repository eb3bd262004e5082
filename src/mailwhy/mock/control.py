"""The control interface: a few lines of HTTP on loopback, so that tests in any language can drive the mock.

GET  /state     every setting      POST /set    {"scope": "a@b.test", "name": "mailbox.imap_enabled", "value": false}
GET  /sessions  connections made       POST /fault  {"kind": "latency", "seconds": 0.2}
GET  /attempts  sign-ins made          POST /reset
GET  /messages  mail accepted          GET  /       this list, and the ports
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..model import bracketed
from ..plain import to_plain
from .faults import BadFaultError, fault
from .servers import ANYWHERE
from .settings import BadSettingError
from .world import World

MAX_BODY = 1024 * 1024
PATIENCE = 10.0  # seconds for one request
STATUS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
}


class Control:
    """Answers requests about one world. `about` is what GET / shows; `reset` what POST /reset does."""

    def __init__(self, world: World, about: Callable[[], Mapping[str, Any]], reset: Callable[[], None]) -> None:
        self._world = world
        self._about = about
        self._reset = reset
        self._server: asyncio.Server | None = None
        self._busy: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def start(self, host: str, port: int = 0) -> str:
        """Listens; the address as a URL."""
        self._server = await asyncio.start_server(self._connection, host, port)
        name = self._server.sockets[0].getsockname()
        return f"http://{bracketed(ANYWHERE.get(name[0], name[0]))}:{name[1]}"

    async def stop(self) -> None:
        """Closes the listener and cuts what is connected."""
        if self._server:
            self._server.close()
            tasks = [task for task in self._busy.values() if task]
            for writer in self._busy:
                writer.transport.abort()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._server.wait_closed()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._busy[writer] = asyncio.current_task()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                status, body = await self._request(reader)
                data = json.dumps(body, indent=1).encode() + b"\n"
                head = (
                    f"HTTP/1.1 {status} {STATUS[status]}\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
                )
                writer.write(head.encode() + data)
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        del self._busy[writer]

    async def _request(self, reader: asyncio.StreamReader) -> tuple[int, Any]:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        except asyncio.LimitOverrunError:
            return 431, {"error": "the header is too long"}
        method, _, rest = head[0].partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        if "origin" in headers:  # a page in a browser has no business here
            return 403, {"error": "requests of web pages are not answered"}
        if not near(headers.get("host", "localhost")):
            return 403, {"error": "ask by address, as localhost, or by a name without dots: not under a public name"}
        size = headers.get("content-length", "0")
        if "transfer-encoding" in headers:
            return 411, {"error": "send the body whole, with Content-Length"}
        if not (size.isascii() and size.isdigit()) or len(size) > 7 or int(size) > MAX_BODY:
            return 413, {"error": f"the body is too long: at most {MAX_BODY} octets"}
        raw = await reader.readexactly(int(size))
        try:
            data = json.loads(raw) if raw else {}
        except (ValueError, RecursionError):
            return 400, {"error": "the body is not JSON"}
        return self.answer(method, path, data)

    def answer(self, method: str, path: str, data: Any) -> tuple[int, Any]:
        """Status and JSON value for one request."""
        world = self._world
        looks: dict[str, Callable[[], Any]] = {
            "/": lambda: dict(self._about()),
            "/ca": lambda: {"pem": Path(self._about()["ca_file"]).read_text(encoding="ascii")},
            "/state": world.state,
            "/sessions": lambda: to_plain(world.sessions),
            "/attempts": lambda: to_plain(world.attempts),
            "/messages": lambda: [message(each) for each in world.store.messages],
        }
        if path in looks:
            return (200, looks[path]()) if method == "GET" else (405, {"error": f"{path} is for GET"})
        if path not in ("/set", "/reset", "/fault"):
            return 404, {"error": f"there is no {path}; use {', '.join([*looks, '/set', '/fault', '/reset'])}"}
        if method != "POST":
            return 405, {"error": f"{path} is for POST"}
        if path == "/reset":
            self._reset()
            return 200, {}
        try:
            if path == "/fault":
                world.faults.append(fault(data))
            else:
                world.change(data.get("scope", ""), data["name"], data["value"])
        except (BadSettingError, BadFaultError) as why:
            return 400, {"error": str(why)}
        except (KeyError, AttributeError, TypeError):
            return 400, {"error": 'expected {"scope": "...", "name": "...", "value": ...}'}
        return 200, {}


def near(host: str) -> bool:
    """Was this machine asked for under a name that no stranger can own?

    A web page can have its own name point at this machine (DNS rebinding), and its browser then takes us for the
    page's own server; but it has to ask by that name. Addresses, localhost, names without a dot (containers) are ours.
    """
    name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    try:
        ipaddress.ip_address(name)
    except ValueError:
        name = name.lower().rstrip(".")
        return bool(name) and ("." not in name or name.endswith(".localhost"))
    return True


def message(mail: Any) -> dict[str, Any]:
    """One accepted message as JSON values."""
    return {
        "login": mail.login,
        "sender": mail.sender,
        "recipients": list(mail.recipients),
        "at": mail.at.isoformat(),
        "data": mail.data.decode("utf-8", "replace"),
    }
