"""What a caller may give for each type, what goes on the wire, and what is refused with a sentence."""

from __future__ import annotations

import enum
import json
import math
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from numbers import Integral
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

import pytest
from pydantic import BaseModel

from opus_async.errors import InvalidInputs


class Colour(enum.Enum):
    RED = "red"


class Shade(str, enum.Enum):  # noqa: UP042 - the form that most programs still use
    DARK = "dark"


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not the value"


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Client:
    name: str
    since: date


class Model(BaseModel):
    name: str
    ids: tuple[int, ...] = ()


class NotATime(datetime):
    """Passes for a datetime, as ``pandas.NaT`` does."""

    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        return "NaT"


class Whole:
    """A number of another library, as numpy has them: registered, no subclass of int."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __int__(self) -> int:
        return self.value

    def __float__(self) -> float:
        return float(self.value)


Integral.register(Whole)

DAY = date(2025, 11, 9)
NOT_A_TIME = NotATime(2025, 11, 9, tzinfo=UTC)
ID = UUID("00000000-0000-4000-8000-000000000001")
SAFE = 2**53
JSON_TEXT = '{ "client" : "C-1", "n": 1.50 }'

ACCEPTED = [
    ("str", "text", "text"),
    ("str", "", ""),
    ("str", "J\u00f6b \U0001f600", "J\u00f6b \U0001f600"),
    ("str", Text("value"), "value"),
    ("str", 3, "3"),
    ("str", 10**30, "1" + "0" * 30),
    ("str", 0.5, "0.5"),
    ("str", Decimal("1.10"), "1.10"),
    ("str", DAY, "2025-11-09"),
    ("str", datetime(2025, 11, 9, 12, tzinfo=UTC), "2025-11-09T12:00:00+00:00"),
    ("str", ID, str(ID)),
    ("str", PurePosixPath("a/b.txt"), "a/b.txt"),
    ("str", Colour.RED, "red"),
    ("str", Shade.DARK, "dark"),
    ("str", Level.HIGH, "3"),
    ("int", 3, 3),
    ("int", -3, -3),
    ("int", 3.0, 3),
    ("int", Decimal("3.00"), 3),
    ("int", Fraction(6, 2), 3),
    ("int", Whole(3), 3),
    ("int", "3", 3),
    ("int", " +3 ", 3),
    ("int", "-3.0", -3),
    ("int", SAFE, SAFE),
    ("int", -SAFE, -SAFE),
    ("int", Level.HIGH, 3),
    ("float", 0.8, 0.8),
    ("float", 3, 3),
    ("float", Whole(3), 3),
    ("float", Decimal("0.1"), 0.1),
    ("float", Fraction(1, 4), 0.25),
    ("float", "0.8", 0.8),
    ("float", " 3 ", 3),
    ("float", "-.5e-1", -0.05),
    ("float", "1e3", 1000.0),
    ("float", 1e300, 1e300),
    ("float", "1e300", 1e300),
    ("float", "3.0", 3.0),
    ("float", "9007199254740994.0", 9007199254740994.0),
    ("float", "9007199254740994", 9007199254740994),
    ("float", 10**20, 10**20),
    ("float", "1e23", 1e23),
    ("str", 12345.0, "12345"),
    ("str", -0.5, "-0.5"),
    ("str", 9007199254740992.0, "9007199254740992"),
    ("str", Decimal("1.50"), "1.50"),
    ("bool", True, True),
    ("bool", False, False),
    ("bool", "true", True),
    ("bool", " FALSE ", False),
    ("bool", "Yes", True),
    ("bool", "no", False),
    ("bool", "1", True),
    ("bool", "0", False),
    ("bool", 1, True),
    ("bool", 0.0, False),
    ("date", DAY, "2025-11-09"),
    ("date", datetime(2025, 11, 9, 23, 59, tzinfo=UTC), "2025-11-09"),
    ("date", "2025-11-09", "2025-11-09"),
    ("date", " 2024-02-29 ", "2024-02-29"),
    ("date", date(999, 1, 1), "0999-01-01"),
    ("array", ["User1", 2, None, True], ["User1", 2, None, True]),
    ("array", ("a", "b"), ["a", "b"]),
    ("array", [], []),
    ("array", '["a", {"b": 1.5}]', ["a", {"b": 1.5}]),
    ("array", " [] ", []),
    ("array", Point(1, 2), [1, 2]),
    ("array", ["a", ["b", ("c",)]], ["a", ["b", ["c"]]]),
    ("object", {"client_id": "C-456", "is_priority": True}, {"client_id": "C-456", "is_priority": True}),
    ("object", {}, {}),
    ("object", OrderedDict(a=1), {"a": 1}),
    ("object", MappingProxyType({"a": [1]}), {"a": [1]}),
    ("object", Client("C", DAY), {"name": "C", "since": "2025-11-09"}),
    ("object", Model(name="M", ids=(1, 2)), {"name": "M", "ids": [1, 2]}),
    ("object", {"m": Model(name="M"), Colour.RED: 1}, {"m": {"name": "M", "ids": []}, "red": 1}),
    ("object", '{"a": [1, 2]}', {"a": [1, 2]}),
    ("json_string", {"client": "C-1"}, '{"client": "C-1"}'),
    ("json_string", ["\u00e4", 1.5, None], '["\u00e4", 1.5, null]'),
    ("json_string", JSON_TEXT, JSON_TEXT),
    ("json_string", '"quoted"', '"quoted"'),
    ("json_string", "[1, 2]", "[1, 2]"),
    ("json_string", "null", "null"),
    ("json_string", True, "true"),
    ("json_string", 3, "3"),
    ("json_string", {"id": 10**20}, '{"id": 100000000000000000000}'),
    ("json_string", Model(name="M"), '{"name": "M", "ids": []}'),
    ("hologram", {"a": [1, "b", None]}, {"a": [1, "b", None]}),
    ("hologram", "text", "text"),
    ("hologram", DAY, "2025-11-09"),
    ("hologram", True, True),
]


@pytest.mark.parametrize(("kind", "value", "wire"), ACCEPTED)
def test_input_value_that_fits_is_converted_to_wire_format(bound, field, kind, value, wire):
    variable = bound([field(kind)], {"Value": value}).payload([])["v"]
    assert variable == {"value": wire, "type": kind, "displayName": "Value"}
    assert type(variable["value"]) is type(wire)
    json.dumps(variable, allow_nan=False).encode()


def test_input_value_list_converts_python_objects_to_json(bound, field):
    value = [
        DAY,
        ID,
        Decimal("0.5"),
        Colour.RED,
        PurePosixPath("a"),
        time(12, 0),
        Shade.DARK,
        Level.HIGH,
        Whole(4),
    ]
    sent = bound([field("array")], {"Value": value}).payload([])["v"]["value"]
    assert sent == ["2025-11-09", str(ID), 0.5, "red", "a", "12:00:00", "dark", 3, 4]


CYCLE: list[object] = []
CYCLE.append(CYCLE)

REFUSED = [
    ("str", True, "wants text"),
    ("str", ["a"], "wants text"),
    ("str", {"a": 1}, "wants text"),
    ("str", b"bytes", "wants text"),
    ("str", math.nan, "wants text"),
    ("str", Decimal("NaN"), "wants text"),
    ("str", Decimal("sNaN"), "wants text"),
    ("str", Decimal("1e999"), "wants text"),
    ("str", "half \ud800", "not valid Unicode"),
    ("str", NOT_A_TIME, "NaT"),
    ("int", True, "wants a whole number"),
    ("int", 3.5, "wants a whole number"),
    ("int", math.nan, "wants a whole number"),
    ("int", math.inf, "wants a whole number"),
    ("int", Decimal("1e999999"), "wants a whole number"),
    ("int", Decimal("3.0000000000000000000000001"), "wants a whole number"),
    ("int", Fraction(10**400, 1), "wants a whole number"),
    ("int", "three", "wants a whole number"),
    ("int", "", "wants a whole number"),
    ("int", "1_000", "wants a whole number"),
    ("int", "\u0663", "wants a whole number"),
    ("int", "3.5", "wants a whole number"),
    ("int", [3], "wants a whole number"),
    ("int", SAFE + 1, r"beyond 2\^53"),
    ("int", -SAFE - 1, r"beyond 2\^53"),
    ("int", str(SAFE + 1), r"beyond 2\^53"),
    ("int", 1e300, r"beyond 2\^53"),
    ("int", "9" * 3000, r"beyond 2\^53"),
    ("int", "9" * 5000, "wants a whole number"),
    ("float", f"{SAFE + 1}.0", r"beyond 2\^53"),
    ("float", f"{SAFE + 1}.5", r"beyond 2\^53"),
    ("str", 9007199254740994.0, "has lost digits; give it as text"),
    ("float", True, "wants a finite number"),
    ("float", math.nan, "wants a finite number"),
    ("float", -math.inf, "wants a finite number"),
    ("float", "nan", "wants a finite number"),
    ("float", "Infinity", "wants a finite number"),
    ("float", "1e999", "wants a finite number"),
    ("float", "0,8", "got '0,8'; write 0.8"),
    ("float", "1,000,000", "wants a finite number"),
    ("float", "1_0", "wants a finite number"),
    ("float", "", "wants a finite number"),
    ("float", Decimal("sNaN"), "wants a finite number"),
    ("float", Fraction(10**400, 1), "wants a finite number"),
    ("float", None.__class__, "wants a finite number"),
    ("float", DAY, "wants a finite number"),
    ("float", SAFE + 1, r"beyond 2\^53"),
    ("float", str(SAFE + 1), r"beyond 2\^53"),
    ("bool", 2, "wants true or false"),
    ("bool", "maybe", "wants true or false"),
    ("bool", "", "wants true or false"),
    ("bool", math.nan, "wants true or false"),
    ("bool", [], "wants true or false"),
    ("date", "2025-13-40", "wants a day that exists"),
    ("date", "2023-02-29", "wants a day that exists"),
    ("date", "0000-01-01", "wants a day that exists"),
    ("date", "09.11.2025", "wants a date like"),
    ("date", "20251109", "wants a date like"),
    ("date", "2025-W01-1", "wants a date like"),
    ("date", "2025-11-09T00:00:00", "wants a date like"),
    ("date", "\u0662025-11-09", "wants a date like"),
    ("date", "", "wants a date like"),
    ("date", 20251109, "wants a date like"),
    ("date", True, "wants a date like"),
    ("date", NOT_A_TIME, "NaT"),
    ("array", "a; b", "wants a list"),
    ("array", "[1, 2", "wants valid JSON"),
    ("array", "[NaN]", "wants valid JSON"),
    ("array", {"a": 1}, "wants a list"),
    ("array", {1, 2}, "wants a list"),
    ("array", range(3), "wants a list"),
    ("array", b"[1]", "wants a list"),
    ("array", 3, "wants a list"),
    ("array", ["a", {1}], r"set at \[1\]"),
    ("array", [{"a": [0, math.nan]}], r"nan \(float\) at \[0\].a\[1\]"),
    ("array", [Decimal("Infinity")], r"at \[0\]"),
    ("array", [b"x"], r"bytes at \[0\]"),
    ("array", ["\ud800"], r"not valid Unicode at \[0\]"),
    ("array", [SAFE + 1], r"beyond 2\^53 at \[0\]"),
    ("array", [NOT_A_TIME], "NaT"),
    ("array", [object()], r"object at \[0\]"),
    ("array", CYCLE, "holds itself"),
    ("object", ["a"], "wants a mapping"),
    ("object", "text", "wants a mapping"),
    ("object", "{", "wants valid JSON"),
    ("object", Client, "wants a mapping"),
    ("object", 3, "wants a mapping"),
    ("object", {"a": {"b": {1}}}, r"set at .a.b"),
    ("object", {1: "a"}, r"a key that is no text"),
    ("object", {"a": {None: "a"}}, r"a key that is no text at .a"),
    ("object", {"a\ud800": 1}, "not valid Unicode"),
    ("object", {"a": 2**60}, r"beyond 2\^53 at .a"),
    ("json_string", "not json", "wants valid JSON"),
    ("json_string", Colour.RED, "wants valid JSON"),
    ("json_string", "{'a': 1}", "wants valid JSON"),
    ("json_string", "", "wants valid JSON"),
    ("json_string", "NaN", "wants valid JSON"),
    ("json_string", '"\ud800"', "not valid Unicode"),
    ("json_string", {"a": math.nan}, "at .a"),
    ("json_string", {"a": {1}}, "at .a"),
    ("json_string", Colour.RED, "wants valid JSON"),
    ("hologram", {1}, "set"),
    ("hologram", math.inf, "inf"),
]


@pytest.mark.parametrize(("kind", "value", "sentence"), REFUSED)
def test_input_value_that_does_not_fit_is_refused_with_a_reason(bound, field, kind, value, sentence):
    with pytest.raises(InvalidInputs, match=sentence) as caught:
        bound([field(kind)], {"Value": value})
    (problem,) = caught.value.problems
    assert problem.startswith("'Value' (v) ")
    assert problem.isprintable()
    assert len(problem) < 400


@pytest.mark.parametrize("value", [{"client": "C-1"}, ["a"], Model(name="M")])
def test_trap_22_json_string_input_is_serialized_once(bound, field, value):
    variable = bound([field("json_string")], {"v": value}).payload([])["v"]
    assert variable["type"] == "json_string"
    assert "typeDefinition" not in variable
    assert isinstance(variable["value"], str)
    assert not isinstance(json.loads(variable["value"]), str)


@pytest.mark.parametrize("text", [JSON_TEXT, "[]", '"text"', " null "])
def test_trap_22_json_string_input_given_as_json_text_is_sent_unchanged(bound, field, text):
    variable = bound([field("json_string")], {"v": text}).payload([])["v"]
    assert (variable["value"], variable["type"]) == (text, "json_string")


@pytest.mark.parametrize(
    ("kind", "value", "sentence"),
    [
        ("float", True, "wants a finite number"),
        ("float", False, "wants a finite number"),
        ("float", math.nan, "wants a finite number"),
        ("float", math.inf, "wants a finite number"),
        ("float", -math.inf, "wants a finite number"),
        ("int", SAFE + 1, r"beyond 2\^53"),
        ("float", -SAFE - 1, r"beyond 2\^53"),
        ("date", "2025-13-40", "wants a day that exists"),
    ],
)
def test_trap_24_input_value_that_would_change_in_transit_is_refused(bound, field, kind, value, sentence):
    with pytest.raises(InvalidInputs, match=sentence):
        bound([field(kind)], {"Value": value})


def test_input_value_of_5000_digits_is_refused(bound, field):
    with pytest.raises(InvalidInputs):
        bound([field("str")], {"v": 10**5000})
    with pytest.raises(InvalidInputs):
        bound([field("float")], {"v": 10**5000})


def test_input_value_in_error_message_is_short_and_redacted(bound, field):
    secret = "https://h/x?X-Amz-Signature=00aa"
    with pytest.raises(InvalidInputs) as caught:
        bound([field("int", variable="a"), field("int", variable="b")], {"a": secret, "b": "x" * 500})
    assert "00aa" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_input_value_with_90_levels_of_nesting_is_sent(bound, field):
    deep: list[object] = []
    for _ in range(90):
        deep = [deep]
    assert bound([field("array")], {"v": deep}).payload([])["v"]["value"] == deep
