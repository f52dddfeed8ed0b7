"""``results.jsonl`` and the ledger agree, whatever happened to one of them."""

from __future__ import annotations

import hashlib
import logging
import os

import pytest
from ledger_tools import (
    columns,
    complete,
    completed,
    created,
    not_completed,
    opened,
    order,
    results,
    select,
    take,
)

from opus_async.batch.rows import RowState
from opus_async.errors import LedgerError
from opus_async.metrics.counts import Counts


async def with_completed(directory, rows, of):
    """So many rows completed of so many; returns the content of results.jsonl."""
    async with created(directory, of) as ledger:
        await ledger.begin_session({})
        for row in await take(ledger, rows):
            await complete(ledger, row)
    return (directory / "results.jsonl").read_bytes()


async def test_results_jsonl_offset_length_and_digest_locate_each_line(tmp_path):
    content = await with_completed(tmp_path, 5, of=5)
    found = select(tmp_path, "SELECT key, result_offset, result_length, result_digest FROM rows")
    for key, offset, length, digest in found:
        line = content[offset : offset + length]
        assert f'"{key}"'.encode() in line
        assert line.endswith(b"\n")
        assert hashlib.sha256(line).hexdigest() == digest
    assert sum(length for _, _, length, _ in found) == len(content)


async def test_results_jsonl_line_is_synced_before_ledger_commits_it(tmp_path, monkeypatch):
    found = []

    def sync(descriptor):
        state, offset = columns(tmp_path, "key-0", "state", "result_offset")
        found.append((state == "completed", offset, len(results(tmp_path))))
        os.fsync(descriptor)

    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await order(ledger, row)
        monkeypatch.setattr("opus_async.batch.ledger.results_file.sync", sync)
        await ledger.journal.finished(row.held, completed(row))
        assert found == [(False, None, 1)]
        assert columns(tmp_path, "key-0", "state", "result_offset") == ("completed", 0)


async def test_ledger_uses_wal_with_full_synchronous_mode(tmp_path):
    def settings(store):
        names = ("journal_mode", "synchronous")
        return [store.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    async with created(tmp_path) as ledger:
        assert await ledger._writer.call(settings) == ["wal", 2]  # 2 is FULL: each commit waits for the disk
    async with opened(tmp_path) as ledger:
        assert await ledger._writer.call(settings) == ["wal", 2]


TORN = b'{"index": 2, "key": "key-2", "job_id": "job-key-2", "status": "COMPL'


@pytest.mark.parametrize(
    "tail", [*(TORN[:size] for size in (1, 9, 11, 12, 13, 20, 26, 27, 60)), b"\0" * 5000]
)
async def test_results_jsonl_torn_tail_is_cut_off_on_open(tmp_path, tail):
    content = await with_completed(tmp_path, 2, of=3)
    async with opened(tmp_path) as ledger:
        await ledger.begin_session({})
        await order(ledger, (await take(ledger, 1))[0])
    with (tmp_path / "results.jsonl").open("ab") as file:
        file.write(tail)
    async with opened(tmp_path) as ledger:
        assert (tmp_path / "results.jsonl").read_bytes() == content
        assert ledger.results_lost == 0
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await ledger.journal.finished(row.held, completed(row))
    assert [line["key"] for line in results(tmp_path)] == ["key-0", "key-1", "key-2"]


@pytest.mark.parametrize("kept", [0, 1, 2])
@pytest.mark.parametrize("torn", [0, 7])
async def test_results_jsonl_lost_lines_make_their_rows_running_again(tmp_path, caplog, kept, torn):
    content = await with_completed(tmp_path, 3, of=3)
    whole = b"".join(content.splitlines(keepends=True)[:kept])
    (tmp_path / "results.jsonl").write_bytes(content[: len(whole) + torn])
    with caplog.at_level(logging.WARNING):
        async with opened(tmp_path) as ledger:
            assert ledger.results_lost == 3 - kept
            assert ledger.counts() == Counts(completed=kept, running=3 - kept)
            await ledger.begin_session({})
            rows = await take(ledger, 9)
            assert [(row.index, row.status) for row in rows] == [(at, "COMPLETED") for at in range(kept, 3)]
            for row in rows:
                await ledger.journal.finished(row.held, completed(row))
    assert f"lines of {3 - kept} completed rows" in caplog.text
    assert (tmp_path / "results.jsonl").read_bytes() == content
    async with opened(tmp_path) as ledger:
        assert (ledger.results_lost, ledger.counts()) == (0, Counts(completed=3))


async def test_results_jsonl_removed_file_is_written_again(tmp_path):
    content = await with_completed(tmp_path, 2, of=2)
    (tmp_path / "results.jsonl").unlink()
    async with opened(tmp_path) as ledger:
        await ledger.begin_session({})
        for row in await take(ledger, 9):
            await ledger.journal.finished(row.held, completed(row))
    assert (tmp_path / "results.jsonl").read_bytes() == content


async def test_results_jsonl_edited_file_is_refused(tmp_path):
    content = await with_completed(tmp_path, 3, of=3)
    (tmp_path / "results.jsonl").write_bytes(content.replace(b"COMPLETED", b"completed, I say"))
    with pytest.raises(LedgerError, match="was changed after it was written") as caught:
        await opened(tmp_path).__aenter__()
    assert "'key-" in str(caught.value)
    assert "move it away" in str(caught.value)
    (tmp_path / "results.jsonl").write_bytes(content)
    async with opened(tmp_path) as ledger:
        assert ledger.counts() == Counts(completed=3)


async def test_results_jsonl_takes_lines_of_any_size(tmp_path):
    async with created(tmp_path, 3) as ledger:
        await ledger.begin_session({})
        for size, row in zip((1, 3_000_000, 10), await take(ledger, 3), strict=True):
            await ledger.journal.finished(row.held, completed(row, {"Text": "x" * size}))
    assert [len(line["outputs"]["Text"]) for line in results(tmp_path)] == [1, 3_000_000, 10]


async def test_results_jsonl_lost_line_of_resolved_row_with_job_makes_it_unknown(tmp_path):
    async with created(tmp_path, 2) as ledger:
        await ledger.begin_session({})
        for row in await take(ledger, 2):
            await order(ledger, row)
            await ledger.journal.finished(
                row.held, not_completed(RowState.UNKNOWN) if row.index else completed(row)
            )
        await ledger.resolve("done")
    (tmp_path / "results.jsonl").write_bytes(b"")
    async with opened(tmp_path) as ledger:
        assert ledger.counts() == Counts(unknown=1, running=1)
    assert columns(tmp_path, "key-1", "state", "remote_id") == ("unknown", "job-key-1")
    assert select(tmp_path, "SELECT state FROM history WHERE row = 2 ORDER BY id DESC LIMIT 1") == [
        ("unknown",)
    ]
