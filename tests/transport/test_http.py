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


async def test_http_sends_url_unchanged_and_own_headers(serve, http):
    served = await serve(answer(200, b'{"a": 1}', X_Request_Id="r1"))
    response = await http.send(get(served.url + PATH))
    assert served.target == PATH
    assert served.header("x-service-key") == KEY
    assert served.header("User-Agent") == f"opus-async/{opus_async.__version__}"
    assert served.header("Cookie") is None
    assert (response.status, response.body) == (200, b'{"a": 1}')
    assert response.headers["x-request-id"] == response.headers["X-REQUEST-ID"] == "r1"
    assert 0 < response.seconds < 0.15


async def test_http_reuses_connection_and_drops_cookies(serve, http):
    served = await serve(answer(200, b"x", Set_Cookie="a=1"))
    for _ in range(3):
        await http.send(post(served.url + "/start", b"body"))
    assert served.connections == 1
    assert served.bodies == [b"body"] * 3
    assert b"Cookie" not in b"".join(served.heads)


async def test_http_sends_large_body_whole_and_unchunked(serve, http):
    served = await serve(answer())
    body = bytes(range(256)) * 10_000
    assert (await http.send(post(served.url, body))).status == 200
    assert served.bodies == [body]
    assert served.header("Transfer-Encoding") is None


@pytest.mark.parametrize("status", [204, 400, 429, 503])
async def test_http_returns_response_of_any_status(serve, http, status):
    served = await serve(answer(status, b"" if status == 204 else b"why"))
    assert (await http.send(get(served.url))).status == status


