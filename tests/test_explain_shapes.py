"""The words of a shape stand in everything that its pattern finds: a shape that is skipped has missed nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailwhy.paste import context, scrub, text
from mailwhy.paste.shape import Shape, fold


def shapes() -> list[tuple[str, Shape]]:
    """Every shape of the package that has words."""
    found: list[tuple[str, Shape]] = []
    for module in (context, scrub, text):
        for name, value in vars(module).items():
            if isinstance(value, Shape):
                found.append((name, value))
            elif isinstance(value, tuple):
                inner = [part for item in value for part in (item if isinstance(item, tuple) else (item,))]
                found += [(f"{name}[{number}]", part) for number, part in enumerate(inner) if isinstance(part, Shape)]
    return [(name, shape) for name, shape in found if shape.holds]


@pytest.mark.parametrize("shape", [shape for _, shape in shapes()], ids=[name for name, _ in shapes()])
def test_what_the_pattern_finds_holds_a_word(shape: Shape) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.from_regex(shape.pattern))
    def check(found: str) -> None:
        assert shape.search(found, fold(found)), found

    check()


def test_there_are_shapes_to_test() -> None:
    assert len(shapes()) > 25


@pytest.mark.parametrize("word", ["LOG\u0130N", "LOG\u0131N", "LOGIN", "login", "pa\u017f\u017f"])
def test_folding_is_that_of_the_pattern(word: str) -> None:
    plain = "pass" if word.startswith("p") else "login"
    assert re.search(plain, word, re.IGNORECASE)
    assert plain in fold(word)
