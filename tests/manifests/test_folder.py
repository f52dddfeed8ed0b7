"""A folder of documents, or a pattern: one job for each file, in an order that a person expects."""

from __future__ import annotations

import os
import random
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opus_async.errors import ManifestError
from opus_async.manifests import FILE_COLUMN, open_manifest
from opus_async.manifests.readers import folder as folder_reader
from opus_async.manifests.readers import listing
from opus_async.manifests.readers.listing import matching_files
from opus_async.manifests.readers.natural_order import in_order


@pytest.fixture
def docs(tmp_path):
    """Makes files below ``docs``; those that end in a slash are folders."""

    def made(*names: str) -> Path:
        base = tmp_path / "docs"
        base.mkdir(exist_ok=True)
        for name in names:
            path = base / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("/"):
                path.mkdir(exist_ok=True)
            else:
                path.write_text(name)
        return base

    return made


def files(manifest) -> list[str]:
    return [record.cells[FILE_COLUMN] for record in manifest.records()]


def test_folder_manifest_has_one_row_per_file(docs):
    base = docs("b.pdf", "a.pdf", "Übersicht (1).pdf")
    manifest = open_manifest(base)
    assert (manifest.kind, manifest.path, manifest.base) == ("folder", base, base)
    assert manifest.columns == ("file",)
    assert [
        (record.index, record.where, dict(record.cells), record.past) for record in manifest.records()
    ] == [
        (0, "a.pdf", {"file": "a.pdf"}, None),
        (1, "b.pdf", {"file": "b.pdf"}, None),
        (2, "Übersicht (1).pdf", {"file": "Übersicht (1).pdf"}, None),
    ]
    assert manifest.estimated_rows() == 3
    assert manifest.warnings == []


def test_glob_manifest_sorts_numbers_by_value_and_keeps_folders_together(docs):
    names = [
        "page 2.pdf",
        "page 10.pdf",
        "Page 1.pdf",
        "a/2.pdf",
        "a/10.pdf",
        "a b/1.pdf",
        "a-1.pdf",
        "page 02.pdf",
    ]
    assert files(open_manifest(docs(*names) / "**" / "*.pdf")) == [
        "a/2.pdf",
        "a/10.pdf",
        "a b/1.pdf",
        "a-1.pdf",
        "Page 1.pdf",
        "page 02.pdf",
        "page 2.pdf",
        "page 10.pdf",
    ]


@given(names=st.sets(st.text(st.sampled_from("aB019 /-²٣"), min_size=1, max_size=6)), seed=st.randoms())
def test_listing_order_is_independent_of_input_order(names, seed):
    shuffled = list(names)
    seed.shuffle(shuffled)
    assert in_order(set(shuffled)) == in_order(names)
    assert set(in_order(names)) == names


def test_folder_manifest_skips_non_documents_with_warnings(docs):
    base = docs(
        *("a.pdf", ".hidden", ".DS_Store", "Thumbs.db", "desktop.ini", "~$report.docx"),
        *("ledger.db", "ledger.db-wal", "results.jsonl", "failures.jsonl", "report.html", "summary.json"),
    )
    (base / "broken.pdf").symlink_to(base / "nowhere")
    (base / "loop.pdf").symlink_to(base / "loop.pdf")
    os.mkfifo(base / "pipe")
    manifest = open_manifest(base)
    assert files(manifest) == ["a.pdf"]
    assert manifest.warnings == [
        "broken links and other entries that are no files: 3 not taken, such as 'broken.pdf'",
        "files that a batch writes: 6 not taken, such as 'failures.jsonl'",
        "files that a system or Office leaves behind: 3 not taken, such as 'Thumbs.db'",
        "hidden files: 2 not taken, such as '.DS_Store'",
    ]


