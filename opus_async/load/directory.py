"""The files of a load test: where they lie, and that none of another run is replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic_core import to_json

from opus_async import disk
from opus_async.errors import LoadRefused, OpusError
from opus_async.layout import LATENCY, REPORT, SAMPLES, SUMMARY, TIMELINE
from opus_async.load import report
from opus_async.load.summary import RunSummary, SearchSummary, as_json
from opus_async.load.timeline import Moment, as_lines
from opus_async.load.values import Sample
from opus_async.metrics.hgrm import hgrm_text
from opus_async.metrics.histogram import Histogram

_MILLISECONDS = 1000.0


def refuse_used(directory: Path) -> None:
    """Refuse a directory that holds a run, or that is none.

    Raises:
        LoadRefused: It does.
    """
    if directory.exists() and not directory.is_dir():
        raise LoadRefused(f"{directory} is there, and is no folder: name another one for the results")
    for name in (SUMMARY, SAMPLES):
        if (directory / name).exists():
            raise LoadRefused(
                f"{directory} holds the results of a load test already: name another folder, so that they "
                "can be compared; nothing was sent"
            )


def write(
    directory: Path,
    samples: Iterable[Sample],
    e2e: Histogram,
    timeline: Iterable[Moment],
    summary: RunSummary | SearchSummary,
) -> None:
    """Write the samples, the percentiles, the timeline and, at last, the summary.

    Raises:
        OSError: A file cannot be written.
    """
    disk.make_directory(directory)
    with disk.atomic_write(directory / SAMPLES, private=False) as file:
        for sample in samples:
            file.write(to_json(sample.as_json()) + b"\n")
    with disk.atomic_write(directory / LATENCY, private=False) as file:
        file.write(hgrm_text(e2e, _MILLISECONDS).encode())
    with disk.atomic_write(directory / TIMELINE, private=False) as file:
        file.writelines(as_lines(timeline))
    with disk.atomic_write(directory / SUMMARY, private=False) as file:
        file.write(as_json(summary))


def write_report(directory: Path, notice: Callable[[str], None]) -> None:
    """Write the report; it can be made again, so where that fails it is only told."""
    try:
        report.write(directory)
    except (OSError, OpusError) as error:
        notice(f"{REPORT} could not be written: {error}")
