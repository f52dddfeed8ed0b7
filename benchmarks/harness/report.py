"""What a run prints and keeps: a Markdown table, JSON, and what has changed since an earlier run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.figures import Figure

Earlier = Mapping[tuple[str, str], float]
"""The medians of an earlier run, by benchmark and name."""


def save(path: Path, machine: Mapping[str, Any], figures: Iterable[Figure]) -> None:
    """Write a run as JSON."""
    run = {"machine": machine, "figures": [figure.plain() for figure in figures]}
    path.write_text(json.dumps(run, indent=1) + "\n")


def read(path: Path) -> Earlier:
    """Read what :func:`save` wrote."""
    figures = json.loads(path.read_text())["figures"]
    return {(figure["benchmark"], figure["name"]): figure["median"] for figure in figures}


def machine_lines(machine: Mapping[str, Any]) -> Iterator[str]:
    """Yield the machine and the versions as a Markdown list."""
    for name, value in machine.items():
        yield f"- {name}: {value}"


def head(earlier: Earlier | None) -> Iterator[str]:
    """Yield the head of the table."""
    columns = ["quantity", "median", "spread"]
    if earlier is not None:
        columns += ["before", "change"]
    yield _row([*columns, "absolute"])
    yield _row(["---"] * (len(columns) + 1))


def line(figure: Figure, earlier: Earlier | None) -> str:
    """One line of the table."""
    cells = [f"{figure.benchmark}: {figure.name}", _shown(figure.median, figure.unit), _spread(figure)]
    if earlier is not None:
        before = earlier.get((figure.benchmark, figure.name))
        cells += ["", ""] if before is None else [_number(before), _change(before, figure.median)]
    return _row([*cells, figure.detail])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(value: float, unit: str) -> str:
    return f"**{_number(value)}**" if unit == "ratio" else f"{_number(value)} {unit}"


def _spread(figure: Figure) -> str:
    if len(figure.values) < 2:
        return ""
    return f"{_number(min(figure.values))} - {_number(max(figure.values))}"


def _number(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".")


def _change(before: float, now: float) -> str:
    return f"{now / before - 1:+.0%}" if before else ""
