"""Result files of a row: where they go, what an earlier process left, and a disk that takes no more."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from opus_async import DownloadError, JobRequest, NotFound, OpusClient, OpusError
from opus_async.batch.rows import FetchedFile
from opus_async.batch.running.output_files import Outputs, file_names
from opus_async.models import DownloadedFile
from opus_async.simulator import Simulator, SimulatorConfig
from opus_async.testing import quick_polls

FILES = "https://files.opus.com/media/private/generated"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Left:
    """A platform that has nothing but files: URL -> content, or the error that is raised for it."""

    def __init__(self, **files):
        self.files = {f"{FILES}/{name.replace('_', '.')}": content for name, content in files.items()}
        self.fetched = []
        self.writing = asyncio.Event()
        self.going_on = None

    def files_in(self, results):
        return [(name, url) for name, urls in results.items() for url in urls]

    async def fetch(self, url, destination):
        self.fetched.append(url)
        content = self.files[url]
        if isinstance(content, Exception):
            raise content
        with destination.open("xb") as file:
            file.write(content)
        self.writing.set()
        if self.going_on is not None:
            await self.going_on.wait()
        return DownloadedFile(destination, len(content), sha256(content))

    def all_of_one(self):
        return {"Report": list(self.files)}


def below(folder: Path) -> list[str]:
    """Every file and folder, from here."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# Where files go


@pytest.mark.parametrize("api", ["v0", "v1"])
async def test_output_files_of_real_job_are_stored_in_row_folder(tmp_path, api):
    async with Simulator(SimulatorConfig(run_time=0, queue_time=0)) as simulator:
        with quick_polls():
            async with OpusClient(simulator.service_key, base_url=simulator.base_url, api=api) as opus:
                lifecycle = opus.lifecycle("Rep0rtWithFiles1")
                await lifecycle.platform.open()
                fetching = Outputs(tmp_path, lifecycle.platform)
                rows = [
                    await lifecycle.run(JobRequest({"Document": ("a.txt", b"one\n"), "Text": text}))
                    for text in "xy"
                ]
                got = await asyncio.gather(
                    *(fetching.fetch(f"row-{row.job_id}", row.results) for row in rows)
                )
        jobs = simulator.state()["jobs"]
    for row, files in zip(rows, got, strict=True):
        folder = f"outputs/row-{row.job_id}"
        assert [file.name for file in files] == ["Report", "Attachments", "Attachments"]
        stems = [Path(file.path).stem for file in files]
        assert stems == ["Report", "Attachments", "Attachments (2)"]
        assert {str(Path(file.path).parent) for file in files} == {folder}
        known = jobs[row.job_id]["output_files"]
        assert {file.sha256 for file in files} == set(known.values())
        for file in files:
            content = (tmp_path / file.path).read_bytes()
            assert (file.size, file.sha256) == (len(content), sha256(content))
        assert len(list((tmp_path / folder).iterdir())) == 3


@pytest.mark.parametrize("relative", [True, False])
async def test_output_files_paths_are_relative_to_batch_directory(tmp_path, monkeypatch, relative):
    monkeypatch.chdir(tmp_path)
    directory = Path("batch") if relative else tmp_path / "batch"
    directory.mkdir()
    left = Left(a_pdf=b"content")
    fetching = Outputs(directory, left)
    monkeypatch.chdir("/")
    [file] = await fetching.fetch("inv-1", left.all_of_one())
    path = "outputs/inv-1/Report.pdf"
    assert file == FetchedFile(name="Report", path=path, size=7, sha256=sha256(b"content"))
    assert (tmp_path / "batch" / file.path).read_bytes() == b"content"


async def test_output_files_of_row_without_files_make_no_folder(tmp_path):
    assert await Outputs(tmp_path, Left()).fetch("k", {}) == ()
    assert below(tmp_path) == []


async def test_output_files_folder_is_distinct_and_below_outputs_for_any_key(tmp_path):
    left = Left(a_pdf=b"content")
    keys = ["../../etc", "..", "a/b", "A/B", "", "INV-1", "inv-1", ".part", "/tmp"]
    fetched = [await Outputs(tmp_path, left).fetch(key, left.all_of_one()) for key in keys]
    folders = {(tmp_path / file.path).resolve().parent for [file] in fetched}
    assert len(folders) == len({str(folder).casefold() for folder in folders}) == len(keys)
    assert {folder.parent for folder in folders} == {tmp_path / "outputs"}


