"""Metrics for Prometheus, by its own client library: ``pip install 'opus-async[prometheus]'``.

.. code-block:: python

    from opus_async.contrib.prometheus import PrometheusListener, serving

    with serving(9464) as metrics:                     # http://127.0.0.1:9464/metrics
        async with OpusClient(listeners=[metrics.listener]) as opus:
            ...

A program that serves metrics already takes ``PrometheusListener()``, which uses the default registry. Labels
are operations, stages, statuses and hosts; no job and no file is named in one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from opus_async.contrib.job_tracker import JobTracker, is_end
from opus_async.errors import ConfigurationError
from opus_async.events import (
    Event,
    HostTroubled,
    JobStageChanged,
    RequestRetried,
    RequestSent,
    RequestUnanswered,
    UploadProgress,
)
from opus_async.stages import DONE, PAUSED

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, start_http_server
except ModuleNotFoundError as error:
    if error.name != "prometheus_client":
        raise
    raise ConfigurationError("Metrics for Prometheus take pip install 'opus-async[prometheus]'") from None

LOOPBACK = "127.0.0.1"
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds, for requests and for waits before them."""
JOB_BUCKETS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0)
"""Seconds, for jobs and their stages: they run for seconds to hours."""


@dataclass(slots=True)
class _Job:
    stage: str
    began: float
    entered: float


class PrometheusListener:
    """A listener that keeps metrics. It can listen to several clients.

    - ``opus_async_requests_total{operation, kind, status}``
    - ``opus_async_request_seconds{operation}``
    - ``opus_async_request_wait_seconds{operation}``: for a slot, a rate, the end of a pause
    - ``opus_async_unanswered_total{operation, failure}``: attempts without an answer, repeated or not
    - ``opus_async_retries_total{operation, failure}``
    - ``opus_async_uploaded_bytes_total``
    - ``opus_async_jobs_total{status}``: ``unknown`` without a known end, ``given_up`` when cancelled here
    - ``opus_async_job_seconds{status}``: ``parked`` for one that waits for a person
    - ``opus_async_jobs_in_stage{stage}``
    - ``opus_async_stage_seconds{stage}``
    - ``opus_async_detect_lag_seconds``: upper bounds
    - ``opus_async_host_up{host}``

    Args:
        registry: Where they are registered.
        namespace: What their names begin with.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY, *, namespace: str = "opus_async") -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, namespace=namespace, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, text, labels, namespace=namespace, registry=registry, buckets=buckets)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, namespace=namespace, registry=registry)

        self._requests = counter("requests_total", "Requests answered.", "operation", "kind", "status")
        self._unanswered = counter("unanswered_total", "Attempts that got no answer.", "operation", "failure")
        self._retries = counter(
            "retries_total", "Attempts that failed and were repeated.", "operation", "failure"
        )
        self._bytes = counter("uploaded_bytes_total", "Bytes of files sent, repeated attempts included.")
        self._jobs_ended = counter("jobs_total", "Jobs that ended.", "status")
        self._request = histogram("request_seconds", "From slot to answer.", REQUEST_BUCKETS, "operation")
        self._wait = histogram("request_wait_seconds", "Wait for a turn.", REQUEST_BUCKETS, "operation")
        self._job = histogram("job_seconds", "From first stage to end.", JOB_BUCKETS, "status")
        self._stage = histogram("stage_seconds", "Time in a stage.", JOB_BUCKETS, "stage")
        self._lag = histogram("detect_lag_seconds", "How late an end was noticed at most.", REQUEST_BUCKETS)
        self._in_stage = gauge("jobs_in_stage", "Jobs in a stage now.", "stage")
        self._host_up = gauge("host_up", "Whether a host answers.", "host")
        self._tracker: JobTracker[_Job] = JobTracker(self._given_up)
        self._sent_of: dict[tuple[int | None, str], int] = {}  # of files on the wire only

    def __call__(self, event: Event) -> None:
        """Take an event."""
        match event:
            case RequestSent():
                self._requests.labels(event.operation, event.kind.value, event.status).inc()
                self._request.labels(event.operation).observe(event.seconds)
                self._wait.labels(event.operation).observe(event.waited)
            case RequestUnanswered():
                self._unanswered.labels(event.operation, event.failure.value).inc()
            case RequestRetried():
                self._retries.labels(event.operation, event.failure.value).inc()
            case JobStageChanged():
                self._moved(event)
            case UploadProgress():
                self._uploaded(event)
            case HostTroubled():
                self._host_up.labels(event.host).set(not event.down)
            case _:
                pass

    def _moved(self, event: JobStageChanged) -> None:
        if is_end(event):
            job = self._tracker.end(event)
            if event.detect_lag is not None:
                self._lag.observe(event.detect_lag)
            if event.stage == DONE:
                self._jobs_ended.labels(str(event.status or "unknown")).inc()
            if job is not None:
                status = PAUSED if event.stage == PAUSED else str(event.status or "unknown")
                self._left(job, event.monotonic)
                self._job.labels(status).observe(event.monotonic - job.began)
            return
        job = self._tracker.current()
        if job is None:
            self._tracker.begin(event, _Job(event.stage, event.monotonic, event.monotonic))
        else:
            self._left(job, event.monotonic)
            job.stage, job.entered = event.stage, event.monotonic
        self._in_stage.labels(event.stage).inc()

    def _left(self, job: _Job, now: float) -> None:
        self._in_stage.labels(job.stage).dec()
        self._stage.labels(job.stage).observe(now - job.entered)

    def _given_up(self, job: _Job) -> None:
        self._in_stage.labels(job.stage).dec()
        self._jobs_ended.labels("given_up").inc()

    def _uploaded(self, event: UploadProgress) -> None:
        """Count what came since the last event of the same file; less than before is a new attempt."""
        file = event.index, event.filename
        before = self._sent_of.pop(file, 0)
        self._bytes.inc(event.sent - before if event.sent >= before else event.sent)
        if event.sent < event.size:
            self._sent_of[file] = event.sent


@dataclass(frozen=True, slots=True)
class Metrics:
    """Metrics that are served.

    Attributes:
        listener: Keeps them.
        url: Where they are.
    """

    listener: PrometheusListener
    url: str


@contextmanager
def serving(port: int, *, host: str = LOOPBACK) -> Iterator[Metrics]:
    """Serve metrics of a listener of its own on ``http://HOST:PORT/metrics``, in a thread, for a block.

    Args:
        port: The port; 0 for a free one.
        host: The address that it listens at: this machine alone, unless told otherwise.

    Raises:
        OSError: The port is taken, or may not be used.
    """
    registry = CollectorRegistry()
    listener = PrometheusListener(registry)
    server, thread = start_http_server(port, host, registry)
    try:
        yield Metrics(listener, f"http://{host}:{server.server_port}/metrics")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
