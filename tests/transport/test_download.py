"""One download over a real socket, into a real folder: the file is there whole, or not at all."""

from __future__ import annotations

import asyncio
import errno
import gzip
import hashlib
import logging
import os
import pickle
import re
import socket
import stat
import subprocess
import sys
import threading
import traceback
from pathlib import Path

import aiohttp
import pytest
from wire import KEY, SIGNATURE, Served, answer, read_request

from opus_async import disk
from opus_async.config import RetryPolicy, Timeouts
from opus_async.errors import DownloadError, OpusError, TransportError
from opus_async.events import FailureClass, RequestRetried, RequestUnanswered
from opus_async.transport import part_file
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.download import WRITE_BYTES, get_file
from opus_async.transport.failures import classify
from opus_async.transport.http import MAX_STORAGE_ANSWER_BYTES, Http
from opus_async.transport.limits import RequestLimiter
from opus_async.transport.part_file import Destination, numbered
from opus_async.transport.retry import Retrier

TARGET = "/media/a%28b%29%2F%40%7E+c.pdf?X-Amz-SignedHeaders=host&x=%28%2F%40%7E+&" + SIGNATURE
CONTENT = os.urandom(3 * WRITE_BYTES + 17)
LARGE = 24 * 2**20
"""More than the buffers on both sides hold, so that the sender has to wait for the reader."""


@pytest.fixture
async def http():
    made = Http(Timeouts())
    yield made
    await made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "out"
    made.mkdir()
    return made


@pytest.fixture
def place(folder: Path) -> Destination:
    return Destination(folder / "result.pdf")


async def get(http: Http, served: Served, place: Destination, **options):
    return await get_file(
        http, served.url + TARGET, place, **{"expected_size": None, "stall": 5.0, **options}
    )


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


async def empty(folder: Path) -> None:
    """A thread that a cancel left behind may need a moment."""
    for _ in range(500):
        if not names(folder):
            return
        await asyncio.sleep(0.002)
    raise AssertionError(f"left behind: {names(folder)}")


def head(*lines: str, status: int = 200) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} X", *lines, "", ""]).encode()


def chunked(*chunks: bytes) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head("Transfer-Encoding: chunked") + body + b"0\r\n\r\n"


def then_close(*parts: bytes):
    async def reply(served, reader, writer):
        await read_request(served, reader)
        for each in parts:
            writer.write(each)
            await writer.drain()

    return reply


# What is fetched


