"""One attempt over a real socket: what is on the wire, and what each way of failing is called."""

from __future__ import annotations

import asyncio
import gzip
import socket
import traceback
import zlib
from contextlib import suppress

import aiohttp
import pytest
from wire import KEY, SIGNATURE, answer, read_request
from yarl import URL

import opus_async
from opus_async.config import RetryPolicy, Timeouts
from opus_async.errors import ConfigurationError, TransportError
from opus_async.transport import http as http_module
from opus_async.transport.http import Http, Request
from opus_async.transport.limits import RequestLimiter
from opus_async.transport.proxies import Proxies
from opus_async.transport.retry import Retrier
from opus_async.transport.urls import without_query

HEADERS = {"x-service-key": KEY}
PATH = "/a%28b%2F%40%7E+c?x=%28%2F%40%7E+&" + SIGNATURE


def get(url: str, **options) -> Request:
    return Request("look", "GET", url, HEADERS, **options)


def post(url: str, body: bytes = b"{}") -> Request:
    return Request("start", "POST", url, {**HEADERS, "Content-Type": "application/json"}, body)


async def fails(http: Http, request: Request, match: str) -> TransportError:
    with pytest.raises(TransportError, match=match) as caught:
        await http.send(request)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None, "an exception of aiohttp may hold the URL with its query"
    assert "?" not in error.url
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
    assert KEY not in shown
    assert SIGNATURE not in shown
    assert error.method == request.method
    return error


async def test_the_url_is_byte_identical_and_the_headers_are_ours(serve, http):
    served = await serve(answer(200, b'{"a": 1}', X_Request_Id="r1"))
    response = await http.send(get(served.url + PATH))
    assert served.target == PATH
    assert served.header("x-service-key") == KEY
    assert served.header("User-Agent") == f"opus-async/{opus_async.__version__}"
    assert served.header("Cookie") is None
    assert (response.status, response.body) == (200, b'{"a": 1}')
    assert response.headers["x-request-id"] == response.headers["X-REQUEST-ID"] == "r1"
    assert 0 < response.seconds < 0.15


async def test_connections_are_kept_and_cookies_are_not(serve, http):
    served = await serve(answer(200, b"x", Set_Cookie="a=1"))
    for _ in range(3):
        await http.send(post(served.url + "/start", b"body"))
    assert served.connections == 1
    assert served.bodies == [b"body"] * 3
    assert b"Cookie" not in b"".join(served.heads)


async def test_a_large_body_goes_out_whole_and_is_not_chunked(serve, http):
    served = await serve(answer())
    body = bytes(range(256)) * 10_000
    assert (await http.send(post(served.url, body))).status == 200
    assert served.bodies == [body]
    assert served.header("Transfer-Encoding") is None


@pytest.mark.parametrize("status", [204, 400, 429, 503])
async def test_any_status_is_an_answer(serve, http, status):
    served = await serve(answer(status, b"" if status == 204 else b"why"))
    assert (await http.send(get(served.url))).status == status


