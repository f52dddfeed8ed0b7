"""Small files are opened, hashed and read in the event loop where that cannot block, else in threads."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest
from wire import answer

from opus_async.config import Timeouts
from opus_async.errors import TransportError, UploadError
from opus_async.transport import open_source
from opus_async.transport.files import put_file
from opus_async.transport.http import Http
from opus_async.transport.sources import PathSource, digest

CONTENT = os.urandom(10_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def cached(number, buffers, offset, _):
    content = os.pread(number, len(buffers[0]), offset)
    buffers[0][: len(content)] = content
    return len(content)


def partly_cached(number, buffers, offset, flags):
    return cached(number, [buffers[0][: 4096 - offset % 4096]], offset, flags)


def cold(*_):
    raise BlockingIOError


def refused(*_):
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "small.pdf"
    made.write_bytes(CONTENT)
    return made


@pytest.fixture
async def http():
    made = Http(Timeouts())
    yield made
    await made.close()


class Disk:
    """The disk of a test, whose devices nobody has read from yet.

    Attributes:
        hops: What was run in threads.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hops: list[object] = []
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(open_source, "_takes_nowait", {})
        monkeypatch.setattr(open_source, "_NOWAIT", 8)
        loop = asyncio.get_running_loop()
        self._run = loop.run_in_executor
        monkeypatch.setattr(loop, "run_in_executor", self._counted)

    def reads_by(self, preadv) -> None:
        """Let reads that must not block go as a function says."""
        self._monkeypatch.setattr(os, "preadv", preadv, raising=False)

    def _counted(self, executor, function, *arguments):
        self.hops.append(function)
        return self._run(executor, function, *arguments)


@pytest.fixture
async def disk(monkeypatch):
    return Disk(monkeypatch)


async def put(http, served, source):
    return await put_file(http, f"{served.url}/x", source, content_type=None, stall=5)


async def test_small_file_needs_no_thread_once_its_device_is_known(serve, http, path, disk):
    disk.reads_by(cached)
    served = await serve(answer())
    assert await digest(PathSource(path)) == SHA256
    assert len(disk.hops) == 1, "whether the device answers at once was not known"
    for _ in range(3):
        source = PathSource(path)
        assert await digest(source) == SHA256
        await put(http, served, source)
    assert len(disk.hops) == 1
    assert served.bodies == [CONTENT] * 3


@pytest.mark.parametrize("preadv", [partly_cached, cold, refused])
async def test_small_file_that_is_not_in_the_cache_is_read_in_a_thread(serve, http, path, disk, preadv):
    disk.reads_by(preadv)
    served = await serve(answer())
    for _ in range(3):
        source = PathSource(path)
        assert await digest(source) == SHA256
        await put(http, served, source)
    assert served.bodies == [CONTENT] * 3
    assert len(disk.hops) >= 3


async def test_small_file_where_no_system_call_reads_without_blocking_is_read_in_a_thread(
    serve, http, path, disk, monkeypatch
):
    disk.reads_by(cached)
    monkeypatch.delattr(os, "preadv")
    monkeypatch.setattr(open_source, "_NOWAIT", 0)
    served = await serve(answer())
    source = PathSource(path)
    assert await digest(source) == SHA256
    await put(http, served, source)
    assert served.bodies == [CONTENT]
    assert len(disk.hops) == 3, "hashed, opened, read"


async def test_empty_file_tells_nothing_of_its_device(serve, http, tmp_path, disk):
    def refuses_to_read_something(number, buffers, *_):
        return refused() if len(buffers[0]) else 0

    disk.reads_by(refuses_to_read_something)
    empty = tmp_path / "empty.pdf"
    empty.touch()
    served = await serve(answer())
    for opened in range(1, 4):
        await put(http, served, PathSource(empty))
        assert len(disk.hops) == opened, "each in a thread"
    assert served.bodies == [b""] * 3


async def test_small_file_on_device_that_refuses_is_always_opened_in_a_thread(path, disk):
    disk.reads_by(refused)
    for _ in range(3):
        opened = await PathSource(path).open()
        assert opened.read_now(memoryview(bytearray(10)), 0) is None
        opened.close()
    assert len(disk.hops) == 3


@pytest.mark.parametrize("size", [64 * 1024, 64 * 1024 + 1])
async def test_only_small_files_are_opened_and_hashed_in_the_loop(tmp_path, disk, size):
    disk.reads_by(cached)
    path = tmp_path / "a.bin"
    content = os.urandom(size)
    path.write_bytes(content)
    await digest(PathSource(path))
    opened = await PathSource(path).open()
    opened.read_now(memoryview(bytearray(10)), 0)
    opened.close()
    before = len(disk.hops)
    assert await digest(PathSource(path)) == hashlib.sha256(content).hexdigest()
    (await PathSource(path).open()).close()
    assert len(disk.hops) - before == (0 if size == 64 * 1024 else 2)


async def test_small_file_on_unknown_device_that_hangs_does_not_stop_the_loop(path, disk, monkeypatch):
    disk.reads_by(cached)
    entered, leave = threading.Event(), threading.Event()
    real = os.open

    def hanging(*arguments):
        entered.set()
        leave.wait(5)
        return real(*arguments)

    monkeypatch.setattr(os, "open", hanging)
    hashing = asyncio.create_task(digest(PathSource(path)))
    await asyncio.to_thread(entered.wait, 5)
    assert not hashing.done()
    leave.set()
    assert await hashing == SHA256


async def test_small_file_on_device_that_hangs_counts_as_stalled(serve, http, path, disk, monkeypatch):
    disk.reads_by(cold)
    leave = threading.Event()
    monkeypatch.setattr(os, "pread", lambda *_: leave.wait(5) and b"")
    served = await serve(answer())
    with pytest.raises(TransportError, match="stalled"):
        await put_file(http, f"{served.url}/x", PathSource(path), content_type=None, stall=0.05)
    leave.set()
    assert served.bodies == []


@pytest.mark.parametrize("known", [True, False])
async def test_small_file_that_changes_while_it_is_hashed_has_no_digest(path, disk, known):
    disk.reads_by(cached)
    if known:
        await digest(PathSource(path))

    def changing(*arguments):
        count = cached(*arguments)
        with path.open("ab") as file:
            file.write(b"x")
        return count

    disk.reads_by(changing)
    with pytest.raises(UploadError, match=r"small\.pdf changed"):
        await digest(PathSource(path))


async def test_small_file_that_changes_between_its_reading_and_its_sending_is_not_sent(
    serve, http, path, disk
):
    disk.reads_by(cached)
    served = await serve(answer())
    await digest(PathSource(path))
    source = PathSource(path)

    def changing(*arguments):
        count = cached(*arguments)
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
        return count

    disk.reads_by(changing)
    with pytest.raises(UploadError, match=r"small\.pdf changed"):
        await put(http, served, source)
    assert served.bodies == []
