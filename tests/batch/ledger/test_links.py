"""A batch directory may come from somebody else: what is written into it goes into no other file."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from ledger_tools import created, opened

from opus_async.batch.ledger import SqliteLedger, lock
from opus_async.batch.ledger.lock import holder
from opus_async.batch.ledger.reader import LedgerReader
from opus_async.errors import LedgerError, ManifestError

PRECIOUS = b"precious\n" * 100
KINDS = ("symbolic", "dangling", "relative", "hard", "pipe", "folder")


def put(path: Path, kind: str, victim: Path) -> None:
    """Put something in the place of a file; what was there becomes what the link leads to."""
    victim.parent.mkdir(exist_ok=True)
    if path.exists():
        shutil.copyfile(path, victim)
        path.unlink()
    else:
        victim.write_bytes(PRECIOUS)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "hard":
        path.hardlink_to(victim)
    elif kind == "relative":
        path.symlink_to(os.path.relpath(victim, path.parent))
    else:
        path.symlink_to(victim)
    if kind == "dangling":
        victim.unlink()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    [
        ".lock",
        ".batch-9",
        "results.jsonl",
        "ledger.db",
        "ledger.db-wal",
        "ledger.db-shm",
        "ledger.db-journal",
    ],
)
async def test_ledger_open_refuses_links_in_place_of_batch_files(tmp_path, name, kind):
    directory, victim = tmp_path / "batch", tmp_path / "outside" / "file"
    async with created(directory, 2):
        pass
    put(directory / name, kind, victim)
    before = victim.read_bytes() if victim.exists() else None
    with pytest.raises(LedgerError):
        await SqliteLedger.open(directory)
    with pytest.raises(LedgerError):
        await SqliteLedger.open(directory, accept_second_bill=True)
    assert (victim.read_bytes() if victim.exists() else None) == before
    assert [path.name for path in victim.parent.iterdir()] == (["file"] if before is not None else [])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", [".lock", ".batch-9", "results.jsonl", "ledger.db", "ledger.db-wal", "ledger.db-journal"]
)
async def test_ledger_create_refuses_links_in_place_of_batch_files(tmp_path, name, kind):
    directory, victim = tmp_path / "batch", tmp_path / "outside" / "file"
    directory.mkdir()
    put(directory / name, kind, victim)
    with pytest.raises((LedgerError, ManifestError)):
        async with created(directory, 2):
            pass
    assert not victim.exists() or victim.read_bytes() == PRECIOUS
    assert [path.name for path in victim.parent.iterdir()] == (["file"] if kind != "dangling" else [])


@pytest.mark.parametrize("kind", ["symbolic", "dangling", "relative", "hard", "pipe"])
@pytest.mark.parametrize("name", ["ledger.db.new", "ledger.db.new-journal", "ledger.db-shm"])
async def test_ledger_create_replaces_links_at_temporary_files_without_following(tmp_path, name, kind):
    directory, victim = tmp_path / "batch", tmp_path / "outside" / "file"
    directory.mkdir()
    put(directory / name, kind, victim)
    async with created(directory, 2):
        pass
    assert not victim.exists() or victim.read_bytes() == PRECIOUS
    async with opened(directory) as ledger:
        assert ledger.counts().planned == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [".lock.db", ".lock.db-journal", ".lock.db-wal"])
async def test_lock_database_refuses_links_where_flock_is_unsupported(tmp_path, monkeypatch, name, kind):
    def no_flock(*_):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(lock, "flock", no_flock)
    directory, victim = tmp_path / "batch", tmp_path / "outside" / "file"
    directory.mkdir()
    put(directory / name, kind, victim)
    with pytest.raises(LedgerError):
        async with created(directory):
            pass
    assert not victim.exists() or victim.read_bytes() == PRECIOUS


@pytest.mark.parametrize("kind", ["symbolic", "dangling", "relative", "pipe", "folder"])
@pytest.mark.parametrize(
    "name", [".lock", "ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-journal"]
)
async def test_ledger_reader_follows_no_link_and_blocks_on_no_pipe(tmp_path, name, kind):
    directory, victim = tmp_path / "batch", tmp_path / "outside" / "file"
    async with created(directory, 2):
        pass
    put(directory / name, kind, victim)
    before = victim.read_bytes() if victim.exists() else None
    assert holder(directory) is None
    if name != ".lock":
        with pytest.raises(LedgerError):
            LedgerReader(directory)
    assert (victim.read_bytes() if victim.exists() else None) == before


async def test_ledger_directory_may_be_reached_through_symlink(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "named").symlink_to(tmp_path / "real")
    async with created(tmp_path / "named", 2):
        pass
    async with opened(tmp_path / "real") as ledger:
        assert ledger.counts().planned == 2


async def test_ledger_open_makes_files_private_to_owner(tmp_path):
    async with created(tmp_path, 2):
        pass
    (tmp_path / "ledger.db").chmod(0o644)
    async with opened(tmp_path):
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(modes, 0o600)
