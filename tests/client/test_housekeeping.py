"""Finding jobs and tidying up, against the simulator: calls that are observed and not documented."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from client_tools import DOCUMENT, TEXT, text_payload

from opus_async import (
    ConfigurationError,
    InvalidInputs,
    JobStatus,
    NotFound,
    ProtocolError,
    ServerError,
)
from opus_async.simulator import SimulatorConfig


async def several(opus, count, workflow_id=TEXT):
    return [await opus.jobs.initiate(workflow_id, title=f"job {number}") for number in range(count)]


async def test_jobs_search_returns_every_job_once_over_all_pages(simulate, connect):
    opus = connect(await simulate())
    ids = await several(opus, 60)
    found = opus.jobs.search()
    assert found.total is None
    assert [job.job_id async for job in found] == ids[::-1]
    assert found.total == 60
    small = opus.jobs.search(page_size=7)
    assert len([job async for job in small]) == 60
    assert [job async for job in opus.jobs.search(query="no such title")] == []


async def test_jobs_search_filters_by_workflow_status_query_and_dates(simulate, connect):
    simulator = await simulate()
    opus = connect(simulator)
    texts, documents = await several(opus, 3), await several(opus, 2, DOCUMENT)
    await opus.jobs.execute(texts[0], text_payload("x"))
    await opus.jobs.wait(texts[0], timeout=5)

    async def ids(**narrowed):
        return {job.job_id async for job in opus.jobs.search(**narrowed)}

    assert await ids(workflow_id=DOCUMENT) == set(documents)
    assert await ids(status="COMPLETED") == {texts[0]}
    assert await ids(status=JobStatus.PENDING) == {*texts[1:], *documents}
    assert await ids(status=["COMPLETED", "PENDING", "COMPLETED"]) == {*texts, *documents}
    assert await ids(query="JOB 2") == {texts[2]}
    today = date.today()  # noqa: DTZ011 - a day of margin on both sides
    day = timedelta(days=1)
    assert await ids(start_date=today - day, end_date=today + day) == {*texts, *documents}
    assert await ids(start_date=today + 2 * day) == set()


@pytest.mark.parametrize("trait", ["search_repeated_only", "search_joined_only"])
async def test_jobs_search_by_several_statuses_works_with_either_list_encoding(simulate, connect, trait):
    opus = connect(await simulate(traits=frozenset({trait})))
    ids = await several(opus, 3)
    await opus.jobs.execute(ids[0], text_payload("x"))
    await opus.jobs.wait(ids[0], timeout=5)
    search = opus.jobs.search(status=("PENDING", "COMPLETED"))
    assert {job.job_id async for job in search} == set(ids)
    assert search.total == 3


async def test_jobs_search_returns_no_duplicates_if_jobs_are_created_meanwhile(simulate, connect):
    opus = connect(await simulate())
    ids = await several(opus, 30)
    found = []
    async for job in opus.jobs.search(page_size=10):
        found.append(job.job_id)
        if len(found) % 10 == 5:
            await opus.jobs.initiate(TEXT, title="meanwhile")
    assert len(found) == len(set(found))
    assert set(ids) <= set(found)


async def test_jobs_search_refuses_invalid_date_or_page_size_before_sending(simulate, connect):
    simulator = await simulate()
    opus = connect(simulator)
    with pytest.raises(InvalidInputs, match="no date"):
        opus.jobs.search(start_date="yesterday")
    with pytest.raises(InvalidInputs, match="page_size"):
        opus.jobs.search(page_size=0)
    assert simulator.state()["counters"]["requests"] == {}


async def test_jobs_get_shows_all_fields_of_a_job(simulate, connect):
    opus = connect(await simulate())
    job_id = await opus.jobs.initiate(TEXT, title="Invoice 17")
    job = await opus.jobs.get(job_id)
    assert (job.job_id, job.title, job.status, job.finished_at) == (job_id, "Invoice 17", "PENDING", None)
    assert job.workflow_id == TEXT
    await opus.jobs.execute(job_id, text_payload("x"))
    await opus.jobs.wait(job_id, timeout=5)
    job = await opus.jobs.get(job_id)
    assert job.status == JobStatus.COMPLETED
    assert job.finished_at >= job.created_at
    assert job.audit.executed_nodes
    with pytest.raises(NotFound):
        await opus.jobs.get("999999")


async def test_job_management_archives_duplicates_and_deletes_jobs(simulate, connect):
    opus = connect(await simulate())
    first, second = await several(opus, 2)
    await opus.jobs.archive(first)
    assert [job.job_id async for job in opus.jobs.search()] == [second]
    await opus.jobs.unarchive(first)
    assert len([job async for job in opus.jobs.search()]) == 2
    copy = await opus.jobs.duplicate(first)
    assert copy not in {first, second}
    assert (await opus.jobs.get(copy)).workflow_id == TEXT
    await opus.jobs.delete(first)
    with pytest.raises(NotFound):
        await opus.jobs.status(first)
    with pytest.raises(NotFound):
        await opus.jobs.delete(first)


async def test_job_management_raises_on_api_v1(simulate, connect):
    simulator = await simulate()
    opus = connect(simulator, api="v1")
    for call in (
        opus.jobs.get("1"),
        opus.jobs.archive("1"),
        opus.jobs.delete("1"),
        anext(opus.jobs.search()),
    ):
        with pytest.raises(ConfigurationError, match="v0"):
            await call
    assert simulator.state()["counters"]["requests"] == {}


async def test_job_management_survives_faults(simulate_apart, connect):
    assert SimulatorConfig(faults="flaky").faults == "flaky"
    simulator = await simulate_apart(faults="flaky", seed=3)
    opus = connect(simulator)
    ids = await several(opus, 40)
    for job_id in ids[:10]:
        await opus.jobs.delete(job_id)
    left = {job.job_id async for job in opus.jobs.search(page_size=5)}
    assert set(ids[10:]) <= left
    assert not set(ids[:10]) & left


def paged(jobs, *, total="right", offset="kept"):
    """A server's way to page: a function of the query."""

    def answer(query):
        begin = (
            int(query["offset"]) if offset == "kept" else min(int(query["offset"]), max(len(jobs) - 25, 0))
        )
        begin = {"ignored": 0, "a page number": begin * 25}.get(offset, begin)
        page = jobs[begin : begin + 25]
        totals = {"right": len(jobs), "page": len(page), "zero": 0, "none": None}
        return {"totalCount": totals[total], "jobs": [{"id": job} for job in page]}

    return answer


