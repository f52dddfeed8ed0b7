"""Which failures are one group: those that differ only in what differs from row to row."""

from __future__ import annotations

import pytest

from opus_async.errors import (
    AmbiguousExecution,
    APIError,
    DownloadError,
    InvalidInputs,
    JobFailed,
    OpusError,
    UploadError,
)
from opus_async.gaps import Gapped, gapped, group_of, literal
from opus_async.input_problems import ProblemCode, Unfit
from opus_async.metrics.failure_groups import group_key, group_label, says_more


def _no_file(name, subject="'Document' (doc)"):
    unfit = Unfit("there is no file {}", repr(name), code=ProblemCode.NO_FILE, file=name)
    return InvalidInputs([unfit.problem(subject=subject, input="doc", display_name="Document")])


@pytest.mark.parametrize(
    ("one", "other", "group"),
    [
        (_no_file("/a/b/1.pdf"), _no_file("/c/it's 2.pdf"), "'Document' (doc): there is no file …"),
        (
            APIError("x", status=400, detail="job 77aa1234 is bad", code="E1"),
            APIError("y", status=400, detail="job 99bb5678 is bad", code="E1"),
            "HTTP 400 E1: job … is bad",
        ),
        (OpusError("took 12.5 s"), OpusError("took 3 s"), "took … s"),
        (
            JobFailed("f1", failed_nodes=["OCR"]),
            JobFailed("f2", failed_nodes=["OCR"]),
            "failed in OCR",
        ),
        (
            UploadError(gapped("{} changed", "a {b}"), filename="a"),
            UploadError(gapped("{} changed", "one two"), filename="b"),
            "… changed",
        ),
        (
            UploadError("Storage refused a", filename="a", status=403, code="AccessDenied"),
            DownloadError("Storage refused to give b", destination="b", status=403, code="AccessDenied"),
            "storage refused a file: HTTP 403 AccessDenied",
        ),
        (
            AmbiguousExecution(gapped("{}: {}", gapped("asked at {}", "9:00"), "lost")),
            AmbiguousExecution(gapped("{}: {}", gapped("asked at {}", "noon"), "late")),
            "asked at …: …",
        ),
    ],
)
def test_failure_group_key_ignores_row_specific_values(one, other, group):
    assert group_key(one) == group_key(other) == group
    assert group_key(one) != group_key(OpusError("something else"))


def test_failure_group_key_distinguishes_inputs():
    assert group_key(_no_file("a")) != group_key(_no_file("a", subject="'Annex' (annex)"))


def test_failure_group_key_keeps_fixed_numbers_of_our_messages():
    """What an error says itself is not guessed at: a number that is the same in every row stays."""
    error = UploadError(gapped("no byte of {} moved for 30 s, see 'Timeouts'", "a.pdf"), filename="a.pdf")
    assert group_key(error) == "no byte of … moved for 30 s, see 'Timeouts'"


def test_failure_group_key_is_short_and_one_line():
    assert len(group_key(OpusError("word " * 1000))) <= 160
    assert group_key(OpusError(gapped("one {}\ntwo", 1))) == "one … two"


@pytest.mark.parametrize(
    ("cause", "error", "told"),
    [
        ("took … s", "took 12 s", "took 12 s"),
        ("took … s", None, "took … s"),
        ("took … s", "took\n12 s", "took … s"),
        ("took … s", "took 12 s" * 30, "took … s"),
        ("HTTP 500", "The platform failed", "HTTP 500"),
    ],
)
def test_failure_group_label_uses_error_text_shared_by_all_rows(cause, error, told):
    assert group_label(cause, error) == told


def test_gapped_text_accepts_braces_in_any_part():
    text = gapped(f"{literal('{x}')}: {{}}", "{0} {y!r}")
    assert isinstance(text, Gapped)
    assert (text, group_of(text), group_of("plain")) == ("{x}: {0} {y!r}", "{x}: …", "plain")


def test_gapped_text_tells_what_stands_in_its_gaps():
    text = gapped("{}: {}", gapped("asked {} at {}", 2, "noon"), "late")
    assert (text.group, text.parts) == ("asked … at …: …", ("2", "noon", "late"))


@pytest.mark.parametrize(
    ("error", "label", "more"),
    [
        (None, "failed in Review", False),
        ("The host is gone", "The host is gone", False),
        ("The job ended as FAILED: failed nodes: Review", "failed in Review", False),
        ("The job ended as FAILED: failed nodes: Review (page 3 is blank)", "failed in Review", True),
        ("The job ended as FAILED: failed nodes: OCR, Review", "failed in Review", True),
        ("HTTP 500 of GET https://a.example", "HTTP 500", True),
    ],
)
def test_failure_group_tells_whether_an_error_says_more_than_its_title(error, label, more):
    assert says_more(error, label) is more
