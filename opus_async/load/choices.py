"""Defaults of load tests, for help texts too: nothing is imported here."""

from __future__ import annotations

MAX_JOBS = 1000
"""Jobs that a load test makes at most unless it is told otherwise: each costs money."""
MAX_SEARCH_JOBS = 20_000
"""The same for all steps of a search."""
MAX_IN_FLIGHT = 10_000
DRAIN_SECONDS = 60.0
START_RATE = 1.0
"""Jobs a second of the first step of a search."""
WINDOW = 30.0
"""Seconds that a step of a search is measured."""
