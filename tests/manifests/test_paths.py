"""Paths as people paste them are understood where they can mean one thing; else they are answered."""

from __future__ import annotations

from pathlib import Path

import pytest
from manifests import given, requested, workflow

from opus_async.batch.options import ManifestSource
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.validation.file_hints import FileHints

BINDING = Binding(workflow(given("Document", "file"), given("Pages", "array_files")))


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name in ("docs/a b.pdf", "docs/c.pdf", "home/d.pdf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def found(place, cell, column="Document"):
    given = requested(BINDING, BINDING.expand_globs({column: cell}, place), place)[column]
    paths = given if isinstance(given, list) else [given]
    return [Path(path).relative_to(place).as_posix() for path in paths]


@pytest.mark.parametrize(
    "cell",
    [
        "docs/a b.pdf",
        r"docs\a b.pdf",
        r".\docs\a b.pdf",
        '"docs/a b.pdf"',
        "'docs/a b.pdf'",
        "“docs/a b.pdf”",
        r'"docs\a b.pdf"',
        "file://{place}/docs/a%20b.pdf",
        "file://localhost{place}/docs/a%20b.pdf",
        "FILE:{place}/docs/a%20b.pdf",
        "~/../docs/a b.pdf",
        r"docs\a*.pdf",
    ],
)
def test_path_is_understood_as_it_is_pasted(place, cell):
    (path,) = found(place, cell.replace("{place}", str(place)))
    assert (place / path).resolve() == place / "docs" / "a b.pdf"


def test_path_of_home_and_lists_are_understood(place):
    assert found(place, "~/d.pdf") == ["home/d.pdf"]
    assert found(place, r"docs\c.pdf; ~/d.pdf", "Pages") == ["docs/c.pdf", "home/d.pdf"]
    assert found(place, r"docs\*.pdf", "Pages") == ["docs/a b.pdf", "docs/c.pdf"]


@pytest.mark.parametrize("name", [r"docs\c.pdf", '"docs"', "~", "it's"])
def test_path_that_exists_as_it_is_written_means_itself(place, name):
    (place / name).write_text("y")
    assert found(place, name) == [name]


@pytest.mark.parametrize(
    "cell", [r"no\such.pdf", r"C:\docs\c.pdf", '"', "''", "a\0\\b", r"~nobody\x", "file:x"]
)
def test_path_that_names_nothing_is_no_failure(place, cell):
    assert BINDING.expand_globs({"Document": cell}, place)["Document"]


def test_path_of_windows_is_answered_with_what_lies_beside_the_manifest(place):
    hints = FileHints(place)
    assert hints.hint(r"C:\Users\me\docs\c.pdf") == "it is a path of Windows; did you mean 'docs/c.pdf'?"
    assert hints.hint(r"D:\x.pdf") == "it is a path of Windows: write it as this computer has it"


def test_path_of_manifest_is_understood_likewise(place, monkeypatch):
    monkeypatch.chdir(place)
    (place / "docs" / "m.csv").write_text("a\n1\n")
    wanted = str(place / "docs" / "m.csv")
    for written in (r"docs\m.csv", "'docs/m.csv'", f"file://{place}/docs/m.csv", "~/../docs/m.csv"):
        assert Path(ManifestSource.of(written).manifest).resolve() == Path(wanted)
        assert Path(ManifestSource.of(Path(written)).manifest).resolve() == Path(wanted)


def test_path_hint_takes_no_pattern_for_a_typing_error(tmp_path):
    (tmp_path / "a.pdf").touch()
    hints = FileHints(tmp_path)
    assert hints.hint("*.pdf") is None
    assert hints.hint("b.pdf") == "did you mean 'a.pdf'?"
