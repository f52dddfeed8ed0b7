"""Callbacks: what reaches a real receiver on this machine, what never leaves, and what is planned."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from opus_async.simulator.builtin import BUILTIN
from opus_async.simulator.callback_plans import (
    BODIES,
    CHANGED,
    CUT,
    EXACT,
    PROFILES,
    REPLACED,
    plan,
    target_url,
    write_body,
)
from opus_async.simulator.callbacks import AT_ONCE, loopback_target, origin
from opus_async.simulator.runs import Job, Run

TEXT_ID = "T3xtOnlyWorkfl0w"
TEXT_INPUT = "workflow_input_t3xtinput"
TOKEN = "5ynthet1cT0ken"
ENDS = {"COMPLETED", "FAILED"}


@dataclass
class Post:
    target: str
    body: bytes
    content_type: str
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """A server that keeps every request and answers as told; 200 when nothing more is told."""

    url: str = ""
    answers: list[web.Response] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    arrived: asyncio.Queue[Post] = field(default_factory=asyncio.Queue)
    free: asyncio.Event = field(default_factory=asyncio.Event)
    held: int = 0
    most_held: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        post = Post(request.raw_path, await request.read(), request.content_type, request.headers)
        assert request.method == "POST"
        self.posts.append(post)
        self.held += 1
        self.most_held = max(self.held, self.most_held)
        self.arrived.put_nowait(post)
        await self.free.wait()
        self.held -= 1
        return self.answers.pop(0) if self.answers else web.Response()

    async def next(self) -> Post:
        async with asyncio.timeout(10):
            return await self.arrived.get()


@asynccontextmanager
async def listening(tls=None):
    receiver = Receiver()
    receiver.free.set()
    application = web.Application(client_max_size=4 * 1024 * 1024)
    application.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http{'s' if tls else ''}://{host}:{port}/opus/{TOKEN}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@pytest.fixture
async def receiver():
    async with listening() as receiver:
        yield receiver


@pytest.fixture
def tls(tmp_path):
    """The settings of a server with a certificate that nobody trusts."""
    if not shutil.which("openssl"):
        pytest.skip("makes a certificate with openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    kind = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    names = ("-keyout", key, "-out", certificate, "-days", "7", "-subj", "/CN=localhost")
    subprocess.run(["openssl", *kind, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def start_job(api, callback_url, title="a title"):
    job_id = await api.initiate(title=title)
    assert (await api.execute(job_id, callbackUrl=callback_url)).status == 201
    return job_id


def sender_of(api):
    return api.simulator.world.callback_sender


async def settled(api):
    """Wait until nothing is on its way; what still waits for its moment is left."""
    async with asyncio.timeout(10):
        await asyncio.gather(*sender_of(api)._senders)


def fire(api):
    """Wake every POST that waits, whether its moment has come or not."""
    sender = sender_of(api)
    for errand, timer in list(sender._timers.items()):
        timer.cancel()
        sender._fall_due(errand)


def counted(api):
    return api.simulator.state()["counters"]["callbacks"]


async def test_simulator_callback_reports_completed_job_once_with_results(serve, receiver):
    api = await serve(run_time=0.05)
    job_id = await start_job(api, receiver.url)
    post = await receiver.next()
    assert await api.status(job_id) == "COMPLETED"
    results = (await api.get(f"/job/{job_id}/results")).json
    assert post.json == {"jobExecutionId": job_id, "status": "COMPLETED", **results}
    assert (post.target, post.content_type) == (f"/opus/{TOKEN}", "application/json")
    assert "x-service-key" not in post.headers
    await settled(api)
    assert counted(api) == {
        "sent": 1, "delivered": 1, "failed": 0, "skipped": 0, "forged": 0, "answers": {"200": 1},
    }  # fmt: skip
    assert not sender_of(api)._timers


async def test_simulator_callback_reports_failed_job_without_results(serve, receiver):
    api = await serve(fail_share=1)
    job_id = await start_job(api, receiver.url)
    assert (await receiver.next()).json == {"jobExecutionId": job_id, "status": "FAILED"}


async def test_simulator_callback_of_v1_case_uses_v1_field_names(serve, receiver):
    api = await serve()
    body = {"workflowId": TEXT_ID, "title": "a title", "description": "a description"}
    case_id = (await api.post("/api/v1/case", body)).json["caseId"]
    payload = {TEXT_INPUT: {"value": "hello", "type": "str"}}
    await api.post(f"/api/v1/case/{case_id}/execute", {"payload": payload, "callbackUrl": receiver.url})
    told = (await receiver.next()).json
    results = (await api.get(f"/api/v1/case/{case_id}/results")).json
    assert told == {"caseId": case_id, "status": "COMPLETED", **results}


async def test_simulator_callback_is_sent_for_each_execution_of_a_job(serve, receiver):
    api = await serve()
    job_id = await api.initiate()
    for _ in range(2):
        await api.execute(job_id, callbackUrl=receiver.url)
        assert (await receiver.next()).json["jobExecutionId"] == job_id


async def test_simulator_callback_url_is_requested_byte_for_byte(serve, receiver):
    api = await serve()
    await start_job(api, f"{receiver.url}/a%2Fb//%7e?x=%41&y=a+b")
    assert (await receiver.next()).target == f"/opus/{TOKEN}/a%2Fb//%7e?x=%41&y=a+b"


async def test_simulator_callback_accepts_self_signed_certificate_of_loopback_receiver(serve, tls):
    api = await serve()
    async with listening(tls) as receiver:
        await start_job(api, receiver.url)
        assert (await receiver.next()).json["status"] == "COMPLETED"
        await api.simulator.stop()


async def test_simulator_callback_to_other_hosts_is_skipped(api):
    for url in ("https://callback.opus-async.invalid/x", "https://example.com/hook"):
        await start_job(api, url)
    await api.execute(await api.initiate())
    assert (counted(api)["skipped"], counted(api)["sent"]) == (2, 0)
    sender = sender_of(api)
    assert not sender._timers
    assert not sender._senders
    assert sender._session is None


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://127.0.0.1:80/x", "http://127.0.0.1:80/x"),
        ("http://127.9.8.7:5/x?y", "http://127.9.8.7:5/x?y"),
        ("http://localhost:5/%41", "http://127.0.0.1:5/%41"),
        ("https://[::1]:5/x", "https://[::1]:5/x"),
        ("https://example.com/x", None),
        ("https://127.0.0.1.example.com/", None),
        ("https://127.0.0.1@example.com/", None),
        ("https://127.0.0.1:80@example.com/", None),
        ("https://localhost.example.com/", None),
        ("http://10.0.0.1/", None),
        ("http://0.0.0.0/", None),
        ("http://127.1/", None),
        ("ftp://127.0.0.1/", None),
        ("http://[::1", None),
        ("/x", None),
        ("", None),
    ],
)
def test_simulator_callback_target_is_loopback_only(url, target):
    assert loopback_target(url) == (None if target is None else URL(target, encoded=True))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@example.com:8443/secret?secret#secret", "https://example.com:8443"),
        ("http://127.0.0.1:5/secret", "http://127.0.0.1:5"),
        ("secret", ""),
    ],
)
def test_simulator_callback_url_is_shown_as_its_origin_only(url, shown):
    assert origin(url) == shown


async def test_simulator_callback_is_sent_again_once_after_a_500(serve, receiver):
    api = await serve()
    receiver.answers = [web.Response(status=500)]
    await start_job(api, receiver.url)
    first, second = await receiver.next(), await receiver.next()
    assert first.body == second.body
    await settled(api)
    assert counted(api) | {"sent": 2, "delivered": 1, "failed": 1} == counted(api)
    assert counted(api)["answers"] == {"200": 1, "500": 1}


async def test_simulator_callback_does_not_follow_redirects_and_stops_after_two_attempts(serve, receiver):
    api = await serve()
    receiver.answers = [web.Response(status=307, headers={"Location": "/elsewhere"}) for _ in range(2)]
    await start_job(api, receiver.url)
    await receiver.next()
    await receiver.next()
    await settled(api)
    assert {post.target for post in receiver.posts} == {f"/opus/{TOKEN}"}
    assert (counted(api)["failed"], counted(api)["answers"]) == (2, {"307": 2})
    assert not sender_of(api)._timers


async def test_simulator_callback_to_closed_port_is_counted_as_failed(serve, clock, unused_tcp_port):
    api = await serve(clock=clock)
    await start_job(api, f"http://127.0.0.1:{unused_tcp_port}/{TOKEN}")
    for _ in range(2):
        clock.forward(1)
        fire(api)
        await settled(api)
    assert not sender_of(api)._timers
    assert counted(api) | {"sent": 2, "failed": 2, "answers": {}} == counted(api)


async def test_simulator_callback_is_not_sent_before_its_time_on_the_simulator_clock(serve, clock, receiver):
    api = await serve(clock=clock, run_time=10)
    await start_job(api, receiver.url)
    for _ in range(3):
        clock.forward(3)
        fire(api)
    assert not sender_of(api)._senders
    clock.forward(1)
    fire(api)
    assert (await receiver.next()).json["status"] == "COMPLETED"


async def test_simulator_callback_concurrency_is_limited(serve, receiver):
    api = await serve()
    receiver.free.clear()
    for number in range(AT_ONCE + 6):
        await start_job(api, receiver.url, title=f"row {number}")
    for _ in range(AT_ONCE):
        await receiver.next()
    assert len(sender_of(api)._senders) == AT_ONCE
    receiver.free.set()
    for _ in range(6):
        await receiver.next()
    assert receiver.most_held == AT_ONCE
    await settled(api)
    assert counted(api)["delivered"] == AT_ONCE + 6


@pytest.mark.parametrize(("run_time", "waiting", "on_their_way"), [(60, 1, 0), (0, 0, 1)])
async def test_simulator_callback_timers_and_senders_are_gone_after_stop(
    serve, receiver, run_time, waiting, on_their_way
):
    api = await serve(run_time=run_time)
    sender = sender_of(api)
    receiver.free.clear()
    await start_job(api, receiver.url)
    if on_their_way:
        await receiver.next()
    assert (len(sender._timers), len(sender._senders)) == (waiting, on_their_way)
    async with asyncio.timeout(1):
        await api.simulator.stop()
    assert not sender._timers
    assert not sender._senders
    receiver.free.set()


async def test_simulator_callback_url_path_is_hidden_in_state_repr_and_log(serve, receiver, capfd):
    api = await serve(run_time=60, verbose=True)
    job_id = await start_job(api, receiver.url)
    job = api.simulator.world.jobs.find(job_id)
    state = api.simulator.state()
    shown = "".join(map(str, (job, *sender_of(api)._timers.items(), state, *capfd.readouterr())))
    assert state["jobs"][job_id]["callback_url"] == receiver.url.partition("/opus")[0]
    assert "/job/execute 201" in shown
    assert TOKEN not in shown


async def test_simulator_callback_profile_forged_sends_forgeries_first_and_the_real_one_last(
    serve, clock, receiver
):
    api = await serve(clock=clock, run_time=10, callbacks="forged")
    job_id = await start_job(api, receiver.url)
    clock.forward(9.999)
    fire(api)
    await settled(api)
    lies = list(receiver.posts)
    exact = [post for post in lies if post.target == f"/opus/{TOKEN}"]
    assert 1 <= len(exact) <= 3
    assert len(lies) == len(exact) + 3
    assert len({post.target for post in lies}) == 4
    assert all((post.json["jobExecutionId"], post.json["status"]) == (job_id, "COMPLETED") for post in lies)
    assert all(b"forged" in post.body for post in lies)
    assert counted(api) | {"forged": len(lies), "sent": 0, "delivered": 0, "failed": 0} == counted(api)
    clock.forward(1)
    fire(api)
    await settled(api)
    (truth,) = receiver.posts[len(lies) :]
    assert (truth.target, b"forged" in truth.body) == (f"/opus/{TOKEN}", False)
    assert counted(api)["delivered"] == 1


async def test_simulator_callback_profile_garbage_sends_bodies_of_odd_sizes_and_content_types(
    serve, receiver
):
    api = await serve(callbacks="garbage")
    titles = [f"row {number}" for number in range(16)]
    for title in titles:
        await start_job(api, receiver.url, title=title)
    posts = [await receiver.next() for _ in titles]
    assert {len(post.body) for post in posts} > {0, 64, 1024 * 1024}
    assert {post.content_type for post in posts} == {
        "application/json",
        "application/octet-stream",
        "text/html",
    }


# Plans, without a server.

RUN = Run(accepted_at=1000.0, queue=1.0, work=9.0, waiting=0.0, nodes=4, failing_node=None)
END = 1010.0


def planned(name, number=0, seed=0):
    job = Job("1", f"row {number}#1", BUILTIN[0], {}, 0.0, run=RUN, executions=1)
    return list(plan(name, seed, job, RUN))


@pytest.mark.parametrize(
    ("name", "earliest", "latest", "posts"),
    [
        ("prompt", END, END, 1),
        ("late", END + 0.5, END + 2, 1),
        ("twice", END, END + 0.5, 2),
        ("never", 0, 0, 0),
        ("forged", END, END, 1),
        ("garbage", END, END, 1),
        ("early", END - 0.3, END - 0.02, 1),
    ],
)
def test_simulator_callback_profile_plans_posts_within_its_time_window(name, earliest, latest, posts):
    plans = [planned(name, number) for number in range(200)]
    honest = [[posting for posting in one if not posting.forged] for one in plans]
    assert {len(one) for one in honest} == {posts}
    assert all(earliest <= posting.moment <= latest for one in honest for posting in one)
    assert {posting.form for one in honest for posting in one} <= set(PROFILES[name].bodies)
    lies = [posting for one in plans for posting in one if posting.forged]
    assert all(RUN.accepted_at <= posting.moment < END for posting in lies)
    assert {posting.target for posting in lies} == (
        {EXACT, CHANGED, REPLACED, CUT} if name == "forged" else set()
    )


def test_simulator_callback_plan_is_reproducible_from_seed_and_job():
    assert planned("late", 1) == planned("late", 1)
    assert planned("late", 1) != planned("late", 2)
    assert planned("late", 1) != planned("late", 1, seed=1)


def test_simulator_callback_profile_mixed_draws_every_other_profile():
    assert set(PROFILES["mixed"].among) == set(PROFILES) - {"mixed"}
    drawn = Counter(
        next(name for name in PROFILES["mixed"].among if planned(name, number) == planned("mixed", number))
        for number in range(300)
    )
    assert set(drawn) == set(PROFILES["mixed"].among)


def test_simulator_callback_profile_early_sends_nothing_before_the_execute():
    run = Run(accepted_at=1000.0, queue=0.0, work=0.0, waiting=0.0, nodes=4, failing_node=None)
    job = Job("1", "row#1", BUILTIN[0], {}, 0.0, run=run, executions=1)
    assert [posting.moment for posting in plan("early", 0, job, run)] == [1000.0]


@pytest.mark.parametrize("work", [0.0, 8.0])
@pytest.mark.parametrize("waiting", [0.0, 4.0])
@pytest.mark.parametrize("failing_node", [None, 0, 3])
def test_simulator_run_reaches_final_status_exactly_at_ends_at(work, waiting, failing_node):
    run = Run(1024.0, queue=1.0, work=work, waiting=waiting, nodes=4, failing_node=failing_node)
    assert run.status(run.ends_at) in ENDS
    assert run.status(run.ends_at - 0.001) not in ENDS


@pytest.mark.parametrize(
    ("path", "changed", "cut"),
    [
        (f"/opus/{TOKEN}", f"/opus/{TOKEN[:-1]}0", "/opus/"),
        (f"/opus/{TOKEN}/", f"/opus/{TOKEN[:-1]}0", "/opus/"),
        ("/t%2Fk0?a=b", "/t%2Fk1", "/"),
        ("/", "/0", "/"),
    ],
)
def test_simulator_callback_forged_targets_have_changed_cut_or_replaced_path(path, changed, cut):
    url = URL("http://127.0.0.1:5" + path, encoded=True)
    assert target_url(url, EXACT) is url
    assert target_url(url, CHANGED).raw_path_qs == changed
    assert target_url(url, CUT).raw_path_qs == cut
    replaced = target_url(url, REPLACED, 1)
    assert replaced != target_url(url, REPLACED, 2)
    assert (replaced.raw_path.rpartition("/")[0], replaced.query_string) == (changed.rpartition("/")[0], "")


def test_simulator_callback_body_forms_are_all_used_by_some_profile():
    told = {"jobExecutionId": "1", "status": "COMPLETED", "jobResultsPayloadSchema": {"x": 1}}
    assert {form for profile in PROFILES.values() for form in profile.bodies} == set(BODIES)
    short = {"jobExecutionId": "1", "status": "COMPLETED"}
    assert json.loads(write_body("full", told)[0]) == told
    assert json.loads(write_body("short", told)[0]) == short
    assert json.loads(write_body("event", told)[0])["data"] == short
