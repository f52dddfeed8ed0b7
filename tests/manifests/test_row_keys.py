"""What names a row, and the folder of a key."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import tracemalloc
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given as for_any
from hypothesis import settings
from hypothesis import strategies as st
from manifests import INVOICES, keyed

from opus_async.errors import InvalidInputs
from opus_async.filenames import safe_folder
from opus_async.input_problems import ProblemCode
from opus_async.manifests import file_digests as digests_room
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.binding.row_keys import cells_digest, given_key, row_key
from opus_async.manifests.file_digests import FileDigests

OF_A = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
BASE = Path("/in")


@pytest.fixture
def invoices() -> Binding:
    return Binding(INVOICES)


def key_of(binding: Binding, cells: dict[str, object]) -> str:
    return row_key(binding, cells, BASE, {}).key


# Keys from content


def test_row_key_is_prefix_of_content_digest(invoices):
    key = row_key(invoices, {"Number": "7"}, BASE, {})
    assert len(key.digest) == 64
    assert key.key == key.digest[:20]
    assert not key.given
    # the same in every version: results are found by their keys
    assert key.digest == hashlib.sha256(b'{"Number":"7"}').hexdigest()


def test_digest_does_not_tell_a_constant_from_a_cell_and_a_key_leaves_it_out(invoices):
    bound = Binding(INVOICES, constants={"Amount": "1.50", "Pages": ["/in/1.pdf", "https://a.example/2.pdf"]})
    cells = {"Number": "7", "Amount": "1.50", "Pages": "/in/1.pdf; https://a.example/2.pdf"}
    cell, constant = row_key(invoices, cells, BASE, {}), row_key(bound, {"Number": "7"}, BASE, {})
    assert constant.digest == cell.digest
    assert constant.key == key_of(invoices, {"Number": "7"})
    assert row_key(bound, cells, BASE, {}) == cell
    former = Binding(INVOICES, constants={"Amount": "1.50"}, constants_in_digest=False)
    assert row_key(former, {"Number": "7"}, BASE, {}) == row_key(invoices, {"Number": "7"}, BASE, {})


def test_row_key_ignores_column_order_and_covers_every_input(invoices):
    assert key_of(invoices, {"Number": "7", "Amount": "1"}) == key_of(
        invoices, {"Amount": "1", "Number": "7"}
    )
    different = [
        {"Number": "7"},
        {"Number": "7", "Amount": "1"},
        {"Number": "7", "Amount": "2"},
        {"Amount": "7"},
        {"Number": "7;"},
        {},
    ]
    assert len({key_of(invoices, cells) for cells in different}) == len(different)


def test_row_key_ignores_columns_that_fill_no_input(invoices):
    alone = key_of(invoices, {"Number": "7"})
    assert key_of(invoices, {"Number": "7", "Remark": "x"}) == alone
    assert key_of(invoices, {"Number": "7", "title": "x", "description": "y"}) == alone


def test_row_key_ignores_column_name_mapped_to_same_input(invoices):
    renamed = Binding(INVOICES, columns={"No.": "Number"})
    assert key_of(renamed, {"No.": "7"}) == key_of(invoices, {"Number": "7"})


def test_row_key_ignores_number_representation(invoices):
    assert key_of(invoices, {"Number": 7}) == key_of(invoices, {"Number": "7"})
    assert key_of(invoices, {"Amount": 3.0, "Client": {"n": [2.0]}}) == key_of(
        invoices, {"Amount": 3, "Client": {"n": [2]}}
    )


def test_row_key_ignores_columns_left_out_and_key_columns():
    binding = Binding(INVOICES, columns={"Remark": ""}, key="Nr")
    alone = row_key(binding, {"Number": "7", "Nr": "a"}, BASE, {})
    for cells in ({"Remark": "x", "Nr": "b"}, {"Nr": "c", "key": "d"}):
        assert row_key(binding, {"Number": "7", **cells}, BASE, {}).digest == alone.digest


async def test_row_key_covers_file_content_and_extension_not_location(invoices, tmp_path):
    for name in ("one/a.pdf", "two/b.PDF", "one/a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a")
    (tmp_path / "one/b.pdf").write_text("b")
    first = await keyed(invoices, {"Document": "one/a.pdf"}, tmp_path)
    assert await keyed(invoices, {"Document": str(tmp_path / "two/b.PDF")}, tmp_path / "one") == first
    assert await keyed(invoices, {"Document": "one/a.txt"}, tmp_path) != first
    assert await keyed(invoices, {"Document": "one/b.pdf"}, tmp_path) != first
    both = await keyed(invoices, {"Pages": "one/a.pdf; one/b.pdf"}, tmp_path)
    assert await keyed(invoices, {"Pages": "one/*.pdf"}, tmp_path) == both
    assert await keyed(invoices, {"Pages": "one/b.pdf; one/a.pdf"}, tmp_path) != both
    assert await keyed(invoices, {"Pages": "one/a.pdf; https://x.example/b.pdf"}, tmp_path) != both


async def test_row_key_distinguishes_value_that_imitates_a_file(invoices, tmp_path):
    (tmp_path / "a.pdf").write_text("a")
    file = await keyed(invoices, {"Document": "a.pdf"}, tmp_path)
    faked = row_key(invoices, {"Document": {"files": [[".pdf", OF_A]]}}, tmp_path, {})
    assert faked.digest != file.digest


def test_row_key_uses_path_of_unread_file(invoices):
    assert key_of(invoices, {"Document": "a.pdf"}) != key_of(invoices, {"Document": "b.pdf"})


def test_row_key_exists_for_row_that_cannot_be_expanded(invoices):
    cells = {"Due date": date(2025, 1, 1), "Amount": float("nan"), "Number": b"x", "Pages": "*.pdf"}
    with pytest.raises(InvalidInputs):
        invoices.expand_globs(cells, BASE)
    kept = invoices.as_stored(cells)
    assert kept == {"Due date": "2025-01-01", "Amount": None, "Number": None, "Pages": "*.pdf"}
    assert key_of(invoices, kept)
    assert key_of(invoices, cells)


def test_cells_digest_distinguishes_rows_without_reading_files(invoices):
    rows = [{"Document": "a.pdf"}, {"Document": "b.pdf"}, {"Document": "a.pdf", "Number": "x"}]
    assert len({cells_digest(invoices, cells) for cells in rows}) == 3
    assert cells_digest(invoices, {"key": "1", **rows[0]}) == cells_digest(invoices, {"key": "2", **rows[0]})


# Given keys


@pytest.mark.parametrize(
    ("cell", "key"),
    [
        ("INV-1", "INV-1"),
        (" INV 1 ", "INV 1"),
        (3, "3"),
        (3.0, "3"),
        (3.5, "3.5"),
        ("é~2", "é~2"),
        ("x" * 200,) * 2,
    ],
)
def test_given_key_is_taken_from_key_column(invoices, cell, key):
    assert given_key(invoices, {"key": cell}) == key
    named = row_key(invoices, {"key": cell}, BASE, {})
    assert named.key == key
    assert named.given


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("", "1 to 200 characters"),
        (" \t ", "1 to 200 characters"),
        ("x" * 201, "not 201"),
        ("a\nb", "cannot be printed"),
        ("a\x00b", "cannot be printed"),
        ("a\u202eb", "cannot be printed"),
        ("a\udcff", "cannot be printed"),
        (True, "type bool"),
        (["a"], "type list"),
    ],
)
def test_given_key_refuses_invalid_key_and_row_key_uses_content(invoices, cell, told):
    cells = {"key": cell, "Number": "7"}
    with pytest.raises(InvalidInputs, match=told):
        given_key(invoices, cells)
    named = row_key(invoices, cells, BASE, {})
    assert not named.given
    assert named.key == key_of(invoices, {"Number": "7"})


def test_given_key_is_none_without_column_and_required_by_key_option(invoices):
    assert given_key(invoices, {"Number": "7"}) is None
    with pytest.raises(InvalidInputs, match="column 'Nr' is empty, and --key takes the key from it"):
        given_key(Binding(INVOICES, key="Nr"), {"Number": "7", "key": "k"})
    assert given_key(Binding(INVOICES, key="Number"), {"Number": "7", "key": "k"}) == "7"


# Digests of files


class Cache:
    """Keeps digests in memory, as the ledger does on disk."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[int, int, int, str]] = {}
        self.kept = 0

    async def recall_files(self, paths):
        return {path: self.files[path] for path in paths if path in self.files}

    def keep_file(self, path, size, mtime_ns, inode, sha256):
        self.kept += 1
        self.files[path] = (size, mtime_ns, inode, sha256)


