"""Copies a table from where it lies to a disk, and back. Blocks: to be called in a thread."""

from __future__ import annotations

from pathlib import Path

from opus_async.errors import ConfigurationError, ManifestError, OpusError, UploadError
from opus_async.remote import access
from opus_async.remote.facts import facts_of
from opus_async.remote.hold import held
from opus_async.remote.refusals import refused
from opus_async.remote.source import RemoteSource
from opus_async.remote_urls import RemoteFile


def copy_to(file: RemoteFile, destination: Path) -> str:
    """Copy a manifest to a file that does not exist yet; returns the signature of its version.

    Raises:
        ManifestError: It cannot be read, or changed meanwhile.
    """
    with held():
        try:
            before = access.blocking(facts_of(file, anew=True))
            _copy(RemoteSource(file, before), file, destination)
        except ManifestError:
            raise
        except OpusError as error:
            raise ManifestError(error.message) from None
        except Exception as error:  # noqa: BLE001 - each library has its own
            raise ManifestError(str(refused(file, error))) from None
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


def _copy(source: RemoteSource, file: RemoteFile, destination: Path) -> None:
    failure: UploadError | None = None
    try:
        with destination.open("xb") as copy:
            offset = 0
            while offset < source.size:
                block = access.blocking(source.block(offset, within=None))
                copy.write(block)
                offset += len(block)
    except UploadError as error:
        failure = error
    try:
        access.blocking(source.check())
    except UploadError:
        raise ManifestError(f"{file} was changed while it was read: run the same command again") from None
    if failure is not None:
        raise failure
