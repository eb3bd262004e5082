"""Look-up, dialling, TLS facts, the fault table and the recorder."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from talks import HOST, SECRET, authority, credential, serve, server_tls, way

from mailwhy.model import Attempt, Fault, Protocol, Stage, Step, Target, Tls
from mailwhy.net import Over, Recorder, Way, fault_of, trust
from mailwhy.probe import probe
from mailwhy.probe.tls import fits

IMAP = "S: * OK [CAPABILITY IMAP4rev1] ready\n* gone"


def last(attempt: Attempt) -> Step:
    return attempt.steps[-1]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


# --- look-up and connection


async def test_observations_of_look_up_and_connection() -> None:
    async with serve(IMAP) as server:
        attempt = await probe(server.target(Protocol.IMAP), None, way(family=socket.AF_INET))
    dns, tcp = attempt.steps[:2]
    assert "127.0.0.1" in dns.seen["addresses"]
    assert tcp.seen["address"] == tcp.seen["local"] == "127.0.0.1"
    assert tcp.seen["port"] == server.port
    assert [entry["fault"] for entry in tcp.seen["tried"]] == [None]
    assert attempt.started
    assert attempt.started.endswith("Z")


async def test_refused_says_so_for_each_address() -> None:
    attempt = await probe(Target(Protocol.SMTP, "127.0.0.1", free_port(), Tls.NONE), None, way())
    step = last(attempt)
    assert (step.stage, step.fault) == (Stage.TCP, Fault.REFUSED)
    assert [(e["address"], e["fault"]) for e in step.seen["tried"]] == [("127.0.0.1", "refused")]


@pytest.mark.parametrize(
    ("family", "dialled"),
    [(0, ["::1", "127.0.0.1"]), (socket.AF_INET, ["127.0.0.1"]), (socket.AF_INET6, ["::1"])],
)
async def test_only_the_family_that_was_told_is_looked_up_and_dialled(
    family: int, dialled: list[str], refused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the machine has no IPv6: then dialling it fails in another way."""
    found: dict[int, tuple[Any, ...]] = {
        socket.AF_INET6: ("::1", refused_port, 0, 0),
        socket.AF_INET: ("127.0.0.1", refused_port),
    }

    def answer(host: str, port: int, wanted: int, *_: object, flags: int) -> list[Any]:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        return [(each, socket.SOCK_STREAM, 6, "", at) for each, at in found.items() if wanted in (0, each)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    target = Target(Protocol.SMTP, "mail.contoso.test", refused_port, Tls.NONE)
    attempt = await probe(target, None, way(family=family))
    assert attempt.steps[0].seen["addresses"] == dialled
    step = last(attempt)
    assert (step.stage, step.ok) == (Stage.TCP, False)
    assert sorted(entry["address"] for entry in step.seen["tried"]) == sorted(dialled)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (socket.EAI_NONAME, Fault.NO_SUCH_HOST),
        (socket.EAI_AGAIN, Fault.DNS_FAILED),
        (socket.EAI_FAIL, Fault.DNS_FAILED),
    ],
)
async def test_look_up_failures(code: int, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise socket.gaierror(code, "made up")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    step = last(await probe(Target(Protocol.SMTP, "mail.contoso.test", 587, Tls.STARTTLS), None, way()))
    assert (step.stage, step.fault, step.seen["detail"]) == (Stage.DNS, fault, "made up")


@pytest.mark.parametrize("name", ["a" * 70 + ".test", "..", "a..b"])
async def test_names_that_dns_cannot_hold(name: str) -> None:
    step = last(await probe(Target(Protocol.SMTP, name, 587, Tls.STARTTLS), None, way()))
    assert (step.stage, step.fault) == (Stage.DNS, Fault.NO_SUCH_HOST)


async def test_a_resolver_that_hangs_does_not_hold_up_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hang(*_: Any, flags: int = 0, **__: Any) -> Any:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        release.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    began = time.monotonic()
    step = last(await probe(Target(Protocol.SMTP, "mail.contoso.test", 587, Tls.STARTTLS), None, way(0.05)))
    release.set()
    assert (step.stage, step.fault) == (Stage.DNS, Fault.TIMEOUT)
    assert time.monotonic() - began < 5


async def test_connect_to_dials_elsewhere_and_keeps_the_name_in_tls() -> None:
    leaf = authority().issue_cert("outlook.office365.com")
    async with serve(IMAP, implicit=True, context=server_tls(leaf)) as server:
        target = Target(Protocol.IMAP, "outlook.office365.com", 993, Tls.IMPLICIT)
        there = way(connect_to={("outlook.office365.com", 993): ("127.0.0.1", server.port)})
        attempt = await probe(target, None, there)
    assert attempt.failed is None
    assert attempt.steps[2].seen["names"] == ["outlook.office365.com"]


async def test_source_address_is_used() -> None:
    async with serve(IMAP) as server:
        attempt = await probe(server.target(Protocol.IMAP), None, way(source="127.0.0.5"))
    assert attempt.steps[1].seen["local"] == "127.0.0.5"


@pytest.mark.parametrize("source", ["192.0.2.77", "::1", "nonsense"])
async def test_a_source_that_this_machine_refuses(source: str) -> None:
    async with serve(IMAP) as server:
        attempt = await probe(server.target(Protocol.IMAP), None, way(source=source, family=socket.AF_INET))
    assert (last(attempt).stage, last(attempt).fault) == (Stage.TCP, Fault.LOCAL)


async def test_the_second_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    async with serve(IMAP) as server:

        def two(host: str, port: int, *given: Any, **more: Any) -> Any:
            if host != "two.test":
                return real(host, port, *given, **more)
            if more.get("flags", 0) & socket.AI_NUMERICHOST:
                raise socket.gaierror(socket.EAI_NONAME, "no number")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("127.0.0.9", "127.0.0.1")]

        monkeypatch.setattr(socket, "getaddrinfo", two)
        attempt = await probe(Target(Protocol.IMAP, "two.test", server.port, Tls.NONE), None, way())
    assert attempt.steps[0].seen["addresses"] == ["127.0.0.9", "127.0.0.1"]
    tried = {entry["address"]: entry["fault"] for entry in attempt.steps[1].seen["tried"]}
    assert tried == {"127.0.0.9": "refused", "127.0.0.1": None}


