"""Traces and metrics by OpenTelemetry's own API: ``pip install 'opus-async[opentelemetry]'``.

.. code-block:: python

    from opus_async.contrib.opentelemetry import OpenTelemetryListener

    async with OpusClient(listeners=[OpenTelemetryListener()]) as opus:
        ...

Each job is a span, ``opus job``, that has a span for each of its stages and, below these, one for each
attempt of a request, answered or not, by the semantic conventions of HTTP clients. A request that serves many
jobs, one poll for all of them say, is a span of its own with a link to each; one that serves none has no
links. Whoever awaits ``opus.run`` within a span has the job below it. No trace context leaves in a request.
What exports all this is up to the application's SDK; without one, the API does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from urllib.parse import urlsplit

from opus_async.contrib.job_tracker import JobTracker, is_end
from opus_async.errors import ConfigurationError
from opus_async.events import (
    Event,
    HostTroubled,
    JobStageChanged,
    RequestRetried,
    RequestSent,
    RequestUnanswered,
    current_jobs,
)
from opus_async.stages import DONE, PAUSED

try:
    from opentelemetry import metrics, trace
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, TracerProvider
except ModuleNotFoundError as error:
    if error.name is None or not error.name.startswith("opentelemetry"):
        raise
    raise ConfigurationError(
        "Traces for OpenTelemetry take pip install 'opus-async[opentelemetry]'"
    ) from None

_NAME = "opus_async"
_SCHEMA = "https://opentelemetry.io/schemas/1.27.0"
"""The version of the semantic conventions that spans and metrics of requests follow."""
_PORTS = {"http": 80, "https": 443}
_NANOSECONDS = 1_000_000_000
_FAILED = 400
_COMPLETED = "COMPLETED"
_REQUEST_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
"""Bounds that the semantic conventions ask for of ``http.client.request.duration``."""
_JOB_SECONDS = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400]


@dataclass(slots=True)
class _Job:
    span: Span
    stage: Span
    name: str
    began: float


class OpenTelemetryListener:
    """A listener that makes spans and metrics.

    Metrics: ``http.client.request.duration``, ``opus_async.request.wait`` (for a slot, a rate, the end of a
    pause), ``opus_async.request.retries``, ``opus_async.job.duration``, ``opus_async.jobs.active``,
    ``opus_async.job.detect_lag`` (upper bounds); all times in seconds.

    Args:
        tracer_provider: Makes spans; None for the global one.
        meter_provider: Makes metrics; None for the global one.
    """

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        version = import_module(_NAME).__version__  # by name: no step up to the package
        self._tracer = trace.get_tracer(_NAME, version, tracer_provider, _SCHEMA)
        meter = metrics.get_meter(_NAME, version, meter_provider, _SCHEMA)
        self._request = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_REQUEST_SECONDS,
        )
        self._wait = meter.create_histogram(
            "opus_async.request.wait",
            "s",
            "Wait of a request for its turn.",
            explicit_bucket_boundaries_advisory=_REQUEST_SECONDS,
        )
        self._retries = meter.create_counter(
            "opus_async.request.retries", "{attempt}", "Attempts that failed and were repeated."
        )
        self._job = meter.create_histogram(
            "opus_async.job.duration",
            "s",
            "From the first stage of a job to its end.",
            explicit_bucket_boundaries_advisory=_JOB_SECONDS,
        )
        self._active = meter.create_up_down_counter("opus_async.jobs.active", "{job}", "Jobs under way.")
        self._lag = meter.create_histogram(
            "opus_async.job.detect_lag",
            "s",
            "How late the end of a job was noticed at most.",
            explicit_bucket_boundaries_advisory=_REQUEST_SECONDS,
        )
        self._tracker: JobTracker[_Job] = JobTracker(self._given_up)

    def __call__(self, event: Event) -> None:
        """Take an event."""
        match event:
            case RequestSent() | RequestUnanswered():
                self._tried(event)
            case RequestRetried():
                self._retried(event)
            case JobStageChanged():
                self._moved(event)
            case HostTroubled():
                self._troubled(event)
            case _:
                pass

    # Jobs

    def _moved(self, event: JobStageChanged) -> None:
        now = _nanoseconds(event.timestamp)
        if is_end(event):
            job = self._tracker.end(event)
            if job is not None:
                self._ended(job, event, now)
            return
        job = self._tracker.current()
        if job is None:
            self._begun(event, now)
            return
        job.stage.end(now)
        job.name = event.stage
        job.stage = self._tracer.start_span(f"opus {event.stage}", _below(job.span), start_time=now)
        if event.job_id is not None:
            job.span.set_attribute("opus_async.job.id", event.job_id)

    def _begun(self, event: JobStageChanged, now: int) -> None:
        span = self._tracer.start_span("opus job", start_time=now)
        span.set_attribute("opus_async.job.index", event.index)
        if event.key is not None:
            span.set_attribute("opus_async.job.key", event.key)
        if event.job_id is not None:
            span.set_attribute("opus_async.job.id", event.job_id)
        stage = self._tracer.start_span(f"opus {event.stage}", _below(span), start_time=now)
        self._tracker.begin(event, _Job(span, stage, event.stage, event.monotonic))
        self._active.add(1)

    def _ended(self, job: _Job, event: JobStageChanged, now: int) -> None:
        status = PAUSED if event.stage == PAUSED else str(event.status or "unknown")
        job.span.set_attribute("opus_async.job.status", status)
        if event.job_id is not None:
            job.span.set_attribute("opus_async.job.id", event.job_id)
        if event.detect_lag is not None:
            job.span.set_attribute("opus_async.job.detect_lag", event.detect_lag)
            self._lag.record(event.detect_lag)
        if event.stage == DONE and status != _COMPLETED:
            job.span.set_status(Status(StatusCode.ERROR, f"the job ended as {status} in {job.name}"))
        job.stage.end(now)
        job.span.end(now)
        self._active.add(-1)
        self._job.record(event.monotonic - job.began, {"opus_async.job.status": status})

    def _given_up(self, job: _Job) -> None:
        job.span.set_attribute("opus_async.job.status", "given_up")
        job.stage.end()
        job.span.end()
        self._active.add(-1)

    # Requests

    def _tried(self, event: RequestSent | RequestUnanswered) -> None:
        """One attempt of a request, answered or not."""
        parts = urlsplit(event.url)
        attributes: dict[str, str | int] = {
            "http.request.method": event.method,
            "server.address": parts.hostname or "",
            "server.port": parts.port or _PORTS.get(parts.scheme, 0),
            "opus_async.operation": event.operation,
        }
        if isinstance(event, RequestSent):
            attributes["http.response.status_code"] = event.status
            error = str(event.status) if event.status >= _FAILED else None
        else:
            error = event.failure.value
        if error is not None:
            attributes["error.type"] = error
        self._request.record(event.seconds, attributes)
        self._wait.record(event.waited, {"opus_async.operation": event.operation})
        job = self._tracker.current()
        again = {"http.request.resend_count": event.attempt - 1} if event.attempt > 1 else {}
        ended = _nanoseconds(event.timestamp)
        span = self._tracer.start_span(
            f"{event.method} {event.operation}",
            None if job is None else _below(job.stage),
            SpanKind.CLIENT,
            {**attributes, **again, "url.full": event.url},
            [Link(each.stage.get_span_context()) for each in self._tracker.states(current_jobs.get())],
            start_time=ended - _nanoseconds(event.seconds),
        )
        if error is not None:
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended)

    def _retried(self, event: RequestRetried) -> None:
        cause = {"opus_async.operation": event.operation, "error.type": event.failure.value}
        self._retries.add(1, cause)
        job = self._tracker.current()
        if job is not None:
            job.stage.add_event(
                "retry",
                {**cause, "opus_async.attempt": event.attempt, "opus_async.wait": event.wait},
                _nanoseconds(event.timestamp),
            )

    def _troubled(self, event: HostTroubled) -> None:
        job = self._tracker.current()
        if job is not None:
            job.stage.add_event(
                f"host {event.state.value}", {"server.address": event.host}, _nanoseconds(event.timestamp)
            )


def _below(span: Span) -> Context:
    return trace.set_span_in_context(span)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * _NANOSECONDS)
