"""Bars: how the rows are divided among states, and where the time of a row goes. As SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opus_async import text as words
from opus_async.metrics.distribution import Distribution
from opus_async.reporting import figures
from opus_async.reporting.charts.axes import scale
from opus_async.reporting.charts.frame import CHARACTER, SIZES, Size
from opus_async.reporting.html import text

_LEAST_PART = 0.9
"""Percent of the bar that a state takes at the least: one failure in 100,000 rows is there to be seen."""
_ROW, _BAR, _TOP, _BOTTOM = 34.0, 14.0, 6.0, 34.0
_NAME_CHARS = 14
_HOUR, _MINUTE = 3600.0, 60.0
_LONG = 3.0
"""In how many of a unit a time has to be told so that the unit is used."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one kind.

    Attributes:
        name: In words.
        kind: A class of the style sheet.
        count: How many.
    """

    name: str
    kind: str
    count: int


def state_bar(parts: Sequence[Part]) -> str:
    """One bar for all rows, and what each part of it is."""
    there = [part for part in parts if part.count]
    total = sum(part.count for part in there)
    if not total:
        return ""
    told = ", ".join(f"{words.count(part.count)} {part.name}" for part in there)
    percents = [max(100 * part.count / total, _LEAST_PART) for part in there]
    drawn: list[str] = []
    left = 0.0
    for part, percent in zip(there, percents, strict=True):
        width = 100 * percent / sum(percents)
        drawn.append(
            f'<rect class="{part.kind}" x="{left:.3f}%" y="0" width="{width:.3f}%" height="20"/>'
            f'<rect class="edge" x="{left:.3f}%" y="0" width="1" height="20"/>'
            if left
            else f'<rect class="{part.kind}" x="0" y="0" width="{width:.3f}%" height="20"/>'
        )
        left += width
    return (
        f'<svg class="division" role="img" aria-labelledby="division-title" height="20">'
        f'<title id="division-title">Of {words.counted(total, "row")}: {text(told)}</title>'
        f"{''.join(drawn)}</svg>\n"
    )


def swatch(kind: str) -> str:
    """The colour of a kind, beside its name."""
    return f'<svg class="swatch" aria-hidden="true"><rect class="{kind}" width="12" height="12"/></svg>'


def meter(part: int, whole: int) -> str:
    """A share, as a short bar in a sentence."""
    return (
        f'<svg class="meter" aria-hidden="true"><rect class="planned" width="100%" height="8"/>'
        f'<rect class="failed" width="{100 * part / whole:.2f}%" height="8"/></svg>'
    )


def stages(spreads: Mapping[str, Distribution]) -> str:
    """A bar to the mean of each stage, and a whisker to what 95 of 100 rows do not exceed."""
    most = max(max(spread.mean, spread.high) for spread in spreads.values())
    told = "; ".join(
        f"{name}: mean {figures.duration(spread.mean)}, 95th percentile {figures.duration(spread.high)}"
        for name, spread in spreads.items()
    )
    return "".join(_stages(size, spreads, most, told) for size in SIZES)


def _stages(size: Size, spreads: Mapping[str, Distribution], most: float, told: str) -> str:
    unit, seconds = _unit(most)
    values = scale(most / seconds)
    left = min(max(map(len, spreads)), _NAME_CHARS) * CHARACTER + 14
    right = size.width - 10
    bottom = _TOP + _ROW * len(spreads)

    def x(at: float) -> float:
        return left + at / seconds / values[-1] * (right - left)

    grid = "".join(
        f'<path class="{"grid" if value else "base"}" d="M{x(value * seconds):.1f} {_TOP:g}V{bottom:g}"/>'
        f'<text class="tick{" end" if value == values[-1] else ""}" '
        f'x="{x(value * seconds) + (8 if value == values[-1] else 0):.1f}" y="{bottom + 19:g}">'
        f"{words.axis(value)}{f' {unit}' if value == values[-1] else ''}</text>\n"
        for value in values
    )
    bars = "".join(
        _stage(name, spread, (left, x(spread.mean), x(spread.high)), _TOP + _ROW * place)
        for place, (name, spread) in enumerate(spreads.items())
    )
    name = f"stages-{size.name}"
    return (
        f'<svg class="chart {size.name}" viewBox="0 0 {size.width:g} {bottom + _BOTTOM:g}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc">\n<title id="{name}-title">Time by stage</title>'
        f'<desc id="{name}-desc">{text(told, most=2000)}</desc>\n{grid}{bars}</svg>\n'
    )


def _stage(name: str, spread: Distribution, at: tuple[float, float, float], top: float) -> str:
    left, mean, high = at
    middle = top + _ROW / 2
    shown = name if len(name) <= _NAME_CHARS else f"{name[: _NAME_CHARS - 1]}…"
    return (
        f'<text class="name end" x="{left - 8:.1f}" y="{middle + 4:g}">{text(shown)}</text>'
        f'<rect class="mean" x="{left:.1f}" y="{middle - _BAR / 2:g}" width="{max(mean - left, 1):.1f}" '
        f'height="{_BAR:g}"><title>{text(name)}: mean {figures.duration(spread.mean)}, 95th percentile '
        f"{figures.duration(spread.high)}</title></rect>"
        f'<path class="whisker" d="M{min(mean, high):.1f} {middle:g}H{high:.1f}m0 -5v10"/>\n'
    )


def _unit(most: float) -> tuple[str, float]:
    if most >= _LONG * _HOUR:
        return "h", _HOUR
    return ("min", _MINUTE) if most >= _LONG * _MINUTE else ("s", 1.0)


def figure(caption: str, keys: Sequence[tuple[str, str]], drawing: str) -> str:
    """A drawing under its caption.

    Args:
        caption: What it shows, with its unit.
        keys: Class of the style sheet and name of each thing drawn.
        drawing: As SVG.
    """
    legend = "".join(f"<li>{swatch(kind)} {text(name)}</li>" for kind, name in keys)
    named = f'<figcaption>{text(caption)}<ul class="legend">{legend}</ul></figcaption>'
    return f"<figure>\n{named}\n{drawing}</figure>\n"
