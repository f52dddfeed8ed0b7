"""Sentences that have what is wrong and what to do about it apart."""

from __future__ import annotations

import copy
import pickle

import pytest

from opus_async.input_problems import InputProblem
from opus_async.manifests.advised import Advised, fix_of, placed, reason_of, what_of


def test_sentence_has_its_parts_and_keeps_them_in_copies_and_behind_a_place():
    why = Advised("the value is #REF!", "mend the formula")
    assert why == "the value is #REF!: mend the formula"
    there = placed("cell B7", why)
    assert there == "cell B7: the value is #REF!: mend the formula"
    for each in (there, copy.copy(there), pickle.loads(pickle.dumps(there))):
        assert (what_of(each), fix_of(each)) == ("cell B7: the value is #REF!", "mend the formula")
    assert (what_of("as it is"), fix_of("as it is")) == ("as it is", None)
    assert placed("cell B7", "as it is") == "cell B7: as it is"


def test_error_made_of_a_sentence_gives_it_back():
    assert reason_of(ValueError(Advised("a", "b"))).fix == "b"
    assert reason_of(ValueError("plain")) == "plain"


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("wants text, got 1", "'Scan' wants text, got 1"),
        ("there is no file 'a.pdf'", "'Scan': there is no file 'a.pdf'"),
        ("the file 'a.pdf' is empty", "'Scan': the file 'a.pdf' is empty"),
        ("'a.pdf' is not a regular file", "'Scan': 'a.pdf' is not a regular file"),
    ],
)
def test_clause_follows_its_subject_behind_a_colon_and_a_verb_completes_it(message, sentence):
    assert InputProblem(message, subject="'Scan'") == sentence
