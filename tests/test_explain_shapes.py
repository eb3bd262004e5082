"""The words of a shape stand in everything that its pattern finds: a shape that is skipped has missed nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mailwhy import pages, reply, run
from mailwhy.paste import begins, context, finder, mending, scrub, text, times
from mailwhy.report import powershell
from mailwhy.shape import Choice, Shape, fold


def shapes() -> list[tuple[str, Shape]]:
    """Every shape that has words."""
    found: list[tuple[str, Shape]] = []
    for module in (context, finder, mending, pages, powershell, reply, scrub, text, times):
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


CHOICES = {"reply": begins._REPLY, "end": finder._END, "small": begins._SMALL}
FORMS = [(f"{name}[{at}]", choice, form) for name, choice in CHOICES.items() for at, form in enumerate(choice.forms)]


@pytest.mark.parametrize(("choice", "form"), [case[1:] for case in FORMS], ids=[case[0] for case in FORMS])
def test_what_an_alternative_finds_holds_one_of_its_words(choice: Choice, form: tuple[tuple[str, ...], str]) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.from_regex(re.compile(form[1], choice.flags)))
    def check(found: str) -> None:
        assert Choice(form, flags=choice.flags).pattern(found, fold(found)), found

    check()


@pytest.mark.parametrize("shape", text._FIRST, ids=lambda shape: shape.pattern.pattern[:12])
def test_a_prefix_begins_as_it_is_said_to(shape: Shape) -> None:
    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.from_regex(shape.pattern))
    def check(found: str) -> None:
        assert found.lstrip()[0] in text._FIRST[shape]

    check()


PIECES = (
    *(
        "535 5.7.139 Authentication unsuccessful",
        "5.7.3 Auth",
        "said: 535 no login",
        "ERROR: 421 server",
        "530 ",
        "mail",
    ),
    *("-ERR logon failure", "a1 NO LOGIN failed", "* BYE x", "220 mail.example.com ESMTP", "* OK The Microsoft"),
    *(
        "a OK LOGIN completed",
        "+OK User success",
        "4.4.2",
        "'",
        "\n",
        " ",
        "smtp.office365.com:587",
        "Login: ",
        "\u0130",
    ),
    *(
        "AUTH LOGIN",
        "auth=plain",
        "334 UGFzc3dvcmQ6",
        "Server: mx.example.com port 25",
        "User: A@Contoso.com",
        "\u212a",
        "pa\u017f\u017fword",
    ),
)
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=12).map("".join)


@settings(max_examples=400, deadline=None)
@given(texts)
def test_alternatives_that_are_left_out_change_nothing(pasted: str) -> None:
    forms, flags = begins._REPLY.forms, begins._REPLY.flags
    every = re.compile("|".join(source for _, source in forms), flags).finditer(pasted)
    found = begins.places(pasted, fold(pasted))
    assert [(each.span(), each.lastgroup) for each in found] == [(each.span(), each.lastgroup) for each in every]


@pytest.mark.parametrize("shape", [context._USED, context._DIALLED, context._MAIL, context._NAMED, context._LOGIN])
def test_what_is_searched_in_small_letters_is_found_where_it_stands(shape: Shape) -> None:
    @settings(max_examples=200, deadline=None)
    @given(texts)
    def check(pasted: str) -> None:
        assume("AUTH=" not in pasted)  # `context_of` looks at the capitals then
        found = [(each.span(), each.lastgroup) for each in shape.places(pasted, fold(pasted))]
        assert found == [(each.span(), each.lastgroup) for each in shape.pattern.finditer(pasted)]

    check()


def test_there_are_shapes_to_test() -> None:
    assert len(shapes()) > 25


@pytest.mark.parametrize("word", ["LOG\u0130N", "LOG\u0131N", "LOGIN", "login", "pa\u017f\u017f"])
def test_folding_is_that_of_the_pattern(word: str) -> None:
    plain = "pass" if word.startswith("p") else "login"
    assert re.search(plain, word, re.IGNORECASE)
    assert plain in fold(word)


@pytest.mark.parametrize("name", ["\u017fmtp", "\u0131map", "\u0130MAP", "SMTP"])
def test_a_protocols_name_may_be_written_in_letters_that_only_look_folded(name: str) -> None:
    assert run.explain(f"a {name} server 535 5.7.3 x\n").diagnoses
