"""The client as a whole against the simulator: every call, every kind of input, as users meet them."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import date
from pathlib import Path

import pytest
from client_tools import ALL_TYPES, DOCUMENT, MODERN, TEXT, TEXT_INPUT, document, sha256, text_payload
from given_values import json_values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opus_async import (
    AuthenticationError,
    ConfigurationError,
    DeadlineExceeded,
    InvalidInputs,
    JobFailed,
    JobRequest,
    JobStageChanged,
    JobStatus,
    NotFound,
    OpusError,
    RequestSent,
    UploadedFile,
    UploadProgress,
)


@pytest.fixture(params=["v0", "v1"])
def api(request):
    return request.param


async def test_run_completes_job_from_file_to_outputs(simulate, connect, tmp_path, api):
    simulator = await simulate(run_time=0.02)
    path = tmp_path / "invoice.txt"
    path.write_bytes(document(1, lines=7))
    opus = connect(simulator)
    outcome = await opus.run(DOCUMENT, {"Document": path, "Threshold": 0.0}, key="17", timeout=10)
    assert outcome.ok
    assert outcome.raise_for_status() is outcome
    assert (outcome.status, outcome.index, outcome.key) == (JobStatus.COMPLETED, 0, "17")
    assert dict(outcome.outputs) == {
        "SHA-256": sha256(document(1, lines=7)),
        "Size": len(document(1, lines=7)),
        "Type": "TXT",
        "Lines": 7,
        "Verdict": "PASS",
    }
    assert outcome.results["jobResultsPayloadSchema" if api == "v0" else "results"]
    stages = {"schema", "upload", "initiate", "execute", "watch", "results", "total"}
    assert stages == set(outcome.timings) - {"request_wait"}
    job = simulator.state()["jobs"][outcome.job_id]
    assert (job["executions"], job["execute_requests"], job["result_reads"]) == (1, 1, 1)
    assert job["inputs_without_display_name"] == 0
    assert simulator.state()["strange_fields"] == {}


async def test_run_passes_title_description_and_version_to_platform(simulate, connect):
    simulator = await simulate()
    opus = connect(simulator)
    workflow = await opus.workflows.get(TEXT)
    pins = {"version_id": workflow.version_id, "version_number": workflow.version}
    pins = {name: value for name, value in pins.items() if value is not None}
    outcome = await opus.run(TEXT, {"Text": "x"}, title="Invoice 17", description="From the tests", **pins)
    request = simulator.state()["jobs"][outcome.job_id]["request"]
    assert request["title"] == "Invoice 17"
    assert request["description"] == "From the tests"
    assert request.get("workflowVersionId") == workflow.version_id
    assert request.get("workflowVersionNumber") == workflow.version
    [outcome] = [
        done
        async for done in opus.run_many(
            TEXT, [JobRequest({"Text": "y"}, title="T", description="D", key="k")]
        )
    ]
    request = simulator.state()["jobs"][outcome.job_id]["request"]
    assert (request["title"], request["description"], outcome.key) == ("T", "D", "k")


async def test_jobs_calls_one_by_one_complete_a_job(simulate, connect):
    simulator = await simulate(run_time=0.03)
    opus = connect(simulator)
    job_id = await opus.jobs.initiate(TEXT, title="by hand", description="step by step")
    assert await opus.jobs.status(job_id) == JobStatus.PENDING
    await opus.jobs.execute(job_id, text_payload("héllo"), callback_url="https://callback.invalid/x")
    assert await opus.jobs.wait(job_id, timeout=5) == JobStatus.COMPLETED
    results = await opus.jobs.results(job_id)
    assert results.outputs["SHA-256"] == sha256("héllo".encode())
    audit = await opus.jobs.audit(job_id)
    assert audit.nodes
    assert audit.failed_nodes == ()
    job = simulator.state()["jobs"][job_id]
    assert job["callback_url"] == "https://callback.invalid"
    assert job["executions"] == 1


async def test_jobs_execute_binds_plain_values_if_given_the_workflow(simulate, connect):
    opus = connect(await simulate())
    workflow = await opus.workflows.get(DOCUMENT)
    job_id = await opus.jobs.initiate(DOCUMENT)
    await opus.jobs.execute(job_id, {"Document": ("a.txt", b"one\ntwo\n")}, workflow=workflow)
    await opus.jobs.wait(job_id, timeout=5)
    assert (await opus.jobs.results(job_id)).outputs["Lines"] == 2


async def test_jobs_execute_without_workflow_takes_variable_objects_only(simulate, connect):
    simulator = await simulate()
    opus = connect(simulator)
    job_id = await opus.jobs.initiate(TEXT)
    with pytest.raises(InvalidInputs, match="workflow=") as caught:
        await opus.jobs.execute(job_id, {TEXT_INPUT: "plain"})
    assert caught.value.job_id == job_id
    assert simulator.state()["counters"]["requests"].get("execute", 0) == 0


async def test_workflow_lists_its_inputs_with_types(simulate, connect):
    opus = connect(await simulate())
    workflow = await opus.workflows.get(ALL_TYPES)
    assert workflow.workflow_id == ALL_TYPES
    assert {entry.display_name: entry.type for entry in workflow.inputs.values()} == {
        "TextInput": "str",
        "NumberInput": "float",
        "FileInput(Single)": "file",
        "BoolInput": "bool",
        "ListInput": "array",
        "ObjectInput": "object",
        "DateInput": "date",
        "FileInput(Multiple)": "array_files",
    }
    modern = await opus.workflows.get(MODERN)
    invoices = modern.inputs["workflow_input_inv0ices1"]
    assert (invoices.type, invoices.item_type, invoices.takes_files) == ("array", "file", True)
    assert [entry.nullable for entry in modern.inputs.values()] == [False, False, False, True, True, True]


# Many jobs


async def test_run_many_gives_every_row_its_own_outcome(simulate, connect, tmp_path):
    simulator = await simulate(run_time="0-0.05", fail_share=0.2, seed=5)
    opus = connect(simulator)

    def rows():
        for number in range(60):
            path = tmp_path / f"{number}.txt"
            path.write_bytes(document(number))
            yield JobRequest({"Document": path}, title=f"row {number}", key=f"key {number}")

    outcomes = [outcome async for outcome in opus.run_many(DOCUMENT, rows(), max_in_flight=20)]
    assert sorted(outcome.index for outcome in outcomes) == list(range(60))
    assert {outcome.key for outcome in outcomes} == {f"key {number}" for number in range(60)}
    state = simulator.state()
    for outcome in outcomes:
        job = state["jobs"][outcome.job_id]
        assert job["title"] == f"row {outcome.index}"
        assert job["status"] == outcome.status
        if outcome.ok:
            assert outcome.outputs["SHA-256"] == sha256(document(outcome.index))
        else:
            assert isinstance(outcome.error, JobFailed)
            assert outcome.error.failed_nodes
            assert outcome.error.outcome is outcome
    assert 0 < sum(not outcome.ok for outcome in outcomes) < 30
    assert state["counters"]["executed_twice"] == []
    assert state["leaks"] == []


async def test_run_many_yields_outcomes_as_jobs_end(simulate, connect):
    simulator = await simulate(run_time="0-0.4", seed=2)
    opus = connect(simulator)
    rows = ({"Text": str(number)} for number in range(20))
    order = [outcome.index async for outcome in opus.run_many(TEXT, rows)]
    assert sorted(order) == list(range(20))
    assert order != list(range(20))


async def test_run_many_accepts_async_rows_and_bad_row_fails_alone(simulate, connect, tmp_path):
    simulator = await simulate()
    opus = connect(simulator)

    async def rows():
        yield {"Text": "good"}
        yield {"Txet": "misspelt"}
        await asyncio.sleep(0)
        yield JobRequest({"Text": 3}, key="a number is text too")
        yield "no row at all"
        yield {"Text": tmp_path}

    async with opus.run_many(TEXT, rows()) as stream:
        outcomes = {outcome.index: outcome async for outcome in stream}
    assert [outcomes[index].ok for index in range(5)] == [True, False, True, False, True]
    assert isinstance(outcomes[1].error, InvalidInputs)
    assert "did you mean 'Text'?" in str(outcomes[1].error)
    assert isinstance(outcomes[3].error, InvalidInputs)
    assert outcomes[1].job_id is None
    assert outcomes[1].status is None
    assert simulator.state()["counters"]["jobs"] == 3


async def test_run_many_reads_schema_once_per_run(simulate, connect):
    simulator = await simulate()
    opus = connect(simulator)
    reads = lambda: simulator.state()["counters"]["requests"]["workflow"]  # noqa: E731 - asked four times
    async for _ in opus.run_many(TEXT, [{"Text": str(number)} for number in range(25)]):
        pass
    assert reads() == 1
    async for _ in opus.run_many(TEXT, [{"Text": "again"}]):
        pass
    assert reads() == 2
    await opus.run(TEXT, {"Text": "a"})
    await opus.run(TEXT, {"Text": "b"})
    assert reads() == 4


async def test_run_many_raises_wrong_key_or_workflow_before_creating_jobs(simulate, connect):
    simulator = await simulate()
    with pytest.warns(UserWarning, match="may be refused"):
        stranger = connect(simulator, key="wrong-key")
    with pytest.raises(AuthenticationError) as wrong:
        async for _ in stranger.run_many(TEXT, [{"Text": "x"}] * 3):
            pass
    assert wrong.value.stage == "schema"
    with pytest.raises(NotFound, match="does not know"):
        async for _ in connect(simulator).run_many("N0suchW0rkfl0w00", [{"Text": "x"}]):
            pass
    assert simulator.state()["counters"]["jobs"] == 0


async def test_run_many_takes_no_more_rows_than_max_in_flight(simulate, connect):
    simulator = await simulate(run_time=0.01)
    opus = connect(simulator)
    taken = 0

    def rows():
        nonlocal taken
        for number in range(40):
            taken += 1
            yield {"Text": str(number)}

    read = 0
    async for _ in opus.run_many(TEXT, rows(), max_in_flight=7):
        read += 1
        assert taken <= read + 7
    assert read == 40


async def test_jobs_wait_many_yields_status_of_each_job(simulate, connect):
    simulator = await simulate(run_time="0.01-0.2", fail_share=0.3, seed=3)
    opus = connect(simulator)
    ids = []
    for number in range(20):
        ids.append(await opus.jobs.initiate(TEXT, title=f"job {number}"))
        await opus.jobs.execute(ids[-1], text_payload("x"))
    ended = {job_id: status async for job_id, status in opus.jobs.wait_many(ids)}
    assert set(ended) == set(ids)
    assert {job_id: job["status"] for job_id, job in simulator.state()["jobs"].items()} == ended


async def test_jobs_wait_many_raises_for_unknown_job_after_yielding_others(simulate, connect):
    simulator = await simulate()
    opus = connect(simulator, retry={"max_elapsed": 0.1})
    job_id = await opus.jobs.initiate(TEXT)
    await opus.jobs.execute(job_id, text_payload("x"))
    waiting = opus.jobs.wait_many(["999999", job_id])
    assert await anext(waiting) == (job_id, JobStatus.COMPLETED)
    with pytest.raises(NotFound) as caught:
        await anext(waiting)
    assert caught.value.job_id == "999999"
    with pytest.raises(StopAsyncIteration):
        await anext(waiting)


async def test_trap_14_a_deadline_ends_our_waiting_and_not_the_job(simulate, connect):
    simulator = await simulate(run_time=1.5)
    opus = connect(simulator)
    with pytest.raises(DeadlineExceeded) as caught:
        await opus.run(TEXT, {"Text": "slow"}, timeout=0.7)
    late = caught.value
    assert (late.stage, late.last_status) == ("watch", JobStatus.IN_PROGRESS)
    assert f"jobs.outcome({late.job_id!r}) goes on waiting" in str(late)
    assert isinstance(late, TimeoutError)
    for again in (opus.jobs.wait, opus.jobs.outcome):
        with pytest.raises(DeadlineExceeded) as caught:
            await again(late.job_id, timeout=0.05)
        assert f"jobs.outcome({late.job_id!r}) goes on waiting" in str(caught.value)
    assert await opus.jobs.wait(late.job_id, timeout=5) == JobStatus.COMPLETED
    assert (await opus.jobs.results(late.job_id)).outputs["Text"] == "slow"


async def test_trap_13_a_job_parked_for_a_person_is_waited_for(simulate, connect):
    simulator = await simulate(run_time=0.02, waiting_share=1, waiting_time=0.1)
    outcome = await connect(simulator).run(TEXT, {"Text": "x"}, timeout=10)
    assert outcome.ok
    assert outcome.timings["watch"] >= 0.08  # the clock of the run began while its start was answered


async def test_events_report_every_stage_and_request_of_a_run(simulate, connect):
    simulator = await simulate()
    told, later = [], []

    async def slowly(event):
        await asyncio.sleep(0)
        later.append(event)

    opus = connect(simulator, listeners=[told.append, slowly])
    outcome = await opus.run(DOCUMENT, {"Document": ("a.txt", b"text")}, key="k")
    await opus.close()
    stages = [event for event in told if isinstance(event, JobStageChanged)]
    assert [event.stage for event in stages] == [
        "schema",
        "upload",
        "initiate",
        "execute",
        "watch",
        "results",
        "done",
    ]
    assert {event.key for event in stages} == {"k"}
    assert stages[-1].status == "COMPLETED"
    assert stages[-1].job_id == outcome.job_id
    sent = [event for event in told if isinstance(event, RequestSent)]
    assert [event.operation for event in sent if event.operation != "status"] == [
        "workflow",
        "presign",
        "put",
        "initiate",
        "execute",
        "results",
    ]
    assert all("?" not in event.url for event in sent)
    assert [event.sent for event in told if isinstance(event, UploadProgress)][-1] == 4
    assert later == told


async def test_client_instances_run_concurrently_and_close_separately(simulate, connect):
    simulator = await simulate(run_time=0.01)
    first, second = connect(simulator), connect(simulator)
    runs = [client.run(TEXT, {"Text": str(number)}) for number in range(20) for client in (first, second)]
    outcomes = await asyncio.gather(*runs)
    assert all(outcome.ok for outcome in outcomes)
    await first.close()
    assert (await second.run(TEXT, {"Text": "still here"})).ok


async def test_client_after_close_raises(simulate, connect):
    simulator = await simulate()
    opus = connect(simulator)
    await opus.run(TEXT, {"Text": "x"})
    await opus.close()
    await opus.close()
    assert repr(opus).endswith("closed>")
    with pytest.raises(ConfigurationError, match="closed"):
        await opus.run(TEXT, {"Text": "x"})
    with pytest.raises(ConfigurationError, match="closed"):
        opus.run_many(TEXT, [])
    with pytest.raises(OpusError, match="closed"):
        await opus.jobs.status("2514")


@pytest.mark.parametrize("ending", ["", "/", "//"])
async def test_base_url_trailing_slashes_are_ignored(simulate, connect, ending):
    simulator = await simulate()

    class There:
        base_url = simulator.base_url + ending
        service_key = f" {simulator.service_key}\n"

    assert (await connect(There).run(TEXT, {"Text": "x"})).ok


# Every kind of input

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
contents = st.binary(min_size=1, max_size=2000)
BOUNDED = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
async def opus(simulate, connect):
    return connect(await simulate())


@BOUNDED
@given(
    text=texts,
    number=numbers,
    flag=st.booleans(),
    items=st.lists(json_values, max_size=5),
    thing=st.dictionaries(st.text(max_size=8), json_values, max_size=5),
    day=st.dates(),
    single=contents,
    several=st.lists(contents, min_size=1, max_size=4),
)
async def test_binding_round_trips_every_documented_type(  # noqa: PLR0917 - one argument a type
    opus, text, number, flag, items, thing, day, single, several
):
    outcome = await opus.run(
        ALL_TYPES,
        {
            "TextInput": text,
            "NumberInput": number,
            "FileInput(Single)": ("single.pdf", single),
            "BoolInput": flag,
            "ListInput": items,
            "ObjectInput": thing,
            "DateInput": day,
            "FileInput(Multiple)": [(f"{place}.csv", data) for place, data in enumerate(several)],
        },
    )
    outputs = outcome.raise_for_status().outputs
    assert outputs["TextInput"] == text
    assert outputs["NumberInput"] == number
    assert outputs["BoolInput"] is flag
    assert outputs["ListInput"] == items
    assert outputs["ObjectInput"] == thing
    assert outputs["DateInput"] == day.isoformat()
    assert outputs["FileInput(Single) SHA-256"] == sha256(single)
    assert outputs["FileInput(Multiple) SHA-256"] == [sha256(data) for data in several]


@BOUNDED
@given(
    profile=json_values.filter(lambda value: not isinstance(value, str)),
    count=st.integers(-(2**53), 2**53),
    invoices=st.lists(contents, min_size=1, max_size=3),
    due=st.none() | st.dates(),
    labels=st.none() | st.lists(st.text(max_size=10), max_size=3),
    attachment=st.none() | contents,
)
async def test_binding_round_trips_newer_types_and_omits_missing_inputs(  # noqa: PLR0917 - an argument for each type
    opus, profile, count, invoices, due, labels, attachment
):
    inputs = {
        "Profile": profile if profile is not None else {},
        "workflow_input_c0untint1": count,
        "Invoices": [(f"{place}.txt", data) for place, data in enumerate(invoices)],
        "due date": due,
        "Labels": labels,
        "Attachment": None if attachment is None else ("a.pdf", attachment),
    }
    outputs = (await opus.run(MODERN, inputs)).raise_for_status().outputs
    assert json.loads(outputs["Profile"]) == inputs["Profile"]
    assert outputs["Count"] == count
    assert outputs["Invoices SHA-256"] == [sha256(data) for data in invoices]
    assert outputs.get("Due date") == (due and due.isoformat())
    assert outputs.get("Labels") == labels
    assert outputs.get("Attachment SHA-256") == (attachment and sha256(attachment))


async def test_binding_accepts_every_form_of_file_input(opus, tmp_path):
    path = tmp_path / "größe (1) +.txt"
    path.write_bytes(b"on the disk")
    uploaded = await opus.files.upload(path, workflow_id=MODERN)
    with path.open("rb") as opened:
        forms = [path, str(path), ("x.txt", b"in memory"), ("y.TXT", io.BytesIO(b"in a buffer")), opened]
        forms += [uploaded, uploaded.url]
        outcome = await opus.run(MODERN, {"Profile": "{}", "Count": 1, "Invoices": forms})
    disk = sha256(b"on the disk")
    assert outcome.raise_for_status().outputs["Invoices SHA-256"] == [
        disk,
        disk,
        sha256(b"in memory"),
        sha256(b"in a buffer"),
        disk,
        disk,
        disk,
    ]


async def test_trap_32_a_hundred_and_fifty_files_of_one_input_keep_their_order(simulate, connect):
    simulator = await simulate()
    opus = connect(simulator)
    files = [(f"{number}.txt", document(number)) for number in range(150)]
    outcome = await opus.run(MODERN, {"Profile": {}, "Count": 0, "Invoices": files})
    assert outcome.outputs["Invoices SHA-256"] == [sha256(data) for _, data in files]
    assert simulator.state()["counters"]["uploads"] == 150


async def test_trap_32_the_same_content_is_uploaded_once_in_a_run_and_again_in_the_next(
    simulate, connect, tmp_path
):
    simulator = await simulate()
    opus = connect(simulator)
    same = tmp_path / "same.txt"
    same.write_bytes(b"the same for all")

    async def run():
        rows = [
            {"Document": same if number % 2 else ("other name.txt", same.read_bytes())}
            for number in range(30)
        ]
        async for outcome in opus.run_many(DOCUMENT, rows):
            assert outcome.outputs["SHA-256"] == sha256(b"the same for all")

    await run()
    assert simulator.state()["counters"]["uploads"] == 1
    await run()
    assert simulator.state()["counters"]["uploads"] == 2


async def test_binding_reports_all_problems_at_once_before_sending(simulate, connect, tmp_path):
    simulator = await simulate()
    opus = connect(simulator)
    with pytest.raises(InvalidInputs) as caught:
        await opus.run(
            ALL_TYPES,
            {
                "TextInput": object(),
                "NumberInput": float("nan"),
                "FileInput(Single)": tmp_path / "absent.pdf",
                "BoolInput": "perhaps",
                "ListInput": 3,
                "DateInput": "2025-13-40",
                "FileInput(Multiple)": [],
                "Surplus": 1,
            },
        )
    assert len(caught.value.problems) == 9
    assert caught.value.stage == "schema"
    requests = simulator.state()["counters"]["requests"]
    assert requests == {"workflow": 1}


# opus.files


async def test_upload_accepts_path_bytes_or_file_object(simulate, connect, tmp_path, api):
    simulator = await simulate()
    opus = connect(simulator)
    data = bytes(range(256)) * 1000
    path = tmp_path / "data.pdf"
    path.write_bytes(data)
    progress = []
    first = await opus.files.upload(
        path,
        access_scope="workspace",
        workflow_id=TEXT,
        on_progress=lambda sent, size: progress.append((sent, size)),
    )
    second = await opus.files.upload(data, filename="data.pdf", digest=False, workflow_id=TEXT)
    with path.open("rb") as opened:
        opened.seek(10)
        third = await opus.files.upload(opened, workflow_id=TEXT)
        assert not opened.closed
    assert first == UploadedFile(url=first.url, size=len(data), sha256=sha256(data))
    assert second == UploadedFile(url=second.url, size=len(data), sha256=None)
    assert third == UploadedFile(url=third.url, size=len(data) - 10, sha256=sha256(data[10:]))
    assert progress[-1] == (len(data), len(data))
    assert [sent for sent, _ in progress] == sorted(sent for sent, _ in progress)
    uploads = simulator.state()["uploads"]
    assert uploads[first.url]["sha256"] == uploads[second.url]["sha256"] == sha256(data)
    assert uploads[third.url]["sha256"] == sha256(data[10:])
    assert uploads[first.url]["request"] == {
        "fileExtension": ".pdf",
        "accessScope": "workspace",
        "originalName": "data.pdf",
        "workflowId": TEXT,
    }
    assert uploads[second.url]["request"]["accessScope"] == {"v0": "organization", "v1": "workspace"}[api]
    assert all(upload["url_intact"] for upload in uploads.values())


async def test_upload_many_returns_files_in_order_of_sources(simulate, connect, tmp_path):
    simulator = await simulate()
    opus = connect(simulator, limits={"upload_concurrency": 5})
    paths = []
    for number in range(30):
        paths.append(tmp_path / f"{number}.csv")
        paths[-1].write_bytes(document(number, lines=1 + number * 50 % 700))
    uploaded = await opus.files.upload_many(paths, access_scope="unlisted", workflow_id=TEXT)
    assert [file.sha256 for file in uploaded] == [sha256(path.read_bytes()) for path in paths]
    assert len({file.url for file in uploaded}) == 30
    workflows = {upload["request"]["workflowId"] for upload in simulator.state()["uploads"].values()}
    assert workflows == {TEXT}


async def test_upload_many_raises_first_failure_alone(simulate, connect, tmp_path):
    opus = connect(await simulate())
    good = tmp_path / "good.txt"
    good.write_bytes(b"good")
    with pytest.raises(InvalidInputs, match=r"absent\.txt"):
        await opus.files.upload_many([good, tmp_path / "absent.txt", good], workflow_id=TEXT)


async def test_upload_filename_argument_decides_content_type(simulate, connect, tmp_path):
    simulator = await simulate(sign_content_type="always")
    opus = connect(simulator)
    scan = tmp_path / "scan.tmp"
    scan.write_bytes(b"%PDF-1.7 page")
    uploaded = await opus.files.upload(scan, filename="invoice.pdf", workflow_id=TEXT)
    upload = simulator.state()["uploads"][uploaded.url]
    assert upload["content_type"] == "application/pdf"
    assert upload["request"]["originalName"] == "invoice.pdf"
    assert simulator.state()["counters"]["requests"]["put"] == 1


async def test_upload_filename_is_sent_without_folders(simulate, connect):
    simulator = await simulate()
    uploaded = await connect(simulator).files.upload(
        b"x", filename="/home/somebody/notes.txt", workflow_id=TEXT
    )
    assert simulator.state()["uploads"][uploaded.url]["request"]["originalName"] == "notes.txt"


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        (b"data", {}, "no file name"),
        (b"", {"filename": "a.pdf"}, "is empty"),
        (b"data", {"filename": "a.exe"}, "unsupported type"),
        (b"data", {"filename": "noextension"}, "no extension"),
        (Path("/nowhere/a.pdf"), {}, "there is no file"),
        (Path("/"), {}, "regular file"),
        (io.StringIO("text"), {"filename": "a.txt"}, "rb"),
        (
            b"data",
            {"filename": "a.pdf", "access_scope": "everybody"},
            "access_scope='everybody': give one of",
        ),
        (b"data", {"filename": "a.pdf", "access_scope": "workspace"}, "workflow_id or workspace_id"),
    ],
)
async def test_upload_refuses_invalid_source_or_options_before_sending(
    simulate, connect, source, options, words
):
    simulator = await simulate()
    with pytest.raises(InvalidInputs, match=words):
        await connect(simulator).files.upload(source, **options)
    assert simulator.state()["counters"]["requests"] == {}


# What real servers were seen to do


@pytest.mark.parametrize(
    "trait",
    [
        "numeric_ids",
        "spaced_status",
        "execute_200",
        "execute_echo",
        "execute_repeat_refused",
        "queued_looks_unstarted",
        "results_bare_list",
        "results_old",
        "results_nested",
        "results_late",
        "audit_trail",
        "audit_null",
        "audit_missing",
        "audit_all_remaining",
        "callback_required",
        "lax_content_type",
        "unknown_fields_refused",
    ],
)
async def test_run_completes_on_every_server_variant(simulate, connect, trait):
    simulator = await simulate(traits=frozenset({trait}), run_time=0.03, queue_time=0.01)
    opus = connect(simulator)
    outcome = (await opus.run(DOCUMENT, {"Document": ("a.txt", b"one\n")}, timeout=10)).raise_for_status()
    assert sha256(b"one\n") in outcome.outputs.values() or sha256(b"one\n") in str(outcome.outputs)
    assert type(outcome.job_id) is str
    [job] = simulator.state()["jobs"].values()
    assert (job["executions"], job["execute_requests"]) == (1, 1)
    if trait == "results_bare_list":
        assert outcome.outputs["workflow_output_d0cum_sha256"] == sha256(b"one\n")
    elif trait != "results_old":
        assert outcome.outputs["SHA-256"] == sha256(b"one\n")
    assert await opus.jobs.wait(outcome.job_id, timeout=5) == JobStatus.COMPLETED


@pytest.mark.parametrize(
    "trait", ["audit_trail", "audit_null", "audit_missing", "audit_all_remaining", "numeric_ids"]
)
async def test_trap_16_a_failed_job_is_an_outcome_whatever_the_audit_looks_like(simulate, connect, trait):
    simulator = await simulate(traits=frozenset({trait}), fail_share=1, run_time=0.01)
    outcome = await connect(simulator).run(TEXT, {"Text": "x"}, timeout=10)
    assert (outcome.ok, outcome.status, dict(outcome.outputs)) == (False, JobStatus.FAILED, {})
    assert isinstance(outcome.error, JobFailed)
    assert outcome.error.job_id == outcome.job_id
    with pytest.raises(JobFailed):
        outcome.raise_for_status()
    assert (outcome.audit is None) == (trait == "audit_missing")
    assert simulator.state()["counters"]["requests"]["audit"] == 1
    assert simulator.state()["counters"]["requests"].get("results", 0) == 0


async def test_binding_accepts_text_for_nullable_date(opus):
    inputs = {
        "Profile": "[]",
        "Count": "7",
        "Invoices": ("a.txt", b"x"),
        "Due date": date(2025, 11, 9).isoformat(),
    }
    outputs = (await opus.run(MODERN, inputs)).raise_for_status().outputs
    assert (outputs["Count"], outputs["Due date"], outputs["Profile"]) == (7, "2025-11-09", "[]")


async def test_jobs_wait_for_unknown_id_raises_not_found(simulate, connect, api):
    opus = connect(await simulate())
    with pytest.raises(NotFound, match="does not know this id") as caught:
        await asyncio.wait_for(opus.jobs.wait("99999"), 10)
    assert caught.value.job_id == "99999"
    with pytest.raises(DeadlineExceeded, match="could not be read") as late:
        await opus.jobs.wait("99999", timeout=0.001)
    assert late.value.last_status is None


async def test_job_id_may_be_int_and_no_other_type(simulate, connect, api):
    opus = connect(await simulate())
    with pytest.raises(NotFound):
        await opus.jobs.audit(99999)
    for wrong in (None, 3.5, True, b"1"):
        with pytest.raises(InvalidInputs, match=r"job_id.*: give the id of a job"):
            await opus.jobs.status(wrong)


def test_client_refuses_settings_of_wrong_type():
    from client_tools import KEY

    from opus_async import OpusClient

    for name in ("limits", "timeouts", "retry"):
        with pytest.raises(ConfigurationError, match=rf"\({name} is of type dict\): give {name[0].upper()}"):
            OpusClient(KEY, **{name: {}})
    with pytest.raises(ConfigurationError, match="list of functions"):
        OpusClient(KEY, listeners=print)
