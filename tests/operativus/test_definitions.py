"""Workflows and steps: listed, made whole or not at all, changed without resetting anything."""

from __future__ import annotations

import pytest
from handmade_operativus import RESET_AFTER, RESET_BEFORE, WORKFLOW, Reply, problem

from opus_async.errors import InvalidInputs, NotFound, PermissionDenied, ServerError, ValidationFailed
from opus_async.operativus import Step, Workflow


async def test_created_workflow_has_its_steps_in_order(simulate, connect, form):
    server = await simulate(form=form)
    client = connect(server)
    steps = [Step("writer_agent", "Write."), Step("review_agent", "Review."), Step("assistant", "Send.")]
    made = await client.workflows.create("Briefing", description="Daily", steps=steps)
    assert (made.name, made.description) == ("Briefing", "Daily")
    listed = await client.steps.list(made.id)
    assert [(step.agent_id, step.action, step.order) for step in listed] == [
        ("writer_agent", "Write.", 1),
        ("review_agent", "Review.", 2),
        ("assistant", "Send.", 3),
    ]
    assert [step.id for step in made.steps] == [step.id for step in listed]
    read = await client.workflows.get(made.id)
    assert (read.id, read.name) == (made.id, "Briefing")
    assert read.steps is None or [step.id for step in read.steps] == [step.id for step in listed]


async def test_created_workflow_has_the_id_of_a_server_that_makes_its_own(simulate, connect, form):
    client = connect(await simulate(form=form, traits={"body_id_ignored"}))
    made = await client.workflows.create("Briefing", steps=[Step("writer_agent", "Write.")])
    assert (await client.workflows.get(made.id)).id == made.id
    assert len(await client.steps.list(made.id)) == 1


async def test_create_is_repeated_after_a_lost_answer_with_the_same_id(handmade, connect):
    made = []

    def create(seen):
        made.append(seen.json)
        return Reply(201, {"id": seen.json["id"], "name": seen.json["name"]})

    server = await handmade({"create": [lambda seen: (create(seen), RESET_AFTER)[1], create]})
    workflow = await connect(server).workflows.create("Briefing")
    assert [each["id"] for each in made] == [workflow.id] * 2
    assert workflow.steps == ()


async def test_create_that_fails_at_a_step_leaves_nothing_and_names_the_step(simulate, connect, form):
    server = await simulate(form="real")  # the documented form stores the steps itself
    client = connect(server)
    steps = [Step("writer_agent", "Write."), Step("no_such_agent", "Review."), Step("assistant", "Send.")]
    with pytest.raises(NotFound) as caught:
        await client.workflows.create("Briefing", steps=steps)
    assert "Step 2 of 3 (agent 'no_such_agent') could not be added" in str(caught.value)
    assert "The workflow was deleted again" in str(caught.value)
    assert [workflow async for workflow in client.workflows.list()] == []


async def test_create_that_cannot_clean_up_says_what_is_left(handmade, connect):
    server = await handmade(
        {
            "create": [lambda seen: Reply(201, {"id": seen.json["id"], "name": "Briefing"})],
            "steps": [Reply(200, [])],
            "add_step": [problem(400, "no such agent")],
            "delete": [problem(500, "down")] * 9,
        }
    )
    with pytest.raises(ValidationFailed) as caught:
        await connect(server, retry={"attempts": 2}).workflows.create("Briefing", steps=[Step("a", "b")])
    left = server.of("create")[0].json["id"]
    assert f"Workflow {left} was left without that step" in str(caught.value)
    assert "down" in str(caught.value)


async def test_step_is_added_behind_the_last(simulate, connect, briefing, form):
    client = connect(await simulate(form=form))
    workflow_id = await briefing(client, "writer_agent", "review_agent")
    step = await client.steps.add(workflow_id, "assistant", "Send.")
    assert step.order == 3
    assert (await client.steps.add(workflow_id, "assistant", "Send.", order=9)).order == 9
    assert (await client.steps.add(workflow_id, "assistant", "Send.")).order == 10


async def test_step_is_added_once_although_its_answer_was_lost(simulate, connect, handmade):
    added = {}

    def add(seen):
        added[seen.json["id"]] = seen.json
        return Reply(201, seen.json)

    server = await handmade({"add_step": [lambda seen: (add(seen), RESET_AFTER)[1], RESET_BEFORE, add]})
    step = await connect(server).steps.add(WORKFLOW, "writer", "Write more.")
    assert list(added) == [step.id]
    assert server.counts["add_step"] == 3


async def test_step_that_is_refused_says_whether_it_is_the_workflow(simulate, connect, briefing, form):
    """The server answers 404 with an empty body to any bad argument."""
    client = connect(await simulate(form=form))
    workflow_id = await briefing(client)
    with pytest.raises(NotFound, match="is there, so it is the step") as caught:
        await client.steps.add(workflow_id, "no_such_agent", "Write.")
    assert "'no_such_agent'" in str(caught.value)
    with pytest.raises(NotFound) as caught:
        await client.steps.add("wf_unknown", "writer_agent", "Write.")
    assert "is there" not in str(caught.value)


