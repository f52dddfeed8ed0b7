"""Whether what lies in a batch directory agrees with its ledger, before anything is ordered on its word.

It is looked at without changing anything. What a crash leaves agrees; a ledger that has lost something, or
that is a copy, does not: then rows may have been billed of which it knows nothing, and a person decides.
"""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opus_async.batch.choices import ACCEPT_SECOND_BILL
from opus_async.batch.ledger import mark, results_tail
from opus_async.batch.ledger.location import Home
from opus_async.batch.ledger.results_file import known_end, read_only
from opus_async.batch.ledger.results_tail import Piece, Verdict
from opus_async.batch.rows import RowState
from opus_async.errors import LedgerDoubtful
from opus_async.layout import LEDGER, MARK, RESULTS

UNFINISHED = frozenset(
    {RowState.PLANNED, RowState.ORDERING, RowState.RUNNING, RowState.WAITING, RowState.UNKNOWN}
)
"""States of rows that a copy, too, would go on with."""
_HEAD = "{path} may not know of all that was ordered and billed; nothing was ordered, and nothing changed:"
_TOLD = 10
"""Keys that are named; more are only counted."""
_HAS_IDENTITY = "SELECT 1 FROM sqlite_schema WHERE name = 'identity'"
_OPEN_SESSION = "SELECT ended_at IS NULL FROM sessions ORDER BY id DESC LIMIT 1"
_KEYS = "SELECT key FROM rows WHERE state = ? ORDER BY position, id"