# --- TLS


async def refused_certificate(leaf: trustme.LeafCert | None = None, context: ssl.SSLContext | None = None) -> Step:
    """Meets this certificate; the secret must stay at home."""
    async with serve(IMAP, implicit=True, context=context or server_tls(leaf)) as server:
        attempt = await probe(server.target(Protocol.IMAP, Tls.IMPLICIT), credential(), way())
    assert SECRET.encode() not in server.said
    step = last(attempt)
    assert (step.stage, step.fault) == (Stage.TLS, Fault.TLS_UNTRUSTED)
    assert step.seen["detail"]
    return step


async def test_unknown_issuer_is_named() -> None:
    step = await refused_certificate(authority("Somebody Else").issue_cert(HOST))
    assert step.seen["problems"] == ["unknown_issuer"]
    assert "O=Somebody Else" in step.seen["issuer"]
    assert step.seen["chain"][0]["issuer"] == step.seen["issuer"]
    assert step.seen["names"] == [HOST]


async def test_an_inspecting_product_is_told() -> None:
    step = await refused_certificate(authority("Zscaler Inc.").issue_cert(HOST))
    assert step.seen["problems"] == ["unknown_issuer", "interception"]


async def test_wrong_name() -> None:
    step = await refused_certificate(authority().issue_cert("other.test"))
    assert step.seen["problems"] == ["name_mismatch"]
    assert step.seen["names"] == ["other.test"]


async def test_expired() -> None:
    past = datetime.now(UTC) - timedelta(days=3)
    step = await refused_certificate(authority().issue_cert(HOST, not_before=past - timedelta(days=9), not_after=past))
    assert step.seen["problems"] == ["expired"]
    assert step.seen["not_after"][:10] == past.isoformat()[:10]


async def test_self_signed(tmp_path: Any) -> None:
    step = await refused_certificate(context=_self_signed(tmp_path))
    assert step.seen["problems"] == ["self_signed"]
    assert step.seen["subject"] == step.seen["issuer"] == "CN=localhost"


def _self_signed(folder: Any) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "self.pem").write_bytes(made.public_bytes(pem) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "self.pem")
    return context


@pytest.mark.parametrize("protocol", Protocol)
async def test_clear_text_on_a_tls_port(protocol: Protocol) -> None:
    async with serve("S: 220 hello in clear text\n* gone") as server:
        attempt = await probe(server.target(protocol, Tls.IMPLICIT), credential(), way())
    step = last(attempt)
    assert (step.stage, step.fault) == (Stage.TLS, Fault.TLS_NOT_SPOKEN)
    assert step.seen["unasked"] == ["220 hello in clear text"]


@pytest.mark.parametrize("tls", [Tls.NONE, Tls.STARTTLS])
async def test_tls_on_a_clear_port(tls: Tls) -> None:
    async with serve("* gone", implicit=True) as server:
        attempt = await probe(server.target(Protocol.IMAP, tls), credential(), way(0.3))
    assert (last(attempt).stage, last(attempt).fault) == (Stage.GREETING, Fault.TLS_SPOKEN)


@pytest.mark.parametrize(
    ("record", "version"),
    [
        (b"\x15\x03\x01\x00\x02\x02\x46", "TLSv1"),  # alert: protocol_version
        (b"\x15\x03\x02\x00\x02\x02\x46", "TLSv1.1"),
    ],
)
async def test_a_server_that_knows_only_old_tls(record: bytes, version: str) -> None:
    async with serve(f"R: {record!r}\n* gone") as server:
        attempt = await probe(server.target(Protocol.IMAP, Tls.IMPLICIT), credential(), way())
    step = last(attempt)
    assert (step.stage, step.fault) == (Stage.TLS, Fault.TLS_FAILED)
    assert step.seen["version"] == version
    assert "PROTOCOL_VERSION" in step.seen["detail"]