async def test_file_digests_caches_digest_of_unchanged_file(tmp_path, monkeypatch):
    path, cache = tmp_path / "a.pdf", Cache()
    path.write_text("a")
    assert await FileDigests(cache).of(path) == OF_A
    found = path.stat()
    assert cache.files == {str(path): (1, found.st_mtime_ns, found.st_ino, OF_A)}
    monkeypatch.setattr(digests_room, "_without_blocking", lambda *_: pytest.fail("opened again"))
    assert await FileDigests(cache).of(path) == OF_A
    assert cache.kept == 1


@pytest.mark.parametrize("change", ["content", "time", "inode"])
async def test_file_digests_reads_changed_file_again(tmp_path, change):
    path, cache = tmp_path / "a.pdf", Cache()
    path.write_text("a")
    digests = FileDigests(cache)
    await digests.of(path)
    found = path.stat()
    if change == "content":
        path.write_text("bb")
    elif change == "time":
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1))
    else:
        other = tmp_path / "other"
        other.write_text("b")
        os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
        other.replace(path)
    assert (await digests.of(path) == OF_A) == (change == "time")
    assert cache.kept == 2


async def test_file_digests_hashes_multi_megabyte_file(tmp_path):
    path = tmp_path / "large.pdf"
    content = os.urandom(8 * 1024 * 1024 + 7)
    path.write_bytes(content)
    tracemalloc.start()
    try:
        assert await FileDigests().of(path) == hashlib.sha256(content).hexdigest()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * 1024 * 1024


