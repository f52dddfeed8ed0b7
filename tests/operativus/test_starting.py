"""Starts with uncertain answers, on a real socket: nothing is ordered twice, or given up too soon."""

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
    page_of_html,
    problem,
)

from opus_async import JobRequest
from opus_async.errors import (
    AmbiguousExecution,
    AuthenticationError,
    ConfigurationError,
    NotFound,
    PermissionDenied,
    QuotaExhausted,
    ValidationFailed,
)
from opus_async.jobs import start
from opus_async.jobs.previous_job import Superseded
from opus_async.operativus import start_judge
from opus_async.platform import RecoveredJob, RetryRequest

SHORT = {"max_elapsed": 0.5, "execute_grace": 0.1}


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch):
    monkeypatch.setattr(start, "RECHECK_DELAY", 0.02)


async def overtakable(client):
    """Wait until a start that is sent now is later than any lost one that may still take effect."""
    starts, now = client._source.of(WORKFLOW).starts._starts, asyncio.get_running_loop().time
    await until(
        lambda: (
            starts
            and all(each.settled_at is not None and now() > each.settled_at for each in starts.values())
        )
    )


async def run_all(client, count, **options):
    outcomes = [outcome async for outcome in client.run_many(WORKFLOW, map(str, range(count)), **options)]
    return sorted(outcomes, key=lambda outcome: outcome.index)


@pytest.mark.parametrize(
    "act",
    [
        RESET_AFTER,
        page_of_html(502, obeyed=True),
        page_of_html(504, obeyed=True),
        page_of_html(200, obeyed=True),
        Reply(202, {}, obeyed=True),
        Reply(202, {"jobId": "job_1", "workflowId": "wf_other", "sessionId": "s"}, obeyed=True),
        Reply(500, None, obeyed=True),
    ],
    ids=["reset", "502", "504", "html", "empty object", "another workflow's", "empty 500"],
)
async def test_start_that_took_effect_is_not_sent_again(handmade, connect, act):
    server = await handmade({"run": [act]})
    outcome = await connect(server, retry=SHORT).run(WORKFLOW, "prices", timeout=10)
    assert outcome.ok
    assert server.counts["run"] == 1
    assert server.orders == {outcome.job_id: 1}


async def test_start_whose_answer_never_comes_is_not_sent_again(handmade, connect):
    server = await handmade({"run": [HANG_AFTER]})
    client = connect(server, retry=SHORT, timeouts={"request": 0.2})
    assert (await client.run(WORKFLOW, "prices", timeout=10)).ok
    assert server.counts["run"] == 1


async def test_start_that_shows_late_is_waited_for_and_not_sent_again(handmade, connect):
    """Behind a queue: accepted starts lack their rows as well, so that the clock stands still."""
    server = await handmade({"run": [OK, RESET_AFTER, OK]}, shows=None)
    client = connect(server, retry=SHORT)
    rows = asyncio.ensure_future(run_all(client, 3))
    await until(lambda: server.counts["run"] == 3)
    looks = server.counts["runs"]
    await until(lambda: server.counts["runs"] > looks + 60)  # many times the grace
    assert not rows.done()
    for session in list(server.orders):
        server.show(session)
    assert all(outcome.ok for outcome in await rows)
    assert not server.ordered_twice
    assert server.counts["run"] == 3


async def test_start_without_effect_is_sent_again_once_a_later_one_shows(handmade, connect):
    server = await handmade({"run": [RESET_BEFORE]}, shows=None)
    client = connect(server, retry=SHORT)
    lost = asyncio.ensure_future(client.run(WORKFLOW, "lost", timeout=20))
    await overtakable(client)
    later = asyncio.ensure_future(client.run(WORKFLOW, "later", timeout=20))
    await until(lambda: len(server.orders) == 1)
    looks = server.counts["runs"]
    await until(lambda: server.counts["runs"] > looks + 40)
    assert server.counts["run"] == 2  # it is not sent again while the later one has no row
    (first,) = server.orders
    server.show(first)
    server.on_order = server.show
    assert (await later).ok
    assert (await lost).ok
    assert server.counts["run"] == 3
    assert not server.ordered_twice


async def test_start_without_evidence_is_ambiguous_and_names_its_session(handmade, connect):
    server = await handmade({"run": [RESET_BEFORE]})
    with pytest.raises(AmbiguousExecution) as caught:
        await connect(server, retry=SHORT).run(WORKFLOW, "prices")
    assert caught.value.job_id in str(caught.value)
    assert caught.value.stage == "run"
    assert f"runs.find(workflow_id, {caught.value.job_id!r})" in str(caught.value)
    assert server.counts["run"] == 1


