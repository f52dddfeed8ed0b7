"""Where files are written: never through a link, and never over what a batch is made of."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from batch_tools import DOCUMENT, REPORT, documents, states

from opus_async.batch import report, resume_batch, run_batch
from opus_async.batch.outputs.destinations import check
from opus_async.batch.outputs.export import export
from opus_async.disk import atomic_write
from opus_async.errors import ConfigurationError

OWN = (
    "ledger.db",
    "ledger.db-wal",
    "ledger.db-shm",
    ".lock",
    "results.jsonl",
    "failures.jsonl",
    "report.html",
)


@pytest.fixture
async def batch(simulate, connect, tmp_path):
    """A batch that is done, with result files."""
    simulator = await simulate()
    manifest = tmp_path / "in" / "manifest.csv"
    documents(tmp_path / "in", 2)
    manifest.write_text(manifest.read_text().replace("Document", "Document,Text").replace(".txt", ".txt,x"))
    out = tmp_path / "out"
    await run_batch(connect(simulator), manifest, workflow_id=REPORT, out=out, download_outputs=True)
    assert states(out) == {"completed": 2}
    return out


def everything(folder):
    """Path -> content, of all files below; links as what they lead to by name."""
    return {
        path: str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def refused(batch, destination):
    before = everything(batch.parent)
    with pytest.raises(ConfigurationError, match="name another file"):
        export(batch, "jsonl", destination)
    assert everything(batch.parent) == before


@pytest.mark.parametrize("name", [*OWN, "summary.json", "Results.JSONL", "LEDGER.db", "ledger.db-journal"])
async def test_export_refuses_to_replace_files_of_its_batch(batch, tmp_path, monkeypatch, name):
    refused(batch, batch / name)
    refused(batch, batch / ".." / "out" / name)
    monkeypatch.chdir(batch)
    refused(batch, Path(name))
    (tmp_path / "through").symlink_to(batch)
    refused(batch, tmp_path / "through" / name)


@pytest.mark.parametrize("name", ["ledger.db", "results.jsonl", "report.html"])
async def test_export_refuses_links_to_files_of_its_batch(batch, tmp_path, name):
    (tmp_path / "soft.jsonl").symlink_to(batch / name)
    (tmp_path / "hard.jsonl").hardlink_to(batch / name)
    for link in ("soft.jsonl", "hard.jsonl"):
        refused(batch, tmp_path / link)


async def test_export_refuses_to_replace_input_and_output_files(batch, tmp_path):
    one, *_ = (path for path in (batch / "outputs").rglob("*") if path.is_file())
    (tmp_path / "hard").hardlink_to(one)
    (tmp_path / "input").hardlink_to(tmp_path / "in" / "0.txt")
    for path in (
        one,
        one.with_name("new.txt"),
        tmp_path / "hard",
        tmp_path / "in" / "manifest.csv",
        tmp_path / "in" / "0.txt",
        tmp_path / "input",
    ):
        refused(batch, path)


async def test_export_refuses_to_replace_files_of_another_batch(batch, tmp_path, simulate, connect):
    other = tmp_path / "other"
    manifest = documents(tmp_path / "in2", 1)
    await run_batch(connect(await simulate()), manifest, workflow_id=DOCUMENT, out=other)
    refused(batch, other / "ledger.db")
    refused(batch, other / "summary.json")


@pytest.mark.parametrize("form", ["csv", "jsonl", "xlsx", "parquet"])
async def test_export_and_report_have_default_permissions_while_batch_files_are_private(
    batch, tmp_path, form
):
    pytest.importorskip("pyarrow")
    before = os.umask(0o027)
    try:
        export(batch, form)
        export(batch, form, tmp_path / "results.jsonl")  # a name that is a batch's only beside a ledger
        report.write(batch)
    finally:
        os.umask(before)
    for path in (batch / f"export.{form}", tmp_path / "results.jsonl", batch / "report.html"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    for name in ("failures.jsonl", "summary.json", "ledger.db"):
        assert stat.S_IMODE((batch / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("private", [True, False])
def test_atomic_write_replaces_symlink_without_following_it(tmp_path, private):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for target in (victim, tmp_path / "gone"):
        link = tmp_path / "link"
        link.symlink_to(target)
        with atomic_write(link, private=private) as file:
            file.write(b"new")
        assert (link.is_symlink(), link.read_bytes()) == (False, b"new")
        assert victim.read_text() == "precious"
        assert not (tmp_path / "gone").exists()
        link.unlink()


def test_atomic_write_does_not_follow_symlink_at_temporary_name(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr("secrets.token_hex", lambda _: "00")
    for target in (victim, tmp_path / "gone"):
        (tmp_path / ".new.00.part").unlink(missing_ok=True)
        (tmp_path / ".new.00.part").symlink_to(target)
        with pytest.raises(FileExistsError), atomic_write(tmp_path / "new") as file:
            file.write(b"new")
    assert victim.read_text() == "precious"
    assert not (tmp_path / "gone").exists()
    assert not (tmp_path / "new").exists()


async def test_report_files_and_export_replace_symlinks_in_batch_directory(
    batch, tmp_path, simulate, connect
):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    names = ("failures.jsonl", "report.html", "summary.json", "export.csv")
    for name in names:
        (batch / name).unlink(missing_ok=True)
        (batch / name).symlink_to(victim)
    from opus_async.batch.outputs import failures, summary

    for write in (failures.write, summary.write, report.write):
        write(batch)
    export(batch, "csv")
    assert victim.read_text() == "precious"
    assert not any((batch / name).is_symlink() for name in names)


@pytest.mark.parametrize("link", ["outputs", "outputs/k0"])
async def test_output_files_are_not_downloaded_through_symlink(simulate, connect, tmp_path, link):
    simulator = await simulate()
    manifest = tmp_path / "in" / "manifest.csv"
    documents(tmp_path / "in", 1)
    manifest.write_text("key,Document,Text\nk0,0.txt,x\n")
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    (elsewhere / ".part").mkdir(parents=True)
    (elsewhere / ".part" / "precious").write_text("precious")
    (out / link).parent.mkdir(parents=True)
    (out / link).symlink_to(elsewhere)
    client = connect(simulator)
    await run_batch(client, manifest, workflow_id=REPORT, out=out, download_outputs=True)
    assert sorted(path.name for path in elsewhere.rglob("*")) == [".part", "precious"]
    assert states(out) == {"unknown": 1}  # what the job gave is not lost: it is fetched once the link is gone
    (out / link).unlink()
    assert (await resume_batch(client, out)).ok
    assert any(path.is_file() for path in (out / "outputs" / "k0").iterdir())


def test_export_destination_check_accepts_any_other_path(tmp_path):
    (tmp_path / "kept").write_text("x")
    for name in ("results.jsonl", "outputs/a", "gone/b", "ledger.db"):
        check(tmp_path / name, [tmp_path / "kept", tmp_path / "none"])
