"""How many requests a server granted, and when they were sent: counts in bins, the older the coarser.

Whoever meets a limit needs to know what was granted before; so every granted request is counted, of whatever
server. That costs an addition for nearly all of them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

WIDTH = 0.02
"""Seconds of a bin."""
MOST = 2048
"""Bins, 40 s of a busy server; beyond that, pairs of the older half become one each."""
RECENTLY = 15.0
"""Seconds that count for the rate of late."""


class Granted(NamedTuple):
    """Granted requests of some moments.

    Attributes:
        first: When the first of them was sent, in seconds of the clock.
        last: When the last of them was sent.
        requests: How many they are.
    """

    first: float
    last: float
    requests: int


class RateHistory:
    """The granted requests of one kind.

    Attributes:
        total: How many there were.
    """

    __slots__ = ("_counts", "_ends", "_firsts", "_lasts", "total")

    def __init__(self) -> None:
        self.total = 0
        self._firsts: list[float] = []
        self._lasts: list[float] = []
        self._counts: list[int] = []
        self._ends = float("-inf")
        """When the newest bin ends."""

    def add(self, sent_at: float) -> None:
        """Count a request that was sent at this time and granted; they may come out of order."""
        self.total += 1
        if sent_at >= self._ends:
            self._firsts.append(sent_at)
            self._lasts.append(sent_at)
            self._counts.append(1)
            self._ends = sent_at + WIDTH
            if len(self._counts) > MOST:
                self._coarsen()
        elif sent_at >= self._firsts[-1]:
            self._counts[-1] += 1
            self._lasts[-1] = max(self._lasts[-1], sent_at)
        else:
            self._add_late(sent_at)

    def since(self, time: float) -> list[Granted]:
        """The bins that began at this time or later, in order."""
        start = bisect_right(self._firsts, time)
        return list(map(Granted, self._firsts[start:], self._lasts[start:], self._counts[start:]))

    def _add_late(self, sent_at: float) -> None:
        """Count a request that was answered long after others that were sent later."""
        place = bisect_right(self._firsts, sent_at) - 1
        if place >= 0 and sent_at <= max(self._lasts[place], self._firsts[place] + WIDTH):
            self._counts[place] += 1
            self._lasts[place] = max(self._lasts[place], sent_at)
        else:
            self._firsts.insert(place + 1, sent_at)
            self._lasts.insert(place + 1, sent_at)
            self._counts.insert(place + 1, 1)

    def _coarsen(self) -> None:
        half = MOST // 2 // 2 * 2
        self._firsts[:half] = self._firsts[0:half:2]
        self._lasts[:half] = self._lasts[1:half:2]
        self._counts[:half] = map(sum, zip(self._counts[0:half:2], self._counts[1:half:2], strict=True))


def together(histories: Iterable[RateHistory], since: float) -> list[Granted]:
    """What was granted of several kinds after a time, in order, in bins that do not overlap."""
    return _merged(sorted(each for history in histories for each in history.since(since)), WIDTH)


def coarser(granted: Sequence[Granted], most: int) -> Sequence[Granted]:
    """The same in fewer bins, about as many as are wanted at the most."""
    if len(granted) <= most:
        return granted
    return _merged(granted, (granted[-1].last - granted[0].first) / most)


def _merged(bins: Sequence[Granted], width: float) -> list[Granted]:
    """Make one bin of those that begin within so many seconds; the ends of bins that overlap are cut off.

    They do not become one: of several kinds of requests each overlaps the next, from the first to the last.
    """
    merged: list[Granted] = []
    begins = ends = -math.inf
    together = 0
    for first, last, requests in bins:
        if first >= begins + width:
            if together:
                merged.append(Granted(begins, min(ends, first), together))
            begins, ends, together = first, last, requests
        else:
            ends, together = max(ends, last), together + requests
    if together:
        merged.append(Granted(begins, ends, together))
    return merged


def recent_peak(histories: Iterable[RateHistory], now: float) -> float:
    """The most requests that were granted in one second of late; 0 where there were none."""
    seconds: dict[int, int] = {}
    for each in together(histories, now - RECENTLY):
        seconds[int(each.last)] = seconds.get(int(each.last), 0) + each.requests
    return float(max(seconds.values(), default=0))
