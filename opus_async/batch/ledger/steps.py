"""What each step of a row changes, as SQL; many steps are one statement.

Python's ``sqlite3`` gives up the interpreter in every single statement and has to win it back from an event loop
that is busy, which waits for nobody: measured, ten statements a row doubled what the ledger costs and let rows
wait for seconds. So the steps of a group come as one JSON array, and triggers on a temporary view tell SQLite
what each kind of step means.
"""

from __future__ import annotations

VIEW = "CREATE TEMP VIEW step AS SELECT NULL AS kind, NULL AS row, NULL AS step"
TAKE = """
INSERT INTO step (kind, row, step)
SELECT json_extract(value, '$.kind'), json_extract(value, '$.row'), value FROM json_each(?)
"""

_PARKED = """
        UPDATE rows SET
            state = 'waiting',
            session = json_extract(NEW.step, '$.session'),
            status = json_extract(NEW.step, '$.status'),
            look_at = json_extract(NEW.step, '$.look_at'),
            waiting_since = coalesce(waiting_since, json_extract(NEW.step, '$.at')),
            timings = json_extract(NEW.step, '$.timings')
        WHERE id = NEW.row;
    """
_MEANINGS = {
    "begun": """
        UPDATE rows SET
            session = json_extract(NEW.step, '$.session'),
            attempts = attempts + (started_at IS NULL),
            started_at = coalesce(started_at, json_extract(NEW.step, '$.at'))
        WHERE id = NEW.row;
    """,
    "created": """
        UPDATE rows SET
            remote_id = json_extract(NEW.step, '$.remote_id'),
            generation = json_extract(NEW.step, '$.generation')
        WHERE id = NEW.row;
    """,
    "ordering": """
        UPDATE rows SET
            state = 'ordering',
            remote_id = json_extract(NEW.step, '$.remote_id'),
            generation = json_extract(NEW.step, '$.generation'),
            orders = orders + 1,
            session = json_extract(NEW.step, '$.session'),
            ordered_at = json_extract(NEW.step, '$.at')
        WHERE id = NEW.row;
    """,
    "running": """
        UPDATE rows SET state = 'running', session = json_extract(NEW.step, '$.session') WHERE id = NEW.row;
    """,
    "goes_on": """
        UPDATE rows SET
            state = 'running',
            session = json_extract(NEW.step, '$.session'),
            status = json_extract(NEW.step, '$.status'),
            waiting_since = NULL
        WHERE id = NEW.row;
    """,
    "seen": """
        UPDATE rows SET status = json_extract(NEW.step, '$.status') WHERE id = NEW.row;
    """,
    "spent": """
        UPDATE rows SET timings = json_extract(NEW.step, '$.timings') WHERE id = NEW.row;
    """,
    "parked": _PARKED,
    "parked_again": _PARKED,
    "ended": """
        UPDATE rows SET
            state = json_extract(NEW.step, '$.state'),
            session = json_extract(NEW.step, '$.session'),
            stage = json_extract(NEW.step, '$.stage'),
            status = CASE WHEN json_extract(NEW.step, '$.state') = 'unknown'
                          THEN coalesce(json_extract(NEW.step, '$.status'), status)
                          ELSE json_extract(NEW.step, '$.status') END,
            remote_id = coalesce(json_extract(NEW.step, '$.remote_id'), remote_id),
            ended_at = json_extract(NEW.step, '$.at'),
            look_at = NULL,
            waiting_since = NULL,
            timings = json_extract(NEW.step, '$.timings'),
            error = json_extract(NEW.step, '$.error'),
            error_type = json_extract(NEW.step, '$.error_type'),
            cause = json_extract(NEW.step, '$.cause'),
            note = NULL,
            result_offset = json_extract(NEW.step, '$.offset'),
            result_length = json_extract(NEW.step, '$.length'),
            result_digest = json_extract(NEW.step, '$.digest')
        WHERE id = NEW.row;
    """,
}
_REMEMBERED = """
    INSERT INTO history (at, session, row, state)
    SELECT json_extract(NEW.step, '$.at'), json_extract(NEW.step, '$.session'), NEW.row, state
    FROM rows WHERE id = NEW.row;
"""
"""For the kinds that change the state."""
_CHANGES_STATE = frozenset({"ordering", "running", "goes_on", "parked", "ended"})


def triggers() -> list[str]:
    """One for each kind of step."""
    return [
        f"CREATE TEMP TRIGGER step_{kind} INSTEAD OF INSERT ON step WHEN NEW.kind = '{kind}' "
        f"BEGIN {meaning} {_REMEMBERED if kind in _CHANGES_STATE else ''} END"
        for kind, meaning in _MEANINGS.items()
    ]
