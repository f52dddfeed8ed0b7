"""Gunther's universal scalability law, fitted to jobs in flight and throughput: ``N/X = c0 + c1 N + c2 N^2``.

``c0`` is the time of a job that runs alone, ``c1`` what each other job adds by waiting for what only one can
have, and ``c2`` what all pairs cost each other.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

Coefficients: TypeAlias = tuple[float, float, float]

_POWERS = ((0, 1, 2), (0, 2), (0, 1), (0,))
"""Which coefficients are not 0. The best fit of the law without negative ones is that of one of these."""
_FEWEST = 4
"""Different numbers of jobs in flight: one more than there are coefficients."""
_SINGULAR = 1e-12
_FAR = 2.0
"""How many times the most jobs in flight that were measured a knee may lie at: beyond that it is a guess."""
_LEAST_R_SQUARED = 0.5
_FLAT = 0.1
"""Rise of the time of a job over what was measured, as a share of it, below which no knee is in sight."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The law with its coefficients.

    Attributes:
        c0: Seconds.
        c1: Seconds for each job in flight: the throughput never passes ``1 / c1``.
        c2: Seconds for each pair: above 0, more jobs in flight make the throughput fall in the end.
        r_squared: The share of the differences in ``N/X`` that the law explains, at most 1.
        knee: The jobs in flight from which on more of them are hardly any use: where the throughput is
            highest or, where it does not fall, where waiting has doubled the time of a job. None where it is
            not in sight of what was measured.
        peak: The throughput there, in jobs a second; None without a knee.
    """

    c0: float
    c1: float
    c2: float
    r_squared: float
    knee: float | None
    peak: float | None


def fit(points: Sequence[tuple[float, float]]) -> Fit | None:
    """Fit the law by least squares of relative errors, as what was measured varies by shares of itself.

    No coefficient is below 0: one that would be is taken out.

    Args:
        points: Jobs in flight and jobs that completed a second; those that are not above 0 do not count.

    Returns:
        None where the law cannot be told: for fewer than four different numbers of jobs in flight, where
        the points follow another one, and where a job takes the same time whatever the load.
    """
    known = [(n, n / x) for n, x in points if n > 0 and x > 0]
    if len({n for n, _ in known}) < _FEWEST:
        return None
    most = max(n for n, _ in known)
    possible = [found for powers in _POWERS if (found := _least_squares(known, powers, most)) is not None]
    best = min(possible, key=lambda found: _error(known, found), default=None)
    if best is None:
        return None
    r_squared, knee = _r_squared(known, best), _knee(best, most)
    if r_squared < _LEAST_R_SQUARED:
        return None
    c0, c1, c2 = best
    peak = None if knee is None else knee / (c0 + c1 * knee + c2 * knee**2)
    return Fit(c0, c1, c2, r_squared, knee, peak)


def _knee(coefficients: Coefficients, most: float) -> float | None:
    c0, c1, c2 = coefficients
    if c1 * most + c2 * most**2 < _FLAT * c0:
        return None
    highest = math.sqrt(c0 / c2) if c2 else math.inf
    doubled = c0 / c1 if c1 else math.inf
    return next((knee for knee in (highest, doubled) if knee <= _FAR * most), None)


def _error(points: Sequence[tuple[float, float]], coefficients: Coefficients) -> float:
    c0, c1, c2 = coefficients
    return math.fsum(((c0 + c1 * n + c2 * n**2) / y - 1) ** 2 for n, y in points)


def _r_squared(points: Sequence[tuple[float, float]], coefficients: Coefficients) -> float:
    c0, c1, c2 = coefficients
    mean = statistics.fmean(y for _, y in points)
    total = math.fsum((y - mean) ** 2 for _, y in points)
    rest = math.fsum((y - c0 - c1 * n - c2 * n**2) ** 2 for n, y in points)
    return 1.0 if not total else max(1 - rest / total, 0.0)


def _least_squares(
    points: Sequence[tuple[float, float]], powers: Sequence[int], most: float
) -> Coefficients | None:
    """Fit these powers alone; None where a coefficient would be below 0, or the points determine none."""
    scaled = [(n / most, y) for n, y in points]  # powers of like size, or their differences drown in rounding
    found = _solved(
        [
            [
                *(math.fsum(n ** (power + other) / y**2 for n, y in scaled) for other in powers),
                math.fsum(n**power / y for n, y in scaled),
            ]
            for power in powers
        ]
    )
    if found is None:
        return None
    values = dict.fromkeys(range(3), 0.0)
    values |= {power: value / most**power for power, value in zip(powers, found, strict=True)}
    c0, c1, c2 = values.values()
    return (c0, c1, c2) if c0 > 0 and c1 >= 0 and c2 >= 0 else None


def _solved(rows: list[list[float]]) -> list[float] | None:
    """Solve linear equations by elimination; the last column is their right side."""
    size = len(rows)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(rows[row][column]))
        if abs(rows[pivot][column]) < _SINGULAR:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for row in range(size):
            if row != column:
                factor = rows[row][column] / rows[column][column]
                rows[row] = [
                    value - factor * above for value, above in zip(rows[row], rows[column], strict=True)
                ]
    return [rows[place][size] / rows[place][place] for place in range(size)]
