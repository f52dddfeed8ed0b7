"""The universal scalability law: fitted where it holds, and nowhere else."""

from __future__ import annotations

import random

import pytest

from opus_async.load.usl import fit

LEVELS = (1, 2, 4, 8, 16, 32, 64)


def throughput(n, c0, c1, c2):
    return n / (c0 + c1 * n + c2 * n**2)


def points(c0, c1, c2, noise=0.0, levels=LEVELS):
    rng = random.Random(1)
    return [(n, throughput(n, c0, c1, c2) * rng.gauss(1, noise)) for n in levels]


@pytest.mark.parametrize("law", [(1.0, 0.05, 0.001), (0.2, 0.01, 0.0002), (30.0, 0.5, 0.02)])
def test_law_is_found_again(law):
    found = fit(points(*law))
    assert (found.c0, found.c1, found.c2) == pytest.approx(law, rel=1e-6)
    assert found.r_squared == pytest.approx(1.0)
    assert found.knee == pytest.approx((law[0] / law[2]) ** 0.5, rel=1e-6)
    assert found.peak == pytest.approx(throughput(found.knee, *law), rel=1e-6)


def test_law_is_found_through_noise():
    found = fit(points(1.0, 0.05, 0.001, noise=0.03))
    assert found.r_squared > 0.98
    assert found.knee == pytest.approx(31.6, rel=0.15)
    assert found.peak == pytest.approx(throughput(31.6, 1.0, 0.05, 0.001), rel=0.05)


def test_knee_of_a_ceiling_is_where_the_time_has_doubled():
    found = fit(points(1.0, 0.1, 0.0))
    assert found.c2 == pytest.approx(0.0, abs=1e-9)
    assert (found.knee, found.peak) == (pytest.approx(10.0, rel=1e-3), pytest.approx(5.0, rel=1e-3))


def test_no_law_where_a_job_takes_the_same_time_whatever_the_load():
    assert fit(points(2.0, 0.0, 0.0, noise=0.01)) is None


def test_no_knee_where_the_time_hardly_grows():
    found = fit(points(2.0, 0.002, 0.0))
    assert (found.knee, found.peak) == (None, None)
    assert found.r_squared == pytest.approx(1.0)


def test_knee_far_beyond_what_was_measured_is_not_told():
    assert fit(points(1.0, 0.02, 0.0000001, levels=(1, 2, 3, 4, 8))).knee is None


@pytest.mark.parametrize(
    "measured",
    [
        [],
        [(1, 1.0), (2, 2.0), (3, 3.0)],
        [(1, 1.0), (1, 1.1), (1, 0.9), (1, 1.0)],
        [(0, 0.0), (1, 1.0), (2, 1.9), (3, 2.7)],
        [(1, 1.0), (2, 2.0), (3, 3.0), (4, 0.0)],
    ],
)
def test_too_few_levels_tell_no_law(measured):
    assert fit(measured) is None


def test_coefficients_are_never_below_zero():
    rng = random.Random(3)
    for _ in range(200):
        found = fit([(n, rng.uniform(0.5, 20)) for n in LEVELS])
        assert found is None or (
            found.c0 > 0 and found.c1 >= 0 and found.c2 >= 0 and 0 <= found.r_squared <= 1
        )
