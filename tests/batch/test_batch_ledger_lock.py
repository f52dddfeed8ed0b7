"""One process at a time works on a batch directory, and a second one is told who does."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket

import pytest
from ledger_tools import created, opened, start

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
async def test_a_second_one_in_this_process_is_refused_at_once(tmp_path):
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


async def test_another_process_is_named_and_its_death_lets_the_next_in(tmp_path):
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


async def test_while_a_batch_is_planned_nobody_else_can_plan_one(tmp_path):
    first = await SqliteLedger.create(tmp_path, {})
    with pytest.raises(LedgerBusy):
        await SqliteLedger.create(tmp_path, {})
    await first.publish()
    await first.close()


@pytest.mark.parametrize("said", [b"", b"no JSON", b"[]", b'{"pid": "x", "host": 5, "since": 1e300}'])
async def test_a_holder_that_has_not_said_who_it_is_is_refused_all_the_same(tmp_path, said, monkeypatch):
    monkeypatch.setattr(lock, "_READ_PAUSE", 0)
    async with created(tmp_path):
        (tmp_path / ".lock").write_bytes(said)
        with pytest.raises(LedgerBusy, match="works on") as caught:
            await SqliteLedger.open(tmp_path)
    assert caught.value.pid is None


def test_yesterdays_run_is_told_with_its_date():
    assert len(lock._moment(1_760_000_000.0)) == len("2025-10-09 10:53")


async def test_a_lock_that_the_system_refuses_is_an_error_that_says_so(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with created(tmp_path):
        pass
    monkeypatch.setattr(lock, "flock", broken)
    with pytest.raises(LedgerError, match="check the disk"):
        await SqliteLedger.open(tmp_path)
