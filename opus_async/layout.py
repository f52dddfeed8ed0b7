"""What lies in the directory of a run, by name: a promise to users' scripts."""

from __future__ import annotations

LEDGER = "ledger.db"
LOCK = ".lock"
"""Names who works on it; what keeps others out is a lock of the directory itself."""
MARK = ".batch-"
"""Before a number: how far the ledger has come. An older ledger is known by it; inside is the run's id."""
RESULTS = "results.jsonl"
FAILURES = "failures.jsonl"
REPORT = "report.html"
SUMMARY = "summary.json"
OUTPUTS = "outputs"
"""The folder of downloaded result files: one folder for each row in it."""
