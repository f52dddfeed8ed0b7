"""The page of a report: what its template shows."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from markupsafe import Markup

from opus_async import text
from opus_async.batch.report import charts, configuration, key_figures, tables
from opus_async.batch.report.report_data import COMPLETED, NOT_COMPLETED, ReportData
from opus_async.batch.report.steps import steps
from opus_async.batch.report.verdict import verdict
from opus_async.reporting import figures
from opus_async.reporting.charts.bars import meter
from opus_async.reporting.page import page as page_of

_MOST_OUTPUTS = 12
_GAPS = ("pause", "nothing ran (not to scale)")


def page(data: ReportData, *, live: bool = False) -> bytes:
    """The whole report as HTML in UTF-8; a live one follows the batch, from a server."""
    shown = tables.some(data.sessions)
    return page_of(
        "opus_async.batch.report",
        "report.html",
        live=live,
        data=data,
        name=data.directory.absolute().name,
        workflow=data.meta.fingerprint.workflow_id or "",
        workflow_name=data.meta.workflow.name,
        manifest=PurePath(data.meta.manifest.path or "").name,
        local=text.local_moment(data.made_at),
        offset=text.utc_offset(data.made_at),
        verdict=verdict(data),
        steps=steps(data),
        parts=key_figures.parts(data.counts),
        tiles=key_figures.tiles(data),
        states_of=lambda group: ", ".join(
            text.counted(number, tables.STATES[state], tables.STATES[state])
            for state, number in group.states.items()
        ),
        meter_of=lambda group: meter(group.count / data.counts.not_completed, "failed", "planned"),
        uploads_saved=figures.at_least(data.uploads_saved, known=data.all_told),
        repeated=_repeated(data),
        settings=configuration.settings(data),
        binding=configuration.binding(data),
        changes=list(configuration.changes(data)),
        sessions_left_out=len(data.sessions) - len(shown),
        outputs=data.outputs.few[:_MOST_OUTPUTS],
        outputs_left_out=len(data.outputs.few[_MOST_OUTPUTS:]),
        unit=charts.unit_for(data.worked).name,
        tables=tables,
        **_drawings(data),
    )


def _repeated(data: ReportData) -> str:
    """How many rows were taken up or ordered more than once."""
    if not data.started_again and not data.ordered_again:
        return "No row was taken up or ordered more than once."
    taken = text.counted(data.started_again, "row was", "rows were") if data.started_again else "No row was"
    ordered = text.counted(data.ordered_again, "row was", "rows were") if data.ordered_again else "none was"
    return f"{taken} taken up more than once; {ordered} ordered a second time."


def _drawings(data: ReportData) -> dict[str, Any]:
    """Charts and what they show, by name; None where there is nothing to be drawn."""
    spans = [session.span for session in data.sessions]
    gaps = [_GAPS] if len(spans) > 1 else []
    columns: Markup | None = None
    lines: Markup | None = None
    if any(part.counts.total() for part in data.ends):
        columns = charts.throughput(spans, data.ends)
    if data.in_flight.highest or data.waiting.highest:
        lines = charts.in_flight_chart(spans, data.in_flight, data.waiting)
    others = any(part.counts[NOT_COMPLETED] for part in data.ends)
    stages = {tables.NO_STAGES.get(name, name): spread for name, spread in data.stages.items()}
    return {
        "division": charts.states(key_figures.parts(data.counts)) if data.counts.total else None,
        "throughput": columns,
        "throughput_keys": [
            (COMPLETED, "completed"),
            *([(NOT_COMPLETED, "did not complete")] if others else []),
            *gaps,
        ],
        "standing": lines,
        "standing_keys": [
            ("in-flight", "in flight"),
            *([("waiting", "waiting for a person")] if data.waiting.highest else []),
            *gaps,
        ],
        "stage_times": charts.stages(stages) if stages else None,
    }
