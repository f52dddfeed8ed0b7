"""JSON, one object on each line; also what an earlier batch left in ``failures.jsonl``."""

from __future__ import annotations

import codecs
import contextlib
import json
import tracemalloc

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from manifests import manifest_in, problems, rows

from opus_async.errors import ManifestError
from opus_async.manifests import open_manifest
from opus_async.manifests.blanks import carries_nothing
from opus_async.manifests.readers import json_array, jsonl_file, text_lines


@pytest.fixture
def lines(tmp_path):
    def opened(content: bytes | str, name: str = "orders.jsonl", **options):
        return manifest_in(tmp_path / name, content, **options)

    return opened


def test_jsonl_rows_may_differ_and_hold_any_json(lines):
    manifest = lines(
        '{"key": "1", "n": 1, "x": [1, {"a": null}]}\r\n\n  {"key": "2", "ok": true, "o": {}} \n'
    )
    assert manifest.columns is None
    assert [(record.index, record.where, dict(record.cells)) for record in manifest.records()] == [
        (0, "line 1", {"key": "1", "n": 1, "x": [1, {"a": None}]}),
        (1, "line 3", {"key": "2", "ok": True, "o": {}}),
    ]


def test_jsonl_fields_that_are_null_or_look_blank_are_empty(lines):
    line = '{"a": null, "b": "", "c": 0, "d": false, "e": " \\u200b", "f": []}\n'
    assert rows(lines(line)) == [{"c": 0, "d": False, "f": []}]


def test_jsonl_keeps_integers_exact(lines):
    huge = 10**400 + 7
    read = rows(lines(f'{{"a": {huge}, "b": 9007199254740993, "c": 1.5, "d": 1e3}}'))[0]
    assert read == {"a": huge, "b": 9007199254740993, "c": 1.5, "d": 1000.0}
    assert type(read["b"]) is int


def test_jsonl_reads_opus_field_as_past_of_row(lines):
    past = {"index": 4, "job_id": "j-1", "status": "FAILED", "error": "x", "stage": "watch"}
    manifest = lines(
        json.dumps({"key": "1", "_opus": past}) + '\n{"key": "2"}\n{"key": "3", "_opus": null}\n'
    )
    assert [(dict(record.cells), record.past) for record in manifest.records()] == [
        ({"key": "1"}, past),
        ({"key": "2"}, None),
        ({"key": "3"}, None),
    ]


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE])
def test_jsonl_accepts_byte_order_mark(lines, mark):
    encoding = "utf-8" if mark == codecs.BOM_UTF8 else "utf-16-le"
    assert rows(lines(mark + '{"a": "ж"}\n{"a": "😀"}\n'.encode(encoding))) == [{"a": "ж"}, {"a": "😀"}]


def test_jsonl_encoding_can_be_named(lines):
    content = '{"a": "é"}\n'.encode("cp1252")
    with pytest.raises(ManifestError, match="line 1, column 8: byte 0xE9 is not UTF-8"):
        lines(content)
    assert rows(lines(content, encoding="cp1252")) == [{"a": "é"}]


