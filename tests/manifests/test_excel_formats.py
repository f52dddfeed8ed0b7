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
from opus_async.manifests.readers import excel_conditions, excel_styles
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
        given("Flag", "bool"),
        given("Json", "json_string"),
        given("Flags", "array", item_type="bool"),
    )
)


@pytest.fixture
def sheet(tmp_path):
    """Writes a workbook with a row of cells, column -> value and number format, and returns its path."""

    def written(*rows: dict[str, tuple[Any, str]], edit=None, more=None):
        path = tmp_path / "orders.xlsx"
        with xlsxwriter.Workbook(path) as workbook:
            page = workbook.add_worksheet("Orders")
            page.write_row(0, 0, list(rows[0]))
            for place, row in enumerate(rows, 1):
                for column, (value, code) in enumerate(row.values()):
                    style = workbook.add_format({"num_format": code})
                    write = page.write_datetime if isinstance(value, date) else page.write
                    write(place, column, value, style)
            if more is not None:
                more(workbook, page)
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


def conditional(*rules: tuple[str, dict[str, Any]]):
    """Puts conditional formats on a sheet, with xlsxwriter: a range, and a rule with its format."""

    def put(workbook, page):
        for area, rule in rules:
            style = workbook.add_format(rule["format"])
            page.conditional_format(area, {**rule, "format": style})

    return put


def less(than: Any, code: str, **more: Any) -> dict[str, Any]:
    return {"type": "cell", "criteria": "<", "value": than, "format": {"num_format": code}, **more}


OFTEN = {"type": "formula", "criteria": "=$Z$9>1"}


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        ([("A2:A9", {**OFTEN, "format": {"bg_color": "#FF0000"}})], "0012"),
        ([("A2:A9", {**OFTEN, "format": {"num_format": "0000"}})], "0012"),
        ([("A2:A9", {**OFTEN, "format": {"num_format": "0.0"}})], None),
        ([("A3:A9", {**OFTEN, "format": {"num_format": "0.0"}})], "0012"),
        ([("A1:C1", {**OFTEN, "format": {"num_format": "0.0"}})], "0012"),
        ([("B2:C1048576", {**OFTEN, "format": {"num_format": "0.0"}})], "0012"),
        ([("A1:A1048576", {**OFTEN, "format": {"num_format": "0.0"}})], None),
        ([("A2", less(5, "0.0"))], "0012"),
        ([("A2", less(50, "0.0"))], "12.0"),
        ([("A2", less("=$B$1", "0.0"))], None),
        ([("A2", less(50, "0.0")), ("A2:A3", less(60, "0.00"))], "12.0"),
        ([("A2:A3", less(60, "0.00")), ("A2", less(50, "0.0"))], "12.00"),
        ([("A2", less(50, "000", stop_if_true=True)), ("A2", less(60, "0.00"))], "012"),
        ([("A2", {**OFTEN, "format": {"num_format": "0.0"}}), ("A2", less(60, "0.0"))], "12.0"),
        ([("A2", less(50, "yyyy-mm-dd"))], None),
    ],
)
def test_xlsx_conditional_format_is_refused_where_it_may_change_a_number(sheet, rules, wanted):
    path = sheet({"Text": (12, "0000"), "Number": (12, "0000")}, more=conditional(*rules))
    if wanted is not None:
        assert inputs(path) == [{"Text": wanted, "Number": 12}]
        return
    (record,) = open_manifest(path).records()
    assert BINDING.expand_globs({"Number": record.cells["Number"]}, path.parent) == {"Number": 12}
    with pytest.raises(
        InvalidInputs, match=r"Orders!A2 shows for 12 (depends on a cond|in the number format)"
    ):
        inputs(path)


@pytest.mark.parametrize(
    ("criteria", "holds"),
    [
        ("==", False),
        ("!=", True),
        (">", True),
        (">=", True),
        ("<", False),
        ("<=", False),
        ("between", True),
        ("not between", False),
    ],
)
def test_xlsx_conditional_format_compares_with_constants(sheet, criteria, holds):
    rule = {"type": "cell", "criteria": criteria, "value": 5, "minimum": 5, "maximum": 13}
    path = sheet({"Text": (12, "0000")}, more=conditional(("A2", {**rule, "format": {"num_format": "0.0"}})))
    assert inputs(path) == [{"Text": "12.0" if holds else "0012"}]


