"""Connects a command to a platform."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from opus_async.cli.options import ConnectionOptions
    from opus_async.cli.target import PlatformEntry

ClientT = TypeVar("ClientT")


def add_version(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Add ``--version`` and its synonym ``--version-number``, which the API knows too."""
    parser.add_argument(
        "--version", "--version-number", dest="version_number", type=int, metavar="N", help=meaning
    )


def id_type(read: Callable[[str], str]) -> Callable[[str], str]:
    """A type of arguments for argparse, of a function that raises InvalidInputs."""

    def id_in(text: str) -> str:
        from opus_async.errors import InvalidInputs

        try:
            return read(text)
        except InvalidInputs as error:
            raise argparse.ArgumentTypeError("; ".join(error.problems)) from None

    return id_in


def connect(entry: PlatformEntry[ClientT], options: ConnectionOptions, **settings: Any) -> ClientT:
    """Make a client from the arguments, the environment and ``.env``.

    Its warnings are printed on stderr, a line each. The limit of open files is raised as far as it may be.

    Args:
        entry: Of the platform.
        options: Of the command.
        settings: Further arguments of the client.

    Raises:
        ConfigurationError: A setting cannot be used.
        WrongUse: The file of ``--env-file`` cannot be read.
    """
    from opus_async.config import Limits
    from opus_async.transport import open_files

    loaded = options.env_file.load(entry)
    if loaded.unread:
        print(
            f"opus-async: {loaded.path} cannot be read ({loaded.unread}); going on without it",
            file=sys.stderr,
        )
    open_files.raise_to(open_files.needed(settings.get("limits") or Limits()))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        client = entry.client(options.api, **settings)
    for warning in found:
        print(f"opus-async: warning: {warning.message}", file=sys.stderr)
    return client
