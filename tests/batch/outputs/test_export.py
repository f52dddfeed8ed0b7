"""`batch export`: what is written can be read again, in every format, and nothing in it is a formula."""

from __future__ import annotations

import csv
import functools
import io
import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ledgers import START, make_ledger
from python_calamine import CalamineWorkbook

from opus_async.batch.choices import EXPORT_FORMATS
from opus_async.batch.outputs import excel_writer
from opus_async.batch.outputs.excel_writer import CUT, XLSX_CHARACTERS, write_xlsx
from opus_async.batch.outputs.export import export
from opus_async.batch.outputs.iso_dates import DateForm, as_datetime, date_form
from opus_async.batch.outputs.table_writers import (
    Column,
    ColumnTypeInference,
    Kind,
    escape_formula,
    replace_surrogates,
    unescape_formula,
    write_csv,
    write_jsonl,
)
from opus_async.cli import platforms
from opus_async.cli.batch import export as command
from opus_async.cli.error_report import advice
from opus_async.cli.errors import WrongUse, exit_code
from opus_async.errors import ConfigurationError, LedgerError

ROWS = [
    {"cells": {"Number": "17", "Amount": "1,5"}, "outputs": {"Verdict": "yes", "Score": 0.5}, "key": "a"},
    {"cells": {"Number": "18", "Amount": "2"}, "state": "failed", "error": "node OCR failed", "key": "b"},
    {"cells": {"Number": "19"}, "outputs": {"Verdict": "no", "Pages": 3}, "key": "c"},
    {"cells": {"Number": "20"}, "state": "planned", "key": "d"},
]
HEAD = ["index", "key", "state", "status", "job_id", "Number", "Amount"]
HEAD += ["Verdict", "Score", "Pages", "error", "started_at", "ended_at", "seconds"]


def exported(directory, format, **options):  # noqa: A002 - as it is called
    """Where the export of a batch lies."""
    destination = directory / f"export.{format}"
    export(directory, format, **options)
    return destination


def read_csv(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def read_xlsx(path):
    return CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()


# Every format


@pytest.mark.parametrize("format", EXPORT_FORMATS)
def test_export_has_every_row_in_manifest_order(tmp_path, format):  # noqa: A002 - as it is called
    rows = [{"position": 2}, {"position": 0, "state": "unknown"}, {"position": 1, "state": "planned"}]
    make_ledger(tmp_path, rows=rows)
    assert export(tmp_path, format) == 3
    path = tmp_path / f"export.{format}"
    found = {
        "csv": lambda: [(row["index"], row["state"]) for row in read_csv(path)],
        "jsonl": lambda: [
            (line["index"], line["state"]) for line in map(json.loads, path.read_bytes().splitlines())
        ],
        "xlsx": lambda: [(row[0], row[2]) for row in read_xlsx(path)[1:]],
        "parquet": lambda: [(row["index"], row["state"]) for row in pq.read_table(path).to_pylist()],
    }[format]()
    assert [(int(index), state) for index, state in found] == [
        (0, "unknown"),
        (1, "planned"),
        (2, "completed"),
    ]


@pytest.mark.parametrize("format", EXPORT_FORMATS)
def test_export_of_batch_without_rows_makes_a_file(tmp_path, format):  # noqa: A002 - as it is called
    make_ledger(tmp_path)
    assert export(tmp_path, format) == 0
    assert (tmp_path / f"export.{format}").exists()


@pytest.mark.parametrize("format", EXPORT_FORMATS)
def test_export_keeps_old_file_until_new_one_is_complete(tmp_path, format):  # noqa: A002 - as it is called
    make_ledger(tmp_path, rows=[{}, {}])
    (tmp_path / "results.jsonl").write_bytes(b"")
    destination = tmp_path / "mine"
    destination.write_text("old")
    with pytest.raises(LedgerError):
        export(tmp_path, format, destination)
    assert destination.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir() if "ledger" not in path.name) == [
        "mine",
        "results.jsonl",
    ]