def test_xlsx_conditional_format_ending_the_rules_behind_it_counts_without_number_format(sheet):
    stop = {"type": "cell", "criteria": "<", "value": 50, "format": {"bold": True}, "stop_if_true": True}
    path = sheet({"Text": (12, "0000")}, more=conditional(("A2", stop), ("A2", less(60, "0.0"))))
    assert inputs(path) == [{"Text": "0012"}]
    maybe = {**OFTEN, "format": {"bold": True}, "stop_if_true": True}
    path = sheet({"Text": (12, "0000")}, more=conditional(("A2", maybe), ("A2", less(60, "0.0"))))
    with pytest.raises(InvalidInputs, match="depends on a conditional format"):
        inputs(path)


def test_xlsx_conditional_format_of_dates_and_texts(sheet):
    shown = {**OFTEN, "format": {"num_format": "yyyy"}}
    day = date(2025, 11, 9)
    path = sheet({"Text": ("abc", "General"), "Day": (day, "dd.mm.yyyy")}, more=conditional(("A2:B2", shown)))
    assert inputs(path) == [{"Text": "abc", "Day": "2025-11-09"}]
    path = sheet({"Text": (day, "dd.mm.yyyy")}, more=conditional(("A2", shown)))
    with pytest.raises(InvalidInputs, match="depends on a conditional format"):
        inputs(path)
    hidden = {**OFTEN, "format": {"num_format": ";;;"}}
    path = sheet({"Text": ("abc", "General")}, more=conditional(("A2", hidden)))
    with pytest.raises(InvalidInputs, match="depends on a conditional format"):
        inputs(path)


NEWER = (
    b'<extLst><ext xmlns:x14="urn:x14" uri="{78C0D931}"><x14:conditionalFormattings>'
    b'<x14:conditionalFormatting xmlns:xm="urn:xm"><x14:cfRule type="expression" priority="1" id="{1}">'
    b"<xm:f>Other!$A$1&gt;1</xm:f>"
    b'<x14:dxf><x14:numFmt numFmtId="170" formatCode="%s"/></x14:dxf></x14:cfRule>'
    b"<xm:sqref>B1:B9 A2</xm:sqref></x14:conditionalFormatting></x14:conditionalFormattings></ext></extLst>"
)


@pytest.mark.parametrize("code", ["0.0", "0000"])
@pytest.mark.parametrize("chunk", [7, 1 << 20])
def test_xlsx_conditional_format_of_newer_form_is_read(sheet, monkeypatch, code, chunk):
    def newer(parts):
        added = NEWER % code.encode() + b"</worksheet>"
        return {**parts, SHEET: parts[SHEET].replace(b"</worksheet>", added)}

    path = sheet({"Text": (12, "0000")}, {"Text": (13, "0000")}, edit=newer)
    monkeypatch.setattr(excel_conditions, "_CHUNK", chunk)
    if code == "0000":
        assert inputs(path) == [{"Text": "0012"}, {"Text": "0013"}]
        return
    first, second = open_manifest(path).records()
    assert requested(BINDING, BINDING.expand_globs(second.cells, path.parent)) == {"Text": "0013"}
    with pytest.raises(InvalidInputs, match="depends on a conditional format"):
        BINDING.expand_globs(first.cells, path.parent)


@pytest.mark.parametrize(
    ("area", "holds"),
    [("A:A", True), ("2:2", True), ("B:C", False), ("3:9", False), ("$A$2", True), ("nonsense", True)],
)
def test_xlsx_conditional_format_of_whole_columns_and_rows(sheet, area, holds):
    def edited(parts):
        return {**parts, SHEET: parts[SHEET].replace(b'sqref="A2"', f'sqref="{area}"'.encode())}

    path = sheet({"Text": (12, "0000")}, more=conditional(("A2", less(50, "0.0"))), edit=edited)
    assert inputs(path) == [{"Text": "12.0" if holds else "0012"}]


def test_xlsx_with_too_many_conditional_formats_is_refused(sheet, monkeypatch):
    monkeypatch.setattr(excel_conditions, "MOST_RULES", 2)
    rules = [(f"A{row}", less(row, "0.0")) for row in range(2, 5)]
    with pytest.raises(ManifestError, match="more than 2 conditional formats with a number format"):
        open_manifest(sheet({"Text": (12, "0000")}, more=conditional(*rules)))
    colours = [(f"A{row}", {**OFTEN, "format": {"bold": True}}) for row in range(2, 9)]
    assert inputs(sheet({"Text": (12, "0000")}, more=conditional(*colours))) == [{"Text": "0012"}]


