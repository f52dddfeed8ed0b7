"""What lies beside a ledger is looked at before rows are ordered on its word, and is never destroyed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from ledger_tools import (
    columns,
    complete,
    completed,
    created,
    flushed,
    line_of,
    not_completed,
    opened,
    order,
    results,
    select,
    start,
    take,
)

from opus_async.batch.ledger import UNFINISHED, SqliteLedger, mark, store
from opus_async.batch.ledger.file_birth import born
from opus_async.batch.ledger.location import Home
from opus_async.batch.ledger.reader import LedgerReader
from opus_async.batch.rows import RowState
from opus_async.errors import LedgerDoubtful
from opus_async.metrics.counts import Counts

ROWS = 400


def content(directory: Path) -> dict[str, bytes]:
    """Of what a refusal must leave as it was."""
    names = ("ledger.db", "ledger.db-wal", "results.jsonl", "results.jsonl.cut", ".batch-")
    there = {path.name: path.read_bytes() for path in directory.iterdir() if path.name.startswith(names)}
    there.pop("ledger.db-shm", None)
    return {name: data for name, data in there.items() if data}  # who reads leaves an empty log


async def doubts(directory: Path, **given) -> LedgerDoubtful:
    """Why it is refused; the same words when it is tried again, and nothing is changed by it."""
    before = content(directory)
    with pytest.raises(LedgerDoubtful) as first:
        await SqliteLedger.open(directory, **given)
    with pytest.raises(LedgerDoubtful) as second:
        await SqliteLedger.open(directory, **given)
    assert str(first.value) == str(second.value)
    assert content(directory) == before
    return first.value


async def killed_at_work(directory: Path, after: int = 250) -> None:
    """A batch whose process is killed when it has said so many lines."""
    async with created(directory, ROWS):
        pass
    with start("work", directory) as child:
        for _ in range(after):
            child.stdout.readline()
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


# What is missing


async def test_ledger_evidence_missing_wal_of_killed_session_is_refused_until_accepted(tmp_path):
    await killed_at_work(tmp_path)
    (tmp_path / "ledger.db-wal").unlink()
    proved = {line["key"] for line in results(tmp_path)}
    assert proved
    error = await doubts(tmp_path)
    assert "ledger.db is older than what was here" in str(error)
    assert f"opus-async batch resume {tmp_path} --accept-second-bill" in str(error)
    assert set(error.keys[:10]) <= proved
    with LedgerReader(tmp_path) as reader:  # to look at it goes on as before
        assert reader.counts().total == ROWS
    async with opened(tmp_path, accept_second_bill=True) as ledger:
        assert (ledger.proved, ledger.counts().completed) == (len(proved), len(proved))
        assert ledger.counts().planned == ROWS - len(proved)
        assert ledger.accepted == error.problems
    for row in results(tmp_path):
        assert columns(tmp_path, row["key"], "remote_id") == (row["job_id"],)
    async with opened(tmp_path) as ledger:  # what was accepted once is settled
        assert ledger.accepted == ()
    with LedgerReader(tmp_path) as reader:
        for row in reader.rows([RowState.COMPLETED]):
            assert reader.result_of(row)["job_id"] == row.remote_id


@pytest.mark.parametrize("left", [b"", b"x" * 5000])
async def test_ledger_evidence_emptied_or_overwritten_wal_is_refused(tmp_path, left):
    await killed_at_work(tmp_path)
    (tmp_path / "ledger.db-wal").write_bytes(left)
    (tmp_path / "ledger.db-shm").unlink()
    with pytest.raises(LedgerDoubtful, match="is older than what was here"):
        await SqliteLedger.open(tmp_path)


async def test_ledger_evidence_wal_lost_after_partial_checkpoint_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "CHANGES", 20)
    async with created(tmp_path, 30) as ledger:
        await ledger.begin_session({})
        for row in await take(ledger, 20):
            await order(ledger, row)
            await ledger.journal.finished(
                row.held,
                not_completed(RowState.FAILED),
                # nothing in results.jsonl tells of it
            )
        shutil.copytree(tmp_path, tmp_path / "as it was")
        assert select(tmp_path, "SELECT 1 FROM rows WHERE state = 'failed'")
    for _, path in list(mark.marks(tmp_path)):
        path.unlink()
    (found,) = mark.marks(tmp_path / "as it was")
    for path in (tmp_path / "as it was" / "ledger.db", found[1]):
        shutil.copyfile(path, tmp_path / path.name)  # into the same file: as kill -9 left it
    assert "is older than what was here" in str(await doubts(tmp_path))


@pytest.mark.parametrize("changes", [10, 100_000])
async def test_ledger_evidence_wal_checkpointed_by_database_tool_is_accepted(tmp_path, changes, monkeypatch):
    monkeypatch.setattr(store, "CHANGES", changes)
    await killed_at_work(tmp_path)
    before = select(tmp_path, "SELECT state, count(*) FROM rows GROUP BY state")  # who closes last does it
    assert not (tmp_path / "ledger.db-wal").exists()
    async with opened(tmp_path) as ledger:
        counts = ledger.counts()
    assert counts.planned == dict(before)["planned"]


async def test_ledger_evidence_session_without_recorded_end_is_accepted(tmp_path):
    async with created(tmp_path, 3) as ledger:
        await ledger.begin_session({})
        await order(ledger, (await take(ledger, 1))[0])
    async with opened(tmp_path) as ledger:  # a full disk, say: it could not be recorded that it ended
        assert ledger.counts() == Counts(planned=2, running=1)


async def test_ledger_evidence_older_ledger_put_back_is_refused(tmp_path):
    directory, old = tmp_path / "batch", tmp_path / "backup.db"
    async with created(directory, 5) as ledger:
        await ledger.begin_session({})
        await complete(ledger, (await take(ledger, 1))[0])
    shutil.copy(directory / "ledger.db", old)
    async with opened(directory) as ledger:
        await ledger.begin_session({})
        await order(ledger, (await take(ledger, 1))[0])
    shutil.copyfile(old, directory / "ledger.db")
    error = await doubts(directory)
    assert "put back from a backup" in str(error)
    assert error.keys == ("key-1", "key-2", "key-3", "key-4")
    (directory / "ledger.db").unlink()
    shutil.copy(old, directory / "ledger.db")
    assert "not the file that was written here last" in str(await doubts(directory))


async def test_ledger_evidence_backup_copied_over_folder_is_refused_until_accepted(tmp_path):
    directory = tmp_path / "batch"
    async with created(directory, 5) as ledger:
        await ledger.begin_session({})
        await complete(ledger, (await take(ledger, 1))[0])
    shutil.copytree(directory, tmp_path / "backup")
    async with opened(directory) as ledger:
        await ledger.begin_session({})
        for row in await take(ledger, 2):
            await complete(ledger, row)
    shutil.copytree(tmp_path / "backup", directory, dirs_exist_ok=True)  # all of it, results.jsonl too
    assert "put back from a backup" in str(await doubts(directory))
    async with opened(directory, accept_second_bill=True):
        pass
    async with opened(directory) as ledger:
        assert ledger.accepted == ()
    assert len(list(mark.marks(directory))) == 1


async def test_ledger_evidence_backup_restored_in_place_is_refused_until_accepted(tmp_path):
    """As ``rsync --inplace --delete`` does: folder, ledger and results keep their inodes."""
    directory, backup = tmp_path / "batch", tmp_path / "backup"
    async with created(directory, 5) as ledger:
        await ledger.begin_session({})
        await complete(ledger, (await take(ledger, 1))[0])
    shutil.copytree(directory, backup)
    async with opened(directory) as ledger:
        await ledger.begin_session({})
        for row in await take(ledger, 2):
            await complete(ledger, row)
    for path in directory.iterdir():
        if not (backup / path.name).exists():
            path.unlink()
    for path in backup.iterdir():
        shutil.copyfile(path, directory / path.name)
    assert "a backup was copied over this folder" in str(await doubts(directory))
    async with opened(directory, orders=()) as ledger:  # to look at what is settled goes on
        assert not ledger.at_home
    assert "a backup was copied over this folder" in str(await doubts(directory))
    async with opened(directory, accept_second_bill=True):
        pass
    async with opened(directory) as ledger:
        assert ledger.accepted == ()


async def test_ledger_evidence_crash_between_ledger_and_mark_is_accepted(tmp_path, monkeypatch):
    async with created(tmp_path, 3):
        pass
    monkeypatch.setattr(mark, "publish", lambda *_: None)
    async with opened(tmp_path):
        pass
    monkeypatch.undo()
    async with opened(tmp_path) as ledger:
        assert (ledger.accepted, len(list(mark.marks(tmp_path)))) == ((), 1)
    assert not (tmp_path / ".batch-new").exists()


async def test_ledger_evidence_ledger_of_another_batch_is_refused(tmp_path):
    for name in ("one", "other"):
        async with created(tmp_path / name, 2):
            pass
    shutil.copyfile(tmp_path / "other" / "ledger.db", tmp_path / "one" / "ledger.db")
    assert "another batch" in str(await doubts(tmp_path / "one"))


async def test_ledger_evidence_killed_session_with_only_ledger_and_results_is_refused(tmp_path):
    await killed_at_work(tmp_path / "batch")
    (tmp_path / "moved").mkdir()
    for name in ("ledger.db", "results.jsonl"):
        shutil.copy2(tmp_path / "batch" / name, tmp_path / "moved")
    error = await doubts(tmp_path / "moved")
    assert "has lines of rows whose completion the ledger does not know of" in str(error)
    assert "there is no ledger.db-wal" in str(error) or "is a copy" in str(error)


async def test_ledger_evidence_ledger_without_identity_gets_one_on_open(tmp_path):
    async with created(tmp_path, 2):
        pass
    select(tmp_path, "DROP TABLE identity")
    for _, path in list(mark.marks(tmp_path)):
        path.unlink()
    async with opened(tmp_path) as ledger:
        assert ledger.counts().planned == 2
    shutil.copytree(tmp_path, tmp_path / "copy")
    assert "is a copy" in str(await doubts(tmp_path / "copy"))


async def test_ledger_evidence_ledger_without_identity_and_wal_is_refused(tmp_path):
    await killed_at_work(tmp_path)
    select(tmp_path, "DROP TABLE identity")
    for _, path in list(mark.marks(tmp_path)):
        path.unlink()
    assert "its last session has no end, and there is no ledger.db-wal" in str(await doubts(tmp_path))


# Copies


@pytest.mark.parametrize("copy", ["cp -r", "cp -a", "cp -al"])
async def test_ledger_evidence_copy_with_unfinished_rows_is_refused_until_accepted(tmp_path, copy):
    original, other = tmp_path / "batch", tmp_path / "copy"
    async with created(original, 3) as ledger:
        await ledger.begin_session({})
        await complete(ledger, (await take(ledger, 1))[0])
    await asyncio.to_thread(subprocess.run, [*copy.split(), str(original), str(other)], check=True)
    if copy == "cp -al":  # the files are the same ones: to write one would change both
        with pytest.raises(LedgerDoubtful, match="hard link"):
            await SqliteLedger.open(other)
        return
    error = await doubts(other)
    assert f"worked on in {original}" in str(error)
    assert "2 planned" in str(error)
    assert error.keys == ("key-1", "key-2")
    async with opened(original) as ledger:
        assert ledger.counts().planned == 2
    async with opened(other, accept_second_bill=True) as ledger:
        assert ledger.counts() == Counts(completed=1, planned=2)
    async with opened(other):  # it has its home there now
        pass
    async with opened(original):
        pass


async def test_ledger_evidence_renamed_folder_is_accepted(tmp_path):
    async with created(tmp_path / "batch", 3):
        pass
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "batch").rename(tmp_path / "elsewhere" / "other name")
    async with opened(tmp_path / "elsewhere" / "other name") as ledger:
        assert ledger.counts().planned == 3


async def test_ledger_evidence_copy_made_during_session_is_refused(tmp_path):
    async with created(tmp_path / "batch", 30) as ledger:
        await ledger.begin_session({})
        for row in await take(ledger, 5):
            await complete(ledger, row)
        shutil.copytree(tmp_path / "batch", tmp_path / "copy")
    assert "is a copy" in str(await doubts(tmp_path / "copy"))


async def test_ledger_evidence_copy_without_unfinished_rows_opens_but_retry_is_refused(tmp_path):
    async with created(tmp_path / "batch", 2) as ledger:
        await ledger.begin_session({})
        done, failed = await take(ledger, 2)
        await complete(ledger, done)
        await order(ledger, failed)
        await ledger.journal.finished(failed.held, not_completed(RowState.FAILED))
    shutil.copytree(tmp_path / "batch", tmp_path / "copy")
    async with opened(tmp_path / "copy") as ledger:
        assert ledger.counts().ended == 2
        assert not ledger.at_home
    error = await doubts(tmp_path / "copy", orders=UNFINISHED | {RowState.FAILED})
    assert "1 failed" in str(error)


HOME = Home("here", "/batches/one", 2049, 77, 1000, 1003)
BORN = replace(HOME, directory_born=5, ledger_born=6)


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({}, True),
        ({"path": "/elsewhere"}, True),
        ({"device": 9}, True),  # disks were numbered anew
        ({"device": 9, "host": "3f2a", "path": "/data"}, True),  # another container, one disk
        ({"device": 9, "file_system": 9}, True),  # both numbered anew, on one machine in one place
        ({"host": "there", "file_system": 9}, False),
        ({"device": 9, "file_system": 9, "path": "/elsewhere"}, False),
        ({"directory": 9}, False),
        ({"ledger": 9}, False),
    ],
)
def test_ledger_location_without_birth_times_is_compared_by_disk_and_inodes(changed, same):
    assert HOME.same(replace(HOME, **changed)) is same
    assert HOME.same(replace(BORN, **changed)) is same  # the one system tells, the other does not


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"host": "3f2a", "path": "/data", "device": 9, "file_system": 9}, True),
        ({"directory_born": 9}, False),  # inodes are used again
        ({"ledger_born": 9}, False),
        ({"directory": 9}, False),
        ({"ledger": 9}, False),
    ],
)
def test_ledger_location_with_birth_times_is_same_from_any_host_or_path(changed, same):
    assert BORN.same(replace(BORN, **changed)) is same


def test_ledger_location_without_file_system_id_is_compared_by_host():
    nameless = replace(HOME, file_system=0)
    assert nameless.same(nameless)
    assert not nameless.same(replace(nameless, host="there"))


def test_file_birth_of_replacing_file_is_later(tmp_path):
    before = time.time_ns()
    (tmp_path / "file").touch()
    first = born(tmp_path / "file")
    if not first:
        pytest.skip("this system does not tell when a file was made")
    assert abs(first - before) < 60e9
    (tmp_path / "file").rename(tmp_path / "moved")
    assert born(tmp_path / "moved") == first
    shutil.copy2(tmp_path / "moved", tmp_path / "file")
    assert born(tmp_path / "file") > first


# What results.jsonl says


async def under_way(directory: Path) -> None:
    """Rows that are completed, running, unknown, failed and planned, by a session that was killed."""
    async with created(directory, 5) as ledger:
        await ledger.begin_session({})
        done, running, unknown, failed = await take(ledger, 4)
        await complete(ledger, done)
        for row in (running, unknown, failed):
            await order(ledger, row)
        await ledger.journal.finished(unknown.held, not_completed(RowState.UNKNOWN))
        await ledger.journal.finished(failed.held, not_completed(RowState.FAILED))
        await flushed(ledger)


def appended(directory: Path, *data: bytes) -> None:
    with (directory / "results.jsonl").open("ab") as file:
        file.write(b"".join(data))


def told(key: str, **changed) -> bytes:
    """A line of results.jsonl."""
    line = {"index": int(key[-1]), "key": key, "job_id": f"job-{key}", "status": "COMPLETED"}
    return json.dumps({**line, "outputs": {"n": 1}, "timings": {"total": 1.0}, **changed}).encode() + b"\n"


async def test_ledger_evidence_result_lines_missing_in_ledger_complete_their_rows(tmp_path):
    await under_way(tmp_path)
    files = [{"name": "Report", "path": "outputs/key-1/Report.pdf", "size": 3, "sha256": "ab"}]
    appended(tmp_path, told("key-1", files=files), told("key-2"), b'{"index": 3, "k')
    before = (tmp_path / "results.jsonl").read_bytes()
    (tmp_path / "results.jsonl").write_bytes(before.replace(b'{"index": 3, "k', b""))
    appended(tmp_path, b'{"index": 1, "k')
    async with opened(tmp_path) as ledger:
        assert ledger.counts() == Counts(completed=3, failed=1, planned=1)
        assert ledger.proved == 0  # it knew that they ran
    assert [line["key"] for line in results(tmp_path)] == ["key-0", "key-1", "key-2"]
    assert columns(tmp_path, "key-1", "state", "status", "remote_id", "error") == (
        "completed",
        "COMPLETED",
        "job-key-1",
        None,
    )
    with LedgerReader(tmp_path) as reader:
        rows = {row.key: row for row in reader.rows()}
        assert reader.result_of(rows["key-1"])["outputs"] == {"n": 1}
        assert reader.files_of(rows["key-1"]) == ["outputs/key-1/Report.pdf"]
        assert rows["key-1"].timings == {"total": 1.0}


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        ([told("key-4")], "completion the ledger does not know of: 'key-4'"),
        ([told("key-3")], "completion the ledger does not know of: 'key-3'"),  # that failed, it says
        ([told("key-1", job_id="another")], "does not know of: 'key-1'"),
        ([told("key-0", job_id="another")], "fit no row of the ledger; they name 'key-0'"),
        ([told("key-1"), told("key-9")], "fit no row of the ledger; they name 'key-9'"),
        ([b"a remark\n"], "fit no row of the ledger; they name 'without a key'"),
        ([b'{"index": 9}\n{"index": 10}\n'], "fit no row"),
        ([told("key-1", status="FAILED")], "fit no row"),
        ([told("key-4", job_id=17)], "fit no row"),
        ([b"[" * 100_000 + b"\n"], "fit no row"),
        ([b'{"index": ' + b"9" * 5000], "bytes that are no line"),
        ([told("key-4", files=[1, {"name": 2}, None], timings=[])], "does not know of: 'key-4'"),
        ([told("key-4")[:-1]], "ends within a line of a row that is not under way in the ledger: 'key-4'"),
        ([told("key-4")[:14]], "not under way in the ledger: 'key-4'"),
        ([told("key-9")[:40]], "not under way in the ledger"),
        ([b"a rem"], "ends in 5 bytes that are no line of a batch"),
    ],
)
async def test_ledger_evidence_result_lines_contradicting_ledger_are_refused_and_kept(tmp_path, tail, says):
    await under_way(tmp_path)
    known = (tmp_path / "results.jsonl").read_bytes()
    appended(tmp_path, *tail)
    assert says in str(await doubts(tmp_path))
    async with opened(tmp_path, accept_second_bill=True) as ledger:
        await ledger.begin_session({})
        for row in await take(ledger, 9):
            if row.state is RowState.PLANNED:
                await complete(ledger, row)
            else:
                await ledger.journal.finished(row.held, completed(row))
    kept = b"".join(content(tmp_path).get(name, b"") for name in ("results.jsonl", "results.jsonl.cut"))
    for data in (known, *tail):
        assert data in kept
    async with opened(tmp_path) as ledger:
        assert ledger.counts().completed + ledger.counts().failed == 5
    with LedgerReader(tmp_path) as reader:
        for row in reader.rows([RowState.COMPLETED]):
            assert reader.result_of(row)["key"] == row.key


async def test_ledger_evidence_duplicate_result_line_is_accepted(tmp_path):
    await under_way(tmp_path)
    appended(tmp_path, told("key-0"))
    for _ in range(2):
        async with opened(tmp_path) as ledger:
            assert ledger.counts().completed == 1


async def test_ledger_evidence_decision_recovered_from_results_is_still_of_a_person(tmp_path):
    await under_way(tmp_path)
    appended(tmp_path, told("key-2", outputs={}, timings={}))
    async with opened(tmp_path) as ledger:
        assert ledger.counts().completed == 2
    assert columns(tmp_path, "key-2", "decided_by", "note") == ("person", "resolved by a person")


async def test_ledger_evidence_sample_line_has_fields_of_recorded_line(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        (row,) = await take(ledger, 1)
        await complete(ledger, row)
    written = json.loads((tmp_path / "results.jsonl").read_bytes())
    assert list(json.loads(line_of(row))) == list(json.loads(told("key-0"))) == list(written)
