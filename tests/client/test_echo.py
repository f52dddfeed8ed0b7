"""Any valid inputs of any schema come back equal from the platform's echo, in both generations, in every
shape in which the schema itself is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from client_tools import sha256
from given_values import json_values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

WORKFLOW = "Pr0pertyWorkfl0w"
SHAPES = (
    None,
    "schema_graph",
    "schema_camel",
    "schema_output_side",
    "schema_nodes_list",
    "schema_wrapped_data",
    "schema_wrapped_workflow",
)

objects = st.dictionaries(st.text(max_size=8), json_values, max_size=5)
contents = st.binary(min_size=1, max_size=500)
names = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12)


@dataclass(frozen=True)
class Kind:
    """A type of input: values a user may give, and what must come back for them."""

    type: str
    values: st.SearchStrategy[Any]
    expected: Callable[[Any], Any]
    of_files: bool = False

    @property
    def fact(self) -> str:
        return "sha256" if self.of_files or "file" in self.type else "echo"


def same(value):
    return value


KINDS = (
    Kind("str", st.text(max_size=100), same),
    Kind("int", st.integers(-(2**53), 2**53), same),
    Kind("float", st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53), same),
    Kind("bool", st.booleans(), same),
    Kind("date", st.dates(), lambda day: day.isoformat()),
    Kind("array", st.lists(json_values, max_size=5), same),
    Kind("object", objects, same),
    Kind("json_string", objects | st.lists(json_values, max_size=4), json.dumps),
    Kind("file", contents, sha256),
    Kind(
        "array_files", st.lists(contents, min_size=1, max_size=3), lambda all_: [sha256(one) for one in all_]
    ),
    Kind(
        "array", st.lists(contents, min_size=1, max_size=3), lambda all_: [sha256(one) for one in all_], True
    ),
)


@st.composite
def cases(draw):
    """A schema, and for each of its inputs a name it is given by, a value, or nothing for a nullable one."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=7))
    shown = draw(
        st.lists(
            names, min_size=len(kinds), max_size=len(kinds), unique_by=lambda name: name.strip().casefold()
        )
    )
    given_by_variable = draw(st.lists(st.booleans(), min_size=len(kinds), max_size=len(kinds)))
    fields = []
    for place, (kind, name, by_variable) in enumerate(zip(kinds, shown, given_by_variable, strict=True)):
        nullable = draw(st.booleans())
        absent = nullable and draw(st.booleans())
        variable = f"workflow_input_{place:09d}"
        value = None if absent else draw(kind.values)
        fields.append((kind, name, variable, by_variable, nullable, absent, value))
    return fields


def as_given(kind, value):
    """Files are given as a name and bytes; everything else as it is."""
    if kind.of_files or kind.type == "array_files":
        return [(f"{place}.csv", data) for place, data in enumerate(value)]
    return ("document.txt", value) if kind.type == "file" else value


@pytest.fixture(params=["v0", "v1"])
def api(request):
    return request.param


@pytest.fixture
async def platforms(simulate, connect):
    """A simulator and a client for each shape of the schema."""
    made = {}
    for shape in SHAPES:
        simulator = await simulate(traits=frozenset({shape} if shape else ()))
        made[shape] = (simulator, connect(simulator))
    return made


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(fields=cases(), shape=st.sampled_from(SHAPES))
async def test_binding_round_trips_any_valid_inputs_of_any_schema(platforms, fields, shape):
    simulator, opus = platforms[shape]
    simulator.serve_workflow(
        {
            "id": WORKFLOW,
            "inputs": [
                {
                    "name": name,
                    "type": kind.type,
                    "variable": variable,
                    "nullable": nullable,
                    "of_files": kind.of_files,
                }
                for kind, name, variable, _, nullable, _, _ in fields
            ],
            "outputs": [
                {"name": f"out {variable}", "fact": kind.fact, "input": name}
                for kind, name, variable, *_ in fields
            ],
        }
    )
    workflow = await opus.workflows.get(WORKFLOW)
    assert [entry.display_name for entry in workflow.inputs.values()] == [
        name.strip() for _, name, *_ in fields
    ]
    assert [entry.nullable for entry in workflow.inputs.values()] == [
        nullable for *_, nullable, _, _ in fields
    ]
    inputs = {
        (variable if by_variable else name): as_given(kind, value)
        for kind, name, variable, by_variable, _, absent, value in fields
        if not absent
    }
    outcome = await opus.run(WORKFLOW, inputs)
    outputs = outcome.raise_for_status().outputs
    for kind, _, variable, _, _, absent, value in fields:
        came_back = outputs.get(f"out {variable}")
        if kind.type == "json_string" and not absent:
            assert json.loads(came_back) == value
        else:
            assert came_back == (None if absent else kind.expected(value)), kind.type
    assert simulator.state()["strange_fields"] == {}
