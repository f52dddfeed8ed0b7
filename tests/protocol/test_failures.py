"""Every answer that is no becomes one readable error of the right class, without a secret in it."""

from __future__ import annotations

import json
import time

import pytest

from opus_async.errors import (
    APIError,
    AuthenticationError,
    NotFound,
    PermissionDenied,
    ProtocolError,
    QuotaExhausted,
    RateLimited,
    ServerError,
    ValidationFailed,
)
from opus_async.opus.protocol.api_errors import error_from
from opus_async.wire.excerpts import excerpt
from opus_async.wire.json_bodies import json_of
from opus_async.wire.messages import ApiResponse
from opus_async.wire.retry_after import MAX_RETRY_AFTER, retry_after

KEY = "_" + "0123456789abcdef" * 6
SIGNED = (
    "https://bucket.s3.eu-central-1.amazonaws.com/media/a.pdf"
    "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20260101&X-Amz-Signature=00aa11bb"
)
PAGE = b"""<!DOCTYPE html>
<html><head><style>body { color: red }</style><title>502 Bad Gateway</title></head>
<body><h1>502</h1><script>alert(1)</script></body></html>"""


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ValidationFailed),
        (401, AuthenticationError),
        (402, QuotaExhausted),
        (403, PermissionDenied),
        (404, NotFound),
        (405, APIError),
        (409, APIError),
        (413, ValidationFailed),
        (418, APIError),
        (422, ValidationFailed),
        (429, RateLimited),
        (500, ServerError),
        (502, ServerError),
        (503, ServerError),
        (599, ServerError),
        (308, APIError),
        (100, APIError),
    ],
)
def test_api_error_class_follows_http_status(answer, status, kind):
    error = error_from(answer({"statusCode": status, "message": "why"}, status))
    assert type(error) is kind
    assert error.status == status
    assert "why" in error.message


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Quota exceeded"},
        {"message": "Your monthly quota has been exhausted.", "error": "Too Many Requests"},
        {"message": ["You have exceeded your current quota, please check your plan"]},
        {"error": {"code": "insufficient_quota", "message": "See your plan"}},
        {"message": {"code": "PLAN_LIMIT_REACHED"}},
        {"message": "Insufficient credits to run this job"},
        {"message": "You are out of credits"},
        {"message": "No credits left"},
        {"message": "Usage limit reached"},
        {"detail": "The organization has reached its spending limit"},
    ],
)
@pytest.mark.parametrize("status", [403, 429])
def test_api_error_is_quota_exhausted_if_403_or_429_body_says_so(answer, body, status):
    error = error_from(answer({"statusCode": status, **body}, status))
    assert type(error) is QuotaExhausted
    assert error.status == status
    assert "is used up" in error.message
    assert error.detail in error.message


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Too many requests"},
        {"message": "Quota exceeded for requests per minute"},
        {"message": "Quota exceeded: rate of initiate"},
        {"message": "Quota exceeded", "metadata": {"retryAfterSeconds": 2}},
        {"scope": "workspace", "limit": 20, "active": 20},
        {"message": "The limit is reached"},
        {"message": "Your plan does not include this"},
        {"message": "You may not see the quota of this organization"},
        {"message": "Add credit for the author to the document"},
        {"message": 'The user of this API key lacks the permission "Quota: Full"'},
    ],
)
@pytest.mark.parametrize(("status", "kind"), [(403, PermissionDenied), (429, RateLimited)])
def test_api_error_of_403_or_429_without_quota_words_keeps_class_of_its_status(answer, body, status, kind):
    assert type(error_from(answer({"statusCode": status, **body}, status))) is kind


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_api_error_ignores_quota_words_with_other_statuses(answer, status):
    assert not isinstance(error_from(answer({"message": "Quota exceeded"}, status)), QuotaExhausted)


def test_api_error_of_402_is_quota_exhausted_even_with_empty_body(answer):
    error = error_from(answer(b"", 402))
    assert type(error) is QuotaExhausted
    assert "Nothing will be accepted until it is raised" in error.message


