"""What the vendor's own TypeScript client does in its workflow scenario, call by call."""

from __future__ import annotations

import uuid


class TypeScriptClient:
    """Its HTTP core: JSON bodies, undefined members left out, a bearer token after a login."""

    def __init__(self, caller):
        self.caller = caller
        self.token = None

    async def request(self, method, endpoint, body=None):
        reply = await self.caller.call(
            method, f"/api{endpoint}", body, token=self.token, headers={"Content-Type": "application/json"}
        )
        assert reply.status < 400, reply.raw
        return None if reply.status == 204 else reply.json


async def test_operativus_serves_the_workflow_scenario_of_the_typescript_client(serve, clock, form):
    api = await serve(clock=clock, form=form, run_time=2)
    client = TypeScriptClient(api)
    assert (await api.get("/v3/api-docs", token=None)).status < 500  # it asks whether anybody is there
    login = {"username": api.server.username, "password": api.server.password}
    client.token = (await client.request("POST", "/auth/login", login))["token"]
    agent = (await client.request("GET", "/agents?includeInactive=false"))[0]["agentId"]
    workflow = await client.request("POST", "/v1/workflows", {"name": "tc-1-wf", "description": "linear"})
    base = f"/v1/workflows/{workflow['id']}"
    steps = [
        await client.request("POST", f"{base}/steps", {"stepOrder": order, "agentId": agent})
        for order in (0, 1)
    ]
    ends = {"fromStepId": steps[0]["id"], "toStepId": steps[1]["id"]}
    edge = await client.request("POST", f"{base}/edges", ends)
    assert edge == {"id": edge["id"], **ends, "condition": None}
    assert await client.request("GET", f"{base}/validate") == {
        "valid": True,
        "hasCycle": False,
        "cycleMessage": None,
        "unreachableStepIds": [],
    }
    session = str(uuid.uuid4())
    started = await client.request("POST", f"{base}/run", {"input": "Say hello.", "sessionId": session})
    assert started["jobId"]
    terminal = None
    for _ in range(30):
        page = await client.request("GET", f"{base}/runs?page=0&size=20")
        terminal = next((run for run in page["content"] if run["status"] in ("COMPLETED", "FAILED")), None)
        if terminal is not None:
            break
        clock.forward(3)
    assert (terminal["status"], terminal["sessionId"]) == ("COMPLETED", session)
    nodes = await client.request("GET", f"/v1/workflows/runs/{terminal['id']}/node-runs")
    assert [(node["nodeName"], node["success"], node["content"]) for node in nodes] == [
        (agent, True, f"[{agent}] Say hello."),
        (agent, True, f"[{agent}] [{agent}] Say hello."),
    ]
    assert all(node["startedAt"].endswith("Z") and node["endedAt"].endswith("Z") for node in nodes)
    assert await client.request("GET", f"/v1/workflows/runs/{terminal['id']}/child-node-runs") == []
    assert await client.request("DELETE", base) is None
