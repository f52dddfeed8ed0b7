"""Connects a command to the platform: ``--api``, the client, the event loop."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args

if TYPE_CHECKING:
    from opus_async.cli.options import ConnectionOptions
    from opus_async.opus.client import OpusClient

ValueT = TypeVar("ValueT")
Generation = Literal["v0", "v1", "auto"]
_FILES_OF_A_LOOP = 3
"""A selector, and the two ends of a socket that wakes it."""
WORKFLOW_ID = "the workflow: 16 characters, a UUID, or the link of its page"
JOB_ID = "the job: its id, which 'run' prints, or the link of its page"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every command that talks to the platform."""
    parser.add_argument(
        "--api",
        choices=get_args(Generation),
        help="generation of the API: v0 jobs, v1 cases, auto the first that answers (OPUS_API, else v0)",
    )


def add_version(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Add ``--version`` and its synonym ``--version-number``, which the API knows too."""
    parser.add_argument(
        "--version", "--version-number", dest="version_number", type=int, metavar="N", help=meaning
    )


def workflow_id(text: str) -> str:
    """A workflow's id, for argparse; also of the link of its page, or with spaces around."""
    from opus_async.opus.ids import workflow_id_in

    return _id_in(text, workflow_id_in)


def job_id(text: str) -> str:
    """A job's id, for argparse; also of the link of its page, or with spaces around."""
    from opus_async.opus.ids import job_id_in

    return _id_in(text, job_id_in)


def _id_in(text: str, read: Callable[[str], str]) -> str:
    from opus_async.errors import InvalidInputs

    try:
        return read(text)
    except InvalidInputs as error:
        raise argparse.ArgumentTypeError("; ".join(error.problems)) from None


def generation(options: ConnectionOptions) -> Generation:
    """The generation of the API that ``--api``, else ``OPUS_API`` names, else v0. Load ``.env`` first.

    Raises:
        ConfigurationError: ``OPUS_API`` names none.
    """
    from opus_async.errors import ConfigurationError
    from opus_async.opus.settings import resolve_api

    named = resolve_api(options.api)
    if named not in get_args(Generation):
        raise ConfigurationError(f"OPUS_API={named!r} is no generation of the API: use v0, v1 or auto")
    return cast("Generation", named)


def connect(options: ConnectionOptions, **settings: Any) -> OpusClient:
    """Make a client from the arguments, the environment and ``.env``.

    Its warnings are printed on stderr, a line each. The limit of open files is raised as far as it may be.

    Args:
        options: Of the command.
        settings: Further arguments of :class:`~opus_async.opus.client.OpusClient`.

    Raises:
        ConfigurationError: A setting cannot be used.
        WrongUse: The file of ``--env-file`` cannot be read.
    """
    from opus_async.config import Limits
    from opus_async.opus.client import OpusClient
    from opus_async.transport import open_files

    loaded = options.env_file.load()
    if loaded.unread:
        print(
            f"opus-async: {loaded.path} cannot be read ({loaded.unread}); going on without it",
            file=sys.stderr,
        )
    open_files.raise_to(open_files.needed(settings.get("limits") or Limits()))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        client = OpusClient(api=generation(options), **settings)
    for warning in found:
        print(f"opus-async: warning: {warning.message}", file=sys.stderr)
    return client


def drive(main: Coroutine[Any, Any, ValueT]) -> ValueT:
    """Run a coroutine to its end; Ctrl-C cancels it, and raises KeyboardInterrupt when it has ended.

    Raises:
        OSError: This process cannot open the files that an event loop needs. A loop that was half made
            would print a traceback.
    """
    import asyncio

    from opus_async.transport.shortage import require_files

    try:
        require_files(_FILES_OF_A_LOOP)
        return asyncio.run(main)
    finally:
        main.close()  # where no loop could be made it was not begun, and Python would complain of that
