"""Uploads to the platform's storage: a presigned URL, a PUT, and the same content only once.

A presigned URL is asked for when the slot of the upload is ours, directly before the PUT, so none expires in
a queue. What a 403 means is not documented: the other choice of Content-Type is tried once, then a new URL.
Faults on the way to storage are repeated below, with the same URL.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from opus_async.config import Timeouts
from opus_async.errors import OpusError, StoreUnavailable, TransportError, UploadError
from opus_async.events import RequestSent, UploadProgress, current_job
from opus_async.models import UploadedFile
from opus_async.opus.api import Api
from opus_async.opus.protocol.api_messages import PresignedUpload, PresignFields
from opus_async.opus.upload_cache import CachedUpload, ContentKey, UploadCache
from opus_async.transport.attempt import Attempt
from opus_async.transport.bandwidth import Bandwidth
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.files import mime_type, put_file
from opus_async.transport.hosts import Storage
from opus_async.transport.http import Http
from opus_async.transport.limits import RequestLimiter
from opus_async.transport.sources import Source, identity
from opus_async.transport.urls import signed_headers, without_query

if TYPE_CHECKING:
    from opus_async.remote.source import RemoteSource

log = logging.getLogger("opus_async.opus")

Progress = Callable[[int, int], None]
"""Called with bytes sent and bytes in all."""

FORBIDDEN = 403
FRESH_URLS = 4
"""Presigned URLs that may be refused with 403, both ways, before the refusal is believed."""
REMEMBERED = 50_000
"""Uploads remembered per run, about 300 bytes each; the oldest are forgotten, and at worst sent again."""


class Uploader:
    """Uploads files: gets a presigned URL for each, and PUTs it there.

    Args:
        api: Gives presigned URLs.
        http: Makes the PUT.
        slots: Bounds the files on the wire (``Limits.upload_concurrency``).
        storage: Repeats a PUT, and slows down when storage asks for it.
        timeouts: ``upload_stall`` is used.
        bandwidth: Shared by all uploads; None for no bound.
        notify: Where events go.
    """

    def __init__(
        self,
        api: Api,
        http: Http,
        slots: RequestLimiter,
        storage: Storage,
        *,
        timeouts: Timeouts,
        bandwidth: Bandwidth | None,
        notify: Dispatcher,
    ) -> None:
        self._api = api
        self._http = http
        self._slots = slots
        self._storage = storage
        self._timeouts = timeouts
        self._bandwidth = bandwidth
        self._notify = notify

    async def send(
        self,
        source: Source,
        fields: PresignFields,
        *,
        sha256: str | None,
        on_progress: Progress | None = None,
    ) -> UploadedFile:
        """Upload one file.

        Raises:
            UploadError: It changed while it was sent, or storage refused it.
            StoreUnavailable: It lies elsewhere, and its store gives it not out.
            OpusError: The presign failed.
        """
        while True:
            try:
                return await self._send(source, fields, sha256=sha256, on_progress=on_progress)
            except StoreUnavailable as error:
                if (remote := _remote(source)) is None:
                    raise
                log.info("%s: %s; waiting for it", source.filename, error)
                await remote.wait_for_store(error)

    async def _send(
        self,
        source: Source,
        fields: PresignFields,
        *,
        sha256: str | None,
        on_progress: Progress | None,
    ) -> UploadedFile:
        """Upload one file, in a slot; whoever waits for the store of a document holds none."""
        asked = time.monotonic()
        async with self._slots.slot():
            waited = time.monotonic() - asked
            for urls_left in reversed(range(FRESH_URLS)):
                place = await self._api.presign(fields, waited=waited)
                waited = 0.0
                try:
                    await self._put_either_way(place, source, on_progress)
                    return UploadedFile(url=place.file_url, size=source.size, sha256=sha256)
                except UploadError as error:
                    if error.status != FORBIDDEN or not urls_left:
                        raise
                    log.info("%s: storage said 403 (%s); asking for a new URL", source.filename, error.code)
        raise AssertionError("unreachable: the last round returns or raises")

    async def _put_either_way(
        self, place: PresignedUpload, source: Source, on_progress: Progress | None
    ) -> None:
        typed = "content-type" in signed_headers(place.put_url)
        try:
            await self._put(place, source, mime_type(source.filename) if typed else None, on_progress)
        except UploadError as error:
            if error.status != FORBIDDEN or error.expired:
                raise
            log.info("%s: storage said 403 (%s); trying the other Content-Type", source.filename, error.code)
            await self._put(place, source, None if typed else mime_type(source.filename), on_progress)

    async def _put(
        self, place: PresignedUpload, source: Source, content_type: str | None, on_progress: Progress | None
    ) -> None:
        async def attempt(this: Attempt) -> None:
            try:
                response = await put_file(
                    self._http,
                    place.put_url,
                    source,
                    content_type=content_type,
                    stall=self._timeouts.upload_stall,
                    bandwidth=self._bandwidth,
                    on_progress=self._teller(source, on_progress, this.number),
                )
            except OpusError as error:
                self._api.secrets.mask_error(error)
                raise
            for meter in self._notify.meters:
                meter.answered("put", this.kind, response.status, this.waited, response.seconds)
            if RequestSent in self._notify.heard:
                self._notify(
                    this.answered(
                        "put",
                        "PUT",
                        without_query(place.put_url),
                        status=response.status,
                        seconds=response.seconds,
                    )
                )

        try:
            await self._storage(place.put_url).call("put", attempt)
        except TransportError as error:
            error.storage = True
            raise

    def _teller(self, source: Source, on_progress: Progress | None, attempt: int) -> Progress | None:
        if UploadProgress not in self._notify.heard:
            return on_progress
        job = current_job.get()

        def tell(sent: int, size: int) -> None:
            self._notify(
                UploadProgress(
                    index=job.index,
                    key=job.key,
                    job_id=job.job_id,
                    attempt=attempt,
                    filename=source.filename,
                    sent=sent,
                    size=size,
                )
            )
            if on_progress:
                on_progress(sent, size)

        return tell


class DeduplicatingUploader:
    """Uploads the files of one run; the same content, with the same extension and place, once.

    Args:
        uploader: Makes each upload.
        cache: Uploads of earlier processes; None for none.

    Attributes:
        saved: How many uploads were not needed.
    """

    def __init__(self, uploader: Uploader, cache: UploadCache | None = None) -> None:
        self.saved = 0
        self._uploader = uploader
        self._cache = cache
        self._sent: OrderedDict[ContentKey, asyncio.Future[CachedUpload]] = OrderedDict()

    async def send(self, source: Source, fields: PresignFields) -> UploadedFile:
        """Upload a file, or take an earlier upload of the same content, under way or done.

        Those who wait for an upload that fails get its error; when it is cancelled, the next in line tries.
        """
        content = ContentKey(
            sha256=await identity(source),
            size=source.size,
            extension=fields.extension,
            access_scope=fields.access_scope,
            workflow_id=fields.workflow_id,
            workspace_id=fields.workspace_id,
        )
        while (other := self._sent.get(content)) is not None:
            await asyncio.wait([other])
            if other.cancelled():
                continue
            if (error := other.exception()) is not None:
                raise copy.copy(error)
            if other.result().is_fresh:
                self.saved += 1
                return other.result().file
            if self._sent.get(content) is other:
                del self._sent[content]
        return await self._first(content, self._cached_or_sent(content, source, fields))

    async def _cached_or_sent(
        self, content: ContentKey, source: Source, fields: PresignFields
    ) -> CachedUpload:
        if self._cache is not None:
            cached = await self._cache.get(content)
            if cached is not None:
                self.saved += 1
                return cached
        uploaded = await self._uploader.send(source, fields, sha256=content.sha256)
        sent = CachedUpload(uploaded, time.time())
        if self._cache is not None:
            self._cache.put(content, sent)
            remote = _remote(source)
            if remote is not None and remote.content is not None:
                self._cache.put_content(remote.version, remote.content)
        return sent

    async def _first(self, content: ContentKey, sending: Awaitable[CachedUpload]) -> UploadedFile:
        promise: asyncio.Future[CachedUpload] = asyncio.get_running_loop().create_future()
        self._sent[content] = promise
        try:
            sent = await sending
        except OpusError as error:
            del self._sent[content]
            promise.set_exception(copy.copy(error))
            promise.exception()  # nobody may have waited
            raise
        except BaseException:
            del self._sent[content]
            promise.cancel()  # the next in line becomes the first
            raise
        promise.set_result(sent)
        self._forget_oldest()
        return sent.file

    def _forget_oldest(self) -> None:
        while len(self._sent) > REMEMBERED:
            oldest = next(iter(self._sent))
            if not self._sent[oldest].done():
                return
            del self._sent[oldest]


def _remote(source: Source) -> RemoteSource | None:
    """The source, if it is a document that lies elsewhere."""
    from opus_async.remote.source import RemoteSource  # noqa: PLC0415 - most files are here

    return source if isinstance(source, RemoteSource) else None
