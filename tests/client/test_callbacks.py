"""The callback receiver, on real sockets: a call is a hint, and only the platform is believed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging

import aiohttp
import pytest
from aiohttp import web
from client_tools import TEXT, until

from opus_async import CallbackReceiver, ConfigurationError, JobStatus
from opus_async.jobs import polling
from opus_async.opus import callbacks
from opus_async.testing import quick_polls

LAZY = 2.0
"""Half the seconds between ordinary polls in these tests: whoever is much quicker was called."""


@pytest.fixture(autouse=True)
def _lazy(_quick):
    with quick_polls(LAZY):
        yield


async def post(url, body=b"{}", **options):
    async with aiohttp.ClientSession() as session, session.post(url, data=body, **options) as answer:
        return answer.status


# The receiver alone


async def test_callback_receiver_wakes_the_job_whose_url_is_called():
    woken = []
    receiver = CallbackReceiver()
    receiver.attach(woken.append)
    async with receiver.listening() as public_url:
        urls = [receiver.url_for(job_id) for job_id in ("2514", "a/b?c", "jöb")]
        assert all(url.startswith(f"{public_url}/") for url in urls)
        assert [await post(url) for url in urls] == [204] * 3
    assert woken == ["2514", "a/b?c", "jöb"]
    assert receiver.counts.accepted == 3


async def test_callback_receiver_mounts_into_callers_aiohttp_app():
    woken = []
    receiver = CallbackReceiver("https://me.example.com/opus/")
    receiver.attach(woken.append)
    app = web.Application()
    app.add_subapp("/opus", receiver.app)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        url = receiver.url_for("7")
        assert url.startswith("https://me.example.com/opus/")
        local = url.replace("https://me.example.com", f"http://127.0.0.1:{port}")
        assert await post(local) == 204
        async with aiohttp.ClientSession() as session, session.get(local) as answer:
            assert answer.status == 405
    finally:
        await runner.cleanup()
    assert woken == ["7"]


async def test_callback_receiver_refuses_foreign_tokens():
    woken = []
    receiver = CallbackReceiver("https://me.example.com")
    receiver.attach(woken.append)
    mine = receiver.url_for("1").rpartition("/")[2]
    assert mine.startswith("oacb-")
    theirs = CallbackReceiver("https://me.example.com").url_for("1").rpartition("/")[2]
    other_job = CallbackReceiver("https://me.example.com", secret=b"s" * 16).url_for("2").rpartition("/")[2]
    name, _, proof = mine.partition(".")
    wrong = [
        theirs,
        other_job,
        name,
        f"{name}.",
        f".{proof}",
        "",
        "x",
        f"{name}.{proof}x",
        f"MTE.{proof}",
        "é.é",
    ]
    wrong += [f"{name}.\udcff", "%FF.%FF", "____.____"]
    assert [receiver.handle_token(token) for token in wrong] == [404] * len(wrong)
    assert woken == []
    assert receiver.counts.refused == len(wrong)
    assert receiver.handle_token(mine) == 204


async def test_callback_receiver_makes_same_urls_from_same_secret():
    first, second = (CallbackReceiver("https://x.example", secret="s" * 32) for _ in range(2))
    assert first.url_for("1") == second.url_for("1")
    with pytest.raises(ConfigurationError, match="too short"):
        CallbackReceiver(secret="short")


async def test_callback_receiver_ignores_repeated_call_within_a_second(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(callbacks, "monotonic", lambda: clock[0])
    woken = []
    receiver = CallbackReceiver("https://x.example")
    receiver.attach(woken.append)
    token = receiver.url_for("1").rpartition("/")[2]
    assert [receiver.handle_token(token) for _ in range(5)] == [204] * 5
    assert (woken, receiver.counts.repeated) == (["1"], 4)
    clock[0] += 1.0
    assert receiver.handle_token(token) == 204
    assert woken == ["1", "1"]


async def test_callback_receiver_answers_429_beyond_rate_and_bounds_memory(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(callbacks, "monotonic", lambda: clock[0])
    monkeypatch.setattr(callbacks, "REMEMBERED", 20)
    receiver = CallbackReceiver("https://x.example", rate=10)
    tokens = [receiver.url_for(str(number)).rpartition("/")[2] for number in range(100)]
    assert [receiver.handle_token(token) for token in tokens[:12]] == [204] * 10 + [429] * 2
    clock[0] += 1.0
    assert [receiver.handle_token(token) for token in tokens[12:24]] == [204] * 10 + [429] * 2
    clock[0] += 1.0
    for token in tokens[24:34]:
        assert receiver.handle_token(token) == 204
    assert len(receiver._last) == 20
    assert receiver.counts.throttled == 4


async def test_callback_receiver_discards_any_body_and_cuts_huge_one():
    woken = []
    receiver = CallbackReceiver()
    receiver.attach(woken.append)
    async with receiver.listening():
        bodies = [b"", b"\xff\x00 no json", b"x" * 900_000]
        for number, body in enumerate(bodies):
            url = receiver.url_for(str(number))
            assert await post(url, io.BytesIO(body), headers={"Content-Type": "image/png"}) == 204
        with contextlib.suppress(aiohttp.ClientError):  # the connection is closed while the rest is sent
            assert await post(receiver.url_for("huge"), io.BytesIO(b"x" * 50_000_000)) == 204
    assert woken == ["0", "1", "2", "huge"]


async def test_callback_receiver_repr_and_log_hide_secrets(caplog):
    caplog.set_level(logging.DEBUG)
    receiver = CallbackReceiver("https://me.example.com", secret="a-secret-of-mine-0123456789")
    async with receiver.listening() as _:
        token = receiver.url_for("1").rpartition("/")[2]
        receiver.handle_token(token)
        proof = token.partition(".")[2]
        shown = f"{receiver!r} {receiver.counts}"
    assert "a-secret" not in shown + caplog.text
    assert proof not in shown + caplog.text


@pytest.mark.parametrize("rate", [0, -1, 0.5, float("nan"), float("inf")])
def test_callback_receiver_refuses_invalid_rate(rate):
    with pytest.raises(ConfigurationError, match="a second"):
        CallbackReceiver(rate=rate)


@pytest.mark.parametrize("url", ["https://me/opus?x=1", "https://me/#x", "https://user:pass@me/opus"])
def test_callback_receiver_refuses_public_url_with_query_fragment_or_user(url):
    with pytest.raises(ConfigurationError, match="no query"):
        CallbackReceiver(url)
    receiver = CallbackReceiver()
    with pytest.raises(ConfigurationError, match="no query"):
        receiver.public_url = url


async def test_callback_receiver_can_listen_again_and_has_no_url_between():
    woken = []
    receiver = CallbackReceiver()
    receiver.attach(woken.append)
    for number in range(2):
        async with receiver.listening():
            assert await post(receiver.url_for(str(number))) == 204
        assert receiver.public_url is None
    assert woken == ["0", "1"]


async def test_callback_receiver_answers_and_closes_if_body_never_ends(monkeypatch):
    monkeypatch.setattr(callbacks, "BODY_SECONDS", 0.05)
    woken = []
    receiver = CallbackReceiver()
    receiver.attach(woken.append)
    async with receiver.listening() as url:
        port = int(url.rpartition(":")[2])
        for path in (receiver.url_for("1").removeprefix(url), "/no-such-token"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx".encode())
            answer = await asyncio.wait_for(reader.read(), 5)  # the connection is closed behind it
            assert answer.startswith(b"HTTP/1.1 204" if "oacb" in path else b"HTTP/1.1 404")
            writer.close()
            await writer.wait_closed()
    assert woken == ["1"]


async def test_callback_receiver_separates_equal_job_ids_of_two_platforms():
    here, there = [], []
    receiver = CallbackReceiver("https://me.example.com")
    receiver.attach(here.append, "here")
    receiver.attach(there.append, "there")
    for platform in ("here", "there"):
        assert receiver.handle_token(receiver.url_for("2514", platform).rpartition("/")[2]) == 204
    assert (here, there, receiver.counts.accepted) == (["2514"], ["2514"], 2)
    receiver.detach(here.append, "here")
    receiver.detach(there.append, "there")


async def test_callback_receiver_without_public_url_raises():
    with pytest.raises(ConfigurationError, match="no public URL"):
        CallbackReceiver().url_for("1")


# With the client


async def test_callback_for_each_job_replaces_polls(simulate, connect):
    simulator = await simulate(run_time="0.05-0.3")
    receiver = CallbackReceiver()
    async with receiver.listening():
        opus = connect(simulator)
        rows = ({"Text": str(number)} for number in range(60))
        began = asyncio.get_running_loop().time()
        outcomes = [
            outcome async for outcome in opus.run_many(TEXT, rows, callback=receiver, max_in_flight=30)
        ]
        seconds = asyncio.get_running_loop().time() - began
        await opus.close()
    assert len(outcomes) == 60
    assert all(outcome.ok for outcome in outcomes)
    polls = simulator.state()["counters"]["requests"]["status"]
    assert polls <= 1.2 * 60
    assert seconds < 2 * LAZY
    assert receiver.counts.accepted == 60


@pytest.mark.parametrize(
    "profile", ["prompt", "late", "twice", "never", "forged", "garbage", "early", "mixed"]
)
@pytest.mark.parametrize("api", ["v0", "v1"])
async def test_callback_delivery_of_any_quality_leaves_outcomes_unchanged(
    simulate, connect, profile, api, monkeypatch
):
    monkeypatch.setattr(polling, "FIRST_POLL_UNKNOWN", 5.0)  # a lost one is waited for that long
    simulator = await simulate(run_time="0.05-0.3", fail_share=0.2, callbacks=profile, seed=4)
    receiver = CallbackReceiver()
    async with receiver.listening():
        opus = connect(simulator, api=api, callback=receiver)
        with quick_polls(0.05):
            outcomes = {
                outcome.index: outcome
                async for outcome in opus.run_many(TEXT, ({"Text": f"row {number}"} for number in range(40)))
            }
        await opus.close()
    state = simulator.state()
    assert sorted(outcomes) == list(range(40))
    assert 0 < sum(not outcome.ok for outcome in outcomes.values()) < 25
    for index, outcome in outcomes.items():
        assert outcome.status == state["jobs"][outcome.job_id]["status"]
        if outcome.ok:
            assert outcome.outputs["Text"] == f"row {index}"
    assert state["counters"]["executed_twice"] == []


async def test_callback_wakes_run_and_jobs_wait(simulate, connect):
    simulator = await simulate(run_time=0.1)
    receiver = CallbackReceiver()
    async with receiver.listening():
        opus = connect(simulator, callback=receiver)
        assert (await asyncio.wait_for(opus.run(TEXT, {"Text": "x"}), LAZY)).ok
        workflow = await opus.workflows.get(TEXT)
        job_id = await opus.jobs.initiate(TEXT)
        await opus.jobs.execute(job_id, {"Text": "y"}, workflow=workflow)
        assert await asyncio.wait_for(opus.jobs.wait(job_id), LAZY) == JobStatus.COMPLETED
        await opus.close()


async def test_callback_body_is_never_trusted(simulate, connect):
    simulator = await simulate(run_time=0.5, callbacks="never")
    receiver = CallbackReceiver()
    async with receiver.listening():
        opus = connect(simulator, callback=receiver)
        run = asyncio.create_task(opus.run(TEXT, {"Text": "x"}, timeout=20))
        await until(lambda: simulator.state()["counters"]["requests"].get("execute"))
        [job_id] = simulator.state()["jobs"]
        lie = b'{"status": "FAILED", "jobResultsPayloadSchema": {"v": {"value": "forged", "type": "str"}}}'
        assert await post(receiver.url_for(job_id, opus._api.host_digest), lie) == 204
        outcome = await run
        await opus.close()
    assert outcome.ok
    assert outcome.outputs["Text"] == "x"


async def test_callback_receiver_serves_several_clients_and_forgets_closed_one(simulate, connect):
    simulator = await simulate(run_time=0.1)
    receiver = CallbackReceiver()
    async with receiver.listening():
        first, second = connect(simulator, callback=receiver), connect(simulator, callback=receiver)
        outcomes = await asyncio.gather(first.run(TEXT, {"Text": "1"}), second.run(TEXT, {"Text": "2"}))
        assert all(outcome.ok for outcome in outcomes)
        await first.close()
        assert len(receiver._wakes) == 1
        assert (await second.run(TEXT, {"Text": "3"})).ok
        await second.close()
        assert receiver._wakes == []


# Which URLs are sent


async def test_callback_url_over_http_is_allowed_for_local_api_only(simulate, connect):
    from client_tools import KEY

    from opus_async import OpusClient

    with pytest.raises(ConfigurationError, match="must be https"):
        OpusClient(KEY, callback="http://127.0.0.1:1/x")
    receiver = CallbackReceiver("http://127.0.0.1:1")
    async with OpusClient(KEY, base_url="https://opus.invalid") as opus:
        with pytest.raises(ConfigurationError, match="must be https"):
            await opus._api.execute("1", {}, callback_url=receiver.url_for("1"), workspaces=None)
    opus = connect(await simulate(), callback="http://127.0.0.1:1/x")
    with quick_polls(0.01):
        assert (await opus.run(TEXT, {"Text": "x"})).ok


async def test_callback_receiver_without_public_url_fails_run_before_job_is_created(simulate, connect):
    simulator = await simulate()
    opus = connect(simulator, callback=CallbackReceiver())
    with pytest.raises(ConfigurationError, match="no public URL"):
        await opus.run(TEXT, {"Text": "x"})
    assert simulator.state()["counters"]["jobs"] == 0


@pytest.mark.parametrize("api", ["v0", "v1"])
async def test_callback_url_quoted_by_platform_is_redacted_in_errors(handmade_server, api):
    from client_tools import KEY

    from opus_async import OpusClient, RetryPolicy
    from opus_async.platform import AmbiguousStart

    async def quote(request):
        url = (await request.json())["callbackUrl"]
        token = url.rpartition("/")[2]
        said = (
            f"cannot reach {url} or /{token} or {url.upper()} or {url.replace('/', '%2F')} "
            + "x" * 190
            + token
        )
        return web.json_response(
            {"message": said, "code": token}, status=400, headers={"X-Request-Id": f"for {token}"}
        )

    base = await handmade_server(quote)
    receiver = CallbackReceiver("http://127.0.0.1:1")
    async with OpusClient(KEY, base_url=base, api=api, retry=RetryPolicy(attempts=1)) as opus:
        with pytest.raises(AmbiguousStart) as caught:
            await opus._api.execute("1", {}, callback_url=receiver.url_for("1"), workspaces=None)
    proof = receiver.url_for("1").rpartition(".")[2]
    error = caught.value.cause
    assert proof[:12].lower() not in f"{caught.value} {error} {vars(error)} {error.args}".lower()
    assert "<callback" in str(error)


@pytest.fixture
async def handmade_server():
    runners = []

    async def start(handler):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()