@pytest.fixture
async def searching():
    from aiohttp import web
    from client_tools import KEY

    from opus_async import OpusClient

    runners, clients = [], []

    async def start(answer):
        async def handle(request):
            return web.json_response(answer(request.query))

        app = web.Application()
        app.router.add_get("/job/search", handle)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        clients.append(OpusClient(KEY, base_url=f"http://127.0.0.1:{runner.addresses[0][1]}"))
        return clients[-1]

    yield start
    for client in clients:
        await client.close()
    for runner in runners:
        await runner.cleanup()


@pytest.mark.parametrize("total", ["right", "page", "zero", "none"])
@pytest.mark.parametrize("offset", ["kept", "clamped"])
async def test_jobs_search_returns_all_whatever_total_the_server_reports(searching, total, offset):
    jobs = [str(number) for number in range(100)]
    opus = await searching(paged(jobs, total=total, offset=offset))
    assert [job.job_id async for job in opus.jobs.search()] == jobs


async def test_jobs_search_raises_if_server_repeats_first_page(searching):
    jobs = [str(number) for number in range(100)]
    opus = await searching(paged(jobs, offset="ignored"))
    found = []
    with pytest.raises(ProtocolError, match="25 of 100"):
        async for job in opus.jobs.search():
            found.append(job.job_id)
    assert found == jobs[:25]
    opus = await searching(paged(jobs, offset="a page number"))
    with pytest.raises(ProtocolError, match="25 of 100"):
        assert [job async for job in opus.jobs.search()]
    opus = await searching(paged(jobs, offset="ignored", total="none"))
    assert len([job async for job in opus.jobs.search()]) == 25
    opus = await searching(lambda query: {"totalCount": None, "jobs": [{"title": "no id"}] * 25})
    assert [job async for job in opus.jobs.search()] == []


async def test_job_management_refused_retry_after_500_counts_as_done(handmade_orders):
    opus, script = await handmade_orders()
    script[:] = [500, 404]
    await opus.jobs.delete("1")
    script[:] = [500, 400]
    await opus.jobs.archive("1")
    script[:] = [429, 404]
    with pytest.raises(NotFound):
        await opus.jobs.delete("1")
    script[:] = [500] * 9
    with pytest.raises(ServerError):
        await opus.jobs.duplicate("1")
    assert len(script) == 8


@pytest.fixture
async def handmade_orders():
    from aiohttp import web
    from client_tools import KEY, QUICK

    from opus_async import OpusClient

    runner, client = None, None

    async def start():
        nonlocal runner, client
        script = []

        async def handle(request):
            status = script.pop(0)
            return web.json_response({"statusCode": status, "message": "so it is"}, status=status)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        client = OpusClient(KEY, base_url=f"http://127.0.0.1:{runner.addresses[0][1]}", retry=QUICK)
        return client, script

    yield start
    await client.close()
    await runner.cleanup()
