"""Numbers, dates and truth values as options say that they are written; proposed where a column shows it."""

from __future__ import annotations

import shlex
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st
from manifests import csv, given, requested, workflow

from opus_async.errors import InvalidInputs
from opus_async.manifests import open_manifest
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.binding.habits import Habits, plain_date, plain_number
from opus_async.manifests.validation.habit_hints import HabitHints
from opus_async.models import InputField

WORKFLOW = workflow(
    given("Amount", "float"),
    given("Price", "float"),
    given("Count", "int"),
    given("Day", "date"),
    given("Paid", "bool"),
    given("Text"),
    given("Parts", "array", item_type="float"),
)


def read(path, cells, **habits):
    binding = Binding(WORKFLOW, habits=Habits(**habits))
    return requested(binding, binding.expand_globs(cells, path))


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("0,8", ",", 0.8),
        ("1.234,56", ",", 1234.56),
        ("1.234.567", ",", 1234567),
        ("-1 234,5", ",", -1234.5),
        ("1\u202f234,5", ",", 1234.5),
        ("1'234.5", ".", 1234.5),
        ("1,234.56", ".", 1234.56),
        ("1.234", ",", 1234),
        ("1.234", ".", 1.234),
        (",5", ",", 0.5),
        ("5,00", ",", 5),
    ],
)
def test_habit_decimal_reads_numbers(tmp_path, text, decimal, number):
    assert read(tmp_path, {"Amount": text}, decimal=decimal) == {"Amount": number}


@pytest.mark.parametrize(
    "text",
    ["1.5", "1.23.456", "1,2,3", "1.234,5.6", "5,", "1.234 567", "1e5", "x", "0.800", "-0.125", "\u0661,5"],
)
def test_habit_decimal_refuses_what_is_not_written_so(tmp_path, text):
    with pytest.raises(InvalidInputs, match="column 'Amount' wants a number with the decimal sign ','"):
        read(tmp_path, {"Amount": text}, decimal=",")


@examples(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9))
def test_habit_decimal_reads_back_what_both_worlds_write(number):
    english = f"{number:,}"
    assert Decimal(plain_number(english, ".")) == number
    assert Decimal(plain_number(english.translate(str.maketrans(",.", ".,")), ",")) == number


@pytest.mark.parametrize(
    ("text", "order", "day"),
    [
        ("9.11.2025", "dmy", "2025-11-09"),
        ("9. 11. 2025", "dmy", "2025-11-09"),
        ("11/09/2025", "mdy", "2025-11-09"),
        ("2025/11/9", "ymd", "2025-11-09"),
        ("2025-11-09", "dmy", "2025-11-09"),
    ],
)
def test_habit_dates_reads_dates(tmp_path, text, order, day):
    assert read(tmp_path, {"Day": text}, dates=order) == {"Day": day}


@examples(st.dates())
def test_habit_dates_reads_back_every_day(day):
    year, month, number = f"{day.year:04}", day.month, day.day
    assert plain_date(f"{number}.{month}.{year}", "dmy") == day.isoformat()
    assert plain_date(f"{month}/{number}/{year}", "mdy") == day.isoformat()


@pytest.mark.parametrize("text", ["9.11.25", "31.2.2025", "9/11", "9.11/2025"])
def test_habit_dates_leaves_what_is_no_date_to_be_refused(tmp_path, text):
    assert read(tmp_path, {"Day": text}, dates="dmy") == {"Day": text}


def test_habit_words_and_lists_are_read(tmp_path):
    cells = {"Paid": " JA ", "Parts": "0,5; 1.000", "Count": "1.000", "Text": "1,5"}
    told = read(tmp_path, cells, true="ja", false="nein", decimal=",")
    assert told == {"Paid": True, "Parts": [0.5, 1000], "Count": 1000, "Text": "1,5"}
    assert read(tmp_path, {"Paid": "Nein"}, true="ja", false="nein") == {"Paid": False}


def test_habit_word_that_is_none_is_refused_in_a_list(tmp_path):
    field = InputField(variable_name="v", display_name="Flags", type="array", item_type="bool")
    habits = Habits(true="ja")
    assert habits.read("ja; false", field) == [True, False]
    with pytest.raises(ValueError, match="vielleicht"):
        habits.read("ja; vielleicht", field)


