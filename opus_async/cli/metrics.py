"""``--prometheus``: metrics of a run, served while it lasts."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opus_async.cli import argument_types
from opus_async.cli.errors import WrongUse

if TYPE_CHECKING:
    from opus_async.events import Listener


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
        type=argument_types.port,
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
