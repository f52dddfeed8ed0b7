"""`workflow show`: what it prints is what `simulate --workflow` reads, and what it warns of."""

from __future__ import annotations

import json

import pytest
from command_line import leading_to
from typed_modules import executed

from opus_async.simulator import SimulatorConfig, SimulatorProcess
from opus_async.simulator.builtin import BUILTIN
from opus_async.simulator.workflows import SPELLINGS, VALUE_TYPES

TYPES = (*VALUE_TYPES, *SPELLINGS)
FILES = {"file", "binary", "array_files"}
EVERY_TYPE = "Ev3ryTyp3Th3r3Is"
ODD = "0dd00000-0000-4000-8000-000000000001"


def items(kind):
    return {"allowed_types": [{"type": kind}], "id": kind, "variable_name": kind}


def every_type():
    """A workflow as the vendor describes it: each type required and nullable, lists of every kind of item."""
    inputs = {}
    for kind in (*TYPES, "hologram"):
        tags = [{"variable_name": "allowed_file_types", "value": ["PDF"]}] if kind in FILES else []
        for nullable in (False, True):
            name = f"{kind}_{nullable}".lower()
            inputs[name] = {
                "display_name": f"The {name}",
                "type": kind,
                "is_nullable": nullable,
                "tags": tags,
            }
    for kind in TYPES:
        inputs[f"list_of_{kind}"] = {"type": "array", "type_definition": items(kind)}
    outputs = {"workflow_output_a": {"display_name": "A", "type": "str"}, "b": {"type": "float"}}
    return {
        "workflowId": EVERY_TYPE,
        "name": 'Every "type" , ünd mehr',
        "description": "All of them.",
        "jobPayloadSchema": inputs,
        "jobResultsPayloadSchema": outputs,
    }


def written(path, document):
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    "traits", [(), ("schema_graph",), ("schema_camel", "schema_nodes_list")], ids="+".join
)
def test_workflow_show_json_can_be_simulated(opus, tmp_path, traits):
    first = written(tmp_path / "first.json", every_type())
    ids = [*(workflow.workflow_id for workflow in BUILTIN), EVERY_TYPE]
    config = SimulatorConfig(workflow_files=(first,), traits=frozenset(traits))
    with SimulatorProcess(config) as process:
        shown = [opus("workflow", "show", each, "--json", env=leading_to(process)) for each in ids]
    assert [said.code for said in shown] == [0] * len(ids)
    files = [tmp_path / f"{number}.json" for number in range(len(ids))]
    for file, said in zip(files, shown, strict=True):
        file.write_text(said.out)
    with SimulatorProcess(SimulatorConfig(workflow_files=tuple(files))) as process:
        again = [opus("workflow", "show", each, "--json", env=leading_to(process)) for each in ids]
    for before, after in zip(shown, again, strict=True):
        assert after.json == before.json
    kinds = {field["type"] for field in again[-1].json["inputs"]}
    assert kinds == {*VALUE_TYPES, "hologram"}


def test_workflow_show_json_simulated_runs_a_job(opus, to, tmp_path):
    said = opus("workflow", "show", "D0cumentWorkfl0w", "--json", env=to)
    copy = said.json | {"workflow_id": ODD}
    (tmp_path / "note.txt").write_text("x")
    config = SimulatorConfig(run_time=0, workflow_files=(written(tmp_path / "copy.json", copy),))
    with SimulatorProcess(config) as process:
        run = ("run", ODD, "--file", "Document=note.txt", "--input", "Threshold=0.5")
        said = opus(*run, env=leading_to(process))
    assert said.code == 0
    assert set(said.json) == set(copy["outputs"].values())


@pytest.fixture(scope="module")
def unknown(tmp_path_factory):
    """A workflow with a type that nobody knows, beside one that is known by another name."""
    inputs = [
        {"variable_name": "v", "display_name": "View", "type": "hologram"},
        {"variable_name": "n", "display_name": "Count", "type": "int", "schema_type": "integer"},
    ]
    folder = tmp_path_factory.mktemp("workflows")
    file = written(folder / "odd.json", {"workflow_id": ODD, "name": "Odd", "inputs": inputs})
    with SimulatorProcess(SimulatorConfig(run_time=0, workflow_files=(file,))) as process:
        yield leading_to(process)


