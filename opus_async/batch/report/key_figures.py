"""The figures that are asked for first: rows by state, and a tile for each measure."""

from __future__ import annotations

from collections.abc import Iterator

from opus_async import text
from opus_async.batch.ledger.report_queries import RequestTotals
from opus_async.batch.report.report_data import ReportData
from opus_async.metrics.counts import Counts
from opus_async.metrics.distribution import Distribution
from opus_async.reporting import costs, figures
from opus_async.reporting.charts.bars import Part


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
    yield (
        "Wall time",
        figures.duration(data.worked) if data.sessions else text.NOTHING,
        _wall_note(data),
    )
    if data.cost is not None:
        yield "Billed", costs.billed(data.cost), f"at {costs.money(data.cost.price)} for each completed job"
    rate = data.rows_per_hour
    yield "Completed per hour", text.NOTHING if rate is None else text.figure(rate), "of wall time"
    yield "Run time, median", *_spread(data.run_time, "of a job, until its end is noticed")
    yield "Whole row, median", *_spread(data.row_time, "waits included")
    yield "Requests", text.count(traffic.requests), _per_row(traffic.requests, data)
    yield "Retries", text.count(traffic.retries), _retried(traffic)
    if data.started_again:
        yield (
            "Rows taken up",
            text.count(data.attempts),
            f"{text.counted(data.started_again, 'row')} repeatedly",
        )
    if traffic.uploaded_bytes or data.uploads_saved:
        yield "Uploaded", figures.size(traffic.uploaded_bytes), _saved(data)
    if downloads.files:
        yield "Downloaded", figures.size(downloads.size), text.counted(downloads.files, "file")
    if data.stray_shells and data.all_told:
        yield (
            "Jobs never started",
            f"≤\N{NO-BREAK SPACE}{text.count(data.stray_shells)}",
            "made and left, unbilled",
        )


def _spread(times: Distribution | None, note: str) -> tuple[str, str]:
    """A median, and a note with what 95 of 100 do not exceed."""
    if times is None:
        return text.NOTHING, note
    return figures.duration(
        times.median
    ), f"{note}; 95\N{NO-BREAK SPACE}% within {figures.duration(times.high)}"


def _retried(traffic: RequestTotals) -> str:
    share = f"{figures.share(traffic.retries, traffic.requests)} of the requests"
    return f"{share}; {text.count(traffic.throttled)} by\N{NO-BREAK SPACE}429" if traffic.throttled else share


def _saved(data: ReportData) -> str:
    if not data.uploads_saved:
        return "repeated attempts included"
    saved = figures.at_least(data.uploads_saved, known=data.all_told)
    return f"{saved} {text.plural(data.uploads_saved, 'upload', 'uploads')} saved: same content"


def _wall_note(data: ReportData) -> str:
    number = len(data.sessions)
    if number < 2:  # noqa: PLR2004 - one session is the batch
        return "in one session" if number else "no session yet"
    first, last = data.sessions[0].view.began_at, data.sessions[-1].ended
    return f"in {text.count(number)} sessions, {figures.duration(last - first)} from first to last"


def _per_row(requests: int, data: ReportData) -> str:
    ended = data.counts.ended
    return f"{text.figure(requests / ended)} for each row that ended" if ended else ""
