"""What a session returns to its caller."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opus_async.batch.choices import ended_text
from opus_async.exits import Exit
from opus_async.html_card import card
from opus_async.layout import REPORT, RESULTS
from opus_async.metrics.counts import Counts
from opus_async.redaction import mask_signatures
from opus_async.reporting.costs import money
from opus_async.text import count, counted


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """How a batch stands when a session of it has ended.

    Attributes:
        directory: The batch directory.
        counts: Rows by state.
        exit_code: What the command line would end with.
        ended_because: Why the session ended: ``finished``, or what ended it early.
        summary: What ``summary.json`` holds.
        error: What every row would have met and so ended the session; None when nothing did.
    """

    directory: Path
    counts: Counts
    exit_code: Exit
    ended_because: str
    summary: Mapping[str, Any] = field(repr=False)
    error: Exception | None = None

    @property
    def ok(self) -> bool:
        """Whether every row is completed."""
        return self.counts.completed == self.counts.total

    def results(self) -> Iterator[dict[str, Any]]:
        """The lines of ``results.jsonl`` one by one: ``index, key, job_id, status, outputs, timings``."""
        path = self.directory / RESULTS
        if not path.exists():
            return
        with path.open("rb") as lines:
            for line in lines:
                yield json.loads(line)

    def _repr_html_(self) -> str:
        """The counts, what it cost, how it ended and where its report lies as a table, for notebooks."""
        counts = self.counts
        states = {
            "completed": counts.completed,
            "failed": counts.failed,
            "cancelled": counts.cancelled,
            "timed out": counts.timed_out,
            "unknown": counts.unknown,
            "in flight": counts.ordering + counts.running,
            "waiting for a person": counts.waiting,
            "not started": counts.planned,
        }
        lines: list[tuple[object, object]] = [(name, count(rows)) for name, rows in states.items() if rows]
        if cost := self.summary.get("cost"):
            sums = dict.fromkeys((cost["billed"], cost["billed_at_most"]))
            lines.append(("billed", " to ".join(map(money, sums))))
        lines.append(("ended because", ended_text(self.ended_because)))
        if self.error is not None:
            lines.append(("error", mask_signatures(str(self.error))))
        lines.append(("report", self.directory / REPORT))
        return card(f"Batch of {counted(counts.total, 'row')}", lines)