def test_trap_1_api_error_joins_every_message_of_a_list(answer):
    body = {
        "statusCode": 400,
        "message": ["callbackUrl must be a URL address", "title must be a string"],
        "error": "Bad Request",
    }
    error = error_from(answer(body, 400))
    assert error.detail == "callbackUrl must be a URL address; title must be a string"
    assert error.detail in str(error)


@pytest.mark.parametrize(
    ("body", "detail", "code"),
    [
        ({"message": {"code": "X"}}, '{"code": "X"}', "X"),
        ({"message": {"x": 1}}, '{"x": 1}', None),
        ({"message": {"message": "inner", "code": 7}}, "inner", "7"),
        ({"error": "something"}, "something", None),
        ({"error": {"message": "inner", "code": "E1"}}, "inner", "E1"),
        ({"success": False, "message": "not started", "error": {"reason": "r"}}, None, None),
        ({"code": "E2", "message": "m"}, "m", "E2"),
        ({"errorCode": "E3", "detail": "d"}, "d", "E3"),
        ({"code": True, "title": "t"}, "t", None),
        ({"code": "\x00 ", "error": {"code": "E4", "message": "m"}}, "m", "E4"),
        ({"errors": [{"property": "a"}, "b"]}, '{"property": "a"}; b', None),
        ({"scope": "workspace", "limit": 20, "active": 20}, None, None),
        ({"message": "", "error": ""}, "", None),
        ({"message": True}, "", None),
        ({}, "", None),
        ([], "", None),
        (["a", ["b"], None, 3], "a; b; 3", None),
        ("", "", None),
        ("text", "text", None),
        (0, "", None),
        (None, "", None),
        (b"", "", None),
        (b"plain text", "plain text", None),
        (b"Internal\x00\x1b[31m Error\r\n", "Internal [31m Error", None),
        (b"\xff\xfe", "\ufffd\ufffd", None),
        (b'{"message": "cut o', '{"message": "cut o', None),
        (PAGE, "502 Bad Gateway", None),
        (b"<html><body><h1></h1><p>Request &amp; Entity <b>Too Large</b></p>", None, None),
        (
            b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
            "AccessDenied",
            None,
        ),
    ],
)
def test_trap_2_api_error_detail_is_readable_for_every_body(answer, body, detail, code):
    error = error_from(answer(body, 400))
    if detail is not None:
        assert error.detail == detail
    assert error.detail in error.message
    assert error.code == code
    assert "<" not in error.message
    assert error.message.isprintable()


def test_api_error_of_429_quotes_workspace_limit(answer):
    error = error_from(answer({"scope": "workspace", "limit": 20, "active": 20}, 429))
    assert '"limit": 20' in error.message


def test_api_error_detail_includes_reason_beside_message(answer):
    error = error_from(answer({"message": "was not started", "error": {"reason": "no credit"}}, 400))
    assert "was not started" in error.detail
    assert "no credit" in error.detail


def test_trap_3_api_error_of_gateway_html_page_is_a_short_server_error(answer):
    error = error_from(answer(PAGE, 502))
    assert isinstance(error, ServerError)
    assert (error.status, error.detail) == (502, "502 Bad Gateway")
    assert "alert" not in str(error)
    assert "color" not in str(error)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("API key is required", "did not arrive"),
        ("Invalid or expired API key", "wrong or has expired"),
        ("No auth cookie provided", "for browsers only"),
        ("", "wrong or has expired"),
    ],
)
def test_api_error_of_401_tells_missing_wrong_and_browser_only_credentials_apart(answer, said, expected):
    assert expected in error_from(answer({"message": said}, 401)).message


@pytest.mark.parametrize(
    "header", ["x-request-id", "X-Request-Id", "x-amzn-requestid", "cf-ray", "X-Amzn-Trace-Id"]
)
def test_api_error_keeps_request_id_header(header):
    error = error_from(ApiResponse(status=500, headers={header: "req-1"}))
    assert error.request_id == "req-1"
    assert "req-1" in str(error)


def test_api_error_ignores_blank_request_id():
    assert error_from(ApiResponse(status=500, headers={"x-request-id": "\x00 "})).request_id is None
    both = {"x-request-id": " ", "cf-ray": "ray-1"}
    assert error_from(ApiResponse(status=500, headers=both)).request_id == "ray-1"