def test_folder_manifest_warns_of_subfolders_with_pattern_that_takes_them(docs):
    base = docs(
        "a.pdf", "more/b.pdf", "more/c/d.pdf", "more/.x", ".git/config", "run/ledger.db", "run/outputs/e.pdf"
    )
    manifest = open_manifest(base)
    assert files(manifest) == ["a.pdf"]
    (warning,) = manifest.warnings
    assert warning.startswith("2 files lie in subfolders and are not taken")
    pattern = warning.split("'")[1]
    assert files(open_manifest(pattern)) == ["a.pdf", "more/b.pdf", "more/c/d.pdf"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.pdf", ["1.pdf", "2.pdf"]),
        ("?.pdf", ["1.pdf", "2.pdf"]),
        ("[!2].*", ["1.pdf", "3.txt"]),
        ("**/*.pdf", ["1.pdf", "2.pdf", "x/4.pdf", "x/y/5.pdf", "z/y/6.pdf"]),
        ("**", ["1.pdf", "2.pdf", "3.txt", "x/4.pdf", "x/y/5.pdf", "z/y/6.pdf"]),
        ("**/**/y/**/*", ["x/y/5.pdf", "z/y/6.pdf"]),
        ("*/*.pdf", ["x/4.pdf"]),
        ("*/y/*", ["x/y/5.pdf", "z/y/6.pdf"]),
        ("*/y/5.pdf", ["x/y/5.pdf"]),
        ("[xz]/**/*.pdf", ["x/4.pdf", "x/y/5.pdf", "z/y/6.pdf"]),
        (".*/*", [".git/config"]),
        (".[!.]*", [".hidden"]),
    ],
)
def test_glob_manifest_matches_patterns(docs, pattern, found):
    base = docs(
        *("1.pdf", "2.pdf", "3.txt", "x/4.pdf", "x/y/5.pdf", "z/y/6.pdf", "empty/", ".hidden", ".git/config"),
    )
    manifest = open_manifest(f"{base}/{pattern}")
    assert manifest.kind == "glob"
    assert manifest.base == base
    assert files(manifest) == found


def test_glob_manifest_is_relative_to_current_directory(docs, monkeypatch):
    base = docs("x/1.pdf")
    monkeypatch.chdir(base.parent)
    manifest = open_manifest("docs/*/*.pdf")
    assert manifest.base == base
    assert manifest.path == base / "*" / "*.pdf"
    assert files(manifest) == ["x/1.pdf"]


def test_folder_manifest_with_brackets_in_name_is_no_glob(docs):
    base = docs("[1]/a.pdf", "[1]/b.pdf", "1/c.pdf")
    manifest = open_manifest(base / "[1]")
    assert manifest.kind == "folder"
    assert files(manifest) == ["a.pdf", "b.pdf"]


def test_glob_manifest_warns_of_matches_in_other_letter_case(docs):
    manifest = open_manifest(docs("a.pdf", "SCAN.PDF") / "*.pdf")
    assert files(manifest) == ["a.pdf"]
    assert manifest.warnings == ["names that match but for capital letters: 1 not taken, such as 'SCAN.PDF'"]


def test_glob_manifest_skips_batch_directories(docs):
    base = docs("a.pdf", "out/ledger.db", "out/results.jsonl", "out/outputs/k1/b.pdf", "x/report.html")
    manifest = open_manifest(base / "**" / "*")
    assert files(manifest) == ["a.pdf"]
    assert manifest.warnings == [
        "directories of batches: 1 not taken, such as 'out'",
        "files that a batch writes: 1 not taken, such as 'x/report.html'",
    ]
    assert files(open_manifest(base / "*" / "report.html")) == ["x/report.html"]


def test_glob_manifest_follows_symlinks_without_cycles(docs):
    base = docs("a.pdf", "x/b.pdf")
    (base / "x" / "up").symlink_to(base)
    (base / "link.pdf").symlink_to(base / "a.pdf")
    manifest = open_manifest(base / "**" / "*.pdf")
    assert files(manifest) == ["a.pdf", "link.pdf", "x/b.pdf"]
    assert manifest.warnings == ["linked folders: 1 not taken, such as 'x/up'"]
    assert files(open_manifest(base / "*" / "*" / "*.pdf")) == ["x/up/a.pdf", "x/up/link.pdf"]


@pytest.mark.parametrize("pattern", ["*.docx", "no/*.pdf", "*/*.pdf", "x*/**/*"])
def test_glob_manifest_refuses_pattern_without_matches(docs, pattern):
    with pytest.raises(ManifestError, match="matches no file"):
        open_manifest(docs("a.pdf") / pattern)


def test_folder_manifest_without_documents_tells_what_it_holds(docs):
    with pytest.raises(ManifestError, match="has no files that could be run") as caught:
        open_manifest(docs(".hidden", "x/a.pdf"))
    assert len(caught.value.problems) == 2


def test_folder_manifest_refuses_undecodable_file_name(docs):
    base = docs("a.pdf")
    try:
        Path(os.fsdecode(os.fsencode(base) + b"/caf\xe9.pdf")).touch()
    except OSError:
        pytest.skip("this file system takes only text for names")
    with pytest.raises(ManifestError, match=r"caf\\xe9.*rename the file"):
        open_manifest(base)


