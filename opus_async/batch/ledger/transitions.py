"""The steps of a row at work, as SQL: what each records and changes. Many steps are one statement.

Rows are changed in three other places, never by a session at work: ``planning`` (the manifest),
``decisions`` (retry, resolve) and ``reconciling`` (what a crash left).

Python's ``sqlite3`` gives up the interpreter in every single statement, and has to win it back from an event
loop that is busy and waits for nobody. Measured: ten statements a row doubled what the ledger cost, and let
rows wait for seconds. So the steps of a group come as one JSON array of arrays, and triggers on a temporary
view tell SQLite what each means.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

from pydantic_core import to_json

from opus_async.batch.ledger.sqlite_text import encode
from opus_async.batch.rows import RowResult
from opus_async.platform import StartDoubt

Step = tuple[Any, ...]
"""``(name, row id, *values)``, as the function of that name below makes it."""


class When(NamedTuple):
    """When something happened, and in which session; None between sessions."""

    at: float
    session: int | None


class ResultLine(NamedTuple):
    """Where a line of ``results.jsonl`` stands: offset and length in bytes, and its digest."""

    offset: int
    length: int
    digest: str


class SessionWorld(NamedTuple):
    """Where a session makes jobs: its world, and the first with the same job ids (of table ``worlds``)."""

    world: int
    place: int


class _Transition(NamedTuple):
    """The values of a step, in order, and the SQL that it runs."""

    fields: tuple[str, ...]
    sql: str
    append_history: bool = True
    """Whether the row's new state is appended to history; a step that writes history itself says no."""


def begun(row: int, when: When) -> Step:
    """The row is started: for the first time, or again after a crash."""
    return ("begun", row, *when)


_BEGUN = _Transition(
    ("at", "session"),
    """
    UPDATE rows SET session = :session, attempts = attempts + (started_at IS NULL),
        started_at = coalesce(started_at, :at)
    WHERE id = :row;
    """,
    append_history=False,
)


_CLAIM = """
    INSERT OR IGNORE INTO jobs (remote_id, place, world, row, digest)
    SELECT :remote_id, :place, :world, id, digest FROM rows WHERE id = :row;
"""
_ID_BELONGS_TO_ROW = """
    EXISTS (SELECT 1 FROM jobs
            WHERE remote_id = :remote_id AND place = :place AND row = :row AND NOT gave_way)
"""
"""Whether the id is the row's, and not one that it, or another row, has or had."""


def job_created(row: int, remote_id: str, generation: str, world: SessionWorld) -> Step:
    """The row has a shell; ignored if its id belongs to another row, or to an earlier job of this one."""
    return ("job_created", row, remote_id, generation, *world)


_JOB_CREATED = _Transition(
    ("remote_id", "generation", "world", "place"),
    f"""
    {_CLAIM}
    UPDATE rows SET remote_id = :remote_id, generation = :generation WHERE id = :row AND {_ID_BELONGS_TO_ROW};
    """,  # noqa: S608 - words of ours
    append_history=False,
)


def start_intent(row: int, when: When, remote_id: str, generation: str, world: SessionWorld) -> Step:
    """The order to start is about to leave; ignored if its id is another job's (:data:`ID_CONFLICTS`).

    Its last value is for :func:`join`: when the row was begun, if this step is to record that, too.
    """
    return ("start_intent", row, *when, remote_id, generation, *world, None)


ID_CONFLICTS = "id_conflicts"
"""A temporary table of rows whose job id is another job's: their order was ignored, and must not leave."""
_START_INTENT = _Transition(
    ("at", "session", "remote_id", "generation", "world", "place", "begun_at"),
    f"""
    {_CLAIM}
    UPDATE rows SET state = 'ordering', session = :session, remote_id = :remote_id, generation = :generation,
        orders = orders + 1, ordered_at = :at,
        attempts = attempts + (started_at IS NULL AND :begun_at IS NOT NULL),
        started_at = coalesce(started_at, :begun_at)
    WHERE id = :row AND {_ID_BELONGS_TO_ROW};
    INSERT INTO history (at, session, row, state) SELECT :at, :session, :row, 'ordering' WHERE changes();
    INSERT OR IGNORE INTO {ID_CONFLICTS} (row) SELECT :row WHERE NOT changes();
    """,  # noqa: S608 - words of ours, no values
    append_history=False,
)


