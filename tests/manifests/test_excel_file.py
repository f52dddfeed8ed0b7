"""Workbooks, as Excel and its like write them, with all that Excel shows and a reader does not."""

from __future__ import annotations

import random
import re
import sys
import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
from manifests import problems, rows

from opus_async.errors import ManifestError
from opus_async.manifests import open_manifest
from opus_async.manifests.displayed import Displayed
from opus_async.manifests.readers import excel_file, excel_scan
from opus_async.manifests.readers.excel_extent import column_letters, column_number

xlsxwriter = pytest.importorskip("xlsxwriter")


@pytest.fixture
def book(tmp_path):
    """Writes a workbook: the function gets it, and its first sheet, called Orders."""

    def written(fill):
        path = tmp_path / "orders.xlsx"
        with xlsxwriter.Workbook(path) as workbook:
            fill(workbook, workbook.add_worksheet("Orders"))
        return path

    return written


def filled(*rows, at=(0, 0)):
    def fill(_, sheet):
        for number, row in enumerate(rows):
            sheet.write_row(at[0] + number, at[1], row)

    return fill


def edited(path: Path, part: str, edit) -> Path:
    """The same workbook with one of its parts changed."""
    with zipfile.ZipFile(path) as workbook:
        parts = {name: workbook.read(name) for name in workbook.namelist()}
    parts[part] = edit(parts[part])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as workbook:
        for name, content in parts.items():
            workbook.writestr(name, content)
    return path


SHEET = "xl/worksheets/sheet1.xml"


def test_xlsx_values_match_what_excel_shows(book):
    def fill(workbook, sheet):
        as_day = workbook.add_format({"num_format": "yyyy-mm-dd"})
        as_time = workbook.add_format({"num_format": "hh:mm"})
        as_moment = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        as_span = workbook.add_format({"num_format": "[h]:mm:ss"})
        names = ["id", "n", "part", "day", "at", "hour", "span", "ok", "no", "sum", "text", "none"]
        sheet.write_row(0, 0, names)
        sheet.write_string(1, 0, "007")
        sheet.write_number(1, 1, 3.0)
        sheet.write_number(1, 2, 0.1)
        sheet.write_datetime(1, 3, date(2024, 5, 1), as_day)
        sheet.write_datetime(1, 4, datetime(2024, 5, 1, 12, 30), as_moment)  # noqa: DTZ001 - Excel has no zones
        sheet.write_datetime(1, 5, time(8, 5), as_time)
        sheet.write_datetime(1, 6, timedelta(hours=30, seconds=7), as_span)
        sheet.write_boolean(1, 7, True)
        sheet.write_boolean(1, 8, False)
        sheet.write_formula(1, 9, "=1+1", None, 2)
        sheet.write_string(1, 10, "#N/A")
        sheet.write_blank(1, 11, None, as_day)

    manifest = open_manifest(book(fill))
    (record,) = manifest.records()
    assert record.where == "sheet 'Orders', row 2"
    yes, no = record.cells["ok"], record.cells["no"]
    assert [(cell.value, cell.text) for cell in (yes, no)] == [(True, "TRUE"), (False, "FALSE")]
    assert record.cells == {
        "id": "007",
        "n": 3,
        "part": 0.1,
        "day": date(2024, 5, 1),
        "at": Displayed(value=datetime(2024, 5, 1, 12, 30), text="2024-05-01 12:30"),  # noqa: DTZ001 - as above
        "hour": Displayed(value="08:05:00", text="08:05"),
        "span": "30:00:07",
        "ok": yes,
        "no": no,
        "sum": 2,
        "text": "#N/A",
    }
    assert type(record.cells["n"]) is int
    assert manifest.warnings == []


def test_xlsx_header_is_first_non_blank_row(book):
    path = book(filled(["key", "Größe", 2024], ["a", 1, 2], [], ["", "", ""], ["b"], at=(2, 3)))
    manifest = open_manifest(path)
    assert manifest.columns == ("key", "Größe", "2024")
    assert [(record.index, record.where, dict(record.cells)) for record in manifest.records()] == [
        (0, "sheet 'Orders', row 4", {"key": "a", "Größe": 1, "2024": 2}),
        (1, "sheet 'Orders', row 7", {"key": "b"}),
    ]
    assert manifest.estimated_rows() == 4


