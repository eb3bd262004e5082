"""Real programs, each in a child process of its own behind the recording relay. They are started, never imported."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import ssl
import sys
from dataclasses import dataclass

from ..model import Credential, Fault, Target
from ..net import Failed, Way
from ..relay import Relay, Seen, Settings
from ..relay.serve import Observer
from ..relay.watch import OnStep
from .actor import b64
from .profiles import Profile

CHILD_LIMIT = 60.0  # seconds that a real program may take

SEND = """
import asyncio, json, socket, ssl, sys
import aiosmtplib
given = json.load(sys.stdin)
async def main():
    context = ssl.create_default_context(cafile=given["ca"])
    context.keylog_filename = None  # SSLKEYLOGFILE would give the password away
    name = socket.gethostname()  # left alone, the library asks DNS for more of it
    client = aiosmtplib.SMTP(
        hostname="localhost", port=given["port"], start_tls=True, tls_context=context, timeout=40, local_hostname=name
    )
    await client.connect()
    if given["secret"] is not None:
        await client.login(given["login"], given["secret"])
    await client.mail(given["sender"])
    await client.quit()
try:
    asyncio.run(main())
    print("no exception")
except Exception as why:
    print(f"{type(why).__name__}: {why}")
"""
READ = """
import asyncio, json, ssl, sys
import aioimaplib
given = json.load(sys.stdin)
async def main():
    context = ssl.create_default_context(cafile=given["ca"])
    context.keylog_filename = None  # SSLKEYLOGFILE would give the password away
    client = aioimaplib.IMAP4_SSL(host="localhost", port=given["port"], timeout=40, ssl_context=context)
    await client.wait_hello_from_server()
    if given["secret"] is not None:
        said = await client.login(given["login"], given["secret"])
        print(f"Response(result={said.result!r})", end=", ")
    await client.logout()
try:
    asyncio.run(main())
    print("no exception")
except Exception as why:
    print(f"{type(why).__name__}: {why}")
"""
PROGRAMS = {"aiosmtplib": SEND, "aioimaplib": READ}


class MissingProgramError(RuntimeError):
    """The package that a profile starts is not installed."""


@dataclass(frozen=True, slots=True)
class Performed:
    """What the relay saw, and what the program itself told of it (without the secret)."""

    seen: Seen
    told: str


async def perform(
    profile: Profile,
    credential: Credential | None,
    target: Target,
    way: Way,
    *,
    sender: str,
    certificate: ssl.SSLContext,
    ca_file: str,
    on_step: OnStep | None = None,
) -> Performed:
    """Starts the profile's program behind the relay. certificate, ca_file: for the relay's side (`localhost`).

    Raises MissingProgramError; Failed where the program never came to the relay.
    """
    if importlib.util.find_spec(profile.program) is None:
        raise MissingProgramError(f"{profile.program} is not installed: install mailwhy[rehearse]")
    over: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()

    def ended(seen: Seen) -> None:
        if not over.done():
            over.set_result(seen)

    observer = Observer(ended=ended, step=lambda number, target, step: on_step(target, step) if on_step else None)
    settings = Settings(target, profile.tls, certificate, way=way)
    async with Relay(settings, observer) as relay:
        secret = credential.secret.reveal() if credential else None
        login = (credential.account.login if credential else None) or sender
        given = {"port": relay.port, "ca": ca_file, "login": login, "secret": secret, "sender": sender}
        told = await _child(PROGRAMS[profile.program], json.dumps(given))
        try:
            async with asyncio.timeout(way.timeouts.reply):
                seen = await over
        except TimeoutError:
            raise Failed(Fault.LOCAL, detail=told) from None
    if secret:
        told = told.replace(secret, "***").replace(b64(secret), "***")
    return Performed(seen, told)


async def _child(program: str, given: str) -> str:
    """What the program prints. The secret reaches it through standard input, never as an argument."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(CHILD_LIMIT):
            out, _ = await child.communicate(given.encode())
    except TimeoutError:
        return "no end: the program was stopped"
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    lines = out.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:500] if lines else ""