async def test_output_files_folders_are_private_to_owner(tmp_path):
    left = Left(a_pdf=b"content")
    await Outputs(tmp_path, left).fetch("k", left.all_of_one())
    for folder in ("outputs", "outputs/k"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ([("Report", "a.pdf")], ["Report.pdf"]),
        ([("Report.PDF", "a.pdf")], ["Report.PDF"]),
        ([("Report", "a")], ["Report"]),
        ([("A", "1.txt"), ("A", "2.txt"), ("A", "3.csv")], ["A.txt", "A (2).txt", "A.csv"]),
        ([("A", "1.txt"), ("a", "1.txt"), ("A (2)", "1.txt")], ["A.txt", "a (2).txt", "A (2) (2).txt"]),
        ([("../../etc/passwd", "x"), ("CON", "a.txt")], ["_.._etc_passwd", "_CON.txt"]),
        ([("", ""), ("\0", ""), (" . ", "")], ["file", "_", "file (2)"]),
        ([("ö" * 300, "a.docx")], ["ö" * 100 + ".docx"]),
        ([("Report", "a." + "x" * 100)], ["Report"]),
    ],
)
def test_output_files_names_are_safe_and_unique(files, names):
    assert file_names([(output, f"{FILES}/{last}") for output, last in files]) == names


async def test_output_files_of_repeated_url_are_stored_for_each_output(tmp_path):
    left = Left(a_pdf=b"content")
    [url] = left.files
    files = await Outputs(tmp_path, left).fetch("k", {"One": [url, url], "Two": [url]})
    assert [file.path for file in files] == [
        "outputs/k/One.pdf",
        "outputs/k/One (2).pdf",
        "outputs/k/Two.pdf",
    ]
    assert below(tmp_path / "outputs/k") == ["One (2).pdf", "One.pdf", "Two.pdf"]


# What an earlier process left


async def test_output_files_of_earlier_process_are_replaced_and_not_doubled(tmp_path):
    left = Left(a_pdf=b"new", b_pdf=b"other")
    home = tmp_path / "outputs/k"
    (home / ".part").mkdir(parents=True)
    (home / ".part/Report.pdf").write_bytes(b"ha")
    (home / ".part/.Report.pdf.00ff.part").write_bytes(b"h")
    (home / "Report.pdf").write_bytes(b"old and whole")
    (home / "notes.txt").write_text("a person's")
    files = await Outputs(tmp_path, left).fetch("k", left.all_of_one())
    assert below(home) == ["Report (2).pdf", "Report.pdf", "notes.txt"]
    assert (home / "Report.pdf").read_bytes() == b"new"
    again = await Outputs(tmp_path, left).fetch("k", left.all_of_one())
    assert again == files
    assert below(home) == ["Report (2).pdf", "Report.pdf", "notes.txt"]


async def test_output_files_replace_symlink_without_following_it(tmp_path):
    left = Left(a_pdf=b"new")
    home = tmp_path / "outputs/k"
    home.mkdir(parents=True)
    (tmp_path / "elsewhere").write_text("kept")
    (home / "Report.pdf").symlink_to(tmp_path / "elsewhere")
    (home / ".part").symlink_to(tmp_path)
    await Outputs(tmp_path, left).fetch("k", left.all_of_one())
    assert (tmp_path / "elsewhere").read_text() == "kept"
    assert (home / "Report.pdf").read_bytes() == b"new"
    assert not (home / "Report.pdf").is_symlink()
    assert below(tmp_path) == ["elsewhere", "outputs", "outputs/k", "outputs/k/Report.pdf"]


async def test_output_files_that_cannot_be_downloaded_again_are_kept(tmp_path):
    left = Left(a_pdf=b"first", b_pdf=DownloadError("refused", destination="b", status=503))
    fetching = Outputs(tmp_path, left)
    with pytest.raises(DownloadError, match="refused"):
        await fetching.fetch("k", left.all_of_one())
    gone, other = left.files
    left.files = {gone: NotFound("gone", status=404), other: b"second"}
    with pytest.raises(NotFound, match="gone"):
        await fetching.fetch("k", left.all_of_one())
    assert (tmp_path / "outputs/k/Report.pdf").read_bytes() == b"first"
    assert (tmp_path / "outputs/k/Report (2).pdf").read_bytes() == b"second"


KILLED = """
import asyncio, os, sys
from pathlib import Path
from opus_async.batch.running.output_files import Outputs
from opus_async.models import DownloadedFile

class Dying:
    def files_in(self, results):
        return [("Report", "https://h/a.pdf"), ("Report", "https://h/b.pdf")]

    async def fetch(self, url, destination):
        destination.write_bytes(b"half")
        if url.endswith("b.pdf"):
            while not (destination.parent.parent / "Report.pdf").exists():
                await asyncio.sleep(0.001)
            os.kill(os.getpid(), 9)
        return DownloadedFile(destination, 4, "")

asyncio.run(Outputs(Path(sys.argv[1]), Dying()).fetch("k", {}))
"""


