"""A live page as browsers, strangers and pages of the web meet it: over real sockets."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager

import aiohttp
import late_connections
import pytest
from live_pages import PATIENCE, Counter, port_of, viewing

from opus_async.errors import LedgerError
from opus_async.live_page import publisher, server
from opus_async.live_page.server import serving


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(publisher, "PERIOD", 0.01)
    monkeypatch.setattr(publisher, "SHARE", 1.0)


async def asked(url, *, method="GET", **headers):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=headers, allow_redirects=False) as answer,
    ):
        return answer.status, answer.headers, await answer.text()


async def some_requests(url):
    """Let some time pass in which the server is at work, and has nothing to render."""
    for _ in range(10):
        assert (await asked(f"{url}nothing"))[0] == 404


async def test_page_is_served_under_its_token_on_loopback_alone():
    async with serving(Counter()) as url:
        status, headers, text = await asked(url)
        assert status == 200
        assert "The number is 0." in text
        assert url.startswith("http://127.0.0.1:")
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers
        assert "aiohttp" not in headers["Server"]


async def test_token_stands_in_no_page_and_no_header():
    async with serving(Counter()) as url:
        token = url.rstrip("/").rpartition("/")[2]
        assert len(token) >= 22
        _, headers, text = await asked(url)
        assert token not in text
        assert token not in str(headers)


async def test_each_page_has_a_token_of_its_own():
    async with serving(Counter()) as one, serving(Counter()) as other:
        path = one.partition("127.0.0.1:")[2].partition("/")[2]
        status, _, _ = await asked(f"http://127.0.0.1:{port_of(other)}/{path}")
        assert status == 404


@pytest.mark.parametrize("path", ["", "wrong", "wrong/", "wrong/events", "%00/", "%ff/", "x" * 3000 + "/"])
async def test_whoever_has_not_the_token_gets_nothing(path):
    source = Counter()
    async with serving(source) as url:
        status, _, text = await asked(f"http://127.0.0.1:{port_of(url)}/{path}")
    assert (status, text) == (404, "404 Not Found\n")
    assert source.captured == 0


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "x", ""]
)
async def test_name_that_others_can_have_lead_here_is_refused(host):
    async with serving(Counter()) as url:
        assert (await asked(url, Host=host))[0] == 403
        assert (await asked(f"{url}events", Host=host))[0] == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9000", "127.0.0.1:1", "[::1]:8080"])
async def test_names_of_this_machine_are_answered_behind_a_tunnel_too(host):
    async with serving(Counter()) as url:
        assert (await asked(url, Host=host))[0] == 200


async def test_only_reading_is_answered():
    async with serving(Counter()) as url:
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
            status, headers, _ = await asked(url, method=method, Origin="https://evil.example")
            assert status == 405
            assert "Access-Control-Allow-Origin" not in headers


async def test_url_without_its_slash_leads_to_the_page():
    async with serving(Counter()) as url:
        status, headers, _ = await asked(url.rstrip("/"))
        assert status == 308
        assert url.endswith(headers["Location"])


async def test_viewer_is_told_everything_first_and_then_what_has_changed():
    source = Counter()
    async with serving(source) as url, viewing(url) as viewer:
        name, told = await viewer.next()
        assert name == "update"
        assert told["order"] == ["header", "footer"]
        assert set(told["parts"]) == {"header", "footer"}
        source.number = 7
        _, told = await viewer.next()
        assert set(told["parts"]) == {"header"}
        assert "The number is 7." in told["parts"]["header"]
        assert told["title"] == "Running: march"


async def test_viewers_are_shown_the_end_as_the_last_thing():
    source = Counter()
    async with aiohttp.ClientSession() as session:
        async with serving(source) as url:
            answer = await session.get(f"{url}events")
            await answer.content.readuntil(b"\n\n")
            source.number = 9
        rest = (await answer.content.read()).decode()
    last_update, end = rest.strip().split("\n\n")[-2:]
    assert "The number is 9." in last_update
    assert "Ended" in last_update
    assert end == 'event: end\ndata: {"whole": true}'


async def test_end_is_rendered_for_viewers_only():
    source = Counter()
    async with serving(source) as url:
        await asked(url)
    assert source.captured == 1


async def test_nothing_is_rendered_while_nobody_looks():
    source = Counter()
    async with serving(source) as url:
        async with viewing(url) as viewer:
            await viewer.next()
        await some_requests(url)  # until these are answered, the viewer has gone for long
        captured = source.captured
        for source.number in range(1, 6):
            await some_requests(url)
        assert source.captured == captured


async def test_page_is_not_rendered_again_while_nothing_changes():
    source = Counter()
    async with serving(source) as url, viewing(url) as viewer:
        await viewer.next()
        for _ in range(5):
            await some_requests(url)
        assert source.captured == 1


async def test_page_is_rendered_in_a_thread_of_its_own():
    source = Counter()
    async with serving(source) as url:
        await asked(url)
    assert all(name.startswith("opus_async live page") for name in source.threads)


async def test_page_that_cannot_be_made_ends_nothing_and_comes_back():
    source = Counter()
    async with serving(source) as url, viewing(url) as viewer:
        await viewer.next()
        source.trouble, source.number = LedgerError("ledger.db is out of reach"), 1
        assert await viewer.next() == ("trouble", {"message": "ledger.db is out of reach"})
        source.trouble = None
        name, told = await viewer.next()
        assert name == "update"
        assert "The number is 1." in told["parts"]["header"]


async def test_page_that_cannot_be_made_at_first_is_told():
    source = Counter()
    source.trouble = LedgerError("ledger.db is out of reach")
    async with serving(source) as url:
        status, _, text = await asked(url)
    assert (status, text) == (503, "ledger.db is out of reach\n")


async def test_error_of_ours_is_logged_and_not_shown(caplog):
    source = Counter()
    source.trouble = ZeroDivisionError("internals")
    async with serving(source) as url:
        with caplog.at_level(logging.DEBUG):
            status, _, text = await asked(url)
    assert status == 503
    assert "internals" not in text
    assert "the live page cannot be made" in caplog.text


async def test_token_is_not_logged(caplog):
    with caplog.at_level(logging.DEBUG):
        async with serving(Counter()) as url:
            await asked(url)
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
            token = url.rstrip("/").rpartition("/")[2]
            writer.write(f"GET /{token}/ \0 HTTP/9\r\nbad\r\n\r\n".encode())
            assert b"400" in await reader.readline()
            writer.close()
            await writer.wait_closed()
    assert token not in caplog.text


async def test_port_that_is_taken_is_an_error():
    async with serving(Counter()) as url:
        with pytest.raises(OSError, match="in use"):
            async with serving(Counter(), port=port_of(url)):
                pass


async def test_connections_beyond_the_bound_are_cut_off(monkeypatch):
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)
    async with serving(Counter()) as url:
        async with viewing(url) as one, viewing(url) as other:
            await one.next()
            await other.next()
            with pytest.raises(aiohttp.ClientError):
                await asked(url)
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    assert (await asked(url))[0] == 200
                except aiohttp.ClientError:
                    continue
                break


async def test_viewer_that_reads_nothing_does_not_hold_up_the_end(monkeypatch):
    monkeypatch.setattr(server, "FAREWELL", 0.05)
    source = Counter()
    source.capture = lambda: (
        lambda: b"<title>x</title><main>\n<header>" + b"x" * 50_000_000 + b"</header>\n</main>"
    )
    async with serving(source) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
        path = url.partition("127.0.0.1:")[2].partition("/")[2]
        writer.write(f"GET /{path}events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await reader.readuntil(b"event: ")
    writer.close()


async def test_cancelled_run_waits_for_no_viewer():
    source = Counter()
    entered = asyncio.Event()
    urls = []

    async def run():
        async with serving(source) as url:
            urls.append(url)
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await entered.wait()
    async with viewing(urls[0]) as viewer:
        await viewer.next()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(aiohttp.ClientError):
            await viewer.rest()
    assert source.captured == 1


async def test_rendering_takes_a_bounded_share_of_a_core(monkeypatch):
    monkeypatch.setattr(publisher, "SHARE", 0.1)
    now = 0.0
    costs = iter([0.0, 3.0, 3.0, 3.0])
    monkeypatch.setattr(publisher.time, "thread_time", lambda: next(costs))
    source = Counter()
    async with publisher.Publisher(source, clock=lambda: now) as pages:
        await pages.page()
        source.number, now = 1, 29.0
        assert b"number is 0" in (await pages.page()).html
        now = 30.0
        assert b"number is 1" in (await pages.page()).html


@asynccontextmanager
async def listening():
    async with serving(Counter()) as url:
        yield port_of(url)


@pytest.mark.parametrize("steps", late_connections.STEPS)
async def test_connection_that_comes_as_the_page_closes_is_ended(steps):
    assert await late_connections.is_ended(listening(), steps)
