"""What the README shows is what is printed, and what it names is there."""

import re

import readme

from mailwhy.cli import COMMANDS


def test_the_output_blocks_are_what_is_printed() -> None:
    assert readme.differing() == [], "run `python tests/readme.py --write` and look at what changed"


def test_every_command_it_names_is_there() -> None:
    named = set(re.findall(r"mailwhy ([a-z]+)\b", readme.README.read_text(encoding="utf-8")))
    commands = {
        name for name in named if re.search(rf"`?mailwhy {name}[ `]", readme.README.read_text(encoding="utf-8"))
    }
    known = set(COMMANDS) | {"runs", "signs", "demo"}
    assert {c for c in commands if c not in known} == set()
