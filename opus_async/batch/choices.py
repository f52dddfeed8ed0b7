"""Words that options of a batch take and its reports give, and what its errors advise. Cheap to import."""

from __future__ import annotations

from typing import Literal, get_args

from opus_async.error_codes import NextAction

Format = Literal["csv", "jsonl", "parquet", "xlsx"]
MOST_PRICE = 1e9
"""Of one job: a larger number is no price of anything."""
EXPORT_FORMATS: tuple[Format, ...] = get_args(Format)
RETRIED = ("failed", "cancelled", "unknown")
"""Kinds of rows that can be run again; what timed out is failed."""
DECISIONS = ("done", "retry", "failed")
"""What a person can say of an unknown row."""
Until = Literal["ended", "ordered"]
UNTIL: tuple[Until, ...] = get_args(Until)
"""How far a session takes the rows that it begins."""

# ``ended_because`` of sessions, in summary.json, beside words for what went wrong:
FINISHED = "finished"
LIMIT_REACHED = "limit_reached"
"""All went well, and rows are left because no more were to be begun."""
ALL_ORDERED = "all_ordered"
"""All went well, and jobs run that were not to be waited for."""
DIED = "died"
"""Why a session ended that could not say so itself."""
RUNNING = "running"
"""Of a session that has not ended."""
_ENDED = {
    LIMIT_REACHED: "as many rows as the limit allowed were begun; a resume goes on with the others",
    ALL_ORDERED: "every row is ordered; a resume collects what the jobs give",
}

# The next step that an error of a batch advises, and how a program takes it; the command line names options.
SKIP_INVALID_ROWS = (NextAction.SKIP_INVALID_ROWS, "skip_invalid=True runs the others")
ACCEPT_SECOND_BILL = (NextAction.ACCEPT_SECOND_BILL, "accept_second_bill=True accepts it")
FORCE = (NextAction.FORCE, "force=True goes on with it")
RESUME_BATCH = (NextAction.RESUME_BATCH, "In Python resume_batch() goes on with it")


def ended_text(ended_because: str) -> str:
    """Why a session ended, as ``summary.json`` has it, in words for people."""
    return _ENDED.get(ended_because, ended_because)
