"""One attempt to PUT a file to a presigned URL.

Storage checks the signature of URL and headers, so the URL goes out byte-identical, with a Content-Type only
where it was signed; the length is always known, no key is sent and no redirect followed. The last chunk is
sent only when the file is still unchanged, so partial or changed content can never look complete.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import PurePath
from typing import cast

from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import StreamWriter

from opus_async.errors import OpusError, TransportError, UploadError
from opus_async.gaps import gapped
from opus_async.transport.bandwidth import Bandwidth
from opus_async.transport.body import CHUNK, Body
from opus_async.transport.http import Http, Response
from opus_async.transport.open_source import OpenSource, changed
from opus_async.transport.sources import (
    Source,
)
from opus_async.transport.stall import StallWatch, early_answer
from opus_async.transport.urls import without_query

__all__ = ["mime_type", "put_file"]

log = logging.getLogger("opus_async.transport")

Progress = Callable[[int, int], None]

_OK = range(200, 300)
_REDIRECT = range(300, 400)
_TURNS_FOR_AN_ANSWER = 5
_TURN = 1024 * 1024
"""A socket that takes everything must not keep the loop: after this many bytes the others have a turn."""
_READ_AHEAD = 2 * CHUNK
"""A read in the executor costs a thread switch: twice a chunk halves them."""

_MIME_TYPES = {
    ".pdf": "application/pdf",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".csv": "text/csv",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".txt": "text/plain",
    ".json": "application/json",
    ".html": "text/html",
    ".xml": "application/xml",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
}

_ADVICE = {
    "SignatureDoesNotMatch": "the Content-Type was not signed this way, or the URL was changed on its way",
    "RequestTimeTooSkewed": "this machine's clock is wrong: set it",
    "EntityTooLarge": "the file is larger than storage takes",
    "SlowDown": "storage asks for fewer uploads at once",
    "NoSuchBucket": "the URL leads to storage that does not exist",
}
_EXPIRED = "the URL has expired: ask for a new one directly before the upload, and check this machine's clock"


def mime_type(filename: str) -> str:
    """The MIME type of a file by its ending; ``application/octet-stream`` for an unknown one."""
    return _MIME_TYPES.get(PurePath(filename).suffix.lower(), "application/octet-stream")


async def put_file(
    http: Http,
    url: str,
    source: Source,
    *,
    content_type: str | None,
    stall: float,
    bandwidth: Bandwidth | None = None,
    on_progress: Progress | None = None,
) -> Response:
    """Send a source to a presigned URL, once.

    Args:
        http: Sends.
        url: A secret; appears in no error.
        source: Opened here, closed here, also on cancel.
        content_type: Sent exactly when given; None sends no such header.
        stall: Seconds without a byte moving after which it is given up; waits for ``bandwidth`` do not count.
        bandwidth: A budget shared with other uploads.
        on_progress: Called with bytes sent and bytes in all, after each chunk.

    Raises:
        UploadError: The file changed or cannot be read, or storage refused it (``status``, ``code``).
        StoreUnavailable: The file lies elsewhere, and its store gives it not out.
        TransportError: No complete response came, or nothing moved for ``stall`` seconds.
    """
    reading = await source.open()
    try:
        body = _FileBody(source, reading, bandwidth, on_progress)
        headers = {} if content_type is None else {"Content-Type": content_type}
        put = _put_whole if source.size <= CHUNK and http.sends_whole(url) else _put_in_chunks
        response, unsent = await put(http, url, body, headers, stall)
        if response.status not in _OK:
            raise _refused(source.filename, response, url)
        if unsent:
            raise _answered_early(url, source.size - unsent, source)
        return response
    finally:
        reading.close()


async def _put_whole(
    http: Http, url: str, body: _FileBody, headers: Mapping[str, str], stall: float
) -> tuple[Response, int]:
    """Send all of a small file in one piece; returns the response, and how many bytes had not left then."""
    try:
        content = await body.whole(stall)
    except TimeoutError:
        raise _stalled(url, body, stall) from None
    watch = StallWatch(stall, body)

    def sent(transport: asyncio.Transport) -> None:
        body.transport = transport
        body.passed(len(content))
        watch.start()

    try:
        return await http.put_whole(url, content, headers=headers, on_sent=sent)
    except TransportError as error:
        failure = error
    finally:
        watch.stop()
    raise _stalled(url, body, stall) if watch.expired else failure


async def _put_in_chunks(
    http: Http, url: str, body: _FileBody, headers: Mapping[str, str], stall: float
) -> tuple[Response, int]:
    """Send a file chunk by chunk; returns the response, and how many bytes had not left then."""
    body.watch = watch = StallWatch(stall, body)
    try:
        skipped = () if headers else ("Content-Type",)
        response = await http.put(url, body, headers=headers, skip_auto_headers=skipped)
    except TransportError as error:
        failure = error
    else:
        return response, body.left
    finally:
        watch.stop()
        if body.left:
            body.abort()  # a polite close would wait for a server that no longer reads
        await body.settled()
    if body.failure is not None:
        raise body.failure
    raise _stalled(url, body, stall) if watch.expired else failure


class _FileBody(Body):
    """A source as a request body.

    Attributes:
        failure: What went wrong where the file is read, and not on the way to storage.
        watch: Stops the attempt when nothing moves.
    """

    watch: StallWatch

    def __init__(
        self, source: Source, reading: OpenSource, bandwidth: Bandwidth | None, on_progress: Progress | None
    ) -> None:
        super().__init__(source.size)
        self.failure: OpusError | None = None
        self._source = source
        self._reading = reading
        self._bandwidth = bandwidth
        self._on_progress = on_progress

    async def whole(self, stall: float) -> bytes | memoryview:
        """Read all of it, at most a chunk.

        Raises:
            UploadError: The file has changed.
            TimeoutError: Nothing could be read for ``stall`` seconds.
        """
        size = self._source.size
        content: bytes | memoryview | None = self._reading.read_now(memoryview(bytearray(size)), 0)
        if content is None or len(content) < size:
            async with asyncio.timeout(None if self._source.bounds_reading else stall):
                content = await self._read_in_thread(size)
        if self._bandwidth is not None:
            await self._bandwidth.spend(size)
        await self._reading.check()
        return content

    async def _read_in_thread(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            more = await self._reading.read(size - len(content), len(content))
            if not more:
                raise changed(self._source.filename)
            content += more
        return content

    def passed(self, size: int) -> None:
        """Count bytes as sent, and tell whoever listens."""
        self.sent += size
        self._report()

    async def produce(self, writer: AbstractStreamWriter) -> None:
        """Send chunk by chunk; the last one only when the file is unchanged."""
        self.watch.start()
        try:
            await self._send(writer)
        except OpusError as error:
            self.failure = error
            self.abort()
            raise

    async def _send(self, writer: AbstractStreamWriter) -> None:
        size = self._source.size
        if size == 0:
            await self._reading.check()
            return
        buffer = await self._send_chunk(writer, None)
        if self.sent == size:
            return
        answered = early_answer(self.transport)
        turn = _TURN
        if self.transport is not None:
            self.transport.set_write_buffer_limits(high=1)  # at most one chunk waits in it
        while self.sent < size:
            if buffer is None:
                await writer.drain()
            if answered():
                for _ in range(_TURNS_FOR_AN_ANSWER):  # aiohttp reads it, and cancels us if it is final
                    await asyncio.sleep(0)
            elif self.sent >= turn:
                turn = self.sent + _TURN
                await asyncio.sleep(0)
            buffer = await self._send_chunk(writer, buffer)

    async def _send_chunk(self, writer: AbstractStreamWriter, buffer: memoryview | None) -> memoryview | None:
        """Send what comes next.

        Args:
            writer: Where to.
            buffer: To read into; None for a new one.

        Returns:
            The buffer, for the next chunk; None where the transport has not sent it all: it may need it.
        """
        left = self._source.size - self.sent
        if buffer is None:
            buffer = memoryview(bytearray(min(left, CHUNK)))
        chunk = self._reading.read_now(buffer[:left], self.sent)
        if chunk is None:
            with self.watch.suspended() if self._source.bounds_reading else nullcontext():
                chunk = memoryview(await self._reading.read(min(left, _READ_AHEAD), self.sent))
        if chunk.nbytes == 0:
            raise changed(self._source.filename)
        if self._bandwidth is not None:
            with self.watch.suspended():
                await self._bandwidth.spend(len(chunk))
        if len(chunk) >= left:
            await self._reading.check()
        await cast("StreamWriter", writer).write(chunk, drain=False)
        self.passed(len(chunk))
        waits = self.transport is not None and self.transport.get_write_buffer_size()
        return None if waits else buffer

    def _report(self) -> None:
        if self._on_progress is None:
            return
        try:
            self._on_progress(self.sent, self._source.size)
        except Exception:
            self._on_progress = None
            log.exception("on_progress raised for %s and is not called again", self._source.filename)


def _refused(filename: str, response: Response, url: str) -> UploadError:
    from opus_async.transport.s3_errors import read_refusal  # noqa: PLC0415 - storage seldom refuses

    reason = read_refusal(response.body, url)
    advice = _EXPIRED if reason.expired else _ADVICE.get(reason.code or "", "")
    if response.status in _REDIRECT:
        advice = "it was redirected, and a presigned URL is followed nowhere: ask for a new one"
    message = f"Storage refused {filename} with HTTP {response.status} ({reason})"
    return UploadError(
        f"{message}; {advice or 'ask for a new URL and try again'}",
        filename=filename,
        status=response.status,
        code=reason.code,
        expired=reason.expired,
    )


def _answered_early(url: str, sent: int, source: Source) -> TransportError:
    return TransportError(
        gapped(
            "Storage said yes to {} after {} of {} bytes: not stored",
            source.filename,
            f"{sent:,}",
            f"{source.size:,}",
        ),
        request_sent=True,
        method="PUT",
        url=without_query(url),
    )


def _stalled(url: str, body: Body, stall: float) -> TransportError:
    return TransportError(
        gapped(
            f"The upload stalled: no byte moved for {stall:g} s, {{}} of {{}} bytes were sent off. Check the "
            "network, or raise Timeouts.upload_stall",
            f"{body.sent:,}",
            f"{body.size:,}",
        ),
        request_sent=True,
        method="PUT",
        url=without_query(url),
    )