async def test_http_head_response_has_no_body(serve, http):
    served = await serve(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    assert (await http.send(Request("look", "HEAD", served.url, {}))).body == b""


async def test_http_reads_chunked_and_compressed_response(serve, http):
    body = b"x" * 300_000
    packed = gzip.compress(body)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    served = await serve(head + b"%x\r\n" % len(packed) + packed + b"\r\n0\r\n\r\n")
    assert (await http.send(get(served.url))).body == body


async def test_http_does_not_unpack_gzip_bomb(serve):
    squeezer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(squeezer.compress(bytes(2**20)) for _ in range(200)) + squeezer.flush()
    served = await serve(answer(200, bomb, Content_Encoding="gzip"))
    http = Http(Timeouts(request=5), max_answer_bytes=2**20)
    error = await fails(http, get(served.url), "larger than 1,048,576 bytes")
    assert (error.request_sent, error.retryable) == (True, False)
    await http.close()


async def test_http_reads_response_up_to_size_cap_only(serve):
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
async def test_http_incomplete_response_counts_as_request_sent(serve, http, reply, match):
    served = await serve(reply)
    error = await fails(http, post(served.url + PATH), match)
    assert (error.request_sent, error.retryable) == (True, True)


async def half_an_answer(served, reader, writer):
    await read_request(served, reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")


async def test_http_response_cut_short_raises(serve, http):
    served = await serve(half_an_answer)
    error = await fails(http, post(served.url), "cut short")
    assert error.request_sent


async def test_http_refused_connection_counts_as_request_not_sent(http):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = await fails(http, post(f"http://127.0.0.1:{taken.getsockname()[1]}{PATH}"), "no connection")
    assert (error.request_sent, error.retryable) == (False, True)
    assert "ECONNREFUSED" in str(error)


async def test_http_unresolvable_host_counts_as_request_not_sent(http, monkeypatch):
    async def getaddrinfo(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    error = await fails(http, post("http://nowhere.example/"), "nowhere.example cannot be resolved")
    assert not error.request_sent


@pytest.mark.parametrize("timeouts", [Timeouts(connect=0.05), Timeouts(connect=10, request=1)])
async def test_http_connect_timeout_counts_as_request_not_sent(monkeypatch, timeouts):
    async def getaddrinfo(*_, **__):
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    http = Http(timeouts)
    error = await fails(http, post("http://slow.example/"), r"no connection within 0\.")
    assert (error.request_sent, error.retryable) == (False, True)
    await http.close()


async def test_http_too_many_open_files_hints_at_ulimit(http, monkeypatch):
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
async def test_http_unsendable_request_is_not_retryable(serve, http, request_):
    served = await serve(answer())
    request_ = Request("look", "GET", request_.url.replace(":9/", f":{served.port}/"), request_.headers)
    error = await fails(http, request_, "no http|does not allow")
    assert (error.request_sent, error.retryable) == (False, False)


async def test_http_untrusted_certificate_is_not_retryable(serve, http, certificate):
    served = await serve(answer(), ssl=certificate)
    error = await fails(
        http, get(f"https://127.0.0.1:{served.port}{PATH}"), "certificate of 127.0.0.1 is not"
    )
    assert (error.request_sent, error.retryable) == (False, False)
    assert "inspects TLS" in str(error)
    assert "SSL_CERT_FILE" in str(error)
    assert served.heads == []


async def test_http_server_without_tls_counts_as_request_not_sent(serve, http):
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
async def test_http_follows_redirect_inside_origin_with_method_and_body(serve, http, method, status):
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
async def test_http_sends_nothing_to_other_origin_on_redirect(serve, http, location):
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
async def test_http_refuses_redirect_that_cannot_be_followed(serve, http, reply, match):
    served = await serve(reply)
    error = await fails(http, post(served.url + "/again"), match)
    assert error.retryable is False
    assert "secret" not in str(error)


async def test_http_returns_304_without_location(serve, http):
    served = await serve(answer(304))
    assert (await http.send(get(served.url))).status == 304


async def test_http_escapes_odd_characters_of_redirect_location(serve, http):
    served = await serve(answer(307, Location="/b c\u00e4"), answer(200))
    await http.send(get(served.url))
    assert served.target == "/b%20c%C3%A4"


async def test_http_redirect_hops_share_one_timeout(serve, http):
    async def slow_redirect(served, reader, writer):
        await read_request(served, reader)
        await asyncio.sleep(0.08)
        writer.write(answer(307, Location="/next", Connection="close"))

    served = await serve(slow_redirect)
    began = asyncio.get_running_loop().time()
    await fails(http, get(served.url), "no complete answer")
    assert asyncio.get_running_loop().time() - began < 0.3


async def test_http_timeout_of_one_request_is_used_and_not_rounded_up(serve, monkeypatch):
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


async def test_http_timeout_starts_when_limiter_grants_slot(serve):
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
async def test_http_cancel_at_any_moment_leaves_nothing(serve, turns):
    served = await serve(silence)
    http = Http(Timeouts())
    sending = asyncio.create_task(http.send(post(served.url, bytes(2_000_000))))
    for _ in range(turns * turns // 2):
        await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await http.close()


async def test_http_frees_socket_of_server_that_stops_reading(serve, http):
    """The fixture that looks for open sockets is what fails here."""

    async def stuck(served, reader, writer):
        writer.transport.pause_reading()
        await asyncio.Event().wait()

    served = await serve(stuck)
    await fails(http, post(served.url, bytes(20_000_000)), "no complete answer")


async def test_http_can_be_made_without_loop_and_raises_after_close():
    http = await asyncio.to_thread(Http, Timeouts())
    await http.close()
    await http.close()
    with pytest.raises(TransportError, match="The client is closed") as caught:
        await http.send(get("http://127.0.0.1:1/"))
    assert (caught.value.request_sent, caught.value.retryable) == (False, False)


async def test_http_uses_callers_session_and_never_closes_it(serve):
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


async def test_proxy_of_environment_is_used_and_read_once(serve, monkeypatch):
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
async def test_proxy_that_refuses_tunnel_counts_as_request_not_sent(serve, monkeypatch, status, retryable):
    proxy = await serve(answer(status))
    monkeypatch.setenv("https_proxy", f"http://user:secret@127.0.0.1:{proxy.port}")
    http = Http(Timeouts())
    error = await fails(http, get("https://api.example/?" + SIGNATURE), f"HTTP {status}")
    assert (error.request_sent, error.retryable) == (False, retryable)
    assert "secret" not in str(error)
    assert KEY.encode() not in b"".join(proxy.heads)
    await http.close()


async def test_proxy_that_is_unreachable_is_retryable(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    http = Http(Timeouts())
    error = await fails(http, get("http://api.example/"), "proxy cannot be reached")
    assert (error.request_sent, error.retryable) == (False, True)
    await http.close()


async def test_proxy_of_unsupported_kind_raises_configuration_error(monkeypatch):
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
def test_proxy_is_chosen_by_scheme_and_bypass(url, expected):
    proxies = Proxies(
        {"https": "http://proxy:1", "http": "proxy:2"}, bypass=lambda host: host == "direct.example"
    )
    for _ in range(2):
        assert proxies.for_url(URL(url)) == expected


def test_proxy_cache_is_bounded():
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
def test_without_query_strips_query_fragment_and_credentials(url, shown):
    assert without_query(url) == shown


def test_http_request_repr_hides_secrets():
    request = Request("put", "PUT", "https://h/?" + SIGNATURE, HEADERS, b"body")
    assert SIGNATURE not in repr(request)
    assert KEY not in repr(request)


def test_http_timeout_cache_is_bounded():
    http = Http(Timeouts())
    assert http._clock(5) is http._clock(5)
    for number in range(1, 200):
        http._clock(number)
    assert len(http._clocks) <= 64
    assert http_module.MAX_ANSWER_BYTES == 64 * 2**20


@pytest.mark.parametrize("surprise", [ValueError("x"), RuntimeError("x")])
async def test_http_unexpected_error_after_sending_counts_as_request_sent(serve, http, monkeypatch, surprise):
    def read(*_):
        raise surprise

    served = await serve(answer(200, b"{}"))
    monkeypatch.setattr(aiohttp.StreamReader, "read_nowait", read)
    error = await fails(http, post(served.url + "/execute"), f"failed .{type(surprise).__name__}")
    assert (error.request_sent, len(served.bodies)) == (True, 1)


async def test_http_closed_session_of_caller_sends_nothing(serve):
    served = await serve(answer())
    session = aiohttp.ClientSession()
    http = Http(Timeouts(), session=session)
    await session.close()
    error = await fails(http, post(served.url), "session is closed")
    assert (error.request_sent, served.connections) == (False, 0)