def test_api_error_names_method_and_url_without_query(answer):
    error = error_from(answer({}, 404))
    assert (error.method, error.url, error.attempt) == ("GET", "https://opus.invalid/job/1", 1)
    assert "secret" not in str(error)


def test_api_error_uses_status_from_body_instead_of_http_status(answer):
    error = error_from(answer({"statusCode": 500, "message": "m"}), status=500)
    assert (type(error), error.status) == (ServerError, 500)


# -- the wait ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, 2.0),
        (0, 0.0),
        (0.5, 0.5),
        ("2", 2.0),
        (1e9, MAX_RETRY_AFTER),
        (10**400, MAX_RETRY_AFTER),
        (-1, None),
        (-(10**400), None),
        ("x", None),
        ("", None),
        (None, None),
        (True, None),
        ([2], None),
        (float("nan"), None),
        (float("inf"), None),
        ("nan", None),
    ],
)
def test_trap_4_retry_after_is_read_from_body(value, expected):
    assert retry_after({}, {"metadata": {"retryAfterSeconds": value}}) == expected
    assert retry_after({}, {"retryAfterSeconds": value}) == expected


@pytest.mark.parametrize("body", [None, [], "x", {}, {"metadata": None}, {"metadata": [1]}])
def test_retry_after_is_none_if_body_has_no_usable_wait(body):
    assert retry_after({}, body) is None


NOW = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after": " 3 "}, 3.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "100000"}, MAX_RETRY_AFTER),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After-Ms": "1500"}, 1.5),
        ({"Retry-After-Ms": "1500", "Retry-After": "9"}, 1.5),
        ({"Retry-After-Ms": "x", "Retry-After": "9"}, 9.0),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:07 GMT"}, 7.0),
        ({"Retry-After": "Thursday, 01-Jan-26 00:00:07 GMT"}, 7.0),
        ({"Retry-After": "Thu Jan  1 00:00:07 2026"}, 7.0),
        ({"Retry-After": "Wed, 31 Dec 2025 23:59:59 GMT"}, 0.0),
        ({"Retry-After": "Fri, 01 Jan 2027 00:00:00 GMT"}, MAX_RETRY_AFTER),
        ({"Retry-After": "Thu, 99 Jan 2026 00:00:07 GMT"}, None),
        ({}, None),
    ],
)
def test_trap_5_retry_after_is_read_from_header(headers, expected):
    assert retry_after({**headers, **NOW}, None) == expected


def test_retry_after_date_is_relative_to_date_header():
    headers = {"Retry-After": "Thu, 01 Jan 2026 00:00:07 GMT", "Date": "Thu, 01 Jan 2026 00:00:05 GMT"}
    assert retry_after(headers, None) == 2.0


def test_retry_after_date_without_current_time_is_none():
    assert retry_after({"Retry-After": "Thu, 01 Jan 2026 00:00:07 GMT"}, None) is None


@pytest.mark.parametrize(("seconds", "expected"), [(2, 2.0), (0, 0.0), (-1, 9.0), (None, 9.0)])
def test_trap_5_retry_after_in_body_takes_precedence_over_header(seconds, expected):
    body = {"metadata": {"retryAfterSeconds": seconds}}
    assert retry_after({"Retry-After": "9"}, body) == expected


def test_api_error_carries_retry_after(answer):
    assert error_from(answer({}, 429, Retry_After="3")).retry_after == 3.0
    assert error_from(answer({}, 503)).retry_after is None


# -- no secrets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"key {KEY} refused",
        f"key {KEY[1:]} refused",
        f"key{KEY.upper()}",
        f"cannot GET {SIGNED}",
        f'<a href="{SIGNED}">x</a> {SIGNED}',
        SIGNED.replace("/", "\\/"),
        "/media/a.pdf?X-Amz-Credential=AKIA&X-Amz-Signature=00aa11bb",
        "X-Amz-Credential=AKIA/2026, X-Amz-Signature%3D00aa11bb",
        "https://AKIA:00aa11bb@host/path",
        "sent x-service-key: AKIA_00aa11bb",
        'headers {"x-service-key": "AKIA_00aa11bb", "authorization":"Bearer AKIA.00aa11bb"}',
        "Authorization: Bearer AKIA.00aa11bb",
        "X-Opus-Callback-Token=AKIA-00aa11bb",
    ],
)
@pytest.mark.parametrize("form", ["json", "list", "text", "header"])
def test_api_error_redacts_secrets_quoted_by_response(answer, text, form):
    body = {"json": {"message": text}, "list": [text], "text": text.encode(), "header": {}}[form]
    headers = {"x_request_id": text} if form == "header" else {}
    error = error_from(answer(body, 400, **headers))
    shown = " ".join((str(error), repr(error), error.detail, repr(vars(error))))
    for secret in (KEY[1:], KEY[1:].upper(), "AKIA", "00aa11bb"):
        assert secret not in shown