def test_jsonl_reports_line_of_invalid_byte_deep_in_file(lines):
    manifest = lines(
        b'{"a": "' + b"x" * 100 + b'"}\n' + (b'{"a": "' + b"b" * 200 + b'"}\n') * 10_000 + b'{"a": "\xe9"}\n'
    )
    with pytest.raises(ManifestError, match="line 10002, column 8: byte 0xE9 is not UTF-8"):
        list(manifest.records())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"n": 9007199254740993.0}', "more digits than a number keeps: write it as text"),
        ("[1]", "each line holds one"),
        ('"text"', "each line holds one"),
        ('{"a": 1, "a": 2}', "the field 'a' stands there twice"),
        ('{"a": {"b": 1, "b": 1}}', "the field 'b' stands there twice"),
        ('{"a": NaN}', "NaN is no JSON"),
        ('{"a": -Infinity}', "-Infinity is no JSON"),
        ('{"a": 1e999}', "1e999 is too large a number"),
        ('{"a": ' + "1" * 5000 + "}", "an integer of thousands of digits"),
        ('{"a": ' + "[" * 100_000 + "}", "nested too deep"),
        ('{"a": "\\ud800"}', "half of a surrogate pair"),
        ('{"": 1}', "a field has an empty name"),
        ('{"_opus": "x"}', "'_opus' is reserved"),
        ('{"a": 1', "does not end on this line"),
        ("{", "does not end on this line"),
        ('{"a": 1,}', "no JSON at column 9"),
        ("{'a': 1}", "no JSON at column 2"),
        ("{'a': 1}", "Python's own notation"),
        ('{"a": True}', "Python's own notation"),
        ('{"a": 1} {"a": 2}', "a second object stands on this line"),
        ('{"a": 1}, {"a": 2}', "a second object stands on this line"),
        ('{"a": 1}\r{"a": 2}', "a line end that is a CR alone"),
        ('{"a": 1},', "a comma stands before or behind the object"),
        (', {"a": 1}', "a comma stands before or behind the object"),
        ('{"a": 9007199254740993.0}', "more digits than a number keeps"),
    ],
)
def test_jsonl_reports_refused_line_and_reads_the_others(lines, line, told):
    manifest = lines(f'{{"a": 0}}\n{line}\n{{"a": 2}}\n')
    read = [(record.index, record.where) for record in manifest.records() if not record.unreadable]
    assert read == [(0, "line 1"), (2, "line 3")]
    (problem,) = problems(manifest)
    assert problem.startswith("line 2: ")
    assert told in problem


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("NaN", "NaN is no JSON"),
        ('[1, {"x": Infinity}]', "Infinity is no JSON"),
        ("1e999", "too large a number"),
        ("9" * 5000, "an integer of thousands of digits"),
        ('"\\udead"', "half of a surrogate pair"),
        ('{"b": 1, "b": 1}', "the field 'b' stands there twice"),
        ('1, "Junk": 2', "the field 'Junk' stands there twice"),
    ],
)
def test_jsonl_value_that_is_refused_is_that_of_its_field(lines, value, told):
    (record,) = lines(f'{{"Text": "a", "Junk": {value}, "n": 1.5}}\n').records()
    assert dict(record.cells) == {"Text": "a", "n": 1.5}
    (cell,) = record.unreadable
    assert cell.column == "Junk"
    assert told in cell.problem


@pytest.mark.parametrize(
    "nothing", ["{}", '{"a": null}', '{"a": " \u200b"}', '{"a": [], "b": {"c": ""}}', "\u3000"]
)
def test_jsonl_object_that_carries_nothing_is_no_row(lines, nothing):
    manifest = lines(f'{{"a": 0}}\n{nothing}\n{{"a": false}}\n\x1a')
    assert [(record.index, record.where) for record in manifest.records()] == [(0, "line 1"), (1, "line 3")]


def test_jsonl_null_beside_what_a_batch_wrote_is_a_cell_that_was_lost(lines):
    manifest = lines('{"Text": "a", "Number": null, "_opus": {"status": "FAILED"}}\n')
    (record,) = manifest.records()
    assert [cell.column for cell in record.unreadable] == ["Number"]
    assert "could not be read in the manifest that this line comes from" in problems(manifest)[0]


def test_jsonl_reads_lines_that_end_in_cr_alone(lines):
    manifest = lines('{"a": 1}\r{"a": 2}\r')
    assert rows(manifest) == [{"a": 1}, {"a": 2}]
    assert manifest.warnings == ["its line ends are CR alone, as on old Macs"]


# One array of objects


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("name", ["orders.json", "orders.jsonl"])
def test_json_array_is_read_object_by_object(lines, indent, name):
    written = [{"a": 1, "b": [1, {"c": ', "]}'}]}, {"a": "é\\\\"}, {}, {"a": '\\"'}]
    manifest = lines(json.dumps(written, indent=indent), name=name)
    assert rows(manifest) == [row for row in written if row]
    assert manifest.columns is None


