"""What a manifest may name: files in its own folder, by whatever way, and others where a person says so."""

from __future__ import annotations

import csv
import os
import sqlite3
from pathlib import Path

import pytest
from batch_tools import DOCUMENT, Notes, ask, lines, states
from manifests import INVOICES

from opus_async.batch import RowsRefused, resume_batch, retry_batch, run_batch
from opus_async.errors import ManifestError
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.binding.outside_files import Fence
from opus_async.transport import confined
from opus_async.transport.confined import Confined
from opus_async.transport.sources import PathSource

SECRET = b"nobody else's business"


@pytest.fixture
def home(tmp_path):
    """A folder for a manifest, with a file in it, beside one with secrets."""
    private, home = tmp_path / "private", tmp_path / "home"
    for folder in (private, home, home / "docs"):
        folder.mkdir()
    (private / "secret.txt").write_bytes(SECRET)
    (private / "secret.csv").write_bytes(SECRET)
    (home / "a.txt").write_text("a")
    (home / "docs" / "b.txt").write_text("b")
    (home / "link.txt").symlink_to(private / "secret.txt")
    (home / "links").symlink_to(private)
    (home / "docs" / "up").symlink_to(tmp_path)
    (home / "docs" / "twice.txt").symlink_to(home / "link.txt")
    (home / "inner.txt").symlink_to("docs/b.txt")
    (home / "inner").symlink_to("docs")
    return home


def manifest(home, *cells, keys=True):
    path = home / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("key", "Document") if keys else ("Document",))
        writer.writerows((f"K{place}", cell) if keys else (cell,) for place, cell in enumerate(cells))
    return path


def sent(simulator):
    return simulator.state()["uploads"]


OUTSIDE = [
    "{}/private/secret.txt",
    "{}/private/*.txt",
    "../private/secret.txt",
    "../private/s*.txt",
    "../private/../private/secret.txt",
    "docs/../../private/secret.txt",
    "link.txt",
    "./link.txt",
    "docs/twice.txt",
    "links/secret.txt",
    "links/*.txt",
    "*/secret.txt",
    "docs/up/private/secret.txt",
    "docs/up/**/secret.txt",
    "lin*.txt",
    "links/../home/a.txt/../../private/secret.txt",
    "/proc/self/root{}/private/secret.txt",
    "../private/gone.txt",
    "../private",
    "..",
]
INSIDE = ["a.txt", "{}/home/a.txt", "../home/a.txt", "docs/../a.txt", "inner.txt", "inner/b.txt", "d*/b.txt"]


@pytest.mark.parametrize("cell", OUTSIDE)
async def test_outside_files_are_refused_before_anything_is_uploaded(simulate, connect, home, tmp_path, cell):
    simulator = await simulate()
    path = manifest(home, "a.txt", cell.format(tmp_path))
    with pytest.raises(RowsRefused) as refused:
        await run_batch(connect(simulator), path, workflow_id=DOCUMENT, out=tmp_path / "out")
    assert "outside of the manifest's folder: --allow-outside" in str(refused.value)
    assert not sent(simulator)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("cell", ["file://{}/private/secret.txt", "~/secret.txt", "$HOME/x.txt", "a.txt\0"])
async def test_outside_files_are_not_reached_by_file_url_tilde_variable_or_nul(
    simulate, connect, home, monkeypatch, cell
):
    tmp_path = home.parent
    monkeypatch.setenv("HOME", str(tmp_path / "private"))
    simulator = await simulate()
    path = manifest(home, cell.format(tmp_path))
    with pytest.raises(ManifestError):
        await run_batch(connect(simulator), path, workflow_id=DOCUMENT, out=tmp_path / "out")
    assert not sent(simulator)


async def test_outside_files_check_accepts_inside_files_however_their_path_is_written(
    simulate, connect, home, tmp_path
):
    simulator = await simulate()
    path = manifest(home, *(cell.format(tmp_path) for cell in INSIDE))
    through = tmp_path / "through"
    through.symlink_to(home)
    for place, named in enumerate((path, through / "manifest.csv")):
        out = tmp_path / f"out{place}"
        assert (await run_batch(connect(simulator), named, workflow_id=DOCUMENT, out=out)).ok


async def test_outside_files_check_of_symlinked_manifest_uses_folder_of_the_link(
    simulate, connect, home, tmp_path
):
    simulator = await simulate()
    other = manifest(tmp_path / "private", "a.txt")
    (home / "linked.csv").symlink_to(other)
    result = await run_batch(
        connect(simulator), home / "linked.csv", workflow_id=DOCUMENT, out=tmp_path / "out"
    )
    assert result.ok


