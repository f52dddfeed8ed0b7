"""A dataclass that compiles its methods when they are used is the same as one of the standard library."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import pprint
import threading
import typing
import weakref
from dataclasses import KW_ONLY, FrozenInstanceError, InitVar, field
from typing import ClassVar

import pytest
from pydantic import TypeAdapter

from opus_async.lazy_dataclass import dataclass

DECORATORS = {"ours": dataclass, "standard": dataclasses.dataclass}
METHODS = ("__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__")


@dataclass(frozen=True, slots=True)
class Point:
    """Can be pickled: it has a name in a module."""

    x: int
    y: list[int] = field(default_factory=list, compare=False)
    label: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Named(Point):
    name: str = "P"


def compiled(kind):
    """The methods of a class that are functions already."""
    return [name for name in METHODS if inspect.isfunction(vars(kind).get(name))]


@pytest.fixture(params=DECORATORS)
def decorate(request):
    return DECORATORS[request.param]


# When methods are compiled


def test_methods_are_compiled_one_by_one_when_first_used():
    @dataclass(frozen=True, slots=True)
    class Kind:
        a: int

    assert compiled(Kind) == []
    one = Kind(1)
    assert compiled(Kind) == ["__init__"]
    assert one == Kind(1)
    assert compiled(Kind) == ["__init__", "__eq__"]
    assert repr(one).endswith("Kind(a=1)")
    assert hash(one) == hash(Kind(1))
    with pytest.raises(FrozenInstanceError):
        one.a = 2
    with pytest.raises(FrozenInstanceError):
        del one.a
    assert compiled(Kind) == list(METHODS)


def test_threads_that_use_a_class_first_at_once_all_get_the_method():
    @dataclass(frozen=True, slots=True)
    class Kind:
        a: int

    begin, made = threading.Barrier(8), []

    def make():
        begin.wait()
        made.append(Kind(1))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [Kind(1)] * 8


# The same as the standard library, each test for both


@pytest.mark.parametrize(
    ("options", "hashable", "frozen"),
    [
        ({}, False, False),
        ({"unsafe_hash": True}, True, False),
        ({"frozen": True}, True, True),
        ({"frozen": True, "eq": False}, True, True),
        ({"eq": False}, True, False),
    ],
)
def test_options_say_whether_it_can_be_hashed_and_changed(decorate, options, hashable, frozen):
    @decorate(slots=True, **options)
    class Kind:
        a: int

    one = Kind(1)
    assert (one == Kind(1)) is options.get("eq", True)
    assert (Kind.__hash__ is not None) is hashable
    if hashable and options.get("eq", True):
        assert len({one, Kind(1), Kind(2)}) == 2
    if frozen:
        with pytest.raises(FrozenInstanceError, match="cannot assign to field 'a'"):
            one.a = 2
        with pytest.raises(FrozenInstanceError, match="cannot delete field 'a'"):
            del one.a
    else:
        one.a = 2
    assert one.a == (1 if frozen else 2)
    assert not hasattr(one, "__dict__")


def test_signature_errors_and_names_are_those_of_the_class(decorate):
    @decorate(frozen=True, slots=True)
    class Kind:
        a: int
        _: KW_ONLY
        b: str = "x"
        c: list[int] = field(default_factory=list)

    assert list(inspect.signature(Kind).parameters) == ["a", "b", "c"]
    assert inspect.signature(Kind).parameters["b"].default == "x"
    assert inspect.signature(Kind).parameters["b"].kind is inspect.Parameter.KEYWORD_ONLY
    assert Kind.__init__.__qualname__ == f"{Kind.__qualname__}.__init__"
    assert Kind.__init__.__globals__ is globals()
    assert typing.get_type_hints(Kind.__init__)["a"] is int
    assert Kind.__match_args__ == ("a",)
    with pytest.raises(TypeError, match=r"Kind\.__init__\(\) missing 1 required positional argument: 'a'"):
        Kind()
    with pytest.raises(TypeError, match="takes 2 positional arguments"):
        Kind(1, "x")
    assert Kind(1).c is not Kind(1).c


def test_own_methods_class_variables_and_post_init_are_kept(decorate):
    @decorate(slots=True)
    class Kind:  # noqa: PLW1641 - that it cannot be hashed is asked below
        limit: ClassVar[int] = 3
        a: int
        given: InitVar[int] = 0
        total: int = field(init=False, default=0)

        def __post_init__(self, given):
            self.total = self.a + given

        def __repr__(self):
            return f"own {self.a}"

        def __eq__(self, other):
            return self.a % 2 == other.a % 2

    assert repr(Kind(1)) == "own 1"
    assert Kind(1) == Kind(3)
    assert Kind.__hash__ is None
    assert Kind(1, 4).total == 5
    assert Kind.limit == 3
    assert [each.name for each in dataclasses.fields(Kind)] == ["a", "total"]


def test_heirs_of_a_base_of_which_nothing_is_made(decorate):
    @decorate(frozen=True, slots=True, kw_only=True, init=False, repr=False, eq=False)
    class Base:
        at: float = field(default_factory=lambda: 7.0)

    @decorate(frozen=True, slots=True, kw_only=True)
    class Heir(Base):
        a: int

    one = Heir(a=1)
    assert (one.at, one.a) == (7.0, 1)
    assert repr(one).endswith("Heir(at=7.0, a=1)")
    assert one == Heir(a=1)
    with pytest.raises(FrozenInstanceError):
        one.at = 1.0


def test_users_inherit_from_a_frozen_one_with_the_standard_decorator(decorate):
    @decorate(frozen=True, slots=True)
    class Base:
        a: int

    @dataclasses.dataclass(frozen=True)
    class Heir(Base):
        b: int = 2

    class Plain(Base):
        def __init__(self):
            super().__init__(5)

    assert (Heir(1), Plain().a) == (Heir(1, 2), 5)
    assert Heir(1) != Base(1)
    with pytest.raises(FrozenInstanceError):
        Heir(1).b = 3
    with pytest.raises(TypeError, match="cannot inherit non-frozen"):

        @dataclasses.dataclass
        class Wrong(Base):
            b: int = 2


def test_values_are_replaced_told_as_mappings_matched_and_printed(decorate):
    @decorate(frozen=True, slots=True)
    class Kind:
        a: int
        b: str = "x"

    one = dataclasses.replace(Kind(1), b="y")
    assert dataclasses.asdict(one) == {"a": 1, "b": "y"}
    assert dataclasses.astuple(one) == (1, "y")
    match one:
        case Kind(1, b):
            assert b == "y"
        case _:
            pytest.fail("it has no __match_args__")
    assert pprint.pformat(one, width=200) == repr(one)
    assert pprint.pformat(one, width=10).splitlines() == ["Kind(a=1,", "     b='y')"]
    assert TypeAdapter(Kind).validate_python({"a": "1"}) == Kind(1)


def test_weak_references_where_asked_for(decorate):
    @decorate(slots=True, weakref_slot=True)
    class Kind:
        a: int | None = None

    one = Kind()
    assert weakref.ref(one)() is one


# Ours alone: classes with a name in a module


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", [Point(1, [2], "l"), Named(1, name="n")])
def test_values_survive_pickle_and_copy(value, protocol):
    for again in (pickle.loads(pickle.dumps(value, protocol)), copy.copy(value), copy.deepcopy(value)):
        assert (type(again), again, again.y) == (type(value), value, value.y)
        assert repr(again) == repr(value)


def test_fields_say_what_is_compared_and_shown():
    assert Point(1, [2]) == Point(1, [3])
    assert repr(Point(1, [2], "hidden")) == "Point(x=1, y=[2])"
    assert repr(Named(1)) == "Named(x=1, y=[], name='P')"
    assert Named(1) != Point(1)


def test_type_hints_of_a_class_are_found():
    assert typing.get_type_hints(Point) == {"x": int, "y": list[int], "label": str}
