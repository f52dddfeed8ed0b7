"""Every variant of the platform that was ever seen, in both generations: the same job, the same outcome.

The table of variants in docs is made of the traits listed here; see ``tests/docs/test_tables.py``.
"""

from __future__ import annotations

import json

import pytest
from client_tools import DOCUMENT, document, sha256

from opus_async import (
    AuthenticationError,
    ConfigurationError,
    JobFailed,
    JobStatus,
    NotFound,
    PermissionDenied,
    ProtocolError,
    QuotaExhausted,
)
from opus_async.simulator.traits import TRAITS
from opus_async.simulator.workflows import Workflow

CLOSED = {
    "browser_only": AuthenticationError,
    "permission_denied": PermissionDenied,
    "quota_exhausted": QuotaExhausted,
    "html_gateway": ProtocolError,
}
"""Variants in which nothing can run, and how that is told."""
NO_NODES_NAMED = {"audit_null", "audit_missing", "audit_html", "audit_trail"}
"""Variants whose audit names no failed node."""
ENDS = {
    "fails_as_timed_out": JobStatus.TIMED_OUT,
    "fails_as_stopped": JobStatus.CANCELLED,
    "fails_as_canceled": JobStatus.CANCELLED,
}
REFUSED_ONCE = {"execute_inner_error", "execute_error_object"}
"""Variants in which the first execute says, in words, that it started nothing: a row's error, not ours."""


ROWS = 6


@pytest.fixture(params=["v0", "v1"])
def api(request):
    return request.param


@pytest.mark.parametrize("trait", sorted(TRAITS.keys() - CLOSED.keys() - REFUSED_ONCE))
async def test_platform_variant_leaves_outcomes_unchanged(simulate, connect, api, trait):
    simulator = await simulate(
        traits=frozenset({trait}),
        queue_time=0.02,
        run_time=0.02,
        fail_share=0.3,
        waiting_share=0.3,
        waiting_time=0.03,
        rate_limit=150 if trait.startswith("throttle") else None,
        seed=11,
    )
    opus = connect(simulator)
    workflow_id = DOCUMENT
    if trait == "schema_retired":
        workflow_id = simulator.world.workflows.find(DOCUMENT).reference_entity_id
    rows = [{"Document": (f"{number}.txt", document(number))} for number in range(ROWS)]
    outcomes = {outcome.index: outcome async for outcome in opus.run_many(workflow_id, rows)}
    assert sorted(outcomes) == list(range(ROWS))
    failed = [outcome for outcome in outcomes.values() if not outcome.ok]
    assert 0 < len(failed) < ROWS
    for index, outcome in outcomes.items():
        assert outcome.status.is_terminal
        if outcome.ok and trait != "results_null":
            assert sha256(document(index)) in json.dumps(outcome.results)
            assert sha256(document(index)) in json.dumps(outcome.outputs)
    for outcome in failed:
        assert isinstance(outcome.error, JobFailed)
        assert outcome.status == ENDS.get(trait, JobStatus.FAILED)
        if trait not in NO_NODES_NAMED:
            assert outcome.error.failed_nodes
    state = simulator.state()["counters"]
    assert state["executed_twice"] == []
    assert state["jobs"] == ROWS


@pytest.mark.parametrize("trait", sorted(REFUSED_ONCE))
async def test_start_refused_in_response_body_is_not_resent(simulate, connect, api, trait):
    simulator = await simulate(traits=frozenset({trait}))
    rows = [{"Document": ("a.txt", b"text")}] * 3
    outcomes = [outcome async for outcome in connect(simulator).run_many(DOCUMENT, rows)]
    assert [outcome.status for outcome in outcomes] == [None] * 3
    assert all(outcome.job_id and outcome.error.stage == "execute" for outcome in outcomes)
    state = simulator.state()
    assert [job["execute_requests"] for job in state["jobs"].values() if job["execute_requests"]] == [1, 1, 1]
    assert state["counters"]["executions"] == 0


@pytest.mark.parametrize("trait", sorted(CLOSED))
async def test_platform_variant_that_cannot_run_raises_before_job_is_created(simulate, connect, api, trait):
    simulator = await simulate(traits=frozenset({trait}))
    with pytest.raises(CLOSED[trait]) as caught:
        await connect(simulator, retry={"attempts": 2}).run(DOCUMENT, {"Document": ("a.txt", b"text")})
    words = {
        "browser_only": "browsers only",
        "permission_denied": "Workflow: Full",
        "quota_exhausted": "is used up",
        "html_gateway": "HTML page",
    }
    assert words[trait] in str(caught.value)
    assert simulator.state()["counters"]["jobs"] == 0


async def test_trap_20_retired_workflow_details_of_short_id_raise_clear_error(simulate, connect, api):
    simulator = await simulate(traits=frozenset({"schema_retired"}))
    with pytest.raises(NotFound, match="no longer gives the details"):
        await connect(simulator).workflows.get(DOCUMENT)


async def test_trap_20_retired_workflow_details_of_uuid_are_read_from_fallback(simulate, connect, api):
    simulator = await simulate(traits=frozenset({"schema_retired"}))
    known: Workflow = simulator.world.workflows.find(DOCUMENT)
    workflow = await connect(simulator).workflows.get(known.reference_entity_id)
    assert list(workflow.inputs) == [variable.variable_name for variable in known.inputs]
    assert workflow.version == known.version


# Which generation is spoken


