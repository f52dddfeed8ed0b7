"""The configuration of a batch as a report shows it, to be repeated; no secret in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opus_async import text
from opus_async.batch.meta import ColumnMeta
from opus_async.batch.report.report_data import ReportData
from opus_async.reporting.html import Column, Table, code, isolated

_SECRET = re.compile(
    r"token|secret|password|passwd|authori[sz]ation|credential|(service|api|access).?key", re.IGNORECASE
)
_GROUPS = {
    "fingerprint": "Workflow and mapping",
    "order": "Workflow and mapping",
    "constants": "Workflow and mapping",
    "manifest": "Manifest",
    "settings": "Settings",
    "rules": "Settings",
    "client": "Limits and retries",
}
_ELSEWHERE = frozenset(
    {
        "binding",
        "stages",
        "created_at",
        "schema_version",
        "constants_in_digests",
        "workflow",
        "manifest.stamp",
        "client.limits.max_in_flight",
    }
)
"""Facts that stand elsewhere in the report, or tell a reader nothing."""
_MOST = 300


@dataclass(frozen=True, slots=True)
class Change:
    """Something that a later session was told differently."""

    session: int
    name: str
    old: str
    new: str


def settings(data: ReportData) -> Iterator[Table[tuple[str, str]]]:
    """Workflow, manifest, settings and whatever else is known, as names and values, each told once."""
    for title, lines in _grouped(data.meta.as_facts()).items():
        yield Table(
            title,
            (
                Column("Name", lambda line: code(line[0])),
                Column("Value", lambda line: isolated(line[1], _MOST)),
            ),
            lines,
            "pairs",
        )


def _grouped(facts: Mapping[str, Any]) -> Mapping[str, list[tuple[str, str]]]:
    """Title -> names and values; what two facts say alike stands where it is said first."""
    groups: dict[str, list[tuple[str, str]]] = {}
    said: set[tuple[str, str]] = set()
    for name in dict.fromkeys((*_GROUPS, *sorted(facts))):
        if name not in facts or name in _ELSEWHERE:
            continue
        title, values = _GROUPS.get(name, name.replace("_", " ").capitalize()), facts[name]
        if name == "manifest" and values.get("path") == values.get("manifest"):
            values = {**values, "path": None}
        for line in _flat("", values):
            alike = (line[0].removeprefix("limits."), line[1])
            if f"{name}.{line[0]}" not in _ELSEWHERE and alike not in said:
                said.add(alike)
                groups.setdefault(title, []).append(line)
    return groups


def binding(data: ReportData) -> Table[ColumnMeta]:
    """Which column went where."""
    return Table(
        "Which column goes where",
        (
            Column("Column", lambda entry: code(entry.column or text.NOTHING)),
            Column("Goes to", lambda entry: isolated(entry.display_name or text.NOTHING)),
            Column("Variable", lambda entry: code(entry.input or text.NOTHING)),
            Column("Found by", lambda entry: entry.how or ""),
        ),
        data.meta.binding,
        "stack",
    )


def changes(data: ReportData) -> Iterator[Change]:
    """What later sessions were told differently."""
    before: dict[str, str] | None = None
    for session in data.sessions:
        now = dict(_flat("", session.view.settings))
        for name in dict.fromkeys((*(before or {}), *now)) if before is not None else ():
            old, new = (before or {}).get(name, "not set"), now.get(name, "not set")
            if old != new:
                yield Change(session.view.id, name, old, new)
        before = now


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Names with dots, and what they were set to; what was not given is left out."""
    if name and _SECRET.search(name):
        yield name, "(not shown)"
    elif isinstance(value, Mapping):
        for inner, inside in value.items():
            yield from _flat(f"{name}.{inner}" if name else str(inner), inside)
    elif isinstance(value, bool):
        yield name, "yes" if value else "no"
    elif isinstance(value, list):
        yield name or "value", json.dumps(value, ensure_ascii=False)
    elif value is not None:
        yield name or "value", str(value) or _nothing(name)


def _nothing(name: str) -> str:
    """What an empty text means: a column that ``--map`` gives to nothing is left out."""
    return "left out" if name.startswith("columns.") else "empty"
