"""Manifests that are small and unpack to much, or never end: each is refused within a memory bound."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

import pytest
from forking import ForkingProgram

from opus_async.manifests import open_manifest

MIB = 1 << 20
MOST_ADDRESSES = 6 << 30
"""Bytes. Beyond it the reading process fails: nothing of this may take the machine."""


@pytest.fixture(scope="module")
def read():
    """What a process that reads the manifest tells."""
    with ForkingProgram("bomb_reader") as reader:

        def call(path: Path) -> dict:
            done = reader.call(path, MOST_ADDRESSES)
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        yield call


# Workbooks

_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRUCTURE = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"/>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" '
    f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="r1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="r2" Type="{_OFFICE}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
    '<sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>',
}
SHEET, TEXTS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
TABLE = (
    b'<row r="1"><c r="A1" t="inlineStr"><is><t>Number</t></is></c></row>',
    b'<row r="2"><c r="A2"><v>7</v></c></row>',
)


def workbook(folder: Path, sheet=TABLE, texts=(), more=()) -> Path:
    """A workbook of a sheet and shared texts, given as pieces of XML; ``more`` are further parts."""
    path = folder / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in {**STRUCTURE, **dict(more)}.items():
            archive.writestr(name, content)
        for name, root, pieces in (
            (SHEET, "worksheet", (b"<sheetData>", *sheet, b"</sheetData>")),
            (TEXTS, "sst", texts),
        ):
            with archive.open(name, "w", force_zip64=True) as part:
                part.write(f'<{root} xmlns="{_MAIN}">'.encode())
                for piece in pieces:
                    part.write(piece)
                part.write(f"</{root}>".encode())
    return path


def with_told_size(path: Path, part: str, size: int) -> Path:
    """The same archive, whose directory and local head say that a part unpacks to fewer bytes."""
    content = bytearray(path.read_bytes())
    name = part.encode()
    with zipfile.ZipFile(path) as archive:
        found = archive.getinfo(part)
        packed, start = found.compress_size, found.header_offset
    entry = content.rfind(name) - 46
    assert content[entry : entry + 4] == b"PK\x01\x02"
    extra = struct.unpack_from("<H", content, entry + 30)[0]
    content[entry + 20 : entry + 28] = struct.pack("<II", packed, size)
    content[entry + 46 + len(name) : entry + 46 + len(name) + extra] = b"\xff\xff" + b"\0" * (extra - 2) * (
        extra > 1
    )
    content[start + 18 : start + 26] = struct.pack("<II", packed, size)
    path.write_bytes(content)
    return path


def test_xlsx_bomb_of_shared_strings_is_refused_by_declared_size(read, tmp_path):
    text = b"<si><t>" + b"a" * MIB + b"</t></si>"
    told = read(workbook(tmp_path, texts=(text for _ in range(250))))
    assert "unpacks to 250 MiB" in told["error"]
    assert told["peak"] < 150


def test_xlsx_bomb_with_false_part_size_is_refused(read, tmp_path):
    text = b"<si><t>" + b"a" * MIB + b"</t></si>"
    path = workbook(tmp_path, texts=(text for _ in range(250)))
    told = read(with_told_size(path, TEXTS, 5000))
    assert "cannot be read as a workbook" in told["error"]
    assert told["peak"] < 150


def test_xlsx_bomb_of_many_parts_is_refused_by_directory_size(read, tmp_path):
    told = read(workbook(tmp_path, more=[(f"xl/part{number}.xml", b"") for number in range(35_000)]))
    assert "too many parts" in told["error"]
    assert told["peak"] < 200


def test_xlsx_bomb_of_cells_repeating_long_text_is_refused(read, tmp_path):
    cells = (b'<row r="%d"><c r="A%d" t="s"><v>0</v></c></row>' % (row, row) for row in range(2, 3002))
    texts = (b"<si><t>" + b"a" * MIB + b"</t></si>",)
    told = read(workbook(tmp_path, (TABLE[0], *cells), texts))
    assert "more than 192 MiB of text" in told["error"]
    assert told["peak"] < 150


@pytest.mark.parametrize(
    "cell",
    [
        b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
        b"<row r='1048576'><c r='XFD1048576'><v>1</v></c></row>",
        b'<row r="1048576"><c r="xfd1048576"><v>1</v></c></row>',
        b'<row r="1048576"><c  s="1" \n r = "XFD1048576" ><v>1</v></c></row>',
        b'<row r="1048576"><c x=" r=\'A1\'" r="XFD1048576"><v>1</v></c></row>',
        b'<row r="1048576"><c r="A9" r="XFD1048576"><v>1</v></c></row>',
        b'<a-b:row xmlns:a-b="%s" r="1048576"><a-b:c r="XFD1048576"><v>1</v></a-b:c></a-b:row>'
        % _MAIN.encode(),
        b'<row r="3"><c r="XFC3"><v>1</v></c><c><v>1</v></c></row><row r="1048576"><c><v>1</v></c></row>',
        b'<row r="1048575"/><row><c><v>1</v></c><c r="XFD3"><v>1</v></c></row>',
        b'<row r="4000000"><c r="B4000000"><v>1</v></c></row>',
    ],
)
def test_xlsx_bomb_of_far_cell_is_refused_in_any_spelling(read, tmp_path, cell):
    told = read(workbook(tmp_path, (*TABLE, cell)))
    assert "reaches to" in told["error"] or "cannot be read as a workbook" in told["error"]
    assert told["peak"] < 150


def test_xlsx_cells_without_reference_follow_one_another(tmp_path):
    rows = (b"<row><c><v>%d</v></c><c><v>2</v></c></row>" % number for number in range(5_000))
    path = workbook(tmp_path, (b'<row r="1"><c r="A1" t="str"><v>a</v></c></row>', *rows))
    records = list(open_manifest(path).records())
    assert [record.cells for record in records] == [{"a": number} for number in range(5_000)]
    for record in records:  # column B: so both rows and columns are right
        assert "stands in a column without a name" in record.unreadable[0].problem


@pytest.mark.long
def test_xlsx_sheet_at_size_limit_is_read_within_stated_memory(read, tmp_path):
    names = [bytes([letter]) for letter in range(ord("A"), ord("A") + 20)]
    head = b"".join(b'<c r="%s1" t="str"><v>%s</v></c>' % (name, name) for name in names)
    rows = (
        b'<row r="%d">%s</row>'
        % (row, b"".join(b'<c r="%s%d" t="s"><v>0</v></c>' % (name, row) for name in names))
        for row in range(2, 200_001)
    )
    texts = (b"<si><t>" + b"a" * 40 + b"</t></si>",)
    told = read(workbook(tmp_path, (b'<row r="1">', head, b"</row>", *rows), texts))
    assert (told["error"], told["rows"]) == (None, 199_999)
    assert told["peak"] < 700


@pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/_rels/workbook.xml.rels"])
def test_xlsx_bomb_of_huge_part_list_is_refused(read, tmp_path, part):
    padded = STRUCTURE[part].replace("</", "<x/>" * 2 * MIB + "</", 1)
    told = read(workbook(tmp_path, more=[(part, padded)]))
    assert "cannot be read as a workbook" in told["error"]
    assert told["peak"] < 150


@pytest.mark.parametrize(("size", "most"), [(1, 100), pytest.param(3, 200, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "piece", [b'<c t="e">', b"<c ", b"<c><f>", b'<row hidden="', b"<mergeCell ", b'<c r="', b"<", b"a"]
)
def test_xlsx_bomb_of_unclosed_sheet_xml_takes_bounded_time_and_memory(read, tmp_path, piece, size, most):
    told = read(workbook(tmp_path, (*TABLE, piece * (size * MIB // len(piece)))))
    assert told["error"] or told["rows"] == 1
    assert told["peak"] < most


@pytest.mark.parametrize(("size", "most"), [(3, 130), pytest.param(9, 300, marks=pytest.mark.long)])
@pytest.mark.parametrize("piece", [b"<si>", b"<si ", b"<si/>", b"<si><t>", b"a"])
def test_xlsx_bomb_of_unclosed_shared_strings_takes_bounded_time_and_memory(
    read, tmp_path, piece, size, most
):
    told = read(workbook(tmp_path, TABLE, (piece * (size * MIB // len(piece)),)))
    assert told["error"] or told["rows"] == 1
    assert told["peak"] < most


# Text without an end


def endless(folder: Path, name: str, begins: bytes, goes_on: bytes = b"", *, size: int = 3 << 30) -> Path:
    """A file that takes no room: behind its beginning it is a hole of zero bytes, or some text first."""
    path = folder / name
    with path.open("wb") as file:
        file.write(begins)
        for _ in range(20 * MIB // len(goes_on) if goes_on else 0):
            file.write(goes_on)
        file.truncate(size)
    return path


@pytest.mark.parametrize(
    ("name", "begins", "goes_on", "told"),
    [
        ("m.csv", b"Number\n1\n", b"a", "line 3: a row of more than"),
        ("m.csv", b"Number\n1\n", b",", "line 3: a row of more than"),
        ("m.csv", b"a,b\n1,", b'"x\n",', "line 2: a row of more than"),
        ("m.jsonl", b'{"a": 1}\n{"a": "', b"a", "line 2: a row of more than"),
        ("m.jsonl", b'{"a": 1}\n', b"", "line 2: a row of more than"),
        ("m.jsonl", b'{"a": ', b"[],", "line 1: a row of more than"),
    ],
)
def test_csv_and_jsonl_bomb_of_endless_row_is_refused_in_bounded_memory(
    read, tmp_path, *, name, begins, goes_on, told
):
    found = read(endless(tmp_path, name, begins, goes_on * MIB))
    assert told in found["error"]
    assert found["peak"] < 500


def test_jsonl_bomb_of_nested_lists_is_refused_by_depth(read, tmp_path):
    path = tmp_path / "m.jsonl"
    deep = {depth: '{"a": ' + "[" * depth + "1" + "]" * depth + "}" for depth in (199, 200, 900, 100_000)}
    path.write_text("".join(f"{line}\n" for line in deep.values()))
    found = read(path)
    assert found["rows"] == 1
    assert [told.partition(": ")[0] for told in found["refused"]] == ["line 2", "line 3", "line 4"]
    assert "line 2: objects and lists are nested too deep to be read" in found["refused"]


def test_csv_header_like_deep_json_is_read_as_table(read, tmp_path):
    path = tmp_path / "m.csv"
    path.write_text('{"a":' * 50_000 + "\n1\n")
    assert read(path)["rows"] == 1


# Parquet


def parquet(folder: Path, column, **options) -> Path:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = folder / "m.parquet"
    options = {"compression": "zstd", "store_schema": False, **options}
    pq.write_table(pa.table({"Number": column(pa)}), path, **options)
    return path


def repeated(text: str, times: int):
    return lambda pa: pa.DictionaryArray.from_arrays(pa.array([0] * times, pa.int32()), pa.array([text]))


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (repeated("a" * 20 * MIB, 1000), "row 1: column 'Number': more than 16 MiB of text"),
        (
            lambda pa: pa.array(["b" * MIB + str(number) for number in range(150)]),
            "a row group has 150 MiB",
        ),
        (
            lambda pa: pa.array([[1] * 2_000_000] * 5, pa.list_(pa.int8())),
            "row 1: column 'Number': more than 16 MiB of text",
        ),
        (
            lambda pa: pa.array([[1] * 2_000_000] * 12, pa.list_(pa.int8())),
            "the lists of a row group have 23,999,988 items",
        ),
        (lambda pa: pa.array([["c" * MIB] * 40] * 3), "row 1: column 'Number': more than 16 MiB of text"),
    ],
)
def test_parquet_bomb_that_unpacks_to_gigabytes_is_refused(read, tmp_path, column, told):
    found = read(parquet(tmp_path, column, dictionary_pagesize_limit=1 << 30))
    assert told in "".join([found["error"] or "", *found["refused"]])
    assert not found["rows"]
    assert found["peak"] < 500


def test_parquet_repeated_long_texts_are_read_in_bounded_memory(read, tmp_path):
    found = read(parquet(tmp_path, repeated("a" * 8 * MIB, 200), dictionary_pagesize_limit=1 << 30))
    assert (found["error"], found["rows"]) == (None, 200)
    assert found["peak"] < 400
