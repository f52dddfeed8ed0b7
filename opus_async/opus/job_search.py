"""The jobs that match a search, as an async iterator over its pages."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence

from opus_async.errors import ProtocolError
from opus_async.models import JobDetail
from opus_async.opus.api import Api
from opus_async.opus.protocol import job_management
from opus_async.opus.protocol.job_management import SearchFields

PAGE_SIZE = 25
"""Jobs on a page where none is asked for; whether the platform takes a larger number is not known."""


class JobSearch(AsyncIterator[JobDetail]):
    """The jobs that match a search, read page by page as they are asked for.

    A job that is made while the pages are read moves the others on: those seen a moment ago are not given
    twice. One that is archived or deleted meanwhile can hide another.

    Args:
        api: Sends the searches.
        fields: What is searched for, its status aside.
        statuses: Searched for one after the other; None for jobs of any status.
        page_size: Jobs per request.

    Attributes:
        total: How many match, as the platform counts them; None before the first job was asked for.

    Raises:
        InvalidInputs: A date is none.
    """

    def __init__(
        self, api: Api, fields: SearchFields, statuses: Sequence[str | None], page_size: int
    ) -> None:
        job_management.search(fields, offset=0, limit=page_size)  # tells a bad date now, not at the first job
        self.total: int | None = None
        self._api = api
        self._searches = deque(fields._replace(status=status) for status in statuses)
        self._page_size = page_size
        self._offset = 0
        self._found = 0
        self._jobs: deque[JobDetail] = deque()
        self._seen: deque[frozenset[str]] = deque(maxlen=2)

    async def __anext__(self) -> JobDetail:
        while not self._jobs:
            if not self._searches:
                raise StopAsyncIteration
            await self._turn_page()
        return self._jobs.popleft()

    async def _turn_page(self) -> None:
        """Read the next page. No total is documented: it only ends a search whose last page was not full."""
        call = job_management.search(self._searches[0], offset=self._offset, limit=self._page_size)
        page = await self._api.job_call(call, job_management.read_page)
        ids = frozenset(job.job_id for job in page.jobs)
        new = [job for job in page.jobs if not any(job.job_id in seen for seen in self._seen)]
        repeated = bool(self._seen) and ids == self._seen[-1]
        if self._offset == 0 and page.total is not None:
            self.total = (self.total or 0) + page.total
        self._offset += page.entries
        self._found += len(new)
        self._jobs.extend(new)
        self._seen.append(ids)
        if (repeated or not page.entries) and page.total is not None and self._found < page.total:
            raise ProtocolError(
                f"The search gives nothing more after {self._found} of {page.total} jobs: this server turns "
                "pages in another way. Narrow the search, or give a larger page_size"
            )
        full = page.entries >= self._page_size
        told_all = page.total is not None and page.total <= self._offset
        if not page.entries or repeated or (told_all and not full):
            self._searches.popleft()
            self._seen.clear()
            self._offset = self._found = 0
