"""``--prometheus``: metrics of a run, served while it lasts."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opus_async.cli.errors import WrongUse

if TYPE_CHECKING:
    from opus_async.events import Listener

_MOST = 65_535


@dataclass(frozen=True, kw_only=True)
class MetricsOptions:
    """Where metrics are served.

    Attributes:
        prometheus: The port; 0 for a free one, None for none.
    """

    prometheus: int | None


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the argument."""
    parser.add_argument(
        "--prometheus",
        type=_port,
        metavar="PORT",
        help="serve metrics for Prometheus on http://127.0.0.1:PORT/metrics while it runs (0: a free port)",
    )


@contextmanager
def listeners(options: MetricsOptions, say: Callable[[str], None]) -> Iterator[list[Listener]]:
    """The listeners that keep metrics, served for as long as the block lasts.

    Args:
        options: Of the command.
        say: Told where they are.

    Raises:
        ConfigurationError: The extra is not installed.
        WrongUse: The port cannot be used.
    """
    if options.prometheus is None:
        yield []
        return
    from opus_async.contrib.prometheus import serving

    with ExitStack() as stack:
        try:
            metrics = stack.enter_context(serving(options.prometheus))
        except OSError as error:
            raise WrongUse(f"--prometheus {options.prometheus}: {error.strerror or error}") from None
        say(f"metrics: {metrics.url}")
        yield [metrics.listener]


def _port(text: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() else -1
    if not 0 <= number <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to {_MOST}")
    return number
