"""The nouns are written as JSON and read back, and what does not fit is told by its key."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwhy.model import (
    Attempt,
    Fault,
    Kind,
    Protocol,
    Reply,
    Seen,
    Stage,
    Step,
    Target,
    Tls,
)
from mailwhy.plain import NotPlainError, from_plain, to_plain

words = st.text(max_size=20)
maybe = st.none() | words
replies = st.recursive(
    st.builds(
        Reply,
        protocol=st.none() | st.sampled_from(Protocol),
        text=words,
        lines=st.lists(words).map(tuple),
        server=maybe,
    ),
    lambda inner: st.builds(Reply, text=words, inner=inner),
    max_leaves=3,
)
seen = st.dictionaries(words, words | st.integers() | st.lists(words) | st.booleans(), max_size=3)
steps = st.builds(
    Step,
    stage=st.sampled_from(Stage),
    ok=st.booleans(),
    reply=st.none() | replies,
    fault=st.none() | st.sampled_from(Fault),
    seen=seen,
    seconds=st.floats(0, 100),
)
attempts = st.builds(
    Attempt,
    target=st.builds(
        Target, st.sampled_from(Protocol), maybe, st.none() | st.integers(1, 65535), st.none() | st.sampled_from(Tls)
    ),
    steps=st.lists(steps, max_size=4).map(tuple),
    kind=st.none() | st.sampled_from(Kind),
    held_back=maybe,
    facts=st.frozensets(words),
    seen=st.none() | st.builds(Seen, lines=st.lists(st.integers(1)).map(tuple)),
)


@given(attempts)
def test_an_attempt_is_written_as_json_and_read_back(attempt: Attempt) -> None:
    assert from_plain(Attempt, json.loads(json.dumps(to_plain(attempt)))) == attempt


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "the key 'protocol' is missing"),
        ({"protocol": "smpt"}, "protocol: 'smpt' is not one of smtp, imap, pop"),
        ({"protocol": "smtp", "prot": 1}, "unknown key 'prot'; known are protocol, host, port, tls"),
        ({"protocol": "smtp", "port": "587"}, "port: expected int, got '587'"),
        ({"protocol": "smtp", "port": True}, "port: expected int, got True"),
        ([], "expected a table"),
    ],
)
def test_what_does_not_fit_names_the_key_and_the_mend(data: object, says: str) -> None:
    with pytest.raises(NotPlainError) as raised:
        from_plain(Target, data)
    assert says in str(raised.value)


def test_a_path_leads_to_the_wrong_value() -> None:
    with pytest.raises(NotPlainError, match=r"steps\[0\]\.reply\.lines: expected a list"):
        from_plain(
            Attempt,
            {"target": {"protocol": "pop"}, "steps": [{"stage": "auth", "ok": False, "reply": {"lines": "abc"}}]},
        )