async def test_api_auto_uses_version_that_answers(simulate, connect):
    for generations, spoken in (("both", "v0"), ("v0", "v0"), ("v1", "v1")):
        simulator = await simulate(generations=generations)
        opus = connect(simulator, api="auto")
        assert " auto, " in repr(opus)
        rows = [{"Document": (f"{number}.txt", document(number))} for number in range(5)]
        outcomes = [outcome async for outcome in opus.run_many(DOCUMENT, rows)]
        assert all(outcome.ok for outcome in outcomes)
        assert f" {spoken}, " in repr(opus)
        requests = simulator.state()["counters"]["requests"]
        assert requests["status"] >= 5
        jobs = simulator.state()["jobs"]
        assert len(jobs) == 5


async def test_api_auto_probes_once_for_concurrent_first_calls(simulate, connect):
    import asyncio

    from opus_async import RequestSent

    told = []
    simulator = await simulate(generations="v1")
    opus = connect(simulator, api="auto", listeners=[told.append])
    await asyncio.gather(*(opus.workflows.get(DOCUMENT) for _ in range(10)))
    probes = [event.url for event in told if isinstance(event, RequestSent) and event.operation == "probe"]
    assert {url.removeprefix(simulator.base_url) for url in probes} == {
        "/job/0/status",
        "/job/0/status/opus-async-nowhere",
        "/api/v1/case/0/status",
        "/api/v1/case/0/status/opus-async-nowhere",
    }
    assert len(probes) == 6  # a no is asked for twice


async def test_api_auto_with_wrong_key_raises_on_each_call(simulate, connect):
    simulator = await simulate()
    opus = connect(simulator, api="auto", key="_" + "0" * 96)
    for _ in range(2):
        with pytest.raises(AuthenticationError, match="wrong or has expired"):
            await opus.workflows.get(DOCUMENT)


@pytest.mark.parametrize("trait", ["browser_only", "html_gateway"])
async def test_api_auto_raises_if_no_version_answers(simulate, connect, trait):
    opus = connect(await simulate(traits=frozenset({trait})), api="auto")
    with pytest.raises(ConfigurationError, match="answers as v0 or v1"):
        await opus.workflows.get(DOCUMENT)


async def test_api_version_comes_from_environment_unless_given(simulate, monkeypatch):
    from opus_async import OpusClient

    simulator = await simulate(generations="v1")
    monkeypatch.setenv("OPUS_API", " V1 ")
    async with OpusClient(simulator.service_key, base_url=simulator.base_url) as opus:
        assert (await opus.run(DOCUMENT, {"Document": ("a.txt", b"text")})).ok
    async with OpusClient(simulator.service_key, base_url=simulator.base_url, api="v0") as opus:
        with pytest.raises(NotFound):
            await opus.workflows.get(DOCUMENT)
    monkeypatch.setenv("OPUS_API", "v9")
    with pytest.raises(ConfigurationError, match=r"'v9' is no generation.*OPUS_API"):
        OpusClient(simulator.service_key)


async def test_api_version_v0_and_v1_do_not_share_job_ids(simulate, connect):
    simulator = await simulate()
    jobs, cases = connect(simulator, api="v0"), connect(simulator, api="v1")
    with pytest.raises(NotFound):
        await cases.jobs.status(await jobs.jobs.initiate(DOCUMENT))
    with pytest.raises(NotFound):
        await jobs.jobs.status(await cases.jobs.initiate(DOCUMENT))


async def test_api_auto_skips_version_that_fails():
    from aiohttp import web
    from client_tools import KEY, QUICK

    from opus_async import OpusClient

    def v1(request):
        if request.path == "/api/v1/case/0/status":
            return web.json_response({"statusCode": 404, "message": "Case not found"}, status=404)
        return None

    for status, body in (
        (500, {"message": "V1 workflow details are no longer supported"}),
        (502, {"message": "bad gateway"}),
        (403, {"message": "Missing Authentication Token"}),
        (401, {"message": "Invalid or expired API key"}),
        (410, {"message": "gone"}),
        (404, {"detail": "Not Found"}),
    ):

        async def handle(request, status=status, body=body):
            return v1(request) or web.json_response(body, status=status)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        retry = QUICK.model_copy(update={"attempts": 2})
        async with OpusClient(KEY, base_url=base_url, api="auto", retry=retry) as opus:
            assert (await opus._api.versions.version()).name == "v1", body
        await runner.cleanup()


@pytest.mark.parametrize("pin", [{"version": 2}, {"version_id": "00000000-0000-4000-8000-0000000000ff"}])
async def test_version_pin_ignored_by_server_raises_before_job_is_created(handmade, connect, api, pin):
    from handmade_opus import said

    schema = {"v": {"variable_name": "v", "display_name": "Input", "type": "str"}}
    told = {
        "version": 7,
        "workflowVersionId": "00000000-0000-4000-8000-000000000007",
        "jobPayloadSchema": schema,
    }
    server = await handmade(script={"workflow": [said(200, **told)] * 3})
    opus = connect(server)
    with pytest.raises(ProtocolError, match="ignores the version"):
        await opus.workflows.get(DOCUMENT, **pin)
    if "version" in pin:
        pin = {"version_number": pin["version"]}
    with pytest.raises(ProtocolError, match="ignores the version"):
        await opus.run(DOCUMENT, {"Input": "x"}, **pin)
    assert server.counts["initiate"] == 0
