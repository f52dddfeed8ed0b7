"""Finding jobs and tidying up: calls that the vendor does not document and that working clients make."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import date

from opus_async.errors import APIError, InvalidInputs, ProtocolError
from opus_async.input_problems import bad_argument
from opus_async.models import JobDetail
from opus_async.opus.api import Api
from opus_async.opus.protocol import job_management
from opus_async.opus.protocol.api_messages import ApiRequest
from opus_async.opus.protocol.job_management import SearchFields

PAGE = 25
"""What the platform gives when it is not asked for a number; more is not known to be taken."""

_DONE_ALREADY = frozenset({400, 404, 409})


class JobSearch(AsyncIterator[JobDetail]):
    """The jobs that match a search, read page by page as they are asked for.

    A job that is made while the pages are read moves the others on: those seen a moment ago are not given
    twice. One that is archived or deleted meanwhile can hide another.

    Attributes:
        total: How many match, as the platform counts them; None before the first job was asked for.
    """

    def __init__(
        self, api: Api, fields: SearchFields, statuses: Sequence[str | None], page_size: int
    ) -> None:
        self.total: int | None = None
        self._api = api
        self._searches = deque(replace(fields, status=status) for status in statuses)
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
        """Read one page more. No total is documented, so that it ends nothing but a page that is not full."""
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


class JobManagement:
    """The calls about jobs that are observed and not documented; ids of v0 only."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def search(
        self,
        *,
        workflow_id: str | None = None,
        status: str | Iterable[str] | None = None,
        query: str | None = None,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        page_size: int = PAGE,
    ) -> JobSearch:
        """Find jobs (``GET /job/search``; observed, not documented): an async iterator over all pages.

        Args:
            workflow_id: Jobs of this workflow.
            status: One status or several; several are read one after the other.
            query: Words to look for.
            start_date: The first day, or moment, of creation.
            end_date: The last.
            page_size: Jobs per request.

        Raises:
            InvalidInputs: A date or the page size is none.
        """
        if page_size < 1:
            raise InvalidInputs([bad_argument(f"page_size is {page_size}: give 1 or more")])
        fields = SearchFields(workflow_id=workflow_id, query=query, start_date=start_date, end_date=end_date)
        statuses = [status] if status is None or isinstance(status, str) else list(dict.fromkeys(status))
        job_management.search(
            fields, offset=0, limit=page_size
        )  # a bad date is told here, not at the first job
        return JobSearch(self._api, fields, statuses, page_size)

    async def get(self, job_id: str) -> JobDetail:
        """Fetch everything there is about a job (``GET /job/{id}``; observed, not documented)."""
        return await self._api.job_call(job_management.detail(job_id), job_management.read_detail)

    async def _order(self, call: ApiRequest) -> None:
        """Give an order; a refusal that follows a lost answer means that it was obeyed."""
        lost = False

        def on_lost() -> None:
            nonlocal lost
            lost = True

        try:
            await self._api.job_call(call, job_management.read_done, on_lost)
        except APIError as error:
            if not lost or error.status not in _DONE_ALREADY:
                raise

    async def archive(self, job_id: str) -> None:
        """Take a job out of the lists (``POST /job/{id}/archive``; observed, not documented)."""
        await self._order(job_management.archive(job_id))

    async def unarchive(self, job_id: str) -> None:
        """Put it back (``DELETE /job/{id}/archive``; observed, not documented)."""
        await self._order(job_management.unarchive(job_id))

    async def duplicate(self, job_id: str) -> str:
        """Copy a job into a new, unbilled shell (``GET /job/{id}/duplicate``; observed, not documented).

        Returns:
            The id of the copy. Not repeated after a lost answer, which can have left one.
        """
        read = functools.partial(job_management.read_duplicate, of=job_id)
        return await self._api.job_call(job_management.duplicate(job_id), read)

    async def delete(self, job_id: str) -> None:
        """Delete a job for good (``DELETE /job/{id}/delete``; observed, not documented)."""
        await self._order(job_management.delete(job_id))
