"""Texts for people: numbers, sizes, spans of time, and quoted names."""

from __future__ import annotations

import pytest

from opus_async import text


@pytest.mark.parametrize(
    ("number", "told"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (12_345, "12,345 rows")]
)
def test_counted_agrees_with_its_number(number, told):
    assert text.counted(number, "row") == told


def test_counted_accepts_singular_and_plural_forms():
    assert text.counted(1, "file lies", "files lie") == "1 file lies"
    assert text.counted(1_200, "file lies", "files lie") == "1,200 files lie"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (0.0002, "<1 ms"),
        (0.0123, "12 ms"),
        (0.42, "0.42 s"),
        (3, "3 s"),
        (7.346, "7.35 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (125, "2 min 05 s"),
        (3599.7, "1 h"),
        (10_920, "3 h 02 min"),
        (86_399, "1 d"),
        (187_200, "2 d 4 h"),
        (-3, "0 s"),
    ],
)
def test_duration_uses_precision_that_fits_its_size(seconds, told):
    assert text.duration(seconds) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.2, "1 s"),
        (40, "40 s"),
        (91, "1 min 30 s"),
        (119, "2 min"),
        (131, "2 min 10 s"),
        (755, "13 min"),
        (10_900, "3 h 02 min"),
    ],
)
def test_coarse_tells_no_more_than_is_known(seconds, told):
    assert text.coarse(seconds) == told


@pytest.mark.parametrize(
    ("rate", "told"),
    [
        (271.4, "271 jobs/s"),
        (6.42, "6.4 jobs/s"),
        (1, "1.0 jobs/s"),
        (0.5, "30 jobs/min"),
        (0.001, "4 jobs/h"),
        (0.0, "0 jobs/h"),
    ],
)
def test_pace_is_in_a_unit_of_which_there_is_at_least_one(rate, told):
    assert text.pace(rate, "jobs") == told


@pytest.mark.parametrize(
    ("part", "whole", "told"),
    [
        (0, 0, "0 %"),
        (0, 10, "0 %"),
        (1, 100_000, "< 0.1 %"),
        (1588, 100_000, "1.6 %"),
        (984, 1000, "98.4 %"),
        (99_999, 100_000, "> 99.9 %"),
        (7, 7, "100 %"),
    ],
)
def test_share_shows_0_or_100_percent_only_when_exact(part, whole, told):
    assert text.share(part, whole) == told


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_900, "1.0 MB"),
        (18_500_000_000, "18.5 GB"),
        (3e17, "300 PB"),
    ],
)
def test_size_uses_decimal_units(size, told):
    assert text.size(size) == told


def test_precise_size_has_one_decimal_place_above_bytes():
    assert [
        text.precise_size(number) for number in (812, 1_500, 2_440_000, 4.2e9, 300_400_000_000, 3e12)
    ] == [
        "812 B",
        "1.5 kB",
        "2.4 MB",
        "4.2 GB",
        "300.4 GB",
        "3.0 TB",
    ]


def test_size_as_given_keeps_all_digits():
    assert [text.size_as_given(number) for number in (500, 500_000, 2_500_000, 1.5e9)] == [
        "0.5 kB",
        "500 kB",
        "2.5 MB",
        "1500 MB",
    ]


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (10_920, "3 h 02 min")]
)
def test_elapsed_is_in_whole_seconds(seconds, told):
    assert text.elapsed(seconds) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0.000 s"), (0.112, "0.112 s"), (59.9994, "59.999 s"), (59.9996, "1 min 00 s"), (125, "2 min 05 s")],
)
def test_in_milliseconds_shows_three_decimals_below_a_minute(seconds, told):
    assert text.in_milliseconds(seconds) == told


def test_quoted_name_is_short_printable_and_has_no_query():
    assert text.quoted("https://s3.example/a.pdf?X-Amz-Signature=5f3a#x") == "'https://s3.example/a.pdf?...'"
    assert text.quoted("a\x1b[31m\nb") == "'a [31m b'"
    assert text.quoted("x" * 81) == f"'{'x' * 77}...'"