def test_json_array_names_rows_by_place_and_line(lines):
    manifest = lines('[\n {"a": 1},\n\n {"a": NaN}, {"a"\n: 2},\n {"a": 3],\n {"a": 4}\n,]\n')
    read = [(record.where, dict(record.cells)) for record in manifest.records() if not record.unreadable]
    assert read == [
        ("row 1 (line 2)", {"a": 1}),
        ("row 3 (line 4)", {"a": 2}),
        ("row 5 (line 7)", {"a": 4}),
    ]
    assert [told.partition(": ")[0] for told in problems(manifest)] == ["row 2 (line 4)", "row 4 (line 6)"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('[{"a": 1}', "the array does not end"),
        ('[{"a": "1}]', "the array does not end"),
        ('[{"a": 1}]\n[{"a": 2}]\n', "stands behind the end of the array"),
        ('[{"a": 1}] x', "'x' stands behind the end of the array"),
        ("[1]", "is no JSON object"),
        ('["Text"]\n["a"]\n', "is no JSON object"),
    ],
)
def test_json_array_that_is_none_is_refused(lines, content, told):
    assert told in problems(lines(content))[0] + problems(lines(content))[-1]


def test_json_array_may_be_empty(lines):
    assert rows(lines(" [\n] ")) == []


def test_json_array_reads_strings_cut_anywhere(lines, monkeypatch):
    written = [{"a": 'x\\"],[{', "b": ["\\\\", "é"]}, {"a": "y"}]
    for size in range(1, 12):
        monkeypatch.setattr(json_array, "_CHUNK", size)
        assert rows(lines(json.dumps(written))) == written


def test_json_array_limits_size_of_an_object(lines, monkeypatch):
    monkeypatch.setattr(jsonl_file, "LONGEST_LINE", 40)
    long = '\n{"a": "' + r"[},\"\\" * 10 + '",\n "b": [1, {}, 2]}\n'
    for size in (3, 1 << 16):
        monkeypatch.setattr(json_array, "_CHUNK", size)
        manifest = lines(f'[{{"a": 1}},{long}, {{"a": 2}},{long}]')
        assert rows(manifest) == [{"a": 1}, {}, {"a": 2}, {}]
        assert [told.split(" ch")[0] for told in problems(manifest)] == [
            "row 2 (line 2): an object of more than 40",
            "row 4 (line 5): an object of more than 40",
        ]


def test_json_array_with_object_whose_end_is_too_far_is_refused(lines, monkeypatch):
    monkeypatch.setattr(jsonl_file, "LONGEST_LINE", 40)
    monkeypatch.setattr(json_array, "FARTHEST", 1_000)
    monkeypatch.setattr(json_array, "_CHUNK", 100)
    with pytest.raises(ManifestError, match=r"orders.jsonl, line 2: an object of more than 40 characters"):
        list(lines('[{"a": 1},\n{"a": "' + "x" * 2_000 + '"}]').records())


def test_jsonl_line_too_long_is_one_bad_row(lines, monkeypatch):
    monkeypatch.setattr(jsonl_file, "LONGEST_LINE", 40)
    for size in (7, 1 << 20):
        monkeypatch.setattr(text_lines, "_PIECE", size)
        for end in ("\n", "\r\n", "\r"):
            long = '{"a": "' + "x" * 40 + '"}'
            manifest = lines(end.join(['{"a": 1}', long, "", '{"a": 2}', long]))
            assert rows(manifest) == [{"a": 1}, {}, {"a": 2}, {}]
            assert [told.split(" ch")[0] for told in problems(manifest)] == [
                "line 2: a row of more than 40",
                "line 5: a row of more than 40",
            ]


@pytest.mark.parametrize("damaged", ['{"a": "x\0"}', "\0" * 4096, '{"a": 5\0\0\0'])
@pytest.mark.parametrize("first", [True, False])
def test_jsonl_zero_byte_is_one_bad_row(lines, damaged, first):
    content = [damaged, '{"a": 1}', '{"a": 2}'] if first else ['{"a": 1}', '{"a": 2}', damaged]
    if first and not damaged.startswith("{"):
        return  # begins with no object
    manifest = lines("\n".join(content))
    assert [row for row in rows(manifest) if row] == [{"a": 1}, {"a": 2}]
    (told,) = problems(manifest)
    assert told.startswith(f"line {1 if first else 3}: a zero byte")


