"""People in the loop: paused runs are handed back, answered once, and judged by the run itself."""

from __future__ import annotations

import asyncio

import pytest
from client_tools import until
from handmade_operativus import (
    HANG_AFTER,
    OK,
    PASSWORD,
    RESET_AFTER,
    RESET_BEFORE,
    USERNAME,
    WORKFLOW,
    Reply,
    Seen,
    page_of_html,
    problem,
)

from opus_async import JobRequest
from opus_async.errors import (
    AmbiguousExecution,
    AuthenticationError,
    DeadlineExceeded,
    JobPaused,
    NotFound,
    TransportError,
)
from opus_async.operativus import Run, api, resuming
from opus_async.platform import RecoveredJob


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch):
    monkeypatch.setattr(resuming, "FIRST_LOOK", 0.02)
    monkeypatch.setattr(resuming, "LAST_LOOK", 0.05)


async def test_paused_run_ends_the_waiting_and_says_how_to_go_on(simulate, connect, briefing, form):
    client = connect(await simulate(form=form))
    workflow_id = await briefing(client, "writer_agent", "approval_agent", "review_agent")
    outcome = await client.run(workflow_id, "prices", timeout=10)
    assert (outcome.status, outcome.status.raw, outcome.ok) == ("WAITING", "PAUSED", False)
    run = await client.runs.find(workflow_id, outcome.job_id)
    assert isinstance(outcome.error, JobPaused)
    assert outcome.error.alias == run.id
    assert f"runs.resume({run.id!r}, output)" in str(outcome.error)
    assert (outcome.results["id"], outcome.results["status"]) == (run.id, "PAUSED")


async def test_on_pause_answers_and_the_run_is_waited_for(simulate, connect, briefing, form):
    server = await simulate(form=form, queue_tick=0.1)
    client = connect(server)
    workflow_id = await briefing(client, "writer_agent", "approval_agent", "review_agent")
    asked: list[Run] = []

    def on_pause(run: Run) -> str:
        asked.append(run)
        return f"approved {len(asked)}"

    outcome = await client.run(workflow_id, "prices", timeout=20, on_pause=on_pause)
    assert outcome.ok
    assert outcome.outputs["output"] == "[review_agent] approved 1"
    assert [(run.status, run.session_id) for run in asked] == [("WAITING", outcome.job_id)]
    assert server.stats()["answers_to_pauses"] == {"accepted": 1, "applied": 1, "ignored": 0}


async def test_on_pause_may_be_async_and_answers_each_pause_once(simulate, connect, briefing, form):
    server = await simulate(form=form, queue_tick=0.1)
    client = connect(server)
    workflow_id = await briefing(client, "approval_agent", "approval_agent", "review_agent")
    words = iter(["first", "second"])

    async def on_pause(run: Run) -> str:
        await asyncio.sleep(0.05)
        return next(words)

    outcome = await client.run(workflow_id, "prices", timeout=20, on_pause=on_pause)
    assert outcome.outputs["output"] == "[review_agent] second"
    assert server.stats()["answers_to_pauses"] == {"accepted": 2, "applied": 2, "ignored": 0}


async def test_on_pause_that_gives_nothing_hands_the_run_back(simulate, connect, briefing):
    server = await simulate()
    client = connect(server)
    workflow_id = await briefing(client, "approval_agent", "review_agent")
    outcome = await client.run(workflow_id, "prices", on_pause=lambda run: None)
    assert isinstance(outcome.error, JobPaused)
    assert server.stats()["answers_to_pauses"]["accepted"] == 0


async def test_on_pause_in_run_many_answers_every_row(simulate, connect, briefing):
    server = await simulate(queue_tick=0.05, queue_jobs=50)
    client = connect(server)
    workflow_id = await briefing(client, "approval_agent", "review_agent")
    rows = client.run_many(workflow_id, map(str, range(40)), on_pause=lambda run: run.session_id)
    outcomes = [outcome async for outcome in rows]
    assert all(outcome.outputs["output"] == f"[review_agent] {outcome.job_id}" for outcome in outcomes)
    assert server.stats()["answers_to_pauses"] == {"accepted": 40, "applied": 40, "ignored": 0}


