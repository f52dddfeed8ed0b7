"""Starts with uncertain answers, judged by the order of starts: a queue gives out its jobs oldest first."""

from __future__ import annotations

import heapq
import random

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


@given(seed=st.integers(0, 2**32))
def test_start_that_took_effect_is_never_judged_unstarted(seed):
    """Hundreds of starts, a queue of a few each tick, rows of a tick in any order, effects after the failure."""
    random_ = random.Random(seed)
    judge, tick, batch = StartJudge(SOON), 30.0, random_.randint(1, 5)
    events: list[tuple[float, int, str, str]] = []
    queue: list[tuple[float, str]] = []
    numbers = iter(range(10**6))
    failed: dict[str, tuple[float, float]] = {}
    no_effect: set[str] = set()

    def at(moment: float, what: str, key: str) -> None:
        heapq.heappush(events, (moment, next(numbers), what, key))

    for number in range(60):
        key, sent = f"s{number}", random_.uniform(0, 200)
        took = random_.choice([0.1, 1.0, 10.0])
        at(sent, "sent", key)
        kind = random_.choices(["accepted", "effect", "none"], [6, 2, 2])[0]
        if kind == "accepted":
            at(sent + random_.uniform(0, took), "enqueued", key)
            at(sent + took, "accepted", key)
            continue
        failed[key] = (sent, took)
        at(sent + took, "failed", key)
        if kind == "effect":
            at(sent + random_.uniform(0, 2 * took), "enqueued", key)
        else:
            no_effect.add(key)
    for number in range(1, 120):
        at(number * tick, "tick", "")
    shown: set[str] = set()
    unseen: list[tuple[float, str]] = []
    seen_failing: set[str] = set()
    for _ in range(100_000):
        if not events:
            break
        now, _, what, key = heapq.heappop(events)
        while unseen and unseen[0][0] <= now:  # looks come often
            moment, row = heapq.heappop(unseen)
            judge.shown(row, moment)
            shown.add(row)
        for lost in seen_failing - shown - no_effect:
            assert judge.check(lost, now) is not StartCheck.NOT_STARTED
        if what == "sent":
            judge.sent(key, now)
        elif what == "accepted":
            judge.accepted(key)
        elif what == "failed":
            judge.uncertain(key, now, took=failed[key][1], refused=False)
            seen_failing.add(key)
        elif what == "enqueued":
            heapq.heappush(queue, (now, key))
        else:
            for _ in range(min(batch, len(queue))):
                _, row = heapq.heappop(queue)
                heapq.heappush(unseen, (now + random_.uniform(0, tick / 2), row))
    assert not queue
    last = max(sent for key, (sent, _) in failed.items()) if failed else 0.0
    for lost in no_effect:  # and those that did not are found out where a later one shows
        sent, took = failed[lost]
        verdict = judge.check(lost, 1e9)
        assert verdict in {StartCheck.NOT_STARTED, StartCheck.INCONCLUSIVE}, (lost, last)