async def test_file_digests_reads_four_files_at_once_without_blocking_loop(tmp_path, monkeypatch):
    paths = [tmp_path / f"{number}.pdf" for number in range(12)]
    for path in paths:
        path.write_text("a")
    go, busy, lock, most = threading.Event(), [0], threading.Lock(), [0]
    full, loop = asyncio.Event(), asyncio.get_running_loop()

    def slowly(path, flags):
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
            if busy[0] == 4:
                loop.call_soon_threadsafe(full.set)
        go.wait(30)
        with lock:
            busy[0] -= 1
        return os.open(path, flags)

    monkeypatch.setattr(digests_room, "_without_blocking", slowly)
    digests = FileDigests()
    tasks = [asyncio.create_task(digests.of(path)) for path in paths]
    await full.wait()  # the loop has its turn though every reader is stuck
    go.set()
    assert await asyncio.gather(*tasks) == [OF_A] * 12
    assert most == [4]


async def test_file_digests_cancel_stops_reading(tmp_path, monkeypatch):
    path = tmp_path / "a.pdf"
    path.write_bytes(b"a" * 4 * 1024 * 1024)
    opened, go, closed = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    hashed = digests_room._hashed

    def slowly(name, flags):
        loop.call_soon_threadsafe(opened.set)
        go.wait(30)
        return os.open(name, flags)

    def watched(name, known, stop):
        try:
            return hashed(name, known, stop)
        finally:
            assert stop.is_set()
            closed.set()

    monkeypatch.setattr(digests_room, "_without_blocking", slowly)
    monkeypatch.setattr(digests_room, "_hashed", watched)
    task = asyncio.create_task(FileDigests().of(path))
    await opened.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    assert await asyncio.to_thread(closed.wait, 30)


