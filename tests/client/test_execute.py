"""The order that starts a bill, over real sockets: what is sent, how often, and what is asked in between."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest
from client_tools import DOCUMENT, TEXT, document, sha256, text_payload, until
from handmade_opus import (
    CLOSE_BEFORE,
    CUT_JSON,
    CUT_JSON_BEFORE,
    HANG_AFTER,
    HANG_BEFORE,
    OK,
    RESET_AFTER,
    RESET_BEFORE,
    TOO_MANY,
    TRUNCATED,
    TRUNCATED_BEFORE,
    html,
    redirect,
    said,
)

from opus_async import (
    AmbiguousExecution,
    APIError,
    AuthenticationError,
    DeadlineExceeded,
    JobRequest,
    NotFound,
    PermissionDenied,
    QuotaExhausted,
    RequestRetried,
    ServerError,
    TransportError,
    ValidationFailed,
)


@pytest.fixture(params=["v0", "v1"])
def api(request):
    return request.param


GRACE = {"execute_grace": 0.1, "max_elapsed": 1.0}
HANGING = {"request": 0.15}
LOST_BEFORE = {
    "a reset": RESET_BEFORE,
    "a closed connection": CLOSE_BEFORE,
    "500 in HTML": html(500),
    "502 in HTML": html(502),
    "503 in HTML": html(503),
    "504 in HTML": html(504),
    "500 in JSON": said(500, statusCode=500, message="Internal server error"),
    "an answer that ends early": TRUNCATED_BEFORE,
    "an answer of half a JSON": CUT_JSON_BEFORE,
    "no answer": HANG_BEFORE,
}
LOST_AFTER = {
    "a reset": RESET_AFTER,
    "500 in HTML": html(500, obeyed=True),
    "502 in HTML": html(502, obeyed=True),
    "503 in HTML": html(503, obeyed=True),
    "504 in HTML": html(504, obeyed=True),
    "an answer that ends early": TRUNCATED,
    "an answer of half a JSON": CUT_JSON,
    "no answer": HANG_AFTER,
}


def table(cases):
    return pytest.mark.parametrize("act", cases.values(), ids=cases.keys())


@table(LOST_AFTER)
async def test_trap_8_start_that_took_effect_is_never_resent(handmade, connect, act):
    server = await handmade(script={"execute": [act]}, running_for=2)
    opus = connect(server, retry=GRACE, timeouts=HANGING)
    outcome = await opus.run(TEXT, {"Input": "x"}, timeout=10)
    assert outcome.raise_for_status().outputs["SHA-256"] == sha256(b"x")
    assert server.counts["execute"] == 1
    assert [job.executions for job in server.jobs.values()] == [1, 0], "the job, and one never executed"


@table(LOST_AFTER)
async def test_start_that_took_effect_but_shows_late_is_not_resent(handmade, connect, act):
    server = await handmade(script={"execute": [act]}, shown_after=3)
    opus = connect(server, retry=GRACE, timeouts=HANGING)
    outcome = await opus.run(TEXT, {"Input": "x"}, timeout=10)
    assert outcome.ok
    assert server.counts["execute"] == 1


@table(LOST_BEFORE)
async def test_trap_8_start_without_effect_is_resent_once_after_grace(handmade, connect, act):
    server = await handmade(script={"execute": [act]})
    opus = connect(server, retry=GRACE, timeouts=HANGING)
    outcome = await opus.run(TEXT, {"Input": "x"}, timeout=10)
    assert outcome.ok
    first, second = server.of("execute")
    assert first.body == second.body
    assert [job.executions for job in server.jobs.values() if job.executions] == [1]
    between = _between(server, first, second)
    assert between.count("status") >= 3 + 1, "three looks at the least, and one at a job never executed"
    assert between.count("audit") >= 3 + 1
    assert outcome.timings["execute"] >= GRACE["execute_grace"]


@table(LOST_BEFORE)
async def test_start_with_on_ambiguous_stop_is_never_resent(handmade, connect, act):
    server = await handmade(script={"execute": [act]})
    opus = connect(server, retry={**GRACE, "on_ambiguous": "stop"}, timeouts=HANGING)
    with pytest.raises(AmbiguousExecution) as caught:
        await opus.run(TEXT, {"Input": "x"}, timeout=10)
    assert server.counts["execute"] == 1
    assert (caught.value.job_id, caught.value.stage) == ("job-1", "execute")
    assert caught.value.cause is not None
    assert "billed again" in str(caught.value)


@table(LOST_BEFORE)
@pytest.mark.parametrize(("on_ambiguous", "orders"), [("resend_once", 2), ("resend", 3)])
async def test_start_raises_ambiguous_execution_when_resends_are_used_up(
    handmade, connect, act, on_ambiguous, orders
):
    server = await handmade(script={"execute": [act] * 9})
    opus = connect(
        server,
        retry={**GRACE, "execute_grace": 0.02, "on_ambiguous": on_ambiguous},
        timeouts=HANGING,
    )
    with pytest.raises(AmbiguousExecution, match=f"{orders} orders"):
        await opus.run(TEXT, {"Input": "x"}, timeout=10)
    assert server.counts["execute"] == orders


async def test_start_resend_with_lost_response_is_found_running(handmade, connect):
    server = await handmade(script={"execute": [RESET_BEFORE, RESET_AFTER]}, running_for=1)
    outcome = await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=10)
    assert outcome.ok
    assert server.counts["execute"] == 2
    assert server.executed_twice == []


@pytest.mark.parametrize("times", [1, 3, 12])
async def test_start_429_is_resent_without_status_check(handmade, connect, times):
    server = await handmade(script={"execute": [TOO_MANY] * times})
    outcome = await connect(server, retry={"attempts": 2}).run(TEXT, {"Input": "x"}, timeout=20)
    assert outcome.ok
    assert server.counts["execute"] == times + 1
    assert server.counts["audit"] == 0
    assert server.counts["initiate"] == 1
    assert server.executed_twice == []


async def test_trap_9_refused_connection_is_retried_without_ambiguity(handmade, connect):
    told = []
    server = await handmade()
    opus = connect(server, listeners=[told.append])
    job_id = await opus.jobs.initiate(TEXT)
    await server.refuse_for(0.15)
    await asyncio.sleep(0.01)  # on a kept connection that is not yet known to be dead it would be uncertain
    await opus.jobs.execute(job_id, {"workflow_input_handmade1": {"value": "x", "type": "str"}})
    retried = [event for event in told if isinstance(event, RequestRetried)]
    assert retried
    assert {event.operation for event in retried} == {"execute"}
    assert all(event.reason.startswith("unsent") for event in retried)
    assert server.counts == {"initiate": 1, "execute": 1}


def _between(server, first, second):
    seen = server.seen
    return [request.operation for request in seen[seen.index(first) + 1 : seen.index(second)]]


REFUSALS = {
    301: APIError,
    400: ValidationFailed,
    402: QuotaExhausted,
    403: PermissionDenied,
    404: NotFound,
    409: APIError,
    413: ValidationFailed,
    422: ValidationFailed,
    501: ServerError,
}


@pytest.mark.parametrize(("status", "kind"), REFUSALS.items())
async def test_start_refusal_is_checked_three_times_then_raised(handmade, connect, status, kind):
    refusal = said(status, statusCode=status, message=["first reason", "second reason"])
    server = await handmade(script={"execute": [refusal]})
    with pytest.raises(kind, match="first reason; second reason") as caught:
        await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=10)
    assert (caught.value.status, caught.value.job_id, caught.value.stage) == (status, "job-1", "execute")
    assert server.counts["execute"] == 1
    looks = [seen for seen in server.of("status") if seen.target.endswith("/job-1/status")]
    assert len(looks) == 3


@pytest.mark.parametrize("obeyed", [True, False])
async def test_start_redirected_to_other_host_is_checked_and_never_resent(handmade, connect, obeyed):
    answer = redirect(302, "https://elsewhere.example.com/login")
    if obeyed:
        answer = replace(answer, obeyed=True)
    server = await handmade(script={"execute": [answer]}, running_for=1)
    run = connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=10)
    if obeyed:
        assert (await run).ok
    else:
        with pytest.raises(TransportError, match="redirected"):
            await run
    assert server.counts["execute"] == 1
    assert server.counts["status"] >= 1


@pytest.mark.parametrize("status", REFUSALS)
async def test_start_refusal_is_ignored_if_job_runs(handmade, connect, status):
    # A proxy repeated the order by itself, and got its own answer to the second.
    refusal = said(status, obeyed=True, statusCode=status, message="Job is already executed")
    server = await handmade(script={"execute": [refusal]}, shown_after=1, running_for=1)
    outcome = await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=10)
    assert outcome.ok
    assert server.counts["execute"] == 1
    assert server.executed_twice == []


@pytest.mark.parametrize(
    "refusal", [said(409, obeyed=True, message="busy"), said(200, obeyed=True, success=False, message="no")]
)
async def test_start_refusal_is_ambiguous_with_on_ambiguous_stop(handmade, connect, refusal):
    server = await handmade(script={"execute": [refusal]}, shown_after=1000)
    opus = connect(server, retry={**GRACE, "on_ambiguous": "stop"})
    with pytest.raises(AmbiguousExecution):
        await opus.run(TEXT, {"Input": "x"}, timeout=10)
    assert server.counts["execute"] == 1


@pytest.mark.parametrize("denials", [1, 3])
async def test_start_401_is_resent_once_then_raised(handmade, connect, denials):
    server = await handmade(script={"execute": [said(401, statusCode=401, message="expired")] * denials})
    run = connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=10)
    if denials == 1:
        assert (await run).ok
    else:
        with pytest.raises(AuthenticationError, match="expired"):
            await run
    assert server.counts["execute"] == 2
    assert server.executed_twice == []


@pytest.mark.parametrize(
    "refusal",
    [
        said(201, success=False, message="Execution was not started", error={"reason": "credit"}),
        said(200, statusCode=400, message="bad payload"),
        said(200, error="something"),
        said(200, status="error", message="upstream timed out"),
    ],
)
async def test_trap_10_refusal_inside_a_200_is_raised_without_resend(handmade, connect, refusal):
    server = await handmade(script={"execute": [refusal]})
    with pytest.raises(APIError):
        await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=10)
    assert server.counts["execute"] == 1


@pytest.mark.parametrize("code", [400, 401, 403, 408, 409, 425, 429, 500, 503])
@pytest.mark.parametrize("obeyed", [True, False])
async def test_trap_10_error_code_inside_a_200_is_never_resent(handmade, connect, code, obeyed):
    refusal = said(200, obeyed=obeyed, statusCode=code, message="Request failed upstream")
    server = await handmade(script={"execute": [refusal] * 9})
    run = connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=10)
    if obeyed:
        assert (await run).ok
    else:
        with pytest.raises(APIError, match="upstream") as caught:
            await run
        assert caught.value.status == code
    assert server.counts["execute"] == 1
    assert server.counts["status"] >= 1


async def test_start_error_code_inside_a_200_fails_only_its_row(handmade, connect):
    denied = said(200, statusCode=401, message="upstream")
    server = await handmade(script={"execute": ["ok", denied]}, running_for=2)
    stream = connect(server, retry=GRACE).run_many(TEXT, [{"Input": str(row)} for row in range(6)])
    outcomes = [outcome async for outcome in stream]
    assert sorted(outcome.ok for outcome in outcomes) == [False] + [True] * 5


async def test_start_500_about_workflow_details_is_not_taken_for_refusal(handmade, connect):
    lost = said(500, obeyed=True, statusCode=500, message="V1 workflow details are no longer supported")
    server = await handmade(script={"execute": [lost]})
    assert (await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=10)).ok
    assert server.counts["execute"] == 1


async def test_start_429_that_took_effect_is_found_running(handmade, connect):
    obeyed = said(429, obeyed=True, statusCode=429, message="slow down", metadata={"retryAfterSeconds": 0})
    already = said(409, statusCode=409, message="Job execution has already been started")
    server = await handmade(script={"execute": [obeyed, already]})
    assert (await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=10)).ok
    assert server.executed_twice == []


async def test_trap_10_inner_500_is_checked_and_never_resent(simulate, connect):
    simulator = await simulate(traits=frozenset({"execute_inner_error"}))
    with pytest.raises(ServerError, match="422") as caught:
        await connect(simulator, retry=GRACE).run(TEXT, {"Text": "x"}, timeout=10)
    assert caught.value.job_id in simulator.state()["jobs"]
    counters = simulator.state()["counters"]
    assert counters["requests"]["execute"] == 1
    assert counters["requests"]["status"] >= 3
    assert counters["executions"] == 0


async def test_start_inner_500_is_ignored_if_job_runs(handmade, connect):
    inner = said(200, obeyed=True, statusCode=500, message="Request failed with status code 422")
    server = await handmade(script={"execute": [inner]}, running_for=1)
    assert (await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=10)).ok
    assert server.counts["execute"] == 1


async def test_start_is_not_resent_while_status_cannot_be_read(handmade, connect):
    server = await handmade(
        script={"execute": [RESET_BEFORE], "status": [html(500)] * 1000, "audit": [html(500)] * 1000}
    )
    opus = connect(server, retry={"execute_grace": 0.05, "max_elapsed": 0.3})
    with pytest.raises(AmbiguousExecution, match="could not be asked"):
        await opus.run(TEXT, {"Input": "x"}, timeout=10)
    assert server.counts["execute"] == 1


async def test_start_check_repeats_failed_status_requests(handmade, connect):
    server = await handmade(script={"execute": [RESET_AFTER], "status": [html(500), RESET_BEFORE, TOO_MANY]})
    assert (await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=10)).ok
    assert server.counts["execute"] == 1


async def test_start_check_creates_one_unstarted_job_per_run(handmade, connect):
    server = await handmade(script={"execute": [RESET_BEFORE] * 8})
    opus = connect(server, retry=GRACE)
    stream = opus.run_many(TEXT, [JobRequest({"Input": str(n)}, title=f"row {n}") for n in range(8)])
    outcomes = [outcome async for outcome in stream]
    assert all(outcome.ok for outcome in outcomes)
    [shell] = [job for job in server.jobs.values() if not job.executions]
    assert "never executed" in shell.request["title"]
    assert stream.stray_shells == 1
    assert server.executed_twice == []


async def test_start_that_looks_unstarted_beyond_grace_is_resent_unless_stop(handmade, connect):
    # docs/explanation/promises.md states it: only on_ambiguous="stop" closes this door.
    server = await handmade(script={"execute": [RESET_AFTER]}, shown_after=1000)
    opus = connect(server, retry=GRACE)
    job = asyncio.ensure_future(opus.run(TEXT, {"Input": "x"}))
    await until(lambda: server.counts["execute"] == 2)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    careful = await handmade(script={"execute": [RESET_AFTER]}, shown_after=1000)
    with pytest.raises(AmbiguousExecution):
        await connect(careful, retry={**GRACE, "on_ambiguous": "stop"}).run(TEXT, {"Input": "x"})
    assert careful.counts["execute"] == 1


AGAIN = said(409, statusCode=409, message="Job execution has already been started")


async def test_start_resend_refused_as_duplicate_finds_first_running(handmade, connect):
    server = await handmade(script={"execute": [RESET_AFTER, AGAIN]}, shown_after=8)
    outcome = await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=10)
    assert outcome.ok
    assert server.counts["execute"] == 2
    assert server.executed_twice == []


async def test_start_resend_refused_as_duplicate_raises_ambiguous_execution(handmade, connect):
    server = await handmade(script={"execute": [RESET_AFTER, AGAIN]}, shown_after=1000)
    with pytest.raises(AmbiguousExecution, match="Order 2 to start it was refused"):
        await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=10)
    assert server.counts["execute"] == 2


async def test_start_without_workflow_is_never_resent(handmade, connect):
    server = await handmade(script={"execute": [RESET_BEFORE]})
    opus = connect(server, retry=GRACE)
    job_id = await opus.jobs.initiate(TEXT)
    with pytest.raises(AmbiguousExecution) as caught:
        await opus.jobs.execute(job_id, {"workflow_input_handmade1": {"value": "x", "type": "str"}})
    assert caught.value.job_id == job_id
    assert server.counts["execute"] == 1
    assert server.counts["initiate"] == 1


@pytest.mark.parametrize("act", [RESET_AFTER, html(500, obeyed=True), TRUNCATED, CUT_JSON, HANG_AFTER])
async def test_jobs_initiate_with_lost_response_is_counted_as_stray_shell(handmade, connect, act):
    server = await handmade(script={"initiate": [act]})
    stream = connect(server, timeouts=HANGING).run_many(TEXT, [{"Input": "x"}])
    assert [outcome.ok async for outcome in stream] == [True]
    assert server.counts["initiate"] == len(server.jobs) == 2
    assert stream.stray_shells == 1


@pytest.mark.parametrize("operation", ["workflow", "status", "results"])
@pytest.mark.parametrize("act", [RESET_BEFORE, html(502), TRUNCATED, CUT_JSON, TOO_MANY, OK])
async def test_read_request_is_retried_after_any_fault(handmade, connect, operation, act):
    server = await handmade(script={operation: [act, act]})
    assert (await connect(server).run(TEXT, {"Input": "x"}, timeout=10)).ok
    assert server.counts["execute"] == server.counts["initiate"] == 1


# Many at once, against every kind of fault


@pytest.mark.parametrize("count", [60, pytest.param(200, marks=pytest.mark.long)])
async def test_run_many_under_hostile_faults_runs_each_job_once(simulate_apart, connect, count):
    simulator = await simulate_apart(faults="hostile", seed=11, run_time="0.05-0.3", queue_time=0.01)
    opus = connect(simulator, retry={"attempts": 24, "execute_grace": 1.0, "max_elapsed": 60})
    rows = [
        JobRequest({"Document": (f"{n}.txt", document(n))}, title=f"row {n}", key=str(n))
        for n in range(count)
    ]
    stream = opus.run_many(DOCUMENT, rows)
    outcomes = [outcome async for outcome in stream]
    state = await asyncio.to_thread(simulator.state)
    assert_accounted_for(outcomes, state, count, stream.stray_shells)


def assert_accounted_for(outcomes, state, rows, stray_shells):
    assert sorted(outcome.index for outcome in outcomes) == list(range(rows))
    assert [str(outcome.error) for outcome in outcomes if not outcome.ok] == []
    for outcome in outcomes:
        assert outcome.outputs["SHA-256"] == sha256(document(outcome.index))
    counters, jobs = state["counters"], state["jobs"]
    assert counters["executed_twice"] == []
    assert counters["executed_jobs"] == counters["executions"] == rows
    assert {outcome.job_id for outcome in outcomes} == {
        job_id for job_id, job in jobs.items() if job["executions"]
    }
    assert counters["jobs"] - rows <= stray_shells
    assert state["leaks"] == []
    assert state["strange_fields"] == {}
    assert sum(counters["faults"].values()) > rows / 4


async def test_jobs_execute_under_hostile_faults_starts_no_job_twice(simulate_apart, connect):
    simulator = await simulate_apart(faults="hostile", seed=4, run_time=0.05, queue_time=0.0)
    opus = connect(simulator, retry={"attempts": 24, "execute_grace": 0.3, "max_elapsed": 30})

    async def one(number):
        job_id = await opus.jobs.initiate(TEXT, title=f"one by one {number}")
        try:
            await opus.jobs.execute(job_id, text_payload(str(number)))
        except AmbiguousExecution as error:
            return error.job_id, None
        return job_id, await opus.jobs.wait(job_id, timeout=30)

    ended = dict(await asyncio.gather(*(one(number) for number in range(40))))
    jobs = (await asyncio.to_thread(simulator.state))["jobs"]
    for job_id, status in ended.items():
        assert jobs[job_id]["executions"] == (0 if status is None else 1)


# What a look tells


def _shows(server, *words):
    """Statuses of the job that was executed, in turn; any other job is told as it is."""
    turns = itertools.cycle(words)

    def status(seen):
        job = server.jobs[seen.target.split("/")[-2]]
        return said(200, status=next(turns)) if job.executions else OK

    return status


async def test_start_check_flickering_difference_forbids_resend(handmade, connect):
    # Two replicas take turns: one shows the queued run, the other what it showed before.
    server = await handmade(script={"execute": [RESET_AFTER]}, shown_after=10**6)
    server.script["status"] = [_shows(server, "QUEUED", "PENDING")] * 1000
    with pytest.raises(AmbiguousExecution, match="differed"):
        await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=20)
    assert server.counts["execute"] == 1


async def test_start_check_lasting_difference_means_running(handmade, connect):
    server = await handmade(script={"execute": [RESET_AFTER]})
    server.script["status"] = [_shows(server, "QUEUED"), *[_shows(server, "QUEUED")] * 5]
    assert (await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=20)).ok
    assert server.counts["execute"] == 1


UNSTARTED_AS = ["WAITING", "IN_PROGRESS", "READY_FOR_INPUT"]


@pytest.mark.parametrize("word", UNSTARTED_AS)
async def test_start_check_status_of_unstarted_job_is_no_sign_of_start(handmade, connect, word):
    server = await handmade(script={"execute": [RESET_BEFORE]})

    def status(seen):
        job = server.jobs[seen.target.split("/")[-2]]
        return OK if job.executions else said(200, status=word)

    server.script["status"] = [status] * 1000
    assert (await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=20)).ok
    assert server.counts["execute"] == 2
    assert server.executed_twice == []


EVIDENCE = {
    "a count": {"nb_executed_nodes": 1},
    "a node": {"audit": {"nodes_execution_data": {"Input": {}}}},
    "a list that got shorter": {"remaining_nodes_to_execute": ["Output"]},
    "a field nobody knows": {"attempt": 1},
    "a time": {"queuedAt": "2026-11-29T08:00:00Z"},
}


@pytest.mark.parametrize("evidence", EVIDENCE.values(), ids=EVIDENCE.keys())
async def test_start_check_any_relevant_audit_difference_is_sign_of_start(handmade, connect, evidence):
    server = await handmade(script={"execute": [RESET_AFTER]}, shown_after=8)
    shell = {"nb_executed_nodes": 0, "remaining_nodes_to_execute": ["Input", "Output"], "createdAt": 1}

    def audit(seen):
        job = server.jobs[seen.target.split("/")[-2]]
        shown = {**shell, "title": job.request["title"], "createdAt": 1795939200000 + id(job) % 1000}
        return said(200, **{**shown, **(evidence if job.executions else {})})

    server.script["audit"] = [audit] * 1000
    assert (await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, title="Mine", timeout=20)).ok
    assert server.counts["execute"] == 1


async def test_gateway_error_inside_a_200_does_not_end_job(handmade, connect):
    page = said(200, status="error", message="upstream timed out")
    server = await handmade(script={"status": [page] * 2, "results": [page]})
    outcome = await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=20)
    assert outcome.outputs["SHA-256"] == sha256(b"x")


async def test_run_takes_four_requests_per_job_without_faults(handmade, connect):
    server = await handmade()
    opus = connect(server, retry=GRACE)
    stream = opus.run_many(TEXT, [{"Input": str(row)} for row in range(5)])
    assert all([outcome.ok async for outcome in stream])
    assert server.counts == {"workflow": 1, "initiate": 5, "execute": 5, "status": 5, "results": 5}


@pytest.mark.parametrize("of", ["the job itself", "a job that has ended"])
async def test_start_check_never_uses_cached_job_id_as_unstarted_job(handmade, connect, of):
    server = await handmade(shown_after=10**6 if of == "the job itself" else 0)
    opus = connect(server, retry=GRACE)
    if of == "a job that has ended":
        assert (await opus.run(TEXT, {"Input": "first"}, timeout=10)).ok
    kept = f"job-{len(server.jobs) + (of == 'the job itself')}"
    server.script["execute"] = [RESET_AFTER]
    server.script["initiate"] = [OK] + [said(201, jobExecutionId=kept)] * 100
    if of == "a job that has ended":
        assert (await opus.run(TEXT, {"Input": "x"}, timeout=20)).ok
    else:
        with pytest.raises(AmbiguousExecution):
            await connect(server, retry={**GRACE, "max_elapsed": 0.5}).run(TEXT, {"Input": "x"}, timeout=20)
    assert server.executed_twice == []


@pytest.mark.parametrize("status", [307, 308])
async def test_start_redirected_inside_host_is_not_repeated(handmade, connect, status):
    server = await handmade(running_for=1)
    elsewhere = replace(redirect(status, "/job/execute"), obeyed=True)
    server.script["execute"] = [elsewhere] * 5
    assert (await connect(server, retry=GRACE).run(TEXT, {"Input": "x"}, timeout=10)).ok
    assert server.counts["execute"] == 1


async def test_start_check_late_audit_of_unstarted_job_hides_no_difference(handmade, connect):
    server = await handmade(script={"execute": [RESET_AFTER]}, shown_after=10**6)
    shells = itertools.count()

    def audit(seen):
        if server.jobs[seen.target.split("/")[-2]].executions:
            return said(200, executions=1)
        return said(404, statusCode=404) if next(shells) == 0 else said(200, executions=0)

    server.script["audit"] = [audit] * 1000
    opus = connect(server, retry=GRACE)
    job = asyncio.ensure_future(opus.run(TEXT, {"Input": "x"}, timeout=5))
    with pytest.raises((AmbiguousExecution, DeadlineExceeded)):
        await job
    assert server.counts["execute"] == 1


async def test_intent_to_execute_is_recorded_when_the_request_has_its_turn(handmade, connect):
    """Of twenty rows that wait for one connection, a kill leaves one or two in doubt, and not all.

    While one records its intent, another has the connection, and may come to record its own.
    """
    opus_server = await handmade()
    intents = []

    class Journal:
        async def start_intent(self, remote_id):
            intents.append((remote_id, opus_server.counts["execute"]))

        async def told(self, *_):
            """Nothing of it is needed here."""

        job_created = start_accepted = second_start_forbidden = job_superseded = told

        def status_seen(self, status):
            """It is not needed either."""

        job_identified = status_seen

    client = connect(opus_server, limits={"api_concurrency": 1})
    lifecycle = client.lifecycle(TEXT)
    await lifecycle.platform.open()
    request = JobRequest({"Input": "x"})
    outcomes = await asyncio.gather(*(lifecycle.run(request, journal=Journal()) for _ in range(20)))
    assert all(outcome.ok for outcome in outcomes)
    assert all(place - executed in {0, 1} for place, (_, executed) in enumerate(intents)), intents
    assert len({job_id for job_id, _ in intents}) == 20
