"""Makes ``results.jsonl`` and the ledger agree when a batch is opened, after a crash."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from opus_async.batch.ledger import results_tail
from opus_async.batch.ledger.decisions import RESOLVED
from opus_async.batch.ledger.own_files import open_own
from opus_async.batch.ledger.result_recording import DOWNLOADED
from opus_async.batch.ledger.results_file import Agreed, known_end, read_only
from opus_async.batch.ledger.results_tail import Piece, Verdict
from opus_async.batch.ledger.schema import BY_PERSON
from opus_async.batch.ledger.sqlite_text import dumps, encode
from opus_async.batch.ledger.store import Store
from opus_async.disk import sync
from opus_async.layout import RESULTS

log = logging.getLogger("opus_async.batch")

CUT = f"{RESULTS}.cut"
"""What was cut off from the results although nobody can tell what it was."""

_LOST_STATE = f"CASE WHEN remote_id IS NULL OR decided_by = '{BY_PERSON}' THEN 'unknown' ELSE 'running' END"
"""That a job is done, as a person said, is no proof that there is one."""
_LOST_HISTORY = f"""
INSERT INTO history (at, row, state, note)
SELECT ?, id, {_LOST_STATE}, ? FROM rows WHERE result_offset + result_length > ?
"""  # noqa: S608 - words of ours
_LOST = f"""
UPDATE rows SET state = {_LOST_STATE}, decided_by = NULL, note = ?,
    ended_at = NULL, result_offset = NULL, result_length = NULL, result_digest = NULL
WHERE result_offset + result_length > ?
"""  # noqa: S608 - words of ours
_LOST_NOTE = "its line was missing from results.jsonl"
_TAKEN = """
UPDATE rows SET state = 'completed', status = 'COMPLETED', remote_id = coalesce(?, remote_id), timings = ?,
    ended_at = ?, look_at = NULL, waiting_since = NULL, error = NULL, error_type = NULL, cause = NULL,
    decided_by = ?, note = ?, result_offset = ?, result_length = ?, result_digest = ?
WHERE id = ?
"""
_TAKEN_HISTORY = "INSERT INTO history (at, row, state, note) VALUES (?, ?, 'completed', ?)"
_TAKEN_NOTE = "its line was in results.jsonl"


def agree(store: Store, at: float) -> Agreed:
    """Make both agree, in the transaction that is open. Whoever has doubts has raised them before.

    A line that the ledger does not know completes its row: what it holds may not be had again. Rows whose
    lines are gone are running again, and what their jobs left is fetched again; one that is completed because
    a person said so is unknown again. What is cut off is the beginning of a line.
    """
    connection, results = store.connection, store.results
    size = results.size
    connection.execute(_LOST_HISTORY, (at, _LOST_NOTE, size))
    lost = connection.execute(_LOST, (_LOST_NOTE, size)).rowcount
    if lost:
        log.warning(
            "%s lacks the lines of %d completed rows (it was shortened, or is not where it was): what their "
            "jobs left is fetched again, without a new bill",
            results.path,
            lost,
        )
    proved, others = 0, False
    with read_only(results.path) as file:
        assert file is not None  # noqa: S101 - the store has made it
        end = known_end(connection, results.path, file, store.identity.get("examined", 0))
        for piece in results_tail.pieces(connection, file, end):
            if piece.verdict.completes:
                _take(piece, store, at)
                proved += piece.verdict is Verdict.PROOF
            if piece.verdict.is_whole:
                end = piece.offset + len(piece.data)
                others = others or not piece.verdict.completes
            elif piece.verdict is not Verdict.TORN:
                _keep(piece, store)
    results.cut(end)
    if others:
        store.identity = {**store.identity, "examined": end}
    return Agreed(lost, proved)


def _take(piece: Piece, store: Store, at: float) -> None:
    """Complete the row of a line."""
    line: Mapping[str, Any] = piece.line or {}
    timings = line.get("timings")
    timings = timings if isinstance(timings, dict) else {}
    place = (piece.offset, len(piece.data), hashlib.sha256(piece.data).hexdigest())
    decision = (None, None) if timings else (BY_PERSON, RESOLVED)  # only that leaves a line without them
    values = (encode(line.get("job_id")), dumps(timings), at, *decision, *place, piece.row)
    store.connection.execute(_TAKEN, values)
    store.connection.execute(_TAKEN_HISTORY, (at, piece.row, _TAKEN_NOTE))
    for file in line.get("files") or ():
        with suppress(TypeError, KeyError, ValueError):  # a line of ours has what is asked for
            values = (encode(file["name"]), encode(file["path"]), int(file["size"]), str(file["sha256"]))
            store.connection.execute(DOWNLOADED, (piece.row, *values))


def _keep(piece: Piece, store: Store) -> None:
    """Keep what is about to be cut off, beside the file."""
    descriptor = open_own(store.directory / CUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(descriptor, piece.data + b"\n")
        sync(descriptor)
    finally:
        os.close(descriptor)
    log.warning("%s: %d bytes that are no whole line were put into %s", RESULTS, len(piece.data), CUT)
