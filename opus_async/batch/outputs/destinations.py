"""Checks of where an export may be written: never over a file that belongs to a batch.

What a batch is made of are its ledger, its lock, its results and reports, the result files below ``outputs``,
its manifest, and the files that its rows name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from opus_async.batch.ledger.reader import LedgerReader
from opus_async.errors import ConfigurationError
from opus_async.layout import FAILURES, LEDGER, LOCK, OUTPUTS, REPORT, RESULTS, SUMMARY
from opus_async.remote_urls import RemoteFile, names_no_document, spellings

_NAMES = frozenset({RESULTS, FAILURES, REPORT, SUMMARY})
_BEGINNINGS = (LEDGER, LOCK)
"""Beside the ledger lie its ``-wal`` and ``-shm``, and ``.new`` while it is made."""


def check(destination: Path, kept: Iterable[Path] = ()) -> None:
    """See that a file may be written, in the place of one that may be there.

    Args:
        destination: Its path; of a link what it leads to is looked at, too.
        kept: Files that are to stay as they are, whatever they are called: also by a hard link to them.

    Raises:
        ConfigurationError: It may not.
    """
    if any(map(_is_of_a_batch, _places(destination))):
        raise _refusal(destination, "is among a batch's own files")
    if any(_same(destination, path) for path in kept):
        raise _refusal(destination, "is a file that a batch is made of")


def kept_by(ledger: LedgerReader, destination: Path) -> Iterator[Path]:
    """The files of a batch, of which this could be one by another name."""
    for name in (LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm", LOCK, RESULTS, FAILURES, REPORT, SUMMARY):
        yield ledger.directory / name
    yield Path(ledger.meta.manifest.path or "")
    try:
        there = destination.stat()
    except OSError:
        return
    yield from ledger.inputs_with(there.st_ino)
    yield from (ledger.directory / path for path in ledger.outputs_with(there.st_size))


def check_elsewhere(destination: RemoteFile, ledger: LedgerReader) -> None:
    """See that a document may be written to where a URL says, in the place of one that may be there.

    Raises:
        ConfigurationError: It is the manifest or a document of the batch, or no document can be there.
    """
    if names_no_document(destination.url):
        raise ConfigurationError(f"{destination} names a folder or a bucket: name a file in it")
    names = {RemoteFile(url).kept_name for url in spellings(destination.url)}
    if (ledger.meta.manifest.path or "") in names or any(map(ledger.knows_input, names)):
        raise _refusal(destination, "is a document that a batch is made of")


def is_of_a_batch(folder: Path) -> bool:
    """Whether a folder is a batch directory."""
    return os.path.lexists(folder / LEDGER)


def _places(destination: Path) -> Iterator[Path]:
    """The path without links in its folder, and what it leads to."""
    yield Path(os.path.realpath(destination.parent), destination.name)
    yield Path(os.path.realpath(destination))


def _is_of_a_batch(path: Path) -> bool:
    name = path.name.casefold()  # some disks do not tell cases apart
    ours = name in _NAMES or name.startswith(_BEGINNINGS)
    if ours and is_of_a_batch(path.parent):
        return True
    return any(folder.name.casefold() == OUTPUTS and is_of_a_batch(folder.parent) for folder in path.parents)


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _refusal(destination: Path | RemoteFile, what: str) -> ConfigurationError:
    return ConfigurationError(f"{destination} {what}, and is not replaced: name another file")
