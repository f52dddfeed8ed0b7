"""Pages of Opus pasted as ids: every call that takes an id understands them, or refuses and sends nothing."""

from __future__ import annotations

import pytest
from client_tools import TEXT, text_payload

from opus_async import InvalidInputs, JobStatus, NotFound
from opus_async.batch import run_batch
from opus_async.batch.ledger.reader import LedgerReader

APP = "https://app.opus.com/app"
PAGE = f"  {APP}/workflow/{TEXT}?tab=runs\n"
NO_PAGE = f"{APP}/workflow/new"
CLAIM = "c1a1c4ec-0000-4000-8000-000000000001"


def page_of(job_id):
    return f"{APP}/job/{job_id} "


@pytest.fixture(params=["v0", "v1"])
def api(request):
    return request.param


async def test_links_of_workflows_are_understood_wherever_one_is_named(simulate, connect):
    simulator = await simulate()
    opus = connect(simulator)
    workflow = await opus.workflows.get(PAGE)
    assert (workflow.workflow_id, workflow.name) == (TEXT, "Text only")
    assert (await opus.workflows.get(f"{APP}/workflow/share/{CLAIM}")).name == "Claim check"
    assert (await opus.run(PAGE, {"Text": "x"})).ok
    assert [outcome.ok async for outcome in opus.run_many(PAGE, [{"Text": "y"}])] == [True]
    assert opus.lifecycle(PAGE).platform.workflow_id == TEXT
    assert await opus.jobs.initiate(PAGE)
    assert (await opus.files.upload(b"x", filename="x.txt", workflow_id=PAGE)).size == 1
    named = {job["workflow_id"] for job in simulator.state()["jobs"].values()}
    assert named == {TEXT}


async def test_links_of_jobs_are_understood_wherever_one_is_named(simulate, connect):
    opus = connect(await simulate())
    job_id = await opus.jobs.initiate(TEXT)
    page = page_of(job_id)
    await opus.jobs.execute(page, text_payload("x"))
    assert await opus.jobs.wait(page) == JobStatus.COMPLETED
    assert await opus.jobs.status(page) == JobStatus.COMPLETED
    assert (await opus.jobs.results(page)).outputs["Text"] == "x"
    assert (await opus.jobs.audit(page)).nodes
    for timeout in (None, 5):
        assert (await opus.jobs.outcome(page, timeout=timeout, workflow_id=PAGE)).job_id == job_id
    assert [ended async for ended in opus.jobs.wait_many([page])] == [(page, JobStatus.COMPLETED)]


@pytest.mark.parametrize("api", ["v0"])
async def test_links_are_understood_by_the_calls_that_are_observed(simulate, connect, api):
    opus = connect(await simulate())
    job_id = await opus.jobs.initiate(TEXT)
    page = page_of(job_id)
    assert (await opus.jobs.get(page)).job_id == job_id
    assert [job.job_id async for job in opus.jobs.search(workflow_id=PAGE)] == [job_id]
    assert await opus.jobs.duplicate(page) != job_id
    await opus.jobs.archive(page)
    await opus.jobs.unarchive(page)
    await opus.jobs.delete(page)
    with pytest.raises(NotFound):
        await opus.jobs.get(page)


async def test_links_without_an_id_are_refused_before_anything_is_sent(simulate, connect):
    simulator = await simulate()
    opus = connect(simulator)
    job_page = page_of("2514")
    calls = [
        lambda: opus.workflows.get(NO_PAGE),
        lambda: opus.run(NO_PAGE, {"Text": "x"}),
        lambda: opus.run(job_page, {"Text": "x"}),
        lambda: opus.jobs.initiate(NO_PAGE),
        lambda: opus.files.upload(b"x", filename="x.txt", workflow_id=NO_PAGE),
        lambda: opus.jobs.execute(PAGE, text_payload("x")),
        lambda: opus.jobs.wait(PAGE),
        lambda: opus.jobs.status(PAGE),
        lambda: opus.jobs.results(PAGE),
        lambda: opus.jobs.audit(PAGE),
    ]
    for call in calls:
        with pytest.raises(InvalidInputs, match=r"the (workflow|job) id is (a|the) link"):
            await call()
    for call in (opus.run_many, lambda *given: opus.lifecycle(given[0])):
        with pytest.raises(InvalidInputs, match="is a link that names no workflow"):
            call(NO_PAGE, [])
    assert simulator.state()["counters"]["requests"] == {}


async def test_batch_run_with_link_stores_the_workflow_id(simulate, connect, tmp_path):
    opus = connect(await simulate())
    (tmp_path / "rows.csv").write_text("Text\nx\n")
    result = await run_batch(opus, tmp_path / "rows.csv", workflow_id=PAGE, out=tmp_path / "out")
    assert result.counts.completed == 1
    with LedgerReader(tmp_path / "out") as ledger:
        assert ledger.meta.order.workflow_id == ledger.meta.fingerprint.workflow_id == TEXT
