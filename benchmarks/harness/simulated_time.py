"""Crowds of jobs in simulated time: the tests' own simulation (``tests/support/poll_simulation.py``)."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from benchmarks.harness.machine import ROOT


def poll_simulation() -> Any:
    """The module: it lies beside the tests, whose folders are not packages."""
    support = str(ROOT / "tests" / "support")
    if support not in sys.path:
        sys.path.append(support)
    return importlib.import_module("poll_simulation")
