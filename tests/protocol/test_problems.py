"""What is wrong with inputs, as values: code, input, file and fix beside the sentence."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle

import pytest

from opus_async.errors import InvalidInputs
from opus_async.input_problems import InputProblem, ProblemCode, Unfit

LARGE = 11 * 1024 * 1024
SIZES = {"a.pdf": 5, "b.pdf": 0, "c.pdf": LARGE, "d.exe": 5, "e.png": 5}
ONE_FILE = {"kind": "file", "name": "Doc", "variable": "doc"}
FILES = {"kind": "array_files", "name": "Docs", "variable": "docs"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            ({"name": "Number", "variable": "n"}, None),
            {"code": "missing", "input": "n", "display_name": "Number"},
        ),
        (({"kind": "int", "variable": "n"}, "much"), {"code": "wrong_value", "input": "n", "file": None}),
        ((ONE_FILE, "none.pdf"), {"code": "wrong_value", "input": "doc"}),  # an inspector's own words
        ((ONE_FILE, "b.pdf"), {"code": "file_empty", "file": "b.pdf", "position": None}),
        ((ONE_FILE, "d.exe"), {"code": "file_type", "file": "d.exe"}),
        ((ONE_FILE | {"allowed_file_types": ("PDF",)}, "e.png"), {"code": "file_type", "file": "e.png"}),
        (
            (ONE_FILE, "c.pdf"),
            {"code": "file_too_large", "file": "c.pdf", "fix": "split or compress it", "input": "doc"},
        ),
        ((FILES, ["a.pdf", "b.pdf", "d.exe"]), {"code": "file_empty", "file": "b.pdf", "position": 1}),
        ((FILES, ["b.pdf", "c.pdf"]), {"code": "file_empty", "position": 0, "fix": "split or compress it"}),
    ],
)
def test_input_problem_has_code_input_file_position_and_fix(bound, field, disk, given, expected):
    target, value = given
    with pytest.raises(InvalidInputs) as caught:
        bound([field(**target)], {target["variable"]: value}, inspect=disk(SIZES))
    (problem,) = caught.value.problems
    assert {name: getattr(problem, name) for name in expected} == expected


def test_input_problem_with_a_name_has_its_code(bound, field):
    fields = [field(name="Doc", variable="a"), field(name="Doc", variable="b", nullable=True)]
    with pytest.raises(InvalidInputs) as caught:
        bound(fields, {"Doc": "x", "Nowhere": "y", "a": "z"})
    assert [problem.code for problem in caught.value.problems] == ["ambiguous_input", "unknown_input"]
    with pytest.raises(InvalidInputs) as caught:
        bound([field(name="Doc", variable="a")], {"Doc": "x", "a": "z"})
    assert [(problem.code, problem.input) for problem in caught.value.problems] == [("given_twice", "a")]


@pytest.mark.parametrize(
    ("one", "other", "group"),
    [
        ("much", "a {lot}", "wants a whole number, got …"),
        (1.5, "9'9", "wants a whole number, got …"),
    ],
)
def test_input_problem_group_leaves_out_the_value(bound, field, one, other, group):
    for value in (one, other):
        with pytest.raises(InvalidInputs) as caught:
            bound([field(kind="int")], {"v": value})
        assert caught.value.problems[0].group == group


def test_input_problem_group_is_the_same_for_any_number_of_files(bound, field, disk):
    for count in (2, 5):
        with pytest.raises(InvalidInputs) as caught:
            bound([field(**FILES)], {"docs": ["b.pdf"] * count}, inspect=disk(SIZES))
        assert caught.value.problems[0].group == "the file … is empty"


def test_input_problem_equals_its_sentence_and_serializes_as_text():
    problem = Unfit("has {} bytes", 7, fix="shrink it", code=ProblemCode.FILE_TOO_LARGE).problem(
        subject="'Doc' (doc)", input="doc", display_name="Doc"
    )
    assert str(problem) == problem == "'Doc' (doc) has 7 bytes; shrink it"
    assert json.loads(json.dumps({"problems": [problem]})) == {"problems": [str(problem)]}
    assert (problem.message, problem.group) == ("has 7 bytes", "has … bytes")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_input_problem_survives_copy_and_pickle(copied):
    problem = InputProblem(
        "is missing", subject="'A' (a)", input="a", fix="give it", code=ProblemCode.MISSING
    )
    error = InvalidInputs([problem, "as text"], stage="schema")
    (first, second) = copied(error).problems
    assert first == problem
    assert dataclasses.asdict(first) == dataclasses.asdict(problem)
    assert (second.code, second.message, second) == (ProblemCode.OTHER, "as text", "as text")
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.code = ProblemCode.OTHER