def test_export_csv_has_inputs_and_outputs_side_by_side(tmp_path):
    make_ledger(tmp_path, rows=ROWS)
    rows = read_csv(exported(tmp_path, "csv"))
    assert list(rows[0]) == HEAD
    assert list(rows[0].values()) == [
        *("0", "a", "completed", "COMPLETED", "job-0", "17", "1,5", "yes", "0.5", "", ""),
        *("2025-10-09T08:53:20.000Z", "2025-10-09T08:53:23.000Z", "3.0"),
    ]
    assert rows[1]["error"] == "node OCR failed"
    assert rows[1]["Verdict"] == ""
    assert rows[2]["Pages"] == "3"
    assert rows[3]["job_id"] == rows[3]["started_at"] == rows[3]["seconds"] == ""


def test_export_csv_marks_duplicate_names_as_input_or_output(tmp_path):
    cells = {"key": "k", "Document": "a.pdf", "error": "e", "error (output)": "mine"}
    outputs = {"Document": "done", "error": "none", "Document (output)": "x"}
    make_ledger(tmp_path, rows=[{"cells": cells, "outputs": outputs, "key": "k"}])
    (row,) = read_csv(exported(tmp_path, "csv"))
    assert row["key"] == row["key (input)"] == "k"
    assert (row["error (input)"], row["error (output)"], row["error"]) == ("e", "mine", "")
    assert row["error (output 2)"] == "none"
    assert row["Document"] == "a.pdf"
    assert {row["Document (output)"], row["Document (output) (output)"]} == {"done", "x"}


def test_export_csv_gives_rows_with_different_columns_one_header(tmp_path):
    make_ledger(tmp_path, rows=[{"cells": {"A": 1}}, {"cells": {"B": 2}}])
    rows = read_csv(exported(tmp_path, "csv"))
    assert [(row["A"], row["B"]) for row in rows] == [("1", ""), ("", "2")]


def bound(name, variable=None):
    return {"column": name, "input": variable, "display_name": name if variable else None, "ignored": False}


def test_export_columns_follow_manifest_order(tmp_path):
    facts = {"binding": [bound("A", "v1"), bound("B"), bound("C", "v2")]}
    rows = [{"cells": {"C": "3", "X": "9"}}, {"cells": {"B": "2", "A": "1", "C": "4"}}]
    make_ledger(tmp_path, rows=rows, facts=facts)
    assert list(read_csv(exported(tmp_path, "csv"))[0])[5:9] == ["A", "B", "C", "X"]
    second = exported(tmp_path, "jsonl").read_bytes().splitlines()[1]
    assert list(json.loads(second)["inputs"]) == ["A", "B", "C"]


def test_export_constants_fill_rows_without_own_value(tmp_path):
    facts = {
        "binding": [bound("Amount", "v1"), bound("amount", "v1"), bound("Number")],
        "constants": {"v1": "0.5", "Currency": "EUR"},
    }
    rows = [{"cells": {"Number": "1"}}, {"cells": {"Amount": "7"}}, {"cells": {"amount": "8"}}]
    rows.append({"cells": {}, "state": "failed"})
    make_ledger(tmp_path, rows=rows, facts=facts)
    found = read_csv(exported(tmp_path, "csv"))
    assert list(found[0])[5:9] == ["Amount", "amount", "Number", "Currency"]
    assert [(row["Amount"], row["amount"]) for row in found] == [
        ("0.5", ""),
        ("7", ""),
        ("", "8"),
        ("0.5", ""),
    ]
    assert {row["Currency"] for row in found} == {"EUR"}
    first, *_ = exported(tmp_path, "jsonl").read_bytes().splitlines()
    assert json.loads(first)["inputs"] == {"Amount": "0.5", "Number": "1", "Currency": "EUR"}


