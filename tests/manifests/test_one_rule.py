"""One table means the same requests, whatever program wrote it, in whatever format, and from Python."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifests import given as an_input
from manifests import workflow

from opus_async.manifests import open_manifest
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.blanks import carries_nothing
from opus_async.opus.protocol.payload import bind

Row = Mapping[str, Any]
WORKFLOW = workflow(
    an_input("Text"),
    an_input("Id"),
    an_input("Number", "float"),
    an_input("Count", "int"),
    an_input("Day", "date"),
    an_input("Flag", "bool"),
)
COLUMNS = tuple(field.display_name for field in WORKFLOW.inputs.values())
BINDING = Binding(WORKFLOW)
WRITERS: dict[str, tuple[tuple[str, ...], Callable[[Sequence[Row], Path], object]]] = {}

BLANKS = ("", " ", "\u00a0", "\u3000\u200b")
texts = st.text(
    st.characters(categories=("L", "Nd"), max_codepoint=0x1F6FF) | st.sampled_from(" -_.,;|'\"/é中😀"),
    min_size=1,
).filter(lambda text: text == text.strip() and any(letter.isalnum() for letter in text))
numbers = st.integers(-(10**9), 10**9).map(lambda number: number / 1000)
table = st.lists(
    st.fixed_dictionaries(
        {
            "Text": texts | st.sampled_from(["007", "1e5", "TRUE", "1.0", "2025-11-09", "N/A x", *BLANKS]),
            "Id": st.none() | st.integers(0, 10**15 - 1),
            "Number": st.none() | numbers,
            "Count": st.none() | st.integers(-(2**53), 2**53),
            "Day": st.none() | st.dates(min_value=date(1900, 3, 1)),
            "Flag": st.none() | st.booleans(),
        }
    ),
    min_size=1,
    max_size=5,
)


def writer(suffix: str, *needs: str):
    """Note a writer of a format under its own name, and what it needs to be installed."""

    def noted(write):
        WRITERS[f"{write.__name__}.{suffix}"] = needs, write
        return write

    return noted


@writer("csv")
def plain(rows, path):
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.DictWriter(file, COLUMNS)
        lines.writeheader()
        lines.writerows(rows)


@writer("jsonl")
def json_module(rows, path):
    path.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))


@writer("json")
def json_array(rows, path):
    path.write_text(json.dumps(rows, default=str, ensure_ascii=False, indent=2), encoding="utf-8")


@writer("xlsx", "openpyxl")
def openpyxl(rows, path):
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(COLUMNS)
    for row in rows:
        book.active.append([row[name] for name in COLUMNS])
    book.save(path)


@writer("xlsx", "xlsxwriter")
def xlsxwriter(rows, path):
    from xlsxwriter import Workbook

    with Workbook(path, {"strings_to_urls": False, "default_date_format": "dd/mm/yyyy"}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, COLUMNS)
        for place, row in enumerate(rows, 1):
            sheet.write_row(place, 0, [row[name] for name in COLUMNS])


@writer("parquet", "pyarrow")
def pyarrow(rows, path):
    import pyarrow.parquet as pq

    pq.write_table(arrow_table(rows), path)


def arrow_table(rows):
    import pyarrow as pa

    types = (pa.string(), pa.int64(), pa.float64(), pa.int64(), pa.date32(), pa.bool_())
    return pa.Table.from_pylist(list(rows), pa.schema(list(zip(COLUMNS, types, strict=True))))


def frame(rows):
    import pandas as pd

    return pd.DataFrame(rows, columns=COLUMNS).astype(
        {"Id": "Int64", "Count": "Int64", "Number": "Float64", "Flag": "boolean"}
    )


@writer("csv", "pandas")
def pandas(rows, path):
    frame(rows).to_csv(path, index=False)


@writer("jsonl", "pandas")
def pandas_json(rows, path):
    frame([{**row, "Day": row["Day"] and row["Day"].isoformat()} for row in rows]).to_json(
        path, orient="records", lines=True
    )


@writer("xlsx", "pandas", "openpyxl")
def pandas_excel(rows, path):
    frame(rows).to_excel(path, index=False)


@writer("parquet", "pandas", "pyarrow")
def pandas_parquet(rows, path):
    frame(rows).to_parquet(path)


@writer("parquet", "pandas", "pyarrow")
def pandas_parquet_of_floats(rows, path):
    frame(rows).astype({"Id": float}).to_parquet(path)  # what pandas makes of ids where one is missing


def polars_frame(rows):
    import polars as pl

    types = (pl.String, pl.Int64, pl.Float64, pl.Int64, pl.Date, pl.Boolean)
    return pl.DataFrame(list(rows), schema=dict(zip(COLUMNS, types, strict=True)))


@writer("csv", "polars")
def polars(rows, path):
    polars_frame(rows).write_csv(path)


@writer("ndjson", "polars")
def polars_json(rows, path):
    polars_frame(rows).write_ndjson(path)


@writer("xlsx", "polars", "xlsxwriter")
def polars_excel(rows, path):
    import polars as pl

    polars_frame(rows).write_excel(path, dtype_formats={pl.Int64: "0"})


@writer("parquet", "polars")
def polars_parquet(rows, path):
    polars_frame(rows).write_parquet(path)


def duckdb_copy(rows, path, how):
    import duckdb

    with duckdb.connect() as base:
        base.register("given", arrow_table(rows))
        base.execute(f"COPY (SELECT * FROM given) TO '{path}' ({how})")


@writer("csv", "duckdb", "pyarrow")
def duckdb(rows, path):
    duckdb_copy(rows, path, "FORMAT csv, HEADER")


@writer("jsonl", "duckdb", "pyarrow")
def duckdb_json(rows, path):
    duckdb_copy(rows, path, "FORMAT json")


@writer("parquet", "duckdb", "pyarrow")
def duckdb_parquet(rows, path):
    duckdb_copy(rows, path, "FORMAT parquet")


def payload(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are sent for inputs, by display name."""
    sent = bind(WORKFLOW, inputs, inspect=None, max_file_bytes=1).payload([])
    return {WORKFLOW.inputs[name].display_name: entry["value"] for name, entry in sent.items()}


def requests(path: Path) -> list[dict[str, Any]]:
    """The values that the rows of a manifest send."""
    options = {"delimiter": ","} if path.suffix == ".csv" else {}
    found = []
    for record in open_manifest(path, **options).records():
        assert not record.unreadable
        cells = BINDING.expand_globs(record.cells, path.parent)
        found.append(payload(BINDING.request(cells, index=record.index, key="k", base=path.parent).inputs))
    return found


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=table)
def test_one_rule_makes_the_same_requests_of_every_format(tmp_path_factory, name, rows):
    needs, write = WRITERS[name]
    if not all(map(find_spec, needs)):
        pytest.skip(f"needs {', '.join(needs)}")
    path = tmp_path_factory.mktemp("table") / f"table.{name.rpartition('.')[2]}"
    write(rows, path)
    filled = [{column: value for column, value in row.items() if not carries_nothing(value)} for row in rows]
    wanted = [payload(row) for row in filled if row]
    assert requests(path) == wanted
    for one in wanted:
        assert one.get("Id") is None or one["Id"].isdigit()
        assert one.get("Number") is None or math.isfinite(one["Number"])
