"""Detects the use of a client in a forked child, which has its memory but none of its threads and loops.

The child's copy of a connection is the parent's connection: a byte that it sent, or the end of TLS that it
said, would go out in the middle of what the parent sends.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from opus_async.errors import ConfigurationError


class Maker:
    """The process that made an object, to be checked before the object is used.

    Attributes:
        process: Its process id.
    """

    def __init__(self) -> None:
        self.process = os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether this is that process, and no fork of it."""
        return os.getpid() == self.process

    def check(self) -> None:
        """Raise an error in a fork of that process.

        Raises:
            ConfigurationError: It says what to do.
        """
        if os.getpid() != self.process:
            raise ConfigurationError(
                f"This client was made by process {self.process}, and this process ({os.getpid()}) is a fork "
                f"of that one: connections and event loop are the parent's. Make a client here, after the "
                f"fork; nothing was sent"
            )


def in_child(call: Callable[[], None]) -> None:
    """Register a function to be called in every forked child, where this system forks."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)
