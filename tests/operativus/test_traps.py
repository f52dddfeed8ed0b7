"""The traps of the API, each on a real socket; starts, pauses and outputs have files of their own."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

import pytest
from client_tools import until
from handmade_operativus import WORKFLOW, Reply, problem

from opus_async import Notice
from opus_async.errors import AuthenticationError, NotFound, OpusError, PermissionDenied, ValidationFailed


@pytest.mark.parametrize("documented", [False, True])
async def test_iteration_goes_by_the_size_that_was_returned(handmade, connect, documented):
    server = await handmade(documented=documented, page_cap=200)
    for number in range(650):
        server.show(f"session-{number}")
    found = [run.session_id async for run in connect(server).runs.list(WORKFLOW, page_size=1000)]
    assert found == [f"session-{number}" for number in reversed(range(650))]
    assert [seen.query["page"] for seen in server.of("runs")] == ["0", "1", "2", "3"]


async def test_iteration_ends_at_an_empty_page_where_no_total_is_told(handmade, connect):
    def page(seen):
        number = int(seen.query["page"])
        rows = server.rows[number * 10 : (number + 1) * 10]
        return Reply(200, {"content": rows})

    server = await handmade({"runs": [page] * 9})
    for number in range(30):
        server.show(f"session-{number}")
    assert len([run async for run in connect(server).runs.list(WORKFLOW, page_size=10)]) == 30
    assert server.counts["runs"] == 4


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("documented", [False, True])
async def test_iteration_gives_each_run_once_while_new_ones_appear(handmade, connect, documented, seed):
    random_ = random.Random(seed)
    server = await handmade(documented=documented, page_cap=random_.choice([3, 7, 20]))
    before = [f"session-{number}" for number in range(60)]
    for session in before:
        server.show(session)
    server.before_page = lambda number: [
        server.show(f"new-{number}-{each}") for each in range(random_.choice([0, 0, 1, 2]))
    ]
    found = [run.session_id async for run in connect(server).runs.list(WORKFLOW)]
    assert len(found) == len(set(found))
    assert set(before) <= set(found)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("documented", [False, True])
async def test_runs_in_flight_are_all_found_while_new_ones_appear(handmade, connect, documented, seed):
    random_ = random.Random(seed)
    server = await handmade(documented=documented, page_cap=random_.choice([5, 11]), shows=None)
    waiting: list[str] = []

    def change(number: int) -> None:
        for each in range(random_.choice([0, 0, 1, 4])):
            server.show(f"foreign-{number}-{each}", "RUNNING")
        random_.shuffle(waiting)
        for _ in range(min(len(waiting), random_.randrange(3))):
            server.show(waiting.pop(), random_.choice(["RUNNING", "QUEUED", "COMPLETED"]))
        for row in server.rows:
            if row["sessionId"] in server.orders and random_.random() < 0.2:
                row["status"] = "COMPLETED"

    server.on_order, server.before_page = waiting.append, change
    rows = connect(server).run_many(WORKFLOW, map(str, range(40)))
    outcomes = [outcome async for outcome in rows]
    assert all(outcome.ok for outcome in outcomes)
    assert len({outcome.job_id for outcome in outcomes}) == 40
    assert not server.ordered_twice


async def test_job_is_never_asked_for(handmade, connect):
    """``/api/jobs/{id}`` answers 404 for the jobs of workflows."""
    server = await handmade()
    assert (await connect(server).run(WORKFLOW, "prices")).ok
    assert server.counts["job"] == 0


async def test_run_that_is_absent_for_long_is_waited_for_and_ordered_once(handmade, connect):
    server = await handmade(shows=None)
    running = asyncio.ensure_future(connect(server).run(WORKFLOW, "prices", timeout=60))
    await until(lambda: server.counts["runs"] > 20)
    assert not running.done()
    (session,) = server.orders
    server.show(session)
    assert (await running).ok
    assert server.counts["run"] == 1


@pytest.mark.parametrize("word", ["PAUSED", "AWAITING_ROUTE_SELECTION", "AWAITING_HUMAN_REVIEW", "paused"])
async def test_paused_words_end_the_waiting(handmade, connect, word):
    server = await handmade(shows=word)
    outcome = await connect(server).run(WORKFLOW, "prices", timeout=5)
    assert (outcome.status, outcome.status.raw) == ("WAITING", word)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("FAILED", "FAILED"),
        ("REJECTED", "FAILED"),
        ("EXPIRED", "FAILED"),
        ("DLQ", "FAILED"),
        ("CANCELLED", "CANCELLED"),
        ("completed", "COMPLETED"),
    ],
)
async def test_final_words_end_a_run(handmade, connect, word, status):
    server = await handmade(shows=word)
    outcome = await connect(server).run(WORKFLOW, "prices", timeout=5)
    assert (outcome.status, outcome.status.raw) == (status, word)


@pytest.mark.parametrize(
    "word", ["REHEATING", "PENDING", "CREATED", "QUEUED", "PROCESSING", "APPROVED", None]
)
async def test_open_words_and_unknown_ones_are_waited_out(handmade, connect, word):
    server = await handmade(shows=word or "")
    if word is None:
        server.on_order = lambda session: server.show(session, None)  # type: ignore[arg-type]
    running = asyncio.ensure_future(connect(server).run(WORKFLOW, "prices", timeout=20))
    await until(lambda: server.counts["runs"] > 6)
    assert not running.done()
    (session,) = server.orders
    server.row_of(session)["status"] = "COMPLETED"
    assert (await running).ok


async def test_duration_and_step_order_decide_nothing(handmade, connect):
    server = await handmade(shows=None)
    server.on_order = lambda session: server.show(session, "RUNNING", durationMs=8450, lastStepOrder=9)
    running = asyncio.ensure_future(connect(server).run(WORKFLOW, "prices", timeout=20))
    await until(lambda: server.counts["runs"] > 6)
    assert not running.done()
    (session,) = server.orders
    server.row_of(session)["status"] = "COMPLETED"
    assert (await running).ok


@pytest.mark.parametrize("name", ["currentStepOrder", "lastStepOrder"])
@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-05-06T09:00:00Z", datetime(2026, 5, 6, 9, tzinfo=UTC)),
        ("2026-05-06T09:00:00", datetime(2026, 5, 6, 9, tzinfo=UTC)),
        ("2026-05-06T09:00:00.123456789", datetime(2026, 5, 6, 9, 0, 0, 123456, tzinfo=UTC)),
        ("2026-05-06T09:00:00.5", datetime(2026, 5, 6, 9, 0, 0, 500000, tzinfo=UTC)),
        ("2026-05-06T11:00:00+02:00", datetime(2026, 5, 6, 9, tzinfo=UTC)),
        (None, None),
    ],
)
async def test_run_has_the_same_fields_from_either_form(handmade, connect, name, written, moment):
    server = await handmade()
    server.show("session", "RUNNING", **{"createdAt": written, name: 2, "durationMs": None})
    run = await connect(server).runs.find(WORKFLOW, "session")
    assert (run.step_order, run.created_at, run.duration_ms) == (2, moment, None)
    assert run.raw[name] == 2


@pytest.mark.parametrize("trait", ["clock_ahead", "ragged_times"])
async def test_clock_of_the_server_decides_nothing(simulate, connect, briefing, trait):
    client = connect(await simulate(traits={trait}, queue_tick=0.1))
    outcomes = [each async for each in client.run_many(await briefing(client), map(str, range(8)))]
    assert all(outcome.ok for outcome in outcomes)


@pytest.mark.parametrize(
    "traits",
    [
        {"rows_at_once", "run_status_created", "run_status_lowercase"},
        {"rows_shuffled", "run_status_processing"},
        {"run_status_strange", "run_200", "short_ids"},
        {"errors_empty", "problem_404", "jobs_answer"},
        {"queue_stalls"},
    ],
    ids=sorted,
)
async def test_runs_are_followed_whatever_the_server_is_like(simulate, connect, briefing, form, traits):
    server = await simulate(form=form, traits=traits, queue_tick=0.1, run_time=0.2)
    client = connect(server)
    outcomes = [each async for each in client.run_many(await briefing(client), map(str, range(15)))]
    assert all(outcome.ok for outcome in outcomes)
    assert server.stats()["started_twice"] == []


@pytest.mark.parametrize("trait", ["fails_as_rejected", "fails_as_cancelled", "budget_exhausted"])
async def test_runs_that_fail_in_other_words_are_failures(simulate, connect, briefing, trait):
    server = await simulate(traits={trait})
    client = connect(server)
    workflow_id = await briefing(client)
    server.fail_next(workflow_id)
    outcome = await client.run(workflow_id, "prices")
    assert not outcome.ok
    assert outcome.status.is_terminal
    assert outcome.error.failed_nodes or outcome.status == "CANCELLED"


async def test_session_that_the_server_did_not_make_itself_can_be_refused(simulate, connect, briefing):
    client = connect(await simulate(traits={"session_must_exist"}), retry={"execute_grace": 0.1})
    with pytest.raises(NotFound):
        await client.run(await briefing(client), "prices")


async def test_404_with_an_empty_body_is_told_in_words(handmade, connect):
    server = await handmade({"workflow": [Reply(404)]})
    with pytest.raises(NotFound, match="does not know this id, or it belongs to another organization"):
        await connect(server).workflows.get(WORKFLOW)


async def test_fields_that_a_problem_names_are_in_the_error(handmade, connect):
    fields = [{"field": "name", "message": "must not be blank"}]
    answer = problem(400, "name must not be blank", invalidParams=fields)
    server = await handmade({"create": [answer]})
    with pytest.raises(ValidationFailed, match="name must not be blank") as caught:
        await connect(server).workflows.create("x")
    assert caught.value.invalid_fields == {"name": "must not be blank"}


@pytest.mark.parametrize("seconds", [1, 60])
async def test_retry_after_is_honoured_for_as_long_as_the_policy_waits(handmade, connect, seconds):
    answer = Reply(429, {"type": "about:blank"}, (("Retry-After", str(seconds)),))
    server = await handmade({"workflow": [answer]})
    began = asyncio.get_running_loop().time()
    await connect(server, retry={"max_elapsed": 1.2}).workflows.get(WORKFLOW)
    assert asyncio.get_running_loop().time() - began >= min(seconds, 1.2)


async def test_polls_that_are_refused_for_ever_end_the_wait(handmade, connect):
    server = await handmade()
    client = connect(server, retry={"max_elapsed": 0.5})
    server.script["runs"] = [lambda _: Reply(200, {"content": []}), *[problem(403, "no")] * 999]
    with pytest.raises(PermissionDenied, match="lacks the role"):
        await client.run(WORKFLOW, "prices", timeout=20)


async def test_token_that_expires_for_good_ends_the_wait(handmade, connect):
    server = await handmade(shows="RUNNING")
    client = connect(server)
    running = asyncio.ensure_future(client.run(WORKFLOW, "prices", timeout=20))
    await until(lambda: server.orders)
    server.tokens.clear()
    with pytest.raises(AuthenticationError) as caught:
        await running
    assert caught.value.job_id in server.orders


async def test_row_that_vanishes_is_no_end(handmade, connect):
    server = await handmade(shows="RUNNING")
    client = connect(server, retry={"max_elapsed": 0.5})
    running = asyncio.ensure_future(client.run(WORKFLOW, "prices", timeout=20))
    await until(lambda: server.counts["runs"] > 4)
    server.rows.clear()
    with pytest.raises(OpusError, match="does not show it any more") as caught:
        await running
    assert caught.value.job_id in server.orders


async def test_run_is_cancelled_also_when_it_is_over(simulate, connect, briefing, form):
    server = await simulate(form=form, run_time=60)
    client = connect(server)
    workflow_id = await briefing(client)
    running = asyncio.ensure_future(client.run(workflow_id, "prices", timeout=20))
    runs = client.runs.list(workflow_id)
    await until(lambda: server.stats()["runs"])
    run = await anext(client.runs.list(workflow_id))
    await client.runs.cancel(run.id)
    outcome = await running
    assert outcome.status == "CANCELLED"
    await client.runs.cancel(run.id)
    with pytest.raises(NotFound):
        await client.runs.cancel("run_unknown")
    assert [each.id async for each in runs] == [run.id]
    assert Notice.RUN_AGAIN_BY_PLATFORM not in outcome.notices
