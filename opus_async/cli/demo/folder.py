"""The demo's output folder: made, or taken over from an earlier demo, never taken from anybody else."""

from __future__ import annotations

from pathlib import Path

from opus_async.cli.demo import documents
from opus_async.cli.errors import WrongUse

RESULTS = "results.jsonl"
DOCUMENTS = "documents"
_LEDGER = "ledger.db"


def prepare(folder: Path) -> None:
    """Make it empty of an earlier demo's files.

    Raises:
        WrongUse: It holds something that is not a demo's, or cannot be written.
    """
    try:
        if folder.is_dir() and any(folder.iterdir()):
            _check_ours(folder)
            documents.remove_ours(folder / DOCUMENTS)
        (folder / DOCUMENTS).mkdir(parents=True, exist_ok=True)
        (folder / RESULTS).write_bytes(b"")  # together with the documents this marks the folder as a demo's
    except OSError as error:
        raise WrongUse(f"{error.filename or folder} cannot be used: {error.strerror}") from None


def _check_ours(folder: Path) -> None:
    marked = (folder / RESULTS).is_file() and (folder / DOCUMENTS).is_dir()
    if not marked or (folder / _LEDGER).exists():  # a batch has results too, and a ledger
        raise WrongUse(
            f"{folder} is not empty and was not made by a demo: nothing was touched. "
            "Choose another folder with --out."
        )