async def test_a_canned_ssl3_server_hello() -> None:
    hello = b"\x16\x03\x00\x00\x2a\x02\x00\x00\x26\x03\x00" + bytes(32) + b"\x00\x00\x2f\x00"
    async with serve(f"R: {hello!r}\n* gone") as server:
        attempt = await probe(server.target(Protocol.IMAP, Tls.IMPLICIT), credential(), way())
    assert (last(attempt).stage, last(attempt).fault) == (Stage.TLS, Fault.TLS_FAILED)
    assert last(attempt).seen["detail"]


@pytest.mark.parametrize(("end", "faults"), [("close", {Fault.CLOSED, Fault.RESET}), ("reset", {Fault.RESET})])
async def test_the_handshake_is_cut_short(end: str, faults: set[Fault]) -> None:
    async with serve(f"* {end}") as server:
        attempt = await probe(server.target(Protocol.IMAP, Tls.IMPLICIT), credential(), way())
    assert last(attempt).stage is Stage.TLS
    assert last(attempt).fault in faults


async def test_the_handshake_is_not_answered() -> None:
    async with serve("* gone") as server:
        attempt = await probe(server.target(Protocol.IMAP, Tls.IMPLICIT), credential(), way(0.1))
    assert (last(attempt).stage, last(attempt).fault) == (Stage.TLS, Fault.TIMEOUT)


@pytest.mark.parametrize("content", [None, "not a certificate"])
async def test_a_ca_file_that_cannot_be_used(content: str | None, tmp_path: Any) -> None:
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    async with serve("* gone") as server:
        attempt = await probe(server.target(Protocol.IMAP, Tls.IMPLICIT), None, Way(ca_file=str(path)))
    assert last(attempt).stage is Stage.TLS
    assert last(attempt).fault in (Fault.LOCAL, Fault.TLS_FAILED)


def test_trust_is_built_once_and_verifies() -> None:
    context = trust(None)
    assert context is trust(None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("host", "names", "fit"),
    [
        ("outlook.office365.com", ["*.office365.com"], True),
        ("a.b.office365.com", ["*.office365.com"], False),
        ("office365.com", ["*.office365.com"], False),
        ("SMTP.Office365.com", ["smtp.office365.COM"], True),
        ("localhost", ["*"], False),
        ("10.0.0.1", ["*.0.0.1"], True),  # OpenSSL judges; this only describes
    ],
)
def test_names_fit(host: str, names: list[str], fit: bool) -> None:
    assert fits(host, names) is fit


# --- the table and the recorder


@pytest.mark.parametrize(
    ("why", "fault"),
    [
        (TimeoutError(), Fault.TIMEOUT),
        (ConnectionResetError(errno.ECONNRESET, ""), Fault.RESET),
        (BrokenPipeError(errno.EPIPE, ""), Fault.RESET),
        (OSError(errno.EHOSTUNREACH, ""), Fault.UNREACHABLE),
        (OSError(errno.ENETUNREACH, ""), Fault.UNREACHABLE),
        (OSError(errno.EMFILE, ""), Fault.LOCAL),
        (OSError(errno.EADDRNOTAVAIL, ""), Fault.LOCAL),
        (PermissionError(errno.EACCES, ""), Fault.LOCAL),
        (socket.gaierror(socket.EAI_NONAME, ""), Fault.NO_SUCH_HOST),
        (UnicodeError("label too long"), Fault.NO_SUCH_HOST),
        (ssl.SSLError("x"), Fault.TLS_FAILED),
        (ssl.SSLCertVerificationError("x"), Fault.TLS_UNTRUSTED),
        (ssl.SSLEOFError("x"), Fault.CLOSED),
        (EOFError(), Fault.CLOSED),
        (asyncio.CancelledError(), Fault.CANCELLED),
    ],
)
def test_foreign_exceptions_become_faults(why: BaseException, fault: Fault) -> None:
    assert fault_of(why) is fault


async def test_a_stage_records_whatever_happens() -> None:
    seen: list[Step] = []
    recorder = Recorder(Target(Protocol.SMTP), on_step=lambda _, step: seen.append(step))
    async with recorder.stage(Stage.DNS, "asks") as draft:
        draft.seen["addresses"] = []
    with pytest.raises(Over):
        async with recorder.stage(Stage.TCP, limit=0.01):
            await asyncio.Event().wait()
    with pytest.raises(ZeroDivisionError):  # a fault of ours is nobody's evidence
        async with recorder.stage(Stage.TLS):
            _ = 1 // 0
    assert [(s.stage, s.ok, s.fault) for s in seen[:2]] == [(Stage.DNS, True, None), (Stage.TCP, False, Fault.TIMEOUT)]
    assert not seen[2].ok
    assert recorder.attempt.steps == tuple(seen)
