"""Tables in text, as spreadsheets, databases and people write them."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from manifests import manifest_in, problems, rows

from opus_async.errors import ManifestError
from opus_async.manifests import open_manifest
from opus_async.manifests.blanks import all_blank, looks_blank
from opus_async.manifests.readers import csv_field_limit, csv_rows, text_lines


@pytest.fixture
def table(tmp_path):
    def opened(content: bytes | str, name: str = "orders.csv", **options):
        return manifest_in(tmp_path / name, content, **options)

    return opened


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_csv_reads_any_line_ending_and_byte_order_mark(table, end, mark):
    manifest = table(mark + end.join(["key,Text", '1,"two', 'lines"', "", "2,x"]))
    assert manifest.columns == ("key", "Text")
    assert rows(manifest) == [{"key": "1", "Text": f"two{end}lines"}, {"key": "2", "Text": "x"}]
    assert [record.where for record in manifest.records()] == ["line 2", "line 5"]
    assert [record.index for record in manifest.records()] == [0, 1]
    assert manifest.warnings == []


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_csv_dialect_detects_delimiter_and_warns(table, delimiter):
    manifest = table(delimiter.join(["key", "Text"]) + f"\n1{delimiter}2,5\n2{delimiter}3,5\n")
    assert rows(manifest) == [{"key": "1", "Text": "2,5"}, {"key": "2", "Text": "3,5"}]
    assert manifest.warnings == [f"cells are separated by {delimiter!r}"]


def test_csv_dialect_ignores_delimiters_inside_cells(table):
    content = 'file,note\n"a.pdf; b.pdf",x|y\n"c.pdf;d.pdf",x|y\n'
    assert rows(table(content))[0] == {"file": "a.pdf; b.pdf", "note": "x|y"}


def test_csv_dialect_uses_rows_if_header_is_ambiguous(table):
    manifest = table("Name, first;City\nMeier;Bern\nMoser;Biel\n")
    assert manifest.columns == ("Name, first", "City")


def test_csv_dialect_asks_for_delimiter_if_ambiguous(table):
    content = "Name, first;City, canton\nA, B;C, D\n"
    with pytest.raises(ManifestError, match="--delimiter"):
        table("a;b, c\n1;2, 3\n")
    assert table("a;b, c\n1;2, 3\n", delimiter=";").columns == ("a", "b, c")
    assert table(content, delimiter=",").columns == ("Name", "first;City", "canton")


def test_csv_dialect_uses_quotes_to_choose_delimiter(table):
    assert table('"Name, first";Age\n"Meier, Hans";5\n').columns == ("Name, first", "Age")


def test_csv_dialect_needs_no_delimiter_for_single_column(table):
    assert rows(table("Text\nhello\nworld\n")) == [{"Text": "hello"}, {"Text": "world"}]


def test_csv_dialect_of_tsv_file_is_tab(table):
    manifest = table("a;b\tc,d\n1;2\t3,4\n", name="orders.tsv")
    assert rows(manifest) == [{"a;b": "1;2", "c,d": "3,4"}]
    assert manifest.warnings == []


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"'])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_csv_dialect_takes_delimiter_from_excel_sep_line(table, line, mark):
    manifest = table(f"{mark}{line}\r\na;b,c\r\n1;2\r\n")
    assert [(record.where, dict(record.cells)) for record in manifest.records()] == [
        ("line 3", {"a": "1", "b,c": "2"})
    ]


@pytest.mark.parametrize("word", ["tab", "\\t", "TAB", "\t"])
def test_csv_dialect_accepts_delimiter_named_tab(table, word):
    assert table("a\tb\n1\t2\n", delimiter=word).columns == ("a", "b")


@pytest.mark.parametrize("word", ["", '"', "\n", ";;"])
def test_csv_dialect_refuses_invalid_delimiter(table, word):
    with pytest.raises(ManifestError, match="cannot separate cells"):
        table("a;b\n1;2\n", delimiter=word)


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-32-le", codecs.BOM_UTF32_LE),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_csv_encoding_reads_unicode_detected_or_named(table, encoding, mark, named):
    options = {"encoding": encoding} if named else {}
    manifest = table(mark + '"Größe, x",Text\n"ж",😀\n'.encode(encoding), **options)
    assert rows(manifest) == [{"Größe, x": "ж", "Text": "😀"}]
    assert manifest.warnings == []


def test_csv_encoding_option_overrides_detection(table):
    manifest = table("Имя;Цена\nж;5\n".encode("cp1251"), encoding="cp1251")
    assert rows(manifest) == [{"Имя": "ж", "Цена": "5"}]


@pytest.mark.parametrize("encoding", ["utf-9", "base64"])
def test_csv_encoding_option_refuses_unknown_encoding(table, encoding):
    with pytest.raises(ManifestError, match="there is no encoding"):
        table("a,b\n1,2\n", encoding=encoding)


@pytest.mark.parametrize("content", [b"a,\x00\n1,2\n", "a,b\n1,2\n".encode("utf-16-le")])
def test_csv_encoding_refuses_zero_bytes_in_names_of_columns(table, content):
    with pytest.raises(ManifestError, match="zero bytes"):
        table(content)


def test_csv_zero_byte_is_a_bad_cell_of_its_column(table):
    manifest = table("a,b\n1,2\n\0,x\n3,4\0\n5,6\n")
    assert rows(manifest) == [{"a": "1", "b": "2"}, {"b": "x"}, {"a": "3"}, {"a": "5", "b": "6"}]
    bad = [part for record in manifest.records() for part in record.unreadable]
    assert [part.column for part in bad] == ["a", "b"]
    assert all("a zero byte; the file is damaged" in part.problem for part in bad)


@pytest.mark.parametrize("tail", ["\0" * 4096, "\0" * 4096 + "\n", '"x' + "\0" * 9, "\n\n\0"])
@pytest.mark.parametrize("header", ["a", "a,b"])
def test_csv_zero_bytes_at_the_end_are_a_bad_row(table, header, tail):
    row = "1" if header == "a" else "1,2"
    manifest = table(f"{header}\n{row}\n{tail}")
    assert [bool(record.unreadable) for record in manifest.records()] == [False, True]
    assert "a zero byte; the file is damaged" in problems(manifest)[0]


def deep(end: str = "\n") -> str:
    """More than the part that the encoding is told by."""
    return f"key,Text{end}" + "".join(f"{number},{'x' * 100}{end}" for number in range(12_000))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_encoding_reports_line_of_invalid_byte_deep_in_file(table, end):
    manifest = table(deep(end).encode() + f"12000,caf\u00e9{end}".encode("cp1252"))
    records = manifest.records()
    with pytest.raises(ManifestError, match=r"orders.csv, line 12002, column 10: byte 0xE9 is not") as caught:
        list(records)
    assert "'caf\u00e9' with --encoding cp1252" in caught.value.problems


def test_csv_encoding_reports_line_of_invalid_byte_deep_in_utf16_file(table):
    content = codecs.BOM_UTF16_BE + deep("\r\n").encode("utf-16-be") + b"\xdc\x00\x00\n"
    assert "line 12002: byte 0xDC is not utf-16" in problems(table(content))[0]


def test_csv_encoding_reports_line_of_zero_bytes_deep_in_file(table):
    (told,) = problems(table(deep() + "\0" * 4096))
    assert told.startswith("line 12002: a zero byte; the file is damaged")


def test_csv_short_rows_are_refused_unless_they_are_padded(table):
    content = "a,b,c,\n1\n\n,,\n1,,3\n1,2\n,2,,,\n"
    short = "1 cell, but the first row names 4 columns", "--pad-short-rows"
    told = problems(table(content))
    assert [sentence.partition(": ")[0] for sentence in told] == ["line 2", "line 6"]
    assert all(part in told[0] for part in short)
    manifest = table(content, pad_short_rows=True)
    assert rows(manifest) == [{"a": "1"}, {"a": "1", "c": "3"}, {"a": "1", "b": "2"}, {"b": "2"}]
    assert [record.where for record in manifest.records()] == ["line 2", "line 5", "line 6", "line 7"]


BLANKS = ["   ", "\t", "\u00a0", "\u3000", "\u200b", "\ufeff", "\u2060", "\u3164", "\u2800", "\x1a", "\x0c"]


@pytest.mark.parametrize("blank", BLANKS)
def test_csv_row_that_looks_blank_is_no_row(table, blank):
    for line in (blank, f"{blank},", f",{blank}", f'"{blank}",{blank}'):
        manifest = table(f"a,b\n1,2\n{line}\n3,4\n{line}")
        assert rows(manifest) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
        assert [record.index for record in manifest.records()] == [0, 1]


def test_csv_end_of_dos_file_is_no_part_of_last_cell(table):
    assert rows(table("a,b\r\n1,2\x1a")) == [{"a": "1", "b": "2"}]
    assert rows(table('a,b\r\n1,"2\x1a\n"')) == [{"a": "1", "b": "2\x1a\n"}]


@pytest.mark.parametrize("header", ["a,b  c", "\ufeffa,b c", '\ufeff"a","b c"', " A,B c "])
def test_csv_header_repeated_is_refused(table, header):
    manifest = table(f'a,"b\nc"\n1,2\n{header}\n3,4\n')
    if "A" in header:  # a row like any other
        assert len(rows(manifest)) == 3
        return
    (told,) = problems(manifest)
    assert told.startswith("line 4: the names of the columns stand here again")
    assert [record.index for record in manifest.records() if not record.unreadable] == [0, 2]


def test_csv_byte_order_mark_within_is_no_part_of_a_cell(table):
    content = '\ufeffa,b\n1,2\n\ufeff"3, 4",5\n'
    assert rows(table(content)) == [{"a": "1", "b": "2"}, {"a": "3, 4", "b": "5"}]


def test_csv_unclosed_quote_takes_no_other_line_with_it(table):
    manifest = table('a,b\n1,2\n"3,4\n5,6\n7,8\n')
    assert [(record.where, dict(record.cells)) for record in manifest.records()] == [
        ("line 2", {"a": "1", "b": "2"}),
        ("line 3", {}),
        ("line 4", {"a": "5", "b": "6"}),
        ("line 5", {"a": "7", "b": "8"}),
    ]
    assert problems(manifest)[0].startswith("line 3: a double quote opens a cell here that is never closed")


def test_csv_unclosed_quote_before_other_quotes_names_all_lines(table):
    (told,) = problems(table('a,b\n1,2\n3,"4\n5,6\n7,""8\n'))
    assert told.startswith("lines 3 to 5: a double quote opens a cell here that is never closed")
    (told,) = problems(table('a,b\n1,2\n3,"4\n5,6\n7,8 "x" 9\n9,10\n'))
    assert told.startswith("lines 3 to 5: inside a cell in double quotes")


def test_csv_unclosed_quote_before_cells_in_quotes_takes_no_other_line_with_it(table):
    manifest = table('a,b\n1,2\n3,"4\n5,6\n"7","8"\n9,"10\n11"\n')
    assert rows(manifest) == [
        {"a": "1", "b": "2"},
        {},
        {"a": "5", "b": "6"},
        {"a": "7", "b": "8"},
        {"a": "9", "b": "10\n11"},
    ]
    (told,) = problems(manifest)
    assert told.startswith("line 3: a double quote opens a cell here that is never closed")


@pytest.mark.parametrize("end", ["", '"hello", they said"\n8,9\n'])
def test_csv_unclosed_quote_of_a_text_gives_no_rows_of_its_lines(table, end):
    text = "Dear Sir, hello\nthis is a text\nof lines, with commas\n"
    manifest = table(f'a,b\n1,2\n3,"{text}{end}')
    assert [row for row in rows(manifest) if row] == [
        {"a": "1", "b": "2"},
        *([{"a": "8", "b": "9"}] if end else []),
    ]
    (told,) = problems(manifest)
    assert told.startswith("lines 3 to ")


def test_csv_unclosed_quote_of_only_column_names_all_lines(table):
    (told,) = problems(table('Text\nx\n"a long text\nof lines\n'))
    assert told.startswith("lines 3 to 4: ")


@pytest.mark.parametrize("title", ["My report", '"My report, of May"', "My report,,"])
def test_csv_title_above_the_header_is_refused(table, title):
    with pytest.raises(ManifestError, match=r"first line has one cell, 'My report.*if it is a title, delete"):
        table(f"{title}\nText,Number,\na,1,\n")


def test_csv_title_is_not_seen_in_only_column(table):
    manifest = table("Text\nhello, world\nx\n")
    assert [bool(record.unreadable) for record in manifest.records()] == [True, False]


def test_csv_refuses_bare_cr_in_unquoted_cell(table):
    assert rows(table('a,b\r\n1,"x\ry"\r\n')) == [{"a": "1", "b": "x\ry"}]
    assert "line 2: a line break (CR) in the middle" in problems(table("a,b\r\n1,x\ry\r\n"))[0]


def test_csv_with_header_only_has_no_rows(table):
    manifest = table("a,b\n")
    assert rows(manifest) == []
    assert manifest.estimated_rows() == 0


def test_csv_reports_all_unreadable_rows_and_reads_the_others(table):
    manifest = table('a,b,\n1,2\n1,2,3\n4,5,,x\n6,"7" 8\n9,10\n11,"open\n12\n')
    read = [record for record in manifest.records() if not record.unreadable]
    assert [(record.index, record.where, dict(record.cells)) for record in read] == [
        (0, "line 2", {"a": "1", "b": "2"}),
        (4, "line 6", {"a": "9", "b": "10"}),
    ]
    nameless, wide, quote, unclosed, short = problems(manifest)
    assert nameless.startswith("line 3: '3' stands in a column without a name")
    assert wide.startswith("line 4: 4 cells, but the first row names 3 columns")
    assert quote.startswith("line 5: inside a cell in double quotes")
    assert unclosed.startswith("line 7: a double quote opens a cell here that is never closed")
    assert short.startswith("line 8: 1 cell, but")


def test_csv_reports_every_bad_row_alike(table):
    bad = [part for record in table("a,b\n" + "1,2,3\n" * 1_234).records() for part in record.unreadable]
    assert len(bad) == 1_234
    assert {part.group for part in bad} == {"more cells than columns"}


@pytest.mark.parametrize("header", ["a,b,a", " a ,b,a"])
def test_csv_header_refuses_duplicate_column_names(table, header):
    with pytest.raises(ManifestError, match="line 1: 'a' stands there more than once"):
        table(f"{header}\n1,2,3\n")


def test_csv_header_allows_unnamed_columns_if_empty(table):
    manifest = table(" a ,,b,\n1,,2,\n")
    assert manifest.columns == ("a", "b")
    assert rows(manifest) == [{"a": "1", "b": "2"}]


def test_csv_header_is_no_row_that_looks_blank(table):
    assert table(" ,\u200b\na,b\n1,2\n").columns == ("a", "b")


@pytest.mark.parametrize(
    "name", ["Due\ndate", "Due\r\ndate", "Due\tdate", " Due  date\u00a0", "\u200bDue\u3000date"]
)
def test_csv_header_name_is_on_one_line_with_single_spaces(table, name):
    manifest = table(f'"{name}",b\n1,2\n')
    assert manifest.columns == ("Due date", "b")
    assert rows(manifest) == [{"Due date": "1", "b": "2"}]


@pytest.mark.parametrize("content", [" \n\n", "\ufeff", ",,\n,,\n"])
def test_csv_refuses_empty_file(table, content):
    with pytest.raises(ManifestError, match=r"is empty|no row that names"):
        table(content)


@pytest.mark.parametrize("content", ["1,2.5,2024-05-01\n2,3.5,2024-05-02\n", "docs/a.pdf\ndocs/b.pdf\n"])
def test_csv_header_refuses_row_that_looks_like_data(table, tmp_path, content):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.pdf").touch()
    with pytest.raises(ManifestError, match=r"looks like data.*put a line above it"):
        table(content)


def test_csv_header_accepts_names_in_braces_and_long_names(table):
    columns = ("{Vendor}", "x" * 300 + ".pdf", "y")
    assert table(",".join(columns) + "\n1,2,3\n").columns == columns


def test_csv_header_reports_line_if_unreadable(table):
    with pytest.raises(ManifestError, match="line 2: a double quote opens"):
        table('\na,"b\n1,2\n')
    with pytest.raises(ManifestError, match="line 1, column 4: byte 0xE9 is not UTF-8"):
        table(b"caf\xe9,b\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="line 2, column 2097153: byte 0xE9 is not"):
        table(b'"a\n' + b"x" * (2 << 20) + b'\xe9",b\n')


def test_csv_header_accepts_names_with_digits_or_dots(table):
    assert table("2024,Amount,v1.2\n1,2,3\n").columns == ("2024", "Amount", "v1.2")


def test_csv_reads_cell_above_csv_module_limit(table):
    text = "x, " * 700_000  # the limit of the csv module is 131,072 characters
    assert rows(table(f'a,b\n1,"{text}"\n')) == [{"a": "1", "b": text}]
    assert csv.field_size_limit() == 131_072


@pytest.mark.parametrize("longest", [1 << 20, pytest.param(16 << 20, marks=pytest.mark.long)])
def test_csv_limits_cell_size_after_unclosed_quote(table, monkeypatch, longest):
    assert csv_field_limit.LONGEST_CELL == csv_rows.LONGEST_CELL == 16 << 20
    for module in (csv_field_limit, csv_rows):
        monkeypatch.setattr(module, "LONGEST_CELL", longest)
    told = problems(table('a,b\n1,"open\n' + "2,x\n" * (longest // 4 + 1_000)))
    assert told[0].startswith(f"line 2: a cell of more than {longest:,} characters; is a double quote opened")


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20) | st.sampled_from(
    ['"', '""', "\r", "\n", "\r\n", ",", ";", "a\nb", ' "x" ', "\ufeff", "\u2028", "\x0c", "=1+1"]
)


@pytest.fixture
def short_rows(monkeypatch):
    """Lowers the longest row to 300 characters, and reads on in pieces of 7."""
    monkeypatch.setattr(csv_rows, "LONGEST_ROW", 300)
    monkeypatch.setattr(text_lines, "_PIECE", 7)


LONG = 'x, "y"\n' * 40


@pytest.mark.parametrize("long", ["x" * 301, LONG, "\n" * 400, '"' * 400, "a,b\r\n" * 80, "x" * 400 + ",\n"])
@pytest.mark.parametrize("columns", [1, 2, 3])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_csv_row_too_long_is_one_bad_row(table, short_rows, *, long, columns, end, quoting):
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=quoting)
    for cell in ("name", "first", long, "second", long, long, "third"):
        writer.writerow([cell, *(f"{cell[:5].strip()}{place}" for place in range(1, columns))])
    manifest = table(text.getvalue(), delimiter=",")
    read = [record.cells["name"] for record in manifest.records() if not record.unreadable]
    assert read == ["first", "second", "third"]
    bad = [record for record in manifest.records() if record.unreadable]
    assert [record.index for record in bad] == [1, 3, 4]
    assert all("a row of more than 300 characters" in record.unreadable[0].problem for record in bad)
    lines = long.count("\n")
    assert bad[0].where == ("line 3" if not lines else f"lines 3 to {3 + lines}")


def test_csv_row_too_long_at_the_end_is_one_bad_row(table, short_rows):
    for columns, row in (("a", "1"), ("a,b", "1,2")):
        for long in ("x" * 400, f'"{"y" * 400}"', f'{"z," * 400}"'):
            manifest = table(f"{columns}\n{row}\n{long}")
            assert [bool(record.unreadable) for record in manifest.records()] == [False, True]


@pytest.mark.parametrize("behind", ["", '8,"quoted"\n', '8,"quoted\nlines"\n9,"x"\n'])
def test_csv_row_too_long_by_an_unclosed_quote_takes_no_other_line_with_it(table, short_rows, behind):
    rows_behind = "".join(f"{number},x\n" for number in range(100))
    manifest = table(f'a,b\n1,2\n3,"4\n{rows_behind}{behind}')
    first, *others = [record.where for record in manifest.records() if record.unreadable]
    assert first == "line 3"
    assert others == []
    read = [record.cells["a"] for record in manifest.records() if not record.unreadable]
    assert read[:101] == ["1", *map(str, range(100))]
    assert len(read) == 101 + behind.count('",') + behind.count('"\n')


def test_csv_row_too_long_by_an_unclosed_quote_is_read_to_the_end_where_short_rows_are_padded(
    table, short_rows
):
    text = "a line of the text\n" * 100
    manifest = table(f'a,b\n1,2\n3,"{text}', pad_short_rows=True)
    assert [record.where for record in manifest.records()] == ["line 2", "lines 3 to 102"]


def test_csv_row_without_end_that_is_found_is_refused(table, short_rows, monkeypatch):
    monkeypatch.setattr(text_lines, "FARTHEST", 2_000)
    assert problems(table("a,b\n1,2\n3," + "x" * 1_000 + "\n"))[0].startswith("line 3: a row of more")
    with pytest.raises(ManifestError, match=r"orders.csv, line 3: a row of more than 300 characters"):
        list(table("a,b\n1,2\n3," + "x" * 3_000 + "\n5,6\n").records())


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table_rows=st.lists(
        st.lists(cells | st.sampled_from([LONG, "x" * 400, "\n" * 310]), min_size=2, max_size=2), max_size=8
    ),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_csv_row_too_long_leaves_each_other_row_as_it_is(tmp_path, short_rows, table_rows, quoting, end):
    path = tmp_path / "written.csv"
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=quoting, lineterminator=end)
    writer.writerow(["first", "second"])
    wanted: list[dict[str, str] | None] = []
    for cells_of_row in table_rows:
        row = [cell.replace("\r", "") for cell in cells_of_row]  # which the writer does not always quote
        before = text.tell()
        writer.writerow(row)
        if text.tell() - before > 300:
            wanted.append(None)
        elif not all_blank(row):
            cells = zip(("first", "second"), row, strict=True)
            wanted.append({name: cell for name, cell in cells if not looks_blank(cell)})
    path.write_bytes(text.getvalue().encode())
    read = [
        None if record.unreadable else {name: str(cell) for name, cell in record.cells.items()}
        for record in open_manifest(path, delimiter=",").records()
    ]
    assert [row and {name: cell.lstrip("\ufeff") for name, cell in row.items()} for row in read] == [
        row and {name: cell.lstrip("\ufeff") for name, cell in row.items()} for row in wanted
    ]


def test_csv_keeps_values_as_text_unchanged(table):
    manifest = table('a,b,c\n007, x ,"  "\n1e5,TRUE,"say ""hi"""\n')
    assert rows(manifest) == [{"a": "007", "b": " x "}, {"a": "1e5", "b": "TRUE", "c": 'say "hi"'}]


