"""A document where it lies, as the source of an upload: read block by block, from its start at each attempt.

Memory: one block an upload, of :data:`BLOCK` bytes at most, or the whole document where its server cannot
give a part of it.

A block that its store does not give out is asked for again, and reading goes on with it: each is asked for in
the version that was found. Where a server tells no version that shows every change, the document is read
twice, and the last byte is sent only of what was the same both times.
"""

from __future__ import annotations

import hashlib
from functools import partial

from opus_async.errors import OpusError, StoreUnavailable, UploadError
from opus_async.gaps import gapped
from opus_async.input_problems import ProblemCode, Unfit
from opus_async.remote.contents import identity_of
from opus_async.remote.facts import NO_PIN, RemoteFacts, facts_of
from opus_async.remote.hold import Hold
from opus_async.remote.patience import Patience, current_patience, patient
from opus_async.remote.reading import read_part
from opus_async.remote.refusals import is_condition_refused, obstacle, refused
from opus_async.remote.stores import ask
from opus_async.remote_urls import RemoteFile, store_of
from opus_async.transport.open_source import SMALL, to_thread

BLOCK = 2 * 1024 * 1024
"""Bytes of one request: a store takes some 30 ms before the first byte, so smaller ones are slow.

While one is read nothing moves towards the platform, whose storage bears that for some 20 s: larger ones
would be too slow for a line of 1 Mbit/s.
"""
_WHILE_SENDING = 18.0
"""Seconds in which a block is asked for while storage waits for it. What lasts longer is waited for without a
slot and a connection to storage, and the document is sent from its start."""