def test_habit_applies_to_row_that_is_stored_for_another_try():
    binding = Binding(WORKFLOW, habits=Habits(decimal=","))
    assert binding.as_stored({"Amount": "2.500"}) == {"Amount": 2500}
    assert binding.as_stored({"Amount": "2.5"}) == {"Amount": None}, "it would be read otherwise without"


def test_habit_leaves_other_values_than_text_as_they_are(tmp_path):
    cells = {"Amount": 1.5, "Day": date(2025, 11, 9), "Paid": True}
    told = read(tmp_path, cells, decimal=",", dates="dmy", true="ja", false="nein")
    assert told == {"Amount": 1.5, "Day": "2025-11-09", "Paid": True}


def test_habit_of_constants_is_that_of_cells():
    binding = Binding(WORKFLOW, constants={"Amount": "0,8"}, habits=Habits(decimal=","))
    assert binding.constants == {"Amount": 0.8}


@pytest.mark.parametrize(
    "wrong", [{"decimal": ";"}, {"dates": "dym"}, {"true": "x", "false": "X"}, {"true": " "}]
)
def test_habit_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Habits(**wrong)


def proposed(tmp_path, header: str, *lines: str, **habits: str) -> list[str]:
    hints = HabitHints(Binding(WORKFLOW, habits=Habits(**habits)))
    for record in open_manifest(csv(tmp_path / "m.csv", header, *lines), delimiter=";").records():
        hints.note(record.cells)
    return [problem.message.rpartition(" with ")[2] for problem in hints.problems()]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["1.234", "5", "2.500"], "'1.234' in column 'Amount' is read with a decimal point"),
        (["1.234", "2.5"], None),
        (["0.123", "2.500"], None),
        (["1.234", "0,5"], None),  # refused, or proposed
        (["1", "2"], None),
    ],
)
def test_habit_of_points_that_may_separate_thousands_is_told(tmp_path, lines, told):
    for habits in (Habits(), Habits(decimal="."), Habits(decimal=",")):
        hints = HabitHints(Binding(WORKFLOW, habits=habits))
        for record in open_manifest(csv(tmp_path / "m.csv", "Amount", *lines), delimiter=";").records():
            hints.note(record.cells)
        doubts = [problem.message for problem in hints.doubts()]
        assert doubts == ([told] if told and habits == Habits() else [])


@pytest.mark.parametrize(
    ("header", "lines", "options"),
    [
        ("Text;Amount", ["a;0,8", "b;1.234,5", "c;2"], ["--decimal ,"]),
        ("Text;Amount", ["a;1,234.5", "b;7"], ["--decimal ."]),
        ("Text;Amount", ["a;1,234", "b;2,345"], []),  # thousands or a fraction
        ("Text;Amount", ["a;0,8", "b;1.5"], []),
        ("Text;Amount", ["a;0.8", "b;5"], []),
        ("Amount;Price", ["0,8;1.234", "0,9;2.5"], []),  # 2.5 is none
        ("Amount;Price", ["0,8;1.234", "0,9;2"], []),  # would make 1.234 another number
        ("Amount;Price", ["0,8;1,5", "0,9;2"], ["--decimal ,"]),
        ("Text;Day", ["a;9.11.2025", "b;13.11.2025"], ["--dates dmy"]),
        ("Text;Day", ["a;11/13/2025", "b;2025-11-09"], ["--dates mdy"]),
        ("Text;Day", ["a;9.11.2025", "b;10.11.2025"], []),  # ambiguous
        ("Text;Day", ["a;2025/11/09", "b;2025/12/10"], ["--dates ymd"]),
        ("Text;Day", ["a;13.11.2025", "b;soon"], []),
        ("Text;Paid", ["a;ja", "b;Nein"], ["--true ja --false nein"]),
        ("Text;Paid", ["a;si", "b;no"], ["--true si --false no"]),
        ("Text;Paid", ["a;ja", "b;maybe"], []),
        ("Text;Paid", ["a;ja"], []),  # German, Swedish or Dutch: the other word is not known
        ("Text;Paid", ["a;yes", "b;no"], []),
    ],
)
def test_habit_is_proposed_where_whole_column_fits_one_alone(tmp_path, header, lines, options):
    assert proposed(tmp_path, header, *lines) == options
    for option in options:
        words = shlex.split(option)
        habits = {flag.removeprefix("--"): value for flag, value in zip(words[::2], words[1::2], strict=True)}
        assert proposed(tmp_path, header, *lines, **habits) == []
