"""Load tests whose unit is the job. Knows ``platform.py``, and no platform.

What each module is for is in ``README.md``. The names below are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opus_async._lazy import lazy_names

if TYPE_CHECKING:
    from opus_async.load.api import LoadResult, run_load
    from opus_async.load.client import LIMITS, Client
    from opus_async.load.comparing import ComparisonResult, compare
    from opus_async.load.observer import LoadObserver
    from opus_async.load.rate_search import SearchResult, find_max
    from opus_async.load.verdict import Verdict

_HOMES = {
    "opus_async.load.api": ("LoadResult", "run_load"),
    "opus_async.load.client": ("LIMITS", "Client"),
    "opus_async.load.comparing": ("ComparisonResult", "compare"),
    "opus_async.load.rate_search": ("SearchResult", "find_max"),
    "opus_async.load.observer": ("LoadObserver",),
    "opus_async.load.verdict": ("Verdict",),
}

__all__ = [
    "LIMITS",
    "Client",
    "ComparisonResult",
    "LoadObserver",
    "LoadResult",
    "SearchResult",
    "Verdict",
    "compare",
    "find_max",
    "run_load",
]


if not TYPE_CHECKING:  # a type checker must see that a misspelt name is none
    __getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
