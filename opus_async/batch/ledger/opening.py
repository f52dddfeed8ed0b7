"""How a ledger begins, and how it is opened again, whatever became of those who had it before."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opus_async.batch.layout import LEDGER, RESULTS
from opus_async.batch.ledger.deciding import RESOLVED
from opus_async.batch.ledger.disk import make_directory
from opus_async.batch.ledger.filesystem import TypeOf, refuse_network
from opus_async.batch.ledger.lock import DirectoryLock
from opus_async.batch.ledger.results import ResultsFile
from opus_async.batch.ledger.schema import SCHEMA_VERSION
from opus_async.batch.ledger.store import NEW_LEDGER, Store
from opus_async.batch.ledger.trouble import explaining
from opus_async.batch.ledger.upgrading import UPGRADED, upgrade
from opus_async.batch.rows import RowState
from opus_async.errors import LedgerError, ManifestError

log = logging.getLogger("opus_async.batch")

_FACT = "INSERT INTO meta (name, value) VALUES (?, ?)"
_FACTS = "SELECT name, value FROM meta"
_COUNTS = "SELECT state, count(*) FROM rows GROUP BY state"

_LAST_LINE = """
SELECT key, result_offset, result_length, result_digest FROM rows WHERE result_offset + result_length <= ?
ORDER BY result_offset DESC LIMIT 1
"""
_LOST_STATE = f"CASE WHEN remote_id IS NULL OR note = '{RESOLVED}' THEN 'unknown' ELSE 'running' END"
"""That a job is done, as a person said, is no proof that there is one."""
_LOST_HISTORY = f"""
INSERT INTO history (at, row, state, note)
SELECT ?, id, {_LOST_STATE}, ? FROM rows WHERE result_offset + result_length > ?
"""  # noqa: S608 - words of ours
_LOST = f"""
UPDATE rows SET state = {_LOST_STATE}, note = ?,
    ended_at = NULL, result_offset = NULL, result_length = NULL, result_digest = NULL