def test_xlsx_reads_first_visible_sheet_and_warns_of_others(book):
    def fill(workbook, sheet):
        sheet.write_row(0, 0, ["hidden"])
        workbook.add_chartsheet("Chart").activate()
        for name in ("Ältere <&>", "Notes"):
            workbook.add_worksheet(name).write_column(0, 0, ["Text", name])
        sheet.hide()

    path = book(fill)
    manifest = open_manifest(path)
    assert rows(manifest) == [{"Text": "Ältere <&>"}]
    assert manifest.warnings == [
        "sheet 'Ältere <&>' is read, not 'Notes'; to choose: --sheet (in Python sheet=...)"
    ]
    named = open_manifest(path, sheet="Notes")
    assert rows(named) == [{"Text": "Notes"}]
    assert named.warnings == []
    assert open_manifest(path, sheet="Orders").columns == ("hidden",)
    with pytest.raises(ManifestError, match="has no sheet 'Chart'; it has: Orders, Ältere <&>, Notes"):
        open_manifest(path, sheet="Chart")


def test_xlsx_reports_error_cells_and_reads_other_rows(book):
    def fill(workbook, sheet):
        sheet.write_row(0, 0, ["key", "a", "b"])
        for row in range(1, 5):
            sheet.write(row, 0, f"k{row}")
        sheet.write_formula(2, 1, "=NA()", None, "#N/A")
        sheet.write_formula(3, 1, "=1/0", None, "#DIV/0!")
        sheet.write_formula(3, 2, "=1/0", None, "#DIV/0!")

    read = list(open_manifest(book(fill)).records())
    assert [(record.index, record.where) for record in read][1:3] == [
        (1, "sheet 'Orders', row 3"),
        (2, "sheet 'Orders', row 4"),
    ]
    assert [record.cells for record in read] == [{"key": f"k{row}"} for row in range(1, 5)]
    told = [[(bad.column, bad.problem) for bad in record.unreadable] for record in read]
    fix = "mend the formula, or empty the cell"
    assert told == [
        [],
        [("a", f"Orders!B3: the value is #N/A: {fix}")],
        [("a", f"Orders!B4: the value is #DIV/0!: {fix}"), ("b", f"Orders!C4: the value is #DIV/0!: {fix}")],
        [],
    ]


def test_xlsx_error_cell_beside_the_table_refuses_its_row(book):
    def fill(_, sheet):
        sheet.write_row(0, 0, ["key", "a"])
        sheet.write_row(1, 0, ["x", 1])
        sheet.write_formula(1, 5, "=NA()", None, "#N/A")

    (record,) = open_manifest(book(fill)).records()
    assert [bad.column for bad in record.unreadable] == [None]


def test_xlsx_reports_error_cell_below_all_values(book):
    def fill(_, sheet):
        sheet.write_column(0, 0, ["key", "a"])
        sheet.write_formula(9, 0, "=NA()", None, "#N/A")

    assert "Orders!A10: the value is #N/A" in problems(open_manifest(book(fill)))[0]


def test_xlsx_refuses_error_cell_in_header(book):
    def fill(_, sheet):
        sheet.write_row(0, 0, ["key"])
        sheet.write_formula(0, 1, "=NA()", None, "#N/A")

    with pytest.raises(ManifestError, match=r"Orders!B1: the value is #N/A"):
        open_manifest(book(fill))


def test_xlsx_with_too_many_error_cells_is_refused(book, monkeypatch):
    def fill(_, sheet):
        sheet.write_row(0, 0, ["key"])
        for row in range(1, 12):
            sheet.write_formula(row, 0, "=NA()", None, "#N/A")

    path = book(fill)
    assert len(problems(open_manifest(path))) == 11
    for module in (excel_scan, excel_file):
        monkeypatch.setattr(module, "MOST_REFUSED", 10)
    assert "has 10 rows and more with errors" in problems(open_manifest(path))[0]