async def test_outside_files_refusal_tells_count_and_first_names(simulate, connect, home, tmp_path):
    simulator = await simulate()
    for number in range(7):
        (tmp_path / "private" / f"{number}.txt").write_bytes(SECRET)
    path = manifest(home, *(f"../private/{number}.txt" for number in (*range(7), 0, 0)))
    with pytest.raises(RowsRefused) as refused:
        await run_batch(connect(simulator), path, workflow_id=DOCUMENT, out=tmp_path / "out")
    assert refused.value.validation.outside.count == 7
    names = ", ".join(f"'../private/{number}.txt'" for number in range(3))
    assert f"7 files lie outside of the manifest's folder: {names} and 4 more. " in str(refused.value)
    assert refused.value.validation.as_json()["outside"]["count"] == 7


@pytest.mark.parametrize("pattern", ["home", "home/*", "home/*.txt", "home/*/*.txt", "home/docs/*"])
async def test_outside_files_linked_from_folder_or_glob_manifest_need_allow_outside(
    simulate, connect, home, pattern, monkeypatch
):
    tmp_path = home.parent
    (home / "docs" / "twice.txt").rename(home / "docs" / "c.txt")
    monkeypatch.chdir(tmp_path)
    simulator = await simulate()
    with pytest.raises(RowsRefused, match="outside of the manifest's folder"):
        await run_batch(connect(simulator), pattern, workflow_id=DOCUMENT, out=tmp_path / "out")
    result = await run_batch(
        connect(simulator), pattern, workflow_id=DOCUMENT, out=tmp_path / "out", allow_outside=True
    )
    assert result.ok


async def test_outside_files_fence_finds_each_stray_in_a_list(home):
    fence = Fence(home)
    parts = [home / "a.txt", home / "link.txt", "https://files.opus.com/x.txt", None, home / "links" / "x"]
    assert list(fence.strays(parts)) == [1, 4]


def test_outside_files_glob_is_refused_without_listing_folders(home, monkeypatch):
    """It could walk through the whole disk before it is refused."""
    listed = []
    honest = os.scandir
    monkeypatch.setattr("os.scandir", lambda path: listed.append(path) or honest(path))
    binding = Binding(INVOICES, allow_outside=False)
    for pattern in ("/**/*.pdf", "../**/x*.pdf", "docs/up/**/*.pdf", "*/../../**/*.pdf", "links/**"):
        assert binding.files.outside({"Document": pattern}, home) == [("Document", pattern)]
        assert binding.files.outside({"Pages": f"a.txt; {pattern}"}, home) == [("Pages", pattern)]
    assert listed == []


async def test_outside_files_fail_only_their_rows_with_skip_invalid(simulate, connect, home, tmp_path):
    simulator = await simulate()
    path = manifest(home, "a.txt", "link.txt")
    out = tmp_path / "out"
    client = connect(simulator)
    await run_batch(client, path, workflow_id=DOCUMENT, out=out, skip_invalid=True)
    assert states(out) == {"completed": 1, "failed": 1}
    assert len(sent(simulator)) == 1
    await retry_batch(client, out)
    assert states(out) == {"completed": 1, "failed": 1}
    await retry_batch(client, out, allow_outside=True)
    assert states(out) == {"completed": 2}


async def test_allow_outside_is_kept_on_batch_resume(simulate, connect, home, tmp_path):
    """A resume takes up rows that were planned, and new ones, without being told again."""
    simulator = await simulate(run_time=30)
    path = manifest(home, "link.txt", "a.txt")
    notes, out = Notes(), tmp_path / "out"
    notes.control.interrupt()
    client = connect(simulator)
    options = {"workflow_id": DOCUMENT, "out": out, "allow_outside": True}
    await run_batch(client, path, **options, watching=notes.watching)
    assert states(out) == {"planned": 2}
    manifest(home, "link.txt", "a.txt", "../private/secret.csv")
    quick = await simulate()
    order = {"force": True}  # another host
    assert (await resume_batch(connect(quick), out, **order)).ok
    assert len(sent(quick)) == 3


async def test_outside_files_added_before_resume_fail_until_allowed(simulate, connect, home, tmp_path):
    simulator = await simulate()
    path, out, client = manifest(home, "a.txt"), tmp_path / "out", connect(simulator)
    await run_batch(client, path, workflow_id=DOCUMENT, out=out)
    manifest(home, "a.txt", "link.txt")
    await resume_batch(client, out)
    assert states(out) == {"completed": 1, "failed": 1}
    assert "--allow-outside" in ask(out, "SELECT error FROM rows WHERE key = 'K1'")[0][0]
    assert len(sent(simulator)) == 1
    await retry_batch(client, out, allow_outside=True)
    assert states(out) == {"completed": 2}


