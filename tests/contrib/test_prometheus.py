"""Metrics for Prometheus: what jobs, requests and cancelled jobs leave in them."""

from __future__ import annotations

import asyncio
import gc
import urllib.request

import pytest
from client_tools import DOCUMENT, TEXT, until

prometheus_client = pytest.importorskip("prometheus_client")

from opus_async.contrib.prometheus import PrometheusListener, serving  # noqa: E402
from opus_async.events import (  # noqa: E402
    FailureClass,
    HostState,
    HostTroubled,
    RequestKind,
    RequestRetried,
    RequestUnanswered,
)


@pytest.fixture
def registry():
    return prometheus_client.CollectorRegistry()


@pytest.fixture
def value(registry):
    def of(name, **labels):
        return registry.get_sample_value(f"opus_async_{name}", labels)

    return of


async def test_jobs_stages_and_requests_are_counted(simulate, connect, registry, value):
    opus = connect(await simulate(run_time=0.05), PrometheusListener(registry))
    rows = [{"Document": (f"{number}.txt", f"text {number}".encode())} for number in range(5)]
    async for outcome in opus.run_many(DOCUMENT, rows):
        assert outcome.ok
    assert value("jobs_total", status="COMPLETED") == 5
    assert value("job_seconds_count", status="COMPLETED") == 5
    assert value("job_seconds_sum", status="COMPLETED") > 5 * 0.05
    for stage in ("schema", "upload", "initiate", "execute", "watch", "results"):
        assert value("stage_seconds_count", stage=stage) == 5, stage
        assert value("jobs_in_stage", stage=stage) == 0, stage
    assert value("requests_total", operation="execute", kind="api", status="201") == 5
    assert value("request_seconds_count", operation="put") == 5
    assert value("request_wait_seconds_count", operation="put") == 5
    assert value("uploaded_bytes_total") == sum(len(row["Document"][1]) for row in rows)
    assert value("detect_lag_seconds_count") == 5


async def test_jobs_of_the_same_index_are_told_apart(simulate, connect, registry, value):
    opus = connect(await simulate(run_time=0.05), PrometheusListener(registry))
    outcomes = await asyncio.gather(*(opus.run(TEXT, {"Text": f"{number}"}) for number in range(6)))
    assert {outcome.index for outcome in outcomes} == {0}
    assert value("jobs_total", status="COMPLETED") == 6
    assert value("stage_seconds_count", stage="watch") == 6
    assert value("jobs_in_stage", stage="watch") == 0


async def test_job_that_is_cancelled_leaves_its_stage(simulate, connect, registry, value):
    opus = connect(await simulate(run_time=60), PrometheusListener(registry))
    job = asyncio.ensure_future(opus.run(TEXT, {"Text": "a"}))
    await until(lambda: value("jobs_in_stage", stage="watch"))
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    del job
    await opus.close()
    gc.collect()
    assert value("jobs_in_stage", stage="watch") == 0
    assert value("jobs_total", status="given_up") == 1


async def test_failed_job_has_its_status(simulate, connect, registry, value):
    opus = connect(await simulate(fail_share=1.0), PrometheusListener(registry))
    await opus.run(TEXT, {"Text": "a"})
    assert value("jobs_total", status="FAILED") == 1
    assert value("jobs_in_stage", stage="watch") == 0


def test_retries_and_hosts_are_counted(registry, value):
    listener = PrometheusListener(registry)
    listener(
        RequestRetried(
            attempt=1,
            operation="initiate",
            kind=RequestKind.API,
            failure=FailureClass.THROTTLED,
            status=429,
            reason="throttled: HTTP 429",
            wait=1.0,
        )
    )
    listener(
        RequestUnanswered(
            attempt=2,
            operation="execute",
            kind=RequestKind.API,
            method="POST",
            url="https://opus.example/job/execute",
            failure=FailureClass.BROKEN,
            seconds=1.0,
        )
    )
    for state in (HostState.UP, HostState.DOWN):
        listener(HostTroubled(host="opus.example", state=state, reason="", seconds=1.0))
    assert value("retries_total", operation="initiate", failure="throttled") == 1
    assert value("unanswered_total", operation="execute", failure="broken") == 1
    assert value("host_up", host="opus.example") == 0


def test_metrics_are_served_on_this_machine_until_the_block_ends():
    with serving(0) as metrics:
        metrics.listener(HostTroubled(host="opus.example", state=HostState.UP, reason="", seconds=1.0))
        assert metrics.url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(metrics.url) as answer:
            assert 'opus_async_host_up{host="opus.example"} 1.0' in answer.read().decode()
    with pytest.raises(OSError):
        urllib.request.urlopen(metrics.url)