async def test_update_of_one_field_resets_no_other(handmade, connect):
    server = await handmade({"update_step": [lambda seen: Reply(200, {**seen.json, "id": "step_1"})]})
    server.steps[0] |= {
        "routerConfig": {"choices": ["a"]},
        "onReject": "CANCEL",
        "elseStepId": "step_9",
        "requiresConfirmation": True,
        "humanReview": {"who": "ops"},
    }
    step = await connect(server).steps.update(WORKFLOW, "step_1", agent_id="assistant")
    sent = server.of("update_step")[0].json
    assert sent["agentId"] == "assistant"
    for name in ("routerConfig", "onReject", "elseStepId", "requiresConfirmation", "humanReview", "action"):
        assert sent[name] == server.steps[0][name]
    assert sent["stepOrder"] == 1
    assert step.agent_id == "assistant"


async def test_update_of_a_step_on_the_server(simulate, connect, briefing):
    client = connect(await simulate())
    workflow_id = await briefing(client, "writer_agent", "review_agent")
    first, second = await client.steps.list(workflow_id)
    await client.steps.update(workflow_id, first.id, order=5)
    await client.steps.update(workflow_id, second.id, agent_id="assistant")
    listed = await client.steps.list(workflow_id)
    assert [(step.id, step.agent_id, step.order) for step in listed] == [
        (second.id, "assistant", 2),
        (first.id, "writer_agent", 5),
    ]


async def test_action_of_a_step_cannot_be_changed_and_the_error_says_how_to_replace_it(handmade, connect):
    server = await handmade()
    client = connect(server)
    with pytest.raises(
        InvalidInputs, match=r"cannot change the action.*steps\.add\(.*order=1\).*steps\.remove"
    ):
        await client.steps.update(WORKFLOW, "step_1", action="Write better.")
    assert (await client.steps.update(WORKFLOW, "step_1", action="Write.")).id == "step_1"
    with pytest.raises(InvalidInputs, match="nothing else"):
        await client.steps.update(WORKFLOW, "step_1")
    with pytest.raises(NotFound, match="has no step step_7"):
        await client.steps.update(WORKFLOW, "step_7", order=2)
    assert server.counts["update_step"] == 0


async def test_step_is_removed(simulate, connect, briefing, form):
    client = connect(await simulate(form=form))
    workflow_id = await briefing(client, "writer_agent", "review_agent")
    first, second = await client.steps.list(workflow_id)
    await client.steps.remove(workflow_id, first.id)
    assert [step.id for step in await client.steps.list(workflow_id)] == [second.id]


async def test_workflows_are_listed_over_all_pages_each_once(simulate, connect, form):
    client = connect(await simulate(form=form))
    for number in range(25):
        await client.workflows.create(f"Workflow {number:02}")
    names = [workflow.name async for workflow in client.workflows.list(page_size=4, sort="createdAt,desc")]
    assert sorted(names) == [f"Workflow {number:02}" for number in range(25)]
    listed = client.workflows.list(page_size=1000)
    assert len([workflow async for workflow in listed]) == 25
    assert listed.total == 25


@pytest.mark.parametrize("size", [0, -1, 2.5, True])
async def test_page_size_that_cannot_be_meant_is_refused_before_anything_is_sent(handmade, connect, size):
    server = await handmade()
    client = connect(server)
    with pytest.raises(InvalidInputs, match="size of a page"):
        client.workflows.list(page_size=size)
    with pytest.raises(InvalidInputs, match="size of a page"):
        client.runs.list(WORKFLOW, page_size=size)
    assert not server.seen


async def test_workflow_is_updated_cloned_and_deleted(simulate, connect, briefing, form):
    client = connect(await simulate(form=form))
    workflow_id = await briefing(client, "writer_agent", "review_agent")
    changed = await client.workflows.update(workflow_id, description="Daily")
    assert (changed.name, changed.description) == ("Briefing", "Daily")
    copy = await client.workflows.clone(workflow_id)
    assert (copy.name, copy.id != workflow_id) == ("Briefing (Copy)", True)
    assert [step.agent_id for step in await client.steps.list(copy.id)] == ["writer_agent", "review_agent"]
    assert await client.workflows.delete(workflow_id) is None
    with pytest.raises(NotFound, match="does not know this id"):
        await client.workflows.get(workflow_id)
    assert await client.workflows.delete(workflow_id) is None  # a success proves nothing


async def test_clone_is_not_repeated_after_a_lost_answer(handmade, connect):
    server = await handmade({"clone": [problem(502, "lost")]})
    with pytest.raises(ServerError):
        await connect(server).workflows.clone(WORKFLOW)
    assert server.counts["clone"] == 1


async def test_definitions_take_the_role_admin(simulate, connect, briefing):
    server = await simulate()
    workflow_id = await briefing(connect(server))
    user = server.accounts["user"]
    client = connect(server, username=user.username, password=user.password)
    assert (await client.run(workflow_id, "prices")).status == "COMPLETED"
    with pytest.raises(PermissionDenied):
        await client.steps.add(workflow_id, "writer_agent", "Write.")
    stranger = server.accounts["stranger"]
    other = connect(server, username=stranger.username, password=stranger.password)
    with pytest.raises(NotFound):
        await other.workflows.get(workflow_id)
    assert await other.steps.list(workflow_id) == []


async def test_steps_that_are_none_are_refused(handmade, connect):
    server = await handmade()
    with pytest.raises(InvalidInputs, match="holds a dict, not a Step"):
        await connect(server).workflows.create("Briefing", steps=[{"agentId": "a"}])  # type: ignore[list-item]
    assert not server.seen


def test_workflow_without_told_steps_is_not_one_without_steps():
    assert Workflow("wf_1", "Briefing").steps is None
