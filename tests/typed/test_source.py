"""What is written for a workflow: a module that Python, linters and formatters take, whatever its names."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from type_checkers import pyright_program
from typed_modules import AWKWARD, field, named, output, workflow, written

import opus_async
from opus_async.typed import python_module

ROOT = Path(opus_async.__file__).parents[1]
EVERY_TYPE = [
    ("str", None),
    ("int", None),
    ("float", None),
    ("bool", None),
    ("date", None),
    ("file", None),
    ("array", None),
    ("array", "str"),
    ("array", "file"),
    ("array", "hologram"),
    ("array_files", None),
    ("object", None),
    ("json_string", None),
    ("hologram", None),
]
TYPES = workflow(
    [field(f"The {kind} {item}", kind, item_type=item) for kind, item in EVERY_TYPE]
    + [field(f"No {kind} {item}", kind, item_type=item, nullable=True) for kind, item in EVERY_TYPE],
    [output(f"The {kind} {item}", kind, item_type=item) for kind, item in EVERY_TYPE],
)
WORKFLOWS = {
    "awkward": AWKWARD,
    "every_type": TYPES,
    "empty": workflow(name=""),
    "plain": workflow([field("text")], [output("text")], name="9 lives", version=None),
}


@pytest.mark.parametrize("described", WORKFLOWS.values(), ids=WORKFLOWS)
def test_module_has_names_of_all_inputs_and_outputs(described):
    module = written(described)
    inputs, outputs = named(module, "Inputs"), named(module, "Outputs")
    assert list(inputs.__annotations__) == [each.display_name for each in described.inputs.values()]
    assert list(outputs.__annotations__) == [each.display_name for each in described.output_fields.values()]
    optional = {each.display_name for each in described.inputs.values() if each.nullable}
    assert set(inputs.__optional_keys__) == optional


def test_module_is_the_same_for_the_same_workflow():
    assert python_module(AWKWARD) == python_module(AWKWARD)


@pytest.mark.parametrize("length", ["79", "88", "120"])
def test_module_is_clean_by_ruff(length, tmp_path):
    for name, described in WORKFLOWS.items():
        (tmp_path / f"{name}.py").write_text(python_module(described), encoding="utf-8")
    words = ["--isolated", "--no-cache", "--line-length", length, "--target-version", "py311", tmp_path]
    rules = ["--select", "ALL", "--ignore", "CPY,D203,D213,INP001"]
    for command in (["check", *rules], ["format", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_types_are_those_that_a_run_takes():
    module = written(workflow([field("Due date", "date"), field("Note", nullable=True)]))
    hints = get_type_hints(module.InvoiceCheckInputs)
    assert hints == {"Due date": dt.date, "Note": str | None}


def test_names_that_mean_two_inputs_are_variable_names():
    same = [field("Page", variable="a"), field("Page", variable="b"), field("Note", variable="Page 3")]
    other = field("Page 3", variable="c")
    module = written(workflow([*same, other]))
    assert list(module.InvoiceCheckInputs.__annotations__) == ["a", "b", "Note", "c"]


def test_outputs_of_one_name_are_named_as_outcomes_name_them():
    module = written(workflow([], [output("Page", variable="a"), output("Page", variable="b")]))
    assert list(module.InvoiceCheckOutputs.__annotations__) == ["Page", "Page (b)"]


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("Due date", "due_date"),
        ("TextInput", "text_input"),
        ("SHA-256", "sha_256"),
        ("class", "class_"),
        ("List", "list_"),
        ("datetime", "datetime"),
        ("dt", "dt_2"),
        ("Model dump", "model_dump_2"),
        ("2nd page", "field_2nd_page"),
        ("Fällig am", "fällig_am"),
        ("…", "field"),
    ],
)
def test_fields_of_models_are_named_as_people_name_attributes(name, attribute):
    module = written(workflow([field(name)]))
    assert list(module.InvoiceCheckInputsModel.model_fields) == [attribute]


def test_names_that_become_the_same_are_numbered():
    module = written(workflow([field("Due date"), field("Due-date"), field("due_date")]))
    assert list(module.InvoiceCheckInputsModel.model_fields) == ["due_date", "due_date_2", "due_date_3"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True), st.text())
def test_any_names_make_a_module_that_runs(names, title):
    described = workflow(
        [field(name, variable=f"i{n}") for n, name in enumerate(names)],
        [output(name, variable=f"o{n}") for n, name in enumerate(names)],
        name=title,
    )
    module = written(described)
    inputs = named(module, "Inputs")
    assert len(inputs.__annotations__) == len(names)
    model = named(module, "InputsModel")
    given_values = dict.fromkeys(inputs.__annotations__, "x")
    assert model.model_validate(given_values).to_inputs() == given_values


CONSUMER = """
import datetime as dt
import io
from pathlib import Path

