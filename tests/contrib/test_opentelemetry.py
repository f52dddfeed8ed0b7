"""Traces and metrics by OpenTelemetry: a span for each job, stage and request, and how they hang together."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest
from client_tools import DOCUMENT, KEY, TEXT, until

from opus_async import OpusClient, RequestKind, RequestSent, RetryPolicy, TransportError, __version__
from opus_async.operativus import OperativusClient, Step
from opus_async.simulator import OperativusConfig, Simulator, SimulatorConfig
from opus_async.testing import quick_polls

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
        return [point for metric in self._metrics(name) for point in metric.data.data_points]

    def unit(self, name):
        (metric,) = self._metrics(name)
        return metric.unit

    def _metrics(self, name):
        data = self._reader.get_metrics_data()
        return [
            metric
            for each in data.resource_metrics
            for scope in each.scope_metrics
            for metric in scope.metrics
            if metric.name == name
        ]


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
    assert "http.request.resend_count" not in put.attributes
    assert {span.instrumentation_scope.version for span in telemetry.spans()} == {__version__}
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
    assert telemetry.unit("http.client.request.duration") == "s"
    (job,) = telemetry.points("opus_async.job.duration")
    assert (job.count, dict(job.attributes)) == (1, {"opus_async.job.status": "COMPLETED"})
    assert sum(point.count for point in telemetry.points("opus_async.request.wait")) == sum(
        point.count for point in requests
    )


async def test_attempts_without_an_answer_have_spans_and_durations(telemetry):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]  # free again below, and nobody answers there
    policy = RetryPolicy(attempts=2, base=0.01, cap=0.01, outage=None, max_elapsed=5)
    url = f"http://127.0.0.1:{port}"
    async with OpusClient(KEY, base_url=url, retry=policy, listeners=[telemetry.listener]) as opus:
        with pytest.raises(TransportError):
            await opus.run(TEXT, {"Text": "a"})
    (job,) = telemetry.spans("opus job")
    (schema,) = telemetry.spans("opus schema")
    assert below(schema, job)
    assert job.status.status_code is StatusCode.ERROR
    first, *_, last = telemetry.spans("GET workflow")
    for span in (first, last):
        assert below(span, schema)
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == "unsent"
        assert "http.response.status_code" not in span.attributes
    assert "http.request.resend_count" not in first.attributes
    assert last.attributes["http.request.resend_count"] >= 1
    (point,) = telemetry.points("http.client.request.duration")
    assert point.count == len(telemetry.spans("GET workflow"))
    assert point.attributes["error.type"] == "unsent"


async def test_request_that_serves_many_jobs_is_linked_to_each(telemetry):
    config = SimulatorConfig(run_time=0.3, operativus=OperativusConfig(queue_tick=0, rate_limit=None))
    with quick_polls(0.01):
        async with Simulator(config) as simulator:
            access = simulator.operativus
            listeners = [telemetry.listener]
            async with OperativusClient(access.base_url, token=access.token, listeners=listeners) as client:
                workflow = await client.workflows.create("W", steps=[Step("finance_agent", "x")])
                async for outcome in client.run_many(workflow.id, ["a", "b", "c"]):
                    assert outcome.ok
    watching = {span.context.span_id for span in telemetry.spans("opus watch")}
    assert len(watching) == 3
    linked = [span for span in telemetry.spans() if len(span.links) > 1]
    assert linked
    for span in linked:
        assert span.parent is None
        assert {link.context.span_id for link in span.links} <= watching


async def test_ports_that_urls_leave_out_are_told(telemetry):
    telemetry.listener(
        RequestSent(
            attempt=1,
            operation="status",
            kind=RequestKind.POLL,
            method="GET",
            url="https://opus.example/job/1/status",
            status=200,
            seconds=0.1,
        )
    )
    (span,) = telemetry.spans()
    assert (span.attributes["server.address"], span.attributes["server.port"]) == ("opus.example", 443)


async def test_no_secret_is_in_a_span(simulate, connect, telemetry):
    simulator = await simulate()
    opus = connect(simulator, telemetry.listener)
    await opus.run(DOCUMENT, {"Document": ("a.txt", b"text")})
    told = " ".join(span.to_json() for span in telemetry.spans())
    assert simulator.service_key not in told
    assert "X-Amz" not in told
