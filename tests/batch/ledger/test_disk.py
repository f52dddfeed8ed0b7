"""A disk that is full, a folder that may not be written to, a file that is no ledger, a network disk."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import sqlite3
import stat
import subprocess
from contextlib import closing, suppress
from pathlib import Path

import pytest
from ledger_tools import (
    columns,
    complete,
    completed,
    created,
    new_rows,
    opened,
    order,
    plan,
    results,
    select,
    start,
    take,
)

from opus_async import disk
from opus_async.batch.ledger import SqliteLedger, filesystem, lock, sqlite_errors
from opus_async.batch.ledger.results_file import ResultsFile
from opus_async.errors import LedgerError, ManifestError
from opus_async.metrics.counts import Counts


@pytest.fixture
def mount(tmp_path):
    """Mount a small file system in memory; skipped where this user may not."""
    mounted: list[Path] = []

    def mount(size: str, *options: str) -> Path:
        point = tmp_path / "mounted"
        point.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", ",".join((f"size={size}", *options)), "tmpfs", str(point)]
        if (
            shutil.which("mount") is None
            or subprocess.run(command, capture_output=True, check=False).returncode
        ):
            pytest.skip("this user may not mount a file system")
        mounted.append(point)
        return point

    yield mount
    for point in mounted:
        subprocess.run(["umount", "-l", str(point)], check=True)


def remount(point, options):
    subprocess.run(["mount", "-o", f"remount,{options}", str(point)], check=True)


async def until_it_fails(ledger, text="x" * 2000):
    """Complete rows until the ledger refuses; returns the error and the keys that were acknowledged."""
    await ledger.begin_session({})
    done: list[str] = []
    try:
        while rows := await take(ledger, 20):
            for row in rows:
                await order(ledger, row)
                await ledger.journal.finished(row.held, completed(row, {"Text": text}))
                done.append(row.key)
    except LedgerError as error:
        return error, done
    raise AssertionError("it never failed")


async def finish(ledger):
    await ledger.begin_session({})
    while rows := await take(ledger, 100):
        await asyncio.gather(*(ledger.journal.finished(row.held, completed(row)) for row in rows))


def has_all(directory, done):
    """Whether the ledger on the disk is sound, and holds what was acknowledged."""
    assert select(directory, "PRAGMA integrity_check") == [("ok",)]
    ended = {key for (key,) in select(directory, "SELECT key FROM rows WHERE state = 'completed'")}
    assert set(done) <= ended


# A full disk


async def test_ledger_disk_full_ends_run_and_loses_nothing_acknowledged(mount):
    point = mount("3m")
    directory = point / "batch"
    async with created(directory, 2000) as ledger:
        error, done = await until_it_fails(ledger)
        assert error.disk_full
        assert "make some" in str(error)
        assert done
        with pytest.raises(LedgerError) as caught:  # and so does every later call
            await ledger.begin_session({})
        assert caught.value.disk_full
        with pytest.raises(LedgerError):
            ledger.journal.cache.put("a", "b")
    remount(point, "size=60m")
    has_all(directory, done)
    async with opened(directory) as ledger:
        await finish(ledger)
        assert ledger.counts() == Counts(completed=2000)
    assert len({line["key"] for line in results(directory)}) == 2000


async def test_ledger_disk_full_while_planning_leaves_only_lock_file(mount):
    directory = mount("1m") / "batch"
    ledger = await SqliteLedger.create(directory, {})
    with pytest.raises(LedgerError) as caught:
        await plan(ledger, new_rows(20_000))
    assert caught.value.disk_full
    await ledger.close()
    assert [path.name for path in directory.iterdir()] == [".lock"]


async def test_ledger_database_that_cannot_grow_ends_run_and_loses_nothing(tmp_path):
    async with created(tmp_path, 200) as ledger:

        def limit(store):
            (pages,) = store.connection.execute("PRAGMA page_count").fetchone()
            store.connection.execute(f"PRAGMA max_page_count = {pages + 8}")

        await ledger._writer.call(limit)
        error, done = await until_it_fails(ledger)
        assert error.disk_full
        assert ledger.counts().completed == len(done)
    has_all(tmp_path, done)
    async with opened(tmp_path) as ledger:
        await finish(ledger)
    assert len(results(tmp_path)) == 200


async def test_ledger_write_error_is_raised_separately_for_each_waiting_caller(tmp_path):
    async with created(tmp_path, 30) as ledger:
        await ledger.begin_session({})
        rows = await take(ledger, 30)
        await ledger._writer.call(lambda store: setattr(store.results, "write", fail), exclusive=True)
        told = await asyncio.gather(
            *(ledger.journal.finished(row.held, completed(row)) for row in rows), return_exceptions=True
        )
        assert ledger.counts() == Counts(planned=30)
    assert {type(error) for error in told} == {LedgerError}
    assert {error.disk_full for error in told} == {True}
    assert len({id(error) for error in told}) == 30
    assert columns(tmp_path, "key-0", "state", "result_offset") == ("planned", None)


def fail():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
async def test_ledger_disk_full_for_results_jsonl_ends_run(tmp_path):
    async with created(tmp_path, 3) as ledger:
        await ledger._writer.call(lambda store: on_a_full_disk(store.results), exclusive=True)
        error, done = await until_it_fails(ledger)
    assert error.disk_full
    assert "results.jsonl" in str(error)
    assert done == []
    async with opened(tmp_path) as ledger:
        await finish(ledger)
    assert len(results(tmp_path)) == 3


def on_a_full_disk(file):
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, file._descriptor)
    os.close(full)


@pytest.mark.parametrize("largest", [100_000, 300_000])
async def test_ledger_file_size_limit_ends_run_without_torn_result_line(tmp_path, largest):
    async with created(tmp_path, 2000):
        pass
    with start("fill", tmp_path, largest) as child:
        said = child.stdout.read().decode().splitlines()
    word, told = said[-1].split(" ", 1)
    assert word == "error"
    disk_full, message = json.loads(told)
    assert disk_full or "ledger.db cannot be" in message  # SQLite does not tell why it could not write
    assert (tmp_path / "results.jsonl").read_bytes()[-1:] in {b"\n", b""}
    has_all(tmp_path, [line.split()[1] for line in said[:-1] if line.startswith("completed")])
    async with opened(tmp_path) as ledger:
        await finish(ledger)
    assert len({line["key"] for line in results(tmp_path)}) == 2000


async def test_results_file_partial_write_is_truncated_away(tmp_path, monkeypatch):
    file = ResultsFile(tmp_path / "results.jsonl")
    file.add(b"first\n")
    file.write()
    real, calls = os.write, []

    def half(descriptor, data):
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "full")
        return real(descriptor, bytes(data)[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    file.add(b"second\n")
    with pytest.raises(OSError, match="full"):
        file.write()
    file.close()
    assert calls == [7, 4]
    assert (tmp_path / "results.jsonl").read_bytes() == b"first\n"


async def test_ledger_write_error_nobody_awaited_is_raised_on_close(tmp_path):
    async with created(tmp_path, 1):
        pass
    ledger = await SqliteLedger.open(tmp_path)
    await ledger.begin_session({})
    (row,) = await take(ledger, 1)
    await ledger._writer.call(lambda store: setattr(store.results, "write", fail), exclusive=True)
    await ledger.journal.begun(row.held)
    with pytest.raises(LedgerError, match="no room"):
        await ledger.close()
    await ledger.close()  # once told is enough


async def test_ledger_publish_fails_if_file_cannot_be_synced(tmp_path, monkeypatch):
    ledger = await SqliteLedger.create(tmp_path, {})
    await plan(ledger, new_rows(3))
    monkeypatch.setattr("opus_async.batch.ledger.store.sync_path", lambda _: fail())
    with pytest.raises(LedgerError) as caught:
        await ledger.publish()
    assert caught.value.disk_full
    await ledger.close()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


# A folder or a file that cannot be used


async def test_ledger_in_unwritable_folder_is_refused(tmp_path, mount):
    directory = tmp_path / "batch"
    async with created(directory, 1):
        pass
    if os.geteuid() == 0:  # root may write anywhere but on a disk that is read-only
        point = mount("1m")
        shutil.copytree(directory, point / "batch")
        remount(point, "ro")
        directory = point / "batch"
    else:
        directory.chmod(0o500)
    try:
        with pytest.raises(LedgerError, match="cannot be written") as caught:
            await SqliteLedger.open(directory)
        assert "Change their permissions" in str(caught.value)
        with pytest.raises(LedgerError, match="cannot be written"):
            await SqliteLedger.create(directory / "new", {})
    finally:
        with suppress(OSError):
            directory.chmod(0o700)


async def test_ledger_directory_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(LedgerError, match="File exists"):
        await SqliteLedger.create(tmp_path / "file", {})
    with pytest.raises(LedgerError, match="no batch"):
        await SqliteLedger.open(tmp_path / "file")


async def test_ledger_open_without_batch_names_batch_run_command(tmp_path):
    with pytest.raises(LedgerError, match="There is no batch in") as caught:
        await SqliteLedger.open(tmp_path)
    assert "batch run MANIFEST" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "ledger.db.new").touch()
    with pytest.raises(LedgerError, match="never planned to its end"):
        await SqliteLedger.open(tmp_path)


async def test_ledger_create_refuses_folder_with_batch(tmp_path):
    async with created(tmp_path, 2):
        pass
    before = (tmp_path / "ledger.db").read_bytes()
    with pytest.raises(ManifestError, match="batch resume"):
        await SqliteLedger.create(tmp_path, {})
    assert (tmp_path / "ledger.db").read_bytes() == before


@pytest.mark.parametrize("name", ["ledger.db-wal", "ledger.db-journal", ".batch-7", "results.jsonl"])
async def test_ledger_create_refuses_leftovers_of_batch_without_ledger(tmp_path, name):
    (tmp_path / name).write_bytes(b"what was recorded last")
    with pytest.raises(ManifestError, match="no ledger that it belongs to") as caught:
        await SqliteLedger.create(tmp_path, {})
    assert f"move {name} away" in str(caught.value)
    assert (tmp_path / name).read_bytes() == b"what was recorded last"
    (tmp_path / name).unlink()
    for empty in ("ledger.db-wal", "ledger.db-shm", "results.jsonl"):
        (tmp_path / empty).touch()
    async with created(tmp_path, 2) as ledger:
        assert ledger.counts() == Counts(planned=2)
    assert select(tmp_path, "PRAGMA integrity_check") == [("ok",)]


async def test_ledger_create_syncs_parents_of_new_folders(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(disk, "sync_path", synced.append)
    async with created(tmp_path / "a" / "b"):
        pass
    assert synced == [tmp_path, tmp_path / "a"]
    async with created(tmp_path / "a" / "c"):
        pass
    assert synced[2:] == [tmp_path / "a"]


async def test_ledger_never_published_leaves_only_lock_file(tmp_path):
    ledger = await SqliteLedger.create(tmp_path / "a" / "b", {})
    await plan(ledger, new_rows(10))
    await ledger.close()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            b"this is no database, it is a text that is long enough to be looked at" * 20,
            "no ledger, or a damaged",
        ),
        (b"", "no ledger of opus-async"),
    ],
)
async def test_ledger_open_refuses_file_that_is_no_ledger(tmp_path, content, told):
    (tmp_path / "ledger.db").write_bytes(content)
    with pytest.raises(LedgerError, match=told):
        await SqliteLedger.open(tmp_path)


async def test_ledger_open_refuses_damaged_database(tmp_path):
    async with created(tmp_path, 2000):
        pass
    with (tmp_path / "ledger.db").open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        for page in range(2, size // 4096, 2):
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)
    with pytest.raises(LedgerError, match="damaged") as caught:
        await SqliteLedger.open(tmp_path)
    assert ".recover" in str(caught.value)
    assert "billed" in str(caught.value)


@pytest.mark.parametrize(
    ("version", "told"),
    [("3", "newer.*pip install --upgrade"), ("0", "older.*that version"), ('"x"', "no sense")],
)
async def test_ledger_open_refuses_other_schema_version(tmp_path, version, told):
    async with created(tmp_path, 1):
        pass
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        connection.execute("UPDATE meta SET value = ? WHERE name = 'schema_version'", (version,))
    with pytest.raises(LedgerError, match=told):
        await SqliteLedger.open(tmp_path)


async def test_ledger_open_refuses_foreign_database(tmp_path):
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    with pytest.raises(LedgerError, match="no ledger of opus-async"):
        await SqliteLedger.open(tmp_path)


async def test_ledger_locked_by_database_tool_raises_after_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr("opus_async.batch.ledger.database._PATIENCE", 0.05)
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as tool:
            tool.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerError, match="held by another program"):
                await ledger.row("key-0")
    async with opened(tmp_path) as ledger:
        assert ledger.counts().planned == 1


async def test_ledger_writer_is_not_blocked_by_open_read_transaction(tmp_path):
    async with created(tmp_path, 50) as ledger:
        await ledger.begin_session({})
        with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            before = reader.execute("SELECT count(*) FROM rows WHERE state = 'planned'").fetchone()
            for row in await take(ledger, 50):
                await complete(ledger, row)
            assert reader.execute("SELECT count(*) FROM rows WHERE state = 'planned'").fetchone() == before
            reader.execute("COMMIT")
            assert reader.execute("SELECT count(*) FROM rows WHERE state = 'planned'").fetchone() == (0,)


async def test_ledger_open_cancelled_can_be_opened_again(tmp_path):
    async with created(tmp_path, 1):
        pass
    opening = asyncio.create_task(SqliteLedger.open(tmp_path))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    async with asyncio.timeout(10):
        while True:
            with suppress(LedgerError):
                async with opened(tmp_path):
                    return


def test_sqlite_errors_shared_memory_error_on_full_disk_counts_as_disk_full(tmp_path, monkeypatch):
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    assert not sqlite_errors.to_ledger_error(error, tmp_path / "ledger.db").disk_full
    monkeypatch.setattr(sqlite_errors.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    assert sqlite_errors.to_ledger_error(error, tmp_path / "ledger.db").disk_full


def test_sqlite_errors_name_internal_exception(tmp_path):
    assert "ZeroDivisionError: oh" in str(sqlite_errors.to_ledger_error(ZeroDivisionError("oh"), tmp_path))


# Network file systems


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse.glusterfs", "ceph", "smbfs", "afs"]
)
async def test_filesystem_network_types_are_refused(tmp_path, kind):
    with pytest.raises(LedgerError, match=f"network file system \\({kind}\\)") as caught:
        await SqliteLedger.create(tmp_path / "batch", {}, file_system=lambda _: kind)
    assert "local disk" in str(caught.value)
    assert list((tmp_path / "batch").iterdir()) == []
    async with created(tmp_path / "here", 1):
        pass
    with pytest.raises(LedgerError, match="network file system"):
        await SqliteLedger.open(tmp_path / "here", file_system=lambda _: kind)


@pytest.mark.parametrize(
    "kind", ["ext4", "overlay", "tmpfs", "apfs", "btrfs", "9p", "virtiofs", "fuseblk", None]
)
async def test_filesystem_local_types_are_accepted(tmp_path, kind):
    async with created(tmp_path, 1, file_system=lambda _: kind) as ledger:
        assert ledger.counts().planned == 1


async def test_ledger_open_is_refused_where_sqlite_wal_is_unavailable(tmp_path, monkeypatch):
    async with created(tmp_path, 1):
        pass

    class NoSharing(sqlite3.Connection):
        def execute(self, statement, *values):
            if "journal_mode = WAL" in statement:
                return super().execute("PRAGMA journal_mode")
            return super().execute(statement, *values)

    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **more: connect(*given, factory=NoSharing, **more))
    with pytest.raises(LedgerError, match="cannot share memory"):
        await SqliteLedger.open(tmp_path)


LINUX = r"""
/dev/vda / ext4 rw,relatime 0 0
server:/export /mnt/share nfs4 rw 0 0
tmpfs /mnt/share/local tmpfs rw 0 0
//nas/files /mnt/my\040files cifs rw 0 0
overlay /var/lib/x overlay rw 0 0
server:/other /var/lib/x nfs rw 0 0
broken
"""
MAC = """
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse)
//me@nas/files on /Volumes/my files (smbfs, nodev, nosuid, mounted by me)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/batch", "ext4"),
        ("/mnt/share/batch", "nfs4"),
        ("/mnt/shared/batch", "ext4"),
        ("/mnt/share/local/batch", "tmpfs"),
        ("/mnt/my files/batch", "cifs"),
        ("/var/lib/x/batch", "nfs"),
    ],
)
def test_filesystem_type_is_that_of_innermost_mount(path, kind):
    assert filesystem.of_mounts(Path(path), filesystem.linux_mounts(LINUX)) == kind


@pytest.mark.parametrize(
    ("path", "kind"), [("/Volumes/my files/batch", "smbfs"), ("/Users/me/batch", "apfs")]
)
def test_filesystem_type_is_read_from_macos_mounts(path, kind):
    mounts = filesystem.mac_mounts(MAC)
    assert len(mounts) == 4
    assert filesystem.of_mounts(Path(path), mounts) == kind


def test_filesystem_type_of_this_machine_is_detected(tmp_path, mount):
    assert filesystem.type_of(tmp_path) not in {None, "nfs"}
    assert filesystem.type_of(mount("1m")) == "tmpfs"


def test_filesystem_unknown_without_mount_table_is_accepted(tmp_path, monkeypatch):
    monkeypatch.setattr(filesystem, "_MOUNTS", tmp_path / "none")
    assert filesystem.type_of(tmp_path) is None
    filesystem.refuse_network(tmp_path, None)


def test_lock_file_is_private_to_owner(tmp_path):
    held = lock.DirectoryLock(tmp_path)
    assert stat.S_IMODE((tmp_path / ".lock").stat().st_mode) == 0o600
    held.release()
