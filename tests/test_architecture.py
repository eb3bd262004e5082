"""The arrows of CONTRIBUTING.md hold: who may import whom, which third party stands where, and what is paid when.

The table is read from CONTRIBUTING.md itself, so the page and the code cannot drift apart. A new module belongs there.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import mailwhy

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "mailwhy"
PAGE = ROOT / "CONTRIBUTING.md"
ENTRY = "__main__"  # starts the command line, and is the only one that may

# where each third party may be imported: a unit ("cli") or one module of it ("report.human")
THIRD_PARTIES: Mapping[str, frozenset[str]] = {
    "aiohappyeyeballs": frozenset({"net"}),
    "aioimaplib": frozenset({"rehearse"}),
    "aiosmtplib": frozenset({"send"}),
    "click": frozenset({"cli"}),
    "dns": frozenset({"discover"}),
    "keyring": frozenset({"secrets"}),
    "platformdirs": frozenset({"config", "ledger"}),
    "pytest": frozenset({"mock.plugin"}),
    "rich": frozenset({"cli", "report.human"}),
    "trustme": frozenset({"mock"}),
}
NETWORK = frozenset({"asyncio", "ssl", "socket", "selectors", "socketserver", "smtplib", "imaplib", "poplib"})
OUTSIDE = NETWORK | {"http", "logging", "os", "pathlib", "random", "subprocess", "threading", "time", "urllib.request"}
PURE = ("model", "plain", "facts", "reply", "signs", "diagnose", "paste", "redact", "places")
ONLINE = frozenset(
    [
        "ahead",
        "net",
        "wire",
        "probe",
        "checking",
        "waiting",
        "mock",
        "cli",
        "send",
        "relay",
        "rehearse",
        "discover",
        "paths",
        "batch",
    ]
)


@dataclass(frozen=True)
class Module:
    """One file of ours. `name` is without the leading "mailwhy."; the package itself is ""."""

    name: str
    path: Path

    @property
    def unit(self) -> str:
        """What the table speaks of: "report" for report.human."""
        return self.name.partition(".")[0]

    @functools.cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of the file."""
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @functools.cached_property
    def imports(self) -> frozenset[str]:
        """Full names of all modules it imports, wherever in the file, also for annotations only."""
        return frozenset(name for node in ast.walk(self.tree) for name in self._imported(node))

    def _imported(self, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                dots = "." * node.level
                package = ".".join(filter(None, ("mailwhy", self.name)))
                if self.path.name != "__init__.py":
                    package = package.rpartition(".")[0]
                base = importlib.util.resolve_name(dots + base, package)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner.removeprefix("mailwhy.") in names() else base


@functools.cache
def names() -> frozenset[str]:
    """The names of all modules of ours."""
    files = (path.relative_to(SOURCE).with_suffix("") for path in SOURCE.rglob("*.py"))
    return frozenset(".".join(part for part in file.parts if part != "__init__") for file in files)


@functools.cache
def modules() -> tuple[Module, ...]:
    """All modules of ours."""
    found = []
    for name in sorted(names()):
        path = SOURCE.joinpath(*name.split(".")) if name else SOURCE
        found.append(Module(name, path / "__init__.py" if path.is_dir() else path.with_suffix(".py")))
    return tuple(found)


@functools.cache
def table() -> Mapping[str, frozenset[str]]:
    """unit -> units that it may import, as CONTRIBUTING.md says."""
    section = PAGE.read_text(encoding="utf-8").split("## Who may import whom")[1].split("\n## ")[0]
    rows = re.findall(r"^    ([a-z_, ]+?) +-> (.+?)(?:   .*)?$", section, re.MULTILINE)
    units = [unit for left, _ in rows for unit in left.split(", ")]
    assert len(units) == len(set(units)), "a unit stands twice in the table"
    assert len(units) > 10, "the table was not understood"
    return {unit: _allowed(right, frozenset(units)) for left, right in rows for unit in left.split(", ")}


def _allowed(words: str, units: frozenset[str]) -> frozenset[str]:
    if words == "nothing":
        return frozenset()
    if words.startswith("all"):
        return units - set(words.removeprefix("all").removeprefix(" but ").split(", "))
    named = frozenset(words.split(", "))
    assert named <= units, f"the table speaks of units that it does not list: {sorted(named - units)}"
    return named


def ours(module: Module) -> frozenset[str]:
    """The units of ours that a module imports, its own and the package's version apart."""
    full = (name.removeprefix("mailwhy.") for name in module.imports if name.startswith("mailwhy."))
    return frozenset(name.partition(".")[0] for name in full) - {module.unit}


def each_module() -> pytest.MarkDecorator:
    """One test for each module."""
    return pytest.mark.parametrize("module", modules(), ids=lambda module: module.name or "mailwhy")


@each_module()
def test_arrows(module: Module) -> None:
    if module.unit == "":
        assert "cli" not in ours(module)
    elif module.unit == ENTRY:
        assert ours(module) == {"cli"}
    else:
        assert module.unit in table(), (
            f"{module.name} is new: say in CONTRIBUTING.md, 'Who may import whom', what it needs"
        )
        wrong = ours(module) - table()[module.unit]
        assert not wrong, (
            f"{module.name} imports {sorted(wrong)}, which CONTRIBUTING.md ('Who may import whom') does not allow"
        )


def test_nobody_imports_the_command_line() -> None:
    assert [module.name for module in modules() if "cli" in ours(module)] == [ENTRY]


def test_no_circles() -> None:
    needs: dict[str, set[str]] = {}
    for module in modules():
        if module.unit:
            needs.setdefault(module.unit, set()).update(ours(module))
    TopologicalSorter(needs).prepare()  # raises CycleError, which names the circle


@each_module()
def test_third_parties_stand_where_they_belong(module: Module) -> None:
    for name in module.imports:
        top = name.partition(".")[0]
        if top == "mailwhy" or top in sys.stdlib_module_names:
            continue
        assert top in THIRD_PARTIES, f"{module.name} imports {top}, which is no dependency of ours"
        assert {module.unit, module.name} & THIRD_PARTIES[top], f"{module.name} must not import {top}"


@each_module()
def test_the_core_is_pure_and_only_some_go_online(module: Module) -> None:
    tops = module.imports | {name.partition(".")[0] for name in module.imports}
    if module.unit in PURE:
        assert not tops & OUTSIDE
    if module.unit not in ONLINE:
        assert not tops & NETWORK


@each_module()
def test_says_what_it_is(module: Module) -> None:
    assert ast.get_docstring(module.tree), f"{module.path} has no docstring"


@each_module()
def test_has_no_assert(module: Module) -> None:
    lines = [node.lineno for node in ast.walk(module.tree) if isinstance(node, ast.Assert)]
    assert not lines, f"{module.path}: assert is gone under -O; raise instead (lines {lines})"


@each_module()
def test_exports_exist(module: Module) -> None:
    if module.name == ENTRY:
        return
    loaded = importlib.import_module(".".join(filter(None, ("mailwhy", module.name))))
    missing = [name for name in getattr(loaded, "__all__", ()) if not hasattr(loaded, name)]
    assert not missing


def test_the_public_names_are_those_of_the_package() -> None:
    assert {"Outcome", "Secret", "check", "explain", "mock"} <= set(mailwhy.__all__)


# --- what is paid when -------------------------------------------------------------------------------------------

HEAVY = ("asyncio", "ssl", "dns", "aiosmtplib", "aiohappyeyeballs", "aioimaplib", "keyring", "trustme")
REPLY = "535 5.7.3 Authentication unsuccessful"
WATCH = """
import json, os, sys
sys.argv[0] = "mailwhy"
try:
    exec(os.environ["RUN"])
finally:
    os.write(int(os.environ["TELL"]), json.dumps(sorted(sys.modules)).encode())
"""


def loaded_by(run: str, *args: str, given: str = "") -> set[str]:
    """The modules that are loaded when a fresh Python has run this, with these arguments."""
    reader, writer = os.pipe()
    try:
        environment = {**os.environ, "RUN": run, "TELL": str(writer)}
        done = subprocess.run(
            [sys.executable, "-c", WATCH, *args],
            input=given.encode(),
            capture_output=True,
            env=environment,
            pass_fds=[writer],
            timeout=30,
            check=False,
        )
    finally:
        os.close(writer)
    with os.fdopen(reader, "rb") as told:
        modules_loaded = json.loads(told.read() or b"[]")
    assert modules_loaded, done.stderr.decode()
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return set(modules_loaded)


COMMAND = "from mailwhy.__main__ import answer; answer()"


@pytest.mark.parametrize(
    ("run", "args"),
    [
        ("import mailwhy; mailwhy.Secret, mailwhy.Outcome", []),
        (COMMAND, ["--version"]),
        (COMMAND, ["--help"]),
        (COMMAND, ["explain", "-"]),
        (COMMAND, ["explain", "--help"]),
        (COMMAND, ["causes"]),
        (COMMAND, ["check", "--help"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_pays_for_no_network(run: str, args: list[str]) -> None:
    loaded = loaded_by(run, *args, given=REPLY)
    assert not loaded & set(HEAVY)


# each takes a fiftieth of `explain` or more; what click loads anyway costs nothing
SLOW = {"pathlib", "urllib.parse", "textwrap", "platformdirs", "tomllib", "html", "difflib", "base64", "binascii"}


@pytest.mark.parametrize("args", [["explain", REPLY], ["explain", "-"], ["causes"], ["--help"]], ids=" ".join)
def test_what_only_some_runs_need_is_not_loaded_by_all(args: list[str]) -> None:
    loaded = loaded_by(COMMAND, *args, given=REPLY)
    assert not (loaded - loaded_by("import click")) & (SLOW - {"textwrap" if args == ["--help"] else ""})


def test_version_is_answered_before_click_is_loaded() -> None:
    assert not loaded_by(COMMAND, "--version") & {"click", "mailwhy.cli"}


def test_the_watch_sees_what_is_loaded() -> None:
    assert "asyncio" in loaded_by("import asyncio")


@pytest.mark.parametrize(
    ("before", "name", "needed"),
    [
        ("sys", "mailwhy", {"mailwhy", "__future__"}),
        ("sys, pytest", "mailwhy.mock.plugin", {"mailwhy", "mailwhy.mock", "mailwhy.mock.plugin"}),
    ],
)
def test_an_import_loads_no_more_than_it_needs(before: str, name: str, needed: set[str]) -> None:
    code = f"import {before}\nbefore = set(sys.modules)\nimport {name}\nprint(*set(sys.modules) - before)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True).stdout
    assert name in told.split()
    assert set(told.split()) <= needed
