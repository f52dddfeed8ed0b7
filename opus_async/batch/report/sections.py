"""The first half of the report: how it stands, what to do, how it went."""

from __future__ import annotations

from collections.abc import Iterator

from opus_async import text as words
from opus_async.batch.report import charts
from opus_async.batch.report.report_data import ReportData
from opus_async.batch.report.verdict import Tone, steps, verdict
from opus_async.reporting import figures
from opus_async.reporting.charts import bars
from opus_async.reporting.charts.bars import Part, figure, swatch
from opus_async.reporting.html import code, command, isolated, paragraph, section, text

_NEITHER = (words.NOTHING, words.NOTHING)
_MARKS = {Tone.GOOD: "✓", Tone.NEUTRAL: "●", Tone.CAREFUL: "!", Tone.BAD: "✕"}


def opening(data: ReportData) -> str:
    """The verdict."""
    found = verdict(data)
    workflow = data.facts.get("fingerprint", {}).get("workflow_id", "")
    of_workflow = f" of workflow {code(workflow)}" if workflow else ""
    made = f"{'As it stood' if data.running else 'Report made'} {words.moment(data.made_at)} UTC."
    why = paragraph(text(found.why), "why") if found.why else ""
    return (
        f'<header class="{found.tone}">\n'
        f'<p class="kicker">Batch {isolated(data.directory.absolute().name)}{of_workflow}</p>\n'
        f'<p class="badge"><span aria-hidden="true">{_MARKS[found.tone]}</span> {text(found.word)}</p>\n'
        f"<h1>{text(found.sentence)}</h1>\n{why}"
        f'<p class="made">{made} All times are UTC.</p>\n</header>\n'
    )


def next_steps(data: ReportData) -> str:
    """What to do, with the commands."""
    found = steps(data)
    if not found:
        return section("next", "What to do next", paragraph("Nothing: no row is there to be run."))
    items = "".join(f"<li>{text(step.why)}{_commands(step.commands)}</li>\n" for step in found)
    return section("next", "What to do next", f"<ol>\n{items}</ol>\n")


def _commands(lines: tuple[str, ...]) -> str:
    """Each of them is taken whole by a click on it."""
    typed = "".join(f"<code>{command(line)}</code>\n" for line in lines)
    return f"<pre>{typed.rstrip()}</pre>" if lines else ""


def key_figures(data: ReportData) -> str:
    """Rows by state, and the figures that are asked for first."""
    tiles = "".join(
        f"<div><dt>{text(name)}</dt><dd><b>{text(value)}</b><small>{text(note)}</small></dd></div>\n"
        for name, value, note in _tiles(data)
    )
    return section("figures", "Key figures", _states(data), f'<dl class="tiles">\n{tiles}</dl>\n')


def _states(data: ReportData) -> str:
    counts = data.counts
    parts = [
        Part("completed", "completed", counts.completed),
        Part("failed", "failed", counts.failed),
        Part("cancelled", "cancelled", counts.cancelled),
        Part("timed out", "timed-out", counts.timed_out),
        Part("unknown", "unknown", counts.unknown),
        Part("in flight", "in-flight", counts.ordering + counts.running),
        Part("waiting for a person", "waiting", counts.waiting),
        Part("not started", "planned", counts.planned),
    ]
    items = "".join(
        f"<li>{swatch(part.kind)} {part.name} <b>{words.count(part.count)}</b> "
        f"<small>{figures.share(part.count, counts.total)}</small></li>\n"
        for part in parts
        if part.count
    )
    return f'{bars.state_bar(parts)}<ul class="legend">\n{items}</ul>\n' if counts.total else ""


def _tiles(data: ReportData) -> Iterator[tuple[str, str, str]]:
    """Name, value, and a note."""
    traffic, run_time, downloads = data.traffic, data.run_time, data.downloads
    median, high = (
        (figures.duration(run_time.median), figures.duration(run_time.high)) if run_time else _NEITHER
    )
    saved = figures.at_least(data.uploads_saved, known=data.all_told)
    strays = figures.at_least(data.stray_shells, known=data.all_told)
    retried = f"{figures.share(traffic.retries, traffic.requests)} of the requests"
    again = f"{words.counted(data.started_again, 'row') if data.started_again else 'none'} more than once"
    yield (
        "Wall time",
        figures.duration(data.worked) if data.sessions else words.NOTHING,
        _wall_note(data),
    )
    rate = data.rows_per_hour
    yield "Completed per hour", words.NOTHING if rate is None else words.figure(rate), "of wall time"
    yield "Run time, median", median, "of a row, from start to results"
    yield "Run time, 95th percentile", high, "19 of 20 rows are quicker"
    yield "Requests", words.count(traffic.requests), _per_row(traffic.requests, data)
    yield "Retries", words.count(traffic.retries), retried
    yield "Turned away with 429", words.count(traffic.throttled), "among the retries"
    yield "Rows taken up", words.count(data.attempts), again
    yield "Uploaded", figures.size(traffic.uploaded_bytes), "repeated attempts included"
    yield "Uploads saved", saved, "same content, sent once"
    yield "Stray shells", strays, "made, never started, unbilled"
    yield "Downloads", words.count(downloads.files), f"files, {figures.size(downloads.size)} in all"


def _wall_note(data: ReportData) -> str:
    number = len(data.sessions)
    if number < 2:  # noqa: PLR2004 - one session is the batch
        return "in one session" if number else "no session yet"
    first, last = data.sessions[0].view.began_at, data.sessions[-1].ended
    return f"in {words.count(number)} sessions, {figures.duration(last - first)} from first to last"


def _per_row(requests: int, data: ReportData) -> str:
    ended = data.counts.ended
    return f"{words.figure(requests / ended)} for each row that ended" if ended else ""


def throughput(data: ReportData) -> str:
    """How many rows ended when."""
    if not any(column.total for column in data.columns):
        inner = paragraph("No row has ended in a session yet.", "none")
    else:
        spans = [session.span for session in data.sessions]
        keys = [("completed", "completed")]
        if any(column.not_completed for column in data.columns):
            keys.append(("failed", "did not complete"))
        inner = figure(
            f"Rows that ended per {charts.unit_for(data.worked).name}. Each column is about "
            f"{figures.duration(data.column_seconds)} of work.",
            [*keys, *_pauses(data)],
            charts.throughput(spans, data.columns),
        )
    return section("throughput", "Throughput over time", inner)


def standing(data: ReportData) -> str:
    """How many rows were under way when."""
    if not data.in_flight.highest and not data.waiting.highest:
        inner = paragraph("No sample shows a row in flight.", "none")
    else:
        spans = [session.span for session in data.sessions]
        keys = [("in-flight", "in flight")]
        if data.waiting.highest:
            keys.append(("waiting", "waiting for a person"))
        inner = figure(
            "Rows under way at the same time. Peaks and dips are kept, however short they were.",
            [*keys, *_pauses(data)],
            charts.in_flight_chart(spans, data.in_flight, data.waiting),
        )
    return section("standing", "In flight over time", inner)


def _pauses(data: ReportData) -> list[tuple[str, str]]:
    return [("pause", "nothing ran (not to scale)")] if len(data.sessions) > 1 else []
