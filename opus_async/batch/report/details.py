"""The second half of the report: where the time went, what failed, what was repeated, who worked on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opus_async import text as words
from opus_async.batch.report.report_data import Example, Group, ReportData, Session
from opus_async.batch.rows import RowState
from opus_async.jobs.lifecycle import PAUSED
from opus_async.reporting import figures
from opus_async.reporting.charts import bars
from opus_async.reporting.charts.bars import figure
from opus_async.reporting.html import Column, code, isolated, paragraph, section, table, text

STATES = {
    RowState.COMPLETED: "completed",
    RowState.FAILED: "failed",
    RowState.CANCELLED: "cancelled",
    RowState.TIMED_OUT: "timed out",
    RowState.UNKNOWN: "unknown",
    RowState.ORDERING: "being ordered",
    RowState.RUNNING: "running",
    RowState.WAITING: "waiting for a person",
    RowState.PLANNED: "not started",
}
_DOES = (
    "checks the inputs",
    "uploads the files",
    "makes the job, unbilled",
    "starts it",
    "runs on the platform",
    "fetches what it left",
)
"""What happens in the stages of every platform, in their order."""
_WAITS, _WAITS_SHORT = "waits for a person", "for a person"
_SESSIONS_FIRST, _SESSIONS_LAST = 5, 35
"""Sessions that are told one by one when there are very many."""
_MOST_ERROR = 320


def stage_times(data: ReportData) -> str:
    """Where the time of a row goes."""
    if not data.stages:
        return section(
            "stages", "Where the time goes", paragraph("No row has been through a stage yet.", "none")
        )
    does = dict(zip(data.facts.get("stages", ()), _DOES, strict=False))
    does[PAUSED] = "rests on the platform until somebody acts there"
    spent = sum(spread.mean * spread.rows for spread in data.stages.values())
    lines = [
        (
            _stage(name),
            text(does.get(name, "")),
            words.count(spread.rows),
            figures.duration(spread.mean),
            figures.duration(spread.median),
            figures.duration(spread.high),
            figures.share(spread.mean * spread.rows, spent),
        )
        for name, spread in data.stages.items()
    ]
    columns = (
        Column("Stage"),
        Column("What happens"),
        Column("Rows", "number"),
        Column("Mean", "number"),
        Column("Median", "number"),
        Column("95th percentile", "number"),
        Column("Share of time", "number"),
    )
    drawing = figure(
        f"Time of a row in each stage; rows that {data.timed}.",
        [("mean", "mean"), ("whisker", "up to the 95th percentile")],
        bars.stages(
            {_WAITS_SHORT if name == PAUSED else name: spread for name, spread in data.stages.items()}
        ),
    )
    return section("stages", "Where the time goes", drawing, table(columns, lines, label="Time by stage"))


def _stage(name: str) -> str:
    return text(_WAITS) if name == PAUSED else code(name)


def failures(data: ReportData) -> str:
    """What did not complete, by cause."""
    total = data.counts.not_completed
    if not total:
        return section("failures", "Failures by cause", paragraph("No row ended without completing.", "none"))
    groups = "".join(_group(group, total) for group in data.groups)
    others = ""
    if data.other_causes:
        causes = words.counted(data.other_causes, "more cause")
        others = paragraph(f"{causes} account for {words.counted(data.other_failures, 'row')}.", "note")
    where = paragraph(
        f"Every one of them is in {code('failures.jsonl')}, with its inputs. Rows are counted from 0, as in "
        f"{code('results.jsonl')}.",
        "note",
    )
    return section("failures", "Failures by cause", groups, others, where)


def _group(group: Group, total: int) -> str:
    kinds = ", ".join(f"{words.count(number)} {STATES[state]}" for state, number in group.states.items())
    columns = (
        Column("Row", "short"),
        Column("Key"),
        Column("State", "short"),
        Column("Job"),
        Column("Error", "error"),
    )
    lines = [
        (*_named(row), text(STATES[row.state]), _job(row), isolated(row.error or words.NOTHING, _MOST_ERROR))
        for row in group.examples
    ]
    return (
        f'<article class="cause">\n<h3>{isolated(group.cause)}</h3>\n'
        f"<p><b>{kinds}</b>, {figures.share(group.count, total)} of the rows that did not complete"
        f"{bars.meter(group.count, total)}</p>\n"
        f"{table(columns, lines, label='Examples of this cause', kind='stack')}</article>\n"
    )


def _named(row: Example) -> tuple[str, str]:
    return str(row.index), code(row.key)


def _job(row: Example) -> str:
    return code(row.job_id) if row.job_id else "none"


def slowest(data: ReportData) -> str:
    """The rows that took longest."""
    if not data.slowest:
        return section("slowest", "Slowest rows", paragraph("No row has been timed yet.", "none"))
    columns = (
        Column("Row", "short"),
        Column("Key"),
        Column("Took", "number"),
        Column("Most of it in", "short"),
        Column("State", "short"),
        Column("Job"),
    )
    lines = [
        (
            *_named(slow.row),
            figures.duration(slow.seconds),
            f"{_stage(slow.stage)} {figures.duration(slow.stage_seconds)}" if slow.stage else words.NOTHING,
            text(STATES[slow.row.state]),
            _job(slow.row),
        )
        for slow in data.slowest
    ]
    return section("slowest", "Slowest rows", table(columns, lines, label="Slowest rows"))


def throttling(data: ReportData) -> str:
    """Retries, 429s, and what held the batch back."""
    if not data.sessions:
        return section("retries", "Retries and throttling", paragraph("Nothing was sent yet.", "none"))
    columns = (
        Column("Session"),
        Column("Requests", "number"),
        Column("Retries", "number"),
        Column("Share", "number"),
        Column("Of them 429", "number"),
        Column("Uploaded", "number"),
    )
    lines = [
        (
            str(session.view.id),
            words.count(session.traffic.requests),
            words.count(session.traffic.retries),
            figures.share(session.traffic.retries, session.traffic.requests),
            words.count(session.traffic.throttled),
            figures.size(session.traffic.uploaded_bytes),
        )
        for session in _some(data.sessions)
    ]
    return section(
        "retries",
        "Retries and throttling",
        paragraph(_again(data)),
        _bottlenecks(data.bottlenecks),
        table(columns, lines, label="Retries by session"),
    )


def _again(data: ReportData) -> str:
    if not data.started_again and not data.ordered_again:
        return "No row was taken up or ordered more than once."
    return (
        f"{words.counted(data.started_again, 'row was', 'rows were')} taken up more than once; for "
        f"{words.counted(data.ordered_again, 'row')} a second order to start was made."
    )


def _bottlenecks(bottlenecks: Mapping[str, float]) -> str:
    if not bottlenecks:
        return ""
    items = "".join(
        f"<li><b>{figures.share(part, 1)}</b> {isolated(name)}</li>\n" for name, part in bottlenecks.items()
    )
    return f"{paragraph('What limited the batch, as a share of the time:')}<ul>\n{items}</ul>\n"


def duplicates(data: ReportData) -> str:
    """What had to be sent only once."""
    files, saved = data.files, figures.at_least(data.uploads_saved, known=data.all_told)
    told = ["No upload was saved: as far as is known, no content came twice."]
    if data.uploads_saved:
        told = [f"<b>{saved}</b> uploads were not needed: the same content had been uploaded before."]
    if files.paths:
        told.append(
            f"The rows name {words.count(files.paths)} files ({figures.size(files.size)}) with "
            f"{words.count(files.contents)} different contents; "
            f"{figures.size(files.repeated)} are repetition."
        )
    if data.identical:
        told.append(
            f"{words.counted(data.identical, 'row asks', 'rows ask')} for exactly what an earlier row asks "
            "for. Each runs as a job of its own, and is billed."
        )
    return section("duplicates", "Duplicates", *(paragraph(each) for each in told))


def sessions(data: ReportData) -> str:
    """The processes that worked on the batch."""
    if not data.sessions:
        return section("sessions", "Sessions", paragraph("No process has worked on it yet.", "none"))
    columns = (
        Column("Session"),
        Column("Began", "short"),
        Column("Ended", "short"),
        Column("Worked", "number"),
        Column("How it ended"),
        Column("Completed", "number"),
        Column("Others", "number"),
        Column("Process", "short"),
    )
    shown = _some(data.sessions)
    lines = [
        (
            str(session.view.id),
            words.moment(session.view.began_at),
            words.NOTHING if session.running else words.moment(session.ended),
            figures.duration(session.seconds),
            _how(session),
            words.count(session.completed),
            words.count(session.not_completed),
            f"{isolated(f'{session.view.pid}@{session.view.host}')}",
        )
        for session in shown
    ]
    left_out = len(data.sessions) - len(shown)
    note = (
        f"{words.count(left_out)} sessions in between are not shown; the ledger has them." if left_out else ""
    )
    return section(
        "sessions",
        "Sessions",
        table(columns, lines, label="Sessions"),
        paragraph(note, "note") if note else "",
    )


def _some(found: Sequence[Session]) -> Sequence[Session]:
    if len(found) <= _SESSIONS_FIRST + _SESSIONS_LAST:
        return found
    return [*found[:_SESSIONS_FIRST], *found[-_SESSIONS_LAST:]]


def _how(session: Session) -> str:
    if session.running:
        return "is at work"
    if session.died:
        return "died without a word; its end is its last trace"
    code_told = "" if session.view.exit_code is None else f" (exit {session.view.exit_code})"
    return f"{isolated(session.view.ended_because or 'ended')}{code_told}"