from opus_async import JobRequest, OpusClient, UploadedFile
from written import INVOICE_CHECK, InvoiceCheckInputs, InvoiceCheckInputsModel, InvoiceCheckOutputsModel


async def use(opus: OpusClient) -> None:
    outcome = await INVOICE_CHECK.run(
        opus, {"Document": Path("a.pdf"), "Due date": dt.date(2026, 1, 2)}, title="t", timeout=9
    )
    outputs = INVOICE_CHECK.outputs(outcome)
    verdict: str = outputs["Verdict"]
    score: float | None = outputs.get("Score")
    rows: list[InvoiceCheckInputs] = [
        {"Document": UploadedFile("u", 1), "Due date": dt.date(2026, 1, 2), "More": ["a.pdf"]},
        {"Document": ("a.pdf", b"x"), "Due date": dt.date(2026, 1, 2), "More": None},
        {"Document": ("a.pdf", io.BytesIO(b"x")), "Due date": dt.date(2026, 1, 2)},
    ]
    async for each in INVOICE_CHECK.run_many(opus, rows, max_in_flight=3):
        print(InvoiceCheckOutputsModel.model_validate(each.outputs).verdict.upper(), verdict, score)
    request: JobRequest = INVOICE_CHECK.request(rows[0], key="17")
    INVOICE_CHECK.run_many(opus, [request])
    model = InvoiceCheckInputsModel(document=Path("a.pdf"), due_date=dt.date(2026, 1, 2))
    await INVOICE_CHECK.run(opus, model.to_inputs())
    with Path("a.pdf").open("rb") as file:
        await INVOICE_CHECK.run(opus, {"Document": file, "Due date": dt.date(2026, 1, 2)})
    await opus.run(INVOICE_CHECK.workflow_id, rows[0])
"""
WRONG = """
import datetime as dt

from opus_async import OpusClient
from written import INVOICE_CHECK


async def use(opus: OpusClient) -> None:
    day = dt.date(2026, 1, 2)
    await INVOICE_CHECK.run(opus, {"Document": "a.pdf", "Due dat": day})  # wrong
    await INVOICE_CHECK.run(opus, {"Document": "a.pdf", "Due date": "2026-01-02"})  # wrong
    await INVOICE_CHECK.run(opus, {"Document": b"x", "Due date": day})  # wrong
    await INVOICE_CHECK.run(opus, {"Document": "a.pdf", "Due date": day}, titel="t")  # wrong
    outcome = await INVOICE_CHECK.run(opus, {"Document": "a.pdf", "Due date": day})
    print(INVOICE_CHECK.outputs(outcome)["Verdct"])  # wrong
    print(INVOICE_CHECK.outputs(outcome)["Score"] + 1)  # wrong
"""
WRONG_LINES = {n for n, line in enumerate(WRONG.splitlines(), 1) if "# wrong" in line}
CHECKED = workflow(
    [field("Document", "file"), field("Due date", "date"), field("More", "array_files", nullable=True)],
    [output("Verdict"), output("Score", "float", nullable=True)],
)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    (tmp_path / "written.py").write_text(python_module(CHECKED))
    (tmp_path / "right.py").write_text(CONSUMER)
    (tmp_path / "wrong.py").write_text(WRONG)
    for name, described in WORKFLOWS.items():
        (tmp_path / f"{name}.py").write_text(python_module(described), encoding="utf-8")
    return tmp_path


def test_mypy_takes_what_is_right_and_sees_what_is_wrong(programs):
    words = ["--strict", "--no-incremental", "--config-file", "", "--cache-dir", programs / "cache", "."]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words], capture_output=True, text=True, check=False, cwd=programs
    )
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert {line.partition(":")[0] for line in errors} == {"wrong.py"}, done.stdout + done.stderr
    assert {int(line.split(":")[1]) for line in errors} == WRONG_LINES, done.stdout
    assert any('Extra key "Due dat" for TypedDict "InvoiceCheckInputs"' in line for line in errors)


def test_pyright_takes_what_is_right_and_sees_what_is_wrong(programs):
    pyright = pyright_program()
    options = {"typeCheckingMode": "strict", "include": ["*.py"]}
    (programs / "pyrightconfig.json").write_text(json.dumps(options))
    done = subprocess.run(
        [pyright, "--pythonpath", sys.executable, "--outputjson"],
        capture_output=True,
        text=True,
        check=False,
        cwd=programs,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    wrong = [(Path(each["file"]).name, each["range"]["start"]["line"] + 1) for each in found]
    assert {name for name, _ in wrong} == {"wrong.py"}, found
    assert {line for _, line in wrong} == WRONG_LINES, found