WHERE result_offset + result_length > ?
"""  # noqa: S608 - likewise
_LOST_NOTE = "its line was missing from results.jsonl"


def create(directory: Path, facts: Mapping[str, Any], *, at: float, file_system: TypeOf) -> Store:
    """Begin a ledger in a directory that has none.

    Args:
        directory: Made if it is not there.
        facts: For table ``meta``.
        at: Now, in seconds since the epoch.
        file_system: Tells the type of the file system of a folder.

    Raises:
        ManifestError: There is one, or results of one.
        LedgerError: The directory cannot be used.
    """
    with explaining(directory):
        make_directory(directory)
    with _locked(directory, file_system) as store:
        with explaining(directory / NEW_LEDGER):
            _refuse_used(directory)
            store.remove_new()
            store.remove_stale()
            store.make()
            store.facts = {"schema_version": SCHEMA_VERSION, "created_at": at, **facts}
            values = [(name, json.dumps(value)) for name, value in store.facts.items()]
            store.connection.executemany(_FACT, values)
        return store


def reopen(directory: Path, *, at: float, file_system: TypeOf) -> Store:
    """Open the ledger of a directory.

    Args:
        directory: Of the batch.
        at: Now, in seconds since the epoch.
        file_system: Tells the type of the file system of a folder.

    Raises:
        LedgerError: There is none, or it cannot be used.
    """
    path = directory / LEDGER
    with explaining(path):
        if not path.is_file():
            raise LedgerError(_nothing_there(directory))
    with _locked(directory, file_system) as store:
        store.open()
        with explaining(path):
            store.facts = _facts(store.connection, path)
            store.connection.execute("BEGIN IMMEDIATE")  # whoever might write lines does so in one, too
            store.facts = upgrade(store.connection, store.facts)
            store.session = store.newest_session()
            store.recollected = _continue_results(store.connection, store.results, at)
            store.connection.execute("COMMIT")
            store.counts = {RowState(state): rows for state, rows in store.connection.execute(_COUNTS)}
        return store


@contextmanager
def _locked(directory: Path, file_system: TypeOf) -> Iterator[Store]:
    """A store that holds the lock; it is closed again if the block fails."""
    refuse_network(directory, file_system(directory))
    with explaining(directory):
        store = Store(directory, DirectoryLock(directory))
    try:
        yield store
    except BaseException:
        store.close()
        raise


def _refuse_used(directory: Path) -> None:
    if (directory / LEDGER).exists():
        raise ManifestError(
            f"{directory} holds a batch already: 'opus-async batch resume {directory}' goes on with it; for "
            f"a new batch give another folder as --out"
        )
    results = directory / RESULTS
    if results.exists() and results.stat().st_size:
        raise ManifestError(
            f"{results} is there, and no ledger that it belongs to: move it away, or give another folder as "
            f"--out"
        )


def _nothing_there(directory: Path) -> str:
    if (directory / NEW_LEDGER).exists():
        return (
            f"The batch in {directory} was never planned to its end, and nothing of it was ordered: plan it "
            f"again with 'opus-async batch run MANIFEST --workflow ID --out {directory}'"
        )
    return (
        f"There is no batch in {directory}: name the folder that was given as --out, or start one with "
        f"'opus-async batch run MANIFEST --workflow ID --out {directory}'"
    )


def _facts(connection: sqlite3.Connection, path: Path) -> dict[str, Any]:
    """What is known of the batch, if this is a ledger that can be gone on with."""
    try:
        found = connection.execute(_FACTS).fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        raise LedgerError(
            f"{path} is a database and no ledger of opus-async: name the folder that was given as --out"
        ) from None
    try:
        facts = {name: json.loads(value) for name, value in found}
        version = int(facts["schema_version"])
    except (KeyError, TypeError, ValueError):
        raise LedgerError(
            f"{path} is no ledger of opus-async, or a damaged one: its table meta makes no sense. Put it "
            f"back from a backup together with {RESULTS}"
        ) from None
    if version != SCHEMA_VERSION and version not in UPGRADED:
        raise LedgerError(_other_version(path, version))
    return facts


def _other_version(path: Path, version: int) -> str:
    newer = version > SCHEMA_VERSION
    advice = "upgrade with 'pip install --upgrade opus-async'" if newer else "finish it with that version"
    return (
        f"{path} was written by {'a newer' if newer else 'an older'} opus-async (schema {version}; this one "
        f"knows {SCHEMA_VERSION}): {advice}"
    )


def _continue_results(connection: sqlite3.Connection, results: ResultsFile, at: float) -> int:
    """Make file and ledger agree: what is longer is cut off, rows whose lines are gone are running again.

    Returns:
        How many rows these are. What their jobs left can be fetched again, without a new bill; a row that is
        completed because a person said so is unknown again.
    """
    size = results.measured()
    results.cut(_end_of_last_line(results, connection.execute(_LAST_LINE, (size,)).fetchone()))
    connection.execute(_LOST_HISTORY, (at, _LOST_NOTE, size))
    lost = connection.execute(_LOST, (_LOST_NOTE, size)).rowcount
    if lost:
        log.warning(
            "%s lacks the lines of %d completed rows (it was shortened, or is not where it was): what their "
            "jobs left is fetched again, without a new bill",
            results.path,
            lost,
        )
    return lost


def _end_of_last_line(results: ResultsFile, last: tuple[str, int, int, str] | None) -> int:
    """Where the lines that were recorded end; a file that was edited must not be gone on with."""
    if last is None:
        return 0
    key, offset, length, digest = last
    if hashlib.sha256(results.read(offset, length)).hexdigest() != digest:
        raise LedgerError(
            f"{results.path} was changed after it was written: the line of row {key!r} is not where it was "
            f"put. Bring the file back as it was; or move it away, and resuming fetches all results again "
            f"(which starts no job, and costs no bill)"
        )
    return offset + length