def test_xlsx_format_of_text_is_seen(sheet):
    path = sheet(
        {"Text": ("abc", '"ID-"@'), "key": ("k", '"ID-"@'), "Number": ("0.5", '@" kg"')},
        {"Text": ("abc", '_($* #,##0_);_($* (#,##0);_($* "-"_);_(@_)'), "key": ("l", "@")},
    )
    assert inputs(path) == [{"Text": "ID-abc", "Number": "0.5"}, {"Text": "abc"}]
    first, second = (record.cells for record in open_manifest(path).records())
    assert (given_key(BINDING, first), given_key(BINDING, second)) == ("ID-k", "l")


@pytest.mark.parametrize(
    ("digits", "is_held"),
    [
        ("9007199254740992", True),
        ("9007199254740993", False),
        ("-9007199254740993.0", False),
        ("100000000000000000000", True),
        ("100000000000000000001", False),
        ("0.1234567890123456789", True),  # the digits behind the point are rounded everywhere
    ],
)
def test_xlsx_number_that_a_double_cannot_hold_is_a_bad_cell(sheet, digits, is_held):
    def as_others_write(parts):
        return {**parts, SHEET: parts[SHEET].replace(b"<v>77</v>", f"<v>{digits}</v>".encode())}

    path = sheet({"Number": (77, "General"), "Count": (1, "General")}, edit=as_others_write)
    (record,) = open_manifest(path).records()
    assert [bad.column for bad in record.unreadable] == ([] if is_held else ["Number"])
    if not is_held:
        assert "Orders!A2: the number has more digits than a number keeps" in record.unreadable[0].problem


def test_xlsx_text_that_its_format_hides_is_refused(sheet):
    path = sheet({"Text": ("abc", ";;;")})
    with pytest.raises(
        InvalidInputs, match=r"Orders!A2 does not show its own, abc, in the number format ';;;'"
    ):
        inputs(path)


@pytest.mark.parametrize(("value", "shown"), [(True, "TRUE"), (False, "FALSE")])
def test_xlsx_truth_value_is_the_word_that_is_seen_for_text(sheet, value, shown):
    path = sheet(
        {
            "Text": (value, "General"),
            "List": (value, "0"),
            "Flag": (value, "0"),
            "Flags": (value, "0"),
            "Json": (value, "0"),
        }
    )
    (row,) = inputs(path)
    assert row == {"Text": shown, "List": [shown], "Flag": value, "Flags": [value], "Json": value}


def test_xlsx_number_is_what_is_stored_for_json(sheet):
    assert inputs(sheet({"Text": (12, "000"), "Json": (12, "000")})) == [{"Text": "012", "Json": 12}]


async def test_xlsx_separators_of_each_computers_own_are_told(sheet, simulate, connect):
    path = sheet(
        {"Text": (1234.5, "#,##0.00"), "key": ("a", "@")},
        {"Text": (999, "#,##0"), "key": ("b", "@")},
        {"Text": (999, '"a,b"0'), "key": ("c", "@")},
        {"Text": (True, "0"), "key": ("d", "@")},
    )
    platform = connect(await simulate()).lifecycle(TEXT).platform
    await platform.open()
    binding = Binding(platform.workflow, columns={"Text": text_input(platform)})
    found = await validate(open_manifest(path), binding, platform)
    assert found.error_count == 0
    separators, word = [one for one in found.warnings if one.column == "Text"]
    assert (
        "as the settings of each computer want them (Orders!A2); it is sent as 1,234.50" in separators.message
    )
    assert separators.fix == "give the column a format without separators, or one of text"
    assert "in the language of each computer (Orders!A5); it is sent as TRUE" in word.message


def test_xlsx_names_of_columns_are_what_is_seen(sheet, tmp_path):
    path = tmp_path / "orders.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        page = workbook.add_worksheet("Orders")
        page.write(0, 0, " \u00a0")
        page.write(1, 0, 3, workbook.add_format({"num_format": '"Q"0'}))
        page.write(1, 1, date(2025, 11, 9), workbook.add_format({"num_format": "dd.mm.yyyy"}))
        page.write(1, 2, date(2025, 11, 9), workbook.add_format({"num_format": 14}))
        page.write_row(2, 0, [1, 2, 3])
    assert open_manifest(path).columns == ("Q3", "09.11.2025", "2025-11-09")


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
