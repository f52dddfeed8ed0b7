"""Workflows, steps and edges: what is refused and how, what is forgotten, what may be sent again."""

from __future__ import annotations

import io

import pytest

WORKFLOWS = "/api/v1/workflows"
HITL = {"selectorType": "HITL", "choices": {"left": "", "right": ""}}


async def test_operativus_create_without_a_name_is_a_conflict(api):
    reply = await api.post(WORKFLOWS, {"description": "nameless"})
    assert reply.status == 409
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert (reply.json["title"], reply.json["type"]) == (
        "Resource Already Exists",
        "urn:problem-type:resource-already-exists",
    )
    assert "hint" in reply.json
    assert reply.json["instance"] == WORKFLOWS


async def test_operativus_create_with_an_id_of_ones_own_may_be_sent_again(api):
    body = {"id": "mine", "name": "Mine"}
    first = await api.post(WORKFLOWS, body)
    await api.add("mine", agentId="finance_agent", stepOrder=1)
    again = await api.post(WORKFLOWS, body)
    assert (first.status, again.status) == (201, 201)
    assert first.json["id"] == again.json["id"] == "mine"
    assert len((await api.get(WORKFLOWS)).json["content"]) == 1
    assert len(await api.steps("mine")) == 1


async def test_operativus_create_refuses_an_id_of_another_organization(api):
    stranger = await api.token_of("stranger")
    assert (await api.post(WORKFLOWS, {"id": "theirs", "name": "Theirs"}, token=stranger)).status == 201
    assert (await api.post(WORKFLOWS, {"id": "theirs", "name": "Mine"})).status == 409
    assert (await api.get(f"{WORKFLOWS}/theirs", token=stranger)).json["name"] == "Theirs"


async def test_operativus_update_ignores_null(api):
    workflow_id = await api.create(description="told")
    reply = await api.call("PATCH", f"{WORKFLOWS}/{workflow_id}", {"name": None, "description": None})
    assert (reply.status, reply.json["name"], reply.json["description"]) == (
        200,
        "Daily Market Briefing",
        "told",
    )
    assert (await api.call("PATCH", f"{WORKFLOWS}/unknown", {"name": "x"})).status == 404


async def test_operativus_delete_answers_204_whatever_there_was(api):
    theirs = await api.create()
    stranger = await api.token_of("stranger")
    for workflow_id, token in (("unknown", api.server.token), (theirs, stranger)):
        assert (await api.call("DELETE", f"{WORKFLOWS}/{workflow_id}", token=token)).status == 204
    assert (await api.get(f"{WORKFLOWS}/{theirs}")).status == 200


async def test_operativus_steps_of_an_unknown_or_foreign_workflow_are_an_empty_list(api):
    workflow_id = await api.create("finance_agent")
    reply = await api.get(f"{WORKFLOWS}/{workflow_id}/steps", token=await api.token_of("stranger"))
    assert (reply.status, reply.json) == (200, [])
    assert await api.steps("unknown") == []


@pytest.mark.parametrize(
    "step",
    [
        {"agentId": "nobody"},
        {"agentId": "finance_agent", "routerConfig": HITL},
        {"action": "ROUTER"},
        {"action": "ROUTER", "routerConfig": {"selectorType": "HITL", "choices": {}}},
        {"action": "WORKFLOW", "agentId": "no workflow"},
        {"agentId": "finance_agent", "requiresConfirmation": True},
        {"action": "CONDITION", "onReject": "PERHAPS"},
        {"action": "CONDITION", "onReject": "ELSE_BRANCH"},
        {"action": "CONDITION", "elseStepId": "x"},
        {"action": "CONDITION", "onReject": "CANCEL", "requiresConfirmation": True},
    ],
    ids=",".join,
)
async def test_operativus_add_step_answers_an_empty_404_to_any_bad_argument(api, step):
    workflow_id = await api.create()
    reply = await api.add(workflow_id, stepOrder=1, **step)
    assert (reply.status, reply.raw) == (404, b"")
    assert await api.steps(workflow_id) == []


async def test_operativus_add_step_answers_an_empty_404_for_no_such_workflow(api):
    reply = await api.add("unknown", agentId="finance_agent", stepOrder=1)
    assert (reply.status, reply.raw) == (404, b"")


@pytest.mark.parametrize("action", ["CONDITION", "LOOP", "FUNCTION", "WEBHOOK"])
async def test_operativus_add_step_takes_any_agent_id_where_it_is_none(api, action):
    workflow_id = await api.create()
    assert (await api.add(workflow_id, agentId="max:3", action=action, stepOrder=1)).status == 201


async def test_operativus_add_step_without_an_order_is_a_conflict(api):
    workflow_id = await api.create()
    reply = await api.add(workflow_id, agentId="finance_agent")
    assert (reply.status, reply.json["title"]) == (409, "Resource Already Exists")


