"""What the command line writes: never over a batch's files, never through a link somebody has laid."""

from __future__ import annotations

import os
import stat

import pytest
from batch_command import TEXT, texts


@pytest.mark.parametrize("name", ["ledger.db", "results.jsonl", ".lock", "report.html"])
def test_batch_export_refuses_to_overwrite_files_of_batch_or_manifest(opus, to, tmp_path, name):
    texts(tmp_path, 2)
    assert opus("batch", "run", "texts.csv", "--workflow", TEXT, "--out", "b", env=to).code == 0
    before = (tmp_path / "b" / name).read_bytes()
    said = opus("batch", "export", "b", "--format", "jsonl", "--output", f"b/{name}")
    assert said.code == 2
    assert f"b/{name} is among a batch's own files, and is not replaced" in said.err
    assert (tmp_path / "b" / name).read_bytes() == before
    over = opus("batch", "export", "b", "--format", "csv", "--output", "texts.csv")
    assert over.code == 2
    assert "is a file that a batch is made of" in over.err
    assert opus("batch", "export", "b", "--format", "csv", "--output", "b.csv").code == 0


def test_batch_validate_json_refuses_to_overwrite_manifest(opus, to, tmp_path):
    manifest = texts(tmp_path, 2)
    said = opus("batch", "validate", "texts.csv", "--workflow", TEXT, "--json", "texts.csv", env=to)
    assert said.code == 2
    assert "--json: texts.csv" in said.err
    assert "text 0" in (tmp_path / "texts.csv").read_text(), manifest
    found = opus("batch", "validate", "texts.csv", "--workflow", TEXT, "--json", "found.json", env=to)
    assert found.code == 0
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "found.json").stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "-"])
def test_export_and_validate_take_names_of_stdout_for_stdout(opus, to, tmp_path, name):
    texts(tmp_path, 2)
    assert opus("batch", "run", "texts.csv", "--workflow", TEXT, "--out", "b", env=to).code == 0
    said = opus("batch", "export", "b", "--format", "csv", "--output", name)
    assert (said.code, said.err) == (0, "2 rows\n")
    assert said.out.startswith("index,key,")
    found = opus("batch", "validate", "texts.csv", "--workflow", TEXT, "--json", name, env=to)
    assert found.json["rows"] == 2


@pytest.mark.parametrize("name", ["/dev/stderr", "/dev/null", "/dev/full", "/proc/self/fd/2"])
def test_export_and_validate_put_no_file_in_place_of_a_device(opus, name):
    before = os.lstat(name).st_mode if os.path.lexists(name) else None
    for words in (
        ("export", "b", "--format", "csv", "--output"),
        ("validate", "m.csv", "--workflow", TEXT, "--json"),
    ):
        said = opus("batch", *words, name)
        assert said.code == 2
        assert f"{name} is no place for a file: name another one, or - for stdout" in said.err
    assert before == (os.lstat(name).st_mode if os.path.lexists(name) else None)


def test_download_option_refuses_batch_directory(opus, to, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "ledger.db").write_bytes(b"")
    said = opus("run", TEXT, "--input", "Text=x", "--download", "b", env=to)
    assert said.code == 2
    assert "--download: b is the directory of a batch" in said.err


def test_demo_writes_through_no_symlink(opus, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    words = ("demo", "--jobs", 2, "--out", "d")
    assert opus(*words).code == 0
    first = next((tmp_path / "d" / "documents").iterdir())
    for path in (tmp_path / "d" / "manifest.csv", tmp_path / "d" / "results.jsonl", first):
        path.unlink()
        path.symlink_to(victim)
    assert opus(*words).code == 0
    first.unlink()
    first.symlink_to(tmp_path / "gone")
    assert opus(*words).code == 0
    assert victim.read_text() == "precious"
    assert not (tmp_path / "gone").exists()


def test_demo_refuses_folder_whose_documents_are_a_symlink(opus, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "results.jsonl").write_text("")
    (tmp_path / "d" / "documents").symlink_to(elsewhere)
    assert opus("demo", "--jobs", 2, "--out", "d").code == 2
    assert not any(elsewhere.iterdir())
