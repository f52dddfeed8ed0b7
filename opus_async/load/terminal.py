"""What a load test came to, as text for a terminal."""

from __future__ import annotations

from opus_async.load.comparison import Comparison
from opus_async.load.summary import RunSummary, SearchSummary


def run_text(summary: RunSummary) -> str:
    """The summary of a run."""
    return str(summary.verdict)


def search_text(summary: SearchSummary) -> str:
    """The summary of a search."""
    return str(summary.verdict)


def comparison_text(comparison: Comparison) -> str:
    """What became of the figures of two runs."""
    return str(comparison.verdict)