async def test_operativus_add_step_takes_order_zero_and_equal_orders_in_the_order_of_adding(api):
    workflow_id = await api.create()
    for agent in ("finance_agent", "writer_agent", "assistant"):
        assert (await api.add(workflow_id, agentId=agent, stepOrder=0)).status == 201
    assert [step["agentId"] for step in await api.steps(workflow_id)] == [
        "finance_agent",
        "writer_agent",
        "assistant",
    ]


async def test_operativus_add_step_with_an_id_of_ones_own_may_be_sent_again(api):
    workflow_id = await api.create()
    for _ in range(2):
        reply = await api.add(workflow_id, id="my step", agentId="finance_agent", stepOrder=1)
        assert (reply.status, reply.json["id"]) == (201, "my step")
    assert len(await api.steps(workflow_id)) == 1


async def test_operativus_update_step_makes_null_what_is_absent_and_keeps_the_action(api):
    workflow_id = await api.create("finance_agent")
    router = await api.add(workflow_id, action="ROUTER", stepOrder=2, routerConfig=HITL)
    condition = await api.add(workflow_id, action="CONDITION", stepOrder=3, requiresConfirmation=True)
    assert (router.status, condition.status) == (201, 201)
    first = (await api.steps(workflow_id))[0]
    for step_id, body in (
        (first["id"], {"stepOrder": 9, "action": "x"}),
        (condition.json["id"], {"stepOrder": 4}),
    ):
        reply = await api.call("PATCH", f"{WORKFLOWS}/{workflow_id}/steps/{step_id}", body)
        assert reply.status == 200
    refused = await api.call(
        "PATCH", f"{WORKFLOWS}/{workflow_id}/steps/{router.json['id']}", {"stepOrder": 1}
    )
    assert refused.status == 404  # a router without its settings is none
    told = await api.steps(workflow_id)
    assert [(step["stepOrder"], step["action"], step["agentId"]) for step in told] == [
        (2, "ROUTER", None),
        (4, "CONDITION", None),
        (9, "Summarise.", None),
    ]
    assert told[1]["requiresConfirmation"] is False


async def test_operativus_update_step_keeps_what_is_sent_back(api):
    workflow_id = await api.create("finance_agent")
    (step,) = await api.steps(workflow_id)
    reply = await api.call("PATCH", f"{WORKFLOWS}/{workflow_id}/steps/{step['id']}", {**step, "stepOrder": 5})
    changed = {"stepOrder": 5, "createdAt": None, "updatedAt": None}
    assert {**reply.json, **changed} == {**step, **changed}


async def test_operativus_update_step_finds_no_step_of_another_workflow(api):
    mine, other = await api.create("finance_agent"), await api.create()
    (step,) = await api.steps(mine)
    for path in (f"{other}/steps/{step['id']}", f"{mine}/steps/unknown", f"unknown/steps/{step['id']}"):
        assert (await api.call("PATCH", f"{WORKFLOWS}/{path}", {"stepOrder": 2})).status == 404


async def test_operativus_remove_step_ignores_the_workflow_in_its_path(api):
    workflow_id = await api.create("finance_agent")
    (step,) = await api.steps(workflow_id)
    stranger = await api.token_of("stranger")
    path = f"{WORKFLOWS}/any/steps/{step['id']}"
    assert (await api.call("DELETE", path, token=stranger)).status == 204
    assert len(await api.steps(workflow_id)) == 1
    assert (await api.call("DELETE", path)).status == 204
    assert await api.steps(workflow_id) == []


async def test_operativus_clone_copies_order_agent_and_action_only(serve, clock):
    api = await serve("routers_on", clock=clock)
    workflow_id = await api.create("finance_agent")
    await api.add(workflow_id, action="CONDITION", stepOrder=2, requiresConfirmation=True)
    first, second = await api.steps(workflow_id)
    await api.post(f"{WORKFLOWS}/{workflow_id}/edges", {"fromStepId": first["id"], "toStepId": second["id"]})
    copy = (await api.post(f"{WORKFLOWS}/{workflow_id}/clone")).json["id"]
    assert [step["requiresConfirmation"] for step in await api.steps(copy)] == [False, False]
    assert (await api.get(f"{WORKFLOWS}/{copy}/edges")).json == []
    assert (await api.post(f"{WORKFLOWS}/unknown/clone")).status == 404


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"fromStepId": "A", "toStepId": "A"}, "itself"),
        ({"fromStepId": "A", "toStepId": "elsewhere"}, "must be steps of this workflow"),
        ({"fromStepId": "A", "toStepId": "B"}, "already exists"),
        ({"fromStepId": "C", "toStepId": "A"}, "cycle"),
    ],
)
async def test_operativus_add_edge_refuses_what_makes_no_graph(api, body, detail):
    workflow_id = await api.create("finance_agent", "writer_agent", "assistant")
    ids = dict(zip("ABC", [step["id"] for step in await api.steps(workflow_id)], strict=True))
    edges = f"{WORKFLOWS}/{workflow_id}/edges"
    for start, end in ("AB", "BC"):
        assert (await api.post(edges, {"fromStepId": ids[start], "toStepId": ids[end]})).status == 201
    reply = await api.post(edges, {name: ids.get(value, value) for name, value in body.items()})
    assert (reply.status, reply.json["type"]) == (400, "urn:problem-type:business-validation-error")
    assert detail in reply.json["detail"]
    assert len((await api.get(edges)).json) == 2


