"""``report.html``: how a batch went, for people. Made anew from the ledger every time.

One file that loads nothing and runs nothing, for light and dark screens and for paper. Its templates need
Jinja, which comes with the extra ``report``, and with ``cli``.
"""

from __future__ import annotations

from pathlib import Path

from opus_async.batch.ledger.report_queries import ReportQueries
from opus_async.disk import atomic_write
from opus_async.layout import REPORT
from opus_async.reporting.extra import needed_for

__all__ = ["REPORT", "write", "write_from"]


def write(directory: Path) -> Path:
    """Write ``report.html`` into the directory, whole or not at all. Its permissions follow the umask.

    The batch may be in any state: not begun, at work, dead, done.

    Returns:
        Where it lies.

    Raises:
        ConfigurationError: The extra that makes it is not installed.
        LedgerError: There is no ledger, or it cannot be read.
        OSError: The file cannot be written.
    """
    with needed_for(REPORT), ReportQueries(directory) as ledger, ledger.snapshot():
        return write_from(ledger)


def write_from(ledger: ReportQueries) -> Path:
    """The same as :func:`write`, from a ledger that is open, as of the moment of its snapshot."""
    with needed_for(REPORT):  # here, so that a batch runs without the extra
        from opus_async.batch.report.page import page  # noqa: PLC0415
        from opus_async.batch.report.report_data import read  # noqa: PLC0415
    content = page(read(ledger))
    path = ledger.directory / REPORT
    with atomic_write(path, private=False) as file:  # it is made to be passed on
        file.write(content)
    return path
