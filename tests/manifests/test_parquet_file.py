"""Parquet files, as other programs write them."""

from __future__ import annotations

import struct
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifests import rows

from opus_async.errors import ManifestError
from opus_async.manifests import open_manifest
from opus_async.manifests.readers import parquet_bounds
from opus_async.manifests.readers.arrow_values import converter

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def table(tmp_path):
    def opened(columns, **options):
        path = tmp_path / "orders.parquet"
        pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path, **options)
        return open_manifest(path)

    return opened


def test_parquet_keeps_value_types(table):
    manifest = table(
        {
            "text": ["x", None, "007"],
            "large": pa.array(["x", None, ""], pa.large_string()),
            "coded": pa.array(["a", None, "b"]).dictionary_encode(),
            "whole": pa.array([2**64 - 1, None, 0], pa.uint64()),
            "part": [1.5, None, 3.0],
            "yes": [True, None, False],
            "price": pa.array([Decimal("1.50"), None, Decimal("-0.10")], pa.decimal128(9, 2)),
            "day": [date(2024, 5, 1), None, date(1, 1, 1)],
            "at": pa.array([1_714_521_600_123_456_789, None, 0], pa.timestamp("ns")),
            "in": pa.array([1_714_521_600, None, 0], pa.timestamp("s", tz="UTC")),
            "hour": pa.array([3_600_000, None, 0], pa.time32("ms")),
            "none": pa.nulls(3),
        }
    )
    assert manifest.kind == "parquet"
    assert manifest.columns is not None
    assert manifest.columns[:2] == ("text", "large")
    assert manifest.estimated_rows() == 3
    read = list(manifest.records())
    assert [(record.index, record.where) for record in read] == [(0, "row 1"), (1, "row 3")]
    assert read[0].cells == {
        "text": "x",
        "large": "x",
        "coded": "a",
        "whole": 2**64 - 1,
        "part": 1.5,
        "yes": True,
        "price": Decimal("1.50"),
        "day": date(2024, 5, 1),
        "at": datetime(2024, 5, 1, 0, 0, 0, 123456),  # noqa: DTZ001 - the column has no zone
        "in": datetime(2024, 5, 1, tzinfo=UTC),
        "hour": "01:00:00",
    }
    assert "large" not in read[1].cells
    assert read[1].cells["text"] == "007"


def test_parquet_converts_nested_values_to_json(table):
    inner = pa.struct([("n", pa.int64()), ("at", pa.timestamp("ns")), ("price", pa.decimal128(30, 3))])
    columns = pa.table(
        {
            "list": pa.array([[1.5, None], []], pa.list_(pa.float64())),
            "struct": pa.array([{"n": 1, "at": 0, "price": Decimal("2.500")}, None], inner),
            "map": pa.array([[("k", [date(2024, 5, 1)])], None], pa.map_(pa.string(), pa.list_(pa.date32()))),
            "deep": pa.array([[{"n": None, "at": None, "price": Decimal("7.000")}], None], pa.list_(inner)),
            "exact": pa.array([[Decimal("123456789012345678.125")], None], pa.list_(pa.decimal128(30, 3))),
        }
    )
    assert rows(table(columns)) == [
        {
            "list": [1.5, None],
            "struct": {"n": 1, "at": "1970-01-01T00:00:00", "price": 2.5},
            "map": {"k": ["2024-05-01"]},
            "deep": [{"n": None, "at": None, "price": 7}],
            "exact": ["123456789012345678.125"],
        }
    ]


TEXTS = {
    "large": pa.large_string(),
    "view": pa.string_view(),
    "coded": pa.dictionary(pa.int8(), pa.string()),
    "coded large": pa.dictionary(pa.int32(), pa.large_string()),
}