@pytest.mark.parametrize(
    "cell", [b"<f>A1</f><v></v>", b"<f>A1</f><v/>", b"<f>A1</f>", b'<f t="shared" si="0"/>', b"<f/>"]
)
def test_xlsx_reports_uncalculated_formula(book, cell):
    path = edited(book(filled(["key", "a"], ["x", 5.0])), SHEET, lambda xml: xml.replace(b"<v>5</v>", cell))
    fix = "open the file in Excel or LibreOffice and save it"
    assert problems(open_manifest(path)) == [
        f"sheet 'Orders', row 2: Orders!B2: a formula that was never calculated: {fix}"
    ]


def test_xlsx_reads_formula_with_empty_text_as_empty_cell(book):
    def fill(_, sheet):
        sheet.write_row(0, 0, ["key", "a"])
        sheet.write(1, 0, "x")
        sheet.write_formula(1, 1, '=IF(TRUE,"")', None, "y")

    path = edited(book(fill), SHEET, lambda xml: xml.replace(b"<v>y</v>", b"<v></v>"))
    assert rows(open_manifest(path)) == [{"key": "x"}]


def test_xlsx_accepts_xml_namespace_prefixes(book):
    def fill(_, sheet):
        sheet.write_row(0, 0, ["key", "a"])
        sheet.write_row(1, 0, ["x", 5])
        sheet.write_formula(2, 0, "=NA()", None, "#N/A")

    def prefix(xml: bytes) -> bytes:
        xml = xml.replace(b"xmlns=", b"xmlns:x=")
        return re.sub(rb"<(/?)(?=[a-zA-Z])", rb"<\1x:", xml)

    path = edited(book(fill), SHEET, prefix)
    manifest = open_manifest(path)
    assert next(manifest.records()).cells == {"key": "x", "a": 5}
    assert "Orders!A3: the value is #N/A" in problems(manifest)[0]


def test_xlsx_reports_value_in_unnamed_column(book):
    manifest = open_manifest(book(filled(["key", "a"], ["x", 1, "", "see below"], ["y", 2])))
    (problem,) = problems(manifest)
    assert "Orders!D2: 'see below' stands in a column without a name: name it in row 1" in problem


def test_xlsx_reports_title_row_above_table_as_unnamed_column(book):
    manifest = open_manifest(book(filled(["Orders of May"], ["key", "a"], ["x", 1])))
    assert "Orders!B2: 'a' stands in a column without a name: name it in row 1" in problems(manifest)[0]


def test_xlsx_problem_quotes_sheet_name_like_a_formula(book):
    def fill(workbook, _):
        workbook.add_worksheet("My orders").write_column(0, 1, ["a", 1])
        workbook.get_worksheet_by_name("My orders").write(1, 2, "x")

    assert "'My orders'!C2: " in problems(open_manifest(book(fill), sheet="My orders"))[0]


def test_xlsx_reads_hidden_rows_with_warning(book):
    def fill(_, sheet):
        sheet.write_column(0, 0, ["key", "a", "b", "c"])
        sheet.set_row(1, None, None, {"hidden": True})
        sheet.set_row(2, None, None, {"hidden": True})

    manifest = open_manifest(book(fill))
    assert [row["key"] for row in rows(manifest)] == ["a", "b", "c"]
    assert manifest.warnings == [
        "2 hidden rows are read like the others, hidden by hand or by a filter; delete what is not to run"
    ]


def test_xlsx_warns_of_merged_cells(book):
    def fill(_, sheet):
        sheet.write_row(0, 0, ["key", "a"])
        sheet.merge_range("A2:A3", "x")
        sheet.write_column(1, 1, [1, 2])

    manifest = open_manifest(book(fill))
    assert rows(manifest) == [{"key": "x", "a": 1}, {"a": 2}]
    assert manifest.warnings == ["Orders!A2:A3 is merged over rows: only the first row has the value"]


@pytest.mark.parametrize("header", [["a", "b", "a"], ["a ", "a"]])
def test_xlsx_refuses_duplicate_column_names(book, header):
    with pytest.raises(ManifestError, match="sheet 'Orders', row 1: 'a' stands there more than once"):
        open_manifest(book(filled(header)))