@pytest.mark.parametrize("format", EXPORT_FORMATS)
def test_export_lists_downloaded_files(tmp_path, format):  # noqa: A002 - as it is called
    make_ledger(tmp_path, rows=[{"cells": {"files": "mine"}}, {}])
    connection = sqlite3.connect(tmp_path / "ledger.db")
    with connection:
        for path in ("outputs/b/2.pdf", "outputs/b/1.pdf"):
            connection.execute("INSERT INTO downloads VALUES (1, 'Report', ?, 3, 'digest')", (path,))
    connection.close()
    path = exported(tmp_path, format)
    found = {
        "csv": lambda: [row["files"] or None for row in read_csv(path)],
        "jsonl": lambda: [json.loads(line)["files"] for line in path.read_bytes().splitlines()],
        "xlsx": lambda: [row[read_xlsx(path)[0].index("files")] or None for row in read_xlsx(path)[1:]],
        "parquet": lambda: [row["files"] for row in pq.read_table(path).to_pylist()],
    }[format]()
    both = ["outputs/b/1.pdf", "outputs/b/2.pdf"]
    assert found == ([both, []] if format == "jsonl" else ["; ".join(both), None])
    if format == "csv":
        assert [row["files (input)"] for row in read_csv(path)] == ["mine", ""]


def test_export_command_missing_library_is_usage_error_without_doctor_advice(tmp_path, monkeypatch):
    make_ledger(tmp_path, rows=[{}])
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    options = SimpleNamespace(directory=tmp_path, format="xlsx", output=None, parsed=False)
    with pytest.raises(WrongUse, match=r"pip install 'opus-async\[cli\]'") as caught:
        command.run(options)
    target = platforms.target_of(options)
    assert (exit_code(caught.value, target), advice(caught.value, target)) == (2, None)


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_export_parsed_option_decodes_json_in_text(tmp_path, format):  # noqa: A002 - as it is called
    make_ledger(tmp_path, rows=[{"outputs": {"Found": '```json\n{"sum": [1, 2]}\n```', "Text": "plain"}}])
    plain = exported(tmp_path, format).read_text("utf-8")
    assert "```" in plain
    opened = exported(tmp_path, format, parsed=True)
    if format == "csv":
        assert read_csv(opened)[0]["Found"] == '{"sum": [1, 2]}'
    else:
        assert json.loads(opened.read_bytes())["outputs"] == {"Found": {"sum": [1, 2]}, "Text": "plain"}


def test_export_jsonl_rows_resolved_as_done_have_no_outputs(tmp_path):
    row = {"state": "completed", "result_offset": None, "result_length": None, "result_digest": None}
    make_ledger(tmp_path, rows=[row])
    assert json.loads(exported(tmp_path, "jsonl").read_bytes())["outputs"] is None


def test_export_is_one_snapshot_while_batch_goes_on(tmp_path, monkeypatch):
    make_ledger(tmp_path, rows=ROWS)
    infer_columns = export.__globals__["_Exported"].infer_columns

    def and_then_more_happens(self):
        columns = infer_columns(self)
        other = make_ledger(tmp_path / "other", rows=[{"key": "new"}])  # proves that it is written, too
        (other / "results.jsonl").unlink()
        writer = sqlite3.connect(tmp_path / "ledger.db")
        with writer:
            writer.execute("UPDATE rows SET state = 'failed', error = 'later'")
        writer.close()
        return columns

    monkeypatch.setattr(export.__globals__["_Exported"], "infer_columns", and_then_more_happens)
    rows = read_csv(exported(tmp_path, "csv"))
    assert [row["state"] for row in rows] == ["completed", "failed", "completed", "planned"]


# CSV


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "   =1",
        "\xa0=1",
        "\ufeff=1",
        "＝1",  # noqa: RUF001 - what Excel takes for = in some languages
        "-",
        "+",
        "--1",
        "-1 apples",
        "-1,5",
        "+49 30 1234",
        "'=1",
    ],
)
def test_export_csv_escapes_formulas_with_apostrophe(text):
    assert escape_formula(text) == f"'{text}"
    assert unescape_formula(escape_formula(text)) == text


@pytest.mark.parametrize(
    "text",
    ["-5", "+3.2", "-.5", "-5.", "1e-5", "-1E+10", " -5 ", "a=b", "", "'quoted'", "5-3", "a@b.c", "’=1"],  # noqa: RUF001 - a quote
)
def test_export_csv_leaves_numbers_and_other_text_unescaped(text):
    assert escape_formula(text) == text
    assert unescape_formula(text) == text


