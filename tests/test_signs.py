"""Which sign speaks: squashing, weights, codes, words, nested replies."""

from __future__ import annotations

import pytest

from mailwhy.model import Basis, Fault, Match, Meaning, Protocol, Reply, Sign, Stage, Step
from mailwhy.plain import to_plain
from mailwhy.reply import parse
from mailwhy.signs import ENOUGH, Signs, Weight, code_fits, squash

MEANS = (Meaning("credentials.wrong", Basis.FIELD),)


def sign(name: str, protocol: Protocol | None = Protocol.SMTP, **match: tuple[object, ...]) -> Sign:
    return Sign(name, Match(**match), MEANS, ("https://example.com",), protocol=protocol)  # type: ignore[arg-type]


def book(*signs: Sign) -> Signs:
    return Signs({each.id: each for each in signs})


def who(signs: Signs, text: str, protocol: Protocol = Protocol.SMTP) -> list[str]:
    return [hit.sign.id for hit in signs.of_reply(parse(protocol, text), protocol)]


LONG = sign("long", text=("the user credentials were incorrect",), enhanced=("5.7.139",))
GENERIC = sign("generic", text=("Authentication unsuccessful",), enhanced=("5.7.139",))
BARE = sign("bare", text=("Authentication unsuccessful",), enhanced=("5.7.3",), status=("535",))


def test_squash_forgets_white_space_case_and_typographic_quotes() -> None:
    assert (
        squash("Organization\u2019s \u201cSecurity\u201d\r\n  De\u00a0faults\u2014on")
        == 'organization\'s"security"defaults-on'
    )


def test_a_word_may_be_wrapped_in_the_middle_and_its_digits_lost() -> None:
    assert who(book(LONG), "Authentication unsuccessful, the user creden\n   tials WERE incorrect")[0] == "long"


def test_longer_text_speaks_before_shorter_and_codes_decide_between_equals() -> None:
    signs = book(BARE, GENERIC, LONG)
    assert who(signs, "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.")[0] == "long"
    assert who(signs, "535 5.7.139 Authentication unsuccessful, something new")[0] == "generic"
    assert who(signs, "535 5.7.3 Authentication unsuccessful")[0] == "bare"


def test_a_short_text_needs_its_code_and_a_word_does_not() -> None:
    short = sign("short", text=("Send hello first",), enhanced=("5.5.2",))
    assert len(squash("Send hello first")) < ENOUGH
    assert who(book(short), "Send hello first") == []
    assert who(book(short), "503 5.5.2 Send hello first") == ["short"]
    word = sign("word", word=("AADSTS50126",))
    assert who(book(word), "error=AADSTS50126: wrong") == ["word"]
    assert who(book(word), "error=AADSTS501260: other") == []


def test_codes_alone_must_all_fit() -> None:
    both = sign("both", status=("535",), enhanced=("5.7.8",))
    assert who(book(both), "535 5.7.8 whatever it says") == ["both"]
    assert who(book(both), "535 5.7.9 whatever it says") == []
    assert who(book(both), "534 5.7.8 whatever it says") == []


@pytest.mark.parametrize(
    ("code", "pattern", "fits"),
    [
        ("5.7.606", "5.7.606-649", True),
        ("5.7.649", "5.7.606-649", True),
        ("5.7.650", "5.7.606-649", False),
        ("5.6.610", "5.7.606-649", False),
        ("5.7.60", "5.7.606-649", False),
        ("4.7.512", "4.7.*", True),
        ("5.7.512", "4.7.*", False),
        ("-ERR", "-ERR", True),
    ],
)
def test_code_fits(code: str, pattern: str, fits: bool) -> None:
    assert code_fits(code, (pattern,)) is fits


def test_the_refusal_inside_speaks_and_not_its_wrapper() -> None:
    wrapper = sign("wrapper", text=("Client not authenticated to send mail",), enhanced=("5.7.57",))
    reply = parse(
        Protocol.SMTP, "530 5.7.57 Client not authenticated to send mail. Error: 535 5.7.3 Authentication unsuccessful"
    )
    step = Step(Stage.USE, ok=False, reply=reply)
    assert [hit.sign.id for hit in book(wrapper, BARE).of_step(step, Protocol.SMTP)] == ["bare"]
    assert [hit.sign.id for hit in book(wrapper).of_step(step, Protocol.SMTP)] == ["wrapper"]


def test_the_other_protocol_s_signs_are_silent() -> None:
    imap = sign("imap", Protocol.IMAP, text=("Authentication unsuccessful",))
    everywhere = sign("everywhere", None, text=("Authentication unsuccessful",))
    assert who(book(imap, everywhere), "535 Authentication unsuccessful") == ["everywhere"]


def test_a_fault_speaks_at_its_stage_only() -> None:
    signs = book(
        sign("any", None, fault=(Fault.TIMEOUT,)), sign("tcp", None, fault=(Fault.TIMEOUT,), stage=(Stage.TCP,))
    )
    tcp = Step(Stage.TCP, ok=False, fault=Fault.TIMEOUT)
    assert [hit.sign.id for hit in signs.of_step(tcp)] == ["tcp", "any"]
    tls = Step(Stage.TLS, ok=False, fault=Fault.TIMEOUT)
    assert [hit.sign.id for hit in signs.of_step(tls)] == ["any"]
    assert list(signs.of_step(Step(Stage.TCP, ok=False, fault=Fault.REFUSED))) == []


def test_further_texts_must_all_be_there() -> None:
    both = sign("both", text=("SendAsDeniedException",), also=("not allowed to send as",))
    assert who(book(both), "554 SendAsDeniedException") == []
    assert who(book(both), "554 a not allowed to send as b; SendAsDeniedException") == ["both"]


def test_the_longest_texts_are_searched_first() -> None:
    texts = [text for text, _ in book(BARE, LONG).texts]
    assert texts == sorted(texts, key=len, reverse=True)
    assert book(sign("w", word=("LOGINDISABLED",))).words == (("LOGINDISABLED", "w"),)


def test_only_the_signs_that_are_said_are_built() -> None:
    known = {each.id: each for each in (BARE, LONG, sign("w", word=("LOGINDISABLED",)))}
    asked: list[str] = []

    class Asked(dict[str, Sign]):
        def __getitem__(self, name: str) -> Sign:
            asked.append(name)
            return known[name]

    ready = Signs(Asked(), {name: to_plain(each.match) for name, each in known.items()})
    assert who(ready, "535 5.7.3 Authentication unsuccessful") == ["bare"]
    assert set(asked) == {"bare"}


def test_nothing_weighs_nothing() -> None:
    assert not Weight()
    assert list(book(BARE).of_reply(Reply())) == []