WARNING = "'View' (v) has the type 'hologram', which this client does not know: any JSON value is taken"


def test_types_that_are_not_known_are_told_once_by_show_and_run(opus, unknown):
    shown = opus("workflow", "show", ODD, env=unknown)
    assert shown.err.count(f"opus-async: warning: {WARNING}") == shown.err.count("hologram") == 1
    said = opus("run", ODD, "--input", "View=x", "--input", "Count=5", env=unknown)
    assert said.err.count(f"opus-async: warning: {WARNING}") == said.err.count("hologram") == 1
    assert (said.code, said.json) == (0, {"View": "x", "Count": 5})
    quiet = opus("workflow", "show", "D0cumentWorkfl0w", env=unknown)
    assert "warning" not in quiet.err


def test_types_that_are_not_known_are_told_once_by_a_batch(opus, unknown, tmp_path):
    (tmp_path / "rows.csv").write_text("View,Count\nx,5\ny,6\n")
    told = opus("batch", "validate", "rows.csv", "--workflow", ODD, "--json", "-", env=unknown)
    [warning] = told.json["problems"]
    assert (told.code, warning["severity"], warning["input"], warning["index"]) == (
        0,
        "warning",
        "View",
        None,
    )
    assert warning["message"].startswith(WARNING)
    said = opus("batch", "run", "rows.csv", "--workflow", ODD, "--out", "out", env=unknown)
    assert said.code == 0
    assert (said.out + said.err).count("hologram") == 1


def test_types_that_are_not_known_are_a_risk_to_the_doctor(opus, unknown):
    said = opus("doctor", "--workflow", ODD, "--json", env=unknown)
    [risk] = [check for check in said.json["checks"] if check["state"] == "risk"]
    assert (said.code, risk["name"]) == (0, "input type")
    assert risk["finding"].startswith(WARNING)
    assert risk["fix"]


def test_types_of_another_spelling_are_checked_before_anything_is_sent(opus, unknown):
    said = opus("run", ODD, "--input", "View=x", "--input", "Count=five", env=unknown)
    assert said.code == 2
    assert "'Count' (n) wants a whole number, got 'five'" in said.err


@pytest.mark.parametrize("form", [["--python"], ["--json"], []], ids=" ".join)
def test_workflow_show_output_writes_what_stdout_would_get(opus, to, tmp_path, form):
    there = tmp_path / "shown"
    there.write_text("what was there before")
    said = opus("workflow", "show", "D0cumentWorkfl0w", *form, "--output", "shown", env=to)
    assert (said.code, said.out) == (0, "shown\n"), said.err
    assert there.read_text() == opus("workflow", "show", "D0cumentWorkfl0w", *form, env=to).out
    assert (
        opus("workflow", "show", "D0cumentWorkfl0w", *form, "--output", "-", env=to).out == there.read_text()
    )


def test_workflow_show_output_keeps_the_file_where_it_fails(opus, to, tmp_path):
    (tmp_path / "module.py").write_text("what was there before")
    said = opus("workflow", "show", "N0SuchWorkfl0w00", "--python", "--output", "module.py", env=to)
    assert said.code != 0
    assert (tmp_path / "module.py").read_text() == "what was there before"
    assert opus("workflow", "show", "N0SuchWorkfl0w00", "--output", "new.py", env=to).code != 0
    assert [path.name for path in tmp_path.iterdir()] == ["module.py"]
    said = opus("workflow", "show", "D0cumentWorkfl0w", "--output", "no/folder.py", env=to)
    assert (said.code, said.err) == (
        2,
        "opus-async: --output: no/folder.py cannot be written (No such file or directory)\n",
    )


def test_workflow_show_python_prints_a_module(opus, to):
    said = opus("workflow", "show", "D0cumentWorkfl0w", "--python", env=to)
    assert (said.code, said.err) == (0, "")
    assert executed(said.out).DOCUMENT_CHECK.workflow_id == "D0cumentWorkfl0w"
    assert said.out == opus("workflow", "show", "D0cumentWorkfl0w", "--python", env=to).out
    both = opus("workflow", "show", "D0cumentWorkfl0w", "--python", "--json", env=to)
    assert both.code == 2