def test_export_csv_has_no_formula_in_cells_or_header(tmp_path):
    make_ledger(
        tmp_path,
        rows=[
            {"cells": {"=A": "=B"}, "outputs": {"@C": "+D", "n": -5, "f": -0.5}, "key": "-E", "error": "=F"}
        ],
    )
    (row,) = read_csv(exported(tmp_path, "csv"))
    assert row["'=A"] == "'=B"
    assert row["'@C"] == "'+D"
    assert (row["key"], row["error"], row["n"], row["f"]) == ("'-E", "'=F", "-5", "-0.5")


def test_export_csv_begins_with_byte_order_mark(tmp_path):
    make_ledger(tmp_path, rows=[{"cells": {"Größe": "10 µm"}}])
    content = exported(tmp_path, "csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfindex,")
    assert "10 µm".encode() in content


def test_export_to_stdout_has_no_byte_order_mark_and_makes_no_file(tmp_path, monkeypatch):
    make_ledger(tmp_path, rows=ROWS)
    stdout = SimpleNamespace(buffer=io.BytesIO())
    monkeypatch.setattr(sys, "stdout", stdout)
    assert export(tmp_path, "csv", Path("-")) == 4
    assert stdout.buffer.getvalue().startswith(b"index,key")
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=io.BytesIO()))
    assert export(tmp_path, "jsonl", Path("-")) == 4
    assert sys.stdout.buffer.getvalue().count(b"\n") == 4
    monkeypatch.undo()
    assert not list(tmp_path.glob("export*"))


texts = st.text(max_size=20) | st.from_regex(r"[ \t\r\n']*[=+\-@][=+\-@0-9.]*", fullmatch=True)
plain_texts = st.text(st.characters(codec="utf-8"), max_size=20) | texts.map(replace_surrogates)
values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.lists(st.integers() | st.text(max_size=5), max_size=3)
    | st.dictionaries(st.text(max_size=5), st.booleans() | st.text(max_size=5), max_size=3)
)


def as_read(value):
    """What a cell of a CSV says for a value."""
    if value is None:
        return ""
    if isinstance(value, str):
        return replace_surrogates(value)
    return replace_surrogates(json.dumps(value, ensure_ascii=False))


@settings(deadline=None, max_examples=60)
@given(names=st.lists(texts, min_size=2, max_size=4), rows=st.lists(st.lists(values, min_size=4, max_size=4)))
@example(
    names=["a", "b"],
    rows=[[None] * 4, ["\r", "\n", '"', ","], ["\0", "\ud800", " ", "'"], [-0.0, 1e300, 0, 10**30]],
)
def test_export_csv_any_values_can_be_read_back(names, rows):
    file = io.BytesIO()
    rows = [row[: len(names)] for row in rows]
    write_csv(file, [Column(name, Kind.MIXED) for name in names], rows, mark=True)
    read = list(csv.reader(io.StringIO(file.getvalue().decode("utf-8-sig"), newline="")))
    assert [[unescape_formula(cell) for cell in row] for row in read] == [
        [replace_surrogates(name) for name in names],
        *([as_read(value) for value in row] for row in rows),
    ]
    for cell in (cell for row in read for cell in row):
        assert cell.lstrip()[:1] not in {*"=@"}
        assert cell[:1] not in {*"\t\r\n"} or not cell


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=8), values, max_size=4), max_size=6))
@example([{"half": "\ud800"}])
def test_export_jsonl_any_values_can_be_read_back(records):
    file = io.BytesIO()
    write_jsonl(file, records)
    lines = file.getvalue().decode().split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == records


def test_export_jsonl_keeps_every_type(tmp_path):
    outputs = {"i": 10**30, "f": 0.1, "b": True, "n": None, "o": {"a": [1]}, "t": "0042"}
    make_ledger(tmp_path, rows=[{"cells": {"list": ["a", "b"]}, "outputs": outputs}])
    assert json.loads(exported(tmp_path, "jsonl").read_bytes()) == {
        "index": 0,
        "key": "key-0",
        "state": "completed",
        "status": "COMPLETED",
        "job_id": "job-0",
        "inputs": {"list": ["a", "b"]},
        "outputs": outputs,
        "error": None,
        "started_at": "2025-10-09T08:53:20.000Z",
        "ended_at": "2025-10-09T08:53:23.000Z",
        "seconds": 3.0,
    }