def test_xlsx_refuses_header_that_looks_like_data(book):
    with pytest.raises(ManifestError, match="looks like data"):
        open_manifest(book(filled([1, 2.5], [3, 4.5])))


def test_xlsx_refuses_empty_sheet(book):
    with pytest.raises(ManifestError, match="sheet 'Orders' is empty"):
        open_manifest(book(filled()))


def test_xlsx_with_header_only_has_no_rows(book):
    assert rows(open_manifest(book(filled(["key"])))) == []


def test_xlsx_refuses_value_in_last_cell_of_sheet(book):
    def fill(_, sheet):
        sheet.write_column(0, 0, ["key", "a"])
        sheet.write("XFD1048576", "stray")

    with pytest.raises(ManifestError, match="reaches to XFD1048576"):
        open_manifest(book(fill))


def test_xlsx_reads_xlsm_workbook(book):
    path = book(filled(["key"], ["a"]))
    assert rows(open_manifest(path.rename(path.with_suffix(".xlsm")))) == [{"key": "a"}]


def test_xlsx_reports_workbook_changed_or_removed_after_opening(book):
    path = book(filled(["key"], ["a"]))
    manifest = open_manifest(path)
    edited(path, SHEET, lambda xml: xml + b" ")
    with pytest.raises(ManifestError, match="was changed"):
        next(manifest.records())
    path.unlink()
    with pytest.raises(ManifestError, match="does not exist"):
        manifest.stamp()


def test_xlsx_can_be_read_twice_at_once(book):
    manifest = open_manifest(book(filled(["key"], ["a"], ["b"])))
    first, second = manifest.records(), manifest.records()
    assert next(first) == next(second)


@pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/_rels/workbook.xml.rels", SHEET])
def test_xlsx_refuses_workbook_with_blank_xml_part(book, part):
    path = edited(book(filled(["key"], ["a"])), part, lambda _: b"<x/>")
    with pytest.raises(ManifestError):
        rows(open_manifest(path))


@pytest.mark.parametrize("seed", range(150))
def test_xlsx_reads_or_refuses_damaged_workbook(book, seed):
    chance = random.Random(seed)
    path = book(filled(["key", "a"], ["x", 1], ["y", 2.5]))

    def damage(xml: bytes) -> bytes:
        content = bytearray(xml)
        for _ in range(chance.randrange(1, 6)):
            content[chance.randrange(len(content))] = chance.choice(b'0123456789<>/"ABC -')
        return bytes(content)

    if seed % 3:
        edited(path, chance.choice([SHEET, "xl/sharedStrings.xml", "xl/workbook.xml"]), damage)
    else:
        path.write_bytes(path.read_bytes()[: chance.randrange(20, path.stat().st_size)])
    try:
        assert len(rows(open_manifest(path))) < 20
    except ManifestError:
        return


def test_xlsx_without_calamine_names_the_extra(book, monkeypatch):
    path = book(filled(["key"], ["a"]))
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(ManifestError, match=r"pip install 'opus-async\[cli\]'"):
        open_manifest(path)


@pytest.mark.parametrize(
    ("number", "letters"), [(1, "A"), (26, "Z"), (27, "AA"), (702, "ZZ"), (16384, "XFD")]
)
def test_xlsx_converts_column_letters_and_numbers(number, letters):
    assert column_letters(number) == letters
    assert column_number(letters.encode()) == number


def test_xlsx_reads_30000_rows_and_finds_one_error_cell(book):
    def fill(_, sheet):
        sheet.write_row(0, 0, ["key", "n", "Text"])
        for row in range(1, 30_001):
            sheet.write_row(row, 0, [f"k{row}", row, "some text that is not short " * 2])
        sheet.write_formula(15_000, 1, "=NA()", None, "#N/A")

    path = book(fill)
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("xl/worksheets/sheet1.xml").file_size > 2 * excel_scan._CHUNK
    manifest = open_manifest(path)
    assert manifest.estimated_rows() == 30_000
    read = list(manifest.records())
    assert [record.cells.get("n") for record in read] == [
        row if row != 15_000 else None for row in range(1, 30_001)
    ]
    assert [record.index for record in read if record.unreadable] == [14_999]
