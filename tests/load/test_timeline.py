"""A load test over time, written and read."""

from __future__ import annotations

import pytest

from opus_async.errors import LoadRefused
from opus_async.layout import TIMELINE
from opus_async.load.timeline import Moment, as_lines, moments, read_timeline
from opus_async.metrics.time_series import TimeSeries


def series() -> TimeSeries:
    counted = TimeSeries(1.0)
    for at in (0.1, 0.2, 2.5):
        counted.add("offered", at)
        counted.add("started", at)
    counted.add("offered", 2.6)
    counted.add("dropped", 2.6)
    counted.add("completed", 1.2)
    counted.add("unknown", 3.4)
    counted.add("throttled", 1.5, 2)
    return counted


def test_moments_have_counts_level_and_health():
    health = [
        (0.9, {"cpu_share": 0.2, "loop_lag": 0.01}),
        (2.1, {"cpu_share": 0.3}),
        (2.9, {"cpu_share": 0.4}),
    ]
    found = list(moments(series(), health))
    assert [(each.at, each.offered, each.started, each.dropped) for each in found] == [
        (0.0, 2, 2, 0), (1.0, 0, 0, 0), (2.0, 2, 1, 1), (3.0, 0, 0, 0),
    ]  # fmt: skip
    assert [each.in_flight for each in found] == [2, 1, 2, 1]
    assert [each.cpu_share for each in found] == [0.2, None, 0.4, None]
    assert (found[0].loop_lag, found[1].throttled) == (0.01, 2)


def test_timeline_is_read_as_it_was_written(tmp_path):
    found = list(moments(series()))
    (tmp_path / TIMELINE).write_bytes(b"".join(as_lines(found)))
    assert read_timeline(tmp_path) == found


def test_missing_timeline_is_empty(tmp_path):
    assert read_timeline(tmp_path) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{}", "line 2: at: Field required"),
        (b'{"at": 1.0, "seconds": 0}', "line 2: seconds: "),
        (b'{"at": 1.0, "seconds": 1.0, "started": "many"}', "line 2: started: "),
        (b"nothing", "line 2: Invalid JSON"),
    ],
)
def test_damaged_line_is_named(tmp_path, line, said):
    whole = b"".join(as_lines([Moment(at=0.0, seconds=1.0)]))
    (tmp_path / TIMELINE).write_bytes(whole + line)
    with pytest.raises(LoadRefused) as caught:
        read_timeline(tmp_path)
    assert said in str(caught.value)
