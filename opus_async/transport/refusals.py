"""The refusals of one limit, and what they tell together with what was granted between them.

A limit can change, and others can use it, too. So the newest refusals count, and where they contradict those
before them, those are forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from opus_async.transport.rate_estimate import Estimate, Stretch, estimate
from opus_async.transport.rate_history import WIDTH, Granted, RateHistory, coarser, together

Histories = Callable[[], Sequence[RateHistory]]
"""Returns what was granted of the requests that a limit counts."""

REMEMBERED = 6
"""Refusals that an estimate goes by."""
FEWEST = 2
"""So many tell of a limit, if one knows what was granted before the first."""
NEWEST = (3, FEWEST)
"""So many are left when they contradict those before them."""
UNEXPLAINED = 1.25
"""The doubt where even those contradict each other."""
BEFORE = 60.0
"""Seconds before the first refusal that tell of the limit."""
RECENT = 10.0
"""Seconds before the first refusal that tell of a rate to begin with."""
APART = 0.5
"""Seconds. Refusals of several operations that are closer together are one."""
LEAST_PAUSE = 0.05
BINS = 64
"""For what was granted between two refusals: when in between matters little."""


class Refusals:
    """The newest refusals of a limit, one for each pause.

    Args:
        histories: Of the requests that it counts.

    Attributes:
        histories: As given.
        blur: Seconds by which requests may have arrived in another order than they were sent.
        marks: A beginning, and when the requests were sent that were refused first since then, one a pause.
        is_fresh: Whether the first mark is a beginning, with nothing sent before, and not a refusal itself.
    """

    __slots__ = ("_burst", "blur", "histories", "is_fresh", "marks")

    def __init__(self, histories: Histories) -> None:
        self.histories = histories
        self.blur = 0.0
        self.marks: list[float] = []
        self.is_fresh = True
        self._burst = 0.0
        """Of the newest estimate; 0 before."""

    @classmethod
    def merged(cls, parts: Sequence[Refusals], histories: Histories) -> Refusals:
        """The refusals of several limits that are taken for one."""
        merged = cls(histories)
        merged.is_fresh = all(part.is_fresh for part in parts)
        merged.blur = max(part.blur for part in parts)
        merged.marks = [min(part.marks[0] for part in parts)]
        for mark in sorted(mark for part in parts for mark in part.marks[1:])[-REMEMBERED:]:
            if len(merged.marks) == 1 or mark - merged.marks[-1] > APART:
                merged.marks.append(mark)
        return merged

    @property
    def latest(self) -> float:
        """When the request was sent that was refused last."""
        return self.marks[-1]

    def __bool__(self) -> bool:
        """Whether there were any."""
        return bool(self.marks)

    def add(self, sent_at: float, took: float) -> None:
        """Note a refusal that began a pause; where nothing was granted since the one before, in its place.

        Args:
            sent_at: When the request was sent.
            took: Seconds until it was answered.
        """
        marks = self.marks
        self.blur += (took / 2 - self.blur) / (2 if marks else 1)
        if not marks:
            granted = together(self.histories(), sent_at - BEFORE)
            marks.append((min(granted[0].first, sent_at) if granted else sent_at) - WIDTH)
        elif not together(self.histories(), marks[-1]):
            marks.pop()
        marks.append(max(sent_at, marks[-1]))
        if len(marks) > REMEMBERED + 1:  # long stretches tell most of the rate
            shortest = min(range(1, len(marks) - 2), key=lambda place: marks[place + 1] - marks[place - 1])
            del marks[shortest]

    def would_explain(self, sent_at: float) -> bool:
        """Whether one limit explains them all, and one more of a request that was sent at this time."""
        trial = Refusals(self.histories)
        trial.blur, trial.is_fresh, trial.marks = self.blur, self.is_fresh, [*self.marks, sent_at]
        granted = together(self.histories(), self.marks[0])
        return trial._estimate(len(self.marks), granted, LEAST_PAUSE) is not None

    def estimate(self, pause: float) -> Estimate | None:
        """The limit by all refusals, or the newest that do not contradict each other; None after only one.

        Args:
            pause: Seconds of the newest pause.
        """
        refusals = len(self.marks) - 1
        if refusals < FEWEST:
            return None
        granted = together(self.histories(), self.marks[0])
        for newest in (refusals, *(few for few in NEWEST if few < refusals)):
            found = self._estimate(newest, granted, max(pause, LEAST_PAUSE))
            if found is not None:
                if newest < refusals:
                    del self.marks[: -newest - 1]
                    self.is_fresh = False
                break
        else:
            found = self.at_least()
        self._burst = found.burst
        return found

    def at_least(self) -> Estimate:
        """What the limit is at the least, by the newest refusals alone; those before them are forgotten."""
        del self.marks[: -FEWEST - 1]
        self.is_fresh = False
        return Estimate(self.granted_rate(), max(self._burst, 1.0), UNEXPLAINED, 0.0)

    def granted_rate(self) -> float:
        """Requests a second that were granted before the newest refusal; at least that is the limit.

        Never 0: something was granted since the one before, be it that it was sent after the refused request.
        """
        begins, ends = self.marks[-2:]
        if len(self.marks) == FEWEST:
            begins = max(begins, ends - RECENT)
        return max(self._granted(begins, ends), 1) / max(ends - begins, 0.1)

    def granted_at_first(self) -> int:
        """Requests that were granted of late when the first was refused."""
        begins, ends = self.marks[:2]
        return self._granted(max(begins, ends - RECENT), ends)

    def _granted(self, begins: float, ends: float) -> int:
        granted = together(self.histories(), begins)
        return sum(each.requests for each in granted if each.first <= ends)

    def _estimate(self, newest: int, granted: Sequence[Granted], pause: float) -> Estimate | None:
        """The limit by so many refusals; None where no limit explains them."""
        begins, *ends = self.marks[-newest - 1 :]
        starts = (begins, *ends)
        stretches = [
            Stretch(coarser([each for each in granted if start < each.first <= end], BINS), end)
            for start, end in zip(starts, ends, strict=False)
        ]
        backlog = None if self.is_fresh and newest == len(self.marks) - 1 else self._burst
        if backlog == 0.0:  # the burst is not known yet
            guess = estimate(stretches, begins, None, self.blur, pause)
            if guess is None:
                return None
            backlog = guess.burst
        return estimate(stretches, begins, backlog, self.blur, pause)