@dataclass(slots=True)
class _Rows:
    """Rows that something concerns: how many, and the first of them."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, key: str) -> None:
        self.count += 1
        if len(self.first) < _TOLD:
            self.first.append(key)

    def __str__(self) -> str:
        more = f" and {self.count - len(self.first):,} more" if self.count > len(self.first) else ""
        return f"{', '.join(map(repr, self.first))}{more}"


@dataclass(slots=True)
class _Lines:
    """What results.jsonl says against the ledger."""

    proved: set[str] = field(default_factory=set)
    shown: _Rows = field(default_factory=_Rows)
    strange: _Rows = field(default_factory=_Rows)
    torn: _Rows = field(default_factory=_Rows)
    garbage: int = 0

    def add(self, piece: Piece) -> None:
        match piece.verdict:
            case Verdict.PROOF:
                self.proved.add(piece.key)
                self.shown.add(piece.key)
            case Verdict.STRANGE:
                self.strange.add(piece.key or "without a key")
            case Verdict.TORN_PROOF:
                self.torn.add(piece.key)
            case Verdict.GARBAGE:
                self.garbage += len(piece.data)

    def problems(self) -> Iterator[str]:
        if self.shown.count:
            yield f"{RESULTS} has lines of rows whose completion the ledger does not know of: {self.shown}"
        if self.strange.count:
            yield f"{RESULTS} has lines that fit no row of the ledger; they name {self.strange}"
        if self.torn.count:
            yield f"{RESULTS} ends within a line of a row that is not under way in the ledger: {self.torn}"
        if self.garbage:
            yield f"{RESULTS} ends in {self.garbage:,} bytes that are no line of a batch"


def identity_of(connection: sqlite3.Connection) -> Mapping[str, Any]:
    """What table ``identity`` holds; nothing in ledgers from before there was one."""
    if connection.execute(_HAS_IDENTITY).fetchone() is None:
        return {}
    found = connection.execute("SELECT value FROM identity").fetchone()
    identity: dict[str, Any] = {} if found is None else json.loads(found[0])
    return identity


def logged(path: Path) -> bool:
    """Whether a ledger has a write-ahead log with something in it."""
    log = path.with_name(f"{LEDGER}-wal")
    return log.exists() and log.stat().st_size > 0


def is_home(directory: Path, identity: Mapping[str, Any]) -> bool:
    """Whether a ledger lies where it was written last; one that does not remember is at home anywhere."""
    home = Home.from_fact(identity.get("home", {}))
    return home is None or (Home.of(directory).same(home) and _is_marked(directory, identity))


def _is_marked(directory: Path, identity: Mapping[str, Any]) -> bool:
    """Whether the mark of this ledger is the very file that was left when it was written last."""
    kept, number = identity.get("mark"), identity.get("number", 0)
    left = mark.read(directory)
    if kept is None or left is None or left.number != number:  # a crash came between the two
        return True
    there = mark.file_of(directory, number)
    return there.inode == kept[0] and (there.born == kept[1] or 0 in {there.born, kept[1]})


def examine(
    directory: Path,
    connection: sqlite3.Connection,
    identity: Mapping[str, Any],
    *,
    had_log: bool,
    orders: Collection[RowState],
) -> None:
    """Compare the ledger with what lies beside it, and refuse one that does not agree.

    Args:
        directory: Of the batch; its lock is held.
        connection: To the ledger; only read.
        identity: What :func:`identity_of` tells.
        had_log: Whether the ledger had a write-ahead log before anybody opened it.
        orders: States of rows that may be ordered from here on.

    Raises:
        LedgerDoubtful: It says what was found, which rows it concerns, and what to do.
    """
    lines = _against(directory, connection, identity)
    problems = [
        *_copied(directory, connection, identity, orders),
        *_behind(directory, connection, identity, had_log=had_log),
        *lines.problems(),
    ]
    if problems:
        planned = _not_begun(connection, lines.proved)
        if planned.count:
            problems.append(f"rows that are not begun, as far as this ledger knows: {planned}")
        raise LedgerDoubtful(
            "\n  - ".join((_HEAD.format(path=directory / LEDGER), *problems)) + _what_to_do(directory),
            problems,
            keys=[*lines.shown.first, *lines.torn.first, *planned.first],
        ).advised(*ACCEPT_SECOND_BILL)


def _what_to_do(directory: Path) -> str:
    again = f"opus-async batch resume {shlex.quote(str(directory))} --accept-second-bill"
    return (
        "\nGo on where the batch was worked on last, or bring back the files that were here then, "
        "all of them together. If they are lost, or if this copy is the one that goes on, look up in the "
        f"platform which rows have run; then '{again}' takes rows as completed whose lines are in {RESULTS}, "
        "and runs those that are not begun: a second bill for each of them that has run"
    )


def _behind(
    directory: Path, connection: sqlite3.Connection, identity: Mapping[str, Any], *, had_log: bool
) -> Iterator[str]:
    """Find signs that the ledger has lost what was recorded last."""
    left = mark.read(directory)
    if left is not None and left.batch and left.batch != identity.get("id", left.batch):
        yield f"{LEDGER} is that of another batch than {MARK}{left.number}: one was put here from elsewhere"
    elif left is not None and left.number > identity.get("number", 0):
        yield (
            f"{LEDGER} is older than what was here: what was recorded after it is missing, because its "
            f"{LEDGER}-wal was removed, or because it was put back from a backup"
        )
    elif left is None and not had_log:
        (is_open,) = connection.execute(_OPEN_SESSION).fetchone() or (False,)
        if is_open:
            yield (
                f"its last session has no end, and there is no {LEDGER}-wal, which holds what that session "
                f"recorded last: it was removed, or left behind when the folder was copied"
            )


def _copied(
    directory: Path,
    connection: sqlite3.Connection,
    identity: Mapping[str, Any],
    orders: Collection[RowState],
) -> Iterator[str]:
    """Find signs that the ledger is a copy, and that rows could be ordered from both places."""
    home = Home.from_fact(identity.get("home", {}))
    if home is None or is_home(directory, identity):
        return
    counted = connection.execute("SELECT state, count(*) FROM rows GROUP BY state").fetchall()
    concerned = [f"{count:,} {state}" for state, count in counted if RowState(state) in orders]
    if not concerned:
        return
    here = Home.of(directory)
    if here.same(home):
        what = (
            f"{MARK}{identity['number']} is not the file that was written here last: a backup was copied "
            f"over this folder, and the batch may have gone on after it was made"
        )
    elif here.same_folder(home):
        what = f"{LEDGER} is not the file that was written here last, but a copy that was put in its place"
    else:
        what = (
            f"this folder is a copy: the batch was worked on in {home.path} on host {home.host}, and may go "
            f"on there, too"
        )
    yield f"{what}. Rows that a run here would take up: {', '.join(concerned)}"


def _against(directory: Path, connection: sqlite3.Connection, identity: Mapping[str, Any]) -> _Lines:
    """What results.jsonl says against the ledger."""
    lines = _Lines()
    path = directory / RESULTS
    with read_only(path) as file:
        if file is not None:
            start = known_end(connection, path, file, identity.get("examined", 0))
            for piece in results_tail.pieces(connection, file, start):
                lines.add(piece)
    return lines


def _not_begun(connection: sqlite3.Connection, proved: Collection[str]) -> _Rows:
    """The rows that would be ordered from here on, but for those whose lines are there."""
    rows = _Rows()
    for (key,) in connection.execute(_KEYS, (RowState.PLANNED,)):
        if key not in proved:
            rows.add(key)
    return rows