def job_superseded(row: int, when: When) -> Step:
    """The job gave way to a new one, to be made."""
    return ("job_superseded", row, *when)


_JOB_SUPERSEDED = _Transition(
    ("at", "session"),
    """
    INSERT INTO history (at, session, row, state, note)
    SELECT :at, :session, id, 'planned', 'a new job takes the place of ' || remote_id FROM rows
    WHERE id = :row AND remote_id IS NOT NULL;
    UPDATE jobs SET gave_way = 1
    WHERE remote_id = (SELECT remote_id FROM rows WHERE id = :row) AND row = :row;
    UPDATE rows SET state = 'planned', session = :session, remote_id = NULL, generation = NULL, status = NULL,
        orders_before = orders_before + orders, orders = 0, ordered_at = NULL, retried_from = NULL
    WHERE id = :row;
    """,
    append_history=False,
)


def job_identified(row: int, alias: str) -> Step:
    """The platform gave its job a second id."""
    return ("job_identified", row, alias)


_JOB_IDENTIFIED = _Transition(
    ("alias",),
    """
    UPDATE jobs SET alias = :alias
    WHERE remote_id = (SELECT remote_id FROM rows WHERE id = :row) AND row = :row AND NOT gave_way;
    """,
    append_history=False,
)


def second_start_forbidden(row: int, doubt: StartDoubt) -> Step:
    """Something was learned of the start of its job that forbids another order."""
    return ("second_start_forbidden", row, doubt.value)


_SECOND_START_FORBIDDEN = _Transition(
    ("doubt",),
    """
    UPDATE jobs SET start_doubt = CASE start_doubt WHEN 'differed' THEN start_doubt ELSE :doubt END
    WHERE remote_id = (SELECT remote_id FROM rows WHERE id = :row) AND row = :row AND NOT gave_way;
    """,
    append_history=False,
)


def start_accepted(row: int, when: When) -> Step:
    """The platform has accepted the order."""
    return ("start_accepted", row, *when)


_START_ACCEPTED = _Transition(
    ("at", "session"),
    "UPDATE rows SET state = 'running', session = :session, retried_from = NULL WHERE id = :row;",
)


def status_seen(row: int, status: str) -> Step:
    """The platform shows another status, which is stored."""
    return ("status_seen", row, status)


_STATUS_SEEN = _Transition(
    ("status",), "UPDATE rows SET status = :status WHERE id = :row;", append_history=False
)


def parked(
    row: int, when: When, status: str, timings: Mapping[str, float], look_at: float, *, again: bool
) -> Step:
    """The row waits for a person; ``again`` if it did so before this poll."""
    return ("parked_again" if again else "parked", row, *when, status, dict(timings), look_at)


_PARKED = _Transition(
    ("at", "session", "status", "timings", "look_at"),
    """
    UPDATE rows SET state = 'waiting', session = :session, status = :status, timings = :timings,
        look_at = :look_at, waiting_since = coalesce(waiting_since, :at), retried_from = NULL
    WHERE id = :row;
    """,
)


def unparked(row: int, when: When, status: str) -> Step:
    """The row, which waited for a person, runs again."""
    return ("unparked", row, *when, status)


_UNPARKED = _Transition(
    ("at", "session", "status"),
    """
    UPDATE rows SET state = 'running', session = :session, status = :status, waiting_since = NULL
    WHERE id = :row;
    """,
)


def finished(row: int, when: When, ending: RowResult, line: ResultLine | None) -> Step:
    """The row has ended."""
    return (
        "finished",
        row,
        *when,
        ending.state.value,
        ending.stage,
        ending.status,
        ending.remote_id,
        dict(ending.timings),
        ending.error,
        ending.error_type,
        ending.cause,
        *(line or (None, None, None)),
    )


