"""``opus-async operativus``: one Operativus server, at a terminal. README.md names the modules."""

from __future__ import annotations

import argparse

from opus_async.cli.parser import add_command
from opus_async.cli.platforms import operativus as entry

VERBS = {
    "workflows": "list the workflows",
    "show": "look at a workflow and its steps",
    "steps": "list the steps of a workflow",
    "run": "run a workflow once and print what it gave as JSON",
    "wait": "go on waiting for a run, by its workflow and session",
    "runs": "list the runs of a workflow, newest first",
    "resume": "answer a run that waits for a person",
    "apply": "make workflows what a YAML or TOML file says",
}
"""Verb -> what it does, in the order of the help."""

_EPILOG = """\
A server is found by OPERATIVUS_BASE_URL (http://localhost:8080 by default), with OPERATIVUS_TOKEN, or with
OPERATIVUS_USERNAME and OPERATIVUS_PASSWORD. Making and changing workflows takes the role ADMIN. Many runs at
once, durable: 'opus-async batch run MANIFEST --platform operativus --workflow ID --out DIR'.

first steps:
  opus-async doctor --platform operativus
  opus-async operativus apply briefing.yaml --dry-run
  opus-async operativus workflows
  opus-async operativus run WORKFLOW_ID --input 'Prices of NVDA and AAPL'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs and their arguments to the parser of ``operativus``."""
    parser.epilog = _EPILOG
    entry.configure(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for word, summary in VERBS.items():
        add_command(verbs, word, summary, f"{__package__}.{word}")
