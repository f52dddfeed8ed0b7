"""Faults: repeatable decisions, what they look like on the wire, and that a patient client gets through."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import aiohttp
import pytest

from opus_async.simulator import PROFILES, fault_injection, faults
from opus_async.simulator.faults import KINDS, FaultSource, Profile, Rule, Waves
from opus_async.simulator.rate import TokenBucket

OPERATIONS = ("workflow", "initiate", "presign", "execute", "status", "results", "audit", "put")


def decisions(profile, seed, identities, rounds=6):
    source = FaultSource(profile, seed, started_at=0)
    order = [(operation, identity) for identity in identities for operation in OPERATIONS]
    return {
        (operation, identity, nth): source.next(operation, identity, now=0.1)
        for nth in range(rounds)
        for operation, identity in order
    }


def test_simulator_faults_do_not_depend_on_the_order_of_requests():
    names = [f"row {number}#1" for number in range(40)]
    hostile = PROFILES["hostile"]
    forward, backward = decisions(hostile, 7, names), decisions(hostile, 7, names[::-1])
    assert forward == backward
    assert forward != decisions(hostile, 8, names)


def test_simulator_fault_kinds_are_all_used_by_some_profile():
    used = {rule.kind for profile in PROFILES.values() for rules in profile.rules.values() for rule in rules}
    waves = {kind for p in PROFILES.values() for w in (p.api_waves, p.storage_waves) if w for kind in w.kinds}
    assert used | waves == set(KINDS)


@pytest.mark.parametrize("name", ["flaky", "hostile"])
def test_simulator_fault_profile_hits_the_share_of_its_rules(name):
    profile = PROFILES[name]
    drawn = [profile.decide(1, "initiate", f"row {number}", 1) for number in range(20_000)]
    share = sum(fault is not None for fault in drawn) / len(drawn)
    assert share == pytest.approx(sum(rule.share for rule in profile.rules["initiate"]), abs=0.02)


def test_simulator_fault_profile_patience_lets_a_repeated_request_through():
    always = Profile(
        "always", "", {"status": (Rule(faults.RESET_BEFORE, 1.0),), "execute": (Rule(faults.SLOW, 1.0),)}
    )
    source = FaultSource(always, 0, 0)
    assert [source.next("status", "x", 0) is None for _ in range(4)] == [False, False, False, True]
    assert [source.next("execute", "x", 0) is None for _ in range(2)] == [False, True]


def test_simulator_fault_rule_can_hit_the_first_request_only():
    once = Profile("once", "", {"status": (Rule(faults.NOT_FOUND, 1.0, first=1),)})
    source = FaultSource(once, 0, 0)
    assert [source.next("status", "x", 0) is None for _ in range(3)] == [False, True, True]


def test_simulator_fault_wave_answers_429_to_repeated_execute():
    always = Profile("always", "", api_waves=Waves(1.0, 1.0, (faults.UNAVAILABLE,)))
    source = FaultSource(always, 0, 0)
    kinds = [source.next("execute", "x", 0.5).kind for _ in range(3)]
    assert kinds == [faults.UNAVAILABLE, faults.RATE_LIMITED, faults.RATE_LIMITED]


def test_simulator_fault_waves_come_at_the_end_of_each_period():
    waves = Waves(2.0, 0.5, ("a", "b"))
    assert [waves.kind_at(t) for t in (0, 1.4, 1.6, 2.1, 3.9, 5.6)] == [None, None, "a", None, "b", "a"]


def test_simulator_fault_cut_json_body_is_never_valid_json():
    for body in (b'{"a": 1}', b"12345", b"[]", b""):
        for share in (0, 0.3, 0.99):
            cut = body[: fault_injection._cut(body, share)]
            with pytest.raises(ValueError):
                json.loads(cut)


@pytest.fixture
def only(monkeypatch):
    """Make a profile of one certain fault."""

    def make(operation, kind, first=1):
        profile = Profile("only", "", {operation: (Rule(kind, 1.0, first=first),)})
        monkeypatch.setitem(PROFILES, "only", profile)
        return "only"

    return make


CLOSED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError)


async def initiate(api):
    return await api.post(
        "/job/initiate", {"workflowId": "T3xtOnlyWorkfl0w", "title": "t", "description": "d"}
    )


@pytest.mark.parametrize(
    ("kind", "jobs"), [(faults.RESET_BEFORE, 0), (faults.RESET_AFTER, 1), (faults.TRUNCATED, 1)]
)
async def test_simulator_fault_reset_or_truncated_loses_the_response(serve, only, kind, jobs):
    api = await serve(faults=only("initiate", kind))
    with pytest.raises(CLOSED):
        await initiate(api)
    counters = api.simulator.state()["counters"]
    assert (counters["jobs"], counters["faults"]) == (jobs, {f"initiate.{kind}": 1})
    assert (await initiate(api)).status == 201


@pytest.mark.parametrize(("kind", "jobs"), [(faults.ERROR_BEFORE, 0), (faults.ERROR_AFTER, 1)])
async def test_simulator_fault_server_error_is_an_html_page(serve, only, kind, jobs):
    api = await serve(faults=only("initiate", kind))
    reply = await initiate(api)
    assert reply.status in (500, 502, 503, 504)
    assert reply.headers["Content-Type"] == "text/html"
    assert b"<html>" in reply.raw
    assert api.simulator.state()["counters"]["jobs"] == jobs


async def test_simulator_fault_cut_json_answers_invalid_json(serve, only):
    api = await serve(faults=only("initiate", faults.CUT_JSON))
    reply = await initiate(api)
    assert reply.status == 201
    with pytest.raises(ValueError):
        json.loads(reply.raw)


async def test_simulator_fault_rate_limited_answers_429_with_retry_after_seconds(serve, only):
    api = await serve(faults=only("initiate", faults.RATE_LIMITED))
    reply = await initiate(api)
    assert (reply.status, reply.message) == (429, "Too many requests")
    assert reply.json["metadata"]["retryAfterSeconds"] in (0, 1, 2)


async def test_simulator_fault_slow_delays_response_but_sends_all_of_it(serve, only, monkeypatch):
    monkeypatch.setattr(fault_injection, "SHORTEST_DELAY", 0.01)
    monkeypatch.setattr(fault_injection, "LONGEST_DELAY", 0.02)
    api = await serve(faults=only("initiate", faults.SLOW))
    assert (await initiate(api)).status == 201


async def test_simulator_fault_odd_status_hides_the_status_once(serve, only):
    api = await serve(faults=only("status", faults.ODD_STATUS), run_time=60)
    job_id = await api.initiate()
    await api.execute(job_id)
    odd = await api.get(f"/job/{job_id}/status")
    assert odd.status == 200
    assert b"IN_PROGRESS" not in odd.raw
    assert await api.status(job_id) == "IN_PROGRESS"


async def test_simulator_fault_not_found_hides_job_only_after_its_execution(serve, only):
    api = await serve(faults=only("status", faults.NOT_FOUND))
    job_id = await api.initiate()
    assert (await api.get(f"/job/{job_id}/status")).status == 200
    await api.execute(job_id)
    assert [(await api.get(f"/job/{job_id}/status")).status for _ in range(2)] == [404, 200]


async def test_simulator_fault_error_after_keeps_404_for_unknown_job(serve, only):
    api = await serve(faults=only("status", faults.ERROR_AFTER))
    assert (await api.get("/job/unknown/status")).status >= 500
    assert (await api.get("/job/unknown/status")).status == 404


async def test_simulator_fault_expired_slot_gives_expired_upload_url(serve, only):
    api = await serve(faults=only("presign", faults.EXPIRED_SLOT))
    reply = await api.put((await api.presign())["presignedUrl"], b"x")
    assert (reply.status, reply.code) == (403, "AccessDenied")
    assert (await api.put((await api.presign())["presignedUrl"], b"x")).status == 200


@pytest.mark.parametrize(
    ("kind", "status", "code"), [(faults.SLOW_DOWN, 503, "SlowDown"), (faults.FORBIDDEN, 403, "AccessDenied")]
)
async def test_simulator_fault_slow_down_or_forbidden_refuses_storage_put_once(
    serve, only, kind, status, code
):
    api = await serve(faults=only("put", kind))
    url = (await api.presign())["presignedUrl"]
    reply = await api.put(url, b"x")
    assert (reply.status, reply.code) == (status, code)
    assert (await api.put(url, b"x")).status == 200


@pytest.mark.parametrize(
    ("kind", "stored"), [(faults.RESET_BEFORE, 0), (faults.CUT_UPLOAD, 0), (faults.RESET_AFTER, 1)]
)
async def test_simulator_fault_reset_or_cut_upload_closes_connection_of_storage_put(
    serve, only, kind, stored
):
    # Twice, because aiohttp sends an idempotent request once more by itself.
    api = await serve(faults=only("put", kind, first=2))
    url = (await api.presign())["presignedUrl"]
    with pytest.raises(CLOSED):
        await api.put(url, b"x" * 300_000)
    assert api.simulator.state()["counters"]["stored_files"] == stored


def test_simulator_token_bucket_grants_its_rate():
    bucket = TokenBucket(10, refilled_at=0)
    assert [bucket.take(0) for _ in range(10)] == [0.0] * 10
    assert bucket.take(0) == pytest.approx(0.1)
    assert bucket.take(0.1) == 0
    assert bucket.take(0.15) == pytest.approx(0.05)


async def test_simulator_rate_limit_answers_429(serve, clock):
    api = await serve(clock=clock, rate_limit=3)
    replies = [await api.get("/workflow/T3xtOnlyWorkfl0w") for _ in range(5)]
    assert [reply.status for reply in replies] == [200, 200, 200, 429, 429]
    assert replies[-1].json["metadata"] == {"retryAfterSeconds": 1}
    assert api.simulator.state()["counters"]["rate_limited"] == 2
    clock.forward(1)
    assert (await api.get("/workflow/T3xtOnlyWorkfl0w")).status == 200


async def test_simulator_fault_profile_storm_refuses_api_and_storage_for_a_while(serve, clock):
    api = await serve(clock=clock, faults="storm", seed=1)
    slot = await api.presign(originalName="a.txt")
    seen = []
    for _ in range(4):
        seen.append((await api.get("/workflow/T3xtOnlyWorkfl0w")).status)
        clock.forward(0.85)
    assert seen == [200, 200, 429, 200]
    clock.forward(0.3)
    assert (await api.get("/workflow/T3xtOnlyWorkfl0w")).status == 503
    clock.forward(1)
    assert (await api.put(slot["presignedUrl"], b"x")).code == "SlowDown"


class PatientClient:
    """The least that a correct client does: repeat what is safe, and look before it repeats an execute."""

    def __init__(self, api):
        self.api = api

    async def ask(self, method, path, body=None):
        """Repeat until there is a whole answer; for everything but execute."""
        for _ in range(12):
            try:
                reply = await self.api.call(method, path, body)
                value = json.loads(reply.raw)
            except (*CLOSED, ValueError):
                continue
            if reply.status < 300 and value and (not path.endswith("/status") or self.has_status(value)):
                return value
        raise AssertionError(f"{method} {path} never got through")

    @staticmethod
    def has_status(value):
        return isinstance(value, dict) and isinstance(value.get("status"), str) and value["status"]

    async def execute_once(self, job_id):
        try:
            return (await self.api.execute(job_id)).status == 201
        except CLOSED:
            return False

    async def upload(self, name):
        """Presign anew for every attempt: an expired slot and a refused one look alike."""
        body = {"fileExtension": ".txt", "accessScope": "organization", "originalName": name}
        for _ in range(12):
            slot = await self.ask("POST", "/job/file/upload", body)
            try:
                if (await self.api.put(slot["presignedUrl"], b"bytes of " + name.encode())).status == 200:
                    return slot["fileUrl"]
            except CLOSED:
                continue
        raise AssertionError(f"{name} never got through")

    async def run(self, title):
        await self.upload(f"{title}.txt")
        body = {"workflowId": "T3xtOnlyWorkfl0w", "title": title, "description": "d"}
        job_id = (await self.ask("POST", "/job/initiate", body))["jobExecutionId"]
        for _ in range(2):
            if await self.execute_once(job_id):
                break
            if (await self.ask("GET", f"/job/{job_id}/status"))["status"] != "PENDING":
                break
        else:
            raise AssertionError("execute never got through")
        assert (await self.ask("GET", f"/job/{job_id}/status"))["status"] == "COMPLETED"
        return await self.ask("GET", f"/job/{job_id}/results")


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_simulator_fault_profile_hostile_causes_no_second_execution_by_careful_client(
    serve, monkeypatch, seed
):
    monkeypatch.setattr(fault_injection, "SHORTEST_DELAY", 0.0)
    monkeypatch.setattr(fault_injection, "LONGEST_DELAY", 0.001)
    monkeypatch.setattr(fault_injection, "_WAITS", (0,))
    api = await serve(faults="hostile", seed=seed)
    client = PatientClient(api)
    async with asyncio.TaskGroup() as group:
        for number in range(60):
            group.create_task(client.run(f"row {number}"))
    counters = api.simulator.state()["counters"]
    assert counters["executed_twice"] == []
    assert counters["executed_jobs"] == counters["executions"] == 60
    hit = {name for name, number in counters["faults"].items() if number and name.startswith("execute.")}
    assert len(hit) >= 5


async def test_simulator_faults_are_reproducible_from_seed(serve, monkeypatch):
    monkeypatch.setitem(PROFILES, "hostile", replace(PROFILES["hostile"], patience=1))
    monkeypatch.setattr(fault_injection, "LONGEST_DELAY", 0.1)

    async def injected():
        api = await serve(faults="hostile", seed=5)
        for number in range(30):
            try:
                await api.post("/job/initiate", {"workflowId": "T3xtOnlyWorkfl0w", "title": f"row {number}"})
            except CLOSED:
                continue
        return api.simulator.state()["counters"]["faults"]

    first = await injected()
    assert first == await injected()
    assert first
