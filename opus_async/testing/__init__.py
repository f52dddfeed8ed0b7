"""For users' test suites: a simulated Opus as a pytest fixture, and polling that does not make tests wait.

The pytest plugin (``opus_async.testing.plugin``, found by pytest by itself) gives the fixtures
``opus_simulator``, ``opus_client`` and ``operativus_simulator``. Loaded in every pytest run of whoever
installed us: nothing heavy is imported before a fixture is asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

__all__ = ["quick_polls"]


@contextlib.contextmanager
def quick_polls(lag: float = 0.02) -> Iterator[None]:
    """Poll jobs far more often than a real platform should be, for as long as a ``with`` block lasts.

    Args:
        lag: The mean delay of noticing the end of a job, in seconds.
    """
    from opus_async.jobs import polling  # noqa: PLC0415 - only for those who call this

    before = polling.MIN_INTERVAL
    polling.MIN_INTERVAL = lag
    try:
        yield
    finally:
        polling.MIN_INTERVAL = before
