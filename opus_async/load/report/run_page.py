"""The page of the report of a run: what its template shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opus_async import text
from opus_async.load.comparison import Comparison
from opus_async.load.metric import E2E_INTENDED
from opus_async.load.report import header, run_charts, tables
from opus_async.load.report.header import Header
from opus_async.load.report.run_data import RunData
from opus_async.reporting.page import page


def run_page(
    data: RunData,
    compared: Comparison | None = None,
    base: Path | None = None,
    *,
    live: bool = False,
    head: Header | None = None,
) -> bytes:
    """The report of a run as HTML in UTF-8.

    Args:
        data: The run.
        compared: What became better or worse since an earlier run; None for none.
        base: That run.
        live: Whether it follows the run, from a server.
        head: Its head; None for that of a run that has ended.
    """
    summary = data.summary
    return page(
        "opus_async.load.report",
        "run.html",
        live=live,
        summary=summary,
        name=data.directory.absolute().name,
        workflow=summary.workload.get("workflow_id"),
        header=head or header.run_header(summary),
        tiles=list(header.run_tiles(summary)),
        tables=tables,
        measured=data.measured,
        made_at=data.made_at,
        local=text.local_moment(data.made_at),
        offset=text.utc_offset(data.made_at),
        compared=compared,
        base="" if base is None else base.absolute().name,
        workload=[*summary.workload.items(), ("seed", summary.seed), ("run id", summary.run_id)],
        **_drawings(data),
    )


def _drawings(data: RunData) -> dict[str, Any]:
    """Charts and what they show, by name; None where there is nothing to be drawn."""
    summary = data.summary
    parts = list(data.parts())
    outside = [run_charts.OUTSIDE]
    bad = summary.counts.failed + summary.counts.unknown
    return {
        "rates": run_charts.rates(data),
        "rates_keys": [
            ("offered", "offered"),
            ("started", "started"),
            ("completed", "completed"),
            *([("failed", "did not complete")] if bad else []),
            *([("dropped", "not started")] if summary.counts.all_dropped else []),
            *outside,
        ],
        "in_flight": run_charts.in_flight(data) if data.timeline else None,
        "in_flight_keys": [("in-flight", "in flight"), *outside],
        "latency": run_charts.latency(data, parts) if parts else None,
        "latency_keys": [("median", "median"), ("high", "95th percentile"), *outside],
        "percentiles": run_charts.percentiles(data) if data.measured else None,
        "percentiles_keys": [("high", "from the intended start"), ("median", "from the real start")],
        "breakdown": run_charts.stages_over_time(data, parts) if parts else None,
        "breakdown_keys": [
            *((kind, name) for name, kind in run_charts.part_kinds(summary.stages).items()),
            *outside,
        ],
        "stages": run_charts.stages(data) if summary.latency[E2E_INTENDED].count else None,
        "detect_lag": run_charts.detect_lag(data),
        "throttling": run_charts.throttling(data) if summary.throttled.responses else None,
        "throttling_keys": [("throttled", "answers with 429"), *outside],
        "loop_lag": run_charts.loop_lag(data),
        "cpu": run_charts.cpu(data),
        "health_keys": [("started", "this process"), *outside],
    }
