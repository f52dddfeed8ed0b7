"""A batch directory that is there: what its ledger knows of the batch, and where its jobs are."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from opus_async.cli.errors import WrongUse
from opus_async.cli.options import ConnectionOptions
from opus_async.cli.tables import printable
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


def restore_connection(options: ConnectionT, meta: BatchMeta) -> ConnectionT:
    """Connect to where the batch was begun: its jobs are known to one host, and to one generation of the API.

    ``--api`` and ``OPUS_BASE_URL`` win over what the ledger says; ``OPUS_API`` is for batches that begin.

    Returns:
        The options with the generation to be used; the host goes into ``OPUS_BASE_URL`` of this process.

    Raises:
        ConfigurationError: Only the ledger names the host, and it is another machine's: a directory can come
            from somebody else, who may not lead the key there.
    """
    import os

    from opus_async.opus.settings import DEFAULT_BASE_URL
    from opus_async.transport.urls import is_loopback

    options.env_file.load()
    if options.api is None:
        options = replace(options, api=meta.fingerprint.generation)
    host = meta.fingerprint.host
    if host and host != DEFAULT_BASE_URL and not os.environ.get("OPUS_BASE_URL"):
        if not is_loopback(host):
            raise ConfigurationError(
                f"The batch was begun at {printable(host)}, says its directory, and nobody else does: "
                "nothing was sent. If the key belongs there, set OPUS_BASE_URL to it"
            )
        os.environ["OPUS_BASE_URL"] = host
        print(f"opus-async: asking {host}, where the batch was begun", file=sys.stderr)
    return options
