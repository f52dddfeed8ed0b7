"""Copies a table from where it lies to a disk, and back. Blocks: to be called in a thread."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from opus_async.errors import ConfigurationError, ManifestError, OpusError
from opus_async.remote import access
from opus_async.remote.facts import RemoteFacts, facts_of
from opus_async.remote.hold import held
from opus_async.remote.reading import read_part
from opus_async.remote.refusals import refused
from opus_async.remote.source import BLOCK
from opus_async.remote.stores import ask
from opus_async.remote_urls import RemoteFile


def copy_to(file: RemoteFile, destination: Path) -> str:
    """Copy a manifest to a file that does not exist yet; returns the signature of its version.

    Raises:
        ManifestError: It cannot be read, or changed meanwhile.
    """
    with held():
        try:
            before = access.blocking(facts_of(file, anew=True))
            _copy(file, before, destination)
            after = access.blocking(facts_of(file, anew=True))
        except OpusError as error:
            raise ManifestError(error.message) from None
        except Exception as error:  # noqa: BLE001 - each library has its own
            raise ManifestError(str(refused(file, error))) from None
    if before != after:
        raise ManifestError(f"{file} was changed while it was read: run the same command again")
    return before.signature(file)


def copy_from(source: Path, file: RemoteFile) -> None:
    """Write a file to where a URL says; what is there is replaced when all of it has come.

    Raises:
        ConfigurationError: It cannot be written there.
    """
    with held():
        try:
            place = access.locate(file.url)
            place.filesystem.put_file(str(source), place.path)
        except Exception as error:  # noqa: BLE001 - each library has its own
            raise ConfigurationError(str(refused(file, error, to="written"))) from None


def _copy(file: RemoteFile, facts: RemoteFacts, destination: Path) -> None:
    with destination.open("xb") as copy:
        for offset in range(0, facts.size, BLOCK):
            end = min(offset + BLOCK, facts.size)
            part = partial(read_part, pin=facts.pin, start=offset, end=end, size=facts.size)
            block = access.blocking(ask(file, part, reading=True))
            if len(block) == facts.size:  # its server gives no parts
                copy.write(block)
                return
            if len(block) != end - offset:  # rows would be missing
                raise ValueError(
                    f"its server gave {len(block):,} bytes where {end - offset:,} were asked for"
                )
            copy.write(block)