@pytest.mark.parametrize("kind", TEXTS.values(), ids=TEXTS)
def test_parquet_reads_text_of_every_type(table, kind):
    texts = pa.array(["é", None, "007"]).cast(kind)
    nested = (
        pa.array([["é"], None, []], pa.list_(pa.string())).cast(pa.list_(kind))
        if "view" in str(kind)
        else None
    )
    columns = {"key": ["1", "2", "3"], "text": texts, **({} if nested is None else {"nested": nested})}
    read = rows(table(columns))
    assert [row.get("text") for row in read] == ["é", None, "007"]
    assert nested is None or [row.get("nested") for row in read] == [["é"], None, []]


def test_parquet_reads_small_floats_in_their_shortest_form(table):
    singles = [0.1, 3.4028234663852886e38, 1.401298464324817e-45, 16777216.0, -2.5]
    read = rows(
        table({"n": pa.array(singles, pa.float32()), "l": pa.array([[0.1]] * 5, pa.list_(pa.float32()))})
    )
    assert [row["n"] for row in read] == [0.1, 3.4028235e38, 1e-45, 16777216.0, -2.5]
    assert read[0]["l"] == [0.1]
    assert rows(table({"n": pa.array([0.1, 65504.0], pa.float16())})) == [{"n": 0.1}, {"n": 65504.0}]


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_parquet_float32_in_shortest_form_is_the_same_float32(value):
    convert = converter(pa, pa.float32())
    shown = convert(value)
    assert struct.unpack("f", struct.pack("f", shown))[0] == value
    if value.is_integer() and abs(value) < 2**53:
        assert shown == value
    assert _digits(shown) <= _digits(value)


def _digits(value):
    return len(Decimal(repr(value)).normalize().as_tuple().digits)


def test_parquet_reads_uuid_and_json_of_duckdb(table):
    ids = pa.array([UUID(int=7).bytes], pa.uuid())
    read = rows(table({"u": ids, "j": pa.array(['{"a": 1}'], pa.json_())}))
    assert read == [{"u": str(UUID(int=7)), "j": '{"a": 1}'}]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"x"]),
        pa.array([1], pa.duration("s")),
        pa.array([[b"x"]]),
        pa.array([{"a": b"x"}]),
        pa.array([[(1, "x")]], pa.map_(pa.int64(), pa.string())),
    ],
)
def test_parquet_refuses_cells_of_unsupported_type_and_reads_the_others(table, column):
    twice = pa.chunked_array([column, pa.nulls(1, column.type)])
    first, second = table({"key": ["1", "2"], "blob": twice}).records()
    (bad,) = first.unreadable
    assert (first.cells, bad.column) == ({"key": "1"}, "blob")
    assert "no input can take the type" in bad.problem
    assert "dictionary" not in bad.problem
    assert (second.cells, second.unreadable) == ({"key": "2"}, ())


def test_parquet_reports_unusable_cells_and_reads_the_others(table):
    doubled = pa.array([None, [("k", 1), ("k", 2)], None, None], pa.map_(pa.string(), pa.int64()))
    read = list(
        table(
            {"key": ["1", "2", "3", "4"], "n": [float("nan"), 1.0, 2.0, float("inf")], "m": doubled}
        ).records()
    )
    assert [(record.index, dict(record.cells)) for record in read] == [
        (0, {"key": "1"}),
        (1, {"key": "2", "n": 1.0}),
        (2, {"key": "3", "n": 2.0}),
        (3, {"key": "4"}),
    ]
    told = [[(bad.column, bad.problem) for bad in record.unreadable] for record in read]
    assert "the value is nan" in told[0][0][1]
    assert told[1][0][0] == "m"
    assert "same key twice" in told[1][0][1]
    assert told[2] == []
    assert "the value is inf" in told[3][0][1]


def test_parquet_reports_timestamp_beyond_calendar_and_reads_the_others(table):
    moments = pa.array([0, 400_000_000_000_000_000, 0], pa.timestamp("us"))
    read = list(table({"key": ["1", "2", "3"], "at": moments}).records())
    assert [len(record.unreadable) for record in read] == [0, 1, 0]
    assert "between the years 1 and 9999" in read[1].unreadable[0].problem
    assert read[1].cells == {"key": "2"}


