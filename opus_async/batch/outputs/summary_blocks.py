"""The summary of a batch for people, as the second sheet of a workbook has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Any

from opus_async.batch.ledger.reader import LedgerReader
from opus_async.batch.outputs.excel_writer import SummaryBlock, SummaryLine
from opus_async.batch.outputs.iso_dates import DateForm, as_datetime, date_form
from opus_async.batch.outputs.summary import summary_of

_NAMES = {
    "stray_shells": "Jobs never started, at most",
    "ended_because": "Ended because",
    "workflow_id": "Workflow id",
}
_MOST_CAUSES = 100


def summary_blocks(ledger: LedgerReader) -> Iterator[SummaryBlock]:
    """What ``summary.json`` says, and why rows did not complete, as of the moment of the ledger."""
    meta = ledger.meta
    whole = [
        SummaryLine("Batch", ledger.directory.absolute().name),
        SummaryLine("Workflow", meta.workflow.name or None),
        SummaryLine("Manifest", PurePath(meta.manifest.path or "").name or None),
    ]
    lines = [*whole, *_lines(summary_of(ledger))]
    yield SummaryBlock("Summary", [line for line in lines if line.value is not None])
    groups = ledger.failures_by_cause(limit_examples=0)
    causes = [SummaryLine(group.told, group.count) for group in groups[:_MOST_CAUSES]]
    if rest := sum(group.count for group in groups[_MOST_CAUSES:]):
        causes.append(SummaryLine("(other causes)", rest))
    if causes:
        yield SummaryBlock("Rows that did not complete, by cause", causes)


def _lines(facts: Mapping[str, Any], prefix: str = "") -> Iterator[SummaryLine]:
    for name, value in facts.items():
        told = f"{prefix}{_NAMES.get(name) or name.replace('_', ' ').capitalize()}"
        if isinstance(value, Mapping):
            yield from _lines(value, f"{told}: ")
        elif not isinstance(value, list):
            yield SummaryLine(told, _typed(value))


def _typed(value: Any) -> str | float | datetime | None:
    """A value of a summary; its times are texts there."""
    if isinstance(value, str) and date_form(value) is DateForm.MOMENT_UTC:
        return as_datetime(value)
    return value if isinstance(value, int | float | None) else str(value)
