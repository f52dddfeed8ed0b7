"""What two jobs show is compared whole, but for what names a job, tells the hour, or was given to it."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opus_async.models import JobStatus
from opus_async.opus.protocol.audit import audit_of
from opus_async.opus.protocol.outcomes import status_of
from opus_async.opus.protocol.snapshots import Baseline, Snapshot

STATUS = {"status": "PENDING", "jobExecutionId": "2514", "createdAt": "2026-11-29T08:00:00.000Z"}
AUDIT = {
    "jobExecutionId": "2514",
    "nb_nodes": 3,
    "nb_executed_nodes": 0,
    "executed_nodes": [],
    "failed_nodes": [],
    "running_node": None,
    "remaining_nodes_to_execute": ["Input", "Agent 1", "Output"],
    "audit": {"nodes_execution_data": {}},
    "auditTrail": [{"timestamp": "2026-11-29T08:00:01Z", "actor": "SYSTEM", "action": "Job 2514 initiated"}],
}


def snapshot(job_id="2514", status=STATUS, audit=AUDIT, texts=()):
    word = status.get("status", "") if isinstance(status, dict) else status
    read = None if audit is None else audit_of(audit)
    return Snapshot.of(job_id, status_of(word), status, read, given=texts)


def differences(one, other):
    return Baseline(one).differences(other)


def changed(body, **fields):
    return {**copy.deepcopy(body), **fields}


def of_job(job_id, body):
    """The same answer, about another job."""
    return json.loads(json.dumps(body).replace("2514", job_id))


ALIKE = {
    "another id": ("2599", of_job("2599", STATUS), of_job("2599", AUDIT)),
    "an id that is a number": ("2599", changed(STATUS, jobExecutionId=2599), of_job("2599", AUDIT)),
    "another hour": ("2514", changed(STATUS, createdAt="2026-11-29T09:17:44.123+02:00"), AUDIT),
    "its hour in milliseconds": ("2514", changed(STATUS, createdAt=1795939200123), AUDIT),
    "a title": ("2514", changed(STATUS, title="Invoice 17"), changed(AUDIT, title="Invoice 17")),
    "a description": ("2514", changed(STATUS, description="of November"), AUDIT),
    "an initial input": ("2514", changed(STATUS, initialInput={"a": 1}), AUDIT),
}


@pytest.mark.parametrize(("job_id", "status", "audit"), ALIKE.values(), ids=ALIKE.keys())
def test_snapshot_of_unstarted_jobs_ignores_ids_times_titles_and_inputs(job_id, status, audit):
    assert differences(snapshot(), snapshot(job_id, status, audit)) == []


DIFFERENT = {
    "another status": (changed(STATUS, status="QUEUED"), AUDIT),
    "another spelling of the status": (changed(STATUS, status="pending"), AUDIT),
    "a count": (STATUS, changed(AUDIT, nb_executed_nodes=1)),
    "a shorter list": (STATUS, changed(AUDIT, remaining_nodes_to_execute=["Agent 1", "Output"])),
    "a node": (STATUS, changed(AUDIT, audit={"nodes_execution_data": {"Input": {}}})),
    "a time that is there": (changed(STATUS, startedAt="2026-11-29T08:00:00Z"), AUDIT),
    "a time that is no longer null": (
        changed(STATUS, startedAt="2026-11-29T08:00:00Z"),
        AUDIT,
        changed(STATUS, startedAt=None),
    ),
    "a time that is no longer 0": (
        STATUS,
        changed(AUDIT, executionTime=112),
        STATUS,
        changed(AUDIT, executionTime=0),
    ),
    "a list that is there and empty": (STATUS, changed(AUDIT, queue=[])),
    "an unknown field": (changed(STATUS, engine="gpu"), AUDIT),
    "an unknown field with another value": (
        changed(STATUS, phase="warm"),
        AUDIT,
        changed(STATUS, phase="cold"),
    ),
    "an entry of the trail": (
        STATUS,
        changed(AUDIT, auditTrail=[*AUDIT["auditTrail"], {"action": "Job started", "actor": "SYSTEM"}]),
    ),
    "a running node": (STATUS, changed(AUDIT, running_node="Input")),
    "a node named like a field of the job": (
        STATUS,
        changed(AUDIT, audit={"nodes_execution_data": {"title": {"execution_status": "COMPLETED"}}}),
    ),
    "no audit": (STATUS, None),
    "false that was null": (changed(STATUS, started=False), AUDIT, changed(STATUS, started=None)),
    "progress": (changed(STATUS, progress=5), AUDIT, changed(STATUS, progress=0)),
}


@pytest.mark.parametrize("case", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_snapshot_with_any_other_change_is_different(case):
    status, audit, *shell = case
    unstarted = snapshot("2599", *shell) if shell else snapshot("2599")
    assert differences(unstarted, snapshot("2514", status, audit))


def test_snapshot_ignores_title_texts_quoted_in_audit_trail():
    trail = [{"action": "Job 'Invoice 17 of ACME' initiated"}]
    shell = [{"action": "Job 'opus_async: never executed' initiated"}]
    one = snapshot(audit=changed(AUDIT, auditTrail=trail), texts=["Invoice 17 of ACME"])
    other = snapshot(audit=changed(AUDIT, auditTrail=shell), texts=["opus_async: never executed"])
    assert differences(one, other) == []


def test_snapshot_ignores_trace_ids_and_uuids():
    one = changed(
        STATUS, traceId="0af7651916cd43dd8448eb211c80319c", runUuid="a2b0c9f0-1111-4222-8333-abcdef012345"
    )
    other = changed(
        STATUS, traceId="b7ad6b7169203331b7ad6b7169203331", runUuid="ffb0c9f0-9999-4222-8333-abcdef012345"
    )
    assert differences(snapshot(status=one), snapshot(status=other)) == []


def test_snapshot_compares_status_response_that_is_bare_text():
    one, other = snapshot(status="PENDING"), snapshot(status="QUEUED")
    assert differences(one, one) == []
    assert differences(one, other) == ["status"]


def test_baseline_ignores_fields_that_vary_between_looks_at_the_same_job():
    first = snapshot(status=changed(STATUS, load=17))
    baseline = Baseline(first)
    assert baseline.differences(snapshot(status=changed(STATUS, load=19)))
    baseline.learn(snapshot(status=changed(STATUS, load=18)))
    assert baseline.differences(snapshot(status=changed(STATUS, load=19))) == []
    assert baseline.differences(snapshot(status=changed(STATUS, load=19, more=1))) == ["status/more"]


def test_baseline_compares_status_even_if_it_varied():
    baseline = Baseline(snapshot(status=changed(STATUS, status="QUEUED-17")))
    baseline.learn(snapshot(status=changed(STATUS, status="QUEUED-18")))
    assert baseline.differences(snapshot(status=changed(STATUS, status="QUEUED-18"))) == []
    assert baseline.differences(snapshot(status=changed(STATUS, status="QUEUED-19"))) == ["status/status"]
    assert baseline.statuses == {JobStatus.UNKNOWN}


@pytest.mark.parametrize("before", [None, 0])
def test_baseline_compares_field_that_varied_between_null_and_zero(before):
    baseline = Baseline(snapshot(status=changed(STATUS, starts=before)))
    baseline.learn(snapshot(status=changed(STATUS, starts=0 if before is None else None)))
    assert baseline.differences(snapshot(status=changed(STATUS, starts=1))) == ["status/starts"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 900) | st.text("abcXYZ", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("pqrstuv", min_size=1), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_snapshot_differs_exactly_if_audit_bodies_differ(one, other):
    a, b = (snapshot(audit={"more": body}) for body in (one, other))
    assert (differences(a, b) == []) == (_exact(one) == _exact(other))


@given(JSON, st.text("0123456789", min_size=4, max_size=6), st.text("0123456789", min_size=4, max_size=6))
def test_snapshot_ignores_job_id_anywhere_in_response(body, one, other):
    def named(job_id):
        return snapshot(job_id, {"status": "PENDING", "of": job_id}, {"text": f"of {job_id}", "body": body})

    assert differences(named(one), named(other)) == []


def _exact(value):
    """As Python tells 1, True and 1.0 apart only by their types."""
    return (
        repr(value) if not isinstance(value, dict) else {key: _exact(inner) for key, inner in value.items()}
    )
