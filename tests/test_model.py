"""The nouns: a Secret that never shows itself, and when a stage is ok."""

import copy
import json
import pickle
import traceback

import pytest

from mailwhy.model import Account, Attempt, Credential, Kind, Protocol, Secret, Stage, Step, Target
from mailwhy.plain import to_plain

CANARY = 'xq"7 pß\\canary'


def test_a_secret_never_shows_itself() -> None:
    secret = Secret(CANARY)
    credential = Credential(Account("user@contoso.test"), Kind.PASSWORD, secret)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", "%s" % secret, repr(credential), str([secret])]  # noqa: UP031
    try:
        raise ValueError(credential)
    except ValueError:
        shown.append(traceback.format_exc())
    assert not any("canary" in text for text in shown)
    assert secret.reveal() == CANARY


@pytest.mark.parametrize("leak", [json.dumps, pickle.dumps, copy.copy, copy.deepcopy, to_plain, vars])
def test_a_secret_refuses_to_be_written(leak: object) -> None:
    with pytest.raises(TypeError):
        leak(Secret(CANARY))  # type: ignore[operator] # a list of callables, on purpose


def test_a_stage_is_ok_only_when_all_its_steps_are() -> None:
    twice = Attempt(Target(Protocol.SMTP), (Step(Stage.CAPABILITIES, True), Step(Stage.CAPABILITIES, False)))
    assert not twice.ok(Stage.CAPABILITIES)
    assert not twice.ok(Stage.AUTH)
    assert twice.failed is twice.steps[1]
