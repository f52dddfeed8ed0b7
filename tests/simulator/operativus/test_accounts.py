"""Logins, tokens, roles, organizations, and how often one may ask."""

from __future__ import annotations

import pytest

WORKFLOWS = "/api/v1/workflows"


async def test_operativus_login_gives_a_token_for_a_day(api, clock):
    reply = await api.log_in("user")
    assert reply.status == 200
    assert set(reply.json) == {"token", "type", "id", "username", "email", "roles"}
    assert (reply.json["type"], reply.json["username"], reply.json["roles"]) == (
        "Bearer",
        "user",
        ["ROLE_USER"],
    )
    token = reply.json["token"]
    clock.forward(86_399)
    assert (await api.get(WORKFLOWS, token=token)).status == 200
    clock.forward(2)
    assert (await api.get(WORKFLOWS, token=token)).status == 401
    assert (await api.get(WORKFLOWS)).status == 401  # the first token has ended too
    assert (await api.get(WORKFLOWS, token=await api.token_of("user"))).status == 200


@pytest.mark.parametrize(("username", "password"), [("admin", "wrong"), ("nobody", "x"), ("admin", "")])
async def test_operativus_login_refuses_a_wrong_password(api, username, password):
    reply = await api.log_in(username, password)
    assert (reply.status, reply.json["type"]) == (401, "urn:problem-type:unauthorized")


@pytest.mark.parametrize("token", [None, "nonsense", "a.b.c"])
async def test_operativus_without_a_good_token_answers_401_in_a_form_of_its_own(api, token):
    reply = await api.get(f"{WORKFLOWS}/any", token=token)
    assert reply.status == 401
    assert reply.headers["Content-Type"] == "application/json"
    assert set(reply.json) == {"timestamp", "status", "error", "path"}
    assert (reply.json["status"], reply.json["path"]) == (401, f"{WORKFLOWS}/any")


async def test_operativus_token_of_another_server_is_worth_nothing(api, serve):
    other = await serve(seed=7)
    assert (await api.get(WORKFLOWS, token=other.server.token)).status == 401


async def test_operativus_only_admins_change_definitions_and_read_sessions(api):
    workflow_id = await api.create("finance_agent")
    user, one = await api.token_of("user"), f"{WORKFLOWS}/{workflow_id}"
    refused = [
        await api.post(WORKFLOWS, {"name": "x"}, token=user),
        await api.call("PATCH", one, {"name": "x"}, token=user),
        await api.call("DELETE", one, token=user),
        await api.post(f"{one}/steps", {"stepOrder": 1}, token=user),
        await api.post(f"{one}/clone", token=user),
        await api.get("/api/sessions/any/runs", token=user),
    ]
    assert {(reply.status, reply.json["type"]) for reply in refused} == {(403, "urn:problem-type:forbidden")}
    allowed = [
        await api.get(one, token=user),
        await api.get(f"{one}/steps", token=user),
        await api.post(f"{one}/run", {}, token=user),
        await api.get(f"{one}/runs", token=user),
    ]
    assert [reply.status for reply in allowed] == [200, 200, 202, 200]


async def test_operativus_other_organizations_see_nothing(api, clock):
    workflow_id = await api.create("finance_agent")
    session = await api.order(workflow_id)
    clock.forward(1)
    (run,) = await api.runs(workflow_id)
    stranger = await api.token_of("stranger")
    one = f"{WORKFLOWS}/{workflow_id}"
    missing = [
        await api.get(one, token=stranger),
        await api.call("PATCH", one, {"name": "x"}, token=stranger),
        await api.post(f"{one}/steps", {"agentId": "assistant", "stepOrder": 1}, token=stranger),
        await api.post(f"{one}/clone", token=stranger),
        await api.post(f"{one}/run", {}, token=stranger),
        await api.get(f"{one}/validate", token=stranger),
        await api.get(f"{WORKFLOWS}/runs/{run['id']}/node-runs", token=stranger),
        await api.get(f"{WORKFLOWS}/runs/{run['id']}/route-options", token=stranger),
    ]
    assert {(reply.status, reply.raw) for reply in missing} == {(404, b"")}
    assert (await api.get(WORKFLOWS, token=stranger)).json["content"] == []
    assert (await api.get(f"/api/sessions/{session}/runs", token=stranger)).json == []


async def test_operativus_grants_a_user_fifty_requests_a_second(serve, clock):
    api = await serve(clock=clock, rate_limit=50)
    stranger = await api.token_of("stranger")
    replies = [await api.get(WORKFLOWS) for _ in range(52)]
    assert [reply.status for reply in replies].count(429) == 2
    assert replies[-1].headers["Retry-After"] == "1"
    assert replies[-1].json["type"] == "about:blank"
    assert api.server.stats()["rate_limited"] == 2
    assert (await api.get(WORKFLOWS, token=stranger)).status == 200
    clock.forward(1)
    assert (await api.get(WORKFLOWS)).status == 200


async def test_operativus_grants_ten_logins_a_minute(api, clock):
    statuses = [(await api.log_in("admin", "wrong")).status for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    assert (await api.log_in("admin")).headers["Retry-After"] == "60"
    clock.forward(60)
    assert (await api.log_in("admin")).status == 200


async def test_operativus_shows_no_token_or_password_in_its_repr(api):
    shown = repr(api.server)
    assert api.server.token not in shown
    assert api.server.password not in shown