# XLSX


def test_export_xlsx_keeps_types(tmp_path):
    outputs = {"n": 7, "f": 0.5, "b": True, "o": {"a": [1]}, "big": 2**53 + 1}
    make_ledger(
        tmp_path, rows=[{"cells": {"Formula": "=1+1", "Link": "http://x.invalid"}, "outputs": outputs}]
    )
    head, row = read_xlsx(exported(tmp_path, "xlsx"))
    found = dict(zip(head, row, strict=True))
    assert found["Formula"] == "=1+1"
    assert found["Link"] == "http://x.invalid"
    assert (found["n"], found["f"], found["b"]) == (7, 0.5, True)
    assert found["o"] == '{"a": [1]}'
    assert found["big"] == str(2**53 + 1)
    assert found["started_at"] == datetime(2025, 10, 9, 8, 53, 20)  # noqa: DTZ001 - Excel knows no zones


def test_export_xlsx_holds_dates_and_times_of_outputs_as_such(tmp_path):
    outputs = [
        {
            "day": "2026-02-28",
            "at": "2026-02-28T23:59:59.250Z",
            "local": "2026-02-28 07:05",
            "mixed": "2026-02-28",
            "id": "20260228",
            "zone": "2026-02-28T00:00:00+02:00",
            "old": "1899-12-31",
        },
        {"day": None, "at": "2026-03-01T00:00:00+00:00", "mixed": "unknown", "id": "007"},
    ]
    rows = [{"cells": {"Due": "2026-02-28"}, "key": "2026-02-28", "outputs": each} for each in outputs]
    rows[1]["key"] = "2026-03-01"
    make_ledger(tmp_path, rows=rows)
    first, second = cells_of(exported(tmp_path, "xlsx"))
    assert (first["day"].value, first["day"].number_format) == (datetime(2026, 2, 28), "yyyy-mm-dd")  # noqa: DTZ001
    assert first["at"].value == datetime(2026, 2, 28, 23, 59, 59, 250_000)  # noqa: DTZ001
    assert first["at"].number_format == first["started_at"].number_format == 'yyyy-mm-dd hh:mm:ss" UTC"'
    assert first["local"].value == datetime(2026, 2, 28, 7, 5)  # noqa: DTZ001
    assert second["at"].value == datetime(2026, 3, 1)  # noqa: DTZ001
    assert second["day"].value is None
    assert (first["mixed"].value, second["mixed"].value) == ("2026-02-28", "unknown")
    assert (first["id"].value, second["id"].value) == ("20260228", "007")
    assert first["zone"].value == outputs[0]["zone"]
    assert first["old"].value == "1899-12-31"
    assert (first["Due"].value, first["key"].value) == ("2026-02-28", "2026-02-28"), "as they were given"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2024-02-29", DateForm.DAY),
        ("2025-02-29", None),
        ("2025-2-1", None),
        ("0001-01-01", None),
        ("9999-12-31", DateForm.DAY),
        ("2025-01-01T00:00", DateForm.MOMENT),
        ("2025-01-01T24:01:00", None),
        ("2025-01-01T00:00:00.1234", None),
        ("2025-01-01 00:00:00Z", DateForm.MOMENT_UTC),
        ("2025-01-01T00:00:00+01:00", None),
        ("2025-01-01T00:00:00-00:00", DateForm.MOMENT_UTC),
        ("12:30", None),
        ("", None),
        ("٢٠٢٥-01-01", None),
    ],
)
def test_date_form_of_text(text, form):
    assert date_form(text) is form


@given(st.datetimes(datetime(1900, 3, 1), datetime(9999, 12, 30)))  # noqa: DTZ001
def test_iso_times_keep_their_value(moment):
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    text = moment.isoformat(timespec="milliseconds")
    assert date_form(text) is DateForm.MOMENT
    assert as_datetime(text) == moment


