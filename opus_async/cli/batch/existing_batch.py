"""A batch directory that is there: what its ledger knows of the batch, and where its jobs are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from opus_async.cli import error_report, platforms
from opus_async.cli.errors import WrongUse
from opus_async.cli.options import ConnectionOptions
from opus_async.cli.tables import printable
from opus_async.cli.target import Target
from opus_async.errors import ConfigurationError, LedgerError

if TYPE_CHECKING:
    from opus_async.batch.meta import BatchMeta

ConnectionT = TypeVar("ConnectionT", bound=ConnectionOptions)


def read_meta(directory: Path) -> BatchMeta:
    """Read what the ledger in a batch directory knows of its batch.

    Raises:
        WrongUse: There is no ledger.
        LedgerError: It cannot be read.
    """
    from opus_async.batch.ledger.reader import LedgerReader
    from opus_async.layout import LEDGER

    try:
        with LedgerReader(directory) as ledger:
            return ledger.meta
    except LedgerError as error:
        if (directory / LEDGER).exists():
            raise
        raise WrongUse(error.message) from None


def target_of(options: ConnectionOptions, meta: BatchMeta) -> Target:
    """The platform of a batch, with its workflow; ``--api`` as it was given.

    Raises:
        ConfigurationError: This version does not know it.
        WrongUse: ``--platform`` names another one.
    """
    entry = platforms.entry_of_batch(meta.fingerprint.platform, options.platform)
    return Target(entry, api=options.api, workflow_id=meta.fingerprint.workflow_id)


def going_on(options: ConnectionT, meta: BatchMeta, work: Callable[[ConnectionT, BatchMeta], int]) -> int:
    """Do something where a batch was begun, and explain what ends it; returns the exit code.

    Args:
        options: As they were given.
        meta: What the ledger knows.
        work: Gets the options that lead there, and ``meta``.

    Raises:
        ConfigurationError: This version does not know the platform of the batch.
    """
    return error_report.explaining(
        lambda: work(restore_connection(options, meta), meta),
        debug=options.debug,
        target=target_of(options, meta),
    )


def restore_connection(options: ConnectionT, meta: BatchMeta) -> ConnectionT:
    """Connect to where the batch was begun: to one platform, one host, and one generation of its API.

    ``--api`` and the variable of the base URL win over what the ledger says; that of the generation is for
    batches that begin.

    Returns:
        The options with the platform and the generation to be used; the host goes into the environment of
        this process.

    Raises:
        ConfigurationError: Only the ledger names the host, and it is another machine's: a directory can come
            from somebody else, who may not lead the key there. Or this version knows no such platform.
    """
    import os

    from opus_async.transport.urls import is_loopback

    entry = platforms.entry_of_batch(meta.fingerprint.platform, options.platform)
    options = replace(options, platform=entry.name)
    options.env_file.load(entry)
    if options.api is None:
        options = replace(options, api=entry.generation_of_batch(meta.fingerprint.generation))
    host, variable = meta.fingerprint.host, entry.variables.base_url
    if host and host != entry.default_base_url() and not os.environ.get(variable):
        if not is_loopback(host):
            raise ConfigurationError(
                f"The batch was begun at {printable(host)}, says its directory, and nobody else does: "
                f"nothing was sent. If the key belongs there, set {variable} to it"
            )
        os.environ[variable] = host
        print(f"opus-async: asking {host}, where the batch was begun", file=sys.stderr)
    return options