async def test_file_digests_names_unreadable_file(tmp_path):
    (tmp_path / "folder.pdf").mkdir()
    os.mkfifo(tmp_path / "pipe.pdf")
    wrong = {
        "missing.pdf": "there is no file",
        "folder.pdf": "cannot be read",
        "pipe.pdf": "not a regular file",
        "zero\0.pdf": "null byte",
        "x" * 300: "cannot be read",
    }
    if os.geteuid():
        (tmp_path / "closed.pdf").touch(mode=0)
        wrong["closed.pdf"] = "Permission denied"
    for name, told in wrong.items():
        with pytest.raises(InvalidInputs, match=told) as refused:
            await FileDigests().of(tmp_path / name)
        (problem,) = refused.value.problems
        assert repr(str(tmp_path / name)) in problem
        assert (problem.code, problem.file) == (ProblemCode.NO_FILE, str(tmp_path / name))


@pytest.mark.parametrize("change", ["grows", "shrinks", "is touched"])
async def test_file_digests_refuses_file_changed_while_reading(tmp_path, monkeypatch, change):
    path, cache = tmp_path / "a.pdf", Cache()
    path.write_bytes(b"a" * 1000)

    class Hash:
        def update(self, data):
            if change == "is touched":
                os.utime(path, ns=(1, 1))
            else:
                os.truncate(path, 2000 if change == "grows" else 10)

        def hexdigest(self):
            return ""

    monkeypatch.setattr(hashlib, "sha256", Hash)
    with pytest.raises(InvalidInputs, match="changed while it was read") as refused:
        await FileDigests(cache).of(path)
    assert refused.value.problems[0].code is ProblemCode.FILE_CHANGED
    assert not cache.files


# Folders


@pytest.mark.parametrize("key", ["inv-17", "0ff1ce0ff1ce0ff1ce00", "0ff1ce~2", "a.b_c", "7"])
def test_safe_folder_keeps_plain_key(key):
    assert safe_folder(key) == key


@pytest.mark.parametrize(
    ("key", "begins"),
    [
        ("INV-17", "inv-17+"),
        ("Müller & Söhne / 17", "m-ller-s-hne-17+"),
        ("../../etc/passwd", "etc-passwd+"),
        (".", "key+"),
        ("..", "key+"),
        ("", "key+"),
        ("-rf", "rf+"),
        ("~root", "root+"),
        (".hidden", "hidden+"),
        ("日本語", "key+"),
        ("x" * 200, "x" * 60 + "+"),
    ],
)
def test_safe_folder_makes_readable_name_for_other_keys(key, begins):
    assert safe_folder(key).startswith(begins)


def test_safe_folder_differs_for_keys_a_file_system_may_confuse():
    alike = [
        "inv",
        "INV",
        "Inv",
        "iNV",
        "inv ",
        " inv",
        "inv/",
        "e\u0301",
        "\u00e9",
        "E\u0301",
        "a/b",
        "a-b",
        "A-b",
    ]
    folders = {safe_folder(key).casefold() for key in alike}
    assert len(folders) == len(alike)
    assert safe_folder(safe_folder("INV")) != safe_folder("INV")


@settings(max_examples=300)
@for_any(st.text(max_size=200))
def test_safe_folder_is_one_short_ascii_name_for_any_key(key):
    folder = safe_folder(key)
    assert folder.isascii()
    assert folder == folder.lower()
    assert 1 <= len(folder) <= 100
    assert not set(folder) & set('/\\:\0 *?"<>|')
    assert folder[0].isalnum()
    assert (folder == key) == ("+" not in folder)