async def test_start_is_not_sent_again_where_only_earlier_starts_show(handmade, connect):
    server = await handmade({"run": [OK, OK, RESET_BEFORE]})
    client = connect(server, retry=SHORT)
    await client.run(WORKFLOW, "one")
    await client.run(WORKFLOW, "two")
    with pytest.raises(AmbiguousExecution):
        await client.run(WORKFLOW, "three")
    assert server.counts["run"] == 3


async def test_policy_stop_sends_no_second_start_whatever_shows(handmade, connect):
    server = await handmade({"run": [RESET_BEFORE]})
    client = connect(server, retry={**SHORT, "on_ambiguous": "stop"})
    lost = asyncio.ensure_future(client.run(WORKFLOW, "lost", timeout=20))
    await overtakable(client)
    assert (await client.run(WORKFLOW, "later", timeout=20)).ok
    with pytest.raises(AmbiguousExecution, match="leaves it to a person"):
        await lost
    assert server.counts["run"] == 2


# Refusals


async def test_start_that_was_throttled_is_sent_again_after_the_wait(handmade, connect):
    too_many = problem(429, "Too many requests")
    server = await handmade({"run": [Reply(429, too_many.body, (("Retry-After", "1"),))]})
    began = asyncio.get_running_loop().time()
    assert (await connect(server, retry={"cap": 5}).run(WORKFLOW, "prices")).ok
    assert server.counts["run"] == 2
    assert asyncio.get_running_loop().time() - began >= 1
    assert not server.ordered_twice


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (problem(402, "Daily budget exhausted"), QuotaExhausted, "budget is used up"),
        (problem(400, "Workflow has no steps to execute"), ValidationFailed, "without steps"),
        (Reply(404), NotFound, "does not know this id"),
        (problem(403, "Access denied"), PermissionDenied, "lacks the role"),
    ],
    ids=["402", "400", "404", "403"],
)
async def test_refused_start_is_never_sent_again(handmade, connect, answer, kind, words):
    server = await handmade({"run": [answer]})
    with pytest.raises(kind, match=words):
        await connect(server, retry=SHORT).run(WORKFLOW, "prices")
    assert server.counts["run"] == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(402, "Daily budget exhausted"), QuotaExhausted),
        (problem(400, "Workflow has no steps to execute"), ValidationFailed),
        (Reply(404), NotFound),
    ],
    ids=["402", "400", "404"],
)
async def test_runs_start_that_is_refused_says_so_and_not_that_it_is_unknown(handmade, connect, answer, kind):
    server = await handmade({"run": [answer]})
    with pytest.raises(kind) as refused:
        await connect(server, retry=SHORT).runs.start(WORKFLOW, "prices", session_id="s1")
    assert (refused.value.job_id, refused.value.stage) == ("s1", "run")
    assert server.counts["run"] == 1


@pytest.mark.parametrize("act", [RESET_AFTER, page_of_html(502, obeyed=True)], ids=["reset", "502"])
async def test_runs_start_whose_answer_is_lost_is_ambiguous_and_names_its_session(handmade, connect, act):
    server = await handmade({"run": [act]})
    with pytest.raises(AmbiguousExecution, match="s1") as lost:
        await connect(server, retry=SHORT).runs.start(WORKFLOW, "prices", session_id="s1")
    assert lost.value.job_id == "s1"
    assert server.orders == {"s1": 1}


async def test_refused_start_that_shows_after_all_is_followed(handmade, connect):
    server = await handmade({"run": [Reply(404, obeyed=True)]})
    assert (await connect(server, retry=SHORT).run(WORKFLOW, "prices")).ok
    assert server.counts["run"] == 1


async def test_start_that_met_an_expired_token_is_ordered_once(handmade, connect):
    server = await handmade()
    client = connect(server, retry=SHORT, username=USERNAME, password=PASSWORD)
    assert (await client.run(WORKFLOW, "one")).ok
    server.script["run"] = [lambda seen: (server.tokens.discard(seen.headers["authorization"][7:]), OK)[1]]
    assert (await client.run(WORKFLOW, "two", timeout=10)).ok
    assert len(server.of("login")) == 2
    assert server.counts["run"] == 3
    assert not server.ordered_twice


async def test_refused_token_is_told_as_that(handmade, connect):
    server = await handmade()
    server.tokens.clear()
    with pytest.raises(AuthenticationError, match="token is missing, wrong or has expired"):
        await connect(server, retry=SHORT).run(WORKFLOW, "prices")
    assert server.counts["run"] == 0  # the list cannot be read either: nothing is ordered


