"""The platforms that the command line knows: a name, and an entry that is imported when it is asked.

Everything else of the command line asks the entry of the platform at hand (:mod:`opus_async.cli.target`), and
nothing compares a platform's name.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from opus_async.cli import connection
from opus_async.cli.target import PlatformEntry, Target

if TYPE_CHECKING:
    from opus_async.cli.options import CommandOptions, ConnectionOptions
    from opus_async.cli.target import BatchClient

NAMES = ("opus", "operativus")
"""In the order of the help. Each is a module, or package, here, with an ``ENTRY``."""
DEFAULT = NAMES[0]


def entry(name: str | None) -> PlatformEntry[BatchClient]:
    """The entry of a platform; of the default one for None.

    Raises:
        ConfigurationError: There is no such platform: a newer version may know it.
    """
    if name is not None and name not in NAMES:
        from opus_async.errors import ConfigurationError

        raise ConfigurationError(
            f"This version of opus-async knows no platform {name!r}, only {', '.join(NAMES)}"
        )
    module = import_module(f"{__package__}.{name or DEFAULT}")
    return cast("PlatformEntry[BatchClient]", module.ENTRY)


def entries() -> Iterator[PlatformEntry[BatchClient]]:
    """The entries of all platforms."""
    return map(entry, NAMES)


def configure(parser: argparse.ArgumentParser, *, choose: bool = False) -> None:
    """Add the arguments of every command that may talk to any platform.

    Args:
        parser: Of the command.
        choose: Whether ``--platform`` chooses; else the command knows which it is, and it may be named.
    """
    parser.add_argument(
        "--platform",
        choices=NAMES,
        help=f"whose workflow it is: {' or '.join(NAMES)} ({DEFAULT})" if choose else argparse.SUPPRESS,
    )
    for each in entries():
        each.add_arguments(parser)


def target_of(options: CommandOptions) -> Target:
    """The platform that a command talks to, by its options; the default one where it talks to none."""
    from opus_async.cli.options import ConnectionOptions

    if not isinstance(options, ConnectionOptions):
        return Target(entry(None))
    return Target(entry(options.platform), api=options.api, workflow_id=options.about_workflow)


def checked_workflow(target: Target, text: str) -> str:
    """The workflow that ``--workflow`` names.

    Raises:
        WrongUse: It names none.
    """
    from opus_async.cli.errors import WrongUse
    from opus_async.errors import InvalidInputs

    try:
        return target.entry.workflow_id(text)
    except InvalidInputs as error:
        raise WrongUse(f"--workflow: {'; '.join(error.problems)}") from None


def entry_of_batch(recorded: str | None, named: str | None) -> PlatformEntry[BatchClient]:
    """The entry of the platform that a batch was begun on.

    Args:
        recorded: What its ledger names.
        named: What ``--platform`` names; None for nothing.

    Raises:
        ConfigurationError: This version does not know that platform.
        WrongUse: The two are not the same.
    """
    from opus_async.cli.errors import WrongUse

    found = entry(recorded)
    if named is not None and entry(named) is not found:
        raise WrongUse(f"--platform: the batch was begun on {found.name}, and goes on there: leave it out")
    return found


def connect(options: ConnectionOptions, **settings: Any) -> BatchClient:
    """Make a client of the platform that the options name; see :func:`opus_async.cli.connection.connect`."""
    return connection.connect(entry(options.platform), options, **settings)