async def test_download_sends_no_secrets_and_writes_file(serve, http, folder, place):
    served = await serve(answer(200, CONTENT, Content_Type="application/pdf"))
    got = await get(http, served, place, expected_size=len(CONTENT))
    assert served.target == TARGET
    assert served.header("Accept-Encoding") == "identity"
    for absent in ("x-service-key", "Cookie", "Authorization", "Range", "Content-Type", "Content-Length"):
        assert served.header(absent) is None, absent
    assert (got.path, got.size, got.content_type) == (place.path, len(CONTENT), "application/pdf")
    assert got.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert got.seconds > 0
    assert place.path.read_bytes() == CONTENT
    assert names(folder) == ["result.pdf"]
    ordinary = folder / "ordinary"
    ordinary.touch()
    assert stat.S_IMODE(place.path.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


@pytest.mark.parametrize("size", [0, 1, 8191, WRITE_BYTES - 1, WRITE_BYTES, WRITE_BYTES + 1, len(CONTENT)])
async def test_download_of_sizes_around_a_chunk_is_whole(serve, http, folder, size):
    content = CONTENT[:size]
    served = await serve(answer(200, content), chunked(*filter(None, (content[:100], content[100:]))))
    for name, expected in (("a", size), ("b", None)):
        got = await get(http, served, Destination(folder / name), expected_size=expected)
        assert (folder / name).read_bytes() == content
        assert (got.size, got.sha256) == (size, hashlib.sha256(content).hexdigest())
    assert served.connections == 1, "the connection is used again"


async def test_download_has_temporary_name_until_whole(serve, http, folder, place):
    half, go_on = asyncio.Event(), asyncio.Event()

    async def slow(served, reader, writer):
        await read_request(served, reader)
        writer.write(answer(200, CONTENT)[: -len(CONTENT) // 2])
        await writer.drain()
        half.set()
        await go_on.wait()
        writer.write(CONTENT[-len(CONTENT) // 2 :])

    served = await serve(slow)
    task = asyncio.create_task(get(http, served, place))
    await half.wait()
    [name] = names(folder)
    assert re.fullmatch(r"\.result\.pdf\.[0-9a-f]{16}\.part", name)
    go_on.set()
    await task
    assert names(folder) == ["result.pdf"]
    assert place.path.read_bytes() == CONTENT


async def test_download_unpacks_gzip_content(serve, http, place):
    packed = gzip.compress(CONTENT[:1000] * 50)
    served = await serve(answer(200, packed, Content_Encoding="gzip"))
    got = await get(http, served, place, expected_size=len(packed))
    assert got.size == 50_000
    assert place.path.read_bytes() == CONTENT[:1000] * 50


@pytest.mark.parametrize("length", [200, 255])
async def test_download_of_long_file_name_works(serve, http, folder, length):
    served = await serve(answer(200, CONTENT))
    for name in ("x" * length, "ö" * (length // 2), "🙂" * (length // 4)):
        await get(http, served, Destination(folder / name))
    assert len(names(folder)) == 3


async def test_download_over_tls_in_pieces_is_whole(serve, certificate, place):
    content = os.urandom(3_000_000)

    async def slow(served, reader, writer):
        await read_request(served, reader)
        writer.write(head(f"Content-Length: {len(content)}"))
        for start in range(0, len(content), 70_001):
            writer.write(content[start : start + 70_001])
            await writer.drain()

    served = await serve(slow, ssl=certificate)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
        url = f"https://127.0.0.1:{served.port}{TARGET}"
        await get_file(Http(Timeouts(), session=session), url, place, expected_size=None, stall=5)
    assert place.path.read_bytes() == content


# What is not whole


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("came", [0, 1, WRITE_BYTES, 2 * WRITE_BYTES + 5, len(CONTENT) - 1])
async def test_download_cut_anywhere_leaves_nothing_and_restarts(  # noqa: PLR0917 - fixtures
    serve, http, folder, place, came, how
):
    async def cut(served, reader, writer):
        await read_request(served, reader)
        writer.write(answer(200, CONTENT)[: came - len(CONTENT)])
        await writer.drain()
        if how == "reset":
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()

    served = await serve(cut)
    with pytest.raises(TransportError) as caught:
        await get(http, served, place)
    assert caught.value.request_sent
    assert caught.value.retryable
    assert names(folder) == []
    served = await serve(cut, answer(200, CONTENT))
    events = []
    retrier = Retrier(RetryPolicy(base=0.001), RequestLimiter(2), notify=Dispatcher([events.append]))
    await retrier.call("get", lambda _: get(http, served, place))
    assert place.path.read_bytes() == CONTENT
    assert names(folder) == ["result.pdf"]
    assert list(map(type, events)) == [RequestUnanswered, RequestRetried]


@pytest.mark.parametrize(
    ("reply", "expected", "match"),
    [
        (answer(200, CONTENT), len(CONTENT) - 1, "786,449 bytes came or were announced where 786,448 were"),
        (answer(200, CONTENT), len(CONTENT) + 1, "announced"),
        (answer(200, CONTENT), 0, "where 0 were told"),
        (chunked(CONTENT), len(CONTENT) + 1, "announced"),
        (chunked(CONTENT), 5, "where 5 were told"),
        (chunked(CONTENT)[:-5], None, "cut short"),
        (then_close(head("Connection: close"), CONTENT), None, "its end looks like a cut"),
        (then_close(head("Connection: close"), CONTENT[:-1]), len(CONTENT), "announced"),
        (then_close(head("Content-Encoding: gzip"), gzip.compress(CONTENT)), 5, "looks like a cut"),
        (then_close(answer(200, gzip.compress(CONTENT), Content_Encoding="gzip")[:-9]), 5, "cut short"),
        (answer(200, CONTENT, Content_Encoding="gzip"), None, "damaged"),
        (
            answer(200, gzip.compress(CONTENT)[:-900], Content_Encoding="gzip"),
            len(CONTENT),
            "packed|cut|damaged",
        ),
        (answer(200, gzip.compress(CONTENT[:-1]), Content_Encoding="gzip"), len(CONTENT), "came packed"),
    ],
)
async def test_download_of_unexpected_size_raises_and_leaves_nothing(  # noqa: PLR0917 - fixtures
    serve, http, folder, place, reply, expected, match
):
    served = await serve(reply if callable(reply) else then_close(reply))
    with pytest.raises(TransportError, match=match) as caught:
        await get(http, served, place, expected_size=expected)
    assert caught.value.retryable
    assert classify(caught.value) is FailureClass.BROKEN
    assert names(folder) == []


async def test_download_accepts_expected_size_without_content_length(serve, http, place):
    served = await serve(then_close(head("Connection: close"), CONTENT))
    assert (await get(http, served, place, expected_size=len(CONTENT))).size == len(CONTENT)


async def test_download_refuses_wrong_content_length_before_reading_body(serve, http, place):
    async def endless(served, reader, writer):
        await read_request(served, reader)
        writer.write(head("Content-Length: 1000000"))
        await reader.read()  # until the other side goes away

    served = await serve(endless)
    with pytest.raises(TransportError, match="1,000,000 bytes"):
        await get(http, served, place, expected_size=10)


async def test_download_of_endless_body_stops_at_expected_size(serve, http, folder, place):
    async def endless(served, reader, writer):
        await read_request(served, reader)
        writer.write(head("Transfer-Encoding: chunked"))
        while True:
            writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
            await writer.drain()

    served = await serve(endless)
    with pytest.raises(TransportError, match="where 100,000 were told"):
        await get(http, served, place, expected_size=100_000)
    assert names(folder) == []


# Stalls


@pytest.mark.parametrize("sent", [0, 30, 300_000])
async def test_download_stall_raises_and_leaves_nothing(serve, http, folder, place, sent):
    async def stuck(served, reader, writer):
        await read_request(served, reader)
        writer.write(answer(200, CONTENT)[:sent])
        await reader.read()

    served = await serve(stuck)
    with pytest.raises(TransportError, match=r"stalled: no byte came for 0\.06 s") as caught:
        await get(http, served, place, stall=0.06)
    assert caught.value.request_sent
    assert caught.value.retryable
    assert names(folder) == []


async def test_download_over_slow_line_is_no_stall(serve, http, place):
    async def slow(served, reader, writer):
        await read_request(served, reader)
        writer.write(head("Content-Length: 20"))
        for _ in range(20):
            await asyncio.sleep(0.01)
            writer.write(b"x")

    served = await serve(slow)
    assert (await get(http, served, place, stall=0.1)).size == 20


async def test_download_to_slow_disk_is_no_stall(serve, http, place, monkeypatch):
    real = part_file._HashingFile.write
    waited = []

    def slow(self, data):
        if len(waited) < 3:
            waited.append(threading.Event().wait(0.1))
        return real(self, data)

    monkeypatch.setattr(part_file._HashingFile, "write", slow)
    served = await serve(answer(200, bytes(LARGE)))
    assert (await get(http, served, place, stall=0.05)).size == LARGE
    assert len(waited) == 3


async def test_download_connect_timeout_counts_as_request_not_sent(folder, place, monkeypatch):
    async def getaddrinfo(*_, **__):
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    http = Http(Timeouts(connect=0.05))
    with pytest.raises(TransportError, match=r"no connection within 0\.05 s") as caught:
        await get_file(http, "http://bucket.example/x", place, expected_size=None, stall=0.1)
    assert not caught.value.request_sent
    assert names(folder) == []
    await http.close()


async def test_download_refuses_invalid_url(http, folder, place):
    for url in ("ftp://host/a", "no url", ""):
        with pytest.raises(TransportError, match=r"no http\(s\) URL") as caught:
            await get_file(http, url, place, expected_size=None, stall=1)
        assert not caught.value.retryable
    assert names(folder) == []


# What storage refuses

XML = "<?xml version='1.0'?><Error><Code>{}</Code><Message>{}</Message><RequestId>1</RequestId></Error>"


@pytest.mark.parametrize(
    ("status", "code", "words", "match", "kind"),
    [
        (403, "AccessDenied", "Request has expired", "expired before it was used", FailureClass.REFUSED),
        (403, "AccessDenied", "Access Denied", "may read the file", FailureClass.REFUSED),
        (403, "AccessDenied", "see https://h/p?" + SIGNATURE, "try again", FailureClass.REFUSED),
        (403, "SignatureDoesNotMatch", "x", "changed on its way", FailureClass.REFUSED),
        (403, "RequestTimeTooSkewed", "x", "clock is wrong", FailureClass.REFUSED),
        (400, "ExpiredToken", "The token is old", "expired before", FailureClass.REFUSED),
        (404, "NoSuchKey", "The specified key does not exist.", "no longer there", FailureClass.REFUSED),
        (503, "SlowDown", "Reduce your request rate", "fewer downloads", FailureClass.OVERLOADED),
        (400, "SlowDown", "x", "fewer downloads", FailureClass.OVERLOADED),
        (500, "InternalError", "x", "try again", FailureClass.SERVER),
        (400, "RequestTimeout", "x", "try again", FailureClass.SERVER),
        (429, "TooMany", "x", "try again", FailureClass.THROTTLED),
    ],
)
async def test_download_refusal_tells_reason_and_remedy(  # noqa: PLR0917 - a table
    serve, http, folder, place, status, code, words, match, kind
):
    served = await serve(answer(status, XML.format(code, words).encode()))
    with pytest.raises(DownloadError, match=match) as caught:
        await get(http, served, place)
    error = caught.value
    assert (error.status, error.code, error.destination) == (status, code, str(place.path))
    assert error.expired is ("expired" in match)
    assert f"refused to give result.pdf with HTTP {status} ({code}: " in str(error)
    assert "f00dface" not in str(error)
    assert classify(error) is kind
    assert names(folder) == []
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), vars(again)) == (DownloadError, vars(error))


@pytest.mark.parametrize("status", [204, 206, 401, 502])
@pytest.mark.parametrize("body", [b"", b"<html>502 Bad Gateway</html>", b"\xff\xfe", b"x" * 200_000])
async def test_download_accepts_status_200_only(serve, http, place, status, body):
    served = await serve(then_close(answer(status, b"" if status == 204 else body)))
    with pytest.raises(DownloadError, match=rf"HTTP {status} \(without a reason\)"):
        await get(http, served, place)
    assert names(place.path.parent) == []


async def test_download_refusal_with_endless_body_is_cut(serve, http, folder, place):
    async def endless(served, reader, writer):
        await read_request(served, reader)
        writer.write(head("Content-Length: 1000000000", status=403))
        while True:
            writer.write(bytes(65536))
            await writer.drain()

    served = await serve(endless)
    with pytest.raises(TransportError, match=f"{MAX_STORAGE_ANSWER_BYTES:,} bytes"):
        await get(http, served, place)
    assert names(folder) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_download_does_not_follow_redirects(serve, http, place, status):
    other = await serve(answer(200, CONTENT))
    served = await serve(answer(status, Location=f"{other.url}/x"), answer(status, Location="/y"))
    for _ in range(2):
        with pytest.raises(DownloadError, match="followed nowhere") as caught:
            await get(http, served, place)
        assert caught.value.status == status
    assert other.connections == 0
    assert len(served.heads) == 2


# Where it goes


async def test_download_replaces_existing_file_only_with_overwrite(serve, http, folder, place):
    served = await serve(answer(200, CONTENT))
    place.path.write_bytes(b"before")
    with pytest.raises(DownloadError, match=r"came to be .* overwrite=True") as caught:
        await get(http, served, place)
    assert caught.value.status is None
    assert classify(caught.value) is FailureClass.REFUSED
    assert place.path.read_bytes() == b"before"
    assert names(folder) == ["result.pdf"]
    await get(http, served, Destination(place.path, overwrite=True))
    assert place.path.read_bytes() == CONTENT
    assert names(folder) == ["result.pdf"]


async def test_download_failure_keeps_existing_file(serve, http, folder, place):
    place.path.write_bytes(b"before")
    served = await serve(then_close(answer(200, CONTENT)[:-1]))
    with pytest.raises(TransportError):
        await get(http, served, Destination(place.path, overwrite=True))
    assert place.path.read_bytes() == b"before"
    assert names(folder) == ["result.pdf"]


@pytest.mark.parametrize("exists", [True, False])
async def test_download_replaces_symlink_and_does_not_follow_it(serve, http, tmp_path, place, exists):
    served = await serve(answer(200, CONTENT))
    secret = tmp_path / "secret"
    if exists:
        secret.write_bytes(b"before")
    place.path.symlink_to(secret)
    with pytest.raises(DownloadError, match="overwrite"):
        await get(http, served, place)
    assert place.path.is_symlink()
    await get(http, served, Destination(place.path, overwrite=True))
    assert not place.path.is_symlink()
    assert place.path.read_bytes() == CONTENT
    assert exists is secret.exists()
    assert not exists or secret.read_bytes() == b"before"


@pytest.mark.parametrize("there", [True, False])
async def test_download_does_not_write_to_symlink_of_temporary_name(folder, place, monkeypatch, there):
    monkeypatch.setattr(disk.secrets, "token_hex", lambda _: "00")
    victim = folder.parent / "victim"
    if there:
        victim.write_text("precious")
    place.path.with_name(f".{place.path.name}.00.part").symlink_to(victim)
    with pytest.raises(DownloadError):
        await part_file.PartialFile.open(place)
    assert victim.exists() is there
    assert not there or victim.read_text() == "precious"


@pytest.mark.parametrize("links", [True, False])
async def test_download_of_many_to_one_name_numbers_them_and_replaces_nothing(  # noqa: PLR0917 - fixtures
    serve, http, folder, place, links, monkeypatch
):
    if not links:
        monkeypatch.setattr(os, "link", failing(errno.EPERM))
    place.path.write_bytes(b"before")
    (folder / "result (3).pdf").mkdir()
    served = await serve(answer(200, CONTENT))
    wanted = Destination(place.path, renumber=True)
    got = await asyncio.gather(*(get(http, served, wanted) for _ in range(12)))
    free = [f"result ({number}).pdf" for number in (2, *range(4, 15))]
    assert sorted(each.path.name for each in got) == sorted(free)
    assert all(each.path.read_bytes() == CONTENT for each in got)
    assert place.path.read_bytes() == b"before"
    assert names(folder) == sorted(["result.pdf", "result (3).pdf", *free])


def test_download_numbered_names_keep_extension():
    paths = numbered(Path("out") / "a.tar.gz")
    assert [next(paths).name for _ in range(3)] == ["a.tar.gz", "a.tar (2).gz", "a.tar (3).gz"]
    assert next(numbered(Path("a"))) == Path("a")


# The disk


def failing(number: int):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


async def test_download_to_missing_folder_raises_before_sending(serve, http, folder):
    served = await serve(answer(200, CONTENT))
    (folder / "file").touch()
    for gone in ("gone", "file"):
        with pytest.raises(DownloadError, match=rf"{gone}/a cannot be written \(.*\): make its folder first"):
            await get(http, served, Destination(folder / gone / "a"))
    assert served.connections == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_download_to_unwritable_folder_raises_before_sending(serve, http, folder, place):
    folder.chmod(0o500)
    served = await serve(answer(200, CONTENT))
    with pytest.raises(DownloadError, match=r"Permission denied.*may write to"):
        await get(http, served, place)
    assert served.connections == 0


async def test_download_to_path_that_is_a_folder_raises(serve, http, folder, place):
    place.path.mkdir()
    served = await serve(answer(200, CONTENT))
    with pytest.raises(DownloadError, match="there is a folder of that name"):
        await get(http, served, Destination(place.path, overwrite=True))
    assert names(folder) == ["result.pdf"]


@pytest.mark.parametrize(
    ("where", "number", "match"),
    [
        ("write", errno.ENOSPC, r"\(No space left on device\): free some space"),
        ("flush", errno.EDQUOT, r"free some space"),
        ("write", errno.EIO, r"\(Input/output error\): check the disk"),
        ("fsync", errno.EIO, "check the disk"),
        ("replace", errno.EROFS, "can be written to"),
        ("open", errno.EMFILE, "ulimit -n"),
        ("open", errno.ENAMETOOLONG, "shorter name"),
    ],
)
async def test_download_disk_error_leaves_nothing(  # noqa: PLR0917 - fixtures
    serve, http, folder, place, monkeypatch, where, number, match
):
    target, name = {
        "write": (part_file._HashingFile, "write"),
        "flush": (part_file._HashingFile, "flush"),
        "fsync": (os, "fsync"),
        "replace": (Path, "replace"),
        "open": (part_file.io, "FileIO"),
    }[where]
    monkeypatch.setattr(target, name, failing(number))
    served = await serve(answer(200, CONTENT))
    with pytest.raises(DownloadError, match=match) as caught:
        await get(http, served, Destination(place.path, overwrite=True))
    error = caught.value
    assert (error.status, error.code, error.destination) == (None, None, str(place.path))
    assert error.disk_full is (number in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
    assert str(place.path) in str(error)
    short = number == errno.EMFILE
    assert (error.shortage, classify(error)) == (
        ("open files", FailureClass.SHORTAGE) if short else (None, FailureClass.REFUSED)
    )
    monkeypatch.undo()
    assert names(folder) == []


async def test_download_frees_reserved_name_if_rename_fails(serve, http, folder, place, monkeypatch):
    """Without hard links the name is taken first: a rename that then fails must not leave an empty file."""
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    monkeypatch.setattr(Path, "replace", failing(errno.EIO))
    served = await serve(answer(200, CONTENT))
    with pytest.raises(DownloadError, match="Input/output error"):
        await get(http, served, place)
    assert names(folder) == []


FULL = r"""
import asyncio, resource, sys
from pathlib import Path

from opus_async.config import Timeouts
from opus_async.errors import DownloadError
from opus_async.transport.download import get_file
from opus_async.transport.part_file import Destination
from opus_async.transport.http import Http

async def main(url, path):
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    http = Http(Timeouts())
    try:
        await get_file(http, url, Destination(Path(path)), expected_size=None, stall=5)
    except DownloadError as error:
        print(error.message)
    await http.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_download_over_file_size_limit_is_removed(serve, folder, place):
    served = await serve(answer(200, CONTENT))
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-c", FULL, served.url + TARGET, str(place.path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"result\.pdf cannot be written \(File too large\): raise the limit", done.stdout)
    assert names(folder) == []


# Cancelling


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50])
async def test_download_cancel_at_any_moment_leaves_nothing(serve, folder, place, turns):
    """Open files, sockets and tasks are looked for by a fixture of all tests."""

    async def slow(served, reader, writer):
        await read_request(served, reader)
        writer.write(answer(200, CONTENT)[:-1])
        await reader.read()

    served = await serve(slow)
    http = Http(Timeouts())
    task = asyncio.create_task(get(http, served, place))
    for _ in range(turns):
        await asyncio.sleep(0.0005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await http.close()
    await empty(folder)


def blocking(real):
    """A function that waits, in its thread, until it is let go; the two events; and whether it was let go."""
    entered, leave, heard = threading.Event(), threading.Event(), []

    def slow(*arguments, **options):
        entered.set()
        heard.append(leave.wait(5))
        return real(*arguments, **options)

    return slow, entered, leave, heard


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("where", ["write", "fsync", "open"])
async def test_download_cancel_while_thread_uses_file_leaves_nothing(  # noqa: PLR0917 - fixtures
    serve, http, folder, place, monkeypatch, where, twice
):
    target, name = {
        "write": (part_file._HashingFile, "write"),
        "fsync": (os, "fsync"),
        "open": (part_file.io, "FileIO"),
    }[where]
    slow, entered, leave, heard = blocking(getattr(target, name))
    monkeypatch.setattr(target, name, slow)
    served = await serve(answer(200, CONTENT))
    task = asyncio.create_task(get(http, served, place))
    await asyncio.to_thread(entered.wait, 5)
    task.cancel()
    await asyncio.sleep(0)
    if twice:
        await asyncio.sleep(0)
        task.cancel()
    asyncio.get_running_loop().call_later(0.01, leave.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(leave.wait, 5)
    await empty(folder)
    assert all(heard), "the loop went on meanwhile"


async def test_download_in_failed_task_group_keeps_whole_files_only(serve, http, folder):
    arrived = asyncio.Event()

    async def stuck(served, reader, writer):
        await read_request(served, reader)
        writer.write(answer(200, CONTENT)[:-1])
        arrived.set()
        await reader.read()

    whole, never = await serve(answer(200, CONTENT)), await serve(stuck)
    await get(http, whole, Destination(folder / "whole"))

    async def fail():
        await arrived.wait()
        raise ValueError

    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(get(http, never, Destination(folder / "half")))
            group.create_task(fail())
    assert names(folder) == ["whole"]


# Secrets


async def test_download_errors_and_logs_hide_secrets(serve, http, place, caplog):
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    replies = [
        then_close(),
        then_close(answer(200, CONTENT)[:-1]),
        answer(403, XML.format("AccessDenied", SIGNATURE).encode()),
        answer(307, Location="/?" + SIGNATURE),
        answer(200, CONTENT, Content_Encoding="gzip"),
        b"garbage\r\n\r\n",
    ]
    retrier = Retrier(RetryPolicy(attempts=2, base=0.001), RequestLimiter(1))
    for reply in replies:
        served = await serve(reply)
        with pytest.raises(OpusError) as caught:
            await retrier.call(
                "get", lambda _, served=served: get(http, served, place, stall=0.05, expected_size=9)
            )
        error = caught.value
        shown = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
        assert "f00dface" not in shown
    logged = "".join(record.getMessage() + str(record.exc_info) for record in caplog.records)
    assert "f00dface" not in logged
    assert KEY not in logged


# Memory

TWO_HUNDRED_MB = r"""
import asyncio, re, resource, sys
from pathlib import Path

from opus_async.config import Timeouts
from opus_async.transport.download import get_file
from opus_async.transport.part_file import Destination
from opus_async.transport.http import Http

STATUS = Path("/proc/self/status")

def peak():  # ru_maxrss begins with the parent's
    if STATUS.exists():
        return int(re.search(r"VmHWM:\s+(\d+)", STATUS.read_text())[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

async def main(url, folder):
    http = Http(Timeouts())
    fetch = lambda path, name: get_file(
        http, url + path, Destination(Path(folder) / name), expected_size=None, stall=30
    )
    await fetch("/small", "first")
    before = peak()
    got = await asyncio.gather(*(fetch("/large", str(number)) for number in range(4)))
    await http.close()
    print(before, peak(), *{each.sha256 for each in got})

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_download_memory_stays_flat_over_four_times_200_megabytes(serve, folder, record_property):
    block, blocks = os.urandom(2**20), 200

    async def send(served, reader, writer):
        await read_request(served, reader)
        if served.target == "/small":
            writer.write(answer(200, b"x", Connection="close"))
            return
        writer.write(head(f"Content-Length: {len(block) * blocks}", "Connection: close"))
        for _ in range(blocks):
            writer.write(block)
            await writer.drain()

    served = await serve(send)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", TWO_HUNDRED_MB, served.url, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    before, peak, digest = done.stdout.split()
    record_property("peak_rss_mb", int(peak))
    assert int(peak) - int(before) < 20
    assert digest == hashlib.sha256(block * blocks).hexdigest()
    assert sorted(each.stat().st_size for each in folder.iterdir()) == [1] + [blocks * 2**20] * 4
