"""Opening a manifest: what it is, what it is not, and what happens when it changes under our hands."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from opus_async.errors import ManifestError
from opus_async.manifests import open_manifest


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path, **options) -> str:
    with pytest.raises(ManifestError) as caught:
        list(open_manifest(path, **options).records())
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", "key,Text\n1,x\n", "csv"),
        ("a.CSV", "key,Text\n1,x\n", "csv"),
        ("a.tsv", "key\tText\n1\tx\n", "csv"),
        ("a.txt", "key|Text\n1|x\n", "csv"),
        ("a.jsonl", '{"key": "1", "Text": "x"}\n', "jsonl"),
        ("a.ndjson", '{"key": "1", "Text": "x"}', "jsonl"),
        ("a.json", '{"key": "1", "Text": "x"}', "jsonl"),
    ],
)
def test_open_manifest_chooses_kind_by_extension(tmp_path, name, content, kind):
    manifest = open_manifest(write(tmp_path / name, content))
    assert manifest.kind == kind
    assert [(record.index, dict(record.cells)) for record in manifest.records()] == [
        (0, {"key": "1", "Text": "x"})
    ]


def test_open_manifest_has_absolute_path_and_its_folder_as_base(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.csv", "Text\nx\n")
    manifest = open_manifest("in/a.csv")
    assert manifest.path == tmp_path / "in" / "a.csv"
    assert manifest.base == tmp_path / "in"
    assert next(manifest.records()).past is None


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.xlsx", "a.parquet", "a.pdf", "a", "docs/*.pdf"])
def test_open_manifest_names_missing_path(tmp_path, name):
    message = refusal(tmp_path / name)
    assert name in message
    assert "check the path" in message


def test_open_manifest_refuses_empty_name():
    assert "no manifest was named" in refusal("")


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("a.xls", "save the table as .xlsx"),
        ("a.ods", "save the table as .xlsx"),
        ("a.csv.gz", "unpack it first"),
        ("invoice.pdf", "'*.pdf'"),
        ("a", ".csv, .tsv, .jsonl, .xlsx or .parquet"),
    ],
)
def test_open_manifest_refuses_unsupported_extension_with_advice(tmp_path, name, fix):
    assert fix in refusal(write(tmp_path / name, "x"))


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.xlsx", "a.parquet"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\x1f\x8b\x08\x00", "unpack it first"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "without a password"),
        (b"PK\x03\x04....holiday.jpg", "a ZIP archive"),
        (b"<!DOCTYPE html><title>Sign in</title>", "a web page"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>", "XML"),
    ],
)
def test_open_manifest_refuses_content_of_another_kind(tmp_path, name, content, told):
    assert told in refusal(write(tmp_path / name, content))


@pytest.mark.parametrize(
    ("name", "content", "fix"),
    [
        ("a.csv", b"PK\x03\x04\x14[Content_Types].xml", "name it .xlsx"),
        ("a.csv", b"PAR1\x15\x04", "name it .parquet"),
        ("a.csv", b'{"Text": "a, b"}\n{"Text": "c"}\n', "name it .jsonl"),
        ("a.jsonl", b"key,Text\n1,x\n", "name it .csv"),
        ("a.xlsx", b"key,Text\n1,x\n", "name it .csv"),
        ("a.parquet", b"key,Text\n1,x\n", "name it .csv"),
    ],
)
def test_open_manifest_names_right_extension_for_content(tmp_path, name, content, fix):
    assert fix in refusal(write(tmp_path / name, content))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.csv", {"sheet": "Orders"}),
        ("a.jsonl", {"delimiter": ";"}),
        ("docs", {"encoding": "utf-8"}),
    ],
)
def test_open_manifest_refuses_option_without_effect(tmp_path, name, options):
    (tmp_path / "docs").mkdir()
    write(tmp_path / "a.csv", "Text\nx\n")
    write(tmp_path / "a.jsonl", '{"Text": "x"}\n')
    assert f"leave out --{next(iter(options))}" in refusal(tmp_path / name, **options)


def test_open_manifest_refuses_pipe(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    assert "save it to a file first" in refusal(tmp_path / "a.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_open_manifest_refuses_file_without_read_permission(tmp_path):
    write(tmp_path / "a.csv", "Text\nx\n").chmod(0)
    assert "permissions" in refusal(tmp_path / "a.csv")


TWO = {"a.csv": ("Text\nx\ny\n", "Text\nz\n"), "a.jsonl": ('{"T": 1}\n{"T": 2}\n', '{"T": 3}\n')}


@pytest.mark.parametrize("name", TWO)
def test_open_manifest_refuses_file_changed_after_opening(tmp_path, name):
    before, after = TWO[name]
    manifest = open_manifest(write(tmp_path / name, before))
    assert len(list(manifest.records())) == 2
    stamp = manifest.stamp()
    write(tmp_path / name, after)
    assert manifest.stamp() != stamp
    with pytest.raises(ManifestError, match="was changed while it was in use"):
        next(manifest.records())


@pytest.mark.parametrize("name", TWO)
def test_open_manifest_reports_file_changed_while_reading(tmp_path, name):
    before, after = TWO[name]
    records = open_manifest(write(tmp_path / name, before)).records()
    next(records)
    write(tmp_path / name, after)
    with pytest.raises(ManifestError, match="run the same command again"):
        list(records)


@pytest.mark.parametrize("name", TWO)
def test_open_manifest_reads_replaced_file_to_its_end(tmp_path, name):
    before, after = TWO[name]
    manifest = open_manifest(write(tmp_path / name, before))
    records = manifest.records()
    next(records)
    write(tmp_path / "new", after).replace(tmp_path / name)
    assert len(list(records)) == 1
    with pytest.raises(ManifestError, match="was changed"):
        next(manifest.records())


@pytest.mark.parametrize("name", TWO)
def test_open_manifest_reports_file_removed_after_opening(tmp_path, name):
    manifest = open_manifest(write(tmp_path / name, TWO[name][0]))
    (tmp_path / name).unlink()
    for use in (manifest.stamp, lambda: next(manifest.records())):
        with pytest.raises(ManifestError, match="does not exist"):
            use()


def test_open_manifest_closes_file_of_abandoned_reading(tmp_path):
    manifest = open_manifest(write(tmp_path / "a.csv", "Text\nx\ny\n"))
    first, second = manifest.records(), manifest.records()  # two at once
    assert next(first).cells == next(second).cells
    first.close()
    assert next(second).index == 1
    second.close()  # the fixture looks for descriptors


def test_open_manifest_names_file_on_os_error(tmp_path):
    target = tmp_path / "a.csv"
    target.symlink_to(target)  # an OSError that is neither "not found" nor "permission"
    why = os.strerror(errno.ELOOP)
    assert refusal(target) == f"{target} cannot be read ({why}): copy it to a local disk and try again"
