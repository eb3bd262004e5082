"""`make bench`: how fast mailwhy is, beside what else there is, in one run, in turn. Nothing is asserted.

    python -m bench.bench [--runs N] [--json FILE] [--proxy] [start] [check] [line] [bulk] [log] [mock]   default: all

Every figure is of whole processes, bytecode compiled before: medians of wall time, CPU (with children) and the peak
of memory. What is not installed is left out. The table is printed; --json also has the machine's facts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shlex
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.bench_explain import REFUSED, log
from bench.delay import FAR, Line, Proxy, possible

HERE = Path(__file__).parent

PYTHON = sys.executable
MAILWHY = str(Path(PYTHON).with_name("mailwhy"))
ROUND_TRIPS = 9  # SMTP with STARTTLS to the answer to AUTH: 7; then LOGIN and EXAMINE, or PASS and STAT
DELAY = 0.05  # seconds each way


@dataclass
class Figure:
    """One program's medians. Times in milliseconds, memory in megabytes."""

    part: str
    name: str
    wall: float
    cpu: float
    memory: float


class Bench:
    """Runs commands in turn and collects their figures."""

    def __init__(self, runs: int, proxy: bool = False) -> None:
        self.runs = runs
        self.proxy = proxy
        self.figures: list[Figure] = []
        self.ratios: dict[str, float] = {}
        self.notes: list[str] = []
        self.failed: set[tuple[str, str]] = set()  # (part, name): what did not do its work is compared with nothing
        self.home = tempfile.mkdtemp(prefix="mwb-", dir="/tmp")
        Path(self.home).chmod(0o755)
        self.env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"HOME": self.home}

    def compare(self, part: str, commands: Mapping[str, Sequence[str]], runs: int = 0, **more: str) -> None:
        """Each command in turn, `runs` times; a first round is not counted."""
        seen: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
        warm = runs != 1  # a first round, not counted, where there are several
        for number in range((runs or self.runs) + warm):
            for name, command in commands.items():
                took, code = self._once(command, more)
                if code:
                    self.failed.add((part, name))
                if number >= warm:
                    seen[name].append(took)
        for name, rows in seen.items():
            self.figures.append(Figure(part, name, *(statistics.median(column) for column in zip(*rows, strict=True))))

    def _once(self, command: Sequence[str], more: Mapping[str, str]) -> tuple[tuple[float, float, float], int]:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            env=self.env | dict(more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        took = (time.perf_counter() - began) * 1000
        if process.returncode:
            note = f"{Path(command[0]).name} ended with {process.returncode}: {shlex.join(command)[:100]}"
            self.notes += [] if note in self.notes else [note]
        return (took, (used.ru_utime + used.ru_stime) * 1000, used.ru_maxrss / 1024), process.returncode

    def of(self, part: str, name: str) -> Figure:
        """One figure."""
        return next(f for f in self.figures if (f.part, f.name) == (part, name))

    def has(self, part: str, *names: str) -> bool:
        """Were these measured, and did they do their work?"""
        measured = {(figure.part, figure.name) for figure in self.figures} - self.failed
        return all((part, name) in measured for name in names)


def start(bench: Bench) -> None:
    """What starting costs: nothing but text, no network."""
    commands = {
        "python -c pass": [PYTHON, "-c", "pass"],
        "--version": [MAILWHY, "--version"],
        "--help": [MAILWHY, "--help"],
        "explain": [MAILWHY, "explain", REFUSED],
        "causes": [MAILWHY, "causes"],
        "import mailwhy": [PYTHON, "-c", "import mailwhy"],
        "import pytest": [PYTHON, "-c", "import pytest"],
        "import mailwhy.mock.plugin": [PYTHON, "-c", "import mailwhy.mock.plugin"],
    }
    bench.compare("start", commands)
    wall = {name: bench.of("start", name).wall for name in commands}
    for name in list(commands)[1:]:
        bench.ratios[f"{name} / python -c pass"] = wall[name] / wall["python -c pass"]
    bench.ratios["import mailwhy.mock.plugin / import pytest"] = (
        wall["import mailwhy.mock.plugin"] / wall["import pytest"]
    )


def clients(where: Mapping[str, str], host: str) -> dict[str, list[str]]:
    """One sign-in over all three protocols: mailwhy, the prototype, and others one protocol at a time."""
    login, password, ca = where["login"], where["password"], where["ca"]
    smtp, imap, pop = (str(where[name]) for name in ("smtp", "imap", "pop"))
    servers = [f"smtp={host}:{smtp}/starttls", f"imap={host}:{imap}/implicit", f"pop={host}:{pop}/implicit"]
    options = [word for server in servers for word in ("--server", server)]
    found = {
        "mailwhy check": [MAILWHY, "check", login, "--force", "--ca-file", ca, *options],
        "prototype": [PYTHON, str(HERE / "prototype.py"), host, ca, login, password, smtp, imap, pop],
    }
    if shutil.which("swaks"):
        words = f"--server {host} --port {smtp} -tls --tls-verify --tls-ca-path {ca} --auth PLAIN --quit-after AUTH"
        found["swaks smtp"] = ["swaks", *words.split(), "-au", login, "-ap", password, "--helo", "probe.test"]
    if shutil.which("curl"):
        base = ["curl", "-sS", "--cacert", ca, "-u", f"{login}:{password}", "-X", "NOOP"]
        found["curl imap"] = [*base, f"imaps://{host}:{imap}/"]
        found["curl pop"] = [*base, "-I", f"pop3s://{host}:{pop}/"]
    return found


@contextlib.contextmanager
def servers(bench: Bench, line: Line | None = None) -> Iterator[Mapping[str, str]]:
    """The servers, on loopback or at the far end of the line."""
    folder = tempfile.mkdtemp(dir=bench.home)
    Path(folder).chmod(0o755)
    command = [PYTHON, str(HERE / "servers.py"), folder, *([FAR] if line else [])]
    process = subprocess.Popen(
        line.server(command) if line else command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout
    try:
        told = process.stdout.readline()
        if not told:
            raise SystemExit("the servers did not start (make servers)")
        yield json.loads(told)
    finally:
        process.stdin.close()
        process.wait(30)


def check(bench: Bench) -> None:
    """One check on loopback."""
    with servers(bench) as where:
        bench.compare("check, loopback", clients(where, "127.0.0.1"), MAILWHY_PASSWORD=where["password"])
    ours, least = bench.of("check, loopback", "mailwhy check"), bench.of("check, loopback", "prototype")
    bench.ratios["check / prototype, CPU"] = ours.cpu / least.cpu
    bench.ratios["check / prototype, wall"] = ours.wall / least.wall


def line(bench: Bench) -> None:
    """One check over a line with 100 ms of round trip."""
    part, round_trips = "check, round trip 100 ms", ROUND_TRIPS
    with contextlib.ExitStack() as stack:
        far: Line | Proxy
        if why := "asked for" if bench.proxy else possible():
            bench.notes.append(f"a delaying proxy in place of a line with a delay ({why}): connecting takes no time")
            where, round_trips = stack.enter_context(servers(bench)), ROUND_TRIPS - 1
            far = stack.enter_context(Proxy(DELAY, {name: int(where[name]) for name in ("smtp", "imap", "pop")}))
            commands = clients({**where, **{name: str(port) for name, port in far.ports.items()}}, "127.0.0.1")
        else:
            far = stack.enter_context(Line(DELAY))
            where = stack.enter_context(servers(bench, far))
            commands = {name: far.client(command) for name, command in clients(where, FAR).items()}
        bench.compare(part, commands, runs=max(3, bench.runs // 2), MAILWHY_PASSWORD=where["password"])
        far.flights.clear()
        bench.compare(
            f"{part} (counted)", {"mailwhy check": commands["mailwhy check"]}, 1, MAILWHY_PASSWORD=where["password"]
        )
        counted = sorted(far.flights.values(), reverse=True)
    bench.notes.append(f"round trips of mailwhy's connections, on the wire: {counted} (with QUIT, not waited for)")
    ours = bench.of(part, "mailwhy check").wall
    bench.ratios["check above the floor of its dialogue, ms"] = ours - round_trips * DELAY * 2000
    if bench.has(part, "swaks smtp", "curl imap", "curl pop"):
        three = sum(bench.of(part, name).wall for name in ("swaks smtp", "curl imap", "curl pop"))
        bench.ratios["check / the three one after another"] = ours / three


def bulk(bench: Bench) -> None:
    """Many sign-ins over IMAP, 100 at a time."""
    with servers(bench) as where:
        for count in (100, 1_000, 10_000):
            part = f"bulk, {count:,} sign-ins"
            rows = Path(bench.home, f"list-{count}.csv")
            rows.write_text("address\n" + f"{where['login']}\n" * count, encoding="utf-8")
            ours = [
                MAILWHY,
                "batch",
                str(rows),
                "--only",
                "imap",
                "--parallel",
                "100",
                "--per-server",
                "100",
                "--rate",
                "0",
            ]
            ours += ["--ca-file", where["ca"], "--server", f"imap=127.0.0.1:{where['imap']}/implicit"]
            ours += ["--results", f"{rows}.results", "--password-file", str(_secret(bench, where["password"]))]
            proto = [PYTHON, str(HERE / "prototype.py"), "127.0.0.1", where["ca"], where["login"], where["password"]]
            commands = {"prototype": [*proto, "-", str(where["imap"]), "-", str(count), "100"]}
            commands["mailwhy batch"] = ["sh", "-c", f"rm -f {rows}.results; exec {shlex.join(ours)}"]
            if shutil.which("curl") and count >= 1_000:
                one = f"curl -sS --cacert {where['ca']} imaps://127.0.0.1:{where['imap']}/ -X NOOP -o /dev/null"
                one += f" -u {where['login']}:{where['password']}"
                commands["curl, xargs -P16"] = ["sh", "-c", f"seq {count} | xargs -P16 -I_ {one}"]
            bench.compare(part, commands, runs=1 if count >= 1_000 else 3)
            ours_, least = bench.of(part, "mailwhy batch"), bench.of(part, "prototype")
            bench.ratios[f"throughput, batch / prototype, {count:,}"] = least.wall / ours_.wall
            bench.ratios[f"memory of batch, {count:,}, MB"] = ours_.memory
            bench.ratios[f"CPU of a sign-in, batch, {count:,}, ms"] = ours_.cpu / count
            if bench.has(part, "curl, xargs -P16"):
                bench.ratios[f"throughput, batch / curl -P16, {count:,}"] = (
                    bench.of(part, "curl, xargs -P16").wall / ours_.wall
                )


def _secret(bench: Bench, password: str) -> Path:
    path = Path(bench.home, "secret")
    path.write_text(password, encoding="utf-8")
    path.chmod(0o600)
    return path


def logs(bench: Bench) -> None:
    """`explain` on long logs, one refusal in 1,000 lines."""
    for lines in (100_000, 1_000_000):
        path = Path(bench.home, "log")
        with path.open("wb") as file:
            file.writelines(log(lines, 1_000))
        part = f"explain, {lines:,} lines"
        bench.compare(part, {"mailwhy explain": [MAILWHY, "explain", "--file", str(path)]}, runs=1)
        figure = bench.of(part, "mailwhy explain")
        bench.ratios[f"explain, lines a second, {lines:,}"] = lines / figure.wall * 1000
        bench.ratios[f"explain, memory, {lines:,}, MB"] = figure.memory


def mock(bench: Bench) -> None:
    """The mock, beside Dovecot on the same load."""
    with servers(bench) as place:
        account = ["127.0.0.1", place["ca"], place["login"], place["password"], str(place["imap"])]
        command = [PYTHON, "-m", "bench.bench_mock", *account]
        told = subprocess.run(command, env=bench.env, stdout=subprocess.PIPE, check=True, cwd=HERE.parent).stdout
    found = json.loads(told)
    bench.ratios["mock, sign-ins a second"] = found["mock"]
    bench.ratios["mock / Dovecot, sign-ins a second"] = found["mock"] / found["real"]
    bench.ratios["mock, memory with 1,000 sessions open, MB"] = found["memory"]
    bench.ratios["mock, a fresh tenant, ms"] = found["fresh"]


PARTS = {"start": start, "check": check, "line": line, "bulk": bulk, "log": logs, "mock": mock}


TOOLS = (("curl", "curl", "--version"), ("swaks", "swaks", "--version"), ("dovecot", "dovecot", "--version"))


def _version(*command: str) -> str:
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return told.partition("\n")[0][:60]


def _first(path: str, key: str) -> str:
    """The value of this line of a file of the system's, "" where there is none."""
    with contextlib.suppress(OSError):
        for text in Path(path).read_text(encoding="utf-8").splitlines():
            if text.startswith(key):
                return text.partition(":")[2].strip()
    return ""


def facts() -> dict[str, str | int]:
    """The machine."""
    return {
        "day": time.strftime("%Y-%m-%d", time.gmtime()),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count() or 0,
        "processor": _first("/proc/cpuinfo", "model name"),
        "memory": _first("/proc/meminfo", "MemTotal"),
        "openssl": ssl.OPENSSL_VERSION,
        **{name: _version(*command) for name, *command in TOOLS if shutil.which(command[0])},
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--proxy", action="store_true", help="the delay of a proxy, as without root")
    given = parser.parse_args()
    subprocess.run([PYTHON, "-m", "compileall", "-q", str(HERE.parent.parent / "src")], check=False)
    bench = Bench(given.runs, given.proxy)
    try:
        for name in given.parts or PARTS:
            print(f"... {name}", file=sys.stderr, flush=True)
            PARTS[name](bench)
    finally:
        shutil.rmtree(bench.home, ignore_errors=True)
    for figure in bench.figures:
        print(
            f"{figure.part:<26} {figure.name:<28} {figure.wall:9.1f} ms {figure.cpu:9.1f} ms CPU {figure.memory:6.1f} MB"
        )
    print()
    for name, ratio in bench.ratios.items():
        print(f"{name:<50} {ratio:12,.2f}")
    print("\n".join(["", *bench.notes, *(f"{key}: {value}" for key, value in facts().items())]))
    if given.json:
        found = {"machine": facts(), "figures": [asdict(f) for f in bench.figures], "ratios": bench.ratios}
        given.json.write_text(json.dumps({**found, "notes": bench.notes}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
