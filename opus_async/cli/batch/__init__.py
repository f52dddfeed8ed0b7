"""``opus-async batch``: durable batches of many rows, at a terminal. README.md names the modules."""

from __future__ import annotations

import argparse

from opus_async.cli.parser import add_command

VERBS = {
    "run": "run a job for every row of a manifest; whatever ends it, resume goes on",
    "resume": "go on with a batch, from whatever state and after whatever death",
    "retry": "try rows that failed once more, each as a new job unless the old one ran after all",
    "resolve": "decide about rows whose outcome nobody can tell",
    "status": "see how a batch stands, also while it runs",
    "export": "write inputs and outputs of all rows side by side",
    "validate": "check a manifest against the workflow and the disk, before a cent is spent",
    "report": "write the reports of a batch anew",
}
"""Verb -> what it does, in the order of the help."""
_MODULES = {"run": "run_command"}
"""Verb -> its module, where that has another name."""

_EPILOG = """\
A batch directory holds ledger.db (the truth), results.jsonl, failures.jsonl, report.html and summary.json. No
row is lost and none is executed twice, whatever ends the process: kill -9 and power cuts included.

first steps:
  opus-async batch validate invoices.csv --workflow WORKFLOW_ID
  opus-async batch run invoices.csv --workflow WORKFLOW_ID --out invoices-batch
  opus-async batch status invoices-batch       from another terminal
  opus-async batch resume invoices-batch       after Ctrl-C, a crash, an outage
  opus-async batch export invoices-batch --format csv

exit codes:
  0    all rows completed
  1    some failed
  2    wrong use, or a manifest that cannot be run
  3    halted by --halt, an outage or a full disk
  4    key, permission, quota or configuration, or the host is out of reach
  5    rows need a decision
  130  interrupted
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs and their arguments to the parser of ``batch``."""
    parser.epilog = _EPILOG
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for word, summary in VERBS.items():
        add_command(verbs, word, summary, f"{__package__}.{_MODULES.get(word, word)}")
