"""What bytes tell, whatever the borders of the chunks they come in."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opus_async.simulator.file_inspection import Inspector


def inspect(data, extension=".txt", chunk=0):
    inspector = Inspector(extension)
    for start in range(0, len(data), chunk or max(len(data), 1)):
        inspector.feed(data[start : start + (chunk or len(data))])
    return inspector.facts()


def png(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I4s", 13, b"IHDR")
        + header
        + struct.pack(">I", zlib.crc32(header))
    )


PDF = b"%PDF-1.7\n" + b"".join(
    b"%d 0 obj << /Type /Page /Parent 1 0 R >> endobj\n" % number for number in range(2, 9)
)
PDF += b"1 0 obj << /Type /Pages /Count 7 >> endobj << /Type/Page>> /Type\n/Page"


@given(st.binary(max_size=400), st.integers(1, 70))
def test_simulator_file_inspection_digest_and_size_do_not_depend_on_chunks(data, chunk):
    facts = inspect(data, chunk=chunk)
    assert facts.sha256 == hashlib.sha256(data).hexdigest()
    assert facts.size == len(data)
    assert facts == inspect(data)


@pytest.mark.parametrize("chunk", [0, 1, 3, 7, 64, 65])
def test_simulator_file_inspection_counts_pdf_pages_across_chunk_borders(chunk):
    facts = inspect(PDF, ".pdf", chunk)
    assert (facts.type, facts.pages, facts.lines) == ("PDF", 9, None)


@pytest.mark.parametrize(("text", "lines"), [(b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2), (b"\n\n", 2)])
def test_simulator_file_inspection_counts_line_feeds_and_an_unterminated_last_line(text, lines):
    assert inspect(text).lines == lines


@given(
    st.lists(st.lists(st.text('ab,"\n ', max_size=5), min_size=2, max_size=3), max_size=8), st.integers(1, 9)
)
def test_simulator_file_inspection_counts_csv_rows_as_the_csv_module_does(rows, chunk):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    assert (inspect(out.getvalue().encode(), ".csv", chunk).rows or 0) == len(rows)


def test_simulator_file_inspection_reads_width_and_height_of_png():
    facts = inspect(png(640, 480), ".png", 5)
    assert (facts.type, facts.width, facts.height, facts.lines) == ("PNG", 640, 480, None)


@pytest.mark.parametrize(
    ("data", "extension", "kind"),
    [
        (b"\xff\xd8\xff\xe0rest", ".jpg", "JPEG"),
        (b"PK\x03\x04....word/document.xml", ".docx", "DOCX"),
        (b"PK\x03\x04....xl/workbook.xml", ".xlsx", "XLSX"),
        (b"\xd0\xcf\x11\xe0\0\0", ".xls", "XLS"),
        (b"  {}", ".json", "JSON"),
        (b"<!DOCTYPE html><html>", ".txt", "HTML"),
        (b"<?xml version='1.0'?>", ".txt", "XML"),
        (b"\0\1\2", ".txt", "BINARY"),
        (b"%PDF-1.4", ".txt", "PDF"),
        (b"plain", ".pdf", "TXT"),
    ],
)
def test_simulator_file_inspection_tells_type_from_content_not_extension(data, extension, kind):
    assert inspect(data, extension).type == kind


def test_simulator_file_inspection_counts_items_of_small_json_only():
    assert inspect(json.dumps({"a": 1, "b": 2}).encode(), ".json", 3).items == 2
    assert inspect(json.dumps([1, 2, 3]).encode(), ".json").items == 3
    assert inspect(b"{broken", ".json").items is None
    assert inspect(b"[" + b"1," * 200_000 + b"1]", ".json").items is None
