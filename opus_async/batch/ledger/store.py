"""The open files of a batch directory: the lock, the database, ``results.jsonl``."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from opus_async.batch.ledger import database, mark
from opus_async.batch.ledger.database import SIDE_FILES
from opus_async.batch.ledger.location import Home
from opus_async.batch.ledger.lock import DirectoryLock
from opus_async.batch.ledger.results_file import Agreed, ResultsFile
from opus_async.batch.ledger.sqlite_errors import to_ledger_error, translate_errors
from opus_async.batch.ledger.transitions import ID_CONFLICTS, Step, join, take
from opus_async.batch.rows import RowState
from opus_async.disk import sync_path
from opus_async.errors import LedgerError
from opus_async.layout import LEDGER, MARK, RESULTS

CHANGES = 3000
"""Changed rows after which the write-ahead log is copied back: some 30 MB of it at most, and 5 as a rule."""
_KEEP_IDENTITY = "INSERT OR REPLACE INTO identity (only, value) VALUES (1, ?)"
_NEWEST_SESSION = "SELECT coalesce(max(id), 0) FROM sessions"
_CONFLICTS = f"SELECT row FROM {ID_CONFLICTS}"  # noqa: S608 - a word of ours
_FORGET_CONFLICTS = f"DELETE FROM {ID_CONFLICTS}"  # noqa: S608 - words of ours, no values


class Claim:
    """Whether an order to start may leave; known once its step is written.

    Attributes:
        refused: Whether its id is another job's, and nothing was written.
    """

    __slots__ = ("refused",)

    def __init__(self) -> None:
        self.refused = False


class Store:
    """The open files of a batch directory; made by :mod:`opus_async.batch.ledger.opening`.

    Args:
        directory: Of the batch.
        lock: On it.

    Attributes:
        facts: What table ``meta`` held when it was opened.
        identity: See :data:`opus_async.batch.ledger.schema.IDENTITY`.
        counts: How many rows were in each state then.
        at_home: Whether the ledger lies where it was written before, or is to be at home here from now on.
        accepted: What was found to contradict it then, and gone on with all the same.
        agreed: What it took to make ``results.jsonl`` and the ledger agree when it was opened.
        session: The newest session in the ledger as far as this process knows: its own, or the last one
            before it. Whoever finds another one there has lost the batch to another process.
    """

    def __init__(self, directory: Path, lock: DirectoryLock) -> None:
        self.directory = directory
        self.facts: Mapping[str, Any] = {}
        self.identity: Mapping[str, Any] = {}
        self.counts: Mapping[RowState, int] = {}
        self.at_home = True
        self.accepted: Sequence[str] = ()
        self.agreed = Agreed()
        self.session = 0
        self._lock = lock
        self._connection: sqlite3.Connection | None = None
        self._results: ResultsFile | None = None
        self._steps: list[Step] = []
        self._claims: dict[int, Claim] = {}
        """Of the rows among these steps that are about to be ordered."""
        self._marked = False
        self._copied_back = 0
        """Rows that had been changed when the log was last copied back."""
        self._long = False
        """Whether groups are no transactions of their own, but part of a long one."""

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection to the database; steps taken so far are written first."""
        assert self._connection is not None  # noqa: S101 - whoever makes a store connects it
        if self._steps:
            self._write_steps(self._connection)
        return self._connection

    def _write_steps(self, connection: sqlite3.Connection) -> None:
        steps, begun = join(self._steps)
        self._steps = []
        take(steps, connection)
        if not self._claims:
            return
        claims, self._claims = self._claims, {}
        refused = [row for (row,) in connection.execute(_CONFLICTS)]
        if refused:
            connection.execute(_FORGET_CONFLICTS)
            for row in refused:
                claims[row].refused = True
            take([begun[row] for row in refused if row in begun], connection)

    @property
    def results(self) -> ResultsFile:
        """The lines of completed rows."""
        assert self._results is not None  # noqa: S101 - nothing ends in a ledger that is not published
        return self._results

    @property
    def published(self) -> bool:
        """Whether what is committed survives."""
        return self._results is not None

    def create(self) -> None:
        """Connect to a new database; see :data:`database.NEW_LEDGER`."""
        self._connection = database.create(self.directory / database.NEW_LEDGER)

    def open(self) -> None:
        """Connect to the ledger, and open or make its results."""
        with translate_errors(self.directory / LEDGER):
            self._connection = database.open_for_writing(self.directory / LEDGER)
        with translate_errors(self.directory / RESULTS):
            self._results = ResultsFile(self.directory / RESULTS)

    def publish(self) -> None:
        """Bring a new ledger to the disk and give it its name: from here on it can be resumed."""
        new, path = self.directory / database.NEW_LEDGER, self.directory / LEDGER
        with translate_errors(path):
            database.finish(self.connection, new)
            sync_path(new)
            new.rename(path)
            sync_path(self.directory)
        self.open()
        self.settle()
        self.leave_mark()

    def step(self, step: Step, claim: Claim | None = None) -> None:
        """Add a step to the group; it is written, with others, before anything else is done.

        Args:
            step: What.
            claim: Of a row that is about to be ordered; settled when the group is written.
        """
        self._steps.append(step)
        if claim is not None:
            self._claims[step[1]] = claim

    def begin(self) -> None:
        """Begin a group of changes.

        Raises:
            LedgerError: Another process works on the batch by now.
        """
        if self._long:
            return
        self.connection.execute("BEGIN IMMEDIATE")
        self.check_session()

    def commit(self) -> None:
        """Bring the lines of the group, then its changes, to the disk."""
        connection = self.connection
        self._lock.name_holder()
        if self._long:
            return
        if self._results is not None:
            with translate_errors(self._results.path):
                self._results.write()
        connection.execute("COMMIT")
        if self._results is not None and connection.total_changes - self._copied_back > CHANGES:
            self._copy_back()

    def settle(self) -> None:
        """Make this folder the home of the ledger, from the next mark on."""
        self.identity = {**self.identity, "home": Home.of(self.directory).as_fact()}

    def leave_mark(self) -> None:
        """Write a mark: in the ledger, and then beside it, how far it has come; see :mod:`.mark`."""
        batch = self.identity.get("id") or secrets.token_hex(16)
        number = self.identity.get("number", 0) + 1
        with translate_errors(self.directory / f"{MARK}{number}"):
            file = mark.prepare(self.directory, batch)
        self.identity = {**self.identity, "id": batch, "number": number}
        if self.at_home:
            self.identity = {**self.identity, "mark": list(file)}
        self.connection.execute("BEGIN IMMEDIATE")
        self.check_session()
        self.connection.execute(_KEEP_IDENTITY, (json.dumps(self.identity),))
        self.connection.execute("COMMIT")
        with translate_errors(self.directory / f"{MARK}{number}"):
            mark.publish(self.directory, number)
        self._marked = True

    def _copy_back(self) -> None:
        """Copy the write-ahead log into the database, as far as nobody reads it."""
        self._copied_back = self.connection.total_changes
        self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        self.leave_mark()

    def begin_long(self) -> None:
        """Begin a transaction that spans all groups until it is committed or rolled back."""
        self.begin()
        self._long = True

    def commit_long(self) -> None:
        """Commit the long transaction: all of it reaches the disk, or nothing."""
        self._long = False
        self.commit()

    def rollback_long(self) -> None:
        """Roll the long transaction back, if one is open."""
        if self._long:
            self._steps.clear()
            self._claims.clear()
            self.connection.execute("ROLLBACK")
            self._long = False

    def newest_session(self) -> int:
        """The number of the session that was begun last; 0 if there was none."""
        (newest,) = self.connection.execute(_NEWEST_SESSION).fetchone()
        return int(newest)

    def check_session(self) -> None:
        """Make sure, in a transaction, that no other process has begun to work on the batch meanwhile.

        The lock keeps others out; this is for where it could not: on a file system whose locks do not hold,
        or in a copy of the folder that was put in its place.

        Raises:
            LedgerError: One has.
        """
        newest = self.newest_session()
        if newest != self.session:
            raise LedgerError(
                f"Another process has taken over the batch in {self.directory} (its session {newest}): this "
                f"one orders nothing more, and what it has ordered is with the other one"
            )

    def fail(self, error: Exception) -> LedgerError:
        """Roll back after an error; returns it as a LedgerError.

        Lines that were written stay: whether a commit that failed has reached the disk is only known when the
        ledger is opened again, and then they are recorded, or cut off.
        """
        if self._connection is not None:
            with suppress(sqlite3.Error):  # there may be no transaction, or no connection any more
                self._connection.execute("ROLLBACK")
        return to_ledger_error(error, self.directory / LEDGER)

    def close(self) -> None:
        """Close everything; what was never published is removed."""
        try:
            if self._connection is not None:
                if self._marked:
                    with suppress(sqlite3.Error, LedgerError):  # then the last mark is good still
                        self.rollback_long()
                        self.leave_mark()
                with suppress(sqlite3.Error):  # what was committed is safe without a last checkpoint
                    self._connection.close()
            if self._results is not None:
                self._results.close()
            self.remove_new()
        finally:
            self._lock.release()

    def remove_new(self) -> None:
        """Remove what is left of a ledger that was never published."""
        self._remove(f"{database.NEW_LEDGER}{suffix}" for suffix in ("", *SIDE_FILES))

    def remove_stale(self) -> None:
        """Remove what is left beside a ledger that is gone: SQLite would read it into the next one."""
        self._remove(f"{LEDGER}{suffix}" for suffix in SIDE_FILES)

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            (self.directory / name).unlink(missing_ok=True)
