"""The parsed arguments of a command as one frozen value: nothing else reads an argparse namespace.

Each command module has a class of its own, a child of one of these, as ``OPTIONS``. Its fields have the names
of the arguments (``dest``) that the module's ``configure`` adds.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

from opus_async.cli.environment import EnvironmentFile

OptionsT = TypeVar("OptionsT", bound="CommandOptions")


@dataclass(frozen=True, kw_only=True)
class CommandOptions:
    """Options of every command.

    Attributes:
        debug: Whether to log every step on stderr and show tracebacks.
        env_file: Where settings are read from beside the environment.
    """

    debug: bool
    env_file: EnvironmentFile


@dataclass(frozen=True, kw_only=True)
class ConnectionOptions(CommandOptions):
    """Options of every command that talks to a platform.

    Attributes:
        platform: Its name; None for the default one, or for that of a batch that is there.
        api: The generation of its API; None for what the environment or the default names.
    """

    platform: str | None
    api: str | None

    @property
    def about_workflow(self) -> str | None:
        """The workflow that the command is about; None where it is about none that is known."""
        return None


@dataclass(frozen=True, kw_only=True)
class OneJobOptions(ConnectionOptions):
    """Options of every command that waits for one job.

    Attributes:
        timeout: Seconds to wait; None for no limit.
        download: The folder that outputs which are files are fetched into; None to leave them.
        json: Whether to print the whole outcome as JSON.
    """

    timeout: float | None
    download: Path | None
    json: bool


def from_namespace(kind: type[OptionsT], namespace: argparse.Namespace) -> OptionsT:
    """Make the options of a command from the namespace that argparse returned."""
    values = {field.name: getattr(namespace, field.name) for field in fields(kind)}
    return kind(**values | {"env_file": EnvironmentFile(namespace.env_file)})
