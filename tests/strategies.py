"""Outcomes of any shape that the model allows, for tests that must hold for all of them."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from mailwhy.model import (
    Account,
    Attempt,
    Basis,
    Diagnosis,
    Exit,
    Fault,
    Finding,
    Kind,
    Notice,
    Outcome,
    Password,
    Protocol,
    Reply,
    Ruled,
    Seen,
    Stage,
    Step,
    Target,
    Tls,
    Verdict,
)

# an outcome is a big thing to draw: few of them, and the clock says nothing
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NASTY = ["\x1b[31m", "\u202e", "<script>", "]]>", "=1+1", "{mailbox}", "'", '"', "\n", "\x00", "|", "`", "\ud800"]
CAUSES = ["org.smtp_auth_disabled", "mailbox.smtp_auth_disabled", "service.basic_auth_retired", "no.such_cause"]

texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=12))
maybe = st.none() | texts
seconds = st.floats(0, 4000, allow_nan=False)
facts = st.frozensets(st.sampled_from(["service=exchange-online", "credential=password", "smtp.auth.failed"]))
accounts = st.builds(Account, maybe, maybe, maybe)
targets = st.builds(
    Target, st.sampled_from(Protocol), maybe, st.none() | st.integers(1, 65535), st.none() | st.sampled_from(Tls)
)
json_values = st.one_of(texts, st.none(), st.booleans(), st.integers(), st.lists(texts, max_size=2))
seen_keys = st.sampled_from(
    ["addresses", "address", "version", "not_after", "mechanism", "source", "unasked", "detail", "cipher", "words"]
)


def _reply(inner: st.SearchStrategy[Reply | None]) -> st.SearchStrategy[Reply]:
    lines = st.lists(texts, max_size=2).map(tuple)
    status = st.sampled_from(["", "535", "NO", "-ERR", "+OK"]) | texts
    protocol = st.none() | st.sampled_from(Protocol)
    return st.builds(Reply, protocol, status, texts, texts, lines, maybe, maybe, maybe, inner)


replies = _reply(st.none() | _reply(st.none()))
steps = st.builds(
    Step,
    st.sampled_from(Stage),
    st.booleans(),
    texts,
    st.none() | replies,
    st.none() | st.sampled_from(Fault),
    st.dictionaries(seen_keys, json_values, max_size=3),
    seconds,
    seconds,
)
dates = st.sampled_from([None, "2026-11-22T09:14:24Z", "2026-11-22", "0001-01-01T00:00:00+14:00", "yesterday"])
places = st.builds(Seen, st.lists(st.integers(1, 99), max_size=9).map(tuple), dates, dates, st.integers(1, 9))
attempts = st.builds(
    Attempt,
    targets,
    st.lists(steps, max_size=4).map(tuple),
    st.none() | st.sampled_from(Kind),
    dates,
    maybe,
    facts,
    st.none() | places,
)
few_texts = st.lists(texts, max_size=2).map(tuple)
findings = st.lists(
    st.builds(Finding, st.sampled_from(CAUSES), texts, st.sampled_from(Basis), few_texts, few_texts, texts),
    max_size=3,
    unique_by=lambda finding: finding.cause,
).map(tuple)
ruled = st.lists(st.builds(Ruled, st.sampled_from(CAUSES), texts), max_size=2).map(tuple)
notices = st.lists(st.builds(Notice, texts, texts, texts), max_size=2).map(tuple)
verdicts = st.sampled_from(Verdict)


@st.composite
def an_outcome(draw: st.DrawFn) -> Outcome:
    """One outcome; its parts need not make sense together."""
    account = draw(accounts)
    diagnosis = st.builds(
        Diagnosis,
        st.just(account),
        attempts,
        verdicts,
        st.sampled_from(Password),
        findings,
        ruled,
        notices,
        maybe,
        facts,
    )
    return Outcome(
        command=draw(st.sampled_from(["check", "explain", "batch"])),
        as_of="2026-11-22",
        account=account,
        diagnoses=tuple(draw(st.lists(diagnosis, max_size=3))),
        verdict=draw(verdicts),
        exit=draw(st.sampled_from(Exit)),
        findings=draw(findings),
        ruled_out=draw(ruled),
        notices=draw(notices),
        facts=draw(facts),
        started=draw(dates),
        finished=draw(dates),
    )