async def test_output_files_are_completed_after_process_was_killed_between_two(tmp_path):
    died = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", KILLED, tmp_path], check=False)
    assert died.returncode == -9
    assert below(tmp_path / "outputs/k") == [".part", ".part/Report (2).pdf", "Report.pdf"]
    left = Left(a_pdf=b"one", b_pdf=b"two")
    files = await Outputs(tmp_path, left).fetch("k", left.all_of_one())
    assert below(tmp_path / "outputs/k") == ["Report (2).pdf", "Report.pdf"]
    assert [(tmp_path / file.path).read_bytes() for file in files] == [b"one", b"two"]


# What goes wrong


async def test_output_files_are_kept_if_another_download_fails(tmp_path):
    left = Left(a_pdf=b"1", b_pdf=DownloadError("refused", destination="b"), c_pdf=b"3", d_pdf=OpusError("x"))
    with pytest.raises(DownloadError, match="refused") as caught:
        await Outputs(tmp_path, left).fetch("k", left.all_of_one())
    assert caught.value.stage == "download"
    assert caught.value.job_id is None
    assert not caught.value.disk_full
    assert len(left.fetched) == 4
    assert below(tmp_path / "outputs/k") == ["Report (3).pdf", "Report.pdf"]


def refuses(number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize(
    ("where", "number", "full", "match"),
    [
        ("mkdir", errno.ENOSPC, True, r"outputs.* cannot be written \(No space left on device\): free"),
        ("open", errno.ENOSPC, True, r"Report\.pdf cannot be written \(No space left on device\): free"),
        ("replace", errno.EDQUOT, True, r"Report\.pdf cannot be written .*: free some space"),
        ("replace", errno.EIO, False, "check the disk"),
        ("mkdir", errno.EROFS, False, "give a folder that can be written to"),
    ],
)
async def test_output_files_write_error_is_reported_and_leaves_no_partial_file(  # noqa: PLR0917 - fixtures
    tmp_path, monkeypatch, where, number, full, match
):
    left = Left(a_pdf=b"1")
    monkeypatch.setattr(Path, where, refuses(number))
    with pytest.raises(DownloadError, match=match) as caught:
        await Outputs(tmp_path, left).fetch("k", left.all_of_one())
    monkeypatch.undo()
    assert (caught.value.disk_full, caught.value.stage) == (full, "download")
    assert not [path for path in tmp_path.rglob("*") if not path.is_dir()]
    [file] = await Outputs(tmp_path, left).fetch("k", left.all_of_one())
    assert below(tmp_path / "outputs/k") == ["Report.pdf"]
    assert file.size == 1


async def test_output_files_disk_full_during_download_is_reported_and_can_be_retried(tmp_path, monkeypatch):
    async with Simulator(SimulatorConfig(run_time=0, queue_time=0)) as simulator:
        with quick_polls():
            async with OpusClient(simulator.service_key, base_url=simulator.base_url) as opus:
                lifecycle = opus.lifecycle("Rep0rtWithFiles1")
                row = await lifecycle.run(JobRequest({"Document": ("a.txt", b"one\n"), "Text": "x"}))
                fetching = Outputs(tmp_path, lifecycle.platform)
                monkeypatch.setattr(os, "fsync", refuses(errno.ENOSPC))
                with pytest.raises(DownloadError, match="No space left on device") as caught:
                    await fetching.fetch("k", row.results)
                monkeypatch.undo()
                assert caught.value.disk_full
                assert not [path for path in tmp_path.rglob("*") if path.is_file()]
                assert len(await fetching.fetch("k", row.results)) == 3


async def test_output_files_error_names_folder_in_place_of_file(tmp_path):
    left = Left(a_pdf=b"1", b_pdf=b"2")
    (tmp_path / "outputs/k/Report.pdf").mkdir(parents=True)
    with pytest.raises(DownloadError, match=r"outputs/k/Report\.pdf cannot be written"):
        await Outputs(tmp_path, left).fetch("k", left.all_of_one())
    assert below(tmp_path / "outputs/k") == ["Report (2).pdf", "Report.pdf"]


async def test_output_files_error_names_file_in_place_of_folder(tmp_path):
    left = Left(a_pdf=b"1")
    (tmp_path / "outputs").write_text("")
    with pytest.raises(DownloadError, match="outputs/k cannot be written"):
        await Outputs(tmp_path, left).fetch("k", left.all_of_one())
    assert left.fetched == []


async def test_output_files_cancel_leaves_no_partial_file(tmp_path):
    left = Left(a_pdf=b"1")
    left.going_on = asyncio.Event()
    fetching = asyncio.create_task(Outputs(tmp_path, left).fetch("k", left.all_of_one()))
    await left.writing.wait()
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert below(tmp_path) == ["outputs", "outputs/k"]


async def test_output_files_unexpected_exception_is_raised_unchanged(tmp_path):
    left = Left(a_pdf=ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        await Outputs(tmp_path, left).fetch("k", left.all_of_one())
