"""Creates a ledger, or opens one again after whatever end of the processes that had it before."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from opus_async.batch.choices import RESUME_BATCH
from opus_async.batch.ledger import database, mark
from opus_async.batch.ledger.evidence import UNFINISHED, examine, identity_of, is_home, logged
from opus_async.batch.ledger.filesystem import TypeOf, refuse_network
from opus_async.batch.ledger.lock import DirectoryLock
from opus_async.batch.ledger.migrations import UPGRADED, upgrade
from opus_async.batch.ledger.reconciling import agree
from opus_async.batch.ledger.schema import SCHEMA_VERSION
from opus_async.batch.ledger.sqlite_errors import translate_errors
from opus_async.batch.ledger.store import Store
from opus_async.batch.rows import RowState
from opus_async.disk import make_directory
from opus_async.errors import LedgerDoubtful, LedgerError, ManifestError
from opus_async.layout import LEDGER, RESULTS

_FACT = "INSERT INTO meta (name, value) VALUES (?, ?)"
_FACTS = "SELECT name, value FROM meta"
_COUNTS = "SELECT state, count(*) FROM rows GROUP BY state"


def create(directory: Path, facts: Mapping[str, Any], *, at: float, file_system: TypeOf) -> Store:
    """Create a ledger in a directory that has none.

    Args:
        directory: Made if it is not there.
        facts: For table ``meta``.
        at: Now, in seconds since the epoch.
        file_system: Tells the type of the file system of a folder.

    Raises:
        ManifestError: There is one, or results of one.
        LedgerError: The directory cannot be used.
    """
    with translate_errors(directory):
        make_directory(directory)
    with _locked(directory, file_system) as store:
        with translate_errors(directory / database.NEW_LEDGER):
            _refuse_used(directory)
            store.remove_new()
            store.remove_stale()
            store.create()
            store.facts = {"schema_version": SCHEMA_VERSION, "created_at": at, **facts}
            values = [(name, json.dumps(value)) for name, value in store.facts.items()]
            store.connection.executemany(_FACT, values)
        return store


def reopen(
    directory: Path,
    *,
    at: float,
    file_system: TypeOf,
    accept_second_bill: bool = False,
    orders: Collection[RowState] = UNFINISHED,
) -> Store:
    """Open the ledger of a directory.

    Args:
        directory: Of the batch.
        at: Now, in seconds since the epoch.
        file_system: Tells the type of the file system of a folder.
        accept_second_bill: Whether to go on whatever lies beside the ledger: from then on it is at home here.
        orders: States of rows that may be ordered from here on: a copy must not order them, too.

    Raises:
        LedgerDoubtful: What lies beside it contradicts it; nothing was changed.
        LedgerError: There is none, or it cannot be used.
    """
    path = directory / LEDGER
    with translate_errors(path):
        if not path.is_file():
            raise database.missing(directory)
    with _locked(directory, file_system) as store:
        with translate_errors(path):
            database.refuse_links(path, written=True)
            had_log = logged(path)
            database.recover(path)
            with closing(database.open_for_reading(path)) as connection:
                _facts(connection, path)  # of another version nothing else is to be said
                identity = identity_of(connection)
                try:
                    examine(directory, connection, identity, had_log=had_log, orders=orders)
                except LedgerDoubtful as doubts:
                    if not (accept_second_bill and doubts.problems):
                        raise
                    store.accepted = doubts.problems
        store.open()
        with translate_errors(path):
            store.facts = _facts(store.connection, path)
            store.identity = _continued(directory, identity)
            store.at_home = accept_second_bill or is_home(directory, identity)
            if store.at_home:
                store.settle()
            store.connection.execute("BEGIN IMMEDIATE")  # whoever might write lines does so in one, too
            store.facts = upgrade(store.connection, store.facts)
            store.session = store.newest_session()
            store.agreed = agree(store, at)
            store.connection.execute("COMMIT")
            store.leave_mark()
            store.counts = {RowState(state): rows for state, rows in store.connection.execute(_COUNTS)}
        return store


def _continued(directory: Path, identity: Mapping[str, Any]) -> Mapping[str, Any]:
    """The identity with a number that no mark goes beyond."""
    left = mark.read(directory)
    return identity if left is None else {**identity, "number": max(identity.get("number", 0), left.number)}


@contextmanager
def _locked(directory: Path, file_system: TypeOf) -> Iterator[Store]:
    """A store that holds the lock; it is closed again if the block fails."""
    refuse_network(directory, file_system(directory))
    with translate_errors(directory):
        store = Store(directory, DirectoryLock(directory))
    try:
        yield store
    except BaseException:
        store.close()
        raise


def refuse_batch(directory: Path) -> None:
    """Raise ManifestError where a directory holds a batch already."""
    if os.path.lexists(directory / LEDGER):
        raise ManifestError(
            f"{directory} holds a batch already: 'opus-async batch resume {directory}' goes on with it. For "
            "a new one name another directory."
        ).advised(*RESUME_BATCH)


def _refuse_used(directory: Path) -> None:
    refuse_batch(directory)
    marked = [path for _, path in mark.marks(directory)]
    for left in (*(directory / name for name in (RESULTS, f"{LEDGER}-wal", f"{LEDGER}-journal")), *marked):
        if os.path.lexists(left) and (left.is_symlink() or not left.is_file() or left.stat().st_size):
            raise ManifestError(
                f"{left} is there, and no ledger that it belongs to: rows of a batch that was here may have "
                f"been billed. Bring its {LEDGER} back; or move {left.name} away, or name another "
                "directory"
            )


def _facts(connection: sqlite3.Connection, path: Path) -> dict[str, Any]:
    """What is known of the batch, if this is a ledger that can be gone on with."""
    try:
        found = connection.execute(_FACTS).fetchall()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        raise LedgerError(
            f"{path} is a database and no ledger of opus-async: name the directory of a batch"
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
