"""Files and folders on the disk: whole or not at all, and for whom."""

from __future__ import annotations

import os
import stat

import pytest

from opus_async import disk


def permissions(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def _umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize(("private", "expected"), [(True, 0o700), (False, 0o755)])
def test_make_directory_creates_parents_with_requested_permissions(tmp_path, private, expected):
    path = tmp_path / "a" / "b" / "c"
    disk.make_directory(path, private=private)
    disk.make_directory(path, private=private)
    assert [permissions(each) for each in (path, path.parent, path.parent.parent)] == [expected] * 3


def test_make_directory_syncs_each_parent_directory(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(disk, "sync_path", synced.append)
    disk.make_directory(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]


def test_make_directory_fails_if_path_is_a_file(tmp_path):
    (tmp_path / "a").write_text("here")
    with pytest.raises(FileExistsError):
        disk.make_directory(tmp_path / "a")
    with pytest.raises(NotADirectoryError):
        disk.make_directory(tmp_path / "a" / "b")


@pytest.mark.parametrize(("private", "expected"), [(True, 0o600), (False, 0o644)])
def test_atomic_write_replaces_file_with_requested_permissions(tmp_path, private, expected):
    path = tmp_path / "file"
    path.write_text("before")
    with disk.atomic_write(path, private=private) as file:
        file.write(b"after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert permissions(path) == expected
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_write_keeps_old_content_on_failure(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(RuntimeError), disk.atomic_write(path):
        raise RuntimeError
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("links", [True, False])
def test_rename_new_renames_and_never_overwrites(tmp_path, monkeypatch, links):
    if not links:

        def refused(*_):
            raise PermissionError

        monkeypatch.setattr("pathlib.Path.hardlink_to", refused)
    part, path = tmp_path / "part", tmp_path / "file"
    part.write_text("new")
    path.write_text("there")
    with pytest.raises(FileExistsError):
        disk.rename_new(part, path)
    assert (part.read_text(), path.read_text()) == ("new", "there")
    path.unlink()
    disk.rename_new(part, path)
    assert path.read_text() == "new"
    assert not part.exists()


def test_sync_uses_f_fullfsync_where_available(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(disk.fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(disk.fcntl, "fcntl", lambda _, command: asked.append(command))
    with (tmp_path / "file").open("wb") as file:
        disk.sync(file.fileno())
    assert asked == [51]
