"""``summary.json`` of a load run and of a search: values, to JSON and back. Its fields are a contract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import Field, ValidationError

from opus_async import text
from opus_async.errors import LoadRefused
from opus_async.layout import LEDGER, SUMMARY
from opus_async.load.figures import (
    Counts,
    DetectLag,
    Figures,
    Health,
    InFlight,
    Latency,
    Rates,
    Throttled,
)
from opus_async.load.search import Search, SearchOutcome
from opus_async.load.slo import Measured, SloResult
from opus_async.load.verdict import Verdict

_PLACES = 6
_LARGEST = 50_000_000
"""Bytes of a summary that is read: one of ours has some thousands."""


class Window(Figures):
    """The measured part of a run, in seconds since the epoch."""

    start: float
    end: float


class Objective(Figures):
    """An objective, and whether it was met: see :class:`opus_async.load.slo.SloResult`."""

    expression: str
    value: float | None
    ok: bool

    @classmethod
    def of(cls, result: SloResult) -> Self:
        """As the summary has it."""
        return cls(expression=result.expression, value=rounded(result.value), ok=result.ok)


class RunSummary(Figures):
    """What a load run came to.

    Attributes:
        run_id: The title of each of its jobs holds it.
        verdict: PASS, FAIL or INVALID.
        reasons: Why it is no PASS.
        exit_code: Of the command.
        workload: What must be equal for two runs to be compared.
        seed: Of its draws: the same arrivals come with the same seed.
        began: When the run began, in seconds since the epoch: moments in ``samples.jsonl`` count from here.
        window: Its measured part.
        counts: Its jobs, warm-up included.
        rates: Jobs a second in the window.
        latency: Series or stage -> statistics, of jobs that completed and were meant to start in the window.
        in_flight: Jobs in flight in the window.
        little: Jobs in flight over rate x time; 1 where they agree.
        detect_lag: How late ends were noticed at most.
        throttled: What the platform's rate limit did.
        health: How the process was that made the load.
        slo: The objectives.
        failures: Cause -> jobs that did not complete.
        price: Of one job that completes; None where none was told.
    """

    run_id: str
    verdict: Verdict
    reasons: list[str]
    exit_code: int
    workload: dict[str, Any]
    seed: int | None = None
    began: float
    window: Window
    counts: Counts
    rates: Rates
    latency: dict[str, Latency]
    in_flight: InFlight
    little: float | None
    detect_lag: DetectLag
    throttled: Throttled
    health: Health
    slo: list[Objective] = Field(default_factory=list)
    failures: dict[str, int] = Field(default_factory=dict)
    price: float | None = None

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages of its jobs, in order."""
        return tuple(name for name in self.latency if not name.startswith("e2e_"))

    @property
    def measured(self) -> Measured:
        """What objectives are compared with."""
        return Measured.of(self.latency, self.counts, self.rates, self.throttled)


class SearchedRate(Figures):
    """One step of a search.

    Attributes:
        rate: Jobs a second that were really offered.
        completed_rate: Jobs a second that completed.
        p95: Seconds end to end, from the intended start, 95th percentile.
        in_flight: Jobs in flight on average.
        ok: Whether the rate holds.
        why: What is wrong with it; and, of one that holds too, the rate limit of the platform if it was met.
        kind: What the step was for: ``double``, ``bisect`` or ``confirm``.
        jobs: Jobs that were started in it.
        seconds: Of its window.
    """

    rate: float
    completed_rate: float
    p95: float | None
    in_flight: float
    ok: bool
    why: str
    kind: str
    jobs: int
    seconds: float


class ScalabilityFit(Figures):
    """The universal scalability law as it was fitted: see :class:`opus_async.load.usl.Fit`."""

    c0: float
    c1: float
    c2: float
    r_squared: float
    knee: float | None
    peak: float | None


