"""The outcome of a job that somebody else started, against the simulator and an Opus made by hand."""

from __future__ import annotations

import time

import pytest
from client_tools import TEXT, text_payload
from handmade_opus import Reply

from opus_async import (
    AuthenticationError,
    DeadlineExceeded,
    InvalidInputs,
    JobFailed,
    JobOutcome,
    JobStageChanged,
    JobStatus,
    JobStatusSeen,
    NextAction,
    NotFound,
)

COMPLETED = Reply(200, b'{"status": "COMPLETED"}')


async def started(opus, text="x"):
    """A job that nobody waits for."""
    job_id = await opus.jobs.initiate(TEXT)
    await opus.jobs.execute(job_id, text_payload(text))
    return job_id


@pytest.mark.parametrize("api", ["v0", "v1"])
async def test_outcome_of_a_job_is_what_its_own_run_would_return(simulate, connect, api):
    opus = connect(await simulate(), api=api)
    ran = await opus.run(TEXT, {"Text": "hällo"}, key="mine")
    found = await opus.jobs.outcome(ran.job_id)
    assert found.raise_for_status() is found
    assert (found.job_id, found.status, found.outputs) == (ran.job_id, JobStatus.COMPLETED, ran.outputs)
    assert found.results == ran.results
    assert {"watch", "results", "total"} <= set(found.timings)
    assert (found.index, found.key) == (0, None)


async def test_outcome_waits_for_a_job_that_runs_and_tells_its_stages(simulate, connect):
    told = []
    opus = connect(await simulate(run_time=0.3), listeners=[told.append])
    job_id = await started(opus, "later")
    outcome = await opus.jobs.outcome(job_id, timeout=10, workflow_id=TEXT)
    assert outcome.ok
    assert outcome.outputs["Text"] == "later"
    stages = [event for event in told if isinstance(event, JobStageChanged)]
    assert [(event.stage, event.job_id) for event in stages] == [
        ("watch", job_id),
        ("results", job_id),
        ("done", job_id),
    ]
    assert stages[-1].status == JobStatus.COMPLETED
    seen = [event.status for event in told if isinstance(event, JobStatusSeen)]
    assert seen[-1] == JobStatus.COMPLETED
    assert seen.count(JobStatus.COMPLETED) == 1


async def test_outcome_of_a_failed_job_carries_its_audit(simulate, connect):
    opus = connect(await simulate(fail_share=1))
    outcome = await opus.jobs.outcome(await started(opus))
    assert outcome.status == JobStatus.FAILED
    assert isinstance(outcome.error, JobFailed)
    assert outcome.error.failed_nodes == outcome.audit.failed_nodes != ()
    assert outcome.error.outcome is outcome


@pytest.mark.parametrize("api", ["v0", "v1"])
async def test_outcome_of_a_job_that_is_not_there_is_refused_at_once(simulate, connect, api):
    opus = connect(await simulate(), api=api)
    began = time.monotonic()
    with pytest.raises(NotFound) as denied:
        await opus.jobs.outcome("99999999")
    assert time.monotonic() - began < 5
    assert (denied.value.job_id, denied.value.stage) == ("99999999", None)
    assert denied.value.next_step.action is NextAction.CHECK_ID


async def test_outcome_needs_an_id_a_key_and_a_time_that_can_be(simulate, connect):
    simulator = await simulate()
    opus = connect(simulator)
    for job_id, timeout in ((" ", None), ("7", 0), ("7", -1.0), ("7", "soon")):
        with pytest.raises(InvalidInputs):
            await opus.jobs.outcome(job_id, timeout=timeout)
    with pytest.raises(AuthenticationError):
        await connect(simulator, key="_" + "0" * 96).jobs.outcome("7")


async def test_outcome_past_its_deadline_names_the_job_and_its_last_status(simulate, connect):
    opus = connect(await simulate(run_time=3600))
    job_id = await started(opus)
    with pytest.raises(DeadlineExceeded) as late:
        await opus.jobs.outcome(job_id, timeout=0.4)
    assert (late.value.job_id, late.value.stage) == (job_id, "watch")
    assert late.value.last_status == JobStatus.IN_PROGRESS
    assert late.value.next_step.action is NextAction.WAIT_FOR_JOB
    assert "it goes on remotely" in late.value.message


async def test_outcome_past_its_deadline_says_where_no_status_could_be_read(handmade, connect):
    opus = connect(await handmade(script={"status": [Reply(503)] * 100}), retry={"attempts": 100})
    with pytest.raises(DeadlineExceeded) as late:
        await opus.jobs.outcome("7", timeout=0.3)
    assert late.value.last_status is None
    assert "its status could not be read" in late.value.message


async def test_outcome_of_a_completed_job_whose_results_do_not_come_keeps_its_status(handmade, connect):
    opus = connect(await handmade(script={"status": [COMPLETED] * 9, "results": [Reply(202)] * 100}))
    outcome = await opus.jobs.outcome("7", timeout=0.5)
    assert (outcome.ok, outcome.status) == (False, JobStatus.COMPLETED)
    assert isinstance(outcome.error, DeadlineExceeded)
    assert outcome.error.next_step.action is NextAction.FETCH_RESULTS


async def test_outcome_with_files_tells_their_urls_to_download(simulate, connect, tmp_path):
    opus = connect(await simulate())
    inputs = {"Document": ("a.txt", b"one\n"), "Text": "https://files.opus.com/no/file"}
    outcome = await opus.run("Rep0rtWithFiles1", inputs)
    urls = opus.files.urls_of(outcome)
    assert {name: len(several) for name, several in urls.items()} == {"Report": 1, "Attachments": 2}
    assert urls["Report"] == [outcome.outputs["Report"]]
    got = await opus.files.download_many(urls["Attachments"], tmp_path / "out")
    assert [file.path.read_text()[:9] for file in got] == ["Report 2 ", "Report 3 "]
    failed = JobOutcome(job_id="7", status=JobStatus.FAILED, results=outcome.results)
    assert opus.files.urls_of(failed) == {}
