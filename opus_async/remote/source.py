"""A document where it lies, as the source of an upload: read block by block, from its start at each attempt.

Memory: one block an upload, of :data:`BLOCK` bytes at most, or the whole document where its server cannot
give a part of it.
"""

from __future__ import annotations

import hashlib

from opus_async.errors import OpusError, UploadError
from opus_async.gaps import gapped
from opus_async.input_problems import Unfit
from opus_async.remote import access
from opus_async.remote.facts import RemoteFacts, facts_of
from opus_async.remote.hold import Hold
from opus_async.remote.libraries import Located
from opus_async.remote.refusals import refused
from opus_async.remote_urls import RemoteFile

BLOCK = 2 * 1024 * 1024
"""Bytes of one request: a store takes some 30 ms before the first byte, so smaller ones are slow.

While one is read nothing moves towards the platform, which may take ``Timeouts.upload_stall`` at most: larger
ones would be too slow for a line of 1 Mbit/s.
"""


class RemoteSource:
    """A document of known size and version; see :class:`opus_async.transport.sources.Source`.

    Args:
        file: Where it lies.
        facts: As they were found when the job was bound.
        filename: As the caller named it; its own name by default.
    """

    def __init__(self, file: RemoteFile, facts: RemoteFacts, filename: str | None = None) -> None:
        self.filename = filename or file.name
        self.size = facts.size
        self._file = file
        self._facts = facts

    def __repr__(self) -> str:
        return f"RemoteSource({str(self._file)!r}, {self.size} bytes)"

    @property
    def identity(self) -> str | None:
        """What is the same for the same content of the same URL; None where the server tells no version."""
        return f"remote {self._facts.signature(self._file)}" if self._facts.version is not None else None

    async def open(self) -> RemoteReading:
        """Begin from the start; nothing is read yet."""
        hold = Hold()
        hold.take()
        try:
            located = await access.located(self._file.url)
        except BaseException as error:
            await hold.release()
            if not isinstance(error, Exception):
                raise
            raise self._failed(error) from None
        return RemoteReading(self, located, hold)

    async def digest(self) -> str:
        """SHA-256 in hex. Reads all of it."""
        found = hashlib.sha256()
        reading = await self.open()
        try:
            offset = 0
            while offset < self.size:
                piece = await reading.read(BLOCK, offset)
                if not piece:
                    raise changed(self.filename)
                found.update(piece)
                offset += len(piece)
            await reading.check()
        finally:
            reading.close()
        return found.hexdigest()

    async def check(self) -> None:
        """Compare size and version with what they were.

        Raises:
            UploadError: It is another document now, or it is gone.
        """
        try:
            now = await facts_of(self._file, anew=True)
        except Unfit as unfit:
            raise UploadError(_message(unfit), filename=self.filename) from None
        except OpusError as error:
            raise UploadError(error.message, filename=self.filename) from None
        if now != self._facts:
            raise changed(self.filename)

    async def block(self, located: Located, offset: int) -> bytes:
        """Read the block that begins at an offset.

        Raises:
            UploadError: It cannot be read.
        """
        end = min(offset + BLOCK, self.size)
        try:
            content: bytes = await access.call(located, "cat_file", start=offset, end=end)
        except Exception as error:  # noqa: BLE001 - each library has its own
            await self.check()  # a part that is not there any more is told in many ways
            raise self._failed(error) from None
        if len(content) == end - offset:
            return content
        if len(content) == self.size:  # the server gives no parts
            return content[offset:]
        raise changed(self.filename)

    def _failed(self, error: Exception) -> UploadError:
        return UploadError(_message(refused(self._file, error)), filename=self.filename)


class RemoteReading:
    """A document, open for one attempt; see :class:`opus_async.transport.open_source.OpenSource`."""

    def __init__(self, source: RemoteSource, located: Located, hold: Hold) -> None:
        self._source = source
        self._located = located
        self._hold = hold
        self._start = 0
        self._block = b""

    def read_now(self, buffer: memoryview, offset: int) -> memoryview | None:
        """What the present block has, without waiting; None where the next one is needed."""
        if offset >= self._source.size:
            return buffer[:0]
        begin = offset - self._start
        if not 0 <= begin < len(self._block):
            return None
        return memoryview(self._block)[begin : begin + len(buffer)]

    async def read(self, size: int, offset: int) -> bytes:
        """Read the block that begins there, and give its first part; empty at the end."""
        if offset >= self._source.size:
            return b""
        begin = offset - self._start
        if not 0 <= begin < len(self._block):
            self._block = b""  # one block at a time
            self._block = await self._source.block(self._located, offset)
            self._start, begin = offset, 0
        return self._block[begin : begin + size]

    async def check(self) -> None:
        """Compare the document with what it was when the source was made."""
        await self._source.check()

    def close(self) -> None:
        """Let go of the block and of the connection."""
        self._block = b""
        self._hold.drop()


def changed(filename: str) -> UploadError:
    """The error for a document that is another now."""
    return UploadError(
        gapped(
            "{} changed where it lies while it was being sent: nothing half was stored. Try again", filename
        ),
        filename=filename,
    )


def _message(unfit: Unfit) -> str:
    message = gapped("{}", unfit.message)
    message.group, message.parts = unfit.group, unfit.parts
    return message