async def test_operativus_add_edge_names_the_invalid_field(api):
    workflow_id = await api.create()
    reply = await api.post(f"{WORKFLOWS}/{workflow_id}/edges", {"fromStepId": " ", "toStepId": "x"})
    assert (reply.status, reply.json["type"]) == (400, "urn:problem-type:invalid-request")
    assert reply.json["invalidParams"] == [{"field": "fromStepId", "message": "must not be blank"}]


async def test_operativus_edges_can_be_relabelled_and_removed(api):
    workflow_id = await api.create("finance_agent", "writer_agent")
    first, second = [step["id"] for step in await api.steps(workflow_id)]
    edges = f"{WORKFLOWS}/{workflow_id}/edges"
    edge = (await api.post(edges, {"fromStepId": first, "toStepId": second})).json
    relabelled = await api.call("PATCH", f"{edges}/{edge['id']}", {"condition": "yes"})
    assert (relabelled.status, relabelled.json) == (200, {**edge, "condition": "yes"})
    graph = (await api.get(f"{WORKFLOWS}/{workflow_id}/graph")).json
    assert (len(graph["steps"]), graph["edges"]) == (2, [relabelled.json])
    assert (await api.call("PATCH", f"{edges}/unknown", {"condition": "yes"})).status == 404
    assert (await api.call("DELETE", f"{edges}/{edge['id']}")).status == 204
    assert (await api.get(edges)).json == []


async def test_operativus_validate_names_steps_that_no_edge_leads_to(api):
    workflow_id = await api.create("finance_agent", "writer_agent", "assistant")
    first, second, third = [step["id"] for step in await api.steps(workflow_id)]
    validate = f"{WORKFLOWS}/{workflow_id}/validate"
    assert (await api.get(validate)).json["valid"] is True
    await api.post(f"{WORKFLOWS}/{workflow_id}/edges", {"fromStepId": first, "toStepId": second})
    told = (await api.get(validate)).json
    assert (told["valid"], told["unreachableStepIds"]) == (False, [third])
    assert (await api.get(f"{WORKFLOWS}/unknown/validate")).status == 404


async def test_operativus_workflows_are_paged_sorted_and_cut_to_200(api):
    for number in range(3):
        await api.create(name=f"workflow {number}")
    page = (await api.get(f"{WORKFLOWS}?page=1&size=2&sort=name,desc")).json
    assert [each["name"] for each in page["content"]] == ["workflow 0"]
    assert page["page"] == {"size": 2, "number": 1, "totalElements": 3, "totalPages": 2}
    assert (await api.get(f"{WORKFLOWS}?size=1000")).json["page"]["size"] == 200
    assert (await api.get(f"{WORKFLOWS}?size=0")).json["page"]["size"] == 20
    assert (await api.get(f"{WORKFLOWS}?page=-1")).json["page"]["number"] == 0
    assert (await api.get(f"{WORKFLOWS}?page=9")).json["content"] == []


@pytest.mark.parametrize("query", ["sort=nothing", "sort=name,sideways", "page=first", "size=many"])
async def test_operativus_workflows_answer_500_to_what_they_cannot_read(api, query):
    reply = await api.get(f"{WORKFLOWS}?{query}")
    assert (reply.status, reply.json["type"]) == (500, "urn:problem-type:internal-server-error")


@pytest.mark.parametrize(
    ("request_line", "options", "status", "kind"),
    [
        (("PUT", WORKFLOWS), {"json": {}}, 405, "method-not-allowed"),
        (("GET", "/api/v1/nothing"), {}, 404, "not-found"),
        (("POST", WORKFLOWS), {"data": b"name=x"}, 415, "unsupported-media-type"),
        (
            ("POST", WORKFLOWS),
            {"data": b"{", "headers": {"Content-Type": "application/json"}},
            400,
            "malformed-request-body",
        ),
        (
            ("POST", WORKFLOWS),
            {"headers": {"Content-Type": "application/json"}},
            400,
            "malformed-request-body",
        ),
        (("POST", WORKFLOWS), {"json": ["a list"]}, 400, "malformed-request-body"),
        (("POST", WORKFLOWS), {"json": {"name": {}}}, 400, "malformed-request-body"),
    ],
)
async def test_operativus_refuses_malformed_requests(api, request_line, options, status, kind):
    reply = await api.call(*request_line, **options)
    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json["type"] == f"urn:problem-type:{kind}"
    if status == 405:
        assert reply.json["supportedMethods"] == ["GET", "POST"]
        assert reply.headers["Allow"] == "GET, POST"


async def test_operativus_refuses_a_huge_body(api):
    body = b'{"name": "' + b"x" * (1024 * 1024 - 10) + b'"}'
    headers = {"Content-Type": "application/json"}
    assert (await api.call("POST", WORKFLOWS, data=io.BytesIO(body), headers=headers)).status == 413