async def test_a_head_has_no_body(serve, http):
    served = await serve(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    assert (await http.send(Request("look", "HEAD", served.url, {}))).body == b""


async def test_a_chunked_and_compressed_answer_is_read_whole(serve, http):
    body = b"x" * 300_000
    packed = gzip.compress(body)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    served = await serve(head + b"%x\r\n" % len(packed) + packed + b"\r\n0\r\n\r\n")
    assert (await http.send(get(served.url))).body == body


async def test_a_gzip_bomb_is_not_unpacked(serve):
    squeezer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(squeezer.compress(bytes(2**20)) for _ in range(200)) + squeezer.flush()
    served = await serve(answer(200, bomb, Content_Encoding="gzip"))
    http = Http(Timeouts(request=5), max_answer_bytes=2**20)
    error = await fails(http, get(served.url), "larger than 1,048,576 bytes")
    assert (error.request_sent, error.retryable) == (True, False)
    await http.close()


async def test_an_answer_as_large_as_the_cap_is_read_and_one_byte_more_is_not(serve):
    http = Http(Timeouts(), max_answer_bytes=1000)
    served = await serve(answer(200, b"x" * 1000), answer(200, b"x" * 1001))
    assert len((await http.send(get(served.url))).body) == 1000
    await fails(http, get(served.url), "larger than 1,000 bytes")
    await http.close()


async def close_at_once(served, reader, writer):
    await read_request(served, reader)


async def reset(served, reader, writer):
    await read_request(served, reader)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def silence(served, reader, writer):
    await reader.read()


@pytest.mark.parametrize(
    ("reply", "match"),
    [
        (close_at_once, "closed the connection before it answered"),
        (reset, "the connection broke|closed the connection"),
        (silence, "no complete answer within 0.15 s"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "no complete answer within"),
        (b"this is not HTTP at all\r\n\r\n", "not HTTP that can be read"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", "oversized headers"),
        (answer(200, b"no gzip", Content_Encoding="gzip"), "damaged"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "damaged|not HTTP"),
    ],
    ids=["closed", "reset", "silent", "cut", "garbage", "huge header", "bad gzip", "bad chunk"],
)
async def test_when_no_complete_answer_comes_the_request_may_have_been_seen(serve, http, reply, match):
    served = await serve(reply)
    error = await fails(http, post(served.url + PATH), match)
    assert (error.request_sent, error.retryable) == (True, True)


async def half_an_answer(served, reader, writer):
    await read_request(served, reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")


async def test_an_answer_that_is_cut_short_is_no_answer(serve, http):
    served = await serve(half_an_answer)
    error = await fails(http, post(served.url), "cut short")
    assert error.request_sent


async def test_a_refused_connection_proves_that_nothing_was_sent(http):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = await fails(http, post(f"http://127.0.0.1:{taken.getsockname()[1]}{PATH}"), "no connection")
    assert (error.request_sent, error.retryable) == (False, True)
    assert "ECONNREFUSED" in str(error)


async def test_a_name_that_is_none_proves_that_nothing_was_sent(http, monkeypatch):
    async def getaddrinfo(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    error = await fails(http, post("http://nowhere.example/"), "nowhere.example cannot be resolved")
    assert not error.request_sent


@pytest.mark.parametrize("connect", [0.05, 10])
async def test_a_connection_that_never_comes_proves_that_nothing_was_sent(monkeypatch, connect):
    async def getaddrinfo(*_, **__):
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    http = Http(Timeouts(connect=connect, request=0.1))
    error = await fails(http, post("http://slow.example/"), "no connection within 0.0")
    assert (error.request_sent, error.retryable) == (False, True)
    await http.close()


async def test_too_many_open_files_says_so(http, monkeypatch):
    def no_socket(*_, **__):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socket", no_socket)
    error = await fails(http, get("http://127.0.0.1:1/"), "ulimit -n")
    assert not error.request_sent


@pytest.mark.parametrize(
    "request_",
    [
        get("ftp://example.com/" + PATH),
        get("/relative" + PATH),
        get("http://[::bad/?" + SIGNATURE),
        get("http:///?" + SIGNATURE),
        Request("look", "GET", "http://127.0.0.1:9/", {"x": "a\r\nb: c"}),
    ],
)
async def test_what_cannot_be_sent_is_not_worth_a_retry(serve, http, request_):
    served = await serve(answer())
    request_ = Request("look", "GET", request_.url.replace(":9/", f":{served.port}/"), request_.headers)
    error = await fails(http, request_, "no http|does not allow")
    assert (error.request_sent, error.retryable) == (False, False)


async def test_a_certificate_that_is_not_trusted_is_not_worth_a_retry(serve, http, certificate):
    served = await serve(answer(), ssl=certificate)
    error = await fails(
        http, get(f"https://127.0.0.1:{served.port}{PATH}"), "certificate of 127.0.0.1 is not"
    )
    assert (error.request_sent, error.retryable) == (False, False)
    assert "clock" in str(error)
    assert served.heads == []


async def test_a_server_that_speaks_no_tls_has_not_seen_the_request(serve, http):
    async def plain(served, reader, writer):
        writer.write(b"HTTP/1.1 400 no\r\n\r\n")
        await writer.drain()

    served = await serve(plain)
    error = await fails(http, get(f"https://127.0.0.1:{served.port}/"), "TLS|no connection")
    assert (error.request_sent, error.retryable) == (False, False)


@pytest.mark.parametrize(
    ("method", "status"),
    [("GET", 301), ("GET", 302), ("HEAD", 303), ("GET", 307), ("POST", 307), ("POST", 308), ("PUT", 308)],
)
async def test_a_redirect_inside_the_origin_is_followed_with_method_and_body(serve, http, method, status):
    served = await serve(answer(status, Location="/b%28?" + SIGNATURE), answer(200))
    body = None if method in {"GET", "HEAD"} else b"body"
    response = await http.send(Request("x", method, served.url + "/a", HEADERS, body))
    assert response.status == 200
    assert served.target == "/b%28?" + SIGNATURE
    assert [head.split()[0].decode() for head in served.heads] == [method] * 2
    assert served.bodies == [body or b""] * 2
    assert served.header("x-service-key") == KEY


@pytest.mark.parametrize(
    "location", ["http://localhost:{port}/x", "https://127.0.0.1:{port}/", "//other.example/"]
)
async def test_no_header_goes_to_another_origin(serve, http, location):
    other = await serve(answer())
    served = await serve(answer(307, Location=location.format(port=other.port) + "?" + SIGNATURE))
    error = await fails(
        http, post(served.url + "/"), "was redirected to (http://localhost|https://127|http://other)"
    )
    assert (error.request_sent, error.retryable) == (True, False)
    assert other.heads == []


@pytest.mark.parametrize(
    ("reply", "match"),
    [
        (answer(302, Location="/b"), "turn it into a GET"),
        (answer(307, Location="http://[bad"), "no URL"),
        (answer(307, Location="/again"), "more than 3 times"),
        (answer(307, Location="http://user:secret@127.0.0.1/"), "where nothing is sent"),
    ],
)
async def test_a_redirect_that_cannot_be_followed_is_refused(serve, http, reply, match):
    served = await serve(reply)
    error = await fails(http, post(served.url + "/again"), match)
    assert error.retryable is False
    assert "secret" not in str(error)


async def test_a_redirect_without_a_place_is_an_answer(serve, http):
    served = await serve(answer(304))
    assert (await http.send(get(served.url))).status == 304


async def test_a_place_with_odd_characters_cannot_break_the_request_line(serve, http):
    served = await serve(answer(307, Location="/b c\u00e4"), answer(200))
    await http.send(get(served.url))
    assert served.target == "/b%20c%C3%A4"


async def test_the_hops_share_one_clock(serve, http):
    async def slow_redirect(served, reader, writer):
        await read_request(served, reader)
        await asyncio.sleep(0.08)
        writer.write(answer(307, Location="/next", Connection="close"))

    served = await serve(slow_redirect)
    began = asyncio.get_running_loop().time()
    await fails(http, get(served.url), "no complete answer")
    assert asyncio.get_running_loop().time() - began < 0.3


async def test_a_timeout_of_its_own_and_none_is_rounded_up(serve, monkeypatch):
    read = asyncio.Event()

    async def noted(served, reader, writer):
        await read_request(served, reader)
        if len(served.heads) > 1:
            read.set()
        await reader.read()

    served = await serve(noted)
    http = Http(Timeouts(request=60))
    await fails(http, get(served.url, timeout=0.05), "within 0.05 s")
    loop = asyncio.get_running_loop()
    armed = []
    real = loop.call_at

    def call_at(when, *rest, **options):
        armed.append(when - loop.time())
        return real(when, *rest, **options)

    monkeypatch.setattr(loop, "call_at", call_at)
    sending = asyncio.create_task(http.send(get(served.url, timeout=7.3)))
    await read.wait()
    assert max(armed) == pytest.approx(7.3, abs=0.05)
    sending.cancel()
    with suppress(asyncio.CancelledError):
        await sending
    await http.close()


async def test_the_clock_starts_when_the_slot_is_ours(serve):
    async def slow(served, reader, writer):
        for _ in range(6):
            await read_request(served, reader)
            await asyncio.sleep(0.03)
            writer.write(answer())

    served = await serve(slow)
    http, gate = Http(Timeouts(request=0.1)), RequestLimiter(1)
    retrier = Retrier(RetryPolicy(attempts=1), gate)

    async def one():
        return await retrier.call("look", lambda _: http.send(get(served.url)))

    answers = await asyncio.gather(*(one() for _ in range(6)))
    assert [response.status for response in answers] == [200] * 6
    assert all(response.seconds < 0.1 for response in answers)
    await http.close()


@pytest.mark.parametrize("turns", range(12))
async def test_cancel_at_any_moment_passes_through_and_leaves_nothing(serve, turns):
    served = await serve(silence)
    http = Http(Timeouts())
    sending = asyncio.create_task(http.send(post(served.url, bytes(2_000_000))))
    for _ in range(turns * turns // 2):
        await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await http.close()


async def test_a_server_that_stops_reading_does_not_keep_the_socket(serve, http):
    """The fixture that looks for open sockets is what fails here."""

    async def stuck(served, reader, writer):
        writer.transport.pause_reading()
        await asyncio.Event().wait()

    served = await serve(stuck)
    await fails(http, post(served.url, bytes(20_000_000)), "no complete answer")


async def test_it_is_made_without_a_loop_closed_twice_and_then_says_so():
    http = await asyncio.to_thread(Http, Timeouts())
    await http.close()
    await http.close()
    with pytest.raises(TransportError, match="The client is closed") as caught:
        await http.send(get("http://127.0.0.1:1/"))
    assert (caught.value.request_sent, caught.value.retryable) == (False, False)


async def test_a_callers_session_is_used_as_it_is_and_never_closed(serve):
    served = await serve(answer(500, b"x"))
    async with aiohttp.ClientSession(raise_for_status=True, headers={"User-Agent": "mine"}) as session:
        http = Http(Timeouts(), session=session)
        assert (await http.send(get(served.url))).status == 500
        assert served.header("User-Agent") == "mine"
        await http.close()
        assert not session.closed
    http = Http(Timeouts(), session=session)
    error = await fails(http, get(served.url), "the session is closed")
    assert (error.request_sent, error.retryable) == (False, False)


async def test_the_proxy_of_the_environment_is_used_and_read_once(serve, monkeypatch):
    proxy = await serve(answer(200, b"from the proxy"))
    monkeypatch.setenv("http_proxy", f"http://user:pass@127.0.0.1:{proxy.port}")
    direct = await serve(answer(200, b"direct"))
    http = Http(Timeouts())
    assert (await http.send(get("http://api.example/x%28"))).body == b"from the proxy"
    assert proxy.target == "http://api.example/x%28"
    assert proxy.header("Proxy-Authorization") is not None
    assert (await http.send(get(direct.url))).body == b"direct"
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert (await http.send(get("http://api.example/"))).body == b"from the proxy"
    await http.close()


@pytest.mark.parametrize(("status", "retryable"), [(407, False), (502, True)])
async def test_a_proxy_that_refuses_the_tunnel(serve, monkeypatch, status, retryable):
    proxy = await serve(answer(status))
    monkeypatch.setenv("https_proxy", f"http://user:secret@127.0.0.1:{proxy.port}")
    http = Http(Timeouts())
    error = await fails(http, get("https://api.example/?" + SIGNATURE), f"HTTP {status}")
    assert (error.request_sent, error.retryable) == (False, retryable)
    assert "secret" not in str(error)
    assert KEY.encode() not in b"".join(proxy.heads)
    await http.close()


async def test_a_proxy_that_is_not_there(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    http = Http(Timeouts())
    error = await fails(http, get("http://api.example/"), "proxy cannot be reached")
    assert (error.request_sent, error.retryable) == (False, True)
    await http.close()


async def test_a_proxy_of_another_kind_is_a_mistake_in_the_settings(monkeypatch):
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
    http = Http(Timeouts())
    with pytest.raises(ConfigurationError, match="socks5 proxy"):
        await http.send(get("https://api.example/"))
    await http.close()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.example/", "http://proxy:1"),
        ("http://api.example/", "http://proxy:2"),
        ("https://direct.example/", None),
        ("https://localhost/", None),
        ("https://x.localhost/", None),
        ("https://127.0.0.2/", None),
        ("https://[::1]:8/", None),
        ("https://10.0.0.1/", "http://proxy:1"),
    ],
)
def test_which_proxy_leads_where(url, expected):
    proxies = Proxies(
        {"https": "http://proxy:1", "http": "proxy:2"}, bypass=lambda host: host == "direct.example"
    )
    for _ in range(2):
        assert proxies.for_url(URL(url)) == expected


def test_proxies_are_remembered_for_a_bounded_number_of_hosts():
    proxies = Proxies({"https": "http://proxy:1"}, bypass=lambda _: False)
    for number in range(3000):
        proxies.for_url(URL(f"https://{number}.example"))
    assert len(proxies._known) <= 1024


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/p?a=b#c", "https://h/p"),
        ("https://user:secret@h:1/p", "https://h:1/p"),
        ("https://h#?x", "https://h"),
        ("/p?x", "/p"),
    ],
)
def test_what_of_a_url_may_be_shown(url, shown):
    assert without_query(url) == shown


def test_nothing_secret_is_in_a_repr():
    request = Request("put", "PUT", "https://h/?" + SIGNATURE, HEADERS, b"body")
    assert SIGNATURE not in repr(request)
    assert KEY not in repr(request)


def test_the_timeouts_in_use_are_remembered_but_not_without_end():
    http = Http(Timeouts())
    assert http._clock(5) is http._clock(5)
    for number in range(1, 200):
        http._clock(number)
    assert len(http._clocks) <= 64
    assert http_module.MAX_ANSWER_BYTES == 64 * 2**20


@pytest.mark.parametrize("surprise", [ValueError("x"), RuntimeError("x")])
async def test_what_goes_wrong_after_the_request_left_is_no_proof_that_it_did_not(
    serve, http, monkeypatch, surprise
):
    async def read(*_):
        raise surprise

    served = await serve(answer(200, b"{}"))
    monkeypatch.setattr(http_module, "_read", read)
    error = await fails(http, post(served.url + "/execute"), f"failed .{type(surprise).__name__}")
    assert (error.request_sent, len(served.bodies)) == (True, 1)


async def test_a_callers_session_that_was_closed_sends_nothing(serve):
    served = await serve(answer())
    session = aiohttp.ClientSession()
    http = Http(Timeouts(), session=session)
    await session.close()
    error = await fails(http, post(served.url), "session is closed")
    assert (error.request_sent, served.connections) == (False, 0)
