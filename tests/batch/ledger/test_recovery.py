"""Killed at every call that changes a file, or brings one to the disk: what is left is read and gone on with.

The calls are counted by a library that is preloaded (``killed_at.c``), so that nothing of ours or of SQLite's
is left out.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from ledger_tools import complete, completed, created, new_rows, opened, plan, results, select, take

from opus_async.batch.ledger import SqliteLedger
from opus_async.batch.ledger.reader import LedgerReader
from opus_async.batch.rows import RowState
from opus_async.errors import LedgerError
from opus_async.metrics.counts import Counts

SUPPORT = Path(__file__).parents[2] / "support"
ROWS = 3
COMPILER = shutil.which("cc")


@pytest.fixture(scope="module")
def killer(tmp_path_factory):
    """The library; skipped where it cannot be made."""
    if sys.platform != "linux" or COMPILER is None:
        pytest.skip("takes Linux and a C compiler: calls are counted by a library that is preloaded")
    library = tmp_path_factory.mktemp("killer") / "killed_at.so"
    command = [COMPILER, "-shared", "-fPIC", "-o", str(library), str(SUPPORT / "killed_at.c"), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the C compiler cannot make it: {done.stderr}")
    return library


async def lives(killer, scenario, folder, half):
    """The directories of lives that were ended at one call each, with that call."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(SUPPORT), str(SUPPORT.parents[1]))),
        "LD_PRELOAD": str(killer),
        **({"KILL_HALF": "1"} if half else {}),
    }
    command = [sys.executable, str(SUPPORT / "killed_child.py"), scenario, str(folder)]
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    homes = sorted(folder.iterdir(), key=lambda path: int(path.name))
    return [(home / "batch", (home / "calls").read_text().splitlines()[-1]) for home in homes]


def read(directory):
    """All that a reader sees makes sense."""
    with LedgerReader(directory) as reader:
        rows = list(reader.rows())
        assert reader.counts().total == len(rows) == ROWS
        for row in rows:
            if row.state is RowState.COMPLETED:
                assert reader.result_of(row)["job_id"] == row.remote_id
        reader.sessions()


async def finish(directory):
    """Go on with it, without a question, to its end; nothing is ordered twice, and no line is lost."""
    async with opened(directory) as ledger:
        await ledger.begin_session({})
        for row in await take(ledger, ROWS):
            if row.state is RowState.PLANNED:
                await complete(ledger, row)
            else:
                await ledger.journal.finished(row.held, completed(row))
        assert ledger.counts() == Counts(completed=ROWS)
    read(directory)
    assert select(directory, "SELECT max(orders), min(orders) FROM rows") == [(1, 1)]
    assert sorted(line["key"] for line in results(directory)) == [f"key-{index}" for index in range(ROWS)]


@pytest.mark.parametrize(
    ("scenario", "half"),
    [
        ("first life", False),
        ("next life", False),
        pytest.param("first life", True, marks=pytest.mark.long),
        pytest.param("next life", True, marks=pytest.mark.long),
    ],
)
async def test_ledger_recovers_from_kill_at_any_file_system_call(killer, tmp_path, scenario, half):
    calls = await lives(killer, scenario, tmp_path, half)
    assert len(calls) > 50
    for directory, call in calls:
        try:
            if (directory / "ledger.db").exists():
                read(directory)
            else:
                assert scenario == "first life"
                with pytest.raises(LedgerError, match=r"There is no batch|never planned to its end"):
                    LedgerReader(directory)
                async with created(directory, ROWS):
                    pass
            await finish(directory)
            assert not [path.name for path in directory.iterdir() if ".new" in path.name]
        except BaseException as error:
            error.add_note(f"killed at call {call}")
            raise


HOT = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = DELETE")
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
connection.execute("UPDATE rows SET state = 'completed', note = printf('%2000c', 'x')")
os._exit(0)
"""


async def with_hot_journal(directory: Path) -> None:
    """A ledger that its process was changing when it died, and half of it is on the disk."""
    async with created(directory, 500):
        pass
    await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", HOT, str(directory / "ledger.db")], check=True
    )
    assert (directory / "ledger.db-journal").stat().st_size > 0


async def test_ledger_reader_rolls_back_unfinished_transaction_of_dead_process(tmp_path):
    await with_hot_journal(tmp_path)
    with LedgerReader(tmp_path) as reader:
        assert reader.counts() == Counts(planned=500)
    assert not (tmp_path / "ledger.db-journal").exists()


async def test_ledger_open_rolls_back_unfinished_transaction_of_dead_process(tmp_path):
    await with_hot_journal(tmp_path)
    async with opened(tmp_path) as ledger:
        assert ledger.counts() == Counts(planned=500)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_ledger_reader_without_write_permission_says_rollback_needs_it(tmp_path):
    await with_hot_journal(tmp_path / "batch")
    (tmp_path / "batch").chmod(0o500)
    try:
        with pytest.raises(LedgerError, match="undo what a dead one left"):
            LedgerReader(tmp_path / "batch")
    finally:
        (tmp_path / "batch").chmod(0o700)


async def test_ledger_publish_leaves_complete_ledger_if_power_fails_after_rename(tmp_path, monkeypatch):
    ledger = await SqliteLedger.create(tmp_path, {})
    await plan(ledger, new_rows(2))

    def power_cut(path):
        if path == tmp_path:  # it has its name
            shutil.copytree(tmp_path, tmp_path.with_name("then"))
            raise OSError("power cut")

    monkeypatch.setattr("opus_async.batch.ledger.store.sync_path", power_cut)
    with pytest.raises(LedgerError):
        await ledger.publish()
    await ledger.close()
    then = tmp_path.with_name("then")
    assert sorted(path.name for path in then.iterdir()) == [".lock", "ledger.db"]
    with closing(sqlite3.connect(then / "ledger.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("SELECT count(*) FROM rows").fetchone() == (2,)
