"""Jobs of a typed workflow: run as any other, after a look whether the workflow is as its module says."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError
from typed_modules import field, output, workflow, written

from opus_async import JobFailed, JobOutcome, JobStatus, OpusClient, WorkflowChanged
from opus_async.simulator import Simulator, SimulatorConfig

MODERN = "M0dernTypesWrkfl"
DOCUMENT = "D0cumentWorkfl0w"
TEXT = "T3xtOnlyWorkfl0w"


async def test_job_runs_with_values_of_its_types(opus, module_of, tmp_path):
    module = await module_of(MODERN)
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4")
    outcome = await module.NEWER_INPUT_TYPES.run(
        opus,
        {
            "Profile": {"name": "x"},
            "Count": 3,
            "Invoices": [("b.txt", b"one"), ("c.txt", io.BytesIO(b"two"))],
            "Due date": dt.date(2026, 1, 2),
            "Labels": ["a"],
            "Attachment": tmp_path / "a.pdf",
        },
        title="typed",
        timeout=20,
        key="k",
    )
    outputs = module.NEWER_INPUT_TYPES.outputs(outcome)
    assert outcome.key == "k"
    assert (outputs["Count"], outputs["Labels"], outputs["Profile"]) == (3, ["a"], {"name": "x"})
    assert outputs["Due date"] == dt.date(2026, 1, 2)
    assert outcome.outputs["Due date"] == "2026-01-02"
    model = module.NewerInputTypesOutputsModel.model_validate(outcome.outputs)
    assert (model.due_date, model.attachment_size) == (dt.date(2026, 1, 2), 8)


async def test_workflow_is_checked_once_for_each_client_and_version(opus, module_of, sent):
    module = await module_of(TEXT)
    before = sent["workflow"]
    await asyncio.gather(*(module.TEXT_ONLY.run(opus, {"Text": str(n)}) for n in range(5)))
    assert sent["workflow"] - before == 1 + 5  # one to check, and each run reads it by itself
    await module.TEXT_ONLY.run(opus, {"Text": "x"}, version_number=2)
    assert sent["workflow"] - before == 1 + 5 + 2


async def test_rows_run_with_the_inputs_and_requests_that_are_given(opus, module_of, sent):
    module = await module_of(TEXT)
    typed = module.TEXT_ONLY
    before = sent["workflow"]
    rows = [{"Text": "a"}, typed.request({"Text": "b"}, key="the second")]
    seen = {outcome.index: outcome async for outcome in typed.run_many(opus, rows, max_in_flight=2)}
    assert [typed.outputs(seen[n])["Text"] for n in (0, 1)] == ["a", "b"]
    assert seen[1].key == "the second"
    assert sent["workflow"] - before == 2


async def test_versions_that_rows_name_are_checked_in_place_of_the_latest(opus, module_of, sent):
    typed = (await module_of(TEXT)).TEXT_ONLY
    before = sent["workflow"]
    rows = [typed.request({"Text": str(n)}, version_number=1 + n % 2) for n in range(6)]
    async for outcome in typed.run_many(opus, rows):
        assert outcome.ok
    assert sent["workflow"] - before == 2 + 1 + 2  # each version once here; the stream opens with the latest


async def test_rows_of_generators_are_taken_and_closed(opus, module_of):
    typed = (await module_of(TEXT)).TEXT_ONLY
    closed = []

    def plain():
        try:
            for number in range(1000):
                yield {"Text": str(number)}
        finally:
            closed.append("plain")

    async def later():
        try:
            for number in range(1000):
                yield {"Text": str(number)}
        finally:
            closed.append("later")

    for rows in (plain(), later()):
        async with typed.run_many(opus, rows, max_in_flight=2) as stream:
            assert (await anext(stream)).ok
    assert closed == ["plain", "later"]


async def test_changed_workflow_is_told_before_anything_is_sent(opus, sent):
    live = await opus.workflows.get(DOCUMENT)
    fields = dict(live.inputs)
    document, threshold, note = fields
    fields[document] = replace(fields[document], type="array_files")
    fields[threshold] = replace(fields[threshold], nullable=False)
    fields[note] = replace(fields[note], display_name="Notes")
    outputs = {**live.output_fields, "gone": output("Score", "float")}
    module = written(replace(live, inputs=fields, output_fields=outputs))
    typed = module.DOCUMENT_CHECK
    with pytest.raises(WorkflowChanged) as caught:
        await typed.run(opus, {"Document": ["a.pdf"], "Threshold": 0.5})
    assert caught.value.problems == (
        "input 'Document' was array_files, required; it is file, required",
        "input 'Threshold' was float, required; it is float, optional",
        "input 'Notes' (str, optional) is gone; there is a new one, 'Note'",
        "output 'Score' (float, required) is gone",
    )
    assert str(caught.value).startswith(
        f"The workflow 'Document check' ({DOCUMENT}), version 3, is not as its Python module says; nothing "
        f"was sent. Write the module anew: opus-async workflow show {DOCUMENT} --python --output MODULE.py\n"
    )
    with pytest.raises(WorkflowChanged):
        async for _ in typed.run_many(opus, [{"Document": ["a.pdf"], "Threshold": 0.5}]):
            pass
    assert set(sent) == {"workflow"}


async def test_new_inputs_make_a_difference_only_where_they_are_required(opus):
    live = await opus.workflows.get(DOCUMENT)
    known = dict(list(live.inputs.items())[:1])
    outputs = dict(list(live.output_fields.items())[:1])
    await written(replace(live, inputs=known, output_fields=outputs)).DOCUMENT_CHECK.check(opus)
    module = written(replace(live, inputs=dict(list(live.inputs.items())[1:])))
    with pytest.raises(WorkflowChanged, match="input 'Document' is new, and required"):
        await module.DOCUMENT_CHECK.check(opus)


async def test_workflow_that_is_repaired_is_found_well_without_a_new_client(opus, sent):
    live = await opus.workflows.get(TEXT)
    typed = written(replace(live, output_fields={"gone": output("Score")})).TEXT_ONLY
    for _ in range(2):
        with pytest.raises(WorkflowChanged):
            await typed.run(opus, {"Text": "x"})
    assert sent["workflow"] == 3


async def test_module_outlives_its_clients_and_loops(module_of):
    typed = (await module_of(TEXT)).TEXT_ONLY

    async def once():
        async with (
            Simulator(SimulatorConfig(run_time=0)) as simulator,
            OpusClient(simulator.service_key, base_url=simulator.base_url) as client,
        ):
            return (await typed.run(client, {"Text": "x"}, timeout=20)).ok

    assert await asyncio.to_thread(lambda: asyncio.run(once()))
    assert await asyncio.to_thread(lambda: asyncio.run(once()))


def completed(**outputs):
    return JobOutcome(job_id="1", status=JobStatus.COMPLETED, outputs=outputs)


ANSWERS = written(
    workflow(
        [],
        [
            output("Verdict"),
            output("Data", "object"),
            output("Items", "array", item_type="int"),
            output("Json", "json_string", nullable=True),
        ],
    )
).INVOICE_CHECK


def test_outputs_that_agents_wrote_as_text_are_parsed():
    text = '["not", "parsed"]'
    outcome = completed(Verdict=text, Data='```json\n{"a": 1}\n```', Items="[1, 2]", Json='{"b": 2}', More=1)
    assert ANSWERS.outputs(outcome) == {
        "Verdict": text,
        "Data": {"a": 1},
        "Items": [1, 2],
        "Json": {"b": 2},
    }


def test_outputs_of_another_type_are_named():
    with pytest.raises(WorkflowChanged) as caught:
        ANSWERS.outputs(completed(Verdict=3, Items=[1, "x"]))
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "output 'Verdict'",
        "output 'Data'",
        "output 'Items 1'",
    ]
    assert caught.value.job_id == "1"


def test_outputs_of_a_failed_job_raise_what_went_wrong():
    with pytest.raises(JobFailed):
        ANSWERS.outputs(JobOutcome(job_id="1", status=JobStatus.FAILED))


def test_models_of_inputs_take_both_names_and_refuse_others():
    described = workflow([field("Due date", "date"), field("File", "file"), field("Note", nullable=True)])
    model = written(described).InvoiceCheckInputsModel
    by_alias = model.model_validate({"Due date": "2026-01-02", "File": Path("a.pdf")})
    assert by_alias == model(due_date=dt.date(2026, 1, 2), file=Path("a.pdf"))
    assert by_alias.to_inputs() == {"Due date": dt.date(2026, 1, 2), "File": Path("a.pdf")}
    for wrong in (
        {"Due dat": "2026-01-02", "File": "a"},
        {"Due date": "tomorrow", "File": "a"},
        {"File": "a"},
    ):
        with pytest.raises(ValidationError):
            model.model_validate(wrong)


def test_files_are_taken_by_models_as_they_are():
    model = written(workflow([field("File", "file")])).InvoiceCheckInputsModel
    file = io.BytesIO(b"x")
    for value in ("a.pdf", ("a.pdf", b"x"), ("a.pdf", file), file):
        assert model(file=value).to_inputs()["File"] is value
    assert model.model_json_schema()["required"] == ["File"]
