"""A connection that is out of step with its answers is closed, and never asked anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
import pytest
from wire import answer, read_request
from yarl import URL

from opus_async.config import Timeouts
from opus_async.errors import TransportError
from opus_async.transport.connections import Connections, Wire
from opus_async.transport.http import Http, Request

COPY = answer(200, b"stale")


def get(url: str, path: str) -> Request:
    return Request("look", "GET", url + path, {})


class Echo:
    """Answers with the path that was asked for; hands out its connections."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.extra = b""

    async def __call__(self, served, reader, writer):
        self.writers.append(writer)
        while True:
            await read_request(served, reader)
            writer.write(answer(200, served.target.encode()) + self.extra)
            await writer.drain()


@pytest.fixture
async def http():
    """With time-outs that a loaded machine keeps: nothing here is about them."""
    made = Http(Timeouts(connect=10, request=10))
    yield made
    await made.close()


@pytest.fixture
async def echo(serve):
    echo = Echo()
    echo.served = await serve(echo)
    return echo


async def body(http: Http, echo: Echo, path: str) -> str:
    return (await http.send(get(echo.served.url, path))).body.decode()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - another task's doing, in this loop
            await asyncio.sleep(0.001)


async def test_connection_pool_reuses_connection(echo, http):
    for number in range(20):
        assert await body(http, echo, f"/{number}") == f"/{number}"
    assert echo.served.connections == 1


@pytest.mark.parametrize("late", [COPY, COPY[:9], b"\r\n", COPY * 3], ids=["whole", "part", "blank", "three"])
async def test_connection_pool_closes_idle_connection_that_receives_bytes(echo, http, late):
    assert await body(http, echo, "/a") == "/a"
    echo.writers[0].write(late)
    await until(echo.writers[0].transport.is_closing)  # the loop has seen what was sent
    assert await body(http, echo, "/b") == "/b"
    assert echo.served.connections == 2


@pytest.mark.parametrize("late", [COPY, COPY[:9], b"\r\n"], ids=["whole", "part", "blank"])
async def test_connection_pool_detects_bytes_not_yet_read_by_loop(echo, http, late):
    assert await body(http, echo, "/a") == "/a"
    echo.writers[0].write(late)  # into the socket at once; the next request begins before the loop turns
    assert await body(http, echo, "/b") == "/b"
    assert echo.served.connections == 2


async def test_connection_pool_detects_reset_not_yet_read_by_loop(echo, http):
    assert await body(http, echo, "/a") == "/a"
    echo.writers[0].transport.abort()
    assert await body(http, echo, "/b") == "/b"
    assert echo.served.connections == 2


async def test_connection_pool_rejects_two_responses_to_one_request(echo, http):
    echo.extra = COPY
    with pytest.raises(TransportError, match="two answers came to one request") as caught:
        await body(http, echo, "/a")
    assert caught.value.request_sent
    assert caught.value.retryable
    echo.extra = b""
    assert await body(http, echo, "/b") == "/b"
    assert echo.served.connections == 2


async def test_connection_pool_rejects_rest_of_a_second_response(serve, http):
    async def cut_in_two(served, reader, writer):
        await read_request(served, reader)
        writer.write(answer(200, b"a") + COPY[:20])
        await read_request(served, reader)
        writer.write(COPY[20:] + answer(200, b"b"))
        await reader.read()

    served = await serve(cut_in_two)
    assert (await http.send(get(served.url, "/a"))).body == b"a"
    with pytest.raises(TransportError, match="not HTTP that can be read"):
        await http.send(get(served.url, "/b"))


async def test_connection_pool_accepts_103_before_the_response(serve, http):
    async def continues(served, reader, writer):
        while True:
            await read_request(served, reader)
            writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer(200, b"x"))

    served = await serve(continues)
    for _ in range(3):
        assert (await http.send(get(served.url, "/"))).body == b"x"
    assert served.connections == 1


async def test_connection_pool_does_not_reuse_distrusted_connections(echo, http):
    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(body(http, echo, f"/{number}"))
    before = echo.served.connections
    http.distrust(echo.served.url)
    assert await body(http, echo, "/a") == "/a"
    assert await body(http, echo, "/b") == "/b"
    assert echo.served.connections == before + 1


async def test_connection_pool_does_not_reuse_connection_distrusted_while_in_use(serve, http):
    release = asyncio.Event()

    async def waits(served, reader, writer):
        while True:
            await read_request(served, reader)
            if served.target == "/slow":
                await release.wait()
            writer.write(answer(200, served.target.encode()))

    served = await serve(waits)
    slow = asyncio.create_task(http.send(get(served.url, "/slow")))
    await until(lambda: served.heads)
    http.distrust(served.url)
    release.set()
    assert (await slow).body == b"/slow"
    await http.send(get(served.url, "/a"))
    assert served.connections == 2


async def test_connection_pool_distrust_spares_other_hosts(echo, serve, http):
    other = Echo()
    served = await serve(other)
    await http.send(get(served.url, "/a"))
    await body(http, echo, "/a")
    http.distrust(echo.served.url)
    await http.send(get(served.url, "/b"))
    assert served.connections == 1


async def test_connection_pool_distrust_spares_callers_session(echo):
    async with aiohttp.ClientSession() as session:
        http = Http(Timeouts(), session=session)
        assert await body(http, echo, "/a") == "/a"
        http.distrust(echo.served.url)
        assert await body(http, echo, "/b") == "/b"
        await http.close()
    assert echo.served.connections == 1


async def test_connection_pool_uses_wire_protocol(echo):
    """A later aiohttp that is told in another way which protocol to speak must show here."""
    async with (
        Connections() as connector,
        aiohttp.ClientSession(connector=connector, connector_owner=False) as session,
    ):
        request = aiohttp.ClientRequest(
            "GET", URL(echo.served.url), loop=asyncio.get_running_loop(), session=session
        )
        connection = await connector.connect(request, [], aiohttp.ClientTimeout())
        assert isinstance(connection.protocol, Wire)
        connection.close()
