"""Sides that do the same work and take turns: the ratio of two is taken in each round.

The machine is shared and its speed drifts: absolute figures change from minute to minute, the ratio of two
measurements made one after the other hardly.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from benchmarks.harness import machine, process
from benchmarks.harness.figures import Figure, Settings
from benchmarks.harness.machine import Loop
from benchmarks.serving import Told

SAME_WORK = 0.02
"""Sides whose requests differ by more than this share did not do the same work; the figure says so."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one process used, from a warm start on where it is one of ours.

    Attributes:
        count: Units of work.
        cpu: Seconds, user and system.
        wall: Seconds.
        before: Bytes of resident memory before.
        peak: The most meanwhile.
        told: What the server saw; None without one.
        more: Figures of its own.
    """

    count: int
    cpu: float
    wall: float
    before: int = 0
    peak: int = 0
    told: Told | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def each(self) -> float:
        """Seconds of CPU for each unit of work."""
        return self.cpu / self.count

    @property
    def seen(self) -> Told:
        """What the server saw, where there is one for certain."""
        assert self.told is not None
        return self.told


class Side(Protocol):
    """One of those that take turns."""

    @property
    def installed(self) -> bool:
        """Whether what it needs is there; it is left out where it is not."""

    def measure(self) -> Measurement:
        """Do the work once."""

    def instructions(self) -> float:
        """Count the instructions for each unit of work."""


@dataclass(frozen=True, kw_only=True)
class Coroutine:
    """A side in Python: a coroutine function, or a plain one, in a process of its own.

    :mod:`benchmarks.harness.child` is that process.

    Attributes:
        target: Module and function.
        count: Units of work.
        loop: The event loop.
        arguments: Of the function.
        env: Variables of its environment.
        needs: The packages that it needs, besides that of the loop.
    """

    target: str
    count: int
    loop: Loop = "asyncio"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Whether the packages are."""
        loop = ("uvloop",) if self.loop == "uvloop" else ()
        return all(map(machine.has, (*self.needs, *loop)))

    def _command(self, count: int) -> list[str]:
        told = {"target": self.target, "count": count, "loop": self.loop, "arguments": self.arguments}
        return [sys.executable, "-m", "benchmarks.harness.child", json.dumps(told)]

    def measure(self) -> Measurement:
        """Do the work once; measured from inside, without the start of the process."""
        measured = json.loads(process.run(self._command(self.count), self.env).output)
        known = {name: measured.pop(name) for name in ("cpu", "wall", "before", "peak")}
        told = measured.pop("told")
        return Measurement(count=self.count, **known, told=Told(**told) if told else None, more=measured)

    def instructions(self) -> float:
        """Count the instructions for each unit of work: the difference of two lengths of the same run."""
        short = max(self.count // 4, 1)
        few, many = (process.instructions(self._command(count), self.env) for count in (short, 2 * short))
        return (many - few) / short


@dataclass(frozen=True, kw_only=True)
class Command:
    """A side that is a whole command, from its start to its end.

    Attributes:
        command: Its words.
        count: Units of work.
        env: Variables of its environment.
    """

    command: Sequence[str]
    count: int = 1
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def installed(self) -> bool:
        """Whether the program is."""
        return shutil.which(self.command[0]) is not None

    def measure(self) -> Measurement:
        """Run it once."""
        used = process.run(self.command, self.env)
        return Measurement(count=self.count, cpu=used.cpu, wall=used.wall, peak=used.peak)

    def instructions(self) -> float:
        """Count the instructions for each unit of work."""
        return process.instructions(self.command, self.env) / self.count


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Sides that take turns.

    Attributes:
        benchmark: Whose figures they give.
        condition: What holds for all of them.
        unit: Of work.
        sides: By name.
        ratios: Pairs of names, numerator and denominator: the figures.
    """

    benchmark: str
    condition: str
    unit: str
    sides: Mapping[str, Side]
    ratios: Sequence[tuple[str, str]]

    def figures(self, settings: Settings) -> Iterator[Figure]:
        """Measure, and yield the ratios."""
        yield from self.figures_of(self.measure(settings), settings)

    def figures_of(
        self, measured: Mapping[str, Sequence[Measurement]], settings: Settings
    ) -> Iterator[Figure]:
        """Yield the ratios of CPU time, and of instructions where they are asked for."""
        yield from self._ratios(measured)
        if settings.instructions:
            yield from self._instructions()

    def measure(self, settings: Settings) -> dict[str, list[Measurement]]:
        """Measure each side once in each round; another one begins in each."""
        there = self._installed()
        measured: dict[str, list[Measurement]] = defaultdict(list)
        for number in range(settings.rounds):
            for name in _turned(there, number):
                progress(f"{self.benchmark}: {self.condition}, {name}, round {number + 1}")
                measured[name].append(self.sides[name].measure())
        return measured

    def _installed(self) -> list[str]:
        return [name for name, side in self.sides.items() if side.installed]

    def _ratios(self, measured: Mapping[str, Sequence[Measurement]]) -> Iterator[Figure]:
        """The ratios of CPU time for each unit of work."""
        for top, bottom in self.ratios:
            if top in measured and bottom in measured:
                pairs = list(zip(measured[top], measured[bottom], strict=True))
                yield Figure(
                    benchmark=self.benchmark,
                    name=self._name(top, bottom),
                    unit="ratio",
                    values=[over.each / under.each for over, under in pairs],
                    detail=self._detail(measured[top], measured[bottom]),
                )

    def _name(self, top: str, bottom: str) -> str:
        return f"{self.condition}: {top} / {bottom}"

    def _detail(self, over: Sequence[Measurement], under: Sequence[Measurement]) -> str:
        costs = " / ".join(
            f"{statistics.median(one.each for one in side) * 1e6:,.0f}" for side in (over, under)
        )
        text = f"{costs} us a {self.unit}"
        calls = [statistics.median(_requests(one) for one in side) for side in (over, under)]
        if all(calls) and abs(calls[0] - calls[1]) > SAME_WORK * calls[1]:
            text += f"; {calls[0]:.1f} / {calls[1]:.1f} requests"
        if busy := [one.told.busy for one in (*over, *under) if one.told is not None]:
            text += f"; server {statistics.median(busy):.0%} busy"
        return text

    def _instructions(self) -> Iterator[Figure]:
        counted = {}
        for name in filter({name for pair in self.ratios for name in pair}.__contains__, self._installed()):
            progress(f"{self.benchmark}: {self.condition}, {name}, instructions")
            counted[name] = self.sides[name].instructions()
        for top, bottom in self.ratios:
            if top in counted and bottom in counted:
                yield Figure(
                    benchmark=self.benchmark,
                    name=f"{self._name(top, bottom)}, instructions",
                    unit="ratio",
                    values=[counted[top] / counted[bottom]],
                    detail=f"{counted[top] / 1e3:,.0f} / {counted[bottom] / 1e3:,.0f} thousand a {self.unit}",
                )


def _requests(one: Measurement) -> float:
    """For each unit of work."""
    return 0.0 if one.told is None else one.told.requests / one.count


def _turned(names: Sequence[str], by: int) -> list[str]:
    """The same in a circle, from another one on."""
    first = by % max(len(names), 1)
    return [*names[first:], *names[:first]]


def progress(text: str) -> None:
    """Say on standard error what is being done."""
    print(text, file=sys.stderr, flush=True)