def test_folder_manifest_stamp_changes_with_names_sizes_and_times(docs):
    base = docs("a.pdf", "b.pdf")
    manifest = open_manifest(base)
    stamps = [manifest.stamp()]
    docs("c.pdf")
    stamps.append(manifest.stamp())
    (base / "a.pdf").write_text("longer than before")
    stamps.append(manifest.stamp())
    os.utime(base / "b.pdf", ns=(1, 1))
    stamps.append(manifest.stamp())
    (base / "b.pdf").rename(base / "d.pdf")
    stamps.append(manifest.stamp())
    assert len(set(stamps)) == 5
    docs("ledger.db", "results.jsonl", ".DS_Store")
    assert manifest.stamp() == stamps[-1]
    assert open_manifest(base).stamp() == stamps[-1]


def test_folder_manifest_lists_files_added_after_opening(docs):
    manifest = open_manifest(docs("a.pdf"))
    docs("b.pdf", "ledger.db")
    assert files(manifest) == ["a.pdf", "b.pdf"]
    assert len(manifest.warnings) == 1


def test_folder_manifest_refuses_folder_emptied_or_removed_after_opening(docs):
    base = docs("a.pdf")
    manifest = open_manifest(base)
    (base / "a.pdf").unlink()
    with pytest.raises(ManifestError, match="has no files"):
        next(manifest.records())
    base.rmdir()
    for use in (manifest.stamp, lambda: next(manifest.records())):
        with pytest.raises(ManifestError, match="does not exist"):
            use()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_glob_manifest_refuses_unreadable_subfolder(docs):
    base = docs("a.pdf", "x/b.pdf")
    (base / "x").chmod(0)
    with pytest.raises(ManifestError, match="x may not be read"):
        open_manifest(base / "**" / "*")
    (base / "x").chmod(0o700)


@pytest.mark.parametrize("many", [5_000, pytest.param(20_000, marks=pytest.mark.long)])
def test_folder_manifest_lists_20000_files_in_order_and_bounded_memory(tmp_path, many):
    numbers = list(range(many))
    random.Random(1).shuffle(numbers)
    for number in numbers:
        (tmp_path / f"scan {number}.pdf").touch()
    manifest = open_manifest(tmp_path)
    tracemalloc.start()
    try:
        found = files(manifest)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [f"scan {number}.pdf" for number in range(many)]
    assert peak < many * 500


# Patterns that could take for ever


def read_folders(monkeypatch):
    """Counts how often a folder is read."""
    read = []
    scandir = os.scandir

    def counted(path):
        read.append(os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    return read


def test_listing_reads_each_folder_once_per_pattern_part(docs, monkeypatch):
    deep = "/".join("abcdefghijklmnopqrst")
    base = docs(f"{deep}/1.pdf", "2.pdf")
    read = read_folders(monkeypatch)
    pattern = "/".join(["**", "*"] * 8)
    assert matching_files(base, pattern.split("/")).names == [f"{deep}/1.pdf"]
    assert len(read) <= 21 * 16


def test_listing_does_not_repeat_folder_reached_by_several_symlinks(docs, monkeypatch):
    base = docs("0/1.pdf")
    for name in ("one", "two", "three"):
        (base / "0" / name).symlink_to("../0")
    read = read_folders(monkeypatch)
    found = matching_files(base, ("*",) * 30)
    assert found.names == [f"0/{'one/' * 28}1.pdf"]
    assert found.notes()[0].startswith("folders met before by another name: ")
    assert len(read) <= 30


def test_glob_manifest_takes_symlinked_folder_by_its_own_name(docs):
    base = docs("b/1.pdf", "c/2.pdf")
    (base / "a").symlink_to("b")
    manifest = open_manifest(base / "*" / "*.pdf")
    assert files(manifest) == ["b/1.pdf", "c/2.pdf"]
    assert manifest.warnings == ["folders met before by another name: 1 not taken, such as 'a'"]


@pytest.mark.parametrize("pattern", ["*", "**/*", "*/*"])
def test_listing_refuses_more_files_or_folders_than_limit(docs, monkeypatch, pattern):
    base = docs(*(f"{number}/{number}.pdf" for number in range(4)), *(f"{number}.pdf" for number in range(4)))
    monkeypatch.setattr(listing, "MOST_FILES", 3)
    with pytest.raises(ManifestError, match="more than 3 f"):
        open_manifest(base / pattern)


def test_folder_manifest_stops_counting_subfolder_files_at_limit(docs, monkeypatch):
    base = docs("a.pdf", *(f"x/{number}.pdf" for number in range(9)))
    monkeypatch.setattr(folder_reader, "_MOST_DEEPER", 5)
    assert open_manifest(base).warnings[0].startswith("5 files and more lie in subfolders")
