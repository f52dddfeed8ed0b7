"""``opus-async load``: load tests whose unit is the job, at a terminal. README.md names the modules."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import cast

from opus_async.cli.parser import Command, add_everywhere

VERBS = {
    "run": "run a load, measure where the time goes, and judge it",
    "find-max": "find the highest rate at which your objectives hold",
    "compare": "compare two runs: better, worse, or unchanged within noise",
    "report": "write the report of a run anew, and print its summary",
}
"""Verb -> what it does, in the order of the help."""
_MODULES = {"run": "run_command", "find-max": "find_max", "compare": "compare", "report": "report"}

_EPILOG = """\
The unit is the job: from the moment it was meant to start until its outcome is here. A verdict says whether
the objectives were met, or that the figures are worth nothing: INVALID, when this machine was the bottleneck.

first steps:
  opus-async load run --workflow ID --inputs invoices.csv --rate 2/s --duration 5m \\
      --slo 'e2e.p95 < 90s' --slo 'error_rate < 1%' --out load-1
  opus-async load find-max --workflow ID --inputs invoices.csv --slo 'e2e.p95 < 90s' --out max-1
  opus-async load compare load-1 load-2 --fail-if 'e2e.p95 > 10%'

exit codes:
  0    PASS
  2    refused: wrong use, a cap, the production host, nobody to confirm; nothing was sent
  4    key, permission or configuration, or the host is out of reach
  6    FAIL: an objective was not met
  7    INVALID: the figures are not those of the platform
  130  interrupted
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs and their arguments to the parser of ``load``."""
    parser.epilog = _EPILOG
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for word, summary in VERBS.items():
        verb = verbs.add_parser(word, help=summary, description=summary[0].upper() + summary[1:] + ".")
        module = cast("Command", import_module(f"{__package__}.{_MODULES[word]}"))
        module.configure(verb)
        add_everywhere(verb, shown=False)
        verb.set_defaults(module=module)
