"""What can be wrong with TLS, under STARTTLS and from the first byte on: said exactly, and no password to such a server."""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from talks import HOST, SECRET, authority, credential, serve, way
from torture.figures import count
from torture.matrix import dialogue

from mailwhy import diagnose
from mailwhy.knowledge import load
from mailwhy.model import Account, Fault, Protocol, Stage, Target, Tls
from mailwhy.probe import probe


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, common)])


def made(
    *, host: str = HOST, bits: int = 2048, days: int = 30, issuer: str | None = None, own: bool = False
) -> ssl.SSLContext:
    """A server with a certificate of this kind. issuer None: the authority that the tests trust."""
    key = rsa.generate_private_key(65537, bits)
    ca = authority(issuer or "mailwhy tests")
    signed_by = serialization.load_pem_private_key(ca.private_key_pem.bytes(), None)
    ca_name = x509.load_pem_x509_certificate(ca.cert_pem.bytes()).subject
    now = datetime.now(UTC)
    begin, end = (now - timedelta(days=2), now + timedelta(days=days))
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(host))
        .issuer_name(_name(host) if own else ca_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    )
    certificate = builder.sign(key if own else signed_by, hashes.SHA256())  # type: ignore[arg-type]  # an EC or RSA key
    context = _old()
    with TemporaryDirectory() as folder:
        path = Path(folder, "both.pem")
        pem = serialization.Encoding.PEM
        form = serialization.PrivateFormat.TraditionalOpenSSL
        path.write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()) + certificate.public_bytes(pem))
        context.load_cert_chain(path)
    return context


def _old(version: ssl.TLSVersion | None = None, ciphers: str = "DEFAULT") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are the point here
        context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        if version:
            context.maximum_version = version
    return context


def version(which: ssl.TLSVersion, ciphers: str = "DEFAULT") -> ssl.SSLContext:
    """A server that knows nothing newer, or no other ciphers."""
    context = _old(which, ciphers)
    authority().issue_cert(HOST).configure_cert(context)
    return context


Make = Callable[[], ssl.SSLContext]
CONTEXTS: dict[str, tuple[Make, Fault, str]] = {  # the problem that is named, or the version; "" where none can be
    "expired": (lambda: made(days=-1), Fault.TLS_UNTRUSTED, "expired"),
    "another name": (lambda: made(host="other.test"), Fault.TLS_UNTRUSTED, "name_mismatch"),
    "self-signed": (lambda: made(own=True), Fault.TLS_UNTRUSTED, "self_signed"),
    "unknown authority": (lambda: made(issuer="Somebody"), Fault.TLS_UNTRUSTED, "unknown_issuer"),
    "an inspecting proxy": (lambda: made(issuer="Zscaler Intermediate"), Fault.TLS_UNTRUSTED, "interception"),
    "RSA of 1024 bits": (lambda: made(bits=1024), Fault.TLS_UNTRUSTED, "too weak"),
    "TLS 1.0 only": (lambda: version(ssl.TLSVersion.TLSv1), Fault.TLS_FAILED, "PROTOCOL_VERSION"),
    "TLS 1.1 only": (lambda: version(ssl.TLSVersion.TLSv1_1), Fault.TLS_FAILED, "PROTOCOL_VERSION"),
    "no cipher in common": (lambda: version(ssl.TLSVersion.TLSv1_2, "ADH-AES128-SHA"), Fault.TLS_FAILED, "HANDSHAKE"),
}
ALERT = "15030300020278"  # no_application_protocol
# a ServerHello of TLS 1.2 that answers with ALPN `h2`, which nobody asked for
_HELLO = "0303" + "11" * 32 + "00" + "c02f" + "00" + "0009" + "0010000500030268" + "32"
HELLO = f"16030300{len(_HELLO) // 2 + 4:02x}020000{len(_HELLO) // 2:02x}{_HELLO}"
BYTES: dict[str, tuple[str, Fault]] = {
    "an ALPN alert": (f"R: bytes.fromhex('{ALERT}')\n", Fault.TLS_FAILED),
    "an ALPN that nobody asked for": (f"R: bytes.fromhex('{HELLO}')\n* gone\n", Fault.TLS_FAILED),
    "SSL 3.0": ("R: bytes.fromhex('160300002a0200002603000" + "0" * 73 + "')\n* gone\n", Fault.TLS_FAILED),
    "closes in the middle": ("R: b'\\x16\\x03\\x03\\x00\\x7a\\x02'\n* close\n", Fault.CLOSED),
    "resets in the middle": ("R: b'\\x16\\x03\\x03\\x00\\x7a\\x02'\n* reset\n", Fault.RESET),
    "clear text": ("S: 554 5.7.1 what is this\n* gone\n", Fault.TLS_NOT_SPOKEN),
    "records without end": ("* flood b'\\x16\\x03\\x03\\x40\\x00' + b'\\x0b' * 16384\n", Fault.TLS_FAILED),
}