def test_export_xlsx_has_widths_filter_and_head_that_stays(tmp_path):
    rows = [
        {"cells": {"Number": str(index)}, "outputs": {"Short": "ok", "Long": "x" * 500, "Wide": "漢字" * 10}}
        for index in range(3)
    ]
    make_ledger(tmp_path, rows=rows)
    sheet = openpyxl.load_workbook(exported(tmp_path, "xlsx"))["batch"]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == sheet.dimensions
    widths = {cell.value: sheet.column_dimensions[cell.column_letter].width for cell in sheet[1]}
    assert 6 <= widths["Short"] < 11
    assert 60 <= widths["Long"] < 62
    assert 40 <= widths["Wide"] < 44
    assert widths["started_at"] > 22
    assert sheet[1][0].font.bold


def test_export_xlsx_has_summary_in_second_sheet(tmp_path):
    cause = "=HYPERLINK(1) the platform gave up"
    failed = {"state": "failed", "cause": cause, "error": cause}
    facts = {"workflow": {"name": "Document check"}}
    make_ledger(tmp_path / "march", rows=[{}, {}, failed, failed, {"state": "cancelled"}], facts=facts)
    book = openpyxl.load_workbook(exported(tmp_path / "march", "xlsx"))
    assert book.sheetnames == ["batch", "summary"]
    told = {name.value: value for name, value in book["summary"].iter_rows(max_col=2)}
    values = {name: cell.value for name, cell in told.items()}
    assert (values["Workflow"], values["Workflow id"]) == ("Document check", "B9uGJfZ3CFwOdMKH")
    assert (values["Total"], values["Completed"], values["Failed"], values["Cancelled"]) == (5, 2, 2, 1)
    assert values["Started at"] == datetime(2025, 10, 9, 8, 53, 20)  # noqa: DTZ001
    assert (values[cause], told[cause].data_type) == (2, "n")
    assert "f" not in {cell.data_type for row in book["summary"].iter_rows() for cell in row}


def cells_of(path):
    """The rows of an exported sheet: head -> cell."""
    head, *rows = openpyxl.load_workbook(path)["batch"].iter_rows()
    return [{name.value: cell for name, cell in zip(head, row, strict=True)} for row in rows]


def test_export_xlsx_has_no_formula_and_no_hyperlink(tmp_path):
    import zipfile

    cells = {
        "=A1": "=1+1",
        "b": "{=1}",
        "c": "http://x.invalid",
        "d": "<r><t>markup</t></r>",
        "e": "<r>&</r>",
    }
    make_ledger(tmp_path, rows=[{"cells": cells}])
    path = exported(tmp_path, "xlsx")
    with zipfile.ZipFile(path) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
        assert "hyperlink" not in sheet
        assert "<f>" not in sheet
    head, row = read_xlsx(path)
    found = dict(zip(head, row, strict=True))
    assert found["=A1"] == "=1+1"
    assert found["d"].strip() == "<r><t>markup</t></r>"
    assert found["e"].strip() == "<r>&</r>"


