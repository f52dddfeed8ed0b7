"""The tables of a report: which columns they have, and what a line says in each."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from markupsafe import Markup

from opus_async import text
from opus_async.batch.choices import ended_text
from opus_async.batch.ledger.report_queries import Example, SlowRow
from opus_async.batch.report.output_values import OutputValues
from opus_async.batch.report.report_data import Group, ReportData, Session
from opus_async.batch.rows import RowState
from opus_async.metrics.distribution import Distribution
from opus_async.metrics.failure_groups import says_more
from opus_async.reporting import figures
from opus_async.reporting.charts.bars import meter
from opus_async.reporting.html import Column, Table, code, isolated, link
from opus_async.stages import PAUSED, REQUEST_WAIT

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
    "is on the platform, until its end is noticed",
    "fetches what it left",
)
"""What happens in the stages of every platform, in their order."""
_NO_VALUE = Markup("<i>empty</i>")
_NOT_GIVEN = "(not among the outputs)"
NO_STAGES = {PAUSED: "waits for a person", REQUEST_WAIT: "waits for its turn"}
"""What timings tell besides stages of the platform."""
_MOST_ERROR = 320
_SESSIONS_FIRST, _SESSIONS_LAST = 5, 35
"""Sessions that are told one by one when there are very many."""


def stages(data: ReportData) -> Table[tuple[str, Distribution]]:
    """Where the time of a row goes."""
    does = dict(zip(data.meta.stages, _DOES, strict=False))
    does[PAUSED] = "rests on the platform until somebody acts there"
    does[REQUEST_WAIT] = "its requests wait in this client: for a slot, a rate, the end of a pause"
    spent = sum(spread.mean * spread.rows for spread in data.stages.values())
    return Table(
        "Time by stage",
        (
            Column("Stage", lambda line: _stage(line[0]), "short"),
            Column("What happens", lambda line: does.get(line[0], "")),
            Column("Rows", lambda line: text.count(line[1].rows), "number"),
            Column("Mean", lambda line: figures.duration(line[1].mean), "number"),
            Column("Median", lambda line: figures.duration(line[1].median), "number"),
            Column("95th percentile", lambda line: figures.duration(line[1].high), "number"),
            Column("Share of time", lambda line: figures.share(line[1].mean * line[1].rows, spent), "number"),
        ),
        list(data.stages.items()),
    )


def stages_note(data: ReportData) -> str:
    """What the times of stages include; empty where waiting for a turn is a stage of its own."""
    if data.stages.keys() - {*data.meta.stages, PAUSED}:
        return ""
    return (
        "The time in a stage includes waiting for a turn: for a free connection, under the rate limit, or "
        "after a 429."
    )


def counted_from_0(groups: Sequence[Group]) -> bool:
    """Whether any row is named by its index, because its line is not known."""
    return any(row.location is None for group in groups for row in group.examples)


def examples(data: ReportData, group: Group) -> Table[Example]:
    """Rows that did not complete for one reason; what is the same in all of them stands above."""
    differ = any(says_more(row.error, group.cause) for row in group.examples)
    columns: list[Column[Example]] = [
        Column("Row", _place, "place"),
        Column("Key", lambda row: code(row.key), "short" if differ else "key"),
    ]
    if len(group.states) > 1:
        columns.append(Column("State", lambda row: STATES[row.state], "short"))
    columns.append(Column("Job", lambda row: _job(data, row), "job"))
    if differ:
        columns.append(Column("Error", lambda row: isolated(row.error or text.NOTHING, _MOST_ERROR), "error"))
    return Table("Rows with this cause", tuple(columns), group.examples)


def slowest(data: ReportData) -> Table[SlowRow]:
    """The rows that took longest."""
    return Table(
        "Slowest rows",
        (
            Column("Row", lambda slow: _place(slow.row), "place"),
            Column("Key", lambda slow: code(slow.row.key), "key"),
            Column("Took", lambda slow: figures.duration(slow.seconds), "number"),
            Column("Most of it in", _most_of_it, "short"),
            Column("State", lambda slow: STATES[slow.row.state], "short"),
            Column("Job", lambda slow: _job(data, slow.row), "job"),
        ),
        data.slowest,
    )


def traffic(data: ReportData) -> Table[Session]:
    """What each session sent, and what of it again."""
    return Table(
        "Retries by session",
        (
            Column("Session", lambda session: session.view.id, "short"),
            Column("Requests", lambda session: text.count(session.traffic.requests), "number"),
            Column("Retries", lambda session: text.count(session.traffic.retries), "number"),
            Column(
                "Share",
                lambda session: figures.share(session.traffic.retries, session.traffic.requests),
                "number",
            ),
            Column("Of them 429", lambda session: text.count(session.traffic.throttled), "number"),
            Column("Uploaded", lambda session: figures.size(session.traffic.uploaded_bytes), "number"),
        ),
        some(data.sessions),
    )


def sessions(data: ReportData) -> Table[Session]:
    """The processes that worked on the batch."""
    return Table(
        "Sessions",
        (
            Column("Session", lambda session: session.view.id, "short"),
            Column("Began", lambda session: _moment(session.view.began_at), "short"),
            Column(
                "Ended",
                lambda session: text.NOTHING if session.running else _moment(session.ended),
                "short",
            ),
            Column("Worked", lambda session: figures.duration(session.seconds), "number"),
            Column("How it ended", _how),
            Column("Completed", lambda session: text.count(session.completed), "number"),
            Column("Others", lambda session: text.count(session.not_completed), "number"),
            Column("Process", lambda session: isolated(f"{session.view.pid}@{session.view.host}")),
        ),
        some(data.sessions),
    )


def some(found: Sequence[Session]) -> Sequence[Session]:
    """All sessions, or the first and the last of very many."""
    if len(found) <= _SESSIONS_FIRST + _SESSIONS_LAST:
        return found
    return [*found[:_SESSIONS_FIRST], *found[-_SESSIONS_LAST:]]


def _stage(name: str) -> object:
    return NO_STAGES.get(name) or code(name)


def values(output: OutputValues, completed: int) -> Table[tuple[str, int]]:
    """How many rows gave which value of an output."""
    rest = completed - output.rows
    return Table(
        f"Values of {output.name}",
        (
            Column("Value", lambda line: isolated(line[0]) if line[0] else _NO_VALUE),
            Column("Rows", lambda line: text.count(line[1]), "number"),
            Column("Share", lambda line: figures.share(line[1], completed), "number"),
            Column("", lambda line: meter(line[1] / completed, "completed", "planned"), "bar"),
        ),
        [*output.values, *([(_NOT_GIVEN, rest)] if rest else [])],
        "values",
    )


def _place(row: Example) -> object:
    """Where a row stands: ``line 28``, in one piece."""
    *words, number = (row.location or f"row {row.index}").rsplit(" ", 1)
    return isolated("\N{NO-BREAK SPACE}".join((*words, number)))


def _moment(at: float) -> object:
    local = text.local_moment(at)
    return Markup("{}<small>{} local</small>").format(text.moment(at), local) if local else text.moment(at)


def _job(data: ReportData, row: Example) -> object:
    if not row.job_id:
        return "none"
    page = data.meta.workflow.job_page
    return (
        link(code(row.job_id), page.replace("{job_id}", quote(row.job_id, safe="")))
        if page
        else code(row.job_id)
    )


def _most_of_it(slow: SlowRow) -> object:
    if not slow.stage:
        return text.NOTHING
    return Markup("{} {}").format(_stage(slow.stage), figures.duration(slow.stage_seconds))


def _how(session: Session) -> object:
    if session.running:
        return "is at work"
    if session.died:
        return "died without a word; its end is its last trace"
    exit_code = "" if session.view.exit_code is None else f" (exit {session.view.exit_code})"
    return isolated(ended_text(session.view.ended_because or "ended")) + exit_code
