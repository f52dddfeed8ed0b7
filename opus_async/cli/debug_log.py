"""Where the log of this package goes: to stderr with ``--debug``, else nowhere."""

from __future__ import annotations

import logging
import sys


def start_logging(*, debug: bool) -> None:
    """Send the log of this package to stderr, or nowhere: errors are told in sentences."""
    logger = logging.getLogger("opus_async")
    if not debug:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
