"""Small requests of our own sessions: sent past aiohttp's session, and to the server no different."""

from __future__ import annotations

import asyncio
import socket
import ssl

import aiohttp
import pytest
from certificates import certificate, needs_openssl
from wire import KEY, answer, read_request

import opus_async
from opus_async.config import Timeouts
from opus_async.errors import TransportError
from opus_async.transport.http import Http, Request

HEADERS = {"x-service-key": KEY, "Accept": "application/json"}


@pytest.fixture
async def http():
    """With time-outs that a loaded machine keeps."""
    made = Http(Timeouts(connect=10, request=10))
    yield made
    await made.close()


@pytest.fixture
def sessions(monkeypatch):
    """The URLs of the requests that went through aiohttp's sessions."""
    seen = []
    real = aiohttp.ClientSession.request

    def request(self, method, url, **options):
        seen.append(str(url))
        return real(self, method, url, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "request", request)
    return seen


def get(url: str, **options) -> Request:
    return Request("look", "GET", url, HEADERS, **options)


def lines(head: bytes) -> list[bytes]:
    """The request line, and the headers in any order."""
    first, *others = head.strip().split(b"\r\n")
    return [first, *sorted(others)]


@pytest.mark.parametrize(
    ("method", "headers", "body"),
    [
        ("GET", HEADERS, None),
        ("HEAD", {}, None),
        ("DELETE", HEADERS, None),
        ("POST", HEADERS, None),
        ("POST", {**HEADERS, "Content-Type": "application/json"}, b'{"a": 1}'),
        ("POST", {"accept": "x", "user-agent": "mine"}, b""),
        ("PATCH", HEADERS, b"\x00\xff"),
        ("PUT", HEADERS, b"x" * 90_000),
    ],
)
async def test_request_on_the_wire_is_what_session_sends(serve, http, sessions, method, headers, body):  # noqa: PLR0917
    served = await serve(answer())
    request = Request("x", method, f"{served.url}/a%2Fb?c=%28&d", headers, body)
    await http.send(request)
    assert sessions == []
    agent = {"User-Agent": f"opus-async/{opus_async.__version__}"}
    async with aiohttp.ClientSession(headers=agent) as session:
        by_session = Http(Timeouts(), session=session)
        await by_session.send(request)
    assert lines(served.heads[0]) == lines(served.heads[1])
    assert served.bodies[0] == served.bodies[1] == (body or b"")


@pytest.mark.parametrize("path", ["/a#b", "/\u00e4", "/a b"])
async def test_request_of_odd_characters_is_left_to_aiohttps_session(serve, http, sessions, path):
    served = await serve(answer())
    await http.send(get(served.url + path))
    assert len(sessions) == 1


@pytest.mark.parametrize(
    ("tail", "target"),
    [
        ("?name=a/b", "/?name=a/b"),
        ("?scope=2026/s3&x=y/z", "/?scope=2026/s3&x=y/z"),
        ("#a/b", "/"),
        ("", "/"),
    ],
)
async def test_url_without_path_is_asked_whole(serve, http, tail, target):
    served = await serve(answer())
    await http.send(get(served.url + tail))
    assert served.target == target


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:99999/a",
        "http://127.0.0.1:port/a",
        "http://b\u00fccher.invalid/a",
        "http://a..invalid/a",
        f"http://{'a' * 64}.invalid/a",
    ],
)
async def test_url_that_is_none_is_an_error_of_ours(http, url):
    with pytest.raises(TransportError, match="this is no http") as caught:
        await http.send(get(url))
    assert not caught.value.request_sent


async def test_request_of_client_that_is_closed_before_there_is_a_connection_was_not_sent(serve, http):
    served = await serve(answer())
    sending = asyncio.create_task(http.send(Request("start", "POST", served.url + "/", HEADERS, b"{}")))
    await asyncio.sleep(0)
    await http.close()
    with pytest.raises(TransportError, match="the client was closed") as caught:
        await sending
    assert not caught.value.request_sent
    assert served.heads == []


async def closes_after_one(served, reader, writer):
    """Answer once, and close when asked again."""
    await read_request(served, reader)
    writer.write(answer(200, b"first"))
    await read_request(served, reader)


async def test_get_leaves_once_more_when_server_closed_its_connection(serve, http):
    served = await serve(closes_after_one)
    for _ in range(3):
        assert (await http.send(get(served.url + "/"))).body == b"first"
    assert (len(served.heads), served.connections) == (5, 3)


async def test_post_never_leaves_once_more(serve, http):
    served = await serve(closes_after_one)
    await http.send(get(served.url + "/"))
    with pytest.raises(TransportError, match="closed the connection before it answered") as caught:
        await http.send(Request("start", "POST", served.url + "/", HEADERS, b"{}"))
    assert caught.value.request_sent
    assert len(served.heads) == 2


async def test_get_on_new_connection_that_is_closed_fails(serve, http):
    async def closes(served, reader, writer):
        await read_request(served, reader)

    served = await serve(closes)
    with pytest.raises(TransportError, match="closed the connection before it answered"):
        await http.send(get(served.url + "/"))
    assert len(served.heads) == 1


