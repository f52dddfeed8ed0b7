"""Every row against the live workflow and the disk, before anything is sent."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from batch_tools import DOCUMENT, TEXT
from manifests import csv, jsonl

from opus_async.cli.batch import validation_text
from opus_async.cli.batch.validation_text import table
from opus_async.errors import AuthenticationError, InvalidInputs, ManifestError, OpusError
from opus_async.input_problems import InputProblem
from opus_async.manifests import Manifest, open_manifest
from opus_async.manifests.binding import column_table
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.model import Record, Unreadable
from opus_async.manifests.problem import Problem
from opus_async.manifests.validation import duplicates, key_proposal
from opus_async.manifests.validation.duplicates import DuplicateIndex
from opus_async.manifests.validation.estimate import ThroughputAssumptions, estimate
from opus_async.manifests.validation.result import Cause, Validation
from opus_async.manifests.validation.validate import validate
from opus_async.opus.protocol.files import EXTENSIONS
from opus_async.platform import Platform
from opus_async.spelling import closest

MODERN = "M0dernTypesWrkfl"
ALL_TYPES = "B9uGJfZ3CFwOdMKH"
Opened = Callable[..., Awaitable[Platform[Any, Any]]]


@pytest.fixture
async def opened(simulate, connect) -> Opened:
    """The platform of a workflow on a simulator, opened."""

    async def start(workflow: str = DOCUMENT) -> Platform[Any, Any]:
        simulator = await simulate()
        platform = connect(simulator).lifecycle(workflow).platform
        await platform.open()
        platform.simulator = simulator
        return platform

    return start


async def checked(platform: Platform[Any, Any], manifest: Path, **options: Any) -> Validation:
    """Validate a manifest; ``binding`` holds what the binding takes."""
    opened = open_manifest(manifest)
    binding = Binding(
        platform.workflow, folder=opened.kind in {"folder", "glob"}, **options.pop("binding", {})
    )
    return await validate(opened, binding, platform, **options)


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with documents."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/Invoice 1.pdf").write_bytes(b"x" * 10)
    (tmp_path / "docs/b.txt").write_bytes(b"x" * 20)
    (tmp_path / "docs/empty.pdf").touch()
    (tmp_path / "docs/film.mov").write_bytes(b"x")
    (tmp_path / "docs/folder.pdf").mkdir()
    os.mkfifo(tmp_path / "docs/pipe.pdf")
    with (tmp_path / "docs/huge.pdf").open("wb") as file:
        file.truncate(11 * 1024 * 1024)
    return tmp_path


def only(found: Validation) -> Problem:
    """The one error there is."""
    assert found.error_count == 1, [problem.sentence for problem in found.errors]
    return found.errors[0]


# Rows that can be run


async def test_validation_accepts_correct_manifest_and_estimates_work(opened, place):
    platform = await opened()
    manifest = csv(
        place / "m.csv",
        "key,Document,Threshold,title",
        "1,docs/Invoice 1.pdf,0.5,First",
        "2,docs/b.txt,,",
        "3,docs/b.txt,1,",
    )
    found = await checked(platform, manifest)
    assert found.ok
    assert not found.doomed
    assert (found.rows, found.valid, found.invalid, found.error_count, found.warning_count) == (3, 3, 0, 0, 0)
    assert (found.estimate.jobs, found.estimate.files, found.estimate.bytes) == (3, 2, 30)
    assert found.estimate.requests == 2 * platform.estimated_requests(1) + platform.estimated_requests(0)
    assert [bound.bound_by for bound in found.columns] == [
        "reserved word",
        "display name",
        "display name",
        "reserved word",
    ]
    counters = platform.simulator.state()["counters"]
    assert counters["jobs"] == counters["uploads"] == 0
    assert sum(counters["requests"].values()) == 1, "the schema, and nothing more"


async def test_validation_accepts_every_input_type_as_csv_text(opened, place):
    manifest = csv(
        place / "m.csv",
        "TextInput,NumberInput,FileInput(Single),BoolInput,ListInput,ObjectInput,DateInput,FileInput(Multiple)",
        'x,0.8,docs/b.txt,yes,a; b,"{""a"": 1}",2025-11-09,docs/b.txt; docs/I*.pdf',
        'x,7,docs/b.txt,false,"[1, 2]",{},2025-11-09,docs/*.txt',
    )
    found = await checked(await opened(ALL_TYPES), manifest)
    assert found.ok, found.errors
    assert found.estimate.files == 2


async def test_validation_accepts_xlsx_numbers_and_dates(opened, place):
    workbook = xlsxwriter.Workbook(place / "m.xlsx", {"remove_timezone": True})
    sheet = workbook.add_worksheet()
    sheet.write_row(0, 0, ["key", "Profile", "Count", "Invoices", "Due date"])
    sheet.write_row(1, 0, [17, "{}", 3, "docs/*.txt"])
    sheet.write_datetime(1, 4, date(2025, 11, 9), workbook.add_format({"num_format": "yyyy-mm-dd"}))
    workbook.close()
    found = await checked(await opened(MODERN), place / "m.xlsx")
    assert found.ok, found.errors
    assert found.rows == 1


async def test_validation_accepts_folder_manifest(opened, tmp_path):
    for number in range(5):
        (tmp_path / f"[{number}]; *.txt").write_bytes(b"xx")
    found = await checked(await opened(), tmp_path)
    assert found.ok, found.errors
    assert (found.rows, found.estimate.files, found.estimate.bytes) == (5, 5, 10)


# Rows that cannot

SUPPORTED = f"supported are {', '.join(sorted(EXTENSIONS))}"


@pytest.mark.parametrize(
    ("row", "message", "fix"),
    [
        ("docs/none.pdf,", "'Document': there is no file", "put it there, or correct the path"),
        ("docs/Invioce 1.pdf,", "'Document': there is no file", "did you mean 'Invoice 1.pdf'?"),
        ("docs/Invoice 1.pd,", "'Document': there is no file", "did you mean 'Invoice 1.pdf'?"),
        ("docs/Invoice 2.pdf,", "'Document': there is no file", "put it there, or correct the path"),
        ("docs/invoice 1.PDF,", "'Document': there is no file", "did you mean 'Invoice 1.pdf'?"),
        (r"docs\B.TXT,", "'Document': there is no file", "did you mean 'b.txt'?"),
        (
            "docs/empty.pdf,",
            "'Document': the file 'empty.pdf' is empty",
            "put its content there, or take the row out",
        ),
        ("docs/film.mov,", "'Document': the file 'film.mov' is of an unsupported type", SUPPORTED),
        ("docs/folder.pdf,", "not a regular file", "name a file in this folder"),
        ("docs/pipe.pdf,", "not a regular file", "name an ordinary file"),
        ("docs/huge.pdf,", "more than the limit", "split or compress it"),
        ("docs/*.txt; docs/b.txt,", "has the pattern", None),
        ("docs/*.pdf,", "and 3 files match it", None),
        ("docs/b.txt,much", "'Threshold' wants a finite number, got 'much'", None),
        ('docs/b.txt,"0,2"', "'Threshold' wants a finite number, got '0,2'", "write 0.2"),
        (",0.5", "'Document' is missing", "fill column 'Document', or --set Document=VALUE"),
    ],
)
async def test_validation_reports_row_problem_with_fix(opened, place, row, message, fix):
    manifest = csv(place / "m.csv", "Document,Threshold,key", "docs/b.txt,,good", f"{row},bad")
    found = await checked(await opened(), manifest)
    problem = only(found)
    assert message in problem.message
    assert problem.fix == fix
    assert (problem.index, problem.where, problem.key) == (1, "line 3", "bad")
    assert problem.input == ("Threshold" if "Threshold" in message else "Document")
    assert (problem.column is None) == ("missing" in message)
    assert (found.rows, found.valid, found.invalid, found.doomed) == (2, 1, 1, False)
    assert found.estimate.jobs == 1


async def test_validation_warns_of_pattern_that_matches_one_file(opened, place):
    (place / "docs/[1] c.txt").write_bytes(b"x")
    manifest = csv(place / "m.csv", "Document", "docs/?.txt", "docs/b.txt ", "docs/[1] c.txt")
    found = await checked(await opened(), manifest)
    assert (found.ok, found.valid) == (True, 3)
    told = [problem for problem in found.warnings if problem.input == "Document"]
    assert [(problem.where, problem.message) for problem in told] == [
        ("line 2", "'docs/?.txt' is taken as a pattern and means 'docs/b.txt'")
    ]


async def test_validation_table_shows_two_examples_of_differing_values(opened, place):
    rows = ('docs/b.txt,"0,2"', 'docs/b.txt,"0,2"', 'docs/b.txt,"1,5"', "docs/none.pdf,", "docs/none.pdf,")
    found = await checked(
        await opened(),
        csv(place / "m.csv", "Document,Threshold,key", *(f"{row},{index}" for index, row in enumerate(rows))),
    )
    shown = table(found, None)
    assert re.search(r"wants a finite number, got '0,2' \(line 4: '1,5'\) +write 0\.2\n", shown)
    assert "none.pdf'  put it there" in shown


async def test_validation_problem_names_file_as_written_in_row(opened, place):
    manifest = csv(place / "m.csv", "Profile,Count,Invoices", "{},1,docs/b.txt; docs/none.pdf; docs/B.txt")
    problem = only(await checked(await opened(MODERN), manifest))
    assert problem.column == problem.input == "Invoices"
    assert problem.file == "docs/none.pdf"


async def test_validation_recognises_path_relative_to_current_folder(opened, place, monkeypatch):
    (place / "tables").mkdir()
    monkeypatch.chdir(place)
    manifest = csv(place / "tables/m.csv", "Document", "docs/b.txt")
    problem = only(await checked(await opened(), manifest))
    assert "it is in the current folder, and paths start at the manifest's" in problem.fix


async def test_validation_reports_all_problems_of_a_row(opened, place):
    manifest = csv(place / "m.csv", "key,Document,Threshold", f"{'x' * 201},docs/none.pdf,much")
    found = await checked(await opened(), manifest)
    assert [problem.input for problem in found.errors] == [None, "Document", "Threshold"]
    assert (found.invalid, found.error_count) == (1, 3)


async def test_validation_reports_missing_file_of_set_option(opened, place, monkeypatch):
    monkeypatch.chdir(place)
    manifest = csv(place / "m.csv", "Threshold", "1", "2")
    found = await checked(await opened(), manifest, binding={"constants": {"Document": "docs/none.pdf"}})
    assert found.invalid == 2
    assert [cause.count for cause in found.causes] == [2]


# Keys and rows that come again


async def test_validation_refuses_duplicate_key_with_other_cells_and_warns_of_same_cells(opened, place):
    manifest = csv(place / "m.csv", "key,Text", "1,a", "2,b", "1,a", "1,c", "3,a")
    found = await checked(await opened(TEXT), manifest)
    problem = only(found)
    assert problem.message == "line 2 has the key '1', too, and asks for something else"
    assert (problem.where, problem.key, problem.index) == ("line 5", "1", 3)
    [warning] = found.warnings
    assert warning.where == "line 4"
    assert "the same as line 2, key '1' included: it is run, and billed, once more" in warning.message
    assert (found.rows, found.valid, found.estimate.jobs) == (5, 4, 4)


async def test_validation_warns_of_identical_rows_without_keys(opened, place):
    manifest = csv(place / "m.csv", "Text,Remark", "a,x", "b,x", "a,y")
    found = await checked(await opened(TEXT), manifest)
    assert found.ok
    [warning] = [problem for problem in found.warnings if problem.index is not None]
    assert warning.message == "the same as line 2: it is run, and billed, once more"
    assert warning.where == "line 4"
    assert found.estimate.jobs == 3


async def test_validation_treats_rows_as_identical_if_only_ignored_columns_differ(opened, place):
    manifest = csv(place / "m.csv", "Text,Remark", "a,x", "a,y")
    found = await checked(await opened(TEXT), manifest, binding={"columns": {"Remark": ""}})
    assert found.ok
    assert "the same as line 2" in found.warnings[0].message


async def test_validation_reports_empty_cell_in_key_column(opened, place):
    manifest = csv(place / "m.csv", "Nr,Text", "1,a", ",b")
    problem = only(await checked(await opened(TEXT), manifest, binding={"key": "Nr"}))
    assert problem.message == "column 'Nr' is empty, and --key takes the key from it"
    assert problem.where == "line 3"


async def test_validation_reads_platform_problem_by_its_fields(opened, place, monkeypatch):
    platform = await opened(TEXT)
    target = next(field for field in platform.workflow.inputs.values() if field.display_name == "Text")

    async def bind(request):
        raise InvalidInputs(
            [
                InputProblem(
                    f"ist zu lang: {request.inputs[target.variable_name]}",
                    subject="Feld 7",
                    input=target.variable_name,
                    fix="kürzen",
                    group="ist zu lang",
                )
            ]
        )

    monkeypatch.setattr(platform, "bind", bind)
    problem = only(
        await checked(
            platform, csv(place / "m.csv", "Words,Remark", "a,b"), binding={"columns": {"Words": "Text"}}
        )
    )
    assert (problem.message, problem.fix) == ("'Text' ist zu lang: a", "kürzen")
    assert (problem.column, problem.input, problem.cause) == ("Words", "Text", "Text: ist zu lang")


# Rows of an earlier batch


async def test_validation_runs_extra_checks_and_adds_row_key(opened, place):
    manifest = jsonl(place / "m.jsonl", {"Text": "a", "key": "one"}, {"Text": "b", "key": "two"})

    def check(record):
        if record.index == 0:
            return None
        return Problem(message="not this one", cause="a reason", index=record.index, where=record.where)

    problem = only(await checked(await opened(TEXT), manifest, checks=[check]))
    assert (problem.message, problem.key, problem.index) == ("not this one", "two", 1)


# The manifest as a whole


async def test_validation_reports_column_problem_once_and_dooms_all_rows(opened, place):
    rows = (f"docs/b.txt,{number}" for number in range(50))
    found = await checked(await opened(), csv(place / "m.csv", "Documnet,Threshold", *rows))
    problem = only(found)
    assert problem.message == "column 'Documnet' fills no input, and nothing fills 'Document'"
    assert problem.fix.startswith("--map Documnet=Document")
    assert (problem.column, problem.input, problem.index) == ("Documnet", "Document", None)
    assert found.doomed
    assert (found.rows, found.valid, found.estimate.jobs) == (50, 0, 0)


async def test_validation_checks_rows_despite_column_problems(opened, place):
    manifest = csv(place / "m.csv", "Document,Treshold", "docs/none.pdf,1", "docs/b.txt,1")
    found = await checked(await opened(), manifest)
    assert [problem.column for problem in found.errors] == ["Treshold", "Document"]
    assert (found.doomed, found.invalid) == (True, 1)


async def test_validation_of_jsonl_judges_columns_after_all_rows(opened, place):
    manifest = jsonl(
        place / "m.jsonl",
        {"Text": "a"},
        {"text": "b", "Remark": "x"},
        {"TEXT": "c", "Remark": "y"},
    )
    platform = await opened(TEXT)
    found = await checked(platform, manifest)
    assert found.ok, "no row has two of them"
    assert [bound.column for bound in found.columns] == ["Text", "text", "Remark", "TEXT"]
    assert [problem.message for problem in found.warnings] == [
        "column 'Remark' fills no input and is left out"
    ]


async def test_validation_of_jsonl_refuses_row_that_fills_an_input_twice(opened, place):
    manifest = jsonl(place / "m.jsonl", {"Text": "a"}, {"text": "b", "Text": "c"})
    problem = only(await checked(await opened(TEXT), manifest))
    assert problem.message == "column 'Text' fills 'Text' again"
    assert problem.where == "line 2"


async def test_validation_of_jsonl_reports_misspelt_columns_and_options(opened, place):
    manifest = jsonl(place / "m.jsonl", {"Document": "docs/b.txt", "Treshold": 1, "Nr": 2})
    found = await checked(await opened(), manifest, binding={"title": "{Nr} {Nmu}", "key": "Key"})
    told = [problem.message for problem in found.errors]
    assert told == [
        "column 'Key' is empty, and --key takes the key from it",
        "column 'Treshold' fills no input, and nothing fills 'Threshold' in this row",
        "--key names the column 'Key', which the manifest does not have",
        "--title names the column 'Nmu', which the manifest does not have",
    ]
    assert found.doomed


async def test_validation_of_jsonl_refuses_the_row_whose_column_is_misspelt(opened, place):
    good = {"Document": "docs/b.txt", "Threshold": 0.5}
    manifest = jsonl(
        place / "m.jsonl",
        good,
        {"Document": "docs/b.txt", "Treshold": 0.1},
        {**good, "Treshold": 0.2},  # fills all that it could mean
        {"Document": "docs/b.txt", "Remark": "none"},
    )
    found = await checked(await opened(), manifest)
    problem = only(found)
    assert problem.message == "column 'Treshold' fills no input, and nothing fills 'Threshold' in this row"
    assert (problem.where, problem.input, found.valid) == ("line 2", "Threshold", 3)
    assert problem.fix.startswith("--map Treshold=Threshold, or --map Treshold=")

    binding = {"columns": {"Treshold": "Threshold"}}
    mapped = jsonl(place / "m.jsonl", good, {"Document": "docs/b.txt", "Treshold": 0.1})
    assert (await checked(await opened(), mapped, binding=binding)).ok


async def test_validation_of_jsonl_tells_only_of_the_misspelt_column_where_the_input_is_required(
    opened, place
):
    manifest = jsonl(place / "m.jsonl", {"Documnet": "docs/b.txt", "Threshold": 0.1})
    problem = only(await checked(await opened(), manifest))
    assert problem.message == "column 'Documnet' fills no input, and nothing fills 'Document' in this row"


async def test_validation_says_that_an_option_gives_the_value_that_does_not_fit(opened, place):
    manifest = jsonl(place / "m.jsonl", {"Document": "docs/b.txt"})
    problem = only(await checked(await opened(), manifest, binding={"constants": {"Threshold": "high"}}))
    assert problem.message == "'Threshold' wants a finite number, got 'high'"
    assert problem.fix == "correct what --set gives 'Threshold'"


async def test_validation_of_jsonl_compares_a_column_with_the_inputs_once_for_all_rows(
    opened, place, monkeypatch
):
    compared = []
    monkeypatch.setattr(column_table, "closest", lambda *given: compared.append(given[0]) or closest(*given))
    platform = await opened()
    manifest = jsonl(place / "m.jsonl", *[{"Document": "docs/b.txt", "Remark": "none"}] * 100)
    assert (await checked(platform, manifest)).valid == 100
    assert 0 < compared.count("Remark") < 10


async def test_validation_counts_unreadable_line_as_bad_row_and_checks_the_others(opened, place):
    (place / "m.jsonl").write_text(
        '{"Document": "docs/b.txt"}\n{"Document": \n{"Document": "docs/none.pdf"}\n'
    )
    found = await checked(await opened(), place / "m.jsonl")
    assert not found.doomed
    assert [problem.where for problem in found.errors] == ["line 2", "line 3"]
    assert found.errors[0].message.startswith("the object does not end on this line")
    assert found.errors[1].file == "docs/none.pdf"
    assert (found.rows, found.valid) == (3, 1)


@pytest.mark.parametrize(
    ("content", "what", "fix"),
    [
        ("Text,Junk\na,b,c\n", "3 cells, but the first row names 2 columns", "must stand in double quotes"),
        ("Text,Junk\na\n", "1 cell, but the first row names 2 columns", "--pad-short-rows"),
        ("Text,Junk\nText,Junk\n", "the names of the columns stand here again", "take the line out"),
        ('Text,Junk\n"a,b\n', "a double quote opens a cell here that is never closed", "close it"),
        ("Text,Junk\na\0,b\n", "column 'Text': a zero byte", "write the row anew"),
        (
            '{"Text": 1}\n{"Text": 1}, {"Text": 2}\n',
            "a second object stands on this line",
            "each line holds one",
        ),
        ('{"Text": NaN}\n', "field 'Text': NaN is no JSON", "leave the field out, or write null"),
        ('{"Text": 1, "Text": 2}\n', "the field 'Text' stands there twice", "take one out"),
        ('{"Text": 1}\n2\n', "'2' is no JSON object", "each line holds one"),
    ],
)
async def test_validation_tells_apart_what_is_wrong_with_a_row_and_what_to_do(
    opened, place, content, what, fix
):
    manifest = place / ("m.jsonl" if content.startswith("{") else "m.csv")
    manifest.write_text(content)
    problem = only(await checked(await opened(TEXT), manifest))
    assert what in problem.message
    assert fix not in problem.message
    assert fix in (problem.fix or "")


async def test_validation_shows_bad_lines_grouped_with_count_and_first_line(opened, place):
    manifest = csv(place / "m.csv", "Text,Junk", "a,b", "c,d,e", "f", "g,h,i,j", "k,l,m", "n,o")
    found = await checked(await opened(TEXT), manifest)
    causes = {cause.cause: (cause.count, cause.first.where) for cause in found.causes if cause.first.is_error}
    assert causes == {"more cells than columns": (3, "line 3"), "fewer cells than columns": (1, "line 4")}
    assert [problem.where for problem in found.errors] == ["line 3", "line 4", "line 5", "line 6"]
    assert (found.rows, found.valid) == (6, 2)
    (line,) = [line for line in table(found, None).splitlines() if "3 cells, but the first row" in line]
    assert line.split()[:4] == ["error", "3", "line", "3"]


@pytest.mark.parametrize(
    ("column", "binding", "bad"),
    [
        ("Text", {}, True),
        ("Junk", {}, False),
        ("Junk", {"columns": {"Junk": ""}}, False),
        ("Junk", {"key": "Junk"}, True),
        ("Junk", {"title": "About {junk}"}, True),
        (None, {"columns": {"Junk": ""}}, True),
    ],
)
async def test_validation_cell_that_cannot_be_read_counts_where_its_column_is_used(
    opened, column, binding, bad
):
    platform = await opened(TEXT)
    cells = {name: "x" for name in ("Text", "Junk") if name != column}
    unreadable = (Unreadable(problem="cell A1 is #REF!", column=column, group="an error"),)
    manifest = Listed(columns=("Text", "Junk"))
    manifest.records = lambda: iter([Record(index=0, where="row 1", cells=cells, unreadable=unreadable)])
    found = await validate(manifest, Binding(platform.workflow, **binding), platform)
    assert (found.rows, found.valid) == (1, not bad)
    assert [problem.message for problem in found.errors] == ["cell A1 is #REF!"] * bad


async def test_validation_of_manifest_that_fills_no_input_is_refused_whatever_is_required(opened, place):
    for content in ("hello,0.5\nworld,0.7\n", "Text\n\u00a0\n", '"Text",x\n,y\n\t,y\n'):
        manifest = place / "m.csv"
        manifest.write_text(content)
        found = await checked(await opened(MODERN), manifest)
        assert found.doomed
        assert found.valid == 0


def test_table_on_a_narrow_terminal_gives_options_in_one_piece():
    problem = Problem(
        message="column 'x' fills no input " * 5, cause="c", fix="--map 'a long name=Text'", index=0
    )
    shown = validation_text.found([Cause("c", problem, 1)], 60)
    assert shown.splitlines()[-2:] == ["To copy from:", "  --map 'a long name=Text'"]
    assert "To copy" not in validation_text.found([Cause("c", problem, 1)], None)


class Listed:
    """A manifest in memory."""

    def __init__(self, *rows: dict[str, Any], base: Path = Path("/"), columns: Any = None) -> None:
        self.path, self.kind, self.base, self.columns = base / "m", "csv", base, columns
        self.warnings = ["the delimiter was guessed"]
        self.rows = rows

    def records(self):
        for index, cells in enumerate(self.rows):
            yield Record(index=index, where=f"line {index + 2}", cells=cells)

    def stamp(self) -> str:
        return ""

    def estimated_rows(self) -> int:
        return len(self.rows)


async def listed(platform: Platform[Any, Any], manifest: Manifest, **options: Any) -> Validation:
    return await validate(manifest, Binding(platform.workflow), platform, **options)


async def test_validation_refuses_manifest_without_rows_and_passes_on_reader_warnings(opened):
    found = await listed(await opened(TEXT), Listed(columns=("Text",)))
    assert only(found).message == "the manifest has no rows"
    assert found.doomed
    assert [problem.message for problem in found.warnings] == ["the delimiter was guessed"]


async def test_validation_reports_manifest_changed_while_reading(opened):
    class Changed(Listed):
        def records(self):
            yield from super().records()
            raise ManifestError("m.csv was changed while it was in use")

    found = await listed(await opened(TEXT), Changed({"Text": "a"}, columns=("Text",)))
    assert only(found).message == "m.csv was changed while it was in use"
    assert found.doomed


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 40])
async def test_validation_tells_of_rows_before_what_ends_the_reading_behind_them(opened, rows):
    class Changed(Listed):
        def records(self):
            yield from super().records()
            raise ManifestError("m.csv was changed while it was in use")

    def refuse(record: Record) -> Problem:
        return Problem(message="no", cause="no", index=record.index)

    told: list[Problem] = []
    manifest = Changed(*({"Text": f"text {number}"} for number in range(rows)), columns=("Text",))
    found = await listed(await opened(TEXT), manifest, checks=[refuse], on_problem=told.append)
    assert found.rows == rows
    assert [problem.index for problem in told if problem.is_error] == [*range(rows), None]


async def test_validation_that_a_check_ends_leaves_no_manifest_open(opened):
    class Open(Listed):
        closed = False

        def records(self):
            try:
                yield from super().records()
            finally:
                self.closed = True

    def refuse(record: Record) -> None:
        raise RuntimeError(record.where)

    manifest = Open(*({"Text": f"text {number}"} for number in range(40)), columns=("Text",))
    with pytest.raises(RuntimeError, match="line 2"):
        await listed(await opened(TEXT), manifest, checks=[refuse])
    assert manifest.closed


# How it is done


async def test_validation_keeps_limited_problems_and_counts_all(opened, place):
    lines = [f"docs/none-{number}.pdf,{'much' if number % 2 else 1}" for number in range(300)]
    manifest = csv(place / "m.csv", "Document,Threshold", *lines, *["docs/b.txt,1"] * 40)
    told: list[Problem] = []
    found = await checked(await opened(), manifest, limit=10, on_problem=told.append)
    assert len(found.errors) == len(found.warnings) == 10
    assert (found.error_count, found.warning_count) == (450, 39)
    assert [cause.count for cause in found.causes] == [300, 150, 39]
    assert [cause.cause for cause in found.causes[:2]] == [
        "Document: there is no file …",
        "Threshold: wants a finite number, got …",
    ]
    assert found.causes[0].first.where == "line 2"
    assert len(told) == 489


async def test_validation_yields_to_event_loop_and_reports_progress(opened):
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    told: list[int] = []
    platform = await opened(TEXT)
    manifest = Listed(*({"Text": f"text {number}"} for number in range(5000)), columns=("Text",))
    task = asyncio.create_task(other())
    found = await listed(platform, manifest, on_progress=told.append)
    task.cancel()
    assert found.rows == told[-1] == 5000
    assert told == sorted(told)
    assert turns >= 2


async def test_validation_memory_is_independent_of_row_count(opened, monkeypatch):
    monkeypatch.setattr(duplicates, "_IN_MEMORY", 400)  # some thousand rows are kept, and no more
    monkeypatch.setattr(key_proposal, "_TOGETHER", 400)

    class Many(Listed):
        def __init__(self, count: int) -> None:
            super().__init__(columns=("Text", "key"))
            self.count = count

        def records(self):
            from opus_async.manifests import Record

            for index in range(self.count):
                cells = {"Text": f"the text of row {index}, {'x' * 200}", "key": f"INV-{index}"}
                yield Record(index=index, where=f"line {index + 2}", cells=cells)

    async def peak(count: int) -> int:
        tracemalloc.start()
        try:
            assert (await listed(platform, Many(count))).ok
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    platform = await opened(TEXT)
    await peak(500)
    small = await peak(500)
    assert await peak(5000) < small + 100_000, "5000 rows hold more than a megabyte of text"


async def test_validation_cancelled_leaves_nothing_open(opened, place):
    platform = await opened()
    manifest = csv(place / "m.csv", "Document", *["docs/b.txt"] * 5000)
    begun = asyncio.Event()
    task = asyncio.create_task(checked(platform, manifest, on_progress=lambda _: begun.set()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_validation_raises_authentication_error(opened, place, monkeypatch):
    platform = await opened(TEXT)

    async def refused(request: Any) -> None:
        raise AuthenticationError("The key was refused", status=401)

    monkeypatch.setattr(platform, "bind", refused)
    with pytest.raises(AuthenticationError):
        await checked(platform, csv(place / "m.csv", "Text", "a"))


async def test_validation_reports_full_disk_for_temporary_files(opened, place, monkeypatch):
    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(DuplicateIndex, "row", full)
    with pytest.raises(OpusError, match="make room in the folder for temporary files"):
        await checked(await opened(TEXT), csv(place / "m.csv", "Text", "a"))


def test_duplicate_index_finds_repeats_among_200000_rows():
    seen = DuplicateIndex()
    try:
        for number in range(200_000):
            assert seen.row(f"key {number}", number.to_bytes(16, "big"), f"line {number}") is None
        again = seen.row("key 123456", b"other", "line 999999")
        assert again is not None
        assert again.where == "line 123456"
        assert again.content == (123456).to_bytes(16, "big")
        assert seen.row(b"key 123456", b"", "by digest") is None
        assert seen.file("a.pdf")
        assert not seen.file("a.pdf")
    finally:
        seen.close()


# Estimates


def test_estimate_ranges_from_slowest_limit_to_sum_of_all():
    pace = ThroughputAssumptions(max_in_flight=100, rate=10, run_seconds=(10, 60))
    told = estimate(jobs=1000, files=0, size=0, requests=5000, pace=pace)
    assert told.seconds == (500, 500 + 600)
    assert estimate(jobs=1000, files=0, size=0, requests=500, pace=pace).seconds == (100, 50 + 600)
    assert estimate(jobs=7, files=0, size=0, requests=35, pace=pace).seconds == (10, 3.5 + 60)
    assert estimate(jobs=0, files=0, size=0, requests=0, pace=pace).seconds == (0, 0)
    assert "10 requests a second" in told.assumes[1]


# For eyes and machines


async def test_validation_table_shows_binding_problems_and_verdict(opened, place):
    rows = ["docs/none.pdf,1", "docs/other.pdf,1", "docs/b.txt,much", "docs/b.txt,1"]
    found = await checked(await opened(), csv(place / "m.csv", "Document,Threshold", *rows))
    shown = table(found, None)
    assert "Document   Document   file   display name" in shown
    assert any(line.split()[:4] == ["error", "2", "line", "2"] for line in shown.splitlines())
    assert "4 rows: 1 can be run, 3 cannot." in shown
    assert "Expected: 1 job, 1 file of 20 B to upload, at least 5 requests, 20 s to 2 min." in shown
    assert max(len(line) for line in table(found, 80).splitlines()[:12]) <= 80
    assert "\n\n\n" not in shown


async def test_validation_table_of_doomed_manifest_has_no_estimate(opened, place):
    found = await checked(await opened(), csv(place / "m.csv", "Document,Treshold", "docs/b.txt,1"))
    shown = table(found, None)
    assert "1 row: none can be run" in shown
    assert "Expected" not in shown


async def test_validation_as_json_is_serializable(opened, place):
    manifest = csv(place / "m.csv", "key,Document,Remark", "1,docs/none.pdf,x", "2,docs/b.txt,x")
    found = await checked(await opened(), manifest)
    told = json.loads(json.dumps(found.as_json()))
    assert (told["ok"], told["doomed"], told["rows"], told["valid"], told["invalid"]) == (
        False,
        False,
        2,
        1,
        1,
    )
    [error] = told["errors"]
    assert error["severity"] == "error"
    assert error["file"] == "docs/none.pdf"
    assert error["where"] == "line 2"
    assert told["causes"][0]["count"] == 1
    assert told["columns"][1]["display_name"] == "Document"
    assert told["estimate"]["jobs"] == 1


def test_validation_problem_with_undecodable_file_name_is_serializable():
    told = Problem(message="m", cause="c", file="\udcff.pdf").as_json()
    assert json.dumps(told, ensure_ascii=False).encode()
