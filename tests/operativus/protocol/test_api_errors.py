"""Every refusal of Operativus becomes one readable error of the right class, with the wrong fields named."""

from __future__ import annotations

import pickle

import pytest
from operativus_corpus import PROBLEM, SOURCE_PROBLEM, TOKEN, UNAUTHORIZED

from opus_async.error_codes import NextAction, NextStep
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
from opus_async.operativus.protocol import readers
from opus_async.operativus.protocol.api_errors import error_from, is_problem
from opus_async.operativus.protocol.hints import hint

PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1><hr>nginx</body></html>"
API = "http://localhost:8080/api/v1/workflows"


@pytest.mark.parametrize(
    ("status", "kind", "advice"),
    [
        (400, ValidationFailed, "will be refused again"),
        (401, AuthenticationError, "logging in"),
        (402, QuotaExhausted, "budget"),
        (403, PermissionDenied, "ADMIN"),
        (404, NotFound, "organization"),
        (405, APIError, "version of the server"),
        (409, APIError, "required"),
        (413, ValidationFailed, "shorter"),
        (415, APIError, "proxy"),
        (418, APIError, "HTTP 418"),
        (422, ValidationFailed, "will be refused again"),
        (429, RateLimited, "api_rate"),
        (302, APIError, "redirect"),
        (500, ServerError, "failed"),
        (502, ServerError, "failed"),
        (503, ServerError, "failed"),
    ],
)
@pytest.mark.parametrize("body", [b"", PAGE, {"status": 0, "title": "T", "detail": "the detail"}], ids=repr)
def test_operativus_trap_2_error_class_follows_http_status(answer, body, status, kind, advice):
    error = error_from(answer(body, status, method="GET"))
    assert type(error) is kind
    assert (error.status, error.method) == (status, "GET")
    assert advice in error.message
    if body == b"":
        assert error.detail == ""
    else:
        assert error.detail == ("502 Bad Gateway" if body is PAGE else "the detail")


@pytest.mark.parametrize("body", [PROBLEM, SOURCE_PROBLEM], ids=["documented", "source"])
def test_operativus_trap_2_problem_names_the_fields_that_were_wrong(answer, body):
    error = error_from(answer(body, 400))
    assert dict(error.invalid_fields) == {"name": "must not be blank"}
    assert error.detail == "name must not be blank"
    assert error.detail in str(error)
    assert error.code == body["type"]
    again = pickle.loads(pickle.dumps(error))
    assert dict(again.invalid_fields) == {"name": "must not be blank"}


@pytest.mark.parametrize(
    ("body", "detail", "fields"),
    [
        (
            {"title": "Bad Request", "invalidParams": [{"name": "a", "reason": "is short"}, {"param": "b"}]},
            "Bad Request; a: is short; b",
            {"a": "is short", "b": ""},
        ),
        ({"detail": "no", "invalidParams": {"a": "is short"}}, "no; a: is short", {"a": "is short"}),
        (
            {"detail": "no", "errors": {"a": ["is short", "is blank"], " ": "x"}},
            "no; a: is short; is blank",
            {"a": "is short; is blank"},
        ),
        ({"detail": "no", "errors": [{"field": "a", "defaultMessage": "m"}]}, "no; a: m", {"a": "m"}),
        ({"detail": "no", "errors": ["name is empty", 7]}, "no; name is empty", {}),
        ({"errors": ["name is empty", "x is wrong"]}, "name is empty; x is wrong", {}),
        ({"detail": "no", "invalidParams": [], "errors": {"a": "b"}}, "no; a: b", {"a": "b"}),
        ({"detail": "no", "invalidParams": None, "errors": 7}, "no", {}),
        ({"detail": "no", "invalidParams": [None, "x", [], {"field": 7}, {"field": " "}]}, "no; x", {}),
        ({"detail": "no", "invalidParams": {"\u202e": "y"}}, "no", {}),
        ({"detail": "no", "invalidParams": [{"field": "a", "message": {"x": 1}}]}, 'no; a: {"x": 1}', None),
        ({"title": "T", "detail": "D"}, "D", {}),
        ({"title": "T", "detail": " "}, "T", {}),
        ({"title": "T", "hint": "try x", "maxBytes": 1024}, "T; try x; at most 1024 bytes", {}),
        ({"title": "T", "supportedMethods": ["GET", "POST", 7]}, "T; methods: GET, POST", {}),
        ({"title": "T", "hint": 7, "maxBytes": "many", "supportedMethods": "GET"}, "T", {}),
        ({"status": 400, "code": 17}, '{"code": 17}', {}),
        ({"status": 400, "timestamp": "x", "path": "/y", "instance": "/z", "type": "about:blank"}, "", {}),
        (["a", "b"], "a; b", {}),
        ("plain", "plain", {}),
        (None, "", {}),
        (7, "7", {}),
    ],
)
def test_error_detail_says_what_the_server_said(answer, body, detail, fields):
    error = error_from(answer(body, 400))
    assert error.detail == detail
    if fields is not None:
        assert dict(error.invalid_fields) == fields


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("urn:problem-type:x", "urn:problem-type:x"),
        ("about:blank", None),
        (None, None),
        ("", None),
        (7, None),
        ("\u202e", None),
        ("x" * 500, "x" * 77 + "..."),
    ],
)
def test_error_code_is_the_type_of_the_problem(answer, kind, code):
    assert error_from(answer({"type": kind, "title": "T"}, 400)).code == code


