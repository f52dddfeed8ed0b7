"""Thousands of answers that are almost right: a reader gives a value that obeys its types, or an OpusError.

The seed is fixed, so that every run is the same; `FUZZ_SEED=2` before the command looks at other answers. A
failure names the first bad answer, and `FUZZ_FIRST` with its number begins there.
"""

from __future__ import annotations

import os
from collections import Counter
from random import Random

import mutations
import pytest
from corpus import PAGES, REFUSALS
from invariants import READERS, holds

from opus_async.errors import APIError, OpusError, ProtocolError
from opus_async.wire.messages import ApiResponse

SEED = os.environ.get("FUZZ_SEED", "1")
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
NEVER_RAISE = {"retry after", "json in text"}
PROBES = {"v0 speaks", "v1 speaks"}
VALUE = "a value"


def read(name, count):
    """Read so many answers: how often a value came back, and how often which error."""
    reader, random, met = READERS[name], Random(), Counter()
    for number in range(FIRST, FIRST + count):
        random.seed(f"{SEED}/{name}/{number}")
        answer = mutations.answer(random, reader.shapes)
        try:
            found = holds(reader, answer)
        except Exception as error:
            error.add_note(
                f"The reader '{name}'; repeat with FUZZ_SEED={SEED} FUZZ_FIRST={number}. "
                f"HTTP {answer.status}, headers {answer.headers}, body {answer.body[:2000]!r}"
            )
            raise
        met[type(found).__name__ if isinstance(found, OpusError) else VALUE] += 1
    return met


@pytest.mark.parametrize("name", READERS)
def test_response_readers_raise_only_opus_errors_on_1000_mutated_responses(name):
    met = read(name, 300)
    assert met[VALUE] > 30, f"too little is left to be read: {met}"
    if name not in NEVER_RAISE:
        assert len(met) >= 5, f"too few ways to be refused: {met}"


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", READERS)
def test_response_readers_raise_only_opus_errors_on_100000_mutated_responses(name):
    read(name, 100_000)


@pytest.mark.parametrize("name", [name for name in READERS if name not in (*NEVER_RAISE, *PROBES)])
def test_response_readers_accept_corpus_shapes_and_refuse_corpus_errors(name):
    reader = READERS[name]
    for shape in reader.shapes:
        assert not isinstance(holds(reader, ApiResponse(status=200, body=shape.encode())), OpusError), shape
    for refusal in REFUSALS:
        assert isinstance(holds(reader, ApiResponse(status=400, body=refusal.encode())), APIError), refusal
    for page in PAGES:
        assert isinstance(holds(reader, ApiResponse(status=502, body=page)), APIError), page
        if page or name != "done":
            assert isinstance(holds(reader, ApiResponse(status=200, body=page)), ProtocolError), page


def test_mutations_are_reproducible_from_seed():
    shapes = READERS["v0 audit"].shapes
    once, again, other = (
        [mutations.answer(Random(f"{seed}/{n}"), shapes) for n in range(50)] for seed in "112"
    )
    assert once == again
    assert once != other
