"""Words that options of a batch take and its reports give. Imports nothing of ours."""

from __future__ import annotations

from typing import Literal, get_args

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