@functools.cache
def context_of(name: str) -> ssl.SSLContext:
    """Made once: keys take time."""
    return CONTEXTS[name][0]()


def before(protocol: Protocol, tls: Tls) -> str:
    """What is said until the handshake is due."""
    if tls is Tls.IMPLICIT:
        return ""
    turns = dialogue(protocol, tls)
    return turns[0][2] + turns[1][1] + turns[1][2] + turns[2][1] + turns[2][2].removesuffix("* tls\n")


@contextlib.contextmanager
def blocking(script: str, context: ssl.SSLContext) -> Iterator[tuple[int, list[bytes]]]:
    """A server in a thread: asyncio's own drops the alert with which OpenSSL says why a handshake failed."""
    got: list[bytes] = []

    def talk() -> None:
        with contextlib.suppress(OSError):
            conn, _ = listener.accept()
            with conn:
                for line in script.splitlines():
                    if line.startswith("S: "):
                        conn.sendall(line[3:].encode() + b"\r\n")
                    else:
                        got.append(_line(conn))
                with context.wrap_socket(conn, server_side=True) as tls:
                    got.append(tls.recv(4096))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=talk)
        thread.start()
        try:
            yield listener.getsockname()[1], got
        finally:
            thread.join(20)


def _line(conn: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n") and (more := conn.recv(1)):
        line += more
    return line


def literal(script: str) -> str:
    """`R:` and `flood` take literals only."""
    lines = []
    for line in script.splitlines():
        word = next((word for word in ("R: ", "* flood ") if line.startswith(word)), None)
        lines.append(line if word is None else word + repr(eval(line.removeprefix(word))))  # our own text above
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("name", CONTEXTS)
async def test_a_bad_certificate_or_version_never_sees_the_password(name: str, protocol: Protocol, tls: Tls) -> None:
    _, fault, word = CONTEXTS[name]
    with blocking(before(protocol, tls), context_of(name)) as (port, got):
        found = await probe(Target(protocol, HOST, port, tls), credential(), way(20))
    step = found.steps[-1]
    assert (step.stage, step.fault) == (Stage.TLS, fault)
    assert word in str([step.seen.get(key) for key in ("problems", "version", "detail")])
    assert not any(SECRET.encode() in line or b"AUTH" in line for line in got)
    account = Account("user@contoso.test", "user@contoso.test", "user@contoso.test")
    (said,) = diagnose.diagnose([found], account, load(), "2026-11-22")
    assert said.findings, "nobody says what that means"
    if name == "an inspecting proxy":
        assert said.findings[0].cause == "network.tls_interception"
    count("misbehaviours survived (TLS)", 1)


@pytest.mark.parametrize("tls", [Tls.STARTTLS, Tls.IMPLICIT])
@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("name", BYTES)
async def test_a_spoilt_handshake(name: str, protocol: Protocol, tls: Tls) -> None:
    act, fault = BYTES[name]
    script = before(protocol, tls) + "* any\n" + literal(act)
    async with serve(script, strict=False) as server:
        found = await probe(server.target(protocol, tls), credential(), way(20))
    step = found.steps[-1]
    assert step.stage is Stage.TLS
    assert step.fault in (fault, Fault.RESET if "resets" in name else fault), step
    assert SECRET.encode() not in server.said
    count("misbehaviours survived (TLS)", 1)


async def test_a_certificate_that_holds_the_secret_is_masked() -> None:
    """A server that was told a secret may show it in its next certificate."""
    async with serve("* gone\n", implicit=True, context=made(host=f"{SECRET}.test"), strict=False) as server:
        found = await probe(server.target(Protocol.SMTP, Tls.IMPLICIT), credential(), way(20))
    assert found.steps[-1].fault is Fault.TLS_UNTRUSTED
    assert SECRET not in repr(found)
    assert "***.test" in repr(found.steps[-1].seen)
