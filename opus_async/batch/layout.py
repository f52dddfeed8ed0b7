"""What lies in a batch directory, by name: a promise to users' scripts."""

from __future__ import annotations

LEDGER = "ledger.db"
LOCK = ".lock"
"""Names who works on the batch; what keeps others out is a lock of the directory itself."""
MARK = ".batch"
"""Says which batch lives here, and how far its ledger has come: an older ledger is known by it."""
RESULTS = "results.jsonl"
FAILURES = "failures.jsonl"
REPORT = "report.html"
SUMMARY = "summary.json"
