"""What a server's limit is, from what it granted and when it refused.

The server is taken for a token bucket: ``burst`` requests at once, and ``rate`` a second. Seen from here that
is a leaky bucket: each granted request adds one to a backlog, which runs off at ``rate``. The server refuses
when the backlog has reached ``burst``. So for the right rate the backlog is the same at every refusal, and
nowhere higher; for one that is too low it grows from refusal to refusal, and for one that is too high nothing
may be left of it. How far a rate is from that says how likely it is. Pure arithmetic: no clock, no waiting.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from opus_async.transport.rate_history import Granted

CAUTION = 0.3
"""How likely it is that the limit is lower than the estimate: a rate too low costs less than a refusal."""
DOUBT = 0.7
"""The same for the rate that the doubt of an estimate reaches up to."""
ERROR = 0.5
ERROR_SHARE = 0.02
"""Requests by which a backlog may be wrong, for requests are whole; and the share of the burst, for what was
granted is told in bins."""
IDLE = 0.05
"""Requests by which a backlog may have run off before a refusal."""
CONTRADICTION = 0.25
"""The share of the burst by which backlogs differ that have not met one and the same limit."""
_GRID = 28
_WIDEST = 4.0
"""Rates are looked for up to this factor above what was granted, in so many steps."""
_RESOLVED = 10
_TIMES = 3
"""Those that fit are looked at more closely until so many of them are likely, up to so many times."""
_UNLIKELY = 12.0
"""Misfit above the least beyond which a rate is left out."""


class Estimate(NamedTuple):
    """A server's limit.

    Attributes:
        rate: Requests a second.
        burst: Requests at once after a quiet time.
        doubt: By what factor the rate may be higher; 1 at the least.
        lost: Seconds of the rate that a pause costs, because the server saves up no more than the burst.
    """

    rate: float
    burst: float
    doubt: float
    lost: float


class Stretch(NamedTuple):
    """The time up to a refusal.

    Attributes:
        granted: What was granted since the refusal before, in order.
        refused_at: When the refused request was sent.
    """

    granted: Sequence[Granted]
    refused_at: float


def estimate(
    stretches: Sequence[Stretch], begins: float, backlog: float | None, blur: float, pause: float
) -> Estimate | None:
    """The limit that refusals tell of; None where no limit explains them all.

    Args:
        stretches: Up to each refusal, in order.
        begins: When the first of them begins.
        backlog: At that time; None at the very beginning, when there was none.
        blur: Seconds by which requests may have arrived in another order than they were sent.
        pause: Seconds that a pause takes.
    """
    counts = [sum(each.requests for each in stretch.granted) for stretch in stretches]
    starts = [begins, *(stretch.refused_at for stretch in stretches)]
    spans = [max(end - start, 0.001) for start, end in itertools.pairwise(starts)]
    if backlog is None:
        counts, spans = counts[1:], spans[1:]
    means = [max(count, 1) / span for count, span in zip(counts, spans, strict=True)]
    slack = blur * sum(counts) / sum(spans)

    def fit(rate: float) -> _Fit:
        return _fit(stretches, rate, begins, backlog, slack)

    candidates = _candidates(fit, 0.8 * min(means), _WIDEST * max(means))
    best = min((each.fit for each in candidates), key=_misfit)
    if best.contradicts:
        return None
    rates = [each.rate for each in candidates]
    weights = [each.width * math.exp((best.misfit - each.fit.misfit) / 2) for each in candidates]
    rate, most = _quantile(rates, weights, CAUTION), _quantile(rates, weights, DOUBT)
    burst = fit(rate).burst
    lost = max(0.0, pause - burst / rate)
    return Estimate(rate, burst, max(most / rate, 1.0), lost)


def _candidates(fit: Callable[[float], _Fit], low: float, high: float) -> list[_Candidate]:
    """Rates that may be the limit, in order.

    The longer the time, the fewer rates fit, and all of a coarse grid may miss them. So whatever fits better
    than its neighbours there is looked at closely.
    """
    grid = _grid(fit, low, high)
    misfits = [math.inf, *(each.fit.misfit for each in grid), math.inf]
    spans: list[tuple[int, int]] = []
    for place, each in enumerate(grid):
        if misfits[place] < each.fit.misfit or misfits[place + 2] <= each.fit.misfit:
            continue
        bound = each.fit.misfit + _UNLIKELY
        first = last = place
        while first > 0 and misfits[first + 1] < bound:
            first -= 1
        while last < _GRID and misfits[last + 1] < bound:
            last += 1
        if spans and first <= spans[-1][1]:
            first, last = spans[-1][0], max(last, spans.pop()[1])
        spans.append((first, last))
    return [each for first, last in spans for each in _closer(fit, grid[first].rate, grid[last].rate)]


def _closer(fit: Callable[[float], _Fit], low: float, high: float) -> list[_Candidate]:
    """The likely rates between two, in steps that are small enough to tell them apart."""
    grid = _grid(fit, low, high)
    for _ in range(_TIMES):
        bound = min(each.fit.misfit for each in grid) + _UNLIKELY
        likely = [place for place, each in enumerate(grid) if each.fit.misfit < bound]
        if len(likely) >= _RESOLVED:
            break
        grid = _grid(fit, grid[max(likely[0] - 1, 0)].rate, grid[min(likely[-1] + 1, _GRID)].rate)
    return grid


def _grid(fit: Callable[[float], _Fit], low: float, high: float) -> list[_Candidate]:
    step = (high / low) ** (1 / _GRID)
    rates = [low * step**number for number in range(_GRID + 1)]
    return [_Candidate(rate, fit(rate), math.log(step)) for rate in rates]


def _misfit(fit: _Fit) -> float:
    return fit.misfit


def _quantile(rates: Sequence[float], weights: Sequence[float], share: float) -> float:
    """The rate below which the limit is with this chance."""
    wanted, passed = share * sum(weights), 0.0
    for place, weight in enumerate(weights):
        if passed + weight >= wanted:
            part = (wanted - passed) / weight - 0.5
            near = rates[min(max(place + (1 if part > 0 else -1), 0), len(rates) - 1)]
            return rates[place] * float((near / rates[place]) ** abs(part))
        passed += weight
    return rates[-1]


class _Fit(NamedTuple):
    """How well a rate explains refusals.

    Attributes:
        burst: By this rate.
        misfit: The sum of squares of what it does not explain, each in terms of what may be wrong.
        contradicts: Whether it cannot be the rate.
    """

    burst: float
    misfit: float
    contradicts: bool


class _Candidate(NamedTuple):
    """A rate that may be the limit.

    Attributes:
        rate: Requests a second.
        fit: How well it explains the refusals.
        width: How many rates it stands for, as the logarithm of the step to the next.
    """

    rate: float
    fit: _Fit
    width: float


def _fit(
    stretches: Sequence[Stretch], rate: float, begins: float, backlog: float | None, slack: float
) -> _Fit:
    at_refusals = [] if backlog is None else [backlog]
    now, peak, idle, time = backlog or 0.0, 0.0, 0.0, begins
    idle_error = IDLE + slack / 2
    for granted, refused_at in stretches:
        for first, last, count in granted:
            now -= rate * (first - time)
            now = max(now, 0.0)
            now += count - rate * (last - first)
            now = max(now, 1.0)
            peak = max(peak, now)
            time = last
        left = now - rate * (refused_at - time)
        if left < 0.0:  # nothing was left, so nothing was missing
            idle += (left / idle_error) ** 2
            left = 0.0
        at_refusals.append(left)
    burst = sum(at_refusals) / len(at_refusals)
    error = ERROR + ERROR_SHARE * burst + slack / 2
    squares = sum((each - burst) ** 2 for each in at_refusals) + max(peak - burst - 1.0, 0.0) ** 2
    worst = max(peak - burst - 1.0, burst - min(at_refusals))
    contradicts = worst > 4 * error + CONTRADICTION * burst or idle > 25 * len(at_refusals)
    return _Fit(max(burst + 0.5, 1.0), squares / error**2 + idle, contradicts)
