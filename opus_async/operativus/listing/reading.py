"""One reading of a list of runs: which pages it takes to tell how the runs stand that are asked about.

From the top it reads to what was the top the time before, so that no new row is missed, and as far as runs
need of which nobody knows yet where they stand. The rows of the others are looked for where they must be by
now.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from opus_async.errors import NotFound, OpusError
from opus_async.gaps import gapped
from opus_async.models import JobStatus
from opus_async.operativus.listing.depth import WIDE_OVERLAP, Target, TopRow
from opus_async.operativus.listing.tracked import Row, Tracked
from opus_async.operativus.models import Run
from opus_async.operativus.protocol.pages import REPEATS_BELIEVED, Page
from opus_async.platform import NOT_LISTED

ReadPage: TypeAlias = Callable[[int], Awaitable[Page[Run]]]
"""Fetches the page with this number, from 0."""
Answer: TypeAlias = JobStatus | OpusError


class Reading:
    """Reads a list once.

    Args:
        number: Of the reading, higher than those of all before it.
        read_page: Fetches a page.
        tracked: All runs that are looked after, by the id that they are asked about by.
        asked: Those that this reading is for.
        thorough: Of these, the ones whose absence is to be proved.
        top: What was the top of the list when it was read last; None where nobody needs to know what came
            since.

    Attributes:
        top: What is its top now; None until it is known.
        is_complete: Whether it was read down to all that was wanted: then no row above is missing.
    """

    def __init__(
        self,
        number: int,
        read_page: ReadPage,
        tracked: Mapping[str, Tracked],
        *,
        asked: Sequence[str],
        thorough: Sequence[str],
        top: TopRow | None,
    ) -> None:
        self.top: TopRow | None = None
        self.is_complete = False
        self._number = number
        self._fetch = read_page
        self._tracked = tracked
        self._of_key = {key: tracked[key] for key in asked}  # one can be forgotten while this reads
        self._asked = list(self._of_key.values())
        self._targets = [] if top is None else [Target(top)]
        self._targets += [Target(self._of_key[key].since, WIDE_OVERLAP) for key in thorough]
        self._unread = {each.key: Target(each.unread) for each in self._asked if each.unread is not None}
        self._total: int | None = None
        self._first_total: int | None = None
        self._size = 0
        self._read: set[int] = set()
        self._passed: set[str] = set()
        """Ids of the rows seen so far; one that moved on to the next page has been seen already."""
        self._depth = 0
        """Pages read from the top on without a gap."""
        self._repeats = 0
        self._ended = False
        self._error: OpusError | None = None
        self._missing: set[str] = set()
        """Ids of runs whose rows are not in the list any more."""

    async def read(self) -> None:
        """Read what is wanted; what could not be read shows in the answers."""
        try:
            await self._read_from_top()
            await self._read_rows()
        except OpusError as error:
            self._error = error

    def answers(self) -> Iterator[tuple[str, Answer]]:
        """How the runs stand that were asked about, and any other that it tells of."""
        for key, tracked in {**self._tracked, **self._of_key}.items():
            answer = self._answer(tracked, asked=key in self._of_key)
            if answer is not None:
                yield key, answer

    def settles(self, tracked: Tracked) -> bool:
        """Whether nothing more has to be looked through for a run: its rows were seen, or would have been."""
        return self._is_found(tracked) or self.covers(tracked)

    def covers(self, tracked: Tracked) -> bool:
        """Whether any row of a run would have been seen that is not known yet."""
        target = self._unread.get(tracked.key)
        read = self._ended or (target is not None and target.is_reached)
        return self.is_complete and (tracked.unread is None or read)

    def _answer(self, tracked: Tracked, *, asked: bool) -> Answer | None:
        """How a run stands; None where this reading does not tell, and was not asked."""
        status = tracked.status
        if status is not None and tracked.is_current(self._number) and self.settles(tracked):
            return status
        if tracked.key in self._missing:
            return _gone(tracked)
        if status is None and self.covers(tracked):
            return _never_here(tracked) if tracked.elsewhere else NOT_LISTED
        return self._error if asked else None

    # From the top

    async def _read_from_top(self) -> None:
        page = await self._page(0)
        self.top = TopRow.of(page.items[0] if page.items else None)
        while not self._ended and not self._is_far_enough():
            await self._next_page()
        self.is_complete = True

    def _is_far_enough(self) -> bool:
        return all(target.is_reached for target in self._targets) and all(
            target.is_reached or self._is_found(self._of_key[key]) for key, target in self._unread.items()
        )

    def _is_found(self, tracked: Tracked) -> bool:
        """Whether the rows of a run were seen of which nobody knew where they stand."""
        return tracked.alias is None and tracked.is_current(self._number)

    async def _next_page(self) -> None:
        """Read the page after those that were read from the top on."""
        await self._page(self._depth)

    async def _page(self, number: int) -> Page[Run]:
        page = await self._fetch(number)
        self._read.add(number)
        self._size = max(self._size, page.size or page.entries)
        if page.total is not None:
            self._total = page.total
            if self._depth == 0:
                self._first_total = page.total
        passed = len(self._passed)
        turned = page.number is None or page.number >= number  # a server that turns no pages gives the first
        follows = number == self._depth
        if turned:
            came = 0 if page.total is None or self._first_total is None else page.total - self._first_total
            for place, run in enumerate(page.items, number * self._size):
                self._see(run, place, follows=follows and place >= came)  # else it came since the first page
        if follows:
            self._depth += 1
            is_new = page.number is not None or len(self._passed) > passed
            self._repeats = 0 if is_new else self._repeats + 1
            stuck = not turned or self._repeats == REPEATS_BELIEVED
            self._ended = self._ended or stuck or page.is_last(number)
        return page

    def _see(self, run: Run, place: int, *, follows: bool) -> None:
        for key in (run.session_id, run.id):
            tracked = self._tracked.get(key) if key is not None else None
            if tracked is not None:
                tracked.see(run, place, self._total, self._number)
        if follows and run.id not in self._passed:
            self._passed.add(run.id)
            for target in (*self._targets, *self._unread.values()):
                target.passes(run)

    # Rows further down

    async def _read_rows(self) -> None:
        """Read the rows of the runs asked about that are further down than was read."""
        wanted = [
            (row, tracked)
            for tracked in self._asked
            for row in tracked.needed()
            if row.reading != self._number
        ]
        wanted.sort(key=lambda each: each[0].place)
        for row, tracked in wanted:
            if not await self._find(row, tracked):
                self._missing.add(tracked.key)

    async def _find(self, row: Row, tracked: Tracked) -> bool:
        """Read the page with a row that was seen before; whether there is one."""

        def is_seen() -> bool:
            now = tracked.rows.get(row.run.id)
            return now is not None and now.reading == self._number

        if is_seen():
            return True
        for number in self._likely_pages(row):
            if number not in self._read:
                await self._page(number)
                if is_seen():
                    return True
        below = Target(TopRow.of(row.run))
        self._targets.append(below)
        while not self._ended and not below.is_reached:
            await self._next_page()
            if is_seen():
                return True
        return False

    def _likely_pages(self, row: Row) -> Iterator[int]:
        """Where a row must be by now; a page further, where others came since the first page was read."""
        expected = row.expected(self._total)
        if expected is None or not self._size:
            return
        number = expected // self._size
        yield from (number, number + 1)
        if number:
            yield number - 1


def _gone(tracked: Tracked) -> NotFound:
    run = tracked.run
    named = tracked.key if run is None else run.id
    return NotFound(
        gapped("The list of runs has shown run {} before and does not show it any more", named),
        status=404,
        job_id=tracked.key,
    )


def _never_here(tracked: Tracked) -> NotFound:
    return NotFound(
        gapped("The list of runs of this workflow does not show {}, which was made for another", tracked.key),
        status=404,
        job_id=tracked.key,
    )
