"""A progress that is told of jobs, requests and hosts by a test, on a clock that it moves."""

from __future__ import annotations

from opus_async import (
    HostTroubled,
    JobStageChanged,
    Limits,
    RequestKind,
    RequestRetried,
    RequestSent,
)
from opus_async.metrics.bottleneck import Bounds
from opus_async.metrics.counts import Counts
from opus_async.reporting.bottlenecks import bottleneck_text

STAGES = ("schema", "upload", "watch")
ALL_STAGES = ("schema", "upload", "initiate", "execute", "watch", "results")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def moved(index, stage, status=None):
    return JobStageChanged(index=index, key=None, job_id=None, stage=stage, status=status)


def answered(operation, status=200):
    kinds = {"put": RequestKind.STORAGE, "status": RequestKind.POLL}
    kind = kinds.get(operation, RequestKind.API)
    return RequestSent(
        operation=operation, kind=kind, method="GET", url="", status=status, seconds=0.1, attempt=1
    )


def retried(failure, status=None, code=None):
    return RequestRetried(
        operation="put",
        kind=RequestKind.STORAGE,
        failure=failure,
        status=status,
        code=code,
        reason="as it is shown",
        wait=1,
        attempt=1,
    )


def host(name, state, reason, seconds):
    return HostTroubled(host=name, state=state, reason=reason, seconds=seconds)


def limit_of(progress):
    limit = progress.bottleneck()
    return "" if limit is None else bottleneck_text(limit)


class Batch:
    """Counts of a whole batch, as a ledger has them."""

    def __init__(self, progress, bounds=None, limits=None, **counts):
        self.counts = Counts(**counts)
        self.admitting = True
        progress.attach(
            stages=ALL_STAGES,
            counts=lambda: self.counts,
            admitting=lambda: self.admitting,
            bounds=bounds or Bounds(),
            limits=limits or Limits(),
        )


def run_at(progress, batch, clock, *, seconds, rate):
    """Let rows complete at a rate, and look four times a second."""
    done = batch.counts.completed
    for step in range(1, int(seconds * 4) + 1):
        clock.now += 0.25
        now = done + int(step * rate / 4)
        batch.counts = Counts(planned=batch.counts.total - now, completed=now)
        rates = progress.rates()
    return rates
