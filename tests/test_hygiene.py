"""What is committed is fit to be read by anybody, on any machine."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MADE_UP = ("fixtures/", "field-cases/")  # what others wrote, kept as it was

# Written in two parts, so that this file does not find itself
REGISTRIES = ["pypi" + ".org", "python" + "hosted.org", "registry." + "npmjs", "proxy." + "golang", "crates" + ".io"]
SETTINGS = ["index" + "-url", "trusted" + "-host", "find" + "-links"]
LEFTOVERS = re.compile(r"\b(TO" + r"DO|FIX" + r"ME)\b")
MACHINE = re.compile(r"(?<![\w./:*-])/(work|farm|root|home/\w+|Users/\w+)/")
EXCUSE = re.compile(r"#\s*(noqa|type:\s*ignore)\b(?P<rest>.*)")

OTHER_CONFIGURATION = (
    "setup.py setup.cfg tox.ini pytest.ini mypy.ini .mypy.ini .coveragerc ruff.toml .ruff.toml .flake8 .isort.cfg "
    "requirements.txt Pipfile poetry.lock uv.lock MANIFEST.in noxfile.py"
)
LINES = 400  # a module longer than this needs a table of contents
LONGER = {
    "model.py": "one vocabulary: the nouns are read together",
}


@functools.cache
def tracked() -> tuple[str, ...]:
    """Names of all files under version control, and of those that are about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    return tuple(sorted(name for name in listed if name and (ROOT / name).is_file()))


@functools.cache
def text(name: str) -> str:
    """A file's text; "" for what is no text."""
    try:
        return (ROOT / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def written(*suffixes: str) -> list[str]:
    """Files that we wrote, with one of these endings (all, when none is given)."""
    return [name for name in tracked() if name.endswith(suffixes or "") and not name.startswith(MADE_UP)]


def hits(pattern: re.Pattern[str], files: list[str]) -> list[str]:
    """`file:line: text` for every line that the pattern finds."""
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for name in files
        for number, line in enumerate(text(name).splitlines(), 1)
        if pattern.search(line)
    ]


@pytest.mark.parametrize("words", [REGISTRIES, SETTINGS], ids=["hosts", "settings"])
def test_names_no_registry(words: list[str]) -> None:
    assert not hits(re.compile("|".join(map(re.escape, words))), list(tracked()))


def test_names_no_path_of_one_machine() -> None:
    assert not hits(MACHINE, written())
    assert not hits(re.compile(re.escape(str(ROOT)) + r"\b"), written())


def test_nothing_is_left_for_later() -> None:
    assert not hits(LEFTOVERS, written())


def test_every_excuse_in_the_product_has_its_reason() -> None:
    bare = []
    for name in written(".py"):
        for number, line in enumerate(text(name).splitlines(), 1):
            found = EXCUSE.search(line)
            if found and name.startswith("src/") and not re.search(r"[#-]\s+\w", found["rest"]):
                bare.append(f"{name}:{number}: {line.strip()}")
    assert not bare, "say why, after a dash"


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", ".ci/run"])
def test_has_the_pages_that_a_reader_expects(name: str) -> None:
    assert text(name).strip()


def test_pyproject_is_the_only_configuration() -> None:
    assert not set(OTHER_CONFIGURATION.split()) & {Path(name).name for name in tracked()}


def test_constraints_pin_every_dependency_and_hold_nothing_else() -> None:
    lines = text("constraints.txt").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9.-]+==[\w.!+-]+", line)] == []
    names = [line.partition("==")[0] for line in lines]
    assert names == sorted(set(names))
    project = tomllib.loads(text("pyproject.toml"))["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    found = (re.match(r"[\w-]+", wish) for wish in wanted)
    assert {match[0].lower() for match in found if match} - {project["name"], *names} == set()


@pytest.mark.parametrize("name", written(".toml", ".json"))
def test_data_parses(name: str) -> None:
    load = tomllib.loads if name.endswith(".toml") else json.loads
    assert load(text(name)) is not None


def test_modules_stay_readable() -> None:
    longer = {
        name.removeprefix("src/mailwhy/"): len(text(name).splitlines())
        for name in written(".py")
        if name.startswith("src/") and len(text(name).splitlines()) > LINES
    }
    assert set(longer) <= set(LONGER), f"{longer}: cut it, or give the reason in LONGER"


def test_no_file_is_a_burden() -> None:
    assert [name for name in tracked() if (ROOT / name).stat().st_size > 1_000_000] == []


def test_programs_can_be_run() -> None:
    programs = [name for name in written() if text(name).startswith("#!")]
    assert ".ci/run" in programs
    assert [name for name in programs if not os.access(ROOT / name, os.X_OK)] == []


def test_make_help_lists_every_target() -> None:
    makefile = text("Makefile")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
