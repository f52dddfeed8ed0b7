"""How fast a batch goes, how long the rest of it takes, and why it ends early: by its latest samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opus_async.batch.ledger.reader import LedgerReader
from opus_async.batch.ledger.stored import StoredSample, StoredSession
from opus_async.metrics.counts import Counts
from opus_async.metrics.samples import Ending
from opus_async.metrics.throughput import Throughput, TimeLeft

LOOKS_BACK = 300.0
"""Seconds over which the rate is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """How a batch goes on.

    Attributes:
        last: The latest sample; None without any.
        speed: None where too little was seen.
        left: Until all but the rows that wait for a person have ended; None where that cannot be told, and
            where it is being ended early, with rows that it does not begin.
        ending: Why and how it is being ended early; None while it is not.
    """

    last: StoredSample | None = None
    speed: Throughput | None = None
    left: TimeLeft | None = None
    ending: Ending | None = None

    @classmethod
    def of(cls, ledger: LedgerReader, session: StoredSession, counts: Counts) -> Outlook:
        """That of a batch on which a session is at work."""
        samples = _recent(ledger, session)
        if not samples:
            return cls()
        speed, last = Throughput.of([each.sample for each in samples]), samples[-1]
        ending, rest = last.sample.ending, rows_left(counts)
        left = speed.time_left(rest) if speed and rest and not ending else None
        return cls(last=last, speed=speed, left=left, ending=ending)


def rows_left(counts: Counts) -> int:
    """Rows that are to end and need no person for it."""
    return counts.total - counts.ended - counts.waiting


def _recent(ledger: LedgerReader, session: StoredSession) -> Sequence[StoredSample]:
    since = max(session.seen_at - LOOKS_BACK, session.began_at)
    return [each for each in ledger.samples(since) if each.session == session.id]
