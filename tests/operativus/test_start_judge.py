"""Starts with uncertain answers, judged by the order of starts: a queue gives out its jobs oldest first."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opus_async.operativus.start_judge import StartJudge
from opus_async.platform import StartCheck

SOON = 15.0


@pytest.fixture
def judge() -> StartJudge:
    return StartJudge(SOON)


def lose(judge: StartJudge, key: str, *, sent: float, failed: float, refused: bool = False) -> None:
    judge.sent(key, sent)
    judge.uncertain(key, failed, took=failed - sent, refused=refused)


def accept(judge: StartJudge, key: str, *, sent: float) -> None:
    judge.sent(key, sent)
    judge.accepted(key)


def test_start_with_a_row_runs(judge):
    lose(judge, "lost", sent=0, failed=1)
    judge.shown("lost", 40)
    assert judge.check("lost", 50) is StartCheck.RUNNING


@pytest.mark.parametrize("hours", [0, 1, 100])
def test_absence_alone_proves_nothing_however_long(judge, hours):
    lose(judge, "lost", sent=0, failed=1)
    assert judge.check("lost", 3600.0 * hours) is StartCheck.INCONCLUSIVE


def test_start_counts_as_unstarted_once_a_later_one_has_been_visible_for_some_seconds(judge):
    lose(judge, "lost", sent=0, failed=1)
    accept(judge, "later", sent=10)
    assert judge.check("lost", 20) is StartCheck.NO_EVIDENCE_YET
    judge.shown("later", 30)
    assert judge.check("lost", 30 + SOON - 1) is StartCheck.NO_EVIDENCE_YET
    assert judge.check("lost", 30 + SOON) is StartCheck.NOT_STARTED


def test_evidence_outlives_the_run_that_gave_it(judge):
    lose(judge, "lost", sent=0, failed=1)
    accept(judge, "later", sent=10)
    judge.shown("later", 30)
    judge.forget("later")
    assert judge.check("lost", 30 + SOON) is StartCheck.NOT_STARTED


@pytest.mark.parametrize(
    ("sent", "why"),
    [(0.5, "before the failure was seen"), (1.5, "so soon that the lost one may have taken effect after it")],
)
def test_start_sent_too_early_is_no_evidence(judge, sent, why):
    lose(judge, "lost", sent=0, failed=1)
    accept(judge, "early", sent=sent)
    judge.shown("early", 30)
    assert judge.check("lost", 100) is StartCheck.INCONCLUSIVE, why


def test_start_that_took_long_to_fail_may_take_effect_as_late(judge):
    lose(judge, "lost", sent=0, failed=60)
    accept(judge, "later", sent=70)
    judge.shown("later", 90)
    assert judge.check("lost", 200) is StartCheck.INCONCLUSIVE
    accept(judge, "much-later", sent=60 + SOON + 1)
    judge.shown("much-later", 300)
    assert judge.check("lost", 400) is StartCheck.NOT_STARTED


def test_order_of_acceptance_does_not_matter_but_of_sending(judge):
    """One that was sent before, and whose answer came after the failure, may stand before it in the queue."""
    judge.sent("slow", 0)
    lose(judge, "lost", sent=1, failed=2)
    judge.accepted("slow")
    judge.shown("slow", 40)
    assert judge.check("lost", 100) is StartCheck.INCONCLUSIVE


def test_clock_stands_still_while_accepted_starts_lack_their_rows(judge):
    accept(judge, "before", sent=0)
    lose(judge, "lost", sent=1, failed=2)
    assert judge.check("lost", 1200) is StartCheck.NO_EVIDENCE_YET
    judge.shown("before", 1300)
    assert judge.check("lost", 2000) is StartCheck.INCONCLUSIVE


def test_run_that_nobody_waits_for_any_more_holds_up_no_clock(judge):
    accept(judge, "cancelled", sent=0)
    lose(judge, "lost", sent=1, failed=2)
    judge.forget("cancelled")
    assert judge.check("lost", 100) is StartCheck.INCONCLUSIVE


def test_run_started_twice_is_no_evidence(judge):
    """Its row may come from its first start."""
    lose(judge, "lost", sent=0, failed=1)
    lose(judge, "twice", sent=0, failed=1)
    accept(judge, "twice", sent=20)
    judge.shown("twice", 40)
    assert judge.check("lost", 200) is StartCheck.INCONCLUSIVE


def test_attempts_that_were_turned_away_unread_leave_a_start_as_late_as_its_last_one(judge):
    judge.sent("later", 0.5)
    lose(judge, "lost", sent=0, failed=1)
    judge.sent("later", 10)  # after a 429
    judge.accepted("later")
    judge.shown("later", 40)
    assert judge.check("lost", 100) is StartCheck.NOT_STARTED


def test_refused_start_counts_as_unstarted_if_nothing_shows(judge):
    lose(judge, "refused", sent=0, failed=1, refused=True)
    assert judge.check("refused", 1) is StartCheck.NOT_STARTED


def test_refusal_says_nothing_of_an_earlier_lost_start(judge):
    lose(judge, "lost", sent=0, failed=1)
    lose(judge, "lost", sent=50, failed=51, refused=True)
    assert judge.check("lost", 100) is StartCheck.INCONCLUSIVE


def test_recovered_start_is_judged_by_starts_after_the_restart_alone(judge):
    judge.recovered("old", 100, accepted=False)
    judge.recovered("other", 100, accepted=True)
    assert judge.check("old", 120) is StartCheck.NO_EVIDENCE_YET
    judge.shown("other", 130)
    assert judge.check("old", 1000) is StartCheck.INCONCLUSIVE  # which of the two came first is not known
    accept(judge, "new", sent=1000)
    judge.shown("new", 1100)
    assert judge.check("old", 1200) is StartCheck.NOT_STARTED


def test_start_of_which_nothing_is_known_is_inconclusive(judge):
    assert judge.check("unheard-of", 100) is StartCheck.INCONCLUSIVE


def test_rows_that_showed_long_ago_take_no_memory(judge):
    for number in range(10_000):
        accept(judge, f"s{number}", sent=number)
        judge.shown(f"s{number}", number + 1.0)
        judge.forget(f"s{number}")
    assert len(judge._fresh) <= SOON + 1
    assert not judge._starts
    assert not judge._without_row


class Queue:
    """Starts of which some get no answer, and a queue that takes a few each tick, oldest first.

    Rows of one tick show in any order, over half of it; a start whose answer is lost may take effect after
    its failure was seen, as late again as that took.
    """

    TICK = 30.0

    def __init__(self, random_: random.Random) -> None:
        self.judge = StartJudge(SOON)
        self.failing: set[str] = set()
        """Starts whose failure was seen, and that took effect, or will."""
        self.without_effect: set[str] = set()
        self.waiting: list[tuple[float, str]] = []
        self._random = random_
        self._batch = random_.randint(1, 5)
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = itertools.count()
        for number in range(60):
            self._start(f"s{number}", random_.uniform(0, 200), random_.choice([0.1, 1.0, 10.0]))
        for number in range(1, 120):
            self._at(number * self.TICK, self._tick)

    def run(self) -> Iterator[float]:
        """Let everything happen; yields each moment at which something did."""
        while self._events:
            now, _, happen = heapq.heappop(self._events)
            happen(now)
            yield now

    def _start(self, key: str, sent: float, took: float) -> None:
        kind = self._random.choices(["accepted", "effect", "none"], [6, 2, 2])[0]
        self._at(sent, lambda now: self.judge.sent(key, now))
        if kind == "accepted":
            self._at(sent + self._random.uniform(0, took), lambda now: self._enqueue(key, now))
            self._at(sent + took, lambda _: self.judge.accepted(key))
            return
        self._at(sent + took, lambda now: self._fail(key, now, took, effect=kind == "effect"))
        if kind == "effect":
            self._at(sent + self._random.uniform(0, 2 * took), lambda now: self._enqueue(key, now))

    def _fail(self, key: str, now: float, took: float, *, effect: bool) -> None:
        self.judge.uncertain(key, now, took=took, refused=False)
        (self.failing if effect else self.without_effect).add(key)

    def _enqueue(self, key: str, now: float) -> None:
        heapq.heappush(self.waiting, (now, key))

    def _tick(self, now: float) -> None:
        for _ in range(min(self._batch, len(self.waiting))):
            _, key = heapq.heappop(self.waiting)
            self._at(now + self._random.uniform(0, self.TICK / 2), lambda at, key=key: self._show(key, at))

    def _show(self, key: str, now: float) -> None:
        self.judge.shown(key, now)
        self.failing.discard(key)

    def _at(self, moment: float, happen: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), happen))


@given(seed=st.integers(0, 2**32))
def test_start_that_took_effect_is_never_judged_unstarted(seed):
    queue = Queue(random.Random(seed))
    for now in queue.run():
        verdicts = {queue.judge.check(key, now) for key in queue.failing}
        assert StartCheck.NOT_STARTED not in verdicts
    assert not queue.waiting
    for key in queue.without_effect:
        assert queue.judge.check(key, 1e9) in {StartCheck.NOT_STARTED, StartCheck.INCONCLUSIVE}


def test_recovered_start_that_a_later_process_overtook_counts_as_unstarted(judge):
    judge.recovered("old", 100, accepted=False, overtaken=True)
    assert judge.check("old", 100) is StartCheck.NOT_STARTED
    judge.shown("old", 101)
    assert judge.check("old", 102) is StartCheck.RUNNING


def test_start_after_that_proof_is_evidence_itself(judge):
    """A start that had no effect leaves no row: the row is that of the one after it."""
    judge.recovered("last", 100, accepted=False)
    judge.recovered("old", 100, accepted=False, overtaken=True)
    assert judge.check("old", 110) is StartCheck.NOT_STARTED
    accept(judge, "old", sent=120)
    judge.shown("old", 130)
    assert judge.check("last", 150) is StartCheck.NOT_STARTED


def test_row_that_is_quicker_than_the_answer_of_its_start_is_evidence_as_well(judge):
    lose(judge, "lost", sent=0, failed=1)
    judge.sent("later", 10)
    judge.shown("later", 11)
    judge.accepted("later")
    assert judge.check("lost", 11 + SOON) is StartCheck.NOT_STARTED
