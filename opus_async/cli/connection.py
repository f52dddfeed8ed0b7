"""The client and the event loop of one command."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from opus_async.cli import environment

if TYPE_CHECKING:
    from opus_async.opus.client import OpusClient

ValueT = TypeVar("ValueT")


def connect(**settings: Any) -> OpusClient:
    """A client as the environment and ``.env`` say; what it warns of is said in one line each on stderr."""
    from opus_async.opus.client import OpusClient

    environment.load()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        client = OpusClient(**settings)
    for warning in found:
        print(f"opus-async: warning: {warning.message}", file=sys.stderr)
    return client


def drive(main: Coroutine[Any, Any, ValueT]) -> ValueT:
    """Run a command's coroutine; Ctrl-C cancels it, and comes out as KeyboardInterrupt when it has ended."""
    import asyncio

    return asyncio.run(main)