class RemoteSource:
    """A document of known size and version; see :class:`opus_async.transport.sources.Source`.

    Args:
        file: Where it lies.
        facts: As they were found when the job was bound.
        filename: As the caller named it; its own name by default.
        patience: How long its store is waited for; None for as long as at present.

    Attributes:
        content: The SHA-256 of its content in hex, once it was read to its end; None before.
    """

    bounds_reading = True

    def __init__(
        self,
        file: RemoteFile,
        facts: RemoteFacts,
        filename: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.filename = filename or file.name
        self.size = facts.size
        self.content: str | None = None
        self._file = file
        self._facts = facts
        self._pin = facts.pin
        self._is_certain = facts.is_certain
        self._patience = patience or current_patience()
        self._cut_short = False
        """Whether the store was not waited for as long as the policy allows, because an upload waited."""
        self._waits = 0

    def __repr__(self) -> str:
        return f"RemoteSource({str(self._file)!r}, {self.size} bytes)"

    @property
    def identity(self) -> str | None:
        """What is the same for the same content of the same URL; None where the server tells nothing such."""
        return self.version if self._is_certain else None

    @property
    def version(self) -> str:
        """What identifies this version, as far as the server tells."""
        return identity_of(self._facts.signature(self._file))

    async def open(self) -> RemoteReading:
        """Begin from the start, with the first block: storage need not wait for that.

        Raises:
            UploadError: It is another document now, or it cannot be read.
            StoreUnavailable: Its store gives it not out.
        """
        reading = RemoteReading(self)
        try:
            if self.size:
                await reading.fill(0, within=self._patience.timeout)  # a slot waits, and no connection yet
            if self.content is None and not self._is_certain:
                await self.digest()
        except BaseException:
            reading.close()
            raise
        return reading

    async def digest(self) -> str:
        """SHA-256 in hex. Reads all of it."""
        reading = RemoteReading(self)
        try:
            offset = 0
            while offset < self.size:
                offset += len(await reading.fill(offset))
            await reading.check()
        finally:
            reading.close()
        return reading.digest

    async def check(self) -> None:
        """Compare size and version with what they were.

        Raises:
            UploadError: It is another document now, or it is gone.
            OpusError: What says nothing of the document: its store gives no answer, say.
        """
        with patient(self._patience):
            try:
                now = await facts_of(self._file, anew=True)
            except Unfit as unfit:
                raise self._unfit(unfit) from None
        if now != self._facts:
            raise changed(self.filename)

    async def block(self, offset: int, *, within: float | None) -> bytes:
        """Read the block that begins at an offset.

        Args:
            offset: Its first byte.
            within: As in :func:`opus_async.remote.stores.ask`.

        Raises:
            UploadError: It cannot be read, or it is another document now.
            StoreUnavailable: Its store gives it not out.
        """
        end = min(offset + BLOCK, self.size)
        part = partial(read_part, pin=self._pin, start=offset, end=end, size=self.size)
        try:
            with patient(self._patience):
                content = await ask(self._file, part, reading=True, within=within)
        except StoreUnavailable:
            self._cut_short = within is not None
            raise
        except Exception as error:  # noqa: BLE001 - each library has its own
            await self.check()  # a part that is not there any more is told in many ways
            if not is_condition_refused(error):
                raise self._failed(error) from None
            if offset or self._pin is NO_PIN:
                raise changed(self.filename) from None
            self._pin, self._is_certain = NO_PIN, False  # it is the same: the server knows no such condition
            return await self.block(offset, within=within)
        if len(content) == end - offset:
            return content
        if len(content) == self.size:  # the server gives no parts
            return content[offset:]
        await self.check()
        raise UploadError(
            gapped(
                "{} cannot be read: its server says that it has {} bytes, and gives other bytes than those "
                "that were asked for ({} bytes where {} were asked for). Check the server, or save the "
                "document to a disk",
                self.filename,
                f"{self.size:,}",
                f"{len(content):,}",
                f"{end - offset:,}",
            ),
            filename=self.filename,
        )

    async def wait_for_store(self, error: StoreUnavailable) -> None:
        """Wait until the store gives the document out again, after it failed while it was sent.

        Raises:
            StoreUnavailable: It does not, or was waited for already, or often enough.
            UploadError: It is another document now, or it is gone.
        """
        self._waits += 1
        cut_short, self._cut_short = self._cut_short, False
        if not cut_short or self._waits >= self._patience.retry.attempts:
            raise error
        await self.check()
        await self.block(0, within=None)

    def _failed(self, error: Exception) -> OpusError:
        found = obstacle(self._file, error)
        return found or self._unfit(refused(self._file, error))

    def _unfit(self, unfit: Unfit) -> UploadError:
        denied = unfit.code is ProblemCode.FILE_DENIED
        refused_by = store_of(self._file.url) if denied else None
        return UploadError(_message(unfit), filename=self.filename, refused_by=refused_by)


class RemoteReading:
    """A document, open for one attempt; see :class:`opus_async.transport.open_source.OpenSource`.

    Attributes:
        digest: The SHA-256 of what was read, in hex; of all of it where it was read to its end.
    """

    def __init__(self, source: RemoteSource) -> None:
        self._source = source
        self._hold = Hold()
        self._hold.take()
        self._start = 0
        self._block = b""
        self._hash = hashlib.sha256()
        self._hashed = 0

    @property
    def digest(self) -> str:
        """See the class."""
        return self._hash.hexdigest()

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
        if not 0 <= offset - self._start < len(self._block):
            await self.fill(offset, within=_WHILE_SENDING)
        begin = offset - self._start
        return self._block[begin : begin + size]

    async def fill(self, offset: int, *, within: float | None = None) -> bytes:
        """Read the block that begins at an offset, and return it."""
        self._block = b""  # one block at a time
        self._block = await self._source.block(offset, within=within)
        self._start = offset
        if offset == self._hashed:
            self._hashed += len(self._block)
            await self._add_to_hash(self._block)
        return self._block

    async def check(self) -> None:
        """Compare the document with what it was when the source was made, or when it was read before.

        Raises:
            UploadError: It is another one.
        """
        await self._source.check()
        if self._hashed < self._source.size:
            return
        known, self._source.content = self._source.content, self.digest
        if known not in {None, self.digest}:
            self._source.content = known
            raise changed(self._source.filename)

    def close(self) -> None:
        """Let go of the block and of the connection."""
        self._block = b""
        self._hold.drop()

    async def _add_to_hash(self, block: bytes) -> None:
        if len(block) <= SMALL:
            self._hash.update(block)
        else:
            await to_thread(lambda: self._hash.update(block))


def changed(filename: str) -> UploadError:
    """The error for a document that is another now."""
    return UploadError(
        gapped(
            "{} changed where it lies while it was being sent: nothing half was stored. Try again", filename
        ),
        filename=filename,
    )


def _message(unfit: Unfit) -> str:
    message = gapped("{}", unfit)
    message.group, message.parts = unfit.group, unfit.parts
    return message
