"""The histogram of durations: its error is bounded, its sums are exact, and it adds up."""

from __future__ import annotations

import math
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opus_async.metrics.hgrm import hgrm_text
from opus_async.metrics.histogram import Histogram

DURATIONS = st.lists(st.floats(1e-7, 1e7), min_size=1, max_size=60)
PERCENTS = (0, 1, 25, 50, 90, 95, 99, 99.9, 100)


def exact(values, percent):
    return sorted(values)[max(math.ceil(round(len(values) * percent / 100, 6)), 1) - 1]


@given(DURATIONS)
def test_percentiles_are_off_by_half_a_percent_at_most(values):
    histogram = Histogram(values)
    for percent in PERCENTS:
        assert histogram.percentile(percent) == pytest.approx(exact(values, percent), rel=0.005)


@given(DURATIONS)
def test_number_sum_and_ends_are_exact(values):
    histogram = Histogram(values)
    assert histogram.count == len(values)
    assert histogram.mean == pytest.approx(math.fsum(values) / len(values), rel=1e-9)
    assert (histogram.min, histogram.max) == (min(values), max(values))
    assert histogram.percentile(100) == max(values)


@given(DURATIONS, DURATIONS)
def test_merged_histograms_are_that_of_all_values(some, others):
    merged, whole = Histogram(some), Histogram(some + others)
    merged.merge(Histogram(others))
    assert list(merged.buckets()) == list(whole.buckets())
    assert (merged.count, merged.min, merged.max) == (whole.count, whole.min, whole.max)
    assert merged.sum == pytest.approx(whole.sum)


@given(st.floats(1e-7, 1e7))
def test_value_lies_in_its_bucket(value):
    (bucket,) = Histogram([value]).buckets()
    assert bucket.low <= value < bucket.high
    assert bucket.high - bucket.low <= bucket.low * 0.01


def test_percentiles_of_a_thousand_are_the_values_of_their_rank():
    histogram = Histogram(float(value) for value in range(1, 1001))
    found = histogram.percentiles([50, 90, 99.9])
    assert found == [
        pytest.approx(500, rel=0.005),
        pytest.approx(900, rel=0.005),
        pytest.approx(999, rel=0.005),
    ]
    assert histogram.rank(99.9) == 999


def test_zero_and_what_lies_below_it_count_as_zero():
    histogram = Histogram([0.0, -1e-9, 0.25, 0.5])
    assert (histogram.min, histogram.percentile(50), histogram.count) == (0.0, 0.0, 4)
    assert histogram.percentile(75) == pytest.approx(0.25, rel=0.005)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.nan])
def test_what_is_no_duration_is_refused_when_it_is_read(value):
    histogram = Histogram([1.0, value])
    with pytest.raises(ValueError, match="no duration"):
        histogram.percentile(50)


def test_values_count_whenever_they_are_read():
    histogram = Histogram()
    for number in range(1, 1_001):
        histogram.record(float(number))
        if number % 97 == 0:
            assert (histogram.count, histogram.max, histogram.min) == (number, number, 1.0)
    assert histogram.sum == 1_000 * 1_001 / 2
    assert sum(bucket.count for bucket in histogram.buckets()) == 1_000


def test_no_values_have_no_percentile():
    empty = Histogram()
    assert (empty.percentile(50), empty.mean, empty.deviation, empty.max) == (None, None, None, 0.0)


def test_memory_follows_the_range_and_not_the_number():
    random_values = random.Random(1)
    histogram = Histogram(random_values.uniform(0.001, 60) for _ in range(50_000))
    assert sum(1 for _ in histogram.buckets()) < 2_100


def test_deviation_of_a_normal_distribution():
    random_values = random.Random(2)
    histogram = Histogram(random_values.gauss(10, 2) for _ in range(20_000))
    assert histogram.deviation == pytest.approx(2, rel=0.03)


def plotted(text):
    """Value and percentile of each line, as the plotter of HdrHistogram reads them (plotFiles.html)."""
    lines = [line.strip() for line in text.splitlines()]
    cells = [re.split(r"\s+", line) for line in lines if line and not line.startswith(("#", "Value"))]
    return [(float(cell[0]), float(cell[1]), int(cell[2])) for cell in cells]


def test_hgrm_is_read_by_plotters_in_milliseconds():
    random_values = random.Random(3)
    values = [random_values.expovariate(1.0) for _ in range(10_000)]
    text = hgrm_text(Histogram(values), scale=1000)
    lines = plotted(text)
    assert lines[0][1] == 0
    assert lines[-1] == (pytest.approx(1000 * max(values), abs=0.001), 1.0, 10_000)
    assert [line[1:] for line in lines] == sorted(line[1:] for line in lines)
    at = {percent: value for value, percent, _ in lines}
    assert at[0.5] == pytest.approx(1000 * exact(values, 50), rel=0.005)
    assert at[0.75] == pytest.approx(1000 * exact(values, 75), rel=0.005)
    mean, _, highest, total = re.findall(r"= +([0-9.]+)", text)[:4]
    assert (float(mean), int(total)) == (pytest.approx(1000 * sum(values) / 10_000, rel=1e-3), 10_000)
    assert float(highest) == lines[-1][0]


def test_hgrm_has_the_columns_of_the_format():
    text = hgrm_text(Histogram([0.001, 0.002]), scale=1000)
    assert text.splitlines()[:3] == [
        "       Value     Percentile TotalCount 1/(1-Percentile)",
        "",
        "       1.000 0.000000000000          1           1.00",
    ]
    assert text.splitlines()[-4] == "       2.000 1.000000000000          2"


def test_hgrm_of_nothing_has_no_lines():
    assert plotted(hgrm_text(Histogram())) == []
