"""Which files an input takes: every way to give one, and every reason to refuse one before it is sent."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from opus_async.errors import InvalidInputs
from opus_async.models import InputField, UploadedFile
from opus_async.opus.protocol.files import EXTENSIONS, extension_of

MAX = 10 * 1024 * 1024
URL = "https://files.opus.com/media/private/uploaded/media_0001.pdf"


class Named(io.BytesIO):
    def __init__(self, name: object) -> None:
        super().__init__(b"x")
        self.name = name


class Elsewhere(os.PathLike):  # type: ignore[type-arg]
    def __fspath__(self) -> str:
        return "/data/scan.pdf"


STREAM = io.BytesIO(b"x")
OPEN = Named("/data/scan.pdf")


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        ("/data/scan.pdf", ("/data/scan.pdf", None)),
        (Path("/data/scan.pdf"), (Path("/data/scan.pdf"), None)),
        (("scan.pdf", b"x"), (b"x", "scan.pdf")),
        (("/data/scan.pdf", bytearray(b"x")), (bytearray(b"x"), "scan.pdf")),
        (("C:\\data\\scan.pdf", memoryview(b"x")), (memoryview(b"x"), "scan.pdf")),
        (("scan.pdf", STREAM), (STREAM, "scan.pdf")),
        (OPEN, (OPEN, "scan.pdf")),
    ],
)
@pytest.mark.parametrize("kind", ["file", "array_files"])
def test_file_input_accepts_paths_named_bytes_and_open_files(bound, disk, kind, value, asked):
    inspect = disk()
    found = bound([InputField(variable_name="v", display_name="V", type=kind)], {"v": value}, inspect)
    assert inspect.asked == [asked]
    (file,) = found.files
    assert (file.filename, file.extension, file.size, file.source) == ("scan.pdf", ".pdf", 1, asked[0])
    assert found.payload([URL])["v"]["value"] == (URL if kind == "file" else [URL])


def test_file_input_passes_any_path_like_to_inspector(bound, field, disk):
    elsewhere = Elsewhere()
    inspect = disk()
    bound([field("file")], {"v": ("a.pdf", b"x")}, inspect)
    with pytest.raises(InvalidInputs):  # this disk takes the name from str(), which is none
        bound([field("file")], {"v": elsewhere}, inspect)
    assert inspect.asked[-1] == (elsewhere, None)


@pytest.mark.parametrize("value", [URL, f"  {URL}\n", "HTTP://files.opus.com/x", UploadedFile(URL, 3)])
def test_file_input_passes_uploaded_url_through(bound, field, disk, value):
    inspect = disk()
    found = bound([field("file", allowed_file_types=("PNG",))], {"v": value}, inspect)
    assert (found.files, inspect.asked) == ((), [])
    expected = value.url if isinstance(value, UploadedFile) else value.strip()
    assert found.payload([])["v"]["value"] == expected


def test_file_input_list_keeps_order_of_files_and_urls(bound, field, disk):
    value = ("a.pdf", UploadedFile(URL, 3), ("b.png", b"x"), Path("c.csv"))
    found = bound([field("array_files")], {"v": value}, disk())
    assert [file.filename for file in found.files] == ["a.pdf", "b.png", "c.csv"]
    assert found.payload(["ua", "ub", "uc"])["v"]["value"] == ["ua", URL, "ub", "uc"]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (b"x", r"bare bytes.*give \(filename, bytes\)"),
        (bytearray(b"x"), "bare bytes"),
        ("", "empty path"),
        ("  ", "empty path"),
        (Path("missing.pdf"), "'missing.pdf' does not exist"),
        (STREAM, r"without a name; give \(filename, file\)"),
        (Named(3), "without a name"),
        (3, "got int"),
        (True, "got bool"),
        ({"path": "a.pdf"}, "got dict"),
        (["a.pdf"], "got list"),
        (("a.pdf", "b.pdf"), "got tuple"),
        (("a.pdf", b"x", 3), "got tuple"),
        ((b"a.pdf", b"x"), "got tuple"),
        ("https://bucket.s3.amazonaws.com/a.pdf?X-Amz-Signature=00aa", "presigned URL.*fileUrl"),
        ("https://h/\ud800.pdf", "not valid Unicode"),
    ],
)
def test_file_input_refuses_other_values_with_a_reason(bound, field, disk, value, sentence):
    with pytest.raises(InvalidInputs, match=sentence) as caught:
        bound([field("file")], {"v": value}, disk({"a.pdf": 1}))
    assert "00aa" not in str(caught.value)


class BytesPath(os.PathLike):  # type: ignore[type-arg]
    def __fspath__(self) -> bytes:
        return b"a.pdf"


def test_file_input_refuses_path_in_bytes(bound, field):
    with pytest.raises(InvalidInputs, match="path in bytes"):
        bound([field("file")], {"v": BytesPath()})
    with pytest.raises(InvalidInputs, match="wants text"):
        bound([field("str")], {"v": BytesPath()})
    with pytest.raises(InvalidInputs, match="JSON cannot say"):
        bound([field("array")], {"v": [BytesPath()]})


def test_file_input_list_reports_every_bad_file(bound, field, disk):
    with pytest.raises(InvalidInputs) as caught:
        bound(
            [field("array_files")], {"v": ["a.pdf", "b.exe", None, "c.pdf"]}, disk({"a.pdf": 1, "b.exe": 1})
        )
    (problem,) = caught.value.problems
    assert "[1] the file 'b.exe' is of an unsupported type" in problem
    assert "[2] wants a path" in problem
    assert "[3] the file 'c.pdf' does not exist" in problem


@pytest.mark.parametrize(
    ("filename", "extension"),
    [
        ("scan.pdf", ".pdf"),
        ("SCAN.PDF", ".pdf"),
        ("a.b.c.Docx", ".docx"),
        ("scan.pdf ", ".pdf"),
        (".pdf", ".pdf"),
        ("r\u00e9sum\u00e9.JPEG", ".jpeg"),
    ],
)
def test_trap_31_file_input_extension_is_read_from_file_name(filename, extension):
    assert extension_of(filename) == extension


@pytest.mark.parametrize(
    "filename", ["a.tar.gz", "scan", "", ".", "scan.", "pdf", "PDF", "a.exe", "a.pdf.zip", "a.doc"]
)
def test_trap_31_file_input_with_unsupported_or_no_extension_is_refused(bound, field, disk, filename):
    with pytest.raises(ValueError, match="supported are"):
        extension_of(filename)
    with pytest.raises(InvalidInputs, match=r"supported are \.csv, \.docx"):
        bound([field("file")], {"v": (filename, b"x")}, disk())


@pytest.mark.parametrize("extension", sorted(EXTENSIONS))
def test_file_input_accepts_every_documented_extension(bound, field, disk, extension):
    (file,) = bound([field("file")], {"v": f"x{extension.upper()}"}, disk()).files
    assert file.extension == extension


@pytest.mark.parametrize(
    ("allowed", "filename"),
    [
        (("PDF",), "a.pdf"),
        (("PDF",), "a.PDF"),
        (("PNG", "PDF"), "a.pdf"),
        ((".pdf",), "a.pdf"),
        (("JPEG",), "a.jpg"),
        (("JPG",), "a.jpeg"),
        (("jpg",), "a.jpg"),
        ((), "a.xml"),
    ],
)
def test_trap_31_file_input_allowed_types_match_without_case_and_dot(bound, field, disk, allowed, filename):
    assert len(bound([field("file", allowed_file_types=allowed)], {"v": filename}, disk()).files) == 1


@pytest.mark.parametrize("kind", ["file", "array_files"])
def test_trap_31_file_input_outside_allowed_types_is_refused(bound, field, disk, kind):
    with pytest.raises(InvalidInputs, match=r"takes only PDF, JPEG files, got 'a\.png'"):
        bound([field(kind, allowed_file_types=("PDF", "JPEG"))], {"v": "a.png"}, disk())


@pytest.mark.parametrize("size", [1, MAX - 1, MAX])
def test_trap_30_file_input_of_exactly_the_size_limit_is_accepted(bound, field, disk, size):
    (file,) = bound([field("file")], {"v": "a.pdf"}, disk({"a.pdf": size})).files
    assert file.size == size


@pytest.mark.parametrize(("size", "sentence"), [(MAX + 1, "10,485,761 bytes.*10,485,760"), (0, "is empty")])
def test_trap_30_file_input_over_the_size_limit_or_empty_is_refused(bound, field, disk, size, sentence):
    with pytest.raises(InvalidInputs, match=sentence):
        bound([field("file")], {"v": "a.pdf"}, disk({"a.pdf": size}))


def test_file_input_repr_shows_name_and_no_bytes(bound, field, disk):
    (file,) = bound([field("file")], {"v": ("a.pdf", b"secret")}, disk()).files
    assert "a.pdf" in repr(file)
    assert "secret" not in repr(file)