@pytest.mark.parametrize("letter", ["x", "€", "𝄞"])
def test_export_xlsx_cuts_text_too_long_for_a_cell(tmp_path, letter):
    fits = letter * (XLSX_CHARACTERS // len(letter.encode("utf-16-le")) * 2)
    make_ledger(tmp_path, rows=[{"outputs": {"long": fits + letter * 2, "fits": fits}}])
    head, row = read_xlsx(exported(tmp_path, "xlsx"))
    found = dict(zip(head, row, strict=True))
    assert found["fits"] == fits
    assert found["long"].endswith(CUT)
    assert found["long"].removesuffix(CUT) == letter * (len(found["long"]) - len(CUT))
    assert XLSX_CHARACTERS - 1 <= len(found["long"].encode("utf-16-le")) // 2 <= XLSX_CHARACTERS


@settings(deadline=None, max_examples=50)
@given(st.lists(plain_texts, min_size=1, max_size=8))
@example(["_x0041_", "\x01", "a\nb", "tab\there", " space ", "<r>", "&amp;", "<r>x</r>"])
def test_export_xlsx_any_texts_can_be_read_back(cells):
    file = io.BytesIO()
    write_xlsx(file, [Column(str(number), Kind.TEXT) for number in range(len(cells))], [cells])
    _, *rows = CalamineWorkbook.from_filelike(io.BytesIO(file.getvalue())).get_sheet_by_index(0).to_python()
    found = [*(rows[0] if rows else []), *([""] * len(cells))]
    for wrote, read in zip(cells, found, strict=False):
        assert comparable(read) == comparable(wrote)


def comparable(text):
    """Without what XML itself does not keep (line ends) and the blank in front of what looks like markup."""
    return text.replace("\r\n", "\n").replace("\r", "\n").removeprefix(" ")


def test_export_xlsx_refuses_too_many_rows_before_writing(tmp_path, monkeypatch):
    make_ledger(tmp_path, rows=[{}, {}, {}])
    monkeypatch.setitem(export.__globals__, "XLSX_ROWS", 2)
    with pytest.raises(ConfigurationError, match="export to csv"):
        export(tmp_path, "xlsx")
    assert not list(tmp_path.glob("*xlsx*"))


def test_export_xlsx_refuses_too_many_columns(tmp_path, monkeypatch):
    make_ledger(tmp_path, rows=ROWS)
    monkeypatch.setattr(excel_writer, "XLSX_COLUMNS", 5)
    with pytest.raises(ConfigurationError, match="columns"):
        export(tmp_path, "xlsx")
    assert not list(tmp_path.glob("*xlsx*"))


# Parquet


def test_export_parquet_gives_each_column_a_type(tmp_path):
    first = {
        "i": 1,
        "f": 0.5,
        "b": True,
        "t": "x",
        "o": {"a": 1},
        "m": "text",
        "w": 1,
        "big": 2**64,
        "none": None,
    }
    second = {"i": -(2**63), "f": 2, "b": None, "t": None, "o": [1], "m": 7, "w": 0.5, "big": 1}
    make_ledger(tmp_path, rows=[{"outputs": first}, {"outputs": second}, {"state": "planned"}])
    table = pq.read_table(exported(tmp_path, "parquet"))
    types = dict(zip(table.schema.names, table.schema.types, strict=True))
    assert types["index"] == types["i"] == pa.int64()
    assert types["f"] == types["w"] == types["seconds"] == pa.float64()
    assert types["b"] == pa.bool_()
    assert {types[name] for name in ("key", "t", "o", "m", "big", "none", "Number")} == {pa.string()}
    assert types["started_at"] == pa.timestamp("ms", tz="UTC")
    one, two, three = table.to_pylist()
    assert [json.loads(row["o"]) for row in (one, two)] == [{"a": 1}, [1]]
    assert [json.loads(row["m"]) for row in (one, two)] == ["text", 7]
    assert [json.loads(row["big"]) for row in (one, two)] == [2**64, 1]
    assert (two["i"], two["f"], two["w"]) == (-(2**63), 2.0, 0.5)
    assert one["started_at"] == datetime.fromtimestamp(START, UTC)
    assert three["started_at"] is three["i"] is three["seconds"] is None


@given(st.lists(values, max_size=5))
def test_export_column_type_inference_fits_all_values(column):
    seen = ColumnTypeInference()
    for value in column:
        seen.add(value)
    there = [value for value in column if value is not None]
    holds = {
        Kind.INT: lambda value: type(value) is int and -(2**63) <= value < 2**63,
        Kind.FLOAT: lambda value: type(value) in {int, float} and float(value) == value,
        Kind.BOOL: lambda value: isinstance(value, bool),
        Kind.TEXT: lambda value: isinstance(value, str),
        Kind.MIXED: lambda _: True,
    }[seen.kind]
    assert all(map(holds, there))


def test_export_accepts_lone_surrogates_in_every_format(tmp_path):
    make_ledger(tmp_path, rows=[{"cells": {"\ud800": "\ud800"}}])
    for format in EXPORT_FORMATS:  # noqa: A001 - as it is called
        export(tmp_path, format)
    assert read_csv(tmp_path / "export.csv")[0]["\ufffd"] == "\ufffd"
    assert read_xlsx(tmp_path / "export.xlsx")[0][5] == "\ufffd"
    assert pq.read_table(tmp_path / "export.parquet").to_pylist()[0]["\ufffd"] == "\ufffd"
    assert json.loads((tmp_path / "export.jsonl").read_bytes())["inputs"] == {"\ud800": "\ud800"}


# What is refused


@pytest.mark.parametrize(
    ("format", "module", "extra"), [("xlsx", "xlsxwriter", "cli"), ("parquet", "pyarrow", "parquet")]
)
def test_export_missing_library_is_named_with_install_command(tmp_path, monkeypatch, format, module, extra):  # noqa: A002
    make_ledger(tmp_path, rows=ROWS)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=rf"opus-async\[{extra}\]"):
        export(tmp_path, format)
    assert not list(tmp_path.glob("*export*"))


