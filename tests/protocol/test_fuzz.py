"""Whatever is given or sent: binding raises InvalidInputs alone, reading raises OpusError alone.

Few examples, and the smallest one of a failure; the many are in `test_protocol_fuzz_answers.py`.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from datetime import datetime
from types import MappingProxyType

import pytest
from corpus import WORDS
from hypothesis import example, given, settings
from hypothesis import strategies as st
from invariants import READERS, holds

from opus_async.errors import InvalidInputs, OpusError, ProtocolError
from opus_async.models import InputField, JobStatus, Workflow
from opus_async.opus.protocol.api_errors import error_from
from opus_async.opus.protocol.api_messages import InitiateFields, PresignFields
from opus_async.opus.protocol.payload import FILE_DEFINITION, FileFacts, bind
from opus_async.opus.protocol.v0 import V0
from opus_async.wire.excerpts import excerpt
from opus_async.wire.json_bodies import json_of, json_or_none
from opus_async.wire.messages import ApiResponse
from opus_async.wire.retry_after import MAX_RETRY_AFTER, retry_after

UNHURRIED = settings(deadline=None)  # a loaded machine is no failure
SAFE = 2**53
MAX_BYTES = 100

texts = st.text(st.characters(codec="utf-8"), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-SAFE, SAFE)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
plain = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)

# -- binding: what is valid --------------------------------------------------------------------------------

urls = st.integers(0, 10**9).map("https://files.opus.com/media/{}".format)
names = st.sampled_from(["a.pdf", "b.PNG", "c.jpeg", "d.e.json"])
one_file = st.one_of(
    names.map(lambda name: (name, [name])),
    names.map(lambda name: ((name, b"x"), [name])),
    urls.map(lambda url: (url, url)),
)


@st.composite
def file_lists(draw):
    parts = draw(st.lists(one_file, min_size=1, max_size=4))
    return [part[0] for part in parts], [part[1] for part in parts]


VALID = {
    "str": texts.map(lambda value: (value, value))
    | st.integers(-SAFE, SAFE).map(lambda value: (value, str(value))),
    "int": st.integers(-SAFE, SAFE).flatmap(
        lambda value: st.sampled_from([(value, value), (str(value), value)])
    ),
    "float": st.floats(allow_nan=False, allow_infinity=False).flatmap(
        lambda value: st.sampled_from([(value, value), (repr(value), value)])
    ),
    "bool": st.booleans().flatmap(lambda value: st.sampled_from([(value, value), (str(value), value)])),
    "date": st.dates().flatmap(
        lambda value: st.sampled_from(
            [
                (value, value.isoformat()),
                (value.isoformat(), value.isoformat()),
                (datetime(value.year, value.month, value.day, 23), value.isoformat()),  # noqa: DTZ001
            ]
        )
    ),
    "array": st.lists(plain, max_size=3).flatmap(
        lambda value: st.sampled_from([(value, value), (tuple(value), value), (json.dumps(value), value)])
    ),
    "object": st.dictionaries(texts, plain, max_size=3).flatmap(
        lambda value: st.sampled_from(
            [(value, value), (MappingProxyType(value), value), (json.dumps(value), value)]
        )
    ),
    "json_string": plain.filter(lambda value: value is not None and not isinstance(value, str)).map(
        lambda value: (value, json.dumps(value, ensure_ascii=False))
    ),
    "hologram": plain.filter(lambda value: value is not None).map(lambda value: (value, value)),
    "file": one_file,
    "array_files": file_lists(),
}


@st.composite
def valid_runs(draw):
    """A schema, inputs that fit it, and for each variable what must be sent."""
    fields, inputs, expected = {}, {}, {}
    for number in range(draw(st.integers(0, 6))):
        variable = f"workflow_input_{number}"
        kind = draw(st.sampled_from(sorted(VALID)))
        as_array = kind == "array_files" and draw(st.booleans())
        fields[variable] = InputField(
            variable_name=variable,
            display_name=f"Input {number}",
            type="array" if as_array else kind,
            item_type="file" if as_array else None,
            nullable=draw(st.booleans()),
        )
        if fields[variable].nullable and draw(st.booleans()):
            continue
        value, wire = draw(VALID[kind])
        inputs[draw(st.sampled_from([variable, f"Input {number}", f" INPUT {number}"]))] = value
        expected[variable] = wire
    order = draw(st.permutations(list(inputs)))
    return Workflow(workflow_id="w", inputs=fields), {name: inputs[name] for name in order}, expected


def inspect(source, filename):
    """Files have one byte; what has no name does not exist."""
    if filename is None and not isinstance(source, str):
        raise ValueError("the file does not exist")
    return FileFacts(filename or source, 1, source)


def filled(wire, found):
    """What is expected, with ``[filename]`` replaced by the URL of the next file."""
    if isinstance(wire, list) and len(wire) == 1 and wire[0] == found[0][0]:
        return found.pop(0)[1]
    return wire


@UNHURRIED
@given(valid_runs())
def test_bind_of_valid_inputs_sends_exactly_the_expected_payload(run):
    workflow, inputs, expected = run
    bound = bind(workflow, inputs, inspect=inspect, max_file_bytes=MAX_BYTES)
    sent_urls = [f"https://files.opus.com/sent/{number}" for number in range(len(bound.files))]
    payload = bound.payload(sent_urls)
    assert list(payload) == list(expected)
    uploads = [*zip((file.filename for file in bound.files), sent_urls, strict=True), (None, None)]
    for variable, sent in payload.items():
        field, wire = workflow.inputs[variable], expected[variable]
        if field.takes_file:
            wire = filled(wire, uploads)
        elif field.takes_files:
            wire = [filled(part, uploads) for part in wire]
        expected_variable = {"value": wire, "type": field.type, "displayName": field.display_name}
        if field.type == "array" and field.takes_files:
            expected_variable["typeDefinition"] = FILE_DEFINITION
        assert sent == expected_variable
    assert uploads == [(None, None)]
    json.dumps(payload, allow_nan=False, ensure_ascii=False).encode()


# -- binding: anything -------------------------------------------------------------------------------------

odd = st.one_of(
    st.text(max_size=8),
    st.binary(max_size=4),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.fractions(),
    st.complex_numbers(),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.sets(st.integers(), max_size=2),
    st.builds(object),
    st.just(5000).map(lambda digits: 10**digits),
    st.just(1e999),
    st.sampled_from(
        [JobStatus, JobStatus.FAILED, json, len, ..., NotImplemented, range(2), "[", "{", "[1e999]"]
    ),
)
anything = st.recursive(
    scalars | odd,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.none(), inner, max_size=3)
    ),
)
kinds = st.sampled_from([*sorted(VALID), ""])


@st.composite
def any_runs(draw):
    count = draw(st.integers(1, 3))
    fields = {
        f"v{number}": InputField(
            variable_name=f"v{number}",
            display_name=draw(st.sampled_from(["Doc", "doc", "v0", "Other"])),
            type=draw(kinds),
            item_type=draw(st.sampled_from([None, "file"])),
            nullable=draw(st.booleans()),
            allowed_file_types=draw(st.sampled_from([(), ("PDF",)])),
        )
        for number in range(count)
    }
    keys = st.sampled_from(["v0", "v1", "Doc", "DOC", "other", "x"]) | texts | st.integers()
    return Workflow(workflow_id="w", inputs=fields), draw(st.dictionaries(keys, anything, max_size=4))


@UNHURRIED
@given(any_runs())
def test_bind_of_any_inputs_gives_json_or_raises_invalid_inputs(run):
    workflow, inputs = run
    bound, refusal = None, None
    try:
        bound = bind(workflow, inputs, inspect=inspect, max_file_bytes=MAX_BYTES)
    except InvalidInputs as error:
        refusal = error
    if bound is not None:
        payload = bound.payload(["https://files.opus.com/x"] * len(bound.files))
        json.dumps(payload, allow_nan=False, ensure_ascii=False).encode()
    else:
        assert refusal.problems
        assert all(problem.isprintable() and len(problem) < 2000 for problem in refusal.problems)


@UNHURRIED
@given(st.text(max_size=20), st.text(max_size=8), st.dictionaries(st.text(max_size=3), anything, max_size=2))
def test_v0_requests_from_any_text_are_safe_or_refused(text, other, mapping):
    v0 = V0()
    with suppress(OpusError):
        path = v0.status(text).path
        assert path.isascii()
        assert path.count("/") == 3
        assert not {"?", "#", " ", "\\"} & set(path)
        assert "/../" not in path
    for build in (
        lambda: v0.workflow(other or "w", version_id=text),
        lambda: v0.initiate(InitiateFields(workflow_id="w", title=text, source=other, initial_input=mapping)),
        lambda: v0.initiate(InitiateFields(workflow_id="w", title=text, initial_input=mapping)),
        lambda: v0.presign(PresignFields(extension=text, original_name=other)),
        lambda: v0.presign(PresignFields(extension="pdf", original_name=text)),
        lambda: v0.execute(text, {}),
        lambda: v0.execute("1", {}, callback_url=text),
        lambda: v0.execute("1", {}, callback_url=f"https://{text}"),
    ):
        with suppress(OpusError):
            json.dumps(build().body, allow_nan=False, ensure_ascii=False).encode()


# -- reading -----------------------------------------------------------------------------------------------

words = st.sampled_from(WORDS)
any_json = st.recursive(
    scalars | words | st.integers() | st.sampled_from([1767225600000, 10**400, -(10**400), 200, 500, "500"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words | texts, inner, max_size=6),
    max_leaves=40,
)

bodies = any_json.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=30)
statuses = st.sampled_from([200, 201, 202, 204, 301, 400, 401, 404, 429, 500, 503]) | st.integers(100, 599)
headers = st.dictionaries(
    st.sampled_from(["Retry-After", "retry-after-ms", "Date", "x-request-id", "Content-Type"]),
    st.text(max_size=12)
    | st.sampled_from(
        ["3", "-1", "Thu, 01 Jan 2026 00:00:07 GMT", "Thu, 01 Jan 99999999999999999999 00:00:07 GMT"]
    )
    | st.sampled_from(["1 Jan 2026 00:00 +99999999999999", "1 Jan 2026", "0 0 0", "Mon,", "text/html"]),
)


def hold_up(answer):
    for reader in READERS.values():
        holds(reader, answer)


@UNHURRIED
@given(bodies, statuses, headers)
@example(b'{"jobExecutionId": ' + b"9" * 4300 + b"}", 200, {})
@example(b'{"message": ' + b"[" * 150 + b"]" * 150 + b"}", 400, {})
@example(b'{"message": {"a": ' + b"9" * 4300 + b"}}", 400, {})
def test_response_readers_raise_only_opus_errors_on_any_response(body, status, fields):
    hold_up(ApiResponse(status=status, body=body, headers=fields))


@UNHURRIED
@given(bodies)
def test_response_readers_raise_only_opus_errors_on_any_200_body(body):
    hold_up(ApiResponse(status=200, body=body))


@UNHURRIED
@given(bodies, statuses, headers)
def test_api_error_can_be_made_from_any_response(body, status, fields):
    response = ApiResponse(status=status, body=body, headers=fields)
    error = error_from(response)
    assert error.status == status
    assert len(error.detail) <= 300
    wait = retry_after(fields, json_or_none(response))
    assert error.retry_after == wait
    assert wait is None or (math.isfinite(wait) and 0 <= wait <= MAX_RETRY_AFTER)


@UNHURRIED
@given(st.binary() | bodies)
def test_json_of_any_bytes_gives_json_or_protocol_error(body):
    with suppress(ProtocolError):
        json.dumps(json_of(ApiResponse(status=200, body=body)), allow_nan=False).encode()


@UNHURRIED
@given(any_json)
def test_json_of_round_trips_any_json(value):
    assert json_of(ApiResponse(status=200, body=json.dumps(value).encode())) == value


@UNHURRIED
@given(st.text(), st.integers(4, 50))
@example("<" * 5000, 300)
@example("<script" * 2000, 300)
def test_excerpt_of_any_text_is_short_and_printable(text, limit):
    short = excerpt(text, limit)
    assert len(short) <= limit
    assert short.isprintable()


SECRETS = {
    "key": "_" + "0123456789abcdef" * 6,
    "JSON Web Token": "eyJ0123456789abcdef.eyJ0123456789abcdef.0123456789abcdef",
    "key without underscore": "0123456789abcdef" * 6,
    "presigned": "https://h.s3.amazonaws.com/a.pdf?X-Amz-Credential=0123456789abcdef&X-Amz-Signature=0123456789abcdef",
}


@UNHURRIED
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@given(before=texts, after=texts)
def test_excerpt_redacts_secret_inside_any_text(secret, before, after):
    assert "0123456789abcdef" not in excerpt(f"{before} {secret} {after}")
