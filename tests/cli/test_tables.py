"""Tables of a terminal: columns that fit, and text that is wrapped."""

from __future__ import annotations

import pytest

from opus_async.cli import tables


def test_table_columns_align_wrap_last_and_drop_control_characters():
    rows = [("A", "B", "C"), ("日本", "x\x1b[31m", "one two three four"), ("a", "", "")]
    assert tables.columns(rows, width=30).splitlines() == [
        "A     B       C",
        "日本  x [31m  one two three",
        "              four",
        "a",
    ]


def test_table_columns_shrink_the_widest_first():
    rows = [("A" * 30, "B", "one two three four five six"), ("a", "b" * 20, "c")]
    lines = tables.columns(rows, width=52).splitlines()
    assert lines == [
        "A" * 16 + "  B" + " " * 15 + "  one two three",
        "A" * 14 + " " * 22 + "four five six",
        "a" + " " * 15 + "  " + "b" * 16 + "  c",
        " " * 18 + "b" * 4,
    ]
    assert tables.columns(rows, width=None).splitlines()[0] == f"{'A' * 30}  B{' ' * 19}  {rows[0][2]}"


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one two", None, ["one two"]),
        ("  as it is", 10, ["  as it is"]),
        ("one two", 5, ["one", "two"]),
        ("a bcdefgh i", 4, ["a", "bcde", "fgh", "i"]),
        ("日本語", 5, ["日本", "語"]),
        ("", 5, [""]),
        ("      ", 5, [""]),
        ("  one two", 6, ["  one", "  two"]),
    ],
)
def test_table_cells_wrap_between_words_and_cut_long_words(text, width, lines):
    assert tables.wrapped(text, width) == lines