@pytest.mark.parametrize("format", ["xlsx", "parquet"])
def test_export_to_stdout_refuses_xlsx_and_parquet(tmp_path, format):  # noqa: A002 - as it is called
    make_ledger(tmp_path)
    with pytest.raises(ConfigurationError, match="name a file"):
        export(tmp_path, format, Path("-"))


def test_export_refuses_unknown_format(tmp_path):
    with pytest.raises(ConfigurationError, match="csv, jsonl, parquet, xlsx"):
        export(tmp_path, "pdf")


@pytest.mark.parametrize("place", ["/dev/null", "folder"])
def test_export_refuses_to_replace_device_or_folder(tmp_path, place):
    make_ledger(tmp_path, rows=ROWS)
    (tmp_path / "folder").mkdir()
    destination = tmp_path / place
    with pytest.raises(OSError, match="no file"):
        export(tmp_path, "csv", destination)
    assert destination.is_char_device() or destination.is_dir()


# A hundred thousand rows

MANY = """
import re, resource, sys, time
from pathlib import Path

from opus_async.batch.outputs.export import export

STATUS = Path("/proc/self/status")

def peak():  # ru_maxrss begins with the parent's
    if STATUS.exists():
        return int(re.search(r"VmHWM:\\s+(\\d+)", STATUS.read_text())[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

small, large, format = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
export(small, format)
before = peak()
began = time.process_time()
rows = export(large, format)
print(rows, before, peak(), time.process_time() - began)
"""


@pytest.fixture(scope="session")
def large_batch(tmp_path_factory):
    """A function that makes a batch directory of so many rows, once for each number."""

    def row(index):
        return {
            "cells": {"Number": str(index), "Document": f"in/{index}.pdf"},
            "outputs": {"Verdict": f"{index} " + "x" * 200, "Score": index / 7, "Found": {"page": index}},
        }

    @functools.cache
    def make(count):
        return make_ledger(tmp_path_factory.mktemp("large"), rows=map(row, range(count)))

    return make


@pytest.mark.parametrize(
    ("format", "count"),
    [
        *((each, 6_000) for each in EXPORT_FORMATS),
        *(pytest.param(each, 100_000, marks=pytest.mark.long) for each in EXPORT_FORMATS),
    ],
)
@pytest.mark.timeout(300)
def test_export_memory_does_not_grow_with_rows(large_batch, format, count, record_property):  # noqa: A002 - as it is called
    small, large = large_batch(1_000), large_batch(count)
    words = [sys.executable, "-c", MANY, str(small), str(large), format]
    done = subprocess.run(words, capture_output=True, check=True, encoding="utf-8", timeout=280)
    rows, before, after, seconds = done.stdout.split()
    record_property("seconds", seconds)
    assert int(rows) == count
    most = 40 if count > 50_000 else 15
    assert int(after) - int(before) < most, f"{before} MB, then {after} MB"
    assert float(seconds) < count / 1000, "slow by a factor of ten"