def test_parquet_refuses_duplicate_or_empty_column_names(table):
    with pytest.raises(ManifestError, match="the name 'a' twice"):
        table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))
    with pytest.raises(ManifestError, match="a column without a name"):
        table({"": [1]})


def test_parquet_refuses_truncated_file(table, tmp_path):
    table({"key": ["1"]})
    whole = (tmp_path / "orders.parquet").read_bytes()
    (tmp_path / "orders.parquet").write_bytes(whole[:-20])
    with pytest.raises(ManifestError, match="damaged or cut off"):
        open_manifest(tmp_path / "orders.parquet")


def test_parquet_reports_damage_inside_file(table, tmp_path):
    table({"key": [f"key {number}" for number in range(1000)]}, compression="gzip")
    path = tmp_path / "orders.parquet"
    content = bytearray(path.read_bytes())
    content[100:400] = bytes(300)
    path.write_bytes(content)
    manifest = open_manifest(path)
    with pytest.raises(ManifestError, match=r"orders\.parquet"):
        list(manifest.records())


def test_parquet_reports_file_changed_while_reading(table, tmp_path):
    manifest = table({"key": ["1", "2"]})
    records = manifest.records()
    next(records)
    with (tmp_path / "orders.parquet").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ManifestError, match="was changed"):
        list(records)
    manifest = table({"key": ["1", "2"]})
    next(manifest.records())  # abandoned: the fixture looks for descriptors


def test_parquet_reads_row_groups_in_order(table):
    manifest = table({"n": list(range(20_000))}, row_group_size=3_000)
    assert [record.cells["n"] for record in manifest.records()] == list(range(20_000))


def test_parquet_without_pyarrow_names_the_extra(table, tmp_path, monkeypatch):
    table({"key": ["1"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ManifestError, match=r"pip install 'opus-async\[parquet\]'"):
        open_manifest(tmp_path / "orders.parquet")


@pytest.mark.parametrize("name", ["list_view", "large_list_view", "large_list"])
def test_parquet_reads_lists_however_they_are_stored(table, name):
    kind = getattr(pa, name, None)
    if kind is None:
        pytest.skip(f"this pyarrow has no {name}")
    values = [["a", "b"], None, [None], []]
    column = pa.array(values, kind(pa.string_view() if hasattr(pa, "string_view") else pa.string()))
    read = rows(table({"n": [1, 2, 3, 4], "list": column}))
    assert read == [{"n": 1, "list": ["a", "b"]}, {"n": 2}, {"n": 3, "list": [None]}, {"n": 4, "list": []}]


@pytest.mark.parametrize("coded", [False, True])
def test_parquet_value_too_large_is_a_bad_cell_of_its_column(table, monkeypatch, coded):
    monkeypatch.setattr(parquet_bounds, "LARGEST_ROW", 100)
    monkeypatch.setattr(parquet_bounds, "_PORTION", 100)
    texts = pa.array(["a", "b" * 101, "c", "d" * 80])
    columns = {
        "text": texts.dictionary_encode() if coded else texts,
        "list": [[1], [2], [3] * 100, [4] * 3],
        "n": [1, 2, 3, 4],
        "none": pa.array([b"x", None, b"y", None]),
    }
    read = list(table(columns).records())
    assert [record.cells for record in read] == [
        {"text": "a", "list": [1], "n": 1},
        {"list": [2], "n": 2},
        {"text": "c", "n": 3},
        {"list": [4, 4, 4], "n": 4},
    ]
    bad = [[part.column for part in record.unreadable] for record in read]
    assert bad == [["none"], ["text"], ["list", "none"], ["text"]]
    assert "longer ones belong into files" in read[1].unreadable[0].problem
