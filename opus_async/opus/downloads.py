"""Downloads from the platform's storage: a presigned URL, a GET, a check, a rename.

A ``fileUrl`` cannot be fetched itself. The presigned URL is asked for when the slot of the download is ours,
directly before the GET, so none expires in a queue; a 403 is answered with a new one. Faults on the way from
storage are repeated below, with the same URL and from the first byte. The key goes to the API alone.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

from opus_async.config import Timeouts
from opus_async.errors import DownloadError, OpusError, TransportError, ValidationFailed
from opus_async.events import RequestSent
from opus_async.models import DownloadedFile
from opus_async.opus.api import Api
from opus_async.opus.protocol.undocumented import PresignedDownload
from opus_async.opus.uploads import FORBIDDEN, FRESH_URLS
from opus_async.transport.attempt import Attempt
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.hosts import Storage
from opus_async.transport.http import Http
from opus_async.transport.limits import RequestLimiter
from opus_async.transport.urls import without_query

if TYPE_CHECKING:
    from opus_async.transport.download import Received
    from opus_async.transport.part_file import Destination

log = logging.getLogger("opus_async.opus")


class Downloader:
    """Downloads files: gets a presigned URL for each, and GETs it.

    Args:
        api: Gives presigned URLs.
        http: Makes the GET.
        slots: Bounds the files on the wire (``Limits.upload_concurrency``).
        storage: Repeats a GET, and slows down when storage asks for it.
        timeouts: ``upload_stall`` is used, which holds for both directions.
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
        notify: Dispatcher,
    ) -> None:
        self._api = api
        self._http = http
        self._slots = slots
        self._storage = storage
        self._timeouts = timeouts
        self._notify = notify
        self._by_workspace = True

    async def fetch(
        self, file_url: str, destination: Destination, *, workspace_id: str | None = None
    ) -> DownloadedFile:
        """Download one file.

        Args:
            file_url: The ``fileUrl``.
            destination: Where it goes.
            workspace_id: Where it lives, where that is known.

        Raises:
            DownloadError: Storage refused it, or it cannot be written.
            OpusError: The platform gave no URL for it, or no complete answer came.
        """
        async with self._slots.slot():
            for urls_left in reversed(range(FRESH_URLS)):
                place = await self._ask(file_url, workspace_id)
                try:
                    got = await self._get(place, destination)
                except DownloadError as error:
                    if not urls_left or not (error.status == FORBIDDEN or error.expired):
                        raise
                    log.info("%s: storage said no (%s); asking for a new URL", destination.path, error.code)
                else:
                    kind = got.content_type or place.content_type
                    return DownloadedFile(got.path, got.size, got.sha256, kind)
        raise AssertionError("unreachable: the last round returns or raises")

    async def _ask(self, file_url: str, workspace_id: str | None) -> PresignedDownload:
        """Ask for a URL in the form that worked last, and once in the other where the first is refused."""
        if workspace_id is None:
            return await self._ask_without_workspace(file_url)
        first, other = (workspace_id, None) if self._by_workspace else (None, workspace_id)
        try:
            return await self._api.download(file_url, workspace_id=first)
        except ValidationFailed as error:
            refusal = error
        try:
            place = await self._api.download(file_url, workspace_id=other)
        except ValidationFailed:
            raise refusal from None
        self._by_workspace = other is not None
        return place

    async def _ask_without_workspace(self, file_url: str) -> PresignedDownload:
        try:
            return await self._api.download(file_url, workspace_id=None)
        except ValidationFailed as error:
            error.message = f"{error.message} Some servers want the workspace_id= of the file beside its URL."
            raise

    async def _get(self, place: PresignedDownload, destination: Destination) -> Received:
        from opus_async.transport.download import get_file  # noqa: PLC0415 - most programs download nothing

        async def attempt(this: Attempt) -> Received:
            try:
                got = await get_file(
                    self._http,
                    place.get_url,
                    destination,
                    expected_size=place.size,
                    stall=self._timeouts.upload_stall,
                )
            except OpusError as error:
                self._api.secrets.mask_error(error)
                raise
            for meter in self._notify.meters:
                meter.answered("get", this.kind, HTTPStatus.OK, this.waited, got.seconds)
            if RequestSent in self._notify.heard:
                url = without_query(place.get_url)
                self._notify(this.answered("get", "GET", url, status=HTTPStatus.OK, seconds=got.seconds))
            return got

        try:
            return await self._storage(place.get_url).call("get", attempt)
        except TransportError as error:
            error.storage = True
            raise
