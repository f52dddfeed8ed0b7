"""What events tell: whose request it was, when, which attempt, and how long it waited for its turn."""

from __future__ import annotations

import time

from client_tools import DOCUMENT, TEXT
from handmade_opus import TOO_MANY

from opus_async import (
    FailureClass,
    JobStageChanged,
    JobStatusSeen,
    ProblemCode,
    RequestKind,
    RequestRetried,
    RequestSent,
    SchemaWarning,
    UploadProgress,
)

FILE_REQUESTS = frozenset({"presign", "put"})


async def run_rows(opus, workflow, rows):
    return {outcome.index: outcome async for outcome in opus.run_many(workflow, rows)}


def of(told, kind):
    return [event for event in told if isinstance(event, kind)]


async def test_events_of_requests_name_their_row_and_job(simulate, connect):
    simulator = await simulate(run_time=0.05)
    told = []
    opus = connect(simulator, listeners=[told.append], limits={"max_in_flight": 8})
    rows = [{"Document": (f"{number}.txt", f"text {number}".encode())} for number in range(20)]
    outcomes = await run_rows(opus, DOCUMENT, rows)
    assert all(outcome.ok for outcome in outcomes.values())
    job_of = {index: outcome.job_id for index, outcome in outcomes.items()}
    sent = of(told, RequestSent)
    for operation in ("presign", "put", "initiate", "execute", "status", "results"):
        assert {event.index for event in sent if event.operation == operation} == set(range(20)), operation
    for event in sent:
        created = event.operation in {"execute", "status", "results"}
        assert event.job_id == (job_of[event.index] if created else None), event
        assert event.attempt == 1
    kinds = {event.operation: event.kind for event in sent}
    assert kinds["put"] is RequestKind.STORAGE
    assert kinds["status"] is RequestKind.POLL
    assert {kinds[name] for name in ("presign", "initiate", "execute", "results")} == {RequestKind.API}
    assert {event.index for event in of(told, UploadProgress)} == set(range(20))


async def test_events_carry_ordered_timestamps(simulate, connect):
    simulator = await simulate()
    told = []
    before, began = time.time(), time.monotonic()
    await connect(simulator, listeners=[told.append]).run(DOCUMENT, {"Document": ("a.txt", b"text")})
    times = [event.monotonic for event in told]
    assert times == sorted(times)
    assert began <= times[0] <= times[-1] <= time.monotonic()
    assert all(before <= event.timestamp <= time.time() for event in told)


async def test_events_of_upload_add_up_to_duration_of_its_stage(simulate, connect):
    """Waits and requests fill the stage without a gap: who records them loses no time of a job."""
    simulator = await simulate()
    told = []
    limits = {"upload_concurrency": 1, "upload_bandwidth": 1_000_000}
    opus = connect(simulator, listeners=[told.append], limits=limits)
    rows = [{"Document": (f"{number}.txt", bytes([48 + number]) * 200_000)} for number in range(4)]
    await run_rows(opus, DOCUMENT, rows)
    entered = {(event.index, event.stage): event.monotonic for event in of(told, JobStageChanged)}
    presigns = []
    for index in range(4):
        stage = entered[index, "initiate"] - entered[index, "upload"]
        presign, put = (e for e in of(told, RequestSent) if e.index == index and e.operation in FILE_REQUESTS)
        spent = presign.waited + presign.seconds + put.waited + put.seconds
        assert stage - 0.25 < spent < stage + 0.01
        presigns.append(presign)
    assert max(event.waited for event in presigns) > 0.3, "the last one waits until three others are sent"


async def test_events_of_retries_carry_failure_class_and_status(handmade, connect):
    told = []
    server = await handmade(script={"execute": [TOO_MANY, TOO_MANY]})
    outcome = await connect(server, listeners=[told.append]).run(TEXT, {"Input": "x"}, key="k")
    retried = of(told, RequestRetried)
    assert [(e.index, e.key, e.job_id, e.attempt) for e in retried] == [
        (0, "k", outcome.job_id, 1),
        (0, "k", outcome.job_id, 2),
    ]
    assert {(e.kind, e.failure, e.status, e.reason) for e in retried} == {
        (RequestKind.API, FailureClass.THROTTLED, 429, "throttled: HTTP 429")
    }
    assert all(event.seconds > 0 for event in retried)
    last = [event for event in of(told, RequestSent) if event.operation == "execute"][-1]
    assert (last.attempt, last.status) == (3, 201)
    assert last.waited > 0, "the pause that the second 429 asked for"


async def test_events_of_single_calls_name_job_and_no_row(simulate, connect):
    simulator = await simulate()
    told = []
    opus = connect(simulator, listeners=[told.append])
    job_id = await opus.jobs.initiate(TEXT)
    await opus.jobs.status(job_id)
    await opus.jobs.audit(job_id)
    made, *asked = of(told, RequestSent)
    assert (made.index, made.job_id) == (None, None)
    assert [(event.index, event.key, event.job_id) for event in asked] == [(None, None, job_id)] * 2


async def test_jobs_wait_sends_status_events_to_listeners(simulate, connect):
    simulator = await simulate(queue_time=0.2, run_time=0.2)
    told = []
    opus = connect(simulator, listeners=[told.append])
    job_id = await opus.jobs.initiate(TEXT)
    text = {"value": "x", "type": "str", "displayName": "Text"}
    await opus.jobs.execute(job_id, {"workflow_input_t3xtinput": text})
    await opus.jobs.wait(job_id)
    seen = of(told, JobStatusSeen)
    assert {(event.index, event.key, event.job_id) for event in seen} == {(0, None, job_id)}
    assert [event.status for event in seen] == ["PENDING", "IN_PROGRESS", "COMPLETED"]


async def test_events_of_job_end_bound_detection_lag(simulate, connect):
    simulator = await simulate(run_time=0.4)
    told = []
    outcome = await connect(simulator, listeners=[told.append]).run(TEXT, {"Text": "x"})
    [done] = [event for event in of(told, JobStageChanged) if event.stage == "done"]
    [seen] = [event for event in of(told, JobStatusSeen) if event.status == "COMPLETED"]
    assert done.told_by == "poll"
    queue_run = seen.monotonic - next(e.monotonic for e in of(told, JobStageChanged) if e.stage == "watch")
    assert 0.4 - 0.1 <= queue_run <= 0.4 + done.detect_lag + 0.1
    assert 0 < done.detect_lag < queue_run + 0.1
    assert outcome.ok


UNKNOWN = {
    "workflow_id": "Unkn0wnTypes0001",
    "inputs": [
        {"variable_name": "a", "display_name": "View", "type": "hologram"},
        {"variable_name": "b", "display_name": "Scent", "type": "smell", "required": False},
    ],
}


async def test_warnings_about_a_schema_are_told_once_by_a_client(simulate, connect, caplog):
    simulator = await simulate()
    simulator.serve_workflow(UNKNOWN)
    told = []
    opus = connect(simulator, listeners=[told.append])
    for value in ("x", [1, 2]):
        outcome = await opus.run("Unkn0wnTypes0001", {"View": value})
        assert outcome.outputs["View"] == value
    workflow = await opus.workflows.get("Unkn0wnTypes0001")
    found = of(told, SchemaWarning)
    assert [(event.workflow_id, event.problem) for event in found] == [
        ("Unkn0wnTypes0001", problem) for problem in workflow.warnings
    ]
    assert [event.problem.code for event in found] == [ProblemCode.UNKNOWN_TYPE] * 2
    logged = [record.message for record in caplog.records if "hologram" in record.message]
    assert logged == [f"workflow Unkn0wnTypes0001: {workflow.warnings[0]}"]