# Starts of an earlier process


async def recovered(client, job, **options):
    lifecycle = client.lifecycle(WORKFLOW)
    await lifecycle.platform.open()
    return await lifecycle.run(JobRequest({"input": "prices"}, timeout=20), recovered=job, **options)


SESSION = "11111111-2222-4333-8444-555555555555"


async def test_recovered_start_that_shows_is_followed(handmade, connect):
    server = await handmade()
    server.show(SESSION)
    outcome = await recovered(connect(server, retry=SHORT), RecoveredJob(remote_id=SESSION, starts_sent=1))
    assert (outcome.ok, outcome.job_id, server.counts["run"]) == (True, SESSION, 0)


async def test_recovered_start_without_evidence_is_ambiguous(handmade, connect):
    server = await handmade()
    server.show("of-others")
    with pytest.raises(AmbiguousExecution):
        await recovered(connect(server, retry=SHORT), RecoveredJob(remote_id=SESSION, starts_sent=1))
    assert server.counts["run"] == 0


async def test_recovered_start_is_sent_again_once_a_start_of_this_process_shows(handmade, connect):
    server = await handmade()
    client = connect(server, retry={**SHORT, "max_elapsed": 5})
    old = asyncio.ensure_future(recovered(client, RecoveredJob(remote_id=SESSION, starts_sent=1)))
    await overtakable(client)
    assert (await client.run(WORKFLOW, "new")).ok
    outcome = await old
    assert (outcome.ok, outcome.job_id) == (True, SESSION)
    assert server.orders[SESSION] == 1


async def test_recovered_job_that_is_not_listed_yet_is_waited_for(handmade, connect):
    server = await handmade()
    job = RecoveredJob(remote_id=SESSION, starts_sent=1, start_accepted=True)
    waiting = asyncio.ensure_future(recovered(connect(server, retry=SHORT), job))
    await until(lambda: server.counts["runs"] > 5)
    assert not waiting.done()
    server.show(SESSION)
    assert (await waiting).ok
    assert server.counts["run"] == 0


async def test_retry_of_a_row_that_never_ran_makes_a_new_job(handmade, connect):
    """Its start was refused: no list shows it, and nothing else will tell."""
    server = await handmade()
    client = connect(server, retry=SHORT)
    lifecycle = client.lifecycle(WORKFLOW)
    await lifecycle.platform.open()
    job = RecoveredJob(remote_id=SESSION, starts_sent=1, retry=RetryRequest(known_unbilled=True))
    with pytest.raises(Superseded):
        await lifecycle.run(JobRequest({"input": "prices"}), recovered=job)


async def test_start_waits_for_no_login_and_a_wrong_password_orders_nothing(handmade, connect):
    server = await handmade()
    client = connect(server, retry=SHORT, username=USERNAME, password="wrong-password")
    outcomes = await asyncio.gather(
        *(client.run(WORKFLOW, str(number)) for number in range(20)), return_exceptions=True
    )
    assert all(isinstance(error, AuthenticationError) for error in outcomes)
    assert all("name or the password is wrong" in str(error) for error in outcomes)
    assert (server.counts["login"], server.counts["run"]) == (1, 0)


async def test_job_of_another_workflow_is_not_judged_by_this_list(handmade, connect):
    server = await handmade()
    job = RecoveredJob(remote_id=SESSION, starts_sent=1, made_for_other_version=True)
    with pytest.raises(AmbiguousExecution, match="made for another workflow"):
        await recovered(connect(server, retry=SHORT), job)


async def test_workflow_without_steps_orders_nothing(handmade, connect):
    server = await handmade()
    server.steps.clear()
    with pytest.raises(ConfigurationError, match="no steps"):
        await run_all(connect(server), 3)
    assert server.counts["run"] == 0


async def test_later_start_must_be_visible_for_some_seconds_however_short_the_grace_is(
    handmade, connect, monkeypatch
):
    monkeypatch.setattr(start_judge, "VISIBLE_FOR", 0.7)
    server = await handmade({"run": [RESET_BEFORE]})
    client = connect(server, retry={"max_elapsed": 3, "execute_grace": 0})
    lost = asyncio.ensure_future(client.run(WORKFLOW, "lost", timeout=20))
    await overtakable(client)
    assert (await client.run(WORKFLOW, "later")).ok
    shown_at = asyncio.get_running_loop().time()
    assert (await lost).ok
    assert server.of("run")[-1].at - shown_at > 0.6
