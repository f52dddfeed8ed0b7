"""What the batch was told to do, for who wants to do it again; nothing secret in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opus_async import text as words
from opus_async.batch.report.report_data import ReportData
from opus_async.reporting.html import Column, code, isolated, paragraph, section, table, text

_SECRET = re.compile(
    r"token|secret|password|passwd|authori[sz]ation|credential|(service|api|access).?key", re.IGNORECASE
)
_TITLES = {"fingerprint": "Workflow and mapping", "manifest": "Manifest", "settings": "Settings"}
_ELSEWHERE = frozenset({"binding", "stages", "created_at", "schema_version"})
"""Facts that stand elsewhere in the report, or tell a reader nothing."""
_MOST = 300


def configuration(data: ReportData) -> str:
    """Workflow, manifest, settings, and which column went where."""
    facts = data.facts
    names = dict.fromkeys((*_TITLES, *sorted(facts)))
    parts = [
        _settings(_TITLES.get(name, name.capitalize()), facts[name])
        for name in names
        if name in facts and name not in _ELSEWHERE
    ]
    return section(
        "configuration", "Configuration", *parts, _binding(facts.get("binding", ())), _changes(data)
    )


def _settings(title: str, values: Any) -> str:
    lines = [(code(name), isolated(value, _MOST)) for name, value in _flat("", values)]
    if not lines:
        return ""
    columns = (Column("Name"), Column("Value"))
    return f"<h3>{text(title)}</h3>\n{table(columns, lines, label=title, kind='pairs')}"


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


def _binding(bound: Sequence[Mapping[str, Any]]) -> str:
    if not bound:
        return ""
    lines = [
        (
            code(entry.get("column") or words.NOTHING),
            isolated(entry.get("display_name") or words.NOTHING),
            code(entry.get("input") or words.NOTHING),
            text(entry.get("how") or ""),
        )
        for entry in bound
    ]
    columns = (Column("Column"), Column("Goes to"), Column("Variable"), Column("Found by"))
    return f"<h3>Columns</h3>\n{table(columns, lines, label='Which column goes where', kind='stack')}"


def _changes(data: ReportData) -> str:
    """What later sessions were told differently."""
    items: list[str] = []
    before: dict[str, str] | None = None
    for session in data.sessions:
        now = dict(_flat("", session.view.settings))
        for name in dict.fromkeys((*(before or {}), *now)) if before is not None else ():
            old, new = (before or {}).get(name, "not set"), now.get(name, "not set")
            if old != new:
                items.append(
                    f"<li>Session {session.view.id}: {code(name)} {isolated(old)} → {isolated(new)}</li>\n"
                )
        before = now
    return f"{paragraph('Changed between sessions:')}<ul>\n{''.join(items)}</ul>\n" if items else ""