class SearchSummary(Figures):
    """What a search for the highest rate found.

    Attributes:
        run_id: The title of each of its jobs holds it.
        verdict: PASS, FAIL or INVALID.
        reasons: Why it is no PASS.
        exit_code: Of the command.
        workload: What was run.
        seed: Of its draws.
        began: When it began, in seconds since the epoch.
        rate: Jobs a second that hold; None where none was found.
        limiting_stage: What limits it; None where that is not seen.
        confirmed: Whether the rate held in a longer window.
        steps: What was run, in order.
        fit: The scalability law; None where it cannot be told, or the platform throttled.
        slo: The objectives, as they were written.
        jobs: Jobs that were started in all.
        price: Of one job that completes; None where none was told.
    """

    run_id: str
    verdict: Verdict
    reasons: list[str]
    exit_code: int
    workload: dict[str, Any]
    seed: int | None = None
    began: float
    rate: float | None
    limiting_stage: str | None
    confirmed: bool
    steps: list[SearchedRate]
    fit: ScalabilityFit | None
    slo: list[str] = Field(default_factory=list)
    jobs: int = 0
    price: float | None = None

    @classmethod
    def of(cls, search: Search, outcome: SearchOutcome, **more: Any) -> Self:
        """The summary of a search.

        Args:
            search: As it stands at its end.
            outcome: What it found.
            more: The other attributes, by name. ``exit_code`` is that of the verdict unless it is given.
        """
        law = outcome.fit
        return cls(
            **{"exit_code": int(outcome.verdict.exit)} | more,
            verdict=outcome.verdict,
            reasons=list(outcome.reasons),
            rate=rounded(outcome.rate),
            limiting_stage=outcome.limiting_stage,
            confirmed=outcome.confirmed,
            steps=searched_rates(search),
            fit=None
            if law is None
            else ScalabilityFit(
                c0=law.c0, c1=law.c1, c2=law.c2, r_squared=law.r_squared, knee=law.knee, peak=law.peak
            ),
            jobs=search.jobs,
        )


def searched_rates(search: Search) -> list[SearchedRate]:
    """The steps of a search as its summary has them, judged by all that is known now."""
    return [
        SearchedRate(
            rate=round(result.offered, _PLACES),
            completed_rate=round(result.completed_rate, _PLACES),
            p95=rounded(result.p95),
            in_flight=round(result.in_flight, _PLACES),
            ok=search.holds(result),
            why=result.why(search.ceiling),
            kind=result.step.kind.value,
            jobs=result.started,
            seconds=result.step.window,
        )
        for result in search.results
    ]


def rounded(value: float | None) -> float | None:
    """A figure to the microsecond; nothing stays nothing."""
    return None if value is None else round(value, _PLACES)


def as_json(summary: RunSummary | SearchSummary) -> bytes:
    """A summary as the bytes of ``summary.json``."""
    return f"{summary.model_dump_json(indent=2)}\n".encode()


def read_any(directory: Path) -> RunSummary | SearchSummary:
    """Read the summary of a directory, of whichever command it is.

    Raises:
        LoadRefused: As of :func:`read`.
    """
    try:
        return read(directory, RunSummary)
    except LoadRefused:
        try:
            return read(directory, SearchSummary)
        except LoadRefused:
            pass
        raise


SummaryT = TypeVar("SummaryT", RunSummary, SearchSummary)


def read(directory: Path, kind: type[SummaryT]) -> SummaryT:
    """Read the summary of a directory.

    Args:
        directory: Of the load test.
        kind: Of a run or of a search.

    Raises:
        LoadRefused: There is none, it cannot be read, or it is none of that kind; the message says which.
    """
    path = directory / SUMMARY
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= _LARGEST else b""
    except OSError as error:
        raise LoadRefused(
            f"{text.quoted(directory)} holds no load test that can be read: {SUMMARY}: {error.strerror}"
        ) from None
    if size > _LARGEST:
        raise LoadRefused(f"{SUMMARY} of {text.quoted(directory)} is no summary: it has {text.size(size)}")
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        made = "a batch" if (directory / LEDGER).exists() else _other_command(content, kind)
        if made is None:
            problem = f"cannot be used: {_first(error)}"
        else:
            problem = f"is of {made}, and what is wanted is one of {_COMMANDS[kind]}"
        raise LoadRefused(f"{SUMMARY} of {text.quoted(directory)} {problem}") from None


_COMMANDS: Mapping[type[RunSummary | SearchSummary], str] = {
    RunSummary: "load run",
    SearchSummary: "load find-max",
}


def _other_command(content: bytes, kind: type[RunSummary | SearchSummary]) -> str | None:
    """The command that made a summary, if it is the one that makes those of the other kind."""
    other: type[RunSummary | SearchSummary] = SearchSummary if kind is RunSummary else RunSummary
    try:
        other.model_validate_json(content)
    except ValidationError:
        return None
    return _COMMANDS[other]


def _first(error: ValidationError) -> str:
    """The first problem: which field, and what is wrong with it. No value: it is anybody's."""
    problem: Mapping[str, Any] = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in problem["loc"])
    return f"{field}: {problem['msg']}" if field else str(problem["msg"])
