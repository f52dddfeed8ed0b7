"""Values whose representation and comparison are written once are shown and compared as dataclasses are."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, make_dataclass

import pytest

from opus_async import JobRequest
from opus_async.value import Value


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Shared(Value):
    name: str
    secret: str = field(default="s", repr=False)
    seen: float = field(default=0.0, compare=False)
    parts: list[str] = field(default_factory=list, hash=False)


@dataclass(frozen=True, slots=True)
class Own:
    name: str
    secret: str = field(default="s", repr=False)
    seen: float = field(default=0.0, compare=False)
    parts: list[str] = field(default_factory=list, hash=False)


@pytest.mark.parametrize("values", [("a",), ("a", "b"), ("a", "b", 1.0), ([1], "b", 2.0)])
def test_value_is_shown_as_a_dataclass(values):
    assert repr(Shared(*values)) == repr(Own(*values)).replace("Own", "Shared")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a",), ("a",)),
        (("a",), ("b",)),
        (("a", "b"), ("a", "c")),
        (("a", "s", 1.0), ("a", "s", 2.0)),
        (("a", "s", 1.0, ["x"]), ("a", "s", 1.0, ["y"])),
    ],
)
def test_value_is_compared_and_hashed_as_a_dataclass(one, other):
    assert (Shared(*one) == Shared(*other)) is (Own(*one) == Own(*other))
    same = hash(Shared(*one)) == hash(Shared(*other))
    assert same is (hash(Own(*one)) == hash(Own(*other)))


def test_value_equals_no_value_of_another_class():
    heir = make_dataclass("Heir", [], bases=(Shared,), frozen=True, repr=False, eq=False)
    assert Shared("a") != Own("a")
    assert Shared("a") != heir("a")
    assert Shared("a") != "a"
    with pytest.raises(TypeError, match="unhashable"):
        hash(Shared([1]))


def test_values_of_the_package_are_frozen_and_can_be_copied():
    request = JobRequest({"Text": "a"}, key="k")
    assert request == copy.deepcopy(request) == pickle.loads(pickle.dumps(request))
    with pytest.raises(FrozenInstanceError):
        request.key = "other"
