"""One reading of a list that changes while it is read: nothing is missed, nothing is told twice."""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from virtual_time import run_virtual

from opus_async.errors import NotFound, TransportError
from opus_async.models import JobStatus
from opus_async.operativus.listing import listing
from opus_async.operativus.listing.listing import RunListing
from opus_async.operativus.models import Run
from opus_async.operativus.pages import Pages
from opus_async.operativus.protocol.pages import Page
from opus_async.operativus.protocol.statuses import status_of
from opus_async.platform import NOT_LISTED

BEGAN = datetime(2026, 5, 6, tzinfo=UTC)


@dataclass
class ListServer:
    """A list of runs, newest first, that can change before each page is given out."""

    size: int = 10
    tells_total: bool = True
    tells_times: bool = True
    rows: list[Run] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    between: list = field(default_factory=list)
    """Called before each page, one for each, in turn."""
    made: int = 0

    def show(self, session: str, word: str = "RUNNING", *, below: int = 0) -> Run:
        """Let a row appear at the top, or below some rows of the same moment."""
        self.made += 1
        at = BEGAN + timedelta(seconds=self.made if below == 0 else 0)
        if below:
            at = self.rows[below - 1].created_at or BEGAN
        run = Run(
            f"run-{self.made}", "wf", session, status_of(word), created_at=at if self.tells_times else None
        )
        self.rows.insert(min(below, len(self.rows)), run)
        return run

    def change(self, session: str, word: str) -> None:
        for place, run in enumerate(self.rows):
            if run.session_id == session:
                self.rows[place] = Run(run.id, "wf", session, status_of(word), created_at=run.created_at)
                return
        raise AssertionError(session)

    async def read_page(self, number: int) -> Page[Run]:
        if self.between:
            self.between.pop(0)()
        self.pages.append(number)
        await asyncio.sleep(0.01)
        content = self.rows[number * self.size : (number + 1) * self.size]
        total = len(self.rows)
        return Page(
            items=tuple(content),
            entries=len(content),
            number=number,
            size=self.size if self.tells_total else None,
            total=total if self.tells_total else None,
            total_pages=-(-total // self.size) if self.tells_total else None,
        )

    async def read_top(self) -> Run | None:
        await asyncio.sleep(0.01)
        return self.rows[0] if self.rows else None


def listing_of(server: ListServer) -> RunListing:
    return RunListing(server.read_page, server.read_top, lambda key, at: None)


def test_reading_of_open_list_takes_one_page_whatever_is_below():
    """Thousands of old runs cost nothing, also while a run is not listed yet."""
    server = ListServer(size=200)
    for number in range(5000):
        server.show(f"old-{number}", "COMPLETED")

    async def main():
        runs = listing_of(server)
        await runs.open()
        runs.track("mine")
        for _ in range(3):
            assert await runs.look(["mine"]) == {"mine": NOT_LISTED}
        server.show("mine")
        assert await runs.look(["mine"]) == {"mine": "IN_PROGRESS"}

    run_virtual(main())
    assert server.pages == [0, 0, 0, 0]


def test_reading_goes_to_the_page_where_an_old_open_run_must_be():
    server = ListServer(size=10)

    async def main():
        runs = listing_of(server)
        await runs.open()
        runs.track("slow")
        server.show("slow")
        await runs.look(["slow"])
        for number in range(1000):
            server.show(f"other-{number}", "COMPLETED")
            if number % 50 == 0:
                await runs.look(["slow"])
        server.pages.clear()
        assert await runs.look(["slow"]) == {"slow": "IN_PROGRESS"}

    run_virtual(main())
    assert len(server.pages) <= 10  # those that hold what is new since the last look, and the one
    assert server.pages[-1] == 100


@pytest.mark.parametrize("tells_total", [True, False])
def test_reading_reads_on_to_a_run_of_an_earlier_process(tells_total):
    server = ListServer(size=10, tells_total=tells_total)
    server.show("mine", "COMPLETED")
    for number in range(95):
        server.show(f"other-{number}", "COMPLETED")

    async def main():
        runs = listing_of(server)
        runs.attach("mine")
        assert await runs.look(["mine"]) == {"mine": "COMPLETED"}

    run_virtual(main())
    assert server.pages == list(range(10))


def test_reading_reads_whole_list_once_for_a_run_that_is_not_there():
    server = ListServer(size=10)
    for number in range(95):
        server.show(f"other-{number}", "COMPLETED")

    async def main():
        runs = listing_of(server)
        runs.attach("never")
        for _ in range(3):
            assert await runs.look(["never"]) == {"never": NOT_LISTED}
        server.show("never")
        assert (await runs.look(["never"]))["never"] == "IN_PROGRESS"

    run_virtual(main())
    assert server.pages[:10] == list(range(10))
    assert set(server.pages[10:]) <= {0, 1, 2}


def test_reading_never_takes_absence_for_an_end():
    server = ListServer()

    async def main():
        runs = listing_of(server)
        await runs.open()
        runs.track("mine")
        server.show("mine")
        await runs.look(["mine"])
        server.rows.clear()
        gone = (await runs.look(["mine"]))["mine"]
        assert isinstance(gone, NotFound)
        assert "does not show it any more" in gone.message

    run_virtual(main())


def test_reading_that_breaks_off_answers_what_it_has_seen():
    server = ListServer(size=10)
    for number in range(95):
        server.show(f"other-{number}", "COMPLETED")

    def fail():
        raise TransportError("reset", request_sent=True)

    async def main():
        runs = listing_of(server)
        runs.attach("other-90")
        runs.attach("other-10")
        server.between = [lambda: None, lambda: None, fail]
        answers = await runs.look(["other-90", "other-10"])
        assert answers["other-90"] == "COMPLETED"
        assert isinstance(answers["other-10"], TransportError)
        assert (await runs.look(["other-10"]))["other-10"] == "COMPLETED"

    run_virtual(main())


def test_reading_that_broke_off_leaves_no_gap():
    """Rows that came since the last whole reading are looked through by the next one."""
    server = ListServer(size=10)

    def fail():
        raise TransportError("reset", request_sent=True)

    async def main():
        runs = listing_of(server)
        await runs.open()
        runs.track("mine")
        await runs.look(["mine"])
        server.show("mine")
        for number in range(25):
            server.show(f"a-{number}", "COMPLETED")
        server.between = [lambda: None, fail]
        assert isinstance((await runs.look(["mine"]))["mine"], TransportError)
        for number in range(40):
            server.show(f"b-{number}", "COMPLETED")
        assert (await runs.look(["mine"]))["mine"] == "IN_PROGRESS"

    run_virtual(main())


def test_reading_ends_where_a_server_gives_the_same_page_again():
    server = ListServer(size=10)
    for number in range(50):
        server.show(f"other-{number}", "COMPLETED")

    async def first_page(_: int) -> Page[Run]:
        server.pages.append(0)
        return Page(items=tuple(server.rows[:10]), entries=10, number=0, size=10, total=50, total_pages=5)

    async def main():
        runs = RunListing(first_page, server.read_top, lambda key, at: None)
        runs.attach("other-3")
        assert (await runs.look(["other-3"]))["other-3"] is NOT_LISTED

    run_virtual(main())
    assert len(server.pages) == 2


def test_reading_ends_where_a_server_gives_the_same_page_again_and_tells_no_counts():
    rows = tuple(Run(f"run-{n}", "wf", f"session-{n}", status_of("COMPLETED")) for n in range(10))
    asked = []

    async def read_page(number: int) -> Page[Run]:
        asked.append(number)
        assert len(asked) < 100
        return Page(items=rows, entries=len(rows))

    async def main():
        runs = RunListing(read_page, lambda: asyncio.sleep(0, rows[0]), lambda key, at: None)
        runs.attach("mine")
        assert await runs.look(["mine"]) == {"mine": NOT_LISTED}
        assert [run.id async for run in Pages(read_page, lambda run: run.id)] == [run.id for run in rows]

    run_virtual(main())


def test_run_that_shows_among_older_ones_after_the_clock_was_put_back_is_found():
    """Servers tell local times, of which an hour comes twice in autumn."""
    server = ListServer(size=200)
    for number in range(12_000):
        server.show(f"old-{number}", "COMPLETED")

    async def main():
        runs = listing_of(server)
        await runs.open()
        for key in ("mine", "later"):
            runs.track(key)
        server.show("mine", below=3600)  # rows are a second apart
        server.pages.clear()
        assert await runs.look(["mine", "later"]) == {"mine": NOT_LISTED, "later": NOT_LISTED}
        assert server.pages == [0]
        await asyncio.sleep(listing.REREAD_AFTER + 1)
        assert (await runs.look(["later"]))["mine"] == "IN_PROGRESS"  # one reading does it for all
        assert len(server.pages) < 45
        server.pages.clear()
        assert await runs.look(["later"]) == {"later": NOT_LISTED}
        assert server.pages == [0]

    run_virtual(main())


def test_session_is_over_when_none_of_its_runs_is_open():
    """A server starts a run that takes long again, as another row of its session."""
    server = ListServer(size=5)

    async def main():
        runs = listing_of(server)
        await runs.open()
        runs.track("mine")
        first = server.show("mine")
        await runs.look(["mine"])
        for number in range(12):
            server.show(f"other-{number}", "COMPLETED")
        second = server.show("mine", "COMPLETED")
        assert (await runs.look(["mine"]))["mine"] == "IN_PROGRESS"  # the first one still runs
        server.rows = [
            Run(row.id, "wf", row.session_id, JobStatus.FAILED if row.id == first.id else row.status)
            for row in server.rows
        ]
        assert (await runs.look(["mine"]))["mine"] == "COMPLETED"  # the newest tells the outcome
        assert [run.id for run in runs.tracked("mine").runs] == [second.id, first.id]

    run_virtual(main())


def test_alias_of_a_recovered_run_is_looked_for_beside_a_newer_row():
    server = ListServer(size=5)
    first = server.show("mine")
    for number in range(12):
        server.show(f"other-{number}", "COMPLETED")
    server.show("mine", "COMPLETED")

    async def main():
        runs = listing_of(server)
        runs.attach("mine", first.id)
        assert (await runs.look(["mine"]))["mine"] == "IN_PROGRESS"

    run_virtual(main())


def test_parked_run_is_found_again_without_reading_down_to_it():
    server = ListServer(size=10)

    async def main():
        runs = listing_of(server)
        await runs.open()
        runs.track("parked")
        server.show("parked", "PAUSED")
        await runs.look(["parked"])
        runs.forget("parked")
        for number in range(500):
            server.show(f"other-{number}", "COMPLETED")
        runs.attach("other-499")
        await runs.look(["other-499"])
        runs.attach("parked")
        await runs.look(["parked"])  # what came while nobody looked is looked through once
        server.pages.clear()
        runs.forget("parked")
        runs.attach("parked")
        assert (await runs.look(["parked"]))["parked"] == "WAITING"

    run_virtual(main())
    assert len(server.pages) <= 4


def test_looks_at_the_same_time_share_one_reading():
    server = ListServer(size=10)

    async def main():
        runs = listing_of(server)
        await runs.open()
        keys = [f"mine-{number}" for number in range(60)]
        for key in keys:
            runs.track(key)
            server.show(key)
        server.pages.clear()
        answers = await asyncio.gather(*(runs.look([key]) for key in keys))
        assert all(answer[key] == "IN_PROGRESS" for key, answer in zip(keys, answers, strict=True))
        assert sum(len(answer) > 1 for answer in answers) <= 2  # what others ask about is told once

    run_virtual(main())
    assert server.pages.count(0) <= 2


def test_run_whose_row_came_while_the_list_was_read_is_told_of():
    server, shown = ListServer(size=10), []

    async def main():
        runs = RunListing(server.read_page, server.read_top, lambda key, at: shown.append(key))
        await runs.open()
        runs.track("one")

        def begin() -> None:
            runs.track("two")
            server.show("two")

        server.between = [begin]
        assert (await runs.look(["one"]))["two"] == "IN_PROGRESS"
        await runs.look(["two"])

    run_virtual(main())
    assert shown == ["two"]


def test_readings_of_one_workflow_begin_a_fifth_of_a_second_apart(monkeypatch):
    monkeypatch.setattr(listing, "APART", 0.2)
    server, began = ListServer(size=10), []
    server.between = [lambda: began.append(asyncio.get_running_loop().time())] * 100

    async def main():
        runs = listing_of(server)
        await runs.open()
        runs.track("mine")
        for _ in range(20):
            await runs.look(["mine"])
        for _ in range(20):
            await asyncio.gather(*(runs.look(["mine"]) for _ in range(5)))

    run_virtual(main())
    assert min(after - before for before, after in itertools.pairwise(began)) >= 0.2 - 1e-9


def test_cancelled_look_leaves_the_reading_to_those_who_share_it():
    server = ListServer(size=10)

    async def main():
        runs = listing_of(server)
        await runs.open()
        runs.track("one")
        runs.track("two")
        first = asyncio.ensure_future(runs.look(["one"]))
        second = asyncio.ensure_future(runs.look(["two"]))
        await asyncio.sleep(0.005)
        first.cancel()
        assert await second == {"one": NOT_LISTED, "two": NOT_LISTED}
        assert (await asyncio.gather(first, return_exceptions=True))[0].__class__ is asyncio.CancelledError

    run_virtual(main())


class ChangingList:
    """A list to which rows come between any two pages: foreign ones, and those of runs that are looked
    after."""

    def __init__(self, server: ListServer, random_: random.Random) -> None:
        self.server = server
        self.history: dict[str, list[str]] = {}
        """What each run was, in order."""
        self._random = random_
        self._waiting: list[str] = []

    def order(self, key: str) -> None:
        self._waiting.append(key)
        self.history[key] = [str(NOT_LISTED)]

    def change(self) -> None:
        told = self.server.tells_total or self.server.tells_times
        most = (
            2 * self.server.size if told else 1
        )  # else nobody can tell a page of new rows from the next one
        for _ in range(self._random.choice([0, 0, 0, 1, most])):
            self._add()
        for key, seen in self.history.items():
            if seen[-1] == "IN_PROGRESS" and self._random.random() < 0.1:
                self.server.change(key, "COMPLETED")
                seen.append("COMPLETED")

    def _add(self) -> None:
        if not self._waiting or self._random.random() < 0.5:
            self.server.show(f"foreign-{self.server.made}", self._random.choice(["RUNNING", "COMPLETED"]))
            return
        key = self._waiting.pop(self._random.randrange(len(self._waiting)))
        below = self._random.choice([0, 0, 3])  # of the same moment as others, and visible later
        self.server.show(key, below=min(below, len(self.server.rows)))
        self.history[key].append("IN_PROGRESS")


@given(
    seed=st.integers(0, 2**32),
    size=st.integers(2, 12),
    old=st.integers(0, 60),
    tells_total=st.booleans(),
    tells_times=st.booleans(),
)
@example(seed=1109316917, size=11, old=56, tells_total=True, tells_times=False)
@example(seed=3045469050, size=12, old=26, tells_total=True, tells_times=True)
@example(seed=3044020650, size=12, old=2, tells_total=False, tells_times=True)
def test_readings_miss_no_run_while_rows_appear_between_pages(seed, size, old, tells_total, tells_times):
    """Whatever appears between two pages: no run shows as it was before the look."""
    random_ = random.Random(seed)
    server = ListServer(size=size, tells_total=tells_total, tells_times=tells_times)
    changing = ChangingList(server, random_)
    for number in range(old):
        server.show(f"old-{number}", "COMPLETED")

    async def look(runs: RunListing) -> None:
        watched = [key for key in changing.history if runs.tracked(key) is not None]
        asked = [key for key in watched if random_.random() < 0.7]
        before = {key: len(changing.history[key]) - 1 for key in watched}
        server.between = [changing.change] * 1000
        answers = await runs.look(asked)
        assert set(asked) <= set(answers)
        for key, answer in answers.items():
            assert isinstance(answer, JobStatus), answer
            assert changing.history[key].index(str(answer)) >= before[key], (key, changing.history[key])
            if answer.is_terminal:
                runs.forget(key)

    async def main() -> None:
        runs = listing_of(server)
        await runs.open()
        for round_ in range(12):
            for number in range(random_.randrange(4)):
                runs.track(f"mine-{round_}-{number}")
                changing.order(f"mine-{round_}-{number}")
            await look(runs)

    run_virtual(main())


@given(seed=st.integers(0, 2**32), size=st.integers(1, 9))
def test_reading_tells_no_run_twice(seed, size):
    """A row that moves from one page to the next while both are read is one run."""
    random_ = random.Random(seed)
    server = ListServer(size=size)

    async def main():
        runs = listing_of(server)
        await runs.open()
        for number in range(30):
            runs.track(f"mine-{number}")
            server.show(f"mine-{number}")
        server.between = [lambda: [server.show("foreign") for _ in range(random_.randrange(size))]] * 1000
        await runs.look([f"mine-{number}" for number in range(30)])
        assert all(len(runs.tracked(f"mine-{number}").rows) == 1 for number in range(30))

    run_virtual(main())
