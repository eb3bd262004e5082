"""Can this machine reach the mail servers? Every port and address is tried, without credentials, all at once.

    paths = await try_paths(targets_of(cloud), Way())

Each try is a probe that stops before AUTH; `read` says how it ended, from the attempt alone. Never signs in, never
sends. A try takes what its time limits allow; at most AT_ONCE run together.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from .facts import cloud_of
from .model import Attempt, Cloud, Fault, Knowledge, Protocol, Stage, Step, Target
from .net import Recorder, Way, detail_of, fault_of, look_up
from .places import STOPPED, Path, Paths, State
from .probe import probe
from .targets import MODE_OF_PORT, parse_server

AT_ONCE = 32
PROTOCOL_OF_PORT = {
    **dict.fromkeys((587, 25, 465), Protocol.SMTP),
    **dict.fromkeys((993, 143), Protocol.IMAP),
    **dict.fromkeys((995, 110), Protocol.POP),
}
PORTS = tuple(PROTOCOL_OF_PORT)

# What Microsoft does not offer: its absence is no finding (facts: 465 "is not supported"; lists name 995, never 110)
NOT_OFFERED = {
    465: "Exchange Online does not offer port 465; 587 with STARTTLS is the one to use",
    110: "Microsoft lists port 995 for POP, and not 110",
}
ABSENT = (State.CLOSED, State.FILTERED, State.DROPPED, State.SILENT)
MASKED = re.compile(r"X{4,}[A-Z]?")  # how firewalls overwrite an extension that they do not want to be seen
HIDES_STARTTLS = "a firewall overwrites what the server offers (ESMTP inspection)"
PORT_25 = "providers and companies often block port 25; 587 is the port for programs that sign in"


def targets_of(hosts: dict[Protocol, str], ports: Iterable[int] = PORTS) -> tuple[Target, ...]:
    """The known ports of each protocol's host. KeyError for a port whose protocol is not known."""
    wanted = [(port, PROTOCOL_OF_PORT[port]) for port in ports]
    return tuple(
        Target(protocol, hosts[protocol], port, MODE_OF_PORT[port]) for port, protocol in wanted if protocol in hosts
    )


def hosts_of(cloud: Cloud) -> dict[Protocol, str]:
    """The host of each protocol that this cloud has."""
    return {p: str(parse_server(f"{p}={cloud.hosts[p]}").host) for p in Protocol if p in cloud.hosts}


async def try_paths(
    targets: Sequence[Target], way: Way, knowledge: Knowledge, on_path: Callable[[Path], None] = lambda path: None
) -> Paths:
    """Tries every address of every target. Failures are states; raises only CancelledError.

    on_path: called with each path as it ends; after a cancellation also with those that it ended.
    """
    gate = asyncio.Semaphore(AT_ONCE)
    under_way: dict[Recorder, str] = {}  # what is not known yet, with its address

    async def one(recorder: Recorder, address: str, port: int) -> Path:
        target = recorder.target
        key = (target.host or "", target.port or 0)
        async with gate:
            detour = replace(way, connect_to={key: (address, port)})
            attempt = await probe(target, None, detour, recorder=recorder)
        path = read(target, address, attempt, knowledge)
        del under_way[recorder]
        on_path(path)
        return path

    try:
        found = await asyncio.gather(*(_addresses(target, way) for target in targets))
    except asyncio.CancelledError:
        for target in targets:
            on_path(Path(target, "", "", State.UNKNOWN, STOPPED))
        raise
    tasks: list[asyncio.Task[Path] | Path] = []
    try:
        async with asyncio.TaskGroup() as group:
            for target, (addresses, port, lost) in zip(targets, found, strict=True):
                for address in addresses:
                    recorder = Recorder(target)
                    under_way[recorder] = address
                    tasks.append(group.create_task(one(recorder, address, port)))
                if lost:
                    on_path(lost)
                    tasks.append(lost)
    except asyncio.CancelledError:
        for recorder, address in under_way.items():
            path = read(recorder.target, address, recorder.attempt, knowledge)
            on_path(replace(path, state=State.UNKNOWN, said=STOPPED, expected=""))
        raise
    return Paths(tuple(task if isinstance(task, Path) else task.result() for task in tasks))


def in_order(targets: Sequence[Target], paths: Iterable[Path]) -> tuple[Path, ...]:
    """As `try_paths` gives them: by target, IPv4 first."""
    return tuple(sorted(paths, key=lambda path: (targets.index(path.target), *_family_first(path.address))))


def _family_first(address: str) -> tuple[bool, str]:
    return ":" in address, address


async def _addresses(target: Target, way: Way) -> tuple[list[str], int, Path | None]:
    """The addresses to dial, IPv4 first, and the port; or the path that ends at the look-up."""
    host, port = way.connect_to.get((target.host or "", target.port or 0), (target.host or "", target.port or 0))
    try:
        async with asyncio.timeout(way.timeouts.connect):
            infos = await look_up(host, port, way)
    except (OSError, UnicodeError) as why:
        fault = fault_of(why)
        state = State.NO_NAME if fault is Fault.NO_SUCH_HOST else State.UNKNOWN
        said = " ".join(filter(None, (_words(fault), str(detail_of(why).get("detail", "")))))
        return [], port, Path(target, "", "", state, said)
    return sorted({str(info[4][0]) for info in infos}, key=_family_first), port, None


