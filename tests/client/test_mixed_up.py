"""The answer to another question: asked again on a new connection, and never taken for the own one."""

from __future__ import annotations

import json

import pytest
from client_tools import TEXT
from handmade_opus import OK, said

from opus_async import JobRequest, MixedUpAnswer, OpusClient, OpusError
from opus_async.platform import AmbiguousStart, StartAnswer

FAST = {"attempts": 3, "base": 0.01, "cap": 0.02}
OTHER = {"v0": {"jobExecutionId": "job-99"}, "v1": {"caseId": "job-99"}}


def other(api: str, **fields: object):
    """An answer about a job that nobody asked about."""
    return said(200, **OTHER[api], **fields)


@pytest.fixture(params=["v0", "v1"])
def api(request) -> str:
    return request.param


RESULTS = {"results": {"out": {"value": "of another", "type": "str", "displayName": "SHA-256"}}}


@pytest.mark.parametrize(
    ("operation", "fields"),
    [("status", {"status": "FAILED"}), ("results", RESULTS), ("audit", {"audit": {}})],
    ids=["status", "results", "audit"],
)
async def test_mixed_up_answer_is_retried_on_new_connection(handmade, connect, api, operation, fields):
    server = await handmade(script={operation: [other(api, **fields), OK]})
    opus = connect(server, api=api, retry=FAST)
    job_id = (await opus.run(TEXT, {"Input": "x"})).job_id
    assert job_id == "job-1"
    server.script[operation] = [other(api, **fields), OK]
    before = server.connections, server.counts[operation]
    await getattr(opus.jobs, operation)(job_id)
    assert (server.connections, server.counts[operation]) == (before[0] + 1, before[1] + 2)


@pytest.mark.parametrize("operation", ["status", "results", "audit"])
async def test_mixed_up_answer_that_persists_raises_with_both_job_ids(handmade, connect, api, operation):
    fields = {"status": {"status": "COMPLETED"}, "results": RESULTS, "audit": {"audit": {}}}[operation]
    server = await handmade(script={operation: [other(api, **fields)] * 50})
    opus = connect(server, api=api, retry=FAST)
    job_id = await opus.jobs.initiate(TEXT)
    with pytest.raises(MixedUpAnswer, match="asked about job-1, and the answer is about job-99") as caught:
        await getattr(opus.jobs, operation)(job_id)
    assert server.counts[operation] == 3
    assert (caught.value.asked, caught.value.named) == ("job-1", "job-99")


async def test_mixed_up_answer_with_results_of_other_job_fails_the_row(handmade, connect, api):
    server = await handmade()

    def of_the_first(seen):
        first = server.jobs["job-1"].inputs
        output = {"value": next(iter(first.values())), "type": "str", "displayName": "Echo"}
        name = "caseId" if seen.of_v1 else "jobExecutionId"
        return said(200, **{name: "job-1"}, results={"out": output})

    server.script["results"] = [of_the_first] * 100
    opus = connect(server, api=api, retry=FAST)
    rows = [JobRequest({"Input": f"row {number}"}, key=str(number)) for number in range(3)]
    outcomes = [outcome async for outcome in opus.run_many(TEXT, rows, max_in_flight=1)]
    assert [outcome.ok for outcome in outcomes] == [True, False, False]
    assert [type(outcome.error) for outcome in outcomes[1:]] == [MixedUpAnswer] * 2
    assert [outcome.status for outcome in outcomes] == ["COMPLETED"] * 3


@pytest.mark.parametrize("obeyed", [True, False])
@pytest.mark.parametrize(
    "fields",
    [
        {"success": True, "message": "started"},
        {"success": False, "message": "not started"},
        {"statusCode": 400, "message": "no"},
    ],
)
async def test_mixed_up_answer_to_start_request_makes_start_ambiguous(handmade, connect, api, fields, obeyed):
    server = await handmade(script={"execute": [other(api, **fields)]})
    opus = connect(server, api=api)
    job_id = await opus.jobs.initiate(TEXT)
    payload = {"workflow_input_handmade1": {"value": "x", "type": "str"}}
    with pytest.raises(AmbiguousStart) as caught:
        await opus._api.execute(job_id, payload, callback_url=None, workspaces=None)
    assert isinstance(caught.value.cause, MixedUpAnswer)
    assert caught.value.answer is StartAnswer.LOST
    assert server.counts["execute"] == 1

    if obeyed:  # it runs, and is seen to
        server.script["execute"] = [said(200, obeyed=True, **OTHER[api], **fields)]
        outcome = await opus.run(TEXT, {"Input": "x"})
        assert outcome.ok
        assert server.executed_twice == []


async def test_mixed_up_answer_404_about_other_job_is_not_believed(handmade, connect, api):
    no = json.dumps({"statusCode": 404, "message": "no such job", **OTHER[api]})
    server = await handmade(script={"results": [said(404, **json.loads(no)), OK]})
    outcome = await connect(server, api=api, retry=FAST).run(TEXT, {"Input": "x"})
    assert outcome.ok


async def test_mixed_up_answer_about_other_workflow_creates_no_job(handmade, connect, api):
    wrong = said(200, workflowId="0therWorkfl0w123", name="x", jobPayloadSchema={})
    server = await handmade(script={"workflow": [wrong] * 20})
    with pytest.raises(MixedUpAnswer):
        await connect(server, api=api, retry=FAST).run("T3xtOnlyWorkfl0w", {"Input": "x"})
    assert server.jobs == {}


async def test_mixed_up_answer_is_detected_in_job_management_calls(handmade, connect):
    wrong = said(200, jobExecutionId="job-99", status="COMPLETED")
    for call in ("get", "archive", "unarchive", "delete"):
        server = await handmade(script={"unknown": [wrong] * 20})
        with pytest.raises(MixedUpAnswer):
            await getattr(connect(server, api="v0", retry=FAST).jobs, call)("job-1")
    server = await handmade(script={"unknown": [said(200, jobExecutionId="job-1")] * 20})
    with pytest.raises(OpusError, match="not its copy"):
        await connect(server, api="v0", retry=FAST).jobs.duplicate("job-1")


async def test_connection_with_late_duplicate_response_is_not_reused(handmade, connect):
    """Where no answer names its job: the status of one job would be read as that of the other."""
    server = await handmade()
    opus = connect(server)
    first, second = [await opus.jobs.initiate(TEXT) for _ in range(2)]
    payload = {"workflow_input_handmade1": {"value": "x", "type": "str"}}
    await opus._api.execute(first, payload, callback_url=None, workspaces=None)
    assert await opus.jobs.status(first) == "COMPLETED"
    (writer,) = server._open.values()
    writer.write(said(200, status="COMPLETED").to_bytes())
    assert await opus.jobs.status(second) == "PENDING"
    assert server.connections == 2


async def test_mixed_up_answer_is_retried_over_callers_session(handmade, api):
    import aiohttp
    from client_tools import KEY, settings

    server = await handmade(script={"results": [other(api, **RESULTS), OK]})
    async with (
        aiohttp.ClientSession() as session,
        OpusClient(KEY, base_url=server.base_url, api=api, session=session, **settings()) as opus,
    ):
        assert (await opus.run(TEXT, {"Input": "x"})).ok
    assert server.counts["results"] == 2