def test_jsonl_of_utf16_without_mark_is_asked_about(lines):
    with pytest.raises(ManifestError, match="--encoding utf-16-le"):
        lines('{"a": "b"}\n'.encode("utf-16-le"))


def test_json_array_is_read_in_constant_memory(lines):
    many = 20_000
    manifest = lines("[" + ",".join(f'{{"key": "k{number}", "n": {number}}}' for number in range(many)) + "]")
    assert manifest.estimated_rows() == pytest.approx(many, rel=0.1)
    tracemalloc.start()
    try:
        count = sum(1 for _ in manifest.records())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == many
    assert peak < 1_000_000


def test_jsonl_joins_surrogate_pair(lines):
    assert rows(lines('{"a": "\\ud83d\\ude00", "b": "\\\\ud800"}')) == [{"a": "😀", "b": "\\ud800"}]


def test_jsonl_refuses_object_over_several_lines(lines):
    assert "without line breaks" in problems(lines(json.dumps({"a": 1}, indent=1)))[0]


@pytest.mark.parametrize("content", ["\n \n", "\ufeff"])
def test_jsonl_refuses_empty_file(lines, content):
    with pytest.raises(ManifestError, match="is empty"):
        lines(content)


values = st.recursive(
    st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(
    written=st.lists(
        st.dictionaries(st.text(min_size=1, max_size=5), values, max_size=4), min_size=1, max_size=5
    ),
    plain=st.booleans(),
)
@example(written=[{"\u2028": "\x85\r"}], plain=False)
@example(written=[{"a": "\0", "b": 1}], plain=True)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_jsonl_round_trips_what_json_module_writes_but_for_texts_with_a_zero_byte(tmp_path, written, plain):
    written = [{name: value for name, value in row.items() if name != "_opus"} for row in written]
    path = tmp_path / "written.jsonl"
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=plain) + "\n" for row in written), "utf-8", newline=""
    )
    filled = [row for row in written if not carries_nothing(row)]
    texts = [{name: value for name, value in row.items() if isinstance(value, str)} for row in filled]
    damaged = [{name for name, text in row.items() if "\0" in text} for row in texts]
    blank = [{name for name, text in row.items() if carries_nothing(text)} for row in texts]
    read = list(open_manifest(path).records())
    assert [{part.column for part in record.unreadable} for record in read] == damaged
    assert [dict(record.cells) for record in read] == [
        {name: value for name, value in row.items() if name not in bad | empty}
        for row, bad, empty in zip(filled, damaged, blank, strict=True)
    ]


@given(content=st.binary(max_size=200).map(lambda content: b"{" + content))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_jsonl_reads_or_refuses_any_bytes(tmp_path, content):
    with contextlib.suppress(ManifestError):
        for record in manifest_in(tmp_path / "anything.jsonl", content).records():
            assert isinstance(record.cells, dict)


@pytest.mark.parametrize("many", [20_000, pytest.param(50_000, marks=pytest.mark.long)])
def test_jsonl_reads_50000_rows_in_constant_memory(lines, many):
    manifest = lines("".join(f'{{"key": "k{number}", "n": {number}}}\n' for number in range(many)))
    assert manifest.estimated_rows() == pytest.approx(many, rel=0.1)
    tracemalloc.start()
    try:
        count = sum(1 for _ in manifest.records())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == many
    assert peak < 300_000


def test_jsonl_zero_character_is_a_bad_field(lines):
    manifest = lines('{"a": "x\\u0000", "b": 1}\n{"a": "\\u0000"}\n{"a": "y"}\n')
    assert rows(manifest) == [{"b": 1}, {}, {"a": "y"}]
    assert [told[:31] for told in problems(manifest)] == [
        "line 1: column 'a': a zero byte",
        "line 2: column 'a': a zero byte",
    ]
