"""`failures.jsonl`: what did not complete, so that a new batch needs to know nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ledgers import make_ledger

from opus_async.batch.outputs.failures import write
from opus_async.errors import LedgerError
from opus_async.layout import FAILURES
from opus_async.manifests import open_manifest
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.binding.row_keys import given_key
from opus_async.models import InputField, Workflow

NOT_COMPLETED = ["failed", "cancelled", "timed_out", "unknown"]


def column(name, *, input=None, shown=None, how=None, file=False, reserved=None, ignored=False):  # noqa: A002 - as it is written
    """A column of the fact `binding`; by its display name unless told otherwise."""
    return {
        "column": name,
        "input": input,
        "display_name": (shown or name) if input else None,
        "how": how or ("display name" if input else "not bound"),
        "file": file,
        "reserved": reserved,
        "is_key": reserved == "key",
        "ignored": ignored,
    }


def written(directory):
    write(directory)
    return [json.loads(line) for line in (directory / FAILURES).read_bytes().splitlines()]


def inputs(line):
    return {name: value for name, value in line.items() if name not in {"_opus", "key"}}


def one(tmp_path, cells, binding, *, row=None, order=None, constants=None, manifest=None):
    """The line of a single failed row, in a batch directory beside its manifest."""
    facts = {"binding": binding, "order": order or {}, "constants": constants or {}}
    facts["manifest"] = {
        "path": str(tmp_path / "m.csv"),
        "kind": "csv",
        "base": str(tmp_path),
        **(manifest or {}),
    }
    rows = [{"state": "failed", "cells": cells, **(row or {})}]
    (line,) = written(make_ledger(tmp_path / "out", rows=rows, facts=facts))
    return line


def test_failures_jsonl_has_one_line_per_row_that_ended_without_completing(tmp_path):
    states = ["completed", "planned", *NOT_COMPLETED, "running", "waiting", "ordering"]
    make_ledger(tmp_path, rows=[{"state": state} for state in states])
    lines = written(tmp_path)
    assert [line["_opus"]["status"] for line in lines] == ["FAILED", "CANCELLED", "TIMED_OUT", "UNKNOWN"]
    assert [line["_opus"]["index"] for line in lines] == [2, 3, 4, 5]


def test_failures_jsonl_line_has_inputs_and_metadata_under_opus(tmp_path):
    row = {"key": "invoice 17", "error": "node OCR failed", "stage": "watch", "remote_id": "j1"}
    line = one(tmp_path, {"Number": "17"}, [column("Number", input="v1")], row=row)
    assert line == {
        "Number": "17",
        "key": "invoice 17",
        "_opus": {
            "index": 0,
            "job_id": "j1",
            "status": "FAILED",
            "error": "node OCR failed",
            "stage": "watch",
        },
    }


def test_failures_jsonl_without_failures_is_empty_and_replaces_old_file(tmp_path):
    (tmp_path / FAILURES).write_text('{"old": 1}\n')
    make_ledger(tmp_path, rows=[{}])
    assert written(tmp_path) == []
    assert not list(tmp_path.glob(".*part"))


def test_failures_jsonl_keeps_old_file_if_ledger_cannot_be_read(tmp_path):
    (tmp_path / FAILURES).write_text("old")
    with pytest.raises(LedgerError):
        write(tmp_path)
    assert (tmp_path / FAILURES).read_text() == "old"


# Files


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("a.pdf", "../a.pdf"),
        (" sub/a.pdf ", "../sub/a.pdf"),
        ("sub/../a.pdf", "../sub/../a.pdf"),
        ("/abs/a.pdf", "/abs/a.pdf"),
        ("https://files.opus.com/media/1", "https://files.opus.com/media/1"),
        ("HTTPS://files.opus.com/a;b", "HTTPS://files.opus.com/a;b"),
        (["a.pdf", "/b.pdf", "http://c/d"], ["../a.pdf", "/b.pdf", "http://c/d"]),
        ([], []),
        ("a.pdf; b.pdf", ["../a.pdf", "../b.pdf"]),
        ('["a.pdf", "b;c.pdf"]', ["../a.pdf", "../b;c.pdf"]),
        ("[draft].pdf", "../[draft].pdf"),
        ("", ""),
        (7, 7),
    ],
)
def test_failures_jsonl_paths_are_relative_to_batch_directory(tmp_path, cell, expected):
    line = one(tmp_path, {"Documents": cell}, [column("Documents", input="v1", file=True)])
    assert line["Documents"] == expected


def test_failures_jsonl_semicolon_in_existing_file_name_splits_nothing(tmp_path):
    (tmp_path / "a; b.pdf").touch()
    line = one(tmp_path, {"Document": "a; b.pdf"}, [column("Document", input="v1", file=True)])
    assert line["Document"] == "../a; b.pdf"


def test_failures_jsonl_file_names_of_folder_manifest_are_literal(tmp_path):
    binding = [column("file", input="v1", shown="Document", how="the only input that takes files", file=True)]
    line = one(tmp_path, {"file": "a; [b].pdf"}, binding, manifest={"kind": "folder"})
    assert inputs(line) == {"Document": "../a; [b].pdf"}


def test_failures_jsonl_rewrites_paths_of_file_columns_only(tmp_path):
    binding = [column("Name", input="v1"), column("Note")]
    line = one(tmp_path, {"Name": "a.pdf", "Note": "b.pdf"}, binding)
    assert inputs(line) == {"Name": "a.pdf", "Note": "b.pdf"}


def test_failures_jsonl_paths_are_unchanged_if_batch_is_in_manifest_folder(tmp_path):
    binding = [column("Document", input="v1", file=True)]
    line = one(tmp_path, {"Document": "a.pdf"}, binding, manifest={"base": str(tmp_path / "out")})
    assert line["Document"] == "a.pdf"


def test_failures_jsonl_paths_work_from_symlinked_batch_directory(tmp_path):
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.pdf").write_text("it")
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere" / "deep")
    binding = [column("Document", input="v1", file=True)]
    line = one(tmp_path, {"Document": "a.pdf"}, binding, manifest={"base": str(tmp_path / "in")})
    assert (tmp_path / "out" / line["Document"]).read_text() == "it"


# Names


@pytest.mark.parametrize("how", ["variable name", "display name", "display name in another case"])
def test_failures_jsonl_keeps_names_of_columns_bound_by_name(tmp_path, how):
    binding = [column("amount", input="v1", shown="Amount", how=how)]
    assert inputs(one(tmp_path, {"amount": "1"}, binding)) == {"amount": "1"}


def test_failures_jsonl_renames_mapped_columns_and_drops_ignored_ones(tmp_path):
    binding = [
        column("A", input="v1", shown="B", how="--map"),
        column("B", input="v2", shown="A", how="--map"),
        column("Rubbish", how="--map", ignored=True),
        column("Remark"),
    ]
    line = one(tmp_path, {"A": "for B", "B": "for A", "Rubbish": "?", "Remark": "!"}, binding)
    assert inputs(line) == {"B": "for B", "A": "for A", "Remark": "!"}


def test_failures_jsonl_uses_variable_name_if_display_name_is_ambiguous(tmp_path):
    binding = [
        column("Left", input="v1", shown="Document", how="--map"),
        column("Right", input="v2", shown="document ", how="--map"),
    ]
    assert inputs(one(tmp_path, {"Left": "1", "Right": "2"}, binding)) == {"v1": "1", "v2": "2"}


def test_failures_jsonl_keeps_column_of_input_called_key(tmp_path):
    binding = [column("key", input="v1"), column("Ref")]
    line = one(tmp_path, {"key": "for the input", "Ref": "17"}, binding, row={"key": "17"})
    assert line["key"] == "for the input"
    assert line["_opus"]["key"] == "17"


# Titles and constants


def test_failures_jsonl_title_column_overrides_template(tmp_path):
    binding = [column("Name", reserved="title", how="--map"), column("Number", input="v1")]
    order = {"title": "Invoice {Number}, row {row} {{x}}", "description": None}
    line = one(tmp_path, {"Name": "My title", "Number": "17"}, binding, order=order)
    assert inputs(line) == {"Number": "17", "title": "My title"}
    (tmp_path / "other").mkdir()
    line = one(tmp_path / "other", {"Number": "17"}, binding, order=order)
    assert inputs(line) == {"Number": "17", "title": "Invoice 17, row 1 {x}"}


def test_failures_jsonl_row_without_title_has_none(tmp_path):
    line = one(tmp_path, {"title": "  "}, [column("title", reserved="title")], order={"title": "{Nothing}"})
    assert "title" not in line


def test_failures_jsonl_renders_description_template(tmp_path):
    line = one(
        tmp_path, {"Number": "17"}, [column("Number", input="v1")], order={"description": "No. {number}"}
    )
    assert line["description"] == "No. 17"


def test_failures_jsonl_constants_fill_missing_values_under_column_name(tmp_path):
    binding = [column("limit", input="v1", shown="Limit", how="display name in another case")]
    constants = {"v1": 5, "Other": ["/abs/a.pdf"]}
    facts = {"binding": binding, "constants": constants}
    rows = [{"state": "failed", "cells": {"limit": "9"}}, {"state": "failed", "cells": {}}]
    first, second = written(make_ledger(tmp_path, rows=rows, facts=facts))
    assert inputs(first) == {"limit": "9", "Other": ["/abs/a.pdf"]}
    assert inputs(second) == {"limit": 5, "Other": ["/abs/a.pdf"]}


def test_failures_jsonl_omits_constant_if_another_column_fills_its_input(tmp_path):
    binding = [column("Limit", input="v1"), column("limit", input="v1", shown="Limit", how="--map")]
    facts = {"binding": binding, "constants": {"Limit": 5}}
    rows = [{"state": "failed", "cells": {"Limit": "9"}}]
    (line,) = written(make_ledger(tmp_path, rows=rows, facts=facts))
    assert inputs(line) == {"Limit": "9"}


# All the way round


def field(variable, shown, kind="str", **more):
    return InputField(variable_name=variable, display_name=shown, type=kind, **more)


WORKFLOW = Workflow(
    workflow_id="B9uGJfZ3CFwOdMKH",
    inputs={
        each.variable_name: each
        for each in (
            field("v1", "Document", "file"),
            field("v2", "Attachments", "array_files"),
            field("v3", "Amount", "float"),
            field("v4", "Currency"),
            field("v5", "Note", nullable=True),
            field("v6", "Note", nullable=True),
        )
    },
)


def test_failures_jsonl_as_manifest_gives_same_requests_without_options(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a; [1].pdf", "b1.pdf", "b2.pdf"):
        (folder / name).write_text(name)
    manifest = folder / "orders.csv"
    manifest.write_text(
        "Ref,Path,attachments,Betrag,Left,Right,key,Rubbish\n"
        "17,a; [1].pdf,b*.pdf,1.5,x,y,first,?\n"
        "18,b1.pdf,https://files.opus.com/1; b2.pdf,2,,,second,?\n"
    )
    options = {
        "columns": {"Path": "Document", "Betrag": "Amount", "Left": "v5", "Right": "v6", "Rubbish": ""},
        "constants": {"currency": "EUR"},
        "title": "Order {Ref}",
    }
    before = Binding(WORKFLOW, **options)
    opened = open_manifest(manifest)
    records = list(opened.records())
    rows = [
        {
            "state": "failed",
            "cells": before.expand_globs(record.cells, opened.base),
            "key": record.cells["key"],
        }
        for record in records
    ]
    facts = {
        "binding": [each.as_json() for each in before.table(opened.columns)],
        "constants": dict(before.constants),
        "order": options,
        "manifest": {"kind": opened.kind, "base": str(opened.base)},
    }
    directory = make_ledger(tmp_path / "deep" / "out", rows=rows, facts=facts)
    write(directory)
    again = open_manifest(directory / FAILURES)
    after = Binding(WORKFLOW)
    lines = list(again.records())
    columns = list(dict.fromkeys(name for line in lines for name in line.cells))
    assert not [problem for problem in after.problems(columns) if problem.is_error]
    for index, (line, row) in enumerate(zip(lines, rows, strict=True)):
        wanted = before.request(row["cells"], index=index, key=row["key"], base=opened.base)
        cells = after.expand_globs(line.cells, again.base)
        found = after.request(cells, index=index, key=str(given_key(after, cells)), base=again.base)
        assert (found.title, found.description, found.key) == (wanted.title, wanted.description, wanted.key)
        assert as_places(found.inputs) == as_places(wanted.inputs)
        assert line.past["status"] == "FAILED"


def as_places(value):
    """Inputs with paths in full: two ways to a file are the same file."""
    if isinstance(value, dict):
        return {name: as_places(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_places(each) for each in value]
    return os.path.realpath(value) if isinstance(value, Path) else value
