"""The list of one workflow's runs: whoever asks about runs at the same time shares one reading of it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from opus_async.operativus.listing.depth import BOTTOM, TopRow
from opus_async.operativus.listing.reading import Answer, Reading, ReadPage
from opus_async.operativus.listing.tracked import Tracked
from opus_async.operativus.models import Run

APART = 0.2
"""Seconds between the beginnings of two readings: no more than five first pages a second for one workflow."""
TOP_FRESH = 5.0
"""Seconds for which the top of a list that nothing is watched of is known well enough for a new run."""
REREAD_AFTER = 600.0
"""Seconds after which all rows since some time before its order are looked through again for a run that is
not listed: where somebody deletes rows while pages are read, or puts the server's clock back, one can be
missed."""
REMEMBERED = 10_000
"""Runs that nobody asks about for now (they wait for a person, say) and of which it is kept where they
stand."""

ReadTop: TypeAlias = Callable[[], Awaitable[Run | None]]
"""Reads the row at the top of the list; None where there is none."""
OnShown: TypeAlias = Callable[[str, float], None]
"""Told of each run that has a row now, and since when that is known, in seconds of the loop's clock."""


class _Round:
    """Those who share the next reading."""

    def __init__(self) -> None:
        self.asked: dict[str, bool] = {}
        """Id -> whether the absence of its row is to be proved."""
        self.answers: Mapping[str, Answer] | None = None


class RunListing:
    """The list of one workflow's runs.

    Args:
        read_page: Fetches a page of it, once and without retries.
        read_top: Reads the row at its top, with retries.
        on_shown: Told which runs have a row.
    """

    def __init__(self, read_page: ReadPage, read_top: ReadTop, on_shown: OnShown) -> None:
        self._read_page = read_page
        self._read_top = read_top
        self._on_shown = on_shown
        self._tracked: dict[str, Tracked] = {}
        self._remembered: OrderedDict[str, Tracked] = OrderedDict()
        self._top: TopRow | None = None
        self._top_read_at = float("-inf")
        self._began_at = float("-inf")
        self._readings = 0
        self._next = _Round()
        self._reading = asyncio.Lock()
        self._asking_top = asyncio.Lock()

    @property
    def is_idle(self) -> bool:
        """Whether nothing of it is looked after."""
        return not self._tracked

    async def open(self) -> None:
        """Learn what is at the top, before a run is ordered: whatever comes later stands above it.

        Raises:
            OpusError: The list cannot be read, so that no run could be followed.
        """
        async with self._asking_top:
            if self._top is not None and (self._tracked or self._now() - self._top_read_at < TOP_FRESH):
                return
            read_at = self._now()
            top = TopRow.of(await self._read_top())
            if self._top is None or not self._tracked:
                self._top, self._top_read_at = top, read_at

    def track(self, key: str) -> None:
        """Look after a run that is about to be ordered; the list was opened before."""
        self._tracked[key] = Tracked.new(key, self._top or BOTTOM)

    def attach(self, key: str, alias: str | None = None, *, elsewhere: bool = False) -> None:
        """Look after a run that was ordered before, or by somebody else.

        Args:
            key: Its session, or its own id.
            alias: Its id, where it is known.
            elsewhere: Whether it was made for another workflow.
        """
        tracked = self._tracked.get(key)
        if tracked is not None:
            tracked.users += 1
            return
        tracked = self._remembered.pop(key, None) or Tracked.recovered(key, alias, elsewhere=elsewhere)
        tracked.users = 1
        self._tracked[key] = tracked

    def forget(self, key: str) -> None:
        """Look after a run no longer. Where it stands is kept for a while, unless it is over."""
        tracked = self._tracked.get(key)
        if tracked is None:
            return
        tracked.users -= 1
        if tracked.users:
            return
        del self._tracked[key]
        if tracked.status is not None and tracked.status.is_terminal:
            return
        self._remembered[key] = tracked.forgotten(self._top or BOTTOM)
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)

    @contextmanager
    def attached(self, key: str) -> Iterator[Tracked]:
        """Look after a run of whatever origin for as long as a block lasts."""
        self.attach(key)
        try:
            yield self._tracked[key]
        finally:
            self.forget(key)

    def tracked(self, key: str) -> Tracked | None:
        """What is known of a run that is looked after."""
        return self._tracked.get(key)

    async def look(self, keys: Iterable[str], *, thorough: bool = False) -> Mapping[str, Answer]:
        """See how runs stand, once.

        Args:
            keys: The runs; they are looked after.
            thorough: Whether the absence of a row is to be proved.

        Returns:
            For each its status or the error of reading it. One of those who share a reading also gets what
            it tells of other runs.
        """
        wanted = list(dict.fromkeys(keys))
        this = self._next
        for key in wanted:
            this.asked[key] = thorough or this.asked.get(key, False)
        async with self._reading:
            if this.answers is None:
                await self._wait_for_turn()
                if self._next is this:
                    self._next = _Round()
                this.answers = answers = await self._read(this.asked)
                return answers
        return {key: this.answers[key] for key in wanted if key in this.answers}

    async def _wait_for_turn(self) -> None:
        wait = self._began_at + APART - self._now()
        if wait > 0:
            await asyncio.sleep(wait)

    async def _read(self, asked: Mapping[str, bool]) -> Mapping[str, Answer]:
        """Read the list for those runs of these that are still looked after."""
        began = self._began_at = self._now()
        keys = [key for key in asked if key in self._tracked]
        self._reread_if_late(keys, began)
        self._readings += 1
        reading = Reading(
            self._readings,
            self._read_page,
            self._tracked,
            asked=keys,
            thorough=[key for key in keys if asked[key]],
            top=self._top,
        )
        await reading.read()
        answers = dict(reading.answers())
        self._note(reading, keys, began)
        self._tell_shown(self._now())
        return answers

    def _note(self, reading: Reading, keys: Iterable[str], began: float) -> None:
        """Keep what a reading has shown."""
        for key in keys:
            tracked = self._tracked.get(key)
            if tracked is None or not reading.settles(tracked):
                continue
            covered = reading.covers(tracked)
            tracked.unread = None
            if covered:
                tracked.alias, tracked.looked_at = None, began
                if tracked.since == BOTTOM and not tracked.rows and reading.top is not None:
                    tracked.since = reading.top
        if reading.is_complete and reading.top is not None:
            self._top, self._top_read_at = reading.top, began

    def _tell_shown(self, now: float) -> None:
        """Tell which runs have a row since the last reading, those among them that came while it was made."""
        for tracked in self._tracked.values():
            if tracked.rows and not tracked.is_told:
                tracked.is_told = True
                self._on_shown(tracked.key, now)

    def _reread_if_late(self, keys: Iterable[str], now: float) -> None:
        """Have the rows looked through again for these runs; one reading does it for all that are absent."""
        absent = [each for each in self._tracked.values() if not each.rows]
        for each in absent:
            each.reread_at = now if each.reread_at is None else each.reread_at
        asked = [tracked for key in keys if not (tracked := self._tracked[key]).rows]
        if not asked or all(now - (each.reread_at or now) <= REREAD_AFTER for each in absent):
            return
        oldest = min((each.since for each in absent), key=lambda row: row.age_order)
        for tracked in asked:
            tracked.unread = tracked.unread or oldest.before_clock_step
        for each in absent:
            each.reread_at = now

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
