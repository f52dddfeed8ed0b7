"""A cell of a workbook is what a person sees there: for texts; numbers and dates are what is stored."""

from __future__ import annotations

import zipfile
from datetime import date
from typing import Any

import pytest
from batch_tools import TEXT
from manifests import given, requested, workflow

from opus_async.errors import InvalidInputs, ManifestError
from opus_async.manifests import open_manifest
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.binding.row_keys import given_key
from opus_async.manifests.readers import excel_styles
from opus_async.manifests.validation.validate import validate

xlsxwriter = pytest.importorskip("xlsxwriter")
STYLES, SHEET = "xl/styles.xml", "xl/worksheets/sheet1.xml"
BINDING = Binding(
    workflow(
        given("Text"),
        given("Number", "float"),
        given("Count", "int"),
        given("Day", "date"),
        given("List", "array"),
        given("Counts", "array", item_type="int"),
    )
)


@pytest.fixture
def sheet(tmp_path):
    """Writes a workbook with a row of cells, column -> value and number format, and returns its path."""

    def written(*rows: dict[str, tuple[Any, str]], edit=None):
        path = tmp_path / "orders.xlsx"
        with xlsxwriter.Workbook(path) as workbook:
            page = workbook.add_worksheet("Orders")
            page.write_row(0, 0, list(rows[0]))
            for place, row in enumerate(rows, 1):
                for column, (value, code) in enumerate(row.values()):
                    style = workbook.add_format({"num_format": code})
                    write = page.write_datetime if isinstance(value, date) else page.write
                    write(place, column, value, style)
        if edit is not None:
            with zipfile.ZipFile(path) as packed:
                parts = {name: packed.read(name) for name in packed.namelist()}
            with zipfile.ZipFile(path, "w") as packed:
                for name, content in edit(parts).items():
                    packed.writestr(name, content)
        return path

    return written


def inputs(path) -> list[dict[str, Any]]:
    return [
        requested(BINDING, BINDING.expand_globs(record.cells, path.parent))
        for record in open_manifest(path).records()
    ]


def test_xlsx_format_gives_text_what_is_seen_and_number_what_is_stored(sheet):
    path = sheet(
        {"Text": (1234, "000000"), "Number": (1234, "000000"), "Count": (7, "000"), "List": (12, "0000")},
        {"Text": (0.25, "0%"), "Number": (0.25, "0%"), "Count": (7, "0.00"), "List": (3, "General")},
    )
    assert inputs(path) == [
        {"Text": "001234", "Number": 1234, "Count": 7, "List": ["0012"]},
        {"Text": "25%", "Number": 0.25, "Count": 7, "List": ["3"]},
    ]


def test_xlsx_number_alone_is_list_of_one(sheet):
    assert inputs(sheet({"Counts": (5, "General")})) == [{"Counts": [5]}]


def test_xlsx_format_of_date_counts_for_text_alone(sheet):
    day = date(2025, 11, 9)
    path = sheet({"Text": (day, "dd.mm.yyyy"), "Day": (day, "dd.mm.yyyy")})
    assert inputs(path) == [{"Text": "09.11.2025", "Day": "2025-11-09"}]


def test_xlsx_general_number_has_15_digits_as_text(sheet):
    def as_excel_stores(parts):
        return {**parts, SHEET: parts[SHEET].replace(b"<v>0.3</v>", b"<v>0.30000000000000004</v>")}

    path = sheet({"Text": (0.3, "General"), "Number": (0.3, "General")}, edit=as_excel_stores)
    assert inputs(path) == [{"Text": "0.3", "Number": 0.1 + 0.2}]


def test_xlsx_format_of_key_column_is_seen_in_key(sheet, tmp_path):
    (record,) = open_manifest(sheet({"key": (42, "00000")})).records()
    assert given_key(BINDING, BINDING.expand_globs(record.cells, tmp_path)) == "00042"
    assert given_key(BINDING, record.cells) == "00042"


@pytest.mark.parametrize(
    ("value", "code", "told"),
    [
        (0.5, "# ?/?", r"what Orders!A2 shows for 0.5 in the number format '# \?/\?' cannot be told"),
        (1234567890123456789.0, "General", "Orders!A2 has more than the 15 digits that Excel keeps"),
    ],
)
def test_xlsx_refuses_text_where_what_is_seen_is_unknown(sheet, value, code, told):
    path = sheet({"Text": (value, code)})
    with pytest.raises(InvalidInputs, match=told):
        inputs(path)


def test_xlsx_takes_stored_number_where_what_is_seen_is_unknown(sheet):
    assert inputs(sheet({"Number": (0.5, "# ?/?")})) == [{"Number": 0.5}]
    assert inputs(sheet({"Remark": (0.5, "# ?/?")})) == [{}]


async def test_xlsx_date_of_each_computers_own_format_is_iso_with_warning(sheet, simulate, connect):
    path = sheet({"Text": (date(2025, 11, 9), "m/d/yyyy"), "key": ("a", "@")}, edit=in_short_date)
    platform = connect(await simulate()).lifecycle(TEXT).platform
    await platform.open()
    binding = Binding(platform.workflow, columns={"Text": text_input(platform)})
    found = await validate(open_manifest(path), binding, platform)
    (warning,) = [one for one in found.warnings if one.column == "Text"]
    assert "Orders!A2" in warning.message
    assert "2025-11-09" in warning.message
    assert found.error_count == 0


def text_input(platform) -> str:
    return next(name for name, field in platform.workflow.inputs.items() if field.type == "str")


def in_short_date(parts: dict[str, bytes]) -> dict[str, bytes]:
    """The format that every number of another format has, as the short date of the system."""
    styles = parts[STYLES]
    number = styles.split(b'formatCode="m/d/yyyy"')[0].rpartition(b'numFmtId="')[2].partition(b'"')[0]
    return {**parts, STYLES: styles.replace(b'numFmtId="%s" fontId' % number, b'numFmtId="14" fontId')}


def test_xlsx_cells_without_places_are_refused_as_text(sheet):
    def placeless(parts):
        return {**parts, SHEET: parts[SHEET].replace(b' r="A2"', b"").replace(b' r="B2"', b"")}

    path = sheet({"Text": (1234, "000000"), "Number": (5, "0.00")}, edit=placeless)
    with pytest.raises(InvalidInputs, match="cannot be told"):
        inputs(path)


def test_xlsx_format_of_first_style_holds_for_cells_without_one(sheet):
    def edited(parts):
        styles = parts[STYLES].replace(b'<xf numFmtId="0"', b'<xf numFmtId="2"')
        return {**parts, STYLES: styles}

    path = sheet({"Text": (3, "General"), "Number": (3, "General")}, edit=edited)
    assert inputs(path) == [{"Text": "3.00", "Number": 3}]


@pytest.mark.parametrize("content", [b"", b"<styleSheet", b"<a/>"])
def test_xlsx_reads_or_refuses_damaged_styles(sheet, content):
    path = sheet({"Text": (1234, "000000")}, edit=lambda parts: {**parts, STYLES: content})
    try:
        assert inputs(path)
    except (ManifestError, InvalidInputs) as error:
        assert "orders.xlsx" in str(error) or "Orders!A2" in str(error)  # noqa: PT017 - one of two ends


def test_xlsx_with_too_many_styles_is_refused(sheet, monkeypatch):
    monkeypatch.setattr(excel_styles, "MOST_STYLES", 100)
    with pytest.raises(ManifestError, match="too many cell formats"):
        open_manifest(sheet({"Text": (1, "0")}))
