"""One process at a time works on a batch directory, and a second one is told who does."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
from datetime import datetime

import pytest
from ledger_tools import columns, complete, created, flushed, opened, order, results, start, take

from opus_async.batch.ledger import SqliteLedger, lock
from opus_async.errors import LedgerBusy, LedgerError


def no_flock(*_):
    raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))


@pytest.fixture(params=["flock", "no flock", "no fcntl"])
def system(request, monkeypatch):
    """A system with this kind of lock."""
    if request.param != "flock":
        monkeypatch.setattr(lock, "flock", no_flock if request.param == "no flock" else None)


@pytest.mark.usefixtures("system")
async def test_lock_refuses_second_opening_in_same_process(tmp_path):
    async with created(tmp_path, 1):
        with pytest.raises(LedgerBusy) as caught:
            await SqliteLedger.open(tmp_path)
        with pytest.raises(LedgerBusy):
            await SqliteLedger.create(tmp_path, {})
    assert (caught.value.pid, caught.value.host) == (os.getpid(), socket.gethostname())
    assert f"process {os.getpid()} on host {socket.gethostname()}, since " in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "batch status" in str(caught.value)
    async with opened(tmp_path) as ledger:
        assert ledger.counts().planned == 1


async def test_lock_names_other_process_and_is_free_after_its_death(tmp_path):
    async with created(tmp_path, 1):
        pass
    with start("hold", tmp_path) as child:
        assert child.stdout.readline() == b"holding\n"
        with pytest.raises(LedgerBusy, match=f"process {child.pid} ") as caught:
            await SqliteLedger.open(tmp_path)
        os.killpg(child.pid, signal.SIGKILL)
    assert caught.value.pid == child.pid
    assert json.loads((tmp_path / ".lock").read_bytes())["pid"] == child.pid  # what is left is no obstacle
    async with opened(tmp_path):
        pass
    assert (tmp_path / ".lock").read_bytes() == b""


async def test_lock_is_held_while_batch_is_planned(tmp_path):
    first = await SqliteLedger.create(tmp_path, {})
    with pytest.raises(LedgerBusy):
        await SqliteLedger.create(tmp_path, {})
    await first.publish()
    await first.close()


@pytest.mark.parametrize("said", [b"", b"no JSON", b"[]", b'{"pid": "x", "host": 5, "since": 1e300}'])
async def test_lock_is_busy_even_if_its_holder_is_unreadable(tmp_path, said, monkeypatch):
    monkeypatch.setattr(lock, "_READ_PAUSE", 0)
    async with created(tmp_path):
        (tmp_path / ".lock").write_bytes(said)
        with pytest.raises(LedgerBusy, match="works on") as caught:
            await SqliteLedger.open(tmp_path)
    assert caught.value.pid is None


def test_lock_time_of_earlier_day_is_shown_with_date():
    then = datetime(2025, 10, 9, 10, 53).astimezone()
    assert lock._moment(then.timestamp()) == "2025-10-09 10:53"


async def test_lock_system_error_is_reported(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with created(tmp_path):
        pass
    monkeypatch.setattr(lock, "flock", broken)
    with pytest.raises(LedgerError, match="check the disk"):
        await SqliteLedger.open(tmp_path)


async def test_lock_holds_after_lock_file_is_removed(tmp_path):
    async with created(tmp_path, 1) as ledger:
        (tmp_path / ".lock").unlink()
        with pytest.raises(LedgerBusy, match="has not said who it is"):
            await SqliteLedger.open(tmp_path)
        await ledger.begin_session({})
        with pytest.raises(LedgerBusy) as caught:
            await SqliteLedger.open(tmp_path)
    assert caught.value.pid == os.getpid()


async def test_lock_is_acquired_despite_momentary_check_by_reader(tmp_path, monkeypatch):
    async with created(tmp_path, 1):
        pass
    calls = []

    def looked_at(*_):
        calls.append(1)
        if len(calls) == 1:
            raise BlockingIOError(errno.EWOULDBLOCK, "held")

    monkeypatch.setattr(lock, "flock", looked_at)
    async with opened(tmp_path):
        assert len(calls) == 2


@pytest.fixture
def no_lock(monkeypatch):
    """A file system whose locks hold nobody back."""
    monkeypatch.setattr(lock, "flock", lambda *_: None)


@pytest.mark.usefixtures("no_lock")
async def test_ledger_taken_over_by_other_process_refuses_further_starts(tmp_path):
    async with created(tmp_path, 4) as first:
        await first.begin_session({})
        one, two, three = await take(first, 3)
        await complete(first, one)
        await order(first, two)
        await flushed(first)
        async with opened(tmp_path) as second:
            await flushed(first)  # that it is open is no session
            await second.begin_session({})
            with pytest.raises(LedgerError, match="Another process has taken over"):
                await first.ordering(three, "job", "v0")
            with pytest.raises(LedgerError, match="taken over"):
                await first.journal.begun(three.held)
            rows = await take(second, 9)
            assert [row.key for row in rows] == ["key-1", "key-2", "key-3"]
            for row in rows:
                await complete(second, row)
    assert columns(tmp_path, "key-2", "orders", "remote_id") == (1, "job-key-2")
    assert [line["key"] for line in results(tmp_path)] == ["key-0", "key-1", "key-2", "key-3"]


@pytest.mark.usefixtures("no_lock")
async def test_ledger_taken_over_by_other_process_refuses_to_plan_or_begin_session(tmp_path):
    async with created(tmp_path, 1), opened(tmp_path) as late, opened(tmp_path) as other:
        await other.begin_session({})
        with pytest.raises(LedgerError, match="taken over"):
            await late.begin_plan()
        with pytest.raises(LedgerError, match="taken over"):
            await late.begin_session({})
