"""A cache of uploads that outlives the process: what lies in the platform's storage is not sent again.

How long the platform keeps a file is not documented, so what is a day old is sent again.
"""

from __future__ import annotations

import json
import time
from typing import NamedTuple

from opus_async.models import UploadedFile
from opus_async.opus.api import Api
from opus_async.platform import Cache
from opus_async.remote.contents import content_name
from opus_async.transport.urls import without_query

LIFE = 24 * 3600.0
"""Seconds for which an upload is believed to be there: our own caution."""


class ContentKey(NamedTuple):
    """The key of the cache: the content of a file, and as what and where it is stored.

    ``sha256`` is what identifies the content: of a document elsewhere its URL and version, not a digest.
    """

    sha256: str
    size: int
    extension: str
    access_scope: str | None
    workflow_id: str | None
    workspace_id: str | None


class CachedUpload(NamedTuple):
    """A cached upload, and when it was made: seconds since the epoch."""

    file: UploadedFile
    at: float

    @property
    def is_fresh(self) -> bool:
        """Whether it is young enough to be used. A clock that was set costs one more upload at worst."""
        return abs(time.time() - self.at) < LIFE


class UploadCache:
    """Keeps uploads in a :class:`~opus_async.platform.Cache`, by content, host and generation of the API.

    Args:
        cache: Where they are kept; it may outlive hosts and generations of the API.
        api: Tells host and generation.
    """

    def __init__(self, cache: Cache, api: Api) -> None:
        self._cache = cache
        self._api = api

    async def get(self, content: ContentKey) -> CachedUpload | None:
        """Get the upload of this content; None when there is none that may be used."""
        text = await self._cache.get(self._name(content))
        sent = None if text is None else _read(text, content)
        return sent if sent is not None and sent.is_fresh else None

    def put(self, content: ContentKey, sent: CachedUpload) -> None:
        """Keep an upload, unless its URL, by a query, a user or a password, may be secret or expire."""
        url = sent.file.url
        if without_query(url) == url:
            value = {"url": url, "size": sent.file.size, "at": round(sent.at, 3)}
            self._cache.put(self._name(content), json.dumps(value))

    def put_content(self, identity: str, sha256: str) -> None:
        """Keep what a version of a document elsewhere held; it is the same wherever it was sent to."""
        self._cache.put(content_name(identity), sha256)

    def _name(self, content: ContentKey) -> str:
        return json.dumps(
            [
                "upload",
                self._api.base_url,
                self._api.generation,
                content.workflow_id,
                content.workspace_id,
                content.access_scope,
                content.extension,
                content.size,
                content.sha256,
            ]
        )


def _read(text: str, content: ContentKey) -> CachedUpload | None:
    """Parse what was kept; None when it is not an upload of this size."""
    try:
        held = json.loads(text)
        url, size, at = held["url"], held["size"], held["at"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(url, str) or size != content.size or not isinstance(at, int | float):
        return None
    return CachedUpload(UploadedFile(url, content.size, content.sha256), at)
