"""What lies in a batch directory, by name: a promise to users' scripts."""

from __future__ import annotations

LEDGER = "ledger.db"
LOCK = ".lock"
"""Names who works on the batch; what keeps others out is a lock of the directory itself."""
MARK = ".batch-"
"""Before a number: how far the ledger has come. An older ledger is known by it; inside is the batch's id."""
RESULTS = "results.jsonl"
FAILURES = "failures.jsonl"
REPORT = "report.html"
SUMMARY = "summary.json"
