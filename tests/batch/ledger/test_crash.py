"""kill -9 at any moment: what was acknowledged is there, and nothing is there twice."""

from __future__ import annotations

import json
import os
import random
import signal

import pytest
from ledger_tools import created, opened, results, select, start

from opus_async.batch.rows import RowState

ROWS = 2500


def lines_until_killed(directory, after):
    """Let a child work, kill it when it has said so many lines, and return what it said."""
    with start("work", directory) as child:
        said = [line for _, line in zip(range(after), child.stdout, strict=False)]
        os.killpg(child.pid, signal.SIGKILL)
        said += child.stdout.readlines()
    return [line.split() for line in (b"".join(said)).decode().splitlines() if line.count(" ") == 1]


@pytest.mark.parametrize("kills", [6, pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
async def test_ledger_keeps_acknowledged_writes_after_kill_at_any_moment(tmp_path, kills):
    async with created(tmp_path, ROWS):
        pass
    acknowledged: dict[str, set[str]] = {"ordering": set(), "completed": set(), "failed": set()}
    for _ in range(kills):
        for word, key in lines_until_killed(tmp_path, after=random.randint(1, 2 * ROWS // kills)):
            acknowledged[word].add(key)
        check(tmp_path, acknowledged)
    assert len(acknowledged["completed"]) > kills
    with start("work", tmp_path) as child:
        child.communicate()
    async with opened(tmp_path) as ledger:
        counts = ledger.counts()
    assert (counts.completed, counts.failed) == (ROWS * 4 // 5, ROWS // 5)
    assert sorted(line["key"] for line in results(tmp_path)) == sorted(
        f"key-{index}" for index in range(ROWS) if index % 5 != 4
    )
    assert select(tmp_path, "SELECT max(orders) FROM rows") == [(1,)]


def check(directory, acknowledged):
    """As the next session will find it, and as a reader finds it who comes before that."""
    assert select(directory, "PRAGMA integrity_check") == [("ok",)]
    rows = dict(select(directory, "SELECT key, state FROM rows"))
    assert len(rows) == ROWS
    assert {rows[key] for key in acknowledged["completed"]} <= {RowState.COMPLETED}
    assert {rows[key] for key in acknowledged["failed"]} <= {RowState.FAILED}
    assert RowState.PLANNED not in {rows[key] for key in acknowledged["ordering"]}
    content = (directory / "results.jsonl").read_bytes()
    recorded = select(
        directory,
        "SELECT key, result_offset, result_length FROM rows WHERE state = 'completed' ORDER BY result_offset",
    )
    end = 0
    for key, offset, length in recorded:
        assert offset == end
        assert json.loads(content[offset : offset + length])["key"] == key
        end += length
    assert end <= len(content)


async def test_ledger_create_ignores_leftovers_of_killed_planning(tmp_path):
    for name in ("ledger.db.new", "ledger.db.new-journal"):
        (tmp_path / name).write_bytes(b"half of something")
    async with created(tmp_path, 3):
        assert not [path for path in tmp_path.iterdir() if ".new" in path.name]


async def test_ledger_planning_unconfirmed_leaves_no_trace_after_kill(tmp_path):
    async with created(tmp_path, 3):
        pass
    with start("plan", tmp_path) as child:
        assert child.stdout.readline() == b"planned 50000\n"
        assert select(tmp_path, "SELECT count(*) FROM rows") == [(3,)]  # nor for who reads meanwhile
        os.killpg(child.pid, signal.SIGKILL)
    async with opened(tmp_path) as ledger:
        assert ledger.counts().planned == 3
    assert select(tmp_path, "PRAGMA integrity_check") == [("ok",)]
    assert select(tmp_path, "SELECT key FROM rows ORDER BY id") == [("key-0",), ("key-1",), ("key-2",)]
