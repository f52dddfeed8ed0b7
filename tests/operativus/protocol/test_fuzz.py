"""Any input and any answer: a request that is safe, a value, or one of our errors."""

from __future__ import annotations

import json
from contextlib import suppress

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from invariants import holds
from operativus_corpus import REFUSALS, SHAPES
from operativus_readers import READERS

from opus_async.errors import InvalidInputs
from opus_async.operativus.models import Step
from opus_async.operativus.protocol import requests
from opus_async.operativus.protocol.api_errors import error_from
from opus_async.operativus.protocol.statuses import is_open, pause_of, status_of
from opus_async.wire.messages import ApiResponse
from opus_async.wire.timestamps import to_datetime, to_epoch

UNHURRIED = settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
WORDS = sorted(
    {word for texts in (*SHAPES.values(), REFUSALS) for text in texts for word in text.split('"')[1::2]}
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
words = st.sampled_from(WORDS)
any_json = st.recursive(
    scalars
    | words
    | st.sampled_from([10**400, -(10**400), 2**63, 1e300, 404, "\u202e", "2026-05-06T09:00:00Z"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(words | st.text(max_size=4), inner, max_size=8)
    ),
    max_leaves=40,
)
bodies = any_json.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=30)
statuses = st.sampled_from([200, 201, 202, 204, 302, 400, 401, 402, 403, 404, 409, 429, 500, 503])
ids = st.none() | st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)  # asked for by us, and checked before


@UNHURRIED
@given(bodies, statuses, ids, ids, ids)
@example(b'{"id": ' + b"9" * 4300 + b"}", 200, None, None, None)
@example(b'{"content": ' + b"[" * 190 + b"]" * 190 + b"}", 200, None, None, None)
@example(b"[" * 100_000, 200, None, None, None)
@example(b'{"detail": ' + b"[" * 150 + b"]" * 150 + b"}", 400, None, None, None)
@example(b'{"errors": {"a": ' + b"9" * 4300 + b"}}", 400, None, None, None)
def test_operativus_readers_raise_only_opus_errors_on_any_response(body, status, workflow, session, subject):
    answer = ApiResponse(status=status, body=body, workflow_id=workflow, job_id=session, subject_id=subject)
    for reader in READERS.values():
        holds(reader, answer)


@UNHURRIED
@given(bodies)
def test_operativus_readers_raise_only_opus_errors_on_any_200_body(body):
    for reader in READERS.values():
        holds(reader, ApiResponse(status=200, body=body))


@UNHURRIED
@given(bodies, st.integers(300, 599))
def test_operativus_api_error_can_be_made_from_any_response(body, status):
    error = error_from(ApiResponse(status=status, body=body))
    assert error.status == status
    assert len(error.detail) <= 300
    for name, why in error.invalid_fields.items():
        assert name
        assert name.isprintable()
        assert why.isprintable()
        assert len(name) + len(why) <= 400


anything = st.recursive(
    scalars | st.binary(max_size=4) | st.builds(object) | st.text(st.characters(), max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)


@UNHURRIED
@given(anything, anything, st.integers() | anything)
def test_requests_from_anything_are_safe_or_refused(one, other, number):
    step = Step(one, other, number, other)
    for build in (
        lambda: requests.workflow(one),
        lambda: requests.create_workflow(one, description=other, workflow_id=one, steps=[step]),
        lambda: requests.update_workflow(one, name=other, description=one),
        lambda: requests.steps(one),
        lambda: requests.add_step(one, step, order=number),
        lambda: requests.update_step(one, step, agent_id=other, order=number),
        lambda: requests.remove_step(one, other),
        lambda: requests.clone_workflow(one),
        lambda: requests.run(one, other, session_id=one),
        lambda: requests.run("w", one),
        lambda: requests.runs(one, page=number, size=20),
        lambda: requests.runs("w", page=0, size=number),
        lambda: requests.workflows(sort=one if isinstance(one, str) else None, size=number),
        lambda: requests.resume(one, other),
        lambda: requests.resume("r", one),
        lambda: requests.continue_run(one, other),
        lambda: requests.cancel(one),
        lambda: requests.session_runs(one),
        lambda: requests.login(one, other),
    ):
        with suppress(InvalidInputs):
            call = build()
            assert call.path.isascii()
            assert not {" ", "#", "\\"} & set(call.path)
            assert "/../" not in call.path
            assert call.path.count("?") <= 1
            json.dumps(call.body, allow_nan=False, ensure_ascii=False).encode()


@UNHURRIED
@given(st.text())
def test_status_of_any_word_keeps_it(word):
    status = status_of(word)
    assert status.raw == word
    assert not (is_open(status) and (status.is_terminal or pause_of(status)))


@UNHURRIED
@given(
    any_json | st.datetimes().map(str) | st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat())
)
def test_times_from_anything_are_utc_or_none(value):
    moment = to_datetime(value)
    assert moment is None or moment.utcoffset().total_seconds() == 0
    epoch = to_epoch(value)
    assert epoch is None or epoch >= 0


@given(st.datetimes(), st.integers(0, 999))
def test_times_with_nanoseconds_are_read_to_the_microsecond(at, nanoseconds):
    written = f"{at.isoformat(timespec='microseconds')}{nanoseconds:03}"
    assert to_datetime(written).replace(tzinfo=None) == at
    assert to_datetime(f"{written}Z") == to_datetime(written)