@pytest.mark.parametrize("word", ["AWAITING_ROUTE_SELECTION", "AWAITING_HUMAN_REVIEW"])
async def test_pause_for_a_route_is_never_handed_to_on_pause(handmade, connect, word):
    options = {"runId": "run_00001", "status": word, "awaitingRouteSelection": True, "choiceKeys": ["a", "b"]}
    server = await handmade({"route_options": [Reply(200, options)]}, shows=word)

    def on_pause(run: Run) -> str:
        raise AssertionError("it waits for a route")

    outcome = await connect(server).run(WORKFLOW, "prices", on_pause=on_pause)
    assert (outcome.status, outcome.status.raw) == ("WAITING", word)
    assert not server.resumed


@pytest.mark.parametrize(
    "options", [Reply(404), problem(403, "no"), Reply(405), Reply(200, {"status": "PAUSED"})]
)
async def test_review_without_route_options_is_answered_by_a_text(handmade, connect, options):
    server = await handmade({"route_options": [options] * 9}, shows="AWAITING_HUMAN_REVIEW")
    server.script["resume"] = [lambda seen: (server.rows[0].update(status="COMPLETED"), OK)[1]]
    client = connect(server, retry={"attempts": 2})
    assert (await client.run(WORKFLOW, "prices", on_pause=lambda run: "approved", timeout=20)).ok
    assert server.resumed == [("run_00001", "approved")]


async def test_review_whose_route_options_cannot_be_read_is_handed_back(handmade, connect):
    """A text would make a run that waits for its route go on along any."""
    server = await handmade({"route_options": [problem(500, "down")] * 9}, shows="AWAITING_HUMAN_REVIEW")
    client = connect(server, retry={"attempts": 2})
    outcome = await client.run(WORKFLOW, "prices", on_pause=lambda run: "approved", timeout=20)
    assert isinstance(outcome.error, JobPaused)
    assert not server.resumed


async def test_answered_pause_shows_as_running_until_the_run_has_left_it(handmade, connect):
    """Half a minute, or twenty behind a queue: the answer is given once, and nothing is asked again."""
    server, asked = await handmade(shows="PAUSED"), []
    client = connect(server)

    def on_pause(run: Run) -> str:
        asked.append(run.step_order)
        return "approved"

    running = asyncio.ensure_future(client.run(WORKFLOW, "prices", on_pause=on_pause, timeout=30))
    await until(lambda: server.resumed)
    looks = server.counts["runs"]
    await until(lambda: server.counts["runs"] > looks + 10)
    (session,) = server.orders
    server.row_of(session)["lastStepOrder"] = 2  # the next pause, without a look between the two
    await until(lambda: len(server.resumed) == 2)
    server.row_of(session)["status"] = "COMPLETED"
    assert (await running).ok
    assert asked == [None, 2]


async def test_resume_asks_first_whether_the_run_still_waits(handmade, connect):
    server = await handmade(shows="PAUSED")

    def on_pause(run: Run) -> str:
        server.row_of(run.session_id)["status"] = "COMPLETED"  # somebody else was quicker
        return "approved"

    assert (await connect(server).run(WORKFLOW, "prices", on_pause=on_pause)).ok
    assert not server.resumed


@pytest.mark.parametrize("act", [RESET_BEFORE, page_of_html(200), Reply(503)], ids=["reset", "html", "503"])
async def test_resume_is_sent_although_the_run_could_not_be_seen_for_a_moment(handmade, connect, act):
    """A person has answered: that must not be lost with one look."""
    server = await handmade(shows="PAUSED")

    def on_pause(run: Run) -> str:
        server.script["runs"] = [act, act]
        return "approved"

    server.script["resume"] = [lambda seen: (server.rows[0].update(status="COMPLETED"), OK)[1]]
    assert (await connect(server).run(WORKFLOW, "prices", on_pause=on_pause, timeout=20)).ok
    assert [text for _, text in server.resumed] == ["approved"]


async def test_resume_that_met_an_expired_token_is_sent_with_a_new_one(handmade, connect):
    """A 401 is given before an answer is read; the text of a person must not be lost with it."""
    server = await handmade(shows="PAUSED")

    def expired(seen: Seen) -> str:
        server.tokens.discard(seen.headers["authorization"].removeprefix("Bearer "))
        return OK

    server.script["resume"] = [expired, lambda seen: (server.rows[0].update(status="COMPLETED"), OK)[1]]
    client = connect(server, username=USERNAME, password=PASSWORD)
    assert (await client.run(WORKFLOW, "prices", on_pause=lambda run: "approved", timeout=20)).ok
    assert [text for _, text in server.resumed] == ["approved"]
    assert server.counts["login"] == 2


