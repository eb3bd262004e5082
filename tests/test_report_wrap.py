"""Prose in lines: as the standard library's textwrap makes them."""

from __future__ import annotations

import textwrap

from hypothesis import given
from hypothesis import strategies as st

from mailwhy.report.wrap import wrapped

WORDS = ("", "a", "to", "x\u00a0y", "long-word", "e.g.", "(a", "\t", "smtp.office365.com", "\n\n", "a\tb")


@given(
    words=st.lists(st.sampled_from(WORDS), max_size=20),
    blanks=st.sampled_from((" ", "  ", "    ")),
    width=st.integers(1, 40),
    first=st.text(" -1.", max_size=8),
    rest=st.text(" ", max_size=8),
)
def test_it_breaks_where_textwrap_does(words: list[str], blanks: str, width: int, first: str, rest: str) -> None:
    text = blanks.join(words).strip()
    expected = textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        expand_tabs=False,
        break_long_words=False,
        break_on_hyphens=False,
    )
    assert wrapped(text, width, first, rest) == expected


def test_the_rest_stands_in_as_the_first_line_does() -> None:
    assert wrapped("one two", 6, "- ") == ["- one", "- two"]
    assert wrapped(" ", 6, "- ") == []
    assert wrapped(" 1. one", 6, "- ", "  ") == ["-  1.", "  one"]
