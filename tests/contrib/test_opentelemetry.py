"""Traces and metrics by OpenTelemetry: a span for each job, stage and request, and how they hang together."""

from __future__ import annotations

import asyncio
import gc

import pytest
from client_tools import DOCUMENT, TEXT, until

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from opus_async.contrib.opentelemetry import OpenTelemetryListener


class Telemetry:
    """An SDK that keeps what it is given."""

    def __init__(self):
        self.exporter, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self._meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.listener = OpenTelemetryListener(self.tracers, self._meters)

    def spans(self, name=None):
        return [span for span in self.exporter.get_finished_spans() if name in {None, span.name}]

    def points(self, name):
        data = self._reader.get_metrics_data()
        metrics = [
            metric
            for each in data.resource_metrics
            for scope in each.scope_metrics
            for metric in scope.metrics
        ]
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]


@pytest.fixture
def telemetry():
    return Telemetry()


def below(span, parent):
    return span.parent is not None and span.parent.span_id == parent.context.span_id


async def test_job_has_a_span_with_its_stages_and_their_requests(simulate, connect, telemetry):
    opus = connect(await simulate(run_time=0.05), telemetry.listener)
    outcome = await opus.run(DOCUMENT, {"Document": ("a.txt", b"text")}, key="A-1")
    (job,) = telemetry.spans("opus job")
    assert job.attributes["opus_async.job.id"] == outcome.job_id
    assert job.attributes["opus_async.job.status"] == "COMPLETED"
    assert job.status.status_code is not StatusCode.ERROR
    stages = [span for span in telemetry.spans() if below(span, job)]
    assert [span.name for span in sorted(stages, key=lambda span: span.start_time)] == [
        "opus schema", "opus upload", "opus initiate", "opus execute", "opus watch", "opus results",
    ]  # fmt: skip
    (put,) = telemetry.spans("PUT put")
    upload = next(span for span in stages if span.name == "opus upload")
    assert below(put, upload)
    assert put.kind is SpanKind.CLIENT
    assert put.attributes["http.request.method"] == "PUT"
    assert put.attributes["http.response.status_code"] == 200
    assert put.attributes["http.request.resend_count"] == 0
    assert "?" not in put.attributes["url.full"]
    for span in telemetry.spans():
        assert span.start_time <= span.end_time
        assert span.context.trace_id == job.context.trace_id or span.parent is None


async def test_job_hangs_below_the_span_of_who_awaits_it(simulate, connect, telemetry):
    opus = connect(await simulate(), telemetry.listener)
    with telemetry.tracers.get_tracer("test").start_as_current_span("handler") as handler:
        await opus.run(TEXT, {"Text": "a"})
    (job,) = telemetry.spans("opus job")
    assert job.parent.span_id == handler.get_span_context().span_id


async def test_jobs_at_the_same_time_do_not_mix(simulate, connect, telemetry):
    opus = connect(await simulate(run_time=0.05), telemetry.listener)
    await asyncio.gather(*(opus.run(TEXT, {"Text": f"{number}"}) for number in range(5)))
    jobs = telemetry.spans("opus job")
    assert len({job.context.trace_id for job in jobs}) == 5
    for job in jobs:
        stages = [span for span in telemetry.spans() if below(span, job)]
        assert len(stages) == 6
        executes = [
            span for span in telemetry.spans("POST execute") if any(below(span, each) for each in stages)
        ]
        assert len(executes) == 1


async def test_failed_job_is_an_error(simulate, connect, telemetry):
    opus = connect(await simulate(fail_share=1.0), telemetry.listener)
    await opus.run(TEXT, {"Text": "a"})
    (job,) = telemetry.spans("opus job")
    assert job.status.status_code is StatusCode.ERROR
    assert "FAILED" in job.status.description


async def test_job_that_is_cancelled_ends_its_spans(simulate, connect, telemetry):
    opus = connect(await simulate(run_time=60), telemetry.listener)
    job = asyncio.ensure_future(opus.run(TEXT, {"Text": "a"}))
    await until(lambda: telemetry.spans("opus execute"))
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    del job
    await opus.close()
    gc.collect()
    (span,) = telemetry.spans("opus job")
    assert span.attributes["opus_async.job.status"] == "given_up"
    assert [point.value for point in telemetry.points("opus_async.jobs.active")] == [0]


async def test_metrics_follow_the_semantic_conventions(simulate, connect, telemetry):
    opus = connect(await simulate(), telemetry.listener)
    await opus.run(TEXT, {"Text": "a"})
    requests = telemetry.points("http.client.request.duration")
    assert {"http.request.method", "http.response.status_code", "server.address", "server.port"} <= set(
        requests[0].attributes
    )
    (job,) = telemetry.points("opus_async.job.duration")
    assert (job.count, dict(job.attributes)) == (1, {"opus_async.job.status": "COMPLETED"})
    assert sum(point.count for point in telemetry.points("opus_async.request.wait")) == sum(
        point.count for point in requests
    )


async def test_no_secret_is_in_a_span(simulate, connect, telemetry):
    simulator = await simulate()
    opus = connect(simulator, telemetry.listener)
    await opus.run(DOCUMENT, {"Document": ("a.txt", b"text")})
    told = " ".join(span.to_json() for span in telemetry.spans())
    assert simulator.service_key not in told
    assert "X-Amz" not in told
