"""What the vendor's own TypeScript client does with a workflow, call by call and with its readers' demands."""

from __future__ import annotations


class TypeScriptClient:
    """Its `ApiClient`: JSON bodies, a bearer token, an empty object for an answer without content."""

    def __init__(self, caller):
        self.caller = caller

    async def request(self, method, endpoint, body=None):
        reply = await self.caller.call(
            method,
            f"/api{endpoint}",
            body,
            headers={
                "Content-Type": "application/json",
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-1-01",
            },
        )
        assert reply.status < 400, reply.raw
        return reply.json if reply.raw else {}


async def test_operativus_serves_the_workflow_scenario_of_the_typescript_client(serve, clock, form):
    client = TypeScriptClient(await serve(clock=clock, form=form, run_time=2))
    workflow = await client.request("POST", "/v1/workflows", {"name": "Scenario", "description": "two steps"})
    base = f"/v1/workflows/{workflow['id']}"
    for agent in ("finance_agent", "writer_agent"):
        step = {"agentId": agent, "action": "AGENT", "stepOrder": 0}
        assert (await client.request("POST", f"{base}/steps", step))["stepOrder"] == 0
    first, second = await client.request("GET", f"{base}/steps")
    edge = await client.request(
        "POST", f"{base}/edges", {"fromStepId": first["id"], "toStepId": second["id"]}
    )
    assert edge == {
        "id": edge["id"],
        "fromStepId": first["id"],
        "toStepId": second["id"],
        "condition": None,
    }
    assert await client.request("GET", f"{base}/edges") == [edge]
    assert await client.request("GET", f"{base}/validate") == {
        "valid": True,
        "hasCycle": False,
        "cycleMessage": None,
        "unreachableStepIds": [],
    }
    started = await client.request("POST", f"{base}/run", {"input": "hello"})
    for _ in range(30):
        page = await client.request("GET", f"{base}/runs?page=0&size=20")
        mine = [run for run in page["content"] if run["sessionId"] == started["sessionId"]]
        if mine and mine[0]["status"] in ("COMPLETED", "FAILED", "CANCELLED"):
            break
        clock.forward(0.1)
    assert mine[0]["status"] == "COMPLETED"
    nodes = await client.request("GET", f"/v1/workflows/runs/{mine[0]['id']}/node-runs")
    assert [(node["nodeName"], node["success"], node["content"]) for node in nodes] == [
        ("finance_agent", True, "[finance_agent] hello"),
        ("writer_agent", True, "[writer_agent] [finance_agent] hello"),
    ]
    assert all(node["startedAt"].endswith("Z") and node["endedAt"].endswith("Z") for node in nodes)
    assert await client.request("GET", f"/v1/workflows/runs/{mine[0]['id']}/child-node-runs") == []
    assert await client.request("DELETE", base) == {}