@pytest.mark.parametrize(
    "text",
    [
        "x-service-key header is missing",
        "authorization required",
        "what? yes",
        "sha256 " + "ab" * 32,
        "see https://developer.opus.com/api-reference/introduction for more",
    ],
)
def test_excerpt_keeps_text_without_secrets(text):
    assert excerpt(text) == text


def test_excerpt_is_short_and_printable():
    assert excerpt("x" * 1000) == "x" * 297 + "..."
    assert excerpt("a\n\tb\x00\u202ec\ud800") == "a b c"
    assert excerpt("<" * 100_000, 10) == "<<<<<<<..."


@pytest.mark.parametrize(
    "part", ["http://", "http://a?", "<script", "<title", "?a=", "bearer ", "bearer=a", "X-Amz-a", "_a"]
)
def test_excerpt_of_long_repetitive_text_is_fast(part):
    started = time.thread_time()
    excerpt(part * 10_000)
    assert time.thread_time() - started < 0.2  # a text that is gone through again from every place takes 0.3


# -- JSON that is none -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "empty body"),
        (b"  \n", "empty body"),
        (PAGE, "HTML page"),
        (b'{"status": "COMP', "not JSON"),
        (b"{} {}", "not JSON"),
        (b"NaN", "not JSON"),
        (b'{"a": Infinity}', "not JSON"),
        (b'"\\ud800"', "not JSON"),
        (b'"\xed\xa0\x80"', "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[" * 500 + b"]" * 500, "not JSON"),
        (b"1" * 5000, "not JSON"),
        (b'{"a": [1e999]}', "not JSON"),
        (b'{"a": [-1E+4000]}', "not JSON"),
        (b"1" * 400 + b".5", "not JSON"),
        (b"9" * 250 + b"e99", "not JSON"),
        (b'{"value": 0.1E+999}', "not JSON"),
    ],
)
def test_json_of_raises_protocol_error_on_invalid_json(answer, body, expected):
    with pytest.raises(ProtocolError, match=expected) as caught:
        json_of(answer(body))
    assert "https://opus.invalid/job/1 " in caught.value.message
    assert "secret" not in str(caught.value)
    assert len(caught.value.message) < 700
    assert len(caught.value.body) <= 300


def test_json_of_recognizes_html_page_by_content_type(answer):
    with pytest.raises(ProtocolError, match="HTML page"):
        json_of(answer(b"Log in", Content_Type="text/HTML; charset=utf-8"))


def test_json_of_redacts_secrets_in_its_error(answer):
    with pytest.raises(ProtocolError) as caught:
        json_of(answer(f"oops {SIGNED} {KEY}".encode()))
    for secret in (KEY[1:], "AKIA", "00aa11bb"):
        assert secret not in caught.value.message + caught.value.body


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"\xef\xbb\xbf{}", {}),
        (b'{"a": 1e3, "e123": "1e999"}', {"a": 1000.0, "e123": "1e999"}),
        (b"-12345678901234567890123456789", -12345678901234567890123456789),
        (b"1" * 400, int("1" * 400)),
        (b"[1e-999]", [0.0]),
        (b"null", None),
        ('"J\u00f6b \U0001f600"'.encode(), "J\u00f6b \U0001f600"),
    ],
)
def test_json_of_reads_numbers_without_losing_digits_and_skips_bom(answer, body, value):
    assert json_of(answer(body)) == value


def test_json_of_reads_150_levels_of_nesting(answer):
    body = json.loads("[" * 150 + "]" * 150)
    assert json_of(answer(body)) == body
