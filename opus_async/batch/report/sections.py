"""The first half of the report: how it stands, what to do, how it went."""

from __future__ import annotations

from collections.abc import Iterator

from opus_async.batch.report import charts
from opus_async.batch.report.report_data import ReportData
from opus_async.batch.report.verdict import Tone, steps, verdict
from opus_async.reporting import words
from opus_async.reporting.charts import bars
from opus_async.reporting.charts.bars import Part, figure, swatch
from opus_async.reporting.html import code, command, isolated, paragraph, section, text

_NEITHER = (words.NOTHING, words.NOTHING)
_MARKS = {Tone.GOOD: "✓", Tone.NEUTRAL: "●", Tone.CAREFUL: "!", Tone.BAD: "✕"}


def opening(figures: ReportData) -> str:
    """The verdict."""
    found = verdict(figures)
    workflow = figures.facts.get("fingerprint", {}).get("workflow_id", "")
    of_workflow = f" of workflow {code(workflow)}" if workflow else ""
    made = f"{'As it stood' if figures.running else 'Report made'} {words.moment(figures.made_at)} UTC."
    why = paragraph(text(found.why), "why") if found.why else ""
    return (
        f'<header class="{found.tone}">\n'
        f'<p class="kicker">Batch {isolated(figures.directory.absolute().name)}{of_workflow}</p>\n'
        f'<p class="badge"><span aria-hidden="true">{_MARKS[found.tone]}</span> {text(found.word)}</p>\n'
        f"<h1>{text(found.sentence)}</h1>\n{why}"
        f'<p class="made">{made} All times are UTC.</p>\n</header>\n'
    )


def next_steps(figures: ReportData) -> str:
    """What to do, with the commands."""
    found = steps(figures)
    if not found:
        return section("next", "What to do next", paragraph("Nothing: no row is there to be run."))
    items = "".join(f"<li>{text(step.why)}{_commands(step.commands)}</li>\n" for step in found)
    return section("next", "What to do next", f"<ol>\n{items}</ol>\n")


def _commands(lines: tuple[str, ...]) -> str:
    """Each of them is taken whole by a click on it."""
    typed = "".join(f"<code>{command(line)}</code>\n" for line in lines)
    return f"<pre>{typed.rstrip()}</pre>" if lines else ""


def key_figures(figures: ReportData) -> str:
    """Rows by state, and the figures that are asked for first."""
    tiles = "".join(
        f"<div><dt>{text(name)}</dt><dd><b>{text(value)}</b><small>{text(note)}</small></dd></div>\n"
        for name, value, note in _tiles(figures)
    )
    return section("figures", "Key figures", _states(figures), f'<dl class="tiles">\n{tiles}</dl>\n')


def _states(figures: ReportData) -> str:
    counts = figures.counts
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
        f"<small>{words.share(part.count, counts.total)}</small></li>\n"
        for part in parts
        if part.count
    )
    return f'{bars.state_bar(parts)}<ul class="legend">\n{items}</ul>\n' if counts.total else ""


def _tiles(figures: ReportData) -> Iterator[tuple[str, str, str]]:
    """Name, value, and a note."""
    traffic, run_time, downloads = figures.traffic, figures.run_time, figures.downloads
    median, high = (words.duration(run_time.median), words.duration(run_time.high)) if run_time else _NEITHER
    saved = words.at_least(figures.uploads_saved, known=figures.all_told)
    strays = words.at_least(figures.stray_shells, known=figures.all_told)
    retried = f"{words.share(traffic.retries, traffic.requests)} of the requests"
    again = f"{words.rows(figures.started_again) if figures.started_again else 'none'} more than once"
    yield (
        "Wall time",
        words.duration(figures.worked) if figures.sessions else words.NOTHING,
        _wall_note(figures),
    )
    rate = figures.rows_per_hour
    yield "Completed per hour", words.NOTHING if rate is None else words.figure(rate), "of wall time"
    yield "Run time, median", median, "of a row, from start to results"
    yield "Run time, 95th percentile", high, "19 of 20 rows are quicker"
    yield "Requests", words.count(traffic.requests), _per_row(traffic.requests, figures)
    yield "Retries", words.count(traffic.retries), retried
    yield "Turned away with 429", words.count(traffic.throttled), "among the retries"
    yield "Rows taken up", words.count(figures.attempts), again
    yield "Uploaded", words.size(traffic.uploaded_bytes), "repeated attempts included"
    yield "Uploads saved", saved, "same content, sent once"
    yield "Stray shells", strays, "made, never started, unbilled"
    yield "Downloads", words.count(downloads.files), f"files, {words.size(downloads.size)} in all"


def _wall_note(figures: ReportData) -> str:
    number = len(figures.sessions)
    if number < 2:  # noqa: PLR2004 - one session is the batch
        return "in one session" if number else "no session yet"
    first, last = figures.sessions[0].view.began_at, figures.sessions[-1].ended
    return f"in {words.count(number)} sessions, {words.duration(last - first)} from first to last"


def _per_row(requests: int, figures: ReportData) -> str:
    ended = figures.counts.ended
    return f"{words.figure(requests / ended)} for each row that ended" if ended else ""


def throughput(figures: ReportData) -> str:
    """How many rows ended when."""
    if not any(column.total for column in figures.columns):
        inner = paragraph("No row has ended in a session yet.", "none")
    else:
        spans = [session.span for session in figures.sessions]
        keys = [("completed", "completed")]
        if any(column.not_completed for column in figures.columns):
            keys.append(("failed", "did not complete"))
        inner = figure(
            f"Rows that ended per {charts.unit_for(figures.worked).name}. Each column is about "
            f"{words.duration(figures.column_seconds)} of work.",
            [*keys, *_pauses(figures)],
            charts.throughput(spans, figures.columns),
        )
    return section("throughput", "Throughput over time", inner)


def standing(figures: ReportData) -> str:
    """How many rows were under way when."""
    if not figures.in_flight.highest and not figures.waiting.highest:
        inner = paragraph("No sample shows a row in flight.", "none")
    else:
        spans = [session.span for session in figures.sessions]
        keys = [("in-flight", "in flight")]
        if figures.waiting.highest:
            keys.append(("waiting", "waiting for a person"))
        inner = figure(
            "Rows under way at the same time. Peaks and dips are kept, however short they were.",
            [*keys, *_pauses(figures)],
            charts.in_flight_chart(spans, figures.in_flight, figures.waiting),
        )
    return section("standing", "In flight over time", inner)


def _pauses(figures: ReportData) -> list[tuple[str, str]]:
    return [("pause", "nothing ran (not to scale)")] if len(figures.sessions) > 1 else []
