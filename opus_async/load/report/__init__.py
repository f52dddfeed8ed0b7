"""``report.html`` of a load run or a search: how it went, for people. Made anew from its files every time.

One file that loads nothing and runs nothing, of the same family as the report of a batch. Its templates need
Jinja, which comes with the extra ``report``, and with ``cli``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from opus_async.disk import atomic_write
from opus_async.layout import REPORT
from opus_async.load.comparison import compare_runs
from opus_async.load.recorded_run import RecordedRun, load_run
from opus_async.load.summary import SearchSummary, read_any
from opus_async.reporting.extra import needed_for

__all__ = ["REPORT", "write"]


def write(directory: Path, base: Path | None = None) -> Path:
    """Write ``report.html`` into the directory, whole or not at all. Its permissions follow the umask.

    Args:
        directory: Of the load run, or of the search.
        base: An earlier run of the same workload, to show what became better or worse.

    Returns:
        Where it lies.

    Raises:
        ConfigurationError: The extra that makes it is not installed.
        LoadRefused: Its files are not there, or cannot be used; or the workloads differ.
        OSError: The file cannot be written.
    """
    with needed_for(REPORT):  # here, so that a load test runs without the extra
        from opus_async.load.report.run_data import RunData  # noqa: PLC0415
        from opus_async.load.report.run_page import run_page  # noqa: PLC0415
        from opus_async.load.report.search_page import search_page  # noqa: PLC0415
    summary = read_any(directory)
    if isinstance(summary, SearchSummary):
        content = search_page(directory, summary)
    else:
        run = load_run(directory)
        compared = (
            None if base is None else compare_runs(_named(load_run(base), base), _named(run, directory))
        )
        content = run_page(RunData.load(directory, run), compared, base)
    path = directory / REPORT
    with atomic_write(path, private=False) as file:  # it is made to be passed on
        file.write(content)
    return path


def _named(run: RecordedRun, directory: Path) -> RecordedRun:
    """The run under the name of its folder: a report is passed on, and says nothing of the machine."""
    return replace(run, name=directory.absolute().name)
