"""The demo's documents are what their names say."""

from __future__ import annotations

import csv
import io
import json
import re
import struct
import zlib
from html.parser import HTMLParser
from random import Random
from xml.etree import ElementTree as ET

import pytest

from opus_async.cli.demo import contents, documents, pdf

SIZES = [1_000, 20_000, 300_000]


def made(extension, size):
    _, maker = contents.MAKERS[extension]
    return maker(Random(5), 42, size)


@pytest.mark.parametrize("extension", contents.MAKERS)
@pytest.mark.parametrize("size", SIZES)
def test_demo_documents_have_about_requested_size(extension, size):
    content = made(extension, size)
    assert size * 0.5 < len(content) < max(size * 1.8, 8_000)


@pytest.mark.parametrize("size", SIZES)
def test_demo_documents_csv_has_header_and_even_rows(size):
    header, *rows = csv.reader(io.StringIO(made("csv", size).decode()))
    assert header[0] == "time"
    assert rows
    assert {len(row) for row in rows} == {len(header)}


@pytest.mark.parametrize("size", SIZES)
def test_demo_documents_json_and_xml_parse(size):
    assert json.loads(made("json", size))["items"]
    assert ET.fromstring(made("xml", size)).findall("Line")


@pytest.mark.parametrize("size", SIZES)
def test_demo_documents_html_closes_its_tags(size):
    opened = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag != "meta":
                opened.append(tag)

        def handle_endtag(self, tag):
            assert opened.pop() == tag

    Checker().feed(made("html", size).decode())
    assert not opened


@pytest.mark.parametrize("size", SIZES)
def test_demo_documents_png_chunks_and_pixels_match_header(size):
    content = made("png", size)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, {}
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        body = content[at + 8 : at + 8 + length]
        (crc,) = struct.unpack(">I", content[at + 8 + length : at + 12 + length])
        assert crc == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + length
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colour) == (8, 0)
    pixels = zlib.decompress(chunks[b"IDAT"])
    assert len(pixels) == height * (width + 1)
    assert set(pixels[:: width + 1]) == {0}  # no filter on any row
    assert chunks[b"IEND"] == b""


def objects_of(content):
    """Read a PDF the way a viewer does: from its end, through the cross-reference table."""
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n\Z", content)[1])
    assert content[start:].startswith(b"xref\n0 ")
    lines = content[start:].split(b"\n")
    count = int(lines[1].split()[1])
    entries = content[start:].split(b"\n", 2)[2]
    found = {}
    for number in range(count):
        entry = entries[number * 20 : number * 20 + 20]
        assert re.fullmatch(rb"\d{10} \d{5} [nf] \n", entry)
        if number:
            offset = int(entry[:10])
            assert content[offset:].startswith(b"%d 0 obj\n" % number)
            found[number] = content[offset : content.index(b"\nendobj", offset)]
    assert int(re.search(rb"/Size (\d+)", content[start:])[1]) == count
    return found, int(re.search(rb"/Root (\d+) 0 R", content[start:])[1])


@pytest.mark.parametrize("size", SIZES)
def test_demo_documents_pdf_pages_are_reachable_through_xref_table(size):
    content = made("pdf", size)
    found, root = objects_of(content)
    tree = found[int(re.search(rb"/Pages (\d+) 0 R", found[root])[1])]
    kids = [int(number) for number in re.findall(rb"(\d+) 0 R", re.search(rb"/Kids \[(.*?)\]", tree)[1])]
    assert int(re.search(rb"/Count (\d+)", tree)[1]) == len(kids) >= 2
    for kid in kids:
        assert b"/Type /Page " in found[kid]
        stream = found[int(re.search(rb"/Contents (\d+) 0 R", found[kid])[1])]
        text = re.search(rb"stream\n(.*)endstream", stream, re.DOTALL)[1]
        assert int(re.search(rb"/Length (\d+)", stream)[1]) == len(text)
        assert b"(INVOICE 42)" in text


def test_demo_documents_pdf_escapes_text():
    content = pdf.document("a(b)\\", [["(x) \\ é →"]])
    assert rb"(\(x\) \\ " + "é".encode("latin-1") + b" ?) '" in content
    assert rb"/Title (a\(b\)\\)" in content


def test_demo_documents_are_distinct_repeatable_and_of_every_type(tmp_path):
    first = list(documents.make(tmp_path / "a", 70, seed=1))
    again = list(documents.make(tmp_path / "b", 70, seed=1))
    other = list(documents.make(tmp_path / "c", 70, seed=2))
    digests = {document.sha256 for document in first}
    assert len(digests) == 70
    assert [document.sha256 for document in again] == [document.sha256 for document in first]
    assert not digests & {document.sha256 for document in other}
    assert {document.type for document in first} == {"TXT", "CSV", "JSON", "HTML", "XML", "PNG", "PDF"}
    assert min(document.size for document in first) < 5_000
    assert max(document.size for document in first) < 1_500_000