def read(target: Target, address: str, attempt: Attempt, knowledge: Knowledge) -> Path:
    """How this try ended. Pure."""
    theirs = bool(cloud_of(target.host or "", knowledge))
    state, said = _state(attempt, theirs, knowledge)
    expected = NOT_OFFERED.get(target.port or 0, "") if theirs and state in ABSENT else ""
    if target.port == 25 and state is State.FILTERED:
        said = PORT_25
    return Path(
        target=target,
        address=address,
        family="ipv6" if ipaddress.ip_address(address.partition("%")[0]).version == 6 else "ipv4",
        state=state,
        said=said,
        expected=expected,
        seconds=round(sum(step.seconds for step in attempt.steps), 6),
        attempt=attempt,
    )


def _state(attempt: Attempt, theirs: bool, knowledge: Knowledge) -> tuple[State, str]:
    """theirs: the host is Microsoft's, so it is known who has to answer."""
    if foreign := _foreign(attempt, knowledge) if theirs else "":
        return State.REDIRECTED, foreign
    secured = attempt.stage(Stage.TLS)
    if any("interception" in step.seen.get("problems", ()) for step in secured):
        return State.INTERCEPTED, f"certificate by {_issuer(attempt)}"
    step = attempt.failed
    if step is None:
        return State.OPEN, ""
    if step.stage is Stage.TCP:
        return _connection(step)
    if step.stage is Stage.TLS:
        return _tls(step, attempt, theirs)
    return _dialogue(step)


def _connection(step: Step) -> tuple[State, str]:
    states = {
        Fault.REFUSED: State.CLOSED,
        Fault.TIMEOUT: State.FILTERED,
        Fault.UNREACHABLE: State.NO_ROUTE,
        Fault.RESET: State.DROPPED,
    }
    state = states.get(step.fault or Fault.LOCAL, State.UNKNOWN)
    return state, str(step.seen.get("detail", "")) if state is State.UNKNOWN else ""


def _dialogue(step: Step) -> tuple[State, str]:
    """The greeting or the capabilities failed."""
    said = step.reply.line if step.reply else str(step.seen.get("partial") or "".join(step.seen.get("unasked", ())[:1]))
    match step.fault:
        case None:
            return State.TURNED_AWAY, said
        case Fault.TIMEOUT:
            return State.SILENT, said or "connected, and then nothing was said"
        case Fault.CLOSED | Fault.RESET if step.reply:
            return State.TURNED_AWAY, said
        case Fault.CLOSED | Fault.RESET:
            return State.DROPPED, said or f"connected, and then {step.fault} by the other side"
        case Fault.TLS_SPOKEN:
            return State.WRONG_SERVICE, "TLS where clear text was expected"
        case Fault.GARBLED | Fault.TOO_LONG:
            return State.WRONG_SERVICE, said
        case Fault.CANCELLED:
            return State.UNKNOWN, ""
    return State.UNKNOWN, _words(step.fault)


def _tls(step: Step, attempt: Attempt, theirs: bool) -> tuple[State, str]:
    problems, issuer = tuple(step.seen.get("problems", ())), _issuer(attempt)
    match step.fault:
        case None:
            return State.STRIPPED, f"STARTTLS refused: {step.reply.line if step.reply else ''}"
        case Fault.NOT_OFFERED:
            return State.STRIPPED, _stripped(attempt)
        case Fault.INJECTED:
            return State.INTERCEPTED, "clear text was slipped in after the answer to STARTTLS"
        case Fault.TLS_UNTRUSTED:
            said = f"certificate by {issuer}: {', '.join(map(_words, problems)) or step.seen.get('detail', '')}"
            if theirs and "name_mismatch" in problems:
                return State.REDIRECTED, said
            if theirs and {"unknown_issuer", "self_signed"} & set(problems):
                return State.INTERCEPTED, said
            return State.UNTRUSTED, said
        case Fault.TLS_NOT_SPOKEN:
            return State.WRONG_SERVICE, " ".join(
                ("clear text where TLS was expected:", *step.seen.get("unasked", ())[:1])
            )
        case Fault.CLOSED | Fault.RESET:
            return State.DROPPED, "cut off in the TLS handshake"
        case Fault.CANCELLED:
            return State.UNKNOWN, ""
    if step.seen.get("version") in ("SSLv3", "TLSv1", "TLSv1.1"):
        return State.OLD_TLS, f"{step.seen['version']} only"
    return State.TLS_FAILED, str(step.seen.get("detail") or _words(step.fault))


def _stripped(attempt: Attempt) -> str:
    words = [str(word) for step in attempt.stage(Stage.CAPABILITIES) for word in step.seen.get("words", ())]
    if masked := next((word for word in words if MASKED.fullmatch(word.split(" ")[0])), ""):
        return f"{HIDES_STARTTLS}: {masked}"
    return "STARTTLS is not offered"


def _foreign(attempt: Attempt, knowledge: Knowledge) -> str:
    """The greeting of somebody else, where Microsoft should answer; "" where nothing says so."""
    for step in attempt.stage(Stage.GREETING):
        host, software = str(step.seen.get("host", "")), str(step.seen.get("software", ""))
        if (software and software != "exchange") or (host and not cloud_of(host, knowledge)):
            return step.reply.line if step.reply else host or software
    return ""


def _issuer(attempt: Attempt) -> str:
    return next(
        (str(step.seen["issuer"]) for step in attempt.stage(Stage.TLS) if step.seen.get("issuer")), "an unknown issuer"
    )


def _words(name: object) -> str:
    return str(name).replace("_", " ")
