"""Words that options of a batch take and its reports give, and what its errors advise. Cheap to import."""

from __future__ import annotations

from typing import Literal, get_args

from opus_async.error_codes import NextAction

Format = Literal["csv", "jsonl", "parquet", "xlsx"]
EXPORT_FORMATS: tuple[Format, ...] = get_args(Format)
RETRIED = ("failed", "cancelled", "unknown")
"""Kinds of rows that can be run again; what timed out is failed."""
DECISIONS = ("done", "retry", "failed")
"""What a person can say of an unknown row."""
DIED = "died"
"""Why a session ended that could not say so itself."""
RUNNING = "running"
"""Of a session that has not ended."""

# The next step that an error of a batch advises, and how a program takes it; the command line names options.
SKIP_INVALID_ROWS = (NextAction.SKIP_INVALID_ROWS, "skip_invalid=True runs the others")
ACCEPT_SECOND_BILL = (NextAction.ACCEPT_SECOND_BILL, "accept_second_bill=True accepts it")
FORCE = (NextAction.FORCE, "force=True goes on with it")
RESUME_BATCH = (NextAction.RESUME_BATCH, "In Python resume_batch() goes on with it")
