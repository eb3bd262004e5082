"""Nouns behave as frozen dataclasses with slots do, whatever they are made of."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import field

import pytest

from mailwhy.noun import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A noun with a field that must be given, a default, and a default that is made."""

    town: str
    street: str = "Main"
    tags: tuple[str, ...] = field(default_factory=tuple)


def test_it_is_made_by_place_by_name_and_by_default() -> None:
    assert Place("Rome") == Place(town="Rome", street="Main", tags=()) == Place("Rome", "Main")
    assert Place("Rome") != Place("Rome", "Side")
    other: object = ("Rome", "Main", ())
    assert Place("Rome") != other
    assert repr(Place("Rome")) == "Place(town='Rome', street='Main', tags=())"
    assert len({Place("Rome"), Place("Rome"), Place("Oslo")}) == 2


@pytest.mark.parametrize(
    ("values", "named", "says"),
    [
        ((), {}, "town is missing"),
        (("a", "b", (), "d"), {}, "takes 3 values, 4 were given"),
        (("a",), {"town": "b"}, "town was given twice"),
        (("a",), {"country": "b"}, "has no 'country'"),
    ],
)
def test_a_call_that_does_not_fit_is_refused(values: tuple[str, ...], named: dict[str, str], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        Place(*values, **named)  # type: ignore[arg-type]  # wrong on purpose


def test_nothing_can_be_changed_or_added() -> None:
    place = Place("Rome")
    for name in ("town", "country"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(place, name, "Oslo")
    with pytest.raises(dataclasses.FrozenInstanceError):
        delattr(place, "town")
    assert not hasattr(place, "__dict__")


def test_it_works_with_what_works_with_dataclasses() -> None:
    place = Place("Rome")
    assert dataclasses.replace(place, street="Side") == Place("Rome", "Side")
    assert [f.name for f in dataclasses.fields(place)] == ["town", "street", "tags"]
    assert dataclasses.asdict(place) == {"town": "Rome", "street": "Main", "tags": ()}
    assert copy.copy(place) == copy.deepcopy(place) == pickle.loads(pickle.dumps(place)) == place
    match place:
        case Place(town, street):
            assert (town, street) == ("Rome", "Main")


def test_a_noun_without_frozen_or_slots_is_refused() -> None:
    with pytest.raises(TypeError, match="frozen"):
        dataclass(frozen=False, slots=True)


def test_a_noun_is_not_made_from_another_one_whose_fields_it_would_lose() -> None:
    with pytest.raises(TypeError, match="from another noun"):
        dataclass(frozen=True, slots=True)(type("Street", (Place,), {}))


@dataclass(frozen=True, slots=True)
class Checked:
    """A noun that looks at its values."""

    size: int = 1

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("too small")


def test_a_noun_may_look_at_its_values() -> None:
    assert Checked(2).size == 2
    with pytest.raises(ValueError, match="too small"):
        Checked(-1)
    with pytest.raises(ValueError, match="too small"):
        dataclasses.replace(Checked(), size=-1)