async def test_allow_outside_is_assumed_for_ledger_without_the_setting(simulate, connect, home, tmp_path):
    """Its ledger has no word of files outside: then all were taken."""
    simulator = await simulate()
    path, out, client = manifest(home, "link.txt"), tmp_path / "out", connect(simulator)
    await run_batch(client, path, workflow_id=DOCUMENT, out=out, allow_outside=True)
    with sqlite3.connect(out / "ledger.db") as ledger:
        ledger.execute("UPDATE meta SET value = json_remove(value, '$.allow_outside') WHERE name = 'rules'")
    ledger.close()
    manifest(home, "link.txt", "../private/secret.csv")
    assert (await resume_batch(client, out)).ok


@pytest.mark.parametrize("swap", ["the file", "its folder"])
async def test_outside_files_symlinked_after_planning_are_not_uploaded(
    simulate, connect, home, tmp_path, swap
):
    """Even to the very same content, which its digest would not tell apart."""
    simulator = await simulate()
    path = manifest(home, "docs/b.txt")
    notes, out = Notes(), tmp_path / "out"
    notes.control.interrupt()
    await run_batch(connect(simulator), path, workflow_id=DOCUMENT, out=out, watching=notes.watching)
    (tmp_path / "private" / "b.txt").write_text("b")
    if swap == "the file":
        (home / "docs" / "b.txt").unlink()
        (home / "docs" / "b.txt").symlink_to(tmp_path / "private" / "b.txt")
    else:
        (home / "docs").rename(home / "was")
        (home / "docs").symlink_to(tmp_path / "private")
    await resume_batch(connect(simulator), out)
    assert states(out) == {"failed": 1}
    assert not sent(simulator)
    assert "outside" in lines(out / "failures.jsonl")[0]["_opus"]["error"]


async def test_outside_files_are_checked_again_at_upload(simulate, connect, home, tmp_path, monkeypatch):
    """When a file is taken up it is looked once more, whatever was found before."""
    monkeypatch.setattr(Fence, "_holds", lambda *_: True)
    simulator = await simulate()
    out = tmp_path / "out"
    result = await run_batch(
        connect(simulator), manifest(home, "link.txt", "a.txt"), workflow_id=DOCUMENT, out=out
    )
    assert (result.counts.completed, result.counts.failed) == (1, 1)
    assert len(sent(simulator)) == 1
    assert "lies outside of the folder" in lines(out / "failures.jsonl")[0]["_opus"]["error"]


@pytest.mark.parametrize("swap", ["the file", "its folder"])
def test_confined_path_swapped_for_symlink_after_resolution_is_refused(home, tmp_path, monkeypatch, swap):
    wanted = home / "docs" / "b.txt"
    honest = os.path.realpath
    (tmp_path / "private" / "b.txt").write_bytes(SECRET)

    def too_late(path, **options):
        found = honest(path, **options)
        if Path(path) == wanted:
            if swap == "the file":
                wanted.unlink()
                wanted.symlink_to(tmp_path / "private" / "secret.txt")
            else:
                (home / "docs").rename(home / "was")
                (home / "docs").symlink_to(tmp_path / "private")
        return found

    monkeypatch.setattr(confined.os.path, "realpath", too_late)
    with pytest.raises((OSError, ValueError)):
        Confined(f"{home}/./docs/b.txt", str(home)).stat()  # a path that has to be resolved


@pytest.mark.parametrize("swap", ["the file", "its folder"])
def test_confined_path_swapped_for_symlink_while_it_is_reached_is_refused(home, tmp_path, monkeypatch, swap):
    wanted = home / "docs" / "b.txt"
    honest = os.open
    (tmp_path / "private" / "b.txt").write_bytes(SECRET)

    def too_late(path, *arguments, **options):
        found = honest(path, *arguments, **options)
        if path == str(home) and not wanted.is_symlink() and not (home / "was").exists():
            if swap == "the file":
                wanted.unlink()
                wanted.symlink_to(tmp_path / "private" / "secret.txt")
            else:
                (home / "docs").rename(home / "was")
                (home / "docs").symlink_to(tmp_path / "private")
        return found

    monkeypatch.setattr(os, "open", too_late)
    with pytest.raises((OSError, ValueError)):
        Confined(str(wanted), str(home)).stat()


async def test_confined_source_replaced_by_symlink_before_open_is_refused(home, tmp_path):
    source = PathSource(Confined(str(home / "a.txt"), str(home)))
    (home / "a.txt").unlink()
    (home / "a.txt").symlink_to(tmp_path / "private" / "secret.txt")
    with pytest.raises(Exception, match="changed"):
        await source.open()


def test_confined_stat_works_without_free_file_descriptors(home, monkeypatch):
    def none_left(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(confined, "_reached", none_left)
    assert Confined(str(home / "a.txt"), str(home)).stat().st_size == 1
