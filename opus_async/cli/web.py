"""``--web``: the report as a live page, served on this machine while a command runs."""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from opus_async.cli import argument_types
from opus_async.cli.errors import WrongUse

if TYPE_CHECKING:
    from opus_async.live_page.source import Source

SourceT = TypeVar("SourceT", bound="Source")
_ANY = 0


@dataclass(frozen=True, kw_only=True)
class WebOptions:
    """Where the live page is served.

    Attributes:
        web: The port; 0 for a free one, None for no page.
    """

    web: int | None


def configure(parser: argparse._ActionsContainer, until: str = "while it runs") -> None:
    """Add the argument; ``until`` says how long the page is there."""
    parser.add_argument(
        "--web",
        nargs="?",
        const=_ANY,
        type=_port,
        metavar="PORT",
        help=f"serve the report as a live page on 127.0.0.1, {until}; its address is told on stderr "
        "(PORT: a free one)",
    )


@asynccontextmanager
async def live_page(
    options: WebOptions, source: Callable[[], SourceT], say: Callable[[str], None]
) -> AsyncIterator[SourceT | None]:
    """Serve the live page for as long as the block lasts, if that was asked for; gives what it shows.

    Args:
        options: Of the command.
        source: Makes what the page shows; called only where there is a page.
        say: Told where it is.

    Raises:
        ConfigurationError: The extra that makes it is not installed.
        WrongUse: The port cannot be used.
    """
    if options.web is None:
        yield None
        return
    from opus_async.reporting.extra import needed_for

    with needed_for("--web"):
        shown = source()
    from opus_async.live_page.server import serving

    async with AsyncExitStack() as stack:
        try:
            url = await stack.enter_async_context(serving(shown, port=options.web))
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise WrongUse(f"--web {options.web}: {why}; nothing was sent") from None
        say(f"live page: {url}")
        yield shown


def _port(text: str) -> int:
    try:
        return argument_types.port(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(
            f"{error}; --web without one goes last, or before an option"
        ) from None
