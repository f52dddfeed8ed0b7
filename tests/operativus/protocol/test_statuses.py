"""Every status of a run and of a job has its place; whatever else a server says is kept."""

from __future__ import annotations

import pytest

from opus_async.models import JobStatus
from opus_async.operativus.models import Run
from opus_async.operativus.protocol.statuses import Pause, is_open, pause_of, run_of_session, status_of

WORDS = {
    # documented
    "QUEUED": "PENDING",
    "RUNNING": "IN_PROGRESS",
    "COMPLETED": "COMPLETED",
    "FAILED": "FAILED",
    "PAUSED": "WAITING",
    # runs, by the source
    "PENDING": "PENDING",
    "CREATED": "PENDING",
    "PROCESSING": "IN_PROGRESS",
    "APPROVED": "IN_PROGRESS",
    "REJECTED": "FAILED",
    "EXPIRED": "FAILED",
    "CANCELLED": "CANCELLED",
    "AWAITING_ROUTE_SELECTION": "WAITING",
    "AWAITING_HUMAN_REVIEW": "WAITING",
    # jobs, by the source
    "DLQ": "FAILED",
}
OPEN = {"QUEUED", "RUNNING", "PENDING", "CREATED", "PROCESSING", "APPROVED"}


@pytest.mark.parametrize("word", WORDS)
def test_status_of_word_is_normalised_and_keeps_the_word(word):
    status = status_of(word)
    assert (status, status.raw) == (WORDS[word], word)
    assert is_open(status) == (word in OPEN)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        (" completed\n", "COMPLETED"),
        ("Awaiting-Human Review", "WAITING"),
        ("canceled", "CANCELLED"),
        ("awaitingHumanReview", "UNKNOWN"),
        ("", "UNKNOWN"),
        ("BRAND_NEW", "UNKNOWN"),
        ("\u202ePAUSED", "UNKNOWN"),
    ],
)
def test_status_of_any_other_word_is_unknown_and_open(word, name):
    status = status_of(word)
    assert (status, status.raw) == (name, word)
    assert is_open(status_of("BRAND_NEW"))


@pytest.mark.parametrize(
    ("word", "pause"),
    [
        ("PAUSED", Pause.PERSON),
        ("AWAITING_ROUTE_SELECTION", Pause.ROUTE),
        ("AWAITING_HUMAN_REVIEW", Pause.REVIEW),
        ("awaiting human review", Pause.REVIEW),
        ("RUNNING", None),
        ("COMPLETED", None),
        ("BRAND_NEW", None),
    ],
)
def test_operativus_trap_4_pause_is_told_by_its_word(word, pause):
    assert pause_of(status_of(word)) is pause


def test_pause_of_a_status_that_only_calls_itself_paused_is_none():
    assert pause_of(JobStatus("UNKNOWN", "PAUSED")) is None
    assert pause_of(JobStatus.WAITING) is None  # nothing tells what it waits for


def runs(*words):
    """Of one session, newest first."""
    return [Run(f"run_{place}", "w", "s", status_of(word)) for place, word in enumerate(words)]


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["COMPLETED"], 0),
        (["RUNNING", "FAILED"], 0),
        # a server started a run again that it had given up, and the older one goes on
        (["COMPLETED", "RUNNING"], 1),
        (["PAUSED", "RUNNING"], 1),
        (["RUNNING", "RUNNING"], 0),
        (["FAILED", "COMPLETED"], 0),
        (["PAUSED", "COMPLETED"], 0),
        (["COMPLETED", "PAUSED"], 0),
        (["COMPLETED", "BRAND_NEW"], 1),
    ],
)
def test_run_of_session_is_the_newest_open_one_or_the_newest(words, place):
    assert run_of_session(runs(*words)).id == f"run_{place}"


def test_run_of_session_without_runs_is_none():
    assert run_of_session([]) is None