@given(
    table_rows=st.lists(st.lists(cells, min_size=3, max_size=3), max_size=8),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@example(table_rows=[["\n", "", ""]], delimiter=",", quoting=0, encoding="utf-8")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_csv_round_trips_what_csv_module_writes(tmp_path, table_rows, delimiter, quoting, encoding):
    columns = ("first", "second", "third")
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting)
    writer.writerow(columns)
    starts, marks = [], []
    for row in table_rows:
        before = len(text.getvalue())
        starts.append(text.getvalue().count("\n") + 1)
        writer.writerow(row)
        marks.append("" if text.getvalue()[before] == '"' else "\ufeff")
    path = tmp_path / "written.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    written = [
        (
            f"line {start}",
            {name: cell for name, cell in zip(columns, row, strict=True) if not looks_blank(cell)},
        )
        for start, mark, (first, *others) in zip(starts, marks, table_rows, strict=True)
        if not all_blank(row := [first.removeprefix(mark), *others])
    ]
    read = [
        (record.where, dict(record.cells)) for record in open_manifest(path, delimiter=delimiter).records()
    ]
    assert read == written


@given(content=st.binary(max_size=300))
@example(content=b'a,b\n1,"\n')
@example(content=b"sep=\n")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_csv_reads_or_refuses_any_bytes(tmp_path, content):
    path = Path(tmp_path) / "anything.csv"
    path.write_bytes(content)
    with contextlib.suppress(ManifestError):
        for record in open_manifest(path).records():
            assert record.cells or record.unreadable


@pytest.mark.parametrize("many", [20_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_csv_reads_100000_rows_in_constant_memory(table, many):
    lines = [f"k{number},{number},some text of row {number},docs/{number}.pdf,x\n" for number in range(many)]
    manifest = table("key,n,Text,file,Note\n" + "".join(lines))
    del lines
    assert manifest.estimated_rows() == pytest.approx(many, rel=0.1)
    tracemalloc.start()
    try:
        count = sum(1 for _ in manifest.records())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == many
    assert peak < 300_000