def test_error_of_a_401_says_what_its_own_form_says(answer):
    error = error_from(answer(UNAUTHORIZED, 401))
    assert (error.detail, error.code) == ("Unauthorized", None)
    assert error.next_step.action == NextAction.CHECK_KEY
    assert "username=" in str(error)


def test_operativus_trap_2_402_is_a_budget_that_no_retry_brings_back(answer):
    error = error_from(answer(b"", 402))
    assert type(error) is QuotaExhausted
    assert error.next_step.action == NextAction.RAISE_QUOTA


@pytest.mark.parametrize(("written", "wait"), [("1", 1.0), ("60", 60.0), (None, None), ("soon", None)])
def test_operativus_trap_2_429_waits_as_long_as_it_is_told(answer, written, wait):
    body = {
        "type": "about:blank",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "Rate limit exceeded",
    }
    headers = {} if written is None else {"Retry-After": written}
    error = error_from(answer(body, 429, headers=headers))
    assert type(error) is RateLimited
    assert error.retry_after == wait
    assert error.code is None


def test_error_of_a_step_that_is_not_taken_tells_what_may_be_wrong(answer):
    error = error_from(answer(b"", 404, method="POST", url=f"{API}/wf/steps"))
    assert type(error) is NotFound
    assert "agent's id" in error.message
    assert "agent's id" not in error_from(answer(b"", 404, method="GET", url=f"{API}/wf/steps")).message
    assert "agent's id" not in error_from(answer(b"", 404, method="POST", url=f"{API}/wf/run")).message


def test_error_of_a_run_that_is_refused_tells_of_workflows_without_steps(answer):
    body = {"title": "Bad Request", "status": 400, "detail": "Workflow has no steps to execute."}
    error = error_from(answer(body, 400, method="POST", url=f"{API}/wf/run?x"))
    assert type(error) is ValidationFailed
    assert "add one first" in error.message
    assert "without steps" not in error_from(answer(body, 400, method="POST", url=API)).message


def test_error_of_a_missing_name_asks_for_a_corrected_request(answer):
    body = {"title": "Resource Already Exists", "status": 409, "instance": "/api/v1/workflows"}
    error = error_from(answer(body, 409, method="POST", url=API))
    assert error.next_step.action == NextAction.CORRECT_INPUTS
    assert "Resource Already Exists" in error.message


def test_error_of_a_login_is_not_about_the_token(answer):
    error = error_from(answer(UNAUTHORIZED, 401, method="POST", url="http://h/api/auth/login"))
    assert "password" in error.message
    assert "token" not in error.message


def test_errors_name_no_word_of_another_platform(answer):
    for status in (*range(300, 309), *range(400, 452), *range(500, 512)):
        for method, url in (("GET", API), ("POST", f"{API}/w/steps"), ("POST", f"{API}/w/run")):
            shown = str(error_from(answer(b"", status, method=method, url=url)))
            assert "opus" not in shown.lower()
            assert "service key" not in shown


@pytest.mark.parametrize(
    "words",
    [
        f"bad header Authorization: Bearer {TOKEN}",
        f"token {TOKEN} has expired",
        "password synthetic-password of ann is wrong",
        f"see http://ann:synthetic-password@h/x?token={TOKEN}",
        f"\u202e{TOKEN}\x1b[2J",
    ],
)
def test_error_quotes_no_secret_that_the_server_quotes(answer, words):
    def mask(text):
        return text.replace("synthetic-password", "<password>")

    body = {
        "title": words,
        "detail": words,
        "type": words,
        "hint": words,
        "invalidParams": [{"field": words, "message": words}],
    }
    error = error_from(answer(body, 400, mask=mask))
    shown = f"{error} {error!r} {vars(error)} {dict(error.invalid_fields)}"
    assert TOKEN not in shown
    assert TOKEN.partition(".")[2][:30] not in shown
    assert "synthetic-password" not in shown
    assert error.detail.isprintable()
    assert all(f"{name}{why}".isprintable() for name, why in error.invalid_fields.items())


def test_error_of_thousands_of_fields_is_short(answer):
    body = {"detail": "no", "invalidParams": [{"field": f"f{n}", "message": "m" * 1000} for n in range(5000)]}
    error = error_from(answer(body, 400))
    assert len(error.invalid_fields) == 20
    assert len(str(error)) < 1000


@pytest.mark.parametrize(
    ("body", "is_one"),
    [
        (PROBLEM, True),
        (UNAUTHORIZED, True),
        ({"status": 500, "error": "x"}, True),
        ({"status": "FAILED", "title": "x"}, False),
        ({"status": 400}, False),
        ({"status": 200, "title": "x"}, False),
        ({"status": 404, "title": "x", "id": "w"}, False),
        ({"status": 404, "title": "x", "content": []}, False),
        ([], False),
        (None, False),
    ],
)
def test_problem_inside_a_success_is_known(answer, body, is_one):
    assert is_problem(body) is is_one
    if is_one:
        with pytest.raises(ProtocolError, match="describes an error"):
            readers.read_workflow(answer(body, 200))


@pytest.mark.parametrize("action", NextAction)
def test_hint_is_a_call_of_this_client_or_nothing(action):
    said = hint(NextStep(action, "s1"))
    assert "jobs." not in said
    assert "{" not in said
    assert not said.endswith(".")
    assert not said or "runs." in said or "=..." in said
