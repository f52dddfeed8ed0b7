"""What limits a batch, by what is seen of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opus_async import Limits
from opus_async.batch.options import RunSettings
from opus_async.metrics.bottleneck import BottleneckInputs, HostOutage, bottleneck

FULL = BottleneckInputs(in_flight=500, at_work=480, preparing=15, planned=9000, requests=80.0)
UPLOADING = BottleneckInputs(in_flight=500, at_work=60, preparing=430, planned=9000)
LIMITS = Limits(api_rate=100, upload_bandwidth=5_000_000)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (FULL, "--max-in-flight 500 (the platform is at work)"),
        (replace(FULL, in_flight=450), "--max-in-flight 500 (the platform is at work)"),
        (replace(FULL, at_work=100, preparing=20), "--max-in-flight 500 (64 requests at once)"),
        (UPLOADING, "uploads (--upload-concurrency 32)"),
        (replace(UPLOADING, sent=4.9e6), "--bandwidth 5 MB/s"),
        (replace(FULL, requests=95.0), "--rate 100/s"),
        (replace(FULL, requests=95.0, turned_away=0.05), "the platform's rate limit (429)"),
        (replace(FULL, turned_away=0.001), "--max-in-flight 500 (the platform is at work)"),
        (
            replace(FULL, turned_away=1.0, trouble=HostOutage("storage.example", 40.2, "unsent")),
            "storage.example has not answered for 40 s",
        ),
        (BottleneckInputs(in_flight=12, at_work=12, waiting=3), "the last 12 rows (the platform is at work)"),
        (BottleneckInputs(in_flight=1, at_work=0, preparing=1), "the last row (files are on the way)"),
        (BottleneckInputs(waiting=1), "1 row waits for a person"),
        (BottleneckInputs(waiting=1200), "1,200 rows wait for a person"),
        (BottleneckInputs(waiting=12, planned=5), ""),
        (
            BottleneckInputs(in_flight=40, at_work=10, preparing=32, planned=9000),
            "uploads (--upload-concurrency 32)",
        ),
        (BottleneckInputs(in_flight=40, at_work=40, planned=9000), ""),
        (BottleneckInputs(), ""),
    ],
)
def test_it_is_named(now, said):
    assert bottleneck(now, RunSettings(), LIMITS) == said


def test_a_start_rate_is_felt_only_while_there_are_rows_and_slots():
    slow = RunSettings(start_rate=2.5)
    assert (
        bottleneck(BottleneckInputs(in_flight=40, at_work=40, planned=9000), slow, Limits())
        == "--start-rate 2.5/s"
    )
    assert bottleneck(FULL, slow, Limits()).startswith("--max-in-flight")
    assert bottleneck(BottleneckInputs(in_flight=40, at_work=40), slow, Limits()).startswith(
        "the last 40 rows"
    )


def test_limits_that_were_not_set_are_never_named():
    busy = replace(FULL, requests=1e6, sent=1e9)
    assert bottleneck(busy, RunSettings(), Limits()) == "--max-in-flight 500 (the platform is at work)"


def test_a_narrow_line_is_told_in_its_own_unit():
    assert bottleneck(replace(UPLOADING, sent=5e5), RunSettings(), Limits(upload_bandwidth=5e5)) == (
        "--bandwidth 500 kB/s"
    )
