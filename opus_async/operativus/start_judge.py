"""Whether a start with an uncertain answer took effect, judged by the order of starts alone.

A run has no row until its job is taken from the server's queue, which can take half an hour, so that its
absence proves nothing. The queue gives out its jobs oldest first: where a start that was sent later has its
row for a while, and the uncertain one has none, that one was never accepted. What "later" is takes care:

- the later start was sent after the failure of the uncertain one was seen, and after as long again as that
  failure took: a request that hangs for a minute in a server may take effect a minute late;
- it was accepted, and was the only start of its run: an earlier one could be what made the row;
- its row has been visible for some seconds: rows that a server makes at the same time show in any order.

While starts that were accepted have no rows, such evidence may still come, and the clock stands still.

Pure: no asyncio, no clock; seconds of the loop's clock go in.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from opus_async.platform import StartCheck

VISIBLE_FOR = 5.0
"""Seconds for which the row of a later start must have been visible at least, however short the policy's
grace
is: rows that a server makes at the same time show in any order."""
_RECOVERED_MARGIN = 1.0
"""Seconds. How long after a process died what it sent last may still arrive."""


@dataclass(slots=True)
class _Start:
    """What is known of the starts of one run. Times in seconds.

    Attributes:
        sent_at: When the first start was sent; -inf where an earlier process sent one.
        sent: Starts that this process has sent.
        settled_at: When the latest uncertain start cannot take effect any more: what is sent later is later.
            None where no start was uncertain.
        refused: Whether the latest start was refused.
        accepted: Whether one was accepted.
        shown_at: Since when its row is visible; None while it was not seen.
    """

    sent_at: float = math.inf
    sent: int = 0
    settled_at: float | None = None
    refused: bool = False
    accepted: bool = False
    shown_at: float | None = None


class StartJudge:
    """The starts of one client for one workflow.

    Args:
        visible_for: Seconds for which the row of a later start must have been visible.
    """

    def __init__(self, visible_for: float) -> None:
        self._visible_for = visible_for
        self._starts: dict[str, _Start] = {}
        self._without_row: set[str] = set()
        """Those that were accepted and have no row yet."""
        self._fresh: deque[tuple[float, float]] = deque()
        """Since when a row is visible, and when its run was started; not long enough yet."""
        self._proven = -math.inf
        """What was sent before this and has no row was never accepted."""

    def recovered(self, key: str, now: float, *, accepted: bool, overtaken: bool = False) -> None:
        """Note a run that an earlier process has, or may have, started.

        Args:
            key: The run.
            now: The time.
            accepted: Whether a start of it is known to have been accepted.
            overtaken: Whether a start that a process after that one sent is known to have made a row.
        """
        margin = min(_RECOVERED_MARGIN, self._visible_for)
        settled_at = -math.inf if overtaken else now + margin
        self._starts[key] = _Start(sent_at=-math.inf, settled_at=settled_at, accepted=accepted)
        if accepted:
            self._without_row.add(key)

    def sent(self, key: str, now: float) -> None:
        """Note that a start is sent now; of several attempts of the first one the last counts."""
        start = self._starts.setdefault(key, _Start())
        if start.settled_at is not None and self._proven >= start.settled_at:  # those before had no effect
            start.sent, start.sent_at, start.settled_at = 0, math.inf, None
        if not start.sent and start.sent_at > -math.inf:
            start.sent_at = now

    def accepted(self, key: str) -> None:
        """Note that the start which was sent is accepted."""
        start = self._starts.setdefault(key, _Start())
        start.sent += 1
        start.accepted, start.refused = True, False
        if start.shown_at is None:
            self._without_row.add(key)
        else:  # its row was quicker than its answer
            self._take_evidence(start, start.shown_at)

    def uncertain(self, key: str, now: float, *, took: float, refused: bool) -> None:
        """Note that the start which was sent got no clear yes.

        Args:
            key: The run.
            now: When its failure was seen.
            took: How long after it was sent.
            refused: Whether somebody said no.
        """
        start = self._starts.setdefault(key, _Start())
        start.sent += 1
        start.refused = refused
        if not refused:
            start.settled_at = now + min(took, self._visible_for)

    def shown(self, key: str, now: float) -> None:
        """Note that a run has a row."""
        start = self._starts.get(key)
        if start is None or start.shown_at is not None:
            return
        start.shown_at = now
        self._without_row.discard(key)
        if start.accepted:
            self._take_evidence(start, now)

    def forget(self, key: str) -> None:
        """Forget a run; what its row proved stays."""
        self._starts.pop(key, None)
        self._without_row.discard(key)

    def awaits_rows_sent_before(self, moment: float) -> bool:
        """Whether a start that was accepted, and sent before this moment, has no row yet."""
        return any(self._starts[key].sent_at < moment for key in self._without_row)

    def check(self, key: str, looked_at: float) -> StartCheck:
        """Judge a run, of which a look that began at this time would have shown any row."""
        start = self._starts.get(key)
        if start is None:
            return StartCheck.INCONCLUSIVE
        if start.shown_at is not None:
            return StartCheck.RUNNING
        if start.settled_at is None:
            return StartCheck.NOT_STARTED if start.refused else StartCheck.INCONCLUSIVE
        self._ripen(looked_at)
        if self._proven >= start.settled_at:
            return StartCheck.NOT_STARTED
        awaits_rows = len(self._without_row) > (key in self._without_row)
        if awaits_rows or any(sent_at > start.settled_at for _, sent_at in self._fresh):
            return StartCheck.NO_EVIDENCE_YET
        return StartCheck.INCONCLUSIVE

    def _take_evidence(self, start: _Start, shown_at: float) -> None:
        """Take a row for evidence that comes from the one start of its run."""
        if start.sent == 1:
            self._ripen(shown_at)
            self._fresh.append((shown_at, start.sent_at))

    def _ripen(self, now: float) -> None:
        """Take the rows for proof that have been visible for long enough."""
        while self._fresh and self._fresh[0][0] + self._visible_for <= now:
            self._proven = max(self._proven, self._fresh.popleft()[1])
