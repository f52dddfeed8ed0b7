"""Runs from order to outcome, on servers of both forms."""

from __future__ import annotations

import pytest

from opus_async import JobRequest
from opus_async.errors import (
    ConfigurationError,
    DeadlineExceeded,
    InvalidInputs,
    JobFailed,
    NotFound,
    ValidationFailed,
)
from opus_async.events import JobStageChanged
from opus_async.operativus import OperativusClient


async def test_run_gives_the_texts_of_its_steps_and_their_audit(simulate, connect, briefing, form):
    client = connect(await simulate(form=form))
    workflow_id = await briefing(client)
    outcome = await client.run(workflow_id, "prices", key="row 1", timeout=10)
    assert outcome.ok
    assert outcome.key == "row 1"
    assert outcome.outputs == {
        "output": "[review_agent] [writer_agent] prices",
        "steps": ["[writer_agent] prices", "[review_agent] [writer_agent] prices"],
    }
    assert outcome.results["sessionId"] == outcome.job_id
    assert outcome.results["status"] == "COMPLETED"
    assert [node.name for node in outcome.audit.nodes] == ["step 1 (writer_agent)", "step 2 (review_agent)"]
    assert set(outcome.timings) >= {"run", "watch", "outputs", "total"}


async def test_run_without_input_is_ordered_with_an_empty_body(handmade, connect):
    server = await handmade()
    assert (await connect(server).run("wf_handmade", None)).ok
    assert set(server.of("run")[0].json) == {"sessionId"}


async def test_run_many_gives_an_outcome_for_each_row(simulate, connect, briefing, form):
    client = connect(await simulate(form=form))
    workflow_id = await briefing(client, "writer_agent")
    rows = ["one", JobRequest({"input": "two"}, key="k"), "three"]
    outcomes = {outcome.index: outcome async for outcome in client.run_many(workflow_id, rows)}
    assert [outcomes[number].outputs["output"] for number in range(3)] == [
        "[writer_agent] one",
        "[writer_agent] two",
        "[writer_agent] three",
    ]
    assert outcomes[1].key == "k"
    assert len({outcome.job_id for outcome in outcomes.values()}) == 3


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (17, "row is a text"),
        (JobRequest({"input": 17}), "is a int, not text"),
        (JobRequest({"text": "x"}), "takes one text, under the name 'input'"),
        (JobRequest({}), "is missing"),
        (JobRequest({"input": "x"}, version_number=2), "have no versions"),
    ],
)
async def test_row_that_is_no_text_fails_alone_and_before_any_cost(handmade, connect, row, words):
    server = await handmade()
    outcomes = [outcome async for outcome in connect(server).run_many("wf_handmade", ["good", row])]
    bad = next(outcome for outcome in outcomes if outcome.index == 1)
    assert isinstance(bad.error, InvalidInputs)
    assert words in str(bad.error)
    assert server.counts["run"] == 1


async def test_failed_run_names_its_step(simulate, connect, briefing, form):
    server = await simulate(form=form)
    client = connect(server)
    workflow_id = await briefing(client, "writer_agent", "research_agent", "review_agent")
    server.fail_next(workflow_id, step=1, error="the model gave no answer")
    outcome = await client.run(workflow_id, "prices", timeout=10)
    assert (outcome.status, outcome.status.raw) == ("FAILED", "FAILED")
    assert isinstance(outcome.error, JobFailed)
    assert outcome.error.failed_nodes == ("step 2 (research_agent)",)
    assert "the model gave no answer" in str(outcome.error)
    assert outcome.audit.nodes[1].error == "the model gave no answer"


async def test_run_of_unknown_workflow_says_so(simulate, connect, form):
    client = connect(await simulate(form=form))
    with pytest.raises(NotFound) as caught:
        await client.run("wf_unknown", "prices")
    assert "does not know this id" in str(caught.value)
    assert caught.value.stage == "run"


async def test_run_many_of_unknown_workflow_raises_at_once(simulate, connect):
    client = connect(await simulate())
    with pytest.raises(NotFound):
        async for _ in client.run_many("wf_unknown", ["prices"] * 3):
            raise AssertionError("no row can come")


async def test_workflow_without_steps_is_told_before_anything_is_ordered(simulate, connect, form):
    server = await simulate(form=form)
    client = connect(server)
    workflow = await client.workflows.create("Empty")
    with pytest.raises(ConfigurationError, match="has no steps"):
        async for _ in client.run_many(workflow.id, ["prices"]):
            raise AssertionError("no row can come")
    with pytest.raises(ValidationFailed, match="without steps cannot be run"):
        await client.run(workflow.id, "prices")
    assert server.stats()["starts"] == 0


async def test_run_that_is_not_over_in_time_names_all_that_is_known(simulate, connect, briefing, form):
    client = connect(await simulate(form=form, run_time=60))
    workflow_id = await briefing(client)
    with pytest.raises(DeadlineExceeded) as caught:
        await client.run(workflow_id, "prices", timeout=0.3)
    error = caught.value
    run = await client.runs.find(workflow_id, error.job_id)
    assert error.last_status == "IN_PROGRESS"
    assert run.status == "IN_PROGRESS"  # it goes on
    assert all(part in str(error) for part in (workflow_id, error.job_id, run.id))
    assert (error.workflow_id, error.alias) == (workflow_id, run.id)


async def test_listeners_are_told_stages_in_words_of_this_platform(simulate, connect, briefing):
    told = []
    client = connect(await simulate(), listeners=[told.append])
    workflow_id = await briefing(client)
    outcome = await client.run(workflow_id, "prices")
    stages = [event.stage for event in told if isinstance(event, JobStageChanged)]
    assert stages == ["input", "login", "session", "run", "watch", "outputs", "done"]
    assert outcome.job_id


async def test_client_is_closed_and_says_so(simulate, connect, briefing):
    client = connect(await simulate())
    workflow_id = await briefing(client)
    await client.close()
    assert "closed" in repr(client)
    with pytest.raises(ConfigurationError, match="closed"):
        await client.run(workflow_id, "prices")


async def test_misspelt_names_are_answered_with_the_nearest(simulate, connect):
    server = await simulate()
    with pytest.raises(ConfigurationError, match="did you mean 'username'"):
        OperativusClient(server.base_url, user_name="admin")  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match="did you mean 'on_pause'"):
        await connect(server).run("wf", "text", on_paused=print)


async def test_lifecycle_takes_no_version(simulate, connect):
    client = connect(await simulate())
    with pytest.raises(ConfigurationError, match="no versions"):
        client.lifecycle("wf", version_number=3)
