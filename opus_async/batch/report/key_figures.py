"""The figures that are asked for first: rows by state, and a tile for each measure."""

from __future__ import annotations

from collections.abc import Iterator

from opus_async import text
from opus_async.batch.report.report_data import ReportData
from opus_async.metrics.counts import Counts
from opus_async.metrics.distribution import Distribution
from opus_async.reporting import costs, figures
from opus_async.reporting.charts.bars import Part

_NEITHER = (text.NOTHING, text.NOTHING)


def parts(counts: Counts) -> list[Part]:
    """Rows by state, those without any left out."""
    states = [
        Part("completed", "completed", counts.completed),
        Part("failed", "failed", counts.failed),
        Part("cancelled", "cancelled", counts.cancelled),
        Part("timed out", "timed-out", counts.timed_out),
        Part("unknown", "unknown", counts.unknown),
        Part("in flight", "in-flight", counts.ordering + counts.running),
        Part("waiting for a person", "waiting", counts.waiting),
        Part("not started", "planned", counts.planned),
    ]
    return [part for part in states if part.count]


def tiles(data: ReportData) -> Iterator[tuple[str, str, str]]:
    """Name, value, and a note."""
    traffic, downloads = data.traffic, data.downloads
    run_median, run_high = _median_and_high(data.run_time)
    row_median, row_high = _median_and_high(data.row_time)
    saved = figures.at_least(data.uploads_saved, known=data.all_told)
    strays = figures.at_least(data.stray_shells, known=data.all_told)
    retried = f"{figures.share(traffic.retries, traffic.requests)} of the requests"
    again = f"{text.counted(data.started_again, 'row') if data.started_again else 'none'} more than once"
    yield (
        "Wall time",
        figures.duration(data.worked) if data.sessions else text.NOTHING,
        _wall_note(data),
    )
    if data.cost is not None:
        yield "Billed", costs.billed(data.cost), f"at {costs.money(data.cost.price)} for each completed job"
    rate = data.rows_per_hour
    yield "Completed per hour", text.NOTHING if rate is None else text.figure(rate), "of wall time"
    yield "Run time, median", run_median, "of a job, until its end was noticed"
    yield "Run time, 95th percentile", run_high, "19 of 20 jobs are quicker"
    yield "Whole row, median", row_median, "waits for its turn included"
    yield "Whole row, 95th percentile", row_high, "19 of 20 rows are quicker"
    yield "Requests", text.count(traffic.requests), _per_row(traffic.requests, data)
    yield "Retries", text.count(traffic.retries), retried
    yield "Turned away with 429", text.count(traffic.throttled), "among the retries"
    yield "Rows taken up", text.count(data.attempts), again
    yield "Uploaded", figures.size(traffic.uploaded_bytes), "repeated attempts included"
    yield "Uploads saved", saved, "same content, sent once"
    yield "Jobs never started", strays, "made and left, unbilled"
    yield "Downloads", text.count(downloads.files), f"files, {figures.size(downloads.size)} in all"


def _median_and_high(times: Distribution | None) -> tuple[str, str]:
    return _NEITHER if times is None else (figures.duration(times.median), figures.duration(times.high))


def _wall_note(data: ReportData) -> str:
    number = len(data.sessions)
    if number < 2:  # noqa: PLR2004 - one session is the batch
        return "in one session" if number else "no session yet"
    first, last = data.sessions[0].view.began_at, data.sessions[-1].ended
    return f"in {text.count(number)} sessions, {figures.duration(last - first)} from first to last"


def _per_row(requests: int, data: ReportData) -> str:
    ended = data.counts.ended
    return f"{text.figure(requests / ended)} for each row that ended" if ended else ""
