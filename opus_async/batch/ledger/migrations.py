"""Brings ledgers of older releases up to this one, in the transaction in which they are opened.

The version is raised with it: a release that knows nothing of jobs that are asked first would order them
again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from opus_async.batch.ledger.schema import BY_PERSON, JOBS, SCHEMA_VERSION
from opus_async.batch.world import world_of

UPGRADED = frozenset({1})
"""Versions that are brought up to this one."""

_NEW_COLUMNS = ("retried_from TEXT", "doubt TEXT")
_WORLD = "INSERT INTO worlds (id, place, facts) VALUES (1, 1, ?)"
_FILL_JOBS = """
INSERT OR IGNORE INTO jobs (remote_id, place, world, row, digest)
SELECT remote_id, 1, 1, id, digest FROM rows WHERE remote_id IS NOT NULL ORDER BY orders DESC, id
"""
"""Two rows could have one job: then it is that of the one that ordered it."""
_DOUBTS = """
UPDATE rows SET doubt = error WHERE state = 'unknown' AND remote_id IS NULL AND orders = 0
    AND session IS NULL AND error_type = 'AmbiguousExecution'
"""
_VERSION = "UPDATE meta SET value = ? WHERE name = 'schema_version'"
_HAS_COLUMN = "SELECT 1 FROM pragma_table_info('rows') WHERE name = ?"
_HAS_SETTLE_AFTER = "SELECT 1 FROM pragma_table_info('sessions') WHERE name = 'settle_after'"
HAS_ALIAS = "SELECT 1 FROM pragma_table_info('jobs') WHERE name = 'alias'"
_DECIDED_BY = f"CASE note WHEN 'resolved by a person' THEN '{BY_PERSON}' END"
"""What told it before there was the column."""
_FILL_DECIDED_BY = f"UPDATE rows SET decided_by = {_DECIDED_BY}"  # noqa: S608 - words of ours
_SINCE_VERSION_2 = {"decided_by": _DECIDED_BY, "location": "NULL"}
"""Columns of rows that the first ledgers of version 2 have not, and what a reader sees in their place."""


def upgrade(connection: sqlite3.Connection, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Bring a ledger up to this version; returns its facts.

    Where its jobs were made is what it says of itself: an older release kept no more.
    """
    if facts["schema_version"] in UPGRADED:
        facts = _from_version_1(connection, facts)
    missing = _missing_columns(connection)
    for column in missing:
        connection.execute(f"ALTER TABLE rows ADD COLUMN {column} TEXT")
    if "decided_by" in missing:
        connection.execute(_FILL_DECIDED_BY)
    if connection.execute(_HAS_SETTLE_AFTER).fetchone() is None:  # nor has a first one of version 2
        connection.execute("ALTER TABLE sessions ADD COLUMN settle_after REAL")
    if connection.execute(HAS_ALIAS).fetchone() is None:
        connection.execute("ALTER TABLE jobs ADD COLUMN alias TEXT")
    return dict(facts)


def show_current_columns(connection: sqlite3.Connection) -> None:
    """Let a connection that only reads see columns of rows that were new after its ledger was made."""
    if missing := _missing_columns(connection):
        columns = ", ".join(f"{_SINCE_VERSION_2[column]} AS {column}" for column in missing)
        connection.execute(f"CREATE TEMP VIEW rows AS SELECT *, {columns} FROM main.rows")  # noqa: S608 - words of ours, no values


def _missing_columns(connection: sqlite3.Connection) -> list[str]:
    return [
        column for column in _SINCE_VERSION_2 if connection.execute(_HAS_COLUMN, (column,)).fetchone() is None
    ]


def _from_version_1(connection: sqlite3.Connection, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    for table in JOBS:
        connection.execute(table)
    for column in _NEW_COLUMNS:
        connection.execute(f"ALTER TABLE rows ADD COLUMN {column}")
    connection.execute(_WORLD, (json.dumps(world_of(facts.get("fingerprint", {}))),))
    connection.execute(_FILL_JOBS)
    connection.execute(_DOUBTS)
    connection.execute(_VERSION, (json.dumps(SCHEMA_VERSION),))
    return {**facts, "schema_version": SCHEMA_VERSION}
