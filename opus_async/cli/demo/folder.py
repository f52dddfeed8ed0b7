"""The demo's output folder: a new one, or that of an earlier demo, and no other."""

from __future__ import annotations

from pathlib import Path

from opus_async.batch.ledger.lock import holder
from opus_async.batch.ledger.reader import LedgerReader
from opus_async.cli.demo import documents
from opus_async.cli.errors import WrongUse
from opus_async.errors import LedgerError
from opus_async.layout import FAILURES, LEDGER, LOCK, MARK, REPORT, RESULTS, SUMMARY
from opus_async.transport.urls import is_loopback

DOCUMENTS = "documents"
MANIFEST = "manifest.csv"
_MADE = (MANIFEST, RESULTS, REPORT, FAILURES, SUMMARY, f"{LEDGER}*", f"{LOCK}*", f"{MARK}*")
"""Patterns of the files that a demo makes beside its documents."""


def prepare(folder: Path) -> None:
    """Make the folder, without an earlier demo's files.

    Raises:
        WrongUse: It holds something that is not a demo's, or cannot be written.
    """
    try:
        if folder.is_dir() and any(folder.iterdir()):
            _check_ours(folder)
            documents.remove_ours(folder / DOCUMENTS)
            for path in [path for pattern in _MADE for path in folder.glob(pattern)]:
                path.unlink()
        (folder / DOCUMENTS).mkdir(parents=True, exist_ok=True)
        with (folder / RESULTS).open("xb"):  # together with the documents this marks the folder as a demo's
            pass
    except OSError as error:
        raise WrongUse(f"{error.filename or folder} cannot be used: {error.strerror}") from None


def _check_ours(folder: Path) -> None:
    """Raise WrongUse unless a demo has made the folder, and none is at work in it."""
    made = folder / DOCUMENTS
    marked = (folder / RESULTS).is_file() and made.is_dir() and not made.is_symlink()
    if not marked or ((folder / LEDGER).exists() and not _is_of_a_demo(folder)):
        raise WrongUse(
            f"{folder} is not empty and was not made by a demo: nothing was touched. "
            "Choose another folder with --out."
        )
    if holder(folder) is not None:
        raise WrongUse(f"another demo is at work in {folder}: choose another folder with --out")


def _is_of_a_demo(folder: Path) -> bool:
    """Whether the ledger is that of a demo, on a simulator of this machine: then it may be deleted."""
    try:
        with LedgerReader(folder) as ledger:
            meta = ledger.meta
    except LedgerError:
        return False
    return is_loopback(meta.fingerprint.host or "") and meta.manifest.path == str(
        (folder / MANIFEST).absolute()
    )
