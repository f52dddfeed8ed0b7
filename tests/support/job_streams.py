"""A stream of jobs on a platform of plain Python."""

from __future__ import annotations

from fake_platform import lifecycle_on

from opus_async.jobs.stream import JobSource, JobStream


def stream_of(platform, rows, slots=10):
    lifecycle, watcher = lifecycle_on(platform)
    return JobStream(JobSource(platform, lifecycle), rows, slots), watcher
