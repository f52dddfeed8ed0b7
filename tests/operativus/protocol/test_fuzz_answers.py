"""Thousands of answers that are almost right: a reader gives a value that obeys its types, or an OpusError.

As for Opus (``tests/protocol/test_fuzz_answers.py``): the seed is fixed, `FUZZ_SEED` and `FUZZ_FIRST` choose
other answers.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from random import Random

import mutations
import pytest
from corpus import PAGES
from invariants import holds
from operativus_corpus import REFUSALS, RUN_ID, SESSION_ID, TOKEN, WORKFLOW_ID
from operativus_readers import READERS

from opus_async.errors import APIError, MixedUpAnswer, OpusError, ProtocolError
from opus_async.wire.messages import ApiResponse

SEED = os.environ.get("FUZZ_SEED", "1")
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
VALUE = "a value"
ASKED = {"workflow_id": WORKFLOW_ID, "job_id": SESSION_ID, "subject_id": RUN_ID}


def read(name, count):
    """Read so many answers: how often a value came back, and how often which error."""
    reader, random, met = READERS[name], Random(), Counter()
    for number in range(FIRST, FIRST + count):
        random.seed(f"{SEED}/operativus/{name}/{number}")
        answer = mutations.answer(random, random.choices((reader.shapes, REFUSALS), (9, 1))[0])
        if random.random() < 0.3:
            answer = replace(answer, **ASKED)
        try:
            found = holds(reader, answer)
        except Exception as error:
            error.add_note(
                f"The reader '{name}'; repeat with FUZZ_SEED={SEED} FUZZ_FIRST={number}. "
                f"HTTP {answer.status}, headers {answer.headers}, body {answer.body[:2000]!r}"
            )
            raise
        met[type(found).__name__ if isinstance(found, OpusError) else VALUE] += 1
        if name == "token" and isinstance(found, ProtocolError):
            assert TOKEN[30:60] not in f"{found} {vars(found)}"
    return met


@pytest.mark.parametrize("name", READERS)
def test_operativus_readers_raise_only_opus_errors_on_300_mutated_responses(name):
    met = read(name, 300)
    assert met[VALUE] > 30, f"too little is left to be read: {met}"
    assert len(met) >= 5, f"too few ways to be refused: {met}"


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", READERS)
def test_operativus_readers_raise_only_opus_errors_on_100000_mutated_responses(name):
    read(name, 100_000)


@pytest.mark.parametrize("name", READERS)
def test_operativus_readers_accept_corpus_shapes_and_refuse_corpus_errors(name):
    reader = READERS[name]
    for shape in reader.shapes:
        assert not isinstance(holds(reader, ApiResponse(status=200, body=shape.encode())), OpusError), shape
    for refusal in REFUSALS:
        assert isinstance(holds(reader, ApiResponse(status=400, body=refusal.encode())), APIError), refusal
        assert isinstance(holds(reader, ApiResponse(status=200, body=refusal.encode())), ProtocolError)
    for page in PAGES:
        assert isinstance(holds(reader, ApiResponse(status=502, body=page)), APIError), page
        if page or name != "done":
            assert isinstance(holds(reader, ApiResponse(status=200, body=page)), ProtocolError), page


def test_operativus_readers_meet_answers_about_something_else():
    reader, random = READERS["started"], Random(1)
    answers = (replace(mutations.answer(random, reader.shapes), **ASKED) for _ in range(300))
    assert any(isinstance(holds(reader, answer), MixedUpAnswer) for answer in answers)
