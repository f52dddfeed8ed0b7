"""Arrivals against theory: Poisson processes, even distances, ramps, and what cannot be drawn."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opus_async.load.arrivals import Segment, constant, cut, draw, length_of, parse_stages


def kolmogorov_smirnov(values, cdf):
    """The p-value of the hypothesis that values are drawn from a distribution (Kolmogorov's series)."""
    ordered = sorted(values)
    number = len(ordered)
    distance = max(
        max((place + 1) / number - cdf(value), cdf(value) - place / number)
        for place, value in enumerate(ordered)
    )
    scaled = (math.sqrt(number) + 0.12 + 0.11 / math.sqrt(number)) * distance
    return 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 100))


def gaps(times):
    return [later - earlier for earlier, later in zip([0.0, *times], times, strict=False)]


@pytest.mark.parametrize("rate", [0.5, 20, 400])
def test_poisson_gaps_are_exponential(rate):
    times = draw(constant(rate), process="poisson", seed=7, jobs=3000).times
    assert kolmogorov_smirnov(gaps(times), lambda gap: 1 - math.exp(-rate * gap)) > 0.05


def test_kolmogorov_smirnov_refutes_even_distances():
    times = draw(constant(20), process="uniform", seed=7, jobs=3000).times
    assert kolmogorov_smirnov(gaps(times), lambda gap: 1 - math.exp(-20 * gap)) < 1e-6


def test_poisson_arrivals_of_a_ramp_lie_as_the_rate_has_them():
    times = draw(parse_stages("0..50/s:60s"), process="poisson", seed=3).times
    assert kolmogorov_smirnov(times, lambda at: (at / 60) ** 2) > 0.05


def test_uniform_arrivals_have_even_distances():
    schedule = draw(constant(4), process="uniform", seed=1, jobs=3)
    assert schedule.times == pytest.approx((0.125, 0.375, 0.625))
    assert schedule.length == pytest.approx(0.75)


def test_draw_is_the_same_for_the_same_seed_and_another_for_another():
    first, again, other = (draw(constant(9), process="poisson", seed=seed, jobs=50) for seed in (1, 1, 2))
    assert first == again != other


def test_draw_longer_load_begins_as_a_shorter_one():
    short = draw(constant(9), process="poisson", seed=1, jobs=10).times
    assert draw(constant(9), process="poisson", seed=1, jobs=50).times[:10] == short


def test_draw_until_a_time_ends_with_it():
    schedule = draw(cut(constant(10), 30), process="poisson", seed=5)
    assert schedule.length == 30
    assert 0 < schedule.times[-1] <= 30
    assert len(schedule.times) == pytest.approx(300, abs=60)


def test_draw_without_an_end_is_refused():
    with pytest.raises(ValueError, match="more than 10,000,000"):
        draw(constant(5), process="poisson", seed=1)


def test_stages_are_read():
    assert parse_stages("0..50/s:2m, 50/s:5m, 60/m:500ms") == (
        Segment(0, 50, 120),
        Segment(50, 50, 300),
        Segment(1, 1, 0.5),
    )


@pytest.mark.parametrize(
    "text", ["", "50/s", "50:2m", "a..b/s:2m", "0/s:5m", "50/s:2", "-1/s:2m", "50/s:2m,"]
)
def test_stages_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match=r"stage|no job"):
        parse_stages(text)


def test_cut_ends_a_ramp_at_the_rate_that_it_has_then():
    assert cut(parse_stages("0..50/s:100s"), 50) == (Segment(0, 25, 50),)


def test_cut_longer_than_the_stages_goes_on_at_the_last_rate():
    assert cut(parse_stages("0..50/s:100s"), 130)[-1] == Segment(50, 50, 30)


segments = st.builds(
    Segment,
    st.floats(0, 100),
    st.floats(0.01, 100),
    st.floats(0.1, 1000),
)


@given(segments, st.floats(0, 1))
def test_segment_expects_as_many_jobs_until_a_moment_as_were_asked_for(segment, share):
    jobs = segment.jobs * share
    at = segment.when(jobs)
    rate = segment.start + (segment.end - segment.start) * at / segment.seconds
    assert -1e-9 <= at <= segment.seconds * (1 + 1e-9)
    assert (segment.start + rate) / 2 * at == pytest.approx(jobs, rel=1e-6, abs=1e-6)


@given(st.lists(segments, min_size=1, max_size=4), st.integers(0, 5))
def test_draw_times_rise_and_lie_in_the_load(parts, seed):
    schedule = draw(parts, process="poisson", seed=seed, jobs=200)
    assert list(schedule.times) == sorted(schedule.times)
    assert all(0 <= at <= length_of(parts) * (1 + 1e-9) for at in schedule.times)