@pytest.fixture
async def skip_ahead(monkeypatch):
    """Let the loop's clock jump ahead, and what is due by then come to pass."""
    loop = asyncio.get_running_loop()
    real, ahead = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: real() + ahead)

    async def skip(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds
        for _ in range(3):
            await asyncio.sleep(0)

    return skip


class Waiting:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def __call__(self, served, reader, writer):
        while True:
            await read_request(served, reader)
            if served.target == "/late":
                await self.go_on.wait()
            writer.write(answer(200)[: 25 if served.target == "/half" else None])

    async def asked(self, served, times: int) -> None:
        async with asyncio.timeout(5):
            while len(served.heads) < times:  # noqa: ASYNC110 - another task's doing, in this loop
                await asyncio.sleep(0.001)


async def test_deadline_is_of_its_request_and_not_of_the_connection(serve, http, skip_ahead):
    waiting = Waiting()
    served = await serve(waiting)
    await http.send(get(served.url + "/", timeout=50))
    late = asyncio.create_task(http.send(get(served.url + "/late", timeout=500)))
    await waiting.asked(served, 2)
    await skip_ahead(60)  # the deadline of the first request has passed
    waiting.go_on.set()
    assert (await late).status == 200
    assert served.connections == 1


@pytest.mark.parametrize("path", ["/late", "/half"])
async def test_request_fails_at_its_deadline(serve, http, skip_ahead, path):
    waiting = Waiting()
    served = await serve(waiting)
    await http.send(get(served.url + "/", timeout=500))
    late = asyncio.create_task(http.send(get(served.url + path, timeout=50)))
    await waiting.asked(served, 2)
    await skip_ahead(60)
    with pytest.raises(TransportError, match="no complete answer within 50 s"):
        await late


async def test_answer_that_came_while_the_loop_stood_still_past_the_deadline_counts(http, skip_ahead):
    """What was started, and costs money, is known then."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        sending = asyncio.create_task(http.send(Request("start", "POST", url, HEADERS, b"{}", timeout=50)))
        connection, _ = await loop.sock_accept(server)
        with connection:
            await loop.sock_recv(connection, 10_000)
            connection.send(answer(200, b"started"))
            await skip_ahead(60)
            assert (await sending).body == b"started"


async def test_redirect_leaves_the_rest_of_the_time_to_what_it_leads_to(serve, http, skip_ahead):
    redirected = asyncio.Event()

    async def redirects_late(served, reader, writer):
        await read_request(served, reader)
        await redirected.wait()
        writer.write(answer(307, Location="/there"))
        await read_request(served, reader)
        writer.write(answer(200, b"there"))
        await read_request(served, reader)

    served = await serve(redirects_late)
    sending = asyncio.create_task(http.send(get(served.url + "/here", timeout=50)))
    async with asyncio.timeout(5):
        while not served.heads:  # noqa: ASYNC110 - another task's doing, in this loop
            await asyncio.sleep(0.001)
    await skip_ahead(30)  # more than half of its time
    redirected.set()
    assert (await sending).body == b"there"


async def test_tracer_that_has_a_hand_in_every_session_sees_the_requests(serve, monkeypatch):
    served = await serve(answer())
    seen = []

    async def ended(session, context, told):
        seen.append(str(told.url))

    tracer = aiohttp.TraceConfig()
    tracer.on_request_end.append(ended)
    real = aiohttp.ClientSession.__init__

    def traced(self, *args, **options):
        real(self, *args, **options, trace_configs=[tracer])

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", traced)
    http = Http(Timeouts())
    await http.send(get(served.url + "/a"))
    await http.close()
    assert seen == [served.url + "/a"]


@needs_openssl
async def test_requests_share_one_connection_over_tls(serve, http, sessions, tmp_path, monkeypatch):
    served = await serve(answer(200, b"x" * 70_000), ssl=certificate(tmp_path, "DNS:localhost"))
    trusting = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", trusting)
    url = f"https://localhost:{served.port}/a"
    for _ in range(2):
        assert len((await http.send(get(url))).body) == 70_000
        await http.send(Request("start", "POST", url, HEADERS, b"y" * 90_000))
    assert [len(body) for body in served.bodies] == [0, 90_000] * 2
    assert (served.connections, sessions) == (1, [])


@pytest.mark.parametrize("turns", range(8))
async def test_cancel_at_any_moment_gives_no_answer_to_the_next_request(serve, http, turns):
    async def answers_late(served, reader, writer):
        while True:
            await read_request(served, reader)
            if served.target == "/late":
                await asyncio.sleep(0)
            writer.write(answer(200, served.target.encode()))

    served = await serve(answers_late)
    await http.send(get(served.url + "/"))
    sending = asyncio.create_task(http.send(get(served.url + "/late")))
    for _ in range(turns):
        await asyncio.sleep(0)
    sending.cancel()
    await asyncio.wait([sending])
    assert (await http.send(get(served.url + "/next"))).body == b"/next"
