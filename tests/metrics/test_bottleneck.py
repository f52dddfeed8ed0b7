"""What limits a batch, by what is seen of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from opus_async import Limits
from opus_async.metrics.bottleneck import (
    Activity,
    Bottleneck,
    BottleneckInputs,
    BottleneckKind,
    Bounds,
    bottleneck,
    merge,
)
from opus_async.metrics.outages import HostOutage
from opus_async.metrics.traffic import FailedPolls
from opus_async.reporting.bottlenecks import bottleneck_text

FULL = BottleneckInputs(in_flight=500, at_work=480, preparing=15, planned=9000, requests=80.0)
CALLING = replace(FULL, at_work=20, preparing=0)
UPLOADING = BottleneckInputs(in_flight=500, at_work=60, preparing=430, planned=9000)
BOUNDS = Bounds()
LIMITS = Limits(api_rate=100, upload_bandwidth=5_000_000)


def test_bottleneck_names_limit_of_polls_when_jobs_wait_for_them():
    now = replace(FULL, queued=400.0, queued_polls=400.0, polls=4.8)
    found = bottleneck(now, BOUNDS, Limits(poll_rate=5))
    assert found == Bottleneck(BottleneckKind.POLL_RATE, {"rate": 5.0})
    assert bottleneck_text(found) == "poll_rate=5: looks at jobs a second"
    assert (
        bottleneck(replace(now, polls=1.0), BOUNDS, Limits(poll_rate=5)).kind is BottleneckKind.MAX_IN_FLIGHT
    )


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (FULL, "--max-in-flight 500 (the platform is at work)"),
        (replace(FULL, in_flight=450), "--max-in-flight 500 (the platform is at work)"),
        (
            replace(FULL, at_work=100, preparing=20, queued=200.0),
            "--max-in-flight 500 (64 requests at once)",
        ),
        (  # nothing waits for its turn in the client: it is no limit of ours
            replace(FULL, at_work=100, preparing=20, queued=10.0),
            "--max-in-flight 500 (requests and retries are under way)",
        ),
        (  # nor do 64 requests at once limit 40 rows
            BottleneckInputs(in_flight=40, at_work=2, queued=30.0),
            "the last 40 rows (requests and retries are under way)",
        ),
        (UPLOADING, "uploads (--upload-concurrency 32)"),
        (replace(UPLOADING, sent=4.9e6), "--bandwidth 5 MB/s"),
        (replace(FULL, requests=95.0), "--rate 100/s"),
        (replace(FULL, requests=95.0, throttled_share=0.05), "the platform's rate limit (429)"),
        (replace(FULL, throttled_share=0.001), "--max-in-flight 500 (the platform is at work)"),
        (
            replace(FULL, throttled_share=1.0, outage=HostOutage("storage.example", 40.2, "unsent")),
            "storage.example has not answered for 40 s",
        ),
        (replace(FULL, failed_polls=FailedPolls(1, 404)), "1 look at a job is answered with HTTP 404"),
        (
            replace(FULL, failed_polls=FailedPolls(1200, 502)),
            "1,200 looks at jobs are answered with HTTP 502",
        ),
        (replace(FULL, queued=260.0, slowed=True), "the platform's rate limit (429)"),
        (replace(FULL, queued=240.0, slowed=True), "--max-in-flight 500 (the platform is at work)"),
        (replace(FULL, queued=300.0, queued_polls=300.0), "--max-in-flight 500 (64 requests at once)"),
        (replace(CALLING, slowed=True, on_wire=4.0), "the platform's rate limit (429)"),
        (replace(CALLING, slowed=True, on_wire=63.0), "--max-in-flight 500 (64 requests at once)"),
        (
            replace(CALLING, slowed=False, on_wire=4.0),
            "--max-in-flight 500 (requests and retries are under way)",
        ),
        (
            replace(CALLING, slowed=True, on_wire=4.0, at_work=400),
            "--max-in-flight 500 (the platform is at work)",
        ),
        (
            replace(CALLING, slowed=True, on_wire=4.0, planned=0, in_flight=90),
            "the platform's rate limit (429)",
        ),
        (
            BottleneckInputs(in_flight=60, at_work=60, queued=40.0, queued_polls=40.0, slowed=True),
            "the platform's rate limit (429)",
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
def test_bottleneck_text_names_the_limiting_factor(now, said):
    assert told(now) == said


def told(now, bounds=BOUNDS, limits=LIMITS):
    limit = bottleneck(now, bounds, limits)
    return "" if limit is None else bottleneck_text(limit)


def test_bottleneck_is_start_rate_only_with_rows_and_free_slots():
    slow = Bounds(start_rate=2.5)
    busy = BottleneckInputs(in_flight=40, at_work=40, planned=9000)
    assert bottleneck(busy, slow, Limits()) == Bottleneck(BottleneckKind.START_RATE, {"rate": 2.5})
    assert told(busy, slow, Limits()) == "--start-rate 2.5/s"
    assert told(FULL, slow, Limits()).startswith("--max-in-flight")
    last = bottleneck(BottleneckInputs(in_flight=40, at_work=40), slow, Limits())
    assert last == Bottleneck(BottleneckKind.LAST_ROWS, {"rows": 40, "busy_with": Activity.PLATFORM})


def test_bottleneck_ignores_limits_that_are_not_set():
    busy = replace(FULL, requests=1e6, sent=1e9)
    assert told(busy, limits=Limits()) == "--max-in-flight 500 (the platform is at work)"


def test_bottleneck_text_shows_bandwidth_in_fitting_unit():
    narrow = replace(UPLOADING, sent=5e5)
    assert told(narrow, limits=Limits(upload_bandwidth=5e5)) == "--bandwidth 500 kB/s"


@pytest.mark.parametrize(
    "limit",
    [
        bottleneck(FULL, Bounds(), LIMITS),
        bottleneck(UPLOADING, Bounds(), LIMITS),
        bottleneck(replace(FULL, outage=HostOutage("a.example", 7, "unsent")), Bounds(), LIMITS),
        bottleneck(replace(FULL, throttled_share=1.0), Bounds(), LIMITS),
    ],
)
def test_bottleneck_round_trips_through_json(limit):
    assert Bottleneck.from_json(json.loads(json.dumps(limit.as_json()))) == limit


def test_bottleneck_from_other_releases_is_readable():
    assert Bottleneck.from_json("") is None
    assert Bottleneck.from_json(None) is None
    assert bottleneck_text(Bottleneck.from_json("the last 5 rows")) == "the last 5 rows"
    assert bottleneck_text(Bottleneck.from_json({"kind": "moon_phase", "values": {}})) == "moon_phase"


def test_bottleneck_merge_joins_entries_that_differ_only_in_numbers():
    def last(rows, **busy):
        return Bottleneck(BottleneckKind.LAST_ROWS, {"rows": rows, **busy})

    calling = {"busy_with": "requests", "api_concurrency": 10}
    polls = [Bottleneck(BottleneckKind.FAILED_POLLS, {"number": 3, "status": each}) for each in (404, 502)]
    found = merge(
        [(last(5, **calling), 2), (last(1, busy_with="platform"), 1), (last(1, **calling), 1)]
        + [(each, 1) for each in polls]
    )
    assert [(bottleneck_text(each.least, each.most), each.count) for each in found] == [
        ("the last 1-5 rows (10 requests at once)", 3),
        ("the last row (the platform is at work)", 1),
        ("3 looks at jobs are answered with HTTP 404", 1),
        ("3 looks at jobs are answered with HTTP 502", 1),
    ]
