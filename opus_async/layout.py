"""Names of the files in the directory of a run; a contract with users' scripts."""

from __future__ import annotations

LEDGER = "ledger.db"
LOCK = ".lock"
"""Names the process at work; the lock itself is one of the directory."""
MARK = ".batch-"
"""The mark: this and a number, how far the ledger has come, so that an older copy of a ledger is recognised.
The file holds the run's id."""
RESULTS = "results.jsonl"
FAILURES = "failures.jsonl"
REPORT = "report.html"
SUMMARY = "summary.json"
SAMPLES = "samples.jsonl"
"""The jobs of a load test, one a line."""
TIMELINE = "timeline.jsonl"
"""A load test over time, one line a second."""
LATENCY = "latency.hgrm"
"""The percentiles of a load test's latency, as plotters of HdrHistogram read them."""
OUTPUTS = "outputs"
"""The folder of downloaded result files: one folder for each row in it."""
