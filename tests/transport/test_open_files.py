"""Limits of open files: what is done at once follows them, and whoever meets them waits."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import pytest

from opus_async.config import Limits, RetryPolicy, Timeouts
from opus_async.errors import ConfigurationError, Obstacle, TransportError, UploadError
from opus_async.events import FailureClass
from opus_async.transport import open_files
from opus_async.transport.failures import classify
from opus_async.transport.files import put_file
from opus_async.transport.http import Http, Request
from opus_async.transport.limits import RequestLimiter
from opus_async.transport.network_errors import to_transport_error
from opus_async.transport.open_source import to_thread
from opus_async.transport.retry import Retrier
from opus_async.transport.shortage import no_file_can_be_opened, out_of, patiently
from opus_async.transport.sources import PathSource, digest

NO_THREAD = RuntimeError("can't start new thread")


@contextmanager
def no_more_files() -> Iterator[None]:
    """As many files as are open now may be, and no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open(os.devnull, os.O_RDONLY)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connector_error(number: int) -> aiohttp.ClientConnectorError:
    key = aiohttp.client_reqrep.ConnectionKey("h", 80, False, False, None, None, None)
    return aiohttp.ClientConnectorError(key, OSError(number, os.strerror(number)))


def with_code(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("x")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (OSError(errno.EMFILE, "x"), "open files"),
        (OSError(errno.ENFILE, "x"), "open files"),
        (OSError(errno.ENOMEM, "x"), "memory"),
        (MemoryError(), "memory"),
        (NO_THREAD, "threads"),
        (RuntimeError("Session is closed"), None),
        (connector_error(errno.EMFILE), "open files"),
        (connector_error(errno.ECONNREFUSED), None),
        (socket.gaierror(socket.EAI_MEMORY, "x"), "memory"),
        (socket.gaierror(socket.EAI_NONAME, "x"), None),
        (with_code(sqlite3.SQLITE_NOMEM), "memory"),
        (with_code(sqlite3.SQLITE_CANTOPEN), None),
        (OSError(errno.ENOENT, "x"), None),
        (ValueError("x"), None),
    ],
)
def test_shortage_is_recognised_in_every_kind_of_error(error, what):
    assert out_of(error) == what
    caused = ValueError("ours")
    caused.__cause__ = error
    assert out_of(caused) == what


@pytest.mark.parametrize("error", [connector_error(errno.EMFILE), connector_error(errno.ENOMEM), NO_THREAD])
def test_shortage_error_counts_as_request_not_sent_and_retryable(error):
    failure = to_transport_error(error, method="POST", url="http://h/job/execute?x=secret")
    assert (failure.request_sent, failure.retryable, failure.obstacle) == (False, True, Obstacle.SHORTAGE)
    assert failure.shortage
    assert classify(failure) is FailureClass.SHORTAGE
    assert "secret" not in str(failure)


async def test_shortage_of_open_files_is_waited_out_without_using_attempts(serve_ok):
    http = Http(Timeouts())
    waits, begun = [], []
    try:
        with no_more_files():

            async def sleep(seconds):
                waits.append(seconds)
                if len(waits) == 4:
                    resource.setrlimit(resource.RLIMIT_NOFILE, soft_and_hard)

            retrier = Retrier(RetryPolicy(attempts=1), RequestLimiter(1), sleep=sleep)

            async def attempt(attempt):
                begun.append(attempt.number)
                return await http.send(Request("x", "POST", serve_ok, headers={}, body=b"order"))

            answer = await retrier.call("x", attempt, repeatable=False)
    finally:
        await http.close()
    assert (answer.status, begun) == (200, [1] * 5)
    assert waits == sorted(waits)


soft_and_hard = resource.getrlimit(resource.RLIMIT_NOFILE)


@pytest.fixture
async def serve_ok():
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    server.close()
    await server.wait_closed()


async def test_shortage_that_lasts_is_raised_after_max_elapsed():
    met = TransportError("none left", request_sent=False, obstacle=Obstacle.SHORTAGE)
    met.shortage = "open files"
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    async def attempt(_):
        raise met

    with pytest.raises(TransportError) as caught:
        await Retrier(RetryPolicy(max_elapsed=10), RequestLimiter(1), sleep=sleep).call("x", attempt)
    assert caught.value.shortage == "open files"
    assert 10 <= sum(slept) <= 12


async def test_shortage_of_open_files_is_not_taken_for_a_bad_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a")
    source = PathSource(path)
    http = Http(Timeouts())
    await to_thread(int)  # the first of the threads needs a module of the standard library
    with no_more_files():
        assert no_file_can_be_opened()
        with pytest.raises(UploadError, match="ulimit -n") as caught:
            await put_file(http, "http://127.0.0.1:1/x", source, content_type=None, stall=5)
    await http.close()
    assert (caught.value.shortage, classify(caught.value)) == ("open files", FailureClass.SHORTAGE)
    assert not no_file_can_be_opened()
    assert len(await digest(source)) == 64


async def test_shortage_patiently_retries_shortages_only():
    tried = []

    async def attempt():
        tried.append(1)
        raise OSError(errno.EMFILE, "x")

    async def sleep(_):
        pass

    with pytest.raises(OSError, match="x"):
        await patiently(attempt, patience=1, sleep=sleep)
    assert len(tried) > 3

    async def other():
        tried.append(2)
        raise OSError(errno.ENOENT, "x")

    with pytest.raises(FileNotFoundError):
        await patiently(other, sleep=sleep)
    assert tried.count(2) == 1


async def test_to_thread_undoes_work_done_after_thread_could_not_start(monkeypatch):
    loop, later, undone = asyncio.get_running_loop(), [], []

    def without_threads(_, function):
        later.append(function)
        raise NO_THREAD

    monkeypatch.setattr(loop, "run_in_executor", without_threads)
    with pytest.raises(RuntimeError):
        await to_thread(lambda: "opened", undo=undone.append)
    later[0]()
    assert undone == ["opened"]


@pytest.mark.parametrize(
    ("soft", "open_now", "at_once"),
    [
        (None, 10, (64, 32)),
        (1024, 10, (64, 32)),
        (166, 10, (64, 32)),
        (128, 10, (45, 22)),
        (64, 10, (13, 6)),
        (42, 10, (2, 1)),
    ],
)
def test_open_files_limit_bounds_concurrency(soft, open_now, at_once):
    limits, told = open_files.fitted(Limits(), soft=soft, open_now=open_now)
    assert (limits.api_concurrency, limits.upload_concurrency) == at_once
    assert (told is None) is (at_once == (64, 32))
    assert told is None or "ulimit -n" in told
    assert soft is None or at_once[0] + 2 * at_once[1] + open_now + open_files.RESERVE <= soft


def test_open_files_limit_too_low_raises_configuration_error():
    with pytest.raises(ConfigurationError, match=r"42 are needed.*ulimit -n"):
        open_files.fitted(Limits(), soft=41, open_now=10)


def test_open_files_limit_leaves_lower_concurrency_unchanged():
    asked = Limits(api_concurrency=1, upload_concurrency=1)
    assert open_files.fitted(asked, soft=64, open_now=10) == (asked, None)


def test_open_files_raise_to_raises_limit_and_never_lowers_it():
    soft, hard = soft_and_hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 200), hard))
        open_files.raise_to(100)
        assert open_files.allowed() == min(soft, 200)
        open_files.raise_to(220)
        assert open_files.allowed() == min(220, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, soft_and_hard)