_FINISHED = _Transition(
    (
        *(
            "at",
            "session",
            "state",
            "stage",
            "status",
            "remote_id",
            "timings",
            "error",
            "error_type",
            "cause",
        ),
        *("offset", "length", "digest"),
    ),
    """
    UPDATE rows SET state = :state, session = :session, stage = :stage, timings = :timings, ended_at = :at,
        status = CASE WHEN :state = 'unknown' THEN coalesce(:status, status) ELSE :status END,
        remote_id = coalesce(:remote_id, remote_id), look_at = NULL, waiting_since = NULL, note = NULL,
        decided_by = NULL, retried_from = NULL,
        error = :error, error_type = :error_type, cause = :cause,
        result_offset = :offset, result_length = :length, result_digest = :digest
    WHERE id = :row;
    """,
)

_TRANSITIONS = {
    "begun": _BEGUN,
    "job_created": _JOB_CREATED,
    "start_intent": _START_INTENT,
    "job_superseded": _JOB_SUPERSEDED,
    "second_start_forbidden": _SECOND_START_FORBIDDEN,
    "job_identified": _JOB_IDENTIFIED,
    "start_accepted": _START_ACCEPTED,
    "status_seen": _STATUS_SEEN,
    "parked": _PARKED,
    "parked_again": _PARKED._replace(append_history=False),
    "unparked": _UNPARKED,
    "finished": _FINISHED,
}
_REMEMBER = """
    INSERT INTO history (at, session, row, state)
    SELECT :at, :session, id, state FROM rows WHERE id = :row;
"""
_NAMED = re.compile(r":(\w+)")


class Joined(NamedTuple):
    """The steps of a group, without those that another one records as well.

    Attributes:
        steps: What is left.
        begun: By row, the ``begun`` steps left to a ``start_intent``: to be taken if that is ignored.
    """

    steps: Sequence[Step]
    begun: Mapping[int, Step]


def join(steps: Sequence[Step]) -> Joined:
    """Let ``start_intent`` record what ``begun`` and ``job_created`` before it say of the same row."""
    to_be_ordered = {step[1] for step in steps if step[0] == "start_intent"}
    left: list[Step] = []
    begun: dict[int, Step] = {}
    for step in steps:
        name, row = step[0], step[1]
        if row not in to_be_ordered:
            left.append(step)
        elif name == "start_intent":
            to_be_ordered.remove(row)
            left.append((*step[:-1], begun[row][2]) if row in begun else step)
        elif name == "begun":
            begun[row] = step
        elif name != "job_created":
            left.append(step)
    return Joined(left, begun)


_TAKE_STEPS = """
INSERT INTO step (name, row, step)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), value FROM json_each(?)
"""
_ZERO = rb"\u0000"
"""The character zero, as JSON writes it."""


def take(steps: Sequence[Step], connection: sqlite3.Connection) -> None:
    """Write steps, in order; any text may be in them."""
    connection.execute(_TAKE_STEPS, (_as_json(steps),))


def _as_json(steps: Sequence[Step]) -> str:
    with suppress(ValueError):  # half of a surrogate pair is in a text
        written = to_json(steps)
        if _ZERO not in written:
            return written.decode()
    fit = [[encode(each) if isinstance(each, str) else each for each in step] for step in steps]
    return to_json(fit).decode()


@cache
def temp_schema() -> str:
    """A script of the view that takes steps, and a trigger for each: a connection's own, not the file's."""
    view = "CREATE TEMP VIEW step AS SELECT NULL AS name, NULL AS row, NULL AS step;"
    conflicts = f"CREATE TEMP TABLE {ID_CONFLICTS} (row INTEGER PRIMARY KEY);"
    triggers = [_trigger(name, transition) for name, transition in _TRANSITIONS.items()]
    return "\n".join(["BEGIN;", conflicts, view, *triggers, "COMMIT;"])


def _trigger(name: str, transition: _Transition) -> str:
    places = {
        said: f"json_extract(NEW.step, '$[{place}]')" for place, said in enumerate(transition.fields, 2)
    }
    places["row"] = "NEW.row"
    body = transition.sql + (_REMEMBER if transition.append_history else "")
    body = _NAMED.sub(lambda found: places[found[1]], body)
    trigger = f"CREATE TEMP TRIGGER step_{name} INSTEAD OF INSERT ON step WHEN NEW.name = '{name}'"
    return f"{trigger} BEGIN {body} END;"