async def test_resume_with_a_token_that_is_refused_says_so(handmade, connect):
    server = await handmade(shows="PAUSED")

    def on_pause(run: Run) -> str:
        server.tokens.clear()
        return "approved"

    with pytest.raises(AuthenticationError):
        await connect(server).run(WORKFLOW, "prices", on_pause=on_pause, timeout=20)
    assert not server.resumed


async def test_calls_by_hand_renew_a_token_that_expired_meanwhile(handmade, connect, monkeypatch):
    """An order or an answer is not sent again after a 401: the token is tried before."""
    monkeypatch.setattr(api, "TRUSTED_FOR", 0.0)
    server = await handmade(shows="PAUSED")
    client = connect(server, username=USERNAME, password=PASSWORD)
    assert (await client.workflows.get(WORKFLOW)).id == WORKFLOW
    server.tokens.clear()
    assert (await client.runs.start(WORKFLOW, "prices")).session_id in server.orders
    server.tokens.clear()
    await client.runs.resume("run_00001", "approved")
    assert server.resumed == [("run_00001", "approved")]
    assert (server.counts["run"], server.counts["resume"], server.counts["login"]) == (1, 1, 3)


async def test_calls_by_hand_take_a_token_that_has_just_worked_for_valid(handmade, connect):
    server = await handmade()
    client = connect(server)
    await asyncio.gather(*(client.runs.start(WORKFLOW, "prices") for _ in range(20)))
    assert (server.counts["run"], server.counts["workflows"]) == (20, 1)


async def test_resume_is_not_sent_to_a_run_that_cannot_be_seen(handmade, connect, monkeypatch):
    monkeypatch.setattr(resuming, "LEAVES_WITHIN", 0.2)
    server = await handmade(shows="PAUSED")

    def on_pause(run: Run) -> str:
        server.script["runs"] = [RESET_BEFORE] * 1000
        return "approved"

    with pytest.raises(TransportError) as caught:
        await connect(server).run(WORKFLOW, "prices", on_pause=on_pause, timeout=20)
    assert caught.value.stage == "parked"
    assert not server.resumed


@pytest.mark.parametrize("act", [RESET_AFTER, page_of_html(502, obeyed=True), HANG_AFTER], ids=str)
async def test_resume_whose_answer_is_lost_is_judged_by_the_run(handmade, connect, act):
    server = await handmade(shows="PAUSED")
    client = connect(server, timeouts={"request": 0.3})

    def accept(seen: Seen) -> object:
        asyncio.get_running_loop().call_later(0.6, server.rows[0].update, {"status": "COMPLETED"})
        return act

    server.script["resume"] = [accept]
    assert (await client.run(WORKFLOW, "prices", on_pause=lambda run: "approved", timeout=20)).ok
    assert server.counts["resume"] == 1


async def test_resume_that_had_no_effect_is_not_sent_again(handmade, connect, monkeypatch):
    monkeypatch.setattr(resuming, "LEAVES_WITHIN", 0.3)
    server = await handmade({"resume": [RESET_BEFORE]}, shows="PAUSED")
    with pytest.raises(AmbiguousExecution, match="second answer could meet its next pause") as caught:
        await connect(server).run(WORKFLOW, "prices", on_pause=lambda run: "approved")
    assert caught.value.stage == "parked"
    assert server.counts["resume"] == 1


async def test_resume_whose_answer_is_lost_waits_for_its_turn_behind_earlier_orders(
    handmade, connect, monkeypatch
):
    """Answers come from the same queue as orders: while an earlier one of ours waits, nothing is told."""
    monkeypatch.setattr(resuming, "LEAVES_WITHIN", 0.2)
    server = await handmade(shows=None)
    client = connect(server)
    before = asyncio.ensure_future(client.run(WORKFLOW, "before", timeout=20))
    await until(lambda: server.counts["run"] == 1)
    server.on_order = lambda session: server.show(session, "PAUSED") and None
    server.script["resume"] = [RESET_AFTER]
    paused = asyncio.ensure_future(client.run(WORKFLOW, "prices", on_pause=lambda run: "yes", timeout=20))
    await until(lambda: server.resumed)
    await asyncio.sleep(1)
    assert not paused.done()
    server.show(server.of("run")[0].json["sessionId"])
    server.rows[1].update(status="COMPLETED")
    assert (await before).ok
    assert (await paused).ok
    assert len(server.resumed) == 1


