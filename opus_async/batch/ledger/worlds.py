"""Worlds in the ledger: where jobs were made, and which of them are unknown where this process works.

What a world is, :mod:`opus_async.batch.world` tells.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opus_async.batch.ledger.store import Store
from opus_async.batch.ledger.transitions import SessionWorld, When
from opus_async.batch.rows import RowState
from opus_async.batch.world import Job, Strangers, is_same, place_of

_WORLDS = "SELECT id, place, facts FROM worlds ORDER BY id"
_NEW = "INSERT INTO worlds (id, place, facts) VALUES (?, ?, ?)"
_JOBS = "rows JOIN jobs ON jobs.remote_id = rows.remote_id AND jobs.row = rows.id AND NOT gave_way"
_OPEN = "(state IN ('ordering', 'running', 'waiting', 'unknown') OR retried_from IS NOT NULL)"
"""Rows whose jobs are to be asked about."""
_ELSEWHERE = f"""
SELECT jobs.place, retried_from IS NOT NULL OR state IN (SELECT value FROM json_each(?)), count(*)
FROM {_JOBS} WHERE jobs.place <> ? AND ({_OPEN} OR (orders > 0 AND state IN (SELECT value FROM json_each(?))))
GROUP BY 1, 2
"""  # noqa: S608 - words of ours
_RETRIED_ELSEWHERE = f"""
SELECT rows.id FROM {_JOBS} WHERE jobs.place <> ? AND retried_from IS NOT NULL AND state = 'planned'
"""  # noqa: S608 - words of ours, no values
_JOBS_OF = f"""
SELECT key, rows.remote_id, jobs.world FROM {_JOBS}
WHERE rows.id IN (SELECT value FROM json_each(?)) ORDER BY position
"""  # noqa: S608 - words of ours, no values
_LEAVE_HISTORY = f"""
INSERT INTO history (at, session, row, state, note)
SELECT ?, ?, id, 'planned', 'a new job takes the place of ' || remote_id
FROM rows WHERE id IN ({_RETRIED_ELSEWHERE})
"""  # noqa: S608 - words of ours, no values
_LEAVE_JOBS = """
UPDATE jobs SET gave_way = 1 WHERE place <> ? AND row IN (SELECT value FROM json_each(?))
"""
_LEAVE = """
UPDATE rows SET remote_id = NULL, generation = NULL, status = NULL, orders_before = orders_before + orders,
    orders = 0, retried_from = NULL WHERE id IN (SELECT value FROM json_each(?))
"""


@dataclass(frozen=True, slots=True)
class Entered:
    """Where a session works.

    Attributes:
        here: Its world and place.
        same: Numbers of the worlds whose shells may be ordered in it.
    """

    here: SessionWorld
    same: frozenset[int]


def enter(world: Mapping[str, Any], store: Store) -> Entered:
    """Record the world that a session works in."""
    here = known_as(world, store)
    same = frozenset(other for other, _, there in _known(store) if is_same(world, there))
    return Entered(here, same)


def known_as(world: Mapping[str, Any], store: Store) -> SessionWorld:
    """The number of a world, which is given one where it is new."""
    known = _known(store)
    facts = dict(world)
    for number, place, other in known:
        if other == facts:
            return SessionWorld(number, place)
    number = len(known) + 1
    place = _place(world, known) or number
    store.connection.execute(_NEW, (number, place, json.dumps(facts)))
    return SessionWorld(number, place)


def strangers(world: Mapping[str, Any], retried: Collection[RowState], store: Store) -> Sequence[Strangers]:
    """Rows whose jobs would have to be asked about at a place that does not know them.

    Args:
        world: Where they would be asked about.
        retried: States whose rows are to be tried again.
        store: The ledger.
    """
    known = _known(store)
    states = json.dumps(sorted(retried))
    found = store.connection.execute(_ELSEWHERE, (states, _place(world, known), states)).fetchall()
    return [Strangers(known[place - 1][2], rows, bool(again)) for place, again, rows in found]


def leave_strangers(world: Mapping[str, Any], when: When, store: Store) -> None:
    """Replace jobs that were to be asked first, and cannot be asked in this world, by new ones."""
    place = _place(world, _known(store))
    store.connection.execute(_LEAVE_HISTORY, (*when, place))
    rows = [row for (row,) in store.connection.execute(_RETRIED_ELSEWHERE, (place,))]
    store.connection.execute(_LEAVE, (json.dumps(rows),))
    store.connection.execute(_LEAVE_JOBS, (place, json.dumps(rows)))


def jobs_of(rows: Sequence[int], store: Store) -> list[Job]:
    """The jobs of those of these rows that have one, in manifest order."""
    worlds = {number: facts for number, _, facts in _known(store)}
    found = store.connection.execute(_JOBS_OF, (json.dumps(list(rows)),)).fetchall()
    return [Job(key, remote_id, worlds[world]) for key, remote_id, world in found]


def _known(store: Store) -> list[tuple[int, int, dict[str, Any]]]:
    found = store.connection.execute(_WORLDS).fetchall()
    return [(number, place, json.loads(facts)) for number, place, facts in found]


def _place(world: Mapping[str, Any], known: Sequence[tuple[int, int, Mapping[str, Any]]]) -> int:
    """The number of the place of a world; 0 for one where no job was made."""
    return next((place for _, place, other in known if place_of(other) == place_of(world)), 0)
