"""The percentiles of a histogram as text, in the format of HdrHistogram (``.hgrm``) that plotters read."""

from __future__ import annotations

import math
from collections.abc import Iterator

from opus_async.metrics.histogram import Histogram

_PARTS_OF_HALF = 5
"""Lines from each percentile to the one half as far from 100, as in HdrHistogram."""
_PERCENT = 100.0
_HEADER = f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}\n\n"


def hgrm_text(histogram: Histogram, scale: float = 1.0) -> str:
    """Write the percentiles of a histogram.

    Args:
        histogram: The values.
        scale: What each is multiplied by: 1,000 writes milliseconds for seconds.
    """
    lines = [
        f"{value * scale:12.3f} {share:.12f} {count:10d}{far}\n"
        for value, share, count, far in _lines(histogram)
    ]
    mean, deviation = histogram.mean or 0.0, histogram.deviation or 0.0
    buckets = sum(1 for _ in histogram.buckets())
    return "".join(
        (
            _HEADER,
            *lines,
            f"#[Mean    = {mean * scale:12.3f}, StdDeviation   = {deviation * scale:12.3f}]\n",
            f"#[Max     = {histogram.max * scale:12.3f}, Total count    = {histogram.count:12d}]\n",
            f"#[Buckets = {buckets:12d}, SubBuckets     = {1:12d}]\n",
        )
    )


def _lines(histogram: Histogram) -> Iterator[tuple[float, float, int, str]]:
    """Value, share of the values up to its percentile, how many there are up to it, and 1 over the rest."""
    if not histogram.count:
        return
    values = list(_steps(histogram))
    shown = histogram.percentiles(values)
    for percent, value in zip(values, shown, strict=True):
        if value is not None:
            far = "" if percent >= _PERCENT else f" {1 / (1 - percent / _PERCENT):14.2f}"
            yield value, percent / _PERCENT, histogram.rank(percent), far


def _steps(histogram: Histogram) -> Iterator[float]:
    """The percentiles of the lines, ever closer to each other, until all values but the highest are below."""
    percent = 0.0
    while histogram.rank(percent) < histogram.count:
        yield percent
        halvings = math.floor(math.log2(_PERCENT / (_PERCENT - percent))) + 1
        percent += _PERCENT / (_PARTS_OF_HALF * 2**halvings)
    yield _PERCENT
