"""A forked child neither holds the lock of a batch nor writes its ledger."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress

import pytest
from forks import in_a_fork, needs_fork
from ledger_tools import complete, completed, created, opened, select, start, take

from opus_async.batch.ledger import SqliteLedger, lock
from opus_async.errors import LedgerBusy, LedgerError
from opus_async.metrics.counts import Counts

pytestmark = needs_fork


@pytest.mark.parametrize(
    "call",
    [
        lambda ledger: ledger.begin_session({}),
        lambda ledger: take(ledger, 1),
        lambda ledger: ledger.row("key-0"),
        lambda ledger: ledger.resolve("failed"),
        lambda ledger: ledger.set_facts(settings={}),
        lambda ledger: ledger.end_session(ended_because="", exit_code=0, stray_shells=0, uploads_saved=0),
    ],
)
async def test_fork_child_cannot_use_ledger_of_parent(tmp_path, call):
    async with created(tmp_path, 2) as ledger:
        await ledger.begin_session({})
        error = in_a_fork(lambda: call(ledger))
        assert isinstance(error, LedgerError)
        assert f"forked from process {os.getpid()}" in str(error)
        for row in await take(ledger, 2):
            await complete(ledger, row)
    assert select(tmp_path, "SELECT count(*) FROM sessions") == [(1,)]


async def test_fork_child_closing_ledger_keeps_lock_of_parent(tmp_path):
    async with created(tmp_path, 2) as ledger:
        await ledger.begin_session({})
        said = (tmp_path / ".lock").read_bytes()
        assert in_a_fork(ledger.close) is None
        assert (tmp_path / ".lock").read_bytes() == said
        with pytest.raises(LedgerBusy):
            await SqliteLedger.open(tmp_path)
        for row in await take(ledger, 2):
            await complete(ledger, row)
        assert ledger.counts() == Counts(completed=2)


async def test_fork_child_finds_lock_held_by_parent(tmp_path):
    async with created(tmp_path, 1):
        error = in_a_fork(lambda: SqliteLedger.open(tmp_path))
    assert isinstance(error, LedgerBusy)
    assert error.pid == os.getpid()


async def test_fork_child_can_create_ledger_of_its_own(tmp_path):
    async def work():
        async with created(tmp_path / "child", 2) as ledger:
            return ledger.counts().planned

    async with created(tmp_path / "parent", 1):
        assert in_a_fork(work) == 2


async def test_fork_child_outliving_parent_holds_no_lock_and_changes_nothing(tmp_path):
    async with created(tmp_path, 3):
        pass
    with start("fork", tmp_path) as parent:
        word, child = parent.stdout.readline().split()
        assert word == b"forked"
        parent.kill()
        parent.wait()
        try:
            async with opened(tmp_path) as ledger:  # while the child lives
                assert ledger.counts() == Counts(planned=2, ordering=1)
                await ledger.begin_session({})
                running, *others = await take(ledger, 3)
                await ledger.journal.finished(running.held, completed(running))
                await complete(ledger, others[0])
                os.kill(int(child), signal.SIGALRM)  # it ends, and closes whatever it has
                parent.stdout.read()
                await complete(ledger, others[1])
        finally:
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
    async with opened(tmp_path) as ledger:
        assert ledger.counts() == Counts(completed=3)
    assert select(tmp_path, "PRAGMA integrity_check") == [("ok",)]


LISTED = """
import os
for descriptor in os.listdir("/proc/self/fd"):
    if os.path.exists(f"/proc/self/fd/{descriptor}"):
        print(os.readlink(f"/proc/self/fd/{descriptor}"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="open files are listed as Linux shows them")
async def test_ledger_files_are_not_inherited_by_subprocess(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-c", LISTED, stdout=asyncio.subprocess.PIPE, close_fds=False
        )
        said, _ = await program.communicate()
    assert said
    assert str(tmp_path) not in said.decode()


async def test_fork_child_finds_database_lock_held_by_parent(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "flock", None)
    async with created(tmp_path, 1):
        assert isinstance(in_a_fork(lambda: SqliteLedger.open(tmp_path)), LedgerBusy)
        with pytest.raises(LedgerBusy):
            await SqliteLedger.open(tmp_path)
