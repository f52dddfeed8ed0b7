"""``to_dict`` and ``_repr_html_``: what a program stores of an outcome, and what a notebook shows."""

from __future__ import annotations

import json
import math
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from opus_async import (
    AuditLog,
    AuditNode,
    InputField,
    JobFailed,
    JobOutcome,
    JobStatus,
    NotFound,
    OpusError,
    Workflow,
)
from opus_async.batch import BatchResult
from opus_async.exits import Exit
from opus_async.html_card import MOST_CHARS, MOST_LINES
from opus_async.metrics.counts import Counts
from opus_async.plain_json import plain

SIGNED = "https://s3.example.com/a?X-Amz-Signature=0123456789abcdef0123456789abcdef&X-Amz-Date=1"


class Colour(Enum):
    RED = "red"


class Address(BaseModel):
    street: str
    since: date


class Person(BaseModel):
    name: str
    home: Address


@dataclass
class Pair:
    left: int
    right: Path


PLAIN = [
    (JobStatus("COMPLETED", raw="Completed "), "COMPLETED"),
    (Colour.RED, "red"),
    (Path("a/b.txt"), "a/b.txt"),
    (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00+00:00"),
    (date(2026, 3, 1), "2026-03-01"),
    (timedelta(minutes=1), 60.0),
    (Decimal("0.10"), "0.10"),
    (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    (
        Person(name="Ada", home=Address(street="x", since=date(2026, 3, 1))),
        {"name": "Ada", "home": {"street": "x", "since": "2026-03-01"}},
    ),
    ([Pair(1, Path("x"))], [{"left": 1, "right": "x"}]),
    (MappingProxyType({Colour.RED: (1, 2), 3: None}), {"red": [1, 2], "3": None}),
    (b"\x00\xff", "AP8="),
    (math.nan, None),
    (math.inf, None),
    ({5}, [5]),
    (2**70, 2**70),
    (True, True),
]


@pytest.mark.parametrize(("value", "said"), PLAIN, ids=lambda value: type(value).__name__)
def test_plain_json_of_a_value(value, said):
    assert plain(value) == said
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == said


def test_plain_json_of_a_value_that_holds_itself_ends():
    knot: list[object] = []
    knot.append(knot)
    assert "..." in json.dumps(plain(knot))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
)


@given(anything)
def test_plain_json_of_anything_survives_a_round_trip(value):
    said = plain(value)
    assert json.loads(json.dumps(said, allow_nan=False)) == said


def failed_outcome() -> JobOutcome:
    audit = AuditLog(
        nodes=(AuditNode(name="Extract", status="FAILED", raw={"a": 1}),), raw={"secret": SIGNED}
    )
    error = JobFailed(f"The job ended as FAILED: see {SIGNED}", job_id="7", stage="watch")
    return JobOutcome(
        job_id="7",
        status=JobStatus("FAILED", raw="failed"),
        error=error,
        audit=audit,
        timings=MappingProxyType({"total": 1.5}),
        index=3,
        key="a<b>",
    )


def test_outcome_to_dict_has_every_field_and_survives_a_round_trip():
    said = failed_outcome().to_dict()
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert set(said) == {
        "job_id",
        "status",
        "ok",
        "outputs",
        "results",
        "error",
        "audit",
        "timings",
        "index",
        "key",
    }
    assert (said["status"], type(said["status"]), said["ok"], said["index"]) == ("FAILED", str, False, 3)
    assert said["error"]["type"] == "JobFailed"
    assert (said["error"]["code"], said["error"]["next_action"]) == ("job_failed", "read_audit")
    assert said["audit"]["nodes"][0]["name"] == "Extract"


def test_outcome_to_dict_holds_no_secret():
    assert "0123456789abcdef" not in json.dumps(failed_outcome().to_dict())


def test_outcome_to_dict_of_values_that_are_no_json():
    outcome = JobOutcome(
        job_id="1",
        status=JobStatus.COMPLETED,
        outputs={
            "When": datetime(2026, 3, 1, tzinfo=UTC),
            "Who": Person(name="A", home=Address(street="s", since=date(2026, 1, 2))),
        },
        results=Path("results.json"),
    )
    said = outcome.to_dict()
    assert said["outputs"] == {
        "When": "2026-03-01T00:00:00+00:00",
        "Who": {"name": "A", "home": {"street": "s", "since": "2026-01-02"}},
    }
    assert said["results"] == "results.json"
    assert said["ok"]


def test_error_to_dict_keeps_job_and_stage():
    error = NotFound("No such job", status=404).located(job_id="9", stage="results")
    assert error.to_dict() == {
        "type": "NotFound",
        "code": "not_found",
        "message": "No such job",
        "job_id": "9",
        "stage": "results",
        "next_action": error.to_dict()["next_action"],
    }
    assert OpusError("x").to_dict()["next_action"] is None


WORKFLOW = Workflow(
    workflow_id="w<1>",
    name="<script>alert(1)</script>",
    inputs={
        f"v{number}": InputField(
            variable_name=f"v{number}", display_name=f"<b>{number}", type="file", allowed_file_types=("PDF",)
        )
        for number in range(MOST_LINES + 5)
    },
)
LONG = "x" * 10_000
SHOWN = {
    "workflow": WORKFLOW,
    "outcome": JobOutcome(
        job_id="<i>",
        status=JobStatus.COMPLETED,
        outputs={"<u>": "\u202e<img src=x>", "Long": LONG},
        key="<k>",
    ),
    "failed": failed_outcome(),
    "nothing": JobOutcome(job_id=None, status=None),
    "batch": BatchResult(
        directory=Path("<d>"),
        counts=Counts(completed=3, failed=1),
        exit_code=Exit(1),
        ended_because="finished <now>",
        summary={},
        error=OpusError(f"see {SIGNED} <p>"),
    ),
}


@pytest.mark.parametrize("name", SHOWN)
def test_repr_html_is_escaped_small_and_has_no_colour_of_its_own(name):
    shown = SHOWN[name]._repr_html_()
    tags = {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert set(re.findall(r"<\s*/?\s*([a-z]+)", shown)) <= tags
    assert "\u202e" not in shown
    assert "0123456789abcdef" not in shown
    assert len(shown) < 30_000
    assert LONG[: MOST_CHARS + 1] not in shown
    assert not re.search(r"(?<![-\w])(background|color):(?!inherit)", shown)


def test_repr_html_says_what_a_person_looks_for():
    assert "and 5 more" in SHOWN["workflow"]._repr_html_()
    assert "COMPLETED" in SHOWN["outcome"]._repr_html_()
    assert "The job ended as FAILED" in SHOWN["failed"]._repr_html_()
    batch = SHOWN["batch"]._repr_html_()
    assert "Batch of 4 rows" in batch
    assert "report.html" in batch


def test_repr_html_of_a_batch_tells_what_is_left_and_what_it_cost():
    trial = BatchResult(
        directory=Path("b"),
        counts=Counts(completed=3, running=1, waiting=2, planned=1200),
        exit_code=Exit(0),
        ended_because="limit_reached",
        summary={"cost": {"billed": 0.36, "billed_at_most": 0.48}},
    )
    said = re.sub(r"<[^>]+>", " ", trial._repr_html_())
    said = " ".join(said.split())
    assert "in flight 1 waiting for a person 2 not started 1,200 billed 0.36 to 0.48" in said
    assert "as many rows as the limit allowed were begun" in said
