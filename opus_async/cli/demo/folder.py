"""The demo's output folder: always a new one, beside that of an earlier demo."""

from __future__ import annotations

import itertools
from pathlib import Path

from opus_async.batch.ledger.reader import LedgerReader
from opus_async.cli.errors import WrongUse
from opus_async.errors import LedgerError
from opus_async.layout import LEDGER, RESULTS
from opus_async.transport.urls import is_loopback

DOCUMENTS = "documents"
MANIFEST = "manifest.csv"


def prepare(wanted: Path) -> Path:
    """Make the folder, or where it holds an earlier demo, which stays as it is, one beside it.

    Returns:
        The folder that was made: ``wanted``, or ``wanted-2``, ``wanted-3`` ...

    Raises:
        WrongUse: It holds something that is not a demo's, or cannot be written.
    """
    try:
        folder = wanted
        if _holds_something(wanted):
            _check_ours(wanted)
            beside = (wanted.with_name(f"{wanted.name}-{number}") for number in itertools.count(2))
            folder = next(each for each in beside if not _holds_something(each))
        (folder / DOCUMENTS).mkdir(parents=True, exist_ok=True)
        with (folder / RESULTS).open("xb"):  # together with the documents this marks the folder as a demo's
            pass
    except OSError as error:
        raise WrongUse(f"{error.filename or wanted} cannot be used: {error.strerror}") from None
    return folder


def _holds_something(folder: Path) -> bool:
    return folder.is_symlink() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir())))


def _check_ours(folder: Path) -> None:
    """Raise WrongUse unless a demo has made the folder."""
    made = folder / DOCUMENTS
    marked = (folder / RESULTS).is_file() and made.is_dir() and not made.is_symlink()
    if not marked or ((folder / LEDGER).exists() and not _is_of_a_demo(folder)):
        raise WrongUse(
            f"{folder} is not empty and was not made by a demo: nothing was touched. "
            "Choose another folder with --out."
        )


def _is_of_a_demo(folder: Path) -> bool:
    """Whether the ledger is that of a demo, on a simulator of this machine."""
    try:
        with LedgerReader(folder) as ledger:
            meta = ledger.meta
    except LedgerError:
        return False
    path = Path(meta.manifest.path or "")
    return is_loopback(meta.fingerprint.host or "") and path.resolve() == (folder / MANIFEST).resolve()
