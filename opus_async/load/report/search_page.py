"""The page of the report of a search: what its template shows."""

from __future__ import annotations

import time
from pathlib import Path

from opus_async import text
from opus_async.load.report import header, search_charts, tables
from opus_async.load.report.header import Header
from opus_async.load.summary import SearchSummary
from opus_async.reporting.page import page


def search_page(
    directory: Path, summary: SearchSummary, *, live: bool = False, head: Header | None = None
) -> bytes:
    """The report of a search as HTML in UTF-8.

    Args:
        directory: Of the search.
        summary: What it found.
        live: Whether it follows the search, from a server.
        head: Its head; None for that of a search that has ended.
    """
    made_at = time.time()
    levels = search_charts.levels(summary)
    settings = [*summary.workload.items(), ("seed", summary.seed), ("run id", summary.run_id)]
    settings += [(f"objective {place}", slo) for place, slo in enumerate(summary.slo, 1)]
    return page(
        "opus_async.load.report",
        "search.html",
        live=live,
        summary=summary,
        name=directory.absolute().name,
        workflow=summary.workload.get("workflow_id"),
        header=head or header.search_header(summary),
        tiles=list(header.search_tiles(summary)),
        tables=tables,
        made_at=made_at,
        local=text.local_moment(made_at),
        offset=text.utc_offset(made_at),
        workload=settings,
        throughput=search_charts.throughput(summary) if levels else None,
        throughput_keys=[
            ("completed", "holds"),
            ("failed", "does not hold"),
            *([("offered", "fitted law")] if summary.fit else []),
        ],
        piled=sum(step.in_flight > 0 for step in summary.steps) - len(levels),
        latency=search_charts.latency(summary) if any(step.p95 for step in summary.steps) else None,
        latency_keys=[("completed", "holds"), ("failed", "does not hold")],
    )