class Memory:
    """What outlives a process."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    async def get(self, name: str) -> str | None:
        return self.values.get(name)

    def put(self, name: str, value: str) -> None:
        self.values[name] = value


async def test_pause_that_an_earlier_process_answered_is_not_answered_again(handmade, connect):
    """The answer may be in the server's queue still: a second one could meet the next pause of the run."""
    server, memory = await handmade(), Memory()
    row = server.show("S", "PAUSED", lastStepOrder=2)
    job = RecoveredJob(remote_id="S", starts_sent=1, start_accepted=True)
    asked = []

    async def process(answer: str, client=None):
        client = client or connect(server)
        lifecycle = client.lifecycle(WORKFLOW, memory=memory)
        await lifecycle.platform.open()
        on_paused = client.answering(WORKFLOW, lambda run: (asked.append(answer), answer)[1])
        return await lifecycle.run(JobRequest({"input": "x"}), recovered=job, on_paused=on_paused)

    first = asyncio.ensure_future(process("first"))
    await until(lambda: server.resumed)
    first.cancel()
    other = connect(server)
    again = await process("again", other)
    assert isinstance(again.error, JobPaused)
    assert again.error.alias == row["id"]
    assert "sent by an earlier process" in str(again.error)
    assert isinstance((await process("once more", other)).error, JobPaused)
    assert asked == ["first", "again"]  # whoever answers is asked once more at the most
    assert [text for _, text in server.resumed] == ["first"]
    row["lastStepOrder"] = 4  # its next pause
    server.script["resume"] = [lambda seen: (row.update(status="COMPLETED"), OK)[1]]
    assert (await process("second")).ok
    assert [text for _, text in server.resumed] == ["first", "second"]


async def test_resume_of_a_foreign_run_is_refused(handmade, connect):
    server = await handmade({"resume": [Reply(404)]})
    with pytest.raises(NotFound):
        await connect(server).runs.resume("run_of_others", "text")
    server.script["resume"] = [RESET_AFTER]
    with pytest.raises(AmbiguousExecution, match="cannot be known"):
        await connect(server).runs.resume("run_1", "text")
    assert server.counts["resume"] == 2


async def test_wait_goes_on_behind_the_pause_that_was_answered(simulate, connect, briefing, form):
    server = await simulate(form=form, queue_tick=0.2)
    client = connect(server)
    workflow_id = await briefing(client, "approval_agent", "approval_agent", "review_agent")
    started = await client.runs.start(workflow_id, "prices")
    paused = await client.runs.wait(workflow_id, started.session_id, timeout=10)
    assert paused.status == "WAITING"
    assert (await client.runs.wait(workflow_id, started.session_id, timeout=10)).id == paused.id
    resumed = await client.runs.resume(paused.id, "approved")
    assert resumed.run_id == paused.id
    again = await client.runs.wait(workflow_id, started.session_id, after=paused, timeout=10)
    assert (again.status, again.id) == ("WAITING", paused.id)
    await client.runs.resume(paused.id, "approved, too")
    over = await client.runs.wait(workflow_id, started.session_id, after=again, timeout=10)
    assert over.status == "COMPLETED"
    assert server.stats()["answers_to_pauses"]["applied"] == 2


async def test_wait_is_bounded_and_names_all_that_is_known(simulate, connect, briefing):
    client = connect(await simulate(run_time=60))
    workflow_id = await briefing(client)
    started = await client.runs.start(workflow_id, "prices")
    with pytest.raises(DeadlineExceeded) as caught:
        await client.runs.wait(workflow_id, started.session_id, timeout=0.3)
    error, run = caught.value, await client.runs.find(workflow_id, started.session_id)
    assert all(part in str(error) for part in (workflow_id, started.session_id, run.id, "IN_PROGRESS"))
    assert (error.last_status, error.alias, error.job_id) == ("IN_PROGRESS", run.id, started.session_id)
    with pytest.raises(DeadlineExceeded, match="no run of it shows yet"):
        await client.runs.wait(workflow_id, "00000000-0000-4000-8000-000000000000", timeout=0.2)


async def test_wait_for_one_run_of_a_session_that_several_share(handmade, connect):
    server = await handmade()
    old = server.show("shared", "COMPLETED")
    new = server.show("shared", "RUNNING")
    client = connect(server)
    assert (await client.runs.find(WORKFLOW, "shared")).id == new["id"]
    assert (await client.runs.wait(WORKFLOW, "shared", run_id=old["id"], timeout=5)).id == old["id"]
    waiting = asyncio.ensure_future(client.runs.wait(WORKFLOW, "shared", timeout=10))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    new["status"] = "FAILED"
    assert (await waiting).id == new["id"]
